// Identification, fixed values, views and sizes of the memory-mapped registers.

import { describe, expect, it } from "vitest";
import { Pas } from "../../../src/arch/security.ts";
import { Gic } from "../../../src/devices/gic/index.ts";
import { EmuError } from "../../../src/util/errors.ts";
import { D, Fixture } from "./fixture.ts";

describe("values that software identifies the controller by", () => {
  it("GICD_TYPER: QEMU's, without LPIs and NMIs", () => {
    expect(new Fixture({ spis: 256 }).d(D.TYPER)).toBe(0x0378_0408);
    expect(new Fixture({ spis: 256, singleSecurity: true }).d(D.TYPER)).toBe(0x0378_0008);
    expect(new Fixture({ spis: 0 }).d(D.TYPER) & 0x1f).toBe(0);
    expect(new Fixture({ spis: 988 }).d(D.TYPER) & 0x1f).toBe(31);
    expect(new Fixture({ oneOfN: true }).d(D.TYPER) & (1 << 25)).toBe(0);
  });

  it("peripheral and component identification", () => {
    const f = new Fixture();
    const ids = [0xffd0, 0xffe0, 0xffe4, 0xffe8, 0xffec, 0xfff0, 0xfff4, 0xfff8, 0xfffc];
    expect(ids.map((o) => f.d(o))).toEqual([0x44, 0x92, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1]);
    expect(ids.map((o) => f.rd(0, o))).toEqual([0x44, 0x93, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1]);
    expect([f.d(8), f.rd(0, 4), f.d(0xc)]).toEqual([0x43b, 0x43b, 0]);
  });

  it("GICR_TYPER: affinity, number, Last", () => {
    const f = new Fixture({ pes: 3, affinities: [0x0, 0x0201_0003, 0x7] });
    expect([0, 1, 2].map((pe) => f.rd(pe, 8))).toEqual([0x000, 0x100, 0x210]);
    expect([0, 1, 2].map((pe) => f.rd(pe, 12))).toEqual([0x0, 0x0201_0003, 0x7]);
    expect(f.gic.redistributor.size).toBe(3 * 0x2_0000);
  });

  it("CPU interface", () => {
    const f = new Fixture();
    expect(f.r(0, "ICC_CTLR_EL1")).toBe(0x8c00);
    expect(f.r(0, "ICC_CTLR_EL3")).toBe(0x2_8c00);
    expect(f.r(0, "ICH_VTR_EL2")).toBe(0x90b8_0003);
    expect(f.r(0, "ICH_VMCR_EL2")).toBe(0x004c_0008);
    expect([f.r(0, "ICC_SRE_EL1"), f.r(0, "ICC_SRE_EL2"), f.r(0, "ICC_SRE_EL3")]).toEqual([7, 15, 15]);
    expect([f.r(0, "ICC_PMR_EL1"), f.r(0, "ICC_RPR_EL1"), f.r(0, "ICC_BPR0_EL1"), f.r(0, "ICC_BPR1_EL1")]).toEqual([0, 0xff, 2, 3]);
    expect(new Fixture({ singleSecurity: true }).r(0, "ICC_CTLR_EL3")).toBe(0x8c00);
  });

  it("RSS when a PE's Aff0 is above 15", () => {
    const f = new Fixture({ pes: 2, affinities: [0, 16] });
    expect(f.d(D.TYPER) & (1 << 26)).not.toBe(0);
    expect(f.r(0, "ICC_CTLR_EL1")).toBe(0x4_8c00);
  });
});

describe("GICD_CTLR", () => {
  it("two Security states: Secure and Non-secure view", () => {
    const f = new Fixture();
    expect(f.d(D.CTLR)).toBe(0x30);
    f.setD(D.CTLR, 0xffff_ffbf);
    expect(f.d(D.CTLR)).toBe(0x37);
    f.pas = Pas.NonSecure;
    expect(f.d(D.CTLR)).toBe(0x12);
    f.setD(D.CTLR, 0);
    expect(f.d(D.CTLR)).toBe(0x10);
    f.pas = Pas.Realm;
    f.setD(D.CTLR, 0xffff_ffff);
    expect(f.d(D.CTLR)).toBe(0x12);
    f.pas = Pas.Secure;
    expect(f.d(D.CTLR)).toBe(0x37);
  });

  it("DS sticks and removes Secure Group 1", () => {
    const f = new Fixture();
    f.setD(D.CTLR, 0x47);
    expect(f.d(D.CTLR)).toBe(0x53);
    expect(f.d(D.TYPER) & (1 << 10)).toBe(0);
    f.setD(D.CTLR, 0);
    expect(f.d(D.CTLR)).toBe(0x50);
    f.pas = Pas.NonSecure;
    expect(f.d(D.CTLR)).toBe(0x50);
    f.gic.reset();
    expect(f.d(D.CTLR)).toBe(0x10);
  });

  it("one Security state: as Linux meets it on QEMU", () => {
    const f = new Fixture({ singleSecurity: true });
    for (const pas of [Pas.NonSecure, Pas.Secure, Pas.Root, Pas.Realm]) {
      f.pas = pas;
      f.setD(D.CTLR, 0);
      expect(f.d(D.CTLR)).toBe(0x50);
      f.setD(D.CTLR, 0x13);
      expect(f.d(D.CTLR)).toBe(0x53);
    }
  });
});

