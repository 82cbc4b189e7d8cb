// Virtual time. Deterministic: one nanosecond for each retired instruction, of whichever PE, plus what idle PEs skip.
// Wall: nanoseconds of the host since the machine started. Never runs backwards.

import type { Clock } from "../devices/device.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";

export type TimeMode = "deterministic" | "wall";

export class MachineClock implements Clock, Stateful {
  readonly mode: TimeMode;
  /** Frequency of the system counter in Hz. */
  readonly hz: number;
  /** Nanoseconds at the start of the present slice; in wall mode, when the clock was last started. */
  private base = 0;
  private wallStart = performance.now();
  private last = 0;
  /** Instructions retired in the slice that is under way. */
  progress: () => number = () => 0;

  constructor(mode: TimeMode, hz: number) {
    this.mode = mode;
    this.hz = hz;
  }

  now(): number {
    const t =
      this.mode === "deterministic" ? this.base + this.progress() : this.base + Math.floor((performance.now() - this.wallStart) * 1e6);
    this.last = Math.max(this.last, t);
    return this.last;
  }
  /** Instructions that a finished slice retired. */
  retired(count: number): void {
    if (this.mode === "deterministic") this.base += count;
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
    this.wallStart = performance.now();
  }
}
