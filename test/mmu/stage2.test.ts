import { describe, expect, it } from "vitest";
import { hpfar } from "../../src/mmu/fault.ts";
import { Access, AF, attrIndex, bit, CONT, DBM, LEAF, RAM, Rig, TG0, Tree, type TreeOptions, tcr, UXN } from "./rig.ts";

const VA = 0x12_3456_7000n;
const VM = 1n;
const DC = bit(12);
/** Stage 2 leaf: AF, Inner Shareable, Normal Write-Back, read and write. */
const S2 = 0x7fcn;
const S2AP_W = bit(7);

/** VTCR_EL2 for a tree; SL0 by granule and start level (facts, section 6). */
function vtcr(t: Tree, more = 0n): bigint {
  const sl = t.granule === 12 ? { 2: 0n, 1: 1n, 0: 2n, 3: 3n, "-1": bit(33 - 6) }[t.start] : BigInt(3 - t.start);
  return t.tsz | ((sl as bigint) << 6n) | ((TG0[t.granule] as bigint) << 14n) | (5n << 16n) | more;
}

interface Two {
  rig: Rig;
  s1: Tree;
  s2: Tree;
}
/** Stage 1 tables live in guest memory: IPA = PA for the RAM, mapped by 2 MiB blocks (4K granule) so that both trees are reachable. */
function two(o: TreeOptions = {}, more = 0n, features = {}): Two {
  const rig = new Rig({ features });
  const s1 = new Tree(rig);
  const s2 = new Tree(rig, { ia: 40, start: 1, ...o });
  const identity = (): void => {
    for (let off = 0; off < 0x400_0000; off += 0x20_0000) s2.map(BigInt(RAM + off), RAM + off, S2, 2);
  };
  if (s2.granule === 12) identity();
  else for (let off = 0; off < 0x400_0000; off += 2 ** s2.granule) s2.map(BigInt(RAM + off), RAM + off, S2, 3);
  rig.set({ SCTLR_EL1: 5n, TCR_EL1: tcr(s1), TTBR0_EL1: s1.ttbr(), HCR_EL2: VM, VTCR_EL2: vtcr(s2, more), VTTBR_EL2: s2.ttbr() });
  return { rig, s1, s2 };
}
/** Stage 2 alone: stage 1 off. */
function only(o: TreeOptions = {}, more = 0n, features = {}): { rig: Rig; s2: Tree } {
  const rig = new Rig({ features });
  const s2 = new Tree(rig, o);
  rig.set({ HCR_EL2: VM, VTCR_EL2: vtcr(s2, more), VTTBR_EL2: s2.ttbr() });
  return { rig, s2 };
}

