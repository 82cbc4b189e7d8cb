// The virtual CPU interface of one PE: ICH_* of the hypervisor and ICV_* of its guest (IHI 0069, chapters 6 and 12.3-12.4).
// A guest reaches ICV_* under the names ICC_*; see cpu.ts for the selection.

import type { RegName } from "../../arch/registers/encodings.ts";
import type { Saved } from "../../util/stateful.ts";
import { SavedFields } from "../saved.ts";
import {
  AP_SHIFT,
  CTLR_FIXED,
  IDLE_PRIORITY,
  LIST_REGISTERS,
  LPI_BASE,
  lowestBit,
  MIN_BPR,
  MIN_BPR_NS,
  PRIORITY_MASK,
  SPECIAL_BASE,
  Special,
  VTR,
} from "./constants.ts";
import { Ctlr } from "./physical-interface.ts";

/** ICH_HCR_EL2. */
export const Hcr = { En: 1, UIE: 2, LRENPIE: 4, NPIE: 8, TC: 1 << 10, TALL0: 1 << 11, TALL1: 1 << 12, TDIR: 1 << 14 } as const;
const HCR_WRITABLE = 0xf800_7cff;
const EOI_COUNT_ONE = 1 << 27;

/** ICH_VMCR_EL2. */
const Vmcr = { VENG0: 1, VENG1: 2, VFIQEn: 8, VCBPR: 0x10, VEOIM: 0x200, VBPR1: 18, VBPR0: 21, VPMR: 24 } as const;

/** ICH_LR<n>_EL2, upper word. */
const Lr = {
  pINTID: 0x1fff,
  EOI: 1 << 9,
  Priority: 16,
  Group1: 1 << 28,
  HW: 1 << 29,
  Pending: 1 << 30,
  Active: 1 << 31,
  writable: 0xf0f8_1fff,
} as const;
const State = { Invalid: 0, Pending: 1 } as const;
const INTID = 0xff_ffff;

/** The interface as words, which `saveWords` and `loadWords` copy: where its registers are, two words each, and how many words there are. */
export const SavedWords = { HCR: 0, VMCR: 2, MISR: 4, AP0R0: 6, AP1R0: 8, LR: 10, count: 10 + 2 * LIST_REGISTERS } as const;

/** Where the virtual interface acts on the rest. */
export interface VirtualHooks {
  /** Deactivates the physical interrupt behind a list register with HW = 1. */
  deactivate(intid: number): void;
  /** Level of the maintenance interrupt. */
  maintenance(level: boolean): void;
  /** `virq` or `vfiq` may have changed. */
  outputChanged(): void;
}

export class VirtualInterface {
  /** Signalled to the PE as virtual IRQ and FIQ. */
  virq = false;
  vfiq = false;
  private hcr = 0;
  private vmcr = 0;
  /** ICH_AP0R0, ICH_AP1R0. */
  private readonly ap = new Uint32Array(2);
  private readonly lrLow = new Uint32Array(LIST_REGISTERS);
  private readonly lrHigh = new Uint32Array(LIST_REGISTERS);
  private readonly hooks: VirtualHooks;

  constructor(hooks: VirtualHooks) {
    this.hooks = hooks;
    this.clear();
  }

  private clear(): void {
    this.hcr = 0;
    this.vmcr = canonicalVmcr(0);
    this.ap.fill(0);
    this.lrLow.fill(0);
    this.lrHigh.fill(0);
  }
  reset(): void {
    this.clear();
    this.evaluate();
  }

  /** True when `bit` (Hcr) is set in ICH_HCR_EL2. */
  control(bit: number): boolean {
    return (this.hcr & bit) !== 0;
  }

  // --- hypervisor side

