// Walks that begin at the end of a remembered path are the walks that begin at the first table: whatever changes in stage 1 tables and base
// registers is seen without any invalidation; stage 2 and granule protection after theirs.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Pas, Security } from "../../src/arch/security.ts";
import { slot } from "../../src/arch/state.ts";
import { Privilege } from "../../src/mmu/access.ts";
import { decodeRegime, Regime, type RegimeConfig } from "../../src/mmu/regime.ts";
import type { GranuleCheck } from "../../src/mmu/table.ts";
import { Purpose, Walker } from "../../src/mmu/walker.ts";
import { Access, AF, bit, LEAF, NG, RAM, RAM_SIZE, Rig, Tree, tcr, USER } from "./rig.ts";

const S2 = 0x7fcn;
const HA = bit(39);
const NON_SECURE = 1 as Security;
/** Addresses that share upper tables, or not; in the lower and in the upper range, up to the last page. */
// biome-ignore format: table
const vas = [
  0x0000_0000_0000n, 0x0000_0000_1000n, 0x0000_0020_0000n, 0x0000_4000_0000n, 0x0080_0000_0000n,
  0xffff_ffff_ffff_f000n, 0xffff_ffff_ff5f_c000n, 0xffff_ffff_ff5f_d000n, 0xffff_8000_0000_0000n, 0xffff_0000_0000_0000n,
] as const;

/** Granules that only Root may use; answers are kept until they are forgotten, as checkOften may. */
class Granules implements GranuleCheck {
  readonly active = true;
  readonly sizeLog2 = 12;
  readonly entry = -1;
  readonly granuleLog2 = 12;
  settings: unknown = {};
  readonly refused = new Set<number>();
  check(pa: number, _pas: Pas, _state: Security): number {
    return this.refused.has(Math.floor(pa / 4096)) ? 17 : 0;
  }
}

function world(stage2: boolean) {
  const rig = new Rig();
  // Two trees for the lower range and one for the upper; two for stage 2, which differ in what they map beside the tables.
  const low = [new Tree(rig), new Tree(rig)] as const;
  const high = new Tree(rig);
  const s2 = [0, 1].map(() => new Tree(rig, { ia: 40, start: 1, concat: 1 }));
  for (const t of s2) for (let off = 0; off < RAM_SIZE; off += 0x20_0000) t.map(BigInt(RAM + off), RAM + off, S2, 2);
  rig.set({ SCTLR_EL1: 5n, TCR_EL1: tcr(low[0], high, HA), TTBR0_EL1: low[0].ttbr(), TTBR1_EL1: high.ttbr() });
  const vtcr = (s2[0] as Tree).tsz | (1n << 6n) | (5n << 16n) | bit(21);
  if (stage2) rig.set({ HCR_EL2: 1n, VTCR_EL2: vtcr, VTTBR_EL2: (s2[0] as Tree).ttbr() });
  const granules = new Granules();
  const walker = (): Walker => {
    const w = new Walker(rig.st, rig.phys, rig.features);
    w.table.granuleCheck = granules;
    return w;
  };
  return { rig, low, high, s2, granules, walker, config: decodeRegime(rig.st, rig.features, Regime.EL10, NON_SECURE, 0) };
}

/** Everything that a walk says. */
function outcome(w: Walker, c: RegimeConfig, va: bigint, access: Access): unknown {
  const [lo, hi] = [Number(va & 0xffff_ffffn) | 0, Number(BigInt.asIntN(32, va >> 32n))];
  if (!w.run(c, lo, hi, access, Privilege.Privileged, Purpose.Access)) {
    const { type, level, stage, s1ptw, write, gpc } = w.fault;
    const where = stage === 2 ? [w.fault.ipa, w.fault.ipaSpace] : [];
    return { type, level, stage, s1ptw, write, gpc, where, pa: gpc === 0 ? -1 : w.fault.pa };
  }
  const { pa, pas, ipa, ipaSpace, perms, size, size1, size2, attr, sh, notGlobal, guarded, level, descriptor1, descriptor2 } = w;
  return { pa, pas, ipa, ipaSpace, perms, size, size1, size2, attr, sh, notGlobal, guarded, level, descriptor1, descriptor2 };
}

const step = fc.record({
  kind: fc.integer({ min: 0, max: 11 }),
  va: fc.nat({ max: vas.length - 1 }),
  level: fc.integer({ min: 0, max: 3 }),
  n: fc.nat({ max: 15 }),
  flags: fc.nat({ max: 63 }),
});

/** Changes one stage 1 descriptor on the way of an address: taken away, a leaf, or a table again, with other hierarchical permissions. */
function change(tree: Tree, va: bigint, s: { level: number; n: number; flags: number }): void {
  const attrs = (s.flags & 1 ? LEAF : LEAF & ~AF) | (s.flags & 2 ? USER : 0n) | (s.flags & 4 ? bit(7) : 0n) | (s.flags & 8 ? NG : 0n);
  tree.tableBits = s.flags & 16 ? bit(62) : s.flags & 32 ? bit(60) : 0n;
  const unit = [0, 2 ** 30, 2 ** 21, 4096][s.level] as number;
  const at = tree.slot(va, s.level);
  if (s.n === 0) tree.put(at, 0n);
  else if (s.level === 0 || s.n < 5) {
    tree.put(at, tree.get(at) & ~3n); // a table of its own from now on
    tree.map(va, RAM + s.n * 0x1000, attrs);
  } else
    tree.map(va - (va % BigInt(unit)), (s.level === 1 ? RAM : RAM + s.n * 0x20_0000) + (s.level === 3 ? s.n * 4096 : 0), attrs, s.level);
}

