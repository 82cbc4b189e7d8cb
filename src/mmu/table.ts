// Translation table descriptors: reading and updating them in physical memory, and the address fields they hold.

import type { Pas } from "../arch/security.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { FaultType } from "./fault.ts";
import { P2, type TableShape, Wide } from "./range.ts";

/**
 * Granule protection check in front of every physical access of translation (FEAT_RME). Installed by the machine when
 * granule protection exists; absent means that every access passes.
 */
export interface GranuleCheck {
  /**
   * May the PA space `pas` access `pa`? 0: yes. Else what failed: kind (`Gpc`) * 16 + level of the GPT.
   * `fetch` and `write` describe the access; `walk` tells a descriptor access from the final one.
   */
  check(pa: number, pas: Pas, write: boolean, fetch: boolean, walk: boolean): number;
  /** log2 of the naturally aligned block around the address last checked that gives the same answer, at least 12. */
  readonly sizeLog2: number;
}

/** No fault. */
export const OK = -1;

/** Access to descriptors. The last one read is in `lo`, `hi`. */
export class TableMemory {
  lo = 0;
  hi = 0;
  granuleCheck: GranuleCheck | undefined;
  /** Result of the granule check that failed. */
  gpc = 0;
  /** Told after an update of the descriptor at `pa`. */
  onWrite: (pa: number) => void = () => {};
  private readonly phys: PhysicalMemory;
  private readonly i32: Int32Array;

  constructor(phys: PhysicalMemory) {
    this.phys = phys;
    this.i32 = new Int32Array(phys.memory.buffer);
  }

  /** Reads the descriptor at `pa` (8-aligned). OK, GranuleOnWalk, or ExternalOnWalk when there is no RAM. */
  read(pa: number, pas: Pas, bigEndian: boolean): number {
    if (this.granuleCheck !== undefined) {
      this.gpc = this.granuleCheck.check(pa, pas, false, false, true);
      if (this.gpc !== 0) return FaultType.GranuleOnWalk;
    }
    const at = this.phys.host(pa) >>> 2;
    if (at === 0) return FaultType.ExternalOnWalk;
    const w0 = this.i32[at] as number;
    const w1 = this.i32[at + 1] as number;
    this.lo = bigEndian ? swap(w1) : w0;
    this.hi = bigEndian ? swap(w0) : w1;
    return OK;
  }

  /**
   * Compare and swap of the low word of a descriptor, the only one that hardware management changes (AF, AP[2], S2AP[1]).
   * False when memory no longer holds {lo, hi}: the walk has to start again. PEs take turns, so this is atomic.
   */
  update(pa: number, lo: number, hi: number, newLo: number, bigEndian: boolean): boolean {
    const at = this.phys.host(pa) >>> 2;
    const first = bigEndian ? swap(hi) : lo;
    const second = bigEndian ? swap(lo) : hi;
    if (this.i32[at] !== first || this.i32[at + 1] !== second) return false;
    if (bigEndian) this.i32[at + 1] = swap(newLo);
    else this.i32[at] = newLo;
    this.onWrite(pa);
    return true;
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
