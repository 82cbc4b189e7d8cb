// The physical CPU interface of one PE: ICC_* (IHI 0069, 4.8 and chapter 12.2). Three groups are kept side by side;
// a register that is banked by Security state is the entry of Secure Group 1 or of Non-secure Group 1.

import type { RegName } from "../../arch/registers/encodings.ts";
import type { Saved } from "../../util/stateful.ts";
import { SavedFields } from "../saved.ts";
import {
  AP_SHIFT,
  bitOf,
  CTLR_FIXED,
  Group,
  IDLE_PRIORITY,
  LPI_BASE,
  lowestBit,
  MIN_BPR,
  MIN_BPR_NS,
  PRIORITY_MASK,
  SPECIAL_BASE,
  Special,
} from "./constants.ts";
import type { Context } from "./context.ts";

/** The interrupt controller behind a CPU interface. */
export interface Irqs {
  /** GICD_CTLR.DS. */
  readonly ds: boolean;
  /** Some PE has Aff0 > 15: ICC_SGI*R.RS is used. */
  readonly rangeSelector: boolean;
  /** Group of a private or shared interrupt as this PE sees it, or -1 when the INTID does not exist. */
  groupOf(intid: number): Group | -1;
  acknowledge(intid: number): void;
  deactivate(intid: number): void;
  /** Generates an SGI. `value` as written to ICC_SGI*R_EL1. `restricted`: GICR_NSACR applies. */
  sendSgi(group: Group, low: number, high: number, restricted: boolean): void;
  /** The set of enabled groups changed. */
  groupsChanged(): void;
  /** Priority mask, running priority or binary point changed. */
  outputChanged(): void;
}

/** ICC_CTLR_EL1 and ICV_CTLR_EL1. */
export const Ctlr = { CBPR: 1, EOImode: 2 } as const;
const CtlrEl3 = { CBPR_EL1S: 1, CBPR_EL1NS: 2, EOImode_EL3: 4, EOImode_EL1S: 8, EOImode_EL1NS: 16, nDS: 1 << 17 } as const;
const RSS = 1 << 18;
/** SRE, DFB, DIB; at EL2 and EL3 also Enable. Memory-mapped operation does not exist: all RAO/WI, so nothing traps on Enable = 0. */
const SRE_EL1 = 0x7;
const SRE_EL23 = 0xf;
/** ICC_AP1R bits of priorities that Non-secure Group 1 interrupts can have in the Non-secure view, 0x80-0xFF. */
const NONSECURE_AP = 0xffff_0000;

/** Highest priority pending interrupt: INTID or -1. */
export interface Pending {
  intid: number;
  priority: number;
  group: Group;
}

const without = (set: number, group: Group): number => set & ~bitOf(group);
const put = (set: number, group: Group, on: boolean): number => (on ? set | bitOf(group) : without(set, group));

export class PhysicalInterface {
  /** Chosen by the redistributor among what is enabled and routed here. */
  readonly hppi: Pending = { intid: -1, priority: IDLE_PRIORITY, group: Group.G0 };
  /** ICC_IGRPEN*: set of bitOf(Group). */
  enabledGroups = 0;
  private pmr = 0;
  /** By group. */
  private readonly bpr = new Uint8Array(3);
  private readonly ap = new Uint32Array(3);
  /** CBPR and EOImode of the Group 1 banks, sets of bitOf(Group); EOImode_EL3. */
  private cbpr = 0;
  private eoiMode = 0;
  private eoiModeEl3 = false;

  private readonly cx: Context;
  private readonly irqs: Irqs;
  /** ICC_CTLR_EL3.nDS: disabling security is not supported. */
  private readonly nDS: boolean;

  constructor(cx: Context, irqs: Irqs, nDS: boolean) {
    this.cx = cx;
    this.irqs = irqs;
    this.nDS = nDS;
    this.reset();
  }

  reset(): void {
    this.hppi.intid = -1;
    this.enabledGroups = 0;
    this.pmr = 0;
    this.bpr.set([MIN_BPR, MIN_BPR, MIN_BPR_NS]);
    this.ap.fill(0);
    this.cbpr = 0;
    this.eoiMode = 0;
    this.eoiModeEl3 = false;
  }

  private get bank(): Group {
    return this.cx.nonSecureBank ? Group.G1NS : Group.G1S;
  }

