// One guest instruction as the translators see it: its effects over constant fields, what it reads and writes, how it ends.

import { Builder, type Effect } from "../../ir/builder.ts";
import { c32, Op, type Value } from "../../ir/value.ts";
import type { Fields, Variants } from "../../isa/semantics/define.ts";
import { variantsFrom } from "../../isa/semantics/index.ts";
import { decode, fieldValue, type Row } from "../../isa/table.ts";
import { Special, variants } from "../interp/handlers.ts";
import { type DecodeContext, type Entry, predecode } from "../interp/predecode.ts";

/** Registers as a bit mask: bits 0..30 are X0..X30, bit 31 is the current SP. */
export type Registers = number;
export const bitOf = (index: number): Registers => (index === 32 ? 1 << 31 : 1 << index);
/** Register index of a bit number. */
export const indexOf = (bit: number): number => (bit === 31 ? 32 : bit);

/** What follows an instruction. `stop`: the interpreter must execute it. */
export type End = "next" | "branch" | "jump" | "stop";

export interface Instruction {
  /** Number of the word in its page, 0..1023. */
  readonly index: number;
  readonly word: number;
  readonly row: Row | undefined;
  /** Handler and operand of the predecoded entry. */
  readonly handler: number;
  readonly operand: number;
  readonly effects: readonly Effect[];
  readonly end: End;
  /** Index that a direct branch leads to; may be outside 0..1023. */
  readonly target: number;
  readonly conditional: boolean;
  readonly uses: Registers;
  readonly defs: Registers;
  readonly readsFlags: boolean;
  readonly setsFlags: boolean;
  /** May leave the region before it changes anything: then the interpreter executes it. */
  readonly mayBail: boolean;
  /** Calls a Helper, which finds registers and flags in the PE block. */
  readonly helper: boolean;
  /** Has a `fast` effect: calls a Helper only when the fast form does not apply. */
  readonly fast: boolean;
}

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
const variantFields: Variants[] = [];
/** Variant fields of a handler. */
function variantsOf(handler: number): Variants {
  const v = variants[handler - Special.COUNT] as (typeof variants)[number];
  variantFields[handler] ??= variantsFrom(v.semantics, v.variant);
  return variantFields[handler];
}

/** Helpers that read or write NZCV, and those that read or write a general register. */
const HELPER_FLAGS = /^(FCCMPE?|FCMPE?|FCSEL)_FLOAT$|^FJCVTZS$/;
const HELPER_REGISTERS = /^(FCVT[NPMZA][SU]_FLOAT|[SU]CVTF_FLOAT|FMOV_FLOAT_GEN$|FJCVTZS$|SMOVV$)/;

const entry: Entry = { handler: 0, operand: 0 };

class Decoded implements Instruction {
  readonly index: number;
  readonly word: number;
  readonly handler: number;
  readonly operand: number;
  row: Row | undefined = undefined;
  effects: readonly Effect[] = [];
  end: End = "stop";
  target = -1;
  conditional = false;
  uses = 0;
  defs = 0;
  readsFlags = false;
  setsFlags = false;
  mayBail = false;
  helper = false;
  fast = false;

  constructor(index: number, word: number, handler: number, operand: number) {
    this.index = index;
    this.word = word;
    this.handler = handler;
    this.operand = operand;
  }

  private read(n: Value | undefined): void {
    if (!n) return;
    if (n.op === Op.X) this.uses |= bitOf(n.imm);
    if (n.op === Op.Cond || n.op === Op.Flag) this.readsFlags = true;
    this.read(n.a);
    this.read(n.b);
    this.read(n.c);
  }
  /** Adds what an effect reads and writes. */
  effect(e: Effect): void {
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
        if (e.r.imm !== 31) this.defs |= bitOf(e.r.imm);
        return;
      case "setV":
        this.read(e.v);
        return;
      case "setLane":
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

/** Decodes the instruction `word` at `index` and builds its effects. */
export function instructionAt(index: number, word: number, context: DecodeContext): Instruction {
  predecode(word, context, entry);
  const i = new Decoded(index, word, entry.handler, entry.operand);
  if (i.handler < Special.COUNT) {
    special(i);
    return i;
  }
  const row = decode(word) as Row;
  const b = new Builder(context.fused);
  const { semantics } = variants[i.handler - Special.COUNT] as (typeof variants)[number];
  semantics.fn(b, constantFields(row, word), variantsOf(i.handler), row);
  i.row = row;
  i.effects = b.effects;
  summarise(i);
  return i;
}

function summarise(i: Decoded): void {
  i.end = "next";
  for (const e of i.effects) {
    i.effect(e);
    if (e.e === "system" && !e.cond) i.end = "stop";
    if (e.e === "jump") i.end = "jump";
    if (e.e !== "branch") continue;
    i.end = "branch";
    i.target = i.index + (e.off.imm >> 2);
    i.conditional = e.cond !== undefined;
  }
  if (i.helper) helperRegisters(i, i.row as Row, i.word);
}

/** A helper that moves between register files reads Rn or writes Rd; which of them is not told apart. */
function helperRegisters(s: Decoded, row: Row, word: number): void {
  const of = (name: string) => {
    const f = row.fields.get(name);
    const index = f ? fieldValue(f, word) : 31;
    return index === 31 ? 0 : bitOf(index);
  };
  if (HELPER_REGISTERS.test(row.name)) {
    s.uses |= of("Rn") | of("Rd");
    s.defs |= of("Rd");
  }
  if (HELPER_FLAGS.test(row.name)) {
    s.readsFlags = true;
    s.setsFlags = true;
  }
}

/** Entries whose operand is not an instruction of the table: translated by hand (see special.ts), or not at all. */
function special(i: Decoded): void {
  const field = i.operand & 31;
  const rt = field === 31 ? 0 : bitOf(field);
  switch (i.handler) {
    case Special.MRS_FAST:
    case Special.MRS_DAIF:
      i.defs = rt;
      break;
    case Special.MSR_FAST:
    case Special.MSR_DAIF:
    case Special.DC_ZVA:
    case Special.DC_VA:
      i.uses = rt;
      break;
    case Special.DAIFSET:
    case Special.DAIFCLR:
      break;
    default:
      return;
  }
  i.end = "next";
  i.mayBail = true;
}
