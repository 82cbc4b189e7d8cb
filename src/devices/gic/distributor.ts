// The distributor, GICD (IHI 0069, 12.8 to 12.9): group enables, SPIs and their routing. Affinity routing is fixed on (ARE = 1).

import { Pas } from "../../arch/security.ts";
import type { Saved } from "../../util/stateful.ts";
import type { MmioDevice, Requester } from "../device.ts";
import { SavedFields } from "../saved.ts";
import { bitOf, Group, ID_REGISTERS, IIDR, identification, SPECIAL_BASE, SPI_BASE, TYPER_ID_BITS } from "./constants.ts";
import { IrqBank } from "./irq-bank.ts";
import { IrqRegisters, View } from "./irq-registers.ts";

const Reg = { CTLR: 0x0, TYPER: 0x4, IIDR: 0x8, TYPER2: 0xc, GROUP: 0x80, END: 0xf00, IROUTER: 0x6000, IROUTER_END: 0x8000 } as const;

/** GICD_CTLR bits, Secure view. */
const Ctlr = { EnableGrp0: 1, EnableGrp1NS: 2, EnableGrp1S: 4, ARE_S: 0x10, ARE_NS: 0x20, DS: 0x40 } as const;
/** The Non-secure view's ARE_NS and the single-state view's ARE are bit 4. */
const ARE = 0x10;

const PART = 0x92;
/** Bits of IROUTER that are kept: Aff0-2 and the routing mode; Aff3. */
const ROUTE_LOW = 0x80ff_ffff;
const ROUTE_HIGH = 0xff;
/** IROUTER.IRM, bit 31: any participating PE. */
export const IRM = 0x8000_0000;

/** What the distributor tells the rest of the controller. */
export interface DistributorHooks {
  /** Interrupts `bits` of SPI word `w` may ask for something else now. */
  spisChanged(w: number, bits: number): void;
  /** SPI number `i` (INTID 32 + i) has a new route. */
  routeChanged(i: number): void;
  /** Group enables or the number of Security states changed. */
  enablesChanged(): void;
}

export class Distributor implements MmioDevice {
  readonly name = "gicd";
  readonly size = 0x1_0000;
  readonly spis: IrqBank;
  readonly registers: IrqRegisters;
  /** IROUTER, low and high words. */
  readonly routeLow: Uint32Array;
  readonly routeHigh: Uint32Array;
  /** GICD_CTLR.DS. */
  ds = false;
  /** Groups enabled in GICD_CTLR, a set of bitOf(Group). */
  enabled = 0;

  private readonly singleSecurity: boolean;
  private readonly features: () => number;
  private readonly hooks: DistributorHooks;

  /** `spis`: how many SPIs, 0-988. `features`: bits of GICD_TYPER beyond ITLinesNumber, SecurityExtn, IDbits and A3V. */
  constructor(o: { spis: number; singleSecurity: boolean; features: () => number; hooks: DistributorHooks }) {
    this.singleSecurity = o.singleSecurity;
    this.hooks = o.hooks;
    this.spis = new IrqBank(SPI_BASE, Math.min(o.spis, SPECIAL_BASE - SPI_BASE));
    this.registers = new IrqRegisters(this.spis, 1, (w, bits) => o.hooks.spisChanged(w, bits));
    this.routeLow = new Uint32Array(32 * this.spis.words);
    this.routeHigh = new Uint32Array(32 * this.spis.words);
    this.features = o.features;
    this.reset();
  }

  reset(): void {
    this.ds = this.singleSecurity;
    this.enabled = 0;
    this.spis.reset();
    this.routeLow.fill(0);
    this.routeHigh.fill(0);
  }

  /** Secure and Root accesses have the Secure view, Non-secure and Realm ones the Non-secure view. */
  view(who: Requester): View {
    if (this.ds) return View.Single;
    return who.pas === Pas.Secure || who.pas === Pas.Root ? View.Secure : View.NonSecure;
  }

