// `npm run build`, last step: the command line as a few files instead of 440 modules, which take a fifth of a second to load.
// Paths relative to a module hold in the bundle too: like every module of the program it stands one folder below dist/.

import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));

rmSync(`${dist}bundle`, { recursive: true, force: true });
await build({
  // What is started as a thread is an entry of its own, under the name by which it is asked for.
  entryPoints: { main: `${dist}cli/main.js`, "translation-worker": `${dist}harness/translation-worker.js` },
  outdir: `${dist}bundle`,
  bundle: true,
  splitting: true,
  chunkNames: "part-[hash]",
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  logLevel: "warning",
});
