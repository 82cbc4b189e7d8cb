// Words that share a shape are translated as each of them would be alone.

import { describe, expect, it } from "vitest";
import { PREDECODE_BASE } from "../../../src/arch/layout.ts";
import { discover } from "../../../src/cpu/jit/blocks.ts";
import { compileRegion } from "../../../src/cpu/jit/compile.ts";
import { type Instruction, InstructionSet, instructionAt } from "../../../src/cpu/jit/instruction.ts";
import { regionModule } from "../../../src/cpu/jit/region-module.ts";
import { verify } from "../../../src/ir/verify.ts";
import { semantics } from "../../../src/isa/semantics/index.ts";
import { bareContext } from "../../isa/bare-interpreter.ts";
import { Random, randomWord } from "../../isa/oracle/random.ts";

const NOP = 0xd503_201f | 0;
const SUBS = 0xeb01_001f | 0;
const memory = { min: 1, max: 1, shared: false };

/** The word behind an instruction that makes flags, and twice: what is known from the first time is left out. */
function translation(word: number, at: (index: number, word: number) => Instruction): string | undefined {
  const words = [SUBS, word, word, NOP];
  const wordAt = (i: number) => words[i] ?? NOP;
  const region = discover(
    0,
    { at: (i) => at(i, wordAt(i)), word: wordAt, page: (i) => (i >> 10 === 0 ? PREDECODE_BASE : undefined), warm: () => true },
    false,
    8,
  );
  return region && Buffer.from(regionModule([compileRegion(region, false, true)], memory)).toString("hex");
}

/** No word decodes to UDF. */
const rows = [...semantics.values()].map((s) => s.row).filter((row) => row.name !== "UDF_PERM_UNDEF");

describe("shapes", () => {
  it("translate random words of every row as one by one", () => {
    const set = new InstructionSet(bareContext);
    const wrong: string[] = [];
    let shared = 0;
    for (const row of rows) {
      const rng = new Random(row.index * 17 + 3);
      const shapes = new Set<unknown>();
      for (let n = 0; n < 6; n++) {
        const word = randomWord(row, rng) | 0;
        const alone = translation(word, (i, w) => instructionAt(i, w, bareContext));
        if (translation(word, (i, w) => set.at(i, w)) !== alone) wrong.push(`${row.name} ${(word >>> 0).toString(16)}`);
        const { shape } = set.at(0, word);
        wrong.push(...verify(shape.effects, "interpreter").map((w) => `${row.name} ${(word >>> 0).toString(16)}: ${w}`));
        if (shapes.has(shape)) shared++;
        shapes.add(shape);
      }
    }
    expect(wrong).toEqual([]);
    expect(shared).toBeGreaterThan(1000);
  });
  it("know what each word reads, writes and branches to", () => {
    const set = new InstructionSet(bareContext);
    const about = ({ uses, defs, target, end, readsFlags, setsFlags, mayBail }: Instruction) =>
      [uses, defs, target, end, readsFlags, setsFlags, mayBail].join();
    const wrong: string[] = [];
    for (const row of rows) {
      const rng = new Random(row.index * 13 + 1);
      for (let n = 0; n < 24; n++) {
        const word = randomWord(row, rng) | 0;
        if (about(set.at(5, word)) !== about(instructionAt(5, word, bareContext))) wrong.push(`${row.name} ${(word >>> 0).toString(16)}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
