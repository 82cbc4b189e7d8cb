// Translation in another thread: the guest computes the same, whenever translations come, and also when the thread dies.

import { expect, it } from "vitest";
import { Machine } from "../../src/harness/index.ts";
import * as a64 from "../support/a64.ts";

const blr = (n: number) => (0xd63f_0000 | (n << 5)) >>> 0;
const str32 = (t: number, n: number) => (0xb900_0000 | (n << 5) | t) >>> 0;
const RET = 0xd65f_03c0;
const FUNCTION = 0x2000;
/** So many that translations come within a round also where the interpreter is fast and the translator's thread slow. */
const CALLS = 600_000;
const ROUNDS = 60;

/** `ROUNDS` times: writes "ADD X0, X0, #round" over the first word of a function and calls it CALLS times. */
function rewriting(): Uint8Array {
  const body = [
    ...a64.mov(1, a64.addImm(0, 0, 0)),
    a64.addImm(5, 5, 1),
    (0x8b00_0000 | (5 << 16) | (10 << 10) | (1 << 5) | 1) >>> 0, // X1 += X5 << 10: the immediate
    str32(1, 2),
    a64.ISB,
    ...a64.repeat(4, CALLS, [blr(2)]),
  ];
  const code = [...a64.mov(0, 0), ...a64.mov(2, a64.ORIGIN + FUNCTION), ...a64.mov(5, 0), ...a64.repeat(3, ROUNDS, body)];
  return a64.image([...code, ...a64.HALT], { [FUNCTION]: [a64.NOP, a64.addImm(6, 6, 1), a64.subImm(6, 6, 1), RET] });
}
const create = () => Machine.create({ kernel: rewriting(), memory: 64 * 2 ** 20, engine: "wasm", translation: "thread" });
/** Runs to the end, however long it takes for the first translations to come. */
async function runAll(machine: Machine): Promise<void> {
  await machine.runInstructions(8_000_000 * ROUNDS);
  expect(machine.pe().x(0)).toBe(BigInt((CALLS * ROUNDS * (ROUNDS + 1)) / 2));
  expect(machine.pe().x(6)).toBe(0n);
}
const patience = { timeout: 30_000, interval: 20 };
/** Runs on until something holds, a piece at a time. */
const runUntil = (machine: Machine, holds: () => boolean) =>
  expect.poll(() => machine.runInstructions(100_000).then(holds), patience).toBe(true);

it("translations that come late are put in place, those of code that has changed are not", async () => {
  const machine = await create();
  const statistics = () => machine.board.executor.translations;
  await runUntil(machine, () => (statistics()?.regions ?? 0) > 0);
  await runAll(machine);
  expect(statistics()?.dropped).toBeGreaterThan(0);
});

it("a thread that dies is done without", async () => {
  const machine = await create();
  const service = machine.board.executor.engine as unknown as { service: { port: MessagePort; alone: unknown } };
  service.service.port.postMessage("not a job");
  await runUntil(machine, () => service.service.alone !== undefined);
  await runAll(machine);
  expect(machine.board.executor.translations?.regions).toBeGreaterThan(0);
});
