// Access checks of MRS and MSR: who may, who traps, with which syndrome; VHE redirection and aliases.

import { describe, expect, it } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import { encodings, type RegName } from "../../src/arch/registers/encodings.ts";
import { slot } from "../../src/arch/state.ts";
import { sysIss } from "../../src/arch/syndrome.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import { at, type Bench, HCR_E2H, HCR_TGE, mrs, mrsWord, msr, msrWord, run, sysWord } from "./sys-helper.ts";

const trap = (el: number, word: number): string => `EL${el} ec=18 iss=${sysIss(word).toString(16)}`;
const bit = (n: number): bigint => 1n << BigInt(n);

describe("lowest Exception level", () => {
  const cases: [RegName, number][] = [
    ["TPIDR_EL0", 0],
    ["CTR_EL0", 0],
    ["NZCV", 0],
    ["TPIDRRO_EL0", 0],
    ["TPIDR_EL1", 1],
    ["SCTLR_EL1", 1],
    ["VBAR_EL1", 1],
    ["MDSCR_EL1", 1],
    ["HCR_EL2", 2],
    ["VTTBR_EL2", 2],
    ["CNTHCTL_EL2", 2],
    ["SP_EL1", 2],
    ["SCR_EL3", 3],
    ["SP_EL2", 3],
    ["MDCR_EL3", 3],
  ];
  for (const [name, lowest] of cases) {
    it(`${name} is readable from EL${lowest}`, () => {
      for (const el of [0, 1, 2, 3] as const) {
        const b = at(el);
        const r = mrs(b, name);
        if (el >= lowest) expect(typeof r).toBe("bigint");
        else expect(r).toBe(`EL${Math.max(el, 1)} undefined`);
      }
    });
  }
  it("read-only and write-only registers", () => {
    expect(msr(at(3), "MIDR_EL1", 1n)).toBe("EL3 undefined");
    expect(msr(at(0), "TPIDRRO_EL0", 1n)).toBe("EL1 undefined");
    expect(mrs(at(2), "OSLAR_EL1")).toBe("EL2 undefined");
    expect(msr(at(1), "TPIDRRO_EL0", 5n)).toBe("ok");
  });
  it("SP_EL0 is UNDEFINED while it is the current SP", () => {
    const b = at(1);
    expect(mrs(b, "SP_EL0")).toBe(0x10n);
    b.pe.system(SysOp.MSR_IMM, 0xd500_40bf); // MSR SPSel, #0
    expect(b.st.sp).toBe(0x10n);
    expect(mrs(b, "SP_EL0")).toBe("EL1 undefined");
  });
});

