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

function parseFields(text: string): Map<string, Field> {
  const fields = new Map<string, Field>();
  for (const m of text.matchAll(/(\w+)\[(\d+)(?::(\d+))?\]/g)) {
    const low = Number(m[3] ?? m[2]);
    const name = m[1] as string;
    fields.set(name, { name, low, width: Number(m[2]) - low + 1 });
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

function makeRow([name, value, mask, fieldText, features]: RowData, index: number): Row {
  const fields = parseFields(fieldText);
  const [undef, next] = (rules.get(name) ?? "").split(/;?\s*next:/);
  return {
    index,
    name,
    value: value | 0,
    mask: mask | 0,
    fields,
    features,
    undefined: disjunction((undef ?? "").replace(/;\s*$/, ""), fields, name),
    next: disjunction(next ?? "", fields, name),
  };
}

export const rows: readonly Row[] = [...dpImmediate, ...branchSystem, ...loadStore, ...dpRegister, ...simdFp].map(makeRow);
export const rowByName: ReadonlyMap<string, Row> = new Map(rows.map((r) => [r.name, r]));

function popcount(v: number): number {
  let n = 0;
  for (let x = v >>> 0; x !== 0; x &= x - 1) n++;
  return n;
}
// CPY* and SET* have equally many mask bits: op1 = 11 selects SET*.
const order = [...rows].sort(
  (a, b) => popcount(b.mask) - popcount(a.mask) || Number(b.name.startsWith("SET")) - Number(a.name.startsWith("SET")),
);
const buckets: Row[][] = Array.from({ length: 2048 }, (_, top) =>
  order.filter((r) => (((top << 21) ^ r.value) & r.mask & 0xffe0_0000) === 0),
);

/** The row of an instruction word, or undefined when the word is unallocated or reserved (UNDEFINED). */
export function decode(insn: number): Row | undefined {
  for (const row of buckets[insn >>> 21] as Row[]) {
    if ((insn & row.mask) !== row.value || row.next(insn)) continue;
    return row.undefined(insn) ? undefined : row;
  }
  return undefined;
}
