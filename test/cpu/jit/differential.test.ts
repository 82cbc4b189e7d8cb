// Regions and JavaScript blocks against the interpreter: random code with loads, stores and loops, and with a fault at each access.
// RME_BLOCKS sets the number of samples.

import { describe, expect, it } from "vitest";
import type { TestEngine } from "../../isa/bare-interpreter.ts";
import { Random } from "../../isa/oracle/random.ts";
import { BlockRig, compareOutcomes, listing, type Outcome, randomSample, type Sample } from "./blocks.ts";

const samples = Number(process.env.RME_BLOCKS ?? 300);
const interpreter = new BlockRig("interp");
/** Engine, and whether its regions are made for the hottest code. */
const translators = [
  ["wasm", true],
  ["wasm", false],
  ["js", true],
] as const satisfies readonly (readonly [Exclude<TestEngine, "interp">, boolean])[];

/** Runs in both; answers what differs, with the code. */
function compare(rig: BlockRig, sample: Sample, failAt = -1): string[] {
  const expected = interpreter.run(sample, failAt);
  const diff = compareOutcomes(expected, rig.run(sample, failAt, expected));
  return diff.length > 0 ? [`${diff.join("; ")}\n${listing(sample)}`] : [];
}

describe.each(translators)("%s (hot: %s) against the interpreter", (engine, hot) => {
  const rig = new BlockRig(engine, hot);

  it("straight-line code", () => {
    const rng = new Random(11);
    const wrong = Array.from({ length: samples }, () => compare(rig, randomSample(rng, 1 + rng.below(16), false))).flat();
    expect(wrong.slice(0, 3)).toEqual([]);
    expect(rig.translations).toBeGreaterThan(samples / 2);
  });

  it("loops", () => {
    const rng = new Random(12);
    const wrong = Array.from({ length: samples }, () => compare(rig, randomSample(rng, 1 + rng.below(8), true))).flat();
    expect(wrong.slice(0, 3)).toEqual([]);
  });

  it("an instruction whose halves change places", () => {
    const rng = new Random(13);
    // lsl x1, x1, #32; lsr x2, x2, #32; ror x3, x3, #32; ldp x4, x5, [x20]; csel x4, x5, x4, eq; add x5, x5, x5, lsl #33
    const words = [0xd3607c21, 0xd360fc42, 0x93c38063, 0xa9401684, 0x9a8400a4, 0x8b0584a5].map((w) => w | 0);
    const wrong = Array.from({ length: 20 }, () => compare(rig, { ...randomSample(rng, 1, false), words, budget: 6 })).flat();
    expect(wrong).toEqual([]);
  });
});

describe.each(translators)("a fault at each access on %s (hot: %s)", (engine, hot) => {
  class Faulting extends BlockRig {
    override run(s: Sample, failAt = -1, like?: Outcome) {
      this.forgetData();
      return super.run(s, failAt, like);
    }
  }
  const ours = new Faulting("interp");
  const rig = new Faulting(engine, hot);

  it("leaves registers, NZCV, vectors, FPSR and memory as the interpreter does", () => {
    const rng = new Random(14);
    const wrong: string[] = [];
    let faults = 0;
    for (let n = 0; n < samples; n++) {
      const sample = randomSample(rng, 4 + rng.below(8), rng.below(2) === 0);
      for (let failAt = 0; failAt < 64; failAt++) {
        const expected = ours.run(sample, failAt);
        if (expected.fault === "") break;
        faults++;
        const diff = compareOutcomes(expected, rig.run(sample, failAt, expected));
        if (diff.length > 0) wrong.push(`fault at ${failAt}: ${diff.join("; ")}\n${listing(sample)}`);
      }
    }
    expect(wrong.slice(0, 3)).toEqual([]);
    expect(faults).toBeGreaterThan(samples);
  });
});
