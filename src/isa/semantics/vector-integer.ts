// Advanced SIMD integer arithmetic as Wasm SIMD operations: multiplication, widening, differences, halving, rounding and saturating shifts.
// Every row here also has a helper (isa/simd), which the tests compare with, and which does the element sizes that Wasm has no form for.

import { Off } from "../../arch/layout.ts";
import type { Builder } from "../../ir/builder.ts";
import { c32, c64, I32, I64, or, shl, shuffle, V128, type Value, vzero, wasm } from "../../ir/value.ts";
import { SysOp } from "../sysops.ts";
import { define, type Fields, helperIndex, type Variants } from "./define.ts";
import {
  binary,
  leftAmount,
  lgOfImmh,
  narrow,
  ops,
  resizable,
  right,
  rightAmount,
  shiftable,
  splat,
  unary,
  vand,
  vor,
  vselect,
  vxor,
} from "./vector-ops.ts";

/** Saturating sums and differences of bytes and halfwords. */
const saturating = {
  SQADDV: [ops.add, [0xfd6f, 0xfd8f]],
  UQADDV: [ops.add, [0xfd70, 0xfd90]],
  SQSUBV: [ops.sub, [0xfd72, 0xfd92]],
  UQSUBV: [ops.sub, [0xfd73, 0xfd93]],
} as const;
/** Of the narrow elements' size; + 1: the upper halves, + 2: unsigned. */
const extmul = [0xfd9c, 0xfdbc, 0xfddc] as const;
/** The same; + 1: the upper half, + 2: unsigned. */
const extend = [0xfd87, 0xfda7, 0xfdc7] as const;
const pairwiseSum = [0xfd7c, 0xfd7e] as const;
const [ANY, LANE0] = [0xfd53, 0xfd1d];

const sizeOf = (v: Variants) => v.size as number;

type Body = (b: Builder, f: Fields, v: Variants) => void;
function rows(names: string, variants: string, body: Body, valid: (v: Variants) => boolean): void {
  const checked: Body = (b, f, v) => {
    b.requireFp(SysOp.FPTRAP);
    body(b, f, v);
  };
  define(names, variants, checked, valid);
}
const notDoubleword = (v: Variants) => v.size !== 3;
const allSizes = (v: Variants) => v.Q === 1 || v.size !== 3;
/** Rd = value; what is above the register's size becomes zero. */
const sameWidth =
  (value: (b: Builder, f: Fields, v: Variants) => Value): Body =>
  (b, f, v) =>
    b.setV(f.Rd, value(b, f, v), v.Q ? 4 : 3);

// ---- three registers, one width ------------------------------------------------------------------------------------------
function multiply(lg: number, n: Value, m: Value): Value {
  if (lg > 0) return binary([0, 0xfd95, 0xfdb5][lg], n, m);
  // Bytes: products of 16 bits, of which the lower halves stay.
  const even = Array.from({ length: 16 }, (_, j) => 2 * j);
  return shuffle(binary(extmul[0], n, m), binary(extmul[0] + 1, n, m), even);
}
/** The element of Rm that H, L and M choose, in every place. */
function element(b: Builder, f: Fields, v: Variants): Value {
  const [H, L, M] = [v.H as number, v.L as number, v.M as number];
  if (v.size === 1) return splat(1, b.lane(f.Rm, c32(4 * H + 2 * L + M), 1));
  return splat(2, b.lane(or(f.Rm, c32(16 * M)), c32(2 * H + L), 2));
}
const byElement = (v: Variants) => v.size === 1 || v.size === 2;

for (const [row, op] of Object.entries({ MULV: undefined, MLAV: ops.add, MLSV: ops.sub })) {
  const value = (other: (b: Builder, f: Fields, v: Variants) => Value) =>
    sameWidth((b, f, v) => {
      const product = multiply(sizeOf(v), b.v(f.Rn), other(b, f, v));
      return op ? binary(op[sizeOf(v)], b.v(f.Rd), product) : product;
    });
  rows(
    `${row}_VEC`,
    "Q size",
    value((b, f) => b.v(f.Rm)),
    notDoubleword,
  );
  rows(`${row}_ELT`, "Q size L M H", value(element), byElement);
}
for (const [row, op] of Object.entries({ SMAXV: ops.maxS, UMAXV: ops.maxU, SMINV: ops.minS, UMINV: ops.minU }))
  rows(
    row,
    "Q size",
    sameWidth((b, f, v) => binary(op[sizeOf(v)], b.v(f.Rn), b.v(f.Rm))),
    notDoubleword,
  );

