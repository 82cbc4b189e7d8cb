import { describe, expect, it } from "vitest";
import { Access, AF, bit, CONT, DBM, LEAF, NG, PXN, RAM, Rig, RO, Tree, tcr, tcrOne, USER, UXN, withIps } from "./rig.ts";

const LOW = 0x12_3456_7000n;
const HIGH = 0xffff_8000_1234_5000n;

/** EL1&0 with one tree in both ranges. */
function el1(o: ConstructorParameters<typeof Tree>[1] = {}, more = 0n, features = {}): { rig: Rig; t: Tree } {
  const rig = new Rig({ features });
  const t = new Tree(rig, o);
  rig.set({ SCTLR_EL1: 1n | (o.bigEndian ? bit(25) : 0n), TCR_EL1: tcr(t, t, more), TTBR0_EL1: t.ttbr(), TTBR1_EL1: t.ttbr() });
  return { rig, t };
}

describe("stage 1 walk", () => {
  it("walks four levels of 4K tables and hits the TLB afterwards", () => {
    const { rig, t } = el1();
    t.map(HIGH, RAM + 0x5000, LEAF);
    expect(rig.pa(HIGH + 0x678n)).toBe(RAM + 0x5678);
    expect(rig.mmu.walks).toBe(1);
    expect(rig.pa(HIGH + 0x999n)).toBe(RAM + 0x5999);
    expect(rig.mmu.walks).toBe(1);
    expect(rig.mmu.hits).toBe(1);
    expect(rig.fails(HIGH + 0x1000n)).toBe("s1 0x07");
    expect(rig.fails(0xffff_0000_0000_0000n, Access.Write)).toBe("s1 0x04 w");
  });

  // Granule, input size, leaf level, log2 of what the leaf maps (Arm ARM tables D8-21 to D8-26).
  // biome-ignore format: one row per granule
  const leaves: [12 | 14 | 16, number, number, number][] = [
    [12, 48, 3, 12], [12, 48, 2, 21], [12, 48, 1, 30], [12, 39, 3, 12], [12, 39, 1, 30], [12, 25, 2, 21], [12, 24, 3, 12], [12, 21, 3, 12], [12, 16, 3, 12],
    [14, 48, 3, 14], [14, 48, 2, 25], [14, 47, 3, 14], [14, 36, 2, 25], [14, 25, 3, 14], [14, 16, 3, 14],
    [16, 48, 3, 16], [16, 48, 2, 29], [16, 52, 3, 16], [16, 52, 1, 42], [16, 42, 2, 29], [16, 29, 3, 16], [16, 17, 3, 16],
  ];
  it.each(leaves)("granule 2^%i, %i-bit input, leaf at level %i maps 2^%i bytes", (granule, ia, level, size) => {
    const { rig, t } = el1({ granule, ia });
    const page = 0x5a5a_5a5a_5a5a_5000n & ((1n << BigInt(ia - 1)) - 1n);
    const base = (page >> BigInt(size)) << BigInt(size);
    const pa = (0x1234_5678_9000n >> BigInt(size)) << BigInt(size);
    t.map(base, pa, LEAF, level);
    for (const off of [0n, 0x8n, (1n << BigInt(size)) - 1n, page - base]) {
      expect(rig.pa(base + off)).toBe(Number(pa + off));
      rig.mmu.flushAll();
      expect(rig.pa(base + off)).toBe(Number(pa + off));
    }
    // The same tables through TTBR1: the sign-extended address.
    const upper = BigInt.asUintN(64, -(1n << BigInt(ia)) | base);
    expect(rig.pa(upper)).toBe(Number(pa));
  });

  it.each([
    [12, 0, false, "s1 0x04"],
    [14, 1, false, "s1 0x05"],
    [14, 0, false, "s1 0x04"],
    [16, 1, true, "s1 0x05"],
  ] as const)("granule 2^%i has no block at level %i", (granule, level, pa48, expected) => {
    const { rig, t } = el1({ granule, ia: 48 }, 0n, pa48 ? { paBits: 48, lpa: false } : {});
    t.put(t.slot(0n, Math.max(level, t.start)), 0x4000_0000n | LEAF | 1n);
    expect(rig.fails(0n)).toBe(expected);
  });

  it("treats 0b01 at level 3 and cleared bit 0 as invalid", () => {
    const { rig, t } = el1();
    t.put(t.slot(LOW, 3), BigInt(RAM) | LEAF | 1n);
    expect(rig.fails(LOW)).toBe("s1 0x07");
    t.put(t.slot(LOW, 3), BigInt(RAM) | LEAF | 2n);
    expect(rig.fails(LOW)).toBe("s1 0x07");
  });

  it("reads big-endian tables with SCTLR.EE", () => {
    const { rig, t } = el1({ bigEndian: true });
    t.map(LOW, RAM + 0x7000, LEAF);
    expect(rig.pa(LOW + 5n)).toBe(RAM + 0x7005);
    rig.set({ SCTLR_EL1: 1n });
    expect(rig.fails(LOW)).toMatch(/^s1 0x0/);
  });

  it("uses a contiguous set as one entry, and the base of the set", () => {
    for (const [granule, level, set, size] of [
      [12, 3, 16, 12],
      [12, 2, 16, 21],
      [14, 3, 128, 14],
      [14, 2, 32, 25],
      [16, 3, 32, 16],
      [16, 2, 32, 29],
    ] as const) {
      const { rig, t } = el1({ granule });
      const bytes = BigInt(set) << BigInt(size);
      const va = (0x55_5555_5555n / bytes) * bytes;
      for (let i = 0n; i < BigInt(set); i++) t.map(va + (i << BigInt(size)), i << BigInt(size), LEAF | CONT, level);
      expect(rig.pa(va + bytes - 1n)).toBe(Number(bytes - 1n));
      expect(rig.pa(va)).toBe(0);
      expect(rig.mmu.walks).toBe(1);
    }
  });
  it("faults on a contiguous set larger than the input range", () => {
    const { rig, t } = el1({ ia: 33 });
    t.map(0n, 0, LEAF | CONT, 1);
    expect(rig.fails(0n)).toBe("s1 0x05");
  });
});

