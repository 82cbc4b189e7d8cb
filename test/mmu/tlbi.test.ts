// TLBI precision: an entry dies at each operation that covers it and survives every other. Which is which stands here as a
// predicate per operation, written from the Arm ARM (C5.5), over a population of entries in all regimes.

import { beforeAll, describe, expect, it } from "vitest";
import { decodeTlbi } from "../../src/mmu/tlbi.ts";
import { Access, bit, CONT, LEAF, NG, RAM, Rig, Tree, tcr, tcrOne, USER } from "./rig.ts";

const E2H_TGE = bit(34) | bit(27);
const REALM = 1n | bit(62);
const VA = 0x12_3456_7000n;
const GLOBAL_VA = 0x12_3456_8000n;
const KERNEL = 0xffff_8000_0020_0000n;

interface Entry {
  name: string;
  regime: "EL10" | "EL20" | "EL2" | "EL3";
  scr: bigint;
  vmid: number;
  /** -1: global. */
  asid: number;
  va: bigint;
  size: bigint;
}

let rig: Rig;
let tree: Tree;

beforeAll(() => {
  rig = new Rig({ pes: 2 });
  tree = new Tree(rig);
  tree.map(VA, RAM, LEAF | NG | USER);
  tree.map(GLOBAL_VA, RAM + 0x1000, LEAF | USER);
  tree.map(KERNEL, RAM, LEAF | NG, 2);
});

/** Registers under which an entry is made and used. */
function enter(e: Entry, pe = 0): void {
  const two = tcr(tree, tree);
  rig.set(
    {
      SCR_EL3: e.scr | bit(18),
      SCTLR_EL1: 1n,
      SCTLR_EL2: 1n,
      SCTLR_EL3: 1n,
      TCR_EL1: two,
      TCR_EL2: e.regime === "EL20" ? two : tcrOne(tree),
      TCR_EL3: tcrOne(tree),
      TTBR0_EL1: tree.ttbr(Math.max(e.asid, 0)),
      TTBR1_EL1: tree.ttbr(),
      TTBR0_EL2: tree.ttbr(Math.max(e.asid, 0)),
      TTBR1_EL2: tree.ttbr(),
      TTBR0_EL3: tree.ttbr(),
      HCR_EL2: e.regime === "EL20" ? E2H_TGE : 0n,
      VTCR_EL2: bit(19),
      VTTBR_EL2: BigInt(e.vmid) << 48n,
      EL: e.regime === "EL3" ? 3 : e.regime === "EL10" ? 1 : 2,
    },
    pe,
  );
}

const population: Entry[] = [];
for (const [scr, s] of [
  [1n, "ns"],
  [REALM, "realm"],
  [0n, "secure"],
] as const) {
  for (const vmid of [3, 0x103]) {
    for (const asid of [5, 6])
      population.push({ name: `${s} EL1 vm${vmid} a${asid}`, regime: "EL10", scr, vmid, asid, va: VA, size: 0x1000n });
    population.push({ name: `${s} EL1 vm${vmid} global`, regime: "EL10", scr, vmid, asid: -1, va: GLOBAL_VA, size: 0x1000n });
    population.push({ name: `${s} EL1 vm${vmid} block`, regime: "EL10", scr, vmid, asid: 5, va: KERNEL, size: 0x20_0000n });
  }
  population.push({ name: `${s} EL2&0 a5`, regime: "EL20", scr, vmid: 0, asid: 5, va: VA, size: 0x1000n });
  population.push({ name: `${s} EL2&0 global`, regime: "EL20", scr, vmid: 0, asid: -1, va: GLOBAL_VA, size: 0x1000n });
  population.push({ name: `${s} EL2`, regime: "EL2", scr, vmid: 0, asid: -1, va: VA, size: 0x1000n });
}
population.push({ name: "EL3", regime: "EL3", scr: 1n, vmid: 0, asid: -1, va: VA, size: 0x1000n });

