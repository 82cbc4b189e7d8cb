// Rows that use the host's floating point: every engine against the row's helper, which the oracle test compares with qemu-aarch64.

import { describe, expect, it } from "vitest";
import { PE_BASE, PE_STRIDE } from "../../../src/arch/layout.ts";
import { PeState } from "../../../src/arch/state.ts";
import { build } from "../../../src/cpu/interp/handlers.ts";
import { Builder } from "../../../src/ir/builder.ts";
import { fpHelpers } from "../../../src/isa/fp/index.ts";
import { type Semantics, semantics, variantCount, variantsFrom } from "../../../src/isa/semantics/index.ts";
import { bare, type TestEngine, testEngines } from "../bare-interpreter.ts";
import { differences, fromPe, type Registers, toPe } from "../oracle/oracle.ts";
import { Random, randomWord } from "../oracle/random.ts";
import { states } from "../oracle/suite.ts";
import { randomFpRegisters } from "./operands.ts";

/** Effects of all variants of a row, by name. */
function effectsOf(s: Semantics): Set<string> {
  const found = new Set<string>();
  for (let v = 0; v < variantCount(s); v++) {
    if (!s.valid(variantsFrom(s, v))) continue;
    const b = new Builder();
    build(b, s, v);
    for (const e of b.effects) found.add(e.e);
  }
  return found;
}
/** Scalar floating-point rows written in IR, with a helper to compare with. */
const rows = [...semantics.values()].filter((s) => {
  const effects = effectsOf(s);
  return fpHelpers[s.row.name] && (effects.has("fast") || !effects.has("helper"));
});

const reference = new PeState(new WebAssembly.Memory({ initial: (PE_BASE + PE_STRIDE) / 0x1_0000 }), 0);
function byHelper(name: string, insn: number, before: Registers): Registers {
  toPe(before, reference);
  fpHelpers[name]?.(reference, insn);
  return fromPe(reference);
}

function compare(s: Semantics, engine: TestEngine, count: number): string[] {
  const pe = bare(engine);
  const rng = new Random(s.row.index * 31 + 7);
  const wrong: string[] = [];
  let insn = 0;
  for (let n = 0; n < count; n++) {
    if (n % 16 === 0) insn = randomWord(s.row, rng);
    const before = randomFpRegisters(s.row, insn, rng);
    const expected = byHelper(s.row.name, insn, before);
    toPe(before, pe.st);
    pe.execute(insn, 0x40_0000);
    const diff = differences(expected, fromPe(pe.st));
    if (diff.length > 0) wrong.push(`${(insn >>> 0).toString(16)} fpcr ${before.fpcr.toString(16)}: ${diff.join("; ")}`);
  }
  return wrong;
}

it("the rows are known", () => {
  expect(rows.map((s) => s.row.name)).toEqual(
    expect.arrayContaining(["FADD_FLOAT", "FMUL_FLOAT", "FCMP_FLOAT", "FCVTZS_FLOAT_INT", "FMOV_FLOAT_GEN"]),
  );
});
describe.each(testEngines)("host arithmetic on %s", (engine) => {
  it.each(rows.map((s) => [s.row.name, s] as const))("%s", (_name, s) => {
    const wrong = compare(s, engine, engine === "interp" ? 20 * states : 2 * states);
    expect(wrong.slice(0, 6), `${wrong.length} differences`).toEqual([]);
  });
});
