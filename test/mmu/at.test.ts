import { describe, expect, it } from "vitest";
import { slot } from "../../src/arch/state.ts";
import { decodeAt } from "../../src/mmu/at.ts";
import { faultStatusCode } from "../../src/mmu/fault.ts";
import type { GranuleCheck } from "../../src/mmu/table.ts";
import { AF, attrIndex, bit, DBM, LEAF, RAM, Rig, RO, Tree, tcr, tcrOne, USER } from "./rig.ts";

const VA = 0x12_3456_7000n;
const S2 = 0x7fcn;
const par = (rig: Rig): bigint => rig.st.get(slot.PAR_EL1);
const S1E1R = [0, 8, 0] as const;
const S1E1W = [0, 8, 1] as const;
const S1E0R = [0, 8, 2] as const;
const S1E0W = [0, 8, 3] as const;
const S1E1RP = [0, 9, 0] as const;
const S1E1WP = [0, 9, 1] as const;
const S1E1A = [0, 9, 2] as const;
const S1E2R = [4, 8, 0] as const;
const S12E1R = [4, 8, 4] as const;
const S12E1W = [4, 8, 5] as const;
const S12E0R = [4, 8, 6] as const;
const S1E3R = [6, 8, 0] as const;

function setup(s2on: boolean): { rig: Rig; s1: Tree; s2: Tree } {
  const rig = new Rig();
  const s1 = new Tree(rig);
  const s2 = new Tree(rig, { ia: 39, start: 1 });
  for (let off = 0; off < 0x400_0000; off += 0x20_0000) s2.map(BigInt(RAM + off), RAM + off, S2, 2);
  rig.set({
    SCTLR_EL1: 5n,
    TCR_EL1: tcr(s1),
    TTBR0_EL1: s1.ttbr(),
    HCR_EL2: s2on ? 1n : 0n,
    VTCR_EL2: s2.tsz | (1n << 6n) | (5n << 16n),
    VTTBR_EL2: s2.ttbr(),
  });
  return { rig, s1, s2 };
}
/** PAR_EL1 or the fault raised. */
function at(rig: Rig, op: readonly [number, number, number], va: bigint): string {
  const f = rig.mmu.at(op[0], op[1], op[2], va);
  if (f !== undefined)
    return `raises s${f.stage}${f.s1ptw ? "ptw" : ""} 0x${faultStatusCode(f).toString(16)}${f.write ? " w" : ""}${f.maintenance ? " cm" : ""}`;
  return par(rig).toString(16);
}