describe("addresses", () => {
  it("faults at level 0 on VAs outside both ranges", () => {
    const { rig, t } = el1();
    t.map(LOW, RAM, LEAF);
    for (const va of [
      1n << 48n,
      0x0080_0000_0000_0000n,
      0xfffe_ffff_ffff_f000n,
      0xff7f_8000_0000_0000n,
      LOW | (1n << 56n),
      LOW | (0xffn << 56n),
    ]) {
      expect(rig.fails(va)).toBe("s1 0x04");
    }
  });
  it("ignores the top byte with TBI, for fetches only without TBID", () => {
    const { rig, t } = el1({}, bit(37) | bit(38));
    t.map(LOW, RAM, LEAF);
    t.map(HIGH, RAM + 0x1000, LEAF);
    const tagged = LOW | (0x5an << 56n);
    expect(rig.pa(tagged)).toBe(RAM);
    expect(rig.pa(LOW)).toBe(RAM);
    expect(rig.mmu.walks).toBe(1);
    // Each spelling has an entry of its own in the L1; a TLBI of the address removes both.
    const entries = () => [tagged, LOW].map((va) => rig.l1("TLB_R", va) !== -1);
    expect(entries()).toEqual([true, true]);
    rig.mmu.tlbi(0, 8, 7, 3, LOW >> 12n);
    expect(entries()).toEqual([false, false]);
    expect(rig.pa((HIGH & ((1n << 56n) - 1n)) | (0x12n << 56n))).toBe(RAM + 0x1000);
    expect(rig.outcome(tagged, Access.Fetch)).toBe("ok");
    rig.set({ TCR_EL1: tcr(t, t, bit(37) | bit(51)) });
    expect(rig.outcome(tagged, Access.Read)).toBe("ok");
    expect(rig.outcome(tagged, Access.Fetch)).toBe("s1 0x04");
    expect(rig.outcome(LOW, Access.Fetch)).toBe("ok");
  });

  it.each([
    [12, 15, {}, false],
    [12, 16, {}, true],
    [12, 39, {}, true],
    [12, 48, {}, true],
    [12, 49, {}, false],
    [12, 39, { ttst: false }, true],
    [12, 40, { ttst: false }, false],
    [16, 11, {}, false],
    [16, 12, {}, true],
    [16, 12, { lva: false }, false],
    [16, 47, {}, true],
    [16, 48, {}, false],
  ] as const)("granule 2^%i, TxSZ %i with %o: valid %s", (granule, txsz, features, valid) => {
    const rig = new Rig({ features });
    const t = new Tree(rig, { granule, ia: 64 - txsz });
    t.map(0n, RAM, LEAF);
    rig.set({ SCTLR_EL1: 1n, TCR_EL1: tcr(t), TTBR0_EL1: t.ttbr() });
    expect(rig.outcome(0n)).toBe(valid ? "ok" : "s1 0x04");
  });

  it("replaces a missing granule, and a reserved TG", () => {
    const rig = new Rig({ features: { granule64: false } });
    const t = new Tree(rig);
    t.map(LOW, RAM, LEAF);
    for (const tg of [1n, 3n]) {
      rig.set({ SCTLR_EL1: 1n, TCR_EL1: tcr(t) | (tg << 14n), TTBR0_EL1: t.ttbr() });
      expect(rig.outcome(LOW)).toBe("ok");
    }
  });

  it("checks the output size of base, tables and leaves, capped by what the PE implements", () => {
    const { rig, t } = el1();
    t.map(LOW, 1n << 36n, LEAF);
    rig.set({ TCR_EL1: withIps(tcr(t), 2) });
    expect(rig.pa(LOW)).toBe(2 ** 36);
    rig.set({ TCR_EL1: withIps(tcr(t), 1) });
    expect(rig.fails(LOW)).toBe("s1 0x03");
    t.put(t.slot(LOW, 1), (1n << 37n) | 3n);
    expect(rig.fails(LOW)).toBe("s1 0x01");
    rig.set({ TTBR0_EL1: 1n << 40n });
    expect(rig.fails(LOW)).toBe("s1 0x00");
    const small = el1({}, 0n, { paBits: 40, lpa: false, lpa2: false });
    small.t.map(LOW, 1n << 40n, LEAF);
    expect(small.rig.fails(LOW)).toBe("s1 0x03");
  });

  it("52-bit output: 64K with FEAT_LPA, 4K and 16K with DS", () => {
    const pa = 0xf_8765_4321_0000n;
    for (const granule of [12, 14, 16] as const) {
      const ds = granule !== 16;
      const rig = new Rig();
      const t = new Tree(rig, { granule, ds });
      t.map(LOW & ~0xffffn, pa, ds ? LEAF & ~0x300n : LEAF);
      const more = (ds ? bit(59) : 0n) | (3n << 12n);
      rig.set({ SCTLR_EL1: 5n, TCR_EL1: withIps(tcr(t, t, more), 6), TTBR0_EL1: t.ttbr() });
      expect(rig.pa(LOW & ~0xffffn)).toBe(Number(pa));
      expect(rig.mmu.sh).toBe(3);
      rig.set({ TCR_EL1: tcr(t, t, ds ? bit(59) : 0n) });
      expect(rig.fails(LOW & ~0xffffn)).toBe("s1 0x03");
    }
  });

  it("52-bit input with DS starts at level -1 (4K), 0 (16K), and has larger blocks", () => {
    for (const [granule, blockLevel, size] of [
      [12, 0, 39],
      [14, 1, 36],
    ] as const) {
      const rig = new Rig();
      const t = new Tree(rig, { granule, ia: 52, ds: true });
      expect(t.start).toBe(granule === 12 ? -1 : 0);
      const va = 0x7_89ab_cdef_0000n;
      const page = (va >> BigInt(granule)) << BigInt(granule);
      t.map(page, RAM, LEAF & ~0x300n);
      const other = 0x1_2000_0000_0000n;
      t.map(other, 0n, LEAF & ~0x300n, blockLevel);
      rig.set({ SCTLR_EL1: 1n, TCR_EL1: withIps(tcr(t, t, bit(59)), 6), TTBR0_EL1: t.ttbr() });
      expect(rig.pa(page + 0x123n)).toBe(RAM + 0x123);
      expect(rig.pa(other + (1n << BigInt(size)) - 8n)).toBe(2 ** size - 8);
      expect(rig.fails(0n)).toBe(granule === 12 ? "s1 0x2b" : "s1 0x04");
      t.put(t.slot(0n, t.start), 0n);
      rig.set({ TTBR0_EL1: 0x8000_0000n });
      expect(rig.fails(0n)).toBe(granule === 12 ? "s1 0x13" : "s1 0x14");
    }
  });

  it("DS reads the table base from TTBR[5:2] too", () => {
    const rig = new Rig();
    const t = new Tree(rig, { ds: true });
    t.map(LOW, RAM, LEAF & ~0x300n);
    rig.set({ SCTLR_EL1: 1n, TCR_EL1: withIps(tcr(t, t, bit(59)), 6), TTBR0_EL1: t.ttbr() | (1n << 2n) });
    expect(rig.fails(LOW)).toBe("s1 0x14");
    expect(rig.mmu.fault?.level).toBe(0);
    rig.set({ TTBR0_EL1: t.ttbr() });
    expect(rig.outcome(LOW)).toBe("ok");
  });
});

