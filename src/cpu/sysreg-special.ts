// System registers that are more than storage: what a read returns and what a write does. Everything else is a masked copy.

import { Off } from "../arch/layout.ts";
import type { RegName } from "../arch/registers/encodings.ts";
import { slot } from "../arch/state.ts";
import { switchSp } from "./exceptions.ts";
import { isrValue } from "./interrupts.ts";
import type { Pe } from "./pe.ts";
import type { SysReg } from "./sysreg-access.ts";
import { sctlrSlot, zvaAllowed } from "./sysreg-context.ts";
import { TimerPart, timerNames } from "./timers.ts";

/** Leaves the value in pe.resLo and pe.resHi. */
export type ReadFn = (pe: Pe, r: SysReg) => void;
/** Performs a write of hi:lo. Effects that the record's class names (controls, tables) follow afterwards. */
export type WriteFn = (pe: Pe, r: SysReg, lo: number, hi: number) => void;

function result(pe: Pe, lo: number, hi = 0): void {
  pe.resLo = lo >>> 0;
  pe.resHi = hi >>> 0;
}
function result64(pe: Pe, v: bigint): void {
  pe.resLo = Number(v & 0xffff_ffffn);
  pe.resHi = Number(v >> 32n) >>> 0;
}
const toBig = (lo: number, hi: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
const storage = (pe: Pe, at: number): void => result(pe, pe.st.lo(at), pe.st.hi(at));
const guest = (pe: Pe): boolean => pe.st.lo(Off.EL) === 1 && pe.el2On;

/** CCSIDR_EL1 by CSSELR_EL1: L1 data and instruction 32 KiB 4-way, L2 unified 1 MiB 16-way, 64-byte lines; other levels are absent. */
const caches: Record<number, number> = { 0: 0x000f_e01a, 1: 0x000f_e01a, 2: 0x007f_e07a };

const reads: Partial<Record<RegName, ReadFn>> = {
  MIDR_EL1: (pe) => storage(pe, guest(pe) ? slot.VPIDR_EL2 : slot.MIDR_EL1),
  MPIDR_EL1: (pe) => storage(pe, guest(pe) ? slot.VMPIDR_EL2 : slot.MPIDR_EL1),
  CCSIDR_EL1: (pe) => result(pe, caches[pe.st.lo(slot.CSSELR_EL1) & 15] ?? 0),
  // DZP: the ZVA instruction is prohibited at this level.
  DCZID_EL0: (pe) => {
    const el = pe.st.lo(Off.EL);
    result(pe, pe.st.lo(slot.DCZID_EL0) | (zvaAllowed(pe, el, sctlrSlot(pe, el)) ? 0 : 16));
  },
  ISR_EL1: (pe) => result(pe, isrValue(pe)),
  DISR_EL1: (pe) => storage(pe, disr(pe)),
  SPSel: (pe) => result(pe, pe.st.lo(Off.SPSEL)),
  CurrentEL: (pe) => result(pe, pe.st.lo(Off.EL) << 2),
  PAN: (pe) => result(pe, pe.st.lo(Off.PAN) << 22),
  UAO: (pe) => result(pe, pe.st.lo(Off.UAO) << 23),
  DIT: (pe) => result(pe, pe.st.lo(Off.DIT) << 24),
  SSBS: (pe) => result(pe, pe.st.lo(Off.SSBS) << 12),
  NZCV: (pe) => result(pe, pe.st.nzcv),
  DAIF: (pe) => result(pe, pe.st.lo(Off.DAIF) << 6),
  FPCR: (pe) => result(pe, pe.st.lo(Off.FPCR)),
  FPSR: (pe) => result(pe, pe.st.lo(Off.FPSR)),
  RNDR: random,
  RNDRRS: random,
  CNTPCT_EL0: (pe) => result64(pe, pe.timers.physicalCount()),
  CNTPCTSS_EL0: (pe) => result64(pe, pe.timers.physicalCount()),
  CNTVCT_EL0: (pe) => result64(pe, pe.timers.virtualCount()),
  CNTVCTSS_EL0: (pe) => result64(pe, pe.timers.virtualCount()),
  // All eight claim tags exist: SET reads as ones, CLR reads the tags.
  DBGCLAIMSET_EL1: (pe) => result(pe, 0xff),
  DBGCLAIMCLR_EL1: (pe) => result(pe, pe.st.lo(slot.DBGCLAIMSET_EL1)),
};

/** RNDR and RNDRRS: a number, and NZCV = 0000 for success. */
function random(pe: Pe): void {
  result(pe, pe.random32(), pe.random32());
  pe.st.nzcv = 0;
}

/** DISR_EL1 is VDISR_EL2 for a guest whose SErrors are virtual. */
const disr = (pe: Pe): number => (guest(pe) && (pe.hcrLo & (1 << 5)) !== 0 ? slot.VDISR_EL2 : slot.DISR_EL1);

const writes: Partial<Record<RegName, WriteFn>> = {
  DISR_EL1: (pe, _r, lo) => pe.st.setLoHi(disr(pe), lo & 0x81ff_ffff, 0),
  SPSel: (pe, _r, lo) => switchSp(pe, pe.st.lo(Off.EL), lo & 1),
  PAN: (pe, _r, lo) => setPan(pe, (lo >>> 22) & 1),
  UAO: (pe, _r, lo) => setUao(pe, (lo >>> 23) & 1),
  DIT: (pe, _r, lo) => pe.st.setLo(Off.DIT, (lo >>> 24) & 1),
  SSBS: (pe, _r, lo) => pe.st.setLo(Off.SSBS, (lo >>> 12) & 1),
  NZCV: (pe, _r, lo) => {
    pe.st.nzcv = lo;
  },
  DAIF: (pe, _r, lo) => setDaif(pe, (lo >>> 6) & 15),
  FPCR: (pe, r, lo) => pe.st.setLo(Off.FPCR, lo & r.wLo),
  FPSR: (pe, r, lo) => pe.st.setLo(Off.FPSR, lo & r.wLo),
  CPTR_EL2: (pe, _r, lo) => {
    // Two layouts: CPACR_EL1's with E2H = 1; otherwise TFP and TCPAC with RES1 bits 13, 12, 9, 8 and 7:0.
    pe.st.setLoHi(slot.CPTR_EL2, pe.e2h ? lo & 0x8030_0000 : (lo & 0x8000_0400) | 0x33ff, 0);
  },
  OSLAR_EL1: (pe, _r, lo) => pe.st.setLoHi(slot.OSLSR_EL1, (pe.st.lo(slot.OSLSR_EL1) & ~2) | ((lo & 1) << 1), 0),
  DBGCLAIMSET_EL1: (pe, _r, lo) => pe.st.setLoHi(slot.DBGCLAIMSET_EL1, pe.st.lo(slot.DBGCLAIMSET_EL1) | (lo & 0xff), 0),
  DBGCLAIMCLR_EL1: (pe, _r, lo) => pe.st.setLoHi(slot.DBGCLAIMSET_EL1, pe.st.lo(slot.DBGCLAIMSET_EL1) & ~(lo & 0xff), 0),
  CNTKCTL_EL1: timerControl,
  CNTHCTL_EL2: timerControl,
  CNTVOFF_EL2: timerOffset,
  CNTPOFF_EL2: timerOffset,
  GPCCR_EL3: granuleProtection,
  GPTBR_EL3: granuleProtection,
  GPCBW_EL3: granuleProtection,
};

function timerControl(pe: Pe, r: SysReg, lo: number): void {
  pe.st.setLoHi(r.slot, lo & r.wLo, 0);
  pe.timers.update();
}
function timerOffset(pe: Pe, r: SysReg, lo: number, hi: number): void {
  pe.st.setLoHi(r.slot, lo, hi);
  pe.timers.update();
}

/** Writes PSTATE.PAN: which pages privileged code may touch changes. */
export function setPan(pe: Pe, pan: number): void {
  if (pe.st.lo(Off.PAN) === pan) return;
  pe.st.setLo(Off.PAN, pan);
  pe.mmu.contextChanged();
}
/** Writes PSTATE.UAO: unprivileged loads and stores change. */
export function setUao(pe: Pe, uao: number): void {
  if (pe.st.lo(Off.UAO) === uao) return;
  pe.st.setLo(Off.UAO, uao);
  pe.mmu.contextChanged();
}
/** Writes PSTATE.{D,A,I,F}, as in Off.DAIF. */
export function setDaif(pe: Pe, daif: number): void {
  pe.st.setLo(Off.DAIF, daif);
}

/** GPCCR_EL3, GPTBR_EL3, GPCBW_EL3: what they say is part of every TLB entry of this PE. L0GPTSZ of GPCCR_EL3 is read-only. */
function granuleProtection(pe: Pe, r: SysReg, lo: number, hi: number): void {
  const { st } = pe;
  const keep = r.target === "GPCCR_EL3" ? st.lo(r.slot) & 0x00f0_0000 : 0;
  const newLo = ((lo & r.wLo) | keep) >>> 0;
  const newHi = (hi & r.wHi) >>> 0;
  if (newLo === st.lo(r.slot) && newHi === st.hi(r.slot)) return;
  st.setLoHi(r.slot, newLo, newHi);
  pe.mmu.flushAll();
}

const partOf: Record<string, number> = { TVAL: TimerPart.TVAL, CTL: TimerPart.CTL, CVAL: TimerPart.CVAL };

/** Timer and part that a register name means, for example CNTHP_CTL_EL2. */
function timerOf(name: RegName): { n: number; part: number } | undefined {
  const m = /^(CNT\w*?)_(TVAL|CTL|CVAL)_EL\d$/.exec(name);
  const n = m === null ? -1 : timerNames.indexOf(m[1] as string);
  return n < 0 ? undefined : { n, part: partOf[m?.[2] as string] as number };
}

/** Special read behaviour of a register, if any. */
export function specialRead(r: SysReg): ReadFn | undefined {
  const timer = timerOf(r.target);
  if (timer !== undefined) return (pe) => result64(pe, pe.timers.read(timer.n, timer.part));
  if (r.record.effect === "gic") return (pe) => result64(pe, pe.gic?.read(r.name) ?? 0n);
  if (r.record.effect === "pmu") return (pe) => result64(pe, pe.pmu.read(r.name));
  return reads[r.target];
}

/** Special write behaviour of a register, if any. */
export function specialWrite(r: SysReg): WriteFn | undefined {
  const timer = timerOf(r.target);
  if (timer !== undefined) return (pe, _r, lo, hi) => pe.timers.write(timer.n, timer.part, toBig(lo, hi));
  if (r.record.effect === "gic") return (pe, _r, lo, hi) => pe.gic?.write(r.name, toBig(lo, hi));
  if (r.record.effect === "pmu") return (pe, _r, lo, hi) => pe.pmu.write(r.name, toBig(lo, hi));
  return writes[r.target];
}