describe("stage 2 walk", () => {
  it("translates the output of stage 1 and every stage 1 descriptor", () => {
    const { rig, s1, s2 } = two();
    s1.map(VA, 0x7700_0000, LEAF);
    s2.map(0x7700_0000n, RAM + 0x9000, S2);
    expect(rig.pa(VA + 0x45n)).toBe(RAM + 0x9045);
    expect(rig.l1("TLB_R", VA)).toBe(rig.phys.host(RAM + 0x9000));
    // The stage 1 table in turn is where stage 2 says.
    const copy = rig.table();
    const l3 = Math.floor(s1.slot(VA, 3) / 4096) * 4096;
    rig.phys.writeBytes(copy, rig.phys.readBytes(l3, 4096) as Uint8Array);
    rig.write64(l3 + (s1.slot(VA, 3) - l3), 0n);
    rig.mmu.flushAll();
    expect(rig.fails(VA)).toBe("s1 0x07");
    s2.put(s2.slot(BigInt(l3), 2), 0n);
    s2.map(BigInt(l3), copy, S2);
    for (let page = Math.floor(l3 / 0x20_0000) * 0x20_0000; page < l3 + 0x20_0000; page += 4096)
      if (page !== l3) s2.map(BigInt(page), page, S2);
    rig.mmu.flushAll();
    expect(rig.pa(VA)).toBe(RAM + 0x9000);
  });

  // Granule, IPA bits, start level, concatenated tables (log2): all that SL0 allows.
  // biome-ignore format: one row per granule
  const shapes: [12 | 14 | 16, number, number, number][] = [
    [12, 40, 1, 1], [12, 43, 1, 4], [12, 39, 1, 0], [12, 31, 1, 0], [12, 34, 2, 4], [12, 30, 2, 0], [12, 25, 3, 4], [12, 16, 3, 0], [12, 48, 0, 0], [12, 44, 0, 0],
    [14, 40, 2, 4], [14, 36, 2, 0], [14, 29, 3, 4], [14, 47, 1, 0], [14, 48, 1, 1], [16, 42, 2, 0], [16, 46, 2, 4], [16, 33, 3, 4], [16, 48, 1, 0], [16, 47, 1, 0],
  ];
  it.each(shapes)("granule 2^%i, %i-bit IPA, start level %i, 2^%i concatenated tables", (granule, ia, start, concat) => {
    const { rig, s2 } = only({ granule, ia, start, concat });
    for (const ipa of [0n, (1n << BigInt(ia)) - (1n << BigInt(granule)), 1n << BigInt(ia - 1)]) {
      s2.map(ipa, RAM + 0x10000, S2);
      expect(rig.pa(ipa + 0x7n)).toBe(RAM + 0x10007);
    }
    expect(rig.fails(1n << BigInt(ia))).toBe("s2 0x04");
  });

  it.each([
    [12, 44, 1],
    [12, 30, 1],
    [12, 35, 2],
    [12, 26, 3],
    [12, 39, 0],
    [14, 41, 2],
    [14, 30, 3],
    [14, 25, 2],
    [16, 47, 2],
    [16, 34, 3],
    [16, 29, 2],
  ] as const)("granule 2^%i, %i-bit IPA does not fit start level %i", (granule, ia, start) => {
    const { rig, s2 } = only({ granule, ia, start, concat: 4 });
    s2.put(s2.root, BigInt(RAM) | S2 | 3n);
    expect(rig.fails(0n)).toBe("s2 0x04");
  });

  it("rejects reserved start levels and sizes beyond the PE's", () => {
    const bad: [bigint, object][] = [
      [(3n << 6n) | 24n | (1n << 14n) | (5n << 16n), {}],
      [(3n << 6n) | 24n | (2n << 14n) | (5n << 16n), {}],
      [(3n << 6n) | 40n | (5n << 16n), { ttst: false }],
      [(2n << 6n) | 16n | (5n << 16n), { paBits: 42 }],
      [(1n << 6n) | 23n | (5n << 16n), { paBits: 40 }],
      [(1n << 6n) | 40n | (5n << 16n), {}],
    ];
    for (const [value, features] of bad) {
      const { rig } = only({ ia: 40, start: 1 }, 0n, features);
      rig.set({ VTCR_EL2: value });
      expect(rig.fails(0n)).toBe("s2 0x04");
    }
  });

  it("DS = 1: level -1 by SL2, 52-bit IPA and PA", () => {
    const rig = new Rig();
    const s2 = new Tree(rig, { ia: 52, ds: true });
    expect(s2.start).toBe(-1);
    s2.map(0xf_1234_5678_9000n, 0x8_0000_0000_1000n, S2 & ~0x300n);
    rig.set({ HCR_EL2: VM, VTCR_EL2: s2.tsz | (6n << 16n) | bit(32) | bit(33), VTTBR_EL2: s2.ttbr() });
    expect(rig.pa(0xf_1234_5678_9000n)).toBe(0x8_0000_0000_1000);
    expect(rig.fails(0n)).toBe("s2 0x2b");
  });

  it("checks base, tables and leaves against VTCR.PS, and contiguous sets against the input", () => {
    const { rig, s2 } = only({ ia: 40, start: 1, concat: 1 });
    s2.map(0x1000n, 1n << 40n, S2);
    expect(rig.pa(0x1000n)).toBe(2 ** 40);
    const ps = (n: bigint): bigint => (vtcr(s2) & ~(7n << 16n)) | (n << 16n);
    rig.set({ VTCR_EL2: ps(2n) });
    expect(rig.fails(0x1000n)).toBe("s2 0x03");
    s2.put(s2.slot(0n, 2), (1n << 41n) | 3n);
    expect(rig.fails(0x1000n)).toBe("s2 0x02");
    rig.set({ VTTBR_EL2: 1n << 41n });
    expect(rig.fails(0x1000n)).toBe("s2 0x00");
    const narrow = only({ ia: 33, start: 1 });
    narrow.s2.map(0n, 0, S2 | CONT, 1);
    expect(narrow.rig.fails(0n)).toBe("s2 0x05");
  });

  it("External aborts and big-endian tables", () => {
    const { rig, s2 } = only({ ia: 40, start: 1, concat: 1, bigEndian: true });
    s2.map(0n, RAM, S2);
    rig.set({ SCTLR_EL2: bit(25) });
    expect(rig.pa(0n)).toBe(RAM);
    s2.put(s2.slot(0n, 1), 0x100_0000n | 3n);
    rig.mmu.flushAll();
    expect(rig.fails(0n)).toBe("s2 0x16");
  });

  it("TLB entries have the smaller leaf of the two stages", () => {
    const { rig, s1, s2 } = two();
    s1.map(0n, 0x8000_0000, LEAF, 2);
    s2.map(0x8000_0000n, RAM, S2);
    s2.map(0x8000_1000n, RAM + 0x5000, S2);
    expect(rig.pa(0n)).toBe(RAM);
    expect(rig.pa(0x1000n)).toBe(RAM + 0x5000);
    expect(rig.fails(0x2000n)).toBe("s2 0x07");
    s1.map(0x40_0000n, 0x9000_0000, LEAF);
    s2.map(0x9000_0000n, RAM, S2, 2);
    expect(rig.pa(0x40_0000n)).toBe(RAM);
    expect(rig.fails(0x40_1000n)).toBe("s1 0x07");
  });
});