describe("AT", () => {
  it("reports PA, attributes and shareability", () => {
    const { rig, s1 } = setup(false);
    s1.map(VA, RAM + 0x5000, LEAF);
    // Write-Back Inner Shareable, Non-secure (NS = 1), bit 11 = 0 with RME.
    expect(at(rig, S1E1R, VA + 0x678n)).toBe(((0xffn << 56n) | BigInt(RAM + 0x5000) | (3n << 7n) | bit(9)).toString(16));
    s1.map(VA, RAM, LEAF | attrIndex(1));
    expect(at(rig, S1E1R, VA)).toBe(((0x04n << 56n) | BigInt(RAM) | (2n << 7n) | bit(9)).toString(16));
    s1.map(VA, RAM, (LEAF & ~0x300n) | attrIndex(3));
    expect(at(rig, S1E1R, VA)).toBe(((0xbbn << 56n) | BigInt(RAM) | bit(9)).toString(16));
    // SCTLR.C = 0: Normal memory is Non-cacheable, Outer Shareable.
    rig.set({ SCTLR_EL1: 1n });
    expect(at(rig, S1E1R, VA)).toBe(((0x44n << 56n) | BigInt(RAM) | (2n << 7n) | bit(9)).toString(16));
    const plain = new Rig({ features: { rme: false } });
    expect(at(plain, S1E1R, 0x1000n)).toBe((0x1000n | (2n << 7n) | bit(9) | bit(11)).toString(16));
  });
  it("checks the permissions of the level and access it names", () => {
    const { rig, s1 } = setup(false);
    const fst = (code: bigint): string => (1n | (code << 1n) | bit(11)).toString(16);
    s1.map(VA, RAM, LEAF | RO);
    expect(at(rig, S1E1W, VA)).toBe(fst(0x0fn));
    expect(at(rig, S1E0R, VA)).toBe(fst(0x0fn));
    expect(par(rig) & 1n).toBe(1n);
    s1.map(VA, RAM, LEAF | USER);
    at(rig, S1E0W, VA);
    expect(par(rig) & 1n).toBe(0n);
    // Only the P forms obey PSTATE.PAN; EL0 itself is not concerned.
    rig.set({ PAN: 1 });
    at(rig, S1E1R, VA);
    expect(par(rig) & 1n).toBe(0n);
    expect(at(rig, S1E1RP, VA)).toBe(fst(0x0fn));
    expect(at(rig, S1E1WP, VA)).toBe(fst(0x0fn));
    rig.set({ PAN: 0 });
    at(rig, S1E1WP, VA);
    expect(par(rig) & 1n).toBe(0n);
    expect(at(rig, S1E1R, 0x1000n)).toBe(fst(0x05n));
    expect(at(rig, S1E1R, bit(50))).toBe(fst(0x04n));
    s1.map(VA, RAM, LEAF | RO);
    at(rig, S1E1A, VA);
    expect(par(rig) & 1n).toBe(0n);
  });
  it("sets AF but never the dirty state", () => {
    const { rig, s1 } = setup(false);
    rig.set({ TCR_EL1: tcr(s1, s1, bit(39) | bit(40)) });
    const d = s1.map(VA, RAM, (LEAF & ~AF) | DBM | RO);
    at(rig, S1E1W, VA);
    expect(par(rig) & 1n).toBe(0n);
    expect(s1.get(d) & (AF | RO)).toBe(AF | RO);
  });
  it("stage 1 only gives the IPA; both stages the PA, with PTW and S in the faults", () => {
    const { rig, s1, s2 } = setup(true);
    s1.map(VA, 0x7700_0000, LEAF);
    at(rig, S1E1R, VA);
    expect(par(rig) & 0xf_ffff_ffff_f000n).toBe(0x7700_0000n);
    rig.set({ EL: 2 });
    expect(at(rig, S12E1R, VA)).toBe((1n | (0x06n << 1n) | bit(9) | bit(11)).toString(16));
    s2.map(0x7700_0000n, RAM + 0x3000, S2 & ~bit(7));
    at(rig, S12E0R, VA);
    expect(par(rig) & 0xfffn).toBe(1n | (0x0fn << 1n) | bit(11));
    at(rig, S12E1R, VA);
    expect(par(rig) & 0xf_ffff_ffff_f000n).toBe(BigInt(RAM + 0x3000));
    expect(at(rig, S12E1W, VA)).toBe((1n | (0x0fn << 1n) | bit(9) | bit(11)).toString(16));
    s2.put(s2.slot(BigInt(s1.root), 2), 0n);
    rig.mmu.flushAll();
    expect(at(rig, S12E1R, VA)).toBe((1n | (0x06n << 1n) | bit(8) | bit(9) | bit(11)).toString(16));
    expect(at(rig, S1E1R, VA)).toBe((1n | (0x06n << 1n) | bit(8) | bit(9) | bit(11)).toString(16));
    // At EL1 the stage 2 fault of the walk is an exception to EL2, and PAR is left alone.
    rig.set({ EL: 1 });
    rig.st.set(slot.PAR_EL1, 0x1234n);
    expect(at(rig, S1E1R, VA)).toBe("raises s2ptw 0x6 w cm");
    expect(par(rig)).toBe(0x1234n);
  });
  it("names the regime: EL2, EL2&0 under E2H and TGE, EL3", () => {
    const rig = new Rig();
    const trees = [new Tree(rig), new Tree(rig), new Tree(rig), new Tree(rig)] as const;
    for (const [i, t] of trees.entries()) t.map(VA, RAM + i * 4096, LEAF | USER | (i === 3 ? bit(11) : 0n));
    const pa = (op: readonly [number, number, number]): number => {
      at(rig, op, VA);
      return par(rig) & 1n ? -1 : (Number(par(rig) & 0xffff_f000n) - RAM) / 4096;
    };
    const [el1, el2, host, el3] = trees;
    rig.set({
      EL: 2,
      SCTLR_EL1: 1n,
      SCTLR_EL2: 1n,
      SCTLR_EL3: 1n,
      TCR_EL1: tcr(el1),
      TTBR0_EL1: el1.ttbr(),
      TCR_EL2: tcrOne(el2),
      TTBR0_EL2: el2.ttbr(),
      TCR_EL3: tcrOne(el3),
      TTBR0_EL3: el3.ttbr(),
    });
    expect([pa(S1E1R), pa(S1E0R), pa(S1E2R)]).toEqual([0, 0, 1]);
    rig.set({ HCR_EL2: bit(34), TCR_EL2: tcr(host), TTBR0_EL2: host.ttbr() });
    expect([pa(S1E1R), pa(S1E0R), pa(S1E2R)]).toEqual([0, 0, 2]);
    rig.set({ HCR_EL2: bit(34) | bit(27) });
    expect([pa(S1E1R), pa(S1E0R), pa(S1E2R)]).toEqual([2, 2, 2]);
    rig.set({ EL: 3 });
    expect(pa(S1E3R)).toBe(3);
    // Root: NSE:NS = 10.
    expect(par(rig) & (bit(9) | bit(11))).toBe(bit(11));
  });
  it("External aborts on the walk raise; encodings that do not exist do nothing", () => {
    const { rig } = setup(false);
    rig.set({ TTBR0_EL1: 0n });
    expect(at(rig, S1E1R, VA)).toBe("raises s1 0x14 w cm");
    rig.st.set(slot.PAR_EL1, 0x55n);
    expect(at(rig, [0, 8, 4], VA)).toBe("55");
    expect(at(rig, [4, 8, 2], VA)).toBe("55");
    let n = 0;
    for (let op1 = 0; op1 < 8; op1++) for (let CRm = 0; CRm < 16; CRm++) for (let op2 = 0; op2 < 8; op2++) if (decodeAt(op1, CRm, op2)) n++;
    expect(n).toBe(4 + 3 + 2 + 4 + 2);
  });
});

