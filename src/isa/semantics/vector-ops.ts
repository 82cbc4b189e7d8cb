// What the definitions of Advanced SIMD rows have in common: Wasm opcodes by element size, splat, shifts by immediate, narrowing.

import type { Builder } from "../../ir/builder.ts";
import { c32, c64, I64, lo32, or, shuffle, sub, V128, type Value, vzero, wasm, zext } from "../../ir/value.ts";
import type { Fields, Variants } from "./define.ts";

/** Opcodes by log2 element size. */
export const ops = {
  add: [0xfd6e, 0xfd8e, 0xfdae, 0xfdce],
  sub: [0xfd71, 0xfd91, 0xfdb1, 0xfdd1],
  abs: [0xfd60, 0xfd80, 0xfda0, 0xfdc0],
  neg: [0xfd61, 0xfd81, 0xfda1, 0xfdc1],
  shl: [0xfd6b, 0xfd8b, 0xfdab, 0xfdcb],
  shrS: [0xfd6c, 0xfd8c, 0xfdac, 0xfdcc],
  shrU: [0xfd6d, 0xfd8d, 0xfdad, 0xfdcd],
  minS: [0xfd76, 0xfd96, 0xfdb6],
  minU: [0xfd77, 0xfd97, 0xfdb7],
  maxS: [0xfd78, 0xfd98, 0xfdb8],
  maxU: [0xfd79, 0xfd99, 0xfdb9],
  splat: [0xfd0f, 0xfd10, 0xfd11, 0xfd12],
  eq: [0xfd23, 0xfd2d, 0xfd37, 0xfdd6],
  ne: [0xfd24, 0xfd2e, 0xfd38, 0xfdd7],
  gtS: [0xfd27, 0xfd31, 0xfd3b, 0xfdd9],
  geS: [0xfd2b, 0xfd35, 0xfd3f, 0xfddb],
  ltS: [0xfd25, 0xfd2f, 0xfd39, 0xfdd8],
  leS: [0xfd29, 0xfd33, 0xfd3d, 0xfdda],
  ltU: [0xfd26, 0xfd30, 0xfd3a],
  gtU: [0xfd28, 0xfd32, 0xfd3c],
  geU: [0xfd2c, 0xfd36, 0xfd40],
} as const satisfies Record<string, readonly number[]>;

/** An operation of one, of two vectors. */
export const unary = (op: number | undefined, a: Value) => wasm(op as number, V128, a);
export const binary = (op: number | undefined, a: Value, b: Value) => wasm(op as number, V128, a, b);
export const vand = (a: Value, b: Value) => binary(0xfd4e, a, b);
export const vandNot = (a: Value, b: Value) => binary(0xfd4f, a, b);
export const vor = (a: Value, b: Value) => binary(0xfd50, a, b);
export const vxor = (a: Value, b: Value) => binary(0xfd51, a, b);
/** Bits of `a` where `mask` has ones, of `b` elsewhere. */
export const vselect = (a: Value, b: Value, mask: Value) => wasm(0xfd52, V128, a, b, mask);
/** The low 2^lg bytes of `x` in every element. */
export const splat = (lg: number, x: Value) => wasm(ops.splat[lg] as number, V128, lg === 3 ? zext(x) : x.type === I64 ? lo32(x) : x);

/** The highest set bit of immh gives the element size (log2 bytes); of a narrowing shift, that of the result. */
export const lgOfImmh = (v: Variants) => 31 - Math.clz32(v.immh as number);
const immediate = (f: Fields, v: Variants) => or(c32((v.immh as number) << 3), f.immb);
/** Left shift: immh:immb - esize. Right shift: 2 * esize - immh:immb, in 1..esize. */
export const leftAmount = (f: Fields, v: Variants) => sub(immediate(f, v), c32(8 << lgOfImmh(v)));
export const rightAmount = (f: Fields, v: Variants) => sub(c32(16 << lgOfImmh(v)), immediate(f, v));
export const shiftable = (v: Variants) => v.immh !== 0 && (v.Q === 1 || (v.immh as number) < 8);
/** Widening and narrowing shifts. */
export const resizable = (v: Variants) => v.immh !== 0 && (v.immh as number) < 8;

/** A right shift by 1..esize: Wasm takes the amount modulo that, so the last bit goes by itself. `round`: half of the last bit is added. */
export function right(sign: "S" | "U", lg: number, x: Value, amount: Value, round = false): Value {
  const op = (sign === "S" ? ops.shrS : ops.shrU)[lg];
  const most = binary(op, x, sub(amount, c32(1)));
  const shifted = binary(op, most, c32(1));
  return round ? binary(ops.add[lg], shifted, vand(most, splat(lg, lg === 3 ? c64(1) : c32(1)))) : shifted;
}

/** The lower halves of the elements of `x` (2^(lg+1) bytes each) become the lower (Q = 0) or upper half of Rd. */
export function narrow(b: Builder, f: Fields, v: Variants, lg: number, x: Value): void {
  const size = 1 << lg;
  const packed = Array.from({ length: 8 }, (_, j) => Math.floor(j / size) * 2 * size + (j % size));
  if (v.Q) b.setV(f.Rd, shuffle(b.v(f.Rd), x, [0, 1, 2, 3, 4, 5, 6, 7, ...packed.map((k) => k + 16)]));
  else b.setV(f.Rd, shuffle(x, vzero(), [...packed, ...Array.from({ length: 8 }, () => 16)]));
}
