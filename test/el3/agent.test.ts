import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { slot } from "../../src/arch/state.ts";
import { Ec } from "../../src/arch/syndrome.ts";
import { Vector } from "../../src/cpu/agent.ts";
import { type AgentPe, callName, callTable } from "../../src/el3/agent.ts";
import { EmuError } from "../../src/util/errors.ts";
import { Bench, RAM } from "./bench.ts";

const ENTRY = RAM.base + 0x1000n;

/** Calls that PSCI, SMCCC or TRNG define and this firmware does not offer. */
// biome-ignore format: table
const notOffered = [
  0x8400_0005, 0xc400_0005, 0x8400_0007, 0xc400_0007, 0x8400_000b, 0x8400_000c, 0xc400_000c, 0x8400_000d, 0xc400_000d, 0x8400_000e, 0xc400_000e,
  0x8400_000f, 0x8400_0010, 0xc400_0010, 0x8400_0011, 0xc400_0011, 0x8400_0012, 0xc400_0012, 0x8400_0013, 0x8400_0014, 0xc400_0014,
  0x8000_0002, 0xc000_0002, 0x8000_0003, 0xc000_0003,
];

describe("answers that depend on nothing", () => {
  // biome-ignore format: table
  it.each<[string, (number | bigint)[], bigint]>([
    ["PSCI_VERSION",                         [0x8400_0000],              0x1_0001n],
    ["PSCI_MIGRATE_INFO_TYPE",               [0x8400_0006],              2n],
    ["PSCI_FEATURES of CPU_SUSPEND",         [0x8400_000a, 0xc400_0001], 0n],
    ["PSCI_FEATURES of CPU_ON",              [0x8400_000a, 0xc400_0003], 0n],
    ["PSCI_FEATURES of SMCCC_VERSION",       [0x8400_000a, 0x8000_0000], 0n],
    ["PSCI_FEATURES of itself",              [0x8400_000a, 0x8400_000a], 0n],
    ["PSCI_FEATURES of something unknown",   [0x8400_000a, 0x8400_001f], -1n],
    ["SMCCC_VERSION",                        [0x8000_0000],              0x1_0005n],
    ["SMCCC_ARCH_FEATURES of SMCCC_VERSION", [0x8000_0001, 0x8000_0000], 0n],
    ["SMCCC_ARCH_FEATURES of itself",        [0x8000_0001, 0x8000_0001], 0n],
    ["SMCCC_ARCH_FEATURES of PSCI_VERSION",  [0x8000_0001, 0x8400_0000], -1n],
    ["SMCCC_ARCH_FEATURES of WORKAROUND_1",  [0x8000_0001, 0x8000_8000], 1n],
    ["SMCCC_ARCH_FEATURES of WORKAROUND_2",  [0x8000_0001, 0x8000_7fff], 1n],
    ["SMCCC_ARCH_FEATURES of WORKAROUND_3",  [0x8000_0001, 0x8000_3fff], 1n],
    ["SMCCC_ARCH_FEATURES of WORKAROUND_4",  [0x8000_0001, 0x8000_0004], 1n],
    ["SMCCC_ARCH_WORKAROUND_1",              [0x8000_8000],              0n],
    ["TRNG_VERSION",                         [0x8400_0050],              0x1_0000n],
    ["TRNG_FEATURES of TRNG_RND64",          [0x8400_0051, 0xc400_0053], 0n],
    ["TRNG_FEATURES of PSCI_VERSION",        [0x8400_0051, 0x8400_0000], -1n],
    ["SDEI_VERSION",                         [0xc400_0020],              -1n],
    ["FFA_VERSION",                          [0x8400_0063],              -1n],
    ["RMI_VERSION",                          [0xc400_0150],              -1n],
    ["VENDOR_HYP_CALL_UID",                  [0x8600_ff01],              -1n],
    ["a number of all ones",                 [-1],                       -1n],
    ["zero",                                 [0],                        -1n],
    ["the SVE hint does not matter",         [0x8401_0000],              0x1_0001n],
    ["high half of x0 does not matter",      [0xffff_ffff_8400_0000n],   0x1_0001n],
  ])("%s", (_name, args, result) => {
    const b = new Bench();
    expect(b.call(...args)).toBe(result);
    expect(b.returns).toBe(1);
    expect(b.asked).toEqual([]);
  });

  it.each(notOffered.map((fid) => [callName(fid), fid] as const))("%s is not supported, and discovery says so", (_name, fid) => {
    const b = new Bench();
    expect(b.call(fid, 0, 0, 0)).toBe(-1n);
    expect(b.call(fid >>> 24 === 0x80 || fid >>> 24 === 0xc0 ? 0x8000_0001 : 0x8400_000a, fid)).toBe(-1n);
    expect(b.logged).toEqual([]);
  });

  it("has each identifier once, and every row is either offered or in the list above", () => {
    const ids = callTable.flatMap((r) => [r.id32, r.id64].filter((id) => id !== 0));
    expect(new Set(ids).size).toBe(ids.length);
    const missing = callTable.filter((r) => !r.handler).flatMap((r) => [r.id32, r.id64].filter((id) => id !== 0));
    expect(missing.sort()).toEqual([...notOffered].sort());
  });

  it("names unknown calls in the log and keeps all registers but x0", () => {
    const b = new Bench();
    const after = b.smc([0x8700_1234]);
    expect(b.logged).toEqual(["EL3: PE 0: unknown SMC function 0x87001234"]);
    expect(after.slice(1)).toEqual(Array.from({ length: 17 }, (_, i) => 0xdead_0000_0000_0001n + BigInt(i)));
  });

  it("serves PSCI to the Non-secure world only", () => {
    for (const scr of [0n, (1n << 62n) | 1n]) {
      const b = new Bench();
      (b.pes[0] as AgentPe).st.set(slot.SCR_EL3, scr);
      expect(b.call(0x8400_0000)).toBe(-1n);
      expect(b.call(0x8400_0008)).toBe(-1n);
      expect(b.asked).toEqual([]);
      expect(b.call(0x8400_0050)).toBe(0x1_0000n);
    }
  });
});

