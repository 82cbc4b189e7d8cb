// Random straight-line code and loops, run on any engine from the same state.

import { Off, PREDECODE_BASE } from "../../../src/arch/layout.ts";
import { Special } from "../../../src/cpu/interp/handlers.ts";
import { instructionAt } from "../../../src/cpu/jit/instruction.ts";
import { disassemble } from "../../../src/isa/disasm/index.ts";
import { semantics } from "../../../src/isa/semantics/index.ts";
import { decode, type Row } from "../../../src/isa/table.ts";
import { BareInterpreter, bareContext, type TestEngine } from "../../isa/bare-interpreter.ts";
import { unpredictable } from "../../isa/oracle/memory.ts";
import { differences, fromPe, type Registers, toPe } from "../../isa/oracle/oracle.ts";
import { DATA_PAGE } from "../../isa/oracle/program.ts";
import { Random, randomRegisters, randomWord } from "../../isa/oracle/random.ts";

/** Code stands here. */
export const PC = 0x4000_0100;
const FIRST = (PC & 0xfff) >> 2;
/** Registers that point into the data page; only accesses that write their base back change them. */
const POINTERS = [20, 21, 22, 23];
const pointerMask = POINTERS.reduce((m, r) => m | (1 << r), 0);

/** Does the word fall through, and access memory or not? */
function fits(row: Row, word: number, memory: boolean): boolean {
  if (/^(PAC|AUT|LDRA)/.test(row.name) || decode(word) !== row) return false;
  const i = instructionAt(0, word, bareContext);
  if (i.end !== "next" || i.handler < Special.COUNT) return false;
  return memory === i.effects.some((e) => ["load", "store", "atomic", "storex"].includes(e.e));
}
/** Rows with such words: fields that are zero may be reserved (the option of register offsets is). */
function rowsOf(memory: boolean): string[] {
  const rng = new Random(1);
  return [...semantics.values()]
    .filter(({ row }) => row.name !== "UDF_PERM_UNDEF")
    .filter(({ row }) => fits(row, row.value | 0, memory) || [1, 2, 3, 4].some(() => fits(row, randomWord(row, rng) | 0, memory)))
    .map((s) => s.row.name);
}
const plainRows = rowsOf(false);
const memoryRows = rowsOf(true);

function plainWord(rng: Random): number {
  for (;;) {
    const { row } = semantics.get(plainRows[rng.below(plainRows.length)] as string) as { row: Row };
    const word = randomWord(row, rng) | 0;
    if (fits(row, word, false) && (instructionAt(0, word, bareContext).defs & pointerMask) === 0) return word;
  }
}
/** Mostly with a pointer for its base. */
function memoryWord(rng: Random): number {
  for (;;) {
    const { row } = semantics.get(memoryRows[rng.below(memoryRows.length)] as string) as { row: Row };
    const base = POINTERS[rng.below(POINTERS.length)] as number;
    let word = row.fields.has("Rn") ? (randomWord(row, rng) & ~(31 << 5)) | (base << 5) : randomWord(row, rng) | 0;
    // An offset of zero, in half of those that are in a register: others lead out of the page.
    if (row.fields.has("option_name") && rng.below(2) === 0) word |= 31 << 16;
    if (!fits(row, word, true) || unpredictable(row, word)) continue;
    if ((instructionAt(0, word, bareContext).defs & pointerMask & ~(1 << base)) === 0) return word;
  }
}

export interface Sample {
  readonly words: readonly number[];
  readonly before: Registers;
  readonly data: Uint8Array;
  /** Instructions to execute, more or less: loops end at the first branch taken after that. */
  readonly budget: number;
}

/** `size` instructions; a third of them access memory. With `loop`, the last one branches back under a condition. */
export function randomSample(rng: Random, size: number, loop: boolean): Sample {
  const words = Array.from({ length: size }, () => (rng.below(3) === 0 ? memoryWord(rng) : plainWord(rng)));
  const cond = rng.below(14);
  if (loop) words.push(0x5400_0000 | ((-size & 0x7ffff) << 5) | cond | 0);
  const before = randomRegisters(rng);
  for (const r of POINTERS) before.setX(r, BigInt(DATA_PAGE + 512 + (rng.below(3072) & (rng.below(4) > 0 ? -16 : -1))));
  const data = new Uint8Array(Uint32Array.from({ length: 1024 }, () => rng.u32()).buffer);
  return { words, before, data, budget: loop ? 40 : words.length };
}
export const listing = (s: Sample): string => s.words.map((w, i) => disassemble(w, BigInt(PC + 4 * i))).join("\n");

/** Everything that a run leaves behind. */
export interface Outcome {
  readonly registers: Registers;
  readonly data: Uint8Array;
  readonly pc: bigint;
  readonly left: number;
  readonly fault: string;
  readonly monitor: number;
}

export class BlockRig extends BareInterpreter {
  constructor(engine: TestEngine, hot = true) {
    super(engine);
    this.hot = hot;
  }
  /**
   * Makes the access to an address fault, from the first time it was made as the `failAt`th. A translation may find the budget used up
   * before the branch at which the interpreter looks: it then goes on to where the interpreter ended (`like`).
   */
  run(s: Sample, failAt = -1, like?: Outcome): Outcome {
    const { st, data } = this;
    toPe(s.before, st);
    data.set(s.data);
    this.reset();
    this.failAt = failAt;
    this.poisoned = -1;
    this.accesses = 0;
    this.map(2, (PC & ~0xfff) >>> 0, PREDECODE_BASE);
    const at = (PREDECODE_BASE + (PC & 0xfff) * 2) >> 2;
    for (let i = 0; i <= s.words.length; i++) {
      const word = s.words[i];
      const d = word === undefined ? undefined : instructionAt(FIRST + i, word, bareContext);
      // Behind the code: an instruction that leaves.
      this.i32[at + 2 * i] = d ? d.handler : Special.UNDEFINED;
      this.i32[at + 2 * i + 1] = d ? d.operand : 0;
    }
    st.pc = BigInt(PC);
    st.setLo(Off.BUDGET, s.budget);
    if (this.engine !== "interp" && this.install(s.words, FIRST, at)) this.translations++;
    (this.exports.run as (pe: number) => number)(st.base);
    if (like) this.goOn(like);
    const f = this.fault;
    return {
      registers: fromPe(st),
      data: data.slice(),
      pc: st.pc,
      left: st.lo(Off.BUDGET) | 0,
      fault: f ? `${f.type} ${f.va.toString(16)} ${f.write}` : "",
      monitor: st.lo(Off.EXSIZE) === 0 ? 0 : st.lo(Off.EXADDR),
    };
  }
  private goOn({ fault, left }: Outcome): void {
    const { st } = this;
    const ahead = (st.lo(Off.BUDGET) | 0) - left;
    if (this.fault || (ahead <= 0 && fault === "")) return;
    st.setLo(Off.BUDGET, fault === "" ? ahead : 64);
    (this.exports.step as (pe: number) => number)(st.base);
    if (!this.fault) st.setLo(Off.BUDGET, (st.lo(Off.BUDGET) | 0) + left);
  }
}

/** What differs between two outcomes. */
export function compareOutcomes(expected: Outcome, got: Outcome): string[] {
  const out = differences(expected.registers, got.registers);
  if (Buffer.compare(expected.data, got.data) !== 0) out.push("memory differs");
  for (const name of ["pc", "left", "fault", "monitor"] as const)
    if (expected[name] !== got[name]) out.push(`${name} ${got[name].toString(16)}, not ${expected[name].toString(16)}`);
  return out;
}
