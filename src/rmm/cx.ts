// What the handlers of RMI and RSI act on, and how they answer.

import type { Features } from "../arch/features.ts";
import type { Pe } from "../cpu/pe.ts";
import type { RmmFeatures } from "./features.ts";
import { GranuleState, type Granules } from "./granules.ts";
import type { GuardedMemory } from "./memory.ts";
import { Realm } from "./realm.ts";
import type { Rtt } from "./rtt.ts";
import type { Stage2Tlb } from "./stage2.ts";
import { RmiStatus, rmiCode } from "./status.ts";

/** What EL3 does for the RMM. Codes: 0, or negative as in the RMM-EL3 interface. */
export interface MonitorPort {
  /** GTSI_DELEGATE and GTSI_UNDELEGATE: moves a granule between the Non-secure and the Realm PA space. */
  delegate(pe: Pe, pa: number): number;
  undelegate(pe: Pe, pa: number): number;
  /** The Realm attestation key: private scalar on P-384, 48 bytes. */
  realmKey(): Uint8Array;
  /** The platform token (COSE_Sign1, tagged) for a challenge: the hash of the Realm attestation public key. */
  platformToken(challenge: Uint8Array): Uint8Array;
  /** World switch: the PE is at R-EL2 afterwards, with the host's context kept. */
  enterRealmWorld(pe: Pe): void;
  /** RMI_REQ_COMPLETE: world switch back; the host gets the results in x0, x1, ... */
  complete(pe: Pe, results: readonly bigint[]): void;
}

/** What all handlers share. */
export interface RmmContext {
  readonly memory: GuardedMemory;
  readonly granules: Granules;
  readonly rtt: Rtt;
  readonly tlb: Stage2Tlb;
  readonly features: RmmFeatures;
  readonly cpu: Features;
  readonly monitor: MonitorPort;
  /** VMIDs in use. */
  readonly vmids: Set<number>;
}

/** x0 and the results of a command, x0 first. */
export type RmiResult = readonly bigint[];
/** undefined: the realm runs; the results follow when it leaves. */
export type RmiHandler = (cx: RmmContext, pe: Pe, args: readonly bigint[]) => RmiResult | undefined;

export const ok = (...results: (bigint | number)[]): RmiResult => (results.length === 0 ? SUCCESS : [0n, ...results.map(BigInt)]);
/** x0 to x3 of a command without results. */
const SUCCESS: RmiResult = [0n, 0n, 0n, 0n];
export const INPUT: RmiResult = [rmiCode(RmiStatus.ERROR_INPUT)];
export const REC_ERROR: RmiResult = [rmiCode(RmiStatus.ERROR_REC)];
export const realmError = (index = 0): RmiResult => [rmiCode(RmiStatus.ERROR_REALM, index)];
export const rttError = (level: number, ...results: number[]): RmiResult => [rmiCode(RmiStatus.ERROR_RTT, level), ...results.map(BigInt)];

/** The realm whose RD is at this address, or undefined. */
export function findRealm(cx: RmmContext, rd: bigint): Realm | undefined {
  const pa = cx.granules.findIn(rd, GranuleState.RD);
  return pa < 0 ? undefined : new Realm(cx.memory, pa);
}

export const arg = (args: readonly bigint[], n: number): bigint => args[n] ?? 0n;
/** Signed 64-bit argument: a level. Outside -2^31..2^31 it is no level. */
export const levelArg = (args: readonly bigint[], n: number): number => {
  const v = BigInt.asIntN(64, arg(args, n));
  return v > 127n || v < -128n ? 127 : Number(v);
};
