// The interrupt controller that a guest sees: distributor and redistributors are modelled with the parts of the machine's own GIC; the
// CPU interface is the virtual one of the PE, reached through the list registers that RMI_REC_ENTER loads.
//
//   device line ─> SPI bank ─┐                    entry                           exit
//   timers, PMU ─> PPIs ─────┼─ the most urgent ─────────> list registers ─────────────────> banks again
//   SGI exits ───> SGIs ─────┘

import type { IrqLine, MmioDevice } from "../devices/device.ts";
import { Group, PRIORITY_MASK } from "../devices/gic/constants.ts";
import { Distributor } from "../devices/gic/distributor.ts";
import type { IrqBank } from "../devices/gic/irq-bank.ts";
import { Redistributor, RedistributorWindow } from "../devices/gic/redistributor.ts";
import { SavedFields } from "../devices/saved.ts";
import { Enter, type RecEnter } from "../rmm/layouts.ts";
import type { StructView } from "../rmm/struct.ts";
import type { Saved, Stateful } from "../util/stateful.ts";

/** ICH_LR<n>_EL2. */
const Lr = { EOI: 1n << 41n, PRIORITY: 48n, GROUP1: 1n << 60n, PENDING: 1n << 62n, ACTIVE: 1n << 63n } as const;
/** ICH_HCR_EL2 bits that a host may set: maintenance when an EOI found no list register, when nothing is pending any more. */
const Hcr = { LRENPIE: 4n, NPIE: 8n } as const;
const EOI_COUNT = 27;
const FIRST_SPI = 32;

/** An interrupt as it was put into a list register. */
interface Loaded {
  readonly bank: IrqBank;
  /** Number in the bank. */
  readonly n: number;
  /** It was pending by its latch (an edge, or software), which was cleared. */
  readonly latched: boolean;
}

interface Candidate {
  readonly bank: IrqBank;
  readonly n: number;
  readonly pending: boolean;
  readonly active: boolean;
  readonly priority: number;
}

type EnterView = StructView<keyof typeof RecEnter.fields>;
/** RmiRecExit, or an RmiRecEnter that was not entered with. */
type Exit = { get(name: "gicv3_lrs", i?: number): bigint; lo(name: "gicv3_hcr"): number };

export interface VgicOptions {
  /** Number of RECs. */
  recs: number;
  /** Number of SPIs. */
  spis: number;
  /** List registers that the host may use. */
  listRegisters: number;
  /** Affinity of REC `n`: Aff3.Aff2.Aff1.Aff0. */
  affinity(n: number): number;
  /** Something for REC `n` changed: it has to be entered again. */
  changed(n: number): void;
}

export class Vgic implements Stateful {
  readonly distributor: MmioDevice;
  readonly redistributor: MmioDevice;
  private readonly o: VgicOptions;
  private readonly gicd: Distributor;
  private readonly gicr: Redistributor[];
  private readonly loaded: Loaded[][];

  constructor(o: VgicOptions) {
    this.o = o;
    this.gicd = new Distributor({
      spis: o.spis,
      singleSecurity: true,
      features: () => 1 << 25, // No1N
      hooks: {
        spisChanged: (w, bits) => this.spisChanged(w, bits),
        routeChanged: (i) => this.spisChanged(i >> 5, (1 << (i & 31)) >>> 0),
        enablesChanged: () => this.allChanged(),
      },
    });
    this.gicr = Array.from(
      { length: o.recs },
      (_, number) =>
        new Redistributor({
          number,
          last: number === o.recs - 1,
          affinity: () => o.affinity(number),
          changed: () => o.changed(number),
          wakeChanged: () => o.changed(number),
        }),
    );
    this.loaded = this.gicr.map(() => []);
    this.distributor = this.gicd;
    this.redistributor = new RedistributorWindow(this.gicr, (who) => this.gicd.view(who));
  }

  // ---- inputs --------------------------------------------------------------------------------------------------------

