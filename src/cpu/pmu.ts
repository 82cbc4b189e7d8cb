// Performance monitors (FEAT_PMUv3p7, Arm ARM D13): six event counters and the cycle counter. What is counted follows from the
// retired instructions: an instruction takes one cycle. Counts are brought up to date when they are looked at, and before the
// state that decides what counts (Exception level, filters, controls) changes.

import { Off } from "../arch/layout.ts";
import type { RegName } from "../arch/registers/encodings.ts";
import { Security } from "../arch/security.ts";
import { slot } from "../arch/state.ts";
import type { IrqLine } from "../devices/device.ts";
import type { Pe } from "./pe.ts";

/** Event counters, PMCR_EL0.N. */
export const EVENT_COUNTERS = 6;
/** Bit of the cycle counter in the enable, overflow and interrupt masks. */
const CYCLE = 31;
/** INTID of the overflow interrupt. */
export const PMU_INTID = 23;

export const PmuEvent = { SW_INCR: 0, INST_RETIRED: 0x08, CPU_CYCLES: 0x11, INST_SPEC: 0x1b, CHAIN: 0x1e } as const;
/** Events that advance by one with each retired instruction. STALL_FRONTEND (0x23) and STALL_BACKEND (0x24) never advance. */
const perInstruction = new Set<number>([PmuEvent.INST_RETIRED, PmuEvent.CPU_CYCLES, PmuEvent.INST_SPEC]);
const PMCEID0 = (1n << 0n) | (1n << 0x08n) | (1n << 0x11n) | (1n << 0x1bn) | (1n << 0x1en);
const PMCEID1 = (1n << 3n) | (1n << 4n);

/** PMCR_EL0 bits. */
const Pmcr = { E: 1, P: 2, C: 4, DP: 32, LC: 64, LP: 128, FZO: 512 } as const;
/** MDCR_EL2 bits. */
const Mdcr = { HPME: 1 << 7, HPMD: 1 << 17, HCCD: 1 << 23, HLP: 1 << 26, HPMFZO: 1 << 29 } as const;

const MASK32 = 0xffff_ffffn;
const bit = (word: number, n: number): number => (word >>> n) & 1;
const counterSlots = Array.from({ length: 31 }, (_, n) => slot[`PMEVCNTR${n}_EL0` as RegName]);
const typeSlots = Array.from({ length: 31 }, (_, n) => slot[`PMEVTYPER${n}_EL0` as RegName]);
const counterSlot = (n: number): number => counterSlots[n] as number;
const typeSlot = (n: number): number => typeSlots[n] as number;

export class Pmu {
  private readonly pe: Pe;
  private readonly line: IrqLine;
  /** Retired instructions accounted for so far, while any counter advances. */
  private base = 0n;
  /** Bit n: counter n has advanced with every retired instruction since `base`. */
  private counting = 0;
  private level = false;

  constructor(pe: Pe, line: IrqLine) {
    this.pe = pe;
    this.line = line;
  }

  /** Some counter advances: the PE calls sync() before and recount() after a change of state. */
  get active(): boolean {
    return this.pe.st.lo(slot.PMCNTENSET_EL0) !== 0;
  }

  private get retired(): bigint {
    return this.pe.hooks.retired?.() ?? this.pe.st.get(Off.ICOUNT);
  }

  // ---- counting ---------------------------------------------------------------------------------------------------------------

  /** Adds what retired since the last call to the counters that counted. */
  sync(): void {
    if (this.counting === 0) return;
    const now = this.retired;
    const delta = now - this.base;
    this.base = now;
    if (delta <= 0n) return;
    for (let n = 0; n < EVENT_COUNTERS; n++) if (bit(this.counting, n)) this.add(n, delta);
    if (bit(this.counting, CYCLE)) this.addCycles(delta);
  }

  /** Finds out what counts from now on, and drives the interrupt line. */
  recount(): void {
    const mask = this.active ? this.advancing() : 0;
    if (this.counting === 0 && mask !== 0) this.base = this.retired;
    this.counting = mask;
    this.updateLine();
  }
  private advancing(): number {
    let mask = 0;
    for (let n = 0; n < EVENT_COUNTERS; n++) {
      if (perInstruction.has(this.pe.st.lo(typeSlot(n)) & 0xffff) && this.counts(n)) mask |= 1 << n;
    }
    return this.cyclesCount() ? mask | (1 << CYCLE) : mask;
  }