describe("granule protection hook", () => {
  /** Denies one page to one PA space. */
  const deny = (page: number, kind: number): GranuleCheck => ({
    active: true,
    check: (pa) => (pa - (pa % 4096) === page ? kind * 16 + 1 : 0),
    sizeLog2: 12,
    entry: -1,
    granuleLog2: 12,
  });
  it("stands before every descriptor and before the final access, and limits what an entry covers", () => {
    const { rig, s1 } = setup(false);
    s1.map(0n, RAM, LEAF, 2);
    rig.mmu.granuleCheck = deny(RAM + 0x3000, 3);
    expect(rig.pa(0x2000n)).toBe(RAM + 0x2000);
    expect(rig.fails(0x3008n)).toBe("s1 0x28");
    expect(rig.mmu.fault).toMatchObject({ gpc: 3, gpcLevel: 1, pa: RAM + 0x3008, pas: 1 });
    rig.mmu.granuleCheck = deny(s1.root, 3);
    rig.mmu.flushAll();
    expect(rig.fails(0x2000n)).toBe("s1 0x24");
    rig.mmu.granuleCheck = undefined;
    expect(rig.pa(0x3000n)).toBe(RAM + 0x3000);
  });
  it("names stage and level of the descriptor, and decides what AT raises", () => {
    const { rig, s1, s2 } = setup(true);
    s1.map(VA, RAM, LEAF);
    rig.mmu.granuleCheck = deny(Math.floor(s2.slot(BigInt(RAM), 2) / 4096) * 4096, 3);
    expect(rig.fails(VA)).toBe("s2ptw 0x26");
    expect(rig.mmu.fault).toMatchObject({ ipaValid: true, ipa: s1.slot(VA, 0) });
    rig.mmu.granuleCheck = deny(Math.floor(s1.slot(VA, 3) / 4096) * 4096, 3);
    rig.set({ HCR_EL2: 0n });
    expect(at(rig, S1E1R, VA)).toBe((1n | (0x27n << 1n) | bit(11)).toString(16));
    rig.set({ SCR_EL3: 1n | bit(48) });
    expect(at(rig, S1E1R, VA)).toBe("raises s1 0x27 w cm");
    rig.set({ SCR_EL3: 1n, HCR_EL2: bit(48) });
    expect(at(rig, S1E1R, VA)).toBe("raises s1 0x27 w cm");
    rig.set({ HCR_EL2: 0n });
    rig.mmu.granuleCheck = deny(Math.floor(s1.slot(VA, 3) / 4096) * 4096, 2);
    expect(at(rig, S1E1R, VA)).toBe("raises s1 0x27 w cm");
  });
});
