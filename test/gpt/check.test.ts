import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Pas, Security } from "../../src/arch/security.ts";
import { decodeLevel0, decodeLevel1 } from "../../src/gpt/entry.ts";
import { permits } from "../../src/gpt/format.ts";
import { Gpi } from "../../src/gpt/index.ts";
import { allGpt, GptBench } from "./bench.ts";
import { specCheck } from "./spec.ts";

const RAM = 0x4000_0000;
const L0 = RAM;
const L1 = RAM + 0x10_0000;

/** A weighted choice: the interesting values more often than anything at all. */
const nibble = fc.constantFrom(0n, 8n, 9n, 10n, 11n, 13n, 15n);
const anyNibble = fc.oneof({ weight: 30, arbitrary: nibble }, { weight: 1, arbitrary: fc.bigInt(0n, 15n) });
const granules = fc.array(anyNibble, { minLength: 16, maxLength: 16 }).map((a) => a.reduce((v, g) => (v << 4n) | g, 0n));
const stray = fc.oneof({ weight: 12, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: fc.bigInt(0n, 63n).map((n) => 1n << n) });
const level1Entry = fc.oneof(
  { weight: 4, arbitrary: granules },
  { weight: 3, arbitrary: fc.tuple(anyNibble, fc.bigInt(0n, 3n), stray).map(([g, c, s]) => 1n | (g << 4n) | (c << 8n) | s) },
  { weight: 1, arbitrary: fc.bigInt(0n, 2n ** 64n - 1n) },
);
const level0Entry = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(anyNibble, stray).map(([g, s]) => 1n | (g << 4n) | s) },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom(BigInt(L1), BigInt(L1), BigInt(L1), 0x8000_0000n, 0x100_0000_0000n, 1n << 45n, BigInt(L1) + 0x1000n), stray)
      .map(([t, s]) => t | 3n | s),
  },
  { weight: 1, arbitrary: fc.bigInt(0n, 2n ** 64n - 1n) },
);
const bit = fc.bigInt(0n, 1n);
const rarely = fc.oneof({ weight: 9, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: fc.constant(1n) });
const gpccr = fc
  .record({
    pps: fc.constantFrom(0n, 0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n),
    pps3: rarely,
    pads: fc.oneof({ weight: 5, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: fc.bigInt(0n, 7n) }),
    cache: fc.constantFrom(5n, 5n, 5n, 0n),
    sh: fc.constantFrom(3n, 3n, 3n, 2n, 0n, 1n),
    pgs: fc.constantFrom(0n, 0n, 1n, 1n, 2n, 2n, 3n),
    gpc: fc.constantFrom(1n, 1n, 1n, 1n, 1n, 1n, 1n, 0n),
    nso: bit,
    l0: fc.constantFrom(0n, 4n, 6n, 9n),
    appsaa: bit,
    window: rarely,
  })
  .map(
    (f) =>
      f.pps | (f.pps3 << 3n) | (f.pads << 5n) | (f.cache << 8n) | (f.sh << 12n) | (f.pgs << 14n) | (f.gpc << 16n) | (f.nso << 19n) | (f.l0 << 20n) |
      (f.appsaa << 24n) | (f.window << 29n), // biome-ignore format: fields
  );
const gpcbw = fc
  .tuple(
    fc.constantFrom(0n, 1n, 2n, 3n, 4n, 6n),
    fc.constantFrom(0n, 2n, 7n, 16n, 3n),
    fc.oneof(fc.constantFrom(0n, 4n, 64n, 1024n), fc.bigInt(0n, 0x3ff_ffffn)),
  )
  .map(([w, s, b]) => (w << 37n) | (s << 32n) | b);
const address = fc.oneof(
  { weight: 6, arbitrary: fc.bigInt(0n, 2n ** 33n - 1n) },
  { weight: 2, arbitrary: fc.bigInt(0n, 2n ** 40n - 1n) },
  { weight: 2, arbitrary: fc.bigInt(0n, 2n ** 52n - 1n) },
);
const features = fc.record({
  paBits: fc.constantFrom(52, 48, 40),
  level: fc.constantFrom(1, 2, 3, 3),
});

