// The GICv3 of a machine: distributor, redistributors and CPU interfaces, and the choice of the highest priority pending
// interrupt of each PE. No LPIs and no ITS yet: they would be a third source beside `bestPrivate` and `bestSpi`.
//
//   device line ──> SPI bank ──route──> PE ┐
//   timer, PMU ───> PPI ───────────────────┼─ best by priority, then INTID ──> CPU interface ──> IRQ / FIQ lines
//   ICC_SGI*R ────> SGI ───────────────────┘                          virtual interface ──> vIRQ / vFIQ, PPI 25
//
// Each PE caches its best private and its best shared interrupt. A change of one SPI compares that one with the cache; only
// when the cached one itself goes away is the PE's part of the bitmaps scanned.

import { MAX_PES } from "../../arch/layout.ts";
import type { PeState } from "../../arch/state.ts";
import { EmuError } from "../../util/errors.ts";
import type { Saved, Stateful } from "../../util/stateful.ts";
import type { IrqLine, MmioDevice } from "../device.ts";
import { SavedFields } from "../saved.ts";
import { bitOf, Group, IDLE_PRIORITY, lowestBit, MAINTENANCE_PPI, PPI_BASE, SPECIAL_BASE, SPI_BASE } from "./constants.ts";
import { GicCpu } from "./cpu.ts";
import { Distributor, IRM } from "./distributor.ts";
import type { Irqs } from "./physical-interface.ts";
import { Redistributor, RedistributorWindow } from "./redistributor.ts";

export { GicCpu } from "./cpu.ts";
export { REDISTRIBUTOR_STRIDE } from "./redistributor.ts";

/** GICD_TYPER bits. */
const TYPER_NO1N = 1 << 25;
const TYPER_RSS = 1 << 26;

export interface GicOptions {
  pes: readonly PeState[];
  /** Number of SPIs, 0 to 988. */
  spis: number;
  /** One Security state for interrupts: GICD_CTLR.DS is RAO/WI. */
  singleSecurity: boolean;
  /** Implement 1-of-N routing (IROUTER.IRM). Default false, GICD_TYPER.No1N = 1: the bit is stored and ignored. */
  oneOfN?: boolean;
  /** The bits of Line.{IRQ,FIQ,VIRQ,VFIQ} in Off.LINES of PE `pe` changed. */
  onLines(pe: number): void;
}

/** One PE's side: redistributor, CPU interface, SPIs routed here and the caches. */
class Target {
  readonly redistributor: Redistributor;
  readonly cpu: GicCpu;
  /** Bitmap of the SPIs routed to this PE. */
  readonly routed: Uint32Array;
  /** Best candidates: INTID of an SGI or PPI, number of an SPI; -1 for none. */
  bestPrivate = -1;
  bestSpi = -1;

  constructor(redistributor: Redistributor, cpu: GicCpu, words: number) {
    this.redistributor = redistributor;
    this.cpu = cpu;
    this.routed = new Uint32Array(words);
  }
}

export class Gic implements Stateful {
  /** GICD, 64 KiB. */
  readonly distributor: MmioDevice;
  /** GICR, 128 KiB for each PE. */
  readonly redistributor: MmioDevice;

  private readonly gicd: Distributor;
  private readonly targets: Target[] = [];
  /** PE each SPI is routed to, -1 for none. */
  private readonly route: Int8Array;
  private readonly oneOfN: boolean;

  constructor(o: GicOptions) {
    if (o.pes.length < 1 || o.pes.length > MAX_PES)
      throw new EmuError("gic-pes", `the interrupt controller takes 1 to ${MAX_PES} PEs, not ${o.pes.length}`);
    const most = SPECIAL_BASE - SPI_BASE;
    if (!(o.spis >= 0 && o.spis <= most)) throw new EmuError("gic-spis", `the interrupt controller takes 0 to ${most} SPIs, not ${o.spis}`);
    this.oneOfN = o.oneOfN ?? false;
    this.gicd = new Distributor({
      spis: o.spis,
      singleSecurity: o.singleSecurity,
      features: () => (this.oneOfN ? 0 : TYPER_NO1N) | (this.rangeSelector ? TYPER_RSS : 0),
      hooks: {
        spisChanged: (w, bits) => this.spisChanged(w, bits),
        routeChanged: (i) => this.routeChanged(i),
        enablesChanged: () => this.recompute(),
      },
    });
    this.route = new Int8Array(32 * this.gicd.spis.words);
    for (const [index, st] of o.pes.entries()) this.targets.push(this.target(index, st, o));
    this.distributor = this.gicd;
    const redistributors = this.targets.map((t) => t.redistributor);
    this.redistributor = new RedistributorWindow(redistributors, (who) => this.gicd.view(who));
    this.recompute();
  }