  readIch(reg: RegName): number {
    switch (reg) {
      case "ICH_HCR_EL2":
        return this.hcr;
      case "ICH_VTR_EL2":
        return VTR;
      case "ICH_VMCR_EL2":
        return this.vmcr;
      case "ICH_MISR_EL2":
        return this.misr;
      case "ICH_EISR_EL2":
        return this.eisr;
      case "ICH_ELRSR_EL2":
        return this.elrsr;
      case "ICH_AP0R0_EL2":
        return this.ap[0]!;
      case "ICH_AP1R0_EL2":
        return this.ap[1]!;
      default:
        return 0;
    }
  }
  writeIch(reg: RegName, value: number): void {
    switch (reg) {
      case "ICH_HCR_EL2":
        this.setHcr((value & HCR_WRITABLE) >>> 0);
        break;
      case "ICH_VMCR_EL2":
        this.setVmcr(value);
        break;
      case "ICH_AP0R0_EL2":
        this.setAp(0, value);
        break;
      case "ICH_AP1R0_EL2":
        this.setAp(1, value);
        break;
    }
  }
  /** List register `n`, upper (`high`) or lower word. */
  readLr(n: number, high: boolean): number {
    return high ? this.lrHigh[n]! : this.lrLow[n]!;
  }
  writeLr(n: number, low: number, high: number): void {
    const h = (high & Lr.writable) >>> 0;
    if (this.lrLow[n] === low && this.lrHigh[n] === h) return;
    this.lrLow[n] = low;
    this.lrHigh[n] = h;
    this.evaluate();
  }

  // All of it as words (SavedWords): a hypervisor that switches between guests writes all registers, and the outputs need to be found
  // once only.

  saveWords(to: Uint32Array, at: number): void {
    to.fill(0, at, at + SavedWords.LR);
    to[at + SavedWords.HCR] = this.hcr;
    to[at + SavedWords.VMCR] = this.vmcr;
    to[at + SavedWords.MISR] = this.misr;
    to[at + SavedWords.AP0R0] = this.ap[0]!;
    to[at + SavedWords.AP1R0] = this.ap[1]!;
    const lr = at + SavedWords.LR;
    for (let n = 0; n < LIST_REGISTERS; n++) {
      to[lr + 2 * n] = this.lrLow[n]!;
      to[lr + 2 * n + 1] = this.lrHigh[n]!;
    }
  }
  loadWords(from: Uint32Array, at: number): void {
    this.hcr = (from[at + SavedWords.HCR]! & HCR_WRITABLE) >>> 0;
    this.vmcr = canonicalVmcr(from[at + SavedWords.VMCR]!);
    this.ap[0] = from[at + SavedWords.AP0R0]!;
    this.ap[1] = from[at + SavedWords.AP1R0]!;
    const lr = at + SavedWords.LR;
    for (let n = 0; n < LIST_REGISTERS; n++) {
      this.lrLow[n] = from[lr + 2 * n]!;
      this.lrHigh[n] = from[lr + 2 * n + 1]! & Lr.writable;
    }
    this.evaluate();
  }

  /** ICH_VMCR_EL2 and ICH_HCR_EL2 alone, two words each. */
  saveControls(to: Uint32Array, at: number): void {
    to[at] = this.vmcr;
    to[at + 1] = 0;
    to[at + 2] = this.hcr;
    to[at + 3] = 0;
  }
  loadControls(from: Uint32Array, at: number): void {
    this.setVmcr(from[at]!);
    this.setHcr((from[at + 2]! & HCR_WRITABLE) >>> 0);
  }

  private setHcr(value: number): void {
    if (value === this.hcr) return;
    this.hcr = value;
    this.evaluate();
  }
  private setVmcr(value: number): void {
    const v = canonicalVmcr(value);
    if (v === this.vmcr) return;
    this.vmcr = v;
    this.evaluate();
  }
  private setAp(group: 0 | 1, value: number): void {
    if (value === this.ap[group]) return;
    this.ap[group] = value;
    this.evaluate();
  }

  // --- list registers

  private stateOf(n: number): number {
    return this.lrHigh[n]! >>> 30;
  }
  private priorityOf(n: number): number {
    return (this.lrHigh[n]! >>> Lr.Priority) & 0xff;
  }
  private groupOf(n: number): 0 | 1 {
    return this.lrHigh[n]! & Lr.Group1 ? 1 : 0;
  }

