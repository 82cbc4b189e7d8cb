import { describe, expect, it } from "vitest";
import { parseCpu } from "../../src/arch/features.ts";
import { Line, Off } from "../../src/arch/layout.ts";
import { slot } from "../../src/arch/state.ts";
import { takeAbort } from "../../src/cpu/exceptions-aborts.ts";
import { gptFeatures } from "../../src/cpu/feature-use.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import { Access } from "../../src/mmu/access.ts";
import { type Fault, FaultType, Gpc } from "../../src/mmu/fault.ts";
import { at, type Bench, bench, mrs, msr, run, sysWord } from "../cpu/sys-helper.ts";

const bit = (n: number): bigint => 1n << BigInt(n);
const ALL = (1n << 64n) - 1n;
const rme = (more = ""): Bench => bench(`max,rme=on${more}`);

describe("identification", () => {
  const pfr0 = (cpu: string): bigint => mrs(bench(cpu), "ID_AA64PFR0_EL1") as bigint;
  const field = (v: bigint, lo: number): bigint => (v >> BigInt(lo)) & 15n;
  it.each([
    ["max", 0n],
    ["max,rme=on", 1n],
    ["max,gpc2=on", 2n],
    ["max,gpc3=on", 3n],
    ["max,gpc3=on,gpc2=off", 1n],
    ["max,gpc3=on,lse=off", 0n],
  ])("%s: ID_AA64PFR0_EL1.RME = %s", (cpu, v) => expect(field(pfr0(cpu), 52)).toBe(v));
  it("FEAT_RME brings Secure EL2, the double fault extension, Secure memory", () => {
    const v = pfr0("max,rme=on");
    expect(field(v, 36)).toBe(1n);
    expect(field(v, 28)).toBe(2n);
    expect(field(mrs(rme(), "ID_AA64MMFR0_EL1") as bigint, 12)).toBe(1n);
    expect(parseCpu("max,rme=on").has("HAFDBS")).toBe(true);
    expect(() => parseCpu("max,l0gptsz=32")).toThrow(/l0gptsz=32/);
    expect(gptFeatures(parseCpu("max,gpc2=on"))).toMatchObject({ gpc2: true, gpc3: false, paBits: 52 });
  });
});

describe("registers", () => {
  it("fields that exist", () => {
    const masks = (more: string): bigint => {
      const b = rme(more);
      expect(msr(b, "GPCCR_EL3", ALL)).toBe("ok");
      return mrs(b, "GPCCR_EL3") as bigint;
    };
    expect(masks("")).toBe(0x3_ff07n);
    expect(masks(",gpc2=on")).toBe(0x10b_ffe7n);
    expect(masks(",gpc3=on")).toBe(0x210b_ffefn);
    const b = rme(",gpc3=on");
    msr(b, "GPTBR_EL3", ALL);
    expect(mrs(b, "GPTBR_EL3")).toBe(0xff_ffff_ffffn);
    msr(b, "GPCBW_EL3", ALL);
    expect(mrs(b, "GPCBW_EL3")).toBe(0xff_03ff_ffffn);
    msr(b, "MFAR_EL3", ALL);
    expect(mrs(b, "MFAR_EL3")).toBe(0xc00f_ffff_ffff_f000n);
  });
  it.each([
    [30, 0n],
    [34, 4n],
    [36, 6n],
    [39, 9n],
  ])("l0gptsz=%s reads as %s whatever is written, and GPC resets to 0", (bits, code) => {
    const b = rme(`,l0gptsz=${bits}`);
    expect(mrs(b, "GPCCR_EL3")).toBe(code << 20n);
    msr(b, "GPCCR_EL3", ALL);
    expect((mrs(b, "GPCCR_EL3") as bigint) & 0xf0_0000n).toBe(code << 20n);
    b.pe.reset();
    expect(mrs(b, "GPCCR_EL3")).toBe(code << 20n);
  });
  it("are UNDEFINED below EL3, and without their feature", () => {
    for (const name of ["GPCCR_EL3", "GPTBR_EL3", "GPCBW_EL3", "MFAR_EL3"] as const) {
      for (const el of [0, 1, 2] as const) {
        expect(mrs(at(el, 0n, "max,gpc3=on"), name), name).toMatch(/undefined/);
        expect(msr(at(el, 0n, "max,gpc3=on"), name, 0n), name).toMatch(/undefined/);
      }
      expect(mrs(bench("max"), name)).toMatch(/undefined/);
    }
    expect(mrs(rme(",gpc2=on"), "GPCBW_EL3")).toMatch(/undefined/);
  });
  it("SCR_EL3 has NSE, GPF, EASE, NMEA and FIEN with FEAT_RME only", () => {
    const wanted = bit(62) | bit(48) | bit(19) | bit(20) | bit(21);
    const b = rme();
    msr(b, "SCR_EL3", wanted);
    expect((mrs(b, "SCR_EL3") as bigint) & wanted).toBe(wanted);
    const plain = bench("max");
    msr(plain, "SCR_EL3", wanted);
    expect((mrs(plain, "SCR_EL3") as bigint) & wanted).toBe(0n);
  });
  it("VSTCR_EL2 and VSTTBR_EL2: Secure EL2, and EL3 while EEL2 is set", () => {
    const access = (el: 1 | 2 | 3, scr: bigint): string => {
      const b = at(el, 0n, "max,rme=on");
      b.st.set(slot.SCR_EL3, scr);
      b.pe.controlsChanged();
      return msr(b, "VSTCR_EL2", 0n);
    };
    expect(access(2, bit(18))).toBe("ok");
    expect(access(3, bit(18) | 1n)).toBe("ok");
    expect(access(3, 0n)).toMatch(/undefined/);
    expect(access(2, 1n)).toMatch(/undefined/);
    expect(access(2, bit(62) | 1n | bit(18))).toMatch(/undefined/);
    expect(access(1, bit(18))).toMatch(/undefined/);
  });
});