  /** sync() and recount(). */
  update(): void {
    this.sync();
    this.recount();
  }

  /** Instructions until the next overflow of a counter that counts, at least 1; undefined: none counts. Bounds a run. */
  nextOverflow(): number | undefined {
    let best: bigint | undefined;
    const st = this.pe.st;
    for (let n = 0; n < EVENT_COUNTERS; n++) {
      if (!bit(this.counting, n)) continue;
      const left = this.long(n) ? (1n << 64n) - st.get(counterSlot(n)) : (1n << 32n) - (st.get(counterSlot(n)) & MASK32);
      if (best === undefined || left < best) best = left;
    }
    if (bit(this.counting, CYCLE)) {
      const left = (1n << 64n) - st.get(slot.PMCCNTR_EL0);
      if (best === undefined || left < best) best = left;
    }
    return best === undefined ? undefined : Number(best);
  }

  private hpmn(): number {
    return Math.min(this.pe.st.lo(slot.MDCR_EL2) & 31, EVENT_COUNTERS);
  }
  /** Counter n belongs to the range that EL2 reserves for itself. */
  private reserved(n: number): boolean {
    return n !== CYCLE && n >= this.hpmn();
  }
  /** 64-bit overflow: PMCR_EL0.LP, MDCR_EL2.HLP for the reserved range. */
  private long(n: number): boolean {
    const st = this.pe.st;
    return (this.reserved(n) ? st.lo(slot.MDCR_EL2) & Mdcr.HLP : st.lo(slot.PMCR_EL0) & Pmcr.LP) !== 0;
  }
  private enabled(n: number): boolean {
    const st = this.pe.st;
    const global = this.reserved(n) ? st.lo(slot.MDCR_EL2) & Mdcr.HPME : st.lo(slot.PMCR_EL0) & Pmcr.E;
    return global !== 0 && bit(st.lo(slot.PMCNTENSET_EL0), n) === 1;
  }

  /** Counting is prohibited in the current state (facts B2): Secure without SPME, EL3, EL2 with HPMD; or frozen by an overflow. */
  private prohibited(n: number): boolean {
    const { pe } = this;
    const { st } = pe;
    const el = st.lo(Off.EL);
    const spme = pe.haveEl3 && st.bit(slot.MDCR_EL3, 17) === 1;
    const mpmx = pe.haveEl3 && st.bit(slot.MDCR_EL3, 35) === 1;
    if (el === 3 ? (mpmx ? !spme || !this.reserved(n) : !spme) : pe.security === Security.Secure && !spme && !mpmx) return true;
    if (el === 2 && !this.reserved(n) && (st.lo(slot.MDCR_EL2) & Mdcr.HPMD) !== 0) return true;
    return this.frozen(this.reserved(n));
  }
  private frozen(reserved: boolean): boolean {
    const st = this.pe.st;
    const on = reserved ? st.lo(slot.MDCR_EL2) & Mdcr.HPMFZO : st.lo(slot.PMCR_EL0) & Pmcr.FZO;
    if (on === 0) return false;
    const low = (1 << this.hpmn()) - 1;
    const range = reserved ? ((1 << EVENT_COUNTERS) - 1) & ~low : low | (1 << CYCLE);
    return (st.lo(slot.PMOVSSET_EL0) & range) !== 0;
  }

  /** The filter bits of PMEVTYPERn_EL0 and PMCCFILTR_EL0 exclude the current state. */
  private filtered(filter: number): boolean {
    const { pe } = this;
    const el = pe.st.lo(Off.EL);
    const security = pe.security;
    const p = bit(filter, 31);
    const u = bit(filter, 30);
    const pick = (ns: number, realm: number): number =>
      security === Security.NonSecure ? bit(filter, ns) : security === Security.Realm ? bit(filter, realm) : 0;
    switch (el) {
      case 0:
        return u !== pick(28, 21);
      case 1:
        return p !== pick(29, 22);
      case 2:
        if (security === Security.NonSecure) return bit(filter, 27) === 0;
        return bit(filter, 27) === bit(filter, security === Security.Realm ? 20 : 24);
      default:
        return bit(filter, 26) !== p;
    }
  }
  private counts(n: number): boolean {
    return this.enabled(n) && !this.filtered(this.pe.st.lo(typeSlot(n))) && !this.prohibited(n);
  }
  private cyclesCount(): boolean {
    const { pe } = this;
    const { st } = pe;
    if (!this.enabled(CYCLE) || this.filtered(st.lo(slot.PMCCFILTR_EL0))) return false;
    const el = st.lo(Off.EL);
    if (el === 2 && (st.lo(slot.MDCR_EL2) & Mdcr.HCCD) !== 0) return false;
    if (pe.haveEl3 && el === 3 && st.bit(slot.MDCR_EL3, 34) === 1) return false;
    if (pe.haveEl3 && el < 3 && pe.security === Security.Secure && st.bit(slot.MDCR_EL3, 23) === 1) return false;
    return (st.lo(slot.PMCR_EL0) & Pmcr.DP) === 0 || !this.prohibited(CYCLE);
  }

