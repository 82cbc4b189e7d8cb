// The L1 tables that generated code reads, and the coherence of all caching under random use.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Off, TLB_ENTRIES } from "../../src/arch/layout.ts";
import type { RegName } from "../../src/arch/registers/encodings.ts";
import { encodings } from "../../src/arch/registers/encodings.ts";
import { Access, attrIndex, bit, GP, LEAF, NG, RAM, Rig, Tree, tcr, tcrOne, USER } from "./rig.ts";

const VA = 0x12_3456_7000n;
const KERNEL = 0xffff_8000_0000_0000n;
const asidOp = (asid: number): bigint => BigInt(asid) << 48n;

function el1(more: Partial<Record<Exclude<RegName, "PAN" | "UAO">, bigint>> = {}, pes = 1): { rig: Rig; t: Tree } {
  const rig = new Rig({ pes });
  const t = new Tree(rig);
  for (let i = 0; i < pes; i++) rig.set({ SCTLR_EL1: 5n, TCR_EL1: tcr(t), TTBR0_EL1: t.ttbr(1), TTBR1_EL1: t.ttbr(), ...more }, i);
  return { rig, t };
}
const words = (va: bigint): [number, number] => [Number(va & 0xffff_ffffn) | 0, Number(BigInt.asIntN(32, va >> 32n))];

