#!/usr/bin/env node
// Starts the command line under plain node: the built program in dist/ when it is up to date, else the TypeScript sources by way of tsx.

import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const built = join(root, "dist/cli/main.js");
const bundle = join(root, "dist/bundle/main.js");
const source = join(root, "src/cli/main.ts");

/** Time of the newest change of a source file below `dir`, in milliseconds. */
function newestSource(dir) {
  let newest = 0;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) newest = Math.max(newest, newestSource(path));
    else if (entry.name.endsWith(".ts")) newest = Math.max(newest, statSync(path).mtimeMs);
  }
  return newest;
}

const buildIsCurrent = existsSync(built) && (!existsSync(source) || statSync(built).mtimeMs >= newestSource(join(root, "src")));

// What was compiled again since it was bundled starts slower.
const bundleIsCurrent = existsSync(built) && existsSync(bundle) && statSync(bundle).mtimeMs >= statSync(built).mtimeMs;
const program = new URL(bundleIsCurrent ? "../dist/bundle/main.js" : "../dist/cli/main.js", import.meta.url).href;

if (!buildIsCurrent) {
  const tsx = await import("tsx/esm/api").catch(() => undefined);
  if (!tsx && !existsSync(built)) {
    process.stderr.write("rme-emu: not built and tsx is not installed: run npm ci\n");
    process.exit(1);
  }
  if (tsx) {
    tsx.register();
    await import(new URL("../src/cli/main.ts", import.meta.url).href);
  } else {
    await import(program);
  }
} else {
  await import(program);
}
