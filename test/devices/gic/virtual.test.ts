// The virtual CPU interface: list registers, ICV_*, maintenance interrupt (IHI 0069, chapter 6).

import { describe, expect, it } from "vitest";
import type { RegName } from "../../../src/arch/registers/encodings.ts";
import { D, Fixture, Hcr, type World } from "./fixture.ts";

const H = { En: 1, UIE: 2, LRENPIE: 4, NPIE: 8, G0EIE: 0x10, G0DIE: 0x20, G1EIE: 0x40, G1DIE: 0x80 } as const;
const INVALID = 0n;
const PENDING = 1n;
const ACTIVE = 2n;
const BOTH = 3n;
const EOI_REQUEST = 1n << 41n;

/** A list register. `hw`: physical INTID. */
const lr = (o: { id: number; priority?: number; group?: 0 | 1; state?: bigint; hw?: number; eoi?: boolean }): bigint =>
  BigInt(o.id) |
  (BigInt(o.priority ?? 0xa0) << 48n) |
  (BigInt(o.group ?? 1) << 60n) |
  ((o.state ?? PENDING) << 62n) |
  (o.hw === undefined ? 0n : (1n << 61n) | (BigInt(o.hw) << 32n)) |
  (o.eoi ? EOI_REQUEST : 0n);

class Guest extends Fixture {
  world: World = "nonsecure";
  constructor(world: World = "nonsecure") {
    super();
    this.world = world;
    this.openUp();
    this.configure(25);
    this.hyp();
    this.w(0, "ICH_HCR_EL2", H.En);
    // VPMR 0xF8, both groups enabled.
    this.w(0, "ICH_VMCR_EL2", 0xff00_0003);
  }
  hyp(): this {
    this.run(0, 2, this.world, 0n, Hcr.IMO | Hcr.FMO);
    return this;
  }
  guest(): this {
    this.run(0, 1, this.world, 0n, Hcr.IMO | Hcr.FMO);
    return this;
  }
  /** Hypervisor access from wherever the test is, back to the guest afterwards. */
  h(reg: RegName): bigint {
    this.hyp();
    const v = this.r64(0, reg);
    this.guest();
    return v;
  }
  setH(reg: RegName, value: number | bigint): this {
    this.hyp();
    this.w(0, reg, value);
    return this.guest();
  }
  /** State field of list register `n`. */
  state(n = 0): bigint {
    return this.h(`ICH_LR${n}_EL2` as RegName) >> 62n;
  }
}

describe("ICH registers keep what exists", () => {
  it("all ones", () => {
    const f = new Fixture();
    for (const reg of ["ICH_HCR_EL2", "ICH_VMCR_EL2", "ICH_LR0_EL2", "ICH_AP0R0_EL2", "ICH_AP1R0_EL2"] as const)
      f.w(0, reg, (1n << 64n) - 1n);
    expect(f.r(0, "ICH_HCR_EL2")).toBe(0xf800_7cff);
    expect(f.r(0, "ICH_VMCR_EL2")).toBe(0xf8fc_021b);
    expect(f.r64(0, "ICH_LR0_EL2")).toBe(0xf0f8_1fff_ffff_ffffn);
    expect([f.r(0, "ICH_AP0R0_EL2"), f.r(0, "ICH_AP1R0_EL2")]).toEqual([0xffff_ffff, 0xffff_ffff]);
    f.w(0, "ICH_VMCR_EL2", 0);
    expect(f.r(0, "ICH_VMCR_EL2")).toBe(0x004c_0008);
  });
  it("EISR, ELRSR", () => {
    const f = new Fixture();
    expect([f.r(0, "ICH_EISR_EL2"), f.r(0, "ICH_ELRSR_EL2")]).toEqual([0, 0xf]);
    f.w(0, "ICH_HCR_EL2", 1);
    f.w(0, "ICH_LR0_EL2", EOI_REQUEST);
    expect([f.r(0, "ICH_EISR_EL2"), f.r(0, "ICH_ELRSR_EL2"), f.r(0, "ICH_MISR_EL2")]).toEqual([1, 0xe, 1]);
    f.w(0, "ICH_LR0_EL2", EOI_REQUEST | (1n << 61n));
    expect([f.r(0, "ICH_EISR_EL2"), f.r(0, "ICH_ELRSR_EL2")]).toEqual([0, 0xf]);
  });
});

