// firmware/tests on our machine against what QEMU prints for the same binary (data/qemu.txt), line by line. Where we differ on
// purpose, data/differences.txt has our line and the reason.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { Machine } from "../../src/harness/index.ts";
import { findQemu, qemuVersion, runOnQemu } from "./oracle.ts";
import { idValue, parseDifferences, parseReport } from "./report.ts";

const data = (name: string) => readFileSync(new URL(`data/${name}`, import.meta.url), "utf8");
const image = fileURLToPath(new URL("../../firmware/tests/tests.img", import.meta.url));
const golden = parseReport(data("qemu.txt"));
const differences = parseDifferences(data("differences.txt"));
/** The version that printed qemu.txt. Another one has other features in "max", so its identification registers are not compared. */
const GOLDEN_VERSION = "11.1";
const qemu = findQemu();

describe("bare-metal tests", () => {
  let text = "";
  let ours = new Map<string, string>();

  beforeAll(async () => {
    const machine = await Machine.create({ kernel: readFileSync(image), memory: 256 * 2 ** 20, smp: 2 });
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    text = machine.console.text;
    ours = parseReport(text);
  }, 60_000);

  it("runs to its end", () => {
    expect(text).toMatch(/\nend\n$/);
    expect(text).not.toContain("monitor fault");
    expect(golden.size).toBeGreaterThan(2600);
  });

  it("prints what QEMU prints, but for the named differences", () => {
    const wrong: string[] = [];
    for (const name of new Set([...golden.keys(), ...ours.keys()])) {
      const named = differences.get(name);
      const expected = named ? named.ours : golden.get(name);
      if (ours.get(name) !== expected) wrong.push(`${name}:\n  ours     ${ours.get(name)}\n  expected ${expected}`);
    }
    expect(wrong.join("\n")).toBe("");
  });

  it("has a reason for each difference, and no difference that is none", () => {
    for (const [name, { ours: line, reason }] of differences) {
      expect(reason, name).not.toBe("");
      expect(line, name).not.toBe(golden.get(name));
    }
  });

  it("announces no feature that QEMU lacks, except these", () => {
    // Register, low bit of the field, why ours is more.
    // biome-ignore format: table
    const more: readonly (readonly [string, number, string])[] = [
      ["pfr0",  12, "EL3: the board has one"],
      ["dfr0",  36, "DoubleLock: not implemented (0xF)"],
      ["dfr0",   8, "PMUVer: FEAT_PMUv3p7"],
      ["mmfr1", 48, "nTLBPA: no intermediate physical caching of walks outlives TLB maintenance"],
      ["mmfr1", 60, "ECBHB: nothing speculates"],
    ];
    const found: string[] = [];
    for (const name of "pfr0 pfr1 pfr2 zfr0 smfr0 dfr0 dfr1 isar0 isar1 isar2 isar3 mmfr0 mmfr1 mmfr2 mmfr3 mmfr4".split(" ")) {
      for (let low = 0; low < 64; low += 4) {
        const field = (lines: Map<string, string>) => Number((idValue(lines, name) >> BigInt(low)) & 15n);
        if (field(ours) > field(golden)) found.push(`${name}[${low}]`);
      }
    }
    expect(found.sort()).toEqual(more.map(([name, low]) => `${name}[${low}]`).sort());
  });
});

describe.skipIf(!qemu)("the reference", () => {
  it("is what QEMU prints", () => {
    const now = parseReport(runOnQemu(qemu as string, image));
    const sameVersion = qemuVersion(qemu as string) === GOLDEN_VERSION;
    const names = [...new Set([...golden.keys(), ...now.keys()])].filter((name) => sameVersion || !name.startsWith("id."));
    const wrong = names.filter((name) => now.get(name) !== golden.get(name));
    expect(wrong.map((name) => `${now.get(name)} (was ${golden.get(name)})`).join("\n")).toBe("");
  }, 60_000);
});
