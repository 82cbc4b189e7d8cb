// Lowers instructions of a region: general registers and flags stand in Wasm locals, the rest in the PE block.

import { Off } from "../../arch/layout.ts";
import type { Effect } from "../../ir/builder.ts";
import type { Flags } from "../../ir/flags.ts";
import { I32, I64, Op, V128, type ValType, type Value } from "../../ir/value.ts";
import { Kind } from "../emit/access.ts";
import { flagSlots, PE } from "../emit/emitter.ts";
import { W } from "../emit/opcodes.ts";
import type { RuntimeFn } from "../emit/runtime-abi.ts";
import { effectsTemplate, FlagTemplates } from "../emit/template.ts";
import { pageOf } from "./blocks.ts";
import type { FlagForm } from "./flow.ts";
import { bitOf, Check, type Instruction, lowest, type Registers } from "./instruction.ts";
import { Player } from "./player.ts";
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

export class RegionLowering extends Player {
  form: FlagForm = "memory";
  /** The instruction that is being lowered. */
  private current: Instruction | undefined;
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
  /** Has an access that may be misaligned; undefined: each is checked, as SCTLR_ELx.A or a disabled MMU demands. */
  unaligned: boolean | undefined;
  /**
   * What misses the L1 TLB is looked for elsewhere. Misses are rare (one in 3,000 instructions of a boot): code that is not among the
   * hottest leaves them to the interpreter, which makes it a fifth less work for the host's compiler.
   */
  refills = true;
  /** Leaves for the interpreter at the current instruction. */
  override bail: () => void = () => undefined;
  private readonly registers: (number | undefined)[] = [];
  private readonly forms = new Map<FlagForm, number[]>();
  private readonly tlb = new Map<number, number>();
  /** Accesses that share a look at the TLB. */
  private readonly streams: ReadonlyMap<Instruction, Stream>;
  /** What the mixed form may be. */
  private readonly mixed: readonly FlagForm[];

