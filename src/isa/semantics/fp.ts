// Scalar floating point on the host's arithmetic. The host rounds to nearest even; where FPCR asks for that, the result is a finite
// number, and no FPSR bit would change (the result is exact, or FPSR.IXC is set already), its result is the architected one.
// Everything else is left to the row's helper (isa/fp), which is also what the tests compare with.

import type { Builder } from "../../ir/builder.ts";
import { and, bin, c32, c64, eqz, lo32, or, select, sext, shl, sub, type Value, zext } from "../../ir/value.ts";
import { SysOp } from "../sysops.ts";
import { define, defineTranslated, helperIndex } from "./define.ts";
import {
  aboveTiny,
  both,
  defineScalar,
  double,
  exactSum,
  finite,
  isNumber,
  isZero,
  noFlush,
  normal,
  number,
  op1,
  op2,
  type Precision,
  precisionOf,
  promote,
  quiet,
  rel,
  setFp,
  short,
  zero,
} from "./fp-ops.ts";

// ---- arithmetic ------------------------------------------------------------------------------------------------------
/** Whether the result r of an operation on a and b is exact. */
type Exactness = (a: Value, b: Value, r: Value) => Value;
const isZeroDouble = (a: Value) => isZero(double, a);
/** Of doubles. A product or quotient that is exact is zero, or of a normal size. */
const doubles: Record<string, Exactness> = {
  add: exactSum,
  sub: (a, b, r) => exactSum(a, op1(double, "neg", b), r),
  mul: (a, b, r) => or(or(isZeroDouble(a), isZeroDouble(b)), and(short(a, b), aboveTiny(double, r))),
  div: (a, b, r) => or(isZeroDouble(a), both(short(r, b), rel(double, "eq", op2(double, "mul", r, b), a), aboveTiny(double, r))),
};
/** Of singles: double precision has their products, and tells when it does not have their sums. */
const singles: Record<string, Exactness> = {
  add: (a, b, r) => wideSum("add", promote(a), promote(b), promote(r)),
  sub: (a, b, r) => wideSum("sub", promote(a), promote(b), promote(r)),
  mul: (a, b, r) => rel(double, "eq", op2(double, "mul", promote(a), promote(b)), promote(r)),
  div: (a, b, r) => rel(double, "eq", op2(double, "mul", promote(r), promote(b)), promote(a)),
};
function wideSum(name: "add" | "sub", a: Value, b: Value, r: Value): Value {
  const sum = op2(double, name, a, b);
  return and(rel(double, "eq", sum, r), exactSum(a, name === "sub" ? op1(double, "neg", b) : b, sum));
}
const operations = { FADD: "add", FSUB: "sub", FMUL: "mul", FDIV: "div", FNMUL: "mul" } as const;
defineScalar("FADD_FLOAT FSUB_FLOAT FMUL_FLOAT FDIV_FLOAT FNMUL_FLOAT", "ftype", (b, p, f, _v, name) => {
  const row = name.slice(0, name.indexOf("_")) as keyof typeof operations;
  const operation = operations[row];
  const [n, m] = [number(b, p, f.Rn), number(b, p, f.Rm)];
  const r = op2(p, operation, n, m);
  const exact = ((p === double ? doubles : singles)[operation] as Exactness)(n, m, r);
  // A sum that is tiny is exact.
  const common = operation === "add" || operation === "sub" ? finite(p, r) : normal(p, r);
  b.fast(quiet(b, common, and(finite(p, r), exact)), helperIndex(name), () => setFp(b, p, f.Rd, row === "FNMUL" ? op1(p, "neg", r) : r));
});
defineScalar("FSQRT_FLOAT", "ftype", (b, p, f, _v, name) => {
  const n = number(b, p, f.Rn);
  const value = op1(p, "sqrt", n);
  // The square of a root of a single is exact in double precision.
  const squared = p === double ? op2(double, "mul", value, value) : op2(double, "mul", promote(value), promote(value));
  const back = rel(double, "eq", squared, p === double ? n : promote(n));
  const exact = p === double ? and(short(value, value), back) : back;
  const ok = quiet(b, finite(p, value), and(finite(p, value), exact));
  b.fast(ok, helperIndex(name), () => setFp(b, p, f.Rd, value));
});
defineScalar("FMAX_FLOAT FMIN_FLOAT FMAXNM_FLOAT FMINNM_FLOAT", "ftype", (b, p, f, _v, name) => {
  const [n, m] = [number(b, p, f.Rn), number(b, p, f.Rm)];
  const ok = both(noFlush(b), isNumber(p, n), isNumber(p, m));
  b.fast(ok, helperIndex(name), () => setFp(b, p, f.Rd, op2(p, name.startsWith("FMAX") ? "max" : "min", n, m)));
});