/** Is the entry in a TLB of PE `pe`? */
function cached(e: Entry, pe = 0): boolean {
  enter(e, pe);
  const mmu = (rig.pes[pe] as (typeof rig.pes)[0]).mmu;
  const before = mmu.walks;
  rig.pa(e.va, Access.Read, false, pe);
  return mmu.walks === before;
}
function fillAll(pe = 0): void {
  (rig.pes[pe] as (typeof rig.pes)[0]).mmu.flushAll();
  for (const e of population) cached(e, pe);
}

interface Issue {
  name: string;
  op: [op1: number, CRm: number, op2: number];
  CRn?: number;
  el: number;
  scr: bigint;
  hcr?: bigint;
  vmid: number;
  x: bigint;
  dies: (e: Entry) => boolean;
}
const page = (va: bigint): bigint => (va >> 12n) & 0xfff_ffff_ffffn;
const asidX = (asid: number): bigint => BigInt(asid) << 48n;
const inPage = (e: Entry, va: bigint): boolean => va >= e.va && va < e.va + e.size;
const el10 = (e: Entry, scr: bigint, vmid?: number): boolean =>
  e.regime === "EL10" && e.scr === scr && (vmid === undefined || e.vmid === vmid);
const asidHit = (e: Entry, asid: number): boolean => e.asid === -1 || e.asid === asid;