describe("traps to EL2 (HCR_EL2)", () => {
  const both = (n: RegName): [RegName, number][] => [
    [n, 0],
    [n, 1],
  ];
  const cases: [bitName: string, hcr: bigint, list: [RegName, number][]][] = [
    [
      "TVM",
      bit(26),
      (
        ["SCTLR_EL1", "TTBR0_EL1", "TTBR1_EL1", "TCR_EL1", "ESR_EL1", "FAR_EL1", "AFSR0_EL1", "MAIR_EL1", "CONTEXTIDR_EL1"] as RegName[]
      ).map((n) => [n, 1]),
    ],
    ["TRVM", bit(30), (["SCTLR_EL1", "TTBR0_EL1", "TCR_EL1", "AMAIR_EL1"] as RegName[]).map((n) => [n, 0])],
    [
      "TID1",
      bit(16),
      [
        ["REVIDR_EL1", 0],
        ["AIDR_EL1", 0],
      ],
    ],
    ["TID2", bit(17), [["CTR_EL0", 0], ["CCSIDR_EL1", 0], ["CLIDR_EL1", 0], ...both("CSSELR_EL1")]],
    [
      "TID3",
      bit(18),
      [
        ["ID_AA64PFR0_EL1", 0],
        ["ID_AA64MMFR2_EL1", 0],
        ["ID_AA64ZFR0_EL1", 0],
      ],
    ],
    ["TID4", bit(49), [["CCSIDR_EL1", 0], ...both("CSSELR_EL1")]],
    ["TACR", bit(21), both("ACTLR_EL1")],
    ["TERR", bit(36), [["ERRIDR_EL1", 0], ...both("ERRSELR_EL1")]],
  ];
  for (const [name, hcr, list] of cases) {
    it(name, () => {
      for (const [reg, write] of list) {
        const word = write ? msrWord(reg) : mrsWord(reg);
        expect(write ? msr(at(1), reg, 0n) : typeof mrs(at(1), reg), reg).toBe(write ? "ok" : "bigint");
        expect(write ? msr(at(1, hcr), reg, 0n) : mrs(at(1, hcr), reg), reg).toBe(trap(2, word));
        expect(write ? msr(at(2, hcr), reg, 0n) : typeof mrs(at(2, hcr), reg), reg).toBe(write ? "ok" : "bigint");
      }
    });
  }
  it("TVM does not trap reads, TRVM does not trap writes", () => {
    expect(typeof mrs(at(1, bit(26)), "TTBR0_EL1")).toBe("bigint");
    expect(msr(at(1, bit(30)), "TTBR0_EL1", 0n)).toBe("ok");
  });
  it("APK clear traps the keys", () => {
    const b = at(1);
    b.st.set(slot.HCR_EL2, bit(31));
    b.pe.controlsChanged();
    expect(msr(b, "APIAKEYLO_EL1", 1n)).toBe(trap(2, msrWord("APIAKEYLO_EL1")));
  });
  it("a host's EL0 is not trapped by HCR_EL2", () => {
    expect(typeof mrs(at(0, HCR_E2H | HCR_TGE | bit(17)), "CTR_EL0")).toBe("bigint");
    expect(mrs(at(0, bit(17)), "CTR_EL0")).toBe(trap(2, mrsWord("CTR_EL0")));
  });
  it("TIDCP traps the IMPLEMENTATION DEFINED space", () => {
    const word = sysWord(1, 3, 0, 15, 2, 0, 7);
    expect(run(at(1), SysOp.MRS, word)).toBe("EL1 undefined");
    expect(run(at(1, bit(20)), SysOp.MRS, word)).toBe(trap(2, word));
    expect(run(at(2, bit(20)), SysOp.MRS, word)).toBe("EL2 undefined");
  });
});

describe("EL0 controls", () => {
  it("UCT, UMA: to EL1, or EL2 with TGE", () => {
    for (const [reg, n] of [
      ["CTR_EL0", 15],
      ["DAIF", 9],
    ] as [RegName, number][]) {
      const set = at(0);
      set.st.set(slot.SCTLR_EL1, set.st.get(slot.SCTLR_EL1) | bit(n));
      set.pe.controlsChanged();
      expect(typeof mrs(set, reg)).toBe("bigint");
      const clear = at(0);
      clear.st.set(slot.SCTLR_EL1, clear.st.get(slot.SCTLR_EL1) & ~bit(n));
      clear.pe.controlsChanged();
      expect(mrs(clear, reg)).toBe(trap(1, mrsWord(reg)));
      const host = at(0, HCR_E2H | HCR_TGE);
      host.st.set(slot.SCTLR_EL2, host.st.get(slot.SCTLR_EL2) & ~bit(n));
      host.pe.controlsChanged();
      expect(mrs(host, reg)).toBe(trap(2, mrsWord(reg)));
    }
  });
  it("reads of the ID space from EL0 report EC 0x18 with FEAT_IDST", () => {
    expect(mrs(at(0), "ID_AA64PFR0_EL1")).toBe(trap(1, mrsWord("ID_AA64PFR0_EL1")));
    expect(mrs(at(0, HCR_E2H | HCR_TGE), "MIDR_EL1")).toBe(trap(2, mrsWord("MIDR_EL1")));
    expect(mrs(at(0, 0n, "max,idst=off"), "ID_AA64PFR0_EL1")).toBe("EL1 undefined");
  });
  it("counters and timers by CNTKCTL_EL1, or CNTHCTL_EL2 for a host", () => {
    const cases: [RegName, number][] = [
      ["CNTPCT_EL0", 0],
      ["CNTVCT_EL0", 1],
      ["CNTVCTSS_EL0", 1],
      ["CNTV_CTL_EL0", 8],
      ["CNTP_CVAL_EL0", 9],
    ];
    for (const [reg, n] of cases) {
      expect(typeof mrs(at(0), reg), reg).toBe("bigint");
      const b = at(0);
      b.st.set(slot.CNTKCTL_EL1, b.st.get(slot.CNTKCTL_EL1) & ~bit(n));
      expect(mrs(b, reg), reg).toBe(trap(1, mrsWord(reg)));
      const host = at(0, HCR_E2H | HCR_TGE);
      expect(typeof mrs(host, reg), reg).toBe("bigint");
      host.st.set(slot.CNTHCTL_EL2, host.st.get(slot.CNTHCTL_EL2) & ~bit(n));
      expect(mrs(host, reg), reg).toBe(trap(2, mrsWord(reg)));
    }
  });
});

