#!/usr/bin/env node
// Starts the command line under plain node: the built program in dist/ when it is up to date, else the TypeScript sources by way of tsx.

const { existsSync, readdirSync, statSync } = require("node:fs");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");

const root = join(__dirname, "..");
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

async function program() {
  if (buildIsCurrent) return bundleIsCurrent ? require("./bundle.js").load(bundle) : await import(pathToFileURL(built).href);
  const tsx = await import("tsx/esm/api").catch(() => undefined);
  if (tsx) {
    tsx.register();
    return await import(pathToFileURL(source).href);
  }
  if (existsSync(built)) return await import(pathToFileURL(built).href);
  process.stderr.write("rme-emu: not built and tsx is not installed: run npm ci\n");
  process.exit(1);
}

program().then(({ main }) => main(process.argv.slice(2)));
