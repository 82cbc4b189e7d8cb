// Generic timers: views of the counter, conditions, lines, deadlines, event streams, waits.

import { describe, expect, it } from "vitest";
import { Line, Off } from "../../src/arch/layout.ts";
import { slot } from "../../src/arch/state.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import { at, HCR_E2H, HCR_TGE, mrs, msr, run } from "./sys-helper.ts";

const HOST = HCR_E2H | HCR_TGE;
const WFI = 0xd503_207f;
const WFE = 0xd503_205f;

describe("counter views", () => {
  it("CNTVOFF applies at EL0, EL1 and EL2 without E2H, not to a host", () => {
    for (const [el, hcr, offset] of [
      [0, 0n, true],
      [1, 0n, true],
      [2, 0n, true],
      [2, HCR_E2H, false],
      [0, HOST, false],
      [1, HCR_E2H, true],
    ] as const) {
      const b = at(el, hcr);
      b.st.set(slot.CNTVOFF_EL2, 100n);
      expect(mrs(b, "CNTVCT_EL0")).toBe(offset ? 900n : 1000n);
      expect(mrs(b, "CNTPCT_EL0")).toBe(1000n);
    }
  });
  it("CNTPOFF applies at EL1 only with ECV enabled in both places", () => {
    const b = at(1);
    b.st.set(slot.CNTPOFF_EL2, 10n);
    expect(mrs(b, "CNTPCT_EL0")).toBe(1000n);
    b.st.set(slot.CNTHCTL_EL2, b.st.get(slot.CNTHCTL_EL2) | (1n << 12n));
    expect(mrs(b, "CNTPCT_EL0")).toBe(990n);
    b.st.set(slot.SCR_EL3, b.st.get(slot.SCR_EL3) & ~(1n << 28n));
    expect(mrs(b, "CNTPCT_EL0")).toBe(1000n);
  });
});

describe("conditions and lines", () => {
  const cases = [
    ["CNTV_CTL_EL0", "CNTV_CVAL_EL0", 27, 1, 0n],
    ["CNTP_CTL_EL0", "CNTP_CVAL_EL0", 30, 1, 0n],
    ["CNTHP_CTL_EL2", "CNTHP_CVAL_EL2", 26, 2, 0n],
    ["CNTHV_CTL_EL2", "CNTHV_CVAL_EL2", 28, 2, 0n],
    ["CNTPS_CTL_EL1", "CNTPS_CVAL_EL1", 29, 3, 0n],
    ["CNTP_CTL_EL0", "CNTP_CVAL_EL0", 26, 2, HCR_E2H],
    ["CNTV_CTL_EL0", "CNTV_CVAL_EL0", 28, 2, HCR_E2H],
    ["CNTV_CTL_EL02", "CNTV_CVAL_EL02", 27, 2, HCR_E2H],
  ] as const;
  for (const [ctl, cval, intid, el, hcr] of cases) {
    it(`${ctl} at EL${el}${hcr ? " with E2H" : ""} drives PPI ${intid}`, () => {
      const b = at(el, hcr);
      msr(b, cval, 1500n);
      msr(b, ctl, 1n);
      expect(mrs(b, ctl)).toBe(1n);
      expect(b.lines.get(intid) ?? false).toBe(false);
      expect(b.pe.timers.nextDeadline()).toBe(1500n);
      b.clock.count = 1499n;
      b.pe.timers.update();
      expect(b.lines.get(intid) ?? false).toBe(false);
      b.clock.count = 1500n;
      b.pe.timers.update();
      expect(b.lines.get(intid)).toBe(true);
      expect(mrs(b, ctl)).toBe(5n);
      msr(b, ctl, 3n);
      expect(b.lines.get(intid)).toBe(false);
      expect(mrs(b, ctl)).toBe(7n);
      msr(b, ctl, 1n);
      expect(b.lines.get(intid)).toBe(true);
      msr(b, cval, 9999n);
      expect(b.lines.get(intid)).toBe(false);
      msr(b, ctl, 0n);
      expect(mrs(b, ctl)).toBe(0n);
      expect(b.pe.timers.nextDeadline()).toBeUndefined();
    });
  }
  it("offsets move the deadline", () => {
    const b = at(1);
    b.st.set(slot.CNTVOFF_EL2, 300n);
    msr(b, "CNTV_CVAL_EL0", 1000n);
    msr(b, "CNTV_CTL_EL0", 1n);
    expect(b.pe.timers.nextDeadline()).toBe(1300n);
  });
  it("TVAL is the signed distance", () => {
    const b = at(1);
    msr(b, "CNTV_TVAL_EL0", 50n);
    expect(mrs(b, "CNTV_CVAL_EL0")).toBe(1050n);
    msr(b, "CNTV_TVAL_EL0", 0xffff_ffffn);
    expect(mrs(b, "CNTV_CVAL_EL0")).toBe(999n);
    expect(mrs(b, "CNTV_TVAL_EL0")).toBe(0xffff_ffffn);
  });
  it("CVAL of all ones never fires", () => {
    const b = at(1);
    msr(b, "CNTV_CVAL_EL0", (1n << 64n) - 1n);
    msr(b, "CNTV_CTL_EL0", 1n);
    b.clock.count = 1n << 60n;
    b.pe.timers.update();
    expect(b.lines.get(27) ?? false).toBe(false);
  });
  it.each([
    ["CNTVMASK", "CNTV", 18n, 27],
    ["CNTPMASK", "CNTP", 19n, 30],
  ] as const)("%s hides %s in Realm and Root state only", (_mask, timer, bit, ppi) => {
    const b = at(1, 0n, "max,rme=on");
    b.st.set(slot.CNTHCTL_EL2, b.st.get(slot.CNTHCTL_EL2) | (1n << bit));
    msr(b, `${timer}_CVAL_EL0`, 1n);
    msr(b, `${timer}_CTL_EL0`, 1n);
    expect(b.lines.get(ppi)).toBe(true);
    b.st.set(slot.SCR_EL3, b.st.get(slot.SCR_EL3) | (1n << 62n));
    b.pe.controlsChanged();
    expect(b.lines.get(ppi)).toBe(false);
    expect(mrs(b, `${timer}_CTL_EL0`)).toBe(5n);
    b.pe.writeSys("SCR_EL3", b.st.get(slot.SCR_EL3) & ~(1n << 62n));
    expect(b.lines.get(ppi)).toBe(true);
  });
});