describe("stage 2 permissions", () => {
  it.each([0, 1, 2, 3])("S2AP = %i", (ap) => {
    const { rig, s2 } = only({ ia: 40, start: 1, concat: 1 });
    s2.map(0n, RAM, (S2 & ~0xc0n) | (BigInt(ap) << 6n));
    expect(rig.outcome(0n)).toBe(ap & 1 ? "ok" : "s2 0x0f");
    expect(rig.outcome(0n, Access.Write)).toBe(ap & 2 ? "ok" : "s2 0x0f w");
    expect(rig.outcome(0n, Access.ReadWrite)).toBe(ap === 3 ? "ok" : ap & 1 ? "s2 0x0f w" : "s2 0x0f");
    expect(rig.outcome(0n, Access.Maintain)).toBe("ok");
  });
  it.each([
    [0, "ok", "ok"],
    [1, "ok", "no"],
    [2, "no", "no"],
    [3, "no", "ok"],
  ] as const)("XN[1:0] = %i: EL0 %s, EL1 %s; without FEAT_XNX only bit 54", (xn, el0, el1) => {
    for (const xnx of [true, false]) {
      const { rig, s2 } = only({ ia: 40, start: 1, concat: 1 }, 0n, { xnx });
      s2.map(0n, RAM, S2 | (BigInt(xn) << 53n));
      const plain = xn & 2 ? "s2 0x0f" : "ok";
      rig.set({ EL: 0 });
      expect(rig.outcome(0n, Access.Fetch)).toBe(xnx ? (el0 === "ok" ? "ok" : "s2 0x0f") : plain);
      rig.set({ EL: 1 });
      expect(rig.outcome(0n, Access.Fetch)).toBe(xnx ? (el1 === "ok" ? "ok" : "s2 0x0f") : plain);
    }
  });
  it("stage 1 faults come before stage 2 faults of the final address, after those of the walk", () => {
    const { rig, s1, s2 } = two();
    s1.map(VA, 0x7700_0000, LEAF | bit(7));
    expect(rig.fails(VA, Access.Write)).toBe("s1 0x0f w");
    expect(rig.fails(VA)).toBe("s2 0x06");
    s2.put(s2.slot(BigInt(s1.slot(VA, 2)), 2), 0n);
    rig.mmu.flushAll();
    expect(rig.fails(VA, Access.Write)).toBe("s2ptw 0x06 w");
  });
  // op1, CRn, CRm, op2 and the operand: IPAS2E1IS, VMALLE1IS, VMALLS12E1IS, ALLE1IS, RPALOS (4 KiB), PAALL
  const operations: [string, [number, number, number, number], boolean][] = [
    ["IPAS2E1IS", [4, 8, 0, 1], true],
    ["VMALLE1IS", [0, 8, 3, 0], false],
    ["VMALLS12E1IS", [4, 8, 3, 6], false],
    ["ALLE1IS", [4, 8, 3, 4], false],
    ["RPALOS", [6, 8, 4, 7], true],
    ["PAALL", [6, 8, 7, 4], false],
  ];
  it.each(operations)("where stage 1 tables are is asked again after %s", (_name, op, operand) => {
    const { rig, s1, s2 } = two();
    s1.map(VA, 0x7700_0000, LEAF);
    expect(rig.fails(VA)).toBe("s2 0x06");
    const table = s1.slot(VA, 3) - (s1.slot(VA, 3) % 4096);
    const entry = s2.slot(BigInt(table), 2);
    s2.put(entry, 0n);
    const page = op[0] === 6 ? entry : table; // granule protection: of the stage 2 table that was read
    rig.mmu.tlbi(...op, operand ? BigInt(Math.floor(page / 4096)) : 0n);
    expect(rig.fails(VA)).toBe("s2ptw 0x06");
  });
  it("where stage 1 tables are is asked again for another VMID", () => {
    const { rig, s1, s2 } = two();
    s1.map(VA, 0x7700_0000, LEAF);
    expect(rig.fails(VA)).toBe("s2 0x06");
    s2.put(s2.slot(BigInt(s1.slot(VA, 3)), 2), 0n);
    rig.set({ VTTBR_EL2: s2.ttbr() | (1n << 48n) });
    expect(rig.fails(VA)).toBe("s2ptw 0x06");
  });
  it("reports the IPA for HPFAR: of the access, of the descriptor, not for permission faults of the access", () => {
    const { rig, s1, s2 } = two();
    s1.map(VA, 0x7700_0000, LEAF);
    rig.fails(VA + 0x123n);
    expect(rig.mmu.fault).toMatchObject({ stage: 2, s1ptw: false, ipa: 0x7700_0123, ipaValid: true, va: VA + 0x123n });
    expect(hpfar(rig.mmu.fault as never, false)).toBe(0x77000n << 4n);
    s2.map(0x7700_0000n, RAM, S2 & ~0xc0n);
    expect(rig.fails(VA)).toBe("s2 0x0f");
    expect(rig.mmu.fault?.ipaValid).toBe(false);
    const desc = s1.slot(VA, 3);
    s2.map(BigInt(desc), desc, (S2 & ~0xc0n) | (2n << 6n), 2);
    s2.put(s2.slot(BigInt(desc), 2), BigInt(Math.floor(desc / 0x20_0000) * 0x20_0000) | (S2 & ~0xc0n) | bit(7) | 1n);
    rig.mmu.flushAll();
    expect(rig.fails(VA)).toBe("s2ptw 0x0e");
    expect(rig.mmu.fault).toMatchObject({ ipa: s1.slot(VA, s1.start), ipaValid: true, s1ptw: true });
  });
  it("HCR.PTW forbids stage 1 tables in stage 2 Device memory", () => {
    const { rig, s1, s2 } = two();
    s1.map(VA, RAM, LEAF);
    const at = s2.slot(BigInt(s1.root), 2);
    s2.put(at, s2.get(at) & ~0x3cn);
    expect(rig.outcome(VA)).toBe("ok");
    rig.mmu.flushAll();
    rig.set({ HCR_EL2: VM | bit(2) });
    expect(rig.outcome(VA)).toBe("s2ptw 0x0e");
  });
});

