// Attaches semantics to rows. A definition names the fields that are variants: those reach the function as plain numbers
// and each combination gets a handler of its own in the interpreter; all other fields are values.

import type { Builder } from "../../ir/builder.ts";
import { isConst, type Value } from "../../ir/value.ts";
import { SysOp } from "../sysops.ts";
import { type Row, rowByName } from "../table.ts";

const fieldNames = [
  "Rd",
  "Rn",
  "Rm",
  "Ra",
  "Rt",
  "Rt2",
  "Rs",
  "imm12",
  "imm16",
  "imm8",
  "imm19",
  "imm14",
  "imm26",
  "imm9",
  "imm7",
  "imm6",
  "imm5",
  "imm3",
  "immlo",
  "immhi",
  "immb",
  "immr",
  "imms",
  "b40",
  "nzcv",
  "mask",
  "CRm",
  "op2",
  "shift",
  "n13",
  "S",
  "Q",
  "size",
  "opcode",
  "a",
  "b",
  "c",
  "d",
  "e",
  "f",
  "g",
  "h",
  "H",
  "L",
  "M",
] as const;
export type Fields = Record<(typeof fieldNames)[number], Value>;
/** Variant fields as numbers; "Rn31" is 1 when field Rn is 31. */
export type Variants = Record<string, number> & { sf: number };

export type SemanticsFn = (b: Builder, f: Fields, v: Variants, row: Row) => void;

interface Variant {
  readonly name: string;
  readonly low: number;
  readonly width: number;
  readonly is31: boolean;
}
export interface Semantics {
  readonly row: Row;
  readonly variants: readonly Variant[];
  readonly fn: SemanticsFn;
  /** Whether a combination of variants can occur; others get no handler. */
  readonly valid: (v: Variants) => boolean;
}

export const semantics = new Map<string, Semantics>();

/** Every combination of variants can occur. */
export const allVariants = () => true;

/** Defines the same semantics for one or more rows. `variants`: field names, or `R31` for "register field R is 31". */
export function define(rows: string, variants: string, fn: SemanticsFn, valid: (v: Variants) => boolean = allVariants): void {
  for (const name of rows.split(/\s+/)) {
    const row = rowByName.get(name);
    if (!row) throw new Error(`isa: no row ${name}`);
    if (semantics.has(name)) throw new Error(`isa: ${name} defined twice`);
    semantics.set(name, { row, variants: variants === "" ? [] : variantFields(variants, row), fn, valid });
  }
}
function variantFields(variants: string, row: Row): Variant[] {
  return variants.split(" ").flatMap((n) => {
    const is31 = n.endsWith("31") && !row.fields.has(n);
    const f = row.fields.get(is31 ? n.slice(0, -2) : n);
    return f ? [{ name: n, low: f.low, width: f.width, is31 }] : [];
  });
}

/** Index of a row's helper, by name; filled by semantics/index.ts. */
export const helperIndices = new Map<string, number>();
/** Index of the helper of `row` in the `helper` and `fast` effects. */
export function helperIndex(row: string): number {
  const index = helperIndices.get(row);
  if (index === undefined) throw new Error(`isa: no helper for ${row}`);
  return index;
}

/** Rows that are nothing but their helper in the interpreter. */
export const translatedOnly = new Set<string>();
/**
 * Defines rows of Advanced SIMD whose operations are for translations alone: there every field is known, so they may depend on each. `fn`
 * answers whether it has them for this word; other words, and all in the interpreter, which does not grow for them, are the helper's.
 */
export function defineTranslated(rows: string, fn: (b: Builder, f: Fields, v: Variants, row: Row) => boolean): void {
  for (const name of rows.split(/\s+/)) translatedOnly.add(name);
  define(rows, "", (b, f, _v, row) => {
    b.requireFp(SysOp.FPTRAP);
    const v = knownFields(f, row);
    if (!v || !fn(b, f, v, row)) b.helper(helperIndex(row.name));
  });
}
function knownFields(f: Fields, row: Row): Variants | undefined {
  const v: Variants = { sf: 1 };
  for (const name of row.fields.keys()) {
    const value = (f as Record<string, Value>)[name] as Value;
    if (!isConst(value)) return undefined;
    v[name] = value.imm;
  }
  return v;
}

/** Number of variant combinations. */
export const variantCount = (s: Semantics) => s.variants.reduce((n, v) => n * (v.is31 ? 2 : 2 ** v.width), 1);

/** Variant number of an instruction word. */
export function variantOf(s: Semantics, insn: number): number {
  let n = 0;
  for (const v of s.variants) {
    const field = (insn >>> v.low) & (2 ** v.width - 1);
    n = v.is31 ? n * 2 + (field === 31 ? 1 : 0) : n * 2 ** v.width + field;
  }
  return n;
}

/** The variants of a variant number, in `out`. */
export function variantsFrom(s: Semantics, number: number, out: Variants = { sf: 1 }): Variants {
  let rest = number;
  for (let i = s.variants.length - 1; i >= 0; i--) {
    const v = s.variants[i] as Variant;
    const size = v.is31 ? 2 : 1 << v.width;
    out[v.name] = rest & (size - 1);
    rest >>>= v.is31 ? 1 : v.width;
  }
  return out;
}
