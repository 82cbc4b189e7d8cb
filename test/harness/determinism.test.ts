// The same machine does the same, instruction by instruction, every time; another seed makes it do something else.

import { describe, expect, it } from "vitest";
import { Machine } from "../../src/harness/index.ts";
import { TEST_KERNELS } from "../support/debian.ts";
import { bootToShell, linuxMachine, shell } from "../support/linux.ts";
import { echoProgram } from "../support/programs.ts";

const version = TEST_KERNELS[0] as string;
const TIMEOUT = 300_000;
/** Draws on all that is random or depends on time. */
const COMMAND = "cat /proc/sys/kernel/random/uuid /proc/uptime /proc/interrupts; head -c 16 /dev/hwrng | hexdump; date +%s.%N";

const registers = (machine: Machine, pe: number) => {
  const view = machine.pe(pe);
  return [view.pc, view.sp, view.nzcv, view.el, ...Array.from({ length: 31 }, (_, n) => view.x(n))];
};

describe(`two runs of Debian's kernel ${version}`, () => {
  it.each([1, 2])(
    "%i PEs: equal to the shell and in it",
    async (smp) => {
      const run = async () => {
        const machine = await linuxMachine(version, { smp });
        const bytes: Buffer[] = [];
        machine.console.onData((data) => bytes.push(Buffer.from(data)));
        await bootToShell(machine);
        const atPrompt = machine.instructions;
        await shell(machine, COMMAND);
        return {
          atPrompt,
          instructions: machine.instructions,
          console: Buffer.concat(bytes).toString("latin1"),
          time: machine.pe().sysreg("CNTPCT_EL0"),
          registers: Array.from({ length: smp }, (_, i) => registers(machine, i)),
        };
      };
      const first = await run();
      expect(first.console).toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-4/);
      expect(await run()).toEqual(first);
    },
    TIMEOUT,
  );

  it(
    "another seed is another run, and just as repeatable",
    async () => {
      const COUNT = 150_000_000;
      const run = async (seed: bigint) => {
        const machine = await linuxMachine(version, { seed });
        await machine.runInstructions(COUNT);
        return registers(machine, 0);
      };
      const [one, two] = [await run(1n), await run(2n)];
      expect(two).not.toEqual(one);
      expect(await run(2n)).toEqual(two);
    },
    TIMEOUT,
  );
});

describe("what the host does does not matter", () => {
  it("input typed at the same instruction gives the same run, however the run is cut", async () => {
    const run = async (pieces: number[]) => {
      const machine = await Machine.create({ kernel: echoProgram, memory: 64 * 2 ** 20, smp: 2 });
      for (const n of pieces) await machine.runInstructions(n);
      machine.console.send("some text");
      await machine.waitFor(/text$/);
      const at = machine.instructions;
      machine.console.send("q");
      await machine.run();
      return [at, machine.instructions, machine.console.text, registers(machine, 0)];
    };
    const whole = await run([1_000_003]);
    expect(await run([1, 999_999, 3])).toEqual(whole);
    expect(await run(Array<number>(1000).fill(1000).concat(3))).toEqual(whole);
  });

  it("the host's time of day does not show", async () => {
    const run = async () => {
      const machine = await Machine.create({ kernel: echoProgram, memory: 64 * 2 ** 20 });
      await machine.runInstructions(100_000);
      return Buffer.from(machine.save()).toString("base64");
    };
    const first = await run();
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(await run()).toBe(first);
  });
});