describe("walk controls", () => {
  it("EPD and E0PD fault at level 0; E0PD only unprivileged accesses, even after a TLB hit", () => {
    const { rig, t } = el1();
    t.map(LOW, RAM, LEAF | USER);
    t.map(HIGH, RAM, LEAF | USER);
    rig.set({ TCR_EL1: tcr(t, t, bit(23)) });
    expect(rig.outcome(LOW)).toBe("ok");
    expect(rig.outcome(HIGH)).toBe("s1 0x04");
    rig.set({ TCR_EL1: tcr(t, t, bit(56)) });
    expect(rig.outcome(HIGH)).toBe("ok");
    expect(rig.outcome(HIGH, Access.Read, true)).toBe("s1 0x04");
    rig.set({ EL: 0 });
    expect(rig.outcome(HIGH)).toBe("s1 0x04");
    expect(rig.outcome(LOW)).toBe("ok");
  });

  it("an External abort names the level whose descriptor is not in RAM", () => {
    const { rig, t } = el1();
    t.put(t.slot(LOW, 2), 0x8000_0000n | 3n);
    expect(rig.fails(LOW)).toBe("s1 0x17");
    rig.set({ TTBR0_EL1: 0n });
    expect(rig.fails(LOW)).toBe("s1 0x14");
  });

  it("walks whatever memory type, to addresses that are not RAM", () => {
    const { rig, t } = el1();
    t.map(LOW, 0x900_0000, LEAF);
    expect(rig.pa(LOW + 0x18n)).toBe(0x900_0018);
    expect(rig.l1("TLB_R", LOW)).toBe(-1);
  });
});

