// BFloat16 dot products (FEAT_BF16 without FEAT_EBF16): BFDotAdd rounds to odd, flushes denormals, returns default NaNs and
// leaves FPSR alone whatever FPCR says. Singles are carried in doubles, which hold products of two BFloat16 exactly.

import { MIN32, roundSumToOddSingle } from "./host.ts";

const widen = new Float32Array(1);
const widenBits = new Uint32Array(widen.buffer);
const DEFAULT_NAN = 0x7fc0_0000;
const TOO_LARGE = 2 ** 128;

/** Flushes a tiny value to a zero of its sign, and overflows to infinity. */
function limit(x: number): number {
  const a = Math.abs(x);
  if (a < MIN32) return x * 0;
  return a >= TOO_LARGE ? x * Number.POSITIVE_INFINITY : x;
}

/** Value of a single precision encoding. */
function single(bits: number): number {
  widenBits[0] = bits;
  return limit(widen[0] as number);
}

/** FPAdd_BF16 of two singles. */
function addOddSingle(a: number, b: number): number {
  const s = a + b;
  return s - s === 0 ? limit(roundSumToOddSingle(a, b)) : s;
}

/** BFDotAdd: addend + (a0 * b0 + a1 * b1), on encodings: a single, and BFloat16 operands. */
export function dotAdd(addend: number, a0: number, a1: number, b0: number, b1: number): number {
  const p0 = limit(single(a0 << 16) * single(b0 << 16));
  const p1 = limit(single(a1 << 16) * single(b1 << 16));
  const r = addOddSingle(single(addend), addOddSingle(p0, p1));
  if (Number.isNaN(r)) return DEFAULT_NAN;
  widen[0] = r;
  return widenBits[0] as number;
}
