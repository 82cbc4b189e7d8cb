// An RMM image that somebody brings: a flat binary that is entered at its first byte, or an ELF file. What it is instead, when it is
// none, is told by looking at it.

import { isElf, readElf } from "../loader/elf.ts";
import { EmuError, hex } from "../util/errors.ts";

/** Where TF-A's PLAT=qemu puts an RMM, which is where its qemu_virt platform is tried most: base, room for image, data and stacks. */
export const RMM_REGION = { base: 0x4010_0000, size: 0x180_0000 } as const;

/** Magic numbers of files that are easily mistaken for an RMM: offset, bytes, what to say. */
// biome-ignore format: table
const mistaken: readonly (readonly [offset: number, magic: readonly number[], what: string])[] = [
  [0,    [0x01, 0x00, 0x64, 0xaa],       "a firmware image package (FIP); take the RMM out of it, or start the whole flash image with --bios"],
  [56,   [0x41, 0x52, 0x4d, 0x64],       "an arm64 kernel Image; give it with --kernel"],
  [0,    [0xd0, 0x0d, 0xfe, 0xed],       "a device tree blob"],
  [0,    [0x4d, 0x5a],                   "an EFI or Windows program"],
  [0,    [0x1f, 0x8b],                   "compressed (gzip); unpack it first"],
  [0,    [0x28, 0xb5, 0x2f, 0xfd],       "compressed (zstd); unpack it first"],
  [0,    [0xfd, 0x37, 0x7a, 0x58, 0x5a], "compressed (xz); unpack it first"],
  [0,    [0x50, 0x4b, 0x03, 0x04],       "a zip archive"],
  [0,    [0x23, 0x21],                   "a script"],
];
/** Where PLAT=qemu has the FIP in its flash image, behind BL1. */
const FLASH_FIP = 0x4_0000;

const matches = (d: Uint8Array, offset: number, magic: readonly number[]): boolean => magic.every((b, i) => d[offset + i] === b);

/** Bits 28:25 of an A64 instruction: 0000 is reserved (but for SME), and 0001 and 0011 are unallocated. */
const isInstruction = (word: number): boolean => ![0, 1, 3].includes((word >>> 25) & 15);

/** A program has bytes that no text has. */
const isText = (d: Uint8Array): boolean => d.subarray(0, 256).every((b) => (b >= 0x20 && b < 0x7f) || (b >= 9 && b <= 13));

const wrong = (what: string): EmuError => new EmuError("rmm-image", `the RMM image is ${what}`);

/** Bytes as they stand in memory from the entry point on. Throws EmuError rmm-image. */
export function readRmmImage(file: Uint8Array): Uint8Array {
  if (file.length < 4) throw wrong(`empty or too short: ${file.length} bytes`);
  const image = isElf(file) ? flatten(file) : file;
  const found = mistaken.find(([offset, magic]) => matches(image, offset, magic));
  if (found) throw wrong(found[2]);
  if (matches(image, FLASH_FIP, [0x01, 0x00, 0x64, 0xaa])) throw wrong("a flash image with BL1 and a FIP; start it with --bios");
  if (isText(image)) throw wrong("a text file");
  const first = new DataView(image.buffer, image.byteOffset).getUint32(0, true);
  if (!isInstruction(first)) throw wrong(`no A64 program: it begins with ${hex(first)}, which is no instruction`);
  if (image.length > RMM_REGION.size)
    throw wrong(`too large: ${image.length} bytes, and an RMM has ${RMM_REGION.size} bytes for image, data and stacks`);
  return image;
}

/** readElf, whose messages are about kernels. */
function asElf(file: Uint8Array): ReturnType<typeof readElf> {
  try {
    return readElf(file);
  } catch (e) {
    if (e instanceof EmuError) throw new EmuError("rmm-image", e.message.replace(/^the kernel/, "the RMM image"), e.exitCode);
    throw e;
  }
}

/** An RMM is position independent: only the distances between its segments matter. */
function flatten(file: Uint8Array): Uint8Array {
  const { entry, segments } = asElf(file);
  const base = Math.min(...segments.map((s) => s.address));
  const size = Math.max(...segments.map((s) => s.address + s.size)) - base;
  if (entry !== base)
    throw wrong(`an ELF file that is entered at ${hex(entry)}, not at its start ${hex(base)}: an RMM is entered at its first byte`);
  if (size > RMM_REGION.size) throw wrong(`an ELF file of ${size} bytes in memory: an RMM has ${RMM_REGION.size}`);
  const flat = new Uint8Array(Math.max(...segments.map((s) => s.address + s.data.length)) - base);
  for (const s of segments) flat.set(s.data, s.address - base);
  return flat;
}
