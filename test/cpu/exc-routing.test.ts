// Exception entry, return and routing of synchronous exceptions and interrupts.

import { describe, expect, it } from "vitest";
import { Line, Off } from "../../src/arch/layout.ts";
import { slot } from "../../src/arch/state.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import { at, type Bench, HCR_E2H, HCR_TGE, PC, run } from "./sys-helper.ts";

const bit = (n: number): bigint => 1n << BigInt(n);
const SVC = (imm: number): number => (0xd400_0001 | (imm << 5)) >>> 0;
const HVC = 0xd400_0002 | (0x12 << 5);
const SMC = 0xd400_0003 | (0x34 << 5);
const HOST = HCR_E2H | HCR_TGE;
type El = 0 | 1 | 2 | 3;

describe("entry", () => {
  it("SVC from EL0 to EL1: SPSR, ELR, ESR, PSTATE, SP bank, vector", () => {
    const b = at(0);
    b.st.nzcv = 0x6000_0000;
    b.st.setLo(Off.UAO, 1);
    b.st.setLo(Off.EXSIZE, 8);
    run(b, SysOp.SVC, SVC(0x99));
    expect(b.st.el).toBe(1);
    expect(b.st.pc).toBe(0x1_0400n);
    expect(b.st.get(slot.ELR_EL1)).toBe(PC + 4n);
    expect(b.st.get(slot.ESR_EL1)).toBe(0x5600_0099n);
    expect(b.st.get(slot.SPSR_EL1)).toBe(0x6080_0000n);
    expect([b.st.lo(Off.DAIF), b.st.lo(Off.SPSEL), b.st.lo(Off.UAO), b.st.lo(Off.PAN), b.st.lo(Off.EXSIZE)]).toEqual([15, 1, 0, 1, 0]);
    expect(b.st.sp).toBe(0x110n);
    expect(b.st.get(slot.SP_EL0)).toBe(0x10n);
  });
  it("PAN is set by SPAN = 0 at EL1 and at a host EL2 only", () => {
    const pan = (b: Bench, sctlr: number, span: boolean): number => {
      b.st.set(sctlr, span ? b.st.get(sctlr) | bit(23) : b.st.get(sctlr) & ~bit(23));
      b.st.setLo(Off.PAN, 0);
      run(b, SysOp.SVC, SVC(0));
      return b.st.lo(Off.PAN);
    };
    expect(pan(at(0), slot.SCTLR_EL1, false)).toBe(1);
    expect(pan(at(0), slot.SCTLR_EL1, true)).toBe(0);
    expect(pan(at(0, HOST), slot.SCTLR_EL2, false)).toBe(1);
    expect(pan(at(2), slot.SCTLR_EL2, false)).toBe(0);
  });
  it("vector group: current level with SP_EL0, with SP_ELx, lower level", () => {
    const b = at(1);
    run(b, SysOp.UNDEFINED, 0);
    expect(b.st.pc).toBe(0x1_0200n);
    const c = at(1);
    c.pe.system(SysOp.MSR_IMM, 0xd500_40bf);
    run(c, SysOp.UNDEFINED, 0);
    expect(c.st.pc).toBe(0x1_0000n);
    const d = at(1, bit(19));
    run(d, SysOp.SMC, SMC);
    expect(d.st.pc).toBe(0x2_0400n);
  });
  it("SSBS comes from SCTLR.DSSBS", () => {
    const b = at(0);
    b.st.set(slot.SCTLR_EL1, b.st.get(slot.SCTLR_EL1) | bit(44));
    run(b, SysOp.SVC, SVC(0));
    expect(b.st.lo(Off.SSBS)).toBe(1);
  });
});

