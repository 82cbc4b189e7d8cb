// Abort routing and syndromes.

import { describe, expect, it } from "vitest";
import { slot } from "../../src/arch/state.ts";
import { dataAbortIsv } from "../../src/arch/syndrome.ts";
import { type Fault, FaultType, Gpc } from "../../src/mmu/fault.ts";
import { at, HCR_E2H, HCR_TGE, PC } from "./sys-helper.ts";

const HOST = HCR_E2H | HCR_TGE;
const base: Fault = {
  type: FaultType.Translation,
  level: 3,
  stage: 1,
  s1ptw: false,
  write: false,
  fetch: false,
  maintenance: false,
  va: 0xffff_8000_1234_5678n,
  ipa: 0x4567_8000,
  ipaSpace: 1,
  ipaValid: false,
};
const bit = (n: number): bigint => 1n << BigInt(n);

describe("routing and ISS", () => {
  type El = 0 | 1 | 2 | 3;
  // fault, from, HCR, SCR set, fetch, target, EC, ISS
  const cases: [string, Partial<Fault>, El, bigint, bigint, boolean, number, number, number][] = [
    ["translation read at EL0", {}, 0, 0n, 0n, false, 1, 0x24, 0x07],
    ["translation write at EL1", { write: true, level: 1 }, 1, 0n, 0n, false, 1, 0x25, 0x45],
    ["permission at host EL0", { type: FaultType.Permission, level: 3 }, 0, HOST, 0n, false, 2, 0x24, 0x0f],
    ["permission at EL2", { type: FaultType.Permission, level: 2 }, 2, HOST, 0n, false, 2, 0x25, 0x0e],
    ["fetch at EL0", { fetch: true }, 0, 0n, 0n, true, 1, 0x20, 0x07],
    ["fetch at EL2, level 0", { fetch: true, level: 0 }, 2, 0n, 0n, true, 2, 0x21, 0x04],
    ["level -1", { level: -1 }, 1, 0n, 0n, false, 1, 0x25, 0x2b],
    ["alignment", { type: FaultType.Alignment, write: true }, 1, 0n, 0n, false, 1, 0x25, 0x61],
    ["stage 2 translation", { stage: 2, ipaValid: true }, 1, bit(0), 0n, false, 2, 0x24, 0x07],
    [
      "stage 2 on a stage 1 walk",
      { stage: 2, s1ptw: true, ipaValid: true, type: FaultType.Permission, level: 1 },
      0,
      bit(0),
      0n,
      false,
      2,
      0x24,
      0x8d,
    ],
    ["stage 2 fetch", { stage: 2, fetch: true, ipaValid: true, level: 2 }, 1, bit(0), 0n, true, 2, 0x20, 0x06],
    ["cache maintenance", { maintenance: true, write: true }, 1, 0n, 0n, false, 1, 0x25, 0x147],
    ["access flag", { type: FaultType.AccessFlag, level: 2 }, 1, 0n, 0n, false, 1, 0x25, 0x0a],
    ["external abort", { type: FaultType.External }, 1, 0n, 0n, false, 1, 0x25, 0x10],
    ["external abort, TEA", { type: FaultType.External }, 1, bit(37), 0n, false, 2, 0x24, 0x10],
    ["external abort, SCR.EA", { type: FaultType.External }, 1, bit(37), 8n, false, 3, 0x24, 0x10],
    ["external abort on walk", { type: FaultType.ExternalOnWalk, level: 2 }, 2, 0n, 0n, false, 2, 0x25, 0x16],
    ["granule protection", { type: FaultType.GranuleOnOutput, gpc: Gpc.Fail }, 1, 0n, 0n, false, 1, 0x25, 0x28],
    ["granule protection, HCR.GPF", { type: FaultType.GranuleOnOutput, gpc: Gpc.Fail }, 1, bit(48), 0n, false, 2, 0x24, 0x28],
    ["granule protection at EL0 with TGE", { type: FaultType.GranuleOnWalk, gpc: Gpc.Fail, level: 1 }, 0, HOST, 0n, false, 2, 0x24, 0x25],
    [
      "granule protection, SCR.GPF",
      { type: FaultType.GranuleOnOutput, gpc: Gpc.Fail, gpcLevel: 1, write: true },
      1,
      0n,
      bit(48),
      false,
      3,
      0x1e,
      (0x0d << 14) | 0x68,
    ],
    [
      "GPT walk fault",
      { type: FaultType.GranuleOnOutput, gpc: Gpc.Walk, gpcLevel: 0 },
      2,
      0n,
      0n,
      true,
      3,
      0x1e,
      (4 << 14) | (1 << 20) | 0x28,
    ],
    ["exclusive on unsupported memory", { type: FaultType.Exclusive }, 1, 0n, 0n, false, 1, 0x25, 0x35],
  ];
  for (const [name, f, el, hcr, scr, fetch, target, ec, iss] of cases) {
    it(name, () => {
      const b = at(el, hcr, "max,rme=on");
      b.st.set(slot.SCR_EL3, b.st.get(slot.SCR_EL3) | scr);
      b.pe.controlsChanged();
      const fault = { ...base, ...f };
      b.pe.takeAbort(fault, { fetch });
      expect(b.st.el).toBe(target);
      const esr = b.st.lo([0, slot.ESR_EL1, slot.ESR_EL2, slot.ESR_EL3][target] as number);
      expect([(esr >>> 26).toString(16), (esr & 0x1ff_ffff).toString(16), (esr >>> 25) & 1]).toEqual([
        ec.toString(16),
        iss.toString(16),
        1,
      ]);
      expect(b.st.get([0, slot.FAR_EL1, slot.FAR_EL2, slot.FAR_EL3][target] as number)).toBe(base.va);
      expect(b.st.get([0, slot.ELR_EL1, slot.ELR_EL2, slot.ELR_EL3][target] as number)).toBe(PC);
      if (fault.ipaValid) expect(b.st.get(slot.HPFAR_EL2)).toBe(0x45678_0n);
    });
  }
  it("MFAR_EL3 holds the physical address and its space", () => {
    const b = at(1, 0n, "max,rme=on");
    b.st.set(slot.SCR_EL3, b.st.get(slot.SCR_EL3) | bit(48));
    b.pe.controlsChanged();
    b.pe.takeAbort({ ...base, type: FaultType.GranuleOnOutput, gpc: Gpc.Fail, pa: 0x8800_1234, pas: 3 }, { fetch: false });
    expect(b.st.get(slot.MFAR_EL3)).toBe(bit(63) | bit(62) | 0x8800_1000n);
  });
  it("PC alignment", () => {
    const b = at(0);
    b.st.pc = 0x1002n;
    b.pe.takePcAlignment();
    expect([b.st.get(slot.ESR_EL1), b.st.get(slot.FAR_EL1), b.st.get(slot.ELR_EL1)]).toEqual([0x8a00_0000n, 0x1002n, 0x1002n]);
  });
});