describe("the reserved Security state NSE:NS = 10", () => {
  const el3 = (scr: bigint): Bench => {
    const b = at(3, 0n, "max,rme=on");
    b.st.set(slot.SCR_EL3, scr);
    b.pe.controlsChanged();
    return b;
  };
  const sys = (scr: bigint, op1: number, crn: number, crm: number, op2: number): string =>
    run(el3(scr), SysOp.SYS, sysWord(0, 1, op1, crn, crm, op2, 0));
  // biome-ignore format: table
  const instructions: [string, number, number, number, number, "el1" | "el2" | "el3"][] = [
    ["AT S1E1R",        0, 7, 8, 0, "el1"], ["AT S1E0W",       0, 7, 8, 3, "el1"], ["AT S12E1R",  4, 7, 8, 4, "el1"],
    ["AT S1E2R",        4, 7, 8, 0, "el2"], ["AT S1E3R",       6, 7, 8, 0, "el3"],
    ["TLBI VMALLE1",    0, 8, 7, 0, "el1"], ["TLBI RVAE1IS",   0, 8, 2, 1, "el1"], ["TLBI ALLE1", 4, 8, 7, 4, "el1"], ["TLBI IPAS2E1", 4, 8, 4, 1, "el1"],
    ["TLBI ALLE2",      4, 8, 7, 0, "el2"], ["TLBI VAE2IS",    4, 8, 3, 1, "el2"], ["TLBI RVAE2OS", 4, 8, 5, 1, "el2"], ["TLBI ALLE3", 6, 8, 7, 0, "el3"],
    ["TLBI PAALL",      6, 8, 7, 4, "el3"], ["TLBI RPAOS",     6, 8, 4, 3, "el3"],
  ];
  it.each(instructions)("%s", (_, op1, crn, crm, op2, names) => {
    expect(sys(bit(62), op1, crn, crm, op2)).toBe(names === "el3" ? "ok" : "EL3 undefined");
    // Realm: fine. Secure without EL2: those of EL2 do not exist.
    expect(sys(bit(62) | 1n, op1, crn, crm, op2)).toBe("ok");
    expect(sys(0n, op1, crn, crm, op2)).toBe(names === "el2" ? "EL3 undefined" : "ok");
    expect(sys(bit(18), op1, crn, crm, op2)).toBe("ok");
  });
  it("an exception return into it is illegal", () => {
    const b = el3(bit(62));
    b.st.set(slot.SPSR_EL3, 0x9n);
    b.st.set(slot.ELR_EL3, 0x4000_2000n);
    b.pe.exceptionReturn();
    expect([b.st.el, b.st.lo(Off.IL), b.st.pc]).toEqual([3, 1, 0x4000_2000n]);
  });
  it("EL3 itself stays in Root state", () => {
    for (const scr of [0n, 1n, bit(62), bit(62) | 1n]) expect(el3(scr).pe.security).toBe(2);
  });
});