describe.each(["nonsecure", "realm", "secure"] as const)("a guest at %s EL1", (world) => {
  it("takes, ends and preempts as with a physical interface", () => {
    const f = new Guest(world);
    f.setH("ICH_LR0_EL2", lr({ id: 27, priority: 0xa0 }));
    f.setH("ICH_LR1_EL2", lr({ id: 30, priority: 0x80 }));
    expect(f.lines()).toBe("VIRQ");
    expect([f.r(0, "ICC_HPPIR1_EL1"), f.r(0, "ICC_HPPIR0_EL1")]).toEqual([30, 1023]);
    expect(f.r(0, "ICC_IAR0_EL1")).toBe(1023);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(30);
    expect([f.state(1), f.lines(), f.r(0, "ICC_RPR_EL1")]).toEqual([ACTIVE, "", 0x80]);
    expect([f.r(0, "ICC_IAR1_EL1"), f.r(0, "ICC_HPPIR1_EL1")]).toEqual([1023, 27]);
    f.setH("ICH_LR2_EL2", lr({ id: 5, priority: 0x10, group: 0 }));
    expect(f.lines()).toBe("VFIQ");
    expect(f.r(0, "ICC_IAR0_EL1")).toBe(5);
    expect([f.h("ICH_AP0R0_EL2"), f.h("ICH_AP1R0_EL2")]).toEqual([1n << 2n, 1n << 16n]);
    f.w(0, "ICC_EOIR0_EL1", 5);
    f.w(0, "ICC_EOIR1_EL1", 30);
    expect([f.state(2), f.state(1), f.lines(), f.r(0, "ICC_RPR_EL1")]).toEqual([INVALID, INVALID, "VIRQ", 0xff]);
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(27);
    f.w(0, "ICC_EOIR1_EL1", 27);
    expect([f.lines(), f.h("ICH_ELRSR_EL2")]).toEqual(["", 0xfn]);
  });
});

describe("selection of ICV registers", () => {
  it("group registers by IMO and FMO each, common ones by either", () => {
    const f = new Guest();
    f.setH("ICH_VMCR_EL2", 0x50a0_0001);
    const at = (hcr: bigint) => {
      f.run(0, 1, "nonsecure", 0n, hcr);
      return [f.r(0, "ICC_IGRPEN0_EL1"), f.r(0, "ICC_IGRPEN1_EL1"), f.r(0, "ICC_PMR_EL1")];
    };
    expect(at(0n)).toEqual([1, 1, 0xf8]);
    expect(at(Hcr.FMO)).toEqual([1, 1, 0x50]);
    expect(at(Hcr.IMO)).toEqual([1, 0, 0x50]);
    expect(at(Hcr.IMO | Hcr.FMO)).toEqual([1, 0, 0x50]);
    // At EL2 they are physical, and without EL2 in Secure state too.
    f.run(0, 2, "nonsecure", 0n, Hcr.IMO | Hcr.FMO);
    expect(f.r(0, "ICC_PMR_EL1")).toBe(0xf8);
  });

  it("VMCR is what the guest's registers show", () => {
    const f = new Guest().guest();
    f.w(0, "ICC_PMR_EL1", 0xff);
    f.w(0, "ICC_BPR0_EL1", 4);
    f.w(0, "ICC_BPR1_EL1", 0);
    f.w(0, "ICC_CTLR_EL1", 2);
    f.w(0, "ICC_IGRPEN0_EL1", 0);
    expect(f.h("ICH_VMCR_EL2")).toBe(0xf88c_020an);
    expect([f.r(0, "ICC_PMR_EL1"), f.r(0, "ICC_BPR0_EL1"), f.r(0, "ICC_BPR1_EL1"), f.r(0, "ICC_CTLR_EL1")]).toEqual([0xf8, 4, 3, 0x8c02]);
    f.w(0, "ICC_CTLR_EL1", 1);
    expect(f.r(0, "ICC_BPR1_EL1")).toBe(5);
    f.w(0, "ICC_BPR1_EL1", 7);
    expect([f.h("ICH_VMCR_EL2"), f.r(0, "ICC_CTLR_EL1")]).toEqual([0xf88c_001an, 0x8c01]);
    f.w(0, "ICC_AP1R0_EL1", 0x10);
    expect(f.h("ICH_AP1R0_EL2")).toBe(0x10n);
  });
});

