// The TLB holds the answers of the check as hardware's does: they stay until something that covers them comes.

import { describe, expect, it } from "vitest";
import { slot } from "../../src/arch/state.ts";
import { Gpi } from "../../src/gpt/index.ts";
import { Access } from "../../src/mmu/access.ts";
import { paOperand } from "../../src/mmu/tlbi.ts";
import { NONSECURE, OWN, PeRig, REALM, ROOT, SECURE, TARGET, VA } from "./pe-rig.ts";

const LEAF = 0x700n;
const BLOCKED = /^EL[123] 96000028$/;
/** Forms of TLBI by PA: op1, CRm, op2. */
const PAALL = [6, 7, 4] as const;
const PAALLOS = [6, 1, 4] as const;
const RPAOS = [6, 4, 3] as const;
const RPALOS = [6, 4, 7] as const;
const SIZE = { "4K": 0n, "16K": 1n, "64K": 2n, "2M": 3n, "32M": 4n, "512M": 5n, "1G": 6n, "16G": 7n, "64G": 8n, "512G": 9n } as const;
const operand = (pa: number, size: keyof typeof SIZE): bigint => BigInt(pa / 4096) | (SIZE[size] << 44n);

/** A PE that has used the target page, which was then taken away in memory. */
function stale(o: { state?: number; mmu?: boolean; granule?: number } = {}): PeRig {
  const rig = new PeRig();
  const state = o.state ?? NONSECURE;
  const granule = o.granule ?? 12;
  rig.enter(state);
  rig.protect({ granule, blocks: false, contiguous: false, ranges: [] });
  if (o.mmu !== false) rig.map(TARGET, LEAF | rig.spaceBits(state));
  expect(rig.access(Access.Read, address(o))).toBe("ok");
  takeAway(rig, granule);
  return rig;
}
const address = (o: { mmu?: boolean }): bigint => (o.mmu === false ? BigInt(TARGET) : VA);
/** Changes the granules entry of the target in memory, and tells nobody. */
function takeAway(rig: PeRig, granule: number): void {
  const l0 = Number(rig.b.pe.readSys("GPTBR_EL3")) * 4096;
  const table = Number(rig.read(l0 + 2 * 8) & ~15n);
  rig.write(table + Math.floor((TARGET - 0x8000_0000) / (16 * 2 ** granule)) * 8, 0n);
}

describe("a GPT change without its TLBI", () => {
  const forms: [string, readonly [number, number, number], bigint][] = [
    ["PAALL", PAALL, 0n],
    ["PAALLOS", PAALLOS, 0n],
    ["RPAOS", RPAOS, operand(TARGET, "4K")],
    ["RPALOS", RPALOS, operand(TARGET, "4K")],
    ["RPAOS over 2 MiB", RPAOS, operand(TARGET, "2M")],
    ["RPALOS over 1 GiB", RPALOS, operand(0x8000_0000, "1G")],
    ["RPAOS over 512 GiB", RPAOS, operand(0, "512G")],
  ];
  for (const [name, [op1, crm, op2], x] of forms) {
    for (const state of [SECURE, NONSECURE, ROOT, REALM]) {
      it(`keeps the old permission until ${name}, state ${state}`, () => {
        const rig = stale({ state });
        for (let i = 0; i < 3; i++) expect(rig.access(Access.Read)).toBe("ok");
        rig.sys(op1, crm, op2, x);
        expect(rig.access(Access.Read)).toMatch(BLOCKED);
      });
    }
    it(`the same with the MMU off, ${name}`, () => {
      const rig = stale({ mmu: false, state: ROOT });
      expect(rig.access(Access.Read, BigInt(TARGET))).toBe("ok");
      rig.sys(op1, crm, op2, x);
      expect(rig.access(Access.Read, BigInt(TARGET))).toMatch(BLOCKED);
    });
  }
  // biome-ignore format: table
  const misses: [string, bigint][] = [
    ["the granule before",                    operand(TARGET - 0x1000, "4K")],
    ["the granule after",                     operand(TARGET + 0x1000, "4K")],
    ["another 2 MiB",                         operand(TARGET + 0x20_0000, "2M")],
    ["a misaligned range",                    operand(TARGET - 0x1000, "2M")],
    ["a reserved size",                       BigInt(TARGET / 4096) | (10n << 44n)],
  ];
  it.each(misses)("RPAOS of %s leaves it", (_, x) => {
    const rig = stale();
    rig.sys(...RPAOS, x);
    rig.sys(...RPALOS, x);
    expect(rig.access(Access.Read)).toBe("ok");
  });
  it("translation maintenance of another page does not remove it; a change of the registers does", () => {
    const rig = stale();
    rig.sys(4, 7, 1, 0x7n); // TLBI VAE2 of page 7
    expect(rig.access(Access.Read)).toBe("ok");
    rig.b.pe.writeSys("GPCCR_EL3", rig.b.pe.readSys("GPCCR_EL3"));
    expect(rig.access(Access.Read)).toBe("ok"); // same value
    rig.b.pe.writeSys("GPCCR_EL3", rig.b.pe.readSys("GPCCR_EL3") ^ (1n << 19n));
    expect(rig.access(Access.Read)).toMatch(BLOCKED);
    const other = stale();
    const gptbr = other.b.pe.readSys("GPTBR_EL3");
    other.b.pe.writeSys("GPTBR_EL3", gptbr + 16n);
    other.b.pe.writeSys("GPTBR_EL3", gptbr);
    expect(other.access(Access.Read)).toMatch(BLOCKED);
  });
  it("the size of RPAOS is at least the physical granule", () => {
    const rig = stale({ granule: 16 });
    rig.sys(...RPAOS, operand(TARGET + 0x3000, "4K"));
    expect(rig.access(Access.Read)).toMatch(BLOCKED);
  });
  it("an answer of 'no' is never kept", () => {
    const rig = stale();
    rig.sys(...PAALL);
    expect(rig.access(Access.Read)).toMatch(BLOCKED);
    rig.write(
      Number(rig.read(Number(rig.b.pe.readSys("GPTBR_EL3")) * 4096 + 16) & ~15n) + ((TARGET - 0x8000_0000) / 0x1_0000) * 8,
      0x9999_9999_9999_9999n,
    );
    expect(rig.access(Access.Read)).toBe("ok");
  });
});