/** |n - m|, as an unsigned number. */
function difference(sign: "S" | "U", lg: number, n: Value, m: Value): Value {
  const [max, min] = sign === "S" ? [ops.maxS, ops.minS] : [ops.maxU, ops.minU];
  return binary(ops.sub[lg], binary(max[lg], n, m), binary(min[lg], n, m));
}
/** floor((n + m) / 2) without the sum; rounding up: ceil. */
function halving(sign: "S" | "U", up: boolean, lg: number, n: Value, m: Value): Value {
  const half = wasm((sign === "S" ? ops.shrS : ops.shrU)[lg] as number, V128, vxor(n, m), c32(1));
  return up ? binary(ops.sub[lg], vor(n, m), half) : binary(ops.add[lg], vand(n, m), half);
}
for (const sign of ["S", "U"] as const) {
  const diff = (b: Builder, f: Fields, v: Variants) => difference(sign, sizeOf(v), b.v(f.Rn), b.v(f.Rm));
  rows(`${sign}ABDV`, "Q size", sameWidth(diff), notDoubleword);
  rows(
    `${sign}ABAV`,
    "Q size",
    sameWidth((b, f, v) => binary(ops.add[sizeOf(v)], b.v(f.Rd), diff(b, f, v))),
    notDoubleword,
  );
  for (const up of [false, true])
    rows(
      `${sign}${up ? "RH" : "H"}ADDV`,
      "Q size",
      sameWidth((b, f, v) => halving(sign, up, sizeOf(v), b.v(f.Rn), b.v(f.Rm))),
      notDoubleword,
    );
}
for (const [row, op] of Object.entries({ ABSV: ops.abs, NEGV: ops.neg }))
  rows(
    row,
    "Q size",
    sameWidth((b, f, v) => unary(op[sizeOf(v)], b.v(f.Rn))),
    allSizes,
  );
rows(
  "CNTV",
  "Q",
  sameWidth((b, f) => unary(0xfd62, b.v(f.Rn))),
  () => true,
);

// ---- widening --------------------------------------------------------------------------------------------------------------
for (const sign of ["S", "U"] as const) {
  const unsigned = sign === "U" ? 2 : 0;
  const wide = (v: Variants, x: Value) => unary((extend[sizeOf(v)] as number) + unsigned + (v.Q as number), x);
  const product = (v: Variants, n: Value, m: Value) => binary((extmul[sizeOf(v)] as number) + unsigned + (v.Q as number), n, m);
  const plus = (v: Variants, a: Value, x: Value) => binary(ops.add[sizeOf(v) + 1], a, x);
  const minus = (v: Variants, a: Value, x: Value) => binary(ops.sub[sizeOf(v) + 1], a, x);
  const full =
    (value: (b: Builder, f: Fields, v: Variants) => Value): Body =>
    (b, f, v) =>
      b.setV(f.Rd, value(b, f, v));

  for (const [row, op] of Object.entries({ MULLV: undefined, MLALV: plus, MLSLV: minus })) {
    const value = (other: (b: Builder, f: Fields, v: Variants) => Value) =>
      full((b, f, v) => {
        const x = product(v, b.v(f.Rn), other(b, f, v));
        return op ? op(v, b.v(f.Rd), x) : x;
      });
    rows(
      `${sign}${row}_VEC`,
      "Q size",
      value((b, f) => b.v(f.Rm)),
      notDoubleword,
    );
    rows(`${sign}${row}_ELT`, "Q size L M H", value(element), byElement);
  }
  for (const [row, op] of Object.entries({ ADD: plus, SUB: minus })) {
    rows(
      `${sign}${row}LV`,
      "Q size",
      full((b, f, v) => op(v, wide(v, b.v(f.Rn)), wide(v, b.v(f.Rm)))),
      notDoubleword,
    );
    rows(
      `${sign}${row}WV`,
      "Q size",
      full((b, f, v) => op(v, b.v(f.Rn), wide(v, b.v(f.Rm)))),
      notDoubleword,
    );
  }
  // A difference is unsigned, whatever its operands are.
  const diff = (b: Builder, f: Fields, v: Variants) =>
    unary((extend[sizeOf(v)] as number) + 2 + (v.Q as number), difference(sign, sizeOf(v), b.v(f.Rn), b.v(f.Rm)));
  rows(`${sign}ABDLV`, "Q size", full(diff), notDoubleword);
  rows(
    `${sign}ABALV`,
    "Q size",
    full((b, f, v) => plus(v, b.v(f.Rd), diff(b, f, v))),
    notDoubleword,
  );

  /** Sums of neighbours. */
  const pairs = (b: Builder, f: Fields, v: Variants): Value => {
    const n = b.v(f.Rn);
    if (v.size !== 2) return unary((pairwiseSum[sizeOf(v)] as number) + (sign === "U" ? 1 : 0), n);
    const shr = (sign === "S" ? ops.shrS : ops.shrU)[3];
    return binary(ops.add[3], wasm(shr, V128, n, c32(32)), wasm(shr, V128, wasm(ops.shl[3], V128, n, c32(32)), c32(32)));
  };
  rows(`${sign}ADDLPV`, "Q size", sameWidth(pairs), notDoubleword);
  rows(
    `${sign}ADALPV`,
    "Q size",
    sameWidth((b, f, v) => plus(v, b.v(f.Rd), pairs(b, f, v))),
    notDoubleword,
  );
}

