// MRS, MSR (register) and MSR (immediate).

import { Off } from "../arch/layout.ts";
import { keyText, registerName } from "../arch/registers/index.ts";
import { slot } from "../arch/state.ts";
import { Ec, sysIss } from "../arch/syndrome.ts";
import { enterSync, switchSp, undefinedInstruction } from "./exceptions.ts";
import type { Pe } from "./pe.ts";
import { checkAccess, inIdSpace, OK, redirect, type SysReg, UNDEF } from "./sysreg-access.ts";
import { FpTrap, sctlrSlot } from "./sysreg-context.ts";
import { setDaif, setPan, setUao } from "./sysreg-special.ts";
import { fpAccessTrap } from "./system-traps.ts";

/** Takes the exception of a refused access: UNDEFINED, or a trap with EC 0x18. */
export function refuse(pe: Pe, verdict: number, insn: number, key: number): 1 {
  if (verdict === UNDEF) {
    // FEAT_IDST: reads of the ID space from EL0 are reported as trapped system register accesses.
    if (pe.st.lo(Off.EL) === 0 && (insn & (1 << 21)) !== 0 && inIdSpace(key) && pe.features.has("IDST")) {
      enterSync(pe, pe.tge ? 2 : 1, Ec.SystemRegister, sysIss(insn));
    } else undefinedInstruction(pe);
  } else enterSync(pe, verdict as 1 | 2 | 3, Ec.SystemRegister, sysIss(insn));
  return 1;
}

/** An encoding that no register or instruction of this PE has: traps of the IMPLEMENTATION DEFINED space, else UNDEFINED, named once. */
export function unallocated(pe: Pe, insn: number, key: number): 1 {
  const crn = (key >> 7) & 15;
  const el = pe.st.lo(Off.EL);
  if (key >> 14 !== 2 && (crn === 11 || crn === 15) && el < 2) {
    if (el === 0 && pe.features.has("TIDCP1") && pe.st.bit(sctlrSlot(pe, 0), 63) === 1) {
      return refuse(pe, pe.tge ? 2 : 1, insn, key);
    }
    if (pe.el2On && !(el === 0 && pe.host) && pe.st.bit(slot.HCR_EL2, 20) === 1) return refuse(pe, 2, insn, key);
  }
  pe.nameOnce(
    key,
    () => `UNDEFINED system register ${keyText(key)} (${registerName(key) ?? "unknown"}) at EL${el}, PC 0x${pe.st.pc.toString(16)}`,
  );
  return refuse(pe, UNDEF, insn, key);
}

/** The register of an instruction word and whether the access may proceed; undefined when an exception was taken. */
function access(pe: Pe, insn: number, write: boolean): SysReg | undefined {
  const key = (insn >>> 5) & 0xffff;
  const index = pe.regs.byKey[key] as number;
  if (index === 0) {
    unallocated(pe, insn, key);
    return undefined;
  }
  const el = pe.st.lo(Off.EL);
  const named = pe.regs.all[index - 1] as SysReg;
  const r = redirect(pe, named, el);
  let verdict = checkAccess(pe, el === 0 ? named : r, el, write);
  if (verdict === OK && r.record.effect === "gic") {
    verdict = pe.gic === undefined || !pe.gic.has(r.name) ? UNDEF : pe.gic.access(r.name, write);
  } else if (verdict === OK && r.record.effect === "pmu") verdict = pe.pmu.access(r.name);
  if (verdict !== OK) {
    refuse(pe, verdict, insn, key);
    return undefined;
  }
  if (r.fp && pe.st.lo(Off.FPTRAP) !== FpTrap.None) {
    fpAccessTrap(pe);
    return undefined;
  }
  return r;
}

/** Value of a register, left in pe.resLo and pe.resHi, with no access check. */
export function readRegister(pe: Pe, r: SysReg): void {
  if (r.readFn !== undefined) r.readFn(pe, r);
  else {
    pe.resLo = pe.st.lo(r.slot);
    pe.resHi = pe.st.hi(r.slot);
  }
}

/** Writes a register with its effects, with no access check. */
export function writeRegister(pe: Pe, r: SysReg, lo: number, hi: number): void {
  if (r.record.effect === "controls" && pe.pmu.active) pe.pmu.sync();
  if (r.writeFn !== undefined) r.writeFn(pe, r, lo, hi);
  else pe.st.setLoHi(r.slot, ((lo & r.wLo) | r.oLo) >>> 0, ((hi & r.wHi) | r.oHi) >>> 0);
  switch (r.record.effect) {
    case "controls":
      pe.controlsChanged();
      pe.st.setLo(Off.RESYNC, 1);
      break;
    case "tables":
      pe.mmu.contextChanged();
      pe.st.setLo(Off.RESYNC, 1);
      break;
    default:
  }
}

/** MRS Xt, register. */
export function mrs(pe: Pe, insn: number): 0 | 1 {
  const r = access(pe, insn, false);
  if (r === undefined) return 1;
  readRegister(pe, r);
  const rt = insn & 31;
  if (rt !== 31) pe.st.setLoHi(Off.X + 8 * rt, pe.resLo, pe.resHi);
  // Acknowledging an interrupt changes the lines.
  return r.record.effect === "gic" ? pe.recheck() : 0;
}

/** MSR register, Xt. */
export function msr(pe: Pe, insn: number): 0 | 1 {
  const r = access(pe, insn, true);
  if (r === undefined) return 1;
  const at = Off.X + 8 * (insn & 31);
  writeRegister(pe, r, pe.st.lo(at), pe.st.hi(at));
  // After a change of the translation regime the next instruction is fetched anew.
  return r.record.effect === "controls" ? pe.redirectNext() : pe.recheck();
}

/** MSR field, #imm. */
export function msrImmediate(pe: Pe, insn: number): 0 | 1 {
  const imm = (insn >>> 8) & 15;
  const field = (((insn >>> 16) & 7) << 3) | ((insn >>> 5) & 7);
  const privileged = pe.st.lo(Off.EL) !== 0;
  switch (field) {
    case 0o03:
      if (!privileged || !pe.hasUao) break;
      setUao(pe, imm & 1);
      return 0;
    case 0o04:
      if (!privileged || !pe.hasPan) break;
      setPan(pe, imm & 1);
      return 0;
    case 0o05:
      if (!privileged) break;
      switchSp(pe, pe.st.lo(Off.EL), imm & 1);
      return 0;
    case 0o31:
      if (!pe.hasSsbs) break;
      pe.st.setLo(Off.SSBS, imm & 1);
      return 0;
    case 0o32:
      if (!pe.hasDit) break;
      pe.st.setLo(Off.DIT, imm & 1);
      return 0;
    case 0o36:
    case 0o37: {
      if (!privileged && (pe.host || pe.st.bit(slot.SCTLR_EL1, 9) === 0)) return refuse(pe, pe.tge ? 2 : 1, insn, 0);
      const daif = pe.st.lo(Off.DAIF);
      setDaif(pe, field === 0o36 ? daif | imm : daif & ~imm);
      return field === 0o36 ? 0 : pe.recheck();
    }
    default:
  }
  undefinedInstruction(pe);
  return 1;
}
