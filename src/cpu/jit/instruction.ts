// One guest instruction as the translators see it: what it reads and writes, how it ends, and the shape that has its effects.

import type { Effect } from "../../ir/builder.ts";
import { Op, type Value } from "../../ir/value.ts";
import { decode, fieldValue, type Row } from "../../isa/table.ts";
import { Special } from "../interp/handlers.ts";
import { type DecodeContext, type Entry, predecode } from "../interp/predecode.ts";
import { bitOf, constantFields, type End, fieldOf, openBits, openFields, type Registers, Shape, shapeOf } from "./shape.ts";

export { bitOf, Check, type End, indexOf, lowest, type Registers, registerOf, registerRead } from "./shape.ts";

export class Instruction {
  /** Number of the word in its page, 0..1023. */
  readonly index: number;
  readonly word: number;
  readonly shape: Shape;
  /** Handler and operand of the predecoded entry. */
  readonly handler: number;
  readonly operand: number;
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

  constructor(index: number, m: Meaning) {
    const { shape } = m;
    this.index = index;
    this.word = m.word;
    this.shape = shape;
    this.handler = m.handler;
    this.operand = m.operand;
    this.end = shape.end;
    this.target = index + m.distance;
    this.conditional = shape.conditional;
    this.uses = m.uses;
    this.defs = m.defs;
    this.readsFlags = shape.readsFlags;
    this.setsFlags = shape.setsFlags;
    this.mayBail = shape.mayBail;
    this.helper = shape.helper;
    this.fast = shape.fast;
  }
  get row(): Row | undefined {
    return this.shape.row;
  }
  /** Fields of the word may stand in them: see fieldOf and registerOf. */
  get effects(): readonly Effect[] {
    return this.shape.effects;
  }
}

/** Helpers that read or write a general register. */
const HELPER_REGISTERS = /^(FCVT[NPMZA][SU]_FLOAT|[SU]CVTF_FLOAT|FMOV_FLOAT_GEN$|FJCVTZS$|SMOVV$)/;

const entry: Entry = { handler: 0, operand: 0 };

/** One instruction word. */
interface Meaning {
  readonly word: number;
  readonly handler: number;
  readonly operand: number;
  readonly shape: Shape;
  /** Words to the target of a direct branch. */
  readonly distance: number;
  uses: Registers;
  defs: Registers;
}

/** An i32 value over constants and fields alone. */
function evaluate(n: Value, word: number): number {
  if (n.op === Op.Const) return n.imm;
  if (n.op === Op.Field) return fieldOf(n, word);
  const [a, b] = [evaluate(n.a as Value, word), evaluate(n.b as Value, word)];
  if (n.op === 0x74) return a << b; // i32.shl
  if (n.op === 0x75) return a >> b; // i32.shr_s
  throw new Error(`jit: operation 0x${n.op.toString(16)} in the distance of a branch`);
}

function meaningOf(word: number, { handler, operand }: Entry, shape: Shape): Meaning {
  let { uses, defs } = shape;
  for (const place of shape.useFields) uses |= bitOf((word >>> place) & 31);
  for (const place of shape.defFields) defs |= bitOf((word >>> place) & 31);
  const distance = shape.offset ? evaluate(shape.offset, word) >> 2 : -1;
  const m = { word, handler, operand, shape, distance, uses, defs };
  if (shape.helper) helperRegisters(m, shape.row as Row, word);
  return m;
}
/** Decodes the instruction `word` at `index` and builds its effects, without fields in them. */
export function instructionAt(index: number, word: number, context: DecodeContext): Instruction {
  predecode(word, context, entry);
  if (entry.handler < Special.COUNT) return new Instruction(index, special(word, entry));
  const row = decode(word) as Row;
  return new Instruction(index, meaningOf(word, entry, shapeOf(row, entry.handler, constantFields(row, word), context.fused)));
}

/** Words that are remembered; a boot of Debian and a few programs are 12,000. More, and all of them are forgotten. */
const WORDS = 1 << 14;

/** Instructions of one kind of PE. Words that were met before, and words like them, cost little. */
export class InstructionSet {
  private readonly context: DecodeContext;
  private words = new Map<number, Meaning>();
  /** By handler and what is left of the word. */
  private shapes: Map<number, Shape>[] = [];

  constructor(context: DecodeContext) {
    this.context = context;
  }
  /** The instruction `word` at `index`. */
  at(index: number, word: number): Instruction {
    let m = this.words.get(word);
    if (!m) {
      m = this.decode(word);
      this.words.set(word, m);
    }
    return new Instruction(index, m);
  }
  private decode(word: number): Meaning {
    if (this.words.size >= WORDS) {
      this.words = new Map();
      this.shapes = [];
    }
    predecode(word, this.context, entry);
    return entry.handler < Special.COUNT ? special(word, entry) : meaningOf(word, entry, this.shape(word, entry.handler));
  }
  private shape(word: number, handler: number): Shape {
    const row = decode(word) as Row;
    const rest = word & ~openBits(row, word);
    let known = this.shapes[handler];
    if (!known) {
      known = new Map();
      this.shapes[handler] = known;
    }
    const { fused } = this.context;
    let shape = known.get(rest);
    if (!shape) {
      shape = shapeOf(row, handler, openFields(row, word), fused);
      known.set(rest, shape);
    }
    return shape.open ? shapeOf(row, handler, constantFields(row, word), fused) : shape;
  }
}

/** A helper that moves between register files reads Rn or writes Rd; which of them is not told apart. */
function helperRegisters(s: { uses: Registers; defs: Registers }, row: Row, word: number): void {
  const of = (name: string) => {
    const f = row.fields.get(name);
    const index = f ? fieldValue(f, word) : 31;
    return index === 31 ? 0 : bitOf(index);
  };
  if (HELPER_REGISTERS.test(row.name)) {
    s.uses |= of("Rn") | of("Rd");
    s.defs |= of("Rd");
  }
}

/** Shapes of entries whose operand is not an instruction of the table: translated by hand (see special.ts), or not at all. */
const left = new Shape();
const byHand = new Shape();
byHand.end = "next";
byHand.mayBail = true;

function special(word: number, { handler, operand }: Entry): Meaning {
  const field = operand & 31;
  const rt = field === 31 ? 0 : bitOf(field);
  const of = (shape: Shape, uses: Registers, defs: Registers): Meaning => ({ word, handler, operand, shape, distance: -1, uses, defs });
  switch (handler) {
    case Special.MRS_FAST:
    case Special.MRS_DAIF:
      return of(byHand, 0, rt);
    case Special.MSR_FAST:
    case Special.MSR_DAIF:
    case Special.DC_ZVA:
    case Special.CMO_VA:
      return of(byHand, rt, 0);
    case Special.DAIFSET:
    case Special.DAIFCLR:
      return of(byHand, 0, 0);
    default:
      return of(left, 0, 0);
  }
}
