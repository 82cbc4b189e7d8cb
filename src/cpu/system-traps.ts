// Exception-generating instructions and the traps that generated code reports: SVC, HVC, SMC, BRK, ERET, FP and PAuth traps.

import { Off } from "../arch/layout.ts";
import { slot } from "../arch/state.ts";
import { Ec, FP_TRAP_ISS } from "../arch/syndrome.ts";
import { Vector } from "./agent.ts";
import { defaultTarget, elrSlot, enter, enterSync, eret, exceptionReturn, undefinedInstruction } from "./exceptions.ts";
import type { Pe } from "./pe.ts";
import { FpTrap, pauthTrapTarget } from "./sysreg-context.ts";

const imm16 = (insn: number): number => (insn >>> 5) & 0xffff;

/** SVC: to EL1, or EL2 with TGE; HFGITR_EL2.SVC_EL0 and SVC_EL1 trap it to EL2 before it executes. */
export function svc(pe: Pe, insn: number): 1 {
  const el = pe.st.lo(Off.EL);
  if (el < 2 && pe.fgt && pe.el2On && !(el === 0 && pe.host) && pe.st.bit(slot.HFGITR_EL2, 52 + el) === 1) {
    enterSync(pe, 2, Ec.Svc, imm16(insn));
  } else enter(pe, defaultTarget(pe), Vector.Sync, Ec.Svc, imm16(insn), 4);
  return 1;
}

/** HVC: to EL2 (EL3 from EL3). SCR_EL3.HCE enables it; HCR_EL2.HCD disables it on a PE without EL3. */
export function hvc(pe: Pe, insn: number): 1 {
  const el = pe.st.lo(Off.EL);
  const enabled = pe.haveEl3 ? pe.st.bit(slot.SCR_EL3, 8) === 1 : pe.st.bit(slot.HCR_EL2, 29) === 0;
  if (el === 0 || (el === 1 && !pe.el2On) || !enabled) undefinedInstruction(pe);
  else enter(pe, el === 3 ? 3 : 2, Vector.Sync, Ec.Hvc, imm16(insn), 4);
  return 1;
}

/** SMC: HCR_EL2.TSC traps it from EL1 to EL2; else to EL3 unless SCR_EL3.SMD; UNDEFINED at EL0 and without EL3. */
export function smc(pe: Pe, insn: number): 1 {
  const el = pe.st.lo(Off.EL);
  if (el === 1 && pe.el2On && pe.st.bit(slot.HCR_EL2, 19) === 1) enterSync(pe, 2, Ec.Smc, imm16(insn));
  else if (el === 0 || !pe.haveEl3 || pe.st.bit(slot.SCR_EL3, 7) === 1) undefinedInstruction(pe);
  else enter(pe, 3, Vector.Sync, Ec.Smc, imm16(insn), 4);
  return 1;
}

/** BRK: a debug exception to the default level, or EL2 with MDCR_EL2.TDE. */
export function brk(pe: Pe, insn: number): 1 {
  const routed = pe.st.lo(Off.EL) < 2 && pe.el2On && pe.st.bit(slot.MDCR_EL2, 8) === 1;
  enterSync(pe, routed ? 2 : defaultTarget(pe), Ec.Brk, imm16(insn));
  return 1;
}

/** FP or SIMD instruction (or register) while Off.FPTRAP != 0. */
export function fpAccessTrap(pe: Pe): void {
  const who = pe.st.lo(Off.FPTRAP);
  if (who === FpTrap.El2Unknown) enterSync(pe, 2, Ec.Unknown, 0);
  else enterSync(pe, who as 1 | 2 | 3, Ec.FpAccess, FP_TRAP_ISS);
}

/** Key that a pointer authentication instruction uses: bit 0 = B, bit 1 = data; -1 = PACGA. */
function pauthKey(insn: number): number {
  if ((insn & 0xffe0_fc00) >>> 0 === 0x9ac0_3000) return -1;
  if ((insn & 0xffff_c000) >>> 0 === 0xdac1_0000) return (insn >>> 10) & 3; // PACxx, AUTxx: register forms
  if ((insn & 0xffff_f01f) >>> 0 === 0xd503_201f) return (insn >>> 6) & 1; // hint forms
  if ((insn & 0xff20_0400) >>> 0 === 0xf820_0400) return 2 | ((insn >>> 23) & 1); // LDRAA, LDRAB
  return (insn >>> 10) & 1; // BRA, BLRA, RETA, ERETA
}

/** Is the instruction a branch or load that does more than sign or authenticate? */
const isCombined = (insn: number): boolean => (insn & 0xffff_c000) >>> 0 !== 0xdac1_0000 && (insn & 0xffff_f01f) >>> 0 !== 0xd503_201f;

/** Off.PAUTH said that pointer authentication traps: with a disabled key the instruction is a NOP instead. */
export function pauthTrap(pe: Pe, insn: number): 0 | 1 {
  const target = pauthTrapTarget(pe, pe.st.lo(Off.EL));
  const key = pauthKey(insn);
  const bit = key < 0 ? 0 : key;
  if (target === 0 || (key >= 0 && !isCombined(insn) && ((pe.st.lo(Off.PAUTH) >>> bit) & 1) === 0)) return 0;
  enterSync(pe, target as 2 | 3, Ec.PauthTrap, 0);
  return 1;
}

/** FEAT_FPAC: authentication failed. */
export function pacFail(pe: Pe, insn: number): 1 {
  enterSync(pe, defaultTarget(pe), Ec.PacFail, pauthKey(insn) & 3);
  return 1;
}

/** ERET, and ERETAA / ERETAB with `key` 0 / 1. UNDEFINED at EL0; HFGITR_EL2.ERET traps it from EL1. */
export function exceptionReturnInstruction(pe: Pe, key: 0 | 1 | undefined): 1 {
  const st = pe.st;
  const el = st.lo(Off.EL);
  if (el === 0) {
    undefinedInstruction(pe);
    return 1;
  }
  if (el === 1 && pe.fgt && pe.el2On && st.bit(slot.HFGITR_EL2, 51) === 1) {
    enterSync(pe, 2, Ec.Eret, key === undefined ? 0 : 2 | key);
    return 1;
  }
  if (key === undefined || ((st.lo(Off.PAUTH) >>> key) & 1) === 0) {
    eret(pe);
    return 1;
  }
  const trap = pauthTrapTarget(pe, el);
  if (trap !== 0) {
    enterSync(pe, trap as 2 | 3, Ec.PauthTrap, 0);
    return 1;
  }
  const target = authenticate(pe, st.get(elrSlot(el)), st.sp, key);
  if (target === undefined) enterSync(pe, defaultTarget(pe), Ec.PacFail, key);
  else exceptionReturn(pe, Number(target & 0xffff_ffffn), Number(target >> 32n));
  return 1;
}

/** Authenticates an instruction address (FEAT_PAuth2): the address without PAC, or undefined when the PAC is wrong. */
function authenticate(pe: Pe, pointer: bigint, modifier: bigint, key: 0 | 1): bigint | undefined {
  const BIT55 = 1n << 55n;
  const upper = (pointer & BIT55) !== 0n;
  const mask = pe.st.get(upper ? Off.PACMASK1 : Off.PACMASK0);
  const original = upper ? pointer | mask | BIT55 : pointer & ~(mask | BIT55);
  const code = pe.hooks.pac(original, modifier, key ? slot.APIBKEYLO_EL1 : slot.APIAKEYLO_EL1) & mask;
  return (pointer ^ code) === original ? original : undefined;
}