describe("CPU_ON, CPU_OFF, AFFINITY_INFO", () => {
  // biome-ignore format: table
  it.each<[string, (number | bigint)[], bigint]>([
    ["no such PE",                     [0xc400_0003, 2, ENTRY, 0],                      -2n],
    ["reserved bits of the affinity",  [0xc400_0003, 0x8000_0001n, ENTRY, 0],           -2n],
    ["entry not aligned",              [0xc400_0003, 1, ENTRY + 2n, 0],                 -9n],
    ["entry in a device",              [0xc400_0003, 1, 0x0900_0000n, 0],               -9n],
    ["entry beyond RAM",               [0xc400_0003, 1, RAM.base + RAM.size, 0],        -9n],
    ["entry far away",                 [0xc400_0003, 1, 0xffff_ffff_ffff_fff0n, 0],     -9n],
    ["the PE itself",                  [0xc400_0003, 0, ENTRY, 0],                      -4n],
    ["the parameters come first",      [0xc400_0003, 0, 2n, 0],                         -9n],
    ["Aff3 does not fit into SMC32",   [0x8400_0003, 0x1_0000_0000n, ENTRY, 0],         -4n],  // w1 = 0: PE 0
    ["AFFINITY_INFO: no such PE",      [0xc400_0004, 7, 0],                             -2n],
    ["AFFINITY_INFO: a higher level",  [0xc400_0004, 0, 1],                             -2n],
    ["AFFINITY_INFO: on",              [0xc400_0004, 0, 0],                             0n],
    ["AFFINITY_INFO: off",             [0xc400_0004, 0x1_0000_0000n, 0],                1n],
  ])("%s", (_name, args, result) => {
    const b = new Bench();
    expect(b.call(...args)).toBe(result);
    expect(b.asked).toEqual([]);
  });

  it("starts a PE at its entry point with its context, with 64 and with 32-bit arguments", () => {
    const b = new Bench();
    expect(b.call(0xc400_0003, 0x1_0000_0000n, ENTRY, 0xfedc_ba98_7654_3210n)).toBe(0n);
    expect(b.call(0x8400_0003, 0xffff_ffff_0000_0001n, 0xffff_ffff_0000_0000n | ENTRY, 0xffff_ffff_0000_0005n)).toBe(0n);
    expect(b.asked.filter((a) => a.startsWith("on"))).toEqual(["on 3 0x40001000 18364758544493064720", "on 1 0x40001000 5"]);
    expect(b.pes[3]?.st.x(0)).toBe(0xfedc_ba98_7654_3210n);
    expect(b.pes[3]?.st.get(slot.ELR_EL3)).toBe(ENTRY);
    expect(b.call(0xc400_0003, 1, ENTRY, 0)).toBe(-4n);
  });

  it("goes through OFF, ON_PENDING, ON, OFF", () => {
    const b = new Bench();
    b.slowStart = true;
    const info = (): bigint => b.call(0xc400_0004, 0x100, 0);
    expect(info()).toBe(1n);
    expect(b.call(0xc400_0003, 0x100, ENTRY, 7)).toBe(0n);
    expect(info()).toBe(2n);
    expect(b.call(0xc400_0003, 0x100, ENTRY, 7)).toBe(-5n);
    const saved = b.agent.save();
    b.start(2, ENTRY, 7n);
    expect(info()).toBe(0n);
    b.smc([0x8400_0002], 2);
    expect(info()).toBe(1n);
    b.agent.restore(saved);
    expect(info()).toBe(2n);
    b.agent.reset();
    expect(info()).toBe(1n);
  });

  it("does not return from CPU_OFF", () => {
    const b = new Bench();
    b.smc([0x8400_0002], 1);
    expect(b.asked).toEqual(["off 1"]);
    expect(b.returns).toBe(0);
  });
});

