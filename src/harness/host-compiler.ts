// Generated WebAssembly says which branches are rare (wasm/module.ts, Hint). V8 heeds that only when told to: with it, paths that leave
// for JavaScript or the interpreter neither stand between what is executed nor cost registers there. Relaxed SIMD has multiplication and
// addition with one rounding (cpu/emit/fused.ts), by default from V8 11.4 on. Results depend on neither.

import { setFlagsFromString } from "node:v8";

// Other versions do without a flag, or might not know this one, of which they would complain.
if (/^11\.[0-3]\./.test(process.versions.v8)) setFlagsFromString("--experimental-wasm-relaxed-simd");
if (/^1[12]\./.test(process.versions.v8)) setFlagsFromString("--experimental-wasm-branch-hinting");
