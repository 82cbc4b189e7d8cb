// The bundled program (firmware/hello) on the machine: device tree, console both ways, GIC, timer, PSCI, faults, all without a kernel.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Machine, type MachineOptions } from "../../src/harness/index.ts";

const kernel = readFileSync(new URL("../../firmware/hello/hello.img", import.meta.url));
const MiB = 2 ** 20;
const start = (options: Partial<MachineOptions> = {}) => Machine.create({ kernel, memory: 256 * MiB, ...options });
const PROMPT = /hello> $/;

/** Types keys and returns what was printed up to the next prompt. */
async function ask(machine: Machine, keys: string): Promise<string> {
  const before = machine.console.text.length;
  machine.console.send(keys);
  await machine.waitFor(PROMPT, { timeout: 20_000 });
  return machine.console.text.slice(before);
}

describe("the bundled program", () => {
  it("tells what the machine is and gets its timer interrupt", async () => {
    const machine = await start({ memory: 512 * MiB, append: "some words" });
    await machine.waitFor(PROMPT, { timeout: 20_000 });
    const text = machine.console.text;
    expect(text).toContain("Arguments   some words\r\n");
    expect(text).toContain("Running at  EL2, MPIDR 0x80000000\r\n");
    expect(text).toContain("Memory      512 MiB at 0x40000000\r\n");
    expect(text).toContain("PEs         1\r\n");
    expect(text).toContain("GIC         version 3 at 0x8000000, 256 shared interrupts, one Security state\r\n");
    expect(text).toContain("Counter     1000.000 MHz\r\n");
    expect(text).toContain("Firmware    PSCI 1.1, SMC calling convention 1.5, entropy service 1.0, called by SMC\r\n");
    expect(text).toMatch(/Timer {7}set to 100 ms: interrupt 26 came after 100\.\d ms\r\n/);
    expect(text).not.toContain("unexpected exception");
  });

  it("names the CPU that was asked for", async () => {
    const machine = await start({ cpu: "cortex-a53" });
    await machine.waitFor(PROMPT, { timeout: 20_000 });
    expect(machine.console.text).toContain("MIDR 0x410fd034: Arm, Cortex-A53, part 0xd03 r0p4");
    expect(machine.console.text).toContain("Addresses   40-bit physical, 48-bit virtual; pages of 4K 64K;");
  });

  it("starts and stops the other PEs, again and again", async () => {
    const machine = await start({ smp: 4 });
    await machine.waitFor(PROMPT, { timeout: 20_000 });
    const lines = (text: string) => text.match(/PE \d {8}started by PSCI CPU_ON: ran at EL2 with MPIDR 0x8000000\d, switched itself off/g);
    expect(lines(machine.console.text)?.length).toBe(3);
    for (let i = 0; i < 3; i++) expect(lines(await ask(machine, "c"))?.length).toBe(3);
  });

  it("shows memory, survives a fault, and powers off", async () => {
    const machine = await start();
    await machine.waitFor(PROMPT, { timeout: 20_000 });
    expect(await ask(machine, "m40200030\r")).toContain("000040200030  00000000 00000000 644d5241 00000000  ........ARMd....");
    expect(await ask(machine, "m10000000000\r")).toContain("a read there faults (Data Abort, ESR 0x96000010)");
    machine.console.send("q");
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(machine.console.text).toMatch(/Good bye\.\r\n$/);
  });

  it("restarts by PSCI", async () => {
    const machine = await start();
    await machine.waitFor(PROMPT, { timeout: 20_000 });
    machine.console.send("r");
    expect(await machine.run()).toEqual({ kind: "reset" });
  });

  it("does the same every time", async () => {
    const run = async () => {
      const machine = await start({ smp: 2 });
      await machine.waitFor(PROMPT, { timeout: 20_000 });
      await ask(machine, "tc");
      machine.console.send("q");
      await machine.run();
      return [machine.instructions, machine.console.text];
    };
    expect(await run()).toEqual(await run());
  });
});
