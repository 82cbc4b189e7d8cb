// Programs at EL3 from the command line: --machine virt,secure=on, and what can be asked of such a machine when it is saved.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { run } from "../support/cli.ts";

const firmware = (path: string): string => fileURLToPath(new URL(`../../firmware/${path}`, import.meta.url));
const PROGRAM = firmware("labs/first-gpf/prebuilt/none.elf");
const QEMU = ["-M", "virt,secure=on,virtualization=on,gic-version=3", "-cpu", "max,x-rme=on", "-m", "2G", "-nographic"];

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "rme-emu-secure-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it("a program runs at EL3 with QEMU's words", async () => {
  const { code, stdout, stderr } = await run([...QEMU, "-kernel", PROGRAM, "--time", "deterministic"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/EL2: load/);
});

it.each([
  ["an image without an entry point", ["-kernel", firmware("hello/hello.img")], /say at which address it starts/],
  ["an initial file system that nobody hands on", ["-kernel", PROGRAM, "-initrd", PROGRAM], /nothing hands initrd/],
])("%s is refused", async (_what, words, message) => {
  const outcome = await run([...QEMU, ...words]);
  expect(outcome).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
});
