// The EL3 monitor: its table, world switch, and the boot ABI and services of an RMM image. The test plays the image: it sets registers
// at R-EL2 and executes SMC.

import { describe, expect, it } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import type { RegName } from "../../src/arch/registers/encodings.ts";
import { Security } from "../../src/arch/security.ts";
import { sysRegs } from "../../src/cpu/sysreg-access.ts";
import { bootManifest } from "../../src/el3/monitor-boot.ts";
import { firmeServices } from "../../src/el3/monitor-firme.ts";
import { services } from "../../src/el3/monitor-services.ts";
import { Gpi } from "../../src/gpt/format.ts";
import { Access, Bench, RAM, SECURE_GRANULE, slot } from "../rmm/bench.ts";
import { BASE, complete, IMAGE, imageBench, minus, RESERVE, SHARED, smc, start, V0_8, V2 } from "./image-bench.ts";

const VERSIONS = [V2, V0_8] as const;

describe("boot of an RMM image", () => {
  it.each(VERSIONS)("enters it with interface 0x%s as the boot ABI says, then the Non-secure world", (version) => {
    const b = imageBench(version);
    const { st } = b.pe();
    expect([st.x(0), st.x(1), st.x(2), st.x(3), st.x(4)]).toEqual([0n, version, 2n, BigInt(SHARED), 0n]);
    expect(st.pc).toBe(BigInt(BASE));
    expect([st.lo(Off.EL), st.lo(Off.SPSEL), st.lo(Off.DAIF)]).toEqual([2, 1, 15]);
    expect(st.get(slot.SCTLR_EL2)).toBe(0x30c5_0830n);
    expect([...b.read(BASE, 4)]).toEqual([...IMAGE]);
    complete(b);
    expect([st.el, b.pe().security, st.pc, st.x(0), st.x(1)]).toEqual([2, Security.NonSecure, 0x4000_1000n, 0x77n, 0n]);
    expect(b.log).toEqual(["EL3: PE 0: RMM boot complete"]);
  });

  it("offers 2.0 first; a refusal begins anew with 0.8, from a fresh image", () => {
    const b = imageBench();
    const { st } = b.pe();
    b.write(BASE, Uint8Array.of(9, 9, 9, 9));
    b.write(SHARED, new Uint8Array(16).fill(9));
    st.setX(20, 0xbadn);
    st.set(slot.TTBR0_EL2, 0xbadn);
    expect(smc(b, 0xc400_01bb, 0x4000, 0)[0]).toBe(0n);
    complete(b, 0, 0, -2);
    expect([st.x(1), st.x(20), st.get(slot.TTBR0_EL2), st.pc]).toEqual([V0_8, 0n, 0n, BigInt(BASE)]);
    expect([...b.read(BASE, 4)]).toEqual([...IMAGE]);
    expect([...b.read(SHARED, 4)]).toEqual([5, 0, 0, 0]);
    expect(smc(b, 0xc400_01bb, 0x4000, 0).slice(0, 2)).toEqual([0n, BigInt(RESERVE.base)]);
    complete(b);
    expect(b.atHost()).toBe(true);
  });

  it("says which versions there are when none fits", () => {
    const b = imageBench(0n);
    expect(b.atHost()).toBe(true);
    expect(b.log).toEqual([
      "EL3: PE 0: RMM boot failed: it supports none of the versions of the RMM-EL3 interface that this EL3 has: 2.0, 0.8",
    ]);
    expect(b.smc(0xc400_0150, [0x1_0000])?.[0]).toBe(minus(1));
  });

  it.each(VERSIONS)("boots the other PEs warm, and each PE again with the token that it returned (interface 0x%s)", (version) => {
    const b = imageBench(version);
    complete(b, 0x1234);
    expect(start(b, 1)).toEqual([BigInt(BASE), 1n, 0n, 0n, 0n, 0n, 2n]);
    complete(b, 2n ** 63n + 5n, 1);
    expect(start(b, 1).slice(0, 5)).toEqual([BigInt(BASE), 1n, 2n ** 63n + 5n, 0n, 0n]);
    complete(b, 7, 1);
    expect(start(b, 1).slice(1, 3)).toEqual([1n, 7n]);
    expect(start(b, 0).slice(0, 5)).toEqual([BigInt(BASE), 0n, 0x1234n, 0n, 0n]);
  });

  it("after a system reset everything is as at first: 2.0, and no tokens", () => {
    const b = imageBench(V0_8);
    complete(b, 0x1234);
    b.monitor.reset();
    expect(start(b, 0).slice(1, 6)).toEqual([0n, V2, 2n, BigInt(SHARED), 0n]);
    complete(b, 5);
    expect(start(b, 1)[2]).toBe(0n);
  });

  it.each([
    [-1, "unknown error"],
    [-7, "invalid data in the boot manifest"],
    [-8, "not enough memory from EL3 (RMM_RESERVE_MEMORY)"],
    [-99, "code -99"],
  ])("goes on without an RMM that fails with %i, and says why", (code, why) => {
    const b = imageBench();
    complete(b, 0, 0, code);
    expect(b.atHost()).toBe(true);
    expect(b.log).toEqual([`EL3: PE 0: RMM boot failed: ${why}`]);
    expect(b.smc(0xc400_0150, [0x1_0000])?.[0]).toBe(minus(1));
    start(b, 1);
    expect(b.pe(1).security).toBe(Security.NonSecure);
  });

  it("one that fails on another PE is entered on none any more", () => {
    const b = imageBench();
    complete(b);
    start(b, 1);
    complete(b, 0, 1, -2); // too late for another version
    expect(b.pe(1).security).toBe(Security.NonSecure);
    expect(b.log.at(-1)).toMatch(/^EL3: PE 1: RMM boot failed: it supports none/);
    expect(b.smc(0xc400_0150, [0x1_0000])?.[0]).toBe(minus(1));
  });

  it("the manifest has the sums of the interface", () => {
    const m = bootManifest(SHARED, { banks: [RAM], consoles: [{ base: 0x0900_0000, pages: 1, clockHz: 1, baud: 115200 }] });
    const word = (at: number): bigint => new DataView(m.buffer).getBigUint64(at, true);
    expect([word(0), word(16), word(24)]).toEqual([5n, 1n, BigInt(SHARED + 168)]);
    expect(BigInt.asUintN(64, word(16) + word(24) + word(32) + word(168) + word(176))).toBe(0n);
    const console = Number(word(48)) - SHARED;
    let sum = word(40) + word(48) + word(56);
    for (let at = console; at < console + 48; at += 8) sum += word(at);
    expect(BigInt.asUintN(64, sum)).toBe(0n);
    expect(Buffer.from(m.slice(console + 16, console + 24)).toString()).toBe("pl011\0\0\0");
    expect([word(64), word(72), word(80), word(160)]).toEqual([0n, 0n, 0n, 0n]);
  });
});

