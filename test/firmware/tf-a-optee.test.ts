// OP-TEE of Debian in Secure state under Debian's TF-A (built without RME: TF-A has no OP-TEE dispatcher with it), with a Debian kernel
// as BL33. A core that TF-A knows completely, so that everything up to power-off can be compared with QEMU.

import { expect, it } from "vitest";
import { comparable, kernelStack, stackMachine, stackOnQemu } from "../support/firmware.ts";
import { shell, toPrompt } from "../support/linux.ts";
import { a76Differences, linuxDifferences, opteeDifferences, withoutAddresses } from "./differences.ts";

const TIMEOUT = 300_000;
const POWER_OFF = /QEMU System Power off: with GPIO\.\r\n/;

it("boots Linux 7.2 with OP-TEE; both consoles are QEMU's", { timeout: TIMEOUT }, async () => {
  const stack = await kernelStack("tf-a-optee", "7.2");
  const qemu = await stackOnQemu(stack, { cpu: "cortex-a76", smp: 1, until: POWER_OFF, type: "poweroff -f\n" });
  const machine = await stackMachine(stack, { cpu: "cortex-a76" });
  await toPrompt(machine);
  machine.console.send("poweroff -f\n");
  expect(await machine.run()).toEqual({ kind: "poweroff" });

  const normal = comparable(machine.console.text, qemu.normal, [...linuxDifferences, ...a76Differences]);
  expect(normal.ours).toEqual(normal.theirs);
  expect(normal.unused).toEqual([]);
  const secure = comparable(withoutAddresses(machine.secureConsole.text), withoutAddresses(qemu.secure), opteeDifferences);
  expect(secure.ours).toEqual(secure.theirs);
});

it("serves the OP-TEE driver of Linux 6.12 on four PEs with all of our features", { timeout: TIMEOUT }, async () => {
  const machine = await stackMachine(await kernelStack("tf-a-optee", "6.12"), { cpu: "max", smp: 4 });
  await toPrompt(machine);
  for (let pe = 1; pe < 4; pe++) expect(machine.secureConsole.text).toContain(`Secondary CPU ${pe} switching to normal world boot`);
  expect(await shell(machine, "dmesg -n 1; modprobe optee && echo loaded; dmesg | grep optee")).toMatch(
    /^loaded\n(.*\n)*.*optee: initialized driver\n/,
  );
  expect(await shell(machine, "ls -1 /dev/tee0 /dev/teepriv0")).toBe("/dev/tee0\n/dev/teepriv0\n");
});
