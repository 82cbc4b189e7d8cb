// Self-hosted debug: when debug exceptions are enabled, software step, breakpoint and watchpoint matching (Arm ARM D2).
// The run loop asks `mode` when the context changes and, when it is not 0, calls the checks before each instruction or access.

import { BREAKPOINTS, CONTEXT_BREAKPOINTS, WATCHPOINTS } from "../arch/features.ts";
import { Off } from "../arch/layout.ts";
import { Security } from "../arch/security.ts";
import { slot } from "../arch/state.ts";
import { Ec } from "../arch/syndrome.ts";
import { enterSync, FAR } from "./exceptions.ts";
import type { Pe } from "./pe.ts";

const BCR = [slot.DBGBCR0_EL1, slot.DBGBCR1_EL1];
const BVR = [slot.DBGBVR0_EL1, slot.DBGBVR1_EL1];
const WCR = [slot.DBGWCR0_EL1, slot.DBGWCR1_EL1];
const WVR = [slot.DBGWVR0_EL1, slot.DBGWVR1_EL1];

/** Bits of Debug.mode. */
export const DebugMode = { Step: 1, Breakpoints: 2, Watchpoints: 4 } as const;
const MDSCR_SS = 1;
const MDSCR_KDE = 1 << 13;
const MDSCR_MDE = 1 << 15;
/** IFSC and DFSC of a debug exception. */
const FSC_DEBUG = 0x22;

export class Debug {
  private readonly pe: Pe;

  constructor(pe: Pe) {
    this.pe = pe;
  }

  /** Exception level that debug exceptions target: EL2 with TGE or MDCR_EL2.TDE, else EL1. */
  private target(): 1 | 2 {
    const pe = this.pe;
    return pe.el2On && (pe.tge || pe.st.bit(slot.MDCR_EL2, 8) === 1) ? 2 : 1;
  }

  /** Are breakpoint, watchpoint and step exceptions enabled from `el` with PSTATE.D = `d`? (AArch64.GenerateDebugExceptionsFrom) */
  enabledFrom(el: number, d: number): boolean {
    const pe = this.pe;
    const st = pe.st;
    if (el === 3 || (st.lo(slot.OSLSR_EL1) & 2) !== 0) return false;
    if (pe.haveEl3 && !pe.ns && st.bit(slot.MDCR_EL3, 16) === 1) return false;
    const target = this.target();
    if (el < target) return true;
    return el === target && (st.lo(slot.MDSCR_EL1) & MDSCR_KDE) !== 0 && d === 0;
  }

  private get enabledNow(): boolean {
    const st = this.pe.st;
    return this.enabledFrom(st.lo(Off.EL), (st.lo(Off.DAIF) >>> 3) & 1);
  }

  /** What has to be checked at the current Exception level: bits of DebugMode. */
  get mode(): number {
    const st = this.pe.st;
    const mdscr = st.lo(slot.MDSCR_EL1);
    if ((mdscr & (MDSCR_SS | MDSCR_MDE)) === 0 || !this.enabledNow) return 0;
    let mode = mdscr & MDSCR_SS ? DebugMode.Step : 0;
    if ((mdscr & MDSCR_MDE) === 0) return mode;
    for (const r of BCR) if (st.lo(r) & 1) mode |= DebugMode.Breakpoints;
    for (const r of WCR) if (st.lo(r) & 1) mode |= DebugMode.Watchpoints;
    return mode;
  }

  /** PSTATE.SS after an exception return to `target` with `spsr` (DebugExceptionReturnSS). */
  returnStep(spsr: number, target: number): number {
    const st = this.pe.st;
    if ((st.lo(slot.MDSCR_EL1) & MDSCR_SS) === 0 || this.enabledNow) return 0;
    return this.enabledFrom(target, (spsr >>> 9) & 1) ? (spsr >>> 21) & 1 : 0;
  }

  /**
   * Software step, before an instruction: true when the step exception was taken. `stepped`: the previous instruction was executed
   * as a step (ISV), `exclusive`: and was a load-exclusive (EX).
   */
  takeStep(stepped: boolean, exclusive: boolean): boolean {
    const st = this.pe.st;
    if ((st.lo(slot.MDSCR_EL1) & MDSCR_SS) === 0 || st.lo(Off.SS) === 1 || !this.enabledNow) return false;
    this.take(Ec.SoftwareStep, FSC_DEBUG | (stepped ? 1 << 24 : 0) | (exclusive ? 1 << 6 : 0));
    return true;
  }

  /** Breakpoints, before an instruction: true when the exception was taken. */
  takeBreakpoint(): boolean {
    const st = this.pe.st;
    const pc = st.get(Off.PC);
    for (let n = 0; n < BREAKPOINTS; n++) {
      if (!this.breakpointMatches(n, pc, false)) continue;
      this.take(Ec.Breakpoint, FSC_DEBUG);
      return true;
    }
    return false;
  }

