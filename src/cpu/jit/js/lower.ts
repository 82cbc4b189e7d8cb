// Statements for the effects of one instruction. Contract (see block.ts): an instruction either completes here or leaves by `giveUp`
// before it has changed anything; then the interpreter executes it, with its faults, devices and traps.

import { Off } from "../../../arch/layout.ts";
import type { Effect } from "../../../ir/builder.ts";
import { canonical, type Flags } from "../../../ir/flags.ts";
import { add, I64, Op, sub, V128, Value } from "../../../ir/value.ts";
import { Special } from "../../interp/handlers.ts";
import { type Instruction, indexOf, type Registers } from "../instruction.ts";
import { bare, hasExpression, laneWord, literal, word } from "./expressions.ts";
import { MemoryLowering } from "./memory.ts";
import { count } from "./values.ts";

/** How the flags stand that a block has set: the name of the function that stores them, and its arguments. */
interface KeptFlags {
  readonly store: string;
}

type Control = Extract<Effect, { e: "branch" | "jump" }>;
/** The control effect of an instruction with its operands computed. */
export interface Way {
  readonly effect: Control;
  readonly condition: string | undefined;
  /** Halves of the target of a jump, and PSTATE.BTYPE. */
  readonly pc: readonly [string, string] | undefined;
  readonly btype: string | undefined;
}

/** Every effect can be written in JavaScript. */
function expressible(i: Instruction): boolean {
  const ok = (...values: (Value | undefined)[]) => values.every(hasExpression);
  return i.effects.every((e) => {
    switch (e.e) {
      case "load":
        return ok(e.va);
      case "store":
      case "storex":
        return ok(e.va, ...e.values) && (e.values[0]?.type !== V128 || e.lg >= 2);
      case "atomic":
        return ok(e.va, ...e.next);
      case "zva":
        return ok(e.va);
      case "setX":
      case "setState":
        return ok(e.v);
      case "setV":
        return ok(e.v) && (e.v.type === V128 || e.v.type === I64);
      case "setLane":
        return ok(e.v) && e.index.op === Op.Const;
      case "setFlags":
        return ok(...e.f.values);
      case "branch":
        return ok(e.cond);
      case "jump":
        return ok(e.pc, e.btype);
      case "system":
        return ok(e.cond);
      default:
        return false;
    }
  });
}
/** How a block does an instruction: in JavaScript, by the handler of the interpreter, or not at all. */
export function wayOf(i: Instruction): "inline" | "handler" | "stop" {
  if (i.end === "stop") return "stop";
  if (i.handler < Special.COUNT || expressible(i)) return "inline";
  // The handler is called when nothing is left that could fault.
  const quiet = i.effects.every(
    (e) => ["setX", "setV", "setLane", "setFlags", "helper"].includes(e.e) || (e.e === "system" && e.cond && hasExpression(e.cond)),
  );
  return quiet ? "handler" : "stop";
}

export class Lowering extends MemoryLowering {
  private kept: KeptFlags | undefined;
  protected current = 0;
  /** Registers assigned in this block. */
  readonly assigned = new Set<number>();

  // ---- leaving -----------------------------------------------------------------------------------------------------
  /** Statements that store the flags, if they are not in the PE block. */
  protected storeFlags(): string {
    return this.kept ? `${this.kept.store} ` : "";
  }
  /** The interpreter executes this instruction. */
  protected override giveUp(): string {
    return `{ ${this.storeFlags()}at = ${this.current}; break body; }`;
  }
  private guard(condition: string): void {
    this.lines.push(`if (${bare(condition)}) ${this.giveUp()}`);
  }

