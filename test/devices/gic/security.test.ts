// Two Security states: what Non-secure and Realm software may see and do, and which line a group takes.

import { describe, expect, it } from "vitest";
import { Pas } from "../../../src/arch/security.ts";
import { D, Fixture, Scr, type World } from "./fixture.ts";

const A = 40;
const BIT = 1 << (A & 31);

/** One interrupt of `group` at `priority` pending for PE 0. */
function with_(group: "G0" | "G1S" | "G1NS", priority = 0x40): Fixture {
  const f = new Fixture().openUp();
  f.configure(A, { group, priority, edge: true });
  f.gic.spi(A - 32).set(true);
  return f;
}

describe("lines", () => {
  // group, at EL3, Secure, Non-secure, Realm
  it.each([
    ["G0", "FIQ", "FIQ", "FIQ", "FIQ"],
    ["G1S", "FIQ", "IRQ", "FIQ", "FIQ"],
    ["G1NS", "FIQ", "FIQ", "IRQ", "IRQ"],
  ] as const)("%s", (group, el3, secure, nonsecure, realm) => {
    const f = with_(group);
    for (const [world, line] of [
      ["secure", secure],
      ["nonsecure", nonsecure],
      ["realm", realm],
    ] as [World, string][]) {
      f.run(0, 3, world);
      expect(f.lines(), `EL3 above ${world}`).toBe(el3);
      for (const el of [0, 1, 2] as const) {
        f.run(0, el, world);
        expect(f.lines(), `${world} EL${el}`).toBe(line);
      }
    }
  });

  it("with one Security state Group 0 is FIQ and Group 1 IRQ everywhere", () => {
    const f = new Fixture({ singleSecurity: true }).openUp();
    f.pas = Pas.NonSecure;
    f.configure(A, { priority: 0x40, edge: true });
    f.gic.spi(A - 32).set(true);
    for (const el of [0, 1, 2, 3] as const) {
      f.run(0, el, "nonsecure");
      expect(f.lines()).toBe("IRQ");
    }
    f.setD(D.IGROUPR + 4, ~BIT);
    expect(f.lines()).toBe("FIQ");
    f.run(0, 2, "nonsecure");
    // IGRPMODR does not exist.
    f.setD(D.IGRPMODR + 4, BIT);
    expect(f.d(D.IGRPMODR + 4)).toBe(0);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(1023);
    expect(f.r(0, "ICC_IAR0_EL1")).toBe(A);
    f.w(0, "ICC_EOIR0_EL1", A);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0xff);
  });
});