describe("access flag and dirty state", () => {
  const HA = bit(39);
  const HD = bit(40);
  it("faults on AF = 0 without HA, sets AF with it", () => {
    const { rig, t } = el1();
    const at = t.map(LOW, RAM, LEAF & ~AF);
    expect(rig.fails(LOW, Access.Write)).toBe("s1 0x0b w");
    const updates: number[] = [];
    rig.domain.tableWritten = (pa) => updates.push(pa);
    rig.set({ TCR_EL1: tcr(t, t, HA) });
    expect(rig.outcome(LOW)).toBe("ok");
    expect(t.get(at) & AF).toBe(AF);
    expect(updates).toEqual([at]);
  });
  it("sets AF in blocks and in big-endian tables", () => {
    const { rig, t } = el1({ bigEndian: true }, HA | HD);
    const at = t.map(0n, RAM, (LEAF & ~AF) | DBM | RO, 2);
    expect(rig.outcome(8n)).toBe("ok");
    expect(t.get(at)).toBe(BigInt(RAM) | LEAF | DBM | RO | 1n);
    expect(rig.outcome(8n, Access.Write)).toBe("ok");
    expect(t.get(at)).toBe(BigInt(RAM) | LEAF | DBM | 1n);
  });
  it("leaves AF alone when the access is not permitted", () => {
    const { rig, t } = el1({}, HA);
    const at = t.map(LOW, RAM, (LEAF & ~AF) | RO);
    expect(rig.fails(LOW, Access.Write)).toBe("s1 0x0f w");
    expect(t.get(at) & AF).toBe(0n);
  });
  it("a clean page is read-only until written; then AP[2] is clear and writes hit", () => {
    const { rig, t } = el1({}, HA | HD);
    const at = t.map(LOW, RAM, LEAF | DBM | RO);
    expect(rig.outcome(LOW)).toBe("ok");
    expect(t.get(at) & RO).toBe(RO);
    expect(rig.outcome(LOW, Access.Maintain)).toBe("ok");
    expect(t.get(at) & RO).toBe(RO);
    expect(rig.l1("TLB_W", LOW)).toBe(-1);
    expect(rig.outcome(LOW, Access.Write)).toBe("ok");
    expect(t.get(at) & RO).toBe(0n);
    expect(rig.l1("TLB_W", LOW)).not.toBe(-1);
    const walks = rig.mmu.walks;
    expect(rig.outcome(LOW, Access.ReadWrite)).toBe("ok");
    expect(rig.mmu.walks).toBe(walks);
  });
  it("DBM means nothing without HD, or without the feature", () => {
    for (const [more, features] of [
      [HA, {}],
      [HA | HD, { hafdbs: 1 }],
      [HD, {}],
    ] as const) {
      const { rig, t } = el1({}, more, features);
      t.map(LOW, RAM, LEAF | DBM | RO);
      expect(rig.fails(LOW, Access.Write)).toBe("s1 0x0f w");
    }
    const { rig, t } = el1({}, HA, { hafdbs: 0 });
    t.map(LOW, RAM, LEAF & ~AF);
    expect(rig.fails(LOW)).toBe("s1 0x0b");
  });
  it("a dirty-modifier page counts as writable for WXN and for execution at EL1", () => {
    const { rig, t } = el1({}, HA | HD);
    t.map(LOW, RAM, LEAF | DBM | RO | USER);
    expect(rig.fails(LOW, Access.Fetch)).toBe("s1 0x0f");
  });
});

