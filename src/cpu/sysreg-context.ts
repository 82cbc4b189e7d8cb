// Values derived from control registers that generated code reads at named offsets: alignment checks, FP traps, pointer
// authentication, DC ZVA. Computed per Exception level when first needed after a control register changed, then copied.

import { Align, Off } from "../arch/layout.ts";
import { slot } from "../arch/state.ts";
import type { Pe } from "./pe.ts";

/** Words of one Exception level's row. */
const D = { ALIGN: 0, SPALIGN: 1, FPTRAP: 2, PAUTH: 3, MASK0: 4, MASK1: 6, ZVA: 8, TBI: 9, BT: 10, DC: 11 } as const;
const ROW = 16;

/** Values of Off.FPTRAP: the level that traps, or the access is reported to EL2 as an UNDEFINED instruction (TGE = 1, E2H = 0). */
export const FpTrap = { None: 0, El1: 1, El2: 2, El3: 3, El2Unknown: 4 } as const;

/** SCTLR_ELx of the translation regime in use at `el`. */
export function sctlrSlot(pe: Pe, el: number): number {
  if (el === 0) return pe.host ? slot.SCTLR_EL2 : slot.SCTLR_EL1;
  return el === 1 ? slot.SCTLR_EL1 : el === 2 ? slot.SCTLR_EL2 : slot.SCTLR_EL3;
}

export class DerivedContext {
  private readonly rows = new Uint32Array(4 * ROW);
  /** Bit n: the row of ELn is up to date. */
  private valid = 0;

  /** A control register was written. */
  invalidate(): void {
    this.valid = 0;
  }

  /** Copies the row of the current Exception level to the offsets that generated code reads. */
  apply(pe: Pe): void {
    const st = pe.st;
    const el = st.lo(Off.EL);
    if ((this.valid & (1 << el)) === 0) {
      this.compute(pe, el);
      this.valid |= 1 << el;
    }
    const r = this.rows;
    const at = el * ROW;
    const device = pe.mmu.flat;
    st.setLo(Off.ALIGN, (r[at + D.ALIGN] as number) | (device ? Align.DEVICE : 0));
    st.setLo(Off.SPALIGN, r[at + D.SPALIGN] as number);
    st.setLo(Off.FPTRAP, r[at + D.FPTRAP] as number);
    st.setLo(Off.PAUTH, r[at + D.PAUTH] as number);
    st.setLoHi(Off.PACMASK0, r[at + D.MASK0] as number, r[at + D.MASK0 + 1] as number);
    st.setLoHi(Off.PACMASK1, r[at + D.MASK1] as number, r[at + D.MASK1 + 1] as number);
    st.setLo(Off.ZVA, device ? 0 : (r[at + D.ZVA] as number));
    st.setLo(Off.CMO_VA, r[at + D.DC] as number);
    pe.tbi = r[at + D.TBI] as number;
    pe.bt = r[at + D.BT] as number;
  }

  private compute(pe: Pe, el: number): void {
    const r = this.rows;
    const st = pe.st;
    const at = el * ROW;
    const sctlr = sctlrSlot(pe, el);
    r[at + D.ALIGN] = st.bit(sctlr, 1);
    r[at + D.SPALIGN] = st.bit(sctlr, el === 0 ? 4 : 3) ? 15 : 0;
    r[at + D.FPTRAP] = fpTrap(pe, el);
    r[at + D.PAUTH] = pauth(pe, el, sctlr);
    r[at + D.ZVA] = zvaAllowed(pe, el, sctlr) ? 1 : 0;
    r[at + D.DC] = maintenanceAllowed(pe, el) ? 1 : 0;
    r[at + D.BT] = pe.hasBti ? st.bit(sctlr, el === 0 ? 35 : 36) : 0;
    this.addressing(pe, el, at);
  }

  /** PAC bits of an address (Arm ARM, CalculateBottomPACBit) and, for BranchAddr, whose top byte is ignored for instruction addresses. */
  private addressing(pe: Pe, el: number, at: number): void {
    const st = pe.st;
    const two = el === 1 || (el === 0 ? true : el === 2 && pe.e2h);
    const tcr = el === 0 ? (pe.host ? slot.TCR_EL2 : slot.TCR_EL1) : el === 1 ? slot.TCR_EL1 : el === 2 ? slot.TCR_EL2 : slot.TCR_EL3;
    const lo = st.lo(tcr);
    const tbid = pe.hasPauth;
    let tbi: number;
    if (two) {
      const tbi0 = st.bit(tcr, 37) & (tbid ? st.bit(tcr, 51) ^ 1 : 1);
      const tbi1 = st.bit(tcr, 38) & (tbid ? st.bit(tcr, 52) ^ 1 : 1);
      const ds = pe.hasLpa2 ? st.bit(tcr, 59) : 0;
      const wide0 = ((lo >>> 14) & 3) === 1 ? pe.hasLva : ds === 1;
      const wide1 = lo >>> 30 === 3 ? pe.hasLva : ds === 1;
      this.mask(at + D.MASK0, lo & 63, wide0, tbi0);
      this.mask(at + D.MASK1, (lo >>> 16) & 63, wide1, tbi1);
      tbi = tbi0 | (tbi1 << 1);
    } else {
      const on = st.bit(tcr, 20) & (tbid ? st.bit(tcr, 29) ^ 1 : 1);
      const wide = ((lo >>> 14) & 3) === 1 ? pe.hasLva : pe.hasLpa2 && st.bit(tcr, 32) === 1;
      this.mask(at + D.MASK0, lo & 63, wide, on);
      this.mask(at + D.MASK1, lo & 63, wide, on);
      tbi = on ? 7 : 4;
    }
    this.rows[at + D.TBI] = tbi;
  }

