// Self-hosted debug: when debug exceptions are enabled, software step, breakpoints, watchpoints.

import { describe, expect, it } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import { slot } from "../../src/arch/state.ts";
import { DebugMode } from "../../src/cpu/debug.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import { at, type Bench, HCR_E2H, HCR_TGE, mrs, msr, PC, taken } from "./sys-helper.ts";

const SS = 1n;
const KDE = 1n << 13n;
const MDE = 1n << 15n;

function debugging(el: 0 | 1 | 2 | 3, mdscr: bigint, hcr = 0n): Bench {
  const b = at(el, hcr);
  b.pe.writeSys("OSLAR_EL1", 0n);
  b.pe.writeSys("MDSCR_EL1", mdscr);
  return b;
}

describe("enabling", () => {
  it("OS lock: locked at reset, OSLAR_EL1 opens it", () => {
    const b = at(1);
    expect(mrs(b, "OSLSR_EL1")).toBe(10n);
    expect(b.pe.debug.enabledFrom(0, 0)).toBe(false);
    msr(b, "OSLAR_EL1", 0n);
    expect(mrs(b, "OSLSR_EL1")).toBe(8n);
    expect(b.pe.debug.enabledFrom(0, 0)).toBe(true);
  });
  it("from below the target always, from the target with KDE and D = 0, never from above", () => {
    const cases: [hcr: bigint, mdscr: bigint, el: number, d: number, on: boolean][] = [
      [0n, 0n, 0, 1, true],
      [0n, 0n, 1, 0, false],
      [0n, KDE, 1, 0, true],
      [0n, KDE, 1, 1, false],
      [0n, KDE, 2, 0, false],
      [HCR_E2H | HCR_TGE, KDE, 2, 0, true],
      [HCR_E2H | HCR_TGE, 0n, 0, 1, true],
      [HCR_E2H | HCR_TGE, KDE, 3, 0, false],
    ];
    for (const [hcr, mdscr, el, d, on] of cases) expect(debugging(el as 0, mdscr, hcr).pe.debug.enabledFrom(el, d)).toBe(on);
  });
});

describe("software step", () => {
  it("ERET to a stepped EL0 sets PSTATE.SS; without MDSCR.SS, or from a stepped level, it does not", () => {
    const step = (el: 1 | 2, mdscr: bigint, hcr: bigint, target: bigint, daif = 0): number => {
      const b = debugging(el, mdscr, hcr);
      b.st.setLo(Off.DAIF, daif);
      b.st.set(el === 1 ? slot.SPSR_EL1 : slot.SPSR_EL2, target | (1n << 21n));
      b.pe.exceptionReturn();
      return b.st.lo(Off.SS);
    };
    expect(step(1, SS, 0n, 0n)).toBe(1);
    expect(step(1, 0n, 0n, 0n)).toBe(0);
    expect(step(1, SS | KDE, 0n, 5n, 8)).toBe(1);
    expect(step(1, SS | KDE, 0n, 5n, 0)).toBe(0);
    expect(step(2, SS, HCR_E2H | HCR_TGE, 0n)).toBe(1);
  });
  it("pending: the exception comes before the next instruction; SVC saves SS = 0, a fault SS = 1", () => {
    const b = debugging(0, SS);
    expect(b.pe.debug.mode).toBe(DebugMode.Step);
    b.st.setLo(Off.SS, 1);
    expect(b.pe.debug.takeStep(false, false)).toBe(false);
    b.st.setLo(Off.SS, 0);
    expect(b.pe.debug.takeStep(true, false)).toBe(true);
    expect(taken(b, 0)).toBe("EL1 ec=32 iss=1000022");
    expect(b.st.get(slot.ELR_EL1)).toBe(PC);
    const svc = debugging(0, SS);
    svc.st.setLo(Off.SS, 1);
    svc.pe.system(SysOp.SVC, 0xd400_0001);
    expect(svc.st.get(slot.SPSR_EL1) & (1n << 21n)).toBe(0n);
    const fault = debugging(0, SS);
    fault.st.setLo(Off.SS, 1);
    fault.pe.system(SysOp.UNDEFINED, 0);
    expect(fault.st.get(slot.SPSR_EL1) & (1n << 21n)).toBe(1n << 21n);
  });
});

