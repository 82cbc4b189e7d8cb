// Values: pure expressions over registers, instruction fields and constants.
//
// Checklist for a new operation: give it a name and opcode here, its types in `bin`/`un` or as a function of its own,
// and a folding rule if both executors profit. Where an operation is one Wasm instruction its number is that opcode
// (0xfdNN: SIMD, 0xfd1NN: relaxed SIMD), so lowering is a table walk.

import { F32, F64, I32, I64, V128, type ValType } from "../wasm/module.ts";

export { F32, F64, I32, I64, V128, type ValType };

/** Operations that are not one Wasm instruction. */
export const Op = {
  /** Constant: imm (low 32 bits), high. */
  Const: 0x10000,
  /** Bits [imm+high-1 : imm] of the instruction word, as i32. In the interpreter, and in shapes (cpu/jit/shape.ts). */
  Field: 0x10001,
  /** X register: a = index value, or imm. Index 31 reads zero, 32 is SP. i64. */
  X: 0x10002,
  /** V register: a = index value, or imm. v128. */
  V: 0x10003,
  /** Result of a load, read-modify-write or store-exclusive effect. */
  Result: 0x10004,
  /** A Wasm local (lowering only). */
  Local: 0x10005,
  /** Condition imm (0..15) on NZCV, i32 0/1. */
  Cond: 0x10006,
  /** Component imm of the canonical flags: 0 N, 1 Z, 2 C, 3 V. */
  Flag: 0x10007,
  /** Address of this instruction. i64. */
  Pc: 0x10008,
  /** Decoded logical immediate of the 13-bit N:immr:imms in a. i64. */
  BitMask: 0x10009,
  /** Field of the PE block at byte offset imm. */
  State: 0x1000a,
  /** One element of V register a/imm: index b, size 2^high bytes, zero-extended to i64. */
  Lane: 0x1000b,
  /** i8x16.shuffle of a and b by the byte list `bytes`. */
  Shuffle: 0x1000c,
  /** v128 zero. */
  VZero: 0x1000d,
  /** Internal function imm (see Fn) of a, b, c. Fn.Pac: high is the bit of Off.PAUTH that enables the key, or 0. */
  Call: 0x1000e,
  /** i32 1 if a (i32) is not zero; otherwise b, an i32 0 or 1, which may be left alone until then. */
  OrElse: 0x1000f,
  /**
   * i32 1 if FPCR asks for rounding to nearest without flushing (RMode and FZ are 0), and FPSR.IXC is set: an inexact result then changes
   * nothing in FPSR. An instruction that asks for it does not write FPCR.
   */
  RoundsPlainly: 0x10010,
} as const;

/** Functions of the runtime module that expressions may call; signatures in cpu/interp/runtime.ts. */
export const Fn = {
  /** (pointer i64, modifier i64, key i32) -> i64: the authentication code, all 64 bits. */
  Pac: 0,
  /** (accumulator i32, value i64, bytes | castagnoli << 8 i32) -> i32. */
  Crc32: 1,
} as const;

export class Value {
  readonly op: number;
  readonly type: ValType;
  readonly a: Value | undefined;
  readonly b: Value | undefined;
  readonly c: Value | undefined;
  readonly imm: number;
  readonly high: number;
  bytes: readonly number[] | undefined;
  /** Scratch of the lowering: number of uses, and the local that holds the value. */
  uses = 0;
  local = -1;

  constructor(op: number, type: ValType, a?: Value, b?: Value, c?: Value, imm = 0, high = 0) {
    this.op = op;
    this.type = type;
    this.a = a;
    this.b = b;
    this.c = c;
    this.imm = imm;
    this.high = high;
  }
}

/** Binary integer operations: Wasm opcodes for i32 and i64. */
const binaryOps = {
  add: [0x6a, 0x7c],
  sub: [0x6b, 0x7d],
  mul: [0x6c, 0x7e],
  divs: [0x6d, 0x7f],
  divu: [0x6e, 0x80],
  and: [0x71, 0x83],
  or: [0x72, 0x84],
  xor: [0x73, 0x85],
  shl: [0x74, 0x86],
  shrs: [0x75, 0x87],
  shru: [0x76, 0x88],
  rotr: [0x78, 0x8a],
  eq: [0x46, 0x51],
  ne: [0x47, 0x52],
  lts: [0x48, 0x53],
  ltu: [0x49, 0x54],
  gts: [0x4a, 0x55],
  gtu: [0x4b, 0x56],
  les: [0x4c, 0x57],
  leu: [0x4d, 0x58],
  ges: [0x4e, 0x59],
  geu: [0x4f, 0x5a],
} as const;
export type BinaryOp = keyof typeof binaryOps;

const isCompare = (op: number) => (op >= 0x45 && op <= 0x5a) === true;

export const isConst = (n: Value) => n.op === Op.Const;
const isZero = (n: Value) => n.op === Op.Const && n.imm === 0 && n.high === 0;
const isAllOnes = (n: Value) => n.op === Op.Const && n.imm === -1 && (n.type === I32 || n.high === -1);
const toBig = (n: Value) => (BigInt(n.high) << 32n) | BigInt(n.imm >>> 0);
const fromBig = (v: bigint) => c64(Number(BigInt.asIntN(32, v)), Number(BigInt.asIntN(32, v >> 32n)));

