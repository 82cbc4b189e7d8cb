// Advanced SIMD shifts by immediate, widening, narrowing and unsigned comparison, as Wasm SIMD operations. Every row here also has a
// helper (isa/simd), which the tests compare with.

import type { Builder } from "../../ir/builder.ts";
import { c32, c64, or, shl, shuffle, sub, V128, type Value, vzero, wasm } from "../../ir/value.ts";
import { SysOp } from "../sysops.ts";
import { define, type Fields, type Variants } from "./define.ts";

const op1 = (op: number, a: Value) => wasm(op, V128, a);
const op2 = (op: number, a: Value, b: Value) => wasm(op, V128, a, b);
// Opcodes by log2 element size: shl, signed and unsigned shr; widening of the lower and the upper half.
const left = [0xfd6b, 0xfd8b, 0xfdab, 0xfdcb] as const;
const signedRight = [0xfd6c, 0xfd8c, 0xfdac, 0xfdcc] as const;
const unsignedRight = [0xfd6d, 0xfd8d, 0xfdad, 0xfdcd] as const;
const widen = {
  s: [
    [0xfd87, 0xfda7, 0xfdc7],
    [0xfd88, 0xfda8, 0xfdc8],
  ],
  u: [
    [0xfd89, 0xfda9, 0xfdc9],
    [0xfd8a, 0xfdaa, 0xfdca],
  ],
} as const;

/** The highest set bit of immh gives the element size (log2 bytes). */
const lgOf = (v: Variants) => 31 - Math.clz32(v.immh as number);
/** immh:immb as a value. */
const immediate = (f: Fields, v: Variants) => or(c32((v.immh as number) << 3), f.immb);
/** Left shift: immh:immb - esize. Right shift: 2 * esize - immh:immb, in 1..esize. */
const leftAmount = (f: Fields, v: Variants) => sub(immediate(f, v), c32(8 << lgOf(v)));
const rightAmount = (f: Fields, v: Variants) => sub(c32(16 << lgOf(v)), immediate(f, v));
/** A right shift by up to the element size; Wasm takes the amount modulo that, so the last bit goes by itself. */
const right = (ops: readonly number[], lg: number, x: Value, amount: Value) =>
  wasm(ops[lg] as number, V128, wasm(ops[lg] as number, V128, x, sub(amount, c32(1))), c32(1));

function shifts(row: string, value: (n: Value, f: Fields, v: Variants) => Value): void {
  define(
    row,
    "Q immh",
    (b, f, v) => {
      b.requireFp(SysOp.FPTRAP);
      b.setV(f.Rd, value(b.v(f.Rn), f, v), v.Q ? 4 : 3);
    },
    (v) => v.immh !== 0 && (v.Q === 1 || (v.immh as number) < 8),
  );
}
shifts("SHLV", (n, f, v) => wasm(left[lgOf(v)] as number, V128, n, leftAmount(f, v)));
shifts("SSHRV", (n, f, v) => right(signedRight, lgOf(v), n, rightAmount(f, v)));
shifts("USHRV", (n, f, v) => right(unsignedRight, lgOf(v), n, rightAmount(f, v)));

/** SSHLL, USHLL: the lower (Q = 0) or upper half widens, then shifts left. */
function longShift(row: string, sign: "s" | "u"): void {
  define(
    row,
    "Q immh",
    (b, f, v) => {
      b.requireFp(SysOp.FPTRAP);
      const lg = lgOf(v);
      const wide = op1(widen[sign][v.Q ? 1 : 0][lg] as number, b.v(f.Rn));
      b.setV(f.Rd, wasm(left[lg + 1] as number, V128, wide, leftAmount(f, v)));
    },
    (v) => v.immh !== 0 && (v.immh as number) < 8,
  );
}
longShift("SSHLLV", "s");
longShift("USHLLV", "u");

