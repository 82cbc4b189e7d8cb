// firmware/bench computes the same on every engine and on QEMU: what `npm run bench:jobs` compares is the same work, done right.

import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type Engine, Machine } from "../../src/harness/index.ts";
import { runQemu } from "../support/firmware.ts";

const image = fileURLToPath(new URL("../../firmware/bench/bench.img", import.meta.url));
const PROMPT = /~ # $/;

type Answers = readonly (readonly [job: string, answer: string])[];
/** From QEMU 11.1. Rounds are enough for regions of the loops. */
// biome-ignore format: table
const answers: Answers = [
  ["core 20",  "2bab9c1f90db2fc3"],
  ["memcpy 4", "10cc31b53d9b4578"],
  ["neon 2",   "800f29c97791d233"],
  ["float 4",  "1593e28fa7b00983"],
  ["calls 2",  "30b87ad9aadc906c"],
];
/** For an engine that translates early and checks what it does. */
// biome-ignore format: table
const shortAnswers: Answers = [
  ["core 1",   "afbc8d49fb7ccb2b"],
  ["memcpy 1", "8b00482e332c83f1"],
  ["neon 1",   "836b2bfff8f7ff72"],
  ["float 1",  "907b2ba0f24ed55a"],
];
/** All that is printed, with the echo of what is typed. */
const session = (list: Answers) => `bench\r\n~ # ${list.map(([job, answer]) => `${job}\r\n${job}: ${answer}\r\n~ # `).join("")}exit\r\n`;
const typedLines = (list: Answers) => [...list.map(([job]) => job), "exit"];

async function run(engine: Engine, cpu: string, list: Answers): Promise<Machine> {
  const machine = await Machine.create({ kernel: image, memory: 64 * 2 ** 20, engine, cpu });
  for (const line of typedLines(list)) {
    await machine.waitFor(PROMPT);
    machine.console.send(`${line}\n`);
    await machine.waitFor(/\r\n/); // the echo: the prompt before it is not the next one
  }
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  expect(machine.console.text, `${engine}, ${cpu}`).toBe(session(list));
  return machine;
}
const translated = (machine: Machine): number => machine.board.executor.translations?.regions ?? 0;

it("answers alike on every engine, after as many instructions, and on another CPU", async () => {
  const counts = [];
  for (const [engine, cpu, least] of [
    ["interp", "max", 0],
    ["wasm", "max", 50],
    ["js", "max", 1],
    ["wasm", "cortex-a76", 50],
  ] as const) {
    const machine = await run(engine, cpu, answers);
    expect(translated(machine)).toBeGreaterThanOrEqual(least);
    counts.push(machine.instructions);
  }
  expect(new Set(counts)).toHaveLength(1);
});

it("answers alike in JavaScript functions that are compared with the interpreter", async () => {
  expect(translated(await run("check-js", "max", shortAnswers))).toBeGreaterThan(50);
});

describe("the answers are QEMU's", () => {
  it.each([
    ["max", "virt,gic-version=3,virtualization=on", answers],
    ["cortex-a76", "virt,gic-version=3", [...answers, ...shortAnswers]],
  ] as const)("%s on %s", async (cpu, machine, list) => {
    const args = ["-M", machine, "-cpu", cpu, "-m", "64M", "-display", "none", "-monitor", "none", "-serial", "stdio", "-kernel", image];
    const typed = typedLines(list).map((line) => [PROMPT, `${line}\n`] as const);
    expect(await runQemu(args, /exit\r\n$/, { typed })).toBe(session(list));
  });
});
