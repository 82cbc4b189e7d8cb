// ELF64 executables: bare-metal payloads that are loaded at the physical addresses of their program headers.

import { EmuError, hex } from "../util/errors.ts";

/** A loadable segment: `data` goes to physical address `address`; `size` (bytes, at least data.length) includes the zero-filled tail. */
export interface Segment {
  address: number;
  data: Uint8Array;
  size: number;
}

export interface ElfImage {
  /** Physical address of the entry point. */
  entry: number;
  segments: Segment[];
}

const ELF_HEADER = 64;
const PROGRAM_HEADER = 56;
const PT_LOAD = 1;
const ET_EXEC = 2;
const ET_DYN = 3;
const EM_AARCH64 = 183;
const machines: Record<number, string> = {
  3: "32-bit x86",
  8: "MIPS",
  21: "64-bit Power",
  22: "s390",
  40: "32-bit Arm",
  62: "64-bit x86",
  243: "RISC-V",
  258: "LoongArch",
};

/** Physical addresses above this cannot exist (52 bits). */
const PA_LIMIT = 2n ** 52n;

export const isElf = (d: Uint8Array): boolean => d[0] === 0x7f && d[1] === 0x45 && d[2] === 0x4c && d[3] === 0x46;

/** Throws EmuError: kernel-truncated, kernel-wrong-machine, kernel-big-endian, kernel-elf. */
export function readElf(data: Uint8Array): ElfImage {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (data.length < 20) throw truncated(20, data.length);
  checkIdentity(data, view);
  if (data.length < ELF_HEADER) throw truncated(ELF_HEADER, data.length);
  const type = view.getUint16(16, true);
  if (type !== ET_EXEC && type !== ET_DYN) throw new EmuError("kernel-elf", `the ELF file is of type ${type}, not an executable`);
  const [at, entrySize, count] = [view.getBigUint64(32, true), view.getUint16(54, true), view.getUint16(56, true)];
  if (count > 0 && entrySize !== PROGRAM_HEADER)
    throw new EmuError("kernel-elf", `the ELF program headers have ${entrySize} bytes instead of ${PROGRAM_HEADER}`);
  const tableEnd = at + BigInt(count * PROGRAM_HEADER);
  if (tableEnd > BigInt(data.length)) throw truncated(tableEnd, data.length);
  const loads: LoadHeader[] = [];
  for (let i = 0; i < count; i++) {
    const header = readLoadHeader(data, view, Number(at) + i * PROGRAM_HEADER);
    if (header) loads.push(header);
  }
  if (loads.length === 0) throw new EmuError("kernel-elf", "the ELF file has nothing to load");
  return { entry: physicalEntry(view.getBigUint64(24, true), loads), segments: loads };
}

function checkIdentity(data: Uint8Array, view: DataView): void {
  const little = data[5] === 1;
  const machine = view.getUint16(18, little);
  if (machine !== EM_AARCH64)
    throw new EmuError(
      "kernel-wrong-machine",
      `the kernel is an ELF file for ${machines[machine] ?? `machine ${machine}`}, not for AArch64`,
    );
  if (data[4] !== 2) throw new EmuError("kernel-wrong-machine", "the kernel is a 32-bit ELF file, not an AArch64 one");
  if (!little) throw new EmuError("kernel-big-endian", "the kernel is a big-endian ELF file; this machine boots little-endian ones");
}

interface LoadHeader extends Segment {
  virtual: bigint;
}

function readLoadHeader(data: Uint8Array, view: DataView, at: number): LoadHeader | undefined {
  if (view.getUint32(at, true) !== PT_LOAD) return undefined;
  const field = (n: number): bigint => view.getBigUint64(at + n, true);
  const [offset, virtual, physical, fileSize, memorySize] = [field(8), field(16), field(24), field(32), field(40)];
  if (memorySize === 0n) return undefined;
  if (fileSize > memorySize)
    throw new EmuError("kernel-elf", `an ELF segment has ${fileSize} bytes in the file and ${memorySize} in memory`);
  if (offset + fileSize > BigInt(data.length)) throw truncated(offset + fileSize, data.length);
  if (physical + memorySize > PA_LIMIT)
    throw new EmuError("kernel-elf", `an ELF segment lies at ${hex(physical)}, beyond 52-bit physical addresses`);
  const contents = data.subarray(Number(offset), Number(offset + fileSize));
  return { address: Number(physical), data: contents, size: Number(memorySize), virtual };
}

/** e_entry is a virtual address: the segment that holds it says where it is in physical memory. */
function physicalEntry(entry: bigint, loads: LoadHeader[]): number {
  for (const s of loads) if (entry >= s.virtual && entry < s.virtual + BigInt(s.size)) return s.address + Number(entry - s.virtual);
  throw new EmuError("kernel-elf", `the entry point ${hex(entry)} of the ELF file is in none of its segments`);
}

const truncated = (needed: number | bigint, have: number): EmuError =>
  new EmuError("kernel-truncated", `the ELF file is cut short: it has ${have} bytes and needs at least ${needed}`);
