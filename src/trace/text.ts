// Trace events as text and as JSON. A call and its answer make one line when nothing happened in between:
//
//        102400 PE0 rmi   RMI_VERSION(req=0x10000) = RMI_SUCCESS lower=0x10000 higher=0x10000   from Non-secure EL2 PC=0xf000000
//
// and otherwise two, the second of which begins with "<-".

import { securityName } from "../arch/security.ts";
import type { AnswerEvent, CallEvent, GptEvent, NamedValue, Place, TraceEvent } from "./events.ts";

/** Names an address; undefined: it has no name. */
export type SymbolLookup = (address: bigint) => string | undefined;

const hex = (v: bigint | number): string => `0x${v.toString(16)}`;
const place = (p: Place): string => `${securityName[p.security]} EL${p.el}`;
const values = (list: readonly NamedValue[], separator: string): string => list.map(([n, v]) => `${n}=${hex(v)}`).join(separator);
const head = (e: TraceEvent): string => `${String(e.at).padStart(12)} PE${e.pe} ${e.kind.padEnd(5)}`;

const calling = (e: CallEvent): string => `${e.name}(${values(e.args, ", ")}${e.about === undefined ? "" : ` ${e.about}`})`;
const answering = (e: AnswerEvent): string =>
  `= ${[e.code, values(e.results, " "), e.detail === undefined ? "" : `[${e.detail}]`].filter((s) => s !== "").join(" ")}`;

function gptText(e: GptEvent): string {
  const one = ({ from, to, before, after }: GptEvent["changes"][number]): string => `${hex(from)}-${hex(to - 1)} ${before} -> ${after}`;
  const what = e.changes.length > 0 ? e.changes.map(one).join(", ") : `level ${e.level} entry ${hex(e.before)} -> ${hex(e.after)}`;
  return `${what} (entry ${hex(e.entry)}) by ${e.by}`;
}

/** One line of text for an event: fields in a fixed order, so that it can be searched. */
export function traceLine(e: TraceEvent, symbol: SymbolLookup = () => undefined): string {
  const at = (name: string, address: bigint): string => {
    const known = symbol(address);
    return `${name}=${hex(address)}${known === undefined ? "" : ` <${known}>`}`;
  };
  switch (e.kind) {
    case "exc": {
      const syndrome = e.esr === undefined ? "" : ` ESR=${hex(e.esr)}`;
      const far = e.far === undefined ? "" : ` FAR=${hex(e.far)}`;
      return `${head(e)} ${e.name}: ${place(e.from)} -> ${place(e.to)} ${at("ELR", e.elr)}${syndrome}${far} ${at("vector", e.vector)}`;
    }
    case "eret":
      return `${head(e)} ${place(e.from)} -> ${place(e.to)} ${at("PC", e.pc)}`;
    case "world":
      return `${head(e)} ${securityName[e.from]} -> ${securityName[e.to]} EL${e.el} ${at("PC", e.pc)}`;
    case "gpt":
      return `${head(e)} ${gptText(e)}`;
    default:
      if (e.phase === "call") return `${head(e)} ${calling(e)}   ${e.conduit} from ${place(e.from)} ${at("PC", e.pc)}`;
      return `${head(e)} <- ${e.name} ${answering(e)}   to ${place(e.to)}`;
  }
}

/** One event as a JSON object in one line. 64-bit values are strings in hexadecimal, Security states are names. */
export function traceJson(e: TraceEvent, symbol: SymbolLookup = () => undefined): string {
  const named: { [key: string]: string } = {};
  for (const key of ["pc", "elr", "vector"] as const) {
    const value = (e as { [k in typeof key]?: bigint })[key];
    const known = value === undefined ? undefined : symbol(value);
    if (known !== undefined) named[`${key}_symbol`] = known;
  }
  const convert = (key: string, value: unknown): unknown => {
    if (typeof value === "bigint") return hex(value);
    if (key === "security" || (e.kind === "world" && (key === "from" || key === "to"))) return securityName[value as number];
    if (key === "args" || key === "results") return Object.fromEntries(value as readonly NamedValue[]);
    return value;
  };
  return JSON.stringify({ ...e, ...named }, convert);
}

/** Makes lines of events, and one line of a call and the answer that follows it at once. */
export class TraceText {
  private readonly line: (text: string) => void;
  private readonly symbol: SymbolLookup | undefined;
  private held: CallEvent | undefined;

  constructor(line: (text: string) => void, symbol?: SymbolLookup) {
    this.line = line;
    this.symbol = symbol;
  }

  event(e: TraceEvent): void {
    const { held } = this;
    if (held !== undefined && "phase" in e && e.phase === "answer" && e.call === held.call) {
      this.held = undefined;
      this.line(this.text(held).replace(calling(held), () => `${calling(held)} ${answering(e)}`));
      return;
    }
    this.flush();
    if ("phase" in e && e.phase === "call") this.held = e;
    else this.line(this.text(e));
  }
  /** Writes the call that waits for its answer. */
  flush(): void {
    if (this.held !== undefined) this.line(this.text(this.held));
    this.held = undefined;
  }

  private text(e: TraceEvent): string {
    return traceLine(e, this.symbol);
  }
}
