// WFI, WFE, WFIT, WFET, SEV, SEVL, ESB (Arm ARM D1.6, facts C6).

import { Line, Off } from "../arch/layout.ts";
import { slot } from "../arch/state.ts";
import { Ec, WfxTi, wfxIss } from "../arch/syndrome.ts";
import { enterSync } from "./exceptions.ts";
import { clearVirtualSError, deliverable, SERROR_ISS, wakesWfi } from "./interrupts.ts";
import type { Pe } from "./pe.ts";
import { sctlrSlot } from "./sysreg-context.ts";

/** Which level traps the wait, 0 = none: SCTLR_ELx.nTWI/nTWE at EL0, then HCR_EL2.TWI/TWE, then SCR_EL3.TWI/TWE. */
export function waitTrap(pe: Pe, event: boolean): number {
  const el = pe.st.lo(Off.EL);
  if (el === 0 && pe.st.bit(sctlrSlot(pe, 0), event ? 18 : 16) === 0) return pe.tge ? 2 : 1;
  if (el < 2 && pe.el2On && !(el === 0 && pe.host) && pe.st.bit(slot.HCR_EL2, event ? 14 : 13) === 1) return 2;
  return el < 3 && pe.haveEl3 && pe.st.bit(slot.SCR_EL3, event ? 13 : 12) === 1 ? 3 : 0;
}

/** WFI, WFE, WFIT, WFET by `ti` (WfxTi). A wait that would end at once neither traps nor stops the PE. */
export function wait(pe: Pe, ti: number, insn: number): 0 | 1 {
  const st = pe.st;
  const event = ti === WfxTi.WFE || ti === WfxTi.WFET;
  const timed = ti === WfxTi.WFIT || ti === WfxTi.WFET;
  const rd = insn & 31;
  pe.timers.update();
  if (event && st.lo(Off.EVENT) !== 0) {
    st.setLo(Off.EVENT, 0);
    return pe.recheck();
  }
  if ((event ? deliverable(pe) !== 0 : wakesWfi(pe)) || (timed && pe.timers.virtualCount() >= st.x(rd))) return pe.recheck();
  const trap = waitTrap(pe, event);
  if (trap !== 0) {
    enterSync(pe, trap as 1 | 2 | 3, Ec.Wfx, wfxIss(ti, timed ? rd : undefined));
    return 1;
  }
  // While software step is active, a wait is a NOP.
  if (st.lo(Off.SS) !== 0) return 0;
  pe.startWait(event, timed ? st.x(rd) : undefined);
  return pe.redirectNext();
}

/** ESB: a pending masked SError is deferred into DISR_EL1, or VDISR_EL2 for a virtual one. */
export function esb(pe: Pe): 0 | 1 {
  const st = pe.st;
  if (!pe.features.has("RAS")) return 0;
  if ((st.lo(Off.DAIF) & 4) !== 0) {
    const lines = st.lo(Off.LINES) | pe.vlines;
    const virtual = st.lo(Off.EL) < 2 && pe.el2On && !pe.tge && (pe.hcrLo & (1 << 5)) !== 0;
    if (virtual && (lines & Line.VSERROR) !== 0) {
      st.setLoHi(slot.VDISR_EL2, (0x8000_0000 | (st.lo(slot.VSESR_EL2) & 0x1ff_ffff)) >>> 0, 0);
      clearVirtualSError(pe);
    } else if (!virtual && (lines & Line.SERROR) !== 0) {
      st.setLoHi(slot.DISR_EL1, (0x8000_0000 | SERROR_ISS) >>> 0, 0);
      st.setLo(Off.LINES, st.lo(Off.LINES) & ~Line.SERROR);
    }
  }
  return pe.recheck();
}