  /** Bit n: list register n is empty after an EOI that asked for a maintenance interrupt. */
  private get eisr(): number {
    return this.lrSet((n) => this.stateOf(n) === State.Invalid && (this.lrHigh[n]! & (Lr.HW | Lr.EOI)) === Lr.EOI);
  }
  /** Bit n: list register n is free. */
  private get elrsr(): number {
    return this.lrSet((n) => this.stateOf(n) === State.Invalid && (this.lrHigh[n]! & (Lr.HW | Lr.EOI)) !== Lr.EOI);
  }
  private lrSet(has: (n: number) => boolean): number {
    let bits = 0;
    for (let n = 0; n < LIST_REGISTERS; n++) if (has(n)) bits |= 1 << n;
    return bits;
  }

  /** ICH_MISR_EL2. Bits 4-7 pair the enables VGrp0EIE, VGrp0DIE, VGrp1EIE, VGrp1DIE with the state of VENG0 and VENG1. */
  private get misr(): number {
    let used = 0;
    let pending = 0;
    for (let n = 0; n < LIST_REGISTERS; n++) {
      if (this.stateOf(n) !== State.Invalid) used++;
      if (this.stateOf(n) === State.Pending) pending++;
    }
    const groups = (this.vmcr & Vmcr.VENG0 ? 0x10 : 0x20) | (this.vmcr & Vmcr.VENG1 ? 0x40 : 0x80);
    let bits = this.hcr & groups;
    if (this.eisr !== 0) bits |= 1;
    if (this.hcr & Hcr.UIE && used < 2) bits |= 2;
    if (this.hcr & Hcr.LRENPIE && this.hcr >>> 27 !== 0) bits |= 4;
    if (this.hcr & Hcr.NPIE && pending === 0) bits |= 8;
    return bits;
  }

  /** List register of the highest priority pending virtual interrupt (pending, not also active; group enabled), or -1. */
  private get highest(): number {
    let best = -1;
    let bestPriority = IDLE_PRIORITY;
    for (let n = 0; n < LIST_REGISTERS; n++) {
      if (this.stateOf(n) !== State.Pending) continue;
      if (!(this.vmcr & (this.groupOf(n) ? Vmcr.VENG1 : Vmcr.VENG0))) continue;
      const p = this.priorityOf(n);
      if (p < bestPriority) {
        best = n;
        bestPriority = p;
      }
    }
    return best;
  }
  private get running(): number {
    const active = this.ap[0]! | this.ap[1]!;
    return active === 0 ? IDLE_PRIORITY : lowestBit(active) << AP_SHIFT;
  }
  private get bpr0(): number {
    return (this.vmcr >>> Vmcr.VBPR0) & 7;
  }
  private get bpr1(): number {
    return (this.vmcr >>> Vmcr.VBPR1) & 7;
  }
  /** Virtual BPR1 counts like the Non-secure physical one. */
  private preemptionMask(group: 0 | 1): number {
    return (0xff << (group === 0 || this.vmcr & Vmcr.VCBPR ? this.bpr0 + 1 : this.bpr1)) & 0xff;
  }
  private signalled(n: number): boolean {
    if (n < 0 || !(this.hcr & Hcr.En)) return false;
    const p = this.priorityOf(n);
    if (p >= this.vmcr >>> Vmcr.VPMR) return false;
    const running = this.running;
    const mask = this.preemptionMask(this.groupOf(n));
    return running === IDLE_PRIORITY || (p & mask) < (running & mask);
  }

  /** Recomputes both outputs and the maintenance interrupt. */
  private evaluate(): void {
    const n = this.highest;
    const on = this.signalled(n);
    const virq = on && this.groupOf(n) === 1;
    const vfiq = on && this.groupOf(n) === 0;
    if (virq !== this.virq || vfiq !== this.vfiq) {
      this.virq = virq;
      this.vfiq = vfiq;
      this.hooks.outputChanged();
    }
    this.hooks.maintenance((this.hcr & Hcr.En) !== 0 && this.misr !== 0);
  }

