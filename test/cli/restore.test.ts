// --save and --restore: a machine, and a realm, go on in another process; what cannot be restored is told in one line.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommandLine } from "../../src/cli/command.ts";
import { Machine } from "../../src/harness/index.ts";
import { start } from "../support/cli.ts";
import { echoProgram, realmEchoProgram, vmEchoProgram } from "../support/programs.ts";

const MiB = 2 ** 20;

let dir: string;
const at = (name: string): string => join(dir, name);
function file(name: string, data: Uint8Array | string): string {
  writeFileSync(at(name), data);
  return at(name);
}
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "rme-emu-restore-"));
  file("echo.img", echoProgram);
  file("realm.img", realmEchoProgram);
  file("vm.img", vmEchoProgram);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs until the guest has echoed "a", ends the program by a signal, and answers the snapshot. */
async function saved(name: string, words: readonly string[]): Promise<string> {
  const { child, outcome, until } = start([...words, "--save", at(name)]);
  await until(/ready/);
  child.stdin.write("a");
  await until(/a$/);
  child.kill("SIGTERM");
  expect(await outcome).toMatchObject({ code: 143, stdout: "ready\r\na", stderr: "" });
  return at(name);
}

describe("a machine goes on", () => {
  // biome-ignore format: table
  it.each([
    ["a realm of two RECs", ["realm", "--memory", "64M", "--smp", "2", "--teardown"],                "realm.img", ["realm"]],
    ["a virtual machine",   ["realm", "--normal", "--memory", "64M"], "vm.img",    []],
  ] as const)("%s, from its file alone", async (_what, words, kernel, again) => {
    const path = await saved("one.snap", [...words, "--kernel", at(kernel)]);
    const { child, outcome } = start([...again, "--restore", path]);
    child.stdin.end("bq");
    expect(await outcome).toMatchObject({ code: 0, stdout: "bq", stderr: "" });
    if (!words.includes("--normal" as never)) await canBeExplained(path);
  });

  it("to be saved once more, and to be reset where there is a kernel to start", async () => {
    const first = await saved("first.snap", ["--kernel", at("echo.img"), "--memory", "64M", "--cpu", "cortex-a53"]);
    const { child, outcome, until } = start(["--restore", first, "--save", at("second.snap")]);
    child.stdin.write("b");
    await until(/^b$/);
    child.kill("SIGINT");
    expect((await outcome).code).toBe(130);
    const alone = start(["--restore", at("second.snap")]);
    alone.child.stdin.end("r");
    expect(await alone.outcome).toMatchObject({
      code: 0,
      stdout: "r",
      stderr: expect.stringMatching(/^rme-emu: the guest asks for a reset; .*\n$/),
    });
    const kernel = start(["--restore", at("second.snap"), "--kernel", at("echo.img")]);
    kernel.child.stdin.write("r");
    await kernel.until(/rready/);
    kernel.child.stdin.end("q");
    expect(await kernel.outcome).toMatchObject({ code: 0, stdout: "rready\r\nq" });
  });
});

async function canBeExplained(path: string): Promise<void> {
  let text = "";
  const output = { stdout: { write: (t: string) => (text += t) }, stderr: { write: (t: string) => (text += t) } };
  expect(await runCommandLine(["gpt", path], output)).toBe(0);
  expect(text).toMatch(/Realm/);
}

