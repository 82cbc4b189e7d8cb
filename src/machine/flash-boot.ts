// What lies in memory when a machine starts in flash: the device tree at the start of RAM, as QEMU puts it there, and loader devices.

import { isElf, readElf } from "../loader/elf.ts";
import { type FdtTree, writeFdt } from "../loader/fdt.ts";
import { patchChosen, patchGivenTree, type Range } from "../loader/fdt-patch.ts";
import { readFdt } from "../loader/fdt-reader.ts";
import { readInput } from "../loader/files.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { EmuError, hex } from "../util/errors.ts";

const MiB = 2 ** 20;
/** QEMU's trees are this large, mostly free space: firmware edits them in place. */
const TREE_SIZE = MiB;
const MAX_FILE = 2 ** 31;

/** QEMU's generic loader: a file in memory, or a number; and perhaps a PE that starts there. */
export interface Loader {
  file?: string | Uint8Array;
  /** Where a raw file or the number goes; ELF files have addresses of their own. */
  address?: number;
  /** Take an ELF file for a raw one. */
  raw?: boolean;
  data?: { value: bigint; bytes: 1 | 2 | 4 | 8 };
  /** PE that starts at the address, or at the ELF file's entry point. */
  pe?: number;
}

interface Piece {
  what: string;
  address: number;
  data: Uint8Array;
  size: number;
}

export interface FlashBootOptions {
  phys: PhysicalMemory;
  ram: Range;
  tree: FdtTree;
  dtb?: string | Uint8Array | undefined;
  append?: string | undefined;
  loaders?: readonly Loader[] | undefined;
}

/** Writes everything; answers where each PE that a loader names starts. Throws EmuError. */
export function loadFlashBoot(o: FlashBootOptions): Map<number, number> {
  const pieces: Piece[] = [deviceTree(o)];
  const starts = new Map<number, number>();
  for (const l of o.loaders ?? []) {
    const entry = addLoader(l, pieces);
    if (l.pe !== undefined) starts.set(l.pe, entry);
  }
  refuseOverlaps(pieces);
  for (const p of pieces) {
    if (!isMemory(o.phys, p))
      throw new EmuError(
        "loader-address",
        `the ${p.what} would occupy ${hex(p.address)} to ${hex(p.address + p.size)}, where no memory is`,
      );
    o.phys.writeBytes(p.address, p.data);
  }
  return starts;
}

function deviceTree(o: FlashBootOptions): Piece {
  const given = o.dtb === undefined ? undefined : readFdt(readInput("dtb", o.dtb, 2 * MiB));
  if (given) patchGivenTree(given, o.ram);
  const tree = given ?? o.tree;
  patchChosen(tree, o.ram, o.append ?? "", undefined);
  const data = writeFdt(tree, Math.max(0, TREE_SIZE - writeFdt(tree).length));
  return { what: "device tree", address: o.ram.base, data, size: data.length };
}

/** Adds what a loader puts in memory; answers where a PE would start. */
function addLoader(l: Loader, pieces: Piece[]): number {
  if (l.data !== undefined) {
    const { value, bytes } = l.data;
    const address = needAddress(l, "data");
    const data = Uint8Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
    pieces.push({ what: "data of the loader", address, data, size: bytes });
    return address;
  }
  if (l.file === undefined) return needAddress(l, "neither file nor data");
  const file = readInput("loader", l.file, MAX_FILE);
  const what = typeof l.file === "string" ? `file "${l.file}"` : "file of the loader";
  if (!l.raw && isElf(file)) {
    const { entry, segments } = readElf(file);
    pieces.push(...segments.map((s) => ({ what, ...s })));
    return l.address ?? entry;
  }
  const address = needAddress(l, "a raw file");
  pieces.push({ what, address, data: file, size: file.length });
  return address;
}

function needAddress(l: Loader, what: string): number {
  if (l.address !== undefined) return l.address;
  throw new EmuError("loader-address", `a loader with ${what} needs an address`, 2);
}

function refuseOverlaps(pieces: readonly Piece[]): void {
  const sorted = [...pieces].sort((a, b) => a.address - b.address);
  for (const [i, b] of sorted.entries()) {
    const a = sorted[i - 1];
    if (a && a.address + a.size > b.address) {
      throw new EmuError(
        "boot-overlap",
        `the ${a.what} (${hex(a.address)} to ${hex(a.address + a.size)}) and the ${b.what} (from ${hex(b.address)}) overlap in memory`,
      );
    }
  }
}

function isMemory(phys: PhysicalMemory, p: Piece): boolean {
  const last = p.address + p.size - 1;
  for (let at = p.address; at <= last; at += 4096) if (!phys.isMemory(at)) return false;
  return phys.isMemory(last);
}
