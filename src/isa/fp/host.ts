// What host doubles can prove: error-free transformations (Dekker, Knuth; Boldo and Melquiond for the fused multiply-add),
// rounding to odd, and half precision values as doubles. Nothing here allocates: doubles go into and out of the larger functions
// through `box`, because a double passed to or returned from a call that is not inlined would be allocated.

import { env } from "./env.ts";

const f64 = new Float64Array(4);
const words = new Uint32Array(f64.buffer);
/** Result (element 0) and operands of the functions below that say so. */
export const box = f64;

/** Smallest normal double and single. A rounded result strictly above it was not tiny before rounding. */
export const MIN64 = 2 ** -1022;
export const MIN32 = 2 ** -126;
/** Products and quotients of operands within these bounds have exactly representable errors. */
const SMALL = 2 ** -800;
const LARGE = 2 ** 900;
const SPLITTER = 2 ** 27 + 1;
const TWO52 = 2 ** 52;

/** Knuth's TwoSum: the error of `s` = a + b rounded. NaN when the sum overflows on the way. */
export function sumError(a: number, b: number, s: number): number {
  const bb = s - a;
  return a - (s - bb) + (b - bb);
}

/** Dekker's product: the error of `p` = a * b rounded, for operands within bounds. */
function productError(a: number, b: number, p: number): number {
  const ca = SPLITTER * a;
  const ah = ca - (ca - a);
  const al = a - ah;
  const cb = SPLITTER * b;
  const bh = cb - (cb - b);
  const bl = b - bh;
  return al * bl - (p - ah * bh - al * bh - ah * bl);
}

function moderate(x: number): boolean {
  const a = Math.abs(x);
  return a > SMALL && a < LARGE;
}

/** Is the double `p` = a * b provably the exact product? */
export function isExactProduct(a: number, b: number, p: number): boolean {
  return p === 0 || (moderate(a) && moderate(b) && moderate(p) && productError(a, b, p) === 0);
}
/** Is the double `q` = a / b provably the exact quotient? */
export function isExactQuotient(a: number, b: number, q: number): boolean {
  return a === 0 || (moderate(a) && moderate(b) && moderate(q) && q * b === a && productError(q, b, a) === 0);
}
/** Is the double `r` = sqrt(a) provably the exact root? */
export function isExactRoot(a: number, r: number): boolean {
  return a === 0 || (moderate(a) && r * r === a && productError(r, r, a) === 0);
}

/**
 * box[0] = a + b rounded to odd: with 53 bits kept, a later rounding to nearest at 50 bits or less is correct. True when inexact
 * (not said of infinities and NaNs, which no caller stores).
 */
export function addOdd(a: number, b: number): boolean {
  const s = a + b;
  const error = sumError(a, b, s);
  f64[0] = s;
  if (error === 0 || s - s !== 0) return false;
  const low = words[0] as number;
  if ((low & 1) === 0) {
    if (error > 0 === s > 0) words[0] = low + 1;
    else {
      // Borrow from the high word when the low one is zero.
      words[0] = low - 1;
      if (low === 0) words[1] = (words[1] as number) - 1;
    }
  }
  return true;
}

/** box[0] = box[1] + box[2] * box[3] rounded once to double; false when the result or its flags are not provably right. */
export function fusedMultiplyAdd(): boolean {
  const a = f64[1] as number;
  const n = f64[2] as number;
  const m = f64[3] as number;
  const p = n * m;
  if (p === 0 && (n === 0 || m === 0)) {
    f64[0] = p + a;
    return a - a === 0;
  }
  if (!moderate(n) || !moderate(m) || !moderate(p) || (a !== 0 && !moderate(a))) return false;
  const pe = productError(n, m, p);
  const th = a + pe;
  const tl = sumError(a, pe, th);
  const vh = p + th;
  const vl = sumError(p, th, vh);
  const inexactLow = addOdd(tl, vl);
  const z = f64[0] as number;
  const r = vh + z;
  // An exact cancellation takes its sign from the rounding mode: to nearest, positive, as the host does.
  if (!env.inexact && (inexactLow || sumError(vh, z, r) !== 0)) return false;
  f64[0] = r;
  return true;
}

/** Rounds to an integral value, ties to even. Keeps the sign of zero. */
export function roundEven(x: number): number {
  if (x >= TWO52 || x <= -TWO52) return x;
  return x > 0 ? x + TWO52 - TWO52 : x < 0 ? -(-x + TWO52 - TWO52) : x;
}
/** Rounds to an integral value, ties away from zero. */
export function roundAway(x: number): number {
  const t = Math.trunc(x);
  return Math.abs(x - t) >= 0.5 ? t + Math.sign(x) : t;
}

const powersOfTwo = Float64Array.from({ length: 64 }, (_, i) => 2 ** (i - 32));
/** 2^n for -32 <= n < 32. */
function pow2(n: number): number {
  return powersOfTwo[n + 32] as number;
}

/** Value of a half precision encoding; NaN for infinities and NaNs. */
export function halfValue(h: number): number {
  const field = (h >>> 10) & 31;
  if (field === 31) return Number.NaN;
  const frac = h & 0x3ff;
  const v = field === 0 ? frac * pow2(-24) : (frac + 1024) * pow2(field - 25);
  return h & 0x8000 ? -v : v;
}

/** Encoding of `x` rounded to half precision, to nearest; -1 when it overflows or raises more than an IXC that is already set. */
export function roundToHalf(x: number): number {
  if (x === 0) return 1 / x < 0 ? 0x8000 : 0;
  const a = Math.abs(x);
  if (!(a < 65520)) return -1;
  f64[0] = a;
  const exponent = Math.max(((words[1] as number) >>> 20) - 1023, -14);
  const scaled = a * pow2(10 - exponent);
  const man = scaled + TWO52 - TWO52;
  if (man !== scaled && (!env.inexact || a <= 2 ** -14)) return -1;
  return (x < 0 ? 0x8000 : 0) | (((exponent + 14) << 10) + man);
}

/** a + b rounded to odd with the 24 significant bits of a single (not its exponent range). The sum must be finite. */
export function roundSumToOddSingle(a: number, b: number): number {
  addOdd(a, b);
  // 53 - 24 = 29 bits go; any of them set makes the result odd.
  const low = words[0] as number;
  if ((low & 0x1fff_ffff) !== 0) words[0] = ((low & 0xe000_0000) | 0x2000_0000) >>> 0;
  return f64[0] as number;
}
