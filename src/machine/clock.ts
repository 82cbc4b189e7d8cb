// Virtual time. Deterministic: one nanosecond for each retired instruction, of whichever PE, plus what idle PEs skip.
// Wall: nanoseconds of the host while the machine runs or idles, but at most SLOWEST for each instruction. A host that is too slow, or
// busy with something else (software of the emulator's own, building a realm), would otherwise let timers expire faster than the guest
// can handle them, and the guest would never get on. Time never runs backwards.

import type { Clock } from "../devices/device.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";

export type TimeMode = "deterministic" | "wall";

/** Most nanoseconds that a retired instruction can take in wall time: as if the PE did 1 MIPS. */
const SLOWEST = 1000;

export class MachineClock implements Clock, Stateful {
  readonly mode: TimeMode;
  /** Frequency of the system counter in Hz. */
  readonly hz: number;
  /** Nanoseconds at the start of the present slice or idle time. */
  private base = 0;
  /** Milliseconds of the host then. */
  private wallStart: number;
  private readonly host: () => number;
  /** Wall time: all PEs wait, so that it goes on with the host alone. */
  private idling = false;
  private last = 0;
  /** Instructions retired in the slice that is under way. */
  progress: () => number = () => 0;

  /** `host`: milliseconds of a clock that never runs backwards. */
  constructor(mode: TimeMode, hz: number, host: () => number = () => performance.now()) {
    this.mode = mode;
    this.hz = hz;
    this.host = host;
    this.wallStart = host();
  }

  now(): number {
    const t = this.mode === "deterministic" ? this.base + this.progress() : this.wall(this.progress());
    this.last = Math.max(this.last, t);
    return this.last;
  }
  private wall(instructions: number): number {
    const passed = Math.floor((this.host() - this.wallStart) * 1e6);
    return this.base + (this.idling ? passed : Math.min(passed, SLOWEST * instructions));
  }
  /** A slice begins. Wall time does not count what the host did since the last one, unless the machine was idle. */
  start(): void {
    if (this.mode === "deterministic") return;
    this.base = this.idling ? this.now() : this.last;
    this.wallStart = this.host();
    this.idling = false;
  }
  /** Instructions that a finished slice retired. */
  retired(count: number): void {
    if (this.mode === "deterministic") this.base += count;
    else this.last = Math.max(this.last, this.wall(count));
  }
  /** All PEs wait: wall time goes on from here until the next slice. */
  idle(): void {
    if (this.mode === "deterministic" || this.idling) return;
    this.base = this.last;
    this.wallStart = this.host();
    this.idling = true;
  }
  /** Idle until `ns`. */
  skipTo(ns: number): void {
    if (this.mode === "deterministic" && ns > this.base) this.base = ns;
  }

  /** The counter value at time `ns`. */
  ticksAt(ns: number): bigint {
    if (this.hz === 1e9) return BigInt(ns); // the common case, without a division
    return (BigInt(ns) * BigInt(this.hz)) / 1_000_000_000n;
  }
  /**
   * The first nanosecond at which the counter reaches `ticks`. Infinity from 2^53 ns (104 days) on: nanoseconds are no longer exact
   * there, and nothing that a machine waits for lies so far ahead.
   */
  timeOf(ticks: bigint): number {
    const hz = BigInt(this.hz);
    const ns = this.hz === 1e9 ? Number(ticks) : Number((ticks * 1_000_000_000n + hz - 1n) / hz);
    return ns <= Number.MAX_SAFE_INTEGER ? ns : Number.POSITIVE_INFINITY;
  }

  save(): Saved {
    return { now: this.now() };
  }
  restore(state: Saved): void {
    const now = state !== null && typeof state === "object" && "now" in state ? state.now : undefined;
    if (!Number.isSafeInteger(now) || (now as number) < 0) throw new EmuError("snapshot-corrupt", "the snapshot's clock has no time");
    this.base = now as number;
    this.last = now as number;
    this.wallStart = this.host();
    this.idling = true;
  }
}
