// The watchdog over a Debian kernel on four PEs: a boot, an idle shell, PEs that are off, sleep, work. Nothing of that is being stuck.

import { expect, it } from "vitest";
import { Machine, type Stuck, stuckMessage } from "../../src/harness/index.ts";
import { debianKernel } from "../support/debian.ts";
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

// A panic of Linux ends in a loop of delays, in which the PE waits nearly all of the time: by WFIT where the CPU has that, else by WFE, which
// the event stream of the timer ends.
it.each([
  ["7.2", "max"],
  ["6.12", "cortex-a76"],
])("Linux %s on %s that has panicked is silent", { timeout: TIMEOUT }, async (version, cpu) => {
  // No initial file system: nothing to mount as root.
  const { vmlinuz } = await debianKernel(version);
  const machine = await Machine.create({ kernel: vmlinuz, append: "console=ttyAMA0", cpu, watchdog: { silent: 5_000_000_000 } });
  const end = await machine.run();
  expect(machine.console.text).toMatch(/Kernel panic - not syncing: VFS: Unable to mount root fs/);
  if (end.kind !== "stuck") throw new Error(`not stuck: ${end.kind}`);
  expect(end.delay).toBeGreaterThan(4_000_000_000);
  expect(stuckMessage(end)).toMatch(
    /^no console has printed anything for \d+ instructions and 4\.\d{3} s of delays: PE 0 at EL2 .*: WF[IE]$/,
  );
});
