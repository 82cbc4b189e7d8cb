// Save and restore, implemented by everything that holds guest-visible state.

/** What a stateful part saves: plain data only (numbers, bigints, strings, booleans, typed arrays, arrays and objects of those). */
export type Saved = number | bigint | string | boolean | null | Uint8Array | Saved[] | { [key: string]: Saved };

/** A part whose state a snapshot holds. After `restore(save())` it behaves identically. */
export interface Stateful {
  save(): Saved;
  /** Throws EmuError("snapshot-corrupt") when `state` has the wrong shape. */
  restore(state: Saved): void;
}
