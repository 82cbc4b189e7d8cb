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
    if (this.hz === 1e9) return BigInt(ns);
    return (BigInt(ns) * BigInt(this.hz)) / 1_000_000_000n;
  }
  /** The first nanosecond at which the counter reaches `ticks`. */
  timeOf(ticks: bigint): number {
    if (this.hz === 1e9) return Number(ticks);
    const hz = BigInt(this.hz);
    return Number((ticks * 1_000_000_000n + hz - 1n) / hz);
  }

  save(): Saved {
    return { now: this.now() };
  }
  restore(state: Saved): void {
    const now = state !== null && typeof state === "object" && "now" in state ? state.now : undefined;
    if (typeof now !== "number") throw new EmuError("snapshot-corrupt", "the snapshot's clock has no time");
    this.base = now;
    this.last = now;
    this.wallStart = performance.now();
  }
}