describe("CPU_SUSPEND and the system", () => {
  // biome-ignore format: table
  it.each<[string, bigint, bigint, string]>([
    ["standby",                      0x0000_0000n, 0n,    "ok"],
    ["standby by its StateID",       0x0000_0001n, 0n,    "ok"],
    ["powerdown",                    0x0001_0000n, ENTRY, "ok"],
    ["powerdown of the cluster",     0x0101_0022n, ENTRY, "ok"],
    ["powerdown to nowhere",         0x0001_0000n, 4n,    "-9"],
    ["standby of the cluster",       0x0100_0000n, ENTRY, "-2"],
    ["level 2",                      0x0201_0000n, ENTRY, "-2"],
    ["unknown StateID",              0x0001_0003n, ENTRY, "-2"],
    ["reserved bits",                0x8000_0000n, ENTRY, "-2"],
    ["more than 32 bits",       0x1_0000_0000n, ENTRY, "-2"],
  ])("CPU_SUSPEND: %s", (_name, state, entry, result) => {
    const b = new Bench();
    expect(b.call(0xc400_0001, state, entry, 9).toString()).toBe(result === "ok" ? "0" : result);
    expect(b.asked).toEqual(result === "ok" ? ["suspend 0 x0=0"] : []);
    expect(b.returns).toBe(1);
  });

  it("SYSTEM_OFF and SYSTEM_RESET do not return", () => {
    const b = new Bench();
    b.smc([0x8400_0008]);
    b.smc([0x8400_0009]);
    expect(b.asked).toEqual(["system off", "system reset cold"]);
    expect(b.returns).toBe(0);
  });
});

describe("TRNG", () => {
  // biome-ignore format: table
  it.each<[string, (number | bigint)[], (number | bigint)[]]>([
    ["8 bits",             [0x8400_0053, 8],   [0, 0, 0, 0xa0]],
    ["12 bits",            [0x8400_0053, 12],  [0, 0, 0, 0x0a1]],
    ["96 bits of SMC32",   [0x8400_0053, 96],  [0, 0xa0a1a2a3, 0xa4a5a6a7, 0xa8a9aaab]],
    ["64 bits of SMC64",   [0xc400_0053, 64],  [0, 0, 0, 0xa0a1a2a3a4a5a6a7n]],
    ["100 bits of SMC64",  [0xc400_0053, 100], [0, 0, 0x0_a1a2a3a4n, 0xa5a6a7a8a9aaabacn]],
    ["192 bits of SMC64",  [0xc400_0053, 192], [0, 0xa0a1a2a3a4a5a6a7n, 0xa8a9aaabacadaeafn, 0xb0b1b2b3b4b5b6b7n]],
  ])("%s", (_name, args, results) => {
    expect(new Bench().smc(args).slice(0, 4)).toEqual(results.map(BigInt));
  });

  it.each([
    [0x8400_0053, 0],
    [0x8400_0053, 97],
    [0xc400_0053, 193],
  ])("%i refuses %i bits and leaves x1..x3", (fid, bits) => {
    const after = new Bench().smc([fid, bits]);
    expect(BigInt.asIntN(64, after[0] as bigint)).toBe(-2n);
    expect(after.slice(1, 4)).toEqual([BigInt(bits), 0xdead_0000_0000_0002n, 0xdead_0000_0000_0003n]);
  });

  it("has an identity", () => {
    const words = new Bench().smc([0x8400_0052]).slice(0, 4);
    expect(words.every((w) => w > 0n && w < 0xffff_ffffn)).toBe(true);
    expect(new Set(words).size).toBe(4);
  });
});