  /** Watchpoints, for an access of `size` bytes at `va` by privilege level `el`: true when the exception was taken. */
  takeWatchpoint(va: bigint, size: number, read: boolean, write: boolean, el: number, maintenance: boolean): boolean {
    for (let n = 0; n < WATCHPOINTS; n++) {
      const wcr = this.pe.st.lo(WCR[n] as number);
      if (!this.watchpointMatches(n, wcr, va, size, read, write, el)) continue;
      const wnr = maintenance || !(read && (wcr & (1 << 3)) !== 0) ? 1 << 6 : 0;
      this.pe.st.set(FAR[this.takenTo()] as number, va);
      this.take(Ec.Watchpoint, FSC_DEBUG | wnr | (maintenance ? 1 << 8 : 0));
      return true;
    }
    return false;
  }

  private takenTo(): 1 | 2 {
    return this.pe.st.lo(Off.EL) === 2 ? 2 : this.target();
  }
  private take(ec: number, iss: number): void {
    const target = this.takenTo();
    enterSync(this.pe, target, ec | (this.pe.st.lo(Off.EL) === target ? 1 : 0), iss);
  }

  /** HMC, SSC, PMC/PAC: does the entry apply at `el` in the current Security state? (facts A4) */
  private stateMatches(control: number, el: number): boolean {
    const p = (control >>> 1) & 3;
    const hmc = (control >>> 13) & 1;
    const ssc = (control >>> 14) & 3;
    const ssce = (control >>> 29) & 1;
    if (el === 0 ? (p & 2) === 0 : el === 1 ? (p & 1) === 0 : !(hmc === 1 && !(ssc === 2 && p === 0)) && ssc !== 3) return false;
    const security = this.pe.security;
    if (ssce === 1) return ssc === 1 && security === Security.Realm;
    if (ssc === 0) return true;
    if (ssc === 1) return security === Security.NonSecure;
    if (ssc === 2) return security === Security.Secure;
    return hmc === 1 ? security !== Security.Root : security === Security.Secure;
  }

  private breakpointMatches(n: number, pc: bigint, linked: boolean): boolean {
    const st = this.pe.st;
    const bcr = st.lo(BCR[n] as number);
    if ((bcr & 1) === 0) return false;
    const type = (bcr >>> 20) & 15;
    const isContext = type >= 2;
    if (linked !== (isContext && (type & 1) === 1)) return false;
    if (!linked && !this.stateMatches(bcr, st.lo(Off.EL))) return false;
    if (isContext) return n >= BREAKPOINTS - CONTEXT_BREAKPOINTS && this.contextMatches(type & 14, BVR[n] as number);
    if (type === 1) {
      const lbn = (bcr >>> 16) & 15;
      if (lbn >= BREAKPOINTS || !this.breakpointMatches(lbn, pc, true)) return false;
    }
    return BigInt.asUintN(55, (pc >> 2n) << 2n) === BigInt.asUintN(55, st.get(BVR[n] as number));
  }

  /** Context types: 2 context, 6 CONTEXTIDR_EL1, 8 VMID, 10 both, 12 CONTEXTIDR_EL2, 14 both context registers. */
  private contextMatches(type: number, bvr: number): boolean {
    const pe = this.pe;
    const st = pe.st;
    const el = st.lo(Off.EL);
    const host = pe.host || (el === 2 && pe.e2h);
    const id1 = st.lo(slot.CONTEXTIDR_EL1) === st.lo(bvr);
    const id2 = pe.el2On && st.lo(slot.CONTEXTIDR_EL2) === (type === 2 ? st.lo(bvr) : st.hi(bvr));
    const vs = st.bit(slot.VTCR_EL2, 19) === 1;
    const vmid = el < 2 && pe.el2On && !host && st.hi(slot.VTTBR_EL2) >>> 16 === (st.hi(bvr) & (vs ? 0xffff : 0xff));
    switch (type) {
      case 2:
        return host ? id2 : el < 2 && id1;
      case 6:
        return el < 2 && !host && id1;
      case 8:
        return vmid;
      case 10:
        return vmid && id1;
      case 12:
        return id2;
      case 14:
        return el < 2 && !host && id1 && id2;
      default:
        return false;
    }
  }

  private watchpointMatches(n: number, wcr: number, va: bigint, size: number, read: boolean, write: boolean, el: number): boolean {
    if ((wcr & 1) === 0 || !this.stateMatches(wcr, el)) return false;
    if (!((read && (wcr & (1 << 3)) !== 0) || (write && (wcr & (1 << 4)) !== 0))) return false;
    if ((wcr & (1 << 20)) !== 0) {
      const lbn = (wcr >>> 16) & 15;
      if (lbn >= BREAKPOINTS || !this.breakpointMatches(lbn, 0n, true)) return false;
    }
    const wvr = this.pe.st.get(WVR[n] as number);
    const mask = (wcr >>> 24) & 31;
    if (mask === 1 || mask === 2) return false;
    const bas = (wcr >>> 5) & 0xff;
    const top = (x: bigint, low: number): bigint => BigInt.asUintN(55, x) >> BigInt(low);
    for (let i = 0; i < size; i++) {
      const a = va + BigInt(i);
      if (mask > 2) {
        if (top(a, mask) === top(wvr, mask)) return true;
      } else if (
        (wvr & 4n) !== 0n
          ? top(a, 2) === top(wvr, 2) && (bas >>> Number(a & 3n)) & 1
          : top(a, 3) === top(wvr, 3) && (bas >>> Number(a & 7n)) & 1
      ) {
        return true;
      }
    }
    return false;
  }
}
