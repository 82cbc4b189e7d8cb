// Translation regimes (Arm ARM D8.1.2) and the control fields that configure them, decoded once per distinct setting.

import { Security } from "../arch/security.ts";
import { type PeState, slot } from "../arch/state.ts";
import { decodeMair, type MemAttr } from "./attributes.ts";
import type { MmuFeatures } from "./features.ts";
import { decodeRange, type RangeConfig } from "./range.ts";
import { decodeStage2, type Stage2Config } from "./stage2-config.ts";

/** Translation regime, within a security state. EL20 is EL2&0, used by EL2 and its EL0 while HCR_EL2.E2H = 1. */
export const Regime = { EL10: 0, EL20: 1, EL2: 2, EL3: 3 } as const;
export type Regime = (typeof Regime)[keyof typeof Regime];

/** Bits of SCTLR_ELx, HCR_EL2 and SCR_EL3 that translation looks at: low and high word. */
const SCTLR = { M: 1 << 0, C: 1 << 2, I: 1 << 12, WXN: 1 << 19, EE: 1 << 25, EPAN_HI: 1 << 25 } as const;
export const Hcr = {
  VM: 1 << 0,
  PTW: 1 << 2,
  FB: 1 << 9,
  DC: 1 << 12,
  TGE: 1 << 27,
  CD_HI: 1,
  ID_HI: 2,
  E2H_HI: 4,
  FWB_HI: 1 << 14,
  GPF_HI: 1 << 16,
} as const;
export const Scr = { NS: 1, SIF: 1 << 9, EEL2: 1 << 18, GPF_HI: 1 << 16, NSE_HI: 1 << 30 } as const;

const sctlrMask = [SCTLR.M | SCTLR.C | SCTLR.I | SCTLR.WXN | SCTLR.EE, SCTLR.EPAN_HI] as const;
const hcrMask = [Hcr.VM | Hcr.PTW | Hcr.DC | Hcr.TGE, Hcr.CD_HI | Hcr.ID_HI | Hcr.E2H_HI | Hcr.FWB_HI] as const;
const scrMask = [Scr.NS | Scr.SIF | Scr.EEL2, Scr.NSE_HI] as const;
const whole = [-1, -1] as const;

// Constants, because `slot` is too large for the engine to look up quickly on hot paths.
const SCR_EL3 = slot.SCR_EL3;
const HCR_EL2 = slot.HCR_EL2;

type Watched = readonly (readonly [offset: number, mask: readonly [number, number]])[];

/** Registers whose change means another configuration, per regime, with the bits that matter. */
export const configRegisters: readonly Watched[] = [
  [
    [slot.SCTLR_EL1, sctlrMask],
    [slot.TCR_EL1, whole],
    [slot.MAIR_EL1, whole],
    [slot.HCR_EL2, hcrMask],
    [slot.SCR_EL3, scrMask],
    [slot.VTCR_EL2, whole],
    [slot.VSTCR_EL2, whole],
    [slot.SCTLR_EL2, [SCTLR.EE, 0]],
  ],
  [
    [slot.SCTLR_EL2, sctlrMask],
    [slot.TCR_EL2, whole],
    [slot.MAIR_EL2, whole],
    [slot.HCR_EL2, hcrMask],
    [slot.SCR_EL3, scrMask],
  ],
  [
    [slot.SCTLR_EL2, sctlrMask],
    [slot.TCR_EL2, whole],
    [slot.MAIR_EL2, whole],
    [slot.HCR_EL2, hcrMask],
    [slot.SCR_EL3, scrMask],
  ],
  [
    [slot.SCTLR_EL3, sctlrMask],
    [slot.TCR_EL3, whole],
    [slot.MAIR_EL3, whole],
    [slot.SCR_EL3, scrMask],
  ],
];

/** Everything that the control registers say about one regime. Immutable once decoded. */
export interface RegimeConfig {
  /** Distinguishes configurations in TLB tags, 0..MAX_CONFIGS-1. */
  readonly id: number;
  readonly regime: Regime;
  readonly security: Security;
  /** Stage 1 and stage 2 both off: VA = PA. */
  readonly flat: boolean;
  /** Stage 1 is on. */
  readonly stage1: boolean;
  /** HCR_EL2.DC applies: with stage 1 off, memory is Normal Write-Back. */
  readonly defaultCacheable: boolean;
  /** Two VA ranges and unprivileged accesses (EL1&0, EL2&0). */
  readonly twoRanges: boolean;
  readonly ranges: readonly [RangeConfig, RangeConfig];
  /** TCR.DS, and VTCR.DS for EL1&0: operands of range TLBIs count 64 KiB (HasLargeAddress()). */
  readonly largeVa: boolean;
  readonly largeIpa: boolean;
  readonly mair: readonly MemAttr[];
  readonly wxn: boolean;
  readonly epan: boolean;
  /** Stage 1 tables are big-endian. */
  readonly ee: boolean;
  readonly ha: boolean;
  readonly hd: boolean;
  /** SCTLR.C and SCTLR.I: without them Normal memory is Non-cacheable for data, for fetches. */
  readonly dataCache: boolean;
  readonly fetchCache: boolean;
  /** SCR_EL3.SIF applies: Secure state does not execute from Non-secure memory. */
  readonly sif: boolean;
  /** EL1&0 with EL2 enabled and stage 2 on: stage 2 for the regime's own IPA space, and for the Non-secure IPA space in Secure state. */
  readonly stage2: Stage2Config | undefined;
  readonly stage2Ns: Stage2Config | undefined;
  /** ASID: TTBR1 holds it (TCR.A1), and its width mask. */
  readonly asidIn1: boolean;
  readonly asidMask: number;
  /** VMID width mask; 0 where no VMID applies. */
  readonly vmidMask: number;
}