// ---- shifts by immediate -------------------------------------------------------------------------------------------------
for (const sign of ["S", "U"] as const) {
  const value = (round: boolean) => (b: Builder, f: Fields, v: Variants) => right(sign, lgOfImmh(v), b.v(f.Rn), rightAmount(f, v), round);
  const plus = (round: boolean) =>
    sameWidth((b: Builder, f: Fields, v: Variants) => binary(ops.add[lgOfImmh(v)], b.v(f.Rd), value(round)(b, f, v)));
  rows(`${sign}RSHRV`, "Q immh", sameWidth(value(true)), shiftable);
  rows(`${sign}SRAV`, "Q immh", plus(false), shiftable);
  rows(`${sign}RSRAV`, "Q immh", plus(true), shiftable);
}
const ones = () => splat(3, c64(-1));
/** Bits that the shift leaves free are those of Rd. */
rows(
  "SLIV",
  "Q immh",
  sameWidth((b, f, v) => {
    const [op, amount] = [ops.shl[lgOfImmh(v)] as number, leftAmount(f, v)];
    return vselect(wasm(op, V128, b.v(f.Rn), amount), b.v(f.Rd), wasm(op, V128, ones(), amount));
  }),
  shiftable,
);
rows(
  "SRIV",
  "Q immh",
  sameWidth((b, f, v) => {
    const shift = (x: Value) => right("U", lgOfImmh(v), x, rightAmount(f, v), false);
    return vselect(shift(b.v(f.Rn)), b.v(f.Rd), shift(ones()));
  }),
  shiftable,
);

// ---- saturation ------------------------------------------------------------------------------------------------------------
/** FPSR.QC, bit 27, is set when `differs`, of the register's size, is not zero. */
function saturated(b: Builder, differs: Value, quad: boolean): void {
  const any = quad ? wasm(ANY, I32, differs) : wasm(0x52, I32, wasm(LANE0, I64, differs), c64(0));
  b.setState(Off.FPSR, or(b.state(Off.FPSR), shl(any, c32(27))));
}
for (const [row, [wrapping, clamping]] of Object.entries(saturating))
  rows(
    row,
    "Q size",
    (b, f, v) => {
      const [plain, clamped] = [wrapping[sizeOf(v)], clamping[sizeOf(v)]];
      if (clamped === undefined) {
        b.helper(helperIndex(row));
        return;
      }
      const [n, m] = [b.v(f.Rn), b.v(f.Rm)];
      const sum = binary(clamped, n, m);
      saturated(b, vxor(sum, binary(plain, n, m)), v.Q === 1);
      b.setV(f.Rd, sum, v.Q ? 4 : 3);
    },
    allSizes,
  );

/** Clamps to what fits: from signed to signed, from unsigned to unsigned, from signed to unsigned. */
function narrowSaturating(b: Builder, f: Fields, v: Variants, lg: number, kind: "S" | "U" | "SU", x: Value): void {
  const bits = 8 << lg;
  const limit = (k: number) => splat(lg + 1, c32(k));
  const clamped =
    kind === "U"
      ? binary(ops.minU[lg + 1], x, limit(2 ** bits - 1))
      : kind === "SU"
        ? binary(ops.minS[lg + 1], binary(ops.maxS[lg + 1], x, vzero()), limit(2 ** bits - 1))
        : binary(ops.minS[lg + 1], binary(ops.maxS[lg + 1], x, limit(-(2 ** (bits - 1)))), limit(2 ** (bits - 1) - 1));
  saturated(b, vxor(clamped, x), true);
  narrow(b, f, v, lg, clamped);
}
for (const [kind, from] of [
  ["S", "SQ"],
  ["U", "UQ"],
  ["SU", "SQ"],
] as const) {
  const letters = kind === "SU" ? "UN" : "N";
  for (const round of [false, true]) {
    const row = `${from}${round ? "R" : ""}SHR${letters}V`;
    const body: Body = (b, f, v) => {
      const lg = lgOfImmh(v);
      if (lg === 2) b.helper(helperIndex(row));
      else narrowSaturating(b, f, v, lg, kind, right(kind === "U" ? "U" : "S", lg + 1, b.v(f.Rn), rightAmount(f, v), round));
    };
    rows(row, "Q immh", body, resizable);
  }
  const row = `${from}XT${letters}V`;
  const body: Body = (b, f, v) => {
    if (v.size === 2) b.helper(helperIndex(row));
    else narrowSaturating(b, f, v, sizeOf(v), kind, b.v(f.Rn));
  };
  rows(row, "Q size", body, notDoubleword);
}
rows(
  "RSHRNV",
  "Q immh",
  (b, f, v) => narrow(b, f, v, lgOfImmh(v), right("U", lgOfImmh(v) + 1, b.v(f.Rn), rightAmount(f, v), true)),
  resizable,
);