  // ---- register writes ---------------------------------------------------------------------------------------------
  /** Everything is computed before the first write; assignments then never read what an earlier one has changed. */
  private writes(list: readonly Effect[]): void {
    const assignments: [target: string, value: string][] = [];
    let flags: (() => void) | undefined;
    for (const e of list) {
      if (e.e === "setX") this.assignX(e.r.imm, e.v, assignments);
      else if (e.e === "setV") this.assignV(e.r.imm, e.v, e.lg, assignments);
      else if (e.e === "setLane") this.assignLane(e.r.imm, e.index.imm, e.lg, e.v, assignments);
      else if (e.e === "setFlags") flags = this.keepFlags(e.f);
    }
    assignments.forEach(([target, value], i) => {
      for (const later of assignments.slice(i + 1)) if (mentions(later[1], target)) later[1] = this.copy(later[1]);
      if (target !== value) this.lines.push(`${target} = ${bare(value)};`);
    });
    flags?.();
  }
  private assignX(r: number, v: Value, out: [string, string][]): void {
    if (r === 31) return;
    const hi = this.hi(v);
    const name = this.register(r);
    this.assigned.add(r);
    out.push([name, this.lo(v)], [`${name}h`, hi]);
  }
  private assignV(r: number, v: Value, lg: number, out: [string, string][]): void {
    const lanes = v.type === V128 ? [...this.lanes(v)] : [this.lo(v), this.hi(v), "0", "0"];
    if (lg < 2) lanes[0] = `(${lanes[0]} & ${lg === 0 ? 255 : 65535})`;
    for (let k = 0; k < 4; k++) out.push([laneWord(r, k), 4 * k < 1 << lg ? (lanes[k] as string) : "0"]);
  }
  private assignLane(r: number, index: number, lg: number, v: Value, out: [string, string][]): void {
    const at = Off.V + 16 * r + (index << lg);
    if (lg === 3) out.push([word(at), this.lo(v)], [word(at + 4), this.hi(v)]);
    else if (lg === 2) out.push([word(at), this.lo(v)]);
    else out.push([lg === 1 ? `U16[(pe + ${at}) >>> 1]` : `U8[pe + ${at}]`, this.lo(v)]);
  }

  // ---- flags -------------------------------------------------------------------------------------------------------
  /** Keeps what the flags are made of. The function that is returned makes them the current ones. */
  private keepFlags(f: Flags): () => void {
    const operand = (n: Value): Value => {
      if (n.op === Op.Const) return n;
      const wide = n.type === I64;
      const [lo, hi] = [this.copy(this.lo(n)), wide ? this.copy(this.hi(n)) : "0"];
      return new Value(Op.Local, n.type, undefined, undefined, undefined, this.local(lo, hi));
    };
    if (f.kind === "canonical") return this.keepCanonical(f);
    const [x, y] = f.values as [Value, Value];
    const a = operand(x);
    const width = x.type === I64 ? "64" : "32";
    const args = (n: Value) => (n.type === I64 ? `${this.lo(n)}, ${this.hi(n)}` : this.lo(n));
    if (f.kind === "logic") return () => this.setFlags({ kind: "logic", values: [a] }, `logic${width}(p, ${args(a)});`);
    const b = operand(y);
    const r = f.kind === "sub" ? sub(a, b) : add(a, b);
    return () => this.setFlags({ kind: f.kind, values: [a, b, r] }, `${f.kind}${width}(p, ${args(a)}, ${args(b)});`);
  }
  private keepCanonical(f: Flags): () => void {
    const [n, z, c, v] = canonical(f) as [Value, Value, Value, Value];
    // Only the signs of N and V count: their low halves are never asked for.
    const kept = [this.copy(this.hi(n)), this.copy(this.lo(z)), this.copy(this.hi(z)), this.copy(this.lo(c)), this.copy(this.hi(v))];
    const local = (lo: string, hi: string, type: Value["type"]) =>
      new Value(Op.Local, type, undefined, undefined, undefined, this.local(lo, hi));
    const [nh, zl, zh, cl, vh] = kept as [string, string, string, string, string];
    const values = [local("0", nh, I64), local(zl, zh, I64), local(cl, "0", c.type), local("0", vh, I64)];
    return () => this.setFlags({ kind: "canonical", values }, `nzcv(p, ${kept.join(", ")});`);
  }
  private setFlags(flags: Flags, store: string): void {
    this.flags = flags;
    this.kept = { store };
  }
  /** A name that no later instruction assigns. */
  private copy(e: string): string {
    if (!/^(x\d+|sp)h?$/.test(e)) return this.named(e);
    const t = this.fresh();
    this.lines.push(`const ${t} = ${e};`);
    return t;
  }