// ---- moves and signs: no exceptions whatever the operand ----------------------------------------------------------------
const bitsOf = (b: Builder, p: Precision, r: Value) => b.lane(r, c32(0), p.lg);
const setBits = (b: Builder, p: Precision, r: Value, x: Value) => b.setV(r, p === double ? x : lo32(x), p.lg);
const signBit = (p: Precision) => (p === double ? c64(0, 1 << 31) : c64(1 << 31, 0));
defineScalar("FMOV_FLOAT", "ftype", (b, p, f) => setBits(b, p, f.Rd, bitsOf(b, p, f.Rn)));
defineScalar("FABS_FLOAT", "ftype", (b, p, f) => setBits(b, p, f.Rd, and(bitsOf(b, p, f.Rn), bin("xor", signBit(p), c64(-1)))));
defineScalar("FNEG_FLOAT", "ftype", (b, p, f) => setBits(b, p, f.Rd, bin("xor", bitsOf(b, p, f.Rn), signBit(p))));
defineScalar("FCSEL_FLOAT", "ftype cond", (b, p, f, v) =>
  setBits(b, p, f.Rd, select(b.cond(v.cond as number), bitsOf(b, p, f.Rn), bitsOf(b, p, f.Rm))),
);
/** VFPExpandImm: sign, NOT(b6) and copies of b6 for the exponent, fraction. */
defineScalar("FMOV_FLOAT_IMM", "ftype", (b, p, f) => {
  const imm = f.imm8;
  const bit = (n: number) => and(shru32(imm, n), c32(1));
  const copies = sub(c32(0), bit(6));
  const sign = shl(bit(7), c32(31));
  const rest = and(imm, c32(0x3f));
  if (p === double) {
    const high = or(or(sign, shl(bin("xor", bit(6), c32(1)), c32(30))), or(and(copies, c32(0x3fc0_0000)), shl(rest, c32(16))));
    b.setV(f.Rd, shl(zext(high), c64(32)), 3);
  } else {
    const word = or(or(sign, shl(bin("xor", bit(6), c32(1)), c32(30))), or(and(copies, c32(0x3e00_0000)), shl(rest, c32(19))));
    b.setV(f.Rd, word, 2);
  }
});
const shru32 = (a: Value, n: number) => bin("shru", a, c32(n));

/** FMOV between general and vector registers: opcode 6 to general, 7 to vector; rmode 1: the upper doubleword. */
define(
  "FMOV_FLOAT_GEN",
  "sf ftype rmode opcode",
  (b, f, v) => {
    b.requireFp(SysOp.FPTRAP);
    const lg = v.ftype === 0 ? 2 : v.ftype === 3 ? 1 : 3;
    const upper = v.rmode === 1 ? 1 : 0;
    if (v.opcode === 6) b.setX(f.Rd, b.lane(f.Rn, c32(upper), lg));
    else if (upper) b.setLane(f.Rd, c32(1), 3, b.x(f.Rn));
    else if (lg === 3) b.setV(f.Rd, b.x(f.Rn), 3);
    else b.setV(f.Rd, lg === 1 ? and(lo32(b.x(f.Rn)), c32(0xffff)) : lo32(b.x(f.Rn)), 2);
  },
  (v) => {
    const { sf, ftype, rmode, opcode } = v as Record<string, number>;
    if (opcode !== 6 && opcode !== 7) return false;
    if (rmode === 1) return sf === 1 && ftype === 2;
    return rmode === 0 && (ftype === 3 || (sf === 1 ? ftype === 1 : ftype === 0));
  },
);

// ---- comparisons -------------------------------------------------------------------------------------------------------
/** opc: 00 FCMP, 01 FCMP with zero, 10 FCMPE, 11 FCMPE with zero; the row fixes the upper bit. */
defineScalar("FCMP_FLOAT FCMPE_FLOAT", "ftype opc", (b, p, f, v, name) => {
  const n = number(b, p, f.Rn);
  const m = (v.opc as number) & 1 ? zero(p) : number(b, p, f.Rm);
  const ok = both(noFlush(b), isNumber(p, n), isNumber(p, m));
  b.fast(ok, helperIndex(name), () => b.setFlags({ kind: "canonical", values: compared(p, n, m) }));
});
/** N, Z, C, V of two numbers. */
function compared(p: Precision, n: Value, m: Value): readonly Value[] {
  const less = sext(sub(c32(0), rel(p, "lt", n, m)));
  return [less, zext(rel(p, "ne", n, m)), rel(p, "ge", n, m), c64(0)];
}
defineTranslated("FCCMP_FLOAT FCCMPE_FLOAT", (b, f, v, { name }) => {
  const p = precisionOf(v);
  if (!p) return false;
  const [n, m, nzcv] = [number(b, p, f.Rn), number(b, p, f.Rm), v.nzcv as number];
  const holds = b.cond(v.cond as number);
  const ok = or(eqz(holds), both(noFlush(b), isNumber(p, n), isNumber(p, m)));
  const otherwise = [c64(nzcv & 8 ? -1 : 0), c64(nzcv & 4 ? 0 : 1), c32((nzcv >> 1) & 1), c64(nzcv & 1 ? -1 : 0)];
  const values = compared(p, n, m).map((x, i) => select(holds, x, otherwise[i] as Value));
  b.fast(ok, helperIndex(name), () => b.setFlags({ kind: "canonical", values }));
  return true;
});
