// Rounding to integral numbers, and conversions between formats and to and from integers, on the host's arithmetic (see fp.ts).

import type { Builder } from "../../ir/builder.ts";
import {
  and,
  bin,
  c32,
  c64,
  I32,
  I64,
  or,
  orElse,
  roundsPlainly,
  sext,
  shl,
  shuffle,
  V128,
  type Value,
  vzero,
  wasm,
  zext,
} from "../../ir/value.ts";
import { defineTranslated, type Fields, helperIndex, type Variants } from "./define.ts";
import {
  all,
  both,
  defineScalar,
  demote,
  double,
  every,
  everyPower,
  finite,
  inexactKnown,
  isNumber,
  minusPower,
  nearest,
  noFlush,
  normal,
  number,
  op1,
  op2,
  type Precision,
  power,
  promote,
  quiet,
  type Rounding,
  rel,
  type Shape,
  setFp,
  shapeOf,
  single,
  unflushed,
  vop1,
  vop2,
  vrel,
  vround,
  zero,
} from "./fp-ops.ts";
import { binary, lgOfImmh, unary, vand, vor } from "./vector-ops.ts";

/** The letter of a row's name gives the rounding; A: ties away from zero. */
type Letter = "N" | "P" | "M" | "Z" | "A";
const roundings: Record<Exclude<Letter, "A">, Rounding> = { N: "nearest", P: "ceil", M: "floor", Z: "trunc" };

/** To an integral number. */
function rounded(p: Precision, letter: Letter, n: Value): Value {
  if (letter !== "A") return op1(p, roundings[letter], n);
  const t = op1(p, "trunc", n);
  const up = rel(p, "ge", op1(p, "abs", op2(p, "sub", n, t)), power(p, -1));
  const one = wasm(p === double ? 0xb7 : 0xb2, p.type, up);
  return op2(p, "copysign", op2(p, "add", op1(p, "abs", t), one), n);
}
function vrounded(p: Precision, letter: Letter, n: Value): Value {
  if (letter !== "A") return vround(p, roundings[letter], n);
  const t = vround(p, "trunc", n);
  const up = vrel(p, "ge", vop1(p, "abs", vop2(p, "sub", n, t)), everyPower(p, -1));
  const sum = vop2(p, "add", vop1(p, "abs", t), vand(up, everyPower(p, 0)));
  return vor(sum, vand(n, every(p, p === double ? c64(0, 1 << 31) : c32(1 << 31))));
}

// ---- to integral, in the same format -----------------------------------------------------------------------------------
/** FRINTN, P, M, Z, A do not tell that they are inexact. FRINTX does, and FRINTI does not, in the rounding of FPCR. */
const letterOf = (name: string): Letter => (/^FRINT[XI]/.test(name) ? "N" : (name[5] as Letter));
function integralMode(b: Builder, name: string, exact: Value): Value {
  if (name.startsWith("FRINTX")) return orElse(roundsPlainly(), and(nearest(b), or(inexactKnown(b), exact)));
  return name.startsWith("FRINTI") ? orElse(roundsPlainly(), nearest(b)) : noFlush(b);
}
const integralRows = ["N", "P", "M", "Z", "A", "X", "I"].map((letter) => `FRINT${letter}`);
defineScalar(integralRows.map((row) => `${row}_FLOAT`).join(" "), "ftype", (b, p, f, _v, name) => {
  const n = number(b, p, f.Rn);
  const r = rounded(p, letterOf(name), n);
  b.fast(and(isNumber(p, n), integralMode(b, name, rel(p, "eq", r, n))), helperIndex(name), () => setFp(b, p, f.Rd, r));
});
defineTranslated(integralRows.map((row) => `${row}V`).join(" "), (b, f, v, { name }) => {
  const shape = shapeOf(v);
  if (!shape) return false;
  const { p } = shape;
  const n = b.v(f.Rn);
  const r = vrounded(p, letterOf(name), n);
  const mode = integralMode(b, name, all(shape, vrel(p, "eq", r, n)));
  b.fast(and(all(shape, vrel(p, "eq", n, n)), mode), helperIndex(name), () => b.setV(f.Rd, r, shape.lg));
  return true;
});

