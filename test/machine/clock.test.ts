// Virtual time: nanoseconds, ticks of the counter, and how both go on.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MachineClock } from "../../src/machine/clock.ts";
import { EmuError } from "../../src/util/errors.ts";

const FREQUENCIES = [1_000_000_000, 62_500_000, 24_000_000, 1_920_000];

describe("deterministic time", () => {
  it("is retired instructions and what was skipped", () => {
    const clock = new MachineClock("deterministic", 1e9);
    let progress = 0;
    clock.progress = () => progress;
    expect(clock.now()).toBe(0);
    progress = 7;
    expect(clock.now()).toBe(7);
    progress = 0;
    clock.retired(10);
    expect(clock.now()).toBe(10);
    clock.skipTo(1000);
    expect(clock.now()).toBe(1000);
    clock.skipTo(5); // never backwards
    expect(clock.now()).toBe(1000);
  });
  it("does not run backwards when a slice gives instructions back", () => {
    const clock = new MachineClock("deterministic", 1e9);
    clock.progress = () => 50;
    expect(clock.now()).toBe(50);
    clock.progress = () => 0;
    clock.retired(20);
    expect(clock.now()).toBe(50);
  });
});

describe("wall time", () => {
  /** A clock, and the host's milliseconds. */
  const make = () => {
    const host = { ms: 1000 };
    const clock = new MachineClock("wall", 1e9, () => host.ms);
    return { host, clock };
  };
  it("goes on with the host while a slice runs", () => {
    const { host, clock } = make();
    clock.start();
    clock.progress = () => 50_000;
    host.ms += 1.5;
    expect(clock.now()).toBe(1_500_000);
    host.ms += 1.5;
    clock.retired(60_000);
    expect(clock.now()).toBe(3_000_000);
  });
  it("goes on with the host while all PEs wait", () => {
    const { host, clock } = make();
    clock.idle();
    clock.idle(); // again, when a look at the PEs finds no more to do
    host.ms += 5000;
    expect(clock.now()).toBe(5e9);
    clock.skipTo(1e15);
    clock.start();
    expect(clock.now()).toBe(5e9);
  });
  it("is not ahead of what a guest can do with it when the host is slow", () => {
    const { host, clock } = make();
    clock.start();
    host.ms += 10_000;
    clock.progress = () => 30;
    expect(clock.now()).toBe(30_000);
    clock.progress = () => 0;
    clock.retired(100);
    expect(clock.now()).toBe(100_000);
    host.ms += 10_000; // between two slices
    clock.start();
    expect(clock.now()).toBe(100_000);
  });
  it("goes on with a real host", () => {
    const clock = new MachineClock("wall", 1e9);
    clock.idle();
    const until = performance.now() + 5;
    while (performance.now() < until);
    expect(clock.now()).toBeGreaterThanOrEqual(4e6);
    expect(Number.isInteger(clock.now())).toBe(true);
  });
});

describe("ticks", () => {
  it.each(FREQUENCIES)("%i Hz: timeOf is the first nanosecond of a tick", (hz) => {
    const clock = new MachineClock("deterministic", hz);
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 47n), (ticks) => {
        const at = clock.timeOf(ticks);
        if (at === Number.POSITIVE_INFINITY) return;
        expect(clock.ticksAt(at)).toBe(ticks);
        if (at > 0) expect(clock.ticksAt(at - 1)).toBe(ticks - 1n);
      }),
    );
  });
  it.each(FREQUENCIES)("%i Hz: what lies beyond exact nanoseconds never comes", (hz) => {
    const clock = new MachineClock("deterministic", hz);
    for (const ticks of [2n ** 63n, 2n ** 64n - 1n]) expect(clock.timeOf(ticks)).toBe(Number.POSITIVE_INFINITY);
    expect(clock.timeOf(BigInt(hz))).toBe(1e9);
  });
});

describe("snapshots", () => {
  it.each(["deterministic", "wall"] as const)("%s time goes on from where it was", (mode) => {
    const one = new MachineClock("deterministic", 1e9);
    one.retired(123_456);
    const two = new MachineClock(mode, 1e9);
    two.retired(999);
    two.restore(one.save());
    expect(two.now()).toBeGreaterThanOrEqual(123_456);
    expect(two.now()).toBeLessThan(123_456 + (mode === "wall" ? 60e9 : 1));
  });
  it("nonsense is told", () => {
    for (const now of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "1", null, 5n]) {
      expect(() => new MachineClock("deterministic", 1e9).restore({ now })).toThrow(EmuError);
    }
    for (const state of [null, 5, "x", []]) expect(() => new MachineClock("deterministic", 1e9).restore(state)).toThrow(EmuError);
  });
});