describe("sizes and reserved registers", () => {
  it("priorities take bytes and words, not halfwords; unimplemented bits read zero", () => {
    const f = new Fixture();
    f.setD(D.IPRIORITYR + 33, 0xff, 1);
    expect(f.d(D.IPRIORITYR + 33, 1)).toBe(0xf8);
    expect(f.d(D.IPRIORITYR + 32)).toBe(0xf800);
    f.setD(D.IPRIORITYR + 36, 0x1122_c3d4);
    expect(f.d(D.IPRIORITYR + 36)).toBe(0x1020_c0d0);
    expect(f.d(D.IPRIORITYR + 36, 2)).toBe(0);
    f.setD(D.IPRIORITYR + 36, 0, 2);
    expect(f.d(D.IPRIORITYR + 36)).toBe(0x1020_c0d0);
  });

  it("32-bit registers ignore bytes and halfwords", () => {
    const f = new Fixture();
    for (const size of [1, 2] as const) {
      f.setD(D.ISENABLER + 4, 0xff, size);
      expect(f.d(D.CTLR, size)).toBe(0);
      expect(f.d(D.TYPER, size)).toBe(0);
      expect(f.d(0xffe8, size)).toBe(0);
    }
    expect(f.d(D.ISENABLER + 4)).toBe(0);
  });

  it("private interrupts have no distributor registers, and INTIDs end where implemented", () => {
    const f = new Fixture({ spis: 40 });
    for (const o of [D.IGROUPR, D.ISENABLER, D.ISPENDR, D.ISACTIVER, D.IPRIORITYR, D.ICFGR, D.ICFGR + 4, D.IGRPMODR, D.NSACR]) {
      f.setD(o, 0xffff_ffff);
      expect(f.d(o), o.toString(16)).toBe(0);
    }
    f.setD(D.ISENABLER + 8, 0xffff_ffff);
    expect(f.d(D.ISENABLER + 8)).toBe(0xff);
    f.setD(D.ISENABLER + 12, 0xffff_ffff);
    expect(f.d(D.ISENABLER + 12)).toBe(0);
    f.setD(D.ICFGR + 16, 0xffff_ffff);
    expect(f.d(D.ICFGR + 16)).toBe(0xaaaa);
    f.setD(D.IROUTER + 8 * 31, 1);
    expect(f.d(D.IROUTER + 8 * 31)).toBe(0);
  });

  it("SGIs are edge-triggered for good", () => {
    const f = new Fixture();
    expect(f.sgi(0, D.ICFGR)).toBe(0xaaaa_aaaa);
    f.setSgi(0, D.ICFGR, 0);
    expect(f.sgi(0, D.ICFGR)).toBe(0xaaaa_aaaa);
    f.setSgi(0, D.ICFGR + 4, 0xffff_ffff);
    expect(f.sgi(0, D.ICFGR + 4)).toBe(0xaaaa_aaaa);
  });

  it("IROUTER keeps affinity and IRM", () => {
    const f = new Fixture();
    f.setD(D.IROUTER + 8 * 40, 0xffff_ffff);
    f.setD(D.IROUTER + 8 * 40 + 4, 0xffff_ffff);
    expect(f.d(D.IROUTER + 8 * 40)).toBe(0x80ff_ffff);
    expect(f.d(D.IROUTER + 8 * 40 + 4)).toBe(0xff);
  });

  it("WAKER follows at once", () => {
    const f = new Fixture();
    expect(f.rd(0, 0x14)).toBe(6);
    f.setRd(0, 0x14, 4);
    expect(f.rd(0, 0x14)).toBe(0);
    f.setRd(0, 0x14, 2);
    expect(f.rd(0, 0x14)).toBe(6);
  });

  it("without LPIs their registers are RAZ/WI", () => {
    const f = new Fixture();
    for (const o of [0x0, 0x70, 0x74, 0x78, 0x7c, 0xa0, 0xb0, 0xc0]) {
      f.setRd(0, o, 0xffff_ffff);
      expect(f.rd(0, o)).toBe(0);
    }
  });
});

describe("misuse by the host", () => {
  it("throws with stable codes", () => {
    const code = (run: () => unknown) => {
      try {
        run();
      } catch (e) {
        return e instanceof EmuError ? e.code : e;
      }
      return "";
    };
    const f = new Fixture({ spis: 40 });
    expect(code(() => new Fixture({ spis: 989 }))).toBe("gic-spis");
    expect(code(() => new Gic({ pes: [], spis: 32, singleSecurity: false, onLines: () => {} }))).toBe("gic-pes");
    expect(code(() => f.gic.spi(40))).toBe("gic-spi");
    expect(code(() => f.gic.ppi(0, 15))).toBe("gic-ppi");
    expect(code(() => f.gic.ppi(0, 25))).toBe("gic-ppi");
    expect(code(() => f.gic.ppi(1, 16))).toBe("gic-pe");
    expect(code(() => f.gic.restore({}))).toBe("snapshot-corrupt");
    expect(code(() => f.gic.restore(new Fixture({ spis: 256 }).gic.save()))).toBe("snapshot-corrupt");
    expect(code(() => f.gic.restore(new Fixture({ spis: 40, pes: 2 }).gic.save()))).toBe("snapshot-corrupt");
  });
});