describe("CNTHCTL_EL2 and EL1", () => {
  it("EL1PCTEN, EL1PTEN in both layouts; EL1TVT, EL1TVCT", () => {
    const cases: [RegName, e2h: boolean, number, trapsWhen: 0 | 1][] = [
      ["CNTPCT_EL0", true, 10, 0],
      ["CNTPCT_EL0", false, 0, 0],
      ["CNTP_CTL_EL0", true, 11, 0],
      ["CNTP_CTL_EL0", false, 1, 0],
      ["CNTV_CTL_EL0", true, 13, 1],
      ["CNTVCT_EL0", false, 14, 1],
    ];
    for (const [reg, e2h, n, when] of cases) {
      const b = at(1, e2h ? HCR_E2H : 0n);
      expect(typeof mrs(b, reg)).toBe("bigint");
      const old = b.st.get(slot.CNTHCTL_EL2);
      b.st.set(slot.CNTHCTL_EL2, when ? old | bit(n) : old & ~bit(n));
      expect(mrs(b, reg)).toBe(trap(2, mrsWord(reg)));
    }
  });
});

describe("traps to EL3", () => {
  const cases: [string, 1 | 2, RegName, number, bigint, boolean][] = [
    ["APK", 2, "APIAKEYLO_EL1", slot.SCR_EL3, bit(16), false],
    ["FGTEn", 2, "HFGRTR_EL2", slot.SCR_EL3, bit(27), false],
    ["ECVEn", 2, "CNTPOFF_EL2", slot.SCR_EL3, bit(28), false],
    ["HXEn", 2, "HCRX_EL2", slot.SCR_EL3, bit(38), false],
    ["TERR", 1, "ERRIDR_EL1", slot.SCR_EL3, bit(15), true],
    ["TCPAC", 2, "CPTR_EL2", slot.CPTR_EL3, bit(31), true],
    ["TCPAC", 1, "CPACR_EL1", slot.CPTR_EL3, bit(31), true],
    ["TDA", 1, "MDSCR_EL1", slot.MDCR_EL3, bit(9), true],
    ["TDOSA", 2, "OSLSR_EL1", slot.MDCR_EL3, bit(10), true],
  ];
  for (const [name, el, reg, control, mask, set] of cases) {
    it(`${name}: ${reg} at EL${el}`, () => {
      const b = at(el);
      expect(typeof mrs(b, reg)).toBe("bigint");
      b.st.set(control, set ? b.st.get(control) | mask : b.st.get(control) & ~mask);
      b.pe.controlsChanged();
      expect(mrs(b, reg)).toBe(trap(3, mrsWord(reg)));
    });
  }
});