  /** Wakes the redistributor of PE `index` up (GICR_WAKER), as firmware does before it starts software that leaves this to it. */
  wake(index: number): void {
    this.targets[index]?.redistributor.wake();
  }

  /** Could a device interrupt some PE: is any SPI enabled? */
  get listens(): boolean {
    return this.gicd.spis.enable.some((bits) => bits !== 0);
  }

  private target(index: number, st: PeState, o: GicOptions): Target {
    const cpu = new GicCpu({
      st,
      irqs: this.irqsOf(index),
      nDS: !o.singleSecurity,
      maintenance: (level) => this.setPrivate(index, MAINTENANCE_PPI, level),
      onLines: () => o.onLines(index),
    });
    const redistributor = new Redistributor({
      number: index,
      last: index === o.pes.length - 1,
      affinity: () => cpu.cx.affinity,
      changed: () => this.privateChanged(index),
      wakeChanged: () => this.groupsChanged(index),
    });
    return new Target(redistributor, cpu, this.gicd.spis.words);
  }

  /** The controller as the CPU interface of PE `index` uses it. */
  private irqsOf(index: number): Irqs {
    const gic = this;
    return {
      get ds() {
        return gic.gicd.ds;
      },
      get rangeSelector() {
        return gic.rangeSelector;
      },
      groupOf: (intid) => gic.groupOf(index, intid),
      acknowledge: (intid) => gic.changeState(index, intid, "acknowledge"),
      deactivate: (intid) => gic.changeState(index, intid, "deactivate"),
      sendSgi: (group, low, high, restricted) => gic.sendSgi(index, group, low, high, restricted),
      groupsChanged: () => gic.groupsChanged(index),
      outputChanged: () => gic.at(index).cpu.update(),
    };
  }

  private at(pe: number): Target {
    const t = this.targets[pe];
    if (!t) throw new EmuError("gic-pe", `there is no PE ${pe}`);
    return t;
  }

  // --- wiring

  /** Input of SPI `n` (INTID 32 + n). */
  spi(n: number): IrqLine {
    if (!(n >= 0 && n < this.route.length) || !this.exists(n)) throw new EmuError("gic-spi", `there is no SPI ${n}`);
    return { set: (level) => this.setShared(n, level) };
  }
  /** Input of private interrupt `intid` (16-31, not 25: the maintenance interrupt comes from here) of PE `pe`. */
  ppi(pe: number, intid: number): IrqLine {
    this.at(pe);
    const free = intid >= PPI_BASE && intid < SPI_BASE && intid !== MAINTENANCE_PPI;
    if (!free) throw new EmuError("gic-ppi", `INTID ${intid} is not a PPI that a device can drive`);
    return { set: (level) => this.setPrivate(pe, intid, level) };
  }
  /** CPU interface of PE `pe`. */
  cpu(pe: number): GicCpu {
    return this.at(pe).cpu;
  }

  private setShared(i: number, level: boolean): void {
    if (this.gicd.spis.setLine(i, level)) this.spiChanged(i);
  }
  private setPrivate(pe: number, intid: number, level: boolean): void {
    // During construction the virtual interface reports its level before the PE has a redistributor.
    const t = this.targets[pe];
    if (t?.redistributor.irqs.setLine(intid, level)) this.privateChanged(pe);
  }

  // --- interrupt state as the CPU interfaces use it

  private exists(i: number): boolean {
    return (this.gicd.spis.implemented[i >> 5]! & (1 << (i & 31))) !== 0;
  }
  private groupOf(pe: number, intid: number): Group | -1 {
    if (intid < SPI_BASE) return this.at(pe).redistributor.irqs.groupOf(intid, this.gicd.ds);
    const i = intid - SPI_BASE;
    return i < this.route.length && this.exists(i) ? this.gicd.spis.groupOf(i, this.gicd.ds) : -1;
  }
  private changeState(pe: number, intid: number, what: "acknowledge" | "deactivate"): void {
    if (intid < SPI_BASE) {
      this.at(pe).redistributor.irqs[what](intid);
      this.privateChanged(pe);
    } else {
      this.gicd.spis[what](intid - SPI_BASE);
      this.spiChanged(intid - SPI_BASE);
    }
  }