/** The lower halves of the elements of `x` (2^(lg+1) bytes each) become the lower (Q = 0) or upper half of Rd. */
function narrow(b: Builder, f: Fields, v: Variants, lg: number, x: Value): void {
  const element = 1 << lg;
  const packed = Array.from({ length: 8 }, (_, j) => Math.floor(j / element) * 2 * element + (j % element));
  if (v.Q) b.setV(f.Rd, shuffle(b.v(f.Rd), x, [0, 1, 2, 3, 4, 5, 6, 7, ...packed.map((k) => k + 16)]));
  else b.setV(f.Rd, shuffle(x, vzero(), [...packed, ...Array.from({ length: 8 }, () => 16)]));
}
define(
  "SHRNV",
  "Q immh",
  (b, f, v) => {
    b.requireFp(SysOp.FPTRAP);
    const lg = lgOf(v);
    // The amount is at most half of the wide element's size.
    narrow(b, f, v, lg, wasm(unsignedRight[lg + 1] as number, V128, b.v(f.Rn), rightAmount(f, v)));
  },
  (v) => v.immh !== 0 && (v.immh as number) < 8,
);
define(
  "XTNV",
  "Q size",
  (b, f, v) => {
    b.requireFp(SysOp.FPTRAP);
    narrow(b, f, v, v.size as number, b.v(f.Rn));
  },
  (v) => v.size !== 3,
);

// ---- unsigned comparison: doublewords by way of their signs ------------------------------------------------------------
function compareUnsigned(row: string, opcodes: readonly number[]): void {
  define(
    row,
    "Q size",
    (b, f, v) => {
      b.requireFp(SysOp.FPTRAP);
      const flip = (x: Value) => (v.size === 3 ? op2(0xfd51, x, wasm(0xfd12, V128, shl(c64(1), c64(63)))) : x);
      b.setV(f.Rd, op2(opcodes[v.size as number] as number, flip(b.v(f.Rn)), flip(b.v(f.Rm))), v.Q ? 4 : 3);
    },
    (v) => v.Q === 1 || v.size !== 3,
  );
}
compareUnsigned("CMHIV", [0xfd28, 0xfd32, 0xfd3c, 0xfdd9]);
compareUnsigned("CMHSV", [0xfd2c, 0xfd36, 0xfd40, 0xfddb]);

// ---- permutation -------------------------------------------------------------------------------------------------------
/** Result element e of the row is element pick(e, elements per register) of the concatenation Rm:Rn. */
function permute(row: string, pick: (e: number, count: number) => number): void {
  define(
    row,
    "Q size",
    (b, f, v) => {
      b.requireFp(SysOp.FPTRAP);
      const element = 1 << (v.size as number);
      const bytes = v.Q ? 16 : 8;
      const count = bytes / element;
      const map = Array.from({ length: 16 }, (_, j) => {
        const k = pick(Math.floor((j & (bytes - 1)) / element), count);
        return (k < count ? k * element : 16 + (k - count) * element) + (j % element);
      });
      b.setV(f.Rd, shuffle(b.v(f.Rn), b.v(f.Rm), map), v.Q ? 4 : 3);
    },
    (v) => v.Q === 1 || v.size !== 3,
  );
}
permute("ZIP1V", (e, n) => (e >> 1) + (e & 1) * n);
permute("ZIP2V", (e, n) => (n >> 1) + (e >> 1) + (e & 1) * n);
permute("UZP1V", (e) => 2 * e);
permute("UZP2V", (e) => 2 * e + 1);
permute("TRN1V", (e, n) => (e & ~1) + (e & 1) * n);
permute("TRN2V", (e, n) => (e & ~1) + 1 + (e & 1) * n);

/** Reverses elements within containers of 2^container bytes. */
function reverse(row: string, container: number): void {
  define(
    row,
    "Q size",
    (b, f, v) => {
      b.requireFp(SysOp.FPTRAP);
      const flip = (1 << container) - (1 << (v.size as number));
      const n = b.v(f.Rn);
      const map = Array.from({ length: 16 }, (_, j) => j ^ flip);
      b.setV(f.Rd, shuffle(n, n, map), v.Q ? 4 : 3);
    },
    (v) => (v.size as number) < container,
  );
}
reverse("REV64V", 3);
reverse("REV32V", 2);
reverse("REV16V", 1);