  /** Input of SPI `n` (INTID 32 + n). */
  spi(n: number): IrqLine {
    return {
      set: (level) => {
        if (this.gicd.spis.setLine(n, level)) this.spisChanged(n >> 5, (1 << (n & 31)) >>> 0);
      },
    };
  }
  /** Level of private interrupt `intid` of REC `rec`. No REC is told: it is the one that has just exited. */
  setPrivate(rec: number, intid: number, level: boolean): void {
    this.gicr[rec]?.irqs.setLine(intid, level);
  }
  /** ICC_SGI1R_EL1 written by REC `from`. */
  sendSgi(from: number, value: bigint): void {
    const intid = Number((value >> 24n) & 0xfn);
    const toOthers = ((value >> 40n) & 1n) === 1n;
    const cluster = (((value >> 48n) & 0xffn) << 16n) | (((value >> 32n) & 0xffn) << 8n) | ((value >> 16n) & 0xffn);
    for (const [rec, { irqs }] of this.gicr.entries()) {
      const affinity = this.o.affinity(rec);
      const listed = BigInt(affinity >>> 8) === cluster && (value & (1n << BigInt(affinity & 0xf))) !== 0n;
      if (toOthers ? rec === from : !listed) continue;
      if (irqs.groupOf(intid, true) !== Group.G1NS) continue;
      irqs.setPending(intid);
      this.o.changed(rec);
    }
  }

  private spisChanged(w: number, bits: number): void {
    for (let rec = 0; rec < this.gicr.length; rec++) if (this.routedTo(rec, w, bits) !== 0) this.o.changed(rec);
  }
  private allChanged(): void {
    for (let rec = 0; rec < this.gicr.length; rec++) this.o.changed(rec);
  }
  /** Those of `bits` of SPI word `w` that go to REC `rec`. */
  private routedTo(rec: number, w: number, bits: number): number {
    let out = 0;
    const affinity = this.o.affinity(rec);
    for (let left = bits; left !== 0; left &= left - 1) {
      const b = 31 - Math.clz32(left & -left);
      if (this.gicd.affinity(32 * w + b) === affinity) out |= 1 << b;
    }
    return out >>> 0;
  }

  // ---- list registers ------------------------------------------------------------------------------------------------

  /** Everything pending and enabled, or active, for a REC: most urgent first; active before pending of the same priority. */
  private candidates(rec: number): Candidate[] {
    const own = this.gicr[rec] as Redistributor;
    const groups = own.awake ? this.gicd.enabled : 0;
    const out: Candidate[] = [];
    this.collect(out, own.irqs, 0, groups, undefined);
    for (let w = 0; w < this.gicd.spis.words; w++) this.collect(out, this.gicd.spis, w, groups, rec);
    if (out.length < 2) return out;
    return out.sort((a, b) => a.priority - b.priority || Number(b.active) - Number(a.active) || a.bank.base + a.n - b.bank.base - b.n);
  }
  /** Those of word `w` of a bank; `rec`: only what is routed to that REC. */
  private collect(out: Candidate[], bank: IrqBank, w: number, groups: number, rec: number | undefined): void {
    const pending = bank.pending(w) & bank.enable[w]! & bank.inGroups(w, groups, true);
    const bits = (pending | bank.active[w]!) >>> 0;
    if (bits === 0) return;
    for (let left = rec === undefined ? bits : this.routedTo(rec, w, bits); left !== 0; left &= left - 1) {
      const n = 32 * w + 31 - Math.clz32(left & -left);
      const bit = 1 << (n & 31);
      out.push({ bank, n, pending: (pending & bit) !== 0, active: (bank.active[w]! & bit) !== 0, priority: bank.priority[n]! });
    }
  }

