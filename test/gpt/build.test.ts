import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeGpt, Gpi, type GptRange, printGpt } from "../../src/gpt/index.ts";
import { GptBench } from "./bench.ts";

const RAM = 0x4000_0000;
const values = [Gpi.None, Gpi.Secure, Gpi.NonSecure, Gpi.Root, Gpi.Realm, Gpi.Any] as const;
const space = [0x8, 0x9, 0xa, 0xb] as const;

const layout = fc.record({
  granule: fc.constantFrom(12, 14, 16),
  l0: fc.constantFrom(30, 34),
  blocks: fc.boolean(),
  contiguous: fc.boolean(),
  otherwise: fc.constantFrom(...values),
  ranges: fc.array(
    fc
      .tuple(fc.nat(0x7fff), fc.nat(0x3fff), fc.constantFrom(...values))
      .map(([b, s, gpi]) => ({ base: 0x4000_0000 + b * 0x1_0000, size: (s + 1) * 0x1_0000, gpi })),
    { maxLength: 5 },
  ),
});
/** GPI of an address: the last range that covers it. */
const gpiAt = (ranges: readonly GptRange[], otherwise: number, pa: number): number =>
  ranges.findLast((r) => pa >= r.base && pa < r.base + r.size)?.gpi ?? otherwise;

