// Vectors of floating point as Wasm SIMD operations, in translations (see fp.ts for when the host's result counts; here all lanes must be
// so). Those of one element, whose rows end in _s, are done as vectors of which one lane counts.

import type { Builder } from "../../ir/builder.ts";
import { and, c32, c64, orElse, roundsPlainly, shuffle, type Value, vzero, wasm } from "../../ir/value.ts";
import { defineTranslated, type Fields, helperIndex, type Variants } from "./define.ts";
import { chosenElement } from "./fp-fused.ts";
import {
  all,
  defineVector,
  double,
  every,
  everyPower,
  noFlush,
  none,
  type Operand,
  type Precision,
  type Relation,
  registerM,
  registerN,
  type Shape,
  setShape,
  shapeOf,
  single,
  type VectorResult,
  vfinite,
  visZero,
  vnormal,
  vop1,
  vop2,
  vrel,
  vround,
} from "./fp-ops.ts";
import { binary, unary, vand, vor, vselect } from "./vector-ops.ts";

const nothing: Operand = () => vzero();
const [two, byElement, withZero] = [
  [registerN, registerM],
  [registerN, chosenElement],
  [registerN, nothing],
] as const;

// ---- pairs ---------------------------------------------------------------------------------------------------------------
/** Even (0) or odd (1) elements of the concatenation Rm:Rn, both in a register of 2^lg bytes. */
const neighbours =
  (odd: number): Operand =>
  (b, f, v) => {
    const { p, lg } = shapeOf(v) as Shape;
    const [element, half] = [1 << p.lg, 1 << lg];
    const map = Array.from({ length: 16 }, (_, j) => {
      const k = (Math.floor((j & (half - 1)) / element) * 2 + odd) * element + (j % element);
      return k < half ? k : 16 + (k - half);
    });
    return shuffle(b.v(f.Rn), b.v(f.Rm), map);
  };
const pairs: readonly [Operand, Operand] = [
  (b, f, v) => shapeOf(v) && neighbours(0)(b, f, v),
  (b, f, v) => shapeOf(v) && neighbours(1)(b, f, v),
];
/** The two lowest elements. */
const lowestPair: readonly [Operand, Operand] = [
  registerN,
  (b, f, v) => {
    const element = v.sz ? 8 : 4;
    return shuffle(
      b.v(f.Rn),
      vzero(),
      Array.from({ length: 16 }, (_, j) => (j < element ? j + element : 16)),
    );
  },
];

// ---- arithmetic ------------------------------------------------------------------------------------------------------------
const areFinite = (shape: Shape, r: Value) => none(shape, vrel(shape.p, "ne", vop2(shape.p, "sub", r, r), vzero()));
/** A sum that is tiny is exact. */
const sum =
  (name: "add" | "sub") =>
  (_b: Builder, shape: Shape, n: Value, m: Value): VectorResult => {
    const { p } = shape;
    const value = vop2(p, name, n, m);
    return { value, ok: and(roundsPlainly(), areFinite(shape, value)) };
  };
defineVector("FADDV", two, sum("add"));
defineVector("FADDPV_VEC", pairs, sum("add"));
defineVector("FADDPV_PAIR_s", lowestPair, sum("add"));
defineVector("FSUBV", two, sum("sub"));
defineVector("FABDV FABDV_s", two, (b, shape, n, m) => {
  const { value, ok } = sum("sub")(b, shape, n, m);
  return { value: vop1(shape.p, "abs", value), ok };
});
/** A result may be zero where an operand is, but not because it is too small. */
const product =
  (name: "mul" | "div") =>
  (_b: Builder, shape: Shape, n: Value, m: Value): VectorResult => {
    const { p } = shape;
    const value = vop2(p, name, n, m);
    const isNormal = vnormal(p, value);
    const zeros = name === "div" ? visZero(p, n) : vor(visZero(p, n), visZero(p, m));
    const fine = orElse(all(shape, isNormal), all(shape, vor(isNormal, vand(zeros, vfinite(p, value)))));
    return { value, ok: and(roundsPlainly(), fine) };
  };
