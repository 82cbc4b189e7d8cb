// firmware/bench computes the same on every engine and on QEMU: what `npm run bench:jobs` compares is the same work, done right.

import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type Engine, Machine } from "../../src/harness/index.ts";
import { runQemu } from "../support/firmware.ts";

const image = fileURLToPath(new URL("../../firmware/bench/bench.img", import.meta.url));
const PROMPT = /~ # $/;

/** Command line and answer, from QEMU 11.1. Rounds are enough for each engine to translate the loops. */
// biome-ignore format: table
const answers: readonly (readonly [string, string])[] = [
  ["core 20",  "2bab9c1f90db2fc3"],
  ["memcpy 4", "10cc31b53d9b4578"],
  ["neon 2",   "800f29c97791d233"],
  ["float 4",  "1593e28fa7b00983"],
  ["calls 2",  "30b87ad9aadc906c"],
];
/** All that is printed, with the echo of what is typed. */
const session = `bench\r\n~ # ${answers.map(([job, answer]) => `${job}\r\n${job}: ${answer}\r\n~ # `).join("")}exit\r\n`;

it("runs alike on every engine, and on another CPU", async () => {
  const instructions: bigint[] = [];
  for (const [engine, cpu] of [
    ["interp", "max"],
    ["wasm", "max"],
    ["js", "max"],
    ["wasm", "cortex-a76"],
  ] as const satisfies readonly (readonly [Engine, string])[]) {
    const machine = await Machine.create({ kernel: image, memory: 64 * 2 ** 20, engine, cpu });
    for (const line of [...answers.map(([job]) => job), "exit"]) {
      await machine.waitFor(PROMPT);
      machine.console.send(`${line}\n`);
      await machine.waitFor(/\r\n/); // the echo: the prompt before it is not the next one
    }
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(machine.console.text, `${engine}, ${cpu}`).toBe(session);
    if (engine !== "interp") expect(machine.board.executor.translations?.regions).toBeGreaterThan(10);
    instructions.push(BigInt(machine.instructions));
  }
  expect(new Set(instructions)).toHaveLength(1);
});

describe("the answers are QEMU's", () => {
  it.each([
    ["max", "virt,gic-version=3,virtualization=on"],
    ["cortex-a76", "virt,gic-version=3"],
  ])("%s on %s", async (cpu, machine) => {
    const args = ["-M", machine, "-cpu", cpu, "-m", "64M", "-display", "none", "-monitor", "none", "-serial", "stdio", "-kernel", image];
    const typed = [...answers.map(([job]) => job), "exit"].map((line) => [PROMPT, `${line}\n`] as const);
    expect(await runQemu(args, /exit\r\n$/, { typed })).toBe(session);
  });
});
