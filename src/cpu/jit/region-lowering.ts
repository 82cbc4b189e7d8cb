// Lowers instructions of a region: general registers and flags stand in Wasm locals, the rest in the PE block.

import { Off } from "../../arch/layout.ts";
import type { Effect } from "../../ir/builder.ts";
import type { Flags } from "../../ir/flags.ts";
import { I32, I64, Op, V128, type ValType, type Value } from "../../ir/value.ts";
import { flagSlots, PE } from "../emit/emitter.ts";
import { W } from "../emit/opcodes.ts";
import type { RuntimeFn } from "../emit/runtime-abi.ts";
import { effectsTemplate, FlagTemplates } from "../emit/template.ts";
import { AccessLowering } from "./access-lowering.ts";
import { pageOf } from "./blocks.ts";
import type { FlagForm } from "./flow.ts";
import { bitOf, Check, type Instruction, lowest, type Registers } from "./instruction.ts";
import { translateSpecial } from "./special.ts";
import type { Stream } from "./streams.ts";

const canonicalTypes: readonly ValType[] = [I64, I64, I32, I64];

/** Values that a form keeps: operands and result, the result alone, or the four components. */
function typesOf(form: FlagForm): readonly ValType[] {
  if (form === "memory") return [];
  if (form === "canonical") return canonicalTypes;
  const type = form.endsWith("64") ? I64 : I32;
  return form.startsWith("logic") ? [type] : [type, type, type];
}

/** The number of bits stands at the end of a form's name. */
const kindOf = (form: FlagForm) => form.replace(/\d+$/, "") as Flags["kind"] | "memory";
const templatesOfFlags = new Map<FlagForm, FlagTemplates>();
function flagTemplates(form: FlagForm): FlagTemplates {
  let templates = templatesOfFlags.get(form);
  if (!templates) {
    if (form === "mixed") throw new Error("jit: flags are wanted whose form is not known");
    templates = new FlagTemplates(kindOf(form), typesOf(form));
    templatesOfFlags.set(form, templates);
  }
  return templates;
}

export class RegionLowering extends AccessLowering {
  form: FlagForm = "memory";
  /** Absolute addresses of the predecoded entries of the region's pages. */
  private readonly pages: ReadonlyMap<number, number>;
  protected override get word(): number {
    return (this.current as Instruction).word;
  }
  protected override pcOfCurrent(): void {
    this.pc(this.current as Instruction);
  }
  /** Index of the instruction that is being lowered. */
  get index(): number {
    return (this.current as Instruction).index;
  }
  /** Leaves for the interpreter at the current instruction. */
  override bail: () => void = () => undefined;
  private readonly registers: (number | undefined)[] = [];
  private readonly forms = new Map<FlagForm, number[]>();
  /** What the mixed form may be. */
  private readonly mixed: readonly FlagForm[];

  constructor(
    runtime: (fn: RuntimeFn) => number,
    pages: ReadonlyMap<number, number>,
    streams: ReadonlyMap<Instruction, Stream>,
    mixed: readonly FlagForm[],
  ) {
    super(runtime, streams);
    this.pages = pages;
    this.mixed = mixed;
  }

  // ---- locals ------------------------------------------------------------------------------------------------------
  /** The local of a general register (32: SP). */
  override register(index: number): number {
    let local = this.registers[index];
    if (local === undefined) {
      local = this.permanent(I64);
      this.registers[index] = local;
    }
    return local;
  }
  /** Some instruction asks whether rounding is plain: the way into the region finds out, and every helper, which may set FPSR.IXC. */
  asksRounding = false;
  private rounding: number | undefined;
  /** The local that says so. A region cannot change FPCR. */
  plainRounding(): number {
    this.rounding ??= this.permanent(I32);
    return this.rounding;
  }

  private zero: number | undefined;
  /** A local that nobody writes: 16 bytes shorter than the constant. */
  protected override zeroVector(): void {
    this.zero ??= this.permanent(V128);
    this.get(this.zero);
  }

  // ---- registers ---------------------------------------------------------------------------------------------------
  storeRegisters(set: Registers): void {
    for (let rest = set; rest !== 0; rest &= rest - 1) {
      const index = lowest(rest);
      this.get(PE);
      this.get(this.register(index));
      this.mem(W.i64Store, Off.X + 8 * index);
    }
  }
  loadRegisters(set: Registers): void {
    for (let rest = set; rest !== 0; rest &= rest - 1) {
      const index = lowest(rest);
      const local = this.register(index);
      this.loadState(Off.X + 8 * index, W.i64Load);
      this.set(local);
    }
  }
  protected override pushRounding(): void {
    this.asksRounding = true;
    this.get(this.plainRounding());
  }
  /** Virtual address of an instruction, on the stack. */
  pc(i: Pick<Instruction, "index">): void {
    this.pcOf(i.index, i.index);
  }
  /** Address of the predecoded entries of the page that holds `index`. */
  pageAddress(index: number): number {
    return this.pages.get(pageOf(index)) as number;
  }
  /** Address of the predecoded entry with this index. */
  ip(index: number): number {
    return this.pageAddress(index) + 8 * (index & 1023);
  }
  /** PCBASE + `offset` on the stack; the page of `from` is the current one, `to` is an index. */
  pcOf(to: number, from: number): void {
    this.loadState(Off.PCBASE, W.i64Load);
    this.i64((this.pageAddress(from) >>> 1) + 4 * (to - (from & ~1023)));
    this.op(W.i64Add);
  }
  /** The address that a jump leads to, on the stack; PSTATE.BTYPE is stored. */
  target(e: Extract<Effect, { e: "jump" }>): void {
    this.branchType(e);
    this.value(e.pc);
  }

