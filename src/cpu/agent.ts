// An agent stands in for the software of one Exception level: the PE calls it instead of vectoring there.

import type { Pe } from "./pe.ts";

/** Kind of an exception, as the offset in a group of vectors. */
export const Vector = { Sync: 0, Irq: 0x80, Fiq: 0x100, SError: 0x180 } as const;
export type Vector = (typeof Vector)[keyof typeof Vector];

/** An exception that is being taken. */
export interface ExceptionInfo {
  vector: Vector;
  /** Exception class, already in its "same level" form where there is one; 0 for IRQ and FIQ. */
  ec: number;
  /** ISS, 25 bits. */
  iss: number;
  /** Exception level that takes it. */
  target: 1 | 2 | 3;
  /** What ELR receives relative to Off.PC: 0 = the current instruction, 4 = the next one. */
  next: 0 | 4;
}

/** Software of an Exception level, written in TypeScript. */
export interface Agent {
  readonly el: 1 | 2 | 3;
  /**
   * Called after the PE has entered `el` exactly as hardware would (SPSR, ELR, ESR, FAR written, PSTATE and SP switched); PC holds
   * the vector address. The agent acts and then calls pe.exceptionReturn(), or leaves PC where it wants execution to go on.
   * `e` is reused: valid during the call only.
   */
  handle(pe: Pe, e: ExceptionInfo): void;
  /**
   * Present when the agent is software that runs at `el` by itself, not only when called: the PE is there and would execute its code
   * now. The agent does a bounded amount of work; the turn counts as one instruction.
   */
  execute?(pe: Pe): void;
}
