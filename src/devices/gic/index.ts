// GICv3 without ITS and LPIs: wires distributor, redistributors and CPU interfaces, chooses the highest priority pending
// interrupt of each PE and drives its lines.

import { Line, Off } from "../../arch/layout.ts";
import type { PeState } from "../../arch/state.ts";
import type { Saved, Stateful } from "../../util/stateful.ts";
import type { IrqLine, MmioDevice } from "../device.ts";
import { Group, IDLE_PRIORITY, LPI_BASE, MAINTENANCE_PPI, SPECIAL_BASE, SPI_BASE } from "./constants.ts";
import { Context } from "./context.ts";
import { CpuInterface } from "./cpu-interface.ts";
import { Distributor, IRM } from "./distributor.ts";
import type { IrqBank } from "./irq-bank.ts";
import { type Irqs, PhysicalInterface } from "./physical-interface.ts";
import { Redistributor, RedistributorWindow } from "./redistributor.ts";
import { fields, list } from "./saved.ts";
import { VirtualInterface } from "./virtual-interface.ts";

export type { CpuInterface as GicCpu } from "./cpu-interface.ts";

export interface GicOptions {
  /** State blocks of the PEs, in order. */
  pes: readonly PeState[];
  /** Number of SPIs, 0..988. */
  spis: number;
  /** One Security state only: GICD_CTLR.DS is RAO/WI. */
  singleSecurity: boolean;
  /** The lines of PE `pe` changed in Off.LINES. */
  onLines(pe: number): void;
}

const LINES = Line.IRQ | Line.FIQ | Line.VIRQ | Line.VFIQ;

/** Everything that belongs to one PE. */
interface Node {
  readonly st: PeState;
  readonly cx: Context;
  readonly redistributor: Redistributor;
  readonly cpu: CpuInterface;
  /** SPIs routed here, by word. */
  readonly routed: Uint32Array;
}

export class Gic implements Stateful {
  readonly distributor: MmioDevice;
  readonly redistributor: MmioDevice;
  private readonly gicd: Distributor;
  private readonly nodes: Node[] = [];
  private readonly onLines: (pe: number) => void;
  private readonly singleSecurity: boolean;

  constructor(o: GicOptions) {
    this.onLines = o.onLines;
    this.singleSecurity = o.singleSecurity;
    this.gicd = new Distributor({
      spis: o.spis,
      singleSecurity: o.singleSecurity,
      features: 0,
      hooks: {
        spisChanged: () => this.evaluateAll(),
        routeChanged: (i) => this.reroute(i),
        enablesChanged: () => this.evaluateAll(),
      },
    });
    this.distributor = this.gicd;
    for (const st of o.pes) this.nodes.push(this.makeNode(st, o.pes.length));
    this.redistributor = new RedistributorWindow(
      this.nodes.map((n) => n.redistributor),
      (who) => this.gicd.view(who),
    );
    this.rerouteAll();
  }

  private makeNode(st: PeState, count: number): Node {
    const cx = new Context(st);
    const pe = st.index;
    const evaluate = () => this.evaluate(pe);
    const redistributor = new Redistributor({
      number: pe,
      last: pe === count - 1,
      affinity: () => cx.affinity,
      changed: evaluate,
      wakeChanged: () => this.rerouteAll(),
    });
    const physical = new PhysicalInterface(cx, this.irqs(pe), this.singleSecurity);
    const virtual = new VirtualInterface({
      deactivate: (intid) => this.deactivate(pe, intid),
      maintenance: (level) => this.setPpi(pe, MAINTENANCE_PPI, level),
      outputChanged: () => this.drive(pe),
    });
    const cpu = new CpuInterface(cx, physical, virtual, evaluate);
    return { st, cx, redistributor, cpu, routed: new Uint32Array(this.gicd.spis.words) };
  }

  private irqs(pe: number): Irqs {
    const gic = this;
    return {
      get ds() {
        return gic.gicd.ds;
      },
      rangeSelector: false,
      groupOf: (intid) => gic.groupOf(pe, intid),
      acknowledge: (intid) => {
        const at = gic.locate(pe, intid);
        at?.bank.acknowledge(at.i);
        gic.changed(pe, intid);
      },
      deactivate: (intid) => gic.deactivate(pe, intid),
      sendSgi: (group, low, high, restricted) => gic.sendSgi(pe, group, low, high, restricted),
      groupsChanged: () => gic.evaluate(pe),
      outputChanged: () => gic.drive(pe),
    };
  }

