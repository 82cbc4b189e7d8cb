// The list of handlers: which handler index executes which instruction word.

import type { Builder } from "../../ir/builder.ts";
import { I32, Op, Value } from "../../ir/value.ts";
import type { Fields, Variants } from "../../isa/semantics/define.ts";
import { allVariants, type Semantics, semantics, variantCount, variantOf, variantsFrom } from "../../isa/semantics/index.ts";
import { decode, type Row } from "../../isa/table.ts";
import { frequentWords } from "./frequent.ts";

/** Handlers that are not rows. The operand word of some is not the instruction (see predecode.ts). */
export const Special = {
  /** The entry has not been decoded yet. */
  DECODE: 0,
  /** The entry behind the last of a page. */
  CROSS: 1,
  UNDEFINED: 2,
  GAP: 3,
  /** Operand: fast system-register index << 5 | Rt. */
  MRS_FAST: 4,
  MSR_FAST: 5,
  DC_ZVA: 6,
  DAIFSET: 7,
  DAIFCLR: 8,
  MRS_DAIF: 9,
  MSR_DAIF: 10,
  /** Cache maintenance by address: DC IVAC, CVAC, CVAU, CIVAC, IC IVAU. */
  CMO_VA: 11,
  COUNT: 12,
} as const;

/** Handlers of each row's variants; -1: there is no such variant. */
const byRow = new Map<Row, { semantics: Semantics; index: Int32Array }>();

/** Row variants in handler order, from Special.COUNT: the frequent ones first. */
export const variants: { semantics: Semantics; variant: number }[] = [];
/** `scratch`: an object of this row alone, for the question whether there is such a variant. */
function addVariant(s: Semantics, index: Int32Array, variant: number, scratch: Variants): void {
  if (index[variant] !== -1) return;
  if (s.valid !== allVariants && !s.valid(variantsFrom(s, variant, scratch))) return;
  index[variant] = Special.COUNT + variants.length;
  variants.push({ semantics: s, variant });
}
for (const s of semantics.values()) byRow.set(s.row, { semantics: s, index: new Int32Array(variantCount(s)).fill(-1) });
for (const word of frequentWords) {
  const { semantics: s, index } = byRow.get(decode(word) as Row) as { semantics: Semantics; index: Int32Array };
  addVariant(s, index, variantOf(s, word), { sf: 1 });
}
/** Handlers from `first` to below `end` stand in the central loop itself (central.ts). */
export const inlined = { first: Special.MRS_FAST, end: Special.COUNT + variants.length } as const;
for (const { semantics: s, index } of byRow.values()) {
  const scratch: Variants = { sf: 1 };
  for (let v = 0; v < index.length; v++) addVariant(s, index, v, scratch);
}
export const handlerCount = Special.COUNT + variants.length;

/** Handler of an instruction word of a row; -1 when the row has no semantics (a gap). */
export function handlerOf(row: Row, insn: number): number {
  const b = byRow.get(row);
  return b ? (b.index[variantOf(b.semantics, insn)] as number) : -1;
}

/** Fields as values extracted from the instruction word. */
export function dynamicFields(row: Row): Fields {
  const fields: Record<string, Value> = {};
  for (const f of row.fields.values()) fields[f.name] = new Value(Op.Field, I32, undefined, undefined, undefined, f.low, f.width);
  // Logical immediates read N:immr:imms as one field.
  if (row.fields.has("imms") && row.fields.has("N")) fields.n13 = new Value(Op.Field, I32, undefined, undefined, undefined, 10, 13);
  return fields as Fields;
}

/** Builds the effects of one variant over dynamic fields. */
export function build(b: Builder, s: Semantics, variant: number): void {
  s.fn(b, dynamicFields(s.row), variantsFrom(s, variant), s.row);
}