describe("acknowledge", () => {
  // group; EL3: IAR0, IAR1; Secure EL1: IAR0, IAR1; Non-secure EL2: IAR0, IAR1
  it.each([
    ["G0", [A, 1023], [A, 1023], [1023, 1023]],
    ["G1S", [1020, A], [1023, A], [1023, 1023]],
    ["G1NS", [1021, A], [1023, 1023], [1023, A]],
  ] as const)("%s", (group, el3, secure, nonsecure) => {
    const read = (el: 1 | 2 | 3, world: World, zero: boolean, hpp: boolean) => {
      const f = with_(group);
      f.run(0, el, world);
      const value = f.r(0, hpp ? (zero ? "ICC_HPPIR0_EL1" : "ICC_HPPIR1_EL1") : zero ? "ICC_IAR0_EL1" : "ICC_IAR1_EL1");
      expect(f.bit(D.ISACTIVER, A)).toBe(!hpp && value === A);
      return value;
    };
    for (const hpp of [false, true]) {
      expect([read(3, "nonsecure", true, hpp), read(3, "nonsecure", false, hpp)]).toEqual(el3);
      expect([read(3, "secure", true, hpp), read(3, "secure", false, hpp)]).toEqual(el3);
      expect([read(1, "secure", true, hpp), read(1, "secure", false, hpp)]).toEqual(secure);
      expect([read(2, "nonsecure", true, hpp), read(2, "nonsecure", false, hpp)]).toEqual(nonsecure);
      expect([read(2, "realm", true, hpp), read(2, "realm", false, hpp)]).toEqual(nonsecure);
    }
  });

  it("Non-secure software cannot end or deactivate a Secure interrupt", () => {
    for (const group of ["G0", "G1S"] as const) {
      const f = with_(group);
      expect(f.r(0, group === "G0" ? "ICC_IAR0_EL1" : "ICC_IAR1_EL1")).toBe(A);
      f.w(0, "ICC_CTLR_EL3", 0x10);
      f.run(0, 2, "nonsecure");
      f.w(0, "ICC_EOIR0_EL1", A);
      f.w(0, "ICC_EOIR1_EL1", A);
      f.w(0, "ICC_DIR_EL1", A);
      f.w(0, "ICC_AP1R0_EL1", 0);
      f.run(0, 3, "nonsecure");
      expect([f.r(0, "ICC_RPR_EL1"), f.bit(D.ISACTIVER, A)]).toEqual([0x40, true]);
      f.w(0, group === "G0" ? "ICC_EOIR0_EL1" : "ICC_EOIR1_EL1", A);
      expect([f.r(0, "ICC_RPR_EL1"), f.bit(D.ISACTIVER, A)]).toEqual([0xff, false]);
    }
  });

  it("an EOI of a Non-secure interrupt does not deactivate a Secure INTID", () => {
    const f = new Fixture().openUp();
    f.configure(A, { group: "G1S", priority: 0x90, edge: true });
    f.setD(D.ISACTIVER + 4, BIT);
    f.configure(A + 1, { priority: 0xa0, edge: true });
    f.gic.spi(A - 31).set(true);
    f.run(0, 2, "nonsecure");
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(A + 1);
    f.w(0, "ICC_EOIR1_EL1", A);
    expect([f.bit(D.ISACTIVER, A), f.bit(D.ISACTIVER, A + 1)]).toEqual([true, true]);
  });

  it("DIR by Exception level and routing", () => {
    const attempt = (group: "G0" | "G1S" | "G1NS", el: 1 | 2 | 3, world: World, scr = 0n) => {
      const f = with_(group);
      f.setD(D.ISACTIVER + 4, BIT);
      f.w(0, "ICC_CTLR_EL3", 0x1c);
      f.run(0, el, world, scr);
      f.w(0, "ICC_DIR_EL1", A);
      return !f.bit(D.ISACTIVER, A);
    };
    for (const group of ["G0", "G1S", "G1NS"] as const) expect(attempt(group, 3, "nonsecure")).toBe(true);
    expect((["G0", "G1S", "G1NS"] as const).map((g) => attempt(g, 2, "nonsecure"))).toEqual([false, false, true]);
    expect((["G0", "G1S", "G1NS"] as const).map((g) => attempt(g, 1, "secure"))).toEqual([true, true, true]);
    expect((["G0", "G1S", "G1NS"] as const).map((g) => attempt(g, 1, "secure", Scr.FIQ))).toEqual([false, true, true]);
    expect((["G0", "G1S", "G1NS"] as const).map((g) => attempt(g, 1, "secure", Scr.IRQ))).toEqual([true, false, false]);
  });
});

