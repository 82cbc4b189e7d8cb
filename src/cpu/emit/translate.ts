// The effects of one given instruction word: what translators start from.

import { Builder, type Effect } from "../../ir/builder.ts";
import { c32, c64, isConst, type Value } from "../../ir/value.ts";
import { bitmaskImmediate } from "../../isa/bitmask.ts";
import type { Fields } from "../../isa/semantics/define.ts";
import { type Semantics, semantics, variantOf, variantsFrom } from "../../isa/semantics/index.ts";
import { fieldValue, type Row } from "../../isa/table.ts";

/** Builder that knows all fields: logical immediates are constants too. */
class TranslationBuilder extends Builder {
  override bitmask(n: Value): Value {
    if (!isConst(n)) return super.bitmask(n);
    const mask = bitmaskImmediate(n.imm);
    return c64(Number(BigInt.asIntN(32, mask)), Number(BigInt.asIntN(32, mask >> 32n)));
  }
}

/** Fields of a word as constants. */
export function constantFields(row: Row, insn: number): Fields {
  const fields: Record<string, Value> = {};
  for (const f of row.fields.values()) fields[f.name] = c32(fieldValue(f, insn));
  // Logical immediates read N:immr:imms as one field.
  if (row.fields.has("imms") && row.fields.has("N")) fields.n13 = c32((insn >>> 10) & 0x1fff);
  return fields as Fields;
}

/** An instruction as a translator sees it. */
export interface Translated {
  readonly semantics: Semantics;
  readonly effects: readonly Effect[];
  readonly readsFlags: boolean;
  readonly setsFlags: boolean;
}

/** The effects of a word of `row`; undefined when the row or this variant of it has no semantics. */
export function translate(row: Row, insn: number): Translated | undefined {
  const s = semantics.get(row.name);
  if (!s) return undefined;
  const variant = variantsFrom(s, variantOf(s, insn));
  if (!s.valid(variant)) return undefined;
  const b = new TranslationBuilder();
  s.fn(b, constantFields(row, insn), variant, row);
  return { semantics: s, effects: b.effects, readsFlags: b.readsFlags, setsFlags: b.setsFlags };
}