  constructor(
    runtime: (fn: RuntimeFn) => number,
    pages: ReadonlyMap<number, number>,
    streams: ReadonlyMap<Instruction, Stream>,
    mixed: readonly FlagForm[],
  ) {
    super(runtime, 3);
    this.pages = pages;
    this.streams = streams;
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
  /** The locals that hold the current L1 TLB tables' addresses; a region cannot change which tables are current. */
  get tables(): ReadonlyMap<number, number> {
    return this.tlb;
  }
  protected override tableAddress(off: number): void {
    let local = this.tlb.get(off);
    if (local === undefined) {
      local = this.permanent(I32);
      this.tlb.set(off, local);
    }
    this.get(local);
  }

  /** Address of the fetch TLB's entry for the virtual address in local `va`, on the stack. */
  fetchEntry(va: number): void {
    this.tableAddress(Off.TLB_X);
    this.tlbIndex(va);
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

  // ---- memory ------------------------------------------------------------------------------------------------------
  /** As in the interpreter, but what does not hit the L1 TLB even after a refill is left to the interpreter. */
  protected override address(va: number, kind: number): number {
    const host = this.local(I32);
    const strict = kind & (Kind.EXCLUSIVE | Kind.ATOMIC | Kind.ORDERED | Kind.ZVA);
    const anywhere = !strict && (kind & Kind.LG) > 0 && this.unaligned !== undefined;
    if (anywhere) this.unaligned = true;
    const stream = strict || this.unaligned === undefined ? undefined : this.streams.get(this.current as Instruction);
    const follows = stream !== undefined && (stream.first !== this.current || stream === this.opened);
    if (!this.refills) {
      if (follows) this.get(stream.delta);
      else this.lookUp(va, kind, host, anywhere, stream);
      this.get(va);
      this.op(W.wrap, W.i32Add);
      this.set(host);
      return host;
    }
    if (follows) {
      this.followStream(stream, va, kind, host);
      return host;
    }
    if (stream?.kept) {
      this.openKept(stream, va, kind, host, anywhere);
      return host;
    }
    if (stream) this.openStream(stream);
    this.tlbTags(va, kind, host, anywhere);
    this.op(W.i64Ne);
    this.expect(false);
    this.block(W.if);
    this.refill(va, kind, host);
    this.op(W.else);
    this.get(host);
    this.mem(W.i32Load, 8);
    if (stream) this.tee(stream.delta);
    this.get(va);
    this.op(W.wrap, W.i32Add);
    this.set(host);
    if (stream) this.checkStream(stream, va);
    this.op(W.end);
    return host;
  }
  /** Address in linear memory minus virtual address, on the stack; bails when the L1 TLB has no page with all accesses of the stream. */
  private lookUp(va: number, kind: number, entry: number, anywhere: boolean, stream: Stream | undefined): void {
    if (stream) {
      this.opened = stream;
      stream.delta = this.permanent(I32);
      const first = stream.from === 0 ? va : this.local(I64);
      if (first !== va) {
        this.get(va);
        this.add64(stream.from);
        this.set(first);
      }
      this.tlbTag(first, kind, entry);
      this.get(va);
      this.add64(stream.to - 1);
      this.i64(-4096);
      this.op(W.i64And);
    } else this.tlbTags(va, kind, entry, anywhere);
    this.op(W.i64Ne);
    this.expect(false);
    this.block(W.if);
    this.bail();
    this.op(W.end);
    this.get(entry);
    this.mem(W.i32Load, 8);
    if (stream) this.tee(stream.delta);
  }
  /** The stream that the present instruction has opened: by its first access alone, when it makes several (structures of vectors). */
  private opened: Stream | undefined;
  private openStream(stream: Stream): void {
    this.opened = stream;
    stream.delta = this.permanent(I32);
    stream.valid = this.permanent(I32);
    this.i32(0);
    this.set(stream.valid);
  }
  /** As for others, but first the access is looked for where the last one was: see Stream.kept. */
  private openKept(stream: Stream, va: number, kind: number, host: number, anywhere: boolean): void {
    this.opened = stream;
    stream.delta = this.permanent(I32);
    stream.valid = this.permanent(I64);
    stream.base = this.permanent(I64);
    const { delta, valid, base, from, to } = stream;
    this.get(va);
    this.get(base);
    this.op(W.i64Sub);
    this.get(valid);
    this.op(W.i64LtU);
    this.expect(true);
    this.block(W.if);
    this.hostAddress(delta, va, host);
    this.op(W.else);
    this.tlbTags(va, kind, host, anywhere);
    this.op(W.i64Ne);
    this.block(W.if);
    this.refill(va, kind, host);
    this.i64(0);
    this.set(valid);
    this.op(W.else);
    this.get(host);
    this.mem(W.i32Load, 8);
    this.set(delta);
    this.hostAddress(delta, va, host);
    this.get(va);
    this.i64(-4096);
    this.op(W.i64And);
    this.add64(-from);
    this.set(base);
    this.i64(4096 - (to - from) + 1);
    this.i64(0);
    this.withinPage(stream, va);
    this.op(W.select);
    this.set(valid);
    this.op(W.end, W.end);
  }
  private hostAddress(delta: number, va: number, host: number): void {
    this.get(delta);
    this.get(va);
    this.op(W.wrap, W.i32Add);
    this.set(host);
  }
  /** Are all accesses of the stream in the page of its first one, at `va`? */
  private checkStream(stream: Stream, va: number): void {
    this.withinPage(stream, va);
    this.set(stream.valid);
  }
  private withinPage({ from, to }: Stream, va: number): void {
    this.get(va);
    this.op(W.wrap);
    this.i32(4095);
    this.op(W.i32And);
    if (from !== 0) {
      this.i32(from);
      this.op(W.i32Add);
    }
    this.i32(4096 - (to - from));
    this.op(W.i32LeU);
  }
  private followStream({ delta, valid, kept }: Stream, va: number, kind: number, host: number): void {
    this.get(valid);
    if (kept) this.op(W.i64Eqz, W.i32Eqz);
    this.expect(true);
    this.block(W.if);
    this.hostAddress(delta, va, host);
    this.op(W.else);
    this.refill(va, kind, host);
    this.op(W.end);
  }
  /** The address in linear memory, whatever the L1 TLB has; bails when only the interpreter can make the access. */
  private refill(va: number, kind: number, host: number): void {
    this.get(PE);
    this.get(va);
    this.i32(kind);
    this.call("refill");
    this.tee(host);
    this.i32(-1);
    this.op(W.i32Eq);
    this.expect(false);
    this.block(W.if);
    this.bail();
    this.op(W.end);
  }
  /** What a refill finds is RAM: nothing is left to complete. */
  protected override commit(): void {}

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