describe("regimes", () => {
  it("EL3: one range, no ASID, AP[1] without meaning", () => {
    const rig = new Rig();
    const t = new Tree(rig);
    // Root PA space: NSE = 1, NS = 0.
    t.map(LOW, RAM, LEAF | bit(11));
    t.map(LOW + 0x1000n, RAM, LEAF | bit(11) | UXN | RO | USER | PXN);
    rig.set({ EL: 3, SCTLR_EL3: 1n, TCR_EL3: tcrOne(t), TTBR0_EL3: t.ttbr() });
    expect(rig.outcome(LOW, Access.Fetch)).toBe("ok");
    expect(rig.mmu.pas).toBe(2);
    expect(rig.outcome(LOW + 0x1000n)).toBe("ok");
    expect(rig.fails(LOW + 0x1000n, Access.Write)).toBe("s1 0x0f w");
    expect(rig.fails(LOW + 0x1000n, Access.Fetch)).toBe("s1 0x0f");
    expect(rig.fails(HIGH)).toBe("s1 0x04");
    expect(rig.fails(bit(55))).toBe("s1 0x04");
  });
  it("EL3 output spaces; nothing but Root is executable", () => {
    const rig = new Rig();
    const t = new Tree(rig);
    for (let i = 0n; i < 4n; i++) t.map(i << 12n, RAM, LEAF | ((i >> 1n) << 11n) | ((i & 1n) << 5n));
    rig.set({ EL: 3, SCTLR_EL3: 1n, TCR_EL3: tcrOne(t), TTBR0_EL3: t.ttbr() });
    for (let i = 0; i < 4; i++) {
      expect(rig.outcome(BigInt(i) << 12n)).toBe("ok");
      expect(rig.mmu.pas).toBe(i);
      expect(rig.outcome(BigInt(i) << 12n, Access.Fetch)).toBe(i === 2 ? "ok" : "s1 0x0f");
    }
  });
  it("EL3 is Secure without FEAT_RME, NSTable turns the rest of the walk Non-secure", () => {
    const rig = new Rig({ features: { rme: false } });
    const t = new Tree(rig);
    t.map(0n, RAM, LEAF);
    t.map(0x1000n, RAM, LEAF | bit(5));
    rig.set({ EL: 3, SCTLR_EL3: 1n, TCR_EL3: tcrOne(t), TTBR0_EL3: t.ttbr() });
    const space = (va: bigint): string => `${rig.outcome(va)} ${rig.mmu.pas}`;
    expect(space(0n)).toBe("ok 0");
    expect(space(0x1000n)).toBe("ok 1");
    t.put(t.slot(0n, 0), t.get(t.slot(0n, 0)) | bit(63));
    rig.mmu.flushAll();
    expect(space(0n)).toBe("ok 1");
    rig.set({ SCR_EL3: 1n | bit(9) });
    expect(rig.fails(0n, Access.Fetch)).toBe("s1 0x0f");
  });
  it("Secure EL1&0: what is reached through a Non-secure table is never global", () => {
    const rig = new Rig();
    const t = new Tree(rig);
    t.map(LOW, RAM, LEAF);
    rig.set({ SCR_EL3: 0n, SCTLR_EL1: 1n, TCR_EL1: tcr(t), TTBR0_EL1: t.ttbr(1) });
    const global = (): boolean | undefined => {
      rig.mmu.flushAll();
      rig.pa(LOW);
      return rig.mmu.inspect(Number(LOW & 0xffff_ffffn), Number(LOW >> 32n))?.global;
    };
    expect(global()).toBe(true);
    t.put(t.slot(LOW, 1), t.get(t.slot(LOW, 1)) | bit(63));
    expect(global()).toBe(false);
    rig.set({ SCR_EL3: 1n });
    expect(global()).toBe(true);
  });
  it("EL2 and EL2&0 by E2H, EL0 under TGE, separate from EL1&0", () => {
    const rig = new Rig();
    const one = new Tree(rig);
    const host = new Tree(rig);
    const guest = new Tree(rig);
    one.map(LOW, RAM, LEAF);
    host.map(LOW, RAM + 0x1000, LEAF | USER);
    guest.map(LOW, RAM + 0x2000, LEAF | USER);
    rig.set({
      EL: 2,
      SCTLR_EL2: 1n,
      TCR_EL2: tcrOne(one),
      TTBR0_EL2: one.ttbr(),
      SCTLR_EL1: 1n,
      TCR_EL1: tcr(guest),
      TTBR0_EL1: guest.ttbr(),
    });
    expect(rig.pa(LOW)).toBe(RAM);
    expect(rig.fails(HIGH)).toBe("s1 0x04");
    rig.set({ HCR_EL2: bit(34) | bit(27), TCR_EL2: tcr(host), TTBR0_EL2: host.ttbr(), TTBR1_EL2: host.ttbr() });
    expect(rig.pa(LOW)).toBe(RAM + 0x1000);
    rig.set({ EL: 0 });
    expect(rig.pa(LOW)).toBe(RAM + 0x1000);
    rig.set({ HCR_EL2: bit(34) });
    expect(rig.pa(LOW)).toBe(RAM + 0x2000);
    rig.set({ EL: 1 });
    expect(rig.pa(LOW)).toBe(RAM + 0x2000);
    // TGE without E2H: stage 1 of EL1&0 is off.
    rig.set({ EL: 0, HCR_EL2: bit(27) });
    expect(rig.pa(LOW)).toBe(Number(LOW));
  });
  it("Realm EL2 chooses the output space by NS and executes only Realm memory; Realm EL1 ignores NS", () => {
    const rig = new Rig();
    const t = new Tree(rig);
    t.map(0n, RAM, LEAF);
    t.map(0x1000n, RAM, LEAF | bit(5));
    rig.set({
      SCR_EL3: 1n | bit(62),
      EL: 2,
      SCTLR_EL2: 1n,
      TCR_EL2: tcrOne(t),
      TTBR0_EL2: t.ttbr(),
      SCTLR_EL1: 1n,
      TCR_EL1: tcr(t),
      TTBR0_EL1: t.ttbr(),
    });
    expect(rig.outcome(0n, Access.Fetch)).toBe("ok");
    expect(rig.mmu.pas).toBe(3);
    expect(rig.outcome(0x1000n)).toBe("ok");
    expect(rig.mmu.pas).toBe(1);
    expect(rig.fails(0x1000n, Access.Fetch)).toBe("s1 0x0f");
    rig.set({ EL: 1 });
    expect(rig.outcome(0x1000n, Access.Fetch)).toBe("ok");
    expect(rig.mmu.pas).toBe(3);
  });
});

