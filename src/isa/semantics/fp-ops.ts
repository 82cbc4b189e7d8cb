// What the definitions of floating-point rows have in common: operations of one precision on numbers and on vectors, and the conditions
// under which a result of the host is the architected one (fp.ts says which).

import { Off } from "../../arch/layout.ts";
import type { Builder } from "../../ir/builder.ts";
import {
  and,
  bin,
  c32,
  c64,
  eqz,
  F32,
  F64,
  I32,
  I64,
  lo32,
  or,
  orElse,
  roundsPlainly,
  V128,
  type Value,
  vzero,
  wasm,
} from "../../ir/value.ts";
import { Exc, Fpcr } from "../fp/env.ts";
import { SysOp } from "../sysops.ts";
import { define, defineTranslated, type Fields, helperIndex, type Variants } from "./define.ts";
import { binary, unary as unaryVector, vand } from "./vector-ops.ts";

/** Arithmetic of one precision: opcodes of Wasm. */
export interface Precision {
  readonly name: "s" | "d";
  readonly type: typeof F32 | typeof F64;
  /** log2 of the size in bytes. */
  readonly lg: 2 | 3;
  readonly extract: number;
  /** Opcode of `add`; the others follow in the order add sub mul div min max copysign. */
  readonly add: number;
  /** Opcode of `abs`; the others follow in the order abs neg ceil floor trunc nearest sqrt. */
  readonly abs: number;
  /** Opcode of `eq`; the others follow in the order eq ne lt gt le ge. */
  readonly eq: number;
  readonly fromBits: number;
  /** The same for vectors: `abs neg - sqrt add sub mul div min max`, and eq. */
  readonly vabs: number;
  readonly veq: number;
  /** ceil floor trunc nearest of vectors. */
  readonly vround: readonly [number, number, number, number];
  /** relaxed_madd; relaxed_nmadd follows. */
  readonly madd: number;
  /** Bits of the fraction, and the bias of the exponent. */
  readonly fraction: 23 | 52;
  readonly bias: 127 | 1023;
}
// biome-ignore format: table
export const single: Precision = {
  name: "s", type: F32, lg: 2, extract: 0xfd1f, add: 0x92, abs: 0x8b, eq: 0x5b, fromBits: 0xbe,
  vabs: 0xfde0, veq: 0xfd41, vround: [0xfd67, 0xfd68, 0xfd69, 0xfd6a], madd: 0xfd105, fraction: 23, bias: 127,
};
// biome-ignore format: table
export const double: Precision = {
  name: "d", type: F64, lg: 3, extract: 0xfd21, add: 0xa0, abs: 0x99, eq: 0x61, fromBits: 0xbf,
  vabs: 0xfdec, veq: 0xfd47, vround: [0xfd74, 0xfd75, 0xfd7a, 0xfd94], madd: 0xfd107, fraction: 52, bias: 1023,
};
export const precisionOf = (v: Variants): Precision | undefined => [single, double][v.ftype as number];

// ---- numbers -----------------------------------------------------------------------------------------------------------
const arithmetic = { add: 0, sub: 1, mul: 2, div: 3, min: 4, max: 5, copysign: 6 } as const;
const unary = { abs: 0, neg: 1, ceil: 2, floor: 3, trunc: 4, nearest: 5, sqrt: 6 } as const;
const relations = { eq: 0, ne: 1, lt: 2, gt: 3, le: 4, ge: 5 } as const;
export type Arithmetic = keyof typeof arithmetic;
export type Relation = keyof typeof relations;
export type Rounding = "ceil" | "floor" | "trunc" | "nearest";