// biome-ignore format: one row per operation
const issues: Issue[] = [
  { name: "VMALLE1 at EL1", op: [0, 7, 0], el: 1, scr: 1n, vmid: 3, x: 0n, dies: (e) => el10(e, 1n, 3) },
  { name: "VMALLE1 in Realm", op: [0, 7, 0], el: 1, scr: REALM, vmid: 3, x: 0n, dies: (e) => el10(e, REALM, 3) },
  { name: "VMALLE1NXS", op: [0, 7, 0], CRn: 9, el: 1, scr: 1n, vmid: 3, x: 0n, dies: (e) => el10(e, 1n, 3) },
  { name: "VAE1 asid 5", op: [0, 7, 1], el: 1, scr: 1n, vmid: 3, x: page(VA) | asidX(5), dies: (e) => el10(e, 1n, 3) && inPage(e, VA) && asidHit(e, 5) },
  { name: "VALE1 global page, other asid", op: [0, 7, 5], el: 1, scr: 1n, vmid: 3, x: page(GLOBAL_VA) | asidX(9), dies: (e) => el10(e, 1n, 3) && inPage(e, GLOBAL_VA) && asidHit(e, 9) },
  { name: "VAE1 inside a block", op: [0, 7, 1], el: 1, scr: 1n, vmid: 3, x: page(KERNEL + 0x12_3000n) | asidX(5), dies: (e) => el10(e, 1n, 3) && inPage(e, KERNEL + 0x12_3000n) },
  { name: "VAE1 beside a block", op: [0, 7, 1], el: 1, scr: 1n, vmid: 3, x: page(KERNEL + 0x20_0000n) | asidX(5), dies: () => false },
  { name: "VAAE1", op: [0, 7, 3], el: 1, scr: 1n, vmid: 0x103, x: page(VA), dies: (e) => el10(e, 1n, 0x103) && inPage(e, VA) },
  { name: "VAALE1 in Secure", op: [0, 7, 7], el: 1, scr: 0n, vmid: 3, x: page(VA), dies: (e) => el10(e, 0n, 3) && inPage(e, VA) },
  { name: "ASIDE1 leaves global entries", op: [0, 7, 2], el: 1, scr: 1n, vmid: 3, x: asidX(5), dies: (e) => el10(e, 1n, 3) && e.asid === 5 },
  { name: "VMALLE1 at EL2, E2H = 0", op: [0, 7, 0], el: 2, scr: 1n, vmid: 3, x: 0n, dies: (e) => el10(e, 1n, 3) },
  { name: "VMALLE1 at EL2, E2H TGE", op: [0, 7, 0], el: 2, scr: 1n, hcr: E2H_TGE, vmid: 3, x: 0n, dies: (e) => e.regime === "EL20" && e.scr === 1n },
  { name: "VAE1 at EL2, E2H TGE", op: [0, 7, 1], el: 2, scr: 1n, hcr: E2H_TGE, vmid: 3, x: page(VA) | asidX(5), dies: (e) => e.regime === "EL20" && e.scr === 1n && inPage(e, VA) },
  { name: "ASIDE1 at EL2, E2H only", op: [0, 7, 2], el: 2, scr: 1n, hcr: bit(34), vmid: 3, x: asidX(6), dies: (e) => el10(e, 1n, 3) && e.asid === 6 },
  { name: "VMALLE1 at EL3 for Realm", op: [0, 7, 0], el: 3, scr: REALM, vmid: 3, x: 0n, dies: (e) => el10(e, REALM, 3) },
  { name: "VMALLS12E1", op: [4, 7, 6], el: 2, scr: 1n, vmid: 0x103, x: 0n, dies: (e) => el10(e, 1n, 0x103) },
  { name: "VMALLS12E1 under E2H TGE", op: [4, 7, 6], el: 2, scr: 1n, hcr: E2H_TGE, vmid: 3, x: 0n, dies: (e) => el10(e, 1n, 3) },
  { name: "ALLE1", op: [4, 7, 4], el: 2, scr: REALM, vmid: 9, x: 0n, dies: (e) => el10(e, REALM) },
  { name: "ALLE2, E2H = 0", op: [4, 7, 0], el: 2, scr: 1n, vmid: 3, x: 0n, dies: (e) => e.regime === "EL2" && e.scr === 1n },
  { name: "ALLE2, E2H = 1", op: [4, 7, 0], el: 2, scr: 1n, hcr: bit(34), vmid: 3, x: 0n, dies: (e) => e.regime === "EL20" && e.scr === 1n },
  { name: "VAE2, E2H = 0: no ASID", op: [4, 7, 1], el: 2, scr: 1n, vmid: 3, x: page(VA) | asidX(77), dies: (e) => e.regime === "EL2" && e.scr === 1n },
  { name: "VALE2, E2H = 1, other ASID", op: [4, 7, 5], el: 2, scr: 1n, hcr: E2H_TGE, vmid: 3, x: page(VA) | asidX(6), dies: () => false },
  { name: "ALLE3", op: [6, 7, 0], el: 3, scr: 1n, vmid: 3, x: 0n, dies: (e) => e.regime === "EL3" },
  { name: "VAE3", op: [6, 7, 1], el: 3, scr: REALM, vmid: 3, x: page(VA), dies: (e) => e.regime === "EL3" },
  { name: "VAE3 elsewhere", op: [6, 7, 5], el: 3, scr: 1n, vmid: 3, x: page(GLOBAL_VA), dies: () => false },
  // Ranges: BaseADDR in granules, TG = 4K (bit 46), NUM + 1 times 2^(5*SCALE+1).
  { name: "RVAE1, two pages", op: [0, 6, 1], el: 1, scr: 1n, vmid: 3, x: rangeX(VA, 0, 0) | asidX(5), dies: (e) => el10(e, 1n, 3) && asidHit(e, 5) && (inPage(e, VA) || inPage(e, GLOBAL_VA)) },
  { name: "RVAE1 ending before", op: [0, 6, 1], el: 1, scr: 1n, vmid: 3, x: rangeX(VA - 0x2000n, 0, 0) | asidX(5), dies: () => false },
  { name: "RVAAE1 large, from far below", op: [0, 6, 3], el: 1, scr: 1n, vmid: 3, x: rangeX(VA - 0x100_0000n, 31, 2), dies: (e) => el10(e, 1n, 3) && (inPage(e, VA) || inPage(e, GLOBAL_VA)) },
  { name: "RVAALE1 cutting into the block", op: [0, 6, 7], el: 1, scr: 1n, vmid: 3, x: rangeX(KERNEL + 0x1f_e000n, 0, 0), dies: (e) => el10(e, 1n, 3) && e.va === KERNEL },
  { name: "RVAALE1 large over the block", op: [0, 6, 7], el: 1, scr: 1n, vmid: 3, x: rangeX(KERNEL + 0x1f_e000n, 31, 1), dies: (e) => el10(e, 1n, 3) && e.va === KERNEL },
  { name: "RVAE1 with reserved TG", op: [0, 6, 1], el: 1, scr: 1n, vmid: 3, x: page(VA) | asidX(5), dies: () => false },
  { name: "RVALE2", op: [4, 6, 5], el: 2, scr: 1n, vmid: 3, x: rangeX(VA, 0, 0), dies: (e) => e.regime === "EL2" && e.scr === 1n },
  { name: "RVAE3", op: [6, 6, 1], el: 3, scr: 1n, vmid: 3, x: rangeX(VA, 0, 0), dies: (e) => e.regime === "EL3" },
  { name: "IPAS2E1 with stage 2 off in all entries", op: [4, 4, 1], el: 2, scr: 1n, vmid: 3, x: page(BigInt(RAM)), dies: () => false },
  { name: "PAALL", op: [6, 7, 4], el: 3, scr: 1n, vmid: 3, x: 0n, dies: () => true },
  { name: "RPAOS, 4K", op: [6, 4, 3], el: 3, scr: 1n, vmid: 3, x: (BigInt(RAM) >> 12n) | 0n, dies: (e) => e.va !== GLOBAL_VA },
  { name: "RPALOS, 64K elsewhere", op: [6, 4, 7], el: 3, scr: 1n, vmid: 3, x: (BigInt(RAM + 0x20_0000) >> 12n) | (2n << 44n), dies: () => false },
  { name: "an encoding that does not exist", op: [0, 7, 4], el: 1, scr: 1n, vmid: 3, x: 0n, dies: () => false },
];
function rangeX(va: bigint, num: number, scale: number): bigint {
  return ((va >> 12n) & 0x1f_ffff_ffffn) | (BigInt(num) << 39n) | (BigInt(scale) << 44n) | (1n << 46n);
}