describe("maintenance by physical address", () => {
  const dc = (cpu: string, el: 1 | 2 | 3, op2: number): string => run(at(el, 0n, cpu), SysOp.SYS, sysWord(0, 1, 6, 7, 14, op2, 0));
  it("DC CIPAPA is for EL3 only; DC CIGDPAPA needs memory tagging", () => {
    expect(dc("max,rme=on", 3, 1)).toBe("ok");
    expect(dc("max,rme=on", 2, 1)).toBe("EL2 undefined");
    expect(dc("max,rme=on", 1, 1)).toBe("EL1 undefined");
    expect(dc("max", 3, 1)).toBe("EL3 undefined");
    expect(dc("max,rme=on", 3, 5)).toBe("EL3 undefined");
  });
  it("TLBI by PA is for EL3 only", () => {
    for (const [crm, op2] of [
      [7, 4],
      [1, 4],
      [4, 3],
      [4, 7],
    ] as const) {
      // biome-ignore format: table
      expect(run(at(2, 0n, "max,rme=on"), SysOp.SYS, sysWord(0, 1, 6, 8, crm, op2, 0))).toBe("EL2 undefined");
      expect(run(at(3, 0n, "max,rme=on"), SysOp.SYS, sysWord(0, 1, 6, 8, crm, op2, 0))).toBe("ok");
    }
  });
});

describe("double faults (SCR_EL3.EASE, NMEA)", () => {
  const fault = (o: Partial<Fault>): Fault => ({
    type: FaultType.External,
    level: 0,
    stage: 1,
    s1ptw: false,
    write: false,
    fetch: false,
    maintenance: false,
    va: 0x1234n,
    ipa: 0,
    ipaSpace: 1,
    ipaValid: false,
    ...o,
  });
  const vector = (scr: bigint, f: Fault): bigint => {
    const b = at(1, 0n, "max,rme=on");
    b.st.set(slot.SCR_EL3, 1n | scr);
    b.pe.controlsChanged();
    takeAbort(b.pe, f, { fetch: false });
    return b.st.pc;
  };
  const EA = bit(3);
  const EASE = bit(19);
  it("EASE sends External aborts, and aborts of the GPT fetch, to the SError vector of EL3", () => {
    expect(vector(EA, fault({}))).toBe(0x3_0400n);
    expect(vector(EA | EASE, fault({}))).toBe(0x3_0580n);
    expect(vector(EASE, fault({}))).toBe(0x1_0200n);
    const gpt = fault({ type: FaultType.GranuleOnOutput, gpc: Gpc.ExternalAbort, gpcLevel: 0, pa: 0, pas: 1 });
    expect(vector(0n, gpt)).toBe(0x3_0400n);
    expect(vector(EASE, gpt)).toBe(0x3_0580n);
    expect(vector(EASE, fault({ type: FaultType.GranuleOnOutput, gpc: Gpc.Walk, gpcLevel: 0, pa: 0, pas: 1 }))).toBe(0x3_0400n);
  });
  it("NMEA makes an SError at EL3 unmaskable while EA routes it there", () => {
    const taken = (scr: bigint): boolean => {
      const b = at(3, 0n, "max,rme=on");
      b.st.set(slot.SCR_EL3, 1n | scr);
      b.pe.controlsChanged();
      b.st.setLo(Off.DAIF, 15);
      b.st.setLo(Off.LINES, Line.SERROR);
      return b.pe.pollInterrupts();
    };
    expect([taken(EA), taken(bit(20)), taken(EA | bit(20))]).toEqual([false, false, true]);
  });
  it("ERXPFG registers trap unless FIEN allows them", () => {
    const b = at(1, 0n, "max,rme=on");
    expect(mrs(b, "ERXPFGF_EL1")).toMatch(/^EL2 ec=18/);
    const c = at(1, bit(47), "max,rme=on");
    expect(mrs(c, "ERXPFGF_EL1")).toMatch(/^EL3 ec=18/);
    const d = at(1, bit(47), "max,rme=on");
    d.st.set(slot.SCR_EL3, d.st.get(slot.SCR_EL3) | bit(21));
    d.pe.controlsChanged();
    expect(mrs(d, "ERXPFGF_EL1")).toBe(0n);
  });
});

describe("PE without a table", () => {
  it("GPC = 1 with a table outside memory faults at once, GPC = 0 does not", () => {
    const b = rme();
    const read = (): boolean => b.pe.mmu.translate(0x4000_0000, 0, Access.Read, false);
    expect(read()).toBe(true);
    msr(b, "GPTBR_EL3", 0x8_0000n);
    expect(read()).toBe(true);
    msr(b, "GPCCR_EL3", 0x1_3500n);
    expect(read()).toBe(false);
    expect(b.pe.mmu.fault).toMatchObject({ gpc: Gpc.ExternalAbort, gpcLevel: 0, pa: 0x4000_0000, pas: 2 });
  });
});
