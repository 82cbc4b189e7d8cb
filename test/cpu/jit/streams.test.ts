// Accesses that share a look at the L1 TLB: which they are, and that a page boundary among them is noticed.

import { describe, expect, it } from "vitest";
import { PREDECODE_BASE, RAM_POOL } from "../../../src/arch/layout.ts";
import { discover } from "../../../src/cpu/jit/blocks.ts";
import { instructionAt } from "../../../src/cpu/jit/instruction.ts";
import { streamsOf } from "../../../src/cpu/jit/streams.ts";
import { bareContext } from "../../isa/bare-interpreter.ts";
import { DATA_PAGE } from "../../isa/oracle/program.ts";
import { Random, randomRegisters } from "../../isa/oracle/random.ts";
import * as a64 from "../../support/a64.ts";
import { BlockRig, compareOutcomes } from "./blocks.ts";

const { addImm, cbnz, cbz, ldr64, ldr8, str64, subImm } = a64;
const SP = 31;
const pair = (opcode: number) => (t: number, t2: number, n: number, offset: number) =>
  (opcode | (((offset >> 3) & 0x7f) << 15) | (t2 << 10) | (n << 5) | t) >>> 0;
const stp = pair(0xa900_0000);
const ldp = pair(0xa940_0000);
const stpPre = pair(0xa980_0000);
const ldpPost = pair(0xa8c0_0000);
const movRegister = (d: number, n: number) => (0xaa00_03e0 | (n << 16) | d) >>> 0;
const adrp = (d: number, pages: number) => (0x9000_0000 | ((pages & 3) << 29) | ((pages >> 2) << 5) | d) >>> 0;

/** ldr xt, [xn, xm, lsl #3] */
const ldrIndexed = (t: number, n: number, m: number) => (0xf860_7800 | (m << 16) | (n << 5) | t) >>> 0;
/** and xd, xn, #255 */
const lowByte = (d: number, n: number) => (0x9240_1c00 | (n << 5) | d) >>> 0;

/** Of code that starts at index 0 of its page. */
function streamsIn(words: readonly number[], keep: boolean) {
  const at = (index: number) => instructionAt(index, (words[index] ?? 0) | 0, bareContext);
  const region = discover(
    0,
    { at, word: (i) => words[i] ?? 0, page: (i) => (i >> 10 === 0 ? PREDECODE_BASE : undefined), warm: () => true },
    false,
  );
  if (!region) throw new Error("no region");
  return streamsOf(region, keep);
}
/** As lists of indices of instructions. */
function streams(words: readonly number[]): number[][] {
  const groups = new Map<object, number[]>();
  for (const [i, s] of streamsIn(words, false)) groups.set(s, [...(groups.get(s) ?? []), i.index]);
  return [...groups.values()].map((g) => g.sort((a, b) => a - b)).sort((a, b) => (a[0] as number) - (b[0] as number));
}

describe("accesses that share a look at the TLB", () => {
  it("have the same base, however it is written", () => {
    expect(streams([stpPre(29, 30, SP, -64), stp(19, 20, SP, 16), str64(21, SP, 32)])).toEqual([[0, 1, 2]]);
    expect(streams([addImm(1, 0, 16), ldr64(2, 1, 8), movRegister(3, 1), ldr64(4, 3, 0), ldr64(5, 0, 0)])).toEqual([[1, 3, 4]]);
    expect(streams([ldp(0, 1, SP, 16), ldpPost(29, 30, SP, 64), ldr64(2, SP, 0)])).toEqual([[0, 1, 2]]);
    expect(streams([adrp(0, 5), ldr64(1, 0, 8), adrp(2, 5), ldr64(3, 2, 16)])).toEqual([[1, 3]]);
  });
  it("read, or write", () => {
    expect(streams([ldr64(1, 0, 0), str64(1, 0, 8), ldr64(2, 0, 16), str64(2, 0, 24)])).toEqual([
      [0, 2],
      [1, 3],
    ]);
  });
  it("have a base that nothing else has changed", () => {
    expect(streams([ldr64(1, 0, 0), ldr64(0, 0, 8), ldr64(2, 0, 16)])).toEqual([[0, 1]]);
    expect(streams([ldr64(1, 0, 0), a64.add(0, 0, 1), ldr64(2, 0, 0)])).toEqual([]);
  });
  it("are not far apart", () => {
    expect(streams([ldr64(1, 0, 0), ldr64(2, 0, 2048), ldr64(3, 0, 8), ldr64(4, 0, 2056)])).toEqual([
      [0, 2],
      [1, 3],
    ]);
  });
  it("come behind the first one on every path", () => {
    // Around the first access, or through it, to the second; behind it, one more.
    expect(streams([cbz(9, 2), ldr64(1, 0, 0), ldr64(2, 0, 8), ldr64(3, 0, 16)])).toEqual([[2, 3]]);
    expect(streams([ldr64(1, 0, 0), cbz(9, 2), ldr64(2, 0, 8), ldr64(3, 0, 16)])).toEqual([[0, 2, 3]]);
  });
  it("have a base that loops leave alone", () => {
    expect(streams([ldr64(1, 0, 0), ldr64(2, 0, 8), subImm(9, 9, 1), cbnz(9, -2), ldr64(3, 0, 16)])).toEqual([[0, 1, 4]]);
    expect(streams([ldr64(1, 0, 0), ldr64(2, 0, 8), addImm(0, 0, 8), cbnz(9, -2), ldr64(3, 0, 16)])).toEqual([[1, 4]]);
  });
});

