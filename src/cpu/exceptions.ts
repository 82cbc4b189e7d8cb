// Exception entry and return (Arm ARM D1.3; pseudocode AArch64.TakeException, AArch64.ExceptionReturn).

import { Off } from "../arch/layout.ts";
import { type PeState, slot } from "../arch/state.ts";
import { Ec, esr } from "../arch/syndrome.ts";
import { Vector } from "./agent.ts";
import type { Pe } from "./pe.ts";

const SPSR = [0, slot.SPSR_EL1, slot.SPSR_EL2, slot.SPSR_EL3] as const;
const ELR = [0, slot.ELR_EL1, slot.ELR_EL2, slot.ELR_EL3] as const;
const ESR = [0, slot.ESR_EL1, slot.ESR_EL2, slot.ESR_EL3] as const;
const VBAR = [0, slot.VBAR_EL1, slot.VBAR_EL2, slot.VBAR_EL3] as const;
const SCTLR = [0, slot.SCTLR_EL1, slot.SCTLR_EL2, slot.SCTLR_EL3] as const;
/** FAR_ELx by Exception level. */
export const FAR = [0, slot.FAR_EL1, slot.FAR_EL2, slot.FAR_EL3] as const;
/** SP_ELx by Exception level. */
export const SP_BANK = [slot.SP_EL0, slot.SP_EL1, slot.SP_EL2, slot.SP_EL3] as const;
const SP = Off.X + 8 * 32;

/** PSTATE in the SPSR_ELx format. */
export function packPstate(st: PeState): number {
  return (
    (st.nzcv |
      (st.lo(Off.EL) << 2) |
      st.lo(Off.SPSEL) |
      (st.lo(Off.DAIF) << 6) |
      (st.lo(Off.BTYPE) << 10) |
      (st.lo(Off.SSBS) << 12) |
      (st.lo(Off.IL) << 20) |
      (st.lo(Off.SS) << 21) |
      (st.lo(Off.PAN) << 22) |
      (st.lo(Off.UAO) << 23) |
      (st.lo(Off.DIT) << 24)) >>>
    0
  );
}

/** Where an exception that has no special routing is taken from the current level: EL1 or, with TGE, EL2; EL2 and EL3 keep theirs. */
export function defaultTarget(pe: Pe): 1 | 2 | 3 {
  const el = pe.st.lo(Off.EL);
  if (el > 1) return el as 2 | 3;
  return el === 0 && pe.tge ? 2 : 1;
}

/** Puts the current SP into its bank and makes another one current. Keeps the SP_EL0 entry of the fast register map in step. */
export function switchSp(pe: Pe, el: number, spsel: number): void {
  const st = pe.st;
  const from = st.lo(Off.SPSEL) ? (SP_BANK[st.lo(Off.EL)] as number) : slot.SP_EL0;
  const to = spsel ? (SP_BANK[el] as number) : slot.SP_EL0;
  if (from !== to) {
    st.setLoHi(from, st.lo(SP), st.hi(SP));
    st.setLoHi(SP, st.lo(to), st.hi(to));
  }
  st.setLo(Off.EL, el);
  st.setLo(Off.SPSEL, spsel);
  pe.map.spSelected(el, spsel);
}

/** Takes an exception to `target`. `ec` is in its final (lower or same level) form. FAR, HPFAR and MFAR are the caller's. */
export function enter(pe: Pe, target: 1 | 2 | 3, vector: Vector, ec: number, iss: number, next: 0 | 4): void {
  const st = pe.st;
  const from = st.lo(Off.EL);
  if (pe.pmu.active) pe.pmu.sync();
  if (next === 4) {
    // The instruction is complete: PSTATE has advanced past it.
    st.setLo(Off.BTYPE, 0);
    st.setLo(Off.SS, 0);
  }
  st.setLoHi(SPSR[target] as number, packPstate(st), 0);
  const pc = st.lo(Off.PC);
  const ret = (pc + next) >>> 0;
  st.setLoHi(ELR[target] as number, ret, (st.hi(Off.PC) + (ret < pc ? 1 : 0)) >>> 0);
  if (vector === Vector.Sync || vector === Vector.SError) st.setLoHi(ESR[target] as number, esr(ec, iss), 0);
  const group = target > from ? 0x400 : st.lo(Off.SPSEL) ? 0x200 : 0;
  const vbar = VBAR[target] as number;
  st.setLoHi(Off.PC, ((st.lo(vbar) & ~0x7ff) | group | vector) >>> 0, st.hi(vbar));
  switchSp(pe, target, 1);
  st.setLo(Off.DAIF, 15);
  st.setLo(Off.SS, 0);
  st.setLo(Off.IL, 0);
  st.setLo(Off.BTYPE, 0);
  st.setLo(Off.UAO, 0);
  const sctlr = SCTLR[target] as number;
  if (pe.hasPan && (target === 1 || (target === 2 && pe.host)) && st.bit(sctlr, 23) === 0) st.setLo(Off.PAN, 1);
  if (pe.hasSsbs) st.setLo(Off.SSBS, st.bit(sctlr, 44));
  st.setLo(Off.EXSIZE, 0);
  const agent = pe.agentFor(target, pe.security);
  if (agent === undefined) pe.contextChanged();
  else pe.contextStale = true;
  const e = pe.exception;
  e.vector = vector;
  e.ec = ec;
  e.iss = iss;
  e.target = target;
  e.next = next;
  pe.hooks.exception?.(pe, e);
  if (agent === undefined) return;
  agent.handle(pe, e);
  if (pe.contextStale) pe.levelChanged(pe.resident);
}