  /** Bits of a priority that decide preemption, for an interrupt of `group`. */
  private preemptionMask(group: Group): number {
    if (group === Group.G0 || this.cbpr & bitOf(group)) return (0xff << (this.bpr[Group.G0]! + 1)) & 0xff;
    // The Non-secure BPR1 counts one less bit of subpriority than the value says.
    return (0xff << (this.bpr[group]! + (group === Group.G1NS ? 0 : 1))) & 0xff;
  }
  /** Running priority: that of the highest active priority, 0xFF when idle. */
  get running(): number {
    const active = this.ap[0]! | this.ap[1]! | this.ap[2]!;
    return active === 0 ? IDLE_PRIORITY : lowestBit(active) << AP_SHIFT;
  }
  /** The highest priority pending interrupt has enough priority to be signalled. */
  get signalled(): boolean {
    const { intid, priority, group } = this.hppi;
    if (intid < 0 || priority >= this.pmr) return false;
    const running = this.running;
    const mask = this.preemptionMask(group);
    return running === IDLE_PRIORITY || (priority & mask) < (running & mask);
  }

  read(reg: RegName): number {
    switch (reg) {
      case "ICC_PMR_EL1":
        return this.hidesGroup0 ? this.lowered(this.pmr) : this.pmr;
      case "ICC_RPR_EL1":
        return this.hidesGroup0 ? this.lowered(this.running) : this.running;
      case "ICC_IAR0_EL1":
        return this.acknowledge(this.visibleGroup0());
      case "ICC_IAR1_EL1":
        return this.acknowledge(this.visibleGroup1());
      case "ICC_HPPIR0_EL1":
        return this.visibleGroup0();
      case "ICC_HPPIR1_EL1":
        return this.visibleGroup1();
      case "ICC_BPR0_EL1":
        return this.bpr[Group.G0]!;
      case "ICC_BPR1_EL1":
        return this.readBpr1();
      case "ICC_AP0R0_EL1":
        return this.ap[Group.G0]!;
      case "ICC_AP1R0_EL1":
        return this.ap[this.bank]!;
      case "ICC_CTLR_EL1":
        return this.readCtlr();
      case "ICC_CTLR_EL3":
        return this.readCtlrEl3();
      case "ICC_IGRPEN0_EL1":
        return this.enabled(Group.G0);
      case "ICC_IGRPEN1_EL1":
        return this.enabled(this.bank);
      case "ICC_IGRPEN1_EL3":
        return this.enabled(Group.G1NS) | (this.enabled(Group.G1S) << 1);
      case "ICC_SRE_EL1":
        return SRE_EL1;
      case "ICC_SRE_EL2":
      case "ICC_SRE_EL3":
        return SRE_EL23;
      default:
        return 0;
    }
  }

  /** `low` and `high` words of the value. */
  write(reg: RegName, low: number, high: number): void {
    switch (reg) {
      case "ICC_PMR_EL1":
        this.writePmr(low & 0xff);
        break;
      case "ICC_EOIR0_EL1":
        this.endOfInterrupt(low & 0xff_ffff, true);
        break;
      case "ICC_EOIR1_EL1":
        this.endOfInterrupt(low & 0xff_ffff, false);
        break;
      case "ICC_DIR_EL1":
        this.deactivate(low & 0xff_ffff);
        break;
      case "ICC_BPR0_EL1":
        this.writeBpr(Group.G0, low & 7);
        break;
      case "ICC_BPR1_EL1":
        this.writeBpr1(low & 7);
        break;
      case "ICC_AP0R0_EL1":
        this.writeAp(Group.G0, low, 0xffff_ffff);
        break;
      case "ICC_AP1R0_EL1":
        // Non-secure software must not fake an active priority above its own range, that would mask Secure interrupts.
        this.writeAp(this.bank, low, this.cx.nonSecure && !this.irqs.ds ? NONSECURE_AP : 0xffff_ffff);
        break;
      case "ICC_CTLR_EL1":
        this.writeCtlr(low);
        break;
      case "ICC_CTLR_EL3":
        this.writeCtlrEl3(low);
        break;
      case "ICC_IGRPEN0_EL1":
        this.enable(put(this.enabledGroups, Group.G0, (low & 1) !== 0));
        break;
      case "ICC_IGRPEN1_EL1":
        this.enable(put(this.enabledGroups, this.bank, (low & 1) !== 0));
        break;
      case "ICC_IGRPEN1_EL3":
        this.enable(put(put(this.enabledGroups, Group.G1NS, (low & 1) !== 0), Group.G1S, (low & 2) !== 0));
        break;
      case "ICC_SGI0R_EL1":
        this.irqs.sendSgi(Group.G0, low, high, this.cx.nonSecure);
        break;
      case "ICC_SGI1R_EL1":
        this.irqs.sendSgi(this.bank, low, high, this.cx.nonSecure);
        break;
      case "ICC_ASGI1R_EL1":
        this.irqs.sendSgi(this.bank === Group.G1NS ? Group.G1S : Group.G1NS, low, high, this.cx.nonSecure);
        break;
    }
  }

