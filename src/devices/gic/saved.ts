// Reading back what save() wrote, with shape checks.

import { EmuError } from "../../util/errors.ts";
import type { Saved } from "../../util/stateful.ts";

const corrupt = (what: string) => new EmuError("snapshot-corrupt", `the saved interrupt controller state is damaged: ${what}`);

/** `state` as an object of saved values. */
export function fields(state: Saved | undefined): { [key: string]: Saved } {
  if (typeof state !== "object" || state === null || Array.isArray(state) || state instanceof Uint8Array)
    throw corrupt("expected an object");
  return state;
}
/** `state` as a list of exactly `length` values. */
export function list(state: Saved | undefined, length: number): Saved[] {
  if (!Array.isArray(state) || state.length !== length) throw corrupt(`expected a list of ${length}`);
  return state;
}
/** `state` as an unsigned 32-bit number. */
export function word(state: Saved | undefined): number {
  if (typeof state !== "number" || state >>> 0 !== state) throw corrupt("expected a 32-bit number");
  return state;
}
/** Copies a saved list of unsigned numbers into `target`, which fixes its length. */
export function numbersInto(target: Uint32Array | Uint8Array, state: Saved | undefined): void {
  const values = list(state, target.length);
  for (let i = 0; i < values.length; i++) target[i] = word(values[i]);
}