describe("the state a PE is started in", () => {
  it("gives EL2 everything the PE has", () => {
    const b = new Bench();
    const pe = b.pes[0] as AgentPe;
    pe.st.setX(5, 1n);
    b.start(0, ENTRY, 0x4800_0000n);
    expect([0, 5, 30].map((n) => pe.st.x(n))).toEqual([0x4800_0000n, 0n, 0n]);
    // D, A, I, F masked, EL2 with its own stack pointer
    expect(pe.st.get(slot.SPSR_EL3)).toBe(0x3c9n);
    expect(pe.st.get(slot.CNTFRQ_EL0)).toBe(1_000_000_000n);
    const scr = pe.st.get(slot.SCR_EL3);
    const bits = (list: number[]) => list.filter((n) => (scr >> BigInt(n)) & 1n);
    const on = [0, 8, 10, 16, 17, 27, 28, 38, 41, 43, 44, 45];
    const off = [1, 2, 3, 7, 12, 13, 14, 18, 26, 40, 48, 62];
    expect(bits(on)).toEqual(on);
    expect(bits(off)).toEqual([]);
    expect(pe.st.get(slot.CPTR_EL3) & 0xc010_0400n).toBe(0n); // TCPAC, TAM, TTA, TFP
    expect(pe.st.get(slot.MDCR_EL3) & 0x640n).toBe(0n); // TDOSA, TDA, TPM
    expect(b.asked).toEqual(["ICC_SRE_EL3=15"]);
  });

  it("sets no bit of a feature that is not there", () => {
    const b = new Bench(() => false);
    b.start(0, ENTRY, 0n);
    expect(b.pes[0]?.st.get(slot.SCR_EL3)).toBe(0x731n); // NS, RES1, HCE, SIF, RW
    expect(b.pes[0]?.st.get(slot.CPTR_EL3)).toBe(0n);
  });
});

describe("anything else", () => {
  it("panics on an exception that is not an SMC, naming it", () => {
    const b = new Bench();
    b.pes[1]?.st.set(slot.ESR_EL3, 0x6200_0000n);
    b.agent.handle(b.pes[1] as AgentPe, { vector: Vector.Sync, ec: Ec.SystemRegister, iss: 0, target: 3, next: 0 });
    expect(b.asked).toEqual([
      "panic 1 EL3: PE 1: unexpected exception: Trapped MSR, MRS or SYS; ESR_EL3=0x62000000 ELR_EL3=0x0 FAR_EL3=0x0",
    ]);
    b.agent.handle(b.pes[1] as AgentPe, { vector: Vector.Fiq, ec: 0, iss: 0, target: 3, next: 0 });
    expect(b.asked[1]).toContain("exception: FIQ;");
  });

  it("restores only what it saved", () => {
    for (const bad of [null, 5, {}, { pending: "1" }]) expect(() => new Bench().agent.restore(bad)).toThrow(EmuError);
  });

  it("survives any registers", () => {
    const b = new Bench();
    const fid = fc.oneof(fc.constantFrom(...callTable.flatMap((r) => [r.id32, r.id64])), fc.nat(0xffff_ffff));
    fc.assert(
      fc.property(fid, fc.array(fc.bigInt(0n, 2n ** 64n - 1n), { minLength: 5, maxLength: 5 }), (f, args) => {
        const before = b.returns + b.asked.length;
        b.smc([f, ...args]);
        // each call either goes back to the caller or has done something to the power of a PE or the system
        expect(b.returns + b.asked.length).toBeGreaterThan(before);
      }),
      { numRuns: 2000 },
    );
  });
});
