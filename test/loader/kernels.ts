// Makes kernel files for the tests: just enough of each format.

import { gzipSync } from "node:zlib";

const MiB = 2 ** 20;

export interface ImageOptions {
  length?: number;
  textOffset?: bigint;
  imageSize?: bigint;
  flags?: bigint;
  /** End of the data that a PE section table promises. */
  peEnd?: number;
  machine?: number;
}

/** An arm64 Image of `length` bytes. */
export function image(o: ImageOptions = {}): Uint8Array {
  const data = new Uint8Array(o.length ?? 4096).fill(0x5a, 64);
  const view = new DataView(data.buffer);
  view.setUint32(0, 0x91005a4d, true); // "MZ": add x13, x18, #22
  view.setBigUint64(8, o.textOffset ?? 0n, true);
  view.setBigUint64(16, o.imageSize ?? BigInt(MiB), true);
  view.setBigUint64(24, o.flags ?? 0xan, true);
  view.setUint32(56, 0x644d5241, true);
  if (o.peEnd !== undefined) putPe(view, o.machine ?? 0xaa64, o.peEnd);
  return data;
}

function putPe(view: DataView, machine: number, end: number): void {
  view.setUint32(0x3c, 0x40, true);
  view.setUint32(0x40, 0x4550, true);
  view.setUint16(0x44, machine, true);
  view.setUint16(0x46, 1, true); // sections
  view.setUint16(0x54, 16, true); // optional header
  const section = 0x40 + 24 + 16;
  view.setUint32(section + 16, end - 0x200, true);
  view.setUint32(section + 20, 0x200, true);
}

/** An EFI zboot file around a payload that is compressed already. */
export function zboot(payload: Uint8Array, method: string, machine = 0xaa64): Uint8Array {
  const offset = 0x400;
  const file = new Uint8Array(offset + payload.length + 64);
  const view = new DataView(file.buffer);
  view.setUint16(0, 0x5a4d, true);
  view.setUint32(4, 0x676d697a, true);
  view.setUint32(8, offset, true);
  view.setUint32(12, payload.length, true);
  file.set(new TextEncoder().encode(method), 24);
  putPe(view, machine, file.length);
  file.set(payload, offset);
  return file;
}

export interface ElfOptions {
  machine?: number;
  klass?: number;
  data?: number;
  physical?: bigint;
  memorySize?: bigint;
  fileSize?: bigint;
  entry?: bigint;
  contents?: Uint8Array;
}

/** An ELF64 executable with one segment: virtual 0xffff_0000_0000_0000 + physical. */
export function elf(o: ElfOptions = {}): Uint8Array {
  const contents = o.contents ?? new Uint8Array([1, 2, 3, 4]);
  const physical = o.physical ?? 0x4010_0000n;
  const virtual = 0xffff_0000_0000_0000n + physical;
  const file = new Uint8Array(0x100 + contents.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, o.klass ?? 2, o.data ?? 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, o.machine ?? 183, (o.data ?? 1) === 1);
  view.setBigUint64(24, o.entry ?? virtual, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  const fields = [0x100n, virtual, physical, o.fileSize ?? BigInt(contents.length), o.memorySize ?? BigInt(contents.length)];
  for (const [i, f] of fields.entries()) view.setBigUint64(72 + 8 * i, f, true);
  file.set(contents, 0x100);
  return file;
}

/** A gzip file of `length` zero bytes. */
export function gzipBomb(length: number): Uint8Array {
  return gzipSync(new Uint8Array(length), { level: 9 });
}

/** A zstd frame that holds `data` in raw blocks (RFC 8878): no compressor needed. */
export function zstdStored(data: Uint8Array): Uint8Array {
  const parts: number[] = [
    0x28,
    0xb5,
    0x2f,
    0xfd,
    0xa0,
    data.length & 255,
    (data.length >> 8) & 255,
    (data.length >> 16) & 255,
    data.length >>> 24,
  ];
  const MAX_BLOCK = 128 * 1024;
  for (let at = 0; at < data.length; at += MAX_BLOCK) {
    const n = Math.min(MAX_BLOCK, data.length - at);
    const header = (n << 3) | (at + n === data.length ? 1 : 0);
    parts.push(header & 255, (header >> 8) & 255, header >> 16, ...data.subarray(at, at + n));
  }
  return Uint8Array.from(parts);
}
