// Scalar floating point on the host's arithmetic. The host rounds to nearest even; where FPCR asks for that, the result is a finite
// number, and no FPSR bit would change (the result is exact, or FPSR.IXC is set already), its result is the architected one.
// Everything else is left to the row's helper (isa/fp), which is also what the tests compare with.

import { Off } from "../../arch/layout.ts";
import type { Builder } from "../../ir/builder.ts";
import { and, bin, c32, c64, eqz, F32, F64, I32, I64, lo32, or, select, sext, shl, sub, type Value, wasm, zext } from "../../ir/value.ts";
import { SysOp } from "../sysops.ts";
import { define, type Fields, helperIndex, type Variants } from "./define.ts";

/** Smallest normal numbers: an inexact result above them cannot be tiny before rounding (underflow). */
const MIN_NORMAL: Record<"s" | "d", Value> = { s: c32(0x0080_0000), d: c64(0, 0x0010_0000) };
const FPSR_IXC = 0x10;
const FPCR_FZ = 1 << 24;
const FPCR_FZ_RMODE = FPCR_FZ | (3 << 22);

// ---- numbers ---------------------------------------------------------------------------------------------------------
/** Arithmetic of one precision: opcodes of Wasm. */
interface Precision {
  readonly name: "s" | "d";
  readonly type: typeof F32 | typeof F64;
  readonly lg: 2 | 3;
  readonly extract: number;
  /** Opcode of `add`; the others follow in the order add sub mul div min max. */
  readonly add: number;
  /** Opcode of `abs`; the others follow in the order abs neg ceil floor trunc nearest sqrt. */
  readonly abs: number;
  /** Opcode of `eq`; the others follow in the order eq ne lt gt le ge. */
  readonly eq: number;
  readonly fromBits: number;
}
const single: Precision = { name: "s", type: F32, lg: 2, extract: 0xfd1f, add: 0x92, abs: 0x8b, eq: 0x5b, fromBits: 0xbe };
const double: Precision = { name: "d", type: F64, lg: 3, extract: 0xfd21, add: 0xa0, abs: 0x99, eq: 0x61, fromBits: 0xbf };
const precisionOf = (v: Variants): Precision | undefined => [single, double][v.ftype as number];

const arithmetic = { add: 0, sub: 1, mul: 2, div: 3, min: 4, max: 5 } as const;
const unary = { abs: 0, neg: 1, ceil: 2, floor: 3, trunc: 4, nearest: 5, sqrt: 6 } as const;
const relations = { eq: 0, ne: 1, lt: 2, gt: 3, le: 4, ge: 5 } as const;
const op2 = (p: Precision, name: keyof typeof arithmetic, a: Value, b: Value) => wasm(p.add + arithmetic[name], p.type, a, b);
const op1 = (p: Precision, name: keyof typeof unary, a: Value) => wasm(p.abs + unary[name], p.type, a);
const rel = (p: Precision, name: keyof typeof relations, a: Value, b: Value) => wasm(p.eq + relations[name], I32, a, b);
const number = (b: Builder, p: Precision, r: Value) => wasm(p.extract, p.type, b.v(r));
const promote = (x: Value) => wasm(0xbb, F64, x);
const demote = (x: Value) => wasm(0xb6, F32, x);
const bits64 = (x: Value) => wasm(0xbd, I64, x);
const zero = (p: Precision) => wasm(p.fromBits, p.type, p === double ? c64(0) : c32(0));

const both = (...conditions: Value[]) => conditions.reduce((a, c) => and(a, c));
const fpcrClear = (b: Builder, mask: number) => eqz(and(b.state(Off.FPCR), c32(mask)));
const inexactKnown = (b: Builder) => bin("ne", and(b.state(Off.FPSR), c32(FPSR_IXC)), c32(0));
const finite = (p: Precision, r: Value) => rel(p, "eq", op2(p, "sub", r, r), zero(p));
const isNumber = (p: Precision, a: Value) => rel(p, "eq", a, a);
const aboveTiny = (p: Precision, r: Value) => rel(p, "gt", op1(p, "abs", r), wasm(p.fromBits, p.type, MIN_NORMAL[p.name]));
/** Both have at most 26 significant bits, so their product is exact in double precision. */
const short = (a: Value, b: Value) => eqz(and(lo32(or(bits64(a), bits64(b))), c32(0x7ff_ffff)));
/** Rounding error of s = a + b (Knuth's two-sum) is zero. */
function exactSum(a: Value, b: Value, s: Value): Value {
  const t = op2(double, "sub", s, a);
  const error = op2(double, "add", op2(double, "sub", a, op2(double, "sub", s, t)), op2(double, "sub", b, t));
  return rel(double, "eq", error, zero(double));
}

