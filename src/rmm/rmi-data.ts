// RMI: data granules and RIPAS (DEN0137 B4.3.1 to B4.3.3, B4.3.24, B4.3.27).

import { arg, findRealm, INPUT, ok, REC_ERROR, type RmiHandler, type RmiResult, type RmmContext, realmError, rttError } from "./cx.ts";
import { GranuleState } from "./granules.ts";
import { extendData, extendRipas } from "./measure.ts";
import { recAt } from "./rec.ts";
import { mapAddressValid } from "./rmi-rtt.ts";
import { ENTRIES, PAGE_LEVEL, type Walk } from "./rtt.ts";
import { assigned, entryAddress, isAssigned, isUnassigned, Kind, kindOf, levelSize, ripasOf, unassigned } from "./rtt-entry.ts";
import { DataFlag, GRANULE, RealmState, Ripas, RipasChange } from "./status.ts";

export const dataCreate: RmiHandler = (cx, _pe, args) => {
  const flags = arg(args, 4);
  if (flags > BigInt(DataFlag.MEASURE)) return INPUT;
  const src = cx.granules.findIn(arg(args, 3), GranuleState.UNDELEGATED);
  if (src < 0) return INPUT;
  return create(cx, args, { src, flags });
};

/** The content is what delegation left: zero. RIPAS stays. */
export const dataCreateUnknown: RmiHandler = (cx, _pe, args) => create(cx, args, undefined);

function create(cx: RmmContext, args: readonly bigint[], known: { src: number; flags: bigint } | undefined): RmiResult {
  const data = cx.granules.findIn(arg(args, 1), GranuleState.DELEGATED);
  const realm = findRealm(cx, arg(args, 0));
  if (data < 0 || realm === undefined) return INPUT;
  if (known !== undefined && realm.state !== RealmState.NEW) return realmError();
  const ipa = arg(args, 2);
  if (!realm.isProtected(ipa) || !mapAddressValid(realm, ipa, PAGE_LEVEL)) return INPUT;
  if (data >= 2 ** 48) return INPUT;
  const w = cx.rtt.walk(realm, Number(ipa), PAGE_LEVEL);
  if (w.level !== PAGE_LEVEL) return rttError(w.level);
  if (!isUnassigned(w.kind)) return rttError(PAGE_LEVEL);
  let ripas = ripasOf(w.kind) as Ripas;
  if (known !== undefined) {
    const content = cx.memory.readNonSecure(known.src, GRANULE);
    if (content === undefined) return INPUT;
    cx.memory.put(data, 0, content);
    realm.measurement(0).set(extendData(realm.hash, realm.measurement(0), ipa, known.flags, content));
    ripas = Ripas.RAM;
  }
  cx.rtt.write(w.table, w.index, assigned(data, ripas, PAGE_LEVEL));
  cx.granules.take(w.table);
  cx.granules.transition(data, GranuleState.DELEGATED, GranuleState.DATA);
  return ok();
}

export const dataDestroy: RmiHandler = (cx, pe, args) => {
  const realm = findRealm(cx, arg(args, 0));
  const address = arg(args, 1);
  if (realm === undefined || !realm.isProtected(address) || !mapAddressValid(realm, address, PAGE_LEVEL)) return INPUT;
  const ipa = Number(address);
  const w = cx.rtt.walk(realm, ipa, PAGE_LEVEL);
  if (w.level !== PAGE_LEVEL) return rttError(w.level, 0, cx.rtt.skipNonLive(w, ipa));
  if (!isAssigned(w.kind)) return rttError(PAGE_LEVEL, 0, cx.rtt.skipNonLive(w, ipa));

  const data = entryAddress(w.entry, w.level, w.kind);
  cx.rtt.write(w.table, w.index, unassigned(w.kind === Kind.AssignedEmpty ? Ripas.EMPTY : Ripas.DESTROYED));
  if (w.kind === Kind.AssignedRam) cx.tlb.page(pe, realm, ipa);
  cx.granules.drop(w.table);
  cx.memory.wipe(data);
  cx.granules.transition(data, GranuleState.DATA, GranuleState.DELEGATED);
  return ok(data, cx.rtt.skipNonLive(w, ipa));
};

