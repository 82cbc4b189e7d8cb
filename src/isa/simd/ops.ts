// What one lane of an integer SIMD instruction computes. `a` is the lane of Vn, `b` of Vm, `d` of the old Vd; a result is cut to the
// lane when it is stored, so wrapping needs no code here. Rows that exist at twice the width ("long", "wide", "narrow") use the
// same operations after their operands were extended; see drivers.ts.

import { satS, satS64, satU, satU64 } from "./saturate.ts";

/** One lane of 8 << size bits, size 0..2. */
export type Op = (a: number, b: number, d: number, size: number) => number;
/** One lane of 64 bits. */
export type Op64 = (a: bigint, b: bigint, d: bigint) => bigint;

export interface LaneOp {
  /** Lanes are read as signed (else unsigned) integers. */
  readonly signed: boolean;
  readonly op: Op;
  readonly op64: Op64;
}

/** For operations that have no 64-bit form: the encoding is reserved, so it cannot be reached. */
export const no64: Op64 = () => {
  throw new Error("64-bit lanes are reserved here");
};

/** An operation on signed lanes. */
export const S = (op: Op, op64: Op64 = no64): LaneOp => ({ signed: true, op, op64 });
/** An operation on unsigned lanes. */
export const U = (op: Op, op64: Op64 = no64): LaneOp => ({ signed: false, op, op64 });

const { floor, abs, imul, max, min, clz32 } = Math;
const abs64 = (v: bigint): bigint => (v < 0n ? -v : v);

// Add, subtract, multiply.
export const add = S(
  (a, b) => (a + b) | 0,
  (a, b) => a + b,
);
export const sub = S(
  (a, b) => (a - b) | 0,
  (a, b) => a - b,
);
export const mul = S(
  (a, b) => imul(a, b),
  (a, b) => a * b,
);
export const mla = S(
  (a, b, d) => (d + imul(a, b)) | 0,
  (a, b, d) => d + a * b,
);
export const mls = S(
  (a, b, d) => (d - imul(a, b)) | 0,
  (a, b, d) => d - a * b,
);
export const umul = U(
  (a, b) => imul(a, b),
  (a, b) => a * b,
);
export const umla = U(
  (a, b, d) => (d + imul(a, b)) | 0,
  (a, b, d) => d + a * b,
);
export const umls = U(
  (a, b, d) => (d - imul(a, b)) | 0,
  (a, b, d) => d - a * b,
);
/** Sum that may outgrow the lane: for folding across lanes. */
export const ssum = S((a, b) => a + b);
export const usum = U((a, b) => a + b);
export const uadd = U(add.op, add.op64);
export const usub = U(sub.op, sub.op64);

// Halving: the sum or difference keeps one more bit than the lane, then loses the lowest.
export const shadd = S((a, b) => floor((a + b) / 2));
export const uhadd = U((a, b) => floor((a + b) / 2));
export const srhadd = S((a, b) => floor((a + b + 1) / 2));
export const urhadd = U((a, b) => floor((a + b + 1) / 2));
export const shsub = S((a, b) => floor((a - b) / 2));
export const uhsub = U((a, b) => floor((a - b) / 2));

// Absolute difference, maximum, minimum.
export const sabd = S(
  (a, b) => abs(a - b),
  (a, b) => abs64(a - b),
);
export const uabd = U(sabd.op, sabd.op64);
export const saba = S(
  (a, b, d) => d + abs(a - b),
  (a, b, d) => d + abs64(a - b),
);
export const uaba = U(saba.op, saba.op64);
export const smax = S((a, b) => max(a, b));
export const umax = U(smax.op);
export const smin = S((a, b) => min(a, b));
export const umin = U(smin.op);

// Compares give all ones or zero.
export const cmeq = S(
  (a, b) => (a === b ? -1 : 0),
  (a, b) => (a === b ? -1n : 0n),
);
export const cmgt = S(
  (a, b) => (a > b ? -1 : 0),
  (a, b) => (a > b ? -1n : 0n),
);
export const cmge = S(
  (a, b) => (a >= b ? -1 : 0),
  (a, b) => (a >= b ? -1n : 0n),
);
export const cmlt = S(
  (a, b) => (a < b ? -1 : 0),
  (a, b) => (a < b ? -1n : 0n),
);
export const cmle = S(
  (a, b) => (a <= b ? -1 : 0),
  (a, b) => (a <= b ? -1n : 0n),
);
export const cmhi = U(cmgt.op, cmgt.op64);
export const cmhs = U(cmge.op, cmge.op64);
export const cmtst = S(
  (a, b) => ((a & b) !== 0 ? -1 : 0),
  (a, b) => ((a & b) !== 0n ? -1n : 0n),
);

// Saturating add and subtract.
export const sqadd = S(
  (a, b, _d, size) => satS(a + b, size),
  (a, b) => satS64(a + b),
);
export const uqadd = U(
  (a, b, _d, size) => satU(a + b, size),
  (a, b) => satU64(a + b),
);
export const sqsub = S(
  (a, b, _d, size) => satS(a - b, size),
  (a, b) => satS64(a - b),
);
export const uqsub = U(
  (a, b, _d, size) => satU(a - b, size),
  (a, b) => satU64(a - b),
);
/** Signed Vd plus unsigned Vn. */
export const suqadd = S(
  (a, _b, d, size) => satS(d + asUnsigned(a, size), size),
  (a, _b, d) => satS64(d + BigInt.asUintN(64, a)),
);
/** Unsigned Vd plus signed Vn. */
export const usqadd = U(
  (a, _b, d, size) => satU(d + asSigned(a, size), size),
  (a, _b, d) => satU64(d + BigInt.asIntN(64, a)),
);

