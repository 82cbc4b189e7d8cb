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
    expect(b.gpt.sizeLog2).toBe(12);
    b.check(0x4000_0000, 1);
    expect(b.gpt.sizeLog2).toBe(30);
  });

  it("prints ranges and names what is malformed", () => {
    const b = new GptBench({ base: RAM, size: 0x40_0000 });
    const built = b.load({
      pps: 32,
      l0: 30,
      granule: 12,
      table: RAM,
      otherwise: Gpi.Any,
      ranges: [{ base: 0x4000_1000, size: 0x2000, gpi: Gpi.Realm }],
    });
    expect(printGpt(describeGpt(b.phys, built.gpccr, built.gptbr))).toBe(
      "00000000..40000fff  any\n40001000..40002fff  Realm\n40003000..ffffffff  any\n",
    );
    b.write(RAM + 16, 0x71n);
    b.write(RAM + 24, 0x9000_0003n);
    const broken = printGpt(describeGpt(b.phys, built.gpccr, built.gptbr, { from: 0x8000_0000, limit: 3 }));
    expect(broken).toBe(
      [
        "80000000..bfffffff  level 0 entry at 0x40000010: reserved (0x7)",
        "c0000000..c000ffff  level 1 entry at 0x90000000: not in memory",
        "c0010000..  not read",
        "",
      ].join("\n"),
    );
    expect(printGpt(describeGpt(b.phys, 7n, 0n))).toBe("invalid configuration: GPCCR_EL3.PPS says 56 bits, the PE implements 52\n");
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
