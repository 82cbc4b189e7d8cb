import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { Pl031, Pl031Rtc } from "../../src/devices/pl031.ts";
import { primecellIds, read, TestClock, TestLine, write } from "./support.ts";

const EPOCH = 1_700_000_000;
const S = 1e9;

let line: TestLine;
let clock: TestClock;
let rtc: Pl031Rtc;

function make(): void {
  line = new TestLine();
  rtc = new Pl031Rtc({ irq: line, clock, epoch: EPOCH });
}

beforeEach(() => {
  clock = new TestClock();
  make();
});

describe("counter", () => {
  it("has the PL031's identification", () => {
    expect(primecellIds(rtc)).toEqual([0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
  });

  it("counts whole seconds of the clock from the epoch", () => {
    expect(read(rtc, Pl031.DR)).toBe(EPOCH);
    clock.ns = 2 * S - 1;
    expect(read(rtc, Pl031.DR)).toBe(EPOCH + 1);
    clock.ns = 2 * S;
    expect(read(rtc, Pl031.DR)).toBe(EPOCH + 2);
  });

  it("is loaded through LR, which reads what was loaded", () => {
    clock.ns = 5.5 * S;
    expect(read(rtc, Pl031.LR)).toBe(0);
    write(rtc, Pl031.LR, 1000);
    expect(read(rtc, Pl031.LR)).toBe(1000);
    expect(read(rtc, Pl031.DR)).toBe(1000);
    clock.ns = 6 * S;
    expect(read(rtc, Pl031.DR)).toBe(1001);
  });

  it("wraps at 2^32", () => {
    write(rtc, Pl031.LR, 0xffff_ffff);
    clock.ns = S;
    expect(read(rtc, Pl031.DR)).toBe(0);
  });

  it("is always enabled", () => {
    write(rtc, Pl031.CR, 0);
    expect(read(rtc, Pl031.CR)).toBe(1);
  });

  it("does not change its read-only registers, at any access width", () => {
    for (const size of [1, 2, 4] as const) {
      for (const offset of [Pl031.DR, Pl031.RIS, Pl031.MIS, 0xfe0, 0xffc]) {
        const before = rtc.read(offset, size);
        rtc.write(offset, size, 0xffff_ffff);
        expect(rtc.read(offset, size)).toBe(before);
      }
    }
  });
});

describe("match interrupt", () => {
  it("raises RIS in the second that matches, and the line only when unmasked", () => {
    write(rtc, Pl031.MR, EPOCH + 1);
    expect(rtc.deadline()).toBe(S);
    clock.ns = S - 1;
    rtc.update();
    expect(read(rtc, Pl031.RIS)).toBe(0);
    clock.ns = S;
    rtc.update();
    expect(read(rtc, Pl031.RIS)).toBe(1);
    expect(read(rtc, Pl031.MIS)).toBe(0);
    expect(line.level).toBe(false);
    write(rtc, Pl031.IMSC, 1);
    expect(line.level).toBe(true);
    expect(read(rtc, Pl031.MIS)).toBe(1);
    write(rtc, Pl031.ICR, 1);
    expect(line.level).toBe(false);
    expect(read(rtc, Pl031.RIS)).toBe(0);
    expect(rtc.deadline()).toBe(Infinity);
  });

  it("is seen by a register access even if nobody called update", () => {
    write(rtc, Pl031.MR, EPOCH + 3);
    clock.ns = 10 * S;
    expect(read(rtc, Pl031.RIS)).toBe(1);
  });

  it("counts to whole seconds when MR is written within one", () => {
    clock.ns = 0.75 * S;
    write(rtc, Pl031.MR, EPOCH + 2);
    expect(rtc.deadline()).toBe(2 * S);
  });

  it.each([0, 1, 1000])("raises at once for a match %i seconds ago", (ago) => {
    write(rtc, Pl031.MR, EPOCH - ago);
    expect(read(rtc, Pl031.RIS)).toBe(1);
  });

  it("follows a newly loaded counter, without matching what the load jumped over", () => {
    write(rtc, Pl031.MR, EPOCH + 100);
    write(rtc, Pl031.LR, EPOCH + 98);
    expect(rtc.deadline()).toBe(2 * S);
    write(rtc, Pl031.LR, EPOCH + 200);
    expect(rtc.deadline()).toBe(Infinity);
    expect(read(rtc, Pl031.RIS)).toBe(0);
  });

  it("does nothing for ICR without bit 0", () => {
    write(rtc, Pl031.MR, EPOCH);
    write(rtc, Pl031.ICR, 2);
    expect(read(rtc, Pl031.RIS)).toBe(1);
  });
});

describe("state", () => {
  it("restores a pending match", () => {
    write(rtc, Pl031.IMSC, 1);
    write(rtc, Pl031.MR, EPOCH + 5);
    clock.ns = 2 * S;
    const saved = structuredClone(rtc.save());
    make();
    rtc.restore(saved);
    expect(rtc.deadline()).toBe(5 * S);
    clock.ns = 5 * S;
    rtc.update();
    expect(line.level).toBe(true);
  });

  it("keeps the time across a reset, and nothing else", () => {
    write(rtc, Pl031.LR, 50);
    write(rtc, Pl031.IMSC, 1);
    write(rtc, Pl031.MR, 50);
    expect(line.level).toBe(true);
    rtc.reset();
    expect(line.level).toBe(false);
    expect([Pl031.MR, Pl031.LR, Pl031.IMSC, Pl031.RIS].map((r) => read(rtc, r))).toEqual([0, 0, 0, 0]);
    expect(read(rtc, Pl031.DR)).toBe(50);
  });

  it("refuses a damaged snapshot", () => {
    expect(() => rtc.restore({ offset: -1 })).toThrow(expect.objectContaining({ code: "snapshot-corrupt" }));
  });

  it("survives any register traffic, and its line is RIS & IMSC", () => {
    const step = fc.tuple(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 1e10 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        clock.ns = 0;
        make();
        for (const [word, value, dt] of steps) {
          clock.ns += dt;
          write(rtc, 4 * word, value);
          expect(line.level).toBe(read(rtc, Pl031.MIS) === 1);
          expect(rtc.deadline()).toBeGreaterThan(clock.ns);
        }
      }),
    );
  });
});