export const op2 = (p: Precision, name: Arithmetic, a: Value, b: Value) => wasm(p.add + arithmetic[name], p.type, a, b);
export const op1 = (p: Precision, name: keyof typeof unary, a: Value) => wasm(p.abs + unary[name], p.type, a);
export const rel = (p: Precision, name: Relation, a: Value, b: Value) => wasm(p.eq + relations[name], I32, a, b);
/** The lowest element of V register r. */
export const number = (b: Builder, p: Precision, r: Value) => wasm(p.extract, p.type, b.v(r));
export const promote = (x: Value) => wasm(0xbb, F64, x);
export const demote = (x: Value) => wasm(0xb6, F32, x);
export const bits64 = (x: Value) => wasm(0xbd, I64, x);
/** Bits of ±2^n. */
const powerBits = (p: Precision, n: number, sign = 0) => {
  const top = (p.bias + n) << (p.fraction & 31);
  return p === double ? c64(0, top | (sign << 31)) : c32(top | (sign << 31));
};
export const power = (p: Precision, n: number) => wasm(p.fromBits, p.type, powerBits(p, n));
export const minusPower = (p: Precision, n: number) => wasm(p.fromBits, p.type, powerBits(p, n, 1));
export const zero = (p: Precision) => wasm(p.fromBits, p.type, p === double ? c64(0) : c32(0));
/** Bits of the smallest normal number, and of infinity. */
const minBits = (p: Precision) => powerBits(p, 1 - p.bias);
const infBits = (p: Precision) => powerBits(p, p.bias + 1);

export const both = (...conditions: Value[]) => conditions.reduce((a, c) => and(a, c));
/** FPCR.FZ is 0; the first is for where it is not known yet that rounding is not plain. */
export const noFlush = (b: Builder) => orElse(roundsPlainly(), unflushed(b));
export const unflushed = (b: Builder) => eqz(and(b.state(Off.FPCR), c32(Fpcr.FZ)));
/** To nearest even, and FPCR.FZ is 0. */
export const nearest = (b: Builder) => eqz(and(b.state(Off.FPCR), c32(Fpcr.FZ | Fpcr.RMODE)));
/**
 * The host's result counts: it is of the common kind, where it matters only how FPCR rounds and that FPSR.IXC is set already; or FPCR
 * rounds to nearest, and it is `rare`, such as exact, which costs more to find out.
 */
export const quiet = (b: Builder, common: Value, rare: Value) => orElse(and(roundsPlainly(), common), and(nearest(b), rare));
/** FPSR.IXC is set: an inexact result changes nothing there. */
export const inexactKnown = (b: Builder) => bin("ne", and(b.state(Off.FPSR), c32(Exc.IXC)), c32(0));
export const finite = (p: Precision, r: Value) => rel(p, "lt", op1(p, "abs", r), wasm(p.fromBits, p.type, infBits(p)));
export const isNumber = (p: Precision, a: Value) => rel(p, "eq", a, a);
/** Above the smallest normal number: was not tiny before rounding, so an inexact one is no underflow. */
export const aboveTiny = (p: Precision, r: Value) => rel(p, "gt", op1(p, "abs", r), wasm(p.fromBits, p.type, minBits(p)));
export const normal = (p: Precision, r: Value) => and(aboveTiny(p, r), finite(p, r));
export const isZero = (p: Precision, a: Value) => rel(p, "eq", a, zero(p));
/** Both have at most 26 significant bits, so their product is exact in double precision. */
export const short = (a: Value, b: Value) => eqz(and(lo32(or(bits64(a), bits64(b))), c32(0x7ff_ffff)));
/** Rounding error of s = a + b (Knuth's two-sum). */
export function sumError(p: Precision, a: Value, b: Value, s: Value): Value {
  const t = op2(p, "sub", s, a);
  return op2(p, "add", op2(p, "sub", a, op2(p, "sub", s, t)), op2(p, "sub", b, t));
}
export const exactSum = (a: Value, b: Value, s: Value) => isZero(double, sumError(double, a, b, s));

// ---- vectors -----------------------------------------------------------------------------------------------------------
const vectorArithmetic = { add: 4, sub: 5, mul: 6, div: 7, min: 8, max: 9 } as const;
const vectorUnary = { abs: 0, neg: 1, sqrt: 3 } as const;
const roundings = { ceil: 0, floor: 1, trunc: 2, nearest: 3 } as const;
export const vop2 = (p: Precision, name: keyof typeof vectorArithmetic, a: Value, b: Value) =>
  binary(p.vabs + vectorArithmetic[name], a, b);
