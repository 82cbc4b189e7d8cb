// Bad input for realms: one line that says what was found and what is possible, exit code 1 (the input) or 2 (the command line).

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runCommandLine } from "../../src/cli/command.ts";
import { Machine } from "../../src/harness/index.ts";
import { image } from "../loader/kernels.ts";
import { realmEchoProgram } from "../support/programs.ts";

const MiB = 2 ** 20;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "rme-emu-realm-"));
  writeFileSync(join(dir, "good"), realmEchoProgram);
  writeFileSync(join(dir, "big"), image({ imageSize: 128n * BigInt(MiB) }));
  writeFileSync(join(dir, "huge"), image({ imageSize: 300n * BigInt(MiB) }));
  for (const [name, size] of [
    ["initrd", 65],
    ["fits-not", 30],
  ] as const) {
    writeFileSync(join(dir, name), "x");
    truncateSync(join(dir, name), size * MiB);
  }
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Words with {file} for files of the folder. */
// biome-ignore format: table
it.each([
  ["--memory 64M --kernel {big}",                                         1, /the kernel would occupy 0x40200000 to 0x48200000, but memory is .* --memory/],
  ["--memory 64M --kernel {big} --normal",                                1, /the kernel would occupy .* --memory/],
  ["--memory 64M --kernel {big} --board kvmtool",                         1, /the kernel would occupy 0x80000000 to 0x88000000 .* memory is 0x80000000 to 0x84000000.* --memory/],
  ["--memory 1G --kernel {huge} --board kvmtool",                         1, /the kernel would occupy .* kvmtool uses the first 256 MiB\n/],
  ["--memory 64M --kernel {good} --initrd {initrd}",                      1, /initrd .* has 68157440 bytes, the machine has room for/],
  ["--memory 32M --kernel {good} --initrd {fits-not} --board kvmtool",    1, /would occupy .* --memory/],
  ["--memory 3M --kernel {good}",                                         2, /multiple of 2 MiB, not 3145728 bytes/],
  ["--memory 8G --kernel {good}",                                         2, /--memory 8192M: the host of the guest needs 64 MiB beside it; at most 8128M fit/],
  ["--memory 64M --kernel {none}",                                        1, /no such kernel file/],
  ["--memory 64M --kernel {initrd}",                                      1, /neither an arm64 Image/],
  ["--memory 64M --kernel {good} --cpu cortex-a53",                       1, /FEAT_RME: .* max,rme=on/],
  ["--memory 64M --kernel {good} --smp 9",                                2, /--smp: "9" is not a number from 1 to 8/],
  ["--memory 64M --kernel {good} --num-breakpoints 3",                    2, /this RMM offers 2 breakpoints, not 3/],
  ["--memory 64M --kernel {good} --num-watchpoints 64",                   2, /this RMM offers 2 watchpoints, not 64/],
  ["--memory 64M --kernel {good} --num-pmu-counters 31",                  2, /this RMM offers 1 to 6 event counters, not 31/],
  ["--memory 64M --kernel {good} --measurement-algorithm md5",            2, /"md5" is neither sha256 nor sha512/],
  ["--memory 64M --kernel {good} --personalization-value QUJD",           2, /64 bytes in base64 or up to 128 hexadecimal digits/],
  ["--memory 64M --kernel {good} --rmm {good}",                           1, /RMM/],
  ["--memory 64M --kernel {good} --drive file={none},format=raw",         1, /no such drive file/],
] as const)("realm %s", async (line, code, message) => {
  let stderr = "";
  const output = { stdout: { write: () => {} }, stderr: { write: (text: string) => (stderr += text) } };
  const words = line.split(" ").map((word) => word.replace(/\{([\w-]+)\}/, (_, name) => join(dir, name)));
  expect([await runCommandLine(["realm", "--time", "deterministic", ...words], output), stderr]).toEqual([code, expect.stringMatching(/^rme-emu: [^\n]+\n$/)]);
  expect(stderr).toMatch(message);
});

it("more RECs than the machine has PEs", async () => {
  const made = Machine.create({ kernel: realmEchoProgram, memory: 64 * MiB, smp: 9, realm: {} });
  await expect(made).rejects.toMatchObject({ code: "bad-smp", message: expect.stringContaining("1 to 8 PEs, not 9") });
});

/** A kernel that holds these texts. */
function withTexts(...texts: string[]): Uint8Array {
  const data = image();
  data.set(new TextEncoder().encode(texts.join("\0")), 512);
  return data;
}
it("a Linux that knows no realms is told, with what to use; one that does, and other programs, are not", async () => {
  const warnings = async (kernel: Uint8Array, normal = false) =>
    (await Machine.create({ kernel, memory: 64 * MiB, realm: { normal } })).warnings;
  const old = withTexts("Linux version 6.12.1-test (gcc) #1 SMP");
  expect(await warnings(old)).toEqual([
    expect.stringMatching(/^this Linux 6\.12\.1-test cannot run in a realm: .*--kernel debian=7\.2.*--normal/),
  ]);
  expect(await warnings(old, true)).toEqual([]);
  expect(await warnings(withTexts("Linux version 7.2.0 (gcc) #1 SMP", "RME: Using RSI version %lu.%lu"))).toEqual([]);
  expect(await warnings(realmEchoProgram)).toEqual([]);
});
