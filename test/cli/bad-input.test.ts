// Every kind of bad input that a person can give: one clear line, exit code 1 (the input) or 2 (the command line), nothing else.

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommandLine } from "../../src/cli/command.ts";
import { image } from "../loader/kernels.ts";
import { run, start } from "../support/cli.ts";
import { echoProgram } from "../support/programs.ts";

const MiB = 2 ** 20;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "rme-emu-bad-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A file with these bytes; returns its path. */
function file(name: string, data: Uint8Array | string): string {
  const path = join(dir, name);
  writeFileSync(path, data);
  return path;
}

const good = (): string => file("good.img", echoProgram);

/** An x86 kernel as far as its headers go: boot sector signature and "HdrS". */
function x86Kernel(): Uint8Array {
  const data = new Uint8Array(4096);
  data.set([0x4d, 0x5a]);
  data.set([0x55, 0xaa], 0x1fe);
  data.set(new TextEncoder().encode("HdrS"), 0x202);
  return data;
}

/** An AArch64 ELF file with two segments at one address. */
function overlappingElf(): Uint8Array {
  const data = new Uint8Array(0x200);
  const view = new DataView(data.buffer);
  data.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 183, true); // EM_AARCH64
  view.setBigUint64(24, 0x4100_0000n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 2, true);
  for (const [index, address] of [0x4100_0000n, 0x4100_0008n].entries()) {
    const at = 64 + 56 * index;
    view.setUint32(at, 1, true); // PT_LOAD
    view.setUint32(at + 4, 7, true);
    view.setBigUint64(at + 8, 0x100n, true);
    view.setBigUint64(at + 16, address, true);
    view.setBigUint64(at + 24, address, true);
    view.setBigUint64(at + 32, 0x40n, true);
    view.setBigUint64(at + 40, 0x40n, true);
  }
  return data;
}

/** Runs a command line within this process. */
async function runHere(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = "";
  let stderr = "";
  const code = await runCommandLine(args, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
  });
  return { code, stdout, stderr };
}