function issue(i: Issue, CRm: number, pe = 0): void {
  rig.set(
    {
      SCR_EL3: i.scr | bit(18),
      HCR_EL2: i.hcr ?? 0n,
      TCR_EL1: tcr(tree),
      TCR_EL2: (i.hcr ?? 0n) & bit(34) ? tcr(tree) : tcrOne(tree),
      VTCR_EL2: bit(19),
      VTTBR_EL2: BigInt(i.vmid) << 48n,
      EL: i.el,
    },
    pe,
  );
  (rig.pes[pe] as (typeof rig.pes)[0]).mmu.tlbi(i.op[0], i.CRn ?? 8, CRm, i.op[2], i.x);
}

describe("TLBI kills exactly what it covers", () => {
  it.each(issues)("$name", (i) => {
    fillAll();
    for (const e of population) expect(cached(e), e.name).toBe(true);
    fillAll();
    issue(i, i.op[1]);
    const alive = population.filter((e) => cached(e)).map((e) => e.name);
    expect(alive).toEqual(population.filter((e) => !i.dies(e)).map((e) => e.name));
  });

  it("local forms stay local, IS and OS forms reach the other PE, HCR.FB broadcasts at EL1", () => {
    const target = population[0] as Entry;
    const forms: [number, bigint, number, boolean][] = [
      [7, 0n, 1, false],
      [3, 0n, 1, true],
      [1, 0n, 1, true],
      [7, bit(9), 1, true],
      [7, bit(9), 2, false],
    ];
    for (const [CRm, hcr, el, reaches] of forms) {
      fillAll(1);
      issue({ name: "", op: [0, CRm, 0], el, scr: 1n, hcr, vmid: target.vmid, x: 0n, dies: () => true }, CRm, 0);
      expect(cached(target, 1), `CRm ${CRm} hcr ${hcr} el ${el}`).toBe(!reaches);
    }
  });
});

