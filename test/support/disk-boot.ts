// Debian from a disk by way of its boot firmware, on our machine and on QEMU: what both are made of, and what is typed on the way.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedEfiDisk, type EfiLoader } from "../../src/cli/debian/efi-disk.ts";
import { packFlash } from "../../src/cli/debian/flash.ts";
import { Machine, type MachineOptions, MemoryBlockBackend } from "../../src/harness/index.ts";
import { debianKernel, TEST_DISKS } from "./debian.ts";
import { type Consoles, debianFirmware, firmwareParts, runQemu } from "./firmware.ts";
import { shell, toPrompt } from "./linux.ts";

const TIMEOUT = 300_000;
const SECTOR = 512;
const POWER_OFF = "poweroff -f\n";

/** What is typed when the console has printed something. */
export type Typed = readonly [after: RegExp, text: string];

/** A way from reset to Linux on the disk. */
export interface DiskBoot {
  /** edk2 or U-Boot in flash, or U-Boot as BL33 of TF-A with OP-TEE. */
  readonly firmware: "edk2" | "u-boot" | "tf-a-optee";
  readonly loader: EfiLoader;
  readonly bus: "pci" | "mmio";
  readonly typed: readonly Typed[];
  readonly time?: "wall";
}

export const U_BOOT: readonly Typed[] = [
  [/Hit any key to stop autoboot/, "\n"],
  [/^=> $/m, "bootflow scan -b\n"],
];
/** The shell's script begins when a key is pressed, but it looks for keys once a second only, counting time until then. */
export const SHELL_SCRIPT: readonly Typed[] = [[/Press .*ESC.* in 5 seconds to skip .*startup\.nsh/, "\r"]];

interface Files {
  readonly bios: Uint8Array;
  readonly disk: string;
  readonly release: string;
}

async function filesOf({ firmware, loader }: DiskBoot): Promise<Files> {
  const version = TEST_DISKS.find(([l]) => l === loader)?.[1] ?? "";
  const disk = await cachedEfiDisk(version, loader);
  if (disk === undefined) throw new Error(`the disk with ${loader} and ${version} is not in the cache: run "npm test"`);
  const file = async (name: string, part: string) => readFileSync((await debianFirmware(name)).files[part] ?? "");
  const bios = firmware === "edk2" ? await file("edk2", "QEMU_EFI.fd") : await file("u-boot", "u-boot.bin");
  const { release } = await debianKernel(version);
  return { bios: firmware === "tf-a-optee" ? packFlash(await firmwareParts(firmware, bios)) : bios, disk, release };
}

/** Boots to the shell of Linux, sees that it has the PEs and the disk that it came from, and powers off. */
export async function bootFromDisk(boot: DiskBoot, options: Partial<MachineOptions> = {}): Promise<Machine> {
  const { bios, disk, release } = await filesOf(boot);
  const image = readFileSync(disk);
  const backend = MemoryBlockBackend.from(image);
  const machine = await Machine.create({
    machine: boot.firmware === "tf-a-optee" ? "virt,secure=on" : "virt",
    memory: 2 ** 30,
    bios,
    ...(boot.bus === "pci" ? { pci: [{ kind: "block", backend }] } : { drives: [{ backend }] }),
    ...(boot.time && { time: boot.time }),
    ...options,
  });
  for (const [after, text] of boot.typed) {
    await machine.waitFor(after, { timeout: TIMEOUT });
    machine.console.send(text);
  }
  await toPrompt(machine);
  // Behind what is compared with QEMU.
  linuxText.set(machine, machine.console.text);
  machine.console.send("stty columns 1000\n");
  await toPrompt(machine);
  const told = await shell(machine, "uname -r; nproc; cat /sys/class/block/vda/size /sys/class/block/vda1/start");
  const expected = [release, machine.board.pes.length, image.length / SECTOR, 2048].map((value) => `${value}\n`).join("");
  if (told !== expected) throw new Error(`Linux tells\n${told}instead of\n${expected}`);
  machine.console.send(POWER_OFF);
  const end = await machine.run();
  if (end.kind !== "poweroff") throw new Error(`the machine ended with ${end.kind}`);
  return machine;
}

const linuxText = new WeakMap<Machine, string>();
/** The console of a machine from bootFromDisk up to the first prompt of the shell. */
export const toFirstPrompt = (machine: Machine): string => linuxText.get(machine) ?? "";

/** The same on QEMU with one PE, up to the first prompt of the shell. Without what our machine has not: ACPI tables, ITS, legacy virtio. */
export async function diskBootOnQemu(boot: DiskBoot, cpu: string): Promise<Consoles> {
  const { bios, disk } = await filesOf(boot);
  const dir = mkdtempSync(join(tmpdir(), "rme-emu-disk-"));
  try {
    const flash = join(dir, "flash.bin");
    const secure = join(dir, "secure.log");
    writeFileSync(flash, bios);
    const ofSecure = boot.firmware === "tf-a-optee" ? ",secure=on" : "";
    // biome-ignore format: pairs
    const args = ["-M", `virt${ofSecure},virtualization=on,gic-version=3,its=off,acpi=off`, "-cpu", cpu, "-m", "1024M", "-bios", flash,
      "-display", "none", "-nic", "none", "-monitor", "none", "-serial", "stdio", ...(ofSecure === "" ? [] : ["-serial", `file:${secure}`]),
      "-drive", `if=none,id=d,file=${disk},format=raw,snapshot=on`,
      "-device", boot.bus === "pci" ? "virtio-blk-pci,drive=d,addr=1,disable-legacy=on" : "virtio-blk-device,drive=d",
      "-device", "virtio-serial-device", "-device", "virtconsole,chardev=none", "-chardev", "null,id=none", "-device", "virtio-rng-device"];
    const normal = await runQemu(args, /^~ # \x1b\[6n$/m, { typed: boot.typed });
    return { normal, secure: ofSecure === "" ? "" : readFileSync(secure, "utf8") };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
