// Instruction Aborts, Data Aborts and granule protection exceptions: routing and syndromes (Arm ARM D1.3.6, D19 ESR_ELx).

import { Off } from "../arch/layout.ts";
import { Security } from "../arch/security.ts";
import { slot } from "../arch/state.ts";
import { dataAbortIsv, Ec } from "../arch/syndrome.ts";
import { type Fault, FaultType, faultStatusCode, Gpc, hpfar } from "../mmu/fault.ts";
import { Vector } from "./agent.ts";
import { enter, FAR } from "./exceptions.ts";
import type { Pe } from "./pe.ts";

/** What the executor knows about an aborted access. */
export interface AbortContext {
  /** Instruction fetch. */
  fetch: boolean;
  /** Instruction word of the access, for the syndrome of stage 2 faults (ISV); left out: ISV = 0. */
  insn?: number;
}

const isGranule = (f: Fault): boolean => f.type === FaultType.GranuleOnOutput || f.type === FaultType.GranuleOnWalk;
const isExternal = (f: Fault): boolean => f.type === FaultType.External || f.type === FaultType.ExternalOnWalk;

/** Is the fault a granule protection check exception (EC 0x1E), taken to EL3, instead of an abort? (FEAT_RME, facts 5) */
export function isGpcException(pe: Pe, f: Fault): boolean {
  if (!isGranule(f)) return false;
  if (f.gpc !== undefined && f.gpc !== Gpc.Fail) return true;
  return pe.st.lo(Off.EL) < 3 && pe.st.bit(slot.SCR_EL3, 48) === 1;
}

/** Exception level that takes an Instruction or Data Abort. */
export function abortTarget(pe: Pe, f: Fault): 1 | 2 | 3 {
  const el = pe.st.lo(Off.EL);
  const st = pe.st;
  if (el === 3) return 3;
  if (isExternal(f)) {
    if (pe.haveEl3 && st.bit(slot.SCR_EL3, 3) === 1) return 3;
    if (el < 2 && pe.el2On && (f.stage === 2 || (pe.tge && el === 0) || st.bit(slot.HCR_EL2, 37) === 1)) return 2;
  } else if (isGranule(f)) {
    if (el < 2 && pe.el2On && (f.stage === 2 || pe.tge || st.bit(slot.HCR_EL2, 48) === 1)) return 2;
  } else if (f.stage === 2) return 2;
  if (el === 2) return 2;
  return el === 0 && pe.tge ? 2 : 1;
}

/** ISS of an Instruction or Data Abort. */
export function abortIss(f: Fault, o: AbortContext): number {
  let iss = faultStatusCode(f) | (f.s1ptw ? 1 << 7 : 0);
  if (o.fetch) return iss;
  if (f.maintenance) return iss | (1 << 8) | (1 << 6);
  if (f.write) iss |= 1 << 6;
  const reported = f.type <= FaultType.Permission || f.type === FaultType.GranuleOnWalk;
  if (f.stage === 2 && !f.s1ptw && reported && o.insn !== undefined) iss |= dataAbortIsv(o.insn);
  return iss;
}

/** Takes the exception that a fault of the current instruction causes. */
export function takeAbort(pe: Pe, f: Fault, o: AbortContext): void {
  pe.hooks.abort?.(pe, f, o);
  if (isGpcException(pe, f)) {
    takeGpcException(pe, f, o);
    return;
  }
  const st = pe.st;
  const target = abortTarget(pe, f);
  st.set(FAR[target] as number, f.va);
  if (target === 2 && f.ipaValid) st.set(slot.HPFAR_EL2, hpfar(f, pe.security === Security.Secure));
  const same = st.lo(Off.EL) === target ? 1 : 0;
  const ec = (o.fetch ? Ec.InstructionAbort : Ec.DataAbort) | same;
  enter(pe, target, target === 3 && isExternal(f) ? externalVector(pe) : Vector.Sync, ec, abortIss(f, o), 0);
}

/** SCR_EL3.EASE: synchronous External aborts that EL3 takes go to its SError vector. */
function externalVector(pe: Pe): Vector {
  return pe.st.bit(slot.SCR_EL3, 19) === 1 ? Vector.SError : Vector.Sync;
}

function takeGpcException(pe: Pe, f: Fault, o: AbortContext): void {
  const st = pe.st;
  const gpcsc = [0, 0b000000, 0b000100, 0b001100, 0b010100][f.gpc ?? Gpc.Fail] as number;
  let iss = faultStatusCode(f) | ((gpcsc | ((f.gpcLevel ?? 0) & 1)) << 14);
  if (f.stage === 2 && f.type === FaultType.GranuleOnWalk) iss |= 1 << 21;
  if (o.fetch) iss |= 1 << 20;
  if (f.maintenance) iss |= (1 << 8) | (1 << 6);
  else if (f.write && !o.fetch) iss |= 1 << 6;
  if (f.s1ptw) iss |= 1 << 7;
  st.set(slot.FAR_EL3, f.va);
  const space = f.pas ?? Security.NonSecure;
  const pa = BigInt(f.pa ?? 0) & ~0xfffn;
  st.set(slot.MFAR_EL3, pa | (BigInt(space & 1) << 63n) | (BigInt(space >> 1) << 62n));
  if (f.ipaValid) st.set(slot.HPFAR_EL2, hpfar(f, pe.security === Security.Secure));
  enter(pe, 3, f.gpc === Gpc.ExternalAbort ? externalVector(pe) : Vector.Sync, Ec.GranuleProtection, iss, 0);
}
