// Who may execute which access: existence, direction, Exception levels, EL2 and EL3 traps.

import { describe, expect, it } from "vitest";
import { encodings, type RegName } from "../../../src/arch/registers/encodings.ts";
import { slot } from "../../../src/arch/state.ts";
import { Fixture, Hcr, Scr, type World } from "./fixture.ts";

const group0 = ["ICC_IAR0_EL1", "ICC_EOIR0_EL1", "ICC_HPPIR0_EL1", "ICC_BPR0_EL1", "ICC_AP0R0_EL1", "ICC_IGRPEN0_EL1"] as const;
const group1 = ["ICC_IAR1_EL1", "ICC_EOIR1_EL1", "ICC_HPPIR1_EL1", "ICC_BPR1_EL1", "ICC_AP1R0_EL1", "ICC_IGRPEN1_EL1"] as const;
const common = ["ICC_PMR_EL1", "ICC_RPR_EL1", "ICC_CTLR_EL1"] as const;
const sgis = ["ICC_SGI0R_EL1", "ICC_SGI1R_EL1", "ICC_ASGI1R_EL1"] as const;
const dir = ["ICC_DIR_EL1"] as const;
const el1 = [...group0, ...group1, ...common, ...sgis, ...dir, "ICC_SRE_EL1"] as const;
const readOnly = new Set<RegName>(["ICC_IAR0_EL1", "ICC_IAR1_EL1", "ICC_HPPIR0_EL1", "ICC_HPPIR1_EL1", "ICC_RPR_EL1"]);
for (const n of ["ICH_VTR_EL2", "ICH_MISR_EL2", "ICH_EISR_EL2", "ICH_ELRSR_EL2"] as const) readOnly.add(n);
const writeOnly = new Set<RegName>([...sgis, ...dir, "ICC_EOIR0_EL1", "ICC_EOIR1_EL1"]);
const el2 = ["ICC_SRE_EL2", "ICH_HCR_EL2", "ICH_VTR_EL2", "ICH_MISR_EL2", "ICH_EISR_EL2", "ICH_ELRSR_EL2", "ICH_VMCR_EL2"] as const;
const el2Data = ["ICH_AP0R0_EL2", "ICH_AP1R0_EL2", "ICH_LR0_EL2", "ICH_LR3_EL2"] as const;
const el3 = ["ICC_CTLR_EL3", "ICC_SRE_EL3", "ICC_IGRPEN1_EL3"] as const;

const f = new Fixture();
/** Verdict on an access in the direction that exists. */
const verdict = (reg: RegName) => f.gic.cpu(0).access(reg, writeOnly.has(reg));
const verdicts = (regs: readonly RegName[]) => [...new Set(regs.map(verdict))];
const at = (el: 0 | 1 | 2 | 3, world: World, scr = 0n, hcr = 0n) => f.run(0, el, world, scr, hcr);
/** Sets ICH_HCR_EL2. */
const hypControl = (value: number) => f.gic.cpu(0).write("ICH_HCR_EL2", BigInt(value));

describe("existence and Exception levels", () => {
  it("covers every ICC_* and ICH_* encoding except the affinity register of FEAT_GCIE", () => {
    const named = encodings.map(([name]) => name).filter((n) => /^IC[CH]_/.test(n) && n !== "ICC_IAFFIDR_EL1");
    expect(named.filter((n) => !f.gic.cpu(0).has(n))).toEqual([]);
    expect(f.gic.cpu(0).has("SCTLR_EL1")).toBe(false);
  });

  it("unimplemented priorities, list registers and extensions are UNDEFINED", () => {
    at(3, "nonsecure");
    const absent = [
      "ICC_AP0R1_EL1",
      "ICC_AP1R3_EL1",
      "ICC_NMIAR1_EL1",
      "ICH_AP0R1_EL2",
      "ICH_LR4_EL2",
      "ICH_LR15_EL2",
      "ICH_VSEIR_EL2",
    ] as const;
    for (const reg of absent) expect([f.gic.cpu(0).access(reg, false), f.gic.cpu(0).access(reg, true)]).toEqual([-1, -1]);
  });

  it("read-only and write-only registers", () => {
    at(3, "nonsecure");
    for (const reg of [...el1, ...el2, ...el2Data, ...el3]) {
      expect(f.gic.cpu(0).access(reg, false), `read ${reg}`).toBe(writeOnly.has(reg) ? -1 : 0);
      expect(f.gic.cpu(0).access(reg, true), `write ${reg}`).toBe(readOnly.has(reg) ? -1 : 0);
    }
  });

  it("nothing at EL0, EL2 registers from EL2, EL3 registers at EL3", () => {
    at(0, "nonsecure");
    expect(verdicts([...el1, ...el2, ...el2Data, ...el3])).toEqual([-1]);
    at(1, "nonsecure");
    expect([verdicts(el1), verdicts([...el2, ...el2Data]), verdicts(el3)]).toEqual([[0], [-1], [-1]]);
    at(1, "nonsecure", 0n, Hcr.NV);
    expect([verdicts([...el2, ...el2Data]), verdicts(el3)]).toEqual([[2], [-1]]);
    at(2, "realm");
    expect([verdicts(el1), verdicts([...el2, ...el2Data]), verdicts(el3)]).toEqual([[0], [0], [-1]]);
  });
});