describe("waits", () => {
  it("WFI sleeps until an interrupt is pending, masked or not", () => {
    const b = at(1);
    b.st.setLo(Off.DAIF, 15);
    expect(run(b, SysOp.WFI, WFI)).toBe("ok");
    expect(b.st.lo(Off.HALT)).toBe(1);
    expect(b.pe.wakeFromHalt()).toBe(false);
    b.st.setLo(Off.LINES, Line.IRQ);
    expect(b.pe.wakeFromHalt()).toBe(true);
    expect(b.st.lo(Off.HALT)).toBe(0);
  });
  it("a virtual interrupt wakes a guest, not the host", () => {
    for (const [el, hcr, wakes] of [
      [1, 1n << 4n, true],
      [1, 0n, false],
      [2, 1n << 4n, false],
    ] as const) {
      const b = at(el, hcr);
      b.st.setLo(Off.DAIF, 15);
      run(b, SysOp.WFI, WFI);
      b.st.setLo(Off.LINES, Line.VIRQ);
      expect(b.pe.wakeFromHalt()).toBe(wakes);
    }
  });
  it("WFE takes a pending event, else sleeps until SEV", () => {
    const b = at(1);
    b.pe.system(SysOp.SEVL, 0);
    run(b, SysOp.WFE, WFE);
    expect([b.st.lo(Off.HALT), b.st.lo(Off.EVENT)]).toEqual([0, 0]);
    run(b, SysOp.WFE, WFE);
    expect(b.st.lo(Off.HALT)).toBe(1);
    expect(b.pe.wakeFromHalt()).toBe(false);
    b.pe.system(SysOp.SEV, 0);
    expect(b.pe.wakeFromHalt()).toBe(true);
    expect(b.st.lo(Off.EVENT)).toBe(0);
  });
  it("traps: nTWI at EL0, TWI, TWE, SCR.TWI, only when it would sleep", () => {
    const zero = at(0);
    zero.st.set(slot.SCTLR_EL1, zero.st.get(slot.SCTLR_EL1) & ~(1n << 16n));
    expect(run(zero, SysOp.WFI, WFI)).toBe("EL1 ec=1 iss=1e00000");
    expect(run(at(1, 1n << 13n), SysOp.WFI, WFI)).toBe("EL2 ec=1 iss=1e00000");
    expect(run(at(1, 1n << 14n), SysOp.WFE, WFE)).toBe("EL2 ec=1 iss=1e00001");
    const pending = at(1, 1n << 13n);
    pending.st.setLo(Off.LINES, Line.FIQ);
    pending.st.setLo(Off.DAIF, 15);
    expect(run(pending, SysOp.WFI, WFI)).toBe("ok");
    const el3 = at(2);
    el3.st.set(slot.SCR_EL3, el3.st.get(slot.SCR_EL3) | (1n << 12n));
    expect(run(el3, SysOp.WFI, WFI)).toBe("EL3 ec=1 iss=1e00000");
  });
  it("WFIT and WFET end at their CNTVCT value", () => {
    const b = at(1);
    b.st.set(slot.CNTVOFF_EL2, 500n);
    b.st.setX(3, 700n);
    expect(run(b, SysOp.WFIT, 0xd503_1023)).toBe("ok");
    expect(b.st.lo(Off.HALT)).toBe(1);
    expect(b.pe.timers.nextDeadline()).toBe(1200n);
    expect(b.pe.wakeFromHalt()).toBe(false);
    b.clock.count = 1200n;
    expect(b.pe.wakeFromHalt()).toBe(true);
    b.st.setX(3, 0n);
    run(b, SysOp.WFET, 0xd503_1003);
    expect(b.st.lo(Off.HALT)).toBe(0);
    const guest = at(1, 1n << 13n);
    guest.st.setX(3, 1n << 40n);
    expect(run(guest, SysOp.WFIT, 0xd503_1023)).toBe("EL2 ec=1 iss=1e00066");
  });
  it("the event stream wakes WFE at its transitions", () => {
    const b = at(1);
    msr(b, "CNTKCTL_EL1", 0x303n | 4n | (5n << 4n)); // bit 5, 0 to 1
    b.pe.timers.update();
    b.st.setLo(Off.EVENT, 0);
    run(b, SysOp.WFE, WFE);
    const deadline = b.pe.timers.nextDeadline() as bigint;
    expect(deadline & 63n).toBe(32n);
    expect(deadline > 1000n && deadline <= 1064n).toBe(true);
    b.clock.count = deadline - 1n;
    b.pe.timers.update();
    expect(b.pe.wakeFromHalt()).toBe(false);
    b.clock.count = deadline;
    b.pe.timers.update();
    expect(b.pe.wakeFromHalt()).toBe(true);
  });
});