  // --- software generated interrupts

  private get rangeSelector(): boolean {
    return this.targets.some((t) => (t.cpu.cx.affinity & 0xff) > 15);
  }

  /** ICC_SGI0R, SGI1R, ASGI1R: to the PEs of a list within a cluster, or to all others (IRM, bit 40). */
  private sendSgi(from: number, group: Group, low: number, high: number, restricted: boolean): void {
    const intid = (low >>> 24) & 0xf;
    const all = (high & 0x100) !== 0;
    const range = this.rangeSelector ? (high >>> 12) & 0xf : 0;
    const cluster = ((((high >>> 16) & 0xff) << 16) | ((high & 0xff) << 8) | ((low >>> 16) & 0xff)) >>> 0;
    for (const [pe, t] of this.targets.entries()) {
      const affinity = t.cpu.cx.affinity;
      const aff0 = affinity & 0xff;
      const listed = affinity >>> 8 === cluster && aff0 >> 4 === range && (low & (1 << (aff0 & 15))) !== 0;
      if (all ? pe !== from : listed) this.acceptSgi(pe, intid, group, restricted);
    }
  }

  /** The target's redistributor decides: IHI 0069, table 12-14 (forwarding an SGI). */
  private acceptSgi(pe: number, intid: number, asked: Group, restricted: boolean): void {
    const { redistributor } = this.at(pe);
    const { ds } = this.gicd;
    const group = redistributor.irqs.groupOf(intid, ds);
    // A Secure Group 1 request also reaches an SGI configured as Group 0; with DS = 1 there is no Secure Group 1.
    if (group !== asked && !(asked === Group.G1S && group === Group.G0)) return;
    if (restricted && !ds) {
      const level = redistributor.registers.accessLevel(intid);
      if (level < (group === Group.G0 ? 1 : group === Group.G1S ? 2 : 0)) return;
    }
    redistributor.irqs.setPending(intid);
    this.privateChanged(pe);
  }

  // --- routing

  /** PE that SPI `i` goes to: that of its affinity; with 1-of-N the first that is awake and has its group enabled. */
  private routeOf(i: number): number {
    if (this.oneOfN && this.gicd.routeLow[i]! & IRM) {
      const group = bitOf(this.gicd.spis.groupOf(i, this.gicd.ds));
      return this.targets.findIndex((t) => t.redistributor.awake && (t.cpu.physical.enabledGroups & group) !== 0);
    }
    const affinity = this.gicd.affinity(i);
    return this.targets.findIndex((t) => t.cpu.cx.affinity === affinity);
  }
  /** Routes SPI `i` anew. The PEs it leaves and joins must be looked at again afterwards. */
  private reroute(i: number): void {
    const bit = 1 << (i & 31);
    const old = this.targets[this.route[i]!];
    if (old) old.routed[i >> 5]! &= ~bit;
    const pe = this.routeOf(i);
    this.route[i] = pe;
    const now = this.targets[pe];
    if (now) now.routed[i >> 5]! |= bit;
  }
  private routeChanged(i: number): void {
    const old = this.route[i]!;
    this.reroute(i);
    if (this.route[i] === old) return;
    if (old >= 0) this.scan(old);
    this.spiChanged(i);
  }
  private rerouteAll(): void {
    for (const t of this.targets) t.routed.fill(0);
    this.route.fill(-1);
    for (let i = 0; i < this.route.length; i++) this.reroute(i);
  }

  // --- highest priority pending interrupts

  /** Groups that may be forwarded to PE `t` now. */
  private groups(t: Target): number {
    return t.redistributor.awake ? this.gicd.enabled & t.cpu.physical.enabledGroups : 0;
  }

  /** Everything about private interrupts of `pe`: they are one word, so it is simply looked at again. */
  private privateChanged(pe: number): void {
    const t = this.at(pe);
    const { irqs } = t.redistributor;
    t.bestPrivate = irqs.best(0, irqs.candidates(0, this.groups(t), this.gicd.ds));
    this.present(t);
  }