describe("signalling conditions", () => {
  const pending = () => new Guest().setH("ICH_LR0_EL2", lr({ id: 27, priority: 0xa0 }));

  it("En, group enable, priority mask, state", () => {
    const f = pending();
    expect(f.lines()).toBe("VIRQ");
    f.setH("ICH_HCR_EL2", 0);
    expect(f.lines()).toBe("");
    f.setH("ICH_HCR_EL2", H.En).w(0, "ICC_IGRPEN1_EL1", 0);
    expect([f.lines(), f.r(0, "ICC_HPPIR1_EL1")]).toEqual(["", 1023]);
    f.w(0, "ICC_IGRPEN1_EL1", 1);
    f.w(0, "ICC_PMR_EL1", 0xa0);
    expect([f.lines(), f.r(0, "ICC_HPPIR1_EL1")]).toEqual(["", 27]);
    f.w(0, "ICC_PMR_EL1", 0xa8);
    expect(f.lines()).toBe("VIRQ");
    for (const state of [INVALID, ACTIVE, BOTH]) {
      f.setH("ICH_LR0_EL2", lr({ id: 27, state }));
      expect(f.lines()).toBe("");
    }
  });

  it("virtual binary point", () => {
    const f = pending();
    f.w(0, "ICC_BPR1_EL1", 6);
    f.w(0, "ICC_AP1R0_EL1", 1 << (0xb0 >> 3));
    // 0xA0 and 0xB0 have the same group priority, bits [7:6].
    expect(f.lines()).toBe("");
    f.w(0, "ICC_BPR1_EL1", 4);
    expect(f.lines()).toBe("VIRQ");
    // VCBPR: bits [7:VBPR0+1].
    f.w(0, "ICC_CTLR_EL1", 1);
    f.w(0, "ICC_BPR0_EL1", 5);
    expect(f.lines()).toBe("");
    f.w(0, "ICC_BPR0_EL1", 3);
    expect(f.lines()).toBe("VIRQ");
  });

  it("the first list register wins a tie", () => {
    const f = pending();
    f.setH("ICH_LR1_EL2", lr({ id: 20, priority: 0xa0 }));
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(27);
  });

  it("a special INTID in a list register is returned and gone", () => {
    const f = new Guest().setH("ICH_LR0_EL2", lr({ id: 1022 }));
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(1022);
    expect([f.state(), f.h("ICH_AP1R0_EL2")]).toEqual([INVALID, 0n]);
  });
});

