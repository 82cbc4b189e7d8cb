// The flash banks of `virt` and what is in them at power-on; and what firmware is handed by fw_cfg.

import { CfiFlash } from "../devices/cfi-flash.ts";
import type { Dma } from "../devices/device.ts";
import { FwCfg, type FwCfgFile, type FwCfgItem, FwCfgKey, le32 } from "../devices/fw-cfg.ts";
import { type BlockBackend, SECTOR } from "../devices/virtio/index.ts";
import { compressionOf, decompress } from "../loader/decompress.ts";
import { inputHead, readInput } from "../loader/files.ts";
import { type PhysicalMemory, RAM_CHUNK } from "../mem/physical.ts";
import { EmuError } from "../util/errors.ts";
import type { Window } from "./virt-map.ts";

const MiB = 2 ** 20;
/** Largest kernel or initrd that is handed on. */
const MAX_ITEM = 2 ** 31;
/** Bytes that tell how a kernel is compressed. */
const HEAD = 16;

/** What a bank holds at power-on: an image from the start of the bank on; or a drive of just the bank's size, which keeps changes. */
export type FlashContents = { image: string | Uint8Array } | { drive: BlockBackend };

export interface BankOptions {
  phys: PhysicalMemory;
  window: Window;
  /** Not there for Non-secure and Realm accesses. */
  secure: boolean;
  contents: FlashContents | undefined;
  name: string;
}

/** Makes a bank and fills it. The caller maps the device's window. */
export function makeBank(o: BankOptions): CfiFlash {
  const { base, size } = o.window;
  const array = o.phys.addRom(base, size, o.secure);
  const { contents } = o;
  const drive = contents && "drive" in contents ? contents.drive : undefined;
  if (drive) loadDrive(drive, o);
  else if (contents !== undefined) load(o, 0, readInput("bios", (contents as { image: string }).image, size));
  return new CfiFlash({
    size,
    array,
    name: o.name,
    ...(drive ? { readOnly: drive.readOnly, persist: (at, data) => writeDrive(drive, array, at, data) } : {}),
  });
}

function loadDrive(drive: BlockBackend, o: BankOptions): void {
  const { size } = o.window;
  if (drive.sectors * SECTOR !== size)
    throw new EmuError(
      "pflash-size",
      `the drive for ${o.name} has ${drive.sectors * SECTOR} bytes; a bank of flash has ${size} (truncate -s ${size / MiB}M FILE makes it so)`,
    );
  const count = RAM_CHUNK / SECTOR;
  for (let sector = 0; sector < drive.sectors; sector += count) {
    if (drive.isBlank?.(sector, count)) continue;
    const data = drive.read(sector, count);
    if (data === undefined) throw new EmuError("drive-unreadable", `the drive for ${o.name} cannot be read`);
    load(o, sector * SECTOR, data);
  }
}

/** Whole sectors around the change. */
function writeDrive(drive: BlockBackend, array: { read(at: number, n: number): Uint8Array }, at: number, data: Uint8Array): boolean {
  const first = Math.floor(at / SECTOR);
  const end = Math.ceil((at + data.length) / SECTOR);
  const sectors = array.read(first * SECTOR, (end - first) * SECTOR);
  sectors.set(data, at - first * SECTOR);
  return drive.write(first, sectors);
}

/** Puts `data` at `offset`, a multiple of a chunk. Only what is not zero takes memory. */
function load(o: BankOptions, offset: number, data: Uint8Array): void {
  for (let at = 0; at < data.length; at += RAM_CHUNK) {
    const piece = data.subarray(at, at + RAM_CHUNK);
    if (!isZero(piece)) o.phys.writeBytes(o.window.base + offset + at, piece);
  }
}
/** `piece` has whole words, except the last one of an image. */
function isZero(piece: Uint8Array): boolean {
  const words = piece.byteOffset % 4 === 0 ? new Uint32Array(piece.buffer, piece.byteOffset, piece.length >>> 2) : undefined;
  if (words?.some((w) => w !== 0)) return false;
  for (let i = words === undefined ? 0 : 4 * words.length; i < piece.length; i++) if (piece[i] !== 0) return false;
  return true;
}

export interface FwCfgContents {
  pes: number;
  dma: Dma;
  /** What firmware is to start: nothing unless the machine starts in flash. */
  kernel?: string | Uint8Array | undefined;
  initrd?: string | Uint8Array | undefined;
  append?: string | undefined;
  files?: readonly FwCfgFile[] | undefined;
}

/** The device with QEMU's items for this machine. */
export function makeFwCfg(o: FwCfgContents): FwCfg {
  const { NB_CPUS, KERNEL_SIZE, KERNEL_DATA, INITRD_SIZE, INITRD_DATA, CMDLINE_SIZE, CMDLINE_DATA } = FwCfgKey;
  const items = new Map<number, FwCfgItem>([
    [NB_CPUS, le32(o.pes).subarray(0, 2)],
    [FwCfgKey.MAX_CPUS, le32(o.pes).subarray(0, 2)],
  ]);
  const add = (size: number, key: number, data: Uint8Array): void => {
    items.set(size, le32(data.length));
    items.set(key, data);
  };
  const addFile = (role: "kernel" | "initrd", source: string | Uint8Array, sizeKey: number, key: number): void => {
    const { size, head } = inputHead(role, source, MAX_ITEM, HEAD);
    const read = (): Uint8Array => readInput(role, source, MAX_ITEM);
    // QEMU unpacks a kernel in gzip here, and leaves everything else to the firmware.
    if (role === "kernel" && compressionOf(head) === "gzip") add(sizeKey, key, decompress("gzip", read(), MAX_ITEM));
    else items.set(sizeKey, le32(size)).set(key, { length: size, read });
  };
  if (o.kernel !== undefined) addFile("kernel", o.kernel, KERNEL_SIZE, KERNEL_DATA);
  if (o.initrd !== undefined) addFile("initrd", o.initrd, INITRD_SIZE, INITRD_DATA);
  if (o.append !== undefined) add(CMDLINE_SIZE, CMDLINE_DATA, new TextEncoder().encode(`${o.append}\0`));
  return new FwCfg({ dma: o.dma, items, files: o.files ?? [] });
}
