import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { referenceProgram } from "../support/debian.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const oracle = (...args: string[]) =>
  spawnSync(process.execPath, ["--import", "tsx", "tools/oracle.ts", ...args], { cwd: root, encoding: "utf8" });

it("prints the path of one program for scripts", () => {
  const { status, stdout } = oracle("--print", "qemu-aarch64");
  expect(status).toBe(0);
  expect(stdout.trim()).toBe(referenceProgram("qemu-aarch64"));
});

it.each([
  ["an unknown sysroot", ["windows"]],
  ["an unknown program", ["--print", "clang"]],
])("refuses %s in one line", (_what, args) => {
  expect(oracle(...args)).toMatchObject({ status: 2, stdout: "", stderr: expect.stringMatching(/^oracle: [^\n]+\n$/) });
});

it.each(["qemu-aarch64", "qemu-system-aarch64"] as const)("%s is QEMU 10 or newer and runs on this host", (name) => {
  const { stdout, status } = spawnSync(referenceProgram(name), ["--version"], { encoding: "utf8" });
  expect(status).toBe(0);
  expect(Number(/version (\d+)\./.exec(stdout)?.[1])).toBeGreaterThanOrEqual(10);
});
