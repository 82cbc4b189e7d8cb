// U-Boot of Debian as BL33: reset at EL3, TF-A, OP-TEE, U-Boot, GRUB from a disk, and a Debian kernel, on PEs that TF-A turns on.
// (TF-A with RME cannot start this build of U-Boot: docs/firmware-files.md.)

import { expect, it } from "vitest";
import type { Machine } from "../../src/harness/index.ts";
import { bootFromDisk, type DiskBoot, diskBootOnQemu, toFirstPrompt, U_BOOT } from "../support/disk-boot.ts";
import { comparable } from "../support/firmware.ts";
import { diskDifferences, opteeDifferences, withoutAddresses } from "./differences.ts";

const TIMEOUT = 300_000;
const boot: DiskBoot = { firmware: "tf-a-optee", loader: "grub", bus: "pci", typed: U_BOOT };

/** Every part of the stack was there. */
function parts(machine: Machine): void {
  const [, normal = ""] = machine.console.text.split("BL31: Preparing for EL3 exit to normal world");
  expect(normal).toMatch(/^U-Boot 20/m);
  // Bank 0 of flash is Secure: half of it is left.
  expect(normal).toMatch(/^Flash: +32 MiB/m);
  expect(normal).toMatch(/efi: EFI v2\.\d+ by Das U-Boot/);
  expect(machine.secureConsole.text).toMatch(/OP-TEE version: /);
}

it("TF-A, OP-TEE, U-Boot, GRUB, Linux: both consoles are QEMU's", { timeout: TIMEOUT }, async () => {
  const qemu = await diskBootOnQemu(boot, "cortex-a76");
  const machine = await bootFromDisk(boot, { cpu: "cortex-a76" });
  parts(machine);
  const normal = comparable(toFirstPrompt(machine), qemu.normal, diskDifferences(boot));
  expect(normal.ours).toEqual(normal.theirs);
  expect(normal.unused).toEqual([]);
  const secure = comparable(withoutAddresses(machine.secureConsole.text), withoutAddresses(qemu.secure), opteeDifferences);
  expect(secure.ours).toEqual(secure.theirs);
});

it("the same on four PEs", { timeout: TIMEOUT }, async () => {
  const machine = await bootFromDisk(boot, { smp: 4 });
  parts(machine);
  for (let pe = 1; pe < 4; pe++) expect(machine.secureConsole.text).toContain(`Secondary CPU ${pe} switching to normal world boot`);
});
