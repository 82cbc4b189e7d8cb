// Disassembler over the instruction table: formats are data (formats.ts, formats-simd.ts), preferred aliases as GNU objdump prints them.

import { decode, type Row } from "../table.ts";
import { type Condition, parseCondition } from "./conditions.ts";
import { Decoded, type SymbolLookup } from "./decoded.ts";
import { type Format, integerFormats } from "./formats.ts";
import { simdFormats } from "./formats-simd.ts";
import { type Printer, printerOf } from "./operands.ts";

export type { SymbolLookup } from "./decoded.ts";

interface Compiled {
  readonly condition: Condition | undefined;
  readonly print: Printer;
}

/** Text with operands in braces; `{,x}` puts ", " before x unless x is empty. */
function compile(format: string): Printer {
  const parts = format.split(/(\{[^{}]+\})/).filter((p) => p !== "");
  const printers = parts.map((part): Printer => {
    if (!part.startsWith("{")) return () => part;
    const optional = part.startsWith("{,");
    const p = printerOf(part.slice(optional ? 2 : 1, -1));
    if (!optional) return p;
    return (d) => {
      const text = p(d);
      return text === "" ? "" : `, ${text}`;
    };
  });
  return (d) => printers.map((p) => p(d)).join("");
}
const compileFormat = (f: Format): Compiled =>
  f.length === 2 ? { condition: undefined, print: compile(f[1]) } : { condition: parseCondition(f[1]), print: compile(f[2]) };

interface Pattern {
  readonly names: readonly RegExp[];
  readonly format: Format;
}
let patterns: readonly Pattern[] | undefined;
const allPatterns = (): readonly Pattern[] => {
  patterns ??= [...integerFormats, ...simdFormats].map((format) => ({
    names: format[0].split(/\s+/).map((n) => new RegExp(`^${n.replace(/\*/g, ".*")}$`)),
    format,
  }));
  return patterns;
};

const compiled = new Map<Row, readonly Compiled[]>();
/** Formats of a row, in order, up to the first without a condition; a row without any prints its own name. Made when asked for. */
function formatsOf(row: Row): readonly Compiled[] {
  const known = compiled.get(row);
  if (known) return known;
  const list: Compiled[] = [];
  for (const { names, format } of allPatterns()) {
    if (!names.some((n) => n.test(row.name))) continue;
    const c = compileFormat(format);
    list.push(c);
    if (!c.condition) break;
  }
  compiled.set(row, list);
  return list;
}

/**
 * Assembly text of an instruction word at address `pc`, mnemonic and operands separated by one space. Addresses print as
 * `0x...`, followed by ` <symbol>` when `symbol` knows them. Unallocated and reserved words: `.inst 0x........ // undefined`.
 */
export function disassemble(insn: number, pc: bigint, symbol?: SymbolLookup): string {
  const row = decode(insn | 0);
  if (!row) return insn >>> 16 === 0 ? `udf #${insn}` : `.inst 0x${(insn >>> 0).toString(16).padStart(8, "0")} // undefined`;
  const d = new Decoded(insn | 0, row, pc, symbol);
  const format = formatsOf(row).find((f) => f.condition === undefined || f.condition(d));
  return format ? format.print(d) : d.mnemonic;
}
