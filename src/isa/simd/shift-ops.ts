// Shifts of one lane by the signed amount in the low byte of `b`: positive shifts left, negative right. Shifts by immediate are the
// same operations with the amount in every lane of the second operand.

import { type LaneOp, type Op, type Op64, S, U } from "./ops.ts";
import { narrowS64, narrowU64, satS, satS64, satU, satU64 } from "./saturate.ts";

/** a >> n with floor, or half a unit added first when `rounding`; n >= 1; a is a signed or an unsigned integer of at most 32 bits. */
function right(a: number, n: number, rounding: boolean): number {
  if (!rounding) return n > 31 ? (a < 0 ? -1 : 0) : a < 0 ? a >> n : a >>> n;
  if (n > 32) return 0;
  const twice = a < 0 ? a >> (n - 1) : a >>> (n - 1);
  return (twice & 1) + (a < 0 ? twice >> 1 : twice >>> 1);
}

function right64(a: bigint, n: number, rounding: boolean): bigint {
  return rounding ? (a + (1n << BigInt(n - 1))) >> BigInt(n) : a >> BigInt(n);
}

/** Shift that drops the bits that leave the lane. */
function plain(rounding: boolean): Op {
  return (a, b, _d, size) => {
    const n = (b << 24) >> 24;
    if (n < 0) return right(a, -n, rounding);
    if (n === 0) return a;
    return n >= 8 << size ? 0 : a << n;
  };
}

function plain64(rounding: boolean): Op64 {
  return (a, b) => {
    const n = Number(BigInt.asIntN(8, b));
    if (n < 0) return right64(a, -n, rounding);
    return n >= 64 ? 0n : a << BigInt(n);
  };
}

/** Shift that saturates when significant bits leave the lane. A product with a power of two is exact in a double. */
function saturating(rounding: boolean, sat: (v: number, size: number) => number): Op {
  return (a, b, _d, size) => {
    const n = (b << 24) >> 24;
    return n < 0 ? right(a, -n, rounding) : sat(a * 2 ** n, size);
  };
}

function saturating64(rounding: boolean, sat: (v: bigint) => bigint): Op64 {
  return (a, b) => {
    const n = Number(BigInt.asIntN(8, b));
    return n < 0 ? right64(a, -n, rounding) : sat(a << BigInt(n));
  };
}

export const sshl = S(plain(false), plain64(false));
export const ushl = U(plain(false), plain64(false));
export const srshl = S(plain(true), plain64(true));
export const urshl = U(plain(true), plain64(true));
export const sqshl = S(saturating(false, satS), saturating64(false, satS64));
export const uqshl = U(saturating(false, satU), saturating64(false, satU64));
export const sqrshl = S(saturating(true, satS), saturating64(true, satS64));
export const uqrshl = U(saturating(true, satU), saturating64(true, satU64));
/** Signed lane shifted left, saturated to an unsigned lane. */
export const sqshlu = S(saturating(false, satU), saturating64(false, satU64));

/** Shift, then add to the old lane. */
const accumulate = (shift: LaneOp): LaneOp => ({
  signed: shift.signed,
  op: (a, b, d, size) => d + shift.op(a, b, d, size),
  op64: (a, b, d) => d + shift.op64(a, b, d),
});
export const ssra = accumulate(sshl);
export const usra = accumulate(ushl);
export const srsra = accumulate(srshl);
export const ursra = accumulate(urshl);

/** Shift left and insert: the low `b` bits keep their old value. */
export const sli = U(
  (a, b, d) => (a << b) | (d & ((1 << b) - 1)),
  (a, b, d) => (a << b) | (d & ((1n << b) - 1n)),
);
/** Shift right by -b and insert: the high bits keep their old value. */
export const sri = U(
  (a, b, d, size) => {
    const n = -((b << 24) >> 24);
    const kept = n === 8 << size ? -1 : ~((2 ** (8 << size) - 1) >>> n);
    return (d & kept) | (n === 32 ? 0 : a >>> n);
  },
  (a, b, d) => {
    const n = -BigInt.asIntN(8, b);
    const moved = (1n << (64n - n)) - 1n;
    return (d & ~moved) | (a >> n);
  },
);

/** Narrowing: `shift` on the wide lane, then a fit into half of it. */
const narrowing = (shift: LaneOp, clamp: (v: number, size: number) => number, clamp64: (v: bigint) => bigint): LaneOp => ({
  signed: shift.signed,
  op: (a, b, d, size) => clamp(shift.op(a, b, d, size), size - 1),
  op64: (a, b, d) => clamp64(shift.op64(a, b, d)),
});
export const shrn = ushl;
export const rshrn = urshl;
export const sqshrn = narrowing(sshl, satS, narrowS64);
export const sqrshrn = narrowing(srshl, satS, narrowS64);
export const sqshrun = narrowing(sshl, satU, narrowU64);
export const sqrshrun = narrowing(srshl, satU, narrowU64);
export const uqshrn = narrowing(ushl, satU, narrowU64);
export const uqrshrn = narrowing(urshl, satU, narrowU64);
