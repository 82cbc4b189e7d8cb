// Pending and active states of edge and level interrupts (IHI 0069, 4.1.2), seen through the registers.

import { describe, expect, it } from "vitest";
import { D, Fixture } from "./fixture.ts";

const SPI = 40;
const PPI = 27;

/** "pa" = pending and active, as ISPENDR and ISACTIVER show it. */
const state = (f: Fixture, intid: number) => (f.bit(D.ISPENDR, intid) ? "p" : "-") + (f.bit(D.ISACTIVER, intid) ? "a" : "-");

describe.each([
  ["SPI", SPI],
  ["PPI", PPI],
])("%s", (_kind, intid) => {
  const open = (edge: boolean) => {
    const f = new Fixture().openUp();
    f.configure(intid, { edge });
    const line = intid < 32 ? f.gic.ppi(0, intid) : f.gic.spi(intid - 32);
    f.run(0, 2, "nonsecure");
    return { f, line };
  };

  it("level: pending follows the line; active while handled; pending again when the line stayed high", () => {
    const { f, line } = open(false);
    line.set(true);
    expect([state(f, intid), f.lines()]).toEqual(["p-", "IRQ"]);
    line.set(false);
    expect([state(f, intid), f.lines()]).toEqual(["--", ""]);
    line.set(true);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(intid);
    expect([state(f, intid), f.lines()]).toEqual(["pa", ""]);
    f.w(0, "ICC_EOIR1_EL1", intid);
    expect([state(f, intid), f.lines()]).toEqual(["p-", "IRQ"]);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(intid);
    line.set(false);
    expect(state(f, intid)).toBe("-a");
    f.w(0, "ICC_EOIR1_EL1", intid);
    expect([state(f, intid), f.lines()]).toEqual(["--", ""]);
  });

  it("edge: latched, survives the falling edge, a second edge while active makes it pending again", () => {
    const { f, line } = open(true);
    line.set(true);
    line.set(false);
    expect([state(f, intid), f.lines()]).toEqual(["p-", "IRQ"]);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(intid);
    expect(state(f, intid)).toBe("-a");
    line.set(true);
    expect([state(f, intid), f.lines()]).toEqual(["pa", ""]);
    f.w(0, "ICC_EOIR1_EL1", intid);
    expect([state(f, intid), f.lines()]).toEqual(["p-", "IRQ"]);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(intid);
    f.w(0, "ICC_EOIR1_EL1", intid);
    // The line is still high: no new edge.
    expect([state(f, intid), f.lines()]).toEqual(["--", ""]);
    line.set(false);
    expect([state(f, intid), f.lines()]).toEqual(["--", ""]);
  });

  it("ISPENDR latches a level interrupt until acknowledged; ICPENDR cannot clear a high line", () => {
    const { f, line } = open(false);
    const at = intid < 32 ? 0 : 4;
    const set = (o: number) => (intid < 32 ? f.setSgi(0, o, 1 << (intid & 31)) : f.setD(o + at, 1 << (intid & 31)));
    set(D.ISPENDR);
    line.set(true);
    line.set(false);
    expect(state(f, intid)).toBe("p-");
    set(D.ICPENDR);
    expect(state(f, intid)).toBe("--");
    line.set(true);
    set(D.ICPENDR);
    expect(state(f, intid)).toBe("p-");
    line.set(false);
    set(D.ISPENDR);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(intid);
    expect(state(f, intid)).toBe("-a");
  });

  it("disabling hides, does not forget; ISACTIVER hides without touching the running priority", () => {
    const { f, line } = open(true);
    const at = intid < 32 ? 0 : 4;
    const set = (o: number) => (intid < 32 ? f.setSgi(0, o, 1 << (intid & 31)) : f.setD(o + at, 1 << (intid & 31)));
    line.set(true);
    set(D.ICENABLER);
    expect([state(f, intid), f.lines()]).toEqual(["p-", ""]);
    expect(f.r(0, "ICC_HPPIR1_EL1")).toBe(1023);
    set(D.ISENABLER);
    expect(f.lines()).toBe("IRQ");
    set(D.ISACTIVER);
    expect([state(f, intid), f.lines(), f.r(0, "ICC_RPR_EL1")]).toEqual(["pa", "", 0xff]);
    set(D.ICACTIVER);
    expect(f.lines()).toBe("IRQ");
  });

  it("split EOI: EOIR drops the priority, DIR deactivates", () => {
    const { f, line } = open(false);
    f.w(0, "ICC_CTLR_EL1", 2);
    expect(f.r(0, "ICC_CTLR_EL1")).toBe(0x8c02);
    line.set(true);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(intid);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0xa0);
    f.w(0, "ICC_EOIR1_EL1", intid);
    expect([state(f, intid), f.r(0, "ICC_RPR_EL1"), f.lines()]).toEqual(["pa", 0xff, ""]);
    f.w(0, "ICC_DIR_EL1", intid);
    expect([state(f, intid), f.lines()]).toEqual(["p-", "IRQ"]);
  });
});