  read(offset: number, size: 1 | 2 | 4, who: Requester): number {
    const view = this.view(who);
    if (offset >= Reg.GROUP && offset < Reg.END) return this.registers.read(offset, size, view);
    if (size !== 4) return 0;
    if (offset >= Reg.IROUTER && offset < Reg.IROUTER_END) return this.readRoute(offset, view);
    if (offset >= ID_REGISTERS) return identification(offset, PART);
    switch (offset) {
      case Reg.CTLR:
        return this.readCtlr(view);
      case Reg.TYPER:
        return this.readTyper();
      case Reg.IIDR:
        return IIDR;
      default:
        return 0;
    }
  }

  write(offset: number, size: 1 | 2 | 4, value: number, who: Requester): boolean {
    const view = this.view(who);
    if (offset >= Reg.GROUP && offset < Reg.END) this.registers.write(offset, size, value, view);
    else if (size === 4 && offset >= Reg.IROUTER && offset < Reg.IROUTER_END) this.writeRoute(offset, value, view);
    else if (size === 4 && offset === Reg.CTLR) this.writeCtlr(value, view);
    return true;
  }

  /** ITLinesNumber, SecurityExtn (two Security states), IDbits, A3V and what the controller adds. */
  private readTyper(): number {
    return (this.spis.words | (this.ds ? 0 : 1 << 10) | (TYPER_ID_BITS << 19) | (1 << 24) | this.features()) >>> 0;
  }

  private readCtlr(view: View): number {
    const g0 = this.enabled & bitOf(Group.G0) ? Ctlr.EnableGrp0 : 0;
    const g1ns = this.enabled & bitOf(Group.G1NS) ? Ctlr.EnableGrp1NS : 0;
    const g1s = this.enabled & bitOf(Group.G1S) ? Ctlr.EnableGrp1S : 0;
    // RWP (bit 31) reads 0: every write takes effect at once.
    if (view === View.NonSecure) return g1ns | ARE;
    return view === View.Single ? g0 | g1ns | ARE | Ctlr.DS : g0 | g1ns | g1s | Ctlr.ARE_S | Ctlr.ARE_NS;
  }

  private writeCtlr(value: number, view: View): void {
    let enabled = value & Ctlr.EnableGrp1NS ? bitOf(Group.G1NS) : 0;
    if (view === View.NonSecure) enabled |= this.enabled & ~bitOf(Group.G1NS);
    else if (value & Ctlr.EnableGrp0) enabled |= bitOf(Group.G0);
    // DS sticks until reset. With it Secure Group 1 is gone.
    const ds = this.ds || (view === View.Secure && (value & Ctlr.DS) !== 0);
    if (view === View.Secure && !ds && value & Ctlr.EnableGrp1S) enabled |= bitOf(Group.G1S);
    if (enabled === this.enabled && ds === this.ds) return;
    this.enabled = enabled;
    this.ds = ds;
    this.hooks.enablesChanged();
  }

  /** SPI number of the IROUTER at `offset` when it exists and is visible, else -1. */
  private routed(offset: number, view: View): number {
    const i = ((offset - Reg.IROUTER) >> 3) - SPI_BASE;
    if (i < 0 || i >= this.routeLow.length) return -1;
    return this.registers.sees(i, view, 3) ? i : -1;
  }
  private readRoute(offset: number, view: View): number {
    const i = this.routed(offset, view);
    if (i < 0) return 0;
    return offset & 4 ? this.routeHigh[i]! : this.routeLow[i]!;
  }
  private writeRoute(offset: number, value: number, view: View): void {
    const i = this.routed(offset, view);
    if (i < 0) return;
    if (offset & 4) this.routeHigh[i] = value & ROUTE_HIGH;
    else this.routeLow[i] = value & ROUTE_LOW;
    this.hooks.routeChanged(i);
  }

  /** Affinity an SPI is routed to, packed Aff3.Aff2.Aff1.Aff0. */
  affinity(i: number): number {
    return ((this.routeHigh[i]! << 24) | (this.routeLow[i]! & 0xff_ffff)) >>> 0;
  }

  save(): Saved {
    return {
      ds: this.ds,
      enabled: this.enabled,
      spis: this.spis.save(),
      routeLow: Array.from(this.routeLow),
      routeHigh: Array.from(this.routeHigh),
    };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "gicd");
    this.ds = s.bool("ds");
    this.enabled = s.uint("enabled") & 7;
    this.spis.restore(s.part("spis"));
    s.uintsInto("routeLow", this.routeLow);
    s.uintsInto("routeHigh", this.routeHigh);
  }
}