describe("end of interrupt", () => {
  const acknowledged = (o: Parameters<typeof lr>[0], vmcr = 0xff00_0003) => {
    const f = new Guest();
    f.setH("ICH_VMCR_EL2", vmcr);
    f.setH("ICH_LR0_EL2", lr(o));
    expect(f.r(0, "ICC_IAR1_EL1")).toBe(o.id);
    return f;
  };
  const eoiCount = (f: Guest) => Number(f.h("ICH_HCR_EL2") >> 27n);

  it("split: EOIR drops, DIR deactivates", () => {
    const f = acknowledged({ id: 27 }, 0xff00_0203);
    f.w(0, "ICC_EOIR1_EL1", 27);
    expect([f.state(), f.r(0, "ICC_RPR_EL1")]).toEqual([ACTIVE, 0xff]);
    f.w(0, "ICC_DIR_EL1", 27);
    expect([f.state(), eoiCount(f)]).toEqual([INVALID, 0]);
    f.w(0, "ICC_DIR_EL1", 27);
    expect(eoiCount(f)).toBe(1);
    f.setH("ICH_LR0_EL2", lr({ id: 27, state: BOTH }));
    f.w(0, "ICC_DIR_EL1", 27);
    expect([f.state(), f.lines()]).toEqual([PENDING, "VIRQ"]);
  });

  it("DIR without split does nothing", () => {
    const f = acknowledged({ id: 27 });
    f.w(0, "ICC_DIR_EL1", 27);
    expect([f.state(), eoiCount(f)]).toEqual([ACTIVE, 0]);
  });

  it("pending and active becomes pending", () => {
    const f = acknowledged({ id: 27 });
    f.setH("ICH_LR0_EL2", lr({ id: 27, state: BOTH }));
    f.w(0, "ICC_EOIR1_EL1", 27);
    expect([f.state(), f.lines()]).toEqual([PENDING, "VIRQ"]);
  });

  it("no list register: EOIcount, which wraps; not when split, nor for an LPI, nor with nothing active", () => {
    const f = acknowledged({ id: 27 });
    f.w(0, "ICC_EOIR1_EL1", 50);
    expect([eoiCount(f), f.state(), f.r(0, "ICC_RPR_EL1")]).toEqual([1, ACTIVE, 0xff]);
    f.w(0, "ICC_EOIR1_EL1", 50);
    expect(eoiCount(f)).toBe(1);
    for (let n = 1; n < 32; n++) {
      f.w(0, "ICC_AP1R0_EL1", 1 << 20);
      f.w(0, "ICC_EOIR1_EL1", 50);
    }
    expect([eoiCount(f), f.h("ICH_HCR_EL2")]).toEqual([0, 1n]);
    f.w(0, "ICC_AP1R0_EL1", 1 << 20);
    f.w(0, "ICC_EOIR1_EL1", 9000);
    expect(eoiCount(f)).toBe(0);
    f.w(0, "ICC_CTLR_EL1", 2);
    f.w(0, "ICC_AP1R0_EL1", 1 << 20);
    f.w(0, "ICC_EOIR1_EL1", 50);
    expect([eoiCount(f), f.r(0, "ICC_RPR_EL1")]).toEqual([0, 0xff]);
  });

  it("special INTIDs are ignored entirely", () => {
    const f = acknowledged({ id: 27 });
    for (const id of [1020, 1021, 1022, 1023]) f.w(0, "ICC_EOIR1_EL1", id);
    expect(f.r(0, "ICC_RPR_EL1")).toBe(0xa0);
  });

  it("wrong group or priority drops but does not deactivate", () => {
    const f = acknowledged({ id: 27 });
    f.w(0, "ICC_EOIR0_EL1", 27);
    expect([f.state(), f.r(0, "ICC_RPR_EL1")]).toEqual([ACTIVE, 0xff]);
    f.w(0, "ICC_AP1R0_EL1", 1 << 3);
    f.w(0, "ICC_EOIR1_EL1", 27);
    expect([f.state(), f.r(0, "ICC_RPR_EL1")]).toEqual([ACTIVE, 0xff]);
  });

  it("on a tie of active priorities Group 0 is dropped first", () => {
    const f = new Guest().guest();
    f.w(0, "ICC_AP0R0_EL1", 1 << 20);
    f.w(0, "ICC_AP1R0_EL1", 1 << 20);
    f.w(0, "ICC_EOIR1_EL1", 50);
    expect([f.r(0, "ICC_AP0R0_EL1"), f.r(0, "ICC_AP1R0_EL1")]).toEqual([0, 1 << 20]);
  });

  it("a virtual LPI is deactivated by EOIR even when split", () => {
    const f = acknowledged({ id: 8192 }, 0xff00_0203);
    f.w(0, "ICC_EOIR1_EL1", 8192);
    expect(f.state()).toBe(INVALID);
  });

  it("HW = 1 deactivates the physical interrupt, private or shared", () => {
    for (const id of [27, 40]) {
      const f = new Guest();
      f.configure(id, { edge: false });
      const line = id < 32 ? f.gic.ppi(0, id) : f.gic.spi(id - 32);
      f.hyp();
      f.w(0, "ICC_CTLR_EL1", 2);
      line.set(true);
      expect(f.r(0, "ICC_IAR1_EL1")).toBe(id);
      f.w(0, "ICC_EOIR1_EL1", id);
      f.setH("ICH_LR0_EL2", lr({ id: 33, hw: id }));
      expect(f.r(0, "ICC_IAR1_EL1")).toBe(33);
      expect([f.bit(D.ISACTIVER, id), f.lines()]).toEqual([true, ""]);
      f.w(0, "ICC_EOIR1_EL1", 33);
      expect([f.bit(D.ISACTIVER, id), f.state(), f.lines()]).toEqual([false, INVALID, "IRQ"]);
      line.set(false);
      expect(f.lines()).toBe("");
    }
  });

  it("a Non-secure list register cannot deactivate a Secure interrupt", () => {
    const f = new Guest();
    f.configure(40, { group: "G1S" });
    f.setD(D.ISACTIVER + 4, 1 << 8);
    f.setH("ICH_LR0_EL2", lr({ id: 33, hw: 40 }));
    f.r(0, "ICC_IAR1_EL1");
    f.w(0, "ICC_EOIR1_EL1", 33);
    expect([f.state(), f.bit(D.ISACTIVER, 40)]).toEqual([INVALID, true]);
  });
});

