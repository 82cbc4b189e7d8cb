// The watchdog over machines that get nowhere: what it must find, and what it must leave alone.

import { describe, expect, it } from "vitest";
import { Machine, type MachineOptions, type StuckPe, stuckText } from "../../src/harness/index.ts";
import * as a64 from "../support/a64.ts";

const AFTER = 2_000_000;
const { b, image, mov, MASK_ALL, msr, NOP, ORIGIN, UNMASK_ALL, WFE, WFI } = a64;

const boot = (code: readonly number[], o: Partial<MachineOptions> = {}, pieces: Readonly<Record<number, readonly number[]>> = {}) =>
  Machine.create({ kernel: image(code, pieces), memory: 64 * 2 ** 20, watchdog: { after: AFTER }, ...o });

async function stuck(machine: Machine): Promise<readonly StuckPe[]> {
  const reason = await machine.run();
  if (reason.kind !== "stuck") throw new Error(`not stuck: ${JSON.stringify(reason)}`);
  return reason.pes;
}
describe("a machine that gets nowhere is told", () => {
  it("a branch to itself with interrupts masked", async () => {
    const pes = await stuck(await boot([NOP, MASK_ALL, b(0)]));
    expect(pes).toEqual([
      { pe: 0, pc: BigInt(ORIGIN + 64 + 8), el: 2, security: "Non-secure", why: "a branch to itself with interrupts masked" },
    ]);
    expect(stuckText(pes, (address) => (address === pes[0]?.pc ? "panic+0x8" : undefined))).toBe(
      "PE 0 at EL2 in the Non-secure state, PC 0x40200048 (panic+0x8): a branch to itself with interrupts masked",
    );
  });

  it("an exception whose handler cannot be fetched", async () => {
    const [pe] = await stuck(await boot([...mov(0, 0x3000_0000), msr("VBAR_EL2", 0), a64.ISB, a64.UDF], { time: "wall" }));
    expect(pe).toMatchObject({ pe: 0, pc: 0x3000_0200n, el: 2, security: "Non-secure" });
    expect(pe?.why).toBe(
      "the same exception over and over (Instruction Abort), and the handler itself takes it again: ESR_EL2 0x86000010, ELR_EL2 0x30000200, FAR_EL2 0x30000200",
    );
  });

  it("a wait in wall time, at once: nothing is enabled that may interrupt", async () => {
    const began = performance.now();
    expect(await stuck(await boot([WFI, NOP, b(-2)], { time: "wall" }))).toMatchObject([
      { why: expect.stringMatching(/^WFI, no timer is set and no device may interrupt$|^a loop of WFI/) },
    ]);
    expect(await stuck(await boot([UNMASK_ALL, WFE, ...mov(0, 1), b(-2)], { time: "wall" }))).toMatchObject([
      { why: "WFE, no timer is set and no device may interrupt" },
    ]);
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});

describe("work is left alone", () => {
  it("an idle prompt: WFI that a device may end", async () => {
    const listen = [...mov(1, 0x0800_0104), ...mov(0, 2), a64.str32(0, 1)]; // GICD_ISENABLER1: the UART
    const machine = await boot([...listen, WFI, NOP, ...mov(0, 1), b(-3)], { time: "wall" });
    const run = machine.run();
    expect(await Promise.race([run, new Promise((resolve) => setTimeout(() => resolve("idle"), 500))])).toBe("idle");
    machine.stop();
    expect(await run).toEqual({ kind: "stopped" });
  });
});
