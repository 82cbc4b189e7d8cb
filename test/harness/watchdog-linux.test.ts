// The watchdog over a Debian kernel on four PEs: a boot, an idle shell, PEs that are off, sleep, work. Nothing of that is being stuck.

import { expect, it } from "vitest";
import type { Stuck } from "../../src/harness/index.ts";
import { bootToShell, linuxMachine, shell } from "../support/linux.ts";

const TIMEOUT = 240_000;

it("tells nothing about a kernel that boots, idles, sleeps and works; endless work is silent", { timeout: TIMEOUT }, async () => {
  const told: Stuck[] = [];
  // A hundredth of the default.
  const tell = (end: Stuck): void => {
    told.push(end);
    machine.stop();
  };
  const machine = await linuxMachine("6.12", { smp: 4, watchdog: { after: 2_000_000, silent: 1_000_000_000, tell } });
  await bootToShell(machine);
  // Three PEs parked in PSCI, and back.
  const online = (n: number) => `for n in 1 2 3; do echo ${n} > /sys/devices/system/cpu/cpu$n/online; done; nproc`;
  expect(await shell(machine, online(0))).toMatch(/^1$/m);
  await shell(machine, "sleep 500");
  expect(await shell(machine, online(1))).toMatch(/^4$/m);
  await shell(machine, "for n in 1 2 3 4 5 6 7 8; do /bin/true & done; wait; sleep 100 & sleep 200 & wait");
  expect(told).toEqual([]);

  // Nobody can prove that this is for good, but nothing is printed.
  machine.console.send("while :; do :; done\n");
  expect(await machine.run()).toEqual({ kind: "stopped" });
  expect(told).toMatchObject([{ kind: "stuck", pes: [{}, {}, {}, {}] }]);
  expect(told[0]?.silence).toBeGreaterThanOrEqual(1_000_000_000);
});