describe("L1 filling", () => {
  it("reads fill the read table, writes and atomics the write table", () => {
    const { rig, t } = el1();
    t.map(VA, RAM, LEAF);
    t.map(VA + 0x1000n, RAM, LEAF);
    rig.pa(VA + 0x234n);
    expect([rig.l1("TLB_R", VA + 0x8n), rig.l1("TLB_W", VA)]).toEqual([rig.phys.host(RAM) + 8, -1]);
    rig.pa(VA, Access.Write);
    expect(rig.l1("TLB_W", VA + 0x8n)).toBe(rig.phys.host(RAM) + 8);
    rig.pa(VA + 0x1000n, Access.ReadWrite);
    expect(rig.l1("TLB_W", VA + 0x1000n)).toBe(rig.phys.host(RAM));
  });
  it("cache maintenance fills the read table, without touching memory", () => {
    const { rig, t } = el1();
    t.map(VA, RAM, LEAF);
    t.map(VA + 0x1000n, RAM + 0x10_0000, LEAF);
    const host = rig.phys.host(RAM);
    rig.pa(VA, Access.Maintain);
    expect([rig.l1("TLB_R", VA), rig.l1("TLB_W", VA)]).toEqual([host, -1]);
    expect(rig.phys.isBlank(RAM + 0x10_0000)).toBe(true);
    rig.pa(VA + 0x1000n, Access.Maintain);
    expect([rig.l1("TLB_R", VA + 0x1000n), rig.phys.isBlank(RAM + 0x10_0000)]).toEqual([-1, true]);
  });
  it("inspect() tells what is cached", () => {
    const { rig, t } = el1();
    const d = t.map(VA & ~0x1f_ffffn, RAM, LEAF | NG | USER, 2);
    expect(rig.mmu.inspect(...words(VA))).toBeUndefined();
    rig.pa(VA);
    expect(rig.mmu.inspect(...words(VA))).toMatchObject({
      size: 21,
      pa: RAM,
      pas: 1,
      level: 2,
      global: false,
      asid: 1,
      descriptor1: d,
      descriptor2: -1,
    });
  });
  it("never holds Device memory, MMIO or pages outside RAM", () => {
    const { rig, t } = el1();
    t.map(VA, RAM, LEAF | attrIndex(1));
    t.map(VA + 0x1000n, 0x900_0000, LEAF);
    for (const va of [VA, VA + 0x1000n]) {
      for (const a of [Access.Read, Access.Write]) rig.pa(va, a);
      expect([rig.l1("TLB_R", va), rig.l1("TLB_W", va)]).toEqual([-1, -1]);
    }
    expect(rig.mmu.device).toBe(false);
    rig.pa(VA);
    expect(rig.mmu.device).toBe(true);
  });
  it("PAN, EL and UAO choose tables; a page filled for one class is not seen by another", () => {
    const { rig, t } = el1();
    t.map(VA, RAM, LEAF | USER);
    rig.pa(VA);
    rig.set({ PAN: 1 });
    expect(rig.l1("TLB_R", VA)).toBe(-1);
    expect(rig.outcome(VA)).toBe("s1 0x0f");
    expect(rig.outcome(VA, Access.Read, true)).toBe("ok");
    expect(rig.l1("TLB_UR", VA)).not.toBe(-1);
    rig.set({ UAO: 1 });
    expect(rig.l1("TLB_UR", VA)).toBe(-1);
    expect(rig.outcome(VA, Access.Read, true)).toBe("s1 0x0f");
    rig.set({ PAN: 0 });
    expect(rig.l1("TLB_R", VA)).not.toBe(-1);
    rig.set({ EL: 0 });
    expect(rig.l1("TLB_R", VA)).not.toBe(-1);
    expect(rig.st.lo(Off.TLB_UR)).toBe(rig.st.lo(Off.TLB_R));
  });
  it("LDTR and STTR are unprivileged at EL2 only with {E2H,TGE} = {1,1}", () => {
    const rig = new Rig();
    const t = new Tree(rig);
    t.map(VA, RAM, LEAF);
    rig.set({ EL: 2, SCTLR_EL2: 1n, TCR_EL2: tcr(t), TTBR0_EL2: t.ttbr(), HCR_EL2: bit(34) | bit(27) });
    expect([rig.outcome(VA), rig.outcome(VA, Access.Read, true)]).toEqual(["ok", "s1 0x0f"]);
    expect(rig.st.lo(Off.TLB_UR)).not.toBe(rig.st.lo(Off.TLB_R));
    rig.set({ HCR_EL2: bit(34) });
    expect(rig.outcome(VA, Access.Read, true)).toBe("ok");
    expect(rig.st.lo(Off.TLB_UR)).toBe(rig.st.lo(Off.TLB_R));
    rig.set({ EL: 3, SCTLR_EL3: 0n });
    expect(rig.st.lo(Off.TLB_UW)).toBe(rig.st.lo(Off.TLB_W));
  });
  it("fetch entries point to the predecoded page and carry the guarded bit", () => {
    const { rig, t } = el1();
    t.map(VA, RAM, LEAF | GP);
    const flags = (va: bigint): number => rig.phys.view.getUint32(rig.st.lo(Off.TLB_X) + Number((va >> 12n) & 1023n) * 16 + 12, true);
    rig.pa(VA, Access.Fetch);
    expect(rig.mmu.guarded).toBe(true);
    rig.mmu.fillFetch(...words(VA), 0x200_4000);
    // The addend of a fetch entry is the page itself.
    expect(rig.l1("TLB_X", VA) - Number(VA & 0xffff_ffffn)).toBe(0x200_4000);
    expect(flags(VA) & 1).toBe(1);
    rig.domain.dropFetch(0x200_8000);
    expect(rig.l1("TLB_X", VA)).not.toBe(-1);
    rig.domain.dropFetch(0x200_4000);
    expect(rig.l1("TLB_X", VA)).toBe(-1);
    // Stage 1 off.
    rig.set({ SCTLR_EL1: 0n });
    rig.pa(BigInt(RAM), Access.Fetch);
    rig.mmu.fillFetch(...words(BigInt(RAM)), 0x200_4000);
    expect(rig.l1("TLB_X", BigInt(RAM))).not.toBe(-1);
    expect(flags(BigInt(RAM))).toBe(0);
  });
  it("asks before it makes a page writable, and takes it back on every PE", () => {
    const { rig, t } = el1({}, 2);
    t.map(VA, RAM, LEAF);
    t.map(KERNEL, RAM, LEAF, 2);
    t.map(VA + 0x2000n, RAM + 0x2000, LEAF);
    const asked: number[] = [];
    rig.domain.allowWrite = (pa) => {
      asked.push(pa);
      return pa !== RAM + 0x2000;
    };
    rig.pa(VA + 0x10n, Access.Write);
    rig.pa(VA + 0x2010n, Access.Write);
    rig.pa(KERNEL, Access.Write, false, 1);
    rig.pa(KERNEL + 0x5000n, Access.Write, false, 1);
    expect(asked).toEqual([RAM, RAM + 0x2000, RAM, RAM + 0x5000]);
    expect(rig.l1("TLB_W", VA + 0x2000n)).toBe(-1);
    rig.domain.dropWrites(RAM + 0xabc);
    expect([rig.l1("TLB_W", VA), rig.l1("TLB_W", KERNEL, 1)]).toEqual([-1, -1]);
    expect(rig.l1("TLB_W", KERNEL + 0x5000n, 1)).not.toBe(-1);
    rig.pa(VA, Access.Write);
    expect(rig.l1("TLB_W", VA)).not.toBe(-1);
  });
  it("takes it back at every address through which the page was written, as often as asked", () => {
    const { rig, t } = el1();
    const aliases = [VA, VA + 0x3000n, KERNEL + 0x7000n];
    for (const va of aliases) t.map(va, RAM, LEAF);
    const writable = (): boolean[] => aliases.map((va) => rig.l1("TLB_W", va) !== -1);
    // One address, then two, then all, in different slots of the tables; then the first again.
    for (const count of [1, 2, 3, 1]) {
      for (const va of aliases.slice(0, count)) rig.pa(va, Access.Write);
      expect(writable()).toEqual(aliases.map((_, i) => i < count));
      rig.domain.dropWrites(RAM);
      expect(writable()).toEqual([false, false, false]);
    }
  });
  it("an evicted L2 entry leaves the L1 too", () => {
    const { rig, t } = el1();
    const pages = 12000;
    for (let i = 0; i < pages; i++) t.map(BigInt(i) << 12n, RAM + ((i * 4096) % 0x80_0000), LEAF);
    for (let i = 0; i < pages; i++) rig.pa(BigInt(i) << 12n);
    for (let i = 0; i < pages; i++) t.put(t.slot(BigInt(i) << 12n, 3), 0n);
    // Whatever is in the L1 must be removable by its TLBI.
    for (let i = 0; i < pages; i++) rig.mmu.tlbi(0, 8, 7, 3, BigInt(i));
    for (let i = pages - TLB_ENTRIES; i < pages; i++) expect(rig.l1("TLB_R", BigInt(i) << 12n)).toBe(-1);
  });
});