  // --- priorities

  /** Group 0 belongs to EL3: Non-secure and Realm software sees priorities shifted, and none of the upper half. */
  private get hidesGroup0(): boolean {
    return this.cx.nonSecure && this.cx.fiqToEl3;
  }
  private lowered(priority: number): number {
    if (priority < 0x80) return 0;
    return priority === 0xff ? 0xff : (priority << 1) & 0xff;
  }
  private writePmr(value: number): void {
    let v = value;
    if (this.hidesGroup0) {
      if (this.pmr < 0x80) return;
      v = 0x80 | (value >> 1);
    }
    v &= PRIORITY_MASK;
    if (v === this.pmr) return;
    this.pmr = v;
    this.irqs.outputChanged();
  }

  private readBpr1(): number {
    const bank = this.bank;
    if (!(this.cbpr & bitOf(bank)) || (bank === Group.G1NS && this.cx.el === 3)) return this.bpr[bank]!;
    return bank === Group.G1S ? this.bpr[Group.G0]! : Math.min(this.bpr[Group.G0]! + 1, 7);
  }
  private writeBpr1(value: number): void {
    const bank = this.bank;
    if (!(this.cbpr & bitOf(bank)) || (bank === Group.G1NS && this.cx.el === 3)) this.writeBpr(bank, value);
    else if (bank === Group.G1S) this.writeBpr(Group.G0, value);
  }
  private writeBpr(group: Group, value: number): void {
    this.bpr[group] = Math.max(value, group === Group.G1NS ? MIN_BPR_NS : MIN_BPR);
    this.irqs.outputChanged();
  }
  private writeAp(group: Group, value: number, mask: number): void {
    const old = this.ap[group]!;
    this.ap[group] = (old & ~mask) | (value & mask);
    if (this.ap[group] !== old) this.irqs.outputChanged();
  }

  // --- controls

  private readCtlr(): number {
    const bank = bitOf(this.bank);
    return CTLR_FIXED | (this.cbpr & bank ? Ctlr.CBPR : 0) | (this.eoiMode & bank ? Ctlr.EOImode : 0) | (this.irqs.rangeSelector ? RSS : 0);
  }
  private writeCtlr(value: number): void {
    const bank = this.bank;
    this.eoiMode = put(this.eoiMode, bank, (value & Ctlr.EOImode) !== 0);
    // With two Security states CBPR belongs to EL3.
    if (this.irqs.ds) this.cbpr = put(this.cbpr, bank, (value & Ctlr.CBPR) !== 0);
    this.irqs.outputChanged();
  }
  private readCtlrEl3(): number {
    const has = (set: number, group: Group, bit: number) => (set & bitOf(group) ? bit : 0);
    return (
      CTLR_FIXED |
      has(this.cbpr, Group.G1S, CtlrEl3.CBPR_EL1S) |
      has(this.cbpr, Group.G1NS, CtlrEl3.CBPR_EL1NS) |
      (this.eoiModeEl3 ? CtlrEl3.EOImode_EL3 : 0) |
      has(this.eoiMode, Group.G1S, CtlrEl3.EOImode_EL1S) |
      has(this.eoiMode, Group.G1NS, CtlrEl3.EOImode_EL1NS) |
      (this.nDS ? CtlrEl3.nDS : 0) |
      (this.irqs.rangeSelector ? RSS : 0)
    );
  }
  private writeCtlrEl3(value: number): void {
    this.cbpr = put(put(0, Group.G1S, (value & CtlrEl3.CBPR_EL1S) !== 0), Group.G1NS, (value & CtlrEl3.CBPR_EL1NS) !== 0);
    this.eoiMode = put(put(0, Group.G1S, (value & CtlrEl3.EOImode_EL1S) !== 0), Group.G1NS, (value & CtlrEl3.EOImode_EL1NS) !== 0);
    this.eoiModeEl3 = (value & CtlrEl3.EOImode_EL3) !== 0;
    this.irqs.outputChanged();
  }
  private enabled(group: Group): 0 | 1 {
    return this.enabledGroups & bitOf(group) ? 1 : 0;
  }
  private enable(groups: number): void {
    if (groups === this.enabledGroups) return;
    this.enabledGroups = groups;
    this.irqs.groupsChanged();
  }

  // --- acknowledge, end of interrupt

