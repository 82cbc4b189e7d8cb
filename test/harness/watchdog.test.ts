// The watchdog over machines that get nowhere: what it must find, and what it must leave alone.

import { describe, expect, it } from "vitest";
import { Machine, type MachineOptions, type Stuck, type StuckPe, stuckMessage, stuckText } from "../../src/harness/index.ts";
import * as a64 from "../support/a64.ts";

const AFTER = 2_000_000;
const { b, image, ldr32, ldr64, mov, mrs, MASK_ALL, msr, NOP, ORIGIN, str64, UNMASK_ALL, WFE, WFI } = a64;
const RAM = 0x4000_0000;
/** Nothing is there. */
const NOWHERE = 0x7000_0000;

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
      "the same exception over and over, and the handler itself takes it again (Instruction Abort, External abort: nothing is there: ESR_EL2 0x86000010, ELR_EL2 0x30000200, FAR_EL2 0x30000200)",
    );
  });

  it.each(["interp", "wasm", "js"] as const)("a handler whose first instruction faults, on %s", async (engine) => {
    const vectors = { 2048: Array.from({ length: 16 * 32 }, () => ldr32(0, 1)) };
    const machine = await boot([...a64.useVectors(2), ...mov(1, NOWHERE), ldr32(0, 1)], { engine }, vectors);
    expect(await machine.runInstructions(1001)).toBeUndefined();
    expect(machine.instructions).toBe(1001);
    const [pe] = await stuck(machine);
    expect(pe).toMatchObject({ pe: 0, el: 2, security: "Non-secure" });
    expect(pe?.why).toMatch(
      /^the same exception over and over, and the handler itself takes it again \(Data Abort, .*FAR_EL2 0x70000000\)$/,
    );
  });

  it("an access that faults again each time that its handler returns", async () => {
    const entry = [a64.ERET, ...Array<number>(31).fill(NOP)];
    const vectors = { 2048: Array.from({ length: 16 }, () => entry).flat() };
    const [pe] = await stuck(await boot([...a64.useVectors(2), ...mov(1, NOWHERE), ldr32(0, 1)], {}, vectors));
    expect(pe).toMatchObject({ pe: 0, el: 2, security: "Non-secure" });
    expect(pe?.why).toMatch(
      /^the same exception over and over, whose handler returns to it every time \(Data Abort, .*: ESR_EL2 0x96000010, ELR_EL2 0x402000\w+, FAR_EL2 0x70000000\)$/,
    );
  });

  it("a panic after a fault: with the fault", async () => {
    const panic = Array.from({ length: 16 }, () => [MASK_ALL, WFI, b(-1), ...Array<number>(29).fill(NOP)]).flat();
    const pes = await stuck(await boot([...a64.useVectors(2), ...mov(1, NOWHERE), ldr32(0, 1)], { time: "wall" }, { 2048: panic }));
    expect(stuckText(pes)).toMatch(
      /^PE 0 at EL2 in the Non-secure state, PC 0x40200a0\w: a loop of WFI with interrupts masked \(the last fault before: Data Abort, External abort: nothing is there: ESR_EL2 0x96000010, ELR_EL2 0x4020\w+, FAR_EL2 0x70000000\)$/,
    );
  });

  it("PEs that wait for each other in Secure firmware: one in a panic, three parked in WFE", async () => {
    // As TF-A does: secondary PEs wait for a word in memory.
    const park = [...mov(1, RAM), WFE, ldr64(2, 1), a64.cbz(2, -2), a64.br(2)];
    const code = [mrs(0, "MPIDR_EL1"), ...andAff0(0), a64.cbz(0, 1 + park.length), ...park, MASK_ALL, WFI, b(-1)];
    const machine = await Machine.create({
      machine: "virt,secure=on",
      bios: words(code),
      smp: 4,
      memory: 64 * 2 ** 20,
      time: "wall",
      watchdog: { after: AFTER },
    });
    const pes = await stuck(machine);
    expect(pes.map((p) => p.el)).toEqual([3, 3, 3, 3]);
    expect(pes.map((p) => p.security)).toEqual(["Secure", "Secure", "Secure", "Secure"]);
    expect(pes[0]?.why).toBe("a loop of WFI with interrupts masked");
    for (const p of pes.slice(1)) expect(p.why).toBe("WFE, no timer is set and no device may interrupt");
    expect(stuckText(pes)).toMatch(/^PE 0 at EL3 in the Secure state, PC 0x[0-9a-f]+: a loop of WFI .*; PE 3 at EL3/);
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

describe("what was asked for happens", () => {
  it("tell: it is told once, and the run goes on", async () => {
    const told: Stuck[] = [];
    const machine = await boot([MASK_ALL, b(0)], { watchdog: { after: AFTER, tell: (end) => told.push(end) } });
    const run = machine.run();
    while (machine.instructions < 20 * AFTER) await new Promise((resolve) => setTimeout(resolve, 10));
    machine.stop();
    expect(await run).toEqual({ kind: "stopped" });
    expect(told).toMatchObject([{ kind: "stuck", pes: [{ pe: 0, why: "a branch to itself with interrupts masked" }] }]);
    expect(stuckMessage(told[0] as Stuck)).toMatch(/^the machine can get no further: PE 0 at EL2 in the Non-secure state, PC 0x/);
  });

  it("silent: a machine that works without printing anything is ended", async () => {
    const count = [a64.addImm(0, 0, 1), b(-1)];
    const machine = await boot(count, { watchdog: { silent: 50_000_000 } });
    const reason = await machine.run();
    expect(reason).toMatchObject({ kind: "stuck", pes: [{ pe: 0, why: "running" }] });
    expect(stuckMessage(reason as Stuck)).toMatch(/^no console has printed anything for 5\d{7} instructions: PE 0 at EL2 .*: running$/);
  });

  it("silent: output of any console counts, and the wait for it fails with the reason", async () => {
    const print = [...mov(2, 0x0900_0000), ...mov(3, 0x2e), a64.str8(3, 2)];
    const busy = a64.repeat(1, 10_000_000, [NOP]);
    const machine = await boot([...a64.repeat(4, 3, [...print, ...busy]), a64.addImm(0, 0, 1), b(-1)], {
      watchdog: { silent: 40_000_000 },
    });
    await expect(machine.waitFor(/#/)).rejects.toThrow(/the machine stopped \(no console has printed anything for 4\d{7} instructions: /);
    expect(machine.console.text).toBe("...");
    expect(machine.instructions).toBeGreaterThanOrEqual(100_000_000);
  });

  it("limit: a machine that prints the same for ever is ended", async () => {
    const print = [...mov(2, 0x0900_0000), ...mov(3, 0x2e), a64.str8(3, 2)];
    const machine = await boot([...print, ...a64.repeat(1, 100_000, []), b(-4 - print.length + 1)], { watchdog: { limit: 30_000_000 } });
    const reason = await machine.run();
    expect(reason).toMatchObject({ kind: "stuck", pes: [{ pe: 0 }] });
    expect(stuckMessage(reason as Stuck)).toMatch(/^the machine has run 3\d{7} instructions and may run no more: PE 0 at EL2 /);
    expect(machine.console.text).toMatch(/^\.{50,}$/);
  });

  it("limits that mean nothing are refused", async () => {
    for (const limits of [{ after: 0 }, { after: Number.NaN }, { silent: -1 }])
      await expect(boot([NOP], { watchdog: limits })).rejects.toThrow(/watchdog: \w+ is a number of instructions/);
  });
});

describe("work is left alone", () => {
  /** Runs it to its power-off, and nothing else. */
  const works = async (
    code: readonly number[],
    o: Partial<MachineOptions> = {},
    pieces: Readonly<Record<number, readonly number[]>> = {},
  ) => expect(await (await boot([...code, ...a64.POWER_OFF], o, pieces)).run()).toEqual({ kind: "poweroff" });

  it("a long computation with interrupts masked", () => works([MASK_ALL, ...a64.repeat(1, 20 * AFTER, [])]));

  it("polls of a counter, and of a word that another PE writes, with and without WFE", { timeout: 30_000 }, async () => {
    const flag = ORIGIN + 0x2000;
    const until = (wait: readonly number[]) => [...mov(1, flag), ...wait, ldr64(2, 1), a64.cbz(2, -1 - wait.length)];
    for (const wait of [[], [WFE]]) {
      // PE 1 works for a long time, then writes the word; PEs 2 and 3 are off.
      const second = [MASK_ALL, ...a64.repeat(1, 2 * AFTER, []), ...mov(1, flag), ...mov(2, 1), str64(2, 1), SEV, WFI, b(-1)];
      const start = [...mov(1, 1), ...mov(2, ORIGIN + 0x1000), ...mov(3, 0), ...a64.psci(0xc400_0003)];
      await works([MASK_ALL, ...start, ...until(wait)], { smp: 4 }, { 4096: second });
    }
    // CNTVCT at 1 GHz and 1 GIPS of deterministic time: 40 million instructions.
    await works([MASK_ALL, mrs(1, "CNTVCT_EL0"), ...mov(3, 20 * AFTER), a64.add(1, 1, 3), ...untilCount(1)]);
  });

  it("a wait for a timer that is far away", async () => {
    const far = [...mov(1, 1n << 50n), msr("CNTP_CVAL_EL0", 1), ...mov(2, 1), msr("CNTP_CTL_EL0", 2)];
    for (const code of [
      [...far, MASK_ALL, WFI, ...mov(5, 1), b(-2)],
      [...far, UNMASK_ALL, WFI, ...mov(5, 1), b(-2)],
    ])
      await idles(await boot(code, { time: "wall" }));
  });

  it("a handler that lets the same access fault again and again, and counts", async () => {
    // 100,000 times, where 5,000 without counting are too many; then it goes on behind the access.
    const handler = [a64.subImm(20, 20, 1), a64.cbnz(20, 4), mrs(21, "ELR_EL2"), a64.addImm(21, 21, 4), msr("ELR_EL2", 21), a64.ERET];
    const entry = [...handler, ...Array<number>(32 - handler.length).fill(NOP)];
    const vectors = { 2048: Array.from({ length: 16 }, () => entry).flat() };
    await works([...a64.useVectors(2), ...mov(20, 100_000), ...mov(1, NOWHERE), ldr32(0, 1)], { watchdog: { after: 500_000 } }, vectors);
  });

  it("an idle prompt: WFI that a device may end", async () => {
    const listen = [...mov(1, 0x0800_0104), ...mov(0, 2), a64.str32(0, 1)]; // GICD_ISENABLER1: the UART
    const machine = await boot([...listen, WFI, NOP, ...mov(0, 1), b(-3)], { time: "wall" });
    await idles(machine);
  });
});

/** It neither ends nor is told to be stuck for a while. */
async function idles(machine: Machine): Promise<void> {
  const run = machine.run();
  expect(await Promise.race([run, new Promise((resolve) => setTimeout(() => resolve("idle"), 500))])).toBe("idle");
  machine.stop();
  expect(await run).toEqual({ kind: "stopped" });
}

const SEV = 0xd503_209f;
/** and xd, xd, #0xff */
const andAff0 = (d: number): number[] => [(0x9240_1c00 | (d << 5) | d) >>> 0];
/** Until CNTVCT_EL0 is beyond register n: sub x4, xn, x2; tbz x4, #63, back */
const untilCount = (n: number): number[] => [
  mrs(2, "CNTVCT_EL0"),
  (0xcb02_0000 | (n << 5) | 4) >>> 0,
  (0xb6f8_0000 | ((-2 & 0x3fff) << 5) | 4) >>> 0,
];
const words = (code: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(code).buffer);