// ---- from integers -----------------------------------------------------------------------------------------------------
/** [from i32 s, i32 u, i64 s, i64 u] */
const fromInteger = { s: [0xb2, 0xb3, 0xb4, 0xb5], d: [0xb7, 0xb8, 0xb9, 0xba] } as const;
/** A number, and whether it is the integer x exactly: integers of as many bits as the significand are. */
function converted(p: Precision, x: Value, isUnsigned: boolean): { value: Value; exact: Value } {
  const value = wasm(fromInteger[p.name][(x.type === I64 ? 2 : 0) + (isUnsigned ? 1 : 0)] as number, p.type, x);
  const y = x.type === I64 ? x : isUnsigned ? zext(x) : sext(x);
  const limit = p === double ? c64(0, 1 << 21) : c64(1 << 24);
  const exact = isUnsigned ? bin("leu", y, limit) : bin("leu", bin("add", y, limit), shl(limit, c64(1)));
  return { value, exact };
}
const fromIntegerQuietly = (b: Builder, exact: Value) => orElse(roundsPlainly(), and(nearest(b), exact));
const scaled = (p: Precision, x: Value, n: number) => (n === 0 ? x : op2(p, "mul", x, power(p, n)));

defineScalar("SCVTF_FLOAT_INT UCVTF_FLOAT_INT", "sf ftype", (b, p, f, v, name) => {
  const { value, exact } = converted(p, b.reg(f.Rn, v.sf), name.startsWith("U"));
  b.fast(fromIntegerQuietly(b, exact), helperIndex(name), () => setFp(b, p, f.Rd, value));
});
/** Division by a power of two is exact: an integer is at least 1, and the power at most 64. */
defineTranslated("SCVTF_FLOAT_FIX UCVTF_FLOAT_FIX", (b, f, v, { name }) => {
  const p = [single, double][v.ftype as number];
  const bits = 64 - (v.scale as number);
  if (!p || bits > (v.sf ? 64 : 32)) return false;
  const { value, exact } = converted(p, b.reg(f.Rn, v.sf), name.startsWith("U"));
  b.fast(fromIntegerQuietly(b, exact), helperIndex(name), () => setFp(b, p, f.Rd, scaled(p, value, -bits)));
  return true;
});

/** Element k as an integer. */
const element = (b: Builder, r: Value, k: number, lg: number) => {
  const x = b.lane(r, c32(k), lg);
  return lg === 3 ? x : wasm(0xa7, I32, x);
};
const pair = (type: "i" | "d", low: Value, high: Value) =>
  wasm(type === "d" ? 0xfd22 : 0xfd1e, V128, wasm(type === "d" ? 0xfd14 : 0xfd12, V128, low), high, undefined, 1);
function vectorFromInteger(b: Builder, f: Fields, shape: Shape, bits: number, name: string): void {
  const { p, lg } = shape;
  const isUnsigned = name.startsWith("U");
  if (lg === p.lg || p === double) {
    const parts = Array.from({ length: lg === 4 ? 2 : 1 }, (_, k) => converted(p, element(b, f.Rn, k, p.lg), isUnsigned));
    const values = parts.map(({ value }) => scaled(p, value, -bits));
    const r = values[1] ? pair("d", values[0] as Value, values[1]) : (values[0] as Value);
    b.fast(fromIntegerQuietly(b, both(...parts.map(({ exact }) => exact))), helperIndex(name), () => b.setV(f.Rd, r, lg));
    return;
  }
  const n = b.v(f.Rn);
  const value = unary(isUnsigned ? 0xfdfb : 0xfdfa, n);
  const limit = (k: number) => every(single, c32(k));
  const exact = isUnsigned ? binary(0xfd3e, n, limit(1 << 24)) : binary(0xfd3e, binary(0xfdae, n, limit(1 << 24)), limit(1 << 25));
  const r = bits === 0 ? value : vop2(p, "mul", value, everyPower(p, -bits));
  b.fast(fromIntegerQuietly(b, all(shape, exact)), helperIndex(name), () => b.setV(f.Rd, r, lg));
}