  // ---- inputs ------------------------------------------------------------------------------------------------------------
  /** Input of SPI `n` (INTID 32 + n). */
  spi(n: number): IrqLine {
    return {
      set: (level) => {
        if (this.gicd.spis.setLine(n, level)) this.changed(0, SPI_BASE + n);
      },
    };
  }
  /** Input of a private peripheral interrupt, by INTID 16..31. */
  ppi(pe: number, intid: number): IrqLine {
    return { set: (level) => this.setPpi(pe, intid, level) };
  }
  private setPpi(pe: number, intid: number, level: boolean): void {
    const node = this.nodes[pe];
    // The virtual interface drives its line once while the node is being made: it is low then anyway.
    if (node?.redistributor.irqs.setLine(intid, level)) this.evaluate(pe);
  }
  cpu(pe: number): CpuInterface {
    return (this.nodes[pe] as Node).cpu;
  }

  // ---- interrupts by INTID -------------------------------------------------------------------------------------------------
  private locate(pe: number, intid: number): { bank: IrqBank; i: number } | undefined {
    if (intid < SPI_BASE) return { bank: (this.nodes[pe] as Node).redistributor.irqs, i: intid };
    const i = intid - SPI_BASE;
    if (intid >= SPECIAL_BASE || i >= 32 * this.gicd.spis.words) return undefined;
    return (this.gicd.spis.implemented[i >> 5] as number) & (1 << (i & 31)) ? { bank: this.gicd.spis, i } : undefined;
  }
  private groupOf(pe: number, intid: number): Group | -1 {
    const at = this.locate(pe, intid);
    return at ? at.bank.groupOf(at.i, this.gicd.ds) : -1;
  }
  private deactivate(pe: number, intid: number): void {
    if (intid >= LPI_BASE) return;
    const at = this.locate(pe, intid);
    at?.bank.deactivate(at.i);
    this.changed(pe, intid);
  }
  /** Interrupt `intid` (a private one of `pe`, or an SPI) may ask for something else now. */
  private changed(pe: number, intid: number): void {
    if (intid < SPI_BASE) {
      this.evaluate(pe);
      return;
    }
    const i = intid - SPI_BASE;
    for (const n of this.nodes) if ((n.routed[i >> 5] as number) & (1 << (i & 31))) this.evaluate(n.st.index);
  }

  // ---- SGIs ----------------------------------------------------------------------------------------------------------------
  private sendSgi(from: number, group: Group, low: number, high: number, restricted: boolean): void {
    const intid = (low >>> 24) & 15;
    const toAll = (high & 0x100) !== 0;
    const cluster = ((high & 0xff0000) << 8) | ((high & 0xff) << 16) | (((low >>> 16) & 0xff) << 8);
    const rangeStart = ((high >>> 12) & 15) * 16;
    for (const n of this.nodes) {
      const { affinity } = n.cx;
      const aff0 = (affinity & 0xff) - rangeStart;
      const listed = ((affinity ^ cluster) & 0xffff_ff00) === 0 && aff0 >= 0 && aff0 < 16 && (low & (1 << aff0)) !== 0;
      if (toAll ? n.st.index === from : !listed) continue;
      if (!this.acceptsSgi(n, intid, group, restricted)) continue;
      n.redistributor.irqs.setPending(intid);
      this.evaluate(n.st.index);
    }
  }
  /** Facts 6.4: a Secure Group 1 request also hits Group 0; Non-secure requests for Secure SGIs need NSACR. */
  private acceptsSgi(n: Node, intid: number, requested: Group, restricted: boolean): boolean {
    const { irqs } = n.redistributor;
    const { ds } = this.gicd;
    const configured = irqs.groupOf(intid, ds);
    const wanted = requested === Group.G1S && configured === Group.G0 ? Group.G0 : requested;
    if (wanted !== configured) return false;
    if (ds || !restricted || configured === Group.G1NS) return true;
    const nsacr = ((irqs.nsacr[0] as number) >>> (2 * intid)) & 3;
    return nsacr >= (configured === Group.G0 ? 1 : 2);
  }

