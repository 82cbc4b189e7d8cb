// Translation table descriptors: reading and updating them in physical memory, and the address fields they hold.

import { type Pas, Security } from "../arch/security.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { FaultType } from "./fault.ts";
import { P2, type TableShape, Wide } from "./range.ts";

/**
 * Granule protection check in front of every physical access of translation (FEAT_RME; src/gpt). Absent on a PE without FEAT_RME:
 * every access passes.
 */
export interface GranuleCheck {
  /** GPCCR_EL3.GPC: accesses are checked. */
  readonly active: boolean;
  /** May the PA space `pas` access `pa` for a requester in `state`? 0: yes. Else what failed: kind (`Gpc`) * 16 + level of the GPT. */
  check(pa: number, pas: Pas, state: Security): number;
  /** The same for what is accessed again and again, as descriptors are; may answer as a TLB may, from what it found since the last `forget`. */
  checkOften?(pa: number, pas: Pas, state: Security): number;
  /** Granule protection of [start, end) was invalidated. */
  forget?(start: number, end: number): void;
  /** log2 of the naturally aligned block around the address last checked for which the answer holds, at least 12. */
  readonly sizeLog2: number;
  /** Physical address of the table entry that gave the answer, or that could not be used; -1 when none was read. */
  readonly entry: number;
  /** log2 of the physical granule (GPCCR_EL3.PGS); 0: reserved. */
  readonly granuleLog2: number;
  /** Identity of what the control registers say now: another one after they changed. */
  readonly settings?: unknown;
}

/** No fault. */
export const OK = -1;
/** A descriptor is no longer what it was when it was read. */
export const CHANGED = -2;

/** Told of each descriptor access of a walk, for explanations and for the journal of table writers. */
export interface WalkObserver {
  /** The descriptor at `pa` was read for `stage` at `level`: OK and its value is in the TableMemory, or the type of the fault. */
  descriptor(stage: 1 | 2, level: number, pa: number, pas: Pas, result: number): void;
}

/** Access to descriptors. The last one read is in `lo`, `hi`. */
export class TableMemory {
  lo = 0;
  hi = 0;
  /** Index of its first word in linear memory. */
  at = 0;
  observer: WalkObserver | undefined;
  /** Updates by hardware management are checked but not made: a walk that must leave no trace. */
  dry = false;
  granuleCheck: GranuleCheck | undefined;
  /** Security state of the requester whose access is being translated. */
  state: Security = Security.NonSecure;
  /** Result of the granule check that failed. */
  gpc = 0;
  /** Told after an update of the descriptor at `pa`. */
  onWrite: (pa: number) => void = () => {};
  private readonly phys: PhysicalMemory;
  readonly i32: Int32Array;

  constructor(phys: PhysicalMemory) {
    this.phys = phys;
    this.i32 = new Int32Array(phys.memory.buffer);
  }

  /** May walks remember the way they took? Who watches one sees all of it, and one that leaves no trace remembers nothing. */
  get plain(): boolean {
    return this.observer === undefined && !this.dry;
  }
  /** Is the table at `pa` in RAM, where only an invalidation takes it away? */
  inRam(pa: number): boolean {
    return this.phys.isRam(pa);
  }

  /** Reads the descriptor at `pa` (8-aligned). OK, GranuleOnWalk, or ExternalOnWalk when there is no RAM. */
  read(pa: number, pas: Pas, bigEndian: boolean, stage: 1 | 2, level: number): number {
    const r = this.fetch(pa, pas, bigEndian);
    this.observer?.descriptor(stage, level, pa, pas, r);
    return r;
  }

  private fetch(pa: number, pas: Pas, bigEndian: boolean): number {
    if (this.protected(pa, pas)) return FaultType.GranuleOnWalk;
    const at = this.phys.hostIn(pa, pas) >>> 2;
    if (at === 0) return FaultType.ExternalOnWalk;
    this.at = at;
    const w0 = this.i32[at] as number;
    const w1 = this.i32[at + 1] as number;
    this.lo = bigEndian ? swap(w1) : w0;
    this.hi = bigEndian ? swap(w0) : w1;
    return OK;
  }

  /** The granule protection check refuses the access; why is in `gpc`. */
  private protected(pa: number, pas: Pas): boolean {
    const g = this.granuleCheck;
    if (g === undefined) return false;
    this.gpc = g.checkOften === undefined ? g.check(pa, pas, this.state) : g.checkOften(pa, pas, this.state);
    return this.gpc !== 0;
  }

