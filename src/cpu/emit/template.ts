// Templates: the Wasm of the effects of an instruction, lowered once, with holes for what differs from one place to another: locals,
// register numbers that are fields of the word, the form of the flags, and memory accesses.

import type { Effect } from "../../ir/builder.ts";
import { canonical, conditionOf, type Flags } from "../../ir/flags.ts";
import { I32, Op, type ValType, Value } from "../../ir/value.ts";
import { bitmaskImmediate } from "../../isa/bitmask.ts";
import { Bytes } from "../../wasm/bytes.ts";
import { flagSlots, flagsInMemory, PE } from "./emitter.ts";
import { Lowering } from "./lower.ts";
import { W } from "./opcodes.ts";
import { authenticationCode } from "./pac.ts";
import { type RuntimeFn, runtimeFuncs } from "./runtime-abi.ts";
import { FIELD, FIRST, Step, type Template } from "./steps.ts";
import { tidy } from "./tidy.ts";

/** Bytes of code become steps. */
class Steps extends Bytes {
  readonly list: number[] = [];
  override u8(value: number): void {
    this.list.push(value);
  }
  override bytes(data: ArrayLike<number>): void {
    for (let i = 0; i < data.length; i++) this.list.push(data[i] as number);
  }
  step(kind: number, number = 0, low = 0): void {
    this.list.push((number << 16) | (kind << 8) | low);
  }
}

/** Locals that keep the flags, in the vocabulary of a template. */
const KEPT = 1 << 16;
/** What a field of the word adds to the offset of a V register, times its place plus one. */
const PLACE = 2 ** 24;

/** Forgets what an earlier lowering has noted in the values of these effects. */
function clear(n: Value | undefined): void {
  if (!n || (n.uses === 0 && n.local < 0)) return;
  n.uses = 0;
  n.local = -1;
  clear(n.a);
  clear(n.b);
  clear(n.c);
}
function clearEffect(e: Effect): void {
  for (const part of Object.values(e) as unknown[]) {
    if (part instanceof Value) clear(part);
    else if (Array.isArray(part)) for (const x of part) x instanceof Value ? clear(x) : clearEffect(x as Effect);
  }
  if (e.e === "setFlags") for (const n of e.f.values) clear(n);
}

/** The template of the effects of an instruction. Fields of the word that remain in them are registers. */
export function effectsTemplate(effects: readonly Effect[]): Template {
  for (const e of effects) clearEffect(e);
  const r = new Recorder();
  return r.template(r.instruction(effects));
}

/** The flags as their form keeps them: operands and result, the result alone, or the four components; or in the PE block. */
const keptFlags = (kind: Flags["kind"] | "memory", types: readonly ValType[]): Flags =>
  kind === "memory"
    ? flagsInMemory()
    : { kind, values: types.map((type, i) => new Value(Op.Local, type, undefined, undefined, undefined, KEPT + i)) };

/** Templates of what reads flags that are kept in one form. */
export class FlagTemplates {
  private readonly kind: Flags["kind"] | "memory";
  private readonly types: readonly ValType[];
  private readonly conditions: Template[] = [];
  private readonly components: Template[] = [];
  private stored: Template | undefined;
  private converted: Template | undefined;

  constructor(kind: Flags["kind"] | "memory", types: readonly ValType[]) {
    this.kind = kind;
    this.types = types;
  }
  private record(act: (r: Recorder, flags: Flags) => void): Template {
    const r = new Recorder();
    act(r, keptFlags(this.kind, this.types));
    return r.template();
  }
  /** Condition code `cond`, an i32, on the stack. */
  condition(cond: number): Template {
    this.conditions[cond] ??= this.record((r, flags) => r.push(conditionOf(flags, cond)));
    return this.conditions[cond];
  }
  /** A component of the canonical form, on the stack. */
  component(n: number): Template {
    this.components[n] ??= this.record((r, flags) => r.push(canonical(flags)[n] as Value));
    return this.components[n];
  }
  /** The components of the canonical form, on the stack. */
  get canonical(): Template {
    this.converted ??= this.record((r, flags) => r.push(...canonical(flags)));
    return this.converted;
  }
  /** Stores the flags in the PE block. */
  get store(): Template {
    this.stored ??= this.record((r, flags) => r.storeFlags(canonical(flags)));
    return this.stored;
  }
}

/** Records what lowering emits. General registers and flags are the business of whoever plays the template. */
class Recorder extends Lowering {
  private readonly steps: Steps;

  constructor() {
    const steps = new Steps();
    super(() => 0, FIRST, steps);
    this.steps = steps;
  }
  template(last?: Effect): Template {
    return tidy({ steps: this.steps.list, temporaries: this.locals.length, last, stacked: false });
  }