describe("leaves cut by stage 2", () => {
  const S2 = 0x7fcn;
  it("any address of the stage 1 leaf covers all its pieces; IPA operations go by the stage 2 leaf", () => {
    const r = new Rig();
    const s1 = new Tree(r);
    const s2 = new Tree(r, { ia: 39, start: 1 });
    for (let off = 0; off < 0x400_0000; off += 0x20_0000) s2.map(BigInt(RAM + off), RAM + off, S2, 2);
    s1.map(0x40_0000n, 0x1000_0000, LEAF | NG, 2);
    s2.map(0x1000_0000n, RAM, S2);
    s2.map(0x1000_1000n, RAM + 0x1000, S2);
    s1.map(0x80_0000n, 0x2000_0000, LEAF | NG);
    s1.map(0x80_1000n, 0x2000_1000, LEAF | NG);
    s2.map(0x2000_0000n, RAM, S2, 2);
    r.set({
      SCTLR_EL1: 1n,
      TCR_EL1: tcr(s1),
      TTBR0_EL1: s1.ttbr(4),
      HCR_EL2: 1n,
      VTCR_EL2: s2.tsz | (1n << 6n) | (5n << 16n),
      VTTBR_EL2: s2.ttbr() | (8n << 48n),
    });
    const vas = [0x40_0000n, 0x40_1000n, 0x80_0000n, 0x80_1000n];
    const alive = (): number[] =>
      vas.map((va) => {
        const before = r.mmu.walks;
        r.pa(va);
        return r.mmu.walks === before ? 1 : 0;
      });
    alive();
    expect(alive()).toEqual([1, 1, 1, 1]);
    r.mmu.tlbi(0, 8, 7, 1, page(0x4f_f000n) | asidX(4));
    expect(alive()).toEqual([0, 0, 1, 1]);
    r.mmu.tlbi(0, 8, 7, 1, page(0x40_1000n) | asidX(9));
    expect(alive()).toEqual([1, 1, 1, 1]);
    r.mmu.tlbi(0, 8, 6, 1, rangeX(0x5f_e000n, 0, 0) | asidX(4));
    expect(alive()).toEqual([0, 0, 1, 1]);
    // Stage 2: one IPA page; any page of a stage 2 block; another IPA; a range.
    r.set({ EL: 2 });
    const el1 = (): number[] => {
      r.set({ EL: 1 });
      const a = alive();
      r.set({ EL: 2 });
      return a;
    };
    r.mmu.tlbi(4, 8, 4, 1, 0x1000_1000n >> 12n);
    expect(el1()).toEqual([1, 0, 1, 1]);
    r.mmu.tlbi(4, 8, 4, 5, 0x201f_f000n >> 12n);
    expect(el1()).toEqual([1, 1, 0, 0]);
    r.mmu.tlbi(4, 8, 4, 1, 0x3000_0000n >> 12n);
    expect(el1()).toEqual([1, 1, 1, 1]);
    r.mmu.tlbi(4, 8, 4, 2, ((0x1000_0000n >> 12n) & 0x1f_ffff_ffffn) | (1n << 46n));
    expect(el1()).toEqual([0, 0, 1, 1]);
    r.set({ VTTBR_EL2: s2.ttbr() | (9n << 48n) });
    r.mmu.tlbi(4, 8, 4, 1, 0x1000_0000n >> 12n);
    r.set({ VTTBR_EL2: s2.ttbr() | (8n << 48n) });
    expect(el1()).toEqual([1, 1, 1, 1]);
  });
  it("a contiguous set goes with any of its pages", () => {
    const r = new Rig();
    const t = new Tree(r);
    for (let i = 0; i < 16; i++) t.map(0x1_0000n + BigInt(i * 4096), RAM + i * 4096, LEAF | CONT | NG);
    r.set({ SCTLR_EL1: 1n, TCR_EL1: tcr(t), TTBR0_EL1: t.ttbr(4) });
    r.pa(0x1_3000n);
    r.mmu.tlbi(0, 8, 7, 1, page(0x2_0000n) | asidX(4));
    r.pa(0x1_0000n);
    expect(r.mmu.walks).toBe(1);
    r.mmu.tlbi(0, 8, 7, 1, page(0x1_f000n) | asidX(4));
    r.pa(0x1_0000n);
    expect(r.mmu.walks).toBe(2);
  });
});

