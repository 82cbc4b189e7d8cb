// Emits Wasm for values: bytes, locals, and expressions over the PE block. Locals 0, 1, 2 of a handler are the PE block's
// address, the predecoded entry (ip) and the instruction word.

import { BITMASKS, Off } from "../../arch/layout.ts";
import { canonical, conditionOf, type Flags } from "../../ir/flags.ts";
import { Fn, I32, I64, Op, state, type ValType, type Value } from "../../ir/value.ts";
import { Exc, Fpcr } from "../../isa/fp/env.ts";
import { Bytes } from "../../wasm/bytes.ts";
import type { Func, Hint } from "../../wasm/module.ts";
import { W } from "./opcodes.ts";
import type { RuntimeFn } from "./runtime-abi.ts";

export const PE = 0;
export const IP = 1;
export const INSN = 2;

/** The flags as they stand in the PE block. */
export const flagsInMemory = (): Flags => ({
  kind: "canonical",
  values: [state(Off.NF, I64), state(Off.ZF, I64), state(Off.CF, I32), state(Off.VF, I64)],
});
/** Where the four flag components live. */
export const flagSlots = [Off.NF, Off.ZF, Off.CF, Off.VF] as const;

/** Load of 2^lg bytes into an i64. */
export const loadOp = (lg: number, signed: boolean) =>
  (
    [
      [0x31, 0x30],
      [0x33, 0x32],
      [0x35, 0x34],
      [0x29, 0x29],
    ][lg] as number[]
  )[signed ? 1 : 0] as number;

const SPLATS: readonly number[] = [0xfd0f, 0xfd10, 0xfd11, 0xfd12];
const [F32_FROM_BITS, F64_FROM_BITS, F32_LANE, F64_LANE] = [0xbe, 0xbf, 0xfd1f, 0xfd21];

export class Emitter {
  readonly out: Bytes;
  readonly locals: ValType[] = [];
  readonly hints: Hint[] = [];
  private readonly params: number;
  private readonly runtime: (fn: RuntimeFn) => number;

  /** `runtime` gives the function index of a runtime function in the module being built. `out`: where the code goes. */
  constructor(runtime: (fn: RuntimeFn) => number, params = 3, out = new Bytes()) {
    this.out = out;
    this.runtime = runtime;
    this.params = params;
  }
  func(type: number): Func {
    return { type, locals: this.locals, code: this.out, hints: this.hints };
  }

  // ---- emission helpers ------------------------------------------------------------------------------------------
  /** Opcodes one after the other. Not a list: translations emit too many of them to make one each time. */
  op(a: number, b?: number, c?: number, d?: number, e?: number, f?: number): void {
    this.opcode(a);
    if (b !== undefined) this.opcode(b);
    if (c !== undefined) this.opcode(c);
    if (d !== undefined) this.opcode(d);
    if (e !== undefined) this.opcode(e);
    if (f !== undefined) this.opcode(f);
  }
  protected opcode(o: number): void {
    if (o < 256) {
      this.out.u8(o);
      return;
    }
    // A prefix and a number behind it, of 8 bits, or of 12.
    const bits = o > 0xffff ? 12 : 8;
    this.out.u8(o >> bits);
    this.out.uleb(o & (2 ** bits - 1));
  }
  get(local: number): void {
    this.out.u8(0x20);
    this.out.uleb(local);
  }
  set(local: number): void {
    this.out.u8(0x21);
    this.out.uleb(local);
  }
  tee(local: number): void {
    this.out.u8(0x22);
    this.out.uleb(local);
  }
  i32(k: number): void {
    this.out.u8(0x41);
    this.out.sleb(k);
  }
  i64(lo: number, hi = lo >> 31): void {
    this.out.u8(0x42);
    this.out.sleb64(lo, hi);
  }
  mem(op: number, offset: number): void {
    this.op(op);
    this.out.uleb(0);
    this.out.uleb(offset);
  }
  call(fn: RuntimeFn, op: number = W.call): void {
    this.out.u8(op);
    this.out.uleb(this.runtime(fn));
  }
  block(op: number, type = 0x40): void {
    this.out.u8(op);
    this.out.u8(type);
  }
  /** Foretells the condition of the `if` or `br_if` that is emitted next: the host keeps what is rare out of the way. */
  expect(likely: boolean): void {
    this.hints.push({ at: this.out.length, likely });
  }
  br(depth: number, op: number = W.br): void {
    this.out.u8(op);
    this.out.uleb(depth);
  }
  local(type: ValType): number {
    this.locals.push(type);
    return this.params + this.locals.length - 1;
  }
  loadState(off: number, op: number = W.i32Load): void {
    this.get(PE);
    this.mem(op, off);
  }
  /** Returns `code` from the handler when the value on the stack is nonzero. */
  protected returnIf(code: number): void {
    this.expect(false);
    this.block(W.if);
    this.i32(code);
    this.op(W.return, W.end);
  }

