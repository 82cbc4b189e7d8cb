// Conditions from symbolic flags agree with conditions from NZCV, for every producing operation.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonical, conditionOf, type Flags, fromNzcv } from "../../src/ir/flags.ts";
import { add, bin, c32, c64, I64, Op, sub, type Value } from "../../src/ir/value.ts";

/** Evaluates an expression of constants. */
function evaluate(n: Value): bigint {
  const wide = (v: Value | undefined) => (v as Value).type === I64;
  if (n.op === Op.Const) return wide(n) ? BigInt.asIntN(64, (BigInt(n.high) << 32n) | BigInt(n.imm >>> 0)) : BigInt(n.imm);
  const [a, b, c] = [n.a, n.b, n.c].map((x) => (x ? evaluate(x) : 0n)) as [bigint, bigint, bigint];
  const bits = wide(n.a) ? 64 : 32;
  const u = (v: bigint) => BigInt.asUintN(bits, v);
  const s = (v: bigint) => BigInt.asIntN(bits, v);
  const truth = (v: boolean) => (v ? 1n : 0n);
  switch (n.op) {
    case 0x1b:
      return c !== 0n ? a : b;
    case 0x45:
    case 0x50:
      return truth(u(a) === 0n);
    case 0x46:
    case 0x51:
      return truth(u(a) === u(b));
    case 0x47:
    case 0x52:
      return truth(u(a) !== u(b));
    case 0x48:
    case 0x53:
      return truth(s(a) < s(b));
    case 0x49:
    case 0x54:
      return truth(u(a) < u(b));
    case 0x4a:
    case 0x55:
      return truth(s(a) > s(b));
    case 0x4b:
    case 0x56:
      return truth(u(a) > u(b));
    case 0x4e:
    case 0x59:
      return truth(s(a) >= s(b));
    case 0x4f:
    case 0x5a:
      return truth(u(a) >= u(b));
    case 0x71:
    case 0x83:
      return s(a & b);
    case 0x72:
    case 0x84:
      return s(a | b);
    case 0x73:
    case 0x85:
      return s(a ^ b);
    case 0xac:
      return a;
    default:
      throw new Error(`evaluate: operation 0x${n.op.toString(16)}`);
  }
}

/** ConditionHolds (Arm ARM) from the four flags. */
function holds(cond: number, [n, z, c, v]: readonly boolean[]): boolean {
  const base = [z, c, n, v, c && !z, n === v, n === v && !z, true][cond >> 1] as boolean;
  return cond & 1 && cond !== 15 ? !base : base;
}
const flagsOf = (f: Flags): boolean[] => {
  const [n, z, c, v] = canonical(f).map(evaluate) as [bigint, bigint, bigint, bigint];
  return [n < 0n, z === 0n, c !== 0n, v < 0n];
};
const value = fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 0x7fffffff, -0x80000000));

describe("flags", () => {
  for (const wide of [false, true]) {
    const make = (lo: number, hi: number) => (wide ? c64(lo, hi) : c32(lo));
    for (const kind of ["sub", "add", "logic"] as const) {
      it(`${kind} of ${wide ? 64 : 32} bits: every condition`, () => {
        fc.assert(
          fc.property(value, value, value, value, fc.integer({ min: 0, max: 14 }), (a, ah, b, bh, cond) => {
            const [x, y] = [make(a, ah), make(b, bh)];
            const result = kind === "sub" ? sub(x, y) : kind === "add" ? add(x, y) : bin("and", x, y);
            const flags: Flags = { kind, values: kind === "logic" ? [result] : [x, y, result] };
            expect(evaluate(conditionOf(flags, cond)) !== 0n).toBe(holds(cond, flagsOf(flags)));
          }),
        );
      });
    }
  }
  it("carry and overflow of subtraction and addition", () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        const [ua, ub] = [BigInt.asUintN(32, BigInt(a)), BigInt.asUintN(32, BigInt(b))];
        const subtraction = flagsOf({ kind: "sub", values: [c32(a), c32(b), sub(c32(a), c32(b))] });
        expect(subtraction[2]).toBe(ua >= ub);
        expect(subtraction[3]).toBe(BigInt(a) - BigInt(b) !== BigInt((a - b) | 0));
        const addition = flagsOf({ kind: "add", values: [c32(a), c32(b), add(c32(a), c32(b))] });
        expect(addition[2]).toBe(ua + ub >= 2n ** 32n);
        expect(addition[3]).toBe(BigInt(a) + BigInt(b) !== BigInt((a + b) | 0));
      }),
    );
  });
  it("fromNzcv gives back the four bits", () => {
    for (let nzcv = 0; nzcv < 16; nzcv++) {
      expect(flagsOf(fromNzcv(c32(nzcv)))).toEqual([(nzcv & 8) !== 0, (nzcv & 4) !== 0, (nzcv & 2) !== 0, (nzcv & 1) !== 0]);
    }
  });
});
