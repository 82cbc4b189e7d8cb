// However code is cut into translations, a slice ends after its number of instructions: each way from one to the next looks at the budget.

import { describe, expect, it } from "vitest";
import { Machine } from "../../../src/harness/index.ts";
import * as a64 from "../../support/a64.ts";
import { EAGER, tune } from "../../support/tuning.ts";

/** UARTFR of the PL011: every access is the interpreter's. */
const UARTFR = 0x0900_0018;
const ROUNDS = 1000;

/**
 * A loop that polls a device and is entered in its middle, so that one translation begins there and another at the access. First it
 * ends after three rounds, again and again, until both are made; then (nearly) never.
 */
function poll(): Uint8Array {
  const work = Array.from({ length: 12 }, (_, i) => a64.addImm(10 + i, 10 + i, i));
  const loop = [a64.b(2), a64.ldr32(2, 1), a64.subImm(3, 3, 1), ...work, a64.cbnz(3, -2 - work.length)];
  const rounds = a64.repeat(9, ROUNDS, [a64.addImm(3, 8, 0), ...loop]);
  const forever = a64.mov(8, 2n ** 62n);
  return a64.image([...a64.mov(1, UARTFR), ...a64.mov(8, 3), ...rounds, ...forever, a64.b(-rounds.length - forever.length)]);
}

describe.each(["interp", "wasm", "js"] as const)("--engine %s", (engine) => {
  it("a loop that leaves its translation for a device in each round", async () => {
    const machine = await Machine.create({ kernel: poll(), memory: 64 * 2 ** 20, engine });
    tune(machine, EAGER);
    for (let n = 1; n <= 100; n++) {
      await machine.runInstructions(2001);
      expect(machine.instructions).toBe(2001 * n);
    }
    expect(machine.board.executor.translations?.regions ?? 2).toBeGreaterThan(1);
  });
});
