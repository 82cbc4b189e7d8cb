// Translations come and go with the code that they are of: self-modifying code, dropped pages, bounded memory, several PEs.

import { describe, expect, it } from "vitest";
import { type Engine, Machine } from "../../../src/harness/index.ts";
import * as a64 from "../../support/a64.ts";

const engines: readonly Engine[] = ["interp", "wasm", "js"];
const blr = (n: number) => (0xd63f_0000 | (n << 5)) >>> 0;
const RET = 0xd65f_03c0;
const str32Word = (t: number, n: number) => (0xb900_0000 | (n << 5) | t) >>> 0;
/** Offset of the function that is rewritten: in a page of its own. */
const FUNCTION = 0x2000;
const CALLS = 60_000;

/**
 * `rounds` times: writes "ADD X0, X0, #round" over the first word of a function and calls it CALLS times.
 * X0 ends as CALLS * (1 + 2 + ... + rounds).
 */
function rewriting(rounds: number): Uint8Array {
  const inner = a64.repeat(4, CALLS, [blr(2)]);
  const body = [
    ...a64.mov(1, a64.addImm(0, 0, 0)),
    a64.addImm(5, 5, 1),
    // imm12 stands at bit 10: X1 += X5 << 10
    (0x8b00_0000 | (5 << 16) | (10 << 10) | (1 << 5) | 1) >>> 0,
    str32Word(1, 2),
    a64.ISB,
    ...inner,
  ];
  const code = [...a64.mov(0, 0), ...a64.mov(2, a64.ORIGIN + FUNCTION), ...a64.mov(5, 0), ...a64.repeat(3, rounds, body)];
  return a64.image([...code, ...a64.HALT], { [FUNCTION]: [a64.NOP, a64.addImm(6, 6, 1), a64.subImm(6, 6, 1), RET] });
}
async function run(engine: Engine, kernel: Uint8Array, instructions: number, smp = 1): Promise<Machine> {
  const machine = await Machine.create({ engine, kernel, memory: 64 * 2 ** 20, smp });
  await machine.runInstructions(instructions);
  return machine;
}

describe.each(engines)("code that is rewritten on %s", (engine) => {
  it("does what it says after each change", async () => {
    const machine = await run(engine, rewriting(40), 30_000_000);
    expect(machine.pe().x(0)).toBe(BigInt((CALLS * 40 * 41) / 2));
    expect(machine.pe().x(6)).toBe(0n);
  });
});

it("translations of code that changed are dropped, and their slots are used again", async () => {
  const machine = await run("wasm", rewriting(40), 30_000_000);
  expect(machine.pe().x(0)).toBe(BigInt((CALLS * 40 * 41) / 2));
  const s = machine.board.executor.engine?.statistics;
  expect(s?.regions).toBeGreaterThan(2);
  expect(s?.dropped).toBeGreaterThan(0);
});

it("both PEs run what one of them has made hot", async () => {
  const other = [...a64.mov(2, a64.ORIGIN + FUNCTION), ...a64.mov(0, 0), ...a64.repeat(4, 1_000_000, [blr(2)]), ...a64.HALT];
  const on = [...a64.mov(1, 1), ...a64.mov(2, a64.ORIGIN + 0x1000), ...a64.mov(3, 0), ...a64.psci(0xc400_0003)];
  const kernel = a64.image([...on, ...other], {
    4096: other,
    [FUNCTION]: [a64.addImm(0, 0, 3), a64.addImm(6, 6, 1), a64.subImm(6, 6, 1), RET],
  });
  for (const engine of engines) {
    const machine = await run(engine, kernel, 20_000_000, 2);
    for (const pe of [0, 1]) expect(machine.pe(pe).x(0), `${engine}, PE ${pe}`).toBe(3_000_000n);
  }
});
