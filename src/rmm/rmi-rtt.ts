// RMI: structure of Realm translation tables and unprotected mappings (DEN0137 B4.3.21 to B4.3.29).

import type { Pe } from "../cpu/pe.ts";
import { arg, findRealm, INPUT, levelArg, ok, type RmiHandler, type RmiResult, type RmmContext, rttError } from "./cx.ts";
import { GranuleState } from "./granules.ts";
import type { Realm } from "./realm.ts";
import { ENTRIES, MIN_BLOCK_LEVEL, PAGE_LEVEL, type Walk } from "./rtt.ts";
import {
  assignedNs,
  entryAddress,
  hostBits,
  hostEntryValid,
  isAssigned,
  isUnassigned,
  Kind,
  levelSize,
  ripasOf,
  tableEntry,
  UNASSIGNED_NS,
  unassigned,
} from "./rtt-entry.ts";
import { Ripas, RttState } from "./status.ts";

/** Inside the IPA space and aligned to what an entry of `level` maps. */
export const mapAddressValid = (realm: Realm, ipa: bigint, level: number): boolean =>
  ipa < realm.ipaSize && Number(ipa) % levelSize(level) === 0;

/** RTT_CREATE, RTT_DESTROY, RTT_FOLD: any table but the start level's. */
const structureValid = (realm: Realm, ipa: bigint, level: number): boolean =>
  level > realm.startLevel && level <= PAGE_LEVEL && mapAddressValid(realm, ipa, level - 1);

export const rttCreate: RmiHandler = (cx, pe, args) => {
  const rtt = cx.granules.findIn(arg(args, 1), GranuleState.DELEGATED);
  const realm = findRealm(cx, arg(args, 0));
  if (rtt < 0 || realm === undefined) return INPUT;
  const level = levelArg(args, 3);
  if (!structureValid(realm, arg(args, 2), level)) return INPUT;
  // Realms without LPA2 have 48-bit tables.
  if (rtt >= 2 ** 48) return INPUT;
  const ipa = Number(arg(args, 2));
  const w = cx.rtt.walk(realm, ipa, level - 1);
  if (w.level !== level - 1) return rttError(w.level);
  if (w.kind === Kind.Table) return rttError(level - 1);

  if (w.kind === Kind.AssignedRam || w.kind === Kind.AssignedNs) unmapEntry(cx, pe, realm, w, ipa);
  const live = cx.rtt.unfold(rtt, level, w.entry, w.kind);
  cx.granules.transition(rtt, GranuleState.DELEGATED, GranuleState.RTT);
  if (live > 0) cx.granules.take(rtt, live);
  // An assigned entry was counted in its table already.
  else cx.granules.take(w.table);
  cx.rtt.write(w.table, w.index, tableEntry(rtt));
  return ok();
};

/** Break before make. */
function unmapEntry(cx: RmmContext, pe: Pe, realm: Realm, w: Walk, ipa: number): void {
  cx.rtt.write(w.table, w.index, 0n);
  cx.tlb.range(pe, realm, ipa, w.level);
}

export const rttDestroy: RmiHandler = (cx, pe, args) => {
  const realm = findRealm(cx, arg(args, 0));
  const level = levelArg(args, 2);
  if (realm === undefined || !structureValid(realm, arg(args, 1), level)) return INPUT;
  const ipa = Number(arg(args, 1));
  const w = cx.rtt.walk(realm, ipa, level - 1);
  if (w.level !== level - 1 || w.kind !== Kind.Table) return rttError(w.level, 0, cx.rtt.skipNonLive(w, ipa));
  const rtt = entryAddress(w.entry, w.level, w.kind);
  if (cx.granules.references(rtt) !== 0) return rttError(level, 0, ipa);

  unmapEntry(cx, pe, realm, w, ipa);
  cx.rtt.write(w.table, w.index, realm.isProtected(arg(args, 1)) ? unassigned(Ripas.DESTROYED) : UNASSIGNED_NS);
  cx.granules.drop(w.table);
  cx.rtt.free(rtt);
  return ok(rtt, cx.rtt.skipNonLive(w, ipa));
};

