// Generic timers of one PE: counter views, the seven timers, event streams (Arm ARM D11). The registers themselves are in the PE's
// state block; this class computes conditions and drives the interrupt lines. All counts are 64-bit unsigned.

import { Off } from "../arch/layout.ts";
import { Security } from "../arch/security.ts";
import { slot } from "../arch/state.ts";
import type { IrqLine } from "../devices/device.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";
import type { Pe } from "./pe.ts";

/** The system counter: one for the machine, never steps back. */
export interface Counter {
  now(): bigint;
  /** Ticks per second: CNTFRQ_EL0 at reset. */
  readonly hz: number;
}

/** Which offset a timer's view of the counter has. */
const Offset = { None: 0, Virtual: 1, Physical: 2 } as const;

// Timer, its registers, INTID of its PPI, offset. The order is the index used by TimerPart.
// biome-ignore format: table
const timers = [
  { name: "CNTP",   ctl: slot.CNTP_CTL_EL0,   cval: slot.CNTP_CVAL_EL0,   intid: 30, offset: Offset.Physical },
  { name: "CNTV",   ctl: slot.CNTV_CTL_EL0,   cval: slot.CNTV_CVAL_EL0,   intid: 27, offset: Offset.Virtual },
  { name: "CNTHP",  ctl: slot.CNTHP_CTL_EL2,  cval: slot.CNTHP_CVAL_EL2,  intid: 26, offset: Offset.None },
  { name: "CNTHV",  ctl: slot.CNTHV_CTL_EL2,  cval: slot.CNTHV_CVAL_EL2,  intid: 28, offset: Offset.None },
  { name: "CNTHPS", ctl: slot.CNTHPS_CTL_EL2, cval: slot.CNTHPS_CVAL_EL2, intid: 20, offset: Offset.None },
  { name: "CNTHVS", ctl: slot.CNTHVS_CTL_EL2, cval: slot.CNTHVS_CVAL_EL2, intid: 19, offset: Offset.None },
  { name: "CNTPS",  ctl: slot.CNTPS_CTL_EL1,  cval: slot.CNTPS_CVAL_EL1,  intid: 29, offset: Offset.Physical },
] as const;

/** Register names of the timers in this order: TVAL, CTL, CVAL of each. */
export const timerNames: readonly string[] = timers.map((t) => t.name);
/** INTIDs of the timers' PPIs. */
export const timerIntids: readonly number[] = timers.map((t) => t.intid);
export const TimerPart = { TVAL: 0, CTL: 1, CVAL: 2 } as const;

const MASK64 = (1n << 64n) - 1n;
const CTL_ENABLE = 1;
const CTL_IMASK = 2;

export class Timers {
  private readonly pe: Pe;
  private readonly counter: Counter;
  private readonly lines: readonly IrqLine[];
  /** Bit n: timer n has ENABLE = 1 and IMASK = 0, so that its line can rise. */
  private armed = 0;
  /** Bit n: line of timer n is high. */
  private levels = 0;
  /** Count at which event streams were last looked at. */
  private streamAt = 0n;

  constructor(pe: Pe, counter: Counter, ppi: (intid: number) => IrqLine) {
    this.pe = pe;
    this.counter = counter;
    this.lines = timers.map((t) => ppi(t.intid));
  }

  /** Physical count without offset. */
  now(): bigint {
    return this.counter.now();
  }

  /** CNTPCT_EL0 as read at the current Exception level. */
  physicalCount(): bigint {
    const el = this.pe.st.lo(Off.EL);
    const offset = el < 2 && !(el === 0 && this.pe.host) ? this.physicalOffset() : 0n;
    return BigInt.asUintN(64, this.now() - offset);
  }

  /** CNTVCT_EL0 as read at the current Exception level. */
  virtualCount(): bigint {
    const el = this.pe.st.lo(Off.EL);
    const none = (el === 2 && this.pe.e2h) || (el === 0 && this.pe.host);
    return BigInt.asUintN(64, this.now() - (none ? 0n : this.virtualOffset()));
  }

  private virtualOffset(): bigint {
    return this.pe.el2On || this.pe.st.lo(Off.EL) === 3 ? this.pe.st.get(slot.CNTVOFF_EL2) : 0n;
  }

