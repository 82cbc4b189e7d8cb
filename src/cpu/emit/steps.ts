// What templates consist of.

import type { Effect } from "../../ir/builder.ts";

/**
 * Steps of a template. A step below 256 is a byte of code. Others have a kind in bits 15..8, a number in bits 7..0 and another one
 * from bit 16 on: temporaries are numbered from 0, a register is a number (32: SP), or FIELD plus the place of a field of the word.
 */
export const Step = {
  /** A new temporary: its number; type in bits 7..0. */
  NEW: 1,
  GET: 2,
  SET: 3,
  TEE: 4,
  GET_X: 5,
  SET_X: 6,
  /** Address of the instruction. */
  PC: 7,
  /** Memory access of this kind (access.ts). The next step: temporaries of its virtual address (bits 7..0) and host address (from 8). */
  ADDRESS: 8,
  /** Condition code on the flags as they stand. */
  CONDITION: 9,
  /** Component of their canonical form. */
  COMPONENT: 10,
  /** A local that keeps the flags in their form. */
  FLAG: 11,
  /** The values of new flags are in as many temporaries, which the next steps are. */
  WRITE_FLAGS: 12,
  /** Opens a block: type, and opcode in bits 7..0. */
  BLOCK: 13,
  END: 14,
  /** Foretells the next condition: 1 likely. */
  EXPECT: 15,
  /** The interpreter executes the instruction. */
  BAIL: 16,
  /** The other way to do the instruction of the `fast` effect. */
  FALLBACK: 17,
  /** Opcode and offset for V0 (next two steps) of an access to the V register in this field of the word. */
  VECTOR: 18,
  /** Calls a function of the runtime module: place in runtimeFuncs, and opcode in bits 7..0. */
  CALL: 19,
  /** Is rounding plain (Op.RoundsPlainly)? */
  ROUNDING: 20,
  /** A v128 of zeros. */
  ZERO: 21,
  /** A temporary is a local that keeps the new flags: its number, and which one in bits 7..0. */
  KEPT: 22,
} as const;

/** Above all numbers of registers. */
export const FIELD = 64;

export interface Template {
  readonly steps: readonly number[];
  /** Number of temporaries. */
  readonly temporaries: number;
  /** The branch or jump at the end, if any; its operands are temporaries (Op.Local), from FIRST on. */
  readonly last: Effect | undefined;
  /** The condition of that branch is on the stack. */
  readonly stacked: boolean;
}

/** Locals below are parameters, from here on temporaries. */
export const FIRST = 3;
