// Memory for translations is bounded: a guest loads code into many pages, calls it until it is hot, and loads other code over it, for a
// while. What is kept never exceeds the bound by more than one batch, table slots are used again, and the guest computes what it should.
// RME_BOUND_ROUNDS (at most 4095) makes it minutes: then the memory of this process must stay flat, too.

import { describe, expect, it } from "vitest";
import { type Engine, Machine } from "../../../src/harness/index.ts";
import * as a64 from "../../support/a64.ts";
import { EAGER, tune } from "../../support/tuning.ts";

const ROUNDS = Number(process.env.RME_BOUND_ROUNDS ?? 6);
/** Rounds from which on the second half of a run is to need no more memory than the first, and MiB that it may need all the same. */
const MANY_ROUNDS = 200;
const NOISE_MIB = 48;
/** Translations that are made together: so many more may stand there than ever before. */
const BATCH = 4;
const PAGES = 24;
const CALLS = 1500;
/** Words of the function that is loaded, and where the first page is. */
const WORDS = 64;
const TEMPLATE = 0x2000;
const MODULES = 0x1_0000;
const RET = 0xd65f_03c0;

const blr = (n: number) => (0xd63f_0000 | (n << 5)) >>> 0;
/** add xd, xn, xm, lsl #by */
const addShifted = (d: number, n: number, m: number, by: number) => (0x8b00_0000 | (m << 16) | (by << 10) | (n << 5) | d) >>> 0;

/** X0 ends as CALLS * PAGES * (1 + ... + ROUNDS): round r loads functions that begin with ADD X0, X0, #r. */
function loader(): Uint8Array {
  const load = [
    addShifted(8, 2, 4, 12),
    ...a64.mov(11, a64.ORIGIN + TEMPLATE),
    addShifted(13, 8, 31, 0),
    ...a64.repeat(10, WORDS / 2, [a64.ldr64(14, 11), a64.str64(14, 13), a64.addImm(11, 11, 8), a64.addImm(13, 13, 8)]),
    ...a64.mov(1, a64.addImm(0, 0, 0)),
    addShifted(1, 1, 5, 10),
    a64.str32(1, 8),
    a64.ISB,
  ];
  const round = [a64.addImm(5, 5, 1), ...a64.repeat(4, PAGES, [...load, ...a64.repeat(6, CALLS, [blr(8)])])];
  const code = [...a64.mov(0, 0), ...a64.mov(5, 0), ...a64.mov(2, a64.ORIGIN + MODULES), ...a64.repeat(3, ROUNDS, round)];
  const body = Array.from({ length: WORDS - 2 }, (_, i) => a64.addImm(16 + (i % 8), 17 + (i % 7), i));
  return a64.image([...code, ...a64.HALT], { [TEMPLATE]: [a64.NOP, ...body, RET] });
}

interface Books {
  readonly kept: number;
  readonly statistics: { regions: number; dropped: number; bytes: number };
  readonly entries: { readonly next: number };
}

/** Bytes of WebAssembly, characters of JavaScript: about a third of what one round makes. */
const bounds: readonly (readonly [Engine, number])[] = [
  ["wasm", 8 << 10],
  ["js", 80_000],
];

describe.each(bounds)("code that comes and goes on %s", (engine, bound) => {
  it("is kept within the bound, in slots that are used again", async () => {
    const machine = await Machine.create({ engine, kernel: loader(), memory: 64 * 2 ** 20 });
    const books = tune(machine, { ...EAGER, threshold: 500, batch: BATCH, patience: 2, bound }) as Books;
    let most = 0;
    const slots: number[] = [];
    const resident: number[] = [];
    for (let n = 0; n === 0 || (n < 50 * ROUNDS && machine.pe().x(3) !== 0n); n++) {
      const { regions, bytes } = books.statistics;
      await machine.runInstructions(250_000);
      most = Math.max(most, books.kept);
      slots.push(books.entries.next);
      resident.push(process.memoryUsage.rss() / 2 ** 20);
      const made = books.statistics.bytes - bytes;
      // What was made in this piece of the run may stand beyond the bound until the next batch.
      expect(books.kept, `${books.statistics.regions - regions} regions later`).toBeLessThanOrEqual(bound + made);
    }
    expect(machine.pe().x(0)).toBe(BigInt((CALLS * PAGES * ROUNDS * (ROUNDS + 1)) / 2));
    const { regions, dropped, bytes } = books.statistics;
    expect(regions).toBeGreaterThan(PAGES * ROUNDS * 0.8);
    expect(dropped).toBeGreaterThan(PAGES * ROUNDS * 0.6);
    // The bound was in force: without it, a whole round would stand there.
    expect(bytes / ROUNDS).toBeGreaterThan(1.5 * bound);
    expect(most).toBeGreaterThan(bound / 2);
    // Slots of dropped translations serve again.
    const half = Math.floor(slots.length / 2);
    expect((slots.at(-1) as number) - (slots[half] as number)).toBeLessThanOrEqual(BATCH);
    if (ROUNDS < MANY_ROUNDS) return;
    const [first, second] = [resident.slice(half / 2, half), resident.slice(half)].map((part) => Math.max(...part)) as [number, number];
    process.stderr.write(
      `${engine}: ${regions} translations, ${dropped} dropped; most resident ${first.toFixed(0)}, then ${second.toFixed(0)} MiB\n`,
    );
    expect(second).toBeLessThan(first + NOISE_MIB);
  }, 3_600_000);
});
