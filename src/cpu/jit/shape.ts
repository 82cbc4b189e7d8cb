// The meaning of instruction words that differ in register numbers, or in how far they branch, alone.

import { Builder, type Effect } from "../../ir/builder.ts";
import { c32, I32, Op, Value } from "../../ir/value.ts";
import { type Fields, translatedOnly, type Variants } from "../../isa/semantics/define.ts";
import { variantsFrom } from "../../isa/semantics/index.ts";
import { SysOp } from "../../isa/sysops.ts";
import { type Field, fieldValue, type Row } from "../../isa/table.ts";
import type { Template } from "../emit/steps.ts";
import { effectsTemplate } from "../emit/template.ts";
import { Special, variants } from "../interp/handlers.ts";
import { type FlagForm, formOf } from "./flow.ts";
import { type Access, isMove, isPlainAccess, type Move } from "./places.ts";

/** Registers as a bit mask: bits 0..30 are X0..X30, bit 31 is the current SP. */
export type Registers = number;
export const bitOf = (index: number): Registers => (index === 32 ? 1 << 31 : 1 << index);
/** Register index of a bit number. */
export const indexOf = (bit: number): number => (bit === 31 ? 32 : bit);

/** Index of the register with the lowest bit of a set. */
export const lowest = (set: Registers): number => indexOf(31 - Math.clz32(set & -set));

/** What follows an instruction. `stop`: the interpreter must execute it. */
export type End = "next" | "branch" | "jump" | "stop";

/** Constants are never changed by a lowering: small ones are shared. */
const small = Array.from({ length: 4096 }, (_, k) => c32(k));
const constantOf = (k: number): Value => small[k] ?? c32(k);

/** Per row: an object whose properties are the fields of `word` as constants, computed when they are asked for. */
const fieldProtos = new Map<Row, object>();
function fieldProto(row: Row): object {
  let proto = fieldProtos.get(row);
  if (proto) return proto;
  proto = {};
  for (const f of row.fields.values()) defineField(proto, f.name, f.low, 2 ** f.width - 1);
  if (row.fields.has("imms") && row.fields.has("N")) defineField(proto, "n13", 10, 0x1fff);
  fieldProtos.set(row, proto);
  return proto;
}
function defineField(proto: object, name: string, low: number, mask: number): void {
  Object.defineProperty(proto, name, {
    get(this: { word: number }) {
      return constantOf(((this.word >>> low) & mask) >>> 0);
    },
  });
}
/** Fields of `row` in `word` as constants. */
export function constantFields(row: Row, word: number): Fields {
  const fields = Object.create(fieldProto(row)) as { word: number };
  fields.word = word;
  return fields as unknown as Fields;
}

/** Fields that a shape leaves open: numbers of general and vector registers, and how far a direct branch leads. */
const isOpen = (f: Field): boolean => (f.width === 5 && f.name.startsWith("R")) || /^imm(26|19|14)$/.test(f.name);
const openOfRow = new Map<Row, readonly Field[]>();
function openOf(row: Row): readonly Field[] {
  let open = openOfRow.get(row);
  if (!open) {
    open = translatedOnly.has(row.name) ? [] : [...row.fields.values()].filter(isOpen);
    openOfRow.set(row, open);
  }
  return open;
}
/** Register 31 is not like others. */
const isOpenIn = (f: Field, word: number): boolean => f.width !== 5 || fieldValue(f, word) !== 31;
/** The bits of `word` that its shape leaves open. */
export function openBits(row: Row, word: number): number {
  let bits = 0;
  for (const f of openOf(row)) if (isOpenIn(f, word)) bits |= (2 ** f.width - 1) << f.low;
  return bits;
}
/** Fields of `row` in `word`: the open ones as fields, others as constants. */
export function openFields(row: Row, word: number): Fields {
  const fields = constantFields(row, word);
  for (const f of openOf(row)) {
    if (!isOpenIn(f, word)) continue;
    Object.defineProperty(fields, f.name, { value: new Value(Op.Field, I32, undefined, undefined, undefined, f.low, f.width) });
  }
  return fields;
}
const variantFields: Variants[] = [];
/** Variant fields of a handler. */
function variantsOf(handler: number): Variants {
  const v = variants[handler - Special.COUNT] as (typeof variants)[number];
  variantFields[handler] ??= variantsFrom(v.semantics, v.variant);
  return variantFields[handler];
}

/** Helpers that read or write NZCV. */
const HELPER_FLAGS = /^(FCCMPE?|FCMPE?|FCSEL)_FLOAT$|^FJCVTZS$/;

/** Checks that need not be made twice, as bits. */
export const Check = { FP: 1, SP: 2 } as const;
function checkOf(e: Effect): number {
  if (e.e !== "system") return 0;
  return e.op === SysOp.FPTRAP ? Check.FP : e.op === SysOp.SP_ALIGNMENT ? Check.SP : 0;
}

/**
 * What words have in common that differ in register numbers, and in how far they branch, alone: those fields stand in the effects as
 * they do in the interpreter's form (Op.Field). Or a shape is that of one word alone, without any field.
 */