describe("synchronous routing", () => {
  // operation, word, from, HCR, SCR bits changed, expected
  const cases: [string, number, number, El, bigint, bigint, string][] = [
    ["SVC at EL0", SysOp.SVC, SVC(1), 0, 0n, 0n, "EL1 ec=15 iss=1"],
    ["SVC at EL0, TGE", SysOp.SVC, SVC(1), 0, HCR_TGE, 0n, "EL2 ec=15 iss=1"],
    ["SVC at EL0, host", SysOp.SVC, SVC(1), 0, HOST, 0n, "EL2 ec=15 iss=1"],
    ["SVC at EL1", SysOp.SVC, SVC(1), 1, 0n, 0n, "EL1 ec=15 iss=1"],
    ["SVC at EL2", SysOp.SVC, SVC(1), 2, 0n, 0n, "EL2 ec=15 iss=1"],
    ["SVC at EL3", SysOp.SVC, SVC(1), 3, 0n, 0n, "EL3 ec=15 iss=1"],
    ["HVC at EL0", SysOp.HVC, HVC, 0, 0n, 0n, "EL1 undefined"],
    ["HVC at EL1", SysOp.HVC, HVC, 1, 0n, 0n, "EL2 ec=16 iss=12"],
    ["HVC at EL2", SysOp.HVC, HVC, 2, 0n, 0n, "EL2 ec=16 iss=12"],
    ["HVC at EL3", SysOp.HVC, HVC, 3, 0n, 0n, "EL3 ec=16 iss=12"],
    ["HVC at EL1, HCE = 0", SysOp.HVC, HVC, 1, 0n, bit(8), "EL1 undefined"],
    ["HVC at EL1, Secure without EL2", SysOp.HVC, HVC, 1, 0n, bit(0), "EL1 undefined"],
    ["SMC at EL0", SysOp.SMC, SMC, 0, 0n, 0n, "EL1 undefined"],
    ["SMC at EL1", SysOp.SMC, SMC, 1, 0n, 0n, "EL3 ec=17 iss=34"],
    ["SMC at EL1, TSC", SysOp.SMC, SMC, 1, bit(19), 0n, "EL2 ec=17 iss=34"],
    ["SMC at EL1, SMD", SysOp.SMC, SMC, 1, 0n, bit(7), "EL1 undefined"],
    ["SMC at EL1, TSC before SMD", SysOp.SMC, SMC, 1, bit(19), bit(7), "EL2 ec=17 iss=34"],
    ["SMC at EL2", SysOp.SMC, SMC, 2, bit(19), 0n, "EL3 ec=17 iss=34"],
    ["BRK at EL0", SysOp.BRK, 0xd420_0000 | (7 << 5), 0, 0n, 0n, "EL1 ec=3c iss=7"],
    ["BRK at EL0, TGE", SysOp.BRK, 0xd420_0000 | (7 << 5), 0, HCR_TGE, 0n, "EL2 ec=3c iss=7"],
    ["UNDEFINED at EL0, host", SysOp.UNDEFINED, 0, 0, HOST, 0n, "EL2 undefined"],
    ["HLT", SysOp.HLT, 0xd440_0000, 1, 0n, 0n, "EL1 undefined"],
    ["ERET at EL0", SysOp.ERET, 0xd69f_03e0, 0, 0n, 0n, "EL1 undefined"],
    ["SP alignment", SysOp.SP_ALIGNMENT, 0, 1, 0n, 0n, "EL1 ec=26 iss=0"],
    ["illegal state", SysOp.ILLEGAL, 0, 2, 0n, 0n, "EL2 ec=e iss=0"],
    ["PAC failure AUTDB", SysOp.PAC_FAIL, 0xdac1_1c00, 0, 0n, 0n, "EL1 ec=1c iss=3"],
    ["PAC failure AUTIASP", SysOp.PAC_FAIL, 0xd503_23bf, 1, 0n, 0n, "EL1 ec=1c iss=0"],
    ["PAC failure RETAB", SysOp.PAC_FAIL, 0xd65f_0fff, 1, 0n, 0n, "EL1 ec=1c iss=1"],
  ];
  for (const [name, op, word, el, hcr, scr, expected] of cases) {
    it(name, () => {
      const b = at(el, hcr);
      b.st.set(slot.SCR_EL3, b.st.get(slot.SCR_EL3) ^ scr);
      b.pe.controlsChanged();
      expect(run(b, op, word >>> 0)).toBe(expected);
    });
  }
  it("ELR: trapped instructions return to themselves, SMC to the next", () => {
    const a = at(1, bit(19));
    run(a, SysOp.SMC, SMC);
    expect(a.st.get(slot.ELR_EL2)).toBe(PC);
    const b = at(1);
    run(b, SysOp.SMC, SMC);
    expect(b.st.get(slot.ELR_EL3)).toBe(PC + 4n);
  });
  it("BRK: MDCR_EL2.TDE", () => {
    const b = at(0);
    b.st.set(slot.MDCR_EL2, bit(8));
    expect(run(b, SysOp.BRK, 0xd420_0000)).toBe("EL2 ec=3c iss=0");
  });
  it("FP trap: CPACR, CPTR_EL2 in both layouts, CPTR_EL3, in that order", () => {
    const trap = (el: El, hcr: bigint, cpacr: bigint, cptr2: bigint, cptr3: bigint): string => {
      const b = at(el, hcr);
      b.st.set(slot.CPACR_EL1, cpacr << 20n);
      b.st.set(slot.CPTR_EL2, cptr2);
      b.st.set(slot.CPTR_EL3, cptr3);
      b.pe.controlsChanged();
      if (b.st.lo(Off.FPTRAP) === 0) return "none";
      return run(b, SysOp.FPTRAP, 0x1e20_2820);
    };
    const yes = (el: number): string => `EL${el} ec=7 iss=1e00000`;
    expect(trap(0, 0n, 1n, 0n, 0n)).toBe(yes(1));
    expect(trap(1, 0n, 1n, 0n, 0n)).toBe("none");
    expect(trap(1, 0n, 2n, 0n, 0n)).toBe(yes(1));
    expect(trap(0, HCR_TGE, 0n, 0n, 0n)).toBe("EL2 undefined");
    expect(trap(0, HOST, 0n, 3n << 20n, 0n)).toBe("none");
    expect(trap(0, HOST, 0n, 1n << 20n, 0n)).toBe(yes(2));
    expect(trap(2, HOST, 0n, 1n << 20n, 0n)).toBe("none");
    expect(trap(2, HOST, 0n, 0n, 0n)).toBe(yes(2));
    expect(trap(1, 0n, 3n, bit(10), bit(10))).toBe(yes(2));
    expect(trap(2, 0n, 3n, bit(10), 0n)).toBe(yes(2));
    expect(trap(2, 0n, 3n, 0n, bit(10))).toBe(yes(3));
    expect(trap(3, 0n, 3n, 0n, bit(10))).toBe(yes(3));
  });
});

