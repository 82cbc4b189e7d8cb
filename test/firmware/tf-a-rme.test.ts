// TF-A of Debian with RME and its test RMM: from reset to the shell of a Debian kernel as BL33, and what it did to memory on the way.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { runCommandLine } from "../../src/cli/command.ts";
import type { Machine } from "../../src/harness/index.ts";
import { before, comparable, kernelStack, stackMachine, stackOnQemu } from "../support/firmware.ts";
import { shell, toPrompt } from "../support/linux.ts";
import { linuxDifferences, maxDifferences } from "./differences.ts";

const TIMEOUT = 300_000;
const USERLAND = /^(\[ *[\d.]+\] )?Run \/init as init process/m;
/** BL31's last line. */
const TO_BL33 = /SPSR = 0x3c9\r\n/;

it("boots Linux 7.2; the console is QEMU's until userland, where QEMU's CPU has what TF-A does not know", {
  timeout: TIMEOUT,
}, async () => {
  const stack = await kernelStack("tf-a-rme", "7.2");
  // Userland needs FPMR on a CPU that has it, and TF-A 2.12 leaves SCR_EL3.EnFPM clear.
  const qemu = await stackOnQemu(stack, { cpu: "max,x-rme=on,pauth-impdef=on", smp: 1, until: USERLAND });
  const machine = await stackMachine(stack, { cpu: "max,rme=on" });
  await machine.waitFor(TO_BL33);
  await gptIsWhatTfaSays(machine);
  await toPrompt(machine);

  const differences = [...linuxDifferences, ...maxDifferences];
  const { ours, theirs, unused } = comparable(before(machine.console.text, USERLAND), before(qemu.normal, USERLAND), differences);
  expect(ours).toEqual(theirs);
  expect(unused).toEqual([]);
  expect(await shell(machine, "ls /proc/device-tree/reserved-memory")).toMatch(/\brmm\b/);
  await powerOff(machine);
});

it("boots Linux 6.12 on four PEs, which TF-A brings up one by one", { timeout: TIMEOUT }, async () => {
  const machine = await stackMachine(await kernelStack("tf-a-rme", "6.12"), { cpu: "max,rme=on", smp: 4 });
  await machine.waitFor(TO_BL33);
  await gptIsWhatTfaSays(machine);
  await toPrompt(machine);
  // Each PE checks accesses by that table.
  for (let pe = 1; pe < 4; pe++) expect(machine.gpt({ pe })).toEqual(machine.gpt());
  expect(await shell(machine, "nproc")).toBe("4\n");
  expect(await shell(machine, "cat /sys/devices/system/cpu/online")).toBe("0-3\n");
  // CPU_OFF and CPU_ON through TF-A's warm boot path, which sets up the granule protection check and the RMM of the PE again.
  expect(await shell(machine, "cd /sys/devices/system/cpu/cpu3; echo 0 > online; echo 1 > online; cat online; cd /root")).toMatch(/^1$/m);
  await powerOff(machine);
});

/** The table in memory, as `rme-emu gpt` reads it, against the claims of TF-A's log and the map of its sources (PLAT=qemu). */
async function gptIsWhatTfaSays(machine: Machine): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "rme-emu-gpt-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, "machine.snap");
  writeFileSync(file, machine.save());
  let text = "";
  const output = { write: (chunk: string) => (text += chunk) };
  expect(await runCommandLine(["gpt", file], { stdout: output, stderr: output })).toBe(0);
  const areas = [...text.matchAll(/^(0x[0-9a-f]+) to (0x[0-9a-f]+) +[\d.]+ \S+ +(\S+)$/gm)].map(([, from, to, space]) => {
    return [Number(from), Number(to) + 1, space] as const;
  });

  const log = machine.console.text;
  const said = (what: string): string => new RegExp(`INFO: +(?:GPT: )?${what}: *(\\S+)\\r`).exec(log)?.[1] ?? "";
  const read = (what: string): string => new RegExp(`${what} +(.*)$`, "m").exec(text)?.[1] ?? "";
  expect([said("PPS/T"), read("PPS")]).toEqual(["0x2/40", "0x2  protected space of 40 bits"]);
  expect([said("PGS/P"), read("PGS")]).toEqual(["0x0/12", "0x0  granule of 4 KiB"]);
  expect([said("L0GPTSZ/S"), read("L0GPTSZ")]).toEqual(["0x0/30", "0x0  a level 0 entry covers 1 GiB"]);
  expect(read("BADDR")).toBe(`level 0 table at ${said("L0 base")}`);
  expect(areas.at(-1)?.[1]).toBe(2 ** 40);
  expect(areas.filter(([, , space]) => space !== "any")).toHaveLength(Number(said("PAS count")));
  const spaceOf = (pa: number): string | undefined => areas.find(([from, to]) => pa >= from && pa < to)?.[2];
  const l0 = Number(said("L0 base"));
  const [, bl31] = /Image id=3 loaded: (\S+) - /.exec(log) ?? [];
  const [, rmm] = /Image id=35 loaded: (\S+) - /.exec(log) ?? [];
  const [, bl33] = /Image id=5 loaded: (\S+) - /.exec(log) ?? [];
  const [, shared] = /Shared region base address: (\S+)\r/.exec(log) ?? [];
  expect([l0, bl31, rmm, bl33, shared].map((pa) => spaceOf(Number(pa)))).toEqual(["Root", "Root", "Realm", "Non-secure", "Realm"]);
  expect(areas).toEqual([
    [0, 0x0e00_1000, "any"],
    [0x0e00_1000, 0x0e10_0000, "Root"],
    [0x0e10_0000, l0, "Secure"],
    [l0, 0x0f00_0000, "Root"],
    [0x0f00_0000, 0x4000_0000, "any"],
    [0x4000_0000, 0x4010_0000, "Non-secure"],
    [0x4010_0000, 0x4190_0000, "Realm"],
    [0x4190_0000, 2 ** 32, "Non-secure"],
    [2 ** 32, 2 ** 40, "any"],
  ]);
}

async function powerOff(machine: Machine): Promise<void> {
  machine.console.send("poweroff -f\n");
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  expect(machine.console.text).toMatch(/QEMU System Power off: with GPIO/);
}