describe("ISV of stage 2 Data Aborts", () => {
  // word, SAS, SSE, SRT, SF, AR; undefined: ISV = 0
  const cases: [string, number, [number, number, number, number, number] | undefined][] = [
    ["LDR W5, [X1]", 0xb940_0025, [2, 0, 5, 0, 0]],
    ["STR X6, [X1, #8]", 0xf900_0426, [3, 0, 6, 1, 0]],
    ["LDRB W7, [X1, X2]", 0x3862_6827, [0, 0, 7, 0, 0]],
    ["LDRSW X8, [X1]", 0xb980_0028, [2, 1, 8, 1, 0]],
    ["LDRSH W9, [X1]", 0x79c0_0029, [1, 1, 9, 0, 0]],
    ["LDUR X10, [X1, #-8]", 0xf85f_802a, [3, 0, 10, 1, 0]],
    ["LDTR W11, [X1]", 0xb840_082b, [2, 0, 11, 0, 0]],
    ["STR WZR, [X1]", 0xb900_003f, [2, 0, 31, 0, 0]],
    ["LDAR W12, [X1]", 0x88df_fc2c, [2, 0, 12, 0, 1]],
    ["STLRB W13, [X1]", 0x089f_fc2d, [0, 0, 13, 0, 1]],
    ["LDAPR X14, [X1]", 0xf8bf_c02e, [3, 0, 14, 1, 1]],
    ["LDAPURSB X15, [X1]", 0x1980_002f, [0, 1, 15, 1, 1]],
    ["LDR X16, label", 0x5800_0010, [3, 0, 16, 1, 0]],
    ["LDRSW X17, label", 0x9800_0011, [2, 1, 17, 1, 0]],
    ["LDR X1, [X2], #8", 0xf840_8441, undefined],
    ["STR X1, [X2, #8]!", 0xf800_8c41, undefined],
    ["LDP X1, X2, [X3]", 0xa940_0861, undefined],
    ["LDXR X1, [X2]", 0xc85f_7c41, undefined],
    ["LDAXR W1, [X2]", 0x885f_fc41, undefined],
    ["STLXR W3, W1, [X2]", 0x8803_fc41, undefined],
    ["CAS W1, W2, [X3]", 0x88a1_7c62, undefined],
    ["LDADD W1, W2, [X3]", 0xb821_0062, undefined],
    ["LDR Q1, [X2]", 0x3dc0_0041, undefined],
    ["LDR S1, label", 0x1c00_0001, undefined],
    ["PRFM PLDL1KEEP, [X1]", 0xf980_0020, undefined],
    ["DC CIVAC, X1", 0xd50b_7e21, undefined],
  ];
  for (const [name, word, want] of cases) {
    it(name, () => {
      const v = dataAbortIsv(word);
      if (want === undefined) expect(v).toBe(0);
      else expect([v >>> 24, (v >>> 22) & 3, (v >>> 21) & 1, (v >>> 16) & 31, (v >>> 15) & 1, (v >>> 14) & 1]).toEqual([1, ...want]);
    });
  }
  it("only stage 2 faults carry it", () => {
    const one = at(1);
    one.pe.takeAbort(base, { fetch: false, insn: 0xb940_0025 });
    expect(one.st.get(slot.ESR_EL1) & bit(24)).toBe(0n);
    const two = at(1, bit(0));
    two.pe.takeAbort({ ...base, stage: 2, ipaValid: true }, { fetch: false, insn: 0xb940_0025 });
    expect(two.st.get(slot.ESR_EL2)).toBe((0x9285_0007n + 0n) | bit(24));
  });
});