describe.each([false, true])("remembered paths, stage 2 %s", (stage2) => {
  it("end where a walk from the first table ends", () => {
    const run = (steps: readonly { kind: number; va: number; level: number; n: number; flags: number }[]): void => {
      const { rig, low, high, s2, granules, walker, config } = world(stage2);
      const warm = walker();
      for (const va of vas) (va >= bit(63) ? high : low[0]).map(va, RAM + 0x5000, LEAF);
      for (const s of steps) {
        const va = vas[s.va] as bigint;
        const tree = va >= bit(63) ? high : (low[s.n & 1] as Tree);
        if (s.kind < 2) change(tree, va, s);
        else if (s.kind === 2) {
          // Hierarchical permissions only: APTable, PXNTable.
          const at = tree.slot(va, s.level % 3);
          if ((tree.get(at) & 3n) === 3n) tree.put(at, tree.get(at) ^ (s.flags & 1 ? bit(62) : bit(59)));
        } else if (s.kind === 3) rig.st.set(slot.TTBR0_EL1, (low[s.n & 1] as Tree).ttbr(s.flags));
        else if (s.kind === 4 && stage2) {
          rig.st.set(slot.VTTBR_EL2, (s2[s.n & 1] as Tree).ttbr(1));
        } else if (s.kind === 5 && stage2) {
          // Stage 2 of some page, of tables too; then what TLBI by IPA does.
          const page = BigInt(RAM + 0x100_0000 + (s.flags & 1) * 0x20_0000);
          const t = s2[s.n & 1] as Tree;
          if (s.n < 8) t.put(t.slot(page, 2), 0n);
          else t.map(page - (page % 0x20_0000n), Number(page - (page % 0x20_0000n)), S2, 2);
          warm.forget();
        } else if (s.kind === 6) {
          // A granule with tables of one of the stages, or another; then what TLBI RPALOS does.
          const page = RAM / 4096 + 0x1000 + (s.flags & 1 ? (s.n % 5) * 16 : 80 + ((s.flags * 16 + s.n) % 40));
          if (!granules.refused.delete(page)) granules.refused.add(page);
          if (s.n < 12) warm.forgetPa(page * 4096, page * 4096 + 4096);
          else warm.forget();
        } else if (s.kind === 7 && s.n < 5 && !stage2) {
          // Other control registers, no invalidation.
          granules.refused.add(RAM / 4096 + 0x1000 + s.n * 16);
          granules.settings = {};
        } else {
          const access = [Access.Read, Access.Write, Access.Fetch, Access.ReadWrite][s.n & 3] as Access;
          for (const at of [va, va + 0x1000n, va]) {
            const canonical = BigInt.asUintN(64, at);
            if (canonical < va) continue;
            const expected = outcome(walker(), config, canonical, access);
            expect(outcome(warm, config, canonical, access)).toEqual(expected);
          }
        }
      }
    };
    fc.assert(fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), run), { numRuns: 40 });
  });

  it("are not taken by who watches a walk", () => {
    const { high, walker, config } = world(stage2);
    const va = vas[6];
    high.map(va, RAM + 0x5000, LEAF);
    const w = walker();
    outcome(w, config, va, Access.Read);
    outcome(w, config, va, Access.Read);
    const levels: string[] = [];
    w.table.observer = { descriptor: (stage, level) => void levels.push(`${stage}.${level}`) };
    outcome(w, config, va, Access.Read);
    const below = stage2 ? ["2.1", "2.2"] : [];
    expect(levels).toEqual([0, 1, 2, 3].flatMap((l) => [...below, `1.${l}`]).concat(below));
  });

  it("cost one descriptor of stage 1", () => {
    const { rig, high, walker, config } = world(stage2);
    const va = vas[6];
    const leaf = high.map(va, RAM + 0x5000, LEAF);
    const w = walker();
    outcome(w, config, va, Access.Write);
    let reads = 0;
    const read = w.table.read.bind(w.table);
    w.table.read = (...args) => {
      reads++;
      return read(...args);
    };
    rig.write64(leaf, BigInt(RAM + 0x7000) | LEAF | 3n);
    expect(outcome(w, config, va, Access.Write)).toMatchObject({ pa: RAM + 0x7000, descriptor1: leaf });
    expect(reads).toBe(0);
    // A table above it moves: seen at once.
    const l3 = leaf - (leaf % 4096);
    const copy = rig.table();
    rig.phys.writeBytes(copy, rig.phys.readBytes(l3, 4096) as Uint8Array);
    rig.write64(copy + (leaf - l3), BigInt(RAM + 0x9000) | LEAF | 3n);
    high.put(high.slot(va, 2), BigInt(copy) | 3n);
    expect(outcome(w, config, va, Access.Write)).toMatchObject({ pa: RAM + 0x9000 });
    expect(reads).toBe(4);
  });
});
