// Which engine a machine gets that is not told one.

import type { Engine } from "../cpu/executor.ts";
import { usageError } from "../util/errors.ts";

export type { Engine };
/** What can execute hot code. */
export const engines = ["interp", "wasm", "js", "check", "check-js"] as const satisfies Engine[];

/** $RME_ENGINE, else "wasm". Throws a usage error for an unknown name. */
export function defaultEngine(): Engine {
  const name = process.env.RME_ENGINE ?? "wasm";
  const engine = engines.find((e) => e === name);
  if (!engine) throw usageError("bad-engine", `RME_ENGINE takes ${engines.join(", ")}, not ${name}`);
  return engine;
}