describe("software context numbers (FEAT_CSV2_2)", () => {
  const enabled = (el: 0 | 1 | 2, hcr = 0n) => {
    const b = at(el, hcr);
    b.st.set(slot.SCR_EL3, b.st.get(slot.SCR_EL3) | bit(25));
    b.st.set(slot.HCR_EL2, b.st.get(slot.HCR_EL2) | bit(53));
    for (const at of [slot.SCTLR_EL1, slot.SCTLR_EL2]) b.st.set(at, b.st.get(at) & ~bit(20));
    b.pe.controlsChanged();
    return b;
  };
  it("exist with the feature only, and hold 64 bits", () => {
    expect(mrs(at(3, 0n, "max,csv2_2=off"), "SCXTNUM_EL3")).toBe("EL3 undefined");
    for (const [el, reg] of [
      [0, "SCXTNUM_EL0"],
      [1, "SCXTNUM_EL1"],
      [2, "SCXTNUM_EL2"],
    ] as [0 | 1 | 2, RegName][]) {
      const b = enabled(el);
      expect(msr(b, reg, 0x8000_0000_1234_5678n)).toBe("ok");
      expect(mrs(b, reg)).toBe(0x8000_0000_1234_5678n);
    }
  });
  it("SCR_EL3.EnSCXT and HCR_EL2.EnSCXT clear trap, SCTLR_ELx.TSCXT set refuses EL0", () => {
    const clear = (el: 0 | 1 | 2, reg: RegName, control: number, n: number) => {
      const b = enabled(el);
      b.st.set(control, b.st.get(control) & ~bit(n));
      b.pe.controlsChanged();
      return mrs(b, reg);
    };
    expect(clear(2, "SCXTNUM_EL2", slot.SCR_EL3, 25)).toBe(trap(3, mrsWord("SCXTNUM_EL2")));
    expect(clear(0, "SCXTNUM_EL0", slot.SCR_EL3, 25)).toBe(trap(3, mrsWord("SCXTNUM_EL0")));
    expect(clear(1, "SCXTNUM_EL1", slot.HCR_EL2, 53)).toBe(trap(2, mrsWord("SCXTNUM_EL1")));
    expect(clear(0, "SCXTNUM_EL0", slot.HCR_EL2, 53)).toBe(trap(2, mrsWord("SCXTNUM_EL0")));
    for (const [hcr, control, target] of [
      [0n, slot.SCTLR_EL1, 1],
      [HCR_E2H | HCR_TGE, slot.SCTLR_EL2, 2],
    ] as const) {
      const b = enabled(0, hcr);
      b.st.set(control, b.st.get(control) | bit(20));
      b.pe.controlsChanged();
      expect(mrs(b, "SCXTNUM_EL0")).toBe(trap(target, mrsWord("SCXTNUM_EL0")));
    }
  });
  it("SCXTNUM_EL1 is redirected for a host, SCXTNUM_EL12 is the guest's", () => {
    const b = enabled(2, HCR_E2H);
    expect(msr(b, "SCXTNUM_EL1", 5n)).toBe("ok");
    expect(msr(b, "SCXTNUM_EL12", 6n)).toBe("ok");
    expect([mrs(b, "SCXTNUM_EL2"), b.st.get(slot.SCXTNUM_EL1)]).toEqual([5n, 6n]);
  });
});

