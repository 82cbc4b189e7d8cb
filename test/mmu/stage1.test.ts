import { describe, expect, it } from "vitest";
import { Access, LEAF, RAM, Rig, tcr, Tree } from "./rig.ts";

describe("stage 1", () => {
  it("walks four levels of 4K tables and hits the TLB afterwards", () => {
    const rig = new Rig();
    const t = new Tree(rig);
    t.map(0xffff_8000_1234_5000n, RAM + 0x5000, LEAF);
    rig.set({ SCTLR_EL1: 1n, TCR_EL1: tcr(t), TTBR0_EL1: t.ttbr(), TTBR1_EL1: t.ttbr() });
    expect(rig.pa(0xffff_8000_1234_5678n)).toBe(RAM + 0x5678);
    expect(rig.mmu.walks).toBe(1);
    expect(rig.pa(0xffff_8000_1234_5999n)).toBe(RAM + 0x5999);
    expect(rig.mmu.walks).toBe(1);
    expect(rig.l1("TLB_R", 0xffff_8000_1234_5abcn)).toBe(rig.phys.host(RAM + 0x5abc));
    expect(rig.fails(0xffff_8000_1234_6000n)).toBe("s1 0x07");
    expect(rig.fails(0xffff_0000_0000_0000n, Access.Write)).toBe("s1 0x04 w");
  });
});
