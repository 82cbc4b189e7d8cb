// Performance monitors: counting, filters, overflow, chaining, access.

import { describe, expect, it } from "vitest";
import { slot } from "../../src/arch/state.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import { at, type Bench, mrs, msr } from "./sys-helper.ts";

const pmu = (el: 0 | 1 | 2 | 3 = 1): Bench => {
  const b = at(el, 0n, "max,pmuv3p7=on");
  msr(b, "PMCR_EL0", 1n);
  return b;
};

describe("counting", () => {
  it("cycles and instructions advance with retired instructions at EL1, not at EL2 by default", () => {
    const b = pmu();
    msr(b, "PMEVTYPER0_EL0", 0x08n);
    msr(b, "PMCNTENSET_EL0", 0x8000_0001n);
    b.events.retired += 40n;
    expect(mrs(b, "PMCCNTR_EL0")).toBe(40n);
    expect(mrs(b, "PMEVCNTR0_EL0")).toBe(40n);
    b.pe.system(SysOp.HVC, 0xd400_0002);
    expect(b.st.el).toBe(2);
    b.events.retired += 100n;
    b.pe.exceptionReturn();
    b.events.retired += 5n;
    expect(mrs(b, "PMEVCNTR0_EL0")).toBe(45n);
    expect(mrs(b, "PMCCNTR_EL0")).toBe(45n);
  });
  it("filters: P and U exclude EL1 and EL0, NSH includes EL2", () => {
    for (const [filter, el, counts] of [
      [1n << 31n, 1, false],
      [1n << 30n, 1, true],
      [(1n << 31n) | (1n << 29n), 1, true],
      [1n << 27n, 2, true],
      [0n, 2, false],
      [0n, 3, false],
    ] as const) {
      const b = pmu(el);
      msr(b, "PMEVTYPER1_EL0", filter | 0x11n);
      msr(b, "PMCNTENSET_EL0", 2n);
      b.events.retired += 7n;
      expect(mrs(b, "PMEVCNTR1_EL0")).toBe(counts ? 7n : 0n);
    }
  });
  it("PMCR_EL0.E stops, P and C clear", () => {
    const b = pmu();
    msr(b, "PMEVTYPER0_EL0", 0x08n);
    msr(b, "PMCNTENSET_EL0", 0x8000_0001n);
    b.events.retired += 10n;
    msr(b, "PMCR_EL0", 0n);
    b.events.retired += 10n;
    expect(mrs(b, "PMCCNTR_EL0")).toBe(10n);
    msr(b, "PMCR_EL0", 6n);
    expect([mrs(b, "PMCCNTR_EL0"), mrs(b, "PMEVCNTR0_EL0"), mrs(b, "PMCR_EL0")]).toEqual([0n, 0n, 0x3040n]);
  });
  it("software increments", () => {
    const b = pmu();
    msr(b, "PMCNTENSET_EL0", 4n);
    msr(b, "PMSWINC_EL0", 4n);
    msr(b, "PMSWINC_EL0", 4n);
    expect(mrs(b, "PMEVCNTR2_EL0")).toBe(2n);
    msr(b, "PMCR_EL0", 0n);
    msr(b, "PMSWINC_EL0", 4n);
    expect(mrs(b, "PMEVCNTR2_EL0")).toBe(2n);
  });
});

describe("overflow", () => {
  it("32 bits: flag, chain, interrupt line", () => {
    const b = pmu();
    msr(b, "PMEVTYPER0_EL0", 0x08n);
    msr(b, "PMEVTYPER1_EL0", 0x1en);
    msr(b, "PMEVCNTR0_EL0", 0xffff_fff0n);
    msr(b, "PMCNTENSET_EL0", 3n);
    msr(b, "PMINTENSET_EL1", 1n);
    expect(b.pe.pmu.nextOverflow()).toBe(16);
    b.events.retired += 100n;
    b.pe.timers.update();
    expect(mrs(b, "PMEVCNTR0_EL0")).toBe(0x1_0000_0054n);
    expect(mrs(b, "PMEVCNTR1_EL0")).toBe(1n);
    expect(mrs(b, "PMOVSSET_EL0")).toBe(1n);
    expect(b.lines.get(23)).toBe(true);
    msr(b, "PMOVSCLR_EL0", 1n);
    expect(b.lines.get(23)).toBe(false);
  });
  it("64 bits with LP; FZO freezes", () => {
    const b = pmu();
    msr(b, "PMCR_EL0", 1n | 128n | 512n);
    msr(b, "PMEVTYPER0_EL0", 0x08n);
    msr(b, "PMEVTYPER2_EL0", 0x08n);
    msr(b, "PMEVCNTR0_EL0", 0xffff_fff0n);
    msr(b, "PMEVCNTR2_EL0", (1n << 64n) - 1n);
    msr(b, "PMCNTENSET_EL0", 5n);
    b.events.retired += 20n;
    b.pe.timers.update();
    expect(mrs(b, "PMOVSSET_EL0")).toBe(4n);
    const frozen = mrs(b, "PMEVCNTR0_EL0");
    b.events.retired += 20n;
    expect(mrs(b, "PMEVCNTR0_EL0")).toBe(frozen);
  });
});

describe("access", () => {
  it("PMUSERENR_EL0 opens EL0", () => {
    const b = at(0, 0n, "max,pmuv3p7=on");
    expect(mrs(b, "PMCCNTR_EL0")).toMatch(/^EL1 ec=18/);
    const c = at(0, 0n, "max,pmuv3p7=on");
    c.pe.writeSys("PMUSERENR_EL0", 4n);
    expect(mrs(c, "PMCCNTR_EL0")).toBe(0n);
    expect(mrs(c, "PMCR_EL0")).toMatch(/^EL1 ec=18/);
  });
  it("MDCR_EL2: TPM, TPMCR, HPMN", () => {
    const b = pmu();
    b.pe.writeSys("MDCR_EL2", 2n | (1n << 5n));
    expect(mrs(b, "PMCR_EL0")).toMatch(/^EL2 ec=18/);
    const c = pmu();
    c.pe.writeSys("MDCR_EL2", 2n);
    expect(((mrs(c, "PMCR_EL0") as bigint) >> 11n) & 31n).toBe(2n);
    expect(mrs(c, "PMEVCNTR2_EL0")).toBe("EL1 undefined");
    msr(c, "PMCNTENSET_EL0", 0xffn);
    expect(c.st.get(slot.PMCNTENSET_EL0)).toBe(3n);
    const d = pmu();
    d.pe.writeSys("MDCR_EL2", 6n | (1n << 6n));
    expect(mrs(d, "PMCCNTR_EL0")).toMatch(/^EL2 ec=18/);
  });
  it("without FEAT_PMUv3 the registers are UNDEFINED", () => {
    expect(mrs(at(1, 0n, "max,pmuv3=off"), "PMCR_EL0")).toBe("EL1 undefined");
  });
});