describe("fine-grained traps", () => {
  it("HFGRTR, HFGWTR and HDFGRTR bits trap their register from EL1 only", () => {
    const cases: [RegName, number, number, 0 | 1][] = [
      ["TTBR0_EL1", slot.HFGRTR_EL2, 36, 0],
      ["TTBR0_EL1", slot.HFGWTR_EL2, 36, 1],
      ["TPIDR_EL1", slot.HFGWTR_EL2, 33, 1],
      ["MIDR_EL1", slot.HFGRTR_EL2, 25, 0],
      ["VBAR_EL1", slot.HFGWTR_EL2, 38, 1],
      ["MDSCR_EL1", slot.HDFGRTR_EL2, 4, 0],
      ["OSLAR_EL1", slot.HDFGWTR_EL2, 8, 1],
    ];
    for (const [reg, control, n, write] of cases) {
      const b = at(1);
      b.st.set(control, bit(n));
      b.pe.controlsChanged();
      expect(write ? msr(b, reg, 0n) : mrs(b, reg), reg).toBe(trap(2, write ? msrWord(reg) : mrsWord(reg)));
      const el2 = at(2);
      el2.st.set(control, bit(n));
      el2.pe.controlsChanged();
      expect(write ? msr(el2, reg, 0n) : typeof mrs(el2, reg), reg).toBe(write ? "ok" : "bigint");
      const off = at(1);
      off.st.set(control, bit(n));
      off.st.set(slot.SCR_EL3, off.st.get(slot.SCR_EL3) & ~bit(27));
      off.pe.controlsChanged();
      expect(write ? msr(off, reg, 0n) : typeof mrs(off, reg), reg).toBe(write ? "ok" : "bigint");
    }
  });
  it("HFGITR traps TLBI, AT, DC and IC; HCRX.FGTnXS exempts nXS forms", () => {
    const cases: [number[], number][] = [
      [[0, 8, 7, 1], 43],
      [[0, 8, 3, 0], 28],
      [[0, 8, 1, 2], 20],
      [[0, 8, 6, 1], 38],
      [[0, 7, 8, 0], 12],
      [[3, 7, 14, 1], 10],
      [[0, 7, 5, 0], 1],
    ];
    for (const [[op1, crn, crm, op2], n] of cases as [[number, number, number, number], number][]) {
      const b = at(1);
      b.st.set(slot.HFGITR_EL2, bit(n));
      b.pe.controlsChanged();
      const word = sysWord(0, 1, op1, crn, crm, op2, 5);
      b.st.setX(5, 0x4000_0000n);
      expect(run(b, SysOp.SYS, word)).toBe(trap(2, word));
    }
    const b = at(1);
    b.st.set(slot.HFGITR_EL2, bit(43));
    b.st.set(slot.HCRX_EL2, bit(4));
    b.pe.controlsChanged();
    expect(run(b, SysOp.SYS, sysWord(0, 1, 0, 9, 7, 1, 5))).toBe("ok");
    b.st.set(slot.HCRX_EL2, 0n);
    expect(run(b, SysOp.SYS, sysWord(0, 1, 0, 9, 7, 1, 5))).toBe(trap(2, sysWord(0, 1, 0, 9, 7, 1, 5)));
  });
});

describe("VHE", () => {
  const redirected: [RegName, RegName, bigint][] = [
    ["TTBR0_EL1", "TTBR0_EL2", 0x1234_5000n],
    ["VBAR_EL1", "VBAR_EL2", 0xffff_0000_0000_0800n],
    ["ESR_EL1", "ESR_EL2", 0x5600_0000n],
    ["ELR_EL1", "ELR_EL2", 0xabcdn],
    ["SPSR_EL1", "SPSR_EL2", 0x3c5n],
    ["FAR_EL1", "FAR_EL2", 77n],
    ["MAIR_EL1", "MAIR_EL2", 0xffn],
    ["CONTEXTIDR_EL1", "CONTEXTIDR_EL2", 9n],
    ["CPACR_EL1", "CPTR_EL2", 3n << 20n],
    ["CNTKCTL_EL1", "CNTHCTL_EL2", 3n],
    ["CNTP_CVAL_EL0", "CNTHP_CVAL_EL2", 1n << 40n],
    ["CNTV_CVAL_EL0", "CNTHV_CVAL_EL2", 1n << 41n],
    ["TCR_EL1", "TCR_EL2", 0x19n],
    ["SCTLR_EL1", "SCTLR_EL2", 0x30c0_0800n],
  ];
  for (const [name, real, value] of redirected) {
    it(`${name} at EL2 with E2H reaches ${real}`, () => {
      const b = at(2, HCR_E2H);
      const before = b.st.get(slot[name]);
      expect(msr(b, name, value)).toBe("ok");
      expect(b.st.get(slot[real])).toBe(value);
      expect(b.st.get(slot[name])).toBe(before);
      expect(mrs(b, name)).toBe(value);
      const plain = at(2);
      msr(plain, name, value);
      expect(plain.st.get(slot[name])).toBe(value | (name === "SCTLR_EL1" ? 0x30c0_0980n : 0n));
    });
  }
  it("these are not redirected: SP_EL1, TPIDR_EL1, PAR_EL1, MDSCR_EL1", () => {
    const b = at(2, HCR_E2H);
    msr(b, "TPIDR_EL1", 5n);
    expect(b.st.get(slot.TPIDR_EL1)).toBe(5n);
    expect(b.st.get(slot.TPIDR_EL2)).toBe(0n);
  });
  it("_EL12 and _EL02 names reach EL1 and EL0 registers at EL2 and EL3 with E2H, else are UNDEFINED", () => {
    for (const [name] of encodings) {
      const target = name.endsWith("_EL12") ? `${name.slice(0, -5)}_EL1` : name.endsWith("_EL02") ? `${name.slice(0, -5)}_EL0` : undefined;
      if (target === undefined || at(2).pe.regs.byName.get(name) === undefined) continue;
      expect(mrs(at(1, HCR_E2H), name), name).toBe("EL1 undefined");
      expect(mrs(at(2), name), name).toBe("EL2 undefined");
      const b = at(2, HCR_E2H);
      msr(b, name, 0x10n);
      expect(mrs(b, name), name).toBe(b.pe.readSys(target as RegName));
    }
  });
  it("host EL0 timer names reach the EL2 timers", () => {
    const b = at(0, HCR_E2H | HCR_TGE);
    expect(msr(b, "CNTV_CVAL_EL0", 0x55n)).toBe("ok");
    expect(b.st.get(slot.CNTHV_CVAL_EL2)).toBe(0x55n);
    expect(b.st.get(slot.CNTV_CVAL_EL0)).toBe(0n);
  });
});

