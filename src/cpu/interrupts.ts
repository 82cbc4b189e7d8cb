// Which interrupt the PE takes next: routing and masks of physical and virtual interrupts (Arm ARM D1.3.5, D1.3.6).

import { Line, Off } from "../arch/layout.ts";
import { slot } from "../arch/state.ts";
import { Ec } from "../arch/syndrome.ts";
import { Vector } from "./agent.ts";
import { enter } from "./exceptions.ts";
import type { Pe } from "./pe.ts";

/** PSTATE bits as in Off.DAIF. */
const PSTATE_F = 1;
const PSTATE_I = 2;
const PSTATE_A = 4;
/** HCR_EL2 bits: FMO, IMO, AMO. */
const FMO = 1 << 3;
const IMO = 1 << 4;
const AMO = 1 << 5;

/** Level that takes a physical interrupt given its SCR_EL3 and HCR_EL2 routing bits. */
function physicalTarget(pe: Pe, scr: number, hcr: number): 1 | 2 | 3 {
  if (pe.haveEl3 && (pe.scrLo & scr) !== 0) return 3;
  return pe.el2On && (pe.tge || (pe.hcrLo & hcr) !== 0) ? 2 : 1;
}

/** Can a physical interrupt for `target` be taken now? PSTATE does not mask what goes up to EL3, or to EL2 that is not the host of EL0. */
function unmasked(pe: Pe, target: number, pstate: number): boolean {
  const el = pe.st.lo(Off.EL);
  if (target < el) return false;
  if (target > el && target > 1 && !(target === 2 && pe.host)) return true;
  // FEAT_DoubleFault: SCR_EL3.{EA,NMEA} = {1,1} makes SErrors at EL3 unmaskable.
  if (el === 3 && pstate === PSTATE_A && (pe.scrLo & (1 << 20)) !== 0) return true;
  return (pe.st.lo(Off.DAIF) & pstate) === 0;
}

/** A virtual interrupt can be taken at EL0 and EL1 while its routing bit is set and TGE is not. */
function virtualUnmasked(pe: Pe, hcr: number, pstate: number): boolean {
  return pe.st.lo(Off.EL) < 2 && pe.el2On && !pe.tge && (pe.hcrLo & hcr) !== 0 && (pe.st.lo(Off.DAIF) & pstate) === 0;
}

/** The line (bit of `Line`) that would be taken now, or 0. Physical before virtual, FIQ before IRQ before SError. */
export function deliverable(pe: Pe): number {
  const lines = pe.st.lo(Off.LINES) | pe.vlines;
  if (lines === 0) return 0;
  if ((lines & Line.FIQ) !== 0 && unmasked(pe, physicalTarget(pe, 4, FMO), PSTATE_F)) return Line.FIQ;
  if ((lines & Line.IRQ) !== 0 && unmasked(pe, physicalTarget(pe, 2, IMO), PSTATE_I)) return Line.IRQ;
  if ((lines & Line.SERROR) !== 0 && unmasked(pe, physicalTarget(pe, 8, AMO), PSTATE_A)) return Line.SERROR;
  if ((lines & Line.VFIQ) !== 0 && virtualUnmasked(pe, FMO, PSTATE_F)) return Line.VFIQ;
  if ((lines & Line.VIRQ) !== 0 && virtualUnmasked(pe, IMO, PSTATE_I)) return Line.VIRQ;
  if ((lines & Line.VSERROR) !== 0 && virtualUnmasked(pe, AMO, PSTATE_A)) return Line.VSERROR;
  return 0;
}

/**
 * Could the PE take an IRQ or FIQ, physical or virtual, in its present state, were one to come? SErrors do not count: no device of
 * the machine raises any, and the virtual one is there as soon as it is asked for.
 */
export function interruptible(pe: Pe): boolean {
  const physical = unmasked(pe, physicalTarget(pe, 4, FMO), PSTATE_F) || unmasked(pe, physicalTarget(pe, 2, IMO), PSTATE_I);
  return physical || virtualUnmasked(pe, FMO, PSTATE_F) || virtualUnmasked(pe, IMO, PSTATE_I) || deliverable(pe) !== 0;
}

/** Takes the interrupt that `deliverable` names. PC must hold the next instruction to execute. */
export function takeInterrupt(pe: Pe, line: number): void {
  switch (line) {
    case Line.FIQ:
      enter(pe, physicalTarget(pe, 4, FMO), Vector.Fiq, 0, 0, 0);
      return;
    case Line.IRQ:
      enter(pe, physicalTarget(pe, 2, IMO), Vector.Irq, 0, 0, 0);
      return;
    case Line.VFIQ:
      enter(pe, 1, Vector.Fiq, 0, 0, 0);
      return;
    case Line.VIRQ:
      enter(pe, 1, Vector.Irq, 0, 0, 0);
      return;
    case Line.SERROR:
      pe.st.setLo(Off.LINES, pe.st.lo(Off.LINES) & ~Line.SERROR);
      enter(pe, physicalTarget(pe, 8, AMO), Vector.SError, Ec.SError, SERROR_ISS, 0);
      return;
    default:
      clearVirtualSError(pe);
      enter(pe, 1, Vector.SError, Ec.SError, pe.features.has("RAS") ? pe.st.lo(slot.VSESR_EL2) & 0x1ff_ffff : 0, 0);
  }
}

/** ISS of a physical SError: asynchronous (DFSC 0x11), AET = uncontainable. */
export const SERROR_ISS = 0x11;

/** Taking or deferring the virtual SError clears HCR_EL2.VSE. */
export function clearVirtualSError(pe: Pe): void {
  pe.st.setLo(slot.HCR_EL2, pe.st.lo(slot.HCR_EL2) & ~(1 << 8));
  pe.st.setLo(Off.LINES, pe.st.lo(Off.LINES) & ~Line.VSERROR);
  pe.readHcr();
}

/** Is any interrupt pending that ends WFI, whatever the PSTATE masks say? */
export function wakesWfi(pe: Pe): boolean {
  const lines = pe.st.lo(Off.LINES) | pe.vlines;
  if (lines === 0) return false;
  if ((lines & (Line.IRQ | Line.FIQ | Line.SERROR)) !== 0) return true;
  if (pe.st.lo(Off.EL) > 1 || !pe.el2On || pe.tge) return false;
  const routed = (pe.hcrLo & IMO ? Line.VIRQ : 0) | (pe.hcrLo & FMO ? Line.VFIQ : 0) | (pe.hcrLo & AMO ? Line.VSERROR : 0);
  return (lines & routed) !== 0;
}

/** ISR_EL1: pending SError, IRQ, FIQ; the virtual ones at EL1 while HCR_EL2 routes the physical ones to EL2. */
export function isrValue(pe: Pe): number {
  const lines = pe.st.lo(Off.LINES) | pe.vlines;
  const virtual = pe.st.lo(Off.EL) === 1 && pe.el2On && !pe.tge;
  const pick = (hcr: number, physical: number, virt: number): number =>
    (lines & (virtual && (pe.hcrLo & hcr) !== 0 ? virt : physical)) !== 0 ? 1 : 0;
  return (pick(AMO, Line.SERROR, Line.VSERROR) << 8) | (pick(IMO, Line.IRQ, Line.VIRQ) << 7) | (pick(FMO, Line.FIQ, Line.VFIQ) << 6);
}