describe("return", () => {
  function eret(b: Bench, el: 1 | 2 | 3, spsr: bigint, elr = 0x5000n): void {
    b.st.set([0, slot.SPSR_EL1, slot.SPSR_EL2, slot.SPSR_EL3][el] as number, spsr);
    b.st.set([0, slot.ELR_EL1, slot.ELR_EL2, slot.ELR_EL3][el] as number, elr);
    b.pe.system(SysOp.ERET, 0xd69f_03e0);
  }
  it("EL2 to EL1: PSTATE, SP, PC, event register", () => {
    const b = at(2);
    b.st.sp = 0x999n;
    eret(b, 2, 0xa1c0_03c5n | bit(24));
    expect([b.st.el, b.st.lo(Off.SPSEL), b.st.lo(Off.DAIF), b.st.nzcv >>> 28]).toEqual([1, 1, 15, 10]);
    expect([b.st.lo(Off.PAN), b.st.lo(Off.UAO), b.st.lo(Off.DIT), b.st.lo(Off.EVENT)]).toEqual([1, 1, 1, 1]);
    expect(b.st.sp).toBe(0x110n);
    expect(b.st.get(slot.SP_EL2)).toBe(0x999n);
    expect(b.st.pc).toBe(0x5000n);
  });
  const illegal: [string, El, bigint, bigint, bigint][] = [
    ["AArch32", 2, 0x10n, 0n, 0n],
    ["M[1]", 2, 0x6n, 0n, 0n],
    ["higher level", 1, 0x9n, 0n, 0n],
    ["EL0 with SP_ELx", 2, 0x1n, 0n, 0n],
    ["EL1 with TGE", 2, 0x5n, HCR_TGE, 0n],
    ["EL2 in Secure state without EEL2", 3, 0x9n, 0n, bit(0)],
  ];
  for (const [name, el, spsr, hcr, scr] of illegal) {
    it(`illegal: ${name}`, () => {
      const b = at(el, hcr);
      b.st.set(slot.SCR_EL3, b.st.get(slot.SCR_EL3) ^ scr);
      b.pe.controlsChanged();
      const sp = b.st.sp;
      eret(b, el as 1 | 2 | 3, spsr | 0xf000_03c0n);
      expect([b.st.el, b.st.lo(Off.IL), b.st.nzcv >>> 28, b.st.lo(Off.DAIF)]).toEqual([el, 1, 15, 15]);
      expect(b.st.sp).toBe(sp);
      expect(b.st.pc).toBe(0x5000n);
    });
  }
  it("reserved Security state NSE:NS = 10 is illegal from EL3", () => {
    const b = at(3, 0n, "max,rme=on");
    b.st.set(slot.SCR_EL3, (b.st.get(slot.SCR_EL3) & ~1n) | bit(62));
    b.pe.controlsChanged();
    eret(b, 3, 0x5n);
    expect([b.st.el, b.st.lo(Off.IL)]).toEqual([3, 1]);
  });
  it("the tag is removed from the target when the regime ignores it", () => {
    const b = at(2);
    b.st.set(slot.TCR_EL1, bit(37) | bit(38) | 0x10_0010n);
    b.pe.controlsChanged();
    eret(b, 2, 0x5n, 0x7700_0000_0000_1000n);
    expect(b.st.pc).toBe(0x1000n);
    const c = at(2);
    c.st.set(slot.TCR_EL1, bit(37) | bit(38) | 0x10_0010n);
    c.pe.controlsChanged();
    eret(c, 2, 0x5n, 0x11ff_0000_0000_1000n);
    expect(c.st.pc).toBe(0xffff_0000_0000_1000n);
  });
  it("ERETAA authenticates with key A and SP; HFGITR.ERET traps", () => {
    const b = at(1);
    b.st.set(slot.SCTLR_EL1, b.st.get(slot.SCTLR_EL1) | bit(31));
    b.st.set(slot.TCR_EL1, 0x10_0010n);
    b.pe.controlsChanged();
    const mask = b.st.get(Off.PACMASK0);
    expect(mask).toBe(0xff7f_0000_0000_0000n);
    const code = b.pe.hooks.pac(0x5000n, b.st.sp, slot.APIAKEYLO_EL1) & mask;
    b.st.set(slot.SPSR_EL1, 0n);
    b.st.set(slot.ELR_EL1, 0x5000n ^ code);
    b.pe.system(SysOp.ERETA, 0xd69f_0bff);
    expect([b.st.el, b.st.pc]).toEqual([0, 0x5000n]);
    const bad = at(1);
    bad.st.set(slot.SCTLR_EL1, bad.st.get(slot.SCTLR_EL1) | bit(30));
    bad.pe.controlsChanged();
    bad.st.set(slot.ELR_EL1, 0x0055_0000_0000_5000n);
    expect(run(bad, SysOp.ERETA, 0xd69f_0fff)).toBe("EL1 ec=1c iss=1");
    const fgt = at(1);
    fgt.st.set(slot.HFGITR_EL2, bit(51));
    fgt.pe.controlsChanged();
    expect(run(fgt, SysOp.ERETA, 0xd69f_0fff)).toBe("EL2 ec=1a iss=3");
  });
});