  /** Advances event counter n; a 32-bit overflow of an even counter passes to a CHAIN event of the next one. */
  private add(n: number, delta: bigint): void {
    const st = this.pe.st;
    const old = st.get(counterSlot(n));
    st.set(counterSlot(n), BigInt.asUintN(64, old + delta));
    const wraps = this.long(n) ? (old + delta) >> 64n : ((old & MASK32) + delta) >> 32n;
    if (wraps === 0n) return;
    this.overflow(n);
    const next = n + 1;
    if (this.long(n) || (n & 1) !== 0 || next >= EVENT_COUNTERS) return;
    if ((st.lo(typeSlot(next)) & 0xffff) === PmuEvent.CHAIN && this.counts(next)) this.add(next, wraps);
  }
  private addCycles(delta: bigint): void {
    const st = this.pe.st;
    const sum = st.get(slot.PMCCNTR_EL0) + delta;
    st.set(slot.PMCCNTR_EL0, BigInt.asUintN(64, sum));
    if (sum >> 64n !== 0n) this.overflow(CYCLE);
  }
  private overflow(n: number): void {
    const st = this.pe.st;
    st.setLo(slot.PMOVSSET_EL0, st.lo(slot.PMOVSSET_EL0) | (1 << n));
  }
  private updateLine(): void {
    const st = this.pe.st;
    let on = st.lo(slot.PMOVSSET_EL0) & st.lo(slot.PMINTENSET_EL1);
    const high = ((1 << EVENT_COUNTERS) - 1) & ~((1 << this.hpmn()) - 1);
    if ((st.lo(slot.PMCR_EL0) & Pmcr.E) === 0) on &= high;
    if ((st.lo(slot.MDCR_EL2) & Mdcr.HPME) === 0) on &= ~high;
    if ((on !== 0) === this.level) return;
    this.level = on !== 0;
    this.line.set(this.level);
  }

  // ---- registers --------------------------------------------------------------------------------------------------------------

  /** Event counters visible at the current level: those below MDCR_EL2.HPMN under EL2. */
  private visible(): number {
    return this.pe.st.lo(Off.EL) < 2 && this.pe.el2On ? this.hpmn() : EVENT_COUNTERS;
  }
  private visibleMask(): number {
    return ((1 << this.visible()) - 1) | (1 << CYCLE);
  }
  /** 0: exists at the current level; -1: UNDEFINED (a counter that is not implemented or not visible). */
  access(reg: RegName): number {
    const m = /^PMEV(?:CNTR|TYPER)(\d+)_EL0$/.exec(reg);
    return m !== null && Number(m[1]) >= this.visible() ? -1 : 0;
  }

  read(reg: RegName): bigint {
    this.sync();
    const st = this.pe.st;
    const masked = (at: number): bigint => BigInt((st.lo(at) & this.visibleMask()) >>> 0);
    switch (reg) {
      case "PMCR_EL0":
        return BigInt(st.lo(slot.PMCR_EL0) | Pmcr.LC | (this.visible() << 11));
      case "PMCNTENSET_EL0":
      case "PMCNTENCLR_EL0":
        return masked(slot.PMCNTENSET_EL0);
      case "PMOVSSET_EL0":
      case "PMOVSCLR_EL0":
        return masked(slot.PMOVSSET_EL0);
      case "PMINTENSET_EL1":
      case "PMINTENCLR_EL1":
        return masked(slot.PMINTENSET_EL1);
      case "PMCEID0_EL0":
        return PMCEID0;
      case "PMCEID1_EL0":
        return PMCEID1;
      case "PMXEVTYPER_EL0":
      case "PMXEVCNTR_EL0": {
        const at = this.selected(reg === "PMXEVTYPER_EL0");
        return at === undefined ? 0n : st.get(at);
      }
      default:
        return st.get(slot[reg]);
    }
  }

