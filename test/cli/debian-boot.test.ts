// What a newcomer does: boots Debian's kernel from the command line, works in its shell, writes to a disk, powers off.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { start } from "../support/cli.ts";
import { debianKernel, TEST_KERNELS } from "../support/debian.ts";

const SECTOR = 512;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "rme-emu-debian-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it.each(TEST_KERNELS)(
  "Debian %s: shell, disk, power-off",
  async (version) => {
    const { release } = await debianKernel(version);
    const disk = join(dir, `${version}.img`);
    const before = Uint8Array.from({ length: 64 * SECTOR }, (_, i) => (i * 31) & 0xff);
    writeFileSync(disk, before);
    const { child, outcome, until } = start(["--kernel", `debian=${version}`, "--drive", `file=${disk},format=raw`]);
    await until(/~ # /);
    child.stdin.write("uname -sr; echo; printf 'written by %s' guest | dd of=/dev/vda seek=3 conv=sync 2>/dev/null; sync; echo done=$?\n");
    await until(/done=0/);
    child.stdin.write("poweroff\n");
    const { code, stdout, stderr } = await outcome;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`Linux ${release}`);
    expect(stdout).toContain("reboot: Power down");
    const after = new Uint8Array(readFileSync(disk));
    const sector = new Uint8Array(SECTOR);
    sector.set(new TextEncoder().encode("written by guest"));
    before.set(sector, 3 * SECTOR);
    expect(after).toEqual(before);
  },
  300_000,
);
