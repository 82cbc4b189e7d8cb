// Common rows done on 32-bit words that hold several lanes each ("SIMD within a register"): no calls per lane and no BigInt.
// They read and write each word (or pair of words) at one index, so registers may overlap without copies.

import type { PeState } from "../../arch/state.ts";
import type { Helper, HelperTable } from "../helper.ts";
import { vIndex } from "../lanes.ts";

const Q = 1 << 30;
const SCALAR = 1 << 28;

/** The top bit of every lane of 8 << size bits in a word, size 0..2, and all bits of one lane. */
const TOP = Int32Array.of(0x8080_8080, 0x8000_8000, 0x8000_0000);
const LANE = Int32Array.of(0xff, 0xffff, -1);
/** The lowest bit of every lane. */
const ONES = Int32Array.of(0x0101_0101, 0x1_0001, 1);

const sizeOf = (insn: number): number => (insn >>> 22) & 3;
const nOf = (st: PeState, insn: number): number => vIndex(st, (insn >>> 5) & 31);
const mOf = (st: PeState, insn: number): number => vIndex(st, (insn >>> 16) & 31);
/** Words the instruction writes: 2 for 64-bit vectors and scalars, else 4. */
const wordsOf = (insn: number): number => ((insn & (Q | SCALAR)) === Q ? 4 : 2);

function clearUpper(w: Uint32Array, d: number, count: number): void {
  if (count === 4) return;
  w[d + 2] = 0;
  w[d + 3] = 0;
}

const add: Helper = (st, insn) => {
  const [w, n, m, d, count, size] = [st.u32, nOf(st, insn), mOf(st, insn), vIndex(st, insn & 31), wordsOf(insn), sizeOf(insn)];
  if (size === 3) {
    for (let i = 0; i < count; i += 2) {
      const low = (w[n + i] as number) + (w[m + i] as number);
      w[d + i + 1] = (w[n + i + 1] as number) + (w[m + i + 1] as number) + (low > 0xffff_ffff ? 1 : 0);
      w[d + i] = low;
    }
  } else {
    const top = TOP[size] as number;
    for (let i = 0; i < count; i++) {
      const a = (w[n + i] as number) | 0;
      const b = (w[m + i] as number) | 0;
      // Add without the top bits, so that no carry leaves a lane, then put the top bits in.
      w[d + i] = ((a & ~top) + (b & ~top)) ^ ((a ^ b) & top);
    }
  }
  clearUpper(w, d, count);
};

const sub: Helper = (st, insn) => {
  const [w, n, m, d, count, size] = [st.u32, nOf(st, insn), mOf(st, insn), vIndex(st, insn & 31), wordsOf(insn), sizeOf(insn)];
  if (size === 3) {
    for (let i = 0; i < count; i += 2) {
      const low = (w[n + i] as number) - (w[m + i] as number);
      w[d + i + 1] = (w[n + i + 1] as number) - (w[m + i + 1] as number) - (low < 0 ? 1 : 0);
      w[d + i] = low;
    }
  } else {
    const top = TOP[size] as number;
    for (let i = 0; i < count; i++) {
      const a = (w[n + i] as number) | 0;
      const b = (w[m + i] as number) | 0;
      // A set top bit absorbs the borrow of its lane.
      w[d + i] = ((a | top) - (b & ~top)) ^ ((a ^ ~b) & top);
    }
  }
  clearUpper(w, d, count);
};

/** All ones in every lane of `x` (a word) that is zero. */
function zeroLanes(x: number, size: number): number {
  const top = TOP[size] as number;
  const nonZero = (((x & ~top) + ~top) | x) & top;
  return Math.imul((nonZero ^ top) >>> ((8 << size) - 1), LANE[size] as number);
}

/** CMEQ with Vm, or with zero when `zero`. */
const compareEqual =
  (zero: boolean): Helper =>
  (st, insn) => {
    const [w, n, m, d, count, size] = [st.u32, nOf(st, insn), mOf(st, insn), vIndex(st, insn & 31), wordsOf(insn), sizeOf(insn)];
    if (size === 3) {
      for (let i = 0; i < count; i += 2) {
        const low = (w[n + i] as number) ^ (zero ? 0 : (w[m + i] as number));
        const high = (w[n + i + 1] as number) ^ (zero ? 0 : (w[m + i + 1] as number));
        const equal = (low | high) === 0 ? -1 : 0;
        w[d + i] = equal;
        w[d + i + 1] = equal;
      }
    } else for (let i = 0; i < count; i++) w[d + i] = zeroLanes((w[n + i] as number) ^ (zero ? 0 : (w[m + i] as number)), size);
    clearUpper(w, d, count);
  };

/** immh:immb: the highest set bit gives the lane size, the rest the amount. */
const immhb = (insn: number): number => (insn >>> 16) & 0x7f;

const shl: Helper = (st, insn) => {
  const size = 28 - Math.clz32(immhb(insn));
  const by = immhb(insn) - (8 << size);
  const [w, n, d, count] = [st.u32, nOf(st, insn), vIndex(st, insn & 31), wordsOf(insn)];
  if (size === 3) for (let i = 0; i < count; i += 2) shiftLeft64(w, n + i, d + i, by);
  else {
    const kept = Math.imul(((LANE[size] as number) << by) & (LANE[size] as number), ONES[size] as number);
    for (let i = 0; i < count; i++) w[d + i] = ((w[n + i] as number) << by) & kept;
  }
  clearUpper(w, d, count);
};

const ushr: Helper = (st, insn) => {
  const size = 28 - Math.clz32(immhb(insn));
  const by = (16 << size) - immhb(insn);
  const [w, n, d, count] = [st.u32, nOf(st, insn), vIndex(st, insn & 31), wordsOf(insn)];
  if (size === 3) for (let i = 0; i < count; i += 2) shiftRight64(w, n + i, d + i, by);
  else {
    const lane = (LANE[size] as number) >>> 0;
    const kept = by === 8 << size ? 0 : Math.imul(lane >>> by, ONES[size] as number);
    for (let i = 0; i < count; i++) w[d + i] = ((w[n + i] as number) >>> by) & kept;
  }
  clearUpper(w, d, count);
};

/** 0 <= by <= 63. */
function shiftLeft64(w: Uint32Array, n: number, d: number, by: number): void {
  const low = w[n] as number;
  const high = w[n + 1] as number;
  if (by >= 32) {
    w[d] = 0;
    w[d + 1] = low << (by - 32);
  } else {
    w[d] = low << by;
    w[d + 1] = by === 0 ? high : (high << by) | (low >>> (32 - by));
  }
}

/** 1 <= by <= 64. */
function shiftRight64(w: Uint32Array, n: number, d: number, by: number): void {
  const low = w[n] as number;
  const high = w[n + 1] as number;
  if (by >= 32) {
    w[d] = by === 64 ? 0 : high >>> (by - 32);
    w[d + 1] = 0;
  } else {
    w[d] = (low >>> by) | (high << (32 - by));
    w[d + 1] = high >>> by;
  }
}

// biome-ignore format: one row per line
export const fast: HelperTable = {
  ADDV: add,                        ADDV_s: add,
  SUBV: sub,                        SUBV_s: sub,
  CMEQV_REG: compareEqual(false),   CMEQV_REG_s: compareEqual(false),
  CMEQV_ZERO: compareEqual(true),   CMEQV_ZERO_s: compareEqual(true),
  SHLV: shl,                        SHLV_s: shl,
  USHRV: ushr,                      USHRV_s: ushr,
};
