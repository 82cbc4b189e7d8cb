// Every engine retires the same instructions and prints the same bytes: several PEs under Debian's kernel, realms, and firmware. How far a run
// goes is chosen so that each engine has translated much of it and the test stays short.

import { describe, expect, it } from "vitest";
import type { Engine, Machine } from "../../src/harness/index.ts";
import { TEST_KERNELS } from "../support/debian.ts";
import { kernelStack, stackMachine } from "../support/firmware.ts";
import { linuxMachine } from "../support/linux.ts";

const TIMEOUT = 300_000;
const MiB = 2 ** 20;

/** All that a run leaves behind, as far as the guest and the terminal can tell. */
function outcome(machine: Machine, smp: number) {
  const registers = Array.from({ length: smp }, (_, pe) => {
    const view = machine.pe(pe);
    return [view.pc, view.sp, view.nzcv, view.el, ...Array.from({ length: 31 }, (_, n) => view.x(n))];
  });
  return { instructions: machine.instructions, console: machine.console.text, time: machine.pe().sysreg("CNTPCT_EL0"), registers };
}
/** Runs on each engine; answers the console, which is the same on all. */
async function agree(engines: readonly Engine[], smp: number, run: (engine: Engine) => Promise<Machine>): Promise<string> {
  const outcomes = [];
  for (const engine of engines) {
    const machine = await run(engine);
    outcomes.push(outcome(machine, smp));
    expect(outcomes.at(-1), engine).toEqual(outcomes[0]);
    if (engine !== "interp") expect(machine.board.executor.translations?.regions, engine).toBeGreaterThan(0);
  }
  return outcomes[0]?.console ?? "";
}

describe("all engines run alike", () => {
  it(
    "Debian on 4 PEs, until all of them are up",
    async () => {
      const text = await agree(["interp", "wasm", "js"], 4, async (engine) => {
        const machine = await linuxMachine(TEST_KERNELS.at(-1) as string, { engine, smp: 4 });
        await machine.runInstructions(225_000_000);
        return machine;
      });
      expect(text).toMatch(/smp: Brought up 1 node, 4 CPUs/);
    },
    TIMEOUT,
  );

  it(
    "Debian in a realm, until both RECs are up",
    async () => {
      const text = await agree(["wasm", "js"], 2, async (engine) => {
        const machine = await linuxMachine("7.2", { engine, smp: 2, memory: 256 * MiB, realm: {} });
        await machine.runInstructions(200_000_000);
        return machine;
      });
      expect(text).toMatch(/smp: Brought up 1 node, 2 CPUs/);
    },
    TIMEOUT,
  );

  it(
    "TF-A with RME, until it has started the kernel",
    async () => {
      const stack = await kernelStack("tf-a-rme", TEST_KERNELS[0] as string);
      const text = await agree(["wasm", "js"], 1, async (engine) => {
        const machine = await stackMachine(stack, { engine, cpu: "max,rme=on" });
        await machine.runInstructions(375_000_000);
        return machine;
      });
      expect(text).toMatch(/BL31: Preparing for EL3 exit[\s\S]*Booting Linux on physical CPU/);
    },
    TIMEOUT,
  );
});
