// U-Boot of Debian as BL33: reset at EL3, TF-A, OP-TEE, U-Boot, GRUB from a disk, and a Debian kernel, on four PEs that TF-A turns on.
// (TF-A with RME cannot start this build of U-Boot: docs/firmware-files.md.)

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { cachedEfiDisk } from "../../src/cli/debian/efi-disk.ts";
import { packFlash } from "../../src/cli/debian/flash.ts";
import { Machine, MemoryBlockBackend } from "../../src/harness/index.ts";
import { TEST_DISKS } from "../support/debian.ts";
import { debianFirmware, firmwareParts } from "../support/firmware.ts";
import { bootToShell, shell } from "../support/linux.ts";

const TIMEOUT = 300_000;

it("TF-A, OP-TEE, U-Boot, GRUB, Linux", { timeout: TIMEOUT }, async () => {
  const { files } = await debianFirmware("u-boot");
  const bios = packFlash(await firmwareParts("tf-a-optee", readFileSync(files["u-boot.bin"] ?? "")));
  const disk = await cachedEfiDisk(TEST_DISKS.find(([loader]) => loader === "grub")?.[1] ?? "", "grub");
  const backend = MemoryBlockBackend.from(readFileSync(disk ?? ""));
  const machine = await Machine.create({ machine: "virt,secure=on", bios, memory: 2 ** 30, smp: 4, pci: [{ kind: "block", backend }] });
  await machine.waitFor(/Hit any key to stop autoboot/, { timeout: TIMEOUT });
  // Bank 0 of flash is Secure: half of it is left.
  const [, normal = ""] = machine.console.text.split("BL31: Preparing for EL3 exit to normal world");
  expect(normal).toMatch(/^U-Boot 20/m);
  expect(normal).toMatch(/^Flash: +32 MiB/m);
  expect(machine.secureConsole.text).toMatch(/OP-TEE version: /);
  machine.console.send("\n");
  await machine.waitFor(/=> /, { timeout: TIMEOUT });
  machine.console.send("bootflow scan -b\n");
  await bootToShell(machine);
  expect(await shell(machine, "nproc; dmesg | grep -c 'efi: EFI .* by Das U-Boot'")).toBe("4\n1\n");
  for (let pe = 1; pe < 4; pe++) expect(machine.secureConsole.text).toContain(`Secondary CPU ${pe} switching to normal world boot`);
  machine.console.send("poweroff -f\n");
  expect(await machine.run()).toEqual({ kind: "poweroff" });
});
