// CPU descriptions and the ID registers they produce.

import { describe, expect, it } from "vitest";
import { cpuHelp, cpuProfile, featureNames, idRegisters, parseCpu, profileNames } from "../../src/arch/features.ts";
import { encodings } from "../../src/arch/registers/encodings.ts";
import { registerSet } from "../../src/arch/registers/index.ts";

const field = (v: bigint | undefined, lo: number): number => Number(((v ?? 0n) >> BigInt(lo)) & 15n);

describe("CPU descriptions", () => {
  it("options switch features with what they need, both ways", () => {
    expect(parseCpu("max").has("LSE2")).toBe(true);
    const noLse = parseCpu("max,lse=off");
    expect([noLse.has("LSE"), noLse.has("LSE2"), noLse.has("CRC32")]).toEqual([false, false, true]);
    expect(parseCpu("cortex-a53,sha3=on").has("SHA512")).toBe(true);
    expect(parseCpu("cortex-a53,SHA3").has("SHA1")).toBe(true);
    expect(parseCpu("max,x-rme=on,x-l0gptsz=36")).toMatchObject({ l0gptsz: 36, names: parseCpu("max,rme=on").names });
    // QEMU's options for what is so anyway.
    expect(parseCpu("max,x-rme=on,sve=off,sme=off,pauth-impdef=on").names).toEqual(parseCpu("max,rme=on").names);
    expect(parseCpu("max,pmu=off").has("PMUv3p7")).toBe(false);
    expect(() => parseCpu("max,sme=on")).toThrow(/only sme=off is supported/);
    expect(parseCpu("max,pa=40").paBits).toBe(40);
    expect(parseCpu("max,lpa2=off").paBits).toBe(48);
  });
  it("the help names every CPU and every feature with what it needs", () => {
    const text = cpuHelp();
    for (const name of [...profileNames, ...featureNames]) expect(text).toMatch(new RegExp(`\\b${name}\\b`));
    expect(text).toMatch(/^ {2}LSE2 +max {2}needs LSE$/m);
    expect(text).toMatch(/^ {2}RME +needs EL3 SEL2/m);
  });
  it("unknown names are errors that list what exists", () => {
    expect(() => parseCpu("cortex-a999")).toThrow(/neoverse-n1/);
    expect(() => parseCpu("max,flux=on")).toThrow(/RDM.*PMUv3/);
    expect(() => parseCpu("max,lse=maybe")).toThrow(/lse=on or lse=off/);
    expect(() => parseCpu("max,pa=43")).toThrow(/44/);
  });
});

describe("ID registers", () => {
  it("announce the features of max", () => {
    const id = idRegisters(cpuProfile("max"));
    expect(id.ID_AA64ISAR0_EL1).toBe(0x1221_1111_1021_2120n);
    expect(id.ID_AA64ISAR1_EL1).toBe(0x0111_1111_1021_1502n);
    expect(id.ID_AA64ISAR2_EL1).toBe(0x2n);
    expect(id.ID_AA64PFR0_EL1).toBe(0x1201_0000_1111_1111n);
    expect(id.ID_AA64PFR1_EL1).toBe(0x21n);
    expect(id.ID_AA64MMFR0_EL1).toBe(0x2100_0000_1020_1026n);
    expect(id.ID_AA64MMFR1_EL1).toBe(0x1011_0120_1031_2122n);
    expect(id.ID_AA64MMFR2_EL1).toBe(0x1221_0111_1001_1011n);
    expect(id.CTR_EL0).toBe(0xb444_c004n);
  });
  it("every feature shows up in some register", () => {
    for (const f of featureNames) {
      const without = JSON.stringify(Object.values(idRegisters(parseCpu(`max,${f}=off`))).map(String));
      const withIt = JSON.stringify(Object.values(idRegisters(parseCpu(`max,${f}=on`))).map(String));
      expect(withIt, f).not.toBe(without);
    }
  });
  it("older profiles announce less", () => {
    const id = idRegisters(cpuProfile("cortex-a53"));
    expect(field(id.ID_AA64ISAR0_EL1, 20)).toBe(0);
    expect(field(id.ID_AA64MMFR1_EL1, 8)).toBe(0);
    expect(field(id.ID_AA64MMFR0_EL1, 0)).toBe(2);
    expect(id.MIDR_EL1).toBe(0x410f_d034n);
    expect(field(id.ID_AA64MMFR0_EL1, 28)).toBe(0);
    // Firmware that knows these cores sets up the PMU without asking.
    expect(field(id.ID_AA64DFR0_EL1, 8)).toBe(1);
    expect(field(idRegisters(cpuProfile("cortex-a76")).ID_AA64DFR0_EL1, 8)).toBe(4);
  });
});

describe("register records", () => {
  it("encodings are unique, and every profile's records parse", () => {
    const keys = encodings.filter((e) => e[1] !== 0).map((e) => e.slice(1).join(","));
    expect(new Set(keys).size).toBe(keys.length);
    for (const p of profileNames) expect(registerSet(cpuProfile(p)).records.length).toBeGreaterThan(200);
  });
  it("fields do not overlap and RES1 bits are not writable", () => {
    for (const r of registerSet(parseCpu("max,rme=on,pmuv3p7=on,sel2=on")).records) {
      let seen = 0n;
      for (const f of r.fields) {
        const mask = ((1n << BigInt(f.hi - f.lo + 1)) - 1n) << BigInt(f.lo);
        expect(seen & mask, `${r.name}.${f.name}`).toBe(0n);
        seen |= mask;
      }
      expect(r.ones & r.writable, r.name).toBe(0n);
    }
  });
});