describe("stage 2 access flag and dirty state", () => {
  const HA = bit(21);
  const HD = bit(22);
  it("AF: fault without HA, set with it", () => {
    const { rig, s2 } = only({ ia: 40, start: 1, concat: 1 });
    const at = s2.map(0n, RAM, S2 & ~AF);
    expect(rig.fails(0n)).toBe("s2 0x0b");
    expect(rig.mmu.fault?.ipaValid).toBe(true);
    rig.set({ VTCR_EL2: vtcr(s2, HA) });
    expect(rig.outcome(0n)).toBe("ok");
    expect(s2.get(at) & AF).toBe(AF);
  });
  it("DBM: writable, S2AP[1] set by the first write", () => {
    const { rig, s2 } = only({ ia: 40, start: 1, concat: 1 }, HA | HD);
    const at = s2.map(0n, RAM, (S2 & ~S2AP_W) | DBM);
    expect(rig.outcome(0n)).toBe("ok");
    expect(s2.get(at) & S2AP_W).toBe(0n);
    expect(rig.outcome(0n, Access.Write)).toBe("ok");
    expect(s2.get(at) & S2AP_W).toBe(S2AP_W);
  });
  it("updating a stage 1 descriptor needs write permission at stage 2, and marks its page dirty there", () => {
    const { rig, s1, s2 } = two({}, HA | HD);
    rig.set({ TCR_EL1: tcr(s1, s1, bit(39) | bit(40)) });
    const leaf = s1.map(VA, RAM, LEAF & ~AF);
    const at = s2.slot(BigInt(leaf), 2);
    s2.put(at, s2.get(at) & ~S2AP_W);
    expect(rig.fails(VA)).toBe("s2ptw 0x0e");
    expect(s1.get(leaf) & AF).toBe(0n);
    s2.put(at, s2.get(at) | DBM);
    expect(rig.outcome(VA)).toBe("ok");
    expect(s1.get(leaf) & AF).toBe(AF);
    expect(s2.get(at) & S2AP_W).toBe(S2AP_W);
  });
  it("tables that alias as both stages do not hang", () => {
    const { rig, s2 } = only({ ia: 40, start: 1, concat: 1 }, HA | HD);
    // The stage 1 table is the stage 2 table: AP[2] = S2AP[1], which one stage clears and the other sets.
    const at = s2.map(BigInt(RAM), RAM, (S2 & ~AF) | DBM);
    rig.set({ SCTLR_EL1: 1n, TCR_EL1: tcr(s2, s2, bit(39) | bit(40)), TTBR0_EL1: BigInt(at) & ~0xfffn });
    expect(typeof rig.outcome(0n, Access.Write)).toBe("string");
  });
});

