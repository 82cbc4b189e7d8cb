// {states} x {PA spaces they can name} x {GPIs} x {granules} x {level 0 block, contiguous, granules} x {fetch, load, store, atomic, walk, AF
// update, DMA}, on a PE with its MMU. What is expected comes from the rules below, not from the code under test.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dmaPermitted, type Gpi } from "../../src/gpt/index.ts";
import { Access } from "../../src/mmu/access.ts";
import { NONSECURE, OWN, PeRig, REALM, ROOT, SECURE, TARGET } from "./pe-rig.ts";

/** AF, Inner Shareable. */
const LEAF = 0x700n;
const AF = 0x400n;
const NX = 1n << 54n;
const GPF_TO_EL3 = 1n << 48n;

/** PA spaces that a state's own leaf descriptors can name. */
const reachable: Record<number, number[]> = {
  [SECURE]: [SECURE, NONSECURE],
  [NONSECURE]: [NONSECURE],
  [ROOT]: [0, 1, 2, 3],
  [REALM]: [REALM, NONSECURE],
};
const gpis = [0x0, 0x8, 0x9, 0xa, 0xb, 0xd, 0xf, 0xc] as const;
const reserved = (gpi: number): boolean => gpi === 0xc;
const allowed = (gpi: number, pas: number, state: number): boolean =>
  gpi === 0xf || (gpi === 0x8 && pas === SECURE) || (gpi === 0x9 && pas === NONSECURE) || (gpi === 0xa && pas === ROOT) || (gpi === 0xb && pas === REALM) ||
  (gpi === 0xd && pas === NONSECURE && (state === NONSECURE || state === ROOT)); // biome-ignore format: rules

const layouts = ["block", "contiguous", "granules"] as const;
type Layout = (typeof layouts)[number];

interface Setting {
  state: number;
  pas: number;
  gpi: number;
  level: 0 | 1;
  routed: boolean;
  fetch: boolean;
  write: boolean;
  /** Level of the walk on which it happens, -1: on the output. */
  walk: number;
  pa: number;
}

/** The exception that the architecture gives, "ok" when none. */
function expected(s: Setting): string {
  if (!reserved(s.gpi) && allowed(s.gpi, s.pas, s.state)) return "ok";
  const fsc = s.walk < 0 ? 0x28 : 0x24 + s.walk;
  const el = [1, 2, 3, 2][s.state] as number;
  const wnr = s.write ? 1 << 6 : 0;
  if (!reserved(s.gpi) && !(s.routed && el < 3)) {
    const ec = s.fetch ? 0x21 : 0x25; // taken to the same level
    return `EL${el} ${(ec * 2 ** 26 + 2 ** 25 + (fsc | wnr)).toString(16)}`;
  }
  const gpcsc = (reserved(s.gpi) ? 0b000100 : 0b001100) | s.level;
  const esr = 0x1e * 2 ** 26 + 2 ** 25 + ((s.fetch ? 1 << 20 : 0) | (gpcsc << 14) | wnr | fsc);
  const page = BigInt(s.pa) & ~0xfffn;
  const mfar = page | (BigInt(s.pas & 1) << 63n) | (BigInt(s.pas >> 1) << 62n);
  return `EL3 ${esr.toString(16)} mfar=${mfar.toString(16)}`;
}

describe("granule protection of every access", () => {
  let rig: PeRig;
  let checks = 0;
  beforeAll(() => {
    rig = new PeRig();
  });
  afterAll(() => expect(checks).toBeGreaterThan(4000));

  /** Puts the GPI on the target in one of the three ways. */
  const protect = (layout: Layout, granule: number, gpi: number): void => {
    const g = gpi as Gpi;
    if (layout === "block") rig.protect({ granule, ranges: [{ base: 0x8000_0000, size: 2 ** 30, gpi: g }] });
    else if (layout === "contiguous") rig.protect({ granule, ranges: [{ base: TARGET, size: 0x20_0000, gpi: g }] });
    else rig.protect({ granule, contiguous: false, ranges: [{ base: TARGET, size: 2 ** granule, gpi: g }] });
  };
  const each = (f: (at: { granule: number; layout: Layout; gpi: number; routed: boolean }) => void): void => {
    for (const granule of [12, 14, 16])
      for (const layout of layouts) for (const gpi of gpis) for (const routed of [false, true]) f({ granule, layout, gpi, routed });
  };

  for (const [name, state] of Object.entries({ Secure: SECURE, "Non-secure": NONSECURE, Root: ROOT, Realm: REALM })) {
    it(`${name}: final accesses`, () => {
      each(({ granule, layout, gpi, routed }) => {
        rig.enter(state, routed ? GPF_TO_EL3 : 0n);
        protect(layout, granule, gpi);
        for (const pas of reachable[state] as number[]) {
          // Root and Realm do not execute from other spaces: a permission fault, which has the higher priority.
          const executes = state === NONSECURE || state === SECURE || pas === state;
          rig.map(TARGET, LEAF | rig.spaceBits(pas) | (executes ? 0n : NX));
          const level = layout === "block" ? 0 : 1;
          for (const access of [Access.Read, Access.Write, Access.ReadWrite, Access.Fetch]) {
            if (access === Access.Fetch && !executes) continue;
            rig.b.pe.mmu.flushAll();
            const want = expected({
              state,
              pas,
              gpi,
              level,
              routed,
              fetch: access === Access.Fetch,
              write: access === Access.Write,
              walk: -1,
              pa: TARGET,
            });
            expect(rig.access(access), `${layout} ${granule} gpi ${gpi} pas ${pas} access ${access}`).toBe(want);
            checks++;
          }
        }
      });
    });

    it(`${name}: table walks and updates of the access flag`, () => {
      each(({ granule, layout, gpi, routed }) => {
        rig.enter(state, routed ? GPF_TO_EL3 : 0n);
        protect(layout, granule, gpi);
        for (const update of [false, true]) {
          const leaf = rig.map(OWN + 0x8000, (update ? LEAF & ~AF : LEAF) | rig.spaceBits(state), TARGET, true);
          rig.b.pe.mmu.flushAll();
          const level = layout === "block" ? 0 : 1;
          const want = expected({ state, pas: state, gpi, level, routed, fetch: false, write: true, walk: 3, pa: TARGET });
          expect(rig.access(Access.Write), `${layout} ${granule} gpi ${gpi} update ${update}`).toBe(want);
          // Refused: the descriptor is as it was.
          expect((rig.read(leaf) & AF) !== 0n).toBe(!update || want === "ok");
          checks++;
        }
      });
    });
  }

  it("DMA is Non-secure", () => {
    each(({ granule, layout, gpi }) => {
      protect(layout, granule, gpi);
      const { phys, mmu } = rig.b.pe;
      const want = !reserved(gpi) && allowed(gpi, NONSECURE, NONSECURE);
      expect(dmaPermitted(phys, mmu.granuleCheck, TARGET + 0x100, 64)).toBe(want);
      // A transfer that only touches the granule with its last byte is refused as a whole.
      if (layout !== "block") expect(dmaPermitted(phys, mmu.granuleCheck, TARGET - 0x3000, 0x3001)).toBe(want);
      if (layout !== "block") expect(dmaPermitted(phys, mmu.granuleCheck, TARGET - 0x3000, 0x3000)).toBe(true);
      checks++;
    });
  });
});
