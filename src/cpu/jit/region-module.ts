// The module of translated regions: what it imports, and its functions.

import { assemble, type Func, type ModuleSpec } from "../../wasm/module.ts";
import { type RuntimeFn, Sig, signatures } from "../emit/runtime-abi.ts";

/** Functions of the runtime module that translated code calls, in import order. */
export const jitImports = [
  ["refill", Sig.refill],
  ["plain", Sig.miss],
  ["go", Sig.go],
  ["onward", Sig.onward],
  ["interpret", Sig.handler],
  ["crc32", Sig.crc32],
  ["help", Sig.help],
] as const satisfies readonly (readonly [RuntimeFn, number])[];

const indices = new Map<RuntimeFn, number>(jitImports.map(([name], i) => [name, i]));
/** Function index of a runtime function in the module. */
export const importIndex = (fn: RuntimeFn): number => {
  // A helper is JavaScript: translated code reaches it through a function of the runtime module.
  const i = indices.get(fn === "helper" ? "help" : fn);
  if (i === undefined) throw new Error(`jit: translated code cannot call ${fn}`);
  return i;
};

/** A module of functions of regions; its exports are "0", "1", ... in order. */
export const regionModule = (funcs: readonly Func[], memory: ModuleSpec["memory"]): Uint8Array =>
  assemble({
    memory,
    signatures,
    imports: jitImports.map(([name, type]) => ({ name, type })),
    funcs,
    exports: funcs.map((_, i) => [String(i), i] as const),
  });