  // ---- locals and structure ----------------------------------------------------------------------------------------
  override local(type: ValType): number {
    const local = super.local(type);
    this.steps.step(Step.NEW, local - FIRST, type);
    return local;
  }
  private place(kind: number, local: number): boolean {
    if (local < FIRST) return false;
    this.steps.step(kind, local - FIRST);
    return true;
  }
  override get(local: number): void {
    if (local >= KEPT) this.steps.step(Step.FLAG, local - KEPT);
    else if (!this.place(Step.GET, local)) super.get(local);
  }
  override set(local: number): void {
    if (!this.place(Step.SET, local)) super.set(local);
  }
  override tee(local: number): void {
    if (!this.place(Step.TEE, local)) super.tee(local);
  }
  override block(op: number, type = 0x40): void {
    this.steps.step(Step.BLOCK, type, op);
  }
  protected override opcode(o: number): void {
    if (o === W.end) this.steps.step(Step.END);
    else super.opcode(o);
  }
  protected override zeroVector(): void {
    this.steps.step(Step.ZERO);
  }
  override call(fn: RuntimeFn, op: number = W.call): void {
    this.steps.step(Step.CALL, runtimeFuncs.indexOf(fn as (typeof runtimeFuncs)[number]), op);
  }
  override expect(likely: boolean): void {
    this.steps.step(Step.EXPECT, likely ? 1 : 0);
  }

  // ---- registers ---------------------------------------------------------------------------------------------------
  protected override registerAddress(n: Value | undefined, imm: number, lg: number): number {
    if (n?.op !== Op.Field) return super.registerAddress(n, imm, lg);
    this.get(PE);
    return PLACE * (n.imm + 1);
  }
  override mem(op: number, offset: number): void {
    if (offset < PLACE) {
      super.mem(op, offset);
      return;
    }
    this.steps.step(Step.VECTOR, Math.floor(offset / PLACE) - 1);
    this.steps.list.push(op, offset % PLACE);
  }
  protected override compute(n: Value): void {
    switch (n.op) {
      case Op.X:
        this.steps.step(Step.GET_X, n.a ? FIELD + n.a.imm : n.imm);
        return;
      case Op.Pc:
        this.steps.step(Step.PC);
        return;
      case Op.Cond:
        this.steps.step(Step.CONDITION, n.imm);
        return;
      case Op.Flag:
        this.steps.step(Step.COMPONENT, n.imm);
        return;
      case Op.RoundsPlainly:
        this.steps.step(Step.ROUNDING);
        return;
      case Op.BitMask: {
        const mask = bitmaskImmediate((n.a as Value).imm);
        this.i64(Number(BigInt.asIntN(32, mask)), Number(BigInt.asIntN(32, mask >> 32n)));
        return;
      }
    }
    super.compute(n);
  }
  protected override write(e: Effect, ready: number): void {
    if (e.e !== "setX") {
      super.write(e, ready);
      return;
    }
    if (e.r.op === Op.Const && e.r.imm === 31) return;
    if (ready >= 0) this.get(ready);
    else this.value(e.v);
    this.steps.step(Step.SET_X, e.r.op === Op.Field ? FIELD + e.r.imm : e.r.imm);
  }
  protected override pacOf(pointer: number, modifier: number, key: Value): void {
    authenticationCode(this, pointer, modifier, (half) => this.loadState(key.imm + 8 * half, W.i64Load));
  }

  // ---- flags -------------------------------------------------------------------------------------------------------
  protected override flagsToKeep(f: Flags): Flags {
    return f;
  }
  protected override writeFlags(locals: readonly number[]): void {
    this.steps.step(Step.WRITE_FLAGS, locals.length);
    for (const l of locals) this.steps.list.push(l - FIRST);
  }
  storeFlags(values: readonly Value[]): void {
    for (const v of values) this.count(v);
    flagSlots.forEach((slot, i) => {
      this.get(PE);
      this.value(values[i] as Value);
      this.mem(i === 2 ? W.i32Store : W.i64Store, slot);
    });
  }
  /** Leaves values on the stack. */
  push(...values: readonly Value[]): void {
    for (const v of values) this.count(v);
    for (const v of values) this.value(v);
  }

  // ---- memory, and ways out ----------------------------------------------------------------------------------------
  protected override address(va: number, kind: number): number {
    // The player makes room for the host address.
    const host = FIRST + this.locals.push(I32) - 1;
    this.steps.step(Step.ADDRESS, kind);
    this.steps.list.push((va - FIRST) | ((host - FIRST) << 8));
    return host;
  }
  /** The slow path of whoever plays the template answers RAM alone: nothing is left to complete. */
  protected override commit(): void {}
  override system(): void {
    this.steps.step(Step.BAIL);
  }
  protected override fallback(e: Extract<Effect, { e: "fast" }>): void {
    this.steps.step(Step.FALLBACK, e.index);
  }
}