describe("what an entry knows", () => {
  it("the GPT entry and the descriptors that justified it, its size cut to the granule", () => {
    const rig = new PeRig();
    rig.enter(REALM);
    rig.protect({ contiguous: false, ranges: [{ base: TARGET, size: 0x3000, gpi: Gpi.Realm }] });
    const leaf = rig.map(TARGET, LEAF);
    expect(rig.access(Access.Read)).toBe("ok");
    const table = Number(rig.read(Number(rig.b.pe.readSys("GPTBR_EL3")) * 4096 + 16) & ~15n);
    expect(rig.b.pe.mmu.inspect(Number(VA), 0)).toMatchObject({
      size: 12,
      pa: TARGET,
      pas: REALM,
      descriptor1: leaf,
      descriptor2: -1,
      gptEntry: table + ((TARGET - 0x8000_0000) / 0x1_0000) * 8,
      security: REALM,
      regime: 2,
    });
  });
  it("a block under granules is cut, a contiguous area is not", () => {
    const rig = new PeRig();
    rig.enter(ROOT);
    rig.protect({ ranges: [{ base: TARGET + 0x20_0000, size: 0x1000, gpi: Gpi.Root }] });
    // A 1 GiB block at level 1.
    rig.map(OWN, LEAF);
    const st = rig.b.st;
    rig.write(Number(st.get(slot.TTBR0_EL3)) + 2 * 8, 0x8000_0000n | LEAF | (1n << 11n) | 1n);
    const va = (pa: number): bigint => BigInt(pa);
    expect(rig.access(Access.Read, va(TARGET))).toBe("ok");
    expect(rig.b.pe.mmu.inspect(TARGET | 0, 0)).toMatchObject({ size: 21 });
    expect(rig.access(Access.Read, va(TARGET + 0x20_0000))).toBe("ok");
    expect(rig.b.pe.mmu.inspect((TARGET + 0x20_0000) | 0, 0)).toMatchObject({ size: 12 });
  });
  it("reading the table costs nothing on a hit", () => {
    const rig = stale();
    const g = rig.b.pe.mmu.granuleCheck as { reads?: number };
    const before = g.reads;
    expect(before).toBeGreaterThan(0);
    for (let i = 0; i < 100; i++) rig.access(Access.Read);
    expect(g.reads).toBe(before);
  });
});

describe("operand of RPAOS and RPALOS", () => {
  it.each([
    [0n, "4K", 12, 0, 0x1000],
    [5n, "4K", 14, 0x4000, 0x8000],
    [0x40000n, "1G", 12, 0x4000_0000, 0x8000_0000],
    [0x200000n, "16G", 12, undefined, undefined],
    [0x400000n, "16G", 12, 0x4_0000_0000, 0x8_0000_0000],
    [1n, "64K", 12, undefined, undefined],
    [1n, "64K", 16, 0, 0x1_0000],
  ] as const)("%# page %s size %s granule %s", (page, size, granule, start, end) => {
    expect(paOperand(page | (SIZE[size] << 44n), granule)).toEqual(start === undefined ? undefined : { start, end });
  });
});
