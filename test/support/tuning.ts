// Translators of a machine with other limits than for real guests: a short program is then translated, dropped, made again.

import { VISITS_LIMIT } from "../../src/arch/layout.ts";
import type { Machine } from "../../src/harness/index.ts";

/** Of the engines wasm and js together; each takes what it knows. */
export interface TestTuning {
  readonly threshold: number;
  readonly wide: number;
  readonly window: number;
  readonly batch: number;
  readonly patience: number;
  readonly bound: number;
}

/** Loops become hot at once. */
export const EAGER: TestTuning = { threshold: 12, wide: 3, window: 40, batch: 1, patience: 1, bound: 48 << 20 };

/** Puts other limits in force; answers the translator, undefined for the interpreter. */
export function tune(machine: Machine, tuning: TestTuning): unknown {
  const { executor, phys } = machine.board;
  const translator = (executor.engine ?? executor.blocks) as unknown as { tuning: TestTuning } | undefined;
  if (!translator) return undefined;
  translator.tuning = tuning;
  new Int32Array(phys.memory.buffer)[VISITS_LIMIT >> 2] = tuning.threshold;
  return translator;
}
