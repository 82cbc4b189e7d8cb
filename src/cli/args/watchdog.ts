// --watchdog: what happens when the machine can get nowhere any more.

import { usageError } from "../../util/errors.ts";
import { allowKeys, parseKeyValues } from "./keyval.ts";

/** What --watchdog asks for. */
export interface WatchdogPlan {
  /** end: the run ends with exit code 1; tell: a line on standard error, and it goes on; off: nobody looks. */
  readonly mode: "end" | "tell" | "off";
  /** Instructions for which the machine has to have been stuck. */
  readonly after?: number;
  /** Instructions without output on any console that are too many. */
  readonly silent?: number;
  /** Instructions since power-on that are too many. */
  readonly limit?: number;
}

export const WATCHDOG_HELP =
  "when the machine can get no further: end (default with firmware), tell (default without) or off; [,after=N][,silent=N][,limit=N] instructions, as 200M";

/** `firmware`: the machine starts in firmware or at EL3. Without a word behind it the option means "end". */
export function parseWatchdog(text: string | true | undefined, firmware: boolean): WatchdogPlan {
  if (text === undefined) return { mode: firmware ? "end" : "tell" };
  const { head, values } = parseKeyValues(text === true ? "end" : text, "--watchdog");
  allowKeys(values, ["after", "silent", "limit"], "--watchdog");
  const mode = head === undefined || head === "on" ? "end" : head;
  if (mode !== "end" && mode !== "tell" && mode !== "off")
    throw usageError("bad-watchdog", `--watchdog: "${mode}" is neither end, tell nor off`);
  return { mode, ...instructions("after", values), ...instructions("silent", values), ...instructions("limit", values) };
}

const UNITS: Readonly<Record<string, number>> = { "": 1, K: 1e3, M: 1e6, G: 1e9 };

/** A number of instructions, in powers of 1000. */
function instructions<K extends "after" | "silent" | "limit">(key: K, values: ReadonlyMap<string, string>): { [k in K]?: number } {
  const text = values.get(key);
  if (text === undefined) return {};
  const match = /^(\d{1,12})([KMG]?)$/i.exec(text);
  const count = Number(match?.[1]) * (UNITS[(match?.[2] ?? "").toUpperCase()] ?? 1);
  if (count > 0 && Number.isSafeInteger(count)) return { [key]: count } as { [k in K]?: number };
  throw usageError("bad-watchdog", `--watchdog: ${key}=${text} is not a number of instructions (such as 200M)`);
}
