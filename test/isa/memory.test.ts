// Loads, stores, exclusives, atomics and structures: interpreter, translators and the slow path against qemu-aarch64.
// RME_ORACLE_STATES sets the states per row, RME_ORACLE_ROWS a pattern of row names.

import { describe, expect, it } from "vitest";
import { build } from "../../src/cpu/interp/handlers.ts";
import { Builder } from "../../src/ir/builder.ts";
import { type Semantics, semantics, variantCount, variantsFrom } from "../../src/isa/semantics/index.ts";
import { FaultType } from "../../src/mmu/fault.ts";
import { type BareInterpreter, bare, type TestEngine, testEngines } from "./bare-interpreter.ts";
import { memoryCases } from "./oracle/memory.ts";
import { type Case, differences, fromPe, qemu, type Registers, runOracle, toPe, wordOf } from "./oracle/oracle.ts";
import { DATA_PAGE, Rec, WINDOW } from "./oracle/program.ts";
import { Random } from "./oracle/random.ts";
import { batches, chosen, states, statesPerWordOn } from "./oracle/suite.ts";

/** Rows that cannot be compared, and why. */
const skipped: Record<string, string> = {
  LDRA: "authenticates its base: the cipher is IMPLEMENTATION DEFINED",
};

function accessesMemory(s: Semantics): boolean {
  for (let v = 0; v < variantCount(s); v++) {
    if (!s.valid(variantsFrom(s, v))) continue;
    const b = new Builder();
    build(b, s, v);
    return b.effects.some((e) => ["load", "store", "atomic", "storex"].includes(e.e));
  }
  return false;
}

const SIGBUS = 7;
const isExclusive = (word: number | undefined): boolean => word !== undefined && (word & 0x3f80_0000) === 0x0800_0000;
const isPairOfWords = (word: number | undefined): boolean => word !== undefined && (word & 0xffa0_0000) >>> 0 === 0x8820_0000;
/** Where the architecture leaves a choice, or qemu is stricter than it; each by the oracle's and our outcome. */
function accepted(interpreter: BareInterpreter, c: Case, expected: Registers): boolean {
  const fault = interpreter.fault?.type;
  // LDXP, STXP of words: qemu wants 8-byte alignment; with FEAT_LSE2 within 16 bytes is enough (UnalignedAccessFaults).
  if (expected.pc <= expected.address && fault === undefined) return isPairOfWords(c.insn) || isPairOfWords(c.prefix);
  // A misaligned store-exclusive whose monitor is open: IMPLEMENTATION DEFINED whether the abort or the failure comes first.
  const status = (c.insn >>> 16) & 31;
  return expected.signal === 0 && fault === FaultType.Alignment && isExclusive(c.insn) && (status === 31 || expected.x(status) === 1n);
}
const zeroPage = new Uint8Array(4096);

/** Runs one case; answers what differs from the oracle's result. */
function compareOne(interpreter: BareInterpreter, c: Case, expected: Registers): string[] {
  const window = interpreter.data.subarray(WINDOW - DATA_PAGE, WINDOW - DATA_PAGE + Rec.WINDOW_BYTES);
  toPe(c.before, interpreter.st);
  window.set(c.window as Uint8Array);
  interpreter.reset();
  if (c.prefix !== undefined) interpreter.execute(c.prefix, expected.address - 4);
  const prefixFault = interpreter.fault;
  if (!prefixFault && !interpreter.execute(wordOf(c, expected.address), expected.address)) return ["no handler"];
  const fault = interpreter.fault;
  const out: string[] = [];
  if (interpreter.trapped) out.push(`trapped ${interpreter.trapped.op}`);
  const memory = Buffer.compare(expected.window as Uint8Array, window);
  window.fill(0);
  if (prefixFault) return expected.pc === expected.address - 4 ? out : [`prefix faulted, pc ${expected.pc.toString(16)}`];
  const signal = fault ? (fault.type === FaultType.Alignment ? SIGBUS : -1) : 0;
  if (expected.signal !== signal) out.push(`signal ${expected.signal}, here fault ${fault?.type}`);
  out.push(...differences(expected, fromPe(interpreter.st)));
  if (memory !== 0) out.push("memory differs");
  if (Buffer.compare(interpreter.data, zeroPage) !== 0) out.push("memory outside the window changed");
  return out;
}

function compare(names: readonly string[], engine: TestEngine): string[] {
  const interpreter = bare(engine);
  const cases = names.flatMap((name) => {
    const { row } = semantics.get(name) as Semantics;
    return memoryCases(row, new Random(row.index * 7919 + 1), states, statesPerWordOn(engine)).map((c) => ({ ...c, name }));
  });
  const wrong: string[] = [];
  runOracle(cases).forEach((expected, i) => {
    const c = cases[i] as Case & { name: string };
    const diff = compareOne(interpreter, c, expected);
    if (diff.length > 0 && !accepted(interpreter, c, expected))
      wrong.push(`${c.name} ${wordOf(c, expected.address).toString(16)}: ${diff.join("; ")}`);
  });
  return wrong;
}

describe.skipIf(qemu === undefined).each(testEngines)("memory rows on %s against qemu-aarch64", (engine) => {
  const names = [...semantics.values()]
    .filter((s) => chosen(s.row.name) && !skipped[s.row.name] && accessesMemory(s))
    .map((s) => s.row.name);
  for (const part of batches(names)) {
    it(`${part[0]} .. ${part.at(-1)}`, () => {
      const wrong = compare(part, engine);
      expect(wrong.slice(0, 12), `${wrong.length} differences`).toEqual([]);
    }, 600_000);
  }
});