  /**
   * Compare and swap of the low word of a descriptor, the only one that hardware management changes (AF, AP[2], S2AP[1]).
   * OK, a fault, or CHANGED when memory no longer holds {lo, hi}: the walk has to start again. PEs take turns, so this is atomic.
   */
  update(pa: number, pas: Pas, lo: number, hi: number, newLo: number, bigEndian: boolean): number {
    if (this.protected(pa, pas)) return FaultType.GranuleOnWalk;
    const at = this.phys.hostIn(pa, pas, true) >>> 2;
    if (at === 0) return FaultType.ExternalOnWalk;
    const first = bigEndian ? swap(hi) : lo;
    const second = bigEndian ? swap(lo) : hi;
    if (this.i32[at] !== first || this.i32[at + 1] !== second) return CHANGED;
    if (this.dry) return OK;
    if (bigEndian) this.i32[at + 1] = swap(newLo);
    else this.i32[at] = newLo;
    this.onWrite(pa);
    return OK;
  }
}

function swap(w: number): number {
  return (w >>> 24) | ((w >>> 8) & 0xff00) | ((w << 8) & 0xff0000) | (w << 24);
}

/** Bits [lsb + bits - 1 : lsb] of a 64-bit value; lsb >= 1, bits <= 31. */
export function field(lo: number, hi: number, lsb: number, bits: number): number {
  const v = lsb >= 32 ? hi >>> (lsb - 32) : (lo >>> lsb) | (hi << (32 - lsb));
  return v & ((1 << bits) - 1);
}

/** The low `size` bits of a 64-bit value as a double; size <= 52. */
export function offsetIn(lo: number, hi: number, size: number): number {
  if (size < 32) return (lo & ((1 << size) - 1)) >>> 0;
  return (hi & ((1 << (size - 32)) - 1)) * 4294967296 + (lo >>> 0);
}

/** `a` with its low `size` bits cleared. */
export function alignDown(a: number, size: number): number {
  const unit = P2[size] as number;
  return Math.floor(a / unit) * unit;
}

/** Address of a next-level table or leaf, from descriptor bits [51 or 49 or 47 : size] (NextTableBase, LeafBase). */
export function addressIn(lo: number, hi: number, size: number, wide: Wide): number {
  let top = hi & 0xffff;
  let low = lo;
  if (size >= 32) {
    top &= -1 << (size - 32);
    low = 0;
  } else low &= -1 << size;
  if (wide === Wide.Lpa) top |= ((lo >>> 12) & 15) << 16;
  else if (wide === Wide.Ds) top |= (hi & 0x30000) | (((lo >>> 8) & 3) << 18);
  return top * 4294967296 + (low >>> 0);
}

/** Base address of the first table from TTBR (S1TTBaseAddress, S2TTBaseAddress), aligned to the table's size. */
export function tableBase(shape: TableShape, ttbrLo: number, ttbrHi: number): number {
  const top = (ttbrHi & 0xffff) | (shape.ttbr52 ? ((ttbrLo >>> 2) & 15) << 16 : 0);
  const low = shape.ttbr52 ? ttbrLo & ~63 : ttbrLo & ~1;
  return alignDown(top * 4294967296 + (low >>> 0), shape.tableAlign);
}

/** Does the descriptor with low word `lo` lead to another table? */
export const isTable = (lo: number, level: number): boolean => level < 3 && (lo & 3) === 3;
/** Is the descriptor, which leads to no table, a valid one for a page or block? 0b01 is reserved at level 3, and where the granule has no blocks. */
export const isLeaf = (shape: TableShape, lo: number, level: number): boolean =>
  (lo & 1) !== 0 && (level === 3 ? (lo & 2) !== 0 : level >= shape.minBlockLevel);

/** log2 of the memory that one descriptor of `level` maps. */
export function levelSize(shape: TableShape, level: number): number {
  return shape.granule + shape.stride * (3 - level);
}

/** log2 of the number of descriptors in a contiguous set; 0 where the Contiguous bit has no meaning (AArch64.ContiguousBit). */
export function contiguousLog2(granule: number, level: number): number {
  if (granule === 12) return level >= 1 ? 4 : 0;
  if (granule === 14) return level === 2 ? 5 : level === 3 ? 7 : 0;
  return level >= 2 ? 5 : 0;
}