export const c32 = (k: number) => new Value(Op.Const, I32, undefined, undefined, undefined, k | 0);
/** 64-bit constant; one argument: sign-extended from 32 bits. */
export const c64 = (lo: number, hi = lo >> 31) => new Value(Op.Const, I64, undefined, undefined, undefined, lo | 0, hi | 0);
export const constant = (type: ValType, k: number) => (type === I64 ? c64(k) : c32(k));

const fold32: Partial<Record<BinaryOp, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: Math.imul,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << (b & 31),
  shrs: (a, b) => a >> (b & 31),
  shru: (a, b) => a >>> (b & 31),
  eq: (a, b) => (a === b ? 1 : 0),
  ne: (a, b) => (a !== b ? 1 : 0),
};
const fold64: Partial<Record<BinaryOp, (a: bigint, b: bigint) => bigint>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << (b & 63n),
  shrs: (a, b) => a >> (b & 63n),
  shru: (a, b) => BigInt.asUintN(64, a) >> (b & 63n),
};
const identityRight = new Set<BinaryOp>(["add", "sub", "or", "xor", "shl", "shru", "shrs", "rotr"]);
const identityLeft = new Set<BinaryOp>(["add", "or", "xor"]);

/** a <name> b; both of the same integer type. Comparisons give i32 0/1. Shift counts are modulo the width. */
export function bin(name: BinaryOp, a: Value, b: Value): Value {
  if (a.type !== b.type) throw new Error(`ir: ${name} of different types`);
  const wide = a.type === I64;
  const op = binaryOps[name][wide ? 1 : 0];
  if (isConst(a) && isConst(b)) {
    const f32 = fold32[name];
    const f64 = fold64[name];
    if (!wide && f32) return c32(f32(a.imm, b.imm));
    if (wide && f64) return fromBig(f64(toBig(a), toBig(b)));
  }
  if (isZero(b) && identityRight.has(name)) return a;
  if (isZero(a) && identityLeft.has(name)) return b;
  if ((name === "and" || name === "mul") && (isZero(a) || isZero(b))) return isZero(a) ? a : b;
  if (name === "and" && isAllOnes(b)) return a;
  return new Value(op, isCompare(op) ? I32 : a.type, a, b);
}

/** A Wasm instruction of one operand. */
export function un(op: number, type: ValType, a: Value): Value {
  if (isConst(a)) {
    if (op === 0xa7) return c32(a.imm);
    if (op === 0xac) return c64(a.imm);
    if (op === 0xad) return c64(a.imm, 0);
    if (op === 0x45) return c32(a.imm === 0 ? 1 : 0);
    if (op === 0x50) return c32(isZero(a) ? 1 : 0);
  }
  if (op === 0xa7 && (a.op === 0xad || a.op === 0xac)) return a.a as Value;
  return new Value(op, type, a);
}
/** Any Wasm instruction by opcode (floating point, SIMD); imm is its lane immediate. */
export const wasm = (op: number, type: ValType, a?: Value, b?: Value, c?: Value, imm = 0) => new Value(op, type, a, b, c, imm);

export const add = (a: Value, b: Value) => bin("add", a, b);
export const sub = (a: Value, b: Value) => bin("sub", a, b);
export const mul = (a: Value, b: Value) => bin("mul", a, b);
export const and = (a: Value, b: Value) => bin("and", a, b);
export const or = (a: Value, b: Value) => bin("or", a, b);
export const xor = (a: Value, b: Value) => bin("xor", a, b);
export const shl = (a: Value, b: Value) => bin("shl", a, b);
export const shru = (a: Value, b: Value) => bin("shru", a, b);
export const shrs = (a: Value, b: Value) => bin("shrs", a, b);
export const not = (a: Value) => bin("xor", a, constant(a.type, -1));
export const neg = (a: Value) => bin("sub", constant(a.type, 0), a);
export const eqz = (a: Value) => un(a.type === I64 ? 0x50 : 0x45, I32, a);
export const clz = (a: Value) => un(a.type === I64 ? 0x79 : 0x67, a.type, a);
/** Low 32 bits. */
export const lo32 = (a: Value) => (a.type === I32 ? a : un(0xa7, I32, a));
/** Zero- and sign-extension to 64 bits (an i64 stays as it is). */
export const zext = (a: Value) => (a.type === I64 ? a : un(0xad, I64, a));
export const sext = (a: Value) => (a.type === I64 ? a : un(0xac, I64, a));
/** condition ? a : b, without branching. */
export const select = (condition: Value, a: Value, b: Value) => {
  if (isConst(condition)) return condition.imm ? a : b;
  return new Value(0x1b, a.type, a, b, condition);
};
/** condition || rare: for a `rare` that costs much. */
export const orElse = (condition: Value, rare: Value) => new Value(Op.OrElse, I32, condition, rare);
export const roundsPlainly = () => new Value(Op.RoundsPlainly, I32);
/** Sign-extends the low `width` bits of an i32 field. */
export const signed = (n: Value, width: number) => shrs(shl(n, c32(32 - width)), c32(32 - width));
export const call = (fn: number, type: ValType, a?: Value, b?: Value, c?: Value, high = 0) => new Value(Op.Call, type, a, b, c, fn, high);
export const state = (off: number, type: ValType = I32) => new Value(Op.State, type, undefined, undefined, undefined, off);
export const vzero = () => new Value(Op.VZero, V128);
export function shuffle(a: Value, b: Value, bytes: readonly number[]): Value {
  const v = new Value(Op.Shuffle, V128, a, b);
  v.bytes = bytes;
  return v;
}
