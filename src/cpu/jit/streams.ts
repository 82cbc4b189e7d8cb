// Accesses that may share one look at the L1 TLB: constant distances from the same value of a register, behind a first access that
// every path to them has made. The first one finds out whether all of them are in its page; nothing in a region changes the TLB.

import { Op, type Value } from "../../ir/value.ts";
import { accessBytes, Kind } from "../emit/access.ts";
import type { Block, Region } from "./blocks.ts";
import { dominates } from "./graph.ts";
import { type Instruction, lowest, registerOf, registerRead } from "./instruction.ts";
import { Loops } from "./loops.ts";
import { type Access, FAR, isPlace, isSum, type Move } from "./places.ts";

/** The accesses behind one first access. */
export interface Stream {
  readonly first: Instruction;
  /** Bytes that they cover, from the address of the first one. */
  from: number;
  to: number;
  /** Locals of the lowering: address in linear memory minus virtual address, and whether that holds. -1: not given yet. */
  delta: number;
  valid: number;
  /**
   * What one look has found is compared before the next: the first access is in a loop, and stays in a page for many rounds. `valid` is
   * an i64 then: one more than the offsets from `base` (local, i64) at which the stream is in the page that was found; 0 when there is none.
   */
  readonly kept: boolean;
  base: number;
}

/** Accesses farther apart than this do not share. */
const REACH = 1024;
const REGISTERS = 33;
/** The address of the region's first page is a value like those of registers at the entry, which are numbered 0..32. */
const PAGE = REGISTERS;

/** Numbers of values, then distances from them, by register. */
const ROW = 2 * REGISTERS;

interface Place {
  value: number;
  offset: number;
}
/** `n`, which isPlace, as a known value plus a distance; undefined when it is too far from it. */
function placeOf(n: Value, known: Int32Array, i: Instruction): Place | undefined {
  let offset = 0;
  let from = n;
  for (; isSum(from); from = from.a as Value) offset += from.op === 0x7c ? (from.b as Value).imm : -(from.b as Value).imm;
  let value = PAGE;
  if (from.op === Op.X) {
    const at = registerRead(from, i.word);
    value = known[at] as number;
    offset += known[at + REGISTERS] as number;
  } else if (from.op === Op.Pc) offset += 4 * i.index;
  else offset += (4 * i.index) & -4096;
  return Math.abs(offset) < FAR ? { value, offset } : undefined;
}

const bytesOf = (e: Access): number => accessBytes(e.lg | ((e.e === "load" ? e.results : e.values).length === 2 ? Kind.PAIR : 0));

/** The streams of a region, by each of their accesses. `keep`: those in loops keep what they find, even for one access. */
export function streamsOf(region: Region, keep = false): ReadonlyMap<Instruction, Stream> {
  return new Finder(region, keep ? new Loops(region) : undefined).find();
}

/** The value that a register has at the start of a block where the ways to it disagree. */
const ownValue = (b: Block, register: number): number => 64 * (b.order + 1) + register;

/** Room for what registers hold: at one place, and at the start and the end of each block of a region. */
let room = new Int32Array(512 * ROW);
function setRow(known: Int32Array, register: number, value: number, offset: number): void {
  known[register] = value;
  known[register + REGISTERS] = offset;
}
const none: readonly (Place | undefined)[] = [];

class Finder {
  private readonly region: Region;
  private readonly known: Int32Array;
  /** Numbers of the values that the instructions of each block make: times 64 and a register. */
  private readonly numbers: number[] = [];
  private number = 0;
  /** By order of blocks: their starts and ends are known; they must be looked at (again). */
  private readonly done: boolean[] = [];
  private readonly stale: boolean[] = [];
  private again = true;
  private readonly open = new Map<number, { stream: Stream; block: Block; offset: number; members: Instruction[] }[]>();
  private readonly loops: Loops | undefined;
  /** Kept accesses at no constant distance from others. */
  private readonly alone: Stream[] = [];

  constructor(region: Region, loops: Loops | undefined) {
    this.region = region;
    this.loops = loops;
    // Behind the numbers of the blocks' own values.
    const blocks = (region.blocks.at(-1) as Block).order + 1;
    let n = blocks + 1;
    for (const b of region.blocks) {
      this.numbers[b.order] = n;
      n += b.code.length;
      this.stale[b.order] = true;
    }
    if (room.length < (2 * blocks + 1) * ROW) room = new Int32Array((2 * blocks + 1) * ROW);
    this.known = room;
  }

