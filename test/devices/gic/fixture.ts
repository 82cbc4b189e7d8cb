// A GIC with PE state blocks but no PEs: the tests set Exception level and security themselves.

import { Line, Off, PE_BASE, PE_STRIDE } from "../../../src/arch/layout.ts";
import type { RegName } from "../../../src/arch/registers/encodings.ts";
import { Pas } from "../../../src/arch/security.ts";
import { PeState, slot } from "../../../src/arch/state.ts";
import { Gic } from "../../../src/devices/gic/index.ts";

export const Scr = { NS: 1n, IRQ: 2n, FIQ: 4n, EEL2: 1n << 18n, FGTEn: 1n << 27n, NSE: 1n << 62n } as const;
export const Hcr = { FMO: 8n, IMO: 16n, TGE: 1n << 27n, E2H: 1n << 34n, NV: 1n << 42n } as const;

/** Offsets from the distributor's base, and from a redistributor's SGI_base. */
export const D = {
  CTLR: 0x0,
  TYPER: 0x4,
  IGROUPR: 0x80,
  ISENABLER: 0x100,
  ICENABLER: 0x180,
  ISPENDR: 0x200,
  ICPENDR: 0x280,
  ISACTIVER: 0x300,
  ICACTIVER: 0x380,
  IPRIORITYR: 0x400,
  ICFGR: 0xc00,
  IGRPMODR: 0xd00,
  NSACR: 0xe00,
  IROUTER: 0x6000,
} as const;

/** Where software runs. */
export type World = "secure" | "nonsecure" | "realm";
const worldBits = { secure: Scr.EEL2, nonsecure: Scr.NS, realm: Scr.NS | Scr.NSE } as const;

export interface FixtureOptions {
  pes?: number;
  spis?: number;
  singleSecurity?: boolean;
  oneOfN?: boolean;
  /** Aff3.Aff2.Aff1.Aff0 of each PE; default Aff0 = index. */
  affinities?: number[];
}

export class Fixture {
  readonly gic: Gic;
  readonly st: PeState[];
  /** PEs whose lines changed, in order. */
  readonly events: number[] = [];
  /** Address space of memory-mapped accesses. */
  pas: Pas = Pas.Root;

  constructor(o: FixtureOptions = {}) {
    const pes = o.pes ?? 1;
    const memory = new WebAssembly.Memory({ initial: (PE_BASE + pes * PE_STRIDE) >> 16 });
    this.st = Array.from({ length: pes }, (_, i) => new PeState(memory, i));
    for (const [i, st] of this.st.entries()) {
      const affinity = BigInt(o.affinities?.[i] ?? i);
      st.set(slot.MPIDR_EL1, 0x8000_0000n | (affinity & 0xff_ffffn) | ((affinity >> 24n) << 32n));
      st.set(slot.ID_AA64PFR0_EL1, 0x1111n);
    }
    this.gic = new Gic({
      pes: this.st,
      spis: o.spis ?? 64,
      singleSecurity: o.singleSecurity ?? false,
      ...(o.oneOfN === undefined ? {} : { oneOfN: o.oneOfN }),
      onLines: (pe) => this.events.push(pe),
    });
    for (let pe = 0; pe < pes; pe++) this.run(pe, 3, "nonsecure");
  }

  /** PE `pe` now executes at `el` of `world`, with these SCR_EL3 and HCR_EL2 bits on top. */
  run(pe: number, el: 0 | 1 | 2 | 3, world: World, scr = 0n, hcr = 0n): void {
    const st = this.st[pe]!;
    st.setLo(Off.EL, el);
    st.set(slot.SCR_EL3, worldBits[world] | scr);
    st.set(slot.HCR_EL2, hcr);
    this.gic.cpu(pe).update();
  }

