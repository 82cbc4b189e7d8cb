// Every row is implemented or a named gap, gaps are announced by no CPU profile, and docs/coverage.md says the same.

import { describe, expect, it } from "vitest";
import { featureNames } from "../../src/arch/features.ts";
import { coveragePage, statusOf } from "../../src/isa/coverage.ts";
import { gapOf, missingFeatures } from "../../src/isa/gaps.ts";
import { semantics } from "../../src/isa/semantics/index.ts";
import { rows } from "../../src/isa/table.ts";

describe("coverage", () => {
  it("knows every row: implemented, or a gap with its reason", () => {
    expect(rows.filter((r) => statusOf(r) === undefined).map((r) => `${r.name} {${r.features}}`)).toEqual([]);
  });
  it("lists no feature whose rows are implemented", () => {
    expect(rows.filter((r) => semantics.has(r.name) && gapOf(r)).map((r) => r.name)).toEqual([]);
  });
  it("lists no feature without rows", () => {
    const used = new Set(rows.map(gapOf));
    expect(missingFeatures.filter((g) => !used.has(g)).map(([f]) => f)).toEqual([]);
  });
  it("lists no feature that a CPU profile can announce: its rows would not be UNDEFINED", () => {
    const known: readonly string[] = featureNames;
    expect(missingFeatures.filter(([f]) => known.includes(f)).map(([f]) => f)).toEqual([]);
  });
  it("is what docs/coverage.md says", async () => {
    await expect(coveragePage()).toMatchFileSnapshot("../../docs/coverage.md");
  });
});