describe("context switches", () => {
  it("an ASID switch purges non-global pages, keeps global ones, and finds the old ASID in the L2 again", () => {
    const { rig, t } = el1();
    t.map(VA, RAM, LEAF | NG | USER);
    t.map(KERNEL, RAM + 0x1000, LEAF);
    rig.pa(VA);
    rig.pa(VA, Access.Write);
    rig.pa(KERNEL);
    rig.set({ TTBR0_EL1: t.ttbr(2) });
    expect([rig.l1("TLB_R", VA), rig.l1("TLB_W", VA)]).toEqual([-1, -1]);
    expect(rig.l1("TLB_R", KERNEL)).not.toBe(-1);
    t.map(VA, RAM + 0x4000, LEAF | NG | USER);
    expect(rig.pa(VA)).toBe(RAM + 0x4000);
    const walks = rig.mmu.walks;
    rig.set({ TTBR0_EL1: t.ttbr(1) });
    expect(rig.pa(VA)).toBe(RAM);
    expect(rig.mmu.walks).toBe(walks);
  });
  it("purges every slot of every table that holds a page of the old ASID", () => {
    const { rig, t } = el1();
    for (let i = 0; i < 2 * TLB_ENTRIES; i++) t.map(BigInt(i) << 12n, RAM + i * 4096, LEAF | USER | (i % 3 === 0 ? 0n : NG));
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 2 * TLB_ENTRIES; i++) {
        const va = BigInt(i) << 12n;
        rig.pa(va, i % 5 === 0 ? Access.Write : Access.Read);
        rig.pa(va, Access.Read, true);
        if (rig.outcome(va, Access.Fetch) === "ok") rig.mmu.fillFetch(...words(va), 0x200_0000 + (i % 64) * 4096);
      }
      rig.set({ TTBR0_EL1: t.ttbr(2 + round) });
      for (const table of ["TLB_R", "TLB_W", "TLB_X", "TLB_UR"] as const) {
        for (let i = 0; i < 2 * TLB_ENTRIES; i++) if (i % 3 !== 0) expect(rig.l1(table, BigInt(i) << 12n)).toBe(-1);
      }
    }
  });
  it("A1 takes the ASID from TTBR1; 8-bit ASIDs ignore the upper byte", () => {
    const { rig, t } = el1();
    t.map(VA, RAM, LEAF | NG);
    rig.set({ TCR_EL1: tcr(t, t, bit(22)), TTBR1_EL1: t.ttbr(7) });
    rig.pa(VA);
    rig.set({ TTBR0_EL1: t.ttbr(9) });
    expect(rig.l1("TLB_R", VA)).not.toBe(-1);
    rig.set({ TTBR1_EL1: t.ttbr(8) });
    expect(rig.l1("TLB_R", VA)).toBe(-1);
    rig.set({ TCR_EL1: tcr(t) & ~bit(36), TTBR0_EL1: t.ttbr(0x105) });
    rig.pa(VA);
    rig.set({ TTBR0_EL1: t.ttbr(0x205) });
    expect(rig.l1("TLB_R", VA)).not.toBe(-1);
  });
  it("a VMID switch purges, the L2 keeps both", () => {
    const { rig, t } = el1();
    t.map(VA, RAM, LEAF);
    rig.pa(VA);
    rig.set({ VTTBR_EL2: 5n << 48n });
    expect(rig.l1("TLB_R", VA)).toBe(-1);
    rig.pa(VA);
    expect(rig.mmu.walks).toBe(2);
    rig.set({ VTTBR_EL2: 0n });
    rig.pa(VA);
    expect(rig.mmu.walks).toBe(2);
  });
  it("exceptions to another EL and back lose nothing", () => {
    const { rig, t } = el1({ SCTLR_EL2: 0n });
    t.map(VA, RAM, LEAF | USER | NG);
    rig.pa(VA);
    for (const EL of [2, 3, 0, 1]) rig.set({ EL });
    expect(rig.l1("TLB_R", VA)).not.toBe(-1);
  });
  it("changed controls take effect at once: MAIR, TCR, WXN, E2H", () => {
    const { rig, t } = el1();
    t.map(VA, RAM, LEAF);
    rig.pa(VA);
    expect(rig.outcome(VA, Access.Fetch)).toBe("ok");
    rig.set({ SCTLR_EL1: 5n | bit(19) });
    expect(rig.outcome(VA, Access.Fetch)).toBe("s1 0x0f");
    rig.set({ MAIR_EL1: 0n });
    expect(rig.l1("TLB_R", VA)).toBe(-1);
    rig.pa(VA);
    expect(rig.mmu.device).toBe(true);
    rig.set({ TCR_EL1: tcr(t, t, bit(7)) });
    expect(rig.fails(VA)).toBe("s1 0x04");
  });
});