describe("the check", () => {
  it("equals the specification for any registers, tables, address, space and state", () => {
    const seen = new Map<string, number>();
    const b = new GptBench({ base: RAM, size: 0x40_0000 });
    fc.assert(
      fc.property(
        fc.record({ gpccr, gpcbw, features, level0Entry, level1Entry, address, pas: fc.nat(3), state: fc.nat(3), far: rarely }),
        (x) => {
          const f = { ...allGpt, paBits: x.features.paBits, gpc2: x.features.level >= 2, gpc3: x.features.level >= 3 };
          Object.assign(b.gpt, { features: f, known: undefined });
          const gptbr = BigInt((x.far ? 2 ** 47 : L0) / 4096);
          b.set({ GPCCR_EL3: x.gpccr, GPTBR_EL3: gptbr, GPCBW_EL3: x.gpcbw });
          const p = [12n, 16n, 14n, 12n][Number((x.gpccr >> 14n) & 3n)] as bigint;
          const l0 = ({ 0: 30n, 4: 34n, 6: 36n, 9: 39n } as Record<number, bigint>)[Number((x.gpccr >> 20n) & 15n)] as bigint;
          const at0 = L0 + Number((x.address >> l0) * 8n);
          if (at0 < L1) b.write(at0, x.level0Entry);
          const at1 = L1 + Number(((x.address % (1n << l0)) >> (p + 4n)) * 8n);
          if (at1 < RAM + 0x40_0000) b.write(at1, x.level1Entry);
          const spec = specCheck({ gpccr: x.gpccr, gptbr, gpcbw: x.gpcbw, ...f, read: (pa) => b.read(pa) }, x.address, x.pas, x.state);
          seen.set(spec, (seen.get(spec) ?? 0) + 1);
          expect(b.check(Number(x.address), x.pas, x.state)).toBe(spec);
        },
      ),
      { numRuns: 20_000, seed: 1 },
    );
    // Every outcome occurred, more than by accident.
    for (const outcome of ["pass", "gpf0", "gpf1", "walk0", "walk1", "size0", "eabt0", "eabt1"])
      expect(seen.get(outcome) ?? 0, outcome).toBeGreaterThan(30);
  });

  it("agrees with the entries as explanations decode them", () => {
    const b = new GptBench({ base: RAM, size: 0x40_0000 });
    const seen = new Set<string>();
    fc.assert(
      fc.property(
        fc.record({ pgs: fc.nat(2), nso: bit, level0Entry, level1Entry, pa: fc.nat(2 ** 31 - 1).map((n) => 2 ** 31 + n), pas: fc.nat(3) }),
        (x) => {
          b.set({ GPCCR_EL3: 0x1_3500n | (BigInt(x.pgs) << 14n) | (x.nso << 19n), GPTBR_EL3: BigInt(L0 / 4096), GPCBW_EL3: 0n });
          const c = b.gpt.config;
          const says = (gpi: number, level: number): string => (permits(gpi, x.pas as Pas, x.pas as Security) ? "pass" : `gpf${level}`);
          b.write(L0 + 8 * Math.floor(x.pa / 2 ** 30), x.level0Entry);
          const e0 = decodeLevel0(c, x.level0Entry);
          const table = e0.kind === "table" && e0.table < 2 ** 32;
          const got0 = b.check(x.pa, x.pas);
          seen.add(e0.kind);
          if (e0.kind !== "table") expect(got0).toBe(e0.kind === "block" ? says(e0.gpi, 0) : "walk0");
          else expect(got0.endsWith("0")).toBe(!table && got0 !== "pass");

          b.write(L0 + 8 * Math.floor(x.pa / 2 ** 30), BigInt(L1) | 3n);
          const granule = Math.floor((x.pa % 2 ** 30) / 2 ** c.granule);
          b.write(L1 + 8 * Math.floor(granule / 16), x.level1Entry);
          const e1 = decodeLevel1(c, x.level1Entry);
          const gpi = e1.kind === "contiguous" ? e1.gpi : e1.kind === "granules" ? (e1.gpis[granule % 16] as number) : undefined;
          seen.add(e1.kind);
          expect(b.check(x.pa, x.pas)).toBe(gpi === undefined ? "walk1" : says(gpi, 1));
        },
      ),
      { numRuns: 5000, seed: 1 },
    );
    expect([...seen].sort()).toEqual(["block", "contiguous", "granules", "malformed", "table"]);
  });

  it("answers hold for the whole block around the address that it names", () => {
    const b = new GptBench({ base: RAM, size: 0x100_0000 });
    fc.assert(
      fc.property(
        fc.record({
          granule: fc.constantFrom(12, 14, 16),
          contiguous: fc.boolean(),
          blocks: fc.boolean(),
          ranges: fc.array(fc.tuple(fc.nat(0x3ff), fc.nat(0x3ff), fc.constantFrom(Gpi.None, Gpi.Secure, Gpi.Realm, Gpi.Any)), {
            maxLength: 4,
          }),
          address: fc.nat(0xffff_ffff),
          window: fc.boolean(),
        }),
        (x) => {
          const built = b.load({
            pps: 32,
            l0: 30,
            granule: x.granule,
            table: RAM,
            level1: RAM + 0x4_0000,
            otherwise: Gpi.NonSecure,
            ranges: x.ranges.map(([base, size, gpi]) => ({ base: 0x2000_0000 + base * 0x1_0000, size: size * 0x1_0000, gpi })),
            blocks: x.blocks,
            contiguous: x.contiguous,
          });
          // A window of 1 GiB at 2 GiB.
          b.set({ GPCCR_EL3: built.gpccr | (x.window ? 1n << 29n : 0n), GPCBW_EL3: 2n });
          for (let pas = 0; pas < 4; pas++) {
            const answer = b.check(x.address, pas);
            const unit = 2 ** b.gpt.sizeLog2;
            expect(b.gpt.sizeLog2).toBeGreaterThanOrEqual(12);
            const start = Math.floor(x.address / unit) * unit;
            for (const at of [start, start + unit - 8, start + Math.floor(unit / 2)]) expect(b.check(at, pas)).toBe(answer);
          }
        },
      ),
      { numRuns: 120, seed: 2 },
    );
  });
});

