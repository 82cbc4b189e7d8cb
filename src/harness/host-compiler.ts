// Generated WebAssembly says which branches are rare (wasm/module.ts, Hint). V8 heeds that only when told to: with it, paths that leave
// for JavaScript or the interpreter neither stand between what is executed nor cost registers there. Results do not depend on it.

import { setFlagsFromString } from "node:v8";

// Other versions do without a flag, or might not know this one, of which they would complain.
if (/^1[12]\./.test(process.versions.v8)) setFlagsFromString("--experimental-wasm-branch-hinting");