export const rttFold: RmiHandler = (cx, pe, args) => {
  const realm = findRealm(cx, arg(args, 0));
  const level = levelArg(args, 2);
  if (realm === undefined || !structureValid(realm, arg(args, 1), level)) return INPUT;
  const ipa = Number(arg(args, 1));
  const w = cx.rtt.walk(realm, ipa, level - 1);
  if (w.level !== level - 1) return rttError(w.level);
  if (w.kind !== Kind.Table) return rttError(level - 1);
  const rtt = entryAddress(w.entry, w.level, w.kind);
  const references = cx.granules.references(rtt);
  if (references !== 0 && references !== ENTRIES) return rttError(level);
  // No blocks above MIN_BLOCK_LEVEL: a fully assigned table is refused before its entries are looked at.
  if (references === ENTRIES && level <= MIN_BLOCK_LEVEL) return rttError(w.level);
  const fold = cx.rtt.folded(rtt, level);
  if (fold === undefined) return rttError(level);
  if (fold.kind === Kind.AssignedNs && level <= MIN_BLOCK_LEVEL) return rttError(w.level);

  unmapEntry(cx, pe, realm, w, ipa);
  cx.rtt.write(w.table, w.index, fold.entry);
  if (isAssigned(fold.kind)) cx.granules.drop(rtt, ENTRIES);
  else cx.granules.drop(w.table);
  cx.rtt.free(rtt);
  return ok(rtt);
};

export const rttReadEntry: RmiHandler = (cx, _pe, args) => {
  const realm = findRealm(cx, arg(args, 0));
  const level = levelArg(args, 2);
  if (realm === undefined || level < realm.startLevel || level > PAGE_LEVEL || !mapAddressValid(realm, arg(args, 1), level)) return INPUT;
  const w = cx.rtt.walk(realm, Number(arg(args, 1)), level);
  return ok(w.level, stateOf(w.kind), describedBits(w), ripasOf(w.kind) ?? Ripas.EMPTY);
};

function stateOf(k: Kind): number {
  if (k === Kind.Table) return RttState.TABLE;
  return isUnassigned(k) || k === Kind.UnassignedNs ? RttState.UNASSIGNED : RttState.ASSIGNED;
}
/** The descriptor as the host is shown it. */
function describedBits(w: Walk): bigint {
  if (w.kind === Kind.AssignedNs) return hostBits(w.entry, w.level);
  return w.kind === Kind.Table || isAssigned(w.kind) ? BigInt(entryAddress(w.entry, w.level, w.kind)) : 0n;
}

/** RTT_MAP_UNPROTECTED and RTT_UNMAP_UNPROTECTED: the checks that they share, in order. */
function unprotected(cx: RmmContext, args: readonly bigint[], desc: bigint | undefined): { realm: Realm; level: number } | RmiResult {
  const level = levelArg(args, 2);
  if (level < MIN_BLOCK_LEVEL || level > PAGE_LEVEL) return INPUT;
  const realm = findRealm(cx, arg(args, 0));
  if (realm === undefined) return INPUT;
  if (desc !== undefined && !hostEntryValid(desc, level)) return INPUT;
  const ipa = arg(args, 1);
  if (!mapAddressValid(realm, ipa, level) || realm.isProtected(ipa)) return INPUT;
  return { realm, level };
}

export const rttMapUnprotected: RmiHandler = (cx, _pe, args) => {
  const desc = arg(args, 3);
  const checked = unprotected(cx, args, desc);
  if (!("realm" in checked)) return checked;
  const { realm, level } = checked;
  const w = cx.rtt.walk(realm, Number(arg(args, 1)), level);
  if (w.level !== level) return rttError(w.level);
  if (w.kind !== Kind.UnassignedNs) return rttError(level);
  // No reference to the host's granule is kept: granule protection stops accesses to it once it is no longer Non-secure.
  cx.rtt.write(w.table, w.index, assignedNs(desc, level));
  return ok();
};

export const rttUnmapUnprotected: RmiHandler = (cx, pe, args) => {
  const checked = unprotected(cx, args, undefined);
  if (!("realm" in checked)) return checked;
  const { realm, level } = checked;
  const ipa = Number(arg(args, 1));
  const w = cx.rtt.walk(realm, ipa, level);
  if (w.level !== level || w.kind !== Kind.AssignedNs) return rttError(w.level, cx.rtt.skipNonLive(w, ipa));
  cx.rtt.write(w.table, w.index, UNASSIGNED_NS);
  cx.tlb.range(pe, realm, ipa, level);
  return ok(cx.rtt.skipNonLive(w, ipa));
};
