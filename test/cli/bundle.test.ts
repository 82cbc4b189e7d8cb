// The bundled program (tools/bundle.mjs) and V8's compiled code of it, as a build leaves them.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const bundle = join(root, "dist/bundle/main.js");
const made = existsSync(`${bundle}.cache`);
if (!made) process.stderr.write("not run: the tests of the bundle, which npm run build makes\n");

/** A program of which only the bundle is there, beside what a package holds. */
const installed = mkdtempSync(join(tmpdir(), "rme-emu-bundle-"));
const cache = join(installed, "dist/bundle/main.js.cache");
afterAll(() => rmSync(installed, { recursive: true, force: true }));
if (made) {
  for (const entry of [
    "bin",
    "tools/code-cache.cjs",
    "firmware",
    "package.json",
    "dist/bundle",
    "dist/interpreter.wasm",
    "dist/cpu/interp/generate.js",
  ]) {
    cpSync(join(root, entry), join(installed, entry), { recursive: true, preserveTimestamps: true });
  }
  mkdirSync(join(installed, "dist/cli"));
  cpSync(join(root, "dist/cli/main.js"), join(installed, "dist/cli/main.js"), { preserveTimestamps: true });
  symlinkSync(join(root, "node_modules"), join(installed, "node_modules"));
}

function node(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 60_000 });
  return { status, stdout, stderr };
}
/** Does V8 take what is in the cache? */
const accepted = () =>
  node(
    "-e",
    "console.log(require(process.argv[1]).compile(process.argv[2]).cachedDataRejected)",
    join(installed, "bin/bundle.js"),
    join(installed, "dist/bundle/main.js"),
  );
const realm = () => node(join(installed, "bin/rme-emu.js"), "realm", "--kernel", join(installed, "firmware/realm-hello/realm-hello.img"));

describe.skipIf(!made)("the bundle", () => {
  test("V8 takes the code that a build with this node keeps", () => {
    const tool = join(installed, "tools/code-cache.cjs");
    const { status, stderr } = spawnSync(process.execPath, [tool, join(installed, "dist/bundle/main.js")], {
      input: "exit\n",
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(accepted()).toEqual({ status: 0, stdout: "false\n", stderr: "" });
  });

  test("runs a realm by itself", () => {
    const { status, stdout, stderr } = realm();
    expect(stderr).toBe("");
    expect(stdout).toContain("host says SMCCC");
    expect(status).toBe(0);
  });

  const whole = made ? readFileSync(cache) : Buffer.alloc(0);
  test.each([
    ["is missing", undefined],
    ["is empty", Buffer.alloc(0)],
    ["was cut", whole.subarray(0, whole.length >> 1)],
    ["is of another V8", Buffer.from(whole).fill(0x5a, 4, 8)],
    ["is something else", Buffer.alloc(4096, "text")],
  ])("runs when the code %s", (_, bytes) => {
    if (bytes) writeFileSync(cache, bytes);
    else rmSync(cache);
    const { status, stdout, stderr } = realm();
    writeFileSync(cache, whole);
    expect(stderr).toBe("");
    expect(stdout).toContain("host says SMCCC");
    expect(status).toBe(0);
  });

  test("tells the licenses of the packages in it", () => {
    const text = readFileSync(join(installed, "dist/bundle/LICENSES"), "utf8");
    const packages = new Set(
      [...readFileSync(bundle, "utf8").matchAll(/^\s*(?:\/\/ |")(?:[^"\n]*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)\//gm)].map((m) => m[1]),
    );
    expect(packages.size).toBeGreaterThan(3);
    for (const name of packages) expect(text).toContain(`${name}\n`);
  });
});