describe("memory type", () => {
  // Stage 1 attribute index (rig MAIR: WB, Device-nGnRE, NC, WT), stage 2 MemAttr, FWB, resulting PAR attribute.
  // biome-ignore format: one row per combination rule
  const types: [number, number, boolean, number][] = [
    [0, 0b1111, false, 0xff], [0, 0b1010, false, 0xbb], [0, 0b0101, false, 0x44], [0, 0b0001, false, 0x04], [0, 0b0011, false, 0x0c],
    [1, 0b1111, false, 0x04], [1, 0b0000, false, 0x00], [1, 0b0010, false, 0x04], [2, 0b1111, false, 0x44], [3, 0b1111, false, 0xbb],
    [3, 0b1101, false, 0xb4], [0, 0b0111, false, 0x4f],
    [0, 0b0110, true, 0xff], [1, 0b0110, true, 0xff], [2, 0b0110, true, 0xff], [3, 0b0110, true, 0xff], [0, 0b0111, true, 0xff], [1, 0b0111, true, 0x04], [2, 0b0111, true, 0x44],
    [0, 0b0101, true, 0x44], [1, 0b0101, true, 0x04], [0, 0b0001, true, 0x04], [1, 0b0011, true, 0x04], [1, 0b0000, true, 0x00],
  ];
  it.each(types)("stage 1 MAIR[%i] with MemAttr %i, FWB %s", (index, memAttr, fwb, expected) => {
    const { rig, s1, s2 } = two();
    s1.map(VA, 0x7700_0000, LEAF | attrIndex(index));
    s2.map(0x7700_0000n, RAM, (S2 & ~0x3cn) | (BigInt(memAttr) << 2n));
    // The tables of stage 1 stay reachable as Normal memory under both interpretations.
    if (fwb) for (let off = 0; off < 0x400_0000; off += 0x20_0000) s2.map(BigInt(RAM + off), RAM + off, (S2 & ~0x3cn) | (6n << 2n), 2);
    rig.set({ HCR_EL2: VM | (fwb ? bit(46) : 0n) });
    expect(rig.outcome(VA)).toBe("ok");
    expect(rig.mmu.attr & 0xff).toBe(expected);
    expect(rig.mmu.device).toBe((expected & 0xf0) === 0);
    expect(rig.l1("TLB_R", VA) >= 0).toBe((expected & 0xf0) !== 0);
  });
  it("stage 1 off: Device, unless HCR.DC or FWB make it Normal", () => {
    const { rig, s2 } = only({ ia: 40, start: 1, concat: 1 });
    s2.map(0n, RAM, S2);
    expect(rig.outcome(0n)).toBe("ok");
    expect(rig.mmu.device).toBe(true);
    rig.mmu.flushAll();
    // DC implies VM, and switches stage 1 off.
    rig.set({ HCR_EL2: DC, SCTLR_EL1: 1n });
    expect(rig.pa(4n)).toBe(RAM + 4);
    expect(rig.mmu.device).toBe(false);
    expect(rig.l1("TLB_R", 0n)).not.toBe(-1);
    rig.set({ HCR_EL2: VM | bit(46), SCTLR_EL1: 0n });
    s2.map(0n, RAM, (S2 & ~0x3cn) | (6n << 2n));
    expect(rig.outcome(0n)).toBe("ok");
    expect(rig.mmu.device).toBe(false);
  });
});