describe("coherence", () => {
  /** Every valid entry of every selected L1 table must be what a cold walk says now. */
  function checkL1(rig: Rig, cold: (va: bigint, access: Access, unpriv: boolean) => string): void {
    for (const [table, access, unpriv] of [
      ["TLB_R", Access.Read, false],
      ["TLB_W", Access.Write, false],
      ["TLB_UR", Access.Read, true],
      ["TLB_UW", Access.Write, true],
    ] as const) {
      const at = rig.st.lo(Off[table]);
      for (let i = 0; i < TLB_ENTRIES; i++) {
        const tag = rig.phys.view.getBigUint64(at + 16 * i, true);
        if ((tag & 1n) !== 0n) continue;
        const host = (rig.phys.view.getUint32(at + 16 * i + 8, true) + Number(tag & 0xffff_ffffn)) >>> 0;
        expect(cold(tag, access, unpriv), `${table} ${tag.toString(16)}`).toBe(`host ${host}`);
      }
    }
    // Fetch entries: the test's "predecoded page" is the host page itself.
    const at = rig.st.lo(Off.TLB_X);
    for (let i = 0; i < TLB_ENTRIES; i++) {
      const tag = rig.phys.view.getBigUint64(at + 16 * i, true);
      if ((tag & 1n) === 0n) expect(cold(tag, Access.Fetch, false)).toBe(`host ${rig.phys.view.getUint32(at + 16 * i + 8, true)}`);
    }
  }

  const vas = [0x1000n, 0x2000n, 0x40_1000n, 0x20_0000n, KERNEL + 0x1000n, KERNEL + 0x20_0000n, KERNEL + 0x3f_f000n];
  const step = fc.record({
    kind: fc.integer({ min: 0, max: 9 }),
    va: fc.integer({ min: 0, max: vas.length - 1 }),
    n: fc.integer({ min: 0, max: 15 }),
    flags: fc.integer({ min: 0, max: 15 }),
    op: fc.integer({ min: 0, max: 5 }),
  });

  it("after each proper invalidation, cached and cold translation agree, L1 included", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
        const { rig } = el1({}, 2);
        // One tree per ASID for the lower range, one for the upper (global) range.
        const low = [new Tree(rig), new Tree(rig)] as const;
        const high = new Tree(rig);
        let asid = 0;
        const load = (): void => {
          const regs = { TTBR0_EL1: (low[asid] as Tree).ttbr(asid + 1), TTBR1_EL1: high.ttbr() };
          for (const pe of [0, 1]) rig.set({ ...regs, EL: rig.st.lo(Off.EL), PAN: rig.st.lo(Off.PAN), UAO: rig.st.lo(Off.UAO) }, pe);
        };
        load();
        /** The second PE, emptied each time, is the oracle. */
        const cold = (va: bigint, access: Access, unpriv: boolean): string => {
          const oracle = (rig.pes[1] as (typeof rig.pes)[0]).mmu;
          oracle.flushAll();
          return rig.translate(va, access, unpriv, 1) ? `host ${rig.phys.host(oracle.pa - (oracle.pa % 4096))}` : "fault";
        };
        for (const s of steps) {
          const va = vas[s.va] as bigint;
          const upper = va >= KERNEL;
          const tree = upper ? high : (low[asid] as Tree);
          if (s.kind < 3) {
            // Remap: break, invalidate, make. A block replaces the table below it.
            const block = (s.flags & 1) !== 0;
            const level = block ? 2 : 3;
            const l2 = tree.slot(va, 2);
            if (block || (tree.get(l2) & 3n) === 1n) tree.put(l2, 0n);
            else tree.put(tree.slot(va, 3), 0n);
            const page = (block ? va & ~0x1f_ffffn : va) >> 12n;
            const x = (page & 0xfff_ffff_ffffn) | asidOp(asid + 1);
            if (s.op === 0) rig.mmu.tlbi(0, 8, 7, 0, 0n);
            else if (s.op === 1) rig.mmu.tlbi(0, 8, 7, 2 * Number(!upper), upper ? 0n : asidOp(asid + 1));
            else if (block || s.op === 2) {
              // 2 MiB as a range of 512 pages: NUM 7, SCALE 1.
              rig.mmu.tlbi(
                0,
                8,
                6,
                1,
                (((va & ~0x1f_ffffn) >> 12n) & 0x1f_ffff_ffffn) | (7n << 39n) | (1n << 44n) | (1n << 46n) | asidOp(asid + 1),
              );
            } else rig.mmu.tlbi(0, 8, s.op === 3 ? 3 : 7, 1 + 2 * Number(s.op === 4), x);
            const attrs =
              LEAF | (s.flags & 2 ? USER : 0n) | (s.flags & 4 ? bit(7) : 0n) | (upper ? 0n : NG) | (s.flags === 15 ? attrIndex(1) : 0n);
            tree.map(block ? va & ~0x1f_ffffn : va, RAM + s.n * 0x20_0000, attrs, level);
          } else if (s.kind === 3) {
            asid ^= 1;
            load();
          } else if (s.kind === 4) {
            for (const pe of [0, 1]) rig.set({ EL: s.n & 1, PAN: (s.n >> 1) & 1, UAO: (s.n >> 2) & 1 }, pe);
          } else {
            const access = [Access.Read, Access.Write, Access.Fetch, Access.ReadWrite][s.n & 3] as Access;
            const unpriv = (s.n & 4) !== 0 && access < Access.Fetch;
            const got = rig.translate(va, access, unpriv) ? `host ${rig.phys.host(rig.mmu.pa - (rig.mmu.pa % 4096))}` : "fault";
            if (access === Access.Fetch && got !== "fault")
              rig.mmu.fillFetch(...words(va), rig.phys.host(rig.mmu.pa - (rig.mmu.pa % 4096)));
            expect(got).toBe(cold(va, access, unpriv));
          }
          checkL1(rig, cold);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("no register contents make anything throw or hang", () => {
    const translation = encodings
      .map((e) => e[0])
      .filter((n) => /^(SCTLR|TCR|TTBR|MAIR|HCR|SCR|VTCR|VTTBR|VSTCR|VSTTBR)/.test(n) && !/12$/.test(n)) as RegName[];
    const rig = new Rig();
    const t = new Tree(rig);
    t.map(VA, RAM, LEAF);
    // Make stray table pointers meet plausible descriptors.
    for (let i = 0; i < 4096; i++)
      rig.write64(RAM + i * 8, BigInt(RAM + (i & 0xfff) * 4096) | BigInt(i & 0xfff) | (BigInt(i * 2654435761) << 48n));
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.constantFrom(...translation),
            fc.oneof(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.constantFrom(1n, t.ttbr(), BigInt(RAM), tcr(t), tcrOne(t))),
          ),
          { maxLength: 12 },
        ),
        fc.integer({ min: 0, max: 3 }),
        fc.array(fc.tuple(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.integer({ min: 0, max: 4 })), { maxLength: 10 }),
        fc.tuple(fc.constantFrom(0, 4, 6), fc.integer({ min: 8, max: 9 }), fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 7 })),
        (regs, EL, accesses, op) => {
          rig.set({ ...Object.fromEntries(regs), EL });
          for (const [va, access] of accesses) {
            expect(typeof rig.outcome(va, access as Access)).toBe("string");
            rig.outcome(va & 0x7fff_ffffn, access as Access, true);
            rig.mmu.tlbi(op[0], op[1], op[2], op[3], va);
            rig.mmu.at(op[0], op[1], op[3], va);
          }
        },
      ),
      { numRuns: 800 },
    );
  });
});