  // ---- flags -------------------------------------------------------------------------------------------------------
  canonicalLocals(): readonly number[] {
    return this.formLocals("canonical");
  }
  private formLocals(form: FlagForm): number[] {
    let locals = this.forms.get(form);
    if (!locals) {
      locals = typesOf(form).map((t) => this.permanent(t));
      this.forms.set(form, locals);
    }
    return locals;
  }
  private which: number | undefined;
  /** Number of the form that mixed flags have, on the stack. It is 0 at the entry: the flags are in memory there. */
  whichForm(): void {
    this.which ??= this.permanent(I32);
    this.get(this.which);
  }
  private setWhich(form: FlagForm): void {
    this.which ??= this.permanent(I32);
    this.i32(this.mixed.indexOf(form));
    this.set(this.which);
  }
  /** Stores the flags, which stand in `form`, in the PE block. */
  storeFlags(form: FlagForm): void {
    if (form !== "memory") this.play(flagTemplates(form).store, this.formLocals(form));
  }
  /** Brings the flags from the current form into `form`. */
  convertFlags(form: FlagForm): void {
    if (form === this.form) return;
    if (form === "mixed") {
      this.setWhich(this.form);
      return;
    }
    if (form !== "canonical") throw new Error(`jit: flags cannot go from ${this.form} to ${form}`);
    this.play(flagTemplates(this.form).canonical, this.formLocals(this.form));
    const kept = this.formLocals(form);
    for (let i = kept.length - 1; i >= 0; i--) this.set(kept[i] as number);
  }
  protected override newFlags(): readonly number[] {
    return this.formLocals((this.current as Instruction).shape.form as FlagForm);
  }
  protected override keepFlags(): readonly number[] {
    this.form = (this.current as Instruction).shape.form as FlagForm;
    return this.formLocals(this.form);
  }
  protected override flagForm(): { templates: FlagTemplates; kept: readonly number[] } {
    return { templates: flagTemplates(this.form), kept: this.formLocals(this.form) };
  }

  // ---- instructions ------------------------------------------------------------------------------------------------
  /** Checks (see Check) that hold from here on along every path: they are not made twice. */
  checked = 0;
  /** Checks that hold once they were made. SP_ALIGNMENT is one while SP moves only by multiples of 16 in the region. */
  lasting: number = Check.FP;

  /** The form of the flags before the present instruction. */
  private formBefore: FlagForm = "memory";
  translate(i: Instruction): Effect | undefined {
    this.current = i;
    this.opened = undefined;
    this.formBefore = this.form;
    if (translateSpecial(this, i)) return undefined;
    const t = i.shape.template(i.shape.checks & this.checked);
    this.checked |= i.shape.checks & this.lasting;
    this.play(t);
    if (i.helper) this.helperCall(i);
    return this.last(t);
  }
  /** Emits effects that are made for the instruction that is being lowered. */
  perform(effects: readonly Effect[]): void {
    this.play(effectsTemplate(effects));
  }
  /** A helper works on the PE block: what it may read goes there before, what it may write comes back. */
  dirty: Registers = 0;
  private helperCall(i: Instruction): void {
    this.storeRegisters(this.dirty & (i.uses | i.defs));
    if (i.readsFlags) this.storeFlags(this.form);
    for (const e of i.effects) if (e.e === "helper") this.helper(e.index);
    this.loadRegisters(i.defs);
    if (i.setsFlags) this.form = "memory";
  }
  protected override helper(index: number): void {
    this.get(PE);
    this.i32(index);
    this.i32((this.current as Instruction).word);
    this.call("helper");
    this.set(this.plainRounding());
  }
  /** The fast form leaves its results in locals, and so does this one. */
  protected override otherwise(index: number): void {
    const i = this.current as Instruction;
    this.storeRegisters(this.dirty & i.uses);
    if (i.readsFlags) this.storeFlags(this.formBefore);
    this.helper(index);
    this.loadRegisters(i.defs);
    if (!i.setsFlags) return;
    const locals = this.canonicalLocals();
    flagSlots.forEach((slot, n) => {
      this.loadState(slot, n === 2 ? W.i32Load : W.i64Load);
      this.set(locals[n] as number);
    });
  }
}

export const definesSp = (i: Instruction): boolean => (i.defs & bitOf(32)) !== 0;

const readsSp = (n: Value | undefined): boolean => n?.op === Op.X && n.a === undefined && n.imm === 32;
/** SP = SP plus or minus a multiple of 16. */
export function keepsSpAligned(i: Instruction): boolean {
  for (const e of i.effects) {
    if (e.e !== "setX" || e.r.op !== Op.Const || e.r.imm !== 32) continue;
    const { op, a, b } = e.v;
    const isSum = op === 0x7c || op === 0x7d; // i64.add, i64.sub
    if (!isSum || !readsSp(a) || b?.op !== Op.Const || (b.imm & 15) !== 0) return false;
  }
  return true;
}
