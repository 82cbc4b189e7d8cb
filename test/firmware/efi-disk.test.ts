// From a disk: UEFI firmware or U-Boot finds the EFI System Partition of a virtio disk and starts GRUB, which loads a Debian kernel; or
// the UEFI shell starts the kernel itself, by its EFI stub.

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { cachedEfiDisk, type EfiLoader } from "../../src/cli/debian/efi-disk.ts";
import { Machine, type MachineOptions, MemoryBlockBackend } from "../../src/harness/index.ts";
import { debianKernel, TEST_DISKS } from "../support/debian.ts";
import { debianFirmware } from "../support/firmware.ts";
import { bootToShell, shell } from "../support/linux.ts";

const TIMEOUT = 300_000;
const SECTOR = 512;

/** The image of the disk with this loader, and the kernel release on it. */
async function disk(loader: EfiLoader): Promise<{ image: Uint8Array; release: string }> {
  const version = TEST_DISKS.find(([l]) => l === loader)?.[1] ?? "";
  const path = await cachedEfiDisk(version, loader);
  if (path === undefined) throw new Error(`the disk with ${loader} and ${version} is not in the cache: run "npm test"`);
  return { image: readFileSync(path), release: (await debianKernel(version)).release };
}

/** A machine with firmware of Debian in flash and the image on the disk of a bus. */
async function diskMachine(file: string, bus: "pci" | "mmio", image: Uint8Array, options: Partial<MachineOptions> = {}): Promise<Machine> {
  const { files } = await debianFirmware(file === "u-boot.bin" ? "u-boot" : "edk2");
  const backend = MemoryBlockBackend.from(image);
  const attached: Partial<MachineOptions> = bus === "pci" ? { pci: [{ kind: "block", backend }] } : { drives: [{ backend }] };
  return Machine.create({ bios: files[file] ?? "", memory: 2 ** 30, ...attached, ...options });
}

/** Linux runs on this firmware, has the disk that it came from, and powers off. */
async function linuxFromDisk(machine: Machine, image: Uint8Array, release: string, firmware: RegExp): Promise<void> {
  await bootToShell(machine);
  expect(machine.console.text).toMatch(firmware);
  expect(await shell(machine, "uname -r; nproc")).toBe(`${release}\n${machine.board.pes.length}\n`);
  expect(await shell(machine, "cat /sys/class/block/vda/size /sys/class/block/vda1/start")).toBe(`${image.length / SECTOR}\n2048\n`);
  machine.console.send("poweroff -f\n");
  expect(await machine.run()).toEqual({ kind: "poweroff" });
}

it("edk2, GRUB from a PCI disk", { timeout: TIMEOUT }, async () => {
  const { image, release } = await disk("grub");
  const machine = await diskMachine("QEMU_EFI.fd", "pci", image);
  await machine.waitFor(/BdsDxe: starting Boot0001 "UEFI Misc Device" from PciRoot\(0x0\)\/Pci\(0x1,0x0\)/, { timeout: TIMEOUT });
  await linuxFromDisk(machine, image, release, /efi: EFI v2\.\d+ by Debian distribution of EDK II/);
});

it("edk2, the EFI stub from a virtio-mmio disk, on four PEs", { timeout: TIMEOUT }, async () => {
  const { image, release } = await disk("stub");
  const machine = await diskMachine("QEMU_EFI.fd", "mmio", image, { smp: 4 });
  await machine.waitFor(/Press .*ESC.* in 5 seconds to skip .*startup\.nsh/, { timeout: TIMEOUT });
  machine.console.send("\r");
  await linuxFromDisk(machine, image, release, /efi: EFI v2\.\d+ by Debian distribution of EDK II/);
});

it("U-Boot, GRUB from a virtio-mmio disk, on four PEs", { timeout: TIMEOUT }, async () => {
  const { image, release } = await disk("grub");
  const machine = await diskMachine("u-boot.bin", "mmio", image, { smp: 4 });
  await machine.waitFor(/Hit any key to stop autoboot/, { timeout: TIMEOUT });
  machine.console.send("\n");
  await machine.waitFor(/=> /, { timeout: TIMEOUT });
  machine.console.send("bootflow scan -b\n");
  await linuxFromDisk(machine, image, release, /efi: EFI v2\.\d+ by Das U-Boot/);
});
