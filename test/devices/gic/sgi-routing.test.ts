// Software generated interrupts and the routing of shared ones between PEs.

import { describe, expect, it } from "vitest";
import type { RegName } from "../../../src/arch/registers/encodings.ts";
import { Pas } from "../../../src/arch/security.ts";
import { D, Fixture, type World } from "./fixture.ts";

/** PEs on which SGI `intid` is pending. */
const targets = (f: Fixture, intid: number) => f.st.map((_, pe) => pe).filter((pe) => f.bit(D.ISPENDR, intid, pe));
const sgi = (intid: number, o: { list?: number; aff1?: number; aff2?: number; aff3?: number; irm?: boolean; rs?: number }): bigint =>
  (BigInt(intid) << 24n) |
  BigInt(o.list ?? 0) |
  (BigInt(o.aff1 ?? 0) << 16n) |
  (BigInt(o.aff2 ?? 0) << 32n) |
  (BigInt(o.aff3 ?? 0) << 48n) |
  (o.irm ? 1n << 40n : 0n) |
  (BigInt(o.rs ?? 0) << 44n);

describe("targets of an SGI", () => {
  const affinities = [0x0, 0x1, 0x100, 0x0302_0104, 0x11];
  const send = (value: bigint) => {
    const f = new Fixture({ pes: 5, affinities }).openUp();
    f.run(1, 2, "nonsecure");
    f.w(1, "ICC_SGI1R_EL1", value);
    return targets(f, 3);
  };

  it("a list within a cluster, the sender included", () => {
    expect(send(sgi(3, { list: 0b11 }))).toEqual([0, 1]);
    expect(send(sgi(3, { list: 0b10 }))).toEqual([1]);
    expect(send(sgi(3, { list: 0b01, aff1: 1 }))).toEqual([2]);
    expect(send(sgi(3, { list: 1 << 4, aff1: 1, aff2: 2, aff3: 3 }))).toEqual([3]);
    expect(send(sgi(3, { list: 1 << 4, aff1: 1, aff2: 2 }))).toEqual([]);
    expect(send(sgi(3, { list: 0xffff, aff1: 7 }))).toEqual([]);
  });
  it("RS selects a range of Aff0", () => {
    expect(send(sgi(3, { list: 0b10, rs: 1 }))).toEqual([4]);
    expect(send(sgi(3, { list: 0b1, rs: 1 }))).toEqual([]);
  });
  it("RS is RES0 where no PE needs it", () => {
    const f = new Fixture({ pes: 2 }).openUp();
    f.run(0, 2, "nonsecure");
    f.w(0, "ICC_SGI1R_EL1", sgi(3, { list: 0b10, rs: 5 }));
    expect(targets(f, 3)).toEqual([1]);
  });
  it("IRM: everybody but the sender", () => {
    expect(send(sgi(3, { irm: true, list: 0xffff }))).toEqual([0, 2, 3, 4]);
  });
});