describe("tables built from ranges", () => {
  it("give every address the GPI of the last range that covers it, and read back as the same ranges", () => {
    const b = new GptBench({ base: RAM, size: 0x180_0000 });
    fc.assert(
      fc.property(layout, fc.array(fc.nat(0xbfff_ffff), { minLength: 20, maxLength: 20 }), (o, more) => {
        b.phys.clear();
        const built = b.load({ pps: 32, table: RAM, ...o });
        expect(built.end).toBeLessThanOrEqual(RAM + 0x180_0000);
        const edges = o.ranges.flatMap((r) => [r.base, r.base - 1, r.base + r.size, r.base + r.size - 1]).filter((pa) => pa < 2 ** 32);
        const d = describeGpt(b.phys, built.gpccr, built.gptbr);
        for (const pa of [...edges, ...more, 0, 2 ** 32 - 1]) {
          const gpi = gpiAt(o.ranges, o.otherwise, pa);
          space.forEach((own, pas) => {
            const level = b.gpt.check(pa, pas as 0 | 1 | 2 | 3, pas as 0 | 1 | 2 | 3) & 1;
            expect(b.check(pa, pas)).toBe(gpi === 0xf || gpi === own ? "pass" : `gpf${level}`);
          });
          expect(d.areas.find((a) => pa >= a.start && pa < a.end)?.gpi).toBe(gpi);
        }
        // Without gaps, equal neighbours joined.
        expect(d.areas[0]?.start).toBe(0);
        expect(d.areas.at(-1)?.end).toBe(2 ** 32);
        d.areas.slice(1).forEach((a, i) => {
          expect(a.start).toBe(d.areas[i]?.end);
          expect(a.gpi).not.toBe(d.areas[i]?.gpi);
        });
      }),
      { numRuns: 40, seed: 3 },
    );
  });

  it("uses blocks and contiguous entries where it may", () => {
    const b = new GptBench({ base: RAM, size: 0x180_0000 });
    const o = {
      pps: 32,
      l0: 30,
      granule: 12,
      table: RAM,
      otherwise: Gpi.NonSecure,
      ranges: [{ base: 0x8000_0000, size: 0x1000, gpi: Gpi.Root }],
    };
    expect(b.load(o).pieces.length).toBe(2);
    expect(b.load({ ...o, blocks: false }).pieces.length).toBe(5);
    b.load(o);
    b.check(0xa000_0000, 1);
    expect(b.gpt.sizeLog2).toBe(29);
    b.check(0x9000_0000, 1);
    expect(b.gpt.sizeLog2).toBe(25);
    b.check(0x8020_0000, 1);
    expect(b.gpt.sizeLog2).toBe(21);
    b.check(0x8001_0000, 1);
    expect(b.gpt.sizeLog2).toBe(16); // one granule after the other, all 16 of the entry alike
    b.check(0x4000_0000, 1);
    expect(b.gpt.sizeLog2).toBe(30);
  });

  it("prints registers, ranges and sums", () => {
    const b = new GptBench({ base: RAM, size: 0x40_0000 });
    const ranges = [{ base: 0x4000_1000, size: 0x2000, gpi: Gpi.Realm }];
    const built = b.load({ pps: 32, l0: 30, granule: 12, table: RAM, otherwise: Gpi.Any, ranges });
    const text = printGpt(describeGpt(b.phys, built.gpccr, built.gptbr));
    expect(text.split("\n")).toEqual([
      "GPCCR_EL3 = 0x0000000000013500",
      "  [16]     GPC      0x1  granule protection is on",
      "  [2:0]    PPS      0x0  protected space of 32 bits",
      "  [15:14]  PGS      0x0  granule of 4 KiB",
      "  [23:20]  L0GPTSZ  0x0  a level 0 entry covers 1 GiB",
      "  [13:12]  SH       0x3  table fetches are Inner Shareable",
      "  [11:10]  ORGN     0x1  outer Write-Back, allocating",
      "  [9:8]    IRGN     0x1  inner Write-Back, allocating",
      "GPTBR_EL3 = 0x0000000000040000",
      "  [39:0]   BADDR    level 0 table at 0x40000000",
      "",
      "0x00000000 to 0x40000fff     1.0 GiB  any",
      "0x40001000 to 0x40002fff       8 KiB  Realm",
      "0x40003000 to 0xffffffff     3.0 GiB  any",
      "",
      "any                   4.0 GiB in 2 ranges",
      "Realm                   8 KiB in 1 range",
      "",
    ]);
  });

  it("says what is malformed, missing or off", () => {
    const b = new GptBench({ base: RAM, size: 0x40_0000 });
    const ranges = [{ base: 0x4000_1000, size: 0x2000, gpi: Gpi.Realm }];
    const built = b.load({ pps: 36, l0: 30, granule: 12, table: RAM, otherwise: Gpi.Any, ranges });
    for (const i of [2, 3, 4]) b.write(RAM + 8 * i, 0n);
    b.write(RAM + 40, 0x71n);
    b.write(RAM + 48, 0x9000_0003n);
    b.write(RAM + 56, 0x10_0000_0003n);
    const limited = describeGpt(b.phys, built.gpccr & ~(1n << 16n), built.gptbr, { from: 0x8000_0000, limit: 7 });
    const text = printGpt(limited);
    expect(text).toMatch(/GPC +0x0 {2}granule protection is off: nothing is checked/);
    for (const line of [
      "0x080000000 to 0x13fffffff       3 GiB  level 0 entries from 0x40000010 to 0x40000020: bits 3:0 are 0x0: a level 0 entry is a block (0x1) or a table (0x3)",
      "0x140000000 to 0x17fffffff       1 GiB  level 0 entry at 0x40000028: reserved GPI 0x7 in bits 7:4 of the block entry",
      "0x180000000 to 0x18001ffff     128 KiB  level 1 entries from 0x90000000 to 0x90000008: not in memory",
      "0x180020000 and up: not read",
      "malformed             4.0 GiB in 3 ranges",
    ])
      expect(text).toContain(`${line}\n`);
    const above = describeGpt(b.phys, built.gpccr, built.gptbr, { from: 0x1_c000_0000, limit: 1 });
    expect(printGpt(above)).toContain("level 0 entry at 0x40000038: its table is above the protected space\n");
    expect(printGpt(describeGpt(b.phys, 7n, 0n))).toMatch(
      /configuration is invalid, .*: GPCCR_EL3\.PPS says 56 bits, the PE implements 52\n/,
    );
  });

  it("prints the bits of FEAT_RME_GPC2 and GPC3 that are set", () => {
    const b = new GptBench({ base: RAM, size: 0x40_0000 });
    const built = b.load({ pps: 32, l0: 30, granule: 12, table: RAM, otherwise: Gpi.Any, ranges: [] });
    const more = (1n << 19n) | (1n << 7n) | (1n << 29n);
    const text = printGpt(describeGpt(b.phys, built.gpccr | more, built.gptbr, { gpcbw: 2n }));
    expect(text).toMatch(/SPAD +0x1 {2}no access to the Secure PA space\n.*\n.*GPCBW +0x1/);
    expect(text).toMatch(/nothing is checked in 1 GiB from 0x80000000 on, again every 1 TiB\n/);
  });

  it("hostile tables are read in bounded time", () => {
    const b = new GptBench({ base: RAM, size: 0x40_0000 });
    fc.assert(
      fc.property(
        fc.bigInt(0n, 2n ** 64n - 1n),
        fc.bigInt(0n, 2n ** 64n - 1n),
        fc.array(fc.bigInt(0n, 2n ** 64n - 1n), { minLength: 8, maxLength: 8 }),
        (c, t, words) => {
          for (const [i, w] of words.entries()) b.write(RAM + 8 * i, w);
          for (const gptbr of [t, BigInt(RAM / 4096)]) printGpt(describeGpt(b.phys, c, gptbr, { limit: 2000 }));
        },
      ),
      { numRuns: 100 },
    );
  });
});
