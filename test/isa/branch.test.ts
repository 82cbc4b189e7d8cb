// Branches: target, link register and condition in interpreter and translators against qemu-aarch64.
// RME_ORACLE_STATES sets the states per row, RME_ORACLE_ROWS a pattern of row names.

import { describe, expect, it } from "vitest";
import { type Semantics, semantics } from "../../src/isa/semantics/index.ts";
import { bare, type TestEngine, testEngines } from "./bare-interpreter.ts";
import { branchCases, jumpsToZero } from "./oracle/branch.ts";
import { differences, fromPe, qemu, runOracle, toPe, wordOf } from "./oracle/oracle.ts";
import { Random } from "./oracle/random.ts";
import { chosen, states, statesPerWord } from "./oracle/suite.ts";

const rows = ["B_UNCOND", "BL", "B_COND", "CBZ", "CBNZ", "TBZ", "TBNZ", "BR", "BLR", "RET"].filter(chosen);

/** PSTATE.BTYPE after an indirect branch (Arm ARM, BranchTo and BTypeNext), code not being in a guarded page. */
const btypeAfter = (name: string): number => ({ BLR: 2, BR: 1 })[name] ?? 0;

function compare(name: string, engine: TestEngine): { wrong: string[]; taken: number; total: number } {
  const interpreter = bare(engine);
  const { row } = semantics.get(name) as Semantics;
  const cases = branchCases(row, new Random(row.index * 7919 + 1), states, statesPerWord).filter((c) => !jumpsToZero(row, c.insn));
  const wrong: string[] = [];
  let taken = 0;
  runOracle(cases).forEach((expected, i) => {
    const c = cases[i] as (typeof cases)[number];
    const insn = wordOf(c, expected.address);
    toPe(c.before, interpreter.st);
    interpreter.reset();
    const ran = interpreter.execute(insn, expected.address);
    const diff = ran ? differences(expected, fromPe(interpreter.st)) : ["no handler"];
    if (expected.signal !== 0) diff.push(`signal ${expected.signal}`);
    if (Number(interpreter.st.pc) !== expected.pc) diff.push(`pc ${interpreter.st.pc.toString(16)}, not ${expected.pc.toString(16)}`);
    const btype = interpreter.takeBtype();
    if (btype !== btypeAfter(name)) diff.push(`BTYPE ${btype}`);
    if (expected.pc !== expected.address + 4) taken++;
    if (diff.length > 0) wrong.push(`${name} ${insn.toString(16)}: ${diff.join("; ")}`);
  });
  return { wrong, taken, total: cases.length };
}

describe.skipIf(qemu === undefined).each(testEngines)("branches on %s against qemu-aarch64", (engine) => {
  it.each(rows)(
    "%s",
    (name) => {
      const { wrong, taken, total } = compare(name, engine);
      expect(wrong.slice(0, 12), `${wrong.length} differences`).toEqual([]);
      // The cases are worth something only if they branch, and conditional ones also do not.
      expect(taken).toBeGreaterThan(total / 10);
      if (/^(B_COND|CB|TB)/.test(name)) expect(taken).toBeLessThan((total * 9) / 10);
    },
    600_000,
  );
});
