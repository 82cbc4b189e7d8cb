// Disassembler over the instruction table: formats are data (formats.ts, formats-simd.ts), preferred aliases as GNU objdump prints them.

import { decode, type Row, rows } from "../table.ts";
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

/** Formats by row, in order; a row without any prints its own name. */
function formatsOf(): Map<Row, Compiled[]> {
  const out = new Map<Row, Compiled[]>(rows.map((r) => [r, []]));
  for (const format of [...integerFormats, ...simdFormats]) {
    const compiled = compileFormat(format);
    const names = format[0].split(/\s+/).map((n) => new RegExp(`^${n.replace(/\*/g, ".*")}$`));
    for (const [row, list] of out) {
      const done = list.at(-1)?.condition === undefined && list.length > 0;
      if (!done && names.some((n) => n.test(row.name))) list.push(compiled);
    }
  }
  return out;
}
const formats = formatsOf();

/**
 * Assembly text of an instruction word at address `pc`, mnemonic and operands separated by one space. Addresses print as
 * `0x...`, followed by ` <symbol>` when `symbol` knows them. Unallocated and reserved words: `.inst 0x........ // undefined`.
 */
export function disassemble(insn: number, pc: bigint, symbol?: SymbolLookup): string {
  const row = decode(insn | 0);
  if (!row) return insn >>> 16 === 0 ? `udf #${insn}` : `.inst 0x${(insn >>> 0).toString(16).padStart(8, "0")} // undefined`;
  const d = new Decoded(insn | 0, row, pc, symbol);
  const format = formats.get(row)?.find((f) => f.condition === undefined || f.condition(d));
  return format ? format.print(d) : d.mnemonic;
}