describe("unknown encodings", () => {
  it("are UNDEFINED and named once", () => {
    const b = at(2);
    const word = sysWord(1, 3, 4, 13, 0, 6, 0);
    expect(run(b, SysOp.MRS, word)).toBe("EL2 undefined");
    run(b, SysOp.MRS, word);
    expect(b.log.filter((l) => l.includes("3, 4, 13, 0, 6"))).toHaveLength(1);
  });
  it("the unallocated ID space reads zero and obeys TID3", () => {
    const word = sysWord(1, 3, 0, 0, 7, 7, 3);
    const b = at(1);
    b.st.setX(3, 5n);
    expect(run(b, SysOp.MRS, word)).toBe("ok");
    expect(b.st.x(3)).toBe(0n);
    expect(run(at(1, bit(18)), SysOp.MRS, word)).toBe(trap(2, word));
  });
});

describe("masks", () => {
  it("writes keep RES0 and RES1 bits, and read-only fields", () => {
    const check = (b: Bench, name: RegName, zeros: bigint, ones: bigint): void => {
      msr(b, name, (1n << 64n) - 1n);
      expect(b.pe.readSys(name) & zeros, name).toBe(0n);
      msr(b, name, 0n);
      expect(b.pe.readSys(name) & ones, name).toBe(ones);
    };
    check(at(2), "SCTLR_EL1", bit(5) | bit(24) | bit(25), bit(11) | bit(28) | bit(7));
    check(at(2, 0n, "max,csv2_2=off"), "SCTLR_EL1", bit(5) | bit(24) | bit(25), bit(11) | bit(20) | bit(28) | bit(7));
    check(at(2), "HCR_EL2", bit(42) | bit(43) | bit(45), bit(31));
    check(at(2), "CPTR_EL2", bit(20) | bit(28), 0x33ffn);
    check(at(3), "SCR_EL3", bit(18) | bit(62), 0x430n);
    check(at(3), "CNTP_CTL_EL0", ~7n & ((1n << 64n) - 1n), 0n);
    check(at(2), "VBAR_EL2", 0x7ffn, 0n);
  });
  it("FPCR keeps only implemented bits and obeys FPEN", () => {
    const b = at(1);
    msr(b, "FPCR", 0xffff_ffffn);
    expect(b.st.lo(Off.FPCR)).toBe(0x07c8_0000);
    b.st.set(slot.CPACR_EL1, 0n);
    b.pe.controlsChanged();
    expect(mrs(b, "FPCR")).toBe("EL1 ec=7 iss=1e00000");
  });
});

describe("virtual identification", () => {
  it("MIDR_EL1 and MPIDR_EL1 at EL1 are VPIDR_EL2 and VMPIDR_EL2", () => {
    const b = at(1);
    b.st.set(slot.VPIDR_EL2, 0x1111n);
    b.st.set(slot.VMPIDR_EL2, 0x8000_0002n);
    expect(mrs(b, "MIDR_EL1")).toBe(0x1111n);
    expect(mrs(b, "MPIDR_EL1")).toBe(0x8000_0002n);
    expect(mrs(at(2), "MIDR_EL1")).toBe(0xf_0510n);
  });
});
