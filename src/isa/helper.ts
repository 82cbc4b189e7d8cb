// Instructions whose effect is written in TypeScript instead of IR: the executor calls the helper with the instruction word.

import type { PeState } from "../arch/state.ts";

/**
 * Performs one instruction on the registers of `st` (Off.V, Off.X, Off.FPCR, Off.FPSR, NZCV). It cannot fault, branch or access
 * memory. The encoding was decoded and its reserved field values were excluded before.
 */
export type Helper = (st: PeState, insn: number) => void;

/** Helpers by row name. */
export type HelperTable = Readonly<Record<string, Helper>>;