describe("security states", () => {
  it("Realm stage 2: NS bit of the leaf selects the space; no execution or walks there", () => {
    const { rig, s1, s2 } = two();
    rig.set({ SCR_EL3: 1n | bit(62) });
    s1.map(VA, 0x7700_0000, LEAF);
    s2.map(0x7700_0000n, RAM, S2 | bit(55));
    expect(rig.outcome(VA)).toBe("ok");
    expect(rig.mmu.pas).toBe(1);
    expect(rig.fails(VA, Access.Fetch)).toBe("s2 0x0f");
    s2.map(0x7700_0000n, RAM, S2);
    rig.mmu.flushAll();
    expect(rig.outcome(VA, Access.Fetch)).toBe("ok");
    expect(rig.mmu.pas).toBe(3);
    const at = s2.slot(BigInt(s1.root), 2);
    s2.put(at, s2.get(at) | bit(55));
    rig.mmu.flushAll();
    expect(rig.fails(VA)).toBe("s2ptw 0x0e");
  });
  it("Secure: VSTTBR for Secure IPAs, VTTBR for Non-secure ones, SW/SA/NSW/NSA choose the spaces", () => {
    const rig = new Rig();
    const s1 = new Tree(rig);
    const sec = new Tree(rig, { ia: 40, start: 1 });
    const non = new Tree(rig, { ia: 40, start: 1 });
    for (let off = 0; off < 0x400_0000; off += 0x20_0000) sec.map(BigInt(RAM + off), RAM + off, S2, 2);
    sec.map(0x7700_0000n, RAM, S2);
    non.map(0x7700_0000n, RAM + 0x1000, S2);
    s1.map(0n, 0x7700_0000, LEAF);
    s1.map(0x1000n, 0x7700_0000, LEAF | bit(5));
    rig.set({
      SCR_EL3: bit(18),
      SCTLR_EL1: 1n,
      TCR_EL1: tcr(s1),
      TTBR0_EL1: s1.ttbr(),
      HCR_EL2: VM,
      VSTTBR_EL2: sec.ttbr(),
      VTTBR_EL2: non.ttbr(),
      VSTCR_EL2: vtcr(sec),
      VTCR_EL2: vtcr(non),
    });
    const at = (va: bigint): [number, number] => [rig.pa(va), rig.mmu.pas];
    expect(at(0n)).toEqual([RAM, 0]);
    expect(at(0x1000n)).toEqual([RAM + 0x1000, 0]);
    rig.set({ VTCR_EL2: vtcr(non, bit(30)) });
    expect(at(0x1000n)).toEqual([RAM + 0x1000, 1]);
    expect(at(0n)).toEqual([RAM, 0]);
    rig.set({ VSTCR_EL2: vtcr(sec, bit(30)) });
    expect(at(0n)).toEqual([RAM, 1]);
    // Secure output of a Non-secure IPA needs SW, SA, NSW and NSA all clear.
    rig.set({ VTCR_EL2: vtcr(non) });
    expect(at(0x1000n)).toEqual([RAM + 0x1000, 1]);
    // The stage 2 tables themselves: SW for Secure IPAs, NSW for Non-secure ones. Memory is one, the spaces are what differs.
    const walked: number[] = [];
    rig.mmu.granuleCheck = {
      active: true,
      check: (pa, pas) => (pa >= non.root && pa < non.root + 4096 ? walked.push(pas) * 0 : 0),
      sizeLog2: 12,
      entry: -1,
      granuleLog2: 12,
    };
    rig.mmu.flushAll();
    at(0x1000n);
    rig.set({ VTCR_EL2: vtcr(non, bit(29)) });
    at(0x1000n);
    expect(walked).toEqual([0, 1]);
    rig.mmu.granuleCheck = undefined;
    non.put(non.slot(0x7700_0000n, 3), 0n);
    rig.mmu.flushAll();
    expect(rig.fails(0x1000n)).toBe("s2 0x07");
    expect(hpfar(rig.mmu.fault as never, true)).toBe(bit(63) | (0x77000n << 4n));
    // Secure EL2 disabled: no stage 2.
    rig.set({ SCR_EL3: 0n });
    expect(at(0n)).toEqual([0x7700_0000, 0]);
  });
  it("UXN at stage 1 is judged before stage 2", () => {
    const { rig, s1, s2 } = two();
    s1.map(VA, 0x7700_0000, LEAF | UXN);
    s2.map(0x7700_0000n, RAM, S2 | (2n << 53n));
    rig.set({ EL: 0 });
    s1.map(VA, 0x7700_0000, LEAF | UXN | bit(6));
    expect(rig.fails(VA, Access.Fetch)).toBe("s1 0x0f");
  });
});
