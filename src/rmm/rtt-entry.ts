// Realm translation table entries: stage 2 descriptors that the MMU walks, and the RMM's own encodings of what is not mapped.
//
//   HIPAS, RIPAS         bits
//   UNASSIGNED, ripas    0 in 1:0; HIPAS 0 in 4:2; RIPAS in 6:5
//   ASSIGNED, ripas      0 in 1:0; HIPAS 1 in 4:2; RIPAS in 6:5; PA (EMPTY and DESTROYED)
//   ASSIGNED, RAM        a valid block or page: Normal Write-Back with FWB, read-write, Inner Shareable, AF, PA
//   UNASSIGNED_NS        NS (55) and 0 else
//   ASSIGNED_NS          valid: the host's PA, MemAttr and S2AP; AF, NS, XN, Inner Shareable
//   TABLE                PA | 3

import { Ripas } from "./status.ts";

export const Kind = {
  UnassignedEmpty: 0,
  UnassignedRam: 1,
  UnassignedDestroyed: 2,
  AssignedEmpty: 3,
  AssignedRam: 4,
  AssignedDestroyed: 5,
  UnassignedNs: 6,
  AssignedNs: 7,
  Table: 8,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];
export const kindNames: readonly string[] = Object.keys(Kind);

const PAGE_LEVEL = 3;
const NS = 1n << 55n;
const XN = 1n << 54n;
const AF = 1n << 10n;
const SH_INNER = 3n << 8n;
const S2AP_RW = 3n << 6n;
/** MemAttr 0b0110: with HCR_EL2.FWB, Normal Write-Back. */
const NORMAL_FWB = 0b0110n << 2n;
const HIPAS_ASSIGNED = 1n << 2n;
const RIPAS_SHIFT = 5n;

/** log2 of what an entry of a level maps. */
export const levelShift = (level: number): number => 12 + 9 * (3 - level);
/** Bytes that an entry of a level maps. */
export const levelSize = (level: number): number => sizes[level] ?? 2 ** levelShift(level);
const sizes = [0, 1, 2, 3].map((level) => 2 ** levelShift(level));

/** Output address bits of an entry of `level`, 48-bit addresses. */
const addressMask = (level: number): bigint => masks[level] as bigint;
const masks = [0, 1, 2, 3].map((level) => (1n << 48n) - (1n << BigInt(levelShift(level))));

/** Bits of a host's descriptor for an unprotected mapping: MemAttr[2:0] and S2AP. */
const HOST_ATTR = (7n << 2n) | (3n << 6n);
/** MemAttr[2:0] = 0b100 is reserved with FWB. */
const RESERVED_MEMATTR = 4n;

export function kindOf(d: bigint, level: number): Kind {
  if ((d & 1n) === 1n) {
    if (level < PAGE_LEVEL && (d & 2n) !== 0n) return Kind.Table;
    return (d & NS) !== 0n ? Kind.AssignedNs : Kind.AssignedRam;
  }
  if ((d & NS) !== 0n) return Kind.UnassignedNs;
  const ripas = Number((d >> RIPAS_SHIFT) & 3n);
  return ((d & HIPAS_ASSIGNED) !== 0n ? Kind.AssignedEmpty + ripas : ripas) as Kind;
}

/** PA of an assigned entry or table. */
export const entryAddress = (d: bigint, level: number, kind: Kind): number =>
  Number(d & (kind === Kind.Table ? addressMask(PAGE_LEVEL) : addressMask(level)));

/** The same for the words of an entry above the level of pages; -1: it is no table. */
export const tableAt = (lo: number, hi: number): number => ((lo & 3) === 3 ? (hi & 0xffff) * 2 ** 32 + ((lo & ~0xfff) >>> 0) : -1);

export const tableEntry = (pa: number): bigint => BigInt(pa) | 3n;
export const unassigned = (ripas: Ripas): bigint => BigInt(ripas) << RIPAS_SHIFT;
export const UNASSIGNED_NS = NS;
const leafType = (level: number): bigint => (level === PAGE_LEVEL ? 3n : 1n);

/** An entry that holds a data granule or block. */
export function assigned(pa: number, ripas: Ripas, level: number): bigint {
  if (ripas === Ripas.RAM) return BigInt(pa) | NORMAL_FWB | S2AP_RW | SH_INNER | AF | leafType(level);
  return BigInt(pa) | HIPAS_ASSIGNED | (BigInt(ripas) << RIPAS_SHIFT);
}

/** Is a host's descriptor for RTT_MAP_UNPROTECTED acceptable at `level`? */
export const hostEntryValid = (desc: bigint, level: number): boolean =>
  (desc & ~(addressMask(level) | HOST_ATTR)) === 0n && ((desc >> 2n) & 7n) !== RESERVED_MEMATTR;
/** The mapping made of it. */
export const assignedNs = (desc: bigint, level: number): bigint => hostBits(desc, level) | AF | NS | XN | SH_INNER | leafType(level);
/** What the host gave: the descriptor that RTT_READ_ENTRY shows. */
export const hostBits = (d: bigint, level: number): bigint => d & (addressMask(level) | HOST_ATTR);

/** The entry is in use: a table, or it names a data granule or the host's memory. */
export const isLive = (k: Kind): boolean => k === Kind.Table || isAssigned(k) || k === Kind.AssignedNs;
/** ASSIGNED with a RIPAS: holds a data granule. */
export const isAssigned = (k: Kind): boolean => k >= Kind.AssignedEmpty && k <= Kind.AssignedDestroyed;
export const isUnassigned = (k: Kind): boolean => k <= Kind.UnassignedDestroyed;
/** RIPAS of an entry of protected IPA space that is not a table; undefined for the others. */
export function ripasOf(k: Kind): Ripas | undefined {
  if (isUnassigned(k)) return k as Ripas;
  return isAssigned(k) ? ((k - Kind.AssignedEmpty) as Ripas) : undefined;
}
