// Folding of constants, with `long` as an independent 64-bit arithmetic.

import fc from "fast-check";
import Long from "long";
import { describe, expect, it } from "vitest";
import { type BinaryOp, bin, c32, c64, clz, eqz, I64, lo32, Op, select, sext, signed, type Value, zext } from "../../src/ir/value.ts";

const int32 = () => fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 2, 31, 32, 63, 64, 0x7fffffff, -0x80000000));
const int64 = () => fc.tuple(int32(), int32()).map(([lo, hi]) => new Long(lo, hi));
const constant = (v: Long) => c64(v.low, v.high);
const longOf = (n: Value): Long => {
  expect(n.op).toBe(Op.Const);
  expect(n.type).toBe(I64);
  return new Long(n.imm, n.high);
};

const folded: readonly (readonly [BinaryOp, (a: Long, b: Long) => Long])[] = [
  ["add", (a, b) => a.add(b)],
  ["sub", (a, b) => a.sub(b)],
  ["mul", (a, b) => a.mul(b)],
  ["and", (a, b) => a.and(b)],
  ["or", (a, b) => a.or(b)],
  ["xor", (a, b) => a.xor(b)],
  ["shl", (a, b) => a.shl(b.and(63))],
  ["shrs", (a, b) => a.shr(b.and(63))],
  ["shru", (a, b) => a.shru(b.and(63))],
];

describe("folding of 64-bit constants", () => {
  for (const [op, reference] of folded) {
    it(op, () => {
      fc.assert(
        fc.property(int64(), int64(), (a, b) => {
          const result = bin(op, constant(a), constant(b));
          expect(longOf(result).equals(reference(a, b)), `${a} ${op} ${b}`).toBe(true);
        }),
      );
    });
  }
  it("sign- and zero-extension and truncation", () => {
    fc.assert(
      fc.property(int32(), (v) => {
        expect(longOf(sext(c32(v))).equals(Long.fromInt(v))).toBe(true);
        expect(longOf(zext(c32(v))).equals(Long.fromInt(v >>> 0, true).toSigned())).toBe(true);
        expect(lo32(sext(c32(v))).imm).toBe(v);
      }),
    );
  });
});

describe("folding of 32-bit constants", () => {
  const ops = { add: (a: number, b: number) => (a + b) | 0, sub: (a: number, b: number) => (a - b) | 0, mul: Math.imul } as const;
  for (const [op, reference] of Object.entries(ops)) {
    it(op, () => {
      fc.assert(
        fc.property(int32(), int32(), (a, b) => {
          expect(bin(op as BinaryOp, c32(a), c32(b)).imm).toBe(reference(a, b));
        }),
      );
    });
  }
  it("signed() extends a field of any width", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 31 }), int32(), (width, v) => {
        const field = v & (2 ** width - 1);
        const expected = field >= 2 ** (width - 1) ? field - 2 ** width : field;
        expect(signed(c32(field), width).imm).toBe(expected);
      }),
    );
  });
});

describe("what folding leaves alone", () => {
  it("select keeps the branch that a constant chooses", () => {
    const [a, b] = [c64(1), c64(2)];
    expect(select(c32(5), a, b)).toBe(a);
    expect(select(c32(0), a, b)).toBe(b);
  });
  it("operations that have no folding rule stay operations", () => {
    expect(bin("divu", c64(6), c64(3)).op).not.toBe(Op.Const);
    expect(clz(c64(1)).op).not.toBe(Op.Const);
  });
  it("eqz folds to 0 or 1", () => {
    expect(eqz(c64(0)).imm).toBe(1);
    expect(eqz(c64(0, 1)).imm).toBe(0);
  });
  it("operands of different types are a mistake of the semantics, told at once", () => {
    expect(() => bin("add", c32(1), c64(1))).toThrow(/different types/);
  });
});
