// `rme-emu fetch`: gets a Debian kernel or boot firmware and says how to boot it.

import { readFileSync, statSync } from "node:fs";
import { EmuError, usageError } from "../util/errors.ts";
import { allowKeys, parseKeyValues } from "./args/keyval.ts";
import type { FetchCommand } from "./args/options.ts";
import { type EfiLoader, efiLoaders, fetchEfiDisk } from "./debian/efi-disk.ts";
import { FIRMWARE, type FirmwareOptions, fetchFirmware } from "./debian/firmware.ts";
import { stackFlash, stackNames } from "./debian/flash.ts";
import { DEFAULT_KERNEL, type DebianKernel, fetchKernel } from "./debian/kernel.ts";
import { createProgress } from "./debian/progress.ts";

/** Runs the command; returns the exit code. */
export async function runFetch(command: FetchCommand): Promise<number> {
  const match = /^(debian-kernel|debian|firmware|efi-disk)(?:=(.*))?$/.exec(command.item);
  if (!match) {
    const known = "debian-kernel[=VERSION], firmware[=NAME], efi-disk[=VERSION]";
    throw usageError("unknown-item", `fetch: unknown item "${command.item}" (known: ${known})`);
  }
  if (match[1] === "efi-disk") return runEfiDisk(match[2] ?? DEFAULT_KERNEL, command.refresh);
  if (match[1] === "firmware") return match[2] === undefined ? listFirmware() : runFirmware(match[2], command.refresh);
  const version = match[2] ?? DEFAULT_KERNEL;
  const kernel = await fetchWithProgress(version, command.refresh);
  process.stdout.write(`kernel=${kernel.vmlinuz}\ninitrd=${kernel.initrd}\n`);
  process.stderr.write(`Boot it with: rme-emu --kernel debian${match[2] ? `=${version}` : ""}\n`);
  return 0;
}

function listFirmware(): number {
  for (const [name, { about, package: from }] of Object.entries(FIRMWARE)) process.stdout.write(`${name.padEnd(12)}${about} (${from})\n`);
  process.stdout.write(`${stackNames.join(" and ")} take ,bl33=FILE or ,bl33=debian[=VERSION] (the default): what they start.\n`);
  return 0;
}

/** `firmware=NAME[,bl33=WHAT]`: fetches or builds it; firmware that starts another program becomes a flash image with that in it. */
async function runFirmware(text: string, refresh: boolean): Promise<number> {
  const { head = "", values } = parseKeyValues(text, "fetch firmware");
  allowKeys(values, ["bl33"], "fetch firmware");
  const options = { refresh, progress: createProgress() };
  try {
    const firmware = await fetchFirmware(head, options);
    for (const [name, path] of Object.entries(firmware.files)) process.stdout.write(`${name}=${path}\n`);
    if (stackNames.includes(head)) await printFlash(head, values.get("bl33") ?? "debian", options);
    else if (DIRECT[head] !== undefined) hint(["--bios", firmware.files[DIRECT[head]] ?? ""]);
    else if (values.has("bl33")) throw usageError("bl33", `fetch firmware: ${head} starts no BL33 (${stackNames.join(" and ")} do)`);
  } catch (error) {
    options.progress.fail();
    throw error;
  }
  return 0;
}

async function printFlash(stack: string, bl33: string, o: FirmwareOptions & { refresh: boolean }): Promise<void> {
  const version = /^debian(?:=(.*))?$/.exec(bl33);
  const kernel = version ? await fetchKernel(version[1] ?? DEFAULT_KERNEL, { progress: o.progress }) : undefined;
  const flash = await stackFlash(stack, readBl33(kernel?.vmlinuz ?? bl33), { progress: o.progress });
  process.stdout.write(`bios=${flash}\n`);
  if (kernel) process.stdout.write(`kernel=${kernel.vmlinuz}\ninitrd=${kernel.initrd}\n`);
  hint(stackCommand(stack, flash, kernel));
}

/** Firmware that a machine starts with by itself: the file that does. */
const DIRECT: Readonly<Record<string, string>> = { edk2: "QEMU_EFI.fd", "u-boot": "u-boot.bin" };
/** Where the initial file system is put: behind BL33, which TF-A has at 0x60000000. */
const INITRD_AT = "0x70000000";

/** The words behind `rme-emu` that start a flash image with TF-A; a kernel as BL33 gets its command line and initial file system. */
export function stackCommand(stack: string, flash: string, kernel?: Pick<DebianKernel, "vmlinuz" | "initrd">): string[] {
  const machine = ["-M", "virt,secure=on", "-cpu", stack.endsWith("-rme") ? "max,rme=on" : "max", "-bios", flash];
  if (!kernel) return machine;
  // TF-A hands on the command line, and takes no initial file system from the machine.
  const append = `console=ttyAMA0 initrd=${INITRD_AT},${statSync(kernel.initrd).size}`;
  const initrd = `loader,file=${kernel.initrd.replaceAll(",", ",,")},addr=${INITRD_AT}`;
  return [...machine, "-kernel", kernel.vmlinuz, "-append", append, "-device", initrd];
}

/** Says how to go on, as it can be pasted into a shell. */
function hint(words: readonly string[]): void {
  const quoted = words.map((word) => (/^[-\w./=,:+]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`));
  process.stderr.write(`Boot it with: rme-emu ${quoted.join(" ")}\n`);
}

/** `efi-disk=VERSION[,loader=grub|stub]`: a disk from which UEFI firmware starts a Debian kernel. */
async function runEfiDisk(text: string, refresh: boolean): Promise<number> {
  const { head = DEFAULT_KERNEL, values } = parseKeyValues(text, "fetch efi-disk");
  allowKeys(values, ["loader"], "fetch efi-disk");
  const loader = values.get("loader") ?? "grub";
  if (!isLoader(loader)) throw usageError("loader", `fetch efi-disk: loader=${loader}: there are ${efiLoaders.join(" and ")}`);
  const progress = createProgress();
  try {
    const disk = await fetchEfiDisk(head, loader, { refresh, progress });
    process.stdout.write(`drive=${disk}\n`);
    process.stderr.write(
      `Boot it with: rme-emu --bios FIRMWARE --drive file=${disk},format=raw,readonly=on (fetch firmware=edk2 gives one)\n`,
    );
  } catch (error) {
    progress.fail();
    throw error;
  }
  return 0;
}

const isLoader = (text: string): text is EfiLoader => (efiLoaders as readonly string[]).includes(text);

function readBl33(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new EmuError("file-unreadable", `cannot read "${path}": ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}

/** `--kernel debian[=VERSION]`: the cached kernel, fetched first when it is not there. Undefined for a file name. */
export async function debianKernel(kernel: string): Promise<DebianKernel | undefined> {
  const match = /^debian(?:=(.*))?$/.exec(kernel);
  return match ? fetchWithProgress(match[1] ?? DEFAULT_KERNEL, false) : undefined;
}

async function fetchWithProgress(version: string, refresh: boolean): Promise<DebianKernel> {
  const progress = createProgress();
  try {
    return await fetchKernel(version, { refresh, progress });
  } catch (error) {
    progress.fail();
    throw error;
  }
}
