// From a disk: UEFI firmware or U-Boot finds the EFI System Partition of a virtio disk and starts GRUB, which loads a Debian kernel; or
// the UEFI shell starts the kernel itself, by its EFI stub. On one PE the console is QEMU's; four PEs have all of our features.

import { expect, it } from "vitest";
import { bootFromDisk, type DiskBoot, diskBootOnQemu, SHELL_SCRIPT, toFirstPrompt, U_BOOT } from "../support/disk-boot.ts";
import { comparable } from "../support/firmware.ts";
import { diskDifferences } from "./differences.ts";

const TIMEOUT = 300_000;
const EDK2 = /efi: EFI v2\.\d+ by Debian distribution of EDK II/;
const BY_U_BOOT = /efi: EFI v2\.\d+ by Das U-Boot/;

// biome-ignore format: table
const boots: readonly (readonly [what: string, boot: DiskBoot, firmware: RegExp])[] = [
  ["edk2, GRUB from a PCI disk",                     { firmware: "edk2",   loader: "grub", bus: "pci",  typed: [] },                         EDK2],
  ["edk2, the EFI stub from a virtio-mmio disk",     { firmware: "edk2",   loader: "stub", bus: "mmio", typed: SHELL_SCRIPT, time: "wall" }, EDK2],
  ["U-Boot, GRUB from a virtio-mmio disk",           { firmware: "u-boot", loader: "grub", bus: "mmio", typed: U_BOOT },                     BY_U_BOOT],
];

it.each(boots)("%s: the console is QEMU's", { timeout: TIMEOUT }, async (_, boot, firmware) => {
  const qemu = await diskBootOnQemu(boot, "cortex-a76");
  const machine = await bootFromDisk(boot, { cpu: "cortex-a76" });
  expect(machine.console.text).toMatch(firmware);
  const { ours, theirs, unused } = comparable(toFirstPrompt(machine), qemu.normal, diskDifferences(boot));
  expect(ours).toEqual(theirs);
  expect(unused).toEqual([]);
});

it.each(boots)("%s: on four PEs", { timeout: TIMEOUT }, async (_, boot, firmware) => {
  const machine = await bootFromDisk(boot, { smp: 4 });
  expect(machine.console.text).toMatch(firmware);
});