/** A synchronous exception about the current instruction. */
export function enterSync(pe: Pe, target: 1 | 2 | 3, ec: number, iss: number): void {
  enter(pe, target, Vector.Sync, ec, iss, 0);
}

/** The instruction is UNDEFINED. */
export function undefinedInstruction(pe: Pe): void {
  enterSync(pe, defaultTarget(pe), Ec.Unknown, 0);
}

/** Would an ERET with this SPSR be illegal? (Arm ARM D1.3.7.4, IllegalExceptionReturn) */
export function illegalReturn(pe: Pe, spsr: number): boolean {
  const el = pe.st.lo(Off.EL);
  const target = (spsr >>> 2) & 3;
  if ((spsr & 0x12) !== 0) return true; // AArch32, or M[1]
  if (target > el) return true;
  if (target === 0 && (spsr & 1) !== 0) return true;
  if (target === 3) return false;
  if (el === 3 && pe.nse && !pe.ns) return true; // NSE:NS = 10: no such state
  if (target === 2 && !pe.el2On) return true;
  return target === 1 && pe.tge;
}

/** ERET from the current level: PSTATE from SPSR_ELx, PC from ELR_ELx (`pcLo`, `pcHi`). */
export function exceptionReturn(pe: Pe, pcLo: number, pcHi: number): void {
  const st = pe.st;
  const el = st.lo(Off.EL);
  if (pe.pmu.active) pe.pmu.sync();
  const spsr = st.lo(SPSR[el] as number);
  const illegal = illegalReturn(pe, spsr);
  const target = illegal ? el : (spsr >>> 2) & 3;
  const ss = pe.debug.returnStep(spsr, target);
  st.setLo(Off.SS, ss);
  st.nzcv = spsr & 0xf000_0000;
  st.setLo(Off.DAIF, (spsr >>> 6) & 15);
  if (pe.hasPan) st.setLo(Off.PAN, (spsr >>> 22) & 1);
  if (illegal) {
    st.setLo(Off.IL, 1);
  } else {
    st.setLo(Off.IL, (spsr >>> 20) & 1);
    if (pe.hasSsbs) st.setLo(Off.SSBS, (spsr >>> 12) & 1);
    if (pe.hasBti) st.setLo(Off.BTYPE, (spsr >>> 10) & 3);
    if (pe.hasUao) st.setLo(Off.UAO, (spsr >>> 23) & 1);
    if (pe.hasDit) st.setLo(Off.DIT, (spsr >>> 24) & 1);
    switchSp(pe, target, spsr & 1);
  }
  st.setLo(Off.EXSIZE, 0);
  st.setLo(Off.EVENT, 1);
  pe.levelChanged(target === 0 ? undefined : pe.agentFor(target as 1 | 2 | 3, pe.security));
  branchAddress(pe, pcLo, pcHi);
  pe.hooks.returned?.(pe, el);
}

/** PC of a branch (AArch64.BranchAddr): the top byte is replaced when the regime ignores it for instruction addresses. */
export function branchAddress(pe: Pe, lo: number, hi: number): void {
  const upper = (hi >>> 23) & 1;
  const oneRange = (pe.tbi & 4) !== 0;
  if (oneRange ? (pe.tbi & 1) !== 0 : ((pe.tbi >>> upper) & 1) !== 0) {
    hi = upper && !oneRange ? (hi | 0xff00_0000) >>> 0 : hi & 0xff_ffff;
  }
  pe.st.setLoHi(Off.PC, lo, hi);
}

/** ERET: to ELR_ELx of the current level. */
export function eret(pe: Pe): void {
  const elr = ELR[pe.st.lo(Off.EL)] as number;
  exceptionReturn(pe, pe.st.lo(elr), pe.st.hi(elr));
}

/** Offset of ELR_ELx. */
export const elrSlot = (el: number): number => ELR[el] as number;
