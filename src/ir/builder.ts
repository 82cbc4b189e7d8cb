// The Builder: the vocabulary in which instruction semantics are written.
//
// Values are expressions (value.ts). Effects are an ordered list per instruction. Contract: every effect that can fault
// (load, store, atomic, system) stands before the register writes it must precede; the lowering performs register writes
// last, so an instruction either completes or changes nothing but memory that the architecture allows to be changed.

import { Off } from "../arch/layout.ts";
import type { SysOp } from "../isa/sysops.ts";
import { conditionOf, type Flags } from "./flags.ts";
import { add, and, c32, c64, call, Fn, I32, I64, isConst, lo32, Op, shru, V128, type ValType, Value, zext } from "./value.ts";

/** How a memory access differs from a plain one. */
export interface AccessOptions {
  /** LDTR/STTR: with the permissions of EL0. */
  readonly unprivileged?: boolean;
  /** Acquire or release: must not cross a 16-byte boundary when misaligned (FEAT_LSE2). */
  readonly ordered?: boolean;
  /** Exclusive: must be naturally aligned. */
  readonly exclusive?: boolean;
}

export type Effect =
  /** Loads `results.length` consecutive elements of 2^lg bytes; i64 results are zero- or sign-extended, v128 ones zero-extended. */
  | { e: "load"; va: Value; lg: number; signed: boolean; results: Value[]; o: AccessOptions }
  | { e: "store"; va: Value; lg: number; values: Value[]; o: AccessOptions }
  /** old = memory; memory = next(old), atomically. One or two elements. `store` (if given) is an i32 condition for the write. */
  | { e: "atomic"; va: Value; lg: number; results: Value[]; next: Value[] }
  /** Store-exclusive: stores when the monitor covers the address; status (i32) is 0 on success, 1 on failure. */
  | { e: "storex"; va: Value; lg: number; values: Value[]; status: Value; o: AccessOptions }
  /** Zeroes the aligned 64-byte block at va (DC ZVA). */
  | { e: "zva"; va: Value }
  /** Register index 31 discards, 32 is SP. */
  | { e: "setX"; r: Value; v: Value }
  /** Writes the low 2^lg bytes of V register r and zeroes the rest. */
  | { e: "setV"; r: Value; v: Value; lg: number }
  /** Writes one element of V register r and keeps the rest. */
  | { e: "setLane"; r: Value; index: Value; lg: number; v: Value }
  | { e: "setFlags"; f: Flags }
  | { e: "setState"; off: number; v: Value }
  /** Branch to PC + off bytes if cond. */
  | { e: "branch"; off: Value; cond: Value | undefined }
  /** Branch to an address. btype: PSTATE.BTYPE for the target instruction (i32). */
  | { e: "jump"; pc: Value; btype: Value | undefined }
  /** Pe.system(op); only when `cond` holds, if given. The instruction ends if it redirects. */
  | { e: "system"; op: SysOp; cond: Value | undefined; last: boolean }
  /** A Helper by table index. */
  | { e: "helper"; index: number }
  /** The register writes (setX, setV, setFlags in canonical form) if `ok`; otherwise the Helper does the whole instruction. */
  | { e: "fast"; ok: Value; index: number; writes: Effect[] };

export class Builder {
  readonly effects: Effect[] = [];
  /** The host multiplies and adds with one rounding (cpu/emit/fused.ts): f32x4.relaxed_madd and its like may be used. */
  readonly fused: boolean;
  readsFlags = false;
  setsFlags = false;

  constructor(fused = false) {
    this.fused = fused;
  }

  // ---- registers -------------------------------------------------------------------------------------------------
  /** X register as i64; index 31 reads zero. */
  x(r: Value): Value {
    if (isConst(r) && r.imm === 31) return c64(0);
    return new Value(Op.X, I64, isConst(r) ? undefined : r, undefined, undefined, r.imm);
  }
  /** X or W register. */
  reg(r: Value, sf: number): Value {
    return sf ? this.x(r) : lo32(this.x(r));
  }
  get sp(): Value {
    return this.x(c32(32));
  }
  /** Writes an X register, zero-extending 32-bit values. */
  setX(r: Value, v: Value): void {
    this.effects.push({ e: "setX", r, v: zext(v) });
  }
  v(r: Value): Value {
    return new Value(Op.V, V128, isConst(r) ? undefined : r, undefined, undefined, r.imm);
  }
  setV(r: Value, v: Value, lg = 4): void {
    this.effects.push({ e: "setV", r, v, lg });
  }
  /** Element `index` (i32) of 2^lg bytes of a V register, zero-extended to i64. */
  lane(r: Value, index: Value, lg: number): Value {
    return new Value(Op.Lane, I64, isConst(r) ? undefined : r, index, undefined, r.imm, lg);
  }
  setLane(r: Value, index: Value, lg: number, v: Value): void {
    this.effects.push({ e: "setLane", r, index, lg, v });
  }
  get pc(): Value {
    return new Value(Op.Pc, I64);
  }