describe("entries are reused until invalidated", () => {
  it("a changed descriptor takes effect only after a TLBI, except where it permits more", () => {
    const r = new Rig();
    const t = new Tree(r);
    t.map(VA, RAM, LEAF | NG);
    r.set({ SCTLR_EL1: 1n, TCR_EL1: tcr(t), TTBR0_EL1: t.ttbr(4) });
    expect(r.pa(VA)).toBe(RAM);
    t.map(VA, RAM + 0x1000, LEAF | NG | USER);
    expect(r.pa(VA)).toBe(RAM);
    t.put(t.slot(VA, 3), 0n);
    expect(r.pa(VA, Access.Write)).toBe(RAM);
    // A refused access looks at the tables, and leaves the entry.
    expect(r.fails(VA, Access.Read, true)).toBe("s1 0x07");
    expect(r.pa(VA)).toBe(RAM);
    t.map(VA, RAM + 0x1000, LEAF | NG | USER);
    expect(r.pa(VA, Access.Read, true)).toBe(RAM + 0x1000);
    expect(r.pa(VA)).toBe(RAM + 0x1000);
    t.put(t.slot(VA, 3), 0n);
    r.mmu.tlbi(0, 8, 7, 1, page(VA) | asidX(4));
    expect(r.fails(VA)).toBe("s1 0x07");
    expect(r.l1("TLB_R", VA)).toBe(-1);
  });
  it("a walk after a refused access replaces the outdated entry, whatever the sizes", () => {
    const r = new Rig();
    const t = new Tree(r);
    const block = VA & ~0x1f_ffffn;
    t.map(VA, RAM, LEAF | NG | bit(7));
    r.set({ SCTLR_EL1: 1n, TCR_EL1: tcr(t), TTBR0_EL1: t.ttbr(4) });
    r.pa(VA);
    t.map(block, RAM + 0x20_0000, LEAF, 2);
    expect(r.pa(VA)).toBe(RAM);
    expect(r.pa(VA, Access.Write)).toBe(RAM + 0x20_0000 + Number(VA - block));
    expect(r.pa(VA)).toBe(RAM + 0x20_0000 + Number(VA - block));
    expect(r.l1("TLB_R", VA)).toBe(r.phys.host(RAM + 0x20_0000 + Number(VA - block)));
  });
  it("faults are never cached", () => {
    const r = new Rig();
    const t = new Tree(r);
    t.slot(VA, 3);
    r.set({ SCTLR_EL1: 1n, TCR_EL1: tcr(t), TTBR0_EL1: t.ttbr(4) });
    expect(r.fails(VA)).toBe("s1 0x07");
    t.map(VA, RAM, LEAF);
    expect(r.pa(VA)).toBe(RAM);
  });
});

describe("decodeTlbi", () => {
  it("knows the 6 by-VA forms of EL1 three times, their 4 ranges three times, and so on", () => {
    const count = (op1: number): number => {
      let n = 0;
      for (let CRm = 0; CRm < 16; CRm++) for (let op2 = 0; op2 < 8; op2++) if (decodeTlbi(op1, 8, CRm, op2) !== undefined) n++;
      return n;
    };
    // EL1: 18 + 12. EL2: 15 + 6 + 12 stage 2. EL3: 9 + 6 + 4 by PA.
    expect([count(0), count(4), count(6), count(3)]).toEqual([30, 33, 19, 0]);
    expect(decodeTlbi(6, 9, 7, 4)).toBeUndefined();
    expect(decodeTlbi(0, 7, 7, 0)).toBeUndefined();
  });
});
