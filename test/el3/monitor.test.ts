// The EL3 monitor: its table, world switch, and the boot ABI and services of an RMM image. The test plays the image: it sets registers
// at R-EL2 and executes SMC.

import { describe, expect, it } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import type { RegName } from "../../src/arch/registers/encodings.ts";
import { Security } from "../../src/arch/security.ts";
import { sysRegs } from "../../src/cpu/sysreg-access.ts";
import { bootManifest } from "../../src/el3/monitor-boot.ts";
import { services } from "../../src/el3/monitor-services.ts";
import { Gpi } from "../../src/gpt/format.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import { Access, Bench, RAM, SECURE_GRANULE, slot } from "../rmm/bench.ts";

const BASE = RAM.base + 0x200_0000;
const SHARED = BASE + 0x1_0000;
const IMAGE = Uint8Array.of(1, 2, 3, 4);

/** A machine whose RMM is an image; PE 0 stands at its entry point. */
function imageBench(): Bench {
  const b = new Bench();
  // Bench registers an agent and starts the PEs with it: start again without.
  b.monitor.useAgent(undefined as never);
  b.monitor.reset();
  b.monitor.gpt.layout.regions satisfies readonly object[];
  (b.monitor.gpt.layout.regions as { base: number; size: number; gpi: Gpi }[]).push({ base: BASE, size: 0x10_0000, gpi: Gpi.Realm });
  b.monitor.useImage({
    base: BASE,
    image: IMAGE,
    shared: SHARED,
    reserve: { base: BASE + 0x2_0000, size: 0x4000 },
    manifest: { banks: [RAM], consoles: [{ base: 0x0900_0000, pages: 1, clockHz: 1, baud: 115200 }] },
  });
  for (const pe of b.pes) pe.setAgent(2, Security.Realm, undefined);
  b.pe().reset();
  b.monitor.coldBoot(b.pe(), 0x4000_1000n, 0x77n);
  return b;
}

/** An SMC of the image: x0..x7 afterwards. */
function smc(b: Bench, fid: number, ...args: (number | bigint)[]): bigint[] {
  const { st } = b.pe();
  expect([st.el, b.pe().security]).toEqual([2, Security.Realm]);
  st.setX(0, BigInt(fid));
  for (const [i, a] of args.entries()) st.setX(i + 1, BigInt.asUintN(64, BigInt(a)));
  b.pe().system(SysOp.SMC, 0xd400_0003);
  return Array.from({ length: 8 }, (_, n) => st.x(n));
}
const minus = (n: number): bigint => BigInt.asUintN(64, BigInt(-n));
const complete = (b: Bench): void => void smc(b, 0xc400_01cf, 0, 0);

describe("boot of an RMM image", () => {
  it("enters it as the boot ABI says, then the Non-secure world", () => {
    const b = imageBench();
    const { st } = b.pe();
    expect([st.x(0), st.x(1), st.x(2), st.x(3), st.x(4)]).toEqual([0n, 8n, 2n, BigInt(SHARED), 0n]);
    expect(st.pc).toBe(BigInt(BASE));
    expect([st.lo(Off.EL), st.lo(Off.SPSEL), st.lo(Off.DAIF)]).toEqual([2, 1, 15]);
    expect(st.get(slot.SCTLR_EL2)).toBe(0x30c5_0830n);
    expect([...b.read(BASE, 4)]).toEqual([...IMAGE]);
    complete(b);
    expect([st.el, b.pe().security, st.pc, st.x(0), st.x(1)]).toEqual([2, Security.NonSecure, 0x4000_1000n, 0x77n, 0n]);
    expect(b.log).toEqual(["EL3: PE 0: RMM boot complete"]);
  });

  it("boots the other PEs warm", () => {
    const b = imageBench();
    complete(b);
    b.pe(1).reset();
    b.monitor.coldBoot(b.pe(1), 0x4000_2000n, 0n);
    const { st } = b.pe(1);
    expect([st.x(0), st.x(1), st.x(2), st.x(3)]).toEqual([1n, 0n, 0n, 0n]);
    expect(st.pc).toBe(BigInt(BASE));
  });

  it("goes on without an RMM that fails, and says why", () => {
    const b = imageBench();
    smc(b, 0xc400_01cf, -7);
    expect(b.atHost()).toBe(true);
    expect(b.log).toEqual(["EL3: PE 0: RMM boot failed: invalid data in the boot manifest"]);
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
  it("takes x0..x7 to the image and five results back; each world keeps its own registers", () => {
    const b = imageBench();
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
    smc(b, 0xc400_018f, 10, 11, 12, 13, 14, 15, 16);
    expect(b.atHost()).toBe(true);
    expect(Array.from({ length: 8 }, (_, n) => st.x(n))).toEqual([10n, 11n, 12n, 13n, 14n, 5n, 6n, 7n]);
    expect(st.x(9)).toBe(0xb0b0_0000_0000_0009n);
    for (const [i, n] of names.entries()) expect(st.get(slot[n]), n).toBe(0x8000_0000n + BigInt(i << 12));
    expect(st.pc).toBe(0x4000_1004n);
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
    for (const bad of [
      [SHARED - 8, 48, 0],
      [SHARED + 4090, 48, 0],
      [SHARED, 4097, 0],
    ] as const)
      expect(smc(b, 0xc400_01b2, ...bad)[0]).toBe(minus(2));
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

  it("services: features, reserved memory; the rest is unknown, and nobody else may call", () => {
    const b = imageBench();
    expect(smc(b, 0xc400_01b4, 0).slice(0, 2)).toEqual([0n, 0n]);
    expect(smc(b, 0xc400_01bb, 0x2000, 0).slice(0, 2)).toEqual([0n, BigInt(BASE + 0x2_0000)]);
    expect(smc(b, 0xc400_01bb, 0x4000, 0)[0]).toBe(minus(4));
    for (const fid of [0xc400_01b5, 0xc400_01b7, 0xc400_01c0, 0xc400_0150]) expect(smc(b, fid)[0]).toBe(minus(1));
    expect(smc(b, 0x8400_0000)[0]).toBe(minus(1));
    expect(smc(b, 0x8400_0050)[0]).toBe(0x1_0000n);
    complete(b);
    for (const [fid] of services) expect(b.smc(fid, [b.granule()])?.[0]).toBe(minus(1));
    expect(b.smc(0x8400_0000, [])?.[0]).toBe(0x1_0001n);
  });

  it("survives a snapshot in the middle of a call", () => {
    const b = imageBench();
    complete(b);
    b.smc(0xc400_0151, [1]);
    const saved = b.monitor.save();
    b.monitor.reset();
    b.monitor.restore(saved);
    smc(b, 0xc400_018f, 10);
    expect(b.atHost()).toBe(true);
    expect(b.pe().st.x(0)).toBe(10n);
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