describe("banked CPU interface registers", () => {
  it("Secure and Non-secure copies; Realm and EL3 with NS = 1 use the Non-secure one", () => {
    const f = new Fixture().openUp();
    const worlds: World[] = ["secure", "nonsecure", "realm"];
    f.run(0, 1, "secure");
    f.w(0, "ICC_BPR1_EL1", 4);
    f.w(0, "ICC_CTLR_EL1", 2);
    f.w(0, "ICC_AP1R0_EL1", 0x8000_0001);
    f.w(0, "ICC_IGRPEN1_EL1", 0);
    for (const el of [1, 3] as const) {
      const seen = worlds.map((world) => {
        f.run(0, el, world);
        return [f.r(0, "ICC_BPR1_EL1"), f.r(0, "ICC_CTLR_EL1"), f.r(0, "ICC_AP1R0_EL1"), f.r(0, "ICC_IGRPEN1_EL1")];
      });
      expect(seen).toEqual([
        [4, 0x8c02, 0x8000_0001, 0],
        [3, 0x8c00, 0, 1],
        [3, 0x8c00, 0, 1],
      ]);
    }
    expect([f.r(0, "ICC_IGRPEN1_EL3"), f.r(0, "ICC_CTLR_EL3")]).toEqual([1, 0x2_8c08]);
    f.w(0, "ICC_IGRPEN1_EL3", 2);
    f.run(0, 2, "realm");
    expect(f.r(0, "ICC_IGRPEN1_EL1")).toBe(0);
    f.run(0, 2, "secure");
    expect(f.r(0, "ICC_IGRPEN1_EL1")).toBe(1);
  });

  it("CBPR is EL3's with two Security states and writable with one", () => {
    const f = new Fixture();
    f.run(0, 2, "nonsecure");
    f.w(0, "ICC_CTLR_EL1", 0xffff_ffffn);
    expect(f.r(0, "ICC_CTLR_EL1")).toBe(0x8c02);
    const s = new Fixture({ singleSecurity: true });
    s.run(0, 2, "nonsecure");
    s.w(0, "ICC_CTLR_EL1", 0xffff_ffffn);
    expect(s.r(0, "ICC_CTLR_EL1")).toBe(0x8c03);
  });

  it("Non-secure software reaches only the lower half of the active priorities", () => {
    const f = new Fixture();
    f.w(0, "ICC_AP1R0_EL1", 0x0000_0100);
    f.run(0, 2, "nonsecure");
    f.w(0, "ICC_AP1R0_EL1", 0xffff_fe01);
    expect(f.r(0, "ICC_AP1R0_EL1")).toBe(0xffff_0100);
    const s = new Fixture({ singleSecurity: true });
    s.run(0, 2, "nonsecure");
    s.w(0, "ICC_AP1R0_EL1", 0xffff_fe01);
    expect(s.r(0, "ICC_AP1R0_EL1")).toBe(0xffff_fe01);
  });
});

describe("priority mask and running priority when Group 0 is EL3's", () => {
  it("Non-secure and Realm see the lower half, stretched", () => {
    for (const world of ["nonsecure", "realm"] as const) {
      const f = new Fixture();
      f.w(0, "ICC_PMR_EL1", 0x70);
      f.run(0, 2, world, Scr.FIQ);
      expect(f.r(0, "ICC_PMR_EL1")).toBe(0);
      f.w(0, "ICC_PMR_EL1", 0xff);
      f.run(0, 3, world, Scr.FIQ);
      expect(f.r(0, "ICC_PMR_EL1")).toBe(0x70);
      f.w(0, "ICC_PMR_EL1", 0xff);
      expect(f.r(0, "ICC_PMR_EL1")).toBe(0xf8);
      f.run(0, 2, world, Scr.FIQ);
      f.w(0, "ICC_PMR_EL1", 0x40);
      expect(f.r(0, "ICC_PMR_EL1")).toBe(0x40);
      // Linux's probe: one step of 1 << (8 - PRIbits) vanishes.
      f.w(0, "ICC_PMR_EL1", 0x08);
      expect(f.r(0, "ICC_PMR_EL1")).toBe(0);
      f.run(0, 2, world);
      expect(f.r(0, "ICC_PMR_EL1")).toBe(0x80);
      f.w(0, "ICC_PMR_EL1", 0x08);
      expect(f.r(0, "ICC_PMR_EL1")).toBe(0x08);
    }
  });

  it("RPR", () => {
    const f = new Fixture();
    f.run(0, 2, "nonsecure", Scr.FIQ);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0xff);
    f.w(0, "ICC_AP1R0_EL1", 1 << (0xa0 >> 3));
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0x40);
    f.run(0, 3, "nonsecure", Scr.FIQ);
    f.w(0, "ICC_AP0R0_EL1", 1);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0);
    f.run(0, 2, "nonsecure", Scr.FIQ);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0);
  });
});

