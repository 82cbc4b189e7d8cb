// PSCI 1.1 inside a realm (DEN0137 B6): the RMM keeps the state, the host is told and completes what concerns another PE.

import { Off } from "../arch/layout.ts";
import { recIndexOfMpidr } from "./realm.ts";
import { type RsiResult, toHost, toRealm } from "./rsi-result.ts";
import type { Run } from "./run.ts";
import { ExitReason, Psci, RealmState } from "./status.ts";

const PSCI_1_1 = 0x1_0001n;

/** Function identifiers 0x84000000 to 0x84000014 and their SMC64 forms. */
export const isPsciId = (fid: number): boolean => {
  const number = (fid & ~0x4000_0000) >>> 0;
  return number >= 0x8400_0000 && number <= 0x8400_0014;
};

/** Exits to the host with the first `count` registers of the call; `results`: what the realm reads afterwards. */
function notify(r: Run, count: number, results?: readonly bigint[]): RsiResult {
  for (let i = 0; i < count; i++) r.exit.set("gprs", r.st.x(i), i);
  return toHost(ExitReason.PSCI, results);
}

/** A request about another PE of the realm: waits for PSCI_COMPLETE. */
function request(r: Run): RsiResult {
  r.rec.set("psci_pending", 1n);
  return notify(r, 2);
}

/** Index of the PE that x1 names, or undefined: the realm has none. */
function target(r: Run): number | undefined {
  const index = recIndexOfMpidr(r.st.x(1));
  return index < r.realm.view.num("rec_count") ? index : undefined;
}

// Every power state is taken as standby, which the host may carry out or not.
const cpuSuspend = (r: Run): RsiResult => notify(r, 1, [Psci.SUCCESS]);

const cpuOff = (r: Run): RsiResult => {
  r.rec.set("runnable", 0n);
  return notify(r, 1, [Psci.SUCCESS]);
};

const cpuOn = (r: Run): RsiResult => {
  if (!r.realm.isProtected(r.st.x(2))) return toRealm(Psci.INVALID_ADDRESS);
  const index = target(r);
  if (index === undefined) return toRealm(Psci.INVALID_PARAMETERS);
  return index === r.rec.num("index") ? toRealm(Psci.ALREADY_ON) : request(r);
};

const affinityInfo = (r: Run): RsiResult => {
  const index = target(r);
  if (r.st.x(2) !== 0n || index === undefined) return toRealm(Psci.INVALID_PARAMETERS);
  return index === r.rec.num("index") ? toRealm(Psci.AFFINITY_ON) : request(r);
};

/** SYSTEM_OFF and SYSTEM_RESET: no REC of the realm runs again. A restart is a new realm. */
const systemOff = (r: Run): RsiResult => {
  r.realm.state = RealmState.SYSTEM_OFF;
  return notify(r, 1);
};

const features = (r: Run): RsiResult => {
  const fid = r.st.lo(Off.X + 8); // w1
  return toRealm(fid === 0x8000_0000 || (rows.has(fid) && fid !== 0x8400_0000) ? Psci.SUCCESS : Psci.NOT_SUPPORTED);
};

// biome-ignore format: table
const rows = new Map<number, (r: Run) => RsiResult>([
  [0x8400_0000, () => toRealm(PSCI_1_1)],
  [0x8400_0001, cpuSuspend],
  [0xc400_0001, cpuSuspend],
  [0x8400_0002, cpuOff],
  [0x8400_0003, cpuOn],
  [0xc400_0003, cpuOn],
  [0x8400_0004, affinityInfo],
  [0xc400_0004, affinityInfo],
  [0x8400_0008, systemOff],
  [0x8400_0009, systemOff],
  [0x8400_000a, features],
]);

export const psciCall = (r: Run, fid: number): RsiResult => rows.get(fid)?.(r) ?? toRealm(Psci.NOT_SUPPORTED);