export const vop1 = (p: Precision, name: keyof typeof vectorUnary, a: Value) => unaryVector(p.vabs + vectorUnary[name], a);
export const vround = (p: Precision, name: Rounding, a: Value) => unaryVector(p.vround[roundings[name]], a);
/** Lanes of ones where the relation holds. */
export const vrel = (p: Precision, name: Relation, a: Value, b: Value) => binary(p.veq + relations[name], a, b);
/** The same bits in every lane. */
export const every = (p: Precision, bits: Value) => wasm(p === double ? 0xfd12 : 0xfd11, V128, bits);
export const everyPower = (p: Precision, n: number, sign = 0) => every(p, powerBits(p, n, sign));
export const vnormal = (p: Precision, r: Value) =>
  vand(vrel(p, "gt", vop1(p, "abs", r), every(p, minBits(p))), vrel(p, "lt", vop1(p, "abs", r), every(p, infBits(p))));
export const vfinite = (p: Precision, r: Value) => vrel(p, "lt", vop1(p, "abs", r), every(p, infBits(p)));
export const visZero = (p: Precision, a: Value) => vrel(p, "eq", a, vzero());
/** The part of a register that an instruction works on: all of it, its lower half, its lowest element. */
export interface Shape {
  readonly p: Precision;
  /** log2 of the bytes. */
  readonly lg: 2 | 3 | 4;
}
/** By the fields sz and Q; a row without Q works on one element. Two doubles in half a register are no shape. */
export function shapeOf(v: Variants): Shape | undefined {
  const p = v.sz ? double : single;
  if (v.Q === undefined) return { p, lg: p.lg };
  return v.Q ? { p, lg: 4 } : p === double ? undefined : { p, lg: 3 };
}
/** The mask, whose lanes are zeros or ones throughout, has ones in all lanes of the shape. */
export function all({ lg }: Shape, mask: Value): Value {
  if (lg === 4) return wasm(0xfda3, I32, mask);
  return lg === 3 ? bin("eq", wasm(0xfd1d, I64, mask), c64(-1)) : bin("eq", wasm(0xfd1b, I32, mask), c32(-1));
}
/** It has ones in no lane of the shape. */
export function none({ lg }: Shape, mask: Value): Value {
  if (lg === 4) return eqz(wasm(0xfd53, I32, mask));
  return lg === 3 ? eqz(wasm(0xfd1d, I64, mask)) : eqz(wasm(0xfd1b, I32, mask));
}

/** Rd = the shape's part of x, zeros above. */
export const setShape = (b: Builder, f: Fields, { lg }: Shape, x: Value) => b.setV(f.Rd, lg === 2 ? wasm(0xfd1b, I32, x) : x, lg);

// ---- rows --------------------------------------------------------------------------------------------------------------
export type Scalar = (b: Builder, p: Precision, f: Fields, v: Variants, name: string) => void;
/** Defines a row whose half-precision form, and every case that `emit` does not cover, is the helper's. */
export function defineScalar(rows: string, variants: string, emit: Scalar): void {
  define(
    rows,
    variants,
    (b, f, v, row) => {
      b.requireFp(SysOp.FPTRAP);
      const p = precisionOf(v);
      if (p) emit(b, p, f, v, row.name);
      else b.helper(helperIndex(row.name));
    },
    (v) => v.ftype !== 2,
  );
}
export const setFp = (b: Builder, p: Precision, r: Value, x: Value) => b.setV(r, x, p.lg);

export interface VectorResult {
  readonly value: Value;
  /** It is the architected one, and changes nothing in FPSR; undefined: always. */
  readonly ok: Value | undefined;
}
/** undefined: this form is the helper's. */
export type Operand = (b: Builder, f: Fields, v: Variants) => Value | undefined;
export const registerN: Operand = (b, f) => b.v(f.Rn);
export const registerM: Operand = (b, f) => b.v(f.Rm);
/** Defines rows of two operands (or of one and zero) whose results `emit` makes, in translations. */
export function defineVector(
  names: string,
  [first, second]: readonly [Operand, Operand],
  emit: (b: Builder, shape: Shape, n: Value, m: Value, f: Fields) => VectorResult | undefined,
): void {
  defineTranslated(names, (b, f, v, { name }) => {
    const shape = shapeOf(v);
    const [n, m] = [first(b, f, v), second(b, f, v)];
    const result = shape && n && m && emit(b, shape, n, m, f);
    if (!result) return false;
    const { value, ok } = result;
    if (ok) b.fast(ok, helperIndex(name), () => setShape(b, f, shape, value));
    else setShape(b, f, shape, value);
    return true;
  });
}
