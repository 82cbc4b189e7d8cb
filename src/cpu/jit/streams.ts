// Accesses that may share one look at the L1 TLB: constant distances from the same value of a register, behind a first access that
// every path to them has made. The first one finds out whether all of them are in its page; nothing in a region changes the TLB.

import type { Effect } from "../../ir/builder.ts";
import { isConst, Op, type Value } from "../../ir/value.ts";
import { accessBytes, Kind } from "../emit/access.ts";
import { type Block, dominates, type Region } from "./blocks.ts";
import { type Instruction, indexOf, registerOf, registerRead } from "./instruction.ts";

/** The accesses behind one first access. */
export interface Stream {
  readonly first: Instruction;
  /** Bytes that they cover, from the address of the first one. */
  from: number;
  to: number;
  /** Locals of the lowering: address in linear memory minus virtual address, and whether that holds. -1: not given yet. */
  delta: number;
  valid: number;
}

/** Accesses farther apart than this do not share. */
const REACH = 1024;
/** Distances beyond this are not kept. */
const FAR = 2 ** 30;
const REGISTERS = 33;
/** The address of the region's first page is a value like those of registers at the entry, which are numbered 0..32. */
const PAGE = REGISTERS;

/** What registers hold: a numbered value plus a distance. */
class Known {
  readonly values: Int32Array;
  readonly offsets: Int32Array;
  constructor(from?: Known) {
    this.values = from ? from.values.slice() : Int32Array.from({ length: REGISTERS }, (_, r) => r);
    this.offsets = from ? from.offsets.slice() : new Int32Array(REGISTERS);
  }
  set(register: number, value: number, offset: number): void {
    this.values[register] = value;
    this.offsets[register] = offset;
  }
  equals(other: Known): boolean {
    for (let r = 0; r < REGISTERS; r++) if (this.values[r] !== other.values[r] || this.offsets[r] !== other.offsets[r]) return false;
    return true;
  }
}

interface Place {
  value: number;
  offset: number;
}
const distance = (n: Value): number | undefined => (isConst(n) && n.high === n.imm >> 31 && Math.abs(n.imm) < FAR ? n.imm : undefined);

/** `n` as a known value plus a distance, if it is one. */
function placeOf(n: Value, known: Known, i: Instruction): Place | undefined {
  if (n.op === Op.X) {
    const r = registerRead(n, i.word);
    return { value: known.values[r] as number, offset: known.offsets[r] as number };
  }
  if (n.op === Op.Pc) return { value: PAGE, offset: 4 * i.index };
  const { a, b } = n;
  if (!a || !b) return undefined;
  const by = distance(b);
  if (by === undefined) return undefined;
  const isSum = n.op === 0x7c || n.op === 0x7d; // i64.add, i64.sub
  // ADRP clears the low bits of PC.
  if (n.op === 0x83 && a.op === Op.Pc && by === -4096) return { value: PAGE, offset: (4 * i.index) & -4096 };
  const base = isSum ? placeOf(a, known, i) : undefined;
  if (!base) return undefined;
  const offset = base.offset + (n.op === 0x7c ? by : -by);
  return Math.abs(offset) < FAR ? { value: base.value, offset } : undefined;
}

type Access = Extract<Effect, { e: "load" | "store" }>;
const isPlainAccess = (e: Effect): e is Access => (e.e === "load" || e.e === "store") && !e.o.exclusive && !e.o.ordered;
const bytesOf = (e: Access): number => accessBytes(e.lg | ((e.e === "load" ? e.results : e.values).length === 2 ? Kind.PAIR : 0));

/** The streams of a region, by each of their accesses. */
export function streamsOf(region: Region): ReadonlyMap<Instruction, Stream> {
  return new Finder(region).find();
}

/** The value that a register has at the start of a block where the ways to it disagree. */
const ownValue = (b: Block, register: number): number => 64 * (b.order + 1) + register;

class Finder {
  private readonly region: Region;
  /** Number of the value that each instruction makes: times 64 and a register. */
  private readonly numbers = new Map<Instruction, number>();
  private readonly at = new Map<Block, Known>();
  private readonly behind = new Map<Block, Known>();
  private readonly open = new Map<number, { stream: Stream; block: Block; offset: number; members: Instruction[] }[]>();

  constructor(region: Region) {
    this.region = region;
    // Behind the numbers of the blocks' own values.
    let n = (region.blocks.at(-1) as Block).order + 2;
    for (const b of region.blocks) for (const i of b.code) this.numbers.set(i, n++);
  }

  find(): ReadonlyMap<Instruction, Stream> {
    const { blocks } = this.region;
    for (let changed = true; changed; ) {
      changed = false;
      for (const b of blocks) if (this.propagate(b)) changed = true;
    }
    for (const b of blocks) this.collect(b);
    const streams = new Map<Instruction, Stream>();
    for (const list of this.open.values())
      for (const { stream, members } of list) if (members.length > 1) for (const i of members) streams.set(i, stream);
    return streams;
  }
  /** What registers hold at the start of a block: a value of its own where the ways to it disagree. */
  private propagate(b: Block): boolean {
    const before = this.at.get(b);
    let known: Known | undefined = b === this.region.entry ? new Known() : undefined;
    for (const p of b.preds) {
      const from = this.behind.get(p);
      if (!from) continue;
      if (!known) known = new Known(from);
      else this.meet(known, from, b);
    }
    known ??= new Known();
    // What was a value of the block's own stays one: the iteration ends.
    for (let r = 0; r < REGISTERS; r++) if (before?.values[r] === ownValue(b, r)) known.set(r, ownValue(b, r), 0);
    if (before?.equals(known) && this.behind.has(b)) return false;
    this.at.set(b, known);
    const out = new Known(known);
    for (const i of b.code) this.step(out, i);
    const old = this.behind.get(b);
    this.behind.set(b, out);
    return !old?.equals(out);
  }
  private meet(known: Known, other: Known, b: Block): void {
    for (let r = 0; r < REGISTERS; r++)
      if (known.values[r] !== other.values[r] || known.offsets[r] !== other.offsets[r]) known.set(r, ownValue(b, r), 0);
  }
  private step(known: Known, i: Instruction): void {
    if (i.defs === 0) return;
    const number = 64 * (this.numbers.get(i) as number);
    const places = i.effects.map((e) => (e.e === "setX" ? placeOf(e.v, known, i) : undefined));
    for (let bit = 0; bit < 32; bit++) if ((i.defs >>> bit) & 1) known.set(indexOf(bit), number + indexOf(bit), 0);
    i.effects.forEach((e, n) => {
      const place = places[n];
      if (e.e !== "setX" || !place) return;
      const r = registerOf(e.r, i.word);
      if (r !== 31) known.set(r, place.value, place.offset);
    });
  }
  private collect(b: Block): void {
    const known = new Known(this.at.get(b));
    for (const i of b.code) {
      for (const e of i.effects) if (isPlainAccess(e)) this.access(e, i, b, known);
      this.step(known, i);
    }
  }
  private access(e: Access, i: Instruction, block: Block, known: Known): void {
    const place = placeOf(e.va, known, i);
    if (!place) return;
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
    list.push({ stream: { first: i, from: 0, to: bytes, delta: -1, valid: -1 }, block, offset: place.offset, members: [i] });
  }
}