describe("group of an SGI", () => {
  /** INTID 5 configured as `group` with GICR_NSACR `nsacr`: does it become pending? */
  const accepted = (reg: RegName, el: 1 | 2 | 3, world: World, group: "G0" | "G1S" | "G1NS", nsacr = 0) => {
    const f = new Fixture().openUp();
    f.configure(5, { group });
    f.setSgi(0, D.NSACR, nsacr << 10);
    f.run(0, el, world);
    f.w(0, reg, sgi(5, { list: 1 }));
    return f.bit(D.ISPENDR, 5);
  };
  const groups = ["G0", "G1S", "G1NS"] as const;

  it("from Secure", () => {
    expect(groups.map((g) => accepted("ICC_SGI0R_EL1", 1, "secure", g))).toEqual([true, false, false]);
    expect(groups.map((g) => accepted("ICC_SGI1R_EL1", 1, "secure", g))).toEqual([true, true, false]);
    expect(groups.map((g) => accepted("ICC_ASGI1R_EL1", 1, "secure", g))).toEqual([false, false, true]);
    expect(groups.map((g) => accepted("ICC_SGI1R_EL1", 3, "secure", g))).toEqual([true, true, false]);
    expect(groups.map((g) => accepted("ICC_ASGI1R_EL1", 3, "secure", g))).toEqual([false, false, true]);
  });
  it("from Non-secure and Realm, with GICR_NSACR", () => {
    for (const world of ["nonsecure", "realm"] as const) {
      const at = (reg: RegName, nsacr: number) => groups.map((g) => accepted(reg, 2, world, g, nsacr));
      expect(at("ICC_SGI1R_EL1", 0)).toEqual([false, false, true]);
      expect(at("ICC_SGI0R_EL1", 0)).toEqual([false, false, false]);
      expect(at("ICC_SGI0R_EL1", 1)).toEqual([true, false, false]);
      expect(at("ICC_ASGI1R_EL1", 0)).toEqual([false, false, false]);
      expect(at("ICC_ASGI1R_EL1", 1)).toEqual([true, false, false]);
      expect(at("ICC_ASGI1R_EL1", 2)).toEqual([true, true, false]);
    }
  });
  it("with one Security state", () => {
    const at = (reg: RegName, group1: boolean) => {
      const f = new Fixture({ singleSecurity: true });
      f.setSgi(0, D.IGROUPR, group1 ? 0xffff_ffff : 0);
      f.run(0, 2, "nonsecure");
      f.w(0, reg, sgi(5, { list: 1 }));
      return f.bit(D.ISPENDR, 5);
    };
    expect([at("ICC_SGI1R_EL1", true), at("ICC_SGI1R_EL1", false)]).toEqual([true, false]);
    expect([at("ICC_SGI0R_EL1", true), at("ICC_SGI0R_EL1", false)]).toEqual([false, true]);
    expect([at("ICC_ASGI1R_EL1", true), at("ICC_ASGI1R_EL1", false)]).toEqual([false, true]);
  });

  it("is delivered, and a second one meanwhile is lost", () => {
    const f = new Fixture({ pes: 2 }).openUp();
    f.configure(5, { pe: 1 });
    for (const pe of [0, 1]) f.run(pe, 1, "nonsecure");
    f.w(0, "ICC_SGI1R_EL1", sgi(5, { list: 2 }));
    f.w(0, "ICC_SGI1R_EL1", sgi(5, { irm: true }));
    expect([f.lines(0), f.lines(1)]).toEqual(["", "IRQ"]);
    expect(f.r(1, "ICC_IAR1_EL1")).toBe(5);
    f.w(1, "ICC_EOIR1_EL1", 5);
    expect(f.r(1, "ICC_IAR1_EL1")).toBe(1023);
  });
});

describe("routing of SPIs", () => {
  const A = 40;
  const open = (oneOfN: boolean) => {
    const f = new Fixture({ pes: 3, affinities: [0, 1, 0x0201_0003], oneOfN }).openUp();
    f.configure(A);
    f.gic.spi(A - 32).set(true);
    for (const pe of [0, 1, 2]) f.run(pe, 1, "nonsecure");
    return f;
  };
  const who = (f: Fixture) => [0, 1, 2].filter((pe) => f.lines(pe) === "IRQ");
  const route = (f: Fixture, low: number, high = 0) => {
    f.setD(D.IROUTER + 8 * A, low);
    f.setD(D.IROUTER + 8 * A + 4, high);
  };

  it("by affinity; nobody when there is no such PE", () => {
    const f = open(false);
    expect(who(f)).toEqual([0]);
    route(f, 1);
    expect(who(f)).toEqual([1]);
    route(f, 0x01_0003, 2);
    expect(who(f)).toEqual([2]);
    route(f, 0x01_0003, 3);
    expect(who(f)).toEqual([]);
    expect(f.bit(D.ISPENDR, A)).toBe(true);
    route(f, 0);
    expect(who(f)).toEqual([0]);
  });

  it("an interrupt that is active elsewhere can be deactivated from any PE", () => {
    const f = open(false);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(A);
    route(f, 1);
    expect(who(f)).toEqual([]);
    f.w(0, "ICC_EOIR1_EL1", A);
    expect(who(f)).toEqual([1]);
  });

  it("IRM is stored and ignored while TYPER.No1N = 1", () => {
    const f = open(false);
    route(f, 0x8000_0001);
    expect(who(f)).toEqual([1]);
  });

  it("1-of-N: any PE that takes part", () => {
    const f = open(true);
    route(f, 0x8000_0001);
    expect(who(f)).toEqual([0]);
    f.setRd(0, 0x14, 2);
    expect(who(f)).toEqual([1]);
    f.w(1, "ICC_IGRPEN1_EL1", 0);
    expect(who(f)).toEqual([2]);
    f.setRd(2, 0x14, 2);
    expect(who(f)).toEqual([]);
    f.setRd(0, 0x14, 0);
    expect(who(f)).toEqual([0]);
    // A change of group changes who takes part.
    f.w(0, "ICC_IGRPEN1_EL1", 0);
    expect(who(f)).toEqual([]);
    f.pas = Pas.Root;
    f.configure(A, { group: "G0" });
    expect(f.lines(0)).toBe("FIQ");
  });
});