  /** ICC_HPPIR0_EL1. At EL3 the special INTIDs say to whom a Group 1 interrupt belongs. */
  private visibleGroup0(): number {
    const { intid, group } = this.hppi;
    if (intid < 0) return Special.None;
    if (group === Group.G0) return this.cx.nonSecure && !this.irqs.ds ? Special.None : intid;
    if (this.cx.el !== 3) return Special.None;
    return group === Group.G1S ? Special.SecureGroup1 : Special.NonSecureGroup1;
  }
  /** ICC_HPPIR1_EL1: Group 1 of the own Security state; EL3 sees both. */
  private visibleGroup1(): number {
    const { intid, group } = this.hppi;
    if (intid < 0 || group === Group.G0) return Special.None;
    if (this.cx.el !== 3 && group !== this.bank) return Special.None;
    return intid;
  }
  private acknowledge(intid: number): number {
    if (!this.signalled) return Special.None;
    if (intid >= SPECIAL_BASE && intid < LPI_BASE) return intid;
    const { priority, group } = this.hppi;
    this.ap[group]! |= 1 << ((priority & this.preemptionMask(group)) >> AP_SHIFT);
    this.irqs.acknowledge(intid);
    return intid;
  }

  /** Group whose active priority is highest, or -1. */
  private get highestActiveGroup(): Group | -1 {
    const active = this.ap[0]! | this.ap[1]! | this.ap[2]!;
    if (active === 0) return -1;
    const bit = active & -active;
    if (this.ap[Group.G0]! & bit) return Group.G0;
    return this.ap[Group.G1S]! & bit ? Group.G1S : Group.G1NS;
  }
  /** This state may end interrupts of `group` with EOIR0 (`zero`) or EOIR1. */
  private mayEnd(group: Group, zero: boolean): boolean {
    if (zero !== (group === Group.G0)) return false;
    if (this.cx.el === 3) return true;
    if (group === Group.G0) return this.irqs.ds || !this.cx.nonSecure;
    return group === this.bank;
  }
  private get splitEoi(): boolean {
    return this.cx.el === 3 ? this.eoiModeEl3 : (this.eoiMode & bitOf(this.bank)) !== 0;
  }

  private endOfInterrupt(intid: number, zero: boolean): void {
    const owner = this.irqs.groupOf(intid);
    const group = this.highestActiveGroup;
    if (owner < 0 || group < 0 || !this.mayEnd(group as Group, zero)) return;
    this.ap[group]! &= this.ap[group]! - 1;
    if (!this.splitEoi) this.deactivateChecked(intid);
    this.irqs.outputChanged();
  }

  /** Deactivation without priority drop, on behalf of an EOI or of a list register with HW = 1. */
  deactivateChecked(intid: number): void {
    const group = this.irqs.groupOf(intid);
    if (group < 0) return;
    // Non-secure software cannot touch Secure interrupts.
    if (this.cx.nonSecure && !this.irqs.ds && group !== Group.G1NS) return;
    this.irqs.deactivate(intid);
  }

  /** ICC_DIR_EL1. */
  private deactivate(intid: number): void {
    const group = this.irqs.groupOf(intid);
    if (group < 0 || !this.splitEoi || !this.mayDeactivate(group as Group)) return;
    this.irqs.deactivate(intid);
  }
  private mayDeactivate(group: Group): boolean {
    const { cx } = this;
    if (cx.el === 3) return true;
    if (!cx.nonSecure) return group === Group.G0 ? !cx.fiqToEl3 : !cx.irqToEl3;
    const virtual = cx.el === 1;
    if (group === Group.G0) return this.irqs.ds && !cx.fiqToEl3 && !(virtual && cx.fmo);
    return group === Group.G1NS && !cx.irqToEl3 && !(virtual && cx.imo);
  }

  save(): Saved {
    return {
      enabledGroups: this.enabledGroups,
      pmr: this.pmr,
      bpr: Array.from(this.bpr),
      ap: Array.from(this.ap),
      cbpr: this.cbpr,
      eoiMode: this.eoiMode,
      eoiModeEl3: this.eoiModeEl3,
    };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "CPU interface");
    this.enabledGroups = s.uint("enabledGroups") & 7;
    this.pmr = s.uint("pmr") & 0xff;
    s.uintsInto("bpr", this.bpr);
    s.uintsInto("ap", this.ap);
    this.cbpr = s.uint("cbpr") & 7;
    this.eoiMode = s.uint("eoiMode") & 7;
    this.eoiModeEl3 = s.bool("eoiModeEl3");
  }
}
