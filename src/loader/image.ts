// Recognises and unpacks kernels: the arm64 Linux Image (Documentation/arch/arm64/booting.rst), plain, gzip- or zstd-compressed,
// or as EFI zboot file (vmlinuz.efi); ELF64 for bare-metal payloads. Says precisely what is wrong with anything else.

import { EmuError, hex } from "../util/errors.ts";
import { compressionOf, decompress } from "./decompress.ts";
import { type ElfImage, isElf, readElf } from "./elf.ts";
import { PE_AARCH64, peMachines, readPe } from "./pe-file.ts";

/** A decoded arm64 Image. `Data`: where its bytes are. */
export interface LinuxImage<Data = Uint8Array> {
  kind: "image";
  data: Data;
  /** Offset in bytes from a 2 MiB aligned base at which the image wants to lie. */
  textOffset: number;
  /** Memory the image occupies from its start, in bytes, at least data.length (it includes BSS). */
  size: number;
  /** Kernel page size in KiB, or undefined when the header does not say. */
  pageKiB: 4 | 16 | 64 | undefined;
}

export type Kernel = LinuxImage | ({ kind: "elf" } & ElfImage);

const HEADER_SIZE = 64;
/** As much of a file as is looked at to know a plain Image: the header and that of EFI. */
export const IMAGE_HEAD = 0x1_0000;
const IMAGE_MAGIC = 0x644d_5241; // "ARM\x64" at offset 56
const ZBOOT_MAGIC = 0x676d_697a; // "zimg" at offset 4
/** text_offset that kernels before 3.17 have when image_size is 0. */
const OLD_TEXT_OFFSET = 0x8_0000;

const u32 = (d: Uint8Array, at: number): number => (at + 4 <= d.length ? new DataView(d.buffer, d.byteOffset).getUint32(at, true) : -1);
const u64 = (d: Uint8Array, at: number): bigint => new DataView(d.buffer, d.byteOffset).getBigUint64(at, true);

/**
 * Decodes a kernel file. `limit`: the most bytes that it may unpack to.
 * Throws EmuError: kernel-format, kernel-truncated, kernel-wrong-machine, kernel-big-endian, kernel-compression, kernel-corrupt,
 * kernel-too-large, kernel-header, kernel-elf.
 */
export function readKernel(file: Uint8Array, limit: number): Kernel {
  if (u32(file, 4) === ZBOOT_MAGIC && (u32(file, 0) & 0xffff) === 0x5a4d) return readPlain(unpackZboot(file, limit));
  const method = u32(file, 56) === IMAGE_MAGIC ? undefined : compressionOf(file);
  return readPlain(method === undefined ? file : decompress(method, file, limit));
}

function readPlain(data: Uint8Array): Kernel {
  if (isElf(data)) return { kind: "elf", ...readElf(data) };
  if (u32(data, 56) === IMAGE_MAGIC) return readImage(data, data);
  throw foreign(data);
}

/** An Image that is not packed, by its first IMAGE_HEAD bytes; undefined: readKernel has to see all of it. Throws EmuError as that does. */
export function readPlainImage<Data extends { readonly length: number }>(head: Uint8Array, data: Data): LinuxImage<Data> | undefined {
  const packed = u32(head, 4) === ZBOOT_MAGIC || isElf(head);
  return packed || u32(head, 56) !== IMAGE_MAGIC ? undefined : readImage(head, data);
}

