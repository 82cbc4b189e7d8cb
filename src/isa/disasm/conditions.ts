// Conditions of formats: `field=bits`, `field!=bits`, `Rn=Rm`, `@name`; `&` binds tighter than `|`.

import type { Decoded } from "./decoded.ts";

export type Condition = (d: Decoded) => boolean;

/** The logical immediate is also a MOVZ or MOVN value (MoveWidePreferred): ORR then does not print as MOV. */
function moveWidePreferred(d: Decoded): boolean {
  const width = d.sf ? 64 : 32;
  const inOneHalfword = (v: bigint): boolean => [0n, 16n, 32n, 48n].some((s) => (v & ~(0xffffn << s)) === 0n);
  return inOneHalfword(d.bitmask) || inOneHalfword(BigInt.asUintN(width, ~d.bitmask));
}
/** MOV (wide immediate) stands for MOVZ and MOVN whose value has no shorter form. */
function movWide(d: Decoded): boolean {
  if (d.f("imm16") === 0) return d.f("hw") === 0;
  return !(d.row.name === "MOVN" && !d.sf && d.f("imm16") === 0xffff);
}
/** UBFM: imms + 1 = immr, and not the whole register. */
const lsl: Condition = (d) => d.f("imms") !== (d.sf ? 63 : 31) && d.f("imms") + 1 === d.f("immr");

const named: Record<string, Condition> = {
  notMovWide: (d) => !moveWidePreferred(d),
  movWide,
  lsl,
  insert: (d) => d.f("imms") < d.f("immr"),
  noShift: (d) => ((d.f("immh") << 3) | d.f("immb")) === 8 << d.lg,
  hasRm: (d) => d.has("Rm"),
  hasRt2: (d) => d.has("Rt2"),
  hasImm9: (d) => d.has("imm9"),
};

function term(text: string): Condition {
  if (text.startsWith("@")) {
    const c = named[text.slice(1)];
    if (!c) throw new Error(`disasm: no condition ${text}`);
    return c;
  }
  const m = /^(\w+)(!?=)(\w+)$/.exec(text);
  if (!m) throw new Error(`disasm: condition ${text}`);
  const [, field, relation, bits] = m as unknown as [string, string, string, string];
  if (!/^[01x]+$/.test(bits)) return (d) => d.f(field) === d.f(bits);
  const mask = Number.parseInt(bits.replace(/[01]/g, "1").replace(/x/g, "0"), 2);
  const value = Number.parseInt(bits.replace(/x/g, "0"), 2);
  return (d) => ((d.f(field) & mask) === value) === (relation === "=");
}

/** Parses a condition. */
export function parseCondition(text: string): Condition {
  const alternatives = text.split("|").map((a) => a.split("&").map((t) => term(t.trim())));
  return (d) => alternatives.some((terms) => terms.every((c) => c(d)));
}
