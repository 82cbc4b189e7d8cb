// Selection by priority, preemption, binary points, active priorities (IHI 0069, 4.8).

import { describe, expect, it } from "vitest";
import { D, Fixture } from "./fixture.ts";

const A = 40;
const B = 41;
const C = 70;

/** Non-secure EL2 with the given SPIs made pending in this order: INTID, priority as stored. */
function pending(...spis: [number, number][]): Fixture {
  const f = new Fixture().openUp();
  for (const [intid, priority] of spis) {
    f.configure(intid, { priority, edge: true });
    f.gic.spi(intid - 32).set(true);
  }
  f.run(0, 2, "nonsecure");
  return f;
}

describe("selection", () => {
  it("lowest number first, then lowest INTID, whatever the order of arrival", () => {
    const f = pending([C, 0x90], [B, 0x90], [A, 0xa0]);
    const order: number[] = [];
    for (let n = 0; n < 4; n++) {
      const intid = f.r(0, "ICC_IAR1_EL1");
      order.push(intid);
      f.w(0, "ICC_EOIR1_EL1", intid);
    }
    expect(order).toEqual([B, C, A, 1023]);
  });

  it("private before shared on a tie", () => {
    const f = pending([A, 0xa0]);
    f.configure(30, { priority: 0xa0 });
    f.gic.ppi(0, 30).set(true);
    expect(f.r(0, "ICC_HPPIR1_EL1")).toBe(30);
    f.configure(30, { priority: 0xa8 });
    expect(f.r(0, "ICC_HPPIR1_EL1")).toBe(A);
  });

  it("a priority written while pending takes effect", () => {
    const f = pending([A, 0x90], [B, 0xa0]);
    f.setD(D.IPRIORITYR + A, 0xb0, 1);
    expect(f.r(0, "ICC_HPPIR1_EL1")).toBe(B);
    f.setD(D.IPRIORITYR + A, 0x80, 1);
    expect(f.r(0, "ICC_HPPIR1_EL1")).toBe(A);
  });
});