/** Runs with these arguments and expects one line of complaint that matches. */
async function refused(args: readonly string[], code: 1 | 2, message: RegExp): Promise<void> {
  const outcome = await runHere(args);
  expect(outcome.stderr).toMatch(/^rme-emu: [^\n]+\n$/);
  expect(outcome.stderr).toMatch(message);
  expect(outcome.stderr).not.toMatch(/internal error|\bat .*:\d+:\d+|undefined|NaN|\[object/);
  expect(outcome).toMatchObject({ code, stdout: "" });
}

describe("kernel", () => {
  const kernel = (path: string, ...more: string[]) => ["--kernel", path, "--memory", "64M", ...more];

  it("missing", () => refused(kernel(join(dir, "none")), 1, /no such kernel file/));
  it("a folder", () => refused(kernel(dir), 1, /not a regular file/));
  it("unreadable", () => {
    const loop = join(dir, "loop");
    symlinkSync(loop, loop);
    return refused(kernel(loop), 1, /cannot read the kernel/);
  });
  it("empty", () => refused(kernel(file("empty", "")), 1, /is empty/));
  it("truncated", () => refused(kernel(file("cut.img", image({ peEnd: 8192 }))), 1, /cut short/));
  it("truncated in its header", () => refused(kernel(file("head.img", echoProgram.subarray(0, 40))), 1, /kernel/));
  it("truncated gzip", () => refused(kernel(file("cut.gz", gzipSync(echoProgram).subarray(0, 60))), 1, /ends before its end/));
  it("damaged gzip", () => {
    const data = gzipSync(echoProgram);
    data.fill(0xff, 20, 40);
    return refused(kernel(file("bad.gz", data)), 1, /damaged/);
  });
  it("for x86", () => refused(kernel(file("bzImage", x86Kernel())), 1, /x86/));
  it("text", () => refused(kernel(file("text", "not a kernel\n".repeat(100))), 1, /not|neither/));
  it("larger than memory", () => refused(kernel(file("big.img", image({ imageSize: 128n * BigInt(MiB) }))), 1, /--memory/));
  it("a file larger than memory", () => {
    const path = file("sparse.img", image());
    truncateSync(path, 3 * 2 ** 30);
    return refused(kernel(path), 1, /the machine has room for/);
  });
  it("segments that overlap", () => refused(kernel(file("overlap.elf", overlappingElf())), 1, /overlap/));
  it("an unknown Debian version", () => refused(kernel("debian=banana"), 2, /not a kernel version/));
});

describe("initrd and device tree", () => {
  const boot = (...more: string[]) => ["--kernel", good(), "--memory", "64M", ...more];

  it("initrd missing", () => refused(boot("--initrd", join(dir, "none")), 1, /no such initrd file/));
  it("initrd empty", () => refused(boot("--initrd", file("empty", "")), 1, /initrd .* is empty/));
  it("initrd larger than memory", () => {
    const path = file("initrd", "x");
    truncateSync(path, 65 * MiB);
    return refused(boot("--initrd", path), 1, /the machine has room for/);
  });
  it("initrd that leaves no room for the device tree", () => {
    const path = file("initrd2", "x");
    truncateSync(path, 32 * MiB);
    return refused(boot("--initrd", path), 1, /--memory/);
  });
  it("device tree missing", () => refused(boot("--dtb", join(dir, "none")), 1, /no such dtb file/));
  it("device tree empty", () => refused(boot("--dtb", file("empty", "")), 1, /dtb .* is empty/));
  it("device tree that is none", () => refused(boot("--dtb", file("text.dtb", "hello".repeat(100))), 1, /bad device tree/));
  it("device tree cut short", () => {
    const header = new Uint8Array(64);
    new DataView(header.buffer).setUint32(0, 0xd00dfeed);
    new DataView(header.buffer).setUint32(4, 4096);
    return refused(boot("--dtb", file("cut.dtb", header)), 1, /bad device tree/);
  });
});

describe("machine", () => {
  const machine = (...more: string[]) => ["--kernel", good(), ...more];

  it("unknown CPU", () => refused(machine("--cpu", "pentium"), 2, /no CPU is called "pentium"/));
  it("unknown CPU feature", () => refused(machine("--cpu", "max,colour=on"), 2, /colour/));
  it("unknown machine", () => refused(machine("--machine", "raspi3"), 2, /unknown machine "raspi3"/));
  it("unknown device", () => refused(machine("--device", "e1000"), 2, /unknown device "e1000"/));
  it("no memory", () => refused(machine("--memory", "0"), 2, /--memory/));
  it("nonsense memory", () => refused(machine("--memory", "lots"), 2, /not a size/));
  it("negative memory", () => refused(machine("--memory", "-5G"), 2, /--memory/));
  it("too much memory", () => refused(machine("--memory", "1T"), 2, /out of range/));
  it("no processors", () => refused(machine("--smp", "0"), 2, /--smp/));
  it("nonsense processors", () => refused(machine("--smp", "many"), 2, /--smp/));
  it("too many processors", () => refused(machine("--smp", "1000"), 2, /--smp/));
  it("output that cannot be written", () => refused(machine("--serial", `file:${dir}`), 1, /cannot write to/));
  it("a log that cannot be written", () =>
    refused(machine("--trace", "log", "--trace-file", join(dir, "no/such/file")), 1, /cannot write to/));
});

describe("drive", () => {
  const drive = (spec: string) => ["--kernel", good(), "--memory", "64M", "--drive", spec];

  it("missing", () => refused(drive(`file=${join(dir, "none")},format=raw`), 1, /no such drive file/));
  it("unreadable", () => {
    const loop = join(dir, "driveloop");
    symlinkSync(loop, loop);
    return refused(drive(`file=${loop},format=raw,readonly=on`), 1, /cannot read the drive/);
  });
  it("unwritable: a program that is running", async () => {
    const program = join(dir, "node");
    copyFileSync(process.execPath, program);
    const { spawn } = await import("node:child_process");
    const child = spawn(program, ["-e", "console.log(1); setInterval(() => {}, 1000)"], { stdio: ["ignore", "pipe", "ignore"] });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    try {
      await refused(drive(`file=${program},format=raw`), 1, /cannot write to the drive .* add readonly=on/);
    } finally {
      child.kill();
    }
  });
  it("a folder", () => {
    mkdirSync(join(dir, "folder"));
    return refused(drive(`file=${join(dir, "folder")},format=raw`), 1, /not a regular file/);
  });
  it("empty", () => refused(drive(`file=${file("empty", "")},format=raw`), 1, /is empty/));
  it("of another format", () => {
    const data = new Uint8Array(1024);
    data.set([0x51, 0x46, 0x49, 0xfb]);
    return refused(drive(`file=${file("disk.qcow2", data)}`), 1, /qcow2/);
  });
  it("a format we do not have", () => refused(drive("file=x,format=vmdk"), 2, /format vmdk/));
  it("nonsense", () => refused(drive("disk.img"), 2, /type file=disk.img/));
  it("is left as it was", async () => {
    const content = Uint8Array.from({ length: 4096 }, (_, i) => i & 0xff);
    const path = file("keep.img", content);
    const { child, outcome } = start(["--kernel", good(), "--memory", "64M", "--drive", `file=${path},format=raw`]);
    child.stdin.end("q");
    expect((await outcome).code).toBe(0);
    expect(new Uint8Array(readFileSync(path))).toEqual(content);
  });
});

describe("a process", () => {
  it.each([
    ["with a bad kernel", ["--kernel", "/nonexistent"], 1],
    ["with a bad option", ["--colour"], 2],
  ])("%s writes one line and has the exit code", async (_what, args, code) => {
    expect(await run(args)).toMatchObject({ code, signal: null, stdout: "", stderr: expect.stringMatching(/^rme-emu: [^\n]+\n$/) });
  });
});

describe("command", () => {
  it("unknown option", () => refused(["--colour"], 2, /unknown option/));
  it("unknown word", () => refused(["colour"], 2, /unknown word "colour"/));
  it("unknown thing to fetch", () => refused(["fetch", "windows"], 2, /unknown item "windows"/));
  it("control characters in a name do not reach the terminal", async () => {
    const outcome = await runHere(["--kernel", `${dir}/a\u001b[31m\nb`]);
    expect(outcome.stderr).toMatch(/^rme-emu: [^\n\u001b]+\n$/);
    expect(outcome.code).toBe(1);
  });
  it("RME_EMU_DEBUG=1 shows where", async () => {
    const outcome = await run(["--kernel", join(dir, "none")], { RME_EMU_DEBUG: "1" });
    expect(outcome.stderr).toMatch(/^rme-emu: no such kernel file[^\n]*\nEmuError[\s\S]*\n {4}at /);
  });
});

it("a guest that loops on faults can be stopped", async () => {
  const looping = echoProgram.slice();
  new DataView(looping.buffer).setUint32(64 + 8 * 4, 0, true); // loop: UDF; the vectors are at address 0, where nothing is
  const { child, outcome, until } = start(["--kernel", file("loop.img", looping), "--memory", "64M"]);
  await until(/ready/);
  const sent = Date.now();
  child.kill("SIGTERM");
  expect(await outcome).toMatchObject({
    code: 143,
    stderr: expect.stringMatching(/^(rme-emu: the machine can get no further: [^\n]*\n)?$/),
  });
  expect(Date.now() - sent).toBeLessThan(10_000);
});
