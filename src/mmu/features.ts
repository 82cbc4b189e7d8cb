// What the MMU has to know about the PE's features. Plain values: the CPU fills them from its feature set.

/** Features and sizes that address translation depends on. */
export interface MmuFeatures {
  /** Implemented PA size in bits: 32, 36, 40, 42, 44, 48 or 52 (ID_AA64MMFR0_EL1.PARange). */
  paBits: number;
  /** FEAT_RME: EL3 is Root and has its own PA space; otherwise EL3 is Secure. */
  rme: boolean;
  /** Secure state exists (always without RME when EL3 exists). Without it a Root descriptor that says Secure means Non-secure. */
  secure: boolean;
  /** FEAT_SEL2: Secure EL2, enabled by SCR_EL3.EEL2. */
  sel2: boolean;
  /** EL2 is implemented. */
  el2: boolean;
  /** FEAT_VHE: HCR_EL2.E2H has an effect. */
  vhe: boolean;
  /** Stage 1 and stage 2 translation granules. A granule that is missing is replaced by the smallest one that exists. */
  granule4: boolean;
  granule16: boolean;
  granule64: boolean;
  /** FEAT_LVA: 52-bit virtual addresses with the 64 KiB granule. */
  lva: boolean;
  /** FEAT_LPA: 52-bit physical addresses with the 64 KiB granule (effective only when paBits is 52). */
  lpa: boolean;
  /** FEAT_LPA2: TCR.DS and VTCR.DS, 52-bit addresses with the 4 KiB and 16 KiB granules. */
  lpa2: boolean;
  /** FEAT_TTST: TxSZ up to 48 (47 with the 64 KiB granule). */
  ttst: boolean;
  /** FEAT_HAFDBS: 0 none, 1 hardware access flag (TCR.HA), 2 also dirty state (TCR.HD). */
  hafdbs: 0 | 1 | 2;
  /** FEAT_PAN. */
  pan: boolean;
  /** FEAT_PAN3: SCTLR.EPAN. */
  epan: boolean;
  /** FEAT_UAO. */
  uao: boolean;
  /** FEAT_XNX: stage 2 XN[1:0] distinguishes EL1 and EL0. */
  xnx: boolean;
  /** FEAT_S2FWB: HCR_EL2.FWB. */
  fwb: boolean;
  /** FEAT_E0PD. */
  e0pd: boolean;
  /** FEAT_HPDS: TCR.HPDn. */
  hpds: boolean;
  /** FEAT_PAuth: TCR.TBIDn. */
  tbid: boolean;
  /** FEAT_BTI: the GP bit of a stage 1 leaf. */
  bti: boolean;
  /** FEAT_XS: XS attribute in MAIR and PAR, stage 2 FnXS. */
  xs: boolean;
  /** 16-bit VMIDs (VTCR_EL2.VS) and ASIDs (TCR.AS). */
  vmid16: boolean;
  asid16: boolean;
}

/** Everything that this MMU implements: the base of tests and of the "max" CPU. */
export const allMmuFeatures: MmuFeatures = {
  paBits: 52,
  rme: true,
  secure: true,
  sel2: true,
  el2: true,
  vhe: true,
  granule4: true,
  granule16: true,
  granule64: true,
  lva: true,
  lpa: true,
  lpa2: true,
  ttst: true,
  hafdbs: 2,
  pan: true,
  epan: true,
  uao: true,
  xnx: true,
  fwb: true,
  e0pd: true,
  hpds: true,
  tbid: true,
  bti: true,
  xs: true,
  vmid16: true,
  asid16: true,
};