// ---- to integers -------------------------------------------------------------------------------------------------------
/** Saturating truncations [f32 to i32 s, u], [f64 ...], [f32 to i64 ...], [f64 ...]. */
const toInteger = { s: [0xfc00, 0xfc01, 0xfc04, 0xfc05], d: [0xfc02, 0xfc03, 0xfc06, 0xfc07] } as const;
/** An integer of 32 or 64 bits, whether n rounds into its range, and whether n is that integer exactly. */
function truncated(p: Precision, letter: Letter, n: Value, isUnsigned: boolean, width: 32 | 64) {
  const r = rounded(p, letter, n);
  const wide = width === 64;
  const value = wasm(toInteger[p.name][(wide ? 2 : 0) + (isUnsigned ? 1 : 0)] as number, wide ? I64 : I32, r);
  const low = rel(p, "ge", r, isUnsigned ? zero(p) : minusPower(p, width - 1));
  const inRange = and(low, rel(p, "lt", r, power(p, isUnsigned ? width : width - 1)));
  return { value, inRange, exact: rel(p, "eq", r, n) };
}
/** FCVT<letter><sign>... */
const isUnsignedRow = (name: string) => name[5] === "U";
const letterOfConversion = (name: string) => name[4] as Letter;
const letters = ["N", "P", "M", "Z", "A"] as const;
const conversionRows = (suffix: (letter: Letter) => string) =>
  letters.flatMap((letter) => ["S", "U"].map((sign) => `FCVT${letter}${sign}${suffix(letter)}`)).join(" ");

const toIntegerQuietly = (b: Builder, exact: Value) => orElse(roundsPlainly(), and(unflushed(b), or(inexactKnown(b), exact)));
function toGeneral(b: Builder, p: Precision, f: Fields, v: Variants, name: string, bits = 0): void {
  const n = scaled(p, number(b, p, f.Rn), bits);
  const { value, inRange, exact } = truncated(p, letterOfConversion(name), n, isUnsignedRow(name), v.sf ? 64 : 32);
  const ok = and(inRange, toIntegerQuietly(b, exact));
  b.fast(ok, helperIndex(name), () => b.setX(f.Rd, v.sf ? value : zext(value)));
}
defineScalar(
  conversionRows((letter) => (letter === "Z" ? "_FLOAT_INT" : "_FLOAT")),
  "sf ftype",
  (b, p, f, v, name) => toGeneral(b, p, f, v, name),
);
defineTranslated("FCVTZS_FLOAT_FIX FCVTZU_FLOAT_FIX", (b, f, v, { name }) => {
  const p = [single, double][v.ftype as number];
  const bits = 64 - (v.scale as number);
  if (!p || bits > (v.sf ? 64 : 32)) return false;
  toGeneral(b, p, f, v, name, bits);
  return true;
});

function vectorToInteger(b: Builder, f: Fields, shape: Shape, bits: number, name: string): void {
  const { p, lg } = shape;
  const [letter, isUnsigned] = [letterOfConversion(name), isUnsignedRow(name)];
  if (lg === p.lg || p === double) {
    const parts = Array.from({ length: lg === 4 ? 2 : 1 }, (_, k) => {
      const n = wasm(p.extract, p.type, b.v(f.Rn), undefined, undefined, k);
      return truncated(p, letter, scaled(p, n, bits), isUnsigned, p === double ? 64 : 32);
    });
    const ok = both(...parts.map((x) => x.inRange), toIntegerQuietly(b, both(...parts.map((x) => x.exact))));
    const [low, high] = parts.map(({ value }) => value) as [Value, Value | undefined];
    b.fast(ok, helperIndex(name), () => b.setV(f.Rd, high ? pair("i", low, high) : low, lg));
    return;
  }
  const n = bits === 0 ? b.v(f.Rn) : vop2(p, "mul", b.v(f.Rn), everyPower(p, bits));
  const r = vrounded(p, letter, n);
  const low = vrel(p, "ge", r, isUnsigned ? vzero() : everyPower(p, 31, 1));
  const inRange = vand(low, vrel(p, "lt", r, everyPower(p, isUnsigned ? 32 : 31)));
  const ok = and(all(shape, inRange), toIntegerQuietly(b, all(shape, vrel(p, "eq", r, n))));
  b.fast(ok, helperIndex(name), () => b.setV(f.Rd, unary(isUnsigned ? 0xfdf9 : 0xfdf8, r), lg));
}