  /** Fills the list registers for the entry of REC `rec`. */
  enter(rec: number, enter: EnterView): void {
    const all = this.candidates(rec);
    const loaded: Loaded[] = [];
    for (let i = 0; i < this.o.listRegisters; i++) {
      const c = all[i];
      if (c === undefined) {
        enter.setLoHi(Enter.gicv3_lrs, 0, 0, i);
        continue;
      }
      const { value, latched } = this.listRegister(c);
      enter.set(Enter.gicv3_lrs, value, i);
      loaded.push({ bank: c.bank, n: c.n, latched });
    }
    this.loaded[rec] = loaded;
    if (all.length <= loaded.length) {
      enter.setLoHi(Enter.gicv3_hcr, 0, 0);
      return;
    }
    let hcr = 0n;
    for (const c of all.slice(loaded.length)) {
      if (c.active) hcr |= Hcr.LRENPIE;
      if (c.pending) hcr |= Hcr.NPIE;
    }
    enter.set(Enter.gicv3_hcr, hcr);
  }

  /** A level interrupt is never active and pending at once: its line is looked at again after the EOI, which asks for maintenance. */
  private listRegister(c: Candidate): { value: bigint; latched: boolean } {
    const { bank, n } = c;
    const bit = 1 << (n & 31);
    const w = n >> 5;
    const edge = (bank.edge[w]! & bit) !== 0;
    const pending = c.pending && (edge || !c.active);
    const latched = pending && (bank.latch[w]! & bit) !== 0;
    if (latched) bank.latch[w]! &= ~bit;
    let value = BigInt(bank.base + n) | (BigInt(c.priority & PRIORITY_MASK) << Lr.PRIORITY);
    if (bank.groupOf(n, true) === Group.G1NS) value |= Lr.GROUP1;
    if (!edge) value |= Lr.EOI;
    if (pending) value |= Lr.PENDING;
    if (c.active) value |= Lr.ACTIVE;
    return { value, latched };
  }

  /** Takes back what REC `rec` did to its list registers. */
  exit(rec: number, exit: Exit): void {
    const loaded = this.loaded[rec] as Loaded[];
    for (const [i, { bank, n, latched }] of loaded.entries()) {
      const lr = exit.get("gicv3_lrs", i);
      const bit = 1 << (n & 31);
      const w = n >> 5;
      if ((lr & Lr.ACTIVE) !== 0n) bank.active[w]! |= bit;
      else bank.active[w]! &= ~bit;
      if (latched && (lr & Lr.PENDING) !== 0n) bank.latch[w]! |= bit;
    }
    const ends = exit.lo("gicv3_hcr") >>> EOI_COUNT;
    if (ends > 0) this.deactivate(rec, loaded, ends);
    if (loaded.length > 0) this.loaded[rec] = [];
  }

  /** Ends of interrupts that had no list register: the most urgent active ones. */
  private deactivate(rec: number, loaded: readonly Loaded[], count: number): void {
    const active = this.candidates(rec).filter((c) => c.active && !loaded.some((l) => l.bank === c.bank && l.n === c.n));
    for (const c of active.slice(0, count)) c.bank.deactivate(c.n);
  }

  /** Is there anything to signal to REC `rec`? */
  pending(rec: number): boolean {
    return this.candidates(rec).some((c) => c.pending);
  }

  // ---- snapshots -----------------------------------------------------------------------------------------------------

  save(): Saved {
    const loaded = this.loaded.map((all) => all.map(({ bank, n, latched }) => ({ intid: bank.base + n, latched })));
    return { distributor: this.gicd.save(), redistributors: this.gicr.map((r) => r.save()), loaded };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "guest's GIC");
    this.gicd.restore(s.part("distributor"));
    for (const [i, r] of s.list("redistributors", this.gicr.length).entries()) this.gicr[i]?.restore(r);
    for (const [rec, all] of s.list("loaded", this.gicr.length).entries()) {
      this.loaded[rec] = (Array.isArray(all) ? all : []).map((l) => this.restoreLoaded(rec, new SavedFields(l, "list register")));
    }
  }
  private restoreLoaded(rec: number, s: SavedFields): Loaded {
    const intid = s.uint("intid", FIRST_SPI + 32 * this.gicd.spis.words - 1);
    const bank = intid < FIRST_SPI ? (this.gicr[rec] as Redistributor).irqs : this.gicd.spis;
    return { bank, n: intid - bank.base, latched: s.bool("latched") };
  }
}