describe("what cannot be restored is told", () => {
  let snapshot: Uint8Array;
  beforeAll(async () => {
    const machine = await Machine.create({ kernel: realmEchoProgram, memory: 64 * MiB, realm: {} });
    await machine.runInstructions(100);
    snapshot = machine.save({ note: { command: "realm", options: { memory: "64M", smp: "1", board: "virt" } } });
  });
  async function refused(words: readonly string[], code: 1 | 2, message: RegExp): Promise<void> {
    let stderr = "";
    const output = { stdout: { write: () => {} }, stderr: { write: (text: string) => (stderr += text) } };
    expect([await runCommandLine(words, output), stderr]).toEqual([code, expect.stringMatching(/^rme-emu: [^\n]+\n$/)]);
    expect(stderr).toMatch(message);
  }
  const restore = (name: string, data: Uint8Array | string): string[] => ["--restore", file(name, data)];

  it("no file", () => refused(["--restore", at("none")], 1, /cannot restore ".*none": there is no such file/));
  it("a folder", () => refused(["--restore", dir], 1, /cannot restore ".*": EISDIR/));
  it("something else", () => refused(restore("text", "hello"), 1, /not a snapshot: it starts with "hello"/));
  it("nothing", () => refused(restore("empty", ""), 1, /not a snapshot: it starts with ""/));
  it("of another version", () => {
    const other = Buffer.from(snapshot);
    other.write("rme-emu snapshot 7\n", "latin1");
    return refused(restore("old", other), 1, /has format 7; this version of rme-emu reads format 2/);
  });
  it("cut short", () => refused(restore("cut", snapshot.subarray(0, snapshot.length >> 1)), 1, /damaged: its checksum .* cut short/));
  it("damaged", () => {
    const bad = Buffer.from(snapshot);
    bad[bad.length >> 1] = (bad[bad.length >> 1] as number) ^ 1;
    return refused(restore("bad", bad), 1, /damaged: its checksum does not match/);
  });
  it("to other options", () =>
    refused(
      ["realm", ...restore("good", snapshot), "--memory", "96M", "--smp", "2"],
      1,
      /of a machine with other options: .*64 MiB.* there, .*96 MiB/,
    ));
  it("a realm as something else", () =>
    refused(["realm", "--normal", ...restore("good", snapshot)], 1, /realm on virt.* there, virtual machine on virt/));
  it("without its drives", async () => {
    const machine = await Machine.create({
      kernel: realmEchoProgram,
      memory: 64 * MiB,
      realm: {},
      drives: [
        { backend: { sectors: 8, readOnly: true, read: () => new Uint8Array(512), write: () => false, flush: () => true } as never },
      ],
    });
    const note = { command: "realm", options: { memory: "64M" } };
    await refused(restore("drive", machine.save({ note })), 1, /1 drives there, .*0 drives here/);
  });
  it("without the files that it was saved with", async () => {
    const machine = await Machine.create({ kernel: realmEchoProgram, memory: 64 * MiB, realm: {} });
    const note = { command: "realm", options: { memory: "64M" }, files: ["--rmm", "--drive"] };
    const path = file("files", machine.save({ note }));
    await refused(["--restore", path], 2, /saved from a machine with --rmm and --drive: rme-emu realm --restore FILE needs them again/);
    const drive = file("disk", new Uint8Array(512));
    await refused(["--restore", path, "--drive", `file=${drive},format=raw`], 2, /saved from a machine with --rmm: /);
  });
  it("an ordinary machine as a realm", async () => {
    const machine = await Machine.create({ kernel: echoProgram, memory: 64 * MiB });
    await refused(["realm", ...restore("plain", machine.save({ note: { command: "run", options: {} } }))], 2, /rme-emu --restore FILE/);
  });
  it("a machine that has powered off", async () => {
    const machine = await Machine.create({ kernel: echoProgram, memory: 64 * MiB });
    machine.console.send("q");
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    await refused([...restore("off", machine.save()), "--memory", "64M"], 1, /the guest had powered off/);
  });
  it("a note that names files or options of its own", async () => {
    const machine = await Machine.create({ kernel: echoProgram, memory: 64 * MiB });
    for (const options of [{ drive: "file=/etc/passwd" }, { kernel: "x" }, { save: "y" }, { memory: 5 }] as const)
      await refused(restore("note", machine.save({ note: { command: "run", options } as never })), 1, /damaged: its note has an option/);
  });
  it("what is only to look at", async () => {
    const machine = await Machine.create({ kernel: echoProgram, memory: 64 * MiB });
    await refused([...restore("view", machine.save({ view: true })), "--memory", "64M"], 2, /to look at/);
  });
});