  /** CNTPOFF_EL2 while FEAT_ECV's offset is enabled (CNTHCTL_EL2.ECV and SCR_EL3.ECVEn), else 0. */
  private physicalOffset(): bigint {
    const pe = this.pe;
    if (!pe.el2On || pe.st.bit(slot.CNTHCTL_EL2, 12) === 0) return 0n;
    return pe.haveEl3 && pe.st.bit(slot.SCR_EL3, 28) === 0 ? 0n : pe.st.get(slot.CNTPOFF_EL2);
  }

  /** Count that timer `n` compares with CVAL. */
  private view(n: number, now: bigint): bigint {
    const kind = (timers[n] as (typeof timers)[number]).offset;
    if (kind === Offset.None) return now;
    return BigInt.asUintN(64, now - (kind === Offset.Virtual ? this.virtualOffset() : this.physicalOffset()));
  }

  private met(n: number, now: bigint): boolean {
    return this.view(n, now) >= this.pe.st.get((timers[n] as (typeof timers)[number]).cval);
  }

  /** FEAT_RME: CNTHCTL_EL2.CNTVMASK and CNTPMASK keep the EL1 timers' lines low while in Realm or Root state. */
  private realmMask(): number {
    const pe = this.pe;
    if (pe.security !== Security.Realm && pe.security !== Security.Root) return 0;
    const ctl = pe.st.lo(slot.CNTHCTL_EL2);
    return ((ctl >>> 19) & 1) | (((ctl >>> 18) & 1) << 1);
  }

  /** Brings the interrupt lines (and the event register) up to date with the counter and the registers. */
  update(): void {
    if (this.pe.pmu?.active) this.pe.pmu.update();
    this.streams();
    if (this.armed === 0 && this.levels === 0) return;
    const now = this.now();
    const hidden = this.realmMask();
    for (let n = 0; n < timers.length; n++) {
      const bit = 1 << n;
      const level = (this.armed & bit) !== 0 && (hidden & bit) === 0 && this.met(n, now);
      if (level === ((this.levels & bit) !== 0)) continue;
      this.levels ^= bit;
      this.lines[n]?.set(level);
    }
  }

  /** Control bits or the whole register file changed: finds the armed timers again, then updates. */
  refresh(): void {
    this.findArmed();
    this.update();
  }
  private findArmed(): void {
    this.armed = 0;
    for (let n = 0; n < timers.length; n++) {
      const ctl = this.pe.st.lo((timers[n] as (typeof timers)[number]).ctl);
      if ((ctl & (CTL_ENABLE | CTL_IMASK)) === CTL_ENABLE) this.armed |= 1 << n;
    }
  }

  /** Count (physical, without offset) at which the next line rises or, while the PE waits, its wait ends. Undefined: never. */
  nextDeadline(): bigint | undefined {
    let best: bigint | undefined;
    const pe = this.pe;
    if (this.armed !== 0) {
      const now = this.now();
      const hidden = this.realmMask();
      for (let n = 0; n < timers.length; n++) {
        const bit = 1 << n;
        if ((this.armed & bit) === 0 || (hidden & bit) !== 0) continue;
        const cval = pe.st.get((timers[n] as (typeof timers)[number]).cval);
        const view = this.view(n, now);
        const at = cval > view ? now + (cval - view) : (this.levels & bit) !== 0 ? undefined : now;
        if (at !== undefined && at <= MASK64 && (best === undefined || at < best)) best = at;
      }
    }
    if (pe.st.lo(Off.HALT) === 1) {
      const wait = pe.waitDeadline();
      if (wait !== undefined && (best === undefined || wait < best)) best = wait;
      if (pe.waitsForEvent) {
        const event = this.nextEvent();
        if (event !== undefined && (best === undefined || event < best)) best = event;
      }
    }
    return best;
  }

  /** Reads one register of timer `n`. ISTATUS reads 0 while the timer is disabled. */
  read(n: number, part: number): bigint {
    const t = timers[n] as (typeof timers)[number];
    const st = this.pe.st;
    if (part === TimerPart.CVAL) return st.get(t.cval);
    const now = this.now();
    if (part === TimerPart.TVAL) return BigInt.asUintN(32, st.get(t.cval) - this.view(n, now));
    const ctl = st.lo(t.ctl) & (CTL_ENABLE | CTL_IMASK);
    return BigInt(ctl | ((ctl & CTL_ENABLE) !== 0 && this.met(n, now) ? 4 : 0));
  }

