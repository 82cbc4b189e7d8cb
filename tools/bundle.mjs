// `npm run build`, last step: the command line as one file instead of 440 modules, and what V8 compiles of it (bin/bundle.js runs it).
// Paths relative to a module hold in the bundle too: like every module of the program it stands one folder below dist/.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../", import.meta.url));
const dist = `${root}dist/`;
const out = `${dist}bundle/`;

rmSync(out, { recursive: true, force: true });
const { metafile } = await build({
  // What is started as a thread is an entry of its own, under the name by which it is asked for; so is what comes before all else.
  entryPoints: {
    main: `${dist}cli/main.js`,
    "host-compiler": `${dist}harness/host-compiler.js`,
    "translation-worker": `${dist}harness/translation-worker.js`,
  },
  outdir: out,
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node20",
  // What few starts need.
  external: ["node-pty", "@xterm/headless", "vitest", "rme-emu"],
  define: { "import.meta.url": "bundleUrl" },
  banner: { js: 'const bundleUrl = require("node:url").pathToFileURL(__filename).href;' },
  metafile: true,
  logLevel: "warning",
});
writeFileSync(`${out}package.json`, '{ "type": "commonjs" }\n');
writeFileSync(`${out}LICENSES`, licenses(Object.keys(metafile.inputs)));

/** The license texts of the packages that files come from. */
function licenses(files) {
  const packages = new Set(files.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []));
  const texts = [...packages].sort().map((name) => {
    const folder = join(root, "node_modules", name);
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`bundle: no license of ${name} found`);
    return `${name}\n\n${readFileSync(join(folder, file), "utf8")}`;
  });
  return texts.join(`\n${"-".repeat(100)}\n\n`);
}

// In a process of its own, whose V8 has the flags of the program's.
const { status, stderr } = spawnSync(process.execPath, [`${root}tools/code-cache.cjs`, `${out}main.js`], {
  input: "core 40\nmemcpy 4\nneon 4\nfloat 8\ncalls 2\nexit\n",
  encoding: "utf8",
  timeout: 120_000,
});
if (status !== 0) throw new Error(`bundle: the runs for V8's code cache failed: ${stderr}`);