function readImage<Data extends { readonly length: number }>(head: Uint8Array, data: Data): LinuxImage<Data> {
  if (data.length < HEADER_SIZE) throw truncated(HEADER_SIZE, data.length);
  const pe = readPe(head);
  if (pe && pe.length > data.length) throw truncated(pe.length, data.length);
  const [textOffset, imageSize, flags] = [u64(head, 8), u64(head, 16), u64(head, 24)];
  if (imageSize === 0n) return { kind: "image", data, textOffset: OLD_TEXT_OFFSET, size: data.length, pageKiB: undefined };
  if (flags & 1n) throw new EmuError("kernel-big-endian", "the kernel is a big-endian one; this machine boots little-endian ones");
  if (textOffset > 2n ** 40n || imageSize > 2n ** 40n) {
    throw new EmuError("kernel-header", `the kernel header is nonsense: text_offset ${hex(textOffset)}, image_size ${hex(imageSize)}`);
  }
  const pageKiB = ([undefined, 4, 16, 64] as const)[Number((flags >> 1n) & 3n)];
  return { kind: "image", data, textOffset: Number(textOffset), size: Math.max(Number(imageSize), data.length), pageKiB };
}

/**
 * EFI zboot file: "MZ", "zimg" at 4, payload offset at 8, payload size at 12, name of the compression method at 24.
 * The PE header says for which machine it is; the payload is an ordinary Image.
 */
function unpackZboot(file: Uint8Array, limit: number): Uint8Array {
  if (file.length < HEADER_SIZE) throw truncated(HEADER_SIZE, file.length);
  const pe = readPe(file);
  if (pe && pe.machine !== PE_AARCH64) throw wrongMachine(`an EFI kernel for ${peMachines[pe.machine] ?? `machine ${hex(pe.machine)}`}`);
  const [offset, size] = [u32(file, 8), u32(file, 12)];
  if (offset + size > file.length) throw truncated(offset + size, file.length);
  const name = new TextDecoder("latin1").decode(file.subarray(24, 56));
  return decompress(name.split("\0", 1)[0] as string, file.subarray(offset, offset + size), limit);
}

const truncated = (needed: number, have: number): EmuError =>
  new EmuError("kernel-truncated", `the kernel is cut short: it has ${have} bytes and needs at least ${needed}`);
const wrongMachine = (what: string): EmuError => new EmuError("kernel-wrong-machine", `the kernel is ${what}, not for AArch64`);
const notKernel = (what: string): EmuError => new EmuError("kernel-format", `this is ${what}, not a kernel`);

/** Kernels of other machines and files given by mistake: offset, 32-bit little-endian value found there, the error. */
// biome-ignore format: table
const foreigners: readonly (readonly [number, number, () => EmuError])[] = [
  [0x202, 0x5372_6448, () => wrongMachine("an x86 bzImage")],                       // "HdrS"
  [0x38,  0x0543_5352, () => wrongMachine("a RISC-V Image")],                       // "RSC\x05"
  [0x24,  0x016f_2818, () => wrongMachine("a 32-bit Arm zImage")],
  [0x0,   0x5619_0527, () => new EmuError("kernel-format", "the kernel is a U-Boot uImage; take the Image out of it first")],
  [0x0,   0xedfe_0dd0, () => notKernel("a device tree or a U-Boot FIT image")],     // magic number 0xd00dfeed, big-endian
  [0x0,   0x3037_3037, () => notKernel("a cpio archive (an initramfs?)")],           // "0707"
  [0x101, 0x6174_7375, () => notKernel("a tar archive")],                           // "usta"
];

/** The error for data that is no arm64 kernel, as precise as its first bytes allow. */
function foreign(data: Uint8Array): EmuError {
  for (const [at, value, error] of foreigners) if (u32(data, at) === value) return error();
  const pe = readPe(data);
  if (pe && pe.machine !== PE_AARCH64) return wrongMachine(`a PE file for ${peMachines[pe.machine] ?? `machine ${hex(pe.machine)}`}`);
  if (pe) return new EmuError("kernel-format", "the kernel is an EFI program without an arm64 Image header");
  if (data.length < HEADER_SIZE) return truncated(HEADER_SIZE, data.length);
  return new EmuError("kernel-format", "the kernel is neither an arm64 Image (plain, gzip, zstd or EFI zboot) nor an ELF file");
}