describe("preemption", () => {
  it("only a higher group priority preempts", () => {
    const f = pending([A, 0xa0]);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(A);
    f.configure(B, { priority: 0xa0, edge: true });
    f.gic.spi(B - 32).set(true);
    expect([f.lines(), f.r(0, "ICC_IAR1_EL1"), f.r(0, "ICC_HPPIR1_EL1")]).toEqual(["", 1023, B]);
    f.configure(C, { priority: 0x98, edge: true });
    f.gic.spi(C - 32).set(true);
    expect(f.lines()).toBe("IRQ");
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(C);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0x98);
    expect(f.r(0, "ICC_AP1R0_EL1")).toBe((1 << (0x98 >> 3)) | (1 << (0xa0 >> 3)));
    f.w(0, "ICC_EOIR1_EL1", C);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0xa0);
    f.w(0, "ICC_EOIR1_EL1", A);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0xff);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(B);
  });

  it("Non-secure BPR1 = b keeps bits [7:b]: subpriorities do not preempt", () => {
    const f = pending([A, 0xb8]);
    f.w(0, "ICC_BPR1_EL1", 5);
    expect(f.r(0, "ICC_BPR1_EL1")).toBe(5);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(A);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0xa0);
    f.configure(B, { priority: 0xa0, edge: true });
    f.gic.spi(B - 32).set(true);
    expect(f.lines()).toBe("");
    f.setD(D.IPRIORITYR + B, 0x98, 1);
    expect(f.lines()).toBe("IRQ");
  });

  it("BPR0 = b keeps bits [7:b+1], and 7 means no preemption", () => {
    const f = new Fixture().openUp();
    f.configure(A, { group: "G0", priority: 0x78, edge: true });
    f.configure(B, { group: "G0", priority: 0x00, edge: true });
    f.w(0, "ICC_BPR0_EL1", 7);
    f.gic.spi(A - 32).set(true);
    expect(f.lines()).toBe("FIQ");
    expect(f.r(0, "ICC_IAR0_EL1")).toBe(A);
    expect(f.r(0, "ICC_AP0R0_EL1")).toBe(1);
    f.gic.spi(B - 32).set(true);
    expect(f.lines()).toBe("");
    f.w(0, "ICC_EOIR0_EL1", A);
    expect(f.lines()).toBe("FIQ");
    f.w(0, "ICC_BPR0_EL1", 3);
    f.configure(A, { group: "G0", priority: 0x78, edge: true });
    expect(f.r(0, "ICC_BPR0_EL1")).toBe(3);
  });

  it("Secure BPR1 = b keeps bits [7:b+1]", () => {
    const f = new Fixture().openUp();
    f.run(0, 1, "secure");
    f.w(0, "ICC_BPR1_EL1", 4);
    f.configure(A, { group: "G1S", priority: 0x58, edge: true });
    f.configure(B, { group: "G1S", priority: 0x40, edge: true });
    f.gic.spi(A - 32).set(true);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(A);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0x40);
    f.gic.spi(B - 32).set(true);
    expect(f.lines()).toBe("");
    f.setD(D.IPRIORITYR + B, 0x38, 1);
    expect(f.lines()).toBe("IRQ");
  });

  it("binary points do not go below their minimum", () => {
    const f = new Fixture();
    for (const [reg, min] of [
      ["ICC_BPR0_EL1", 2],
      ["ICC_BPR1_EL1", 3],
    ] as const) {
      f.w(0, reg, 7);
      expect(f.r(0, reg)).toBe(7);
      f.w(0, reg, 0);
      expect(f.r(0, reg)).toBe(min);
    }
    f.run(0, 3, "secure");
    f.w(0, "ICC_BPR1_EL1", 0);
    expect(f.r(0, "ICC_BPR1_EL1")).toBe(2);
  });

  it("CBPR: Group 1 uses BPR0", () => {
    const f = pending([A, 0xb8]);
    f.run(0, 3, "nonsecure");
    f.w(0, "ICC_BPR0_EL1", 4);
    f.w(0, "ICC_CTLR_EL3", 2);
    f.run(0, 2, "nonsecure");
    expect(f.r(0, "ICC_CTLR_EL1")).toBe(0x8c01);
    expect(f.r(0, "ICC_BPR1_EL1")).toBe(5);
    f.w(0, "ICC_BPR1_EL1", 7);
    expect(f.r(0, "ICC_BPR1_EL1")).toBe(5);
    f.run(0, 3, "nonsecure");
    expect(f.r(0, "ICC_BPR1_EL1")).toBe(3);
    f.run(0, 2, "nonsecure");
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(A);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0xa0);
    // Secure bank: BPR1 is BPR0.
    f.run(0, 3, "secure");
    f.w(0, "ICC_CTLR_EL3", 1);
    f.run(0, 1, "secure");
    f.w(0, "ICC_BPR1_EL1", 6);
    expect([f.r(0, "ICC_BPR1_EL1"), f.r(0, "ICC_BPR0_EL1")]).toEqual([6, 6]);
  });

  it("EOIR must name the group of the highest active priority", () => {
    const f = new Fixture().openUp();
    f.configure(A, { priority: 0xa0, edge: true });
    f.configure(B, { group: "G0", priority: 0x20, edge: true });
    f.gic.spi(A - 32).set(true);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(A);
    f.gic.spi(B - 32).set(true);
    expect(f.r(0, "ICC_IAR0_EL1")).toBe(B);
    f.w(0, "ICC_EOIR1_EL1", A);
    expect([f.r(0, "ICC_RPR_EL1"), f.bit(D.ISACTIVER, A)]).toEqual([0x20, true]);
    f.w(0, "ICC_EOIR0_EL1", B);
    f.w(0, "ICC_EOIR1_EL1", A);
    expect([f.r(0, "ICC_RPR_EL1"), f.bit(D.ISACTIVER, A), f.bit(D.ISACTIVER, B)]).toEqual([0xff, false, false]);
  });

  it("active priorities written by software are the running priority", () => {
    const f = pending([A, 0xa0]);
    f.w(0, "ICC_AP1R0_EL1", 1 << (0x90 >> 3));
    expect([f.lines(), f.r(0, "ICC_RPR_EL1")]).toEqual(["", 0x90]);
    f.w(0, "ICC_AP1R0_EL1", 0);
    expect([f.lines(), f.r(0, "ICC_RPR_EL1")]).toEqual(["IRQ", 0xff]);
  });
});