describe("breakpoints", () => {
  const hit = (el: 0 | 1 | 2, bcr: bigint, bvr = PC, hcr = 0n, extra: (b: Bench) => void = () => {}): string => {
    const b = debugging(el, MDE | KDE, hcr);
    b.pe.writeSys("DBGBVR0_EL1", bvr);
    b.pe.writeSys("DBGBCR0_EL1", bcr);
    extra(b);
    return b.pe.debug.mode & DebugMode.Breakpoints && b.pe.debug.takeBreakpoint() ? taken(b, el) : "none";
  };
  const E = 1n;
  it("address and privilege", () => {
    expect(hit(0, E | (2n << 1n))).toBe("EL1 ec=30 iss=22");
    expect(hit(0, E | (1n << 1n))).toBe("none");
    expect(hit(1, E | (1n << 1n))).toBe("EL1 ec=31 iss=22");
    expect(hit(0, E | (2n << 1n), PC + 4n)).toBe("none");
    expect(hit(0, 2n << 1n)).toBe("none");
    expect(hit(2, E | (1n << 1n) | (1n << 13n), PC, HCR_E2H | HCR_TGE)).toBe("EL2 ec=31 iss=22");
    expect(hit(0, E | (2n << 1n) | (2n << 14n))).toBe("none");
    expect(hit(0, E | (2n << 1n) | (1n << 14n))).toBe("EL1 ec=30 iss=22");
  });
  it("linked to a context breakpoint", () => {
    const linked = E | (2n << 1n) | (1n << 20n) | (1n << 16n);
    const context = (id: bigint) => (b: Bench) => {
      b.pe.writeSys("CONTEXTIDR_EL1", 77n);
      b.pe.writeSys("DBGBVR1_EL1", id);
      b.pe.writeSys("DBGBCR1_EL1", E | (2n << 1n) | (3n << 20n));
    };
    expect(hit(0, linked, PC, 0n, context(76n))).toBe("none");
    expect(hit(0, linked, PC, 0n, context(77n))).toBe("EL1 ec=30 iss=22");
  });
});

describe("watchpoints", () => {
  const watch = (wvr: bigint, wcr: bigint, va: bigint, size: number, read: boolean, write: boolean): string => {
    const b = debugging(0, MDE);
    b.pe.writeSys("DBGWVR0_EL1", wvr);
    b.pe.writeSys("DBGWCR0_EL1", wcr);
    return b.pe.debug.takeWatchpoint(va, size, read, write, 0, false)
      ? `${taken(b, 0)} far=${b.st.get(slot.FAR_EL1).toString(16)}`
      : "none";
  };
  const base = 1n | (2n << 1n);
  it("byte address select, load and store control, WnR", () => {
    const word = base | (3n << 3n) | (0xfn << 5n);
    expect(watch(0x1000n, word, 0x1003n, 1, true, false)).toBe("EL1 ec=34 iss=22 far=1003");
    expect(watch(0x1000n, word, 0x1000n, 4, false, true)).toBe("EL1 ec=34 iss=62 far=1000");
    expect(watch(0x1000n, word, 0x1004n, 4, true, false)).toBe("none");
    expect(watch(0x1000n, word, 0xffcn, 8, true, false)).toBe("EL1 ec=34 iss=22 far=ffc");
    expect(watch(0x1000n, base | (2n << 3n) | (0xfn << 5n), 0x1000n, 4, true, false)).toBe("none");
    expect(watch(0x1004n, base | (1n << 3n) | (8n << 5n), 0x1007n, 1, true, false)).toBe("EL1 ec=34 iss=22 far=1007");
  });
  it("address mask", () => {
    const range = base | (3n << 3n) | (0xffn << 5n) | (12n << 24n);
    expect(watch(0x3000n, range, 0x3abcn, 1, true, false)).toBe("EL1 ec=34 iss=22 far=3abc");
    expect(watch(0x3000n, range, 0x4000n, 1, true, false)).toBe("none");
  });
});