  // ---- instructions ------------------------------------------------------------------------------------------------
  /** Emits the instruction; answers its control effect. `index`: its number in the block. */
  instruction(i: Instruction, index: number): Way | undefined {
    this.current = index;
    this.startInstruction(4 * index);
    if (i.handler < Special.COUNT) {
      this.special(i);
      return undefined;
    }
    if (wayOf(i) === "handler") {
      this.handler(i);
      return undefined;
    }
    for (const e of i.effects) countEffect(e);
    const writes: Effect[] = [];
    let control: Control | undefined;
    for (const e of i.effects) {
      if (e.e === "branch" || e.e === "jump") control = e;
      else if (!this.act(e)) writes.push(e);
    }
    const way = control && this.way(control, writes.length > 0);
    this.writes(writes);
    return way;
  }
  /** Effects that act at their place. */
  private act(e: Effect): boolean {
    switch (e.e) {
      case "load":
        this.load(e);
        return true;
      case "store":
        this.store(e);
        return true;
      case "atomic":
        this.atomic(e);
        return true;
      case "storex":
        this.storeExclusive(e);
        return true;
      case "zva":
        this.zeroBlock(e.va);
        return true;
      case "system":
        this.guard(this.truth(e.cond as Value));
        return true;
      case "setState":
        this.lines.push(`${word(e.off)} = ${bare(this.lo(e.v))};`);
        if (e.v.type === I64) this.lines.push(`${word(e.off + 4)} = ${bare(this.hi(e.v))};`);
        return true;
    }
    return false;
  }
  /** Operands of a branch, before registers change. */
  private way(effect: Control, pin: boolean): Way {
    const keep = (e: string) => (pin ? this.copy(e) : e);
    if (effect.e === "branch") return { effect, condition: effect.cond && keep(this.truth(effect.cond)), pc: undefined, btype: undefined };
    const pc = [keep(this.lo(effect.pc)), keep(this.hi(effect.pc))] as const;
    return { effect, condition: undefined, pc, btype: effect.btype && keep(this.lo(effect.btype)) };
  }

  /** The handler of the interpreter does it on the PE block: what it reads goes there first, what it writes comes back. */
  private handler(i: Instruction): void {
    for (const e of i.effects) if (e.e === "system") count(e.cond);
    for (const e of i.effects) if (e.e === "system" && e.cond) this.guard(this.truth(e.cond));
    for (const r of registersOf(i.uses | i.defs)) {
      if (!this.assigned.has(r)) continue;
      const name = this.register(r);
      this.lines.push(`${word(8 * r)} = ${name}; ${word(8 * r + 4)} = ${name}h;`);
    }
    if (i.readsFlags || i.setsFlags) this.flagsToMemory();
    const helper = i.effects.find((e) => e.e === "helper");
    if (helper?.e === "helper") this.lines.push(`helper(pe, ${helper.index}, ${literal(i.word)});`);
    else this.lines.push(`plain(pe, ip + ${8 * this.current});`);
    for (const r of registersOf(i.defs)) {
      const name = this.register(r);
      this.assigned.add(r);
      this.lines.push(`${name} = ${word(8 * r)}; ${name}h = ${word(8 * r + 4)};`);
    }
  }
  protected flagsToMemory(): void {
    if (this.kept) this.lines.push(this.kept.store);
    this.kept = undefined;
    this.flags = undefined;
  }