describe("malformed tables", () => {
  const at = 0x5000_3000;
  const setup = (l0: bigint, l1 = 0n, more = 0n) => {
    const b = new GptBench({ base: RAM, size: 0x40_0000 });
    b.set({ GPCCR_EL3: 2n | (5n << 8n) | (3n << 12n) | (1n << 16n) | more, GPTBR_EL3: BigInt(L0 / 4096) });
    b.write(L0 + 8, l0);
    b.write(L1 + (0x1000_0000 / 0x1_0000) * 8, l1); // 16 granules of 4 KiB: the address is granule 3 of them
    return b;
  };
  const table = BigInt(L1) | 3n;
  // biome-ignore format: table
  const cases: [string, bigint, bigint, string][] = [
    ["level 0 zero",                       0n,                     0n,                   "walk0"],
    ["level 0 type 2",                     2n,                     0n,                   "walk0"],
    ["block with a reserved GPI",          0x71n,                  0n,                   "walk0"],
    ["block, GPI 4 without FEAT_RME_GDI",  0x41n,                  0n,                   "walk0"],
    ["block, NSO not enabled",             0xd1n,                  0n,                   "walk0"],
    ["block, bit 8",                       0x1f1n,                 0n,                   "walk0"],
    ["block, bit 63",                      0xf1n | (1n << 63n),    0n,                   "walk0"],
    ["table, bit 4",                       table | 0x10n,          0n,                   "walk0"],
    ["table, bit 11",                      table | 0x800n,         0n,                   "walk0"],
    ["table not aligned to its size",      table | 0x1_0000n,      0n,                   "walk0"],
    ["table, bit 52",                      table | (1n << 52n),    0n,                   "walk0"],
    ["table above PPS",                    (1n << 40n) | 3n,       0n,                   "size0"],
    ["table outside memory",               0x8000_0003n,           0n,                   "eabt1"],
    ["contiguous, Contig 0",               table,                  0xf1n,                "walk1"],
    ["contiguous, reserved GPI",           table,                  0x1c1n,               "walk1"],
    ["contiguous, bit 10",                 table,                  0x5f1n,               "walk1"],
    ["contiguous, bit 63",                 table,                  0x1f1n | (1n << 63n), "walk1"],
    ["granules, a reserved GPI elsewhere", table,                  0xc000_0000_0000_ffffn, "walk1"],
    ["granules, a reserved GPI here",      table,                  0xffff_ffff_ffff_1fffn, "walk1"],
    ["good granules, no access",           table,                  0x0n,                 "gpf1"],
    ["good granules, any",                 table,                  0xf000n,              "pass"],
    ["good contiguous",                    table,                  0x391n,               "pass"],
    ["good block",                         0x91n,                  0n,                   "pass"],
    ["block of another space",             0xb1n,                  0n,                   "gpf0"],
  ];
  it.each(cases)("%s", (_, l0, l1, expected) => {
    expect(setup(l0, l1).check(at, 1)).toBe(expected);
  });
  it("NSO serves Non-secure and Root requesters of the Non-secure space", () => {
    const b = setup(0xd1n, 0n, 1n << 19n);
    expect([0, 1, 2, 3].map((state) => b.check(at, 1, state))).toEqual(["gpf0", "pass", "pass", "gpf0"]);
    expect(b.check(at, 2, 2)).toBe("gpf0");
    expect(b.check(at, 0, 0)).toBe("gpf0");
  });
  it("without Secure state the Secure GPI is reserved", () => {
    const b = setup(0x81n);
    expect(b.check(at, 0)).toBe("pass");
    Object.assign(b.gpt, { features: { ...allGpt, secure: false }, known: undefined });
    expect(b.check(at, 0)).toBe("walk0");
  });
  it("a table base above PPS, and a level 0 table outside memory", () => {
    const b = setup(0x91n);
    b.set({ GPTBR_EL3: 1n << 28n });
    expect(b.check(at, 1)).toBe("size0");
    b.set({ GPTBR_EL3: 0x8_0000n });
    expect(b.check(at, 1)).toBe("eabt0");
  });
  it("names the entry that decided", () => {
    const b = setup(table, 0xf000n);
    b.check(at, 1);
    expect(b.gpt.entry).toBe(L1 + 0x1000 * 8);
    b.write(L0 + 8, 0x91n);
    b.check(at, 1);
    expect(b.gpt.entry).toBe(L0 + 8);
    b.check(2 ** 45, 1);
    expect(b.gpt.entry).toBe(-1);
  });
  it("hostile memory contents neither throw nor hang", () => {
    const b = new GptBench({ base: RAM, size: 0x40_0000 });
    fc.assert(
      fc.property(
        fc.bigInt(0n, 2n ** 64n - 1n),
        fc.bigInt(0n, 2n ** 64n - 1n),
        fc.bigInt(0n, 2n ** 64n - 1n),
        fc.bigInt(0n, 2n ** 52n - 1n),
        (c, t, w, pa) => {
          b.set({ GPCCR_EL3: c | (1n << 16n), GPTBR_EL3: t, GPCBW_EL3: w });
          expect(b.check(Number(pa), Number(pa & 3n))).toMatch(/^(pass|(gpf|walk|size|eabt)[01])$/);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
