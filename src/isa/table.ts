// The instruction table: encoding rows with their fields and reserved-value rules, and the decoder derived from them.
// Overlap rule: rows are tried in order of decreasing number of mask bits; a `next:` condition passes to the next row.

import { branchSystem } from "./rows/branch-system.ts";
import { dpImmediate } from "./rows/dp-immediate.ts";
import { dpRegister } from "./rows/dp-register.ts";
import { loadStore } from "./rows/load-store.ts";
import { reserved } from "./rows/reserved.ts";
import type { RowData } from "./rows/row.ts";
import { simdFp } from "./rows/simd-fp.ts";

export interface Field {
  readonly name: string;
  readonly low: number;
  readonly width: number;
}
type Predicate = (insn: number) => boolean;

export interface Row {
  readonly index: number;
  readonly name: string;
  readonly value: number;
  readonly mask: number;
  readonly fields: ReadonlyMap<string, Field>;
  /** Features that must exist: "" none, "A,B" all, "A|B" any, "X?" for some field values only. */
  readonly features: string;
  /** The word is UNDEFINED. */
  readonly undefined: Predicate;
  /** The row does not apply to the word. */
  readonly next: Predicate;
}

const never: Predicate = () => false;

export const fieldValue = (f: Field, insn: number) => (insn >>> f.low) & (2 ** f.width - 1);

/** `Rd[4:0] S[29]`: by name, with the highest and lowest bit. */
function parseFields(text: string): Map<string, Field> {
  const fields = new Map<string, Field>();
  if (text === "") return fields;
  for (const field of text.split(" ")) {
    const open = field.indexOf("[");
    const colon = field.indexOf(":", open);
    const high = Number.parseInt(field.slice(open + 1), 10);
    const low = colon < 0 ? high : Number.parseInt(field.slice(colon + 1), 10);
    const name = field.slice(0, open);
    fields.set(name, { name, low, width: high - low + 1 });
  }
  return fields;
}

/** `a=1x0&b!=11`: every comparison must hold. */
function conjunction(text: string, fields: ReadonlyMap<string, Field>, row: string): Predicate {
  const terms = text.split("&").map((t) => {
    const m = /^(\w+)(!?=)([01x]+)$/.exec(t.trim());
    const f = m && fields.get(m[1] as string);
    if (!m || !f) throw new Error(`isa: rule "${text}" does not fit row ${row}`);
    const bits = m[3] as string;
    const mask = Number.parseInt(bits.replace(/[01]/g, "1").replace(/x/g, "0"), 2) << f.low;
    const value = Number.parseInt(bits.replace(/x/g, "0"), 2) << f.low;
    return { mask, value, negate: m[2] === "!=" };
  });
  return (insn) => terms.every((t) => ((insn & t.mask) === t.value) !== t.negate);
}
function disjunction(text: string, fields: ReadonlyMap<string, Field>, row: string): Predicate {
  const rule = text.trim();
  if (rule === "") return never;
  if (rule === "always") return () => true;
  if (rule.startsWith("!(")) {
    const inner = disjunction(rule.slice(2, -1), fields, row);
    return (insn) => !inner(insn);
  }
  const any = rule.split("|").map((c) => conjunction(c, fields, row));
  return (insn) => any.some((p) => p(insn));
}

const rules = new Map<string, string>();
for (const [rule, names] of reserved) for (const name of names.split(" ")) rules.set(name, rule);

/** What a row says beside its bits is taken apart when it is asked for: a program needs few of the rows, but all of them at its start. */
class TableRow implements Row {
  readonly index: number;
  readonly name: string;
  readonly value: number;
  readonly mask: number;
  readonly features: string;
  private readonly fieldText: string;
  private parsedFields: ReadonlyMap<string, Field> | undefined;
  private parsedRules: { undefined: Predicate; next: Predicate } | undefined;

  constructor([name, value, mask, fieldText, features]: RowData, index: number) {
    this.index = index;
    this.name = name;
    this.value = value | 0;
    this.mask = mask | 0;
    this.features = features;
    this.fieldText = fieldText;
  }
  get fields(): ReadonlyMap<string, Field> {
    this.parsedFields ??= parseFields(this.fieldText);
    return this.parsedFields;
  }
  get undefined(): Predicate {
    return this.rules.undefined;
  }
  get next(): Predicate {
    return this.rules.next;
  }
  private get rules() {
    this.parsedRules ??= this.parseRules();
    return this.parsedRules;
  }
  private parseRules() {
    const [undef, next] = (rules.get(this.name) ?? "").split(/;?\s*next:/);
    return {
      undefined: disjunction((undef ?? "").replace(/;\s*$/, ""), this.fields, this.name),
      next: disjunction(next ?? "", this.fields, this.name),
    };
  }
}

export const rows: readonly Row[] = [...dpImmediate, ...branchSystem, ...loadStore, ...dpRegister, ...simdFp].map(
  (data, index) => new TableRow(data, index),
);
export const rowByName: ReadonlyMap<string, Row> = new Map(rows.map((r) => [r.name, r]));

function popcount(v: number): number {
  let n = 0;
  for (let x = v >>> 0; x !== 0; x &= x - 1) n++;
  return n;
}
// CPY* and SET* have equally many mask bits: op1 = 11 selects SET*.
const rank = (r: Row) => 2 * popcount(r.mask) + Number(r.name.startsWith("SET"));
const order = rows
  .map((row) => ({ row, rank: rank(row) }))
  .sort((a, b) => b.rank - a.rank)
  .map(({ row }) => row);

/** The rows that words with the bits `value` under `mask` may be. */
const candidates = (from: readonly Row[], value: number, mask: number) => from.filter((r) => ((value ^ r.value) & r.mask & mask) === 0);
/** By op0, bits 28 to 25 of a word, and by its upper 11 bits; made for words that occur. */
const groups: (readonly Row[] | undefined)[] = new Array(16).fill(undefined);
const buckets: (readonly Row[] | undefined)[] = new Array(2048).fill(undefined);

function bucketOf(insn: number): readonly Row[] {
  const op0 = (insn >>> 25) & 15;
  const group = groups[op0] ?? candidates(order, insn, 0x1e00_0000);
  groups[op0] = group;
  const bucket = candidates(group, insn, 0xffe0_0000);
  buckets[insn >>> 21] = bucket;
  return bucket;
}

/** The row of an instruction word, or undefined when the word is unallocated or reserved (UNDEFINED). */
export function decode(insn: number): Row | undefined {
  const bucket = buckets[insn >>> 21] ?? bucketOf(insn);
  for (const row of bucket) {
    if ((insn & row.mask) !== row.value || row.next(insn)) continue;
    return row.undefined(insn) ? undefined : row;
  }
  return undefined;
}
