// What the CPU interface needs to know of the state its PE is in.

import { Off } from "../../arch/layout.ts";
import { type PeState, slot } from "../../arch/state.ts";

const Scr = { NS: 0, IRQ: 1, FIQ: 2, EEL2: 18, FGTEN: 27 } as const;
const Hcr = { FMO: 3, IMO: 4, TGE: 27, E2H: 34, NV: 42 } as const;
/** ID_AA64PFR0_EL1.EL3: nonzero when EL3 is implemented. */
const PFR0_EL3 = 0xf000;

/** Exception level, security and interrupt routing of one PE, read live from its state. */
export class Context {
  private readonly st: PeState;

  constructor(st: PeState) {
    this.st = st;
  }

  get el(): 0 | 1 | 2 | 3 {
    return this.st.lo(Off.EL) as 0 | 1 | 2 | 3;
  }
  /**
   * SCR_EL3.NS: which bank of the banked registers is meant. Realm shares the Non-secure bank; at EL3 the bit decides as well.
   * A PE without EL3 has the Non-secure state only.
   */
  get nonSecureBank(): boolean {
    return this.scr(Scr.NS) || (this.st.lo(slot.ID_AA64PFR0_EL1) & PFR0_EL3) === 0;
  }
  /** Executing in Non-secure or Realm state (EL3 is Root: neither). */
  get nonSecure(): boolean {
    return this.el !== 3 && this.nonSecureBank;
  }
  get fiqToEl3(): boolean {
    return this.scr(Scr.FIQ);
  }
  get irqToEl3(): boolean {
    return this.scr(Scr.IRQ);
  }
  /** EL2 is enabled in the current Security state (below EL3). */
  get el2Enabled(): boolean {
    return this.nonSecureBank || this.scr(Scr.EEL2);
  }
  /** HCR_EL2.{IMO,FMO} as they apply at EL1. */
  get imo(): boolean {
    return this.el2Enabled && this.hcr(Hcr.IMO);
  }
  get fmo(): boolean {
    return this.el2Enabled && this.hcr(Hcr.FMO);
  }
  get nestedVirtualization(): boolean {
    return this.el2Enabled && this.hcr(Hcr.NV);
  }
  /** HFGRTR_EL2 or HFGWTR_EL2 traps apply to EL1. */
  get fineGrainedTraps(): boolean {
    return this.el2Enabled && this.scr(Scr.FGTEN) && !(this.hcr(Hcr.E2H) && this.hcr(Hcr.TGE));
  }
  fineGrainedTrap(write: boolean, bit: number): boolean {
    return this.fineGrainedTraps && this.st.bit(write ? slot.HFGWTR_EL2 : slot.HFGRTR_EL2, bit) !== 0;
  }
  /** MPIDR_EL1 affinity, packed Aff3.Aff2.Aff1.Aff0. */
  get affinity(): number {
    return ((this.st.hi(slot.MPIDR_EL1) << 24) | (this.st.lo(slot.MPIDR_EL1) & 0xff_ffff)) >>> 0;
  }

  private scr(bit: number): boolean {
    return this.st.bit(slot.SCR_EL3, bit) !== 0;
  }
  private hcr(bit: number): boolean {
    return this.st.bit(slot.HCR_EL2, bit) !== 0;
  }
}