  find(): ReadonlyMap<Instruction, Stream> {
    const streams = new Map<Instruction, Stream>();
    const { blocks } = this.region;
    let accesses = 0;
    for (const { code } of blocks) for (let n = 0; n < code.length; n++) accesses += (code[n] as Instruction).shape.accesses.length;
    if (accesses === 0) return streams;
    while (this.again) {
      this.again = false;
      for (const b of blocks) if (this.stale[b.order]) this.propagate(b);
    }
    for (const b of blocks) this.collect(b);
    for (const list of this.open.values())
      for (const { stream, members } of list) if (members.length > 1 || stream.kept) for (const i of members) streams.set(i, stream);
    for (const stream of this.alone) streams.set(stream.first, stream);
    return streams;
  }
  private start(b: Block): number {
    return (2 * b.order + 1) * ROW;
  }
  /** What registers hold at the start and the end of a block: a value of its own where the ways to it disagree. */
  private propagate(b: Block): void {
    const { known } = this;
    const start = this.start(b);
    const done = this.done[b.order];
    let met = b === this.region.entry;
    if (met) for (let r = 0; r < REGISTERS; r++) setRow(known, r, r, 0);
    for (const p of b.preds) {
      if (!this.done[p.order]) continue;
      const end = this.start(p) + ROW;
      if (!met) known.copyWithin(0, end, end + ROW);
      else this.meet(end, b);
      met = true;
    }
    // What was a value of the block's own stays one: the iteration ends.
    if (done) for (let r = 0; r < REGISTERS; r++) if (known[start + r] === ownValue(b, r)) setRow(known, r, ownValue(b, r), 0);
    this.stale[b.order] = false;
    if (done && this.equals(start)) return;
    known.copyWithin(start, 0, ROW);
    this.number = this.numbers[b.order] as number;
    for (let n = 0; n < b.code.length; n++) this.step(b.code[n] as Instruction);
    if (done && this.equals(start + ROW)) return;
    known.copyWithin(start + ROW, 0, ROW);
    this.done[b.order] = true;
    for (const { to } of b.edges) {
      if (!to) continue;
      this.stale[to.order] = true;
      if (to.order <= b.order) this.again = true;
    }
  }
  /** Is the first row like the one at `row`? */
  private equals(row: number): boolean {
    const { known } = this;
    for (let n = 0; n < ROW; n++) if (known[n] !== known[row + n]) return false;
    return true;
  }
  private meet(row: number, b: Block): void {
    const { known } = this;
    for (let r = 0; r < REGISTERS; r++)
      if (known[r] !== known[row + r] || known[r + REGISTERS] !== known[row + r + REGISTERS]) setRow(known, r, ownValue(b, r), 0);
  }
  /** What the first row holds behind `i`. */
  private step(i: Instruction): void {
    const { known } = this;
    const number = 64 * this.number++;
    if (i.defs === 0) return;
    const { moves } = i.shape;
    const first = moves.length > 0 ? placeOf((moves[0] as Move).v, known, i) : undefined;
    const others = moves.length > 1 ? moves.map((e) => placeOf(e.v, known, i)) : none;
    for (let rest = i.defs; rest !== 0; rest &= rest - 1) {
      const r = lowest(rest);
      setRow(known, r, number + r, 0);
    }
    if (first) setRow(known, registerOf((moves[0] as Move).r, i.word), first.value, first.offset);
    for (let n = 1; n < others.length; n++) {
      const place = others[n];
      if (place) setRow(known, registerOf((moves[n] as Move).r, i.word), place.value, place.offset);
    }
  }
  private collect(b: Block): void {
    this.known.copyWithin(0, this.start(b), this.start(b) + ROW);
    this.number = this.numbers[b.order] as number;
    for (let n = 0; n < b.code.length; n++) {
      const i = b.code[n] as Instruction;
      const { accesses } = i.shape;
      for (let k = 0; k < accesses.length; k++) this.access(accesses[k] as Access, i, b);
      this.step(i);
    }
  }
  private access(e: Access, i: Instruction, block: Block): void {
    const place = isPlace(e.va) ? placeOf(e.va, this.known, i) : undefined;
    if (!place) {
      if (i.shape.accesses.length === 1 && this.loops?.steady(e, i, block)) this.alone.push(this.stream(e, i, true));
      return;
    }
    const kind = (e.e === "store" ? 1 : 0) | (e.o.unprivileged ? 2 : 0);
    const key = 4 * place.value + kind;
    const list = this.open.get(key) ?? [];
    this.open.set(key, list);
    const bytes = bytesOf(e);
    for (const { stream, block: first, offset, members } of list) {
      const from = Math.min(stream.from, place.offset - offset);
      const to = Math.max(stream.to, place.offset - offset + bytes);
      if (to - from > REACH || !dominates(first, block)) continue;
      stream.from = from;
      stream.to = to;
      members.push(i);
      return;
    }
    const kept = this.loops?.steady(e, i, block) ?? false;
    list.push({ stream: this.stream(e, i, kept), block, offset: place.offset, members: [i] });
  }
  private stream(e: Access, first: Instruction, kept: boolean): Stream {
    return { first, from: 0, to: bytesOf(e), delta: -1, valid: -1, kept, base: -1 };
  }
}
