// RMI: creation and destruction of RECs, completion of PSCI requests (DEN0137 B4.3.10, B4.3.17 to B4.3.20).

import { arg, findRealm, INPUT, ok, REC_ERROR, type RmiHandler, type RmmContext, realmError } from "./cx.ts";
import { MAX_RECS } from "./features.ts";
import { GranuleState } from "./granules.ts";
import { RecParams } from "./layouts.ts";
import { extendRec } from "./measure.ts";
import { mpidrOfRec, type Realm, recIndexOf, recIndexOfMpidr, recMpidrValid } from "./realm.ts";
import { initRec, MAX_AUX, PSTATE_START, type RecView, recAt, recSys, SCTLR_START, setRecSys } from "./rec.ts";
import { GRANULE, Psci, RealmState, RecFlag } from "./status.ts";
import { type StructView, viewOf } from "./struct.ts";

type Params = StructView<keyof typeof RecParams.fields>;

export const recAuxCount: RmiHandler = (cx, _pe, args) => {
  const realm = findRealm(cx, arg(args, 0));
  return realm === undefined ? INPUT : ok(realm.view.get("num_aux"));
};

export const recCreate: RmiHandler = (cx, _pe, args) => {
  const page = cx.granules.findIn(arg(args, 2), GranuleState.UNDELEGATED);
  const params = page < 0 ? undefined : cx.memory.readNonSecure(page, GRANULE);
  if (params === undefined) return INPUT;
  const p = viewOf(RecParams, params);
  const aux = auxGranules(cx, p);
  if (aux === undefined) return INPUT;
  const rec = cx.granules.findIn(arg(args, 1), GranuleState.DELEGATED);
  const realm = findRealm(cx, arg(args, 0));
  if (rec < 0 || aux.includes(rec) || realm === undefined) return INPUT;
  if (cx.granules.references(realm.rd) === MAX_RECS) return realmError();
  if (realm.state !== RealmState.NEW) return realmError();
  const mpidr = p.get("mpidr");
  const index = realm.view.num("rec_count");
  if (!recMpidrValid(mpidr) || recIndexOf(mpidr) !== index) return INPUT;
  if (aux.length !== realm.view.num("num_aux")) return INPUT;

  writeRec(recAt(cx.memory, rec), realm, p, aux);
  if ((p.get("flags") & BigInt(RecFlag.RUNNABLE)) !== 0n) realm.measurement(0).set(extendRec(realm.hash, realm.measurement(0), p));
  for (const a of aux) cx.granules.transition(a, GranuleState.DELEGATED, GranuleState.REC_AUX);
  cx.granules.transition(rec, GranuleState.DELEGATED, GranuleState.REC);
  cx.granules.take(realm.rd);
  realm.view.set("rec_count", index + 1);
  return ok();
};

/** The auxiliary granules of the parameters: all DELEGATED, none twice; undefined: one is not. */
function auxGranules(cx: RmmContext, p: Params): number[] | undefined {
  const count = p.get("num_aux");
  if (count > BigInt(MAX_AUX)) return undefined;
  const aux: number[] = [];
  for (let i = 0; i < Number(count); i++) {
    const pa = cx.granules.findIn(p.get("aux", i), GranuleState.DELEGATED);
    if (pa < 0 || aux.includes(pa)) return undefined;
    aux.push(pa);
  }
  return aux;
}

function writeRec(rec: RecView, realm: Realm, p: Params, aux: readonly number[]): void {
  initRec(rec);
  rec.set("rd", realm.rd);
  rec.set("index", realm.view.get("rec_count"));
  rec.set("mpidr", mpidrOfRec(p.get("mpidr")));
  rec.set("runnable", (p.get("flags") & BigInt(RecFlag.RUNNABLE)) !== 0n);
  rec.set("num_aux", aux.length);
  for (const [i, pa] of aux.entries()) rec.set("aux", pa, i);
  rec.set("pc", p.get("pc"));
  for (let i = 0; i < 8; i++) rec.set("gprs", p.get("gprs", i), i);
}

export const recDestroy: RmiHandler = (cx, _pe, args) => {
  const pa = cx.granules.findIn(arg(args, 0), GranuleState.REC);
  if (pa < 0) return INPUT;
  if (cx.granules.references(pa) !== 0) return REC_ERROR;
  const rec = recAt(cx.memory, pa);
  const rd = rec.num("rd");
  for (let i = 0; i < rec.num("num_aux"); i++) {
    const aux = rec.num("aux", i);
    cx.memory.wipe(aux);
    cx.granules.transition(aux, GranuleState.REC_AUX, GranuleState.DELEGATED);
  }
  cx.memory.wipe(pa);
  cx.granules.transition(pa, GranuleState.REC, GranuleState.DELEGATED);
  cx.granules.drop(rd);
  return ok();
};

const CPU_ON = [0x8400_0003n, 0xc400_0003n];

export const psciComplete: RmiHandler = (cx, _pe, args) => {
  const caller = cx.granules.findIn(arg(args, 0), GranuleState.REC);
  const other = cx.granules.findIn(arg(args, 1), GranuleState.REC);
  if (caller < 0 || other < 0 || caller === other) return INPUT;
  if (cx.granules.references(caller) !== 0) return INPUT;
  const calling = recAt(cx.memory, caller);
  const target = recAt(cx.memory, other);
  if (!calling.flag("psci_pending")) return INPUT;
  if (calling.get("rd") !== target.get("rd")) return INPUT;
  if (recIndexOfMpidr(calling.get("gprs", 1)) !== target.num("index")) return INPUT;

  const status = arg(args, 2);
  const cpuOn = CPU_ON.includes(calling.get("gprs", 0) & 0xffff_ffffn);
  if (status !== Psci.SUCCESS && !(cpuOn && status === Psci.DENIED)) return INPUT;
  const on = cx.granules.references(other) !== 0 || target.flag("runnable");
  if (cpuOn && !on && status === Psci.SUCCESS) powerOn(target, calling);
  if (cpuOn) finish(calling, on ? Psci.ALREADY_ON : status);
  else finish(calling, on ? Psci.AFFINITY_ON : Psci.AFFINITY_OFF);
  // The host may not deny what has happened already.
  return cpuOn && on && status === Psci.DENIED ? INPUT : ok();
};

/** The target's PE starts at EL1, MMU off, with the endianness of its caller, at the entry point and with the context given. */
function powerOn(target: RecView, caller: RecView): void {
  const EE = 1n << 25n;
  target.set("pc", caller.get("gprs", 2));
  target.set("gprs", caller.get("gprs", 3), 0);
  target.set("pstate", PSTATE_START);
  setRecSys(target, "SCTLR_EL1", SCTLR_START | (recSys(caller, "SCTLR_EL1") & EE));
  target.set("runnable", 1n);
}

/** The calling REC gets its answer and may run again. */
function finish(caller: RecView, result: bigint): void {
  caller.set("gprs", result, 0);
  for (let i = 1; i < 4; i++) caller.set("gprs", 0n, i);
  caller.set("psci_pending", 0n);
}