// FMULX differs where the product is not a number.
defineVector("FMULV_VEC FMULXV_VEC FMULXV_VEC_s", two, product("mul"));
defineVector("FMULV_ELT FMULV_ELT_s FMULXV_ELT FMULXV_ELT_s", byElement, product("mul"));
defineVector("FDIVV", two, product("div"));
defineVector("FSQRTV", withZero, (_b, shape, n) => {
  const value = vop1(shape.p, "sqrt", n);
  return { value, ok: and(roundsPlainly(), areFinite(shape, value)) };
});
defineVector("FABSV", withZero, (_b, { p }, n) => ({ value: vop1(p, "abs", n), ok: undefined }));
defineVector("FNEGV", withZero, (_b, { p }, n) => ({ value: vop1(p, "neg", n), ok: undefined }));

// ---- comparisons, minimum and maximum: of numbers -----------------------------------------------------------------------------
const numbers = (b: Builder, shape: Shape, n: Value, m: Value) =>
  and(noFlush(b), none(shape, vor(vrel(shape.p, "ne", n, n), vrel(shape.p, "ne", m, m))));
for (const name of ["MAX", "MIN"] as const) {
  const extreme = (b: Builder, shape: Shape, n: Value, m: Value): VectorResult => ({
    value: vop2(shape.p, name === "MAX" ? "max" : "min", n, m),
    ok: numbers(b, shape, n, m),
  });
  defineVector(`F${name}V F${name}NMV`, two, extreme);
  defineVector(`F${name}PV_VEC F${name}NMPV_VEC`, pairs, extreme);
  defineVector(`F${name}PV_PAIR_s F${name}NMPV_PAIR_s`, lowestPair, extreme);
}
/** Of four singles; the order in which they are compared does not matter to numbers. */
for (const name of ["MAX", "MIN"] as const)
  defineTranslated(`F${name}VV F${name}NMVV`, (b, f, v, row) => {
    if (v.sz || !v.Q) return false;
    const n = b.v(f.Rn);
    const extreme = (x: Value, words: readonly number[]) => {
      const other = shuffle(
        x,
        x,
        words.flatMap((w) => [0, 1, 2, 3].map((i) => 4 * w + i)),
      );
      return vop2(single, name === "MAX" ? "max" : "min", x, other);
    };
    const value = extreme(extreme(n, [2, 3, 0, 1]), [1, 0, 3, 2]);
    b.fast(numbers(b, { p: single, lg: 4 }, n, n), helperIndex(row.name), () => setShape(b, f, { p: single, lg: 2 }, value));
    return true;
  });
const forms = (row: string) => `${row} ${row}_s`;
const comparison =
  (relation: Relation, absolute = false) =>
  (b: Builder, shape: Shape, n: Value, m: Value): VectorResult => {
    const size = (x: Value) => (absolute ? vop1(shape.p, "abs", x) : x);
    return { value: vrel(shape.p, relation, size(n), size(m)), ok: numbers(b, shape, n, m) };
  };
for (const relation of ["eq", "ge", "gt"] as const) {
  const name = relation.toUpperCase();
  defineVector(forms(`FCM${name}V_REG`), two, comparison(relation));
  defineVector(forms(`FCM${name}V_ZERO`), withZero, comparison(relation));
  if (relation !== "eq") defineVector(forms(`FAC${name}V`), two, comparison(relation, true));
}
defineVector(forms("FCMLEV"), withZero, comparison("le"));
defineVector(forms("FCMLTV"), withZero, comparison("lt"));

// ---- immediates --------------------------------------------------------------------------------------------------------------
/** VFPExpandImm of the bits a to h, in every lane; op: doubles. */
defineTranslated("FMOVV", (b, f, v) => {
  if (v.op && !v.Q) return false;
  const [c, d, rest] = [v.c as number, v.d as number, ["e", "f", "g", "h"].reduce((x, name) => 2 * x + (v[name] as number), 0)];
  // Sign, NOT(b) and copies of b, c and d, fraction.
  const copies = v.op ? (v.b ? 0xff : 0x100) : v.b ? 0x1f : 0x20;
  const top = ((((v.a as number) << (v.op ? 9 : 6)) | copies) << 2) | (2 * c + d);
  const bits = v.op ? c64(0, (top << 20) | (rest << 16)) : c32((top << 23) | (rest << 19));
  b.setV(f.Rd, every(v.op ? double : single, bits), v.Q ? 4 : 3);
  return true;
});

