// Registers of a PE that are kept together elsewhere: in a context that a world switch saves, in a granule of the RMM. Copied as words of
// 32 bits, since values of 64 bits would be made into BigInts on the way.

import type { PeState } from "./state.ts";

export class RegisterBlock {
  /** Number of registers; each takes 8 bytes. */
  readonly length: number;
  /** Word offsets in the block of a PE. */
  private readonly words: Int32Array;

  /** `offsets`: of the registers, as PeState takes them, in the order in which they are kept. */
  constructor(offsets: readonly number[]) {
    this.length = offsets.length;
    this.words = Int32Array.from(offsets, (at) => at >>> 2);
  }

  /** Copies the registers of a PE to `to`, from word `at` on. */
  save(st: PeState, to: Uint32Array, at: number): void {
    const { words } = this;
    const base = st.base >>> 2;
    const from = st.u32;
    for (let i = 0; i < words.length; i++) {
      const word = base + (words[i] as number);
      to[at + 2 * i] = from[word] as number;
      to[at + 2 * i + 1] = from[word + 1] as number;
    }
  }
  /** The other way: gives the PE what `from` holds from word `at` on. */
  load(st: PeState, from: Uint32Array, at: number): void {
    const { words } = this;
    const base = st.base >>> 2;
    const to = st.u32;
    for (let i = 0; i < words.length; i++) {
      const word = base + (words[i] as number);
      to[word] = from[at + 2 * i] as number;
      to[word + 1] = from[at + 2 * i + 1] as number;
    }
  }
}
