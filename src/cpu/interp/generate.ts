// Generates the interpreter: one Wasm function per row variant, the runtime functions around them, and the central loop.

import { assemble, type ModuleSpec } from "../../wasm/module.ts";
import { runtimeFuncs, runtimeImports, signatures } from "../emit/runtime-abi.ts";
import { handlerCount, variants } from "./handlers.ts";
import { rowHandler } from "./rows.ts";
import { runtimeFunctions } from "./runtime.ts";
import { specialHandlers } from "./special.ts";

export { PAGE_BYTES } from "./page.ts";

const TABLE_MAX = 1 << 20;

/** The interpreter as a module for a memory of at most `maxPages` 64 KiB pages. */
export function generateInterpreter(memory: ModuleSpec["memory"]): Uint8Array {
  const runtime = runtimeFunctions();
  const handlers = specialHandlers();
  for (let i = 0; i < variants.length; i++) handlers.push(rowHandler(i));
  if (handlers.length !== handlerCount) throw new Error("interp: handler count");
  const exported = [
    "run",
    "step",
    "jump",
    "refill",
    "plain",
    "visit",
    "pac",
    "crc32",
    "help",
    "enterBlock",
    "go",
    "onward",
    "interpret",
  ] as const;
  return assemble({
    memory,
    signatures,
    imports: runtimeImports.map(([name, type]) => ({ name, type })),
    funcs: [...runtime, ...handlers],
    exports: exported.map((name) => [name, runtimeFuncs.indexOf(name)] as const),
    table: { elements: handlers.map((_, i) => runtime.length + i), max: TABLE_MAX },
  });
}
