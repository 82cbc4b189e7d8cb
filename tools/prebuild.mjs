// `npm run build`, second step: puts the generated interpreter beside the compiled program (src/harness/prebuilt.ts loads it).

import { writeFileSync } from "node:fs";
import { interpreterBytes } from "../dist/cpu/interp/prebuilt.js";

writeFileSync(new URL("../dist/interpreter.wasm", import.meta.url), interpreterBytes());
