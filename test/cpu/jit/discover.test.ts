// What belongs to a region of one page: loops, and what has been reached before; not what conditions lead to that never held.

import { describe, expect, it } from "vitest";
import { type CodeSource, discover } from "../../../src/cpu/jit/blocks.ts";
import { instructionAt } from "../../../src/cpu/jit/instruction.ts";
import { bareContext } from "../../isa/bare-interpreter.ts";

const NOP = 0xd503_201f | 0;
const RET = 0xd65f_03c0 | 0;
const cbz = (words: number) => 0xb400_0000 | ((words & 0x7ffff) << 5) | 0;

/** Code at the start of a page; `warm`: places that branches have reached. */
const page = (words: readonly number[], warm: readonly number[]): CodeSource => ({
  at: (index) => instructionAt(index, words[index] ?? RET, bareContext),
  page: (index) => (index >> 10 === 0 ? 0 : undefined),
  word: (index) => words[index] ?? RET,
  warm: (index) => warm.includes(index),
});
const starts = (words: readonly number[], warm: readonly number[], wide = false) =>
  (discover(0, page(words, warm), wide)?.blocks ?? []).map((b) => b.index).sort((a, b) => a - b);

describe("a condition that leads forward", () => {
  const words = [cbz(3), NOP, RET, NOP, RET];
  it("to where no branch has been is an exit", () => expect(starts(words, [])).toEqual([0, 1]));
  it("to where branches have been is followed", () => expect(starts(words, [3])).toEqual([0, 1, 3]));
  it("is followed in a wide region, which is made of hot code", () => expect(starts(words, [], true)).toEqual([0, 1, 3]));
});
it("a condition that leads back is followed: it is a loop", () => {
  const region = discover(0, page([NOP, cbz(-1), RET], []), false);
  expect(region?.blocks.find((b) => b.index === 0)?.loop).toBe(true);
});
it("a branch without a condition is followed", () => {
  const b = (words: number) => 0x1400_0000 | (words & 0x3ff_ffff) | 0;
  expect(starts([NOP, b(3), NOP, NOP, NOP, RET], [])).toEqual([0, 4]);
});
