// Statements for the effects of one instruction. Contract (see region.ts): an instruction either completes here or leaves by `giveUp`
// before it has changed anything; then the interpreter executes it, with its faults, devices and traps.

import { Off } from "../../../arch/layout.ts";
import type { Effect } from "../../../ir/builder.ts";
import { F32, I64, V128, type Value } from "../../../ir/value.ts";
import { helperIndex, translatedOnly } from "../../../isa/semantics/define.ts";
import { SysOp } from "../../../isa/sysops.ts";
import { Special } from "../../interp/handlers.ts";
import type { Instruction, Registers } from "../instruction.ts";
import { indexOf } from "../instruction.ts";
import { countEffect, expressible, isQuiet } from "./effects.ts";
import { bare, isAtom, laneWord, literal, registerName, word, wrapped } from "./expressions.ts";
import { assignFlags, FlagState } from "./flags.ts";
import { special } from "./special.ts";
import { count } from "./values.ts";

type Control = Extract<Effect, { e: "branch" | "jump" }>;
type Fast = Extract<Effect, { e: "fast" }>;
/** The control effect of an instruction with its operands computed. */
export interface Way {
  readonly effect: Control;
  readonly condition: string | undefined;
  /** Halves of the target of a jump, and PSTATE.BTYPE. */
  readonly pc: readonly [string, string] | undefined;
  readonly btype: string | undefined;
}
/** Variable or element, and the expression that it gets. */
export type Assignment = [target: string, value: string];

/** How an instruction is done: in JavaScript, by the handler of the interpreter, or not at all. */
export function wayOf(i: Instruction): "inline" | "handler" | "stop" {
  if (i.end === "stop") return "stop";
  if (i.handler < Special.COUNT || expressible(i)) return "inline";
  return isQuiet(i) ? "handler" : "stop";
}

export class Lowering extends FlagState {
  /** Number of the present instruction, counted from the entry of the function: may be negative. */
  protected current = 0;
  /** Registers that have changed and are not in the PE block. */
  dirty: Registers = 0;
  /** Checks that hold from here on along every path: they are not made twice. */
  checked = { fp: false, sp: false };
  /** SP moves by multiples of 16 only: one alignment check serves all accesses. */
  spStable = false;
  /** Some instruction may be left to the interpreter. */
  protected givesUp = false;

  // ---- leaving -----------------------------------------------------------------------------------------------------
  /** The interpreter executes this instruction. */
  protected override giveUp(): string {
    this.givesUp = true;
    const flags = this.storedFlags();
    return `{ ${flags === "" ? "" : `${flags} `}at = ${this.current}; break body; }`;
  }
  guard(condition: string): void {
    this.emit(`if (${bare(condition)}) ${this.giveUp()}`);
  }
  /** Statements that put registers into the PE block, and take them from there. */
  protected storedRegisters(mask: Registers): string[] {
    return registersOf(mask).map((r) => `${word(8 * r)} = ${this.register(r)}; ${word(8 * r + 4)} = ${registerName(r)}h;`);
  }
  private loadRegisters(mask: Registers): void {
    for (const r of registersOf(mask)) this.emit(`${this.register(r)} = ${word(8 * r)}; ${registerName(r)}h = ${word(8 * r + 4)};`);
  }

