// What belongs to a region of one page: loops, and what has been reached before; not what conditions lead to that never held.

import { describe, expect, it } from "vitest";
import { type CodeSource, discover } from "../../../src/cpu/jit/blocks.ts";
import { instructionAt } from "../../../src/cpu/jit/instruction.ts";
import { bareContext } from "../../isa/bare-interpreter.ts";

const NOP = 0xd503_201f | 0;
const RET = 0xd65f_03c0 | 0;
const cbz = (words: number) => 0xb400_0000 | ((words & 0x7ffff) << 5) | 0;

/** Code at the start of a page; `warm`: places that branches have reached. */
const page = (words: readonly number[], warm: readonly number[], begun: readonly number[] = []): CodeSource => ({
  at: (index) => instructionAt(index, words[index] ?? RET, bareContext),
  page: (index) => (index >> 10 === 0 ? 0 : undefined),
  word: (index) => words[index] ?? RET,
  warm: (index) => warm.includes(index),
  begun: (index) => begun.includes(index),
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

describe("where another translation begins", () => {
  const long = Array.from({ length: 32 }, () => NOP);
  const b = (words: number) => 0x1400_0000 | (words & 0x3ff_ffff) | 0;
  const region = (words: readonly number[], begun: readonly number[], wide = false) => {
    const found = discover(0, page(words, [2, 3, 4], begun), wide);
    return { starts: (found?.blocks ?? []).map((x) => x.index).sort((x, y) => x - y), size: found?.size };
  };
  it("a region ends", () => {
    const words = [cbz(2), NOP, ...long, RET];
    expect(region(words, [])).toEqual({ starts: [0, 1, 2], size: 35 });
    expect(region(words, [2])).toEqual({ starts: [0, 1], size: 2 });
  });
  it("a wide region goes on: it is for speed", () => expect(region([cbz(2), NOP, ...long, RET], [2], true).starts).toEqual([0, 1, 2]));
  it("a few instructions are taken in", () => expect(region([cbz(2), NOP, NOP, RET], [2]).starts).toEqual([0, 1, 2]));
  it("a loop is left to it as a whole", () => expect(region([cbz(2), NOP, ...long, cbz(-32), RET], [2]).starts).toEqual([0, 1]));
  it("a loop is not divided", () =>
    expect(region([NOP, cbz(3), NOP, b(1), ...long, cbz(-36), RET], [4])).toEqual({ starts: [0, 2, 4, 37], size: 38 }));
  it("what is behind it is left out as well, unless something else leads there", () => {
    const words = [cbz(3), NOP, b(34), ...long, NOP, ...long, RET];
    expect(region(words, [3])).toEqual({ starts: [0, 1, 36], size: 36 });
  });
});