describe("EL3 traps", () => {
  it.each(["secure", "nonsecure", "realm"] as const)("SCR_EL3.IRQ and FIQ, from %s EL1 and EL2", (world) => {
    for (const el of [1, 2] as const) {
      at(el, world, Scr.FIQ);
      expect([verdicts(group0), verdicts(group1), verdicts([...common, ...dir, ...sgis])]).toEqual([[3], [0], [0]]);
      at(el, world, Scr.IRQ);
      expect([verdicts(group0), verdicts(group1), verdicts([...common, ...dir, ...sgis])]).toEqual([[0], [3], [0]]);
      at(el, world, Scr.IRQ | Scr.FIQ);
      expect([verdicts(group0), verdicts(group1), verdicts([...common, ...dir, ...sgis])]).toEqual([[3], [3], [3]]);
      expect(verdict("ICC_SRE_EL1")).toBe(0);
    }
    at(3, world, Scr.IRQ | Scr.FIQ);
    expect(verdicts(el1)).toEqual([0]);
  });

  it("virtual accesses are not trapped to EL3", () => {
    at(1, "nonsecure", Scr.IRQ | Scr.FIQ, Hcr.IMO);
    expect([verdicts(group0), verdicts(group1), verdicts([...common, ...dir])]).toEqual([[3], [0], [0]]);
    at(1, "nonsecure", Scr.IRQ | Scr.FIQ, Hcr.FMO);
    expect([verdicts(group0), verdicts(group1), verdicts([...common, ...dir])]).toEqual([[0], [3], [0]]);
  });
});

describe("EL2 traps", () => {
  const TC = 1 << 10;
  const TALL0 = 1 << 11;
  const TALL1 = 1 << 12;
  const TDIR = 1 << 14;
  // ICH_HCR_EL2, verdicts on: Group 0, Group 1, common, DIR, SGI
  it.each([
    ["none", 0, [0, 0, 0, 0, 0]],
    ["TC", TC, [0, 0, 2, 2, 2]],
    ["TALL0", TALL0, [2, 0, 0, 0, 0]],
    ["TALL1", TALL1, [0, 2, 0, 0, 0]],
    ["TDIR", TDIR, [0, 0, 0, 2, 0]],
  ] as const)("ICH_HCR_EL2.%s", (_name, value, expected) => {
    hypControl(value);
    for (const world of ["nonsecure", "realm", "secure"] as const) {
      at(1, world);
      expect([group0, group1, common, dir, sgis].flatMap(verdicts)).toEqual(expected);
      // Before an EL3 trap.
      at(1, world, Scr.IRQ | Scr.FIQ);
      expect([group0, group1, common, dir, sgis].flatMap(verdicts)).toEqual(expected.map((v) => (v === 2 ? 2 : 3)));
      at(2, world);
      expect(verdicts([...group0, ...group1, ...common, ...dir, ...sgis])).toEqual([0]);
    }
    // Secure EL1 without a Secure EL2.
    f.st[0]!.set(slot.SCR_EL3, 0n);
    expect(verdicts([...group0, ...group1, ...common, ...dir, ...sgis])).toEqual([0]);
    hypControl(0);
  });

  it("SGI generation with IMO or FMO", () => {
    for (const hcr of [Hcr.IMO, Hcr.FMO]) {
      at(1, "realm", 0n, hcr);
      expect(verdicts(sgis)).toEqual([2]);
    }
  });

  it("fine-grained traps of IGRPEN, by direction", () => {
    const st = f.st[0]!;
    const both = () =>
      (["ICC_IGRPEN0_EL1", "ICC_IGRPEN1_EL1", "ICC_BPR1_EL1"] as const).map((r) => [
        f.gic.cpu(0).access(r, false),
        f.gic.cpu(0).access(r, true),
      ]);
    st.set(slot.HFGRTR_EL2, 1n << 39n);
    at(1, "nonsecure", Scr.FGTEn);
    expect(both()).toEqual([
      [2, 0],
      [2, 0],
      [0, 0],
    ]);
    st.set(slot.HFGWTR_EL2, 1n << 39n);
    expect(both()).toEqual([
      [2, 2],
      [2, 2],
      [0, 0],
    ]);
    at(1, "nonsecure");
    expect(both()).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    at(1, "nonsecure", Scr.FGTEn, Hcr.E2H | Hcr.TGE);
    expect(both()).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    at(2, "nonsecure", Scr.FGTEn);
    expect(both()).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    st.set(slot.HFGRTR_EL2, 0n);
    st.set(slot.HFGWTR_EL2, 0n);
  });
});

describe("a PE without EL3", () => {
  it("is Non-secure whatever SCR_EL3's storage holds", () => {
    const g = new Fixture({ singleSecurity: true });
    g.st[0]!.set(slot.ID_AA64PFR0_EL1, 0x0111n);
    g.run(0, 2, "secure");
    g.w(0, "ICC_BPR1_EL1", 0);
    expect(g.r(0, "ICC_BPR1_EL1")).toBe(3);
    g.run(0, 1, "secure", 0n, Hcr.IMO);
    g.w(0, "ICC_PMR_EL1", 0x80);
    expect(g.r(0, "ICC_PMR_EL1")).toBe(0x80);
    g.run(0, 2, "secure");
    expect(g.r(0, "ICC_PMR_EL1")).toBe(0);
  });
});