export const rttInitRipas: RmiHandler = (cx, _pe, args) => {
  const [base, top] = [arg(args, 1), arg(args, 2)];
  if (top <= base) return INPUT;
  const realm = findRealm(cx, arg(args, 0));
  if (realm === undefined) return INPUT;
  if (!mapAddressValid(realm, base, PAGE_LEVEL) || !mapAddressValid(realm, top, PAGE_LEVEL)) return INPUT;
  if (!realm.isProtected(base) || !realm.isProtected(top - BigInt(GRANULE))) return INPUT;
  if (realm.state !== RealmState.NEW) return realmError();
  const start = Number(base);
  const w = cx.rtt.walk(realm, start, PAGE_LEVEL);
  // The entry covers addresses below base: a table has to be made first.
  if (start % levelSize(w.level) !== 0) return rttError(w.level);
  let rim: Uint8Array = realm.measurement(0).slice();
  const end = eachEntry(cx, w, start, Number(top), (entry, index, address, next) => {
    const kind = kindOf(entry, w.level);
    if (kind === Kind.UnassignedEmpty) cx.rtt.write(w.table, index, unassigned(Ripas.RAM));
    else if (kind !== Kind.UnassignedRam) return false;
    rim = extendRipas(realm.hash, rim, BigInt(address), BigInt(next));
    return true;
  });
  if (end === start) return rttError(w.level);
  realm.measurement(0).set(rim);
  return ok(end);
};

/** Visits the entries of one table from `start` on as long as they end at or below `top` and `visit` says yes; where it stopped. */
function eachEntry(
  cx: RmmContext,
  w: Walk,
  start: number,
  top: number,
  visit: (entry: bigint, index: number, address: number, next: number) => boolean,
): number {
  const size = levelSize(w.level);
  let address = start;
  for (let i = w.index; i < ENTRIES && address + size <= top; i++) {
    if (!visit(cx.rtt.read(w.table, i), i, address, address + size)) break;
    address += size;
  }
  return address;
}

export const rttSetRipas: RmiHandler = (cx, pe, args) => {
  const [base, top] = [arg(args, 2), arg(args, 3)];
  if (top <= base) return INPUT;
  const realm = findRealm(cx, arg(args, 0));
  const recPa = cx.granules.findIn(arg(args, 1), GranuleState.REC);
  if (realm === undefined || recPa < 0) return INPUT;
  if (cx.granules.references(recPa) !== 0) return REC_ERROR;
  const rec = recAt(cx.memory, recPa);
  if (rec.num("rd") !== realm.rd) return REC_ERROR;
  if (base !== rec.get("ripas_addr") || top > rec.get("ripas_top")) return INPUT;
  const start = Number(base);
  const w = cx.rtt.walk(realm, start, PAGE_LEVEL);
  if (start % levelSize(w.level) !== 0) return rttError(w.level);
  const change = (rec.get("ripas_flags") & BigInt(RipasChange.CHANGE_DESTROYED)) !== 0n;
  const value = rec.num("ripas_value") as Ripas;
  let stale = false;
  const end = eachEntry(cx, w, start, Number(top), (entry, index) => {
    const changed = setRipas(cx, w, { entry, index }, value, change);
    if (changed === "live") stale = true;
    return changed !== "refused";
  });
  // One invalidation for all entries: those of a page take all of stage 1 with them, too.
  if (stale) cx.tlb.all(pe, realm);
  if (end === start) return rttError(w.level);
  rec.set("ripas_addr", end);
  return ok(end);
};

/** Changes the RIPAS of one entry. Refused: the change stops here; live: a TLB may hold what the entry was. */
function setRipas(
  cx: RmmContext,
  w: Walk,
  at: { entry: bigint; index: number },
  value: Ripas,
  changeDestroyed: boolean,
): "refused" | "done" | "live" {
  const kind = kindOf(at.entry, w.level);
  const old = ripasOf(kind);
  if (old === undefined || (old === Ripas.DESTROYED && !changeDestroyed)) return "refused";
  if (old === value) return "done";
  const entry = isAssigned(kind) ? assigned(entryAddress(at.entry, w.level, kind), value, w.level) : unassigned(value);
  cx.rtt.write(w.table, at.index, entry);
  return kind === Kind.AssignedRam ? "live" : "done";
}
