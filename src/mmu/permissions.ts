// Data and execute permissions of a translation (Arm ARM D8.4, direct permissions; AArch64.S1DirectBasePermissions).

import { PERM_READS, PERM_WRITES, Perm } from "./access.ts";

/** Upper attributes of a stage 1 leaf, in the high word of the descriptor. */
export const Upper = { DBM: 1 << 19, CONTIGUOUS: 1 << 20, PXN: 1 << 21, UXN: 1 << 22, GP: 1 << 18, NS_S2: 1 << 23 } as const;
/** Table descriptor attributes, in the high word: PXNTable, UXNTable/XNTable, APTable[0], APTable[1], NSTable. */
export const Table = { PXN: 1 << 27, UXN: 1 << 28, AP0: 1 << 29, AP1: 1 << 30, NS: 1 << 31 } as const;

/** What stage 1 permissions depend on besides the descriptor. */
export interface PermissionControls {
  readonly twoRanges: boolean;
  readonly wxn: boolean;
  readonly epan: boolean;
}

/**
 * Stage 1 permissions (bits of `Perm`).
 * @param ap      AP[2:1] of the leaf, AP[2] already cleared where the dirty bit modifier makes the leaf writable
 * @param hi      high word of the leaf: UXN (XN), PXN
 * @param tables  OR of the high words of the table descriptors passed, 0 with hierarchical permissions disabled
 * @param noExec  the output PA space forbids execution (SIF, Root, Realm)
 */
export function stage1Perms(c: PermissionControls, ap: number, hi: number, tables: number, noExec: boolean): number {
  let perms = c.twoRanges ? twoPrivileges(c, ap, hi, tables) : onePrivilege(ap, hi, tables);
  if (c.wxn) {
    // Writable implies not executable, for each privilege by itself.
    if ((perms & Perm.UW) !== 0) perms &= ~Perm.UX;
    if ((perms & Perm.PW) !== 0) perms &= ~Perm.PX;
  }
  return noExec ? perms & ~(Perm.UX | Perm.PX) : perms;
}

function twoPrivileges(c: PermissionControls, ap: number, hi: number, tables: number): number {
  const readOnly = (ap & 2) !== 0 || (tables & Table.AP1) !== 0;
  const user = (ap & 1) !== 0 && (tables & Table.AP0) === 0;
  let perms: number = Perm.PR;
  if (!readOnly) perms |= Perm.PW;
  if (user) perms |= readOnly ? Perm.UR : Perm.UR | Perm.UW;
  if ((hi & Upper.UXN) === 0 && (tables & Table.UXN) === 0) perms |= Perm.UX;
  // Memory that EL0 may write is never executable at EL1.
  if ((hi & Upper.PXN) === 0 && (tables & Table.PXN) === 0 && (perms & Perm.UW) === 0) perms |= Perm.PX;
  // PAN hides what EL0 may read or write; with EPAN also what EL0 may execute.
  if (!user && !(c.epan && (perms & Perm.UX) !== 0)) perms |= readOnly ? Perm.NR : Perm.NR | Perm.NW;
  return perms;
}

/** EL2 and EL3 regimes: AP[1] is RES1, XN is bit 54. There is no unprivileged access and no PAN. */
function onePrivilege(ap: number, hi: number, tables: number): number {
  const readOnly = (ap & 2) !== 0 || (tables & Table.AP1) !== 0;
  let perms: number = Perm.PR | Perm.NR;
  if (!readOnly) perms |= Perm.PW | Perm.NW;
  if ((hi & Upper.UXN) === 0 && (tables & Table.UXN) === 0) perms |= Perm.PX;
  return perms;
}

/**
 * Stage 2 permissions as a mask over stage 1's.
 * @param s2ap  S2AP[1:0]: bit 0 read, bit 1 write
 * @param hi    high word of the leaf: XN[1:0] in bits 54:53
 */
export function stage2Perms(s2ap: number, hi: number, xnx: boolean): number {
  const xn = (hi & Upper.UXN) !== 0;
  const xnx0 = xnx && (hi & Upper.PXN) !== 0;
  let perms: number = (s2ap & 1 ? PERM_READS : 0) | (s2ap & 2 ? PERM_WRITES : 0);
  // XN[1:0] = 00 all, 01 EL0 only, 10 none, 11 EL1 only.
  if (xn === xnx0) perms |= Perm.PX;
  if (!xn) perms |= Perm.UX;
  return perms;
}