function asUnsigned(v: number, size: number): number {
  return v < 0 ? v + 2 ** (8 << size) : v;
}
function asSigned(v: number, size: number): number {
  const shift = 32 - (8 << size);
  return (v << shift) >> shift;
}

// Saturating doubling multiplies. Only 16- and 32-bit lanes exist; the long forms run on lanes twice as wide.
export const sqdmulh = S((a, b, _d, size) => satS(size === 1 ? floor((2 * a * b) / 0x1_0000) : doubledHigh(a, b, 0), size));
export const sqrdmulh = S((a, b, _d, size) =>
  satS(size === 1 ? floor((2 * a * b + 0x8000) / 0x1_0000) : doubledHigh(a, b, 0x4000_0000), size),
);
export const sqrdmlah = S((a, b, d, size) => roundedAccumulate(d, 2 * a, b, size));
export const sqrdmlsh = S((a, b, d, size) => roundedAccumulate(d, -2 * a, b, size));
export const sqdmull = S(
  (a, b, _d, size) => satS(2 * a * b, size),
  (a, b) => satS64(2n * a * b),
);
export const sqdmlal = S(
  (a, b, d, size) => satS(d + satS(2 * a * b, size), size),
  (a, b, d) => satS64(d + satS64(2n * a * b)),
);
export const sqdmlsl = S(
  (a, b, d, size) => satS(d - satS(2 * a * b, size), size),
  (a, b, d) => satS64(d - satS64(2n * a * b)),
);

/** (2ab + 2 * round) >> 32 for 32-bit a and b, as a number that may be 2^31. */
function doubledHigh(a: number, b: number, round: number): number {
  const low = (imul(a, b) >>> 0) + round;
  const high = multiplyHigh(a, b) + (low > 0xffff_ffff ? 1 : 0);
  return high * 2 + ((low >>> 31) & 1);
}

/** Bits 63..32 of the signed product of two 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >> 16;
  const bl = b & 0xffff;
  const bh = b >> 16;
  const mid = ah * bl + floor((al * bl) / 0x1_0000);
  const midHigh = floor(mid / 0x1_0000);
  return ah * bh + midHigh + floor((al * bh + (mid - midHigh * 0x1_0000)) / 0x1_0000);
}

/** SQRDMLAH/SQRDMLSH: (d << esize) + product + rounding, high half, saturated. `a2` is doubled and carries the sign. */
function roundedAccumulate(d: number, a2: number, b: number, size: number): number {
  if (size === 1) return satS(floor((d * 0x1_0000 + a2 * b + 0x8000) / 0x1_0000), 1);
  const sum = (BigInt(d) << 32n) + BigInt(a2) * BigInt(b) + 0x8000_0000n;
  return satS(Number(sum >> 32n), 2);
}

// One operand.
export const neg = S(
  (a) => -a,
  (a) => -a,
);
export const absolute = S((a) => abs(a), abs64);
export const sqneg = S(
  (a, _b, _d, size) => satS(-a, size),
  (a) => satS64(-a),
);
export const sqabs = S(
  (a, _b, _d, size) => satS(abs(a), size),
  (a) => satS64(abs64(a)),
);
export const clz = U((a, _b, _d, size) => clz32(a) - (32 - (8 << size)));
/** Leading sign bits, not counting the sign itself. */
export const cls = S((a, _b, _d, size) => clz32(a ^ (a >> 31)) - (32 - (8 << size)) - 1);
export const cnt = U((a) => {
  const pairs = a - ((a >> 1) & 0x55);
  const nibbles = (pairs & 0x33) + ((pairs >> 2) & 0x33);
  return (nibbles + (nibbles >> 4)) & 0x0f;
});

// Add long pairwise: a lane twice as wide holds the pair.
export const saddlp = S(
  (a, _b, _d, size) => asSigned(a, size - 1) + (a >> (4 << size)),
  (a) => BigInt.asIntN(32, a) + (a >> 32n),
);
export const uaddlp = U(
  (a, _b, _d, size) => (a & (size === 1 ? 0xff : 0xffff)) + (a >>> (4 << size)),
  (a) => BigInt.asUintN(32, a) + (a >> 32n),
);
export const sadalp = S(
  (a, b, d, size) => d + saddlp.op(a, b, d, size),
  (a, b, d) => d + saddlp.op64(a, b, d),
);
export const uadalp = U(
  (a, b, d, size) => d + uaddlp.op(a, b, d, size),
  (a, b, d) => d + uaddlp.op64(a, b, d),
);

/** Product of polynomials over {0,1}, 8 by 8 bits: 15 bits. */
export const pmul = U((a, b) => {
  let r = 0;
  for (let i = 0; i < 8; i++) r ^= (a << i) & -((b >> i) & 1);
  return r;
});

/** Unsigned reciprocal estimate of a 32-bit fixed-point number (Arm ARM UnsignedRecipEstimate). */
export const urecpe = U((a) => {
  if (a < 0x8000_0000) return 0xffff_ffff;
  const x = 2 * (a >>> 23) + 1;
  const estimate = (floor(2 ** 19 / x) + 1) >> 1;
  return estimate * 2 ** 23;
});

/** Unsigned reciprocal square root estimate (Arm ARM UnsignedRSqrtEstimate). */
export const ursqrte = U((a) => {
  if (a < 0x4000_0000) return 0xffff_ffff;
  let x = a >>> 23;
  x = x < 256 ? x * 2 + 1 : (((x >> 1) << 1) + 1) * 2;
  let b = 512;
  while (x * (b + 1) * (b + 1) < 2 ** 28) b++;
  return ((b + 1) >> 1) * 2 ** 23;
});