describe("interrupt routing and masks", () => {
  const IMO = bit(4);
  const FMO = bit(3);
  const AMO = bit(5);
  // line, from, HCR, SCR bits set, PSTATE.DAIF, expected target (0 = not taken) and vector offset type
  const cases: [string, number, El, bigint, bigint, number, number, number][] = [
    ["IRQ at EL0 to EL1", Line.IRQ, 0, 0n, 0n, 0, 1, 0x80],
    ["IRQ at EL0 masked", Line.IRQ, 0, 0n, 0n, 2, 0, 0],
    ["IRQ at EL1", Line.IRQ, 1, 0n, 0n, 0, 1, 0x80],
    ["IRQ at EL2 for EL1 stays pending", Line.IRQ, 2, 0n, 0n, 0, 0, 0],
    ["IRQ at EL2, host", Line.IRQ, 2, HOST, 0n, 0, 2, 0x80],
    ["IRQ at EL2, host, masked", Line.IRQ, 2, HOST, 0n, 2, 0, 0],
    ["IRQ at EL0, host, masked", Line.IRQ, 0, HOST, 0n, 2, 0, 0],
    ["IRQ at EL1 with IMO ignores PSTATE.I", Line.IRQ, 1, IMO, 0n, 2, 2, 0x80],
    ["IRQ at EL2 with IMO masked", Line.IRQ, 2, IMO, 0n, 2, 0, 0],
    ["IRQ at EL0 with TGE alone ignores PSTATE.I", Line.IRQ, 0, HCR_TGE, 0n, 2, 2, 0x80],
    ["IRQ to EL3 ignores PSTATE.I below", Line.IRQ, 2, HOST, 2n, 2, 3, 0x80],
    ["IRQ at EL3 without routing stays pending", Line.IRQ, 3, IMO, 0n, 0, 0, 0],
    ["FIQ at EL1 with FMO", Line.FIQ, 1, FMO, 0n, 1, 2, 0x100],
    ["FIQ to EL3", Line.FIQ, 0, 0n, 4n, 1, 3, 0x100],
    ["FIQ at EL3 masked", Line.FIQ, 3, 0n, 4n, 1, 0, 0],
    ["SError at EL1 with AMO", Line.SERROR, 1, AMO, 0n, 4, 2, 0x180],
    ["virtual IRQ at EL1", Line.VIRQ, 1, IMO, 0n, 0, 1, 0x80],
    ["virtual IRQ masked", Line.VIRQ, 1, IMO, 0n, 2, 0, 0],
    ["virtual IRQ without IMO", Line.VIRQ, 1, 0n, 0n, 0, 0, 0],
    ["virtual IRQ with TGE", Line.VIRQ, 0, IMO | HCR_TGE, 0n, 0, 0, 0],
    ["virtual IRQ at EL2", Line.VIRQ, 2, IMO, 0n, 0, 0, 0],
    ["virtual FIQ at EL0", Line.VFIQ, 0, FMO, 0n, 0, 1, 0x100],
    ["physical before virtual", Line.VIRQ | Line.IRQ, 1, IMO, 0n, 0, 2, 0x80],
    ["HCR.VI", 0, 1, IMO | bit(7), 0n, 0, 1, 0x80],
    ["HCR.VF", 0, 1, FMO | bit(6), 0n, 0, 1, 0x100],
  ];
  for (const [name, lines, el, hcr, scr, daif, target, type] of cases) {
    it(name, () => {
      const b = at(el, hcr);
      b.st.set(slot.SCR_EL3, b.st.get(slot.SCR_EL3) | scr);
      b.st.setLo(Off.DAIF, daif);
      b.st.setLo(Off.LINES, lines);
      b.pe.controlsChanged();
      const takenNow = b.pe.pollInterrupts();
      expect(takenNow).toBe(target !== 0);
      if (target === 0) return;
      expect(b.st.el).toBe(target);
      expect(b.st.pc).toBe(BigInt(target * 0x1_0000 + (target > el ? 0x400 : 0x200) + type));
      expect(b.st.get([0, slot.ELR_EL1, slot.ELR_EL2, slot.ELR_EL3][target] as number)).toBe(PC);
    });
  }
  it("virtual SError: VSESR_EL2, and VSE is cleared; ESB defers it while masked", () => {
    const b = at(1, AMO | bit(8));
    b.st.set(slot.VSESR_EL2, 0x123n);
    expect(b.pe.pollInterrupts()).toBe(true);
    expect(b.st.get(slot.ESR_EL1)).toBe(0xbe00_0123n);
    expect(b.st.bit(slot.HCR_EL2, 8)).toBe(0);
    const c = at(1, AMO | bit(8));
    c.st.set(slot.VSESR_EL2, 0x45n);
    c.st.setLo(Off.DAIF, 4);
    c.pe.system(SysOp.ESB, 0xd503_221f);
    expect(c.st.get(slot.VDISR_EL2)).toBe(0x8000_0045n);
    expect(c.st.bit(slot.HCR_EL2, 8)).toBe(0);
  });
});

describe("agents", () => {
  it("an agent of EL3 is called with the PE at EL3 and returns by exceptionReturn", () => {
    const b = at(1);
    const seen: unknown[] = [];
    b.pe.agents[3] = {
      el: 3,
      handle(pe, e) {
        seen.push(pe.st.el, e.ec, e.iss, pe.st.get(slot.ELR_EL3), pe.st.get(slot.SPSR_EL3) & 15n);
        pe.st.setX(0, 42n);
        pe.exceptionReturn();
      },
    };
    b.pe.system(SysOp.SMC, SMC);
    expect(seen).toEqual([3, 0x17, 0x34, PC + 4n, 5n]);
    expect([b.st.el, b.st.pc, b.st.x(0)]).toEqual([1, PC + 4n, 42n]);
  });
});
