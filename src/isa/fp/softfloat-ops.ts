// Exact arithmetic on encodings: FPAdd, FPMul, FPDiv, FPMulAdd, FPSqrt, FPMax, FPRecipStepFused, FPCompare, ... (Arm ARM, shared/functions/float).

import { Exc, raise } from "./env.ts";
import type { Format } from "./format.ts";
import {
  bitLength,
  infinity,
  invalid,
  isInfinityTimesZero,
  isNotANumber,
  Kind,
  processNaN,
  processNaNs,
  product,
  round,
  roundSum,
  type Unpacked,
  unpack,
  zero,
} from "./softfloat.ts";

export type Soft1 = (fmt: Format, a: bigint) => bigint;
export type Soft2 = (fmt: Format, a: bigint, b: bigint) => bigint;
/** d = a + n * m. */
export type Soft3 = (fmt: Format, a: bigint, n: bigint, m: bigint) => bigint;

function flip(u: Unpacked): Unpacked {
  return { ...u, sign: u.sign ? 0 : 1 };
}
function constant(man: bigint, exp: number): Unpacked {
  return { kind: Kind.Finite, sign: 0, man, exp, bits: 0n };
}

function sum(fmt: Format, x: Unpacked, y: Unpacked): bigint {
  if (x.kind === Kind.Infinity) return y.kind === Kind.Infinity && x.sign !== y.sign ? invalid(fmt) : infinity(fmt, x.sign);
  if (y.kind === Kind.Infinity) return infinity(fmt, y.sign);
  return roundSum(fmt, x, y);
}

export const add: Soft2 = (fmt, a, b) => {
  const x = unpack(fmt, a);
  const y = unpack(fmt, b);
  return processNaNs(fmt, x, y) ?? sum(fmt, x, y);
};

export const sub: Soft2 = (fmt, a, b) => {
  const x = unpack(fmt, a);
  const y = unpack(fmt, b);
  return processNaNs(fmt, x, y) ?? sum(fmt, x, flip(y));
};

function roundProduct(fmt: Format, x: Unpacked, y: Unpacked): bigint {
  const p = product(x, y);
  if (p.kind === Kind.Infinity) return infinity(fmt, p.sign);
  return p.kind === Kind.Zero ? zero(fmt, p.sign) : round(fmt, p.sign, p.man, p.exp);
}

export const mul: Soft2 = (fmt, a, b) => {
  const x = unpack(fmt, a);
  const y = unpack(fmt, b);
  return processNaNs(fmt, x, y) ?? (isInfinityTimesZero(x, y) ? invalid(fmt) : roundProduct(fmt, x, y));
};

/** FPMulX: infinity times zero is 2.0 with the sign of the product. */
export const mulx: Soft2 = (fmt, a, b) => {
  const x = unpack(fmt, a);
  const y = unpack(fmt, b);
  const nan = processNaNs(fmt, x, y);
  if (nan !== undefined) return nan;
  return isInfinityTimesZero(x, y) ? round(fmt, x.sign === y.sign ? 0 : 1, 1n, 1) : roundProduct(fmt, x, y);
};

export const div: Soft2 = (fmt, a, b) => {
  const x = unpack(fmt, a);
  const y = unpack(fmt, b);
  const nan = processNaNs(fmt, x, y);
  if (nan !== undefined) return nan;
  const sign = x.sign === y.sign ? 0 : 1;
  if ((x.kind === Kind.Infinity && y.kind === Kind.Infinity) || (x.kind === Kind.Zero && y.kind === Kind.Zero)) return invalid(fmt);
  if (x.kind === Kind.Infinity || y.kind === Kind.Zero) {
    if (x.kind !== Kind.Infinity) raise(Exc.DZC);
    return infinity(fmt, sign);
  }
  if (x.kind === Kind.Zero || y.kind === Kind.Infinity) return zero(fmt, sign);
  // At least f + 3 quotient bits, and a sticky bit for the remainder.
  const shift = 2 * fmt.f + 4;
  const dividend = x.man << BigInt(shift);
  const sticky = dividend % y.man === 0n ? 0n : 1n;
  return round(fmt, sign, ((dividend / y.man) << 1n) | sticky, x.exp - y.exp - shift - 1);
};

/** Integer square root, rounded down. */
function isqrt(x: bigint): bigint {
  let r = 1n << BigInt((bitLength(x) + 1) >> 1);
  for (;;) {
    const next = (r + x / r) >> 1n;
    if (next >= r) return r;
    r = next;
  }
}

export const sqrt: Soft1 = (fmt, a) => {
  const x = unpack(fmt, a);
  if (isNotANumber(x)) return processNaN(fmt, x);
  if (x.kind === Kind.Zero) return zero(fmt, x.sign);
  if (x.sign) return invalid(fmt);
  if (x.kind === Kind.Infinity) return infinity(fmt, 0);
  const shift = 2 * (fmt.f + 2) + (x.exp & 1);
  const man = x.man << BigInt(shift);
  const root = isqrt(man);
  const sticky = root * root === man ? 0n : 1n;
  return round(fmt, 0, (root << 1n) | sticky, (x.exp - shift) / 2 - 1);
};