describe("what ends nothing", () => {
  it("EOIR and DIR of INTIDs that do not exist, EOIR with nothing active, DIR without split EOI", () => {
    const f = new Fixture().openUp();
    f.configure(SPI);
    f.gic.spi(SPI - 32).set(true);
    f.run(0, 2, "nonsecure");
    f.w(0, "ICC_EOIR1_EL1", SPI);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(SPI);
    for (const intid of [1020, 1021, 1022, 1023, 1000, 8192, 0xff_ffff]) {
      f.w(0, "ICC_EOIR1_EL1", intid);
      f.w(0, "ICC_DIR_EL1", intid);
    }
    f.w(0, "ICC_DIR_EL1", SPI);
    expect([state(f, SPI), f.r(0, "ICC_RPR_EL1")]).toEqual(["pa", 0xa0]);
    // Group 0's register does not end a Group 1 interrupt.
    f.w(0, "ICC_EOIR0_EL1", SPI);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0xa0);
  });

  it("a spurious acknowledge changes nothing", () => {
    const f = new Fixture().openUp();
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(1023);
    expect(f.r(0, "ICC_IAR0_EL1")).toBe(1023);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0xff);
  });
});

describe("forwarding conditions", () => {
  it("needs the distributor's and the CPU interface's group enable, an awake redistributor and the priority mask", () => {
    const f = new Fixture().openUp();
    f.configure(SPI);
    f.gic.spi(SPI - 32).set(true);
    f.run(0, 2, "nonsecure");
    const check = (off: () => void, on: () => void) => {
      expect(f.lines()).toBe("IRQ");
      off();
      expect(f.lines()).toBe("");
      expect(f.bit(D.ISPENDR, SPI)).toBe(true);
      on();
    };
    check(
      () => f.setD(D.CTLR, 5),
      () => f.setD(D.CTLR, 7),
    );
    check(
      () => f.w(0, "ICC_IGRPEN1_EL1", 0),
      () => f.w(0, "ICC_IGRPEN1_EL1", 1),
    );
    check(
      () => f.setRd(0, 0x14, 2),
      () => f.setRd(0, 0x14, 0),
    );
    check(
      () => f.w(0, "ICC_PMR_EL1", 0xa0),
      () => f.w(0, "ICC_PMR_EL1", 0xa8),
    );
    check(
      () => f.setD(D.IROUTER + 8 * SPI, 0x99),
      () => f.setD(D.IROUTER + 8 * SPI, 0),
    );
  });

  it("a group that is off at the CPU interface does not hide another", () => {
    const f = new Fixture().openUp();
    f.configure(SPI, { group: "G0", priority: 0 });
    f.configure(SPI + 1, { priority: 0xa0 });
    f.gic.spi(SPI - 32).set(true);
    f.gic.spi(SPI - 31).set(true);
    f.w(0, "ICC_IGRPEN0_EL1", 0);
    f.run(0, 2, "nonsecure");
    expect(f.lines()).toBe("IRQ");
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(SPI + 1);
  });

  it("onLines is called for changes only", () => {
    const f = new Fixture().openUp();
    f.configure(SPI);
    f.run(0, 2, "nonsecure");
    f.events.length = 0;
    const line = f.gic.spi(SPI - 32);
    line.set(true);
    line.set(true);
    f.gic.cpu(0).update();
    expect(f.events).toEqual([0]);
    line.set(false);
    expect(f.events).toEqual([0, 0]);
  });
});