  // ---- flags -----------------------------------------------------------------------------------------------------
  setFlags(f: Flags): void {
    this.setsFlags = true;
    this.effects.push({ e: "setFlags", f });
  }
  /** Condition code as i32 0/1. */
  cond(cond: number): Value {
    if (cond >= 14) return c32(1);
    this.readsFlags = true;
    return new Value(Op.Cond, I32, undefined, undefined, undefined, cond);
  }
  flag(component: 0 | 1 | 2 | 3): Value {
    this.readsFlags = true;
    return new Value(Op.Flag, component === 2 ? I32 : I64, undefined, undefined, undefined, component);
  }
  get carry(): Value {
    return this.flag(2);
  }

  // ---- memory ----------------------------------------------------------------------------------------------------
  load(va: Value, lg: number, o: AccessOptions & { signed?: boolean; type?: ValType } = {}): Value {
    return this.loadMany(va, lg, 1, o)[0] as Value;
  }
  loadMany(va: Value, lg: number, count: 1 | 2, o: AccessOptions & { signed?: boolean; type?: ValType } = {}): Value[] {
    const results = Array.from({ length: count }, () => new Value(Op.Result, o.type ?? I64));
    this.effects.push({ e: "load", va, lg, signed: o.signed ?? false, results, o });
    return results;
  }
  store(va: Value, lg: number, values: Value[], o: AccessOptions = {}): void {
    this.effects.push({ e: "store", va, lg, values, o });
  }
  /** Atomic read-modify-write; returns the old elements. */
  atomic(va: Value, lg: number, count: 1 | 2, next: (old: Value[]) => Value[]): Value[] {
    const results = Array.from({ length: count }, () => new Value(Op.Result, I64));
    this.effects.push({ e: "atomic", va, lg, results, next: next(results) });
    return results;
  }
  storeExclusive(va: Value, lg: number, values: Value[], o: AccessOptions = {}): Value {
    const status = new Value(Op.Result, I32);
    this.effects.push({ e: "storex", va, lg, values, status, o: { ...o, exclusive: true } });
    return status;
  }
  zeroBlock(va: Value): void {
    this.effects.push({ e: "zva", va });
  }

  // ---- control ---------------------------------------------------------------------------------------------------
  branch(off: Value, cond?: Value): void {
    this.effects.push({ e: "branch", off, cond });
  }
  jump(pc: Value, btype?: Value): void {
    this.effects.push({ e: "jump", pc, btype });
  }
  /** Ends the instruction in Pe.system. */
  system(op: SysOp): void {
    this.effects.push({ e: "system", op, cond: undefined, last: true });
  }
  /** Pe.system when `cond` (i32) is nonzero, before anything else happens. */
  systemIf(op: SysOp, cond: Value): void {
    this.effects.push({ e: "system", op, cond, last: false });
  }
  setState(off: number, v: Value): void {
    this.effects.push({ e: "setState", off, v });
  }
  state(off: number, type: ValType = I32): Value {
    return new Value(Op.State, type, undefined, undefined, undefined, off);
  }
  helper(index: number): void {
    this.effects.push({ e: "helper", index });
  }
  /** What `writes` adds happens if `ok`; otherwise the Helper does the whole instruction. */
  fast(ok: Value, index: number, writes: () => void): void {
    const first = this.effects.length;
    writes();
    this.effects.push({ e: "fast", ok, index, writes: this.effects.splice(first) });
  }

  // ---- shared pieces ---------------------------------------------------------------------------------------------
  /** Decoded logical immediate. */
  bitmask(n: Value): Value {
    return new Value(Op.BitMask, I64, n);
  }
  /**
   * Pointer authentication code of `pointer` (all 64 bits; the caller masks). `enable`: bit of Off.PAUTH without which the code is not
   * used, and may be anything; 0: it is always used.
   */
  pac(pointer: Value, modifier: Value, key: Value, enable = 0): Value {
    return call(Fn.Pac, I64, pointer, modifier, key, enable);
  }
  /** Evaluates a condition over flags built in this instruction. */
  condOf(f: Flags, cond: number): Value {
    return conditionOf(f, cond);
  }
  bit(v: Value, n: number): Value {
    return and(shru(v, c32(n)), c32(1));
  }
  nextPc(): Value {
    return add(this.pc, c64(4));
  }
  /** Raises the FP/SIMD access trap when it is configured (CPACR_EL1.FPEN and friends). */
  requireFp(op: SysOp): void {
    this.systemIf(op, this.state(Off.FPTRAP));
  }
}
