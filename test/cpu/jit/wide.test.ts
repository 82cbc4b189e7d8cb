// Wide regions: calls into other pages, their returns, code that changes under them.

import { describe, expect, it } from "vitest";
import { type Engine, Machine } from "../../../src/harness/index.ts";
import * as a64 from "../../support/a64.ts";

const CALLS = 800_000;
const ROUNDS = 2;
const F = 0x1000;
const G = 0x2000;
const RET = 0xd65f_03c0;
const bl = (from: number, to: number) => (0x9400_0000 | (((to - from) >> 2) & 0x3ff_ffff)) >>> 0;
const movRegister = (d: number, n: number) => (0xaa00_03e0 | (n << 16) | d) >>> 0;
const STORE_W1_IN_G = 0xb900_0041; // STR W1, [X2]

/**
 * Calls f in the next page, which calls g in the one behind; g adds 1, 2, ... to X0 in successive rounds. Of every two calls f returns
 * once to the instruction behind the call and once to the one after it: X6 counts the former, X8 both.
 */
function program(): Uint8Array {
  const call = 0;
  const calls = a64.repeat(4, CALLS, [call, a64.addImm(6, 6, 1), a64.addImm(8, 8, 1)]);
  const start = [...a64.mov(0, 0), ...a64.mov(1, a64.addImm(0, 0, 0)), ...a64.mov(2, a64.ORIGIN + G), ...a64.mov(6, 0), ...a64.mov(8, 0)];
  // X1 += 1 << 10: the immediate of ADD
  const next = [...a64.mov(10, 1 << 10), (0x8b00_0000 | (10 << 16) | (1 << 5) | 1) >>> 0, STORE_W1_IN_G, a64.ISB];
  const code = [...start, ...a64.repeat(3, ROUNDS, [...next, ...calls]), ...a64.HALT];
  const first = codeOffset();
  const words = code.map((w, i) => (w === call ? bl(first + 4 * i, F) : w));
  const f = [
    movRegister(9, 30),
    bl(F + 4, G),
    0x9240_0087, // AND X7, X4, #1
    0x8b07_0920 | 30, // ADD X30, X9, X7, LSL #2
    RET,
  ].map((w) => w >>> 0);
  return a64.image(words, { [F]: f, [G]: [a64.addImm(0, 0, 0), RET] });
}
/** Where a64.image puts the code. */
const codeOffset = (): number => {
  const image = a64.image([0x1234_5678], {});
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  for (let at = 0; at < image.length; at += 4) if (view.getUint32(at, true) === 0x1234_5678) return at;
  throw new Error("no code in the image");
};

describe.each<Engine>(["interp", "wasm", "check"])("calls into other pages on %s", (engine) => {
  it("go and return as written, also after the code has changed", async () => {
    const machine = await Machine.create({ engine, kernel: program(), memory: 64 * 2 ** 20 });
    await machine.runInstructions(40_000_000);
    const pe = machine.pe();
    expect(pe.x(0)).toBe(BigInt((CALLS * ROUNDS * (ROUNDS + 1)) / 2));
    expect(pe.x(8)).toBe(BigInt(CALLS * ROUNDS));
    expect(pe.x(6)).toBe(BigInt((CALLS * ROUNDS) / 2));
    if (engine === "wasm") {
      const s = machine.board.executor.engine?.statistics;
      expect(s?.wide).toBeGreaterThan(0);
      expect(s?.dropped).toBeGreaterThan(0);
    }
  });
});