  /** CTL of timer `n` as `read` answers it. The counter is looked at only when that matters. */
  control(n: number): number {
    const ctl = this.pe.st.lo((timers[n] as (typeof timers)[number]).ctl) & (CTL_ENABLE | CTL_IMASK);
    return ctl | ((ctl & CTL_ENABLE) !== 0 && this.met(n, this.now()) ? 4 : 0);
  }

  write(n: number, part: number, value: bigint): void {
    const t = timers[n] as (typeof timers)[number];
    const st = this.pe.st;
    if (part === TimerPart.CVAL) st.set(t.cval, value);
    else if (part === TimerPart.TVAL) st.set(t.cval, BigInt.asUintN(64, this.view(n, this.now()) + BigInt.asIntN(32, value)));
    else {
      const ctl = Number(value & 3n);
      st.setLoHi(t.ctl, ctl, 0);
      if (ctl === CTL_ENABLE) this.armed |= 1 << n;
      else this.armed &= ~(1 << n);
    }
    this.update();
  }

  // ---- event streams: a transition of one counter bit sets the event register (D11.2.4) --------------------------------

  private readonly streamRegs = [slot.CNTHCTL_EL2, slot.CNTKCTL_EL1] as const;

  private streamCount(which: number, now: bigint): bigint {
    return BigInt.asUintN(64, now - (which === 0 ? this.physicalOffset() : this.virtualOffset()));
  }

  private streamOn(which: number): boolean {
    if ((this.pe.st.lo(this.streamRegs[which] as number) & 4) === 0) return false;
    return which === 0 ? true : !this.pe.host;
  }

  /** log2 of half the period, and the phase of the transition that counts. */
  private streamShape(which: number): { bit: bigint; phase: bigint } {
    const ctl = this.pe.st.lo(this.streamRegs[which] as number);
    const bit = BigInt(((ctl >>> 4) & 15) + ((ctl >>> 17) & 1) * 8);
    return { bit, phase: ctl & 8 ? 0n : 1n << bit };
  }

  private streams(): void {
    const a = this.streamOn(0);
    const b = this.streamOn(1);
    if (!a && !b) return;
    const now = this.now();
    const { st } = this.pe;
    // An event register that is set already, as after each exception return, stays so.
    for (let which = 0; which < 2 && st.lo(Off.EVENT) === 0; which++) {
      if (!(which === 0 ? a : b)) continue;
      const { bit, phase } = this.streamShape(which);
      const past = (this.streamCount(which, this.streamAt) - phase) >> (bit + 1n);
      if ((this.streamCount(which, now) - phase) >> (bit + 1n) !== past) st.setLo(Off.EVENT, 1);
    }
    this.streamAt = now;
  }

  /** Does an event stream end waits for events of this PE? */
  get eventStream(): boolean {
    return this.streamOn(0) || this.streamOn(1);
  }
  private nextEvent(): bigint | undefined {
    let best: bigint | undefined;
    const now = this.now();
    for (let which = 0; which < 2; which++) {
      if (!this.streamOn(which)) continue;
      const { bit, phase } = this.streamShape(which);
      const period = 1n << (bit + 1n);
      const at = now + period - (BigInt.asUintN(64, this.streamCount(which, now) - phase) & (period - 1n));
      if (best === undefined || at < best) best = at;
    }
    return best;
  }

  // The GIC saves the state of the lines: they are not driven again here, or an edge might be seen that was none.
  save(): Saved {
    return { stream: this.streamAt, levels: this.levels };
  }
  /** After the registers were restored. */
  restore(state: Saved): void {
    const s = state as { stream?: Saved; levels?: Saved } | null;
    if (typeof s?.stream !== "bigint" || typeof s.levels !== "number")
      throw new EmuError("snapshot-corrupt", "the saved timers of a PE are damaged");
    this.streamAt = s.stream;
    this.levels = s.levels & ((1 << timers.length) - 1);
    this.findArmed();
  }
  reset(): void {
    this.armed = 0;
    this.levels = 0;
    for (const line of this.lines) line.set(false);
    this.streamAt = this.now();
  }
}
