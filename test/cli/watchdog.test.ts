// --watchdog: how a machine that gets nowhere ends on the command line.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseWatchdog } from "../../src/cli/args/watchdog.ts";
import { addImm, b, image, MASK_ALL, WFI } from "../support/a64.ts";
import { run, start } from "../support/cli.ts";

let dir: string;
let firmware: string;
let kernel: string;
let counter: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "rme-emu-watchdog-"));
  const file = (name: string, data: Uint8Array): string => {
    writeFileSync(join(dir, name), data);
    return join(dir, name);
  };
  firmware = file("firmware.bin", new Uint8Array(Uint32Array.from([MASK_ALL, WFI, b(-1)]).buffer));
  kernel = file("kernel.img", image([MASK_ALL, b(0)]));
  counter = file("counter.img", image([addImm(0, 0, 1), b(-1)]));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it("firmware that has given up ends with exit code 1: PE, level, state, address, why", async () => {
  const { code, stdout, stderr } = await run(["-M", "virt,secure=on", "-m", "64M", "-bios", firmware, "-smp", "2"]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  const where = (pe: number) => `PE ${pe} at EL3 in the Secure state, PC 0x[48]: a loop of WFI with interrupts masked`;
  expect(stderr).toMatch(new RegExp(`^rme-emu: the machine can get no further: ${where(0)}; ${where(1)}\n$`));
});

it("a kernel that has given up is told once, and the machine goes on", async () => {
  const { child, outcome } = start(["--kernel", kernel, "--memory", "64M", "--watchdog", "tell,after=20M"]);
  await new Promise((resolve) => child.stderr.once("data", resolve));
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect(child.exitCode).toBeNull();
  child.kill("SIGTERM");
  const { stderr, code } = await outcome;
  expect(code).toBe(143);
  expect(stderr).toBe(
    "rme-emu: the machine can get no further: PE 0 at EL2 in the Non-secure state, PC 0x40200044: a branch to itself with interrupts masked\n",
  );
});

it("it can be ended for being silent, and left alone", async () => {
  const silent = await run(["--kernel", counter, "--memory", "64M", "--watchdog=end,silent=50M"]);
  expect(silent).toMatchObject({ code: 1, stdout: "" });
  expect(silent.stderr).toMatch(
    /^rme-emu: no console has printed anything for \d{8,9} instructions: PE 0 at EL2 in the Non-secure .*: running\n$/,
  );
  const { child, outcome } = start(["-M", "virt,secure=on", "-m", "64M", "-bios", firmware, "--watchdog=off"]);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  expect(child.exitCode).toBeNull();
  child.kill("SIGTERM");
  expect((await outcome).stderr).toBe("");
});

it("what it takes", () => {
  expect(parseWatchdog(undefined, true)).toEqual({ mode: "end" });
  expect(parseWatchdog(undefined, false)).toEqual({ mode: "tell" });
  expect(parseWatchdog(true, false)).toEqual({ mode: "end" });
  expect(parseWatchdog("on", false)).toEqual({ mode: "end" });
  expect(parseWatchdog("off", true)).toEqual({ mode: "off" });
  expect(parseWatchdog("tell,after=5k,silent=2G,limit=1M", true)).toEqual({ mode: "tell", after: 5000, silent: 2e9, limit: 1e6 });
  expect(parseWatchdog("after=7", false)).toEqual({ mode: "end", after: 7 });
  for (const bad of ["maybe", "end,after=0", "end,after=x", "end,silent=-1", "end,after=1T", "end,more=1", "end,tell"])
    expect(() => parseWatchdog(bad, true)).toThrow(/--watchdog: /);
});