  /** The flags before the instruction. */
  protected flags(): Flags {
    return flagsInMemory();
  }

  // ---- values ----------------------------------------------------------------------------------------------------
  protected count(n: Value): void {
    if (n.uses++ > 0) return;
    if (n.a) this.count(n.a);
    if (n.b) this.count(n.b);
    if (n.c) this.count(n.c);
  }
  /** Byte offset of register `index` of 2^lg bytes per register, added to the PE address on the stack. */
  protected registerAddress(n: Value | undefined, imm: number, lg: number): number {
    this.get(PE);
    if (!n) return imm << lg;
    if (n.op === Op.Field && n.high === 5) {
      this.get(INSN);
      const shift = n.imm - lg;
      if (shift !== 0) {
        this.i32(Math.abs(shift));
        this.op(shift > 0 ? W.i32ShrU : W.i32Shl);
      }
      this.i32(31 << lg);
      this.op(W.i32And);
    } else {
      this.value(n);
      this.i32(lg);
      this.op(W.i32Shl);
    }
    this.op(W.i32Add);
    return 0;
  }
  protected laneAddress(n: Value): number {
    const at = this.registerAddress(n.a, n.imm, 4);
    this.value(n.b as Value);
    if (n.high) {
      this.i32(n.high);
      this.op(W.i32Shl);
    }
    this.op(W.i32Add);
    return Off.V + at;
  }
  /** Leaves the value on the stack. Values used more than once are kept in a local. */
  value(n: Value): void {
    if (n.local >= 0) {
      this.get(n.local);
      return;
    }
    this.compute(n);
    if (n.uses > 1 && n.op !== Op.Const && n.op !== Op.Local) {
      n.local = this.local(n.type);
      this.tee(n.local);
    }
  }
  protected compute(n: Value): void {
    switch (n.op) {
      case Op.Const:
        if (n.type === I64) this.i64(n.imm, n.high);
        else this.i32(n.imm);
        return;
      case Op.Local:
        this.get(n.imm);
        return;
      case Op.Field:
        this.get(INSN);
        if (n.imm) {
          this.i32(n.imm);
          this.op(W.i32ShrU);
        }
        if (n.imm + n.high < 32) {
          this.i32(2 ** n.high - 1);
          this.op(W.i32And);
        }
        return;
      case Op.X: {
        const at = this.registerAddress(n.a, n.imm, 3);
        this.mem(W.i64Load, Off.X + at);
        return;
      }
      case Op.V: {
        const at = this.registerAddress(n.a, n.imm, 4);
        this.mem(W.v128Load, Off.V + at);
        return;
      }
      case Op.Lane: {
        const at = this.laneAddress(n);
        this.mem(loadOp(n.high, false), at);
        return;
      }
      case Op.State:
        this.loadState(n.imm, n.type === I64 ? W.i64Load : W.i32Load);
        return;
      case Op.Cond:
        this.fresh(conditionOf(this.flags(), n.imm));
        return;
      case Op.Flag:
        this.fresh(canonical(this.flags())[n.imm] as Value);
        return;
      case Op.Pc:
        this.loadState(Off.PCBASE, W.i64Load);
        this.get(IP);
        this.i32(1);
        this.op(W.i32ShrU, W.extendU, W.i64Add);
        return;
      case Op.BitMask:
        this.value(n.a as Value);
        this.i32(3);
        this.op(W.i32Shl);
        this.mem(W.i64Load, BITMASKS);
        return;
      case Op.VZero:
        this.zeroVector();
        return;
      case Op.Shuffle:
        this.value(n.a as Value);
        this.value(n.b as Value);
        this.op(0xfd0d);
        this.out.bytes(n.bytes as number[]);
        return;
      case Op.Call:
        if (n.imm === Fn.Pac) {
          this.pac(n);
          return;
        }
        for (const x of [n.a, n.b, n.c]) if (x) this.value(x);
        this.call("crc32");
        return;
      case Op.RoundsPlainly:
        this.roundsPlainly();
        return;
      case Op.OrElse:
        this.orElse(n.a as Value, n.b as Value);
        return;
      case Op.Result:
        throw new Error("ir: result used before its effect");
    }
    if (this.direct(n)) return;
    for (const x of [n.a, n.b, n.c]) if (x) this.value(x);
    this.op(n.op);
    if (n.op >= 0xfd15 && n.op <= 0xfd22) this.out.u8(n.imm);
  }
  protected zeroVector(): void {
    this.op(0xfd0c);
    this.out.bytes(new Uint8Array(16));
  }
  /** FPCR.RMode and FZ are 0 and FPSR.IXC is 1, as i32 on the stack. */
  roundsPlainly(): void {
    this.loadState(Off.FPCR);
    this.i32(Fpcr.FZ | Fpcr.RMODE);
    this.op(W.i32And);
    this.loadState(Off.FPSR);
    this.i32(Exc.IXC);
    this.op(W.i32And);
    this.i32(Exc.IXC);
    this.op(W.i32Xor, W.i32Or, W.i32Eqz);
  }
  /** `b` is computed only if `a` is 0, except for what is used elsewhere too: that is computed before. */
  private orElse(a: Value, b: Value): void {
    this.value(a);
    const inside = new Map<Value, number>();
    const visit = (n: Value): void => {
      const seen = inside.get(n) ?? 0;
      inside.set(n, seen + 1);
      if (seen === 0) for (const x of [n.a, n.b, n.c]) if (x) visit(x);
    };
    visit(b);
    const pin = (n: Value): void => {
      if (n.local >= 0 || n.op === Op.Const || n.op === Op.Local) return;
      if (n.uses > (inside.get(n) as number)) {
        this.value(n);
        this.op(W.drop);
      } else for (const x of [n.a, n.b, n.c]) if (x) pin(x);
    };
    pin(b);
    this.expect(true);
    this.block(W.if, I32);
    this.i32(1);
    this.op(W.else);
    this.value(b);
    this.op(W.end);
  }
  /** Constants of floating point; elements of V registers that need not be taken out of a vector, or go from memory into every lane. */
  private direct(n: Value): boolean {
    const a = n.a as Value;
    if ((n.op === F32_FROM_BITS || n.op === F64_FROM_BITS) && a.op === Op.Const) {
      this.op(n.op === F32_FROM_BITS ? W.f32Const : W.f64Const);
      this.out.bytes(new Uint8Array(Int32Array.of(a.imm, a.high).buffer, 0, n.op === F32_FROM_BITS ? 4 : 8));
      return true;
    }
    const splat = SPLATS.indexOf(n.op);
    if (splat >= 0) {
      const lane = splat < 3 && a.op === W.wrap && a.uses <= 1 ? (a.a as Value) : a;
      if (lane.op !== Op.Lane || lane.high !== splat || lane.uses > 1) return false;
      const at = this.laneAddress(lane);
      this.mem(W.v128Load8Splat + splat, at);
      return true;
    }
    if ((n.op !== F32_LANE && n.op !== F64_LANE) || a.op !== Op.V || a.uses > 1) return false;
    const at = this.registerAddress(a.a, a.imm, 4);
    this.mem(n.op === F32_LANE ? W.f32Load : W.f64Load, Off.V + at + (n.imm << (n.op === F32_LANE ? 2 : 3)));
    return true;
  }
  /** An authentication code with a key that is disabled is not used by anything: it need not be computed. */
  private pac(n: Value): void {
    const pointer = this.toLocal(n.a as Value);
    const modifier = this.toLocal(n.b as Value);
    if (n.high === 0) {
      this.pacOf(pointer, modifier, n.c as Value);
      return;
    }
    this.loadState(Off.PAUTH);
    this.i32(n.high);
    this.op(W.i32And);
    this.block(W.if, I64);
    this.pacOf(pointer, modifier, n.c as Value);
    this.op(W.else);
    this.i64(0);
    this.op(W.end);
  }
  /** The code of a pointer and a modifier in locals, under the key at an offset of the PE block, on the stack. */
  protected pacOf(pointer: number, modifier: number, key: Value): void {
    for (const local of [PE, pointer, modifier]) this.get(local);
    this.value(key);
    this.call("pac");
  }
  protected fresh(n: Value): void {
    this.count(n);
    this.value(n);
  }
  /** Evaluates into a new local. */
  protected toLocal(n: Value): number {
    if (n.local >= 0) return n.local;
    this.value(n);
    const l = this.local(n.type);
    this.set(l);
    return l;
  }
}