// ---- estimates: of normal numbers whose estimate is one, in single precision ------------------------------------------------------
const ints = {
  add: (a: Value, b: Value) => binary(0xfdae, a, b),
  sub: (a: Value, b: Value) => binary(0xfdb1, a, b),
  shl: (a: Value, n: number) => wasm(0xfdab, a.type, a, c32(n)),
  shr: (a: Value, n: number) => wasm(0xfdad, a.type, a, c32(n)),
  every: (n: number) => every(single, c32(n)),
  toFloat: (a: Value) => unary(0xfdfa, a),
  truncate: (a: Value) => unary(0xfdf8, a),
} as const;
const field = (x: Value, low: number, bits: number) => vand(ints.shr(x, low), ints.every(2 ** bits - 1));
/** Bits 8:1 of an integer, as the upper bits of the fraction, below an exponent in place. */
const assemble = (sign: Value, exponent: Value, b: Value) => vor(vor(sign, ints.shl(exponent, 23)), ints.shl(field(b, 1, 8), 15));

/** RecipEstimate (J1.1.3): with a = 1.xxxxxxxx in 9 bits, the nearest 9 bits to the reciprocal of its middle: (2^19 / (2a + 1) + 1) / 2. */
function reciprocal(n: Value): Value {
  const twice = vor(ints.shl(field(n, 15, 8), 1), ints.every(0x201));
  const quotient = ints.truncate(vop2(single, "div", everyPower(single, 19), ints.toFloat(twice)));
  const sign = vand(n, ints.every(1 << 31));
  return assemble(sign, ints.sub(ints.every(253), field(n, 23, 8)), ints.add(quotient, ints.every(1)));
}
/** RecipSqrtEstimate: the same for the root; 2^28 / a, where a has 9 bits and one in the middle, at twice the scale if the exponent is even. */
function reciprocalRoot(n: Value): Value {
  const isOdd = wasm(0xfdac, n.type, ints.shl(n, 8), c32(31));
  const odd = vor(ints.shl(field(n, 16, 7), 1), ints.every(0x101));
  const even = vor(ints.shl(field(n, 16, 7), 2), ints.every(0x202));
  const a = vselect(odd, even, isOdd);
  const root = vop1(single, "sqrt", vop2(single, "div", everyPower(single, 28), ints.toFloat(a)));
  const exponent = ints.shr(ints.sub(ints.every(380), field(n, 23, 8)), 1);
  return assemble(vzero(), exponent, ints.truncate(vround(single, "ceil", root)));
}
const estimate =
  (value: (n: Value) => Value, atLeast: (p: Precision, n: Value) => Value) =>
  (b: Builder, f: Fields, v: Variants, { name }: { name: string }) => {
    const shape = shapeOf(v);
    if (shape?.p !== single) return false;
    const n = b.v(f.Rn);
    // Not tiny, and not so large that the reciprocal is.
    const fits = vand(atLeast(single, n), vrel(single, "lt", vop1(single, "abs", n), everyPower(single, 126)));
    b.fast(and(noFlush(b), all(shape, fits)), helperIndex(name), () => setShape(b, f, shape, value(n)));
    return true;
  };
const least = (p: Precision) => everyPower(p, 1 - p.bias);
defineTranslated(
  "FRECPEV FRECPEV_s",
  estimate(reciprocal, (p, n) => vrel(p, "ge", vop1(p, "abs", n), least(p))),
);
defineTranslated(
  "FRSQRTEV FRSQRTEV_s",
  estimate(reciprocalRoot, (p, n) => vrel(p, "ge", n, least(p))),
);