describe("what a look has found is kept", () => {
  const kept = (...words: readonly number[]) => [...streamsIn(words, true)].filter(([, s]) => s.kept).map(([i]) => i.index);
  it("in loops that stay where they are, or go on by steps", () => {
    expect(kept(ldr64(1, 0, 0), subImm(9, 9, 1), cbnz(9, -2))).toEqual([0]);
    expect(kept(ldr64(1, 0, 0), str64(1, 2, 8), addImm(0, 0, 8), subImm(9, 9, 1), cbnz(9, -4))).toEqual([0, 1]);
    expect(kept(ldrIndexed(1, 0, 9), subImm(9, 9, 1), cbnz(9, -2))).toEqual([0]);
    expect(kept(ldr64(1, 0, 0), subImm(9, 9, 1))).toEqual([]);
  });
  it("not where addresses are anywhere", () => {
    expect(kept(ldr64(0, 0, 0), subImm(9, 9, 1), cbnz(9, -2))).toEqual([]);
    expect(kept(ldr64(1, 0, 0), addImm(0, 0, 2048), subImm(9, 9, 1), cbnz(9, -3))).toEqual([]);
    expect(kept(ldr8(2, 3, 0), addImm(3, 3, 1), ldrIndexed(1, 0, 2), subImm(9, 9, 1), cbnz(9, -4))).toEqual([0]);
  });
  it("by small indices", () => {
    expect(kept(ldr8(2, 3, 0), addImm(3, 3, 1), lowByte(2, 2), ldrIndexed(1, 0, 2), subImm(9, 9, 1), cbnz(9, -5))).toEqual([0, 3]);
    expect(kept(ldr8(2, 3, 0), addImm(3, 3, 1), lowByte(4, 2), ldrIndexed(1, 0, 2), subImm(9, 9, 1), cbnz(9, -5))).toEqual([0]);
  });
});

/** A second page of data behind the first, somewhere else in memory. */
class TwoPages extends BlockRig {
  readonly second: Uint8Array;
  constructor(engine: "interp" | "wasm") {
    super(engine);
    for (const table of [0, 1, 3, 4]) this.map(table, DATA_PAGE + 4096, RAM_POOL + 0x8000 - DATA_PAGE - 4096);
    this.second = this.st.u8.subarray(RAM_POOL + 0x8000, RAM_POOL + 0x9000);
  }
}

describe("a page boundary", () => {
  const rigs = [new TwoPages("interp"), new TwoPages("wasm")] as const;
  const code: Record<string, readonly number[]> = {
    upwards: [
      stp(0, 1, 20, 0),
      str64(2, 20, 64),
      ldr64(3, 20, 64),
      stp(4, 5, 20, 32),
      ldp(6, 7, 20, 0),
      ldp(8, 9, 20, 48),
      ldr8(10, 20, 77),
    ],
    "with the base moved": [
      stpPre(0, 1, 20, -64),
      stp(2, 3, 20, 16),
      addImm(20, 20, 128),
      str64(4, 20, 8),
      ldr64(5, 20, 0),
      ldp(6, 7, 20, -128),
    ],
    // st1 {v0.16b-v3.16b}, [x20]: four accesses, of which the first one is what distances count from.
    "behind a structure": [0x4c00_2000 | (20 << 5), stp(0, 1, 20, -32), str64(2, 20, 8), ldp(3, 4, 20, -32), ldr64(5, 20, 8)],
    "in a loop": [
      str64(0, 20, 0),
      ldr64(1, 20, 8),
      str64(1, 20, 24),
      ldr64(2, 20, 0),
      addImm(20, 20, 16),
      subImm(9, 9, 1),
      cbnz(9, -6),
      str64(2, 20, 0),
    ],
    "in a loop that goes down": [ldr64(1, 20, 8), str64(1, 20, 0), subImm(20, 20, 24), subImm(9, 9, 1), cbnz(9, -4), str64(9, 20, 0)],
    "in a loop over bytes": [ldr8(1, 20, 0), a64.add(2, 2, 1), ldr8(3, 20, 100), addImm(20, 20, 37), subImm(9, 9, 1), cbnz(9, -5)],
    "by an index": [ldrIndexed(1, 20, 9), a64.add(2, 2, 1), str64(2, 20, 0), addImm(20, 20, 8), subImm(9, 9, 1), cbnz(9, -5)],
  };
  it.each(Object.keys(code))("%s is noticed", (name) => {
    const rng = new Random(21);
    const words = (code[name] as readonly number[]).map((w) => w | 0);
    const wrong: string[] = [];
    for (let base = DATA_PAGE + 3840; base < DATA_PAGE + 4224; base += 16) {
      const before = randomRegisters(rng);
      before.setX(20, BigInt(base));
      before.setX(9, 5n);
      const data = new Uint8Array(Uint32Array.from({ length: 1024 }, () => rng.u32()).buffer);
      const [expected, got] = rigs.map((rig) => {
        rig.second.set(data.toReversed());
        const outcome = rig.run({ words, before, data, budget: 60 });
        return { outcome, second: rig.second.slice() };
      });
      if (!expected || !got) throw new Error("two rigs");
      const diff = compareOutcomes(expected.outcome, got.outcome);
      if (Buffer.compare(expected.second, got.second) !== 0) diff.push("second page differs");
      expect(expected.outcome.fault).toBe("");
      if (diff.length > 0) wrong.push(`${base.toString(16)}: ${diff.join("; ")}`);
    }
    expect(wrong).toEqual([]);
    expect(rigs[1].translations).toBeGreaterThan(20);
  });
});