  // --- memory-mapped, from `this.pas`
  get who() {
    return { pas: this.pas, pe: 0 };
  }
  d(offset: number, size: 1 | 2 | 4 = 4): number {
    return this.gic.distributor.read(offset, size, this.who);
  }
  setD(offset: number, value: number, size: 1 | 2 | 4 = 4): void {
    this.gic.distributor.write(offset, size, value >>> 0, this.who);
  }
  /** RD_base of PE `pe`. */
  rd(pe: number, offset: number, size: 1 | 2 | 4 = 4): number {
    return this.gic.redistributor.read(pe * 0x2_0000 + offset, size, this.who);
  }
  setRd(pe: number, offset: number, value: number): void {
    this.gic.redistributor.write(pe * 0x2_0000 + offset, 4, value >>> 0, this.who);
  }
  /** SGI_base of PE `pe`. */
  sgi(pe: number, offset: number, size: 1 | 2 | 4 = 4): number {
    return this.rd(pe, 0x1_0000 + offset, size);
  }
  setSgi(pe: number, offset: number, value: number, size: 1 | 2 | 4 = 4): void {
    this.gic.redistributor.write(pe * 0x2_0000 + 0x1_0000 + offset, size, value >>> 0, this.who);
  }

  // --- system registers; an access that is not allowed fails the test
  r(pe: number, reg: RegName): number {
    this.allowed(pe, reg, false);
    return Number(this.gic.cpu(pe).read(reg));
  }
  r64(pe: number, reg: RegName): bigint {
    this.allowed(pe, reg, false);
    return this.gic.cpu(pe).read(reg);
  }
  w(pe: number, reg: RegName, value: number | bigint): void {
    this.allowed(pe, reg, true);
    this.gic.cpu(pe).write(reg, BigInt(value));
  }
  private allowed(pe: number, reg: RegName, write: boolean): void {
    const verdict = this.gic.cpu(pe).access(reg, write);
    if (verdict !== 0) throw new Error(`${write ? "write to" : "read of"} ${reg} gave ${verdict}`);
  }

  /** Lines of PE `pe` by name. */
  lines(pe = 0): string {
    const bits = this.st[pe]!.lo(Off.LINES);
    return (["IRQ", "FIQ", "VIRQ", "VFIQ"] as const).filter((n) => bits & Line[n]).join(" ");
  }

  /** As firmware leaves it: all groups on everywhere, PEs awake, everything unmasked, every interrupt Non-secure Group 1. */
  openUp(): this {
    this.pas = Pas.Root;
    this.setD(D.CTLR, 0x7);
    for (let n = 1; n <= 2; n++) this.setD(D.IGROUPR + 4 * n, 0xffff_ffff);
    for (let pe = 0; pe < this.st.length; pe++) {
      this.run(pe, 3, "nonsecure");
      this.setRd(pe, 0x14, 0);
      this.setSgi(pe, D.IGROUPR, 0xffff_ffff);
      this.w(pe, "ICC_PMR_EL1", 0xff);
      this.w(pe, "ICC_IGRPEN0_EL1", 1);
      this.w(pe, "ICC_IGRPEN1_EL3", 3);
    }
    return this;
  }
  /** Gives an interrupt a group and a priority and enables it (in SGI_base of PE `pe` when private). */
  configure(intid: number, o: { group?: "G0" | "G1S" | "G1NS"; priority?: number; edge?: boolean; pe?: number } = {}): void {
    const old = this.pas;
    this.pas = Pas.Root;
    const set = (offset: number, value: number, size: 1 | 4 = 4) =>
      intid < 32 ? this.setSgi(o.pe ?? 0, offset, value, size) : this.setD(offset, value, size);
    const get = (offset: number) => (intid < 32 ? this.sgi(o.pe ?? 0, offset) : this.d(offset));
    const put = (offset: number, on: boolean) => {
      const at = offset + 4 * (intid >> 5);
      const bit = 1 << (intid & 31);
      set(at, on ? get(at) | bit : get(at) & ~bit);
    };
    put(D.IGROUPR, (o.group ?? "G1NS") === "G1NS");
    put(D.IGRPMODR, o.group === "G1S");
    set(D.IPRIORITYR + intid, o.priority ?? 0xa0, 1);
    const config = D.ICFGR + 4 * (intid >> 4);
    const field = 2 << (2 * (intid & 15));
    if (o.edge !== undefined) set(config, o.edge ? get(config) | field : get(config) & ~field);
    set(D.ISENABLER + 4 * (intid >> 5), 1 << (intid & 31));
    this.pas = old;
  }
  /** Whether bit `intid` of a bitmap register is set. */
  bit(offset: number, intid: number, pe = 0): boolean {
    const at = offset + 4 * (intid >> 5);
    return ((intid < 32 ? this.sgi(pe, at) : this.d(at)) & (1 << (intid & 31))) !== 0;
  }
}