  // ---- register writes ---------------------------------------------------------------------------------------------
  /** Everything is computed before the first write; assignments then never read what an earlier one has changed. */
  private writes(list: readonly Effect[]): void {
    const assignments: Assignment[] = [];
    for (const e of list) if (e.e === "setFlags") assignFlags(this, e.f, assignments);
    for (const e of list) {
      if (e.e === "setX") this.assignX(e.r.imm, e.v, assignments);
      else if (e.e === "setV") this.assignV(e.r.imm, e.v, e.lg, assignments);
      else if (e.e === "setLane") this.assignLane(e.r.imm, e.index.imm, e.lg, e.v, assignments);
    }
    this.assign(assignments);
    for (const e of list) if (e.e === "setFlags") this.setForm(e.f);
  }
  assign(assignments: Assignment[]): void {
    assignments.forEach(([target, value], i) => {
      for (const later of assignments.slice(i + 1)) if (mentions(later[1], target)) later[1] = this.copy(later[1]);
      if (target !== value) this.emit(`${target} = ${bare(value)};`);
    });
  }
  private assignX(r: number, v: Value, out: Assignment[]): void {
    if (r === 31) return;
    const hi = this.hi(v);
    const name = this.register(r);
    out.push([name, this.lo(v)], [`${name}h`, hi]);
  }
  private assignV(r: number, v: Value, lg: number, out: Assignment[]): void {
    if (v.type === F32) {
      out.push([`F32[p + ${(Off.V + 16 * r) >> 2}]`, this.lo(v)], ...[1, 2, 3].map((k): Assignment => [laneWord(r, k), "0"]));
      return;
    }
    if (v.type !== V128 && v.type !== I64 && lg === 3) {
      const at = (Off.V + 16 * r) >> 3;
      out.push([`F64[q + ${at}]`, this.lo(v)], [`F64[q + ${at + 1}]`, "0"]);
      return;
    }
    const lanes = v.type === V128 ? [...this.lanes(v)] : [this.lo(v), v.type === I64 ? this.hi(v) : "0", "0", "0"];
    if (lg < 2) lanes[0] = `(${lanes[0]} & ${lg === 0 ? 255 : 65535})`;
    for (let k = 0; k < 4; k++) out.push([laneWord(r, k), 4 * k < 1 << lg ? (lanes[k] as string) : "0"]);
  }
  private assignLane(r: number, index: number, lg: number, v: Value, out: Assignment[]): void {
    const at = Off.V + 16 * r + (index << lg);
    if (lg === 3) out.push([word(at), this.lo(v)], [word(at + 4), this.hi(v)]);
    else if (lg === 2) out.push([word(at), this.lo(v)]);
    else out.push([lg === 1 ? `U16[(pe + ${at}) >>> 1]` : `U8[pe + ${at}]`, this.lo(v)]);
  }
  /** A name that no later statement of the instruction changes. */
  protected copy(e: string): string {
    if (/^[td]\d+$/.test(e) || (isAtom(e) && !/^(x\d+|sp|f)/.test(e))) return e;
    const t = this.fresh(/F(32|64)\[/.test(e) ? "d" : "t");
    this.emit(`${t} = ${bare(e)};`);
    return t;
  }

  // ---- instructions ------------------------------------------------------------------------------------------------
  /** Emits the instruction; answers its control effect. `index`: its number, counted from the entry. */
  instruction(i: Instruction, index: number): Way | undefined {
    this.current = index;
    this.startInstruction(4 * index);
    if (i.handler < Special.COUNT) {
      special(this, i);
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
      else if (!this.act(e, i)) writes.push(e);
    }
    const way = control && this.way(control, writes.length > 0);
    this.writes(writes);
    return way;
  }
  /** Effects that act at their place. */
  private act(e: Effect, i: Instruction): boolean {
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
        this.check(e);
        return true;
      case "setState":
        this.emit(`${word(e.off)} = ${bare(this.lo(e.v))};`);
        if (e.v.type === I64) this.emit(`${word(e.off + 4)} = ${bare(this.hi(e.v))};`);
        return true;
      case "fast":
        this.fast(e, i);
        return true;
    }
    return false;
  }
  /** A check before the instruction acts; those that every path has passed are left out. */
  private check(e: Extract<Effect, { e: "system" }>): void {
    const kind = e.op === SysOp.FPTRAP ? "fp" : e.op === SysOp.SP_ALIGNMENT && this.spStable ? "sp" : undefined;
    if (kind && this.checked[kind]) return;
    if (kind) this.checked = { ...this.checked, [kind]: true };
    if (e.cond) this.guard(this.truth(e.cond));
  }
  /** Operands of a branch, before registers change. */
  private way(effect: Control, pin: boolean): Way {
    const keep = (e: string) => (pin ? this.copy(e) : e);
    if (effect.e === "branch") return { effect, condition: effect.cond && keep(this.truth(effect.cond)), pc: undefined, btype: undefined };
    const pc = [keep(this.lo(effect.pc)), keep(this.hi(effect.pc))] as const;
    return { effect, condition: undefined, pc, btype: effect.btype && keep(this.lo(effect.btype)) };
  }

  // ---- helpers and handlers ----------------------------------------------------------------------------------------
  /** Floating point: in line where the host's result is the architected one, else by the helper. */
  private fast(e: Fast, i: Instruction): void {
    const flags = e.writes.find((w) => w.e === "setFlags");
    const ok = this.truth(e.ok);
    const before = i.readsFlags ? this.storedFlags() : "";
    this.emit(`if ${wrapped(ok)} {`);
    this.indent++;
    this.writes(e.writes);
    this.indent--;
    this.emit("} else {");
    this.indent++;
    if (before !== "") this.emit(before);
    this.callHelper(e.index, i);
    if (flags) this.loadCanonical();
    this.indent--;
    this.emit("}");
  }
  private callHelper(index: number, i: Instruction): void {
    this.emit(...this.storedRegisters(this.dirty & (i.uses | i.defs)), `helper(pe, ${index}, ${literal(i.word)});`);
    this.loadRegisters(i.defs);
  }
  /** The handler of the interpreter does it on the PE block: what it reads goes there first, what it writes comes back. */
  private handler(i: Instruction): void {
    for (const e of i.effects) if (e.e === "system") count(e.cond);
    for (const e of i.effects) if (e.e === "system") this.check(e);
    const helper = i.effects.find((e) => e.e === "helper" || e.e === "fast") as { index: number } | undefined;
    const name = i.row?.name ?? "";
    const index = helper?.index ?? (translatedOnly.has(name) ? helperIndex(name) : undefined);
    const stored = i.readsFlags ? this.storedFlags() : "";
    if (stored !== "") this.emit(stored);
    if (index !== undefined) this.callHelper(index, i);
    else {
      this.emit(...this.storedRegisters(this.dirty & (i.uses | i.defs)), `plain(pe, ip + ${8 * this.current});`);
      this.loadRegisters(i.defs);
    }
    if (!i.setsFlags) return;
    if (i.helper) this.form = "memory";
    else {
      this.form = "canonical";
      this.loadCanonical();
    }
  }
}

/** Register numbers of a mask. */
export const registersOf = (mask: Registers): number[] =>
  Array.from({ length: 32 }, (_, bit) => bit)
    .filter((bit) => (mask >>> bit) & 1)
    .map(indexOf);

/** Does the expression name the variable or element? */
function mentions(e: string, target: string): boolean {
  // Elements of V registers are reached by words, bytes and numbers: any of another kind may be the same place.
  if (target.includes("[")) return target.startsWith("I[") ? e.includes(target) || /[UF]\d+\[/.test(e) : /[IUF]\d*\[/.test(e);
  for (let at = e.indexOf(target); at >= 0; at = e.indexOf(target, at + 1))
    if (!isWord(e.charCodeAt(at - 1)) && !isWord(e.charCodeAt(at + target.length))) return true;
  return false;
}
/** A character of a name: letter, digit or underscore (NaN, outside of the text, is none). */
const isWord = (c: number): boolean => (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || c === 95 || (c >= 97 && c <= 122);