  // ---- special entries (interp/special.ts) -------------------------------------------------------------------------
  private special(i: Instruction): void {
    const t = i.operand & 31;
    const bits = (i.operand >>> 8) & 15;
    switch (i.handler) {
      case Special.MRS_FAST: {
        const at = this.storage(i.operand >>> 5, 0);
        if (t !== 31) this.assignBoth(t, `I[(pe + ${at}) >>> 2]`, `I[(pe + ${at} + 4) >>> 2]`);
        return;
      }
      case Special.MSR_FAST: {
        const at = this.storage(i.operand >>> 5, 2);
        const [lo, hi] = t === 31 ? ["0", "0"] : [this.register(t), `${this.register(t)}h`];
        this.lines.push(`I[(pe + ${at}) >>> 2] = ${lo}; I[(pe + ${at} + 4) >>> 2] = ${hi};`);
        return;
      }
      case Special.DC_ZVA: {
        this.guard(`${word(Off.ZVA)} === 0`);
        const va = new Value(t === 31 ? Op.Const : Op.X, I64, undefined, undefined, undefined, t === 31 ? 0 : t);
        count(va);
        this.zeroBlock(va);
        return;
      }
      case Special.DAIFSET:
        this.guard(`${word(Off.EL)} === 0`);
        this.lines.push(`${word(Off.DAIF)} |= ${bits};`);
        return;
      case Special.DAIFCLR:
        this.guard(`${word(Off.EL)} === 0 || ${word(Off.LINES)} !== 0`);
        this.lines.push(`${word(Off.DAIF)} &= ${~bits};`);
        return;
      case Special.MRS_DAIF:
        this.guard(`${word(Off.EL)} === 0`);
        if (t !== 31) this.assignBoth(t, `${word(Off.DAIF)} << 6`, "0");
        return;
      case Special.MSR_DAIF:
        this.guard(`${word(Off.EL)} === 0 || ${word(Off.LINES)} !== 0`);
        this.lines.push(`${word(Off.DAIF)} = ${t === 31 ? "0" : `${this.register(t)} >>> 6 & 15`};`);
        return;
    }
    throw new Error(`js: special entry ${i.handler}`);
  }
  private assignBoth(r: number, lo: string, hi: string): void {
    const name = this.register(r);
    this.assigned.add(r);
    this.lines.push(`${name} = ${lo}; ${name}h = ${hi};`);
  }
  /** Offset of the storage that the map of this Exception level allows (cpu/sysreg-map.ts). `half`: 0 read, 2 write. */
  private storage(index: number, half: number): string {
    const at = this.fresh("s");
    this.lines.push(`const ${at} = U16[(pe + ${Off.SRMAP + half + 4 * index} + (${word(Off.EL)} << 9)) >>> 1];`);
    this.guard(`${at} === 0`);
    return at;
  }
}

/** Register numbers of a mask. */
export const registersOf = (mask: Registers): number[] =>
  Array.from({ length: 32 }, (_, bit) => bit)
    .filter((bit) => (mask >>> bit) & 1)
    .map(indexOf);

/** Does the expression name the variable or element? */
function mentions(e: string, target: string): boolean {
  if (target.includes("[")) return target.startsWith("I[") ? e.includes(target) || /U(8|16)\[/.test(e) : /[IU]\w*\[/.test(e);
  return new RegExp(`\\b${target}\\b`).test(e);
}

function countEffect(e: Effect): void {
  switch (e.e) {
    case "load":
    case "zva":
      count(e.va);
      return;
    case "store":
    case "storex":
      count(e.va);
      e.values.forEach(count);
      return;
    case "atomic":
      count(e.va);
      e.next.forEach(count);
      return;
    case "setX":
    case "setV":
    case "setLane":
    case "setState":
      count(e.v);
      return;
    case "setFlags":
      e.f.values.forEach(count);
      return;
    case "branch":
      count(e.cond);
      return;
    case "jump":
      count(e.pc);
      count(e.btype);
      return;
    case "system":
      count(e.cond);
      return;
  }
}
