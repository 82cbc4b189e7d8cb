// What `rme-emu fetch firmware` says to type next must be what the command line takes.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { parseCommandLine } from "../../src/cli/args/options.ts";
import { stackCommand } from "../../src/cli/fetch.ts";
import { run } from "../support/cli.ts";

it("a kernel as BL33 gets its command line and initial file system", () => {
  const dir = mkdtempSync(join(tmpdir(), "rme-emu-hint-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const initrd = join(dir, "initrd,1.gz");
  writeFileSync(initrd, new Uint8Array(1234));
  expect(parseCommandLine(stackCommand("tf-a-rme", "flash.bin", { vmlinuz: "vmlinuz", initrd }), "0")).toMatchObject({
    machine: "virt,secure=on",
    cpu: "max,rme=on",
    kernel: "vmlinuz",
    append: "console=ttyAMA0 initrd=0x70000000,1234",
    firmware: { bios: "flash.bin", loaders: [{ file: initrd, address: 0x7000_0000 }] },
    watchdog: { mode: "end" },
  });
});

it("firmware that starts by itself", async () => {
  const { code, stdout, stderr } = await run(["fetch", "firmware=u-boot"]);
  expect(code).toBe(0);
  const [, path] = /^u-boot\.bin=(.*)$/m.exec(stdout) ?? [];
  expect(stderr).toBe(`Boot it with: rme-emu --bios ${path}\n`);
});
