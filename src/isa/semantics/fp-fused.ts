// Multiplication and addition with one rounding (see fp.ts for when the host's result counts). Three ways: the host's own instruction, if it
// has one that rounds once (Builder.fused); for singles, double precision, which has their products; for doubles, error-free transformations.

import type { Builder } from "../../ir/builder.ts";
import { and, bin, c32, c64, eqz, lo32, or, orElse, roundsPlainly, shuffle, V128, type Value, wasm } from "../../ir/value.ts";
import { helperIndex } from "./define.ts";
import {
  all,
  bits64,
  both,
  defineScalar,
  defineVector,
  demote,
  double,
  every,
  everyPower,
  exactSum,
  finite,
  isZero,
  none,
  normal,
  number,
  type Operand,
  op1,
  op2,
  type Precision,
  power,
  promote,
  quiet,
  registerM,
  registerN,
  rel,
  type Shape,
  setFp,
  single,
  sumError,
  vfinite,
  visZero,
  vnormal,
  vop1,
  vop2,
} from "./fp-ops.ts";
import { binary, splat, unary, vand, vor } from "./vector-ops.ts";

/** A result, and the condition that it is the architected one in rounding to nearest and changes nothing in FPSR. */
interface Result {
  readonly value: Value;
  readonly ok: Value;
}
/** Of the host's instructions: -(n * m) + a instead of n * m + a. */
const multiplyAdd = (p: Precision, minus: boolean, n: Value, m: Value, a: Value) => wasm(p.madd + (minus ? 1 : 0), V128, n, m, a);
/** Above this a product's error is a double. */
const LEAST_PRODUCT = -900;
const moderate = (product: Value) => rel(double, "gt", op1(double, "abs", product), power(double, LEAST_PRODUCT));

// ---- numbers -----------------------------------------------------------------------------------------------------------
const lowest = (p: Precision, x: Value) => wasm(p.extract, p.type, x);
/** ±(n * m) + a by the host, of the lowest elements. */
function fusedByHost(b: Builder, p: Precision, minus: boolean, n: Value, m: Value, a: Value): Result {
  const [x, y, r] = [n, m, multiplyAdd(p, minus, n, m, a)].map((v) => lowest(p, v)) as [Value, Value, Value];
  return { value: r, ok: quiet(b, normal(p, r), and(finite(p, r), or(isZero(p, x), isZero(p, y)))) };
}
function inDouble(minus: boolean, n: Value, m: Value, a: Value): { product: Value; sum: Value } {
  const exact = op2(double, "mul", promote(n), promote(m));
  const product = minus ? op1(double, "neg", exact) : exact;
  return { product, sum: op2(double, "add", product, promote(a)) };
}
/**
 * Singles: the sum, rounded to a double, rounds to the right single, unless it lies in the middle between two: then what rounding has
 * taken from it would have decided.
 */
function fusedSingle(b: Builder, minus: boolean, n: Value, m: Value, a: Value): Result {
  const { product, sum } = inDouble(minus, n, m, a);
  const value = demote(sum);
  const decided = bin("ne", and(lo32(bits64(sum)), c32(0x1fff_ffff)), c32(0x1000_0000));
  const exact = and(rel(double, "eq", promote(value), sum), exactSum(product, promote(a), sum));
  return { value, ok: quiet(b, and(normal(single, value), decided), and(finite(single, value), exact)) };
}
/** Dekker: upper and lower half of the significand of x. */
function halves(x: Value): readonly [Value, Value] {
  const c = op2(double, "mul", x, wasm(double.fromBits, double.type, c64(0x0200_0000, 0x41a0_0000))); // 2^27 + 1
  const high = op2(double, "sub", c, op2(double, "sub", c, x));
  return [high, op2(double, "sub", x, high)];
}
/** Error of the product of n and m rounded (Dekker). */
function productError(n: Value, m: Value, product: Value): Value {
  const [nh, nl] = halves(n);
  const [mh, ml] = halves(m);
  const times = (x: Value, y: Value) => op2(double, "mul", x, y);
  const rest = [times(nh, mh), times(nl, mh), times(nh, ml)].reduce((x, y) => op2(double, "sub", x, y), product);
  return op2(double, "sub", times(nl, ml), rest);
}
/**
 * Doubles: the exact result is s + v + ve, where v + ve are the errors of product and sum. r = s + v rounds as that does if ve is 0, or
 * if s + v is not in the middle between two doubles: that middle minus s is a double, so v lies on the same side of it as v + ve.
 */
function fusedDouble(b: Builder, minus: boolean, x: Value, m: Value, a: Value): Result {
  const n = minus ? op1(double, "neg", x) : x;
  const plus = (u: Value, v: Value) => op2(double, "add", u, v);
  const product = op2(double, "mul", n, m);
  const s = plus(product, a);
  const [se, pe] = [sumError(double, product, a, s), productError(n, m, product)];
  const v = plus(se, pe);
  const ve = sumError(double, se, pe, v);
  const r = plus(s, v);
  const error = sumError(double, s, v, r);
  const twice = plus(error, error);
  const decided = rel(double, "ne", op2(double, "sub", plus(r, twice), r), twice);
  const isExactSum = isZero(double, ve);
  const common = both(normal(double, r), moderate(product), or(isExactSum, decided));
  // What is added to a zero stays as it is; but the sum of two zeros above may have lost its sign.
  const nothing = and(or(isZero(double, n), isZero(double, m)), eqz(isZero(double, a)));
  const exact = both(moderate(product), normal(double, r), isExactSum, isZero(double, error));
  return { value: r, ok: quiet(b, common, and(finite(double, r), or(nothing, exact))) };
}