/** Is EL2 enabled in this security state (Arm ARM EL2Enabled())? */
export function el2Enabled(st: PeState, f: MmuFeatures, security: Security): boolean {
  if (!f.el2 || security === Security.Root) return false;
  return security !== Security.Secure || (f.sel2 && (st.lo(SCR_EL3) & Scr.EEL2) !== 0);
}

/** HCR_EL2.E2H has its effect: EL2 uses the EL2&0 regime. */
export function hostRegime(st: PeState, f: MmuFeatures): boolean {
  return f.vhe && (st.hi(HCR_EL2) & Hcr.E2H_HI) !== 0;
}

/** HCR_EL2.{E2H,TGE} = {1,1}. */
export function inHost(st: PeState, f: MmuFeatures): boolean {
  return (st.lo(HCR_EL2) & Hcr.TGE) !== 0 && hostRegime(st, f);
}

/** Security state of EL0..EL2 from SCR_EL3.{NSE,NS}; the reserved 0b10 reads as Root, which has no lower levels. */
export function lowerSecurity(st: PeState, f: MmuFeatures): Security {
  const ns = st.lo(SCR_EL3) & Scr.NS;
  const nse = f.rme ? (st.hi(SCR_EL3) >>> 29) & 2 : 0;
  const s = nse | ns;
  return s === Security.Secure && !f.secure ? Security.NonSecure : (s as Security);
}

const sctlrOf = [slot.SCTLR_EL1, slot.SCTLR_EL2, slot.SCTLR_EL2, slot.SCTLR_EL3] as const;
const mairOf = [slot.MAIR_EL1, slot.MAIR_EL2, slot.MAIR_EL2, slot.MAIR_EL3] as const;
const tcrOf = [slot.TCR_EL1, slot.TCR_EL2, slot.TCR_EL2, slot.TCR_EL3] as const;

/** Decodes the control registers of one regime as they stand now. */
export function decodeRegime(st: PeState, f: MmuFeatures, regime: Regime, security: Security, id: number): RegimeConfig {
  const sctlr = st.lo(sctlrOf[regime]);
  const tcr = tcrOf[regime];
  const hcr = st.lo(slot.HCR_EL2);
  const two = regime <= Regime.EL20;
  const el2 = regime === Regime.EL10 && el2Enabled(st, f, security);
  // With E2H and TGE set, VM and DC behave as 0 (HCR_EL2.VM, HCR_EL2.DC).
  const host = inHost(st, f);
  const dc = el2 && !host && (hcr & Hcr.DC) !== 0;
  const s2on = el2 && !host && (hcr & (Hcr.VM | Hcr.DC)) !== 0;
  // S1Enabled: stage 1 of EL1&0 is off while HCR_EL2.{DC,TGE} is not 00.
  const stage1 = (sctlr & SCTLR.M) !== 0 && !(el2 && (hcr & (Hcr.DC | Hcr.TGE)) !== 0);
  const ha = f.hafdbs >= 1 && st.bit(tcr, two ? 39 : 21) === 1;
  return {
    id,
    regime,
    security,
    flat: !stage1 && !s2on,
    stage1,
    defaultCacheable: dc,
    twoRanges: two,
    ranges: [decodeRange(st, f, regime, 0), decodeRange(st, f, regime, two ? 1 : 0)],
    largeVa: f.lpa2 && st.bit(tcr, two ? 59 : 32) === 1,
    largeIpa: f.lpa2 && st.bit(slot.VTCR_EL2, 32) === 1,
    mair: decodeMair(st.lo(mairOf[regime]), st.hi(mairOf[regime]), f.xs),
    wxn: (sctlr & SCTLR.WXN) !== 0,
    epan: f.epan && two && (st.hi(sctlrOf[regime]) & SCTLR.EPAN_HI) !== 0,
    ee: (sctlr & SCTLR.EE) !== 0,
    ha,
    hd: ha && f.hafdbs >= 2 && st.bit(tcr, two ? 40 : 22) === 1,
    dataCache: (sctlr & SCTLR.C) !== 0,
    fetchCache: (sctlr & SCTLR.I) !== 0,
    sif: (!f.rme || f.sel2) && (st.lo(slot.SCR_EL3) & Scr.SIF) !== 0,
    stage2: s2on ? decodeStage2(st, f, security, security) : undefined,
    stage2Ns: s2on && security === Security.Secure ? decodeStage2(st, f, security, Security.NonSecure) : undefined,
    asidIn1: two && st.bit(tcr, 22) === 1,
    asidMask: f.asid16 && st.bit(tcr, 36) === 1 ? 0xffff : 0xff,
    vmidMask: !el2 ? 0 : f.vmid16 && st.bit(slot.VTCR_EL2, 19) === 1 ? 0xffff : 0xff,
  };
}
