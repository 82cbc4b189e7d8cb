// The interpreter's module: generated, or as a build of the program has put it by.

import { generateInterpreter } from "./generate.ts";

let stored: () => Uint8Array | undefined = () => undefined;
/** `load` answers what `interpreterBytes` gave to the build of this very program; undefined: there is none. */
export function provideInterpreter(load: () => Uint8Array | undefined): void {
  stored = load;
}

/** For a memory of any size. */
export const interpreterBytes = (): Uint8Array => generateInterpreter({ min: 1, max: 65536, shared: false });

let compiled: WebAssembly.Module | undefined;
/** One for the whole process. */
export const interpreterModule = (): WebAssembly.Module => {
  compiled ??= new WebAssembly.Module((stored() ?? interpreterBytes()) as BufferSource);
  return compiled;
};
