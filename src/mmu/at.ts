// Address translation instructions and PAR_EL1 (Arm ARM D8.9; AArch64.AT, AArch64.EncodePAR).

import { Security } from "../arch/security.ts";
import { Access, Privilege } from "./access.ts";
import { effectiveShare, isDevice, type MemAttr, parAttr, type Share } from "./attributes.ts";
import { type Fault, FaultType, faultStatusCode, Gpc } from "./fault.ts";
import { Regime } from "./regime.ts";

/** One AT operation as encoded. */
export interface AtOp {
  /** Regime named: EL1&0 (or EL2&0 under E2H and TGE), EL2, EL3. */
  readonly el: 1 | 2 | 3;
  readonly bothStages: boolean;
  readonly access: Access;
  /** Privileged, unprivileged, or privileged under PSTATE.PAN (S1E1RP, S1E1WP). */
  readonly privilege: "user" | "privileged" | "pan";
}

/** Decodes an AT instruction (op0 = 1, CRn = 7). Undefined: not allocated. */
export function decodeAt(op1: number, CRm: number, op2: number): AtOp | undefined {
  const access = (op2 & 1) !== 0 ? Access.Write : Access.Read;
  if (op1 === 0 && CRm === 8 && op2 < 4) return { el: 1, bothStages: false, access, privilege: op2 < 2 ? "privileged" : "user" };
  if (op1 === 0 && CRm === 9 && op2 < 2) return { el: 1, bothStages: false, access, privilege: "pan" };
  // S1E1A (FEAT_ATS1A): translation without permission checks.
  if (op1 === 0 && CRm === 9 && op2 === 2) return { el: 1, bothStages: false, access: Access.Maintain, privilege: "privileged" };
  if (CRm !== 8) return undefined;
  if (op1 === 4 && op2 < 2) return { el: 2, bothStages: false, access, privilege: "privileged" };
  if (op1 === 4 && op2 === 2) return undefined;
  if (op1 === 4 && op2 >= 4) return { el: 1, bothStages: true, access, privilege: op2 < 6 ? "privileged" : "user" };
  if (op1 === 6 && op2 < 2) return { el: 3, bothStages: false, access, privilege: "privileged" };
  return undefined;
}

/** The privilege class of an AT operation while PSTATE.PAN is `pan`. */
export function privilegeOf(op: AtOp, pan: boolean): Privilege {
  if (op.privilege === "user") return Privilege.User;
  return op.privilege === "pan" && pan ? Privilege.PrivilegedPan : Privilege.Privileged;
}

const F = 1n;
const RES1 = 1n << 11n;

/** PAR_EL1 after a translation that faulted: FST, PTW, S. */
export function parOfFault(f: Fault): bigint {
  return F | (BigInt(faultStatusCode(f)) << 1n) | (f.s1ptw ? 1n << 8n : 0n) | (f.stage === 2 ? 1n << 9n : 0n) | RES1;
}

/** What a successful translation puts into PAR_EL1. */
export interface AtResult {
  pa: number;
  pas: Security;
  attr: MemAttr;
  sh: Share;
  regime: Regime;
  security: Security;
  bothStages: boolean;
  rme: boolean;
}

/** PAR_EL1 after a successful translation: PA, attributes, shareability, space. */
export function parOfResult(r: AtResult): bigint {
  const nc = isDevice(r.attr) || (r.attr & 0xff) === 0x44;
  const sh = nc ? 2 : effectiveShare(r.attr, r.sh);
  const page = BigInt(Math.floor(r.pa / 4096)) << 12n;
  return (BigInt(parAttr(r.attr)) << 56n) | page | (BigInt(sh) << 7n) | spaceBits(r);
}

/** NS (bit 9) and NSE (bit 11). Where they are UNKNOWN they read as the security state's own value. */
function spaceBits(r: AtResult): bigint {
  const ns = BigInt(r.pas & 1) << 9n;
  if (!r.rme) return ns | RES1;
  if (r.regime === Regime.EL3) return ns | (BigInt(r.pas >> 1) << 11n);
  // Realm: NS = 0 means the Realm PA space; for a stage 1 AT of EL1&0 it is UNKNOWN.
  if (r.security === Security.Realm) return r.pas === Security.Realm ? 0n : 1n << 9n;
  return ns;
}

/** Does an AT fault raise an exception instead of being reported in PAR_EL1? (rme-cpu facts, section 5, for granule faults.) */
export function atRaises(f: Fault, o: { el: number; op: AtOp; scrGpf: boolean; hcrGpf: boolean }): boolean {
  if (f.type === FaultType.ExternalOnWalk) return true;
  if (f.s1ptw && o.el === 1) return true;
  if (f.gpc === undefined) return false;
  if (f.gpc !== Gpc.Fail || (o.scrGpf && o.el !== 3)) return true;
  return o.hcrGpf && o.el === 1 && o.op.el === 1 && !o.op.bothStages;
}