describe("memory-mapped registers in the Non-secure view", () => {
  for (const pas of [Pas.NonSecure, Pas.Realm]) {
    it(`PA space ${pas}: registers of Secure interrupts are RAZ/WI as far as NSACR says`, () => {
      const f = new Fixture().openUp();
      f.configure(A, { group: "G1S", priority: 0x40, edge: true });
      f.setD(D.ISPENDR + 4, BIT);
      f.setD(D.ISACTIVER + 4, BIT);
      f.setD(D.IROUTER + 8 * A, 5);
      f.setD(D.CTLR, 0);
      const visible = (nsacr: number) => {
        f.pas = Pas.Secure;
        f.setD(D.NSACR + 4 * (A >> 4), nsacr << (2 * (A & 15)));
        f.pas = pas;
        const bit = (o: number) => (f.d(o + 4) & BIT) !== 0;
        return {
          fixed: [bit(D.ISENABLER), bit(D.IGROUPR), bit(D.IGRPMODR), f.d(D.IPRIORITYR + A, 1) !== 0, (f.d(D.ICFGR + 8) >>> 17) & 1],
          pend: [bit(D.ISPENDR), bit(D.ICPENDR)],
          active: [bit(D.ISACTIVER), bit(D.ICACTIVER)],
          route: f.d(D.IROUTER + 8 * A),
          nsacr: f.d(D.NSACR + 4 * (A >> 4)),
        };
      };
      const fixed = [false, false, false, false, 0];
      expect(visible(0)).toEqual({ fixed, pend: [false, false], active: [false, false], route: 0, nsacr: 0 });
      expect(visible(1)).toEqual({ fixed, pend: [true, false], active: [false, false], route: 0, nsacr: 0 });
      expect(visible(2)).toEqual({ fixed, pend: [true, true], active: [true, true], route: 0, nsacr: 0 });
      expect(visible(3)).toEqual({ fixed, pend: [true, true], active: [true, true], route: 5, nsacr: 0 });

      // Writes, at the widest access: pending and routing only.
      for (const o of [D.ICENABLER, D.ICACTIVER, D.ICPENDR, D.IGROUPR, D.IGRPMODR]) f.setD(o + 4, 0xffff_ffff);
      f.setD(D.IPRIORITYR + A, 0xff, 1);
      f.setD(D.ICFGR + 8, 0);
      f.setD(D.IROUTER + 8 * A, 6);
      f.pas = Pas.Root;
      const all = [D.ISENABLER, D.IGROUPR, D.IGRPMODR, D.ISPENDR, D.ISACTIVER].map((o) => f.bit(o, A));
      expect(all).toEqual([true, false, true, false, true]);
      expect([f.d(D.IPRIORITYR + A, 1), (f.d(D.ICFGR + 8) >>> 17) & 1, f.d(D.IROUTER + 8 * A)]).toEqual([0x40, 1, 6]);
    });
  }

  it("priorities of Non-secure interrupts are shifted into 0x80-0xFF", () => {
    const f = new Fixture().openUp();
    f.pas = Pas.NonSecure;
    for (const [written, stored] of [
      [0x00, 0x80],
      [0xa0, 0xd0],
      [0xff, 0xf8],
    ] as const) {
      f.setD(D.IPRIORITYR + A, written, 1);
      expect(f.d(D.IPRIORITYR + A, 1)).toBe(written & 0xf0);
      f.pas = Pas.Secure;
      expect(f.d(D.IPRIORITYR + A, 1)).toBe(stored);
      f.pas = Pas.NonSecure;
    }
    f.setSgi(0, D.IPRIORITYR + 27, 0xa0, 1);
    expect(f.sgi(0, D.IPRIORITYR + 27, 1)).toBe(0xa0);
    f.pas = Pas.Root;
    expect(f.sgi(0, D.IPRIORITYR + 27, 1)).toBe(0xd0);
  });

  it("redistributor: Non-secure Group 1 only, GICR_NSACR does not widen, WAKER is Secure", () => {
    const f = new Fixture();
    f.setSgi(0, D.NSACR, 0xffff_ffff);
    f.setSgi(0, D.IGROUPR, 0xffff_0000);
    f.pas = Pas.NonSecure;
    expect(f.sgi(0, D.ICFGR)).toBe(0);
    for (const o of [D.ISENABLER, D.ISPENDR, D.ISACTIVER]) {
      f.setSgi(0, o, 0xffff_ffff);
      expect(f.sgi(0, o)).toBe(0xffff_0000);
    }
    for (const o of [D.IGROUPR, D.IGRPMODR, D.NSACR]) expect(f.sgi(0, o)).toBe(0);
    expect(f.rd(0, 0x14)).toBe(0);
    f.setRd(0, 0x14, 0);
    f.pas = Pas.Root;
    expect(f.rd(0, 0x14)).toBe(6);
    expect(f.sgi(0, D.NSACR)).toBe(0xffff_ffff);
  });
});