describe("stage 1 off", () => {
  it("maps VA to PA, Device for data, within the implemented PA size, TBI honoured", () => {
    const rig = new Rig({ features: { paBits: 40 } });
    expect(rig.pa(BigInt(RAM) + 4n)).toBe(RAM + 4);
    expect(rig.mmu.device).toBe(true);
    expect(rig.l1("TLB_R", BigInt(RAM))).toBe(rig.phys.host(RAM)); // alignment is for the PE to check, see Off.ALIGN
    expect(rig.l1("TLB_W", BigInt(RAM))).toBe(-1);
    expect(rig.pa(BigInt(RAM), Access.Fetch)).toBe(RAM);
    expect(rig.mmu.device).toBe(false);
    expect(rig.fails(1n << 40n, Access.Write)).toBe("s1 0x00 w");
    expect(rig.fails(HIGH)).toBe("s1 0x00");
    expect(rig.fails((0x12n << 56n) | BigInt(RAM))).toBe("s1 0x00");
    rig.set({ TCR_EL1: bit(37) });
    expect(rig.pa((0x12n << 56n) | BigInt(RAM))).toBe(RAM);
  });
  it("toggling SCTLR.M switches translations and back, without any TLBI", () => {
    const { rig, t } = el1();
    t.map(BigInt(RAM), RAM + 0x3000, LEAF);
    expect(rig.pa(BigInt(RAM))).toBe(RAM + 0x3000);
    rig.set({ SCTLR_EL1: 0n });
    expect(rig.l1("TLB_R", BigInt(RAM))).toBe(-1);
    expect(rig.pa(BigInt(RAM))).toBe(RAM);
    expect(rig.l1("TLB_R", BigInt(RAM))).toBe(rig.phys.host(RAM));
    rig.set({ SCTLR_EL1: 1n });
    expect(rig.l1("TLB_R", BigInt(RAM))).toBe(-1);
    expect(rig.pa(BigInt(RAM))).toBe(RAM + 0x3000);
  });
});

describe("hierarchical controls", () => {
  it("APTable, UXNTable, PXNTable restrict; HPD switches them off", () => {
    const { rig, t } = el1();
    t.tableBits = bit(62) | bit(60) | bit(59);
    t.map(LOW, RAM, LEAF | USER);
    t.tableBits = bit(61);
    t.map(HIGH, RAM, LEAF | USER | NG);
    rig.set({ EL: 0 });
    expect(rig.outcome(LOW)).toBe("ok");
    expect(rig.outcome(LOW, Access.Write)).toBe("s1 0x0f w");
    expect(rig.outcome(LOW, Access.Fetch)).toBe("s1 0x0f");
    expect(rig.outcome(HIGH)).toBe("s1 0x0f");
    rig.set({ TCR_EL1: tcr(t, t, bit(41) | bit(42)) });
    expect(rig.outcome(LOW, Access.Write)).toBe("ok");
    expect(rig.outcome(LOW, Access.Fetch)).toBe("ok");
    expect(rig.outcome(HIGH)).toBe("ok");
  });
});