  // --- guest side

  readIcv(reg: RegName): number {
    switch (reg) {
      case "ICC_PMR_EL1":
        return this.vmcr >>> Vmcr.VPMR;
      case "ICC_RPR_EL1":
        return this.running;
      case "ICC_IAR0_EL1":
        return this.acknowledge(0);
      case "ICC_IAR1_EL1":
        return this.acknowledge(1);
      case "ICC_HPPIR0_EL1":
        return this.highestOf(0);
      case "ICC_HPPIR1_EL1":
        return this.highestOf(1);
      case "ICC_BPR0_EL1":
        return this.bpr0;
      case "ICC_BPR1_EL1":
        return this.vmcr & Vmcr.VCBPR ? Math.min(this.bpr0 + 1, 7) : this.bpr1;
      case "ICC_AP0R0_EL1":
        return this.ap[0]!;
      case "ICC_AP1R0_EL1":
        return this.ap[1]!;
      case "ICC_CTLR_EL1":
        return CTLR_FIXED | (this.vmcr & Vmcr.VCBPR ? Ctlr.CBPR : 0) | (this.vmcr & Vmcr.VEOIM ? Ctlr.EOImode : 0);
      case "ICC_IGRPEN0_EL1":
        return this.vmcr & Vmcr.VENG0 ? 1 : 0;
      case "ICC_IGRPEN1_EL1":
        return this.vmcr & Vmcr.VENG1 ? 1 : 0;
      default:
        return 0;
    }
  }

  writeIcv(reg: RegName, value: number): void {
    switch (reg) {
      case "ICC_PMR_EL1":
        this.setField(0xff << Vmcr.VPMR, value << Vmcr.VPMR);
        break;
      case "ICC_EOIR0_EL1":
        this.endOfInterrupt(value & INTID, 0);
        break;
      case "ICC_EOIR1_EL1":
        this.endOfInterrupt(value & INTID, 1);
        break;
      case "ICC_DIR_EL1":
        this.deactivateVirtual(value & INTID);
        break;
      case "ICC_BPR0_EL1":
        this.setField(7 << Vmcr.VBPR0, (value & 7) << Vmcr.VBPR0);
        break;
      case "ICC_BPR1_EL1":
        if (!(this.vmcr & Vmcr.VCBPR)) this.setField(7 << Vmcr.VBPR1, (value & 7) << Vmcr.VBPR1);
        return;
      case "ICC_AP0R0_EL1":
        this.setAp(0, value);
        break;
      case "ICC_AP1R0_EL1":
        this.setAp(1, value);
        break;
      case "ICC_CTLR_EL1":
        this.setField(Vmcr.VCBPR | Vmcr.VEOIM, (value & Ctlr.CBPR ? Vmcr.VCBPR : 0) | (value & Ctlr.EOImode ? Vmcr.VEOIM : 0));
        break;
      case "ICC_IGRPEN0_EL1":
        this.setField(Vmcr.VENG0, value & 1 ? Vmcr.VENG0 : 0);
        break;
      case "ICC_IGRPEN1_EL1":
        this.setField(Vmcr.VENG1, value & 1 ? Vmcr.VENG1 : 0);
        break;
    }
  }
  private setField(mask: number, bits: number): void {
    this.setVmcr(((this.vmcr & ~mask) | (bits & mask)) >>> 0);
  }

  /** ICV_HPPIR: priority mask and running priority do not matter. */
  private highestOf(group: 0 | 1): number {
    const n = this.highest;
    return n < 0 || this.groupOf(n) !== group ? Special.None : this.lrLow[n]! & INTID;
  }
  private acknowledge(group: 0 | 1): number {
    const n = this.highest;
    if (!this.signalled(n) || this.groupOf(n) !== group) return Special.None;
    const intid = this.lrLow[n]! & INTID;
    this.lrHigh[n] = this.lrHigh[n]! & ~Lr.Pending;
    if (intid < SPECIAL_BASE || intid > Special.None) {
      this.lrHigh[n]! |= Lr.Active;
      this.ap[group]! |= 1 << ((this.priorityOf(n) & this.preemptionMask(group)) >> AP_SHIFT);
    }
    this.evaluate();
    return intid;
  }

