// The interpreter as `npm run build` left it: generating it takes a third of a second at every start.

import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { provideInterpreter } from "../cpu/interp/prebuilt.ts";

const built = fileURLToPath(new URL("../interpreter.wasm", import.meta.url));
const program = fileURLToPath(new URL("../cpu/interp/generate.js", import.meta.url));

provideInterpreter(() => {
  const made = statSync(built, { throwIfNoEntry: false });
  const code = statSync(program, { throwIfNoEntry: false });
  // Sources that are run as they are, and a program that was compiled again since, generate their own.
  return made && code && made.mtimeMs >= code.mtimeMs ? readFileSync(built) : undefined;
});