export class Shape {
  readonly row: Row | undefined;
  readonly effects: readonly Effect[];
  end: End = "stop";
  conditional = false;
  readsFlags = false;
  setsFlags = false;
  mayBail = false;
  helper = false;
  fast = false;
  /** Form of the flags that it leaves; undefined: it leaves them alone. */
  form: FlagForm | undefined;
  /** Distance of a direct branch in bytes. */
  offset: Value | undefined;
  /** General registers read and written: known ones, and the places of fields. */
  uses: Registers = 0;
  defs: Registers = 0;
  readonly useFields: number[] = [];
  readonly defFields: number[] = [];
  /** A field stands where it is not known how to fill it in. */
  open = false;
  /** Checks that it makes. */
  checks = 0;
  /** See places.ts. */
  readonly moves: readonly Move[];
  readonly accesses: readonly Access[];
  private readonly templates: (Template | undefined)[] = [];

  constructor(row?: Row, effects: readonly Effect[] = []) {
    this.row = row;
    this.effects = effects;
    this.moves = effects.filter(isMove);
    this.accesses = effects.filter(isPlainAccess);
    if (row) this.summarise();
  }
  /** The template of its effects but the helper, and but the checks in `made`. */
  template(made: number): Template {
    this.templates[made] ??= effectsTemplate(this.effects.filter((e) => e.e !== "helper" && (checkOf(e) & made) === 0));
    return this.templates[made];
  }
  private summarise(): void {
    this.end = "next";
    for (const e of this.effects) {
      this.effect(e);
      this.checks |= checkOf(e);
      if (e.e === "system" && !e.cond) this.end = "stop";
      if (e.e === "jump") this.end = "jump";
      if (e.e === "setFlags") this.form = formOf(e.f);
      if (e.e !== "branch") continue;
      this.end = "branch";
      this.offset = e.off;
      this.conditional = e.cond !== undefined;
    }
    if (this.fast && this.setsFlags) this.form = "canonical";
    if (!this.helper || !HELPER_FLAGS.test((this.row as Row).name)) return;
    this.readsFlags = true;
    this.setsFlags = true;
    this.form = "memory";
  }

  private read(n: Value | undefined): void {
    if (!n) return;
    switch (n.op) {
      case Op.X:
        if (n.a) this.number(n.a, this.useFields);
        else this.uses |= bitOf(n.imm);
        return;
      case Op.V:
        if (n.a) this.number(n.a, []);
        return;
      case Op.Lane:
        if (n.a) this.number(n.a, []);
        this.read(n.b);
        return;
      case Op.Field:
        this.open = true;
        return;
      case Op.Cond:
      case Op.Flag:
        this.readsFlags = true;
    }
    this.read(n.a);
    this.read(n.b);
    this.read(n.c);
  }
  /** The number of a register is a field itself, or this shape is of no use. */
  private number(n: Value, places: number[]): void {
    if (n.op !== Op.Field) this.open = true;
    else places.push(n.imm);
  }
  private written(r: Value): void {
    if (r.op !== Op.Const) this.number(r, []);
  }
  /** Adds what an effect reads and writes. */
  private effect(e: Effect): void {
    switch (e.e) {
      case "load":
      case "zva":
        this.mayBail = true;
        this.read(e.va);
        return;
      case "store":
      case "storex":
        this.mayBail = true;
        this.read(e.va);
        for (const v of e.values) this.read(v);
        return;
      case "atomic":
        this.mayBail = true;
        this.read(e.va);
        for (const v of e.next) this.read(v);
        return;
      case "setX":
        this.read(e.v);
        if (e.r.op !== Op.Const) this.number(e.r, this.defFields);
        else if (e.r.imm !== 31) this.defs |= bitOf(e.r.imm);
        return;
      case "setV":
        this.written(e.r);
        this.read(e.v);
        return;
      case "setLane":
        this.written(e.r);
        this.read(e.v);
        this.read(e.index);
        return;
      case "setFlags":
        for (const v of e.f.values) this.read(v);
        this.setsFlags = true;
        return;
      case "setState":
        this.read(e.v);
        return;
      case "branch":
        this.read(e.cond);
        return;
      case "jump":
        this.read(e.pc);
        this.read(e.btype);
        return;
      case "system":
        this.mayBail = true;
        this.read(e.cond);
        return;
      case "helper":
        this.helper = true;
        return;
      case "fast":
        this.fast = true;
        this.read(e.ok);
        for (const w of e.writes) this.effect(w);
        return;
    }
  }
}

/** The field at bits 4..0 and so on of a register number, or the number itself. */
export const registerOf = (n: Value, word: number): number => (n.op === Op.Field ? fieldOf(n, word) : n.imm);
/** Number of the register that an X value reads. */
export const registerRead = (n: Value, word: number): number => (n.a ? fieldOf(n.a, word) : n.imm);
export const fieldOf = (n: Value, word: number): number => (word >>> n.imm) & (2 ** n.high - 1);

/** `fused`: see DecodeContext. */
export function shapeOf(row: Row, handler: number, fields: Fields, fused = false): Shape {
  const b = new Builder(fused);
  const v = variants[handler - Special.COUNT] as (typeof variants)[number];
  v.semantics.fn(b, fields, variantsOf(handler), row);
  return new Shape(row, b.effects);
}
