// Programs at EL3 from the command line: --machine virt,secure=on, and what can be asked of such a machine when it is saved.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type GptDescription, Machine, printGpt } from "../../src/harness/index.ts";
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

it("a machine at EL3 that was saved: its granule protection table, and an access by each state", async () => {
  const snapshot = join(dir, "lab.snap");
  const program = firmware("labs/first-gpf/prebuilt/realm.elf");
  const { code } = await run([...QEMU, "-kernel", program, "--time", "deterministic", "--save", snapshot]);
  expect(code).toBe(0);
  const gpt = await run(["gpt", snapshot]);
  expect(gpt).toMatchObject({ code: 0, stderr: "" });
  expect(gpt.stdout).toMatch(/^GPCCR_EL3 = 0x[0-9a-f]{16}\n.*level 0 table at 0x[0-9a-f]+\n.* {2}Realm\n/s);
  for (const state of ["root", "realm", "secure", "ns"]) {
    const { code, stdout } = await run(["explain", snapshot, "--va", "0x40000000", "--state", state]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^PE 0 at (Root EL3|Realm EL\d|Secure EL\d|Non-secure EL\d) can/);
  }
});

it("a realm that was saved in the middle of its work", async () => {
  const machine = await Machine.create({ kernel: firmware("realm-hello/realm-hello.img"), memory: 32 * 2 ** 20, realm: { board: "virt" } });
  expect(await machine.runInstructions(1000)).toBeUndefined();
  const snapshot = join(dir, "realm.snap");
  const bytes = machine.save({ view: true });
  writeFileSync(snapshot, bytes);
  expect(() => machine.restore(bytes)).toThrow(/the snapshot is to look at/);
  const gpt = await run(["gpt", snapshot]);
  expect(gpt.stdout).toMatch(/Realm +[0-9.]+ [KM]iB in \d+ range/);
  expect(gpt.stdout).toBe(printGpt(machine.gpt() as GptDescription));
  const pc = machine.pe().pc;
  const { stdout } = await run(["explain", snapshot, "--va", `0x${pc.toString(16)}`, "--access", "fetch", "--el", "1", "--state", "realm"]);
  expect(stdout).toMatch(/^PE 0 at Realm EL1 can execute .* in the Realm PA space\n/);
  expect(stdout).toMatch(/Stage 2 level 3 page/);
});