// ---- arithmetic ------------------------------------------------------------------------------------------------------
/** A result and the condition under which it is exact. `tiny`: an inexact result must be looked at for underflow. */
interface Result {
  readonly value: Value;
  readonly exact: Value;
  readonly tiny: boolean;
}
type Operation = (a: Value, b: Value) => Result;
const doubles: Record<string, Operation> = {
  FADD: (a, b) => {
    const value = op2(double, "add", a, b);
    return { value, exact: exactSum(a, b, value), tiny: false };
  },
  FSUB: (a, b) => {
    const value = op2(double, "sub", a, b);
    return { value, exact: exactSum(a, op1(double, "neg", b), value), tiny: false };
  },
  FMUL: (a, b) => {
    const value = op2(double, "mul", a, b);
    const none = or(rel(double, "eq", a, zero(double)), rel(double, "eq", b, zero(double)));
    return { value, exact: or(none, and(short(a, b), aboveTiny(double, value))), tiny: true };
  },
  FDIV: (a, b) => {
    const value = op2(double, "div", a, b);
    const exact = both(short(value, b), rel(double, "eq", op2(double, "mul", value, b), a), aboveTiny(double, value));
    return { value, exact: or(exact, rel(double, "eq", a, zero(double))), tiny: true };
  },
};
/** Double precision rounds sums, products and quotients of singles innocuously (53 >= 2 * 24 + 2). */
const wide: Record<string, (a: Value, b: Value, value: Value, r: Value) => Value> = {
  FADD: (a, b, value, r) => and(rel(double, "eq", promote(r), value), exactSum(a, b, value)),
  FSUB: (a, b, value, r) => and(rel(double, "eq", promote(r), value), exactSum(a, op1(double, "neg", b), value)),
  FMUL: (_a, _b, value, r) => rel(double, "eq", promote(r), value),
  FDIV: (a, b, value, r) => and(rel(double, "eq", promote(r), value), rel(double, "eq", op2(double, "mul", promote(r), b), a)),
};
const wideOps = { FADD: "add", FSUB: "sub", FMUL: "mul", FDIV: "div" } as const;
function singleResult(name: keyof typeof wideOps, a: Value, b: Value): Result {
  const [x, y] = [promote(a), promote(b)];
  const value = op2(double, wideOps[name], x, y);
  const r = demote(value);
  return { value: r, exact: (wide[name] as (typeof wide)[string])(x, y, value, r), tiny: true };
}
/** The condition that FPSR stays as it is. */
function quiet(b: Builder, p: Precision, r: Result): Value {
  const known = inexactKnown(b);
  return both(fpcrClear(b, FPCR_FZ_RMODE), finite(p, r.value), or(r.exact, r.tiny ? and(known, aboveTiny(p, r.value)) : known));
}