  /** Storage that PMSELR_EL0 selects; undefined: RAZ/WI. */
  private selected(type: boolean): number | undefined {
    const n = this.pe.st.lo(slot.PMSELR_EL0) & 31;
    if (n === 31) return type ? slot.PMCCFILTR_EL0 : undefined;
    if (n >= this.visible()) return undefined;
    return type ? typeSlot(n) : counterSlot(n);
  }

  write(reg: RegName, value: bigint): void {
    this.sync();
    const st = this.pe.st;
    const bits = Number(value & MASK32) & this.visibleMask();
    const set = (at: number): void => st.setLoHi(at, (st.lo(at) | bits) >>> 0, 0);
    const clear = (at: number): void => st.setLoHi(at, (st.lo(at) & ~bits) >>> 0, 0);
    const rme = this.pe.features.has("RME") ? 0x0070_0000 : 0;
    const typeMask = BigInt((0xfc00_ffff | (this.pe.features.has("SEL2") ? 1 << 24 : 0) | rme) >>> 0);
    switch (reg) {
      case "PMCR_EL0":
        this.writePmcr(Number(value & MASK32));
        break;
      case "PMCNTENSET_EL0":
        set(slot.PMCNTENSET_EL0);
        break;
      case "PMCNTENCLR_EL0":
        clear(slot.PMCNTENSET_EL0);
        break;
      case "PMOVSSET_EL0":
        set(slot.PMOVSSET_EL0);
        break;
      case "PMOVSCLR_EL0":
        clear(slot.PMOVSSET_EL0);
        break;
      case "PMINTENSET_EL1":
        set(slot.PMINTENSET_EL1);
        break;
      case "PMINTENCLR_EL1":
        clear(slot.PMINTENSET_EL1);
        break;
      case "PMSWINC_EL0":
        for (let n = 0; n < EVENT_COUNTERS; n++) {
          if (bit(bits, n) && (st.lo(typeSlot(n)) & 0xffff) === PmuEvent.SW_INCR && this.counts(n)) this.add(n, 1n);
        }
        break;
      case "PMSELR_EL0":
        st.set(slot.PMSELR_EL0, value & 31n);
        break;
      case "PMXEVTYPER_EL0":
      case "PMXEVCNTR_EL0": {
        const type = reg === "PMXEVTYPER_EL0";
        const at = this.selected(type);
        if (at !== undefined) st.set(at, type ? value & (at === slot.PMCCFILTR_EL0 ? typeMask & ~0xffffn : typeMask) : value);
        break;
      }
      case "PMCCFILTR_EL0":
        st.set(slot.PMCCFILTR_EL0, value & typeMask & ~0xffffn);
        break;
      default:
        st.set(slot[reg], reg.startsWith("PMEVTYPER") ? value & typeMask : value);
    }
    this.recount();
  }

  private writePmcr(value: number): void {
    const st = this.pe.st;
    if ((value & Pmcr.P) !== 0) for (let n = 0; n < this.visible(); n++) st.set(counterSlot(n), 0n);
    if ((value & Pmcr.C) !== 0) st.set(slot.PMCCNTR_EL0, 0n);
    const p5 = this.pe.features.has("PMUv3p5") ? Pmcr.LP : 0;
    const p7 = this.pe.features.has("PMUv3p7") ? Pmcr.FZO : 0;
    // D (bit 3) and X (bit 4) are storage: LC = 1 makes D ineffective, nothing watches exported events.
    st.setLoHi(slot.PMCR_EL0, value & (Pmcr.E | 8 | 16 | Pmcr.DP | p5 | p7), 0);
  }

  /** Cold reset. */
  reset(): void {
    if (this.pe.features.has("PMUv3")) this.pe.st.setLo(slot.MDCR_EL2, (this.pe.st.lo(slot.MDCR_EL2) & ~31) | EVENT_COUNTERS);
    this.line.set(false);
    this.restore(false);
  }
  /** `level`: of the interrupt line, which the GIC saves as well. */
  restore(level: boolean): void {
    this.base = this.retired;
    this.counting = 0;
    this.level = level;
    if (this.active) this.recount();
  }
  /** Level of the interrupt line. The registers are only complete after sync(). */
  save(): boolean {
    return this.level;
  }
}