/** EL2 registers of the PE that hold state of their world. Timers, list registers and the Secure world's stage 2 are nobody's at EL3. */
function stateOfEl2(b: Bench): RegName[] {
  const notSwitched = /^(ICH_|ICC_|CNTH[PV]S?_|VSTTBR|VSTCR)/;
  const { records } = sysRegs(b.pe().features).set;
  return records
    .filter((r) => r.writeEl === 2 && /_EL2$/.test(r.name) && r.writable !== 0n && !notSwitched.test(r.name))
    .map((r) => r.name);
}

describe("RMI over an image", () => {
  it.each([
    [V2, "eight", [10n, 11n, 12n, 13n, 14n, 15n, 16n, 17n]],
    [V0_8, "five", [10n, 11n, 12n, 13n, 14n, 5n, 6n, 7n]],
  ] as const)("interface 0x%s: x0..x7 to the image, %s results back; each world keeps its own registers", (version, _count, results) => {
    const b = imageBench(version);
    const { st } = b.pe();
    st.setX(20, 0x20n);
    st.set(slot.TPIDR_EL2, 0x1234n);
    complete(b);
    const names: RegName[] = [...stateOfEl2(b), "SP_EL0", "APGAKEYHI_EL1"];
    for (const [i, n] of names.entries()) st.set(slot[n], 0x8000_0000n + BigInt(i << 12));
    expect(b.smc(0xc400_0151, [1, 2, 3, 4, 5, 6, 7])).toBeUndefined();
    expect(Array.from({ length: 8 }, (_, n) => st.x(n))).toEqual([0xc400_0151n, 1n, 2n, 3n, 4n, 5n, 6n, 7n]);
    expect(st.x(20)).toBe(0x20n);
    expect(st.x(9)).toBe(0n);
    expect([st.get(slot.TPIDR_EL2), st.get(slot.TTBR0_EL2)]).toEqual([0x1234n, 0n]);
    for (const n of names) st.set(slot[n], 0xbadn);
    smc(b, 0xc400_018f, 10, 11, 12, 13, 14, 15, 16, 17, 18);
    expect(b.atHost()).toBe(true);
    expect(Array.from({ length: 8 }, (_, n) => st.x(n))).toEqual([...results]);
    expect(st.x(8)).toBe(0xb0b0_0000_0000_0008n);
    expect(st.x(9)).toBe(0xb0b0_0000_0000_0009n);
    for (const [i, n] of names.entries()) expect(st.get(slot[n]), n).toBe(0x8000_0000n + BigInt(i << 12));
    expect(st.pc).toBe(0x4000_1004n);
  });

  it.each([
    [V2, "left as it is", { image: 3n, host: 5n }],
    [V0_8, "switched", { image: 0n, host: 3n }],
  ] as const)("interface 0x%s: the virtual CPU interface is %s", (version, _how, seen) => {
    const b = imageBench(version);
    const gic = b.pe().gic;
    complete(b);
    gic?.write("ICH_HCR_EL2", 3n);
    b.smc(0xc400_0151, [1]);
    expect(gic?.read("ICH_HCR_EL2")).toBe(seen.image);
    gic?.write("ICH_HCR_EL2", 5n);
    smc(b, 0xc400_018f, 0);
    expect(gic?.read("ICH_HCR_EL2")).toBe(seen.host);
  });

  it("services: granule transitions", () => {
    const b = imageBench();
    const g = b.granule();
    expect(smc(b, 0xc400_01b0, g)[0]).toBe(0n);
    expect(b.monitor.gpt.gpi(g)).toBe(Gpi.Realm);
    expect(smc(b, 0xc400_01b0, g)[0]).toBe(minus(3));
    expect(smc(b, 0xc400_01b0, g + 8)[0]).toBe(minus(2));
    expect(smc(b, 0xc400_01b0, 1n << 45n)[0]).toBe(minus(2));
    expect(smc(b, 0xc400_01b0, SECURE_GRANULE)[0]).toBe(minus(3));
    expect(smc(b, 0xc400_01b1, g)[0]).toBe(0n);
    expect(smc(b, 0xc400_01b1, g)[0]).toBe(minus(3));
  });

  it("services: keys and tokens through the shared buffer, in pieces", () => {
    const b = imageBench();
    expect(smc(b, 0xc400_01b2, SHARED, 4096, 0).slice(0, 2)).toEqual([0n, 48n]);
    expect([...b.read(SHARED, 48)]).toEqual([...b.monitor.realmKey()]);
    for (const [bad, error] of [
      [[SHARED - 8, 48, 0], 2],
      [[SHARED + 4096, 48, 0], 2],
      [[SHARED - 8, 5000, 1], 2], // the start decides first
      [[SHARED + 4090, 48, 0], 5],
      [[SHARED, 4097, 0], 5],
      [[SHARED, 2n ** 64n - 1n, 0], 5],
    ] as const) {
      expect(smc(b, 0xc400_01b2, ...bad)[0]).toBe(minus(error));
      expect(smc(b, 0xc400_01b3, bad[0], bad[1], 32)[0]).toBe(minus(error));
    }
    expect(smc(b, 0xc400_01b2, SHARED, 47, 0)[0]).toBe(minus(5));
    expect(smc(b, 0xc400_01b2, SHARED, 48, 1)[0]).toBe(minus(5));
    const challenge = new Uint8Array(32).fill(9);
    const whole = b.monitor.platformToken(challenge);
    b.write(SHARED, challenge);
    const parts: number[] = [];
    let x = smc(b, 0xc400_01b3, SHARED, 100, 32);
    for (;;) {
      parts.push(...b.read(SHARED, Number(x[1])));
      expect(x[2]).toBe(BigInt(whole.length - parts.length));
      if (x[2] === 0n) break;
      x = smc(b, 0xc400_01b3, SHARED, 100, 0);
    }
    expect(parts).toEqual([...whole]);
    expect(smc(b, 0xc400_01b3, SHARED, 100, 0)[0]).toBe(minus(5));
    expect(smc(b, 0xc400_01b3, SHARED, 100, 33)[0]).toBe(minus(5));
  });

  it("services: features; the rest is unknown, and nobody else may call", () => {
    const b = imageBench();
    expect(smc(b, 0xc400_01b4, 0).slice(0, 2)).toEqual([0n, 1n]); // EL3 signs tokens
    expect(smc(b, 0xc400_01b4, 1)[0]).toBe(minus(5));
    for (const fid of [0xc400_01b7, 0xc400_01c0, 0xc400_0150, 0xc400_0413]) expect(smc(b, fid)[0]).toBe(minus(1));
    expect(smc(b, 0x8400_0000)[0]).toBe(minus(1));
    expect(smc(b, 0x8400_0050)[0]).toBe(0x1_0000n);
    complete(b);
    for (const [fid] of [...services, ...firmeServices]) expect(b.smc(fid, [b.granule()])?.[0]).toBe(minus(1));
    expect(b.smc(0x8400_0000, [])?.[0]).toBe(0x1_0001n);
  });

  it("services: reserved memory is aligned as asked, never given twice, and ends", () => {
    const b = imageBench();
    const reserve = (size: number | bigint, args: bigint): bigint[] => smc(b, 0xc400_01bb, size, args).slice(0, 2);
    const log2 = (n: number): bigint => BigInt(n) << 56n;
    const at = (offset: number): bigint => BigInt(RESERVE.base + offset);
    for (const args of [2n, 1n << 31n, 1n << 32n, 1n << 55n]) expect(reserve(4096, args)[0]).toBe(minus(5));
    expect(reserve(0, 0n)[0]).toBe(minus(5));
    expect(reserve(0x4001, 0n)[0]).toBe(minus(4));
    expect(reserve(2n ** 64n - 1n, 0n)[0]).toBe(minus(4));
    for (const n of [30, 63, 255]) expect(reserve(4096, log2(n))[0]).toBe(minus(4));
    expect(reserve(1, log2(0))).toEqual([0n, at(0)]);
    expect(reserve(4096, log2(13) | 1n)).toEqual([0n, at(0x2000)]);
    expect(reserve(4096, log2(12))).toEqual([0n, at(0x3000)]);
    expect(reserve(1, 0n)[0]).toBe(minus(4));
  });

  it.each(VERSIONS)("survives a snapshot in the middle of a call (interface 0x%s)", (version) => {
    const b = imageBench(version);
    expect(smc(b, 0xc400_01bb, 0x1000, 0)[1]).toBe(BigInt(RESERVE.base));
    complete(b, 0x1234);
    b.smc(0xc400_0151, [1]);
    const saved = b.monitor.save();
    b.monitor.reset();
    b.monitor.restore(saved);
    expect(smc(b, 0xc400_01bb, 0x1000, 0)[1]).toBe(BigInt(RESERVE.base + 0x1000));
    smc(b, 0xc400_018f, 10, 11, 12, 13, 14, 15);
    expect(b.atHost()).toBe(true);
    expect(b.pe().st.x(0)).toBe(10n);
    expect(b.pe().st.x(5) === 15n).toBe(version === V2);
    expect(start(b, 0)[2]).toBe(0x1234n);
  });
});

describe("the granule protection table", () => {
  it("is Root memory that nobody below EL3 reaches", () => {
    const b = new Bench();
    expect(b.hostAccess(b.monitor.gpt.layout.l0)).not.toBe("ok");
    expect(b.hostAccess(b.monitor.gpt.layout.l1, Access.Write)).not.toBe("ok");
    expect(b.hostAccess(RAM.base)).toBe("ok");
    expect(b.hostAccess(SECURE_GRANULE)).not.toBe("ok");
  });

  it("a change takes the translations of all PEs with it", () => {
    const b = new Bench();
    const g = b.granule();
    for (const pe of b.pes) expect(pe.mmu.translate(g | 0, 0, Access.Read, false)).toBe(true);
    b.ok("GRANULE_DELEGATE", g);
    for (const pe of b.pes) expect(pe.mmu.translate(g | 0, 0, Access.Read, false)).toBe(false);
  });

  it("needs room for its tables", () => {
    const b = new Bench();
    (b.monitor.gpt.layout as { l1Size: number }).l1Size = 0x2_0000;
    expect(() => b.monitor.gpt.build()).toThrow(/level 1/);
  });
});