const forms = (rows: string) =>
  rows
    .split(" ")
    .flatMap((row) => [row, `${row}_s`])
    .join(" ");
const byShape =
  (emit: (b: Builder, f: Fields, shape: Shape, bits: number, name: string) => void) =>
  (b: Builder, f: Fields, v: Variants, { name }: { name: string }) => {
    const shape = shapeOf(v);
    if (shape) emit(b, f, shape, 0, name);
    return shape !== undefined;
  };
/** immh:immb = 2 * element size - fraction bits. */
const byImmediate =
  (emit: (b: Builder, f: Fields, shape: Shape, bits: number, name: string) => void) =>
  (b: Builder, f: Fields, v: Variants, { name }: { name: string }) => {
    const lg = lgOfImmh(v);
    const shape = lg === 2 || lg === 3 ? shapeOf({ ...v, sz: lg - 2 }) : undefined;
    if (shape) emit(b, f, shape, (16 << lg) - (((v.immh as number) << 3) | (v.immb as number)), name);
    return shape !== undefined;
  };
defineTranslated(forms("SCVTFV_INT UCVTFV_INT"), byShape(vectorFromInteger));
defineTranslated(forms("SCVTFV_FIX UCVTFV_FIX"), byImmediate(vectorFromInteger));
defineTranslated(forms(conversionRows((letter) => (letter === "Z" ? "V_INT" : "V"))), byShape(vectorToInteger));
defineTranslated(forms("FCVTZSV_FIX FCVTZUV_FIX"), byImmediate(vectorToInteger));

// ---- between precisions ------------------------------------------------------------------------------------------------
/** opc gives the destination. */
defineScalar("FCVT_FLOAT", "ftype opc", (b, p, f, v, name) => {
  const n = number(b, p, f.Rn);
  if (p === single && v.opc === 1) {
    b.fast(and(noFlush(b), isNumber(p, n)), helperIndex(name), () => setFp(b, double, f.Rd, promote(n)));
  } else if (p === double && v.opc === 0) {
    const value = demote(n);
    const exact = rel(double, "eq", promote(value), n);
    const ok = quiet(b, normal(single, value), and(finite(single, value), exact));
    b.fast(ok, helperIndex(name), () => setFp(b, single, f.Rd, value));
  } else b.helper(helperIndex(name));
});
const upperHalf = (x: Value) => shuffle(x, x, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]);
const pairOfDoubles: Shape = { p: double, lg: 4 };
defineTranslated("FCVTLV", (b, f, v, { name }) => {
  if (!v.sz) return false;
  const r = unary(0xfd5f, v.Q ? upperHalf(b.v(f.Rn)) : b.v(f.Rn));
  b.fast(and(noFlush(b), all(pairOfDoubles, vrel(double, "eq", r, r))), helperIndex(name), () => b.setV(f.Rd, r));
  return true;
});
defineTranslated("FCVTNV", (b, f, v, { name }) => {
  if (!v.sz) return false;
  const n = b.v(f.Rn);
  const r = unary(0xfd5e, n);
  const back = unary(0xfd5f, r);
  const limits = [everyPower(double, 1 - single.bias), everyPower(double, single.bias + 1)] as const;
  const size = vop1(double, "abs", back);
  const isNormal = vand(vrel(double, "gt", size, limits[0]), vrel(double, "lt", size, limits[1]));
  const exact = vrel(double, "eq", back, n);
  const ok = quiet(b, all(pairOfDoubles, vor(isNormal, exact)), all(pairOfDoubles, exact));
  const merged = v.Q
    ? shuffle(
        b.v(f.Rd),
        r,
        Array.from({ length: 16 }, (_, i) => (i < 8 ? i : i + 8)),
      )
    : r;
  b.fast(ok, helperIndex(name), () => b.setV(f.Rd, merged));
  return true;
});