  private activeLr(intid: number): number {
    for (let n = 0; n < LIST_REGISTERS; n++) if (this.lrHigh[n]! & Lr.Active && (this.lrLow[n]! & INTID) === intid) return n;
    return -1;
  }
  /** Drops the highest active priority, Group 0 first on a tie. The priority dropped, or -1 when none was active. */
  private dropPriority(): number {
    const active = this.ap[0]! | this.ap[1]!;
    if (active === 0) return -1;
    const bit = active & -active;
    const group = this.ap[0]! & bit ? 0 : 1;
    this.ap[group]! &= ~bit;
    return lowestBit(active) << AP_SHIFT;
  }
  private endOfInterrupt(intid: number, group: 0 | 1): void {
    if (intid >= SPECIAL_BASE && intid <= Special.None) return;
    const dropped = this.dropPriority();
    if (dropped < 0) return;
    const n = this.activeLr(intid);
    const split = (this.vmcr & Vmcr.VEOIM) !== 0;
    if (n < 0) {
      if (intid < LPI_BASE && !split) this.countEoi();
    } else if (this.groupOf(n) === group && (this.priorityOf(n) & this.preemptionMask(group)) === dropped) {
      if (!split || intid >= LPI_BASE) this.deactivateLr(n);
    }
    this.evaluate();
  }
  /** ICV_DIR. */
  private deactivateVirtual(intid: number): void {
    if (!(this.vmcr & Vmcr.VEOIM) || intid >= LPI_BASE || (intid >= SPECIAL_BASE && intid <= Special.None)) return;
    const n = this.activeLr(intid);
    if (n < 0) this.countEoi();
    else this.deactivateLr(n);
    this.evaluate();
  }
  private deactivateLr(n: number): void {
    const high = this.lrHigh[n]!;
    this.lrHigh[n] = high & ~Lr.Active;
    const physical = high & Lr.pINTID;
    if (high & Lr.HW && physical < SPECIAL_BASE) this.hooks.deactivate(physical);
  }
  /** EOIcount wraps at 5 bits. */
  private countEoi(): void {
    this.hcr = (this.hcr + EOI_COUNT_ONE) >>> 0;
  }

  save(): Saved {
    return { hcr: this.hcr, vmcr: this.vmcr, ap: Array.from(this.ap), lrLow: Array.from(this.lrLow), lrHigh: Array.from(this.lrHigh) };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "virtual CPU interface");
    this.hcr = (s.uint("hcr") & HCR_WRITABLE) >>> 0;
    this.vmcr = canonicalVmcr(s.uint("vmcr"));
    s.uintsInto("ap", this.ap);
    s.uintsInto("lrLow", this.lrLow);
    s.uintsInto("lrHigh", this.lrHigh);
    for (let n = 0; n < LIST_REGISTERS; n++) this.lrHigh[n]! &= Lr.writable;
    this.evaluate();
  }
}

/** ICH_VMCR_EL2 as stored: VFIQEn RES1, binary points not below their minimum, implemented priority bits. */
function canonicalVmcr(value: number): number {
  const bpr0 = Math.max((value >>> Vmcr.VBPR0) & 7, MIN_BPR);
  const bpr1 = Math.max((value >>> Vmcr.VBPR1) & 7, MIN_BPR_NS);
  const bits = (value & (Vmcr.VENG0 | Vmcr.VENG1 | Vmcr.VCBPR | Vmcr.VEOIM)) | Vmcr.VFIQEn;
  return (bits | (bpr1 << Vmcr.VBPR1) | (bpr0 << Vmcr.VBPR0) | (((value >>> Vmcr.VPMR) & PRIORITY_MASK) << Vmcr.VPMR)) >>> 0;
}