  // ---- routing -------------------------------------------------------------------------------------------------------------
  private reroute(i: number): void {
    const bit = 1 << (i & 31);
    const target = this.targetOf(i);
    for (const n of this.nodes) {
      const old = n.routed[i >> 5] as number;
      n.routed[i >> 5] = n === target ? old | bit : old & ~bit;
      if (n.routed[i >> 5] !== old) this.evaluate(n.st.index);
    }
  }
  /** IRM = 1 selects the first PE that is awake; otherwise the PE of that affinity, if there is one. */
  private targetOf(i: number): Node | undefined {
    if (((this.gicd.routeLow[i] as number) & IRM) !== 0) return this.nodes.find((n) => n.redistributor.awake) ?? this.nodes[0];
    const affinity = this.gicd.affinity(i);
    return this.nodes.find((n) => n.cx.affinity === affinity);
  }
  private rerouteAll(): void {
    for (let i = 0; i < 32 * this.gicd.spis.words; i++) this.reroute(i);
    this.evaluateAll();
  }

  // ---- outputs -------------------------------------------------------------------------------------------------------------
  private evaluateAll(): void {
    for (const n of this.nodes) this.evaluate(n.st.index);
  }
  /** Chooses the highest priority pending interrupt of a PE among what is enabled, then drives its lines. */
  private evaluate(pe: number): void {
    const n = this.nodes[pe];
    if (!n) return;
    const { hppi } = n.cpu.physical;
    hppi.intid = -1;
    hppi.priority = IDLE_PRIORITY;
    if (n.redistributor.awake) {
      const groups = this.gicd.enabled & n.cpu.physical.enabledGroups;
      const { ds } = this.gicd;
      this.consider(n, n.redistributor.irqs, 0, n.redistributor.irqs.candidates(0, groups, ds));
      for (let w = 0; w < this.gicd.spis.words; w++) {
        const routed = n.routed[w] as number;
        if (routed !== 0) this.consider(n, this.gicd.spis, w, this.gicd.spis.candidates(w, groups, ds) & routed);
      }
    }
    this.drive(pe);
  }
  private consider(n: Node, bank: IrqBank, w: number, bits: number): void {
    if (bits === 0) return;
    const best = bank.best(w, bits);
    const { hppi } = n.cpu.physical;
    const priority = bank.priority[best] as number;
    if (best < 0 || priority >= hppi.priority) return;
    hppi.intid = bank.base + best;
    hppi.priority = priority;
    hppi.group = bank.groupOf(best, this.gicd.ds);
  }
  private drive(pe: number): void {
    const n = this.nodes[pe];
    if (!n) return;
    const { physical, virtual } = n.cpu;
    let lines = (virtual.virq ? Line.VIRQ : 0) | (virtual.vfiq ? Line.VFIQ : 0);
    if (physical.signalled) lines |= this.isFiq(n, physical.hppi.group) ? Line.FIQ : Line.IRQ;
    const old = n.st.lo(Off.LINES);
    const now = (old & ~LINES) | lines;
    if (now === old) return;
    n.st.setLo(Off.LINES, now);
    this.onLines(pe);
  }
  /** Facts 6.5: Group 0 is FIQ; Group 1 is IRQ in its own Security state, FIQ in the other and at EL3. */
  private isFiq(n: Node, group: Group): boolean {
    if (group === Group.G0) return true;
    if (this.gicd.ds) return false;
    if (n.cx.el === 3) return true;
    return (group === Group.G1NS) !== n.cx.nonSecure;
  }

  // ---- reset, save, restore ------------------------------------------------------------------------------------------------
  reset(): void {
    this.gicd.reset();
    for (const n of this.nodes) {
      n.redistributor.reset();
      n.cpu.physical.reset();
      n.cpu.virtual.reset();
    }
    this.rerouteAll();
  }
  save(): Saved {
    return {
      distributor: this.gicd.save(),
      pes: this.nodes.map((n) => ({
        redistributor: n.redistributor.save(),
        physical: n.cpu.physical.save(),
        virtual: n.cpu.virtual.save(),
      })),
    };
  }
  restore(state: Saved): void {
    const s = fields(state);
    this.gicd.restore(s.distributor);
    const pes = list(s.pes, this.nodes.length);
    this.nodes.forEach((n, i) => {
      const p = fields(pes[i]);
      n.redistributor.restore(p.redistributor);
      n.cpu.physical.restore(p.physical);
      n.cpu.virtual.restore(p.virtual);
    });
    this.rerouteAll();
  }
}
