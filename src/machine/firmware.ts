// Firmware and bare-metal payloads that are entered at EL3, in Root state (with FEAT_RME) or Secure state, with the MMU off.

import { isElf, readElf, type Segment } from "../loader/elf.ts";
import { type FdtTree, writeFdt } from "../loader/fdt.ts";
import { readInput } from "../loader/files.ts";
import { EmuError, hex } from "../util/errors.ts";

const MiB = 2 ** 20;
const MAX_FILE = 512 * MiB;
const DTB_ALIGN = 2 * MiB;

export interface FirmwareOptions {
  /** ELF file, placed by its program headers, or a raw image: path or contents. */
  file: string | Uint8Array;
  /** Where PEs start; a raw image is loaded there. Default for an ELF file: its entry point. */
  entry?: number | undefined;
  /** Memory that it may be loaded to; the first region is the main RAM. */
  ram: readonly { base: number; size: number }[];
  tree: FdtTree;
}

export interface FirmwareImage {
  entry: number;
  /** Address of the device tree: the start of the main RAM, or its end when the firmware is in the way. */
  dtbAddress: number;
  pieces: { address: number; data: Uint8Array }[];
}

/** Reads and places firmware and the device tree. Throws EmuError. */
export function loadFirmware(o: FirmwareOptions): FirmwareImage {
  const file = readInput("kernel", o.file, MAX_FILE);
  const { entry, segments } = isElf(file) ? readElf(file) : raw(file, o.entry);
  for (const s of segments) checkFits(s, o.ram);
  const main = o.ram[0] as { base: number; size: number };
  const dtb = writeFdt(o.tree);
  const free = (at: number): boolean => segments.every((s) => s.address + s.size <= at || s.address >= at + dtb.length);
  const last = Math.floor((main.base + main.size - dtb.length) / DTB_ALIGN) * DTB_ALIGN;
  const dtbAddress = [main.base, last].find(free);
  if (dtbAddress === undefined)
    throw new EmuError("boot-overlap", "the firmware leaves no room for the device tree at the start or the end of memory");
  return { entry: o.entry ?? entry, dtbAddress, pieces: [...segments, { address: dtbAddress, data: dtb }] };
}

function raw(data: Uint8Array, at: number | undefined): { entry: number; segments: Segment[] } {
  if (at === undefined) throw new EmuError("firmware-entry", "the firmware is not an ELF file: say at which address it starts", 2);
  return { entry: at, segments: [{ address: at, data, size: data.length }] };
}

function checkFits(s: Segment, ram: readonly { base: number; size: number }[]): void {
  if (ram.some((r) => s.address >= r.base && s.address + s.size <= r.base + r.size)) return;
  throw new EmuError(
    "kernel-too-large",
    `the firmware would occupy ${hex(s.address)} to ${hex(s.address + s.size)}, where the machine has no memory`,
  );
}