  /** SPI `i` changed in any way but its route. */
  private spiChanged(i: number): void {
    const pe = this.route[i]!;
    if (pe < 0) return;
    const t = this.at(pe);
    const { spis, ds } = this.gicd;
    const candidate = (spis.candidates(i >> 5, this.groups(t), ds) & (1 << (i & 31))) !== 0;
    if (t.bestSpi === i) {
      // It may have lost its place, or its priority or group may have changed.
      this.scan(pe);
    } else if (candidate && (t.bestSpi < 0 || this.precedes(i, t.bestSpi))) {
      t.bestSpi = i;
      this.present(t);
    }
  }
  private precedes(i: number, j: number): boolean {
    const { priority } = this.gicd.spis;
    return priority[i]! < priority[j]! || (priority[i] === priority[j] && i < j);
  }

  /** `bits` of SPI word `w` changed. */
  private spisChanged(w: number, bits: number): void {
    if (this.oneOfN) {
      // The group decides who takes part in 1-of-N routing.
      for (let b = bits; b !== 0; b &= b - 1) this.reroute(32 * w + lowestBit(b));
      this.scanAll();
    } else if ((bits & (bits - 1)) === 0) {
      this.spiChanged(32 * w + lowestBit(bits));
    } else {
      this.scanAll();
    }
  }
  private scanAll(): void {
    for (let pe = 0; pe < this.targets.length; pe++) this.scan(pe);
  }
  /** Finds the best SPI of `pe` in the bitmaps. */
  private scan(pe: number): void {
    const t = this.at(pe);
    const { spis, ds } = this.gicd;
    const groups = this.groups(t);
    t.bestSpi = -1;
    for (let w = 0; groups !== 0 && w < spis.words; w++) {
      const bits = (spis.candidates(w, groups, ds) & t.routed[w]!) >>> 0;
      if (bits === 0) continue;
      const i = spis.best(w, bits);
      if (t.bestSpi < 0 || this.precedes(i, t.bestSpi)) t.bestSpi = i;
    }
    this.present(t);
  }

  /** A PE's group enables, or whether it is awake, changed. */
  private groupsChanged(pe: number): void {
    if (this.oneOfN) {
      this.recompute();
      return;
    }
    const t = this.at(pe);
    const { irqs } = t.redistributor;
    t.bestPrivate = irqs.best(0, irqs.candidates(0, this.groups(t), this.gicd.ds));
    this.scan(pe);
  }
  /** Everything, from the registers alone. */
  private recompute(): void {
    this.rerouteAll();
    for (let pe = 0; pe < this.targets.length; pe++) {
      this.privateChanged(pe);
      this.scan(pe);
    }
  }

  /** Hands the better of both candidates to the CPU interface. */
  private present(t: Target): void {
    const { spis, ds } = this.gicd;
    const { irqs } = t.redistributor;
    const { hppi } = t.cpu.physical;
    const own = t.bestPrivate < 0 ? IDLE_PRIORITY : irqs.priority[t.bestPrivate]!;
    const shared = t.bestSpi < 0 ? IDLE_PRIORITY : spis.priority[t.bestSpi]!;
    if (t.bestPrivate >= 0 && own <= shared) {
      hppi.intid = t.bestPrivate;
      hppi.priority = own;
      hppi.group = irqs.groupOf(t.bestPrivate, ds);
    } else if (t.bestSpi >= 0) {
      hppi.intid = t.bestSpi + SPI_BASE;
      hppi.priority = shared;
      hppi.group = spis.groupOf(t.bestSpi, ds);
    } else {
      hppi.intid = -1;
      hppi.priority = IDLE_PRIORITY;
    }
    t.cpu.update();
  }

  // --- reset, snapshots

  /** Cold reset. Inputs keep their level: they belong to the devices. */
  reset(): void {
    this.gicd.reset();
    for (const t of this.targets) {
      t.redistributor.reset();
      t.cpu.reset();
    }
    this.recompute();
  }

  save(): Saved {
    return {
      distributor: this.gicd.save(),
      pes: this.targets.map((t) => ({ redistributor: t.redistributor.save(), cpu: t.cpu.save() })),
    };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "gic");
    const pes = s.list("pes", this.targets.length).map((p) => new SavedFields(p, "a PE of the gic"));
    this.gicd.restore(s.part("distributor"));
    for (const [i, t] of this.targets.entries()) {
      t.redistributor.restore((pes[i] as SavedFields).part("redistributor"));
      t.cpu.restore((pes[i] as SavedFields).part("cpu"));
    }
    this.recompute();
  }
}
