// Puts a kernel, an initrd and a device tree into RAM where QEMU's virt machine puts them:
//
//   RAM base + 2 MiB + text_offset    kernel (2 MiB less when text_offset is 4 KiB or more: below it QEMU keeps a small boot loader)
//   RAM base + min(RAM/2, 128 MiB)    initrd, page aligned; after the kernel if that reaches further
//   next 2 MiB boundary               device tree (arm64 kernels map 2 MiB for it)
//
// ELF payloads lie at the physical addresses they ask for; unlike on QEMU, their x0 holds the address of the device tree as well.

import { EmuError, hex } from "../util/errors.ts";
import { type FdtTree, writeFdt } from "./fdt.ts";
import { patchChosen, patchGivenTree, type Range } from "./fdt-patch.ts";
import { readFdt } from "./fdt-reader.ts";
import { FileContents, inputHead, readInput } from "./files.ts";
import { IMAGE_HEAD, type Kernel, type LinuxImage, readKernel, readPlainImage } from "./image.ts";

const KiB = 2 ** 10;
const MiB = 2 ** 20;
/** arm64 kernels refuse larger trees. */
const MAX_DTB = 2 * MiB;
/** Kernels larger than this, unpacked, do not exist: protects the host from files made to explode. */
const MAX_KERNEL = 512 * MiB;
/** Node's limit for one buffer. */
const MAX_FILE = 2 ** 31;

export interface BootOptions {
  /** Path or contents. */
  kernel: string | Uint8Array;
  initrd?: string | Uint8Array | undefined;
  /** A compiled device tree to use instead of the machine's own: path or contents. */
  dtb?: string | Uint8Array | undefined;
  /** The machine's own device tree (`virtTree`). Not changed. */
  tree: FdtTree;
  /** Kernel command line. */
  bootargs?: string | undefined;
  /** The machine's RAM. */
  ram: Range;
}

/** Bytes to be written to RAM before the first instruction. */
export interface Piece<Data = Uint8Array | FileContents> {
  name: string;
  address: number;
  data: Data;
  /** Bytes of memory it occupies from `address`, at least data.length; the rest stays zero. */
  size: number;
}

export interface Boot {
  /** Physical address at which PE 0 starts, at the highest non-secure Exception level. */
  entry: number;
  pieces: Piece[];
  /** Value of x0 at entry. */
  dtbAddress: number;
  /** "image" or "elf". */
  kind: Kernel["kind"];
}

/** Reads, checks and places everything. Throws EmuError for each kind of bad input (see files.ts, image.ts, elf.ts, fdt-reader.ts). */
export function loadBoot(o: BootOptions): Boot {
  const kernel = plainImage(o.kernel) ?? readKernel(readInput("kernel", o.kernel, MAX_FILE), Math.min(MAX_KERNEL, o.ram.size));
  const { entry, pieces } = placeKernel(kernel, o.ram);
  for (const p of pieces) checkFits("kernel", p, o.ram);
  const kernelEnd = Math.max(...pieces.map((p) => p.address + p.size));

  const initrdAt = alignUp(Math.max(o.ram.base + Math.min(o.ram.size / 2, 128 * MiB), kernel.kind === "image" ? kernelEnd : 0), 4 * KiB);
  const initrd = o.initrd === undefined ? undefined : loadInitrd(o.initrd, initrdAt, o.ram);
  if (initrd) pieces.push(initrd);

  const dtbAddress = alignUp(initrdAt + (initrd?.size ?? 0), 2 * MiB);
  const dtb = makeDtb(o, initrd && { base: initrd.address, size: initrd.size });
  pieces.push({ name: "dtb", address: dtbAddress, data: dtb, size: dtb.length });
  checkFits("dtb", pieces.at(-1) as Piece, o.ram);
  checkOverlaps(pieces);
  return { entry, pieces, dtbAddress, kind: kernel.kind };
}

/** An Image that can go from its file into memory as it is. */
function plainImage(source: string | Uint8Array): LinuxImage<FileContents> | undefined {
  if (typeof source !== "string") return undefined;
  const { size, head } = inputHead("kernel", source, MAX_FILE, IMAGE_HEAD);
  return readPlainImage(head, new FileContents("kernel", source, size));
}

const alignUp = (v: number, to: number): number => Math.ceil(v / to) * to;

function placeKernel(kernel: Kernel | LinuxImage<FileContents>, ram: Range): { entry: number; pieces: Piece[] } {
  if (kernel.kind === "image") {
    const address = ram.base + imageOffset(kernel);
    return { entry: address, pieces: [{ name: "kernel", address, data: kernel.data, size: kernel.size }] };
  }
  const pieces = kernel.segments.map((s, i) => ({ name: `kernel segment ${i}`, address: s.address, data: s.data, size: s.size }));
  return { entry: kernel.entry, pieces };
}

/** QEMU keeps its own boot loader in the first 4 KiB and moves an image that would touch it up by 2 MiB. */
const imageOffset = (image: Pick<LinuxImage, "textOffset">): number => image.textOffset + (image.textOffset < 4 * KiB ? 2 * MiB : 0);

function loadInitrd(source: string | Uint8Array, address: number, ram: Range): Piece {
  const data = readInput("initrd", source, Math.min(MAX_FILE, Math.max(0, ram.base + ram.size - address)));
  return { name: "initrd", address, data, size: data.length };
}

function makeDtb(o: BootOptions, initrd: Range | undefined): Uint8Array {
  const tree = o.dtb === undefined ? copyTree(o.tree) : readFdt(readInput("dtb", o.dtb, MAX_DTB));
  if (o.dtb !== undefined) patchGivenTree(tree, o.ram);
  patchChosen(tree, o.ram, o.bootargs ?? "", initrd);
  const blob = writeFdt(tree);
  if (blob.length > MAX_DTB)
    throw new EmuError("dtb-too-large", `the device tree has ${blob.length} bytes; kernels take at most ${MAX_DTB}`);
  return blob;
}

/** structuredClone keeps Maps and typed arrays. */
const copyTree = (tree: FdtTree): FdtTree => structuredClone(tree);

function checkFits(role: "kernel" | "dtb", piece: Piece, ram: Range): void {
  const end = piece.address + piece.size;
  if (piece.address >= ram.base && end <= ram.base + ram.size) return;
  throw new EmuError(
    `${role}-too-large`,
    `the ${piece.name} would occupy ${hex(piece.address)} to ${hex(end)}, but memory is ${hex(ram.base)} to ${hex(ram.base + ram.size)}; give the machine more with --memory`,
  );
}

function checkOverlaps(pieces: readonly Piece[]): void {
  const sorted = [...pieces].sort((a, b) => a.address - b.address);
  for (let i = 1; i < sorted.length; i++) {
    const [a, b] = [sorted[i - 1] as Piece, sorted[i] as Piece];
    if (a.address + a.size <= b.address) continue;
    throw new EmuError(
      "boot-overlap",
      `the ${a.name} (${hex(a.address)} to ${hex(a.address + a.size)}) and the ${b.name} (from ${hex(b.address)}) overlap in memory`,
    );
  }
}
