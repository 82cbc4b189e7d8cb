// Every implemented row without memory, branch and system effects: interpreter and translators against qemu-aarch64.
// RME_ORACLE_STATES sets the states per row, RME_ORACLE_ROWS a pattern of row names.

import { describe, expect, it } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import { build } from "../../src/cpu/interp/handlers.ts";
import { Builder } from "../../src/ir/builder.ts";
import { fpHelpers } from "../../src/isa/fp/index.ts";
import { type Semantics, semantics, variantCount, variantsFrom } from "../../src/isa/semantics/index.ts";
import { bare, type TestEngine, testEngines } from "./bare-interpreter.ts";
import { randomFpRegisters } from "./fp/operands.ts";
import { type Case, differences, fromPe, qemu, type Registers, runOracle, toPe } from "./oracle/oracle.ts";
import { Random, randomRegisters, randomWord } from "./oracle/random.ts";
import { batches, chosen, states, statesPerWordOn } from "./oracle/suite.ts";

/** Rows that cannot be compared, and why. */
const skipped: Record<string, string> = {
  PACGA: "the cipher is IMPLEMENTATION DEFINED",
  UDF_PERM_UNDEF: "always UNDEFINED",
  FJCVTZS: "qemu before 11 sets Z for a flushed denormal",
  FCVTZSV_FIX_s: "qemu before 11 sign-extends half precision results",
};

/** The row's effects are all on registers. */
function registersOnly(s: Semantics): boolean {
  for (let v = 0; v < variantCount(s); v++) {
    if (!s.valid(variantsFrom(s, v))) continue;
    const b = new Builder();
    build(b, s, v);
    return b.effects.every(
      (e) =>
        ["setX", "setV", "setLane", "setFlags", "helper", "fast"].includes(e.e) ||
        (e.e === "system" && e.cond !== undefined) ||
        (e.e === "setState" && e.off === Off.FPSR),
    );
  }
  return false;
}
const isPauth = (name: string) => /^(PAC|AUT|XPAC)/.test(name);

/** Shifts by register: all elements by the same amount, or nearly, about as far as they go. */
function shiftAlike(insn: number, r: Registers, rng: Random): void {
  const bits = 8 << ((insn >>> 22) & 3);
  const amount = rng.below(2 * bits + 5) - bits - 2;
  const m = r.v((insn >>> 16) & 31);
  for (let at = 0; at < 16; at += bits / 8) m.fill(0, at, at + bits / 8)[at] = amount;
  if (rng.below(8) === 0) m[rng.below(16)] = rng.u32();
}

function compare(names: readonly string[], engine: TestEngine): string[] {
  const interpreter = bare(engine);
  const perWord = statesPerWordOn(engine);
  const cases: (Case & { name: string })[] = [];
  for (const name of names) {
    const { row } = semantics.get(name) as Semantics;
    const rng = new Random(row.index * 7919 + 1);
    let insn = 0;
    for (let n = 0; n < states; n++) {
      if (n % perWord === 0) insn = randomWord(row, rng);
      const before = name in fpHelpers ? randomFpRegisters(row, insn, rng) : randomRegisters(rng);
      if (/SHLV(_REG)?(_s)?$/.test(name) && rng.below(2) === 0) shiftAlike(insn, before, rng);
      cases.push({ name, insn, before });
    }
  }
  const wrong: string[] = [];
  runOracle(cases).forEach((expected, i) => {
    const { name, insn, before } = cases[i] as Case & { name: string };
    toPe(before, interpreter.st);
    const ran = interpreter.execute(insn, expected.address);
    const diff = !ran
      ? ["no handler"]
      : expected.signal !== 0
        ? [`signal ${expected.signal}`]
        : differences(expected, fromPe(interpreter.st));
    if (interpreter.trapped) diff.push(`trapped ${interpreter.trapped.op}`);
    if (Number(interpreter.st.pc) !== expected.pc) diff.push(`pc ${interpreter.st.pc.toString(16)}, not ${expected.pc.toString(16)}`);
    if (diff.length > 0) wrong.push(`${name} ${(insn >>> 0).toString(16)}: ${diff.join("; ")}`);
  });
  return wrong;
}

describe.skipIf(qemu === undefined).each(testEngines)("%s against qemu-aarch64", (engine) => {
  const names = [...semantics.values()]
    .filter((s) => chosen(s.row.name) && !skipped[s.row.name] && !isPauth(s.row.name) && registersOnly(s))
    .map((s) => s.row.name);
  for (const part of batches(names)) {
    it(`${part[0]} .. ${part.at(-1)}`, () => {
      const wrong = compare(part, engine);
      expect(wrong.slice(0, 12), `${wrong.length} differences`).toEqual([]);
    }, 600_000);
  }
});
