// Random loops: loads and stores of every row, runs of accesses off one register, conditions, inner loops, calls into another page.

import { Special } from "../../../../src/cpu/interp/handlers.ts";
import { bitOf, instructionAt } from "../../../../src/cpu/jit/instruction.ts";
import { semantics } from "../../../../src/isa/semantics/index.ts";
import { decode, type Row } from "../../../../src/isa/table.ts";
import { bareContext } from "../../../isa/bare-interpreter.ts";
import { unpredictable } from "../../../isa/oracle/memory.ts";
import { type Random, randomWord } from "../../../isa/oracle/random.ts";
import * as a64 from "../../../support/a64.ts";
import * as m from "./map.ts";

/** 31: SP. Moved by accesses that write their base back, and at each round. */
export const POINTERS = [20, 21, 22, 23, 31] as const;
/** Small numbers to add to pointers. */
export const INDICES = [24, 25] as const;
/** Holds POINTERS_VA; counts rounds; counts rounds of inner loops. */
export const BASE = 26;
export const ROUNDS = 27;
const INNER = 28;
/** The return address. */
const LINK = 30;
const SCRATCH = 19;
const SP = 31;
/** Written on purpose only. */
const reserved = [20, 21, 22, 23, ...INDICES, BASE, ROUNDS, INNER, LINK].reduce((mask, r) => mask | (1 << r), 1 << 31);

const MEMORY_EFFECTS = ["load", "store", "atomic", "storex", "zva"];
const PLAIN_EFFECTS = ["setX", "setV", "setLane", "setFlags", "helper", "fast"];

type Kind = "memory" | "plain";
/** What the row's words are, if the loops can have them. */
function kindOf(row: Row, word: number): Kind | undefined {
  if (decode(word) !== row) return undefined;
  const d = instructionAt(0, word | 0, bareContext);
  if (d.end !== "next" || d.handler < Special.COUNT) return undefined;
  if (d.effects.some((e) => MEMORY_EFFECTS.includes(e.e))) return "memory";
  const plain = d.effects.every((e) => PLAIN_EFFECTS.includes(e.e) || (e.e === "system" && e.cond !== undefined));
  return plain && d.effects.length > 0 ? "plain" : undefined;
}

export class LoopWriter {
  private readonly rng: Random;
  private readonly rows: Readonly<Record<Kind, readonly Row[]>>;
  constructor(rng: Random) {
    this.rng = rng;
    // LDRA: signs of pointers are of another test.
    const rows = [...semantics.values()].map((s) => s.row).filter((row) => !/^(UDF_PERM_UNDEF|LDRA)$/.test(row.name));
    const of = (kind: Kind) => rows.filter((row) => [1, 2, 3, 4].some(() => kindOf(row, randomWord(row, rng)) === kind));
    this.rows = { memory: of("memory"), plain: of("plain") };
  }
  /** Rows whose words access memory. */
  get memoryRows(): readonly string[] {
    return this.rows.memory.map((row) => row.name);
  }

  private pick<T>(from: readonly T[]): T {
    return from[this.rng.below(from.length)] as T;
  }
  /** A register that anything may write. */
  private free(except = -1): number {
    for (;;) {
      const r = this.rng.below(20);
      if (r !== except) return r;
    }
  }