/** Defines a row whose half-precision form, and every case that `emit` does not cover, is the helper's. */
function defineScalar(
  rows: string,
  variants: string,
  emit: (b: Builder, p: Precision, f: Fields, v: Variants, name: string) => void,
): void {
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
const setFp = (b: Builder, p: Precision, r: Value, x: Value) => b.setV(r, x, p.lg);

defineScalar("FADD_FLOAT FSUB_FLOAT FMUL_FLOAT FDIV_FLOAT", "ftype", (b, p, f, _v, name) => {
  const op = name.slice(0, 4) as keyof typeof wideOps;
  const [n, m] = [number(b, p, f.Rn), number(b, p, f.Rm)];
  const r = p === double ? (doubles[op] as Operation)(n, m) : singleResult(op, n, m);
  b.fast(quiet(b, p, r), helperIndex(name), () => setFp(b, p, f.Rd, r.value));
});
defineScalar("FSQRT_FLOAT", "ftype", (b, p, f, _v, name) => {
  const n = number(b, p, f.Rn);
  const value = op1(p, "sqrt", n);
  // The square of a root of a single is exact in double precision.
  const squared = p === double ? op2(double, "mul", value, value) : op2(double, "mul", promote(value), promote(value));
  const back = rel(double, "eq", squared, p === double ? n : promote(n));
  const exact = p === double ? and(short(value, value), back) : back;
  b.fast(quiet(b, p, { value, exact, tiny: false }), helperIndex(name), () => setFp(b, p, f.Rd, value));
});
defineScalar("FMAX_FLOAT FMIN_FLOAT FMAXNM_FLOAT FMINNM_FLOAT", "ftype", (b, p, f, _v, name) => {
  const [n, m] = [number(b, p, f.Rn), number(b, p, f.Rm)];
  const ok = both(fpcrClear(b, FPCR_FZ), isNumber(p, n), isNumber(p, m));
  b.fast(ok, helperIndex(name), () => setFp(b, p, f.Rd, op2(p, name.startsWith("FMAX") ? "max" : "min", n, m)));
});
/** To integral, in floating-point format, without the Inexact exception. */
const roundings = { FRINTN: "nearest", FRINTP: "ceil", FRINTM: "floor", FRINTZ: "trunc" } as const;
defineScalar("FRINTN_FLOAT FRINTP_FLOAT FRINTM_FLOAT FRINTZ_FLOAT", "ftype", (b, p, f, _v, name) => {
  const n = number(b, p, f.Rn);
  const op = roundings[name.slice(0, 6) as keyof typeof roundings];
  b.fast(and(fpcrClear(b, FPCR_FZ), isNumber(p, n)), helperIndex(name), () => setFp(b, p, f.Rd, op1(p, op, n)));
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
  const ok = both(fpcrClear(b, FPCR_FZ), isNumber(p, n), isNumber(p, m));
  b.fast(ok, helperIndex(name), () => {
    const less = sext(sub(c32(0), rel(p, "lt", n, m)));
    b.setFlags({ kind: "canonical", values: [less, zext(rel(p, "ne", n, m)), rel(p, "ge", n, m), c64(0)] });
  });
});

// ---- conversions -------------------------------------------------------------------------------------------------------
/** [from i32 s, i32 u, i64 s, i64 u] */
const fromInteger = { s: [0xb2, 0xb3, 0xb4, 0xb5], d: [0xb7, 0xb8, 0xb9, 0xba] } as const;
defineScalar("SCVTF_FLOAT_INT UCVTF_FLOAT_INT", "sf ftype", (b, p, f, v, name) => {
  const isUnsigned = name.startsWith("U");
  const x = b.reg(f.Rn, v.sf);
  const value = wasm(fromInteger[p.name][v.sf * 2 + (isUnsigned ? 1 : 0)] as number, p.type, x);
  const y = v.sf ? x : isUnsigned ? zext(x) : sext(x);
  // Integers of as many bits as the significand are exact.
  const limit = p === double ? c64(0, 1 << 21) : c64(1 << 24);
  const exact = isUnsigned ? bin("leu", y, limit) : bin("leu", bin("add", y, limit), shl(limit, c64(1)));
  b.fast(and(fpcrClear(b, FPCR_FZ_RMODE), or(exact, inexactKnown(b))), helperIndex(name), () => setFp(b, p, f.Rd, value));
});
/** Saturating truncations [f32 to i32 s, u], [f64 ...], [f32 to i64 ...], [f64 ...]. */
const toInteger = { s: [0xfc00, 0xfc01, 0xfc04, 0xfc05], d: [0xfc02, 0xfc03, 0xfc06, 0xfc07] } as const;
/** High word of 2^n as a double. */
const power = (n: number) => wasm(0xbf, F64, c64(0, (1023 + n) << 20));
defineScalar("FCVTZS_FLOAT_INT FCVTZU_FLOAT_INT", "sf ftype", (b, p, f, v, name) => {
  const isUnsigned = name.startsWith("FCVTZU");
  const n = number(b, p, f.Rn);
  const value = wasm(toInteger[p.name][v.sf * 2 + (isUnsigned ? 1 : 0)] as number, v.sf ? I64 : I32, n);
  const d = p === double ? n : promote(n);
  const limit = power((v.sf ? 64 : 32) - (isUnsigned ? 0 : 1));
  const low = isUnsigned ? rel(double, "ge", d, zero(double)) : rel(double, "gt", d, op1(double, "neg", limit));
  const exact = rel(p, "eq", op1(p, "trunc", n), n);
  const ok = both(fpcrClear(b, FPCR_FZ), low, rel(double, "lt", d, limit), or(exact, inexactKnown(b)));
  b.fast(ok, helperIndex(name), () => b.setX(f.Rd, v.sf ? value : zext(value)));
});
/** Between single and double; opc gives the destination. */
defineScalar("FCVT_FLOAT", "ftype opc", (b, p, f, v, name) => {
  const n = number(b, p, f.Rn);
  if (p === single && v.opc === 1) {
    b.fast(and(fpcrClear(b, FPCR_FZ), isNumber(p, n)), helperIndex(name), () => setFp(b, double, f.Rd, promote(n)));
  } else if (p === double && v.opc === 0) {
    const value = demote(n);
    const exact = rel(double, "eq", promote(value), n);
    b.fast(quiet(b, single, { value, exact, tiny: true }), helperIndex(name), () => setFp(b, single, f.Rd, value));
  } else b.helper(helperIndex(name));
});
