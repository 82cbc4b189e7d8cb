// One virtual address range of a stage 1 translation: TCR_ELx.{TnSZ, TGn, ...} (Arm ARM D8.2).

import { type PeState, slot } from "../arch/state.ts";
import type { MmuFeatures } from "./features.ts";
import type { Regime } from "./regime.ts";

/** Where a descriptor keeps OA[51:48]. */
export const Wide = { No: 0, Lpa: 1, Ds: 2 } as const;
export type Wide = (typeof Wide)[keyof typeof Wide];

/** Shape of the tables of one stage: common to stage 1 ranges and stage 2. */
export interface TableShape {
  /** TxSZ (or SL0) is out of range: every translation faults at level 0. */
  readonly invalid: boolean;
  /** log2 of the granule: 12, 14 or 16. */
  readonly granule: number;
  /** Input address bits resolved per level: granule - 3. */
  readonly stride: number;
  /** Input address size in bits. */
  readonly iaBits: number;
  readonly startLevel: number;
  /** log2 of the size (and alignment) in bytes of the first table. */
  readonly tableAlign: number;
  /** First address beyond the output range: 2^(effective IPS/PS). */
  readonly oaLimit: number;
  readonly wide: Wide;
  /** TTBR[5:2] are base address bits 51:48. */
  readonly ttbr52: boolean;
  /** DS = 1: shareability comes from TCR.SHn; level 0 (4K) or 1 (16K) blocks exist. */
  readonly ds: boolean;
  /** Lowest level at which a block descriptor is allowed. */
  readonly minBlockLevel: number;
}

export interface RangeConfig extends TableShape {
  /** Offset of the TTBR in the PE block. */
  readonly ttbr: number;
  /** TCR.SHn, used for leaves when DS = 1. */
  readonly sh: number;
  readonly epd: boolean;
  /** VA[63:56] is ignored: for data accesses, for fetches (TBI, TBID). */
  readonly tbiData: boolean;
  readonly tbiFetch: boolean;
  /** Hierarchical permissions in table descriptors are ignored. */
  readonly hpd: boolean;
  /** Unprivileged accesses to this range fault. NFDn has no counterpart: it concerns only SVE non-fault loads and TME. */
  readonly e0pd: boolean;
}

/** 2^n, exact. */
export const P2 = Float64Array.from({ length: 64 }, (_, i) => 2 ** i);

const tg0Granules = [12, 16, 14, 12] as const;
const tg1Granules = [12, 14, 12, 16] as const;
const psBits = [32, 36, 40, 42, 44, 48, 52, 56] as const;

/** Translation granule of TG0-style encoding (TCR.TG0, VTCR.TG0); one that is not implemented becomes the smallest that is. */
export function granuleOf(f: MmuFeatures, tg: number, upper = false): number {
  const wanted = (upper ? tg1Granules : tg0Granules)[tg & 3] as number;
  const has = (g: number): boolean => (g === 12 ? f.granule4 : g === 14 ? f.granule16 : f.granule64);
  return has(wanted) ? wanted : f.granule4 ? 12 : f.granule16 ? 14 : 16;
}

/** Effective output size of IPS/PS (AArch64.PhysicalAddressSize): never more than the PE implements. */
export function outputBits(f: MmuFeatures, ps: number, granule: number): number {
  const wide = (granule === 16 || f.lpa2) && f.lpa;
  return Math.min(psBits[ps & 7] as number, wide ? 52 : 48, f.paBits);
}

/** The part of the shape that follows from granule, sizes and start level. */
export function tableShape(
  f: MmuFeatures,
  o: { granule: number; iaBits: number; startLevel: number; ps: number; ds: boolean; invalid: boolean },
): TableShape {
  const { granule, iaBits, startLevel, ps, ds } = o;
  const stride = granule - 3;
  const lpa64 = granule === 16 && f.lpa;
  const ttbr52 = (lpa64 && ps === 6) || ds;
  const first = iaBits - ((3 - startLevel) * stride + granule) + 3;
  return {
    invalid: o.invalid,
    granule,
    stride,
    iaBits,
    startLevel,
    tableAlign: first,
    oaLimit: P2[outputBits(f, ps, granule)] as number,
    wide: lpa64 ? Wide.Lpa : ds ? Wide.Ds : Wide.No,
    ttbr52,
    ds,
    // BlockDescSupported: 4K from level 1 (0 with DS), 16K from 2 (1 with DS), 64K from 2 (1 with 52-bit PAs).
    minBlockLevel: granule === 12 ? (ds ? 0 : 1) : granule === 14 ? (ds ? 1 : 2) : f.paBits >= 52 ? 1 : 2,
  };
}

/** Largest TxSZ (AArch64.MaxTxSZ). */
export function maxTxsz(f: MmuFeatures, granule: number): number {
  return !f.ttst ? 39 : granule === 16 ? 47 : 48;
}

const tcrOf = [slot.TCR_EL1, slot.TCR_EL2, slot.TCR_EL2, slot.TCR_EL3] as const;
const ttbrOf = [
  [slot.TTBR0_EL1, slot.TTBR1_EL1],
  [slot.TTBR0_EL2, slot.TTBR1_EL2],
  [slot.TTBR0_EL2, slot.TTBR0_EL2],
  [slot.TTBR0_EL3, slot.TTBR0_EL3],
] as const;

/** Decodes range 0 (TTBR0) or 1 (TTBR1) of a regime. */
export function decodeRange(st: PeState, f: MmuFeatures, regime: Regime, n: 0 | 1): RangeConfig {
  const lo = st.lo(tcrOf[regime]);
  const bit = (b: number): boolean => st.bit(tcrOf[regime], b) === 1;
  const two = regime <= 1;
  const txsz = n === 0 ? lo & 63 : (lo >>> 16) & 63;
  const granule = granuleOf(f, n === 0 ? lo >>> 14 : lo >>> 30, n === 1);
  const ds = f.lpa2 && granule !== 16 && bit(two ? 59 : 32);
  const ps = two ? st.hi(tcrOf[regime]) & 7 : (lo >>> 16) & 7;
  // S1TxSZFaults. Below the minimum a fault is required with FEAT_LVA, above the maximum it is our choice.
  const invalid = txsz < ((f.lva && granule === 16) || ds ? 12 : 16) || txsz > maxTxsz(f, granule);
  const iaBits = invalid ? 48 : 64 - txsz;
  const tbi = bit(two ? 37 + n : 20);
  return {
    ...tableShape(f, { granule, iaBits, startLevel: 3 - Math.floor((iaBits - 1 - granule) / (granule - 3)), ps, ds, invalid }),
    ttbr: ttbrOf[regime][n],
    sh: n === 0 ? (lo >>> 12) & 3 : (lo >>> 28) & 3,
    epd: two && bit(n === 0 ? 7 : 23),
    tbiData: tbi,
    tbiFetch: tbi && !(f.tbid && bit(two ? 51 + n : 29)),
    hpd: f.hpds && bit(two ? 41 + n : 24),
    e0pd: two && f.e0pd && bit(55 + n),
  };
}