/** FPMulAdd: a + n * m with one rounding. */
export const fma: Soft3 = (fmt, a, n, m) => {
  const z = unpack(fmt, a);
  const x = unpack(fmt, n);
  const y = unpack(fmt, m);
  const undefinedProduct = isInfinityTimesZero(x, y);
  const nan = processNaNs(fmt, z, x, y);
  // Infinity times zero added to a quiet NaN is invalid as well.
  if (z.kind === Kind.QNaN && undefinedProduct) return invalid(fmt);
  if (nan !== undefined) return nan;
  if (undefinedProduct) return invalid(fmt);
  return sum(fmt, z, product(x, y));
};

function stepFused(fmt: Format, n: bigint, m: bigint, from: Unpacked, halve: 0 | 1): bigint {
  const x = unpack(fmt, n ^ fmt.sign);
  const y = unpack(fmt, m);
  const nan = processNaNs(fmt, x, y);
  if (nan !== undefined) return nan;
  if (isInfinityTimesZero(x, y)) return round(fmt, 0, from.man, from.exp - halve);
  const p = product(x, y);
  return p.kind === Kind.Infinity ? infinity(fmt, p.sign) : roundSum(fmt, from, p, -halve);
}
/** FPRecipStepFused: 2 - n * m. */
export const recps: Soft2 = (fmt, n, m) => stepFused(fmt, n, m, constant(1n, 1), 0);
/** FPRSqrtStepFused: (3 - n * m) / 2. */
export const rsqrts: Soft2 = (fmt, n, m) => stepFused(fmt, n, m, constant(3n, 0), 1);

/** Position of a number, not NaN, on the number line: comparable between numbers of one format; the two zeros are equal. */
function order(fmt: Format, u: Unpacked): bigint {
  if (u.kind === Kind.Zero) return 0n;
  const magnitude = u.bits & (fmt.sign - 1n);
  return u.sign ? -magnitude : magnitude;
}

/** Result of a comparison. */
export const Rel = { Less: -1, Equal: 0, Greater: 1, Unordered: 2 } as const;
export type Rel = (typeof Rel)[keyof typeof Rel];

/** Compares; a signalling NaN raises Invalid Operation, a quiet one only when `signalQuiet`. */
export function compare(fmt: Format, a: bigint, b: bigint, signalQuiet: boolean): Rel {
  const x = unpack(fmt, a);
  const y = unpack(fmt, b);
  if (isNotANumber(x) || isNotANumber(y)) {
    if (signalQuiet || x.kind === Kind.SNaN || y.kind === Kind.SNaN) raise(Exc.IOC);
    return Rel.Unordered;
  }
  const p = order(fmt, x);
  const q = order(fmt, y);
  return p < q ? Rel.Less : p > q ? Rel.Greater : Rel.Equal;
}

function extremum(fmt: Format, a: bigint, b: bigint, max: boolean): bigint {
  const x = unpack(fmt, a);
  const y = unpack(fmt, b);
  const nan = processNaNs(fmt, x, y);
  if (nan !== undefined) return nan;
  const p = order(fmt, x);
  const q = order(fmt, y);
  const chosen = (max ? p > q : p < q) ? x : y;
  if (chosen.kind !== Kind.Zero) return chosen.bits;
  return zero(fmt, (max ? x.sign & y.sign : x.sign | y.sign) as 0 | 1);
}
export const max: Soft2 = (fmt, a, b) => extremum(fmt, a, b, true);
export const min: Soft2 = (fmt, a, b) => extremum(fmt, a, b, false);

/** FPMaxNum, FPMinNum: one quiet NaN gives way to a number. */
function extremumNumber(fmt: Format, a: bigint, b: bigint, isMax: boolean): bigint {
  const isQuiet = (v: bigint) => (v & (fmt.inf | fmt.quiet)) === (fmt.inf | fmt.quiet);
  const loser = infinity(fmt, isMax ? 1 : 0);
  if (isQuiet(a) && !isQuiet(b)) return extremum(fmt, loser, b, isMax);
  if (isQuiet(b) && !isQuiet(a)) return extremum(fmt, a, loser, isMax);
  return extremum(fmt, a, b, isMax);
}
export const maxnm: Soft2 = (fmt, a, b) => extremumNumber(fmt, a, b, true);
export const minnm: Soft2 = (fmt, a, b) => extremumNumber(fmt, a, b, false);

/** FPRecpX: exponent of the reciprocal. */
export const recpx: Soft1 = (fmt, a) => {
  const x = unpack(fmt, a);
  if (isNotANumber(x)) return processNaN(fmt, x);
  const field = a & fmt.inf;
  const unit = 1n << BigInt(fmt.f);
  return zero(fmt, x.sign) | (field === 0n ? fmt.inf - unit : field ^ fmt.inf);
};