/** Which of product and addend are negated. */
const signs: Record<string, readonly [product: boolean, addend: boolean]> = {
  FMADD: [false, false],
  FMSUB: [true, false],
  FNMADD: [true, true],
  FNMSUB: [false, true],
};
defineScalar("FMADD_FLOAT FMSUB_FLOAT FNMADD_FLOAT FNMSUB_FLOAT", "ftype", (b, p, f, _v, name) => {
  const [minus, negated] = signs[name.slice(0, name.indexOf("_"))] as [boolean, boolean];
  const { value, ok } = b.fused ? byHost() : byParts();
  b.fast(ok, helperIndex(name), () => setFp(b, p, f.Rd, value));
  function byHost(): Result {
    const a = b.v(f.Ra);
    return fusedByHost(b, p, minus, b.v(f.Rn), b.v(f.Rm), negated ? vop1(p, "neg", a) : a);
  }
  function byParts(): Result {
    const [n, m, ra] = [number(b, p, f.Rn), number(b, p, f.Rm), number(b, p, f.Ra)];
    const a = negated ? op1(p, "neg", ra) : ra;
    return p === double ? fusedDouble(b, minus, n, m, a) : fusedSingle(b, minus, n, m, a);
  }
});

// ---- vectors -----------------------------------------------------------------------------------------------------------
/** ±(n * m) + a in every lane of the shape; undefined where there is no way. A product of zero leaves the addend as it is. */
function fusedVector(b: Builder, shape: Shape, minus: boolean, n: Value, m: Value, a: Value): Result | undefined {
  const { p } = shape;
  if (!b.fused && p === double) return undefined;
  const { value, decided } = b.fused
    ? { value: multiplyAdd(p, minus, n, m, a), decided: undefined }
    : vectorInDouble(shape, minus, n, m, a);
  const isNormal = vnormal(p, value);
  const unchanged = vand(vor(visZero(p, n), visZero(p, m)), vfinite(p, value));
  const fine = orElse(all(shape, isNormal), all(shape, vor(isNormal, unchanged)));
  return { value, ok: both(roundsPlainly(), ...(decided ? [decided] : []), fine) };
}
const upperHalf = (x: Value) => shuffle(x, x, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]);
/** As fusedSingle, two lanes at a time. */
function vectorInDouble(shape: Shape, minus: boolean, n: Value, m: Value, a: Value): { value: Value; decided: Value } {
  const sums = (shape.lg === 4 ? [false, true] : [false]).map((upper) => {
    const [x, y, z] = [n, m, a].map((v) => unary(0xfd5f, upper ? upperHalf(v) : v)) as [Value, Value, Value];
    return vop2(double, minus ? "sub" : "add", z, vop2(double, "mul", x, y));
  });
  const [low, high] = sums.map((s) => unary(0xfd5e, s)) as [Value, Value | undefined];
  const middles = sums.map((s) => binary(0xfdd6, vand(s, every(double, c64(0x1fff_ffff, 0))), every(double, c64(0x1000_0000, 0))));
  return {
    value: high ? shuffle(low, high, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]) : low,
    decided: none({ p: double, lg: shape.lg === 2 ? 3 : 4 }, middles.reduce(vor)),
  };
}

/** The element of M:Rm that H and L choose, in every lane. */
export const chosenElement: Operand = (b, f, v) => {
  const [H, L] = [v.H as number, v.L as number];
  if (v.sz && L) return undefined;
  const lg = v.sz ? 3 : 2;
  return splat(lg, b.lane(c32(f.Rm.imm + 16 * (v.M as number)), c32(v.sz ? H : 2 * H + L), lg));
};
const two = [registerN, registerM] as const;
for (const [row, minus] of [
  ["FMLAV", false],
  ["FMLSV", true],
] as const) {
  defineVector(`${row}_VEC`, two, (b, shape, n, m, f) => fusedVector(b, shape, minus, n, m, b.v(f.Rd)));
  defineVector(`${row}_ELT ${row}_ELT_s`, [registerN, chosenElement], (b, shape, n, m, f) => fusedVector(b, shape, minus, n, m, b.v(f.Rd)));
}
/** 2 - n * m. */
defineVector("FRECPSV FRECPSV_s", two, (b, shape, n, m) => fusedVector(b, shape, true, n, m, everyPower(shape.p, 1)));
/** (3 - n * m) / 2: what is halved is no tiny number. */
defineVector("FRSQRTSV FRSQRTSV_s", two, (b, shape, n, m) => {
  const { p } = shape;
  const three = every(p, p === double ? c64(0, 0x4008_0000) : c32(0x4040_0000));
  const result = fusedVector(b, shape, true, n, m, three);
  return result && { value: vop2(p, "mul", result.value, everyPower(p, -1)), ok: result.ok };
});
