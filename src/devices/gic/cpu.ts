// The CPU interface of one PE as the PE sees it: access checks, choice between ICC_* and ICV_*, and the interrupt lines.

import { Line, Off } from "../../arch/layout.ts";
import type { RegName } from "../../arch/registers/encodings.ts";
import type { PeState } from "../../arch/state.ts";
import type { Saved } from "../../util/stateful.ts";
import { SavedFields } from "../saved.ts";
import { type AccessResult, isGicRegister, isVirtual, judge } from "./access.ts";
import { Group, LIST_REGISTERS } from "./constants.ts";
import { Context } from "./context.ts";
import { type Irqs, PhysicalInterface } from "./physical-interface.ts";
import { VirtualInterface } from "./virtual-interface.ts";

const GIC_LINES = Line.IRQ | Line.FIQ | Line.VIRQ | Line.VFIQ;
/** Numbers of the list registers. */
const lrNumber = new Map<RegName, number>();
for (let n = 0; n < LIST_REGISTERS; n++) lrNumber.set(`ICH_LR${n}_EL2` as RegName, n);
const LOW = 0xffff_ffffn;

export class GicCpu {
  readonly cx: Context;
  readonly physical: PhysicalInterface;
  readonly virtual: VirtualInterface;
  private readonly st: PeState;
  private readonly irqs: Irqs;
  private readonly onLines: () => void;

  constructor(o: { st: PeState; irqs: Irqs; nDS: boolean; maintenance: (level: boolean) => void; onLines: () => void }) {
    this.st = o.st;
    this.irqs = o.irqs;
    this.onLines = o.onLines;
    this.cx = new Context(o.st);
    this.physical = new PhysicalInterface(this.cx, o.irqs, o.nDS);
    this.virtual = new VirtualInterface({
      deactivate: (intid) => this.physical.deactivateChecked(intid),
      maintenance: o.maintenance,
      outputChanged: () => this.update(),
    });
  }

  /** True for the ICC_* and ICH_* registers, also for those that are UNDEFINED here (see access). */
  has(reg: RegName): boolean {
    return isGicRegister(reg);
  }
  /** May the current state read or write `reg`? 0: yes; 1, 2, 3: trap to that EL with EC 0x18; -1: UNDEFINED. No side effect. */
  access(reg: RegName, write: boolean): AccessResult {
    return judge(reg, write, this.cx, this.virtual);
  }

  /** MRS, after access() allowed it. Reading ICC_IAR0/1_EL1 acknowledges. */
  read(reg: RegName): bigint {
    const n = lrNumber.get(reg);
    if (n !== undefined) return (BigInt(this.virtual.readLr(n, true)) << 32n) | BigInt(this.virtual.readLr(n, false));
    return BigInt(this.read32(reg) >>> 0);
  }
  private read32(reg: RegName): number {
    if (reg.startsWith("ICH_")) return this.virtual.readIch(reg);
    return isVirtual(reg, this.cx) ? this.virtual.readIcv(reg) : this.physical.read(reg);
  }

  /** MSR, after access() allowed it. Bits that do not exist are ignored. */
  write(reg: RegName, value: bigint): void {
    const low = Number(value & LOW);
    const high = Number((value >> 32n) & LOW);
    const n = lrNumber.get(reg);
    if (n !== undefined) this.virtual.writeLr(n, low, high);
    else if (reg.startsWith("ICH_")) this.virtual.writeIch(reg, low);
    else if (isVirtual(reg, this.cx)) this.virtual.writeIcv(reg, low);
    else this.physical.write(reg, low, high);
  }

  /** All of the virtual interface as words from word `at` on (SavedWords). */
  saveVirtual(to: Uint32Array, at: number): void {
    this.virtual.saveWords(to, at);
  }
  /** The other way; ICH_MISR_EL2 follows from the others. */
  loadVirtual(from: Uint32Array, at: number): void {
    this.virtual.loadWords(from, at);
  }
  /** Its controls alone: ICH_VMCR_EL2 and ICH_HCR_EL2, two words each. */
  saveControls(to: Uint32Array, at: number): void {
    this.virtual.saveControls(to, at);
  }
  loadControls(from: Uint32Array, at: number): void {
    this.virtual.loadControls(from, at);
  }
  /** Writes 0 to all of them. */
  clearVirtual(): void {
    this.virtual.reset();
  }

  /**
   * Sets the PE's interrupt lines anew. To be called when the Exception level, SCR_EL3 or HCR_EL2 changed: the same pending
   * interrupt is an IRQ in one state and an FIQ in another. Virtual lines do not depend on the state; the PE gates them with
   * HCR_EL2.{IMO,FMO,TGE} and ORs in HCR_EL2.{VI,VF}.
   */
  update(): void {
    const lines = this.st.lo(Off.LINES);
    const now = (lines & ~GIC_LINES) | this.physicalLine | (this.virtual.virq ? Line.VIRQ : 0) | (this.virtual.vfiq ? Line.VFIQ : 0);
    if (now === lines) return;
    this.st.setLo(Off.LINES, now);
    this.onLines();
  }

  /** IHI 0069, 4.6.2: Group 0 and the group of the other Security state are FIQs, and everything is at EL3. */
  private get physicalLine(): number {
    if (!this.physical.signalled) return 0;
    const { group } = this.physical.hppi;
    if (this.irqs.ds) return group === Group.G0 ? Line.FIQ : Line.IRQ;
    if (this.cx.el === 3 || group === Group.G0) return Line.FIQ;
    return (group === Group.G1NS) === this.cx.nonSecureBank ? Line.IRQ : Line.FIQ;
  }

  reset(): void {
    this.physical.reset();
    this.virtual.reset();
  }
  save(): Saved {
    return { physical: this.physical.save(), virtual: this.virtual.save() };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "CPU interface");
    this.physical.restore(s.part("physical"));
    this.virtual.restore(s.part("virtual"));
  }
}