  private plain(): number {
    for (;;) {
      const row = this.pick(this.rows.plain);
      const word = randomWord(row, this.rng);
      if (kindOf(row, word) === "plain" && (instructionAt(0, word | 0, bareContext).defs & reserved) === 0) return word;
    }
  }
  /** Any row, off a pointer; mostly near it. */
  private memory(): number {
    const { rng } = this;
    for (;;) {
      const row = this.pick(this.rows.memory);
      const base = this.pick(POINTERS);
      let word = randomWord(row, rng);
      const set = (name: string, value: number): void => {
        const f = row.fields.get(name);
        if (f) word = ((word & ~((2 ** f.width - 1) << f.low)) | (value << f.low)) >>> 0;
      };
      set("Rn", base);
      if (row.fields.has("option_name")) set("Rm", this.pick(INDICES));
      if (/V_(MULT|SNGL)_POST|R[V]_POST/.test(row.name)) set("Rm", this.pick([...INDICES, 31]));
      if (rng.below(4) > 0) set("imm12", rng.below(32));
      if (unpredictable(row, word) || kindOf(row, word) !== "memory") continue;
      const { defs } = instructionAt(0, word | 0, bareContext);
      if ((defs & reserved & ~bitOf(base === SP ? 32 : base)) === 0) return word;
    }
  }
  /** Accesses at constant distances from one register, which is moved at times. */
  private stream(n: number = this.pick(POINTERS)): number[] {
    const { rng } = this;
    const start = 16 * rng.below(12);
    const near = (bytes: number) => start + bytes * rng.below(8);
    const ways: (() => number)[] = [
      () => a64.ldr64(this.free(), n, near(8)),
      () => a64.str64(this.free(), n, near(8)),
      () => a64.ldr32(this.free(), n, near(4)),
      () => a64.str32(this.free(), n, near(4)),
      () => a64.ldr8(this.free(), n, near(1)),
      () => a64.str16(this.free(), n, near(2)),
      () => m.stp(this.free(), this.free(), n, near(8)),
      () => this.loadPair(m.ldp, n, near(8)),
      () => m.stpQ(rng.below(32), rng.below(32), n, near(16)),
      () => this.loadPair(m.ldpQ, n, near(16)),
      () => a64.addImm(n, n, 16 * rng.below(8)),
      () => a64.subImm(n, n, 16 * rng.below(8)),
      () => m.stpPre(this.free(), this.free(), n, -16 * rng.below(16)),
      () => this.loadPair(m.ldpPost, n, 16 * rng.below(16)),
      () => (n === SP ? a64.NOP : (0xd50b_7420 | n) >>> 0), // DC ZVA
    ];
    return Array.from({ length: 3 + rng.below(5) }, () => this.pick(ways)());
  }
  private loadPair(make: typeof m.ldp, n: number, offset: number): number {
    const t = this.free();
    return make(t, this.free(t), n, offset);
  }
  /** Load-exclusive, something, store-exclusive. */
  private exclusive(): number[] {
    const n = this.pick(POINTERS);
    const size = this.pick([0x8800_7c00, 0xc800_7c00]);
    const t = this.free();
    const load = (size | (0x5f << 16) | (n << 5) | t) >>> 0;
    return [load, this.plain(), (size | (this.free(t) << 16) | (n << 5) | t) >>> 0];
  }
  /** Some of `words` are stepped over under a condition. */
  private condition(words: readonly number[]): number[] {
    const { rng } = this;
    const over = words.length + 1;
    const t = this.free();
    const tbz = (0x3600_0000 | (rng.below(2) << 24) | (rng.below(32) << 19) | (over << 5) | t) >>> 0;
    return [this.pick([a64.cbz(t, over), a64.cbnz(t, over), tbz, m.bCond(rng.below(14), over)]), ...words];
  }
  private inner(words: readonly number[]): number[] {
    return a64.repeat(INNER, 2 + this.rng.below(3), words);
  }

  private piece(): number[] {
    const kind = this.rng.below(16);
    if (kind < 5) return [this.plain()];
    if (kind < 9) return [this.memory()];
    if (kind < 13) return this.stream();
    if (kind < 14) return this.exclusive();
    if (kind < 15) return this.condition([this.memory(), this.plain()]);
    // The first of them may not have been made.
    const n = this.pick(POINTERS);
    return [...this.condition(this.stream(n)), ...this.stream(n)];
  }
  private pieces(words: number): number[] {
    const out: number[] = [];
    while (out.length < words) out.push(...this.piece());
    return out;
  }
  /** Pointers go on a bit, and back when they have left their window. */
  private advance(): number[] {
    const { rng } = this;
    const stride = () => this.pick([1, 4, 8, 16, 16, 32, 64, 208, 1024]) * (1 + rng.below(3));
    const back = (p: number) => [a64.addImm(p, p, stride()), (0x9240_3c00 | (p << 5) | p) >>> 0, a64.add(p, p, BASE)]; // AND #0xffff
    const aligned = [(0x927c_2c00 | (SCRATCH << 5) | SCRATCH) >>> 0, a64.add(SCRATCH, SCRATCH, BASE)]; // AND #0xfff0
    const sp = [a64.addImm(SCRATCH, SP, stride()), ...aligned, a64.addImm(SP, SCRATCH, 0)];
    return [...POINTERS.filter((p) => p !== SP).flatMap(back), ...sp];
  }

  /** A loop of X27 rounds that begins at word `at` of its page, and the function a page behind that it may call. */
  loop(at: number): { body: number[]; callee: number[] } {
    const { rng } = this;
    const body = [...this.advance(), ...this.pieces(8 + rng.below(24))];
    if (rng.below(3) === 0) body.push(...this.inner(this.pieces(2 + rng.below(4))));
    if (rng.below(2) === 0) body.push(m.bl(1024 - at - body.length), ...this.pieces(4));
    body.push(a64.subImm(ROUNDS, ROUNDS, 1), a64.cbnz(ROUNDS, -(body.length + 1)));
    return { body, callee: [...this.pieces(4), m.RET] };
  }
}