  private mask(at: number, tsz: number, wide: boolean, tbi: number): void {
    const bottom = 64 - Math.min(Math.max(tsz, wide ? 12 : 16), 48);
    const hi = bottom >= 32 ? (0x7f_ffff >>> (bottom - 32)) << (bottom - 32) : 0x7f_ffff;
    this.rows[at] = bottom >= 32 ? 0 : (-1 << bottom) >>> 0;
    this.rows[at + 1] = (hi | (tbi ? 0 : 0xff00_0000)) >>> 0;
  }
}

/** Who traps FP and SIMD instructions at `el`: CPACR_EL1, then CPTR_EL2, then CPTR_EL3 (Arm ARM, CheckFPAdvSIMDEnabled64). */
export function fpTrap(pe: Pe, el: number): number {
  const st = pe.st;
  if (el < 2 && !pe.host) {
    const fpen = (st.lo(slot.CPACR_EL1) >>> 20) & 3;
    if ((fpen & 1) === 0 || (fpen === 1 && el === 0)) return pe.tge ? FpTrap.El2Unknown : FpTrap.El1;
  }
  if (el < 3 && pe.el2On) {
    const cptr = st.lo(slot.CPTR_EL2);
    if (pe.e2h) {
      const fpen = (cptr >>> 20) & 3;
      if ((fpen & 1) === 0 || (fpen === 1 && el === 0 && pe.tge)) return FpTrap.El2;
    } else if ((cptr & (1 << 10)) !== 0) return FpTrap.El2;
  }
  return pe.haveEl3 && (st.lo(slot.CPTR_EL3) & (1 << 10)) !== 0 ? FpTrap.El3 : FpTrap.None;
}

/** Which level traps pointer authentication at `el`, when a key is enabled: 0, 2 or 3. */
export function pauthTrapTarget(pe: Pe, el: number): number {
  if (el < 2 && pe.el2On && !(el === 0 && pe.host) && pe.st.bit(slot.HCR_EL2, 41) === 0) return 2;
  return el < 3 && pe.haveEl3 && pe.st.bit(slot.SCR_EL3, 17) === 0 ? 3 : 0;
}

/** Off.PAUTH: bits 0..3 keys IA, IB, DA, DB enabled; bit 4: an instruction with an enabled key may trap; bit 5: PACGA traps. */
function pauth(pe: Pe, el: number, sctlr: number): number {
  if (!pe.hasPauth) return 0;
  const v = pe.st.lo(sctlr);
  const keys = (v >>> 31) | (((v >>> 30) & 1) << 1) | (((v >>> 27) & 1) << 2) | (((v >>> 13) & 1) << 3);
  if (pauthTrapTarget(pe, el) === 0) return keys;
  return keys | 32 | (keys !== 0 ? 16 : 0);
}

/** May DC ZVA execute at `el` without a trap? */
export function zvaAllowed(pe: Pe, el: number, sctlr: number): boolean {
  if (el === 0 && pe.st.bit(sctlr, 14) === 0) return false;
  if (el >= 2 || !pe.el2On || (el === 0 && pe.host)) return true;
  return pe.st.bit(slot.HCR_EL2, 28) === 0 && !(pe.fgt && pe.st.bit(slot.HFGITR_EL2, 11) === 1);
}

// Traps of DC IVAC, CVAC, CVAU and CIVAC, and of IC IVAU.
const HCR_TPCP_TPU = 3 << 23;
const HCR_TOCU_HI = 1 << 20;
const HFGITR_LO = (1 << 2) | (1 << 3) | (1 << 7) | (1 << 10);
const HFGITR_DCCVAC_HI = 1 << 22;

/** May cache maintenance by address execute at `el` without a trap, whichever it is? For EL0 the slow path asks one by one. */
function maintenanceAllowed(pe: Pe, el: number): boolean {
  if (el === 0) return false;
  if (el >= 2 || !pe.el2On) return true;
  const { st } = pe;
  if ((st.lo(slot.HCR_EL2) & HCR_TPCP_TPU) !== 0 || (st.hi(slot.HCR_EL2) & HCR_TOCU_HI) !== 0) return false;
  return !pe.fgt || ((st.lo(slot.HFGITR_EL2) & HFGITR_LO) === 0 && (st.hi(slot.HFGITR_EL2) & HFGITR_DCCVAC_HI) === 0);
}
