// RMI: creation, activation and destruction of realms (DEN0137 B4.3.14 to B4.3.16).

import { arg, findRealm, INPUT, ok, type RmiHandler, type RmmContext, realmError } from "./cx.ts";
import { GranuleState } from "./granules.ts";
import { RealmParams } from "./layouts.ts";
import { rimOfRealm } from "./measure.ts";
import { Realm } from "./realm.ts";
import { MAX_AUX } from "./rec.ts";
import { startTables } from "./rtt.ts";
import { GRANULE, HashAlgorithm, RealmFlag, RealmState } from "./status.ts";
import { type StructView, viewOf } from "./struct.ts";

type Params = StructView<keyof typeof RealmParams.fields>;

/** Smallest IPA width in bits. */
const MIN_S2SZ = 32;

export const realmCreate: RmiHandler = (cx, _pe, args) => {
  const params = cx.granules.findIn(arg(args, 1), GranuleState.UNDELEGATED);
  const page = params < 0 ? undefined : cx.memory.readNonSecure(params, GRANULE);
  if (page === undefined) return INPUT;
  const p = viewOf(RealmParams, page);
  if (!paramsValid(cx, p)) return INPUT;
  const base = p.get("rtt_base");
  const count = p.num("rtt_num_start");
  const end = base + BigInt(count * GRANULE);
  if (arg(args, 0) >= base && arg(args, 0) < end) return INPUT;
  const rd = cx.granules.findIn(arg(args, 0), GranuleState.DELEGATED);
  if (rd < 0 || !tablesDelegated(cx, base, count)) return INPUT;

  const { view } = writeRd(cx, rd, p);
  const realm = new Realm(cx.memory, rd);
  cx.rtt.initStart(realm);
  realm.measurement(0).set(rimOfRealm(realm.hash, p));
  cx.vmids.add(view.num("vmid"));
  cx.granules.transition(rd, GranuleState.DELEGATED, GranuleState.RD);
  for (let i = 0; i < count; i++) cx.granules.transition(realm.base + i * GRANULE, GranuleState.DELEGATED, GranuleState.RTT);
  return ok();
};

/** The checks of RmiRealmParams, in order. */
function paramsValid(cx: RmmContext, p: Params): boolean {
  const f = cx.features;
  const flags = p.get("flags");
  const has = (bit: number): boolean => (flags & BigInt(bit)) !== 0n;
  const s2sz = p.num("s2sz");
  const level = Number(BigInt.asIntN(64, p.get("rtt_level_start")));
  if (has(RealmFlag.LPA2) && f.LPA2 === 0) return false;
  if (s2sz < MIN_S2SZ || s2sz > f.S2SZ) return false;
  if (p.num("num_bps") === 0 || p.num("num_bps") > f.NUM_BPS) return false;
  if (p.num("num_wps") === 0 || p.num("num_wps") > f.NUM_WPS) return false;
  if (has(RealmFlag.SVE) && (f.SVE_EN === 0 || p.num("sve_vl") > f.SVE_VL)) return false;
  if (has(RealmFlag.PMU) && f.PMU_EN === 0) return false;
  // Without FEAT_HPMN0 a realm with a PMU has at least one event counter.
  if (has(RealmFlag.PMU) && (p.num("pmu_num_ctrs") > f.PMU_NUM_CTRS || p.num("pmu_num_ctrs") === 0)) return false;
  const tables = startTables(s2sz, level);
  if (tables === undefined || (level === 0 && cx.cpu.paBits < 44) || p.num("rtt_num_start") !== tables) return false;
  const hash = p.num("hash_algo");
  if (hash !== HashAlgorithm.SHA_256 && hash !== HashAlgorithm.SHA_512) return false;
  return p.num("vmid") < (cx.cpu.has("VMID16") ? 0x1_0000 : 0x100) && !cx.vmids.has(p.num("vmid"));
}

/** Every start-level table is DELEGATED, and the first is aligned to their total size (DEN0137: AddrIsRttLevelAligned). */
function tablesDelegated(cx: RmmContext, base: bigint, count: number): boolean {
  if (base % BigInt(count * GRANULE) !== 0n) return false;
  for (let i = 0; i < count; i++) {
    const pa = cx.granules.findIn(base + BigInt(i * GRANULE), GranuleState.DELEGATED);
    if (pa < 0 || pa >= 2 ** 48) return false;
  }
  return true;
}

function writeRd(cx: RmmContext, rd: number, p: Params): Realm {
  const { view } = new Realm(cx.memory, rd);
  view.set("state", RealmState.NEW);
  view.set("ipa_bits", p.get("s2sz"));
  view.set("rtt_base", p.get("rtt_base"));
  view.set("rtt_level", p.get("rtt_level_start"));
  view.set("rtt_count", p.get("rtt_num_start"));
  view.set("vmid", p.get("vmid"));
  view.set("hash_algo", p.get("hash_algo"));
  view.set("num_aux", MAX_AUX);
  view.set("pmu", (p.get("flags") & BigInt(RealmFlag.PMU)) !== 0n);
  view.set("pmu_num_ctrs", p.get("pmu_num_ctrs"));
  view.set("num_bps", p.get("num_bps"));
  view.set("num_wps", p.get("num_wps"));
  view.bytes("rpv").set(p.bytes("rpv"));
  return new Realm(cx.memory, rd);
}

export const realmActivate: RmiHandler = (cx, _pe, args) => {
  const realm = findRealm(cx, arg(args, 0));
  if (realm === undefined) return INPUT;
  if (realm.state !== RealmState.NEW) return realmError();
  realm.state = RealmState.ACTIVE;
  return ok();
};

export const realmDestroy: RmiHandler = (cx, pe, args) => {
  const realm = findRealm(cx, arg(args, 0));
  if (realm === undefined) return INPUT;
  const tables = Array.from({ length: realm.tables }, (_, i) => realm.base + i * GRANULE);
  if (cx.granules.references(realm.rd) !== 0 || tables.some((t) => cx.granules.references(t) !== 0)) return realmError();
  // All mappings of protected IPA space are gone; the start level may still map the host's memory.
  cx.tlb.all(pe, realm);
  cx.vmids.delete(realm.vmid);
  for (const t of tables) cx.rtt.free(t);
  cx.memory.wipe(realm.rd);
  cx.granules.transition(realm.rd, GranuleState.RD, GranuleState.DELEGATED);
  return ok();
};
