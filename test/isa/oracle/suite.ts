// What the differential suites share: how many states, which rows, in which portions.

import type { TestEngine } from "../bare-interpreter.ts";
import { qemu } from "./oracle.ts";

/** States per row: $RME_ORACLE_STATES. */
export const states = Number(process.env.RME_ORACLE_STATES ?? 40);
/** States that run the same word: making programs of them is what the oracle spends its time on. */
export const statesPerWord = Math.min(16, Math.max(1, states >> 6));
/** The same on an engine: each word is a module of its own there, and a process has room for some thousands. */
export const statesPerWordOn = (engine: TestEngine): number => (engine === "wasm" ? 8 * statesPerWord : statesPerWord);
const pattern = new RegExp(process.env.RME_ORACLE_ROWS ?? "");
/** The row name matches $RME_ORACLE_ROWS. */
export const chosen = (name: string): boolean => pattern.test(name);

/** Row names in portions that keep the cases of one test in bounds. */
export function batches(names: readonly string[]): string[][] {
  const size = Math.max(1, Math.min(48, Math.floor(40_000 / states)));
  const out: string[][] = [];
  for (let i = 0; i < names.length; i += size) out.push(names.slice(i, i + size));
  return out;
}

if (qemu === undefined) process.stderr.write("skipped: no qemu-aarch64 to compare the interpreter with\n");