describe("maintenance interrupt", () => {
  const line = (f: Guest) => f.bit(D.ISPENDR, 25);

  it("EOI request", () => {
    const f = new Guest().setH("ICH_LR0_EL2", lr({ id: 27, eoi: true }));
    f.r(0, "ICC_IAR1_EL1");
    expect(line(f)).toBe(false);
    f.w(0, "ICC_EOIR1_EL1", 27);
    expect([line(f), f.h("ICH_MISR_EL2"), f.h("ICH_EISR_EL2"), f.lines()]).toEqual([true, 1n, 1n, "IRQ"]);
    f.setH("ICH_LR0_EL2", 0);
    expect([line(f), f.lines()]).toEqual([false, ""]);
  });

  it("underflow, no pending, EOIcount", () => {
    const f = new Guest();
    f.setH("ICH_HCR_EL2", H.En | H.UIE);
    expect([line(f), f.h("ICH_MISR_EL2")]).toEqual([true, 2n]);
    f.setH("ICH_LR0_EL2", lr({ id: 27 }));
    expect(line(f)).toBe(true);
    f.setH("ICH_LR3_EL2", lr({ id: 28, state: ACTIVE }));
    expect(line(f)).toBe(false);
    f.setH("ICH_HCR_EL2", H.En | H.NPIE);
    expect(line(f)).toBe(false);
    f.setH("ICH_LR0_EL2", lr({ id: 27, state: BOTH }));
    expect([line(f), f.h("ICH_MISR_EL2")]).toEqual([true, 8n]);
    f.setH("ICH_HCR_EL2", H.En | H.LRENPIE);
    expect(line(f)).toBe(false);
    f.setH("ICH_HCR_EL2", (H.En | H.LRENPIE | (1 << 27)) >>> 0);
    expect([line(f), f.h("ICH_MISR_EL2")]).toEqual([true, 4n]);
  });

  it("group enables and disables, each with its own group", () => {
    const f = new Guest();
    for (const [enables, eie, die] of [
      [0, 0n, 0xa0n],
      [1, 0x10n, 0x80n],
      [2, 0x40n, 0x20n],
      [3, 0x50n, 0n],
    ] as const) {
      f.setH("ICH_VMCR_EL2", 0xff00_0000 + enables);
      f.setH("ICH_HCR_EL2", H.En | H.G0EIE | H.G1EIE);
      expect([f.h("ICH_MISR_EL2"), line(f)]).toEqual([eie, eie !== 0n]);
      f.setH("ICH_HCR_EL2", H.En | H.G0DIE | H.G1DIE);
      expect([f.h("ICH_MISR_EL2"), line(f)]).toEqual([die, die !== 0n]);
    }
  });

  it("MISR is computed without En, the interrupt is not raised", () => {
    const f = new Guest().setH("ICH_HCR_EL2", H.UIE);
    expect([f.h("ICH_MISR_EL2"), line(f)]).toEqual([2n, false]);
  });
});
