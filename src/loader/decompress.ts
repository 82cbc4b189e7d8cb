// Decompression of kernels, bounded: a small file that unpacks to something enormous is refused before it fills the host.
//
// gzip:  node:zlib.
// zstd:  node:zlib where it has it (Node 22.15 and newer), else the package fzstd.
// Not supported: lz4, lzma, lzo, xz, bzip2. Debian's and upstream's default arm64 builds use none of these.

import { createRequire } from "node:module";
import * as zlib from "node:zlib";
import { EmuError } from "../util/errors.ts";

/** Compression methods by the name that the EFI zboot header uses; null = known, not supported. */
const methods: Record<string, ((data: Uint8Array, limit: number) => Uint8Array) | null> = {
  gzip: gunzip,
  zstd: unzstd,
  zstd22: unzstd,
  lz4: null,
  lzma: null,
  lzo: null,
  xz: null,
  xzkern: null,
  bzip2: null,
};

/** First bytes of a compressed stream and the method they announce. */
// biome-ignore format: table
const magics: readonly (readonly [string, readonly number[]])[] = [
  ["gzip",  [0x1f, 0x8b]],
  ["zstd",  [0x28, 0xb5, 0x2f, 0xfd]],
  ["xz",    [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["lz4",   [0x04, 0x22, 0x4d, 0x18]],
  ["lz4",   [0x02, 0x21, 0x4c, 0x18]],
  ["lzo",   [0x89, 0x4c, 0x5a, 0x4f]],
  ["lzma",  [0x5d, 0x00, 0x00]],
];

/** The method whose magic number the data starts with, or undefined. */
export function compressionOf(data: Uint8Array): string | undefined {
  return magics.find(([, magic]) => magic.every((b, i) => data[i] === b))?.[0];
}

/**
 * Unpacks `data`. `limit` is the most bytes the result may have.
 * Throws EmuError: kernel-compression (method unknown or not supported), kernel-truncated, kernel-corrupt, kernel-too-large.
 */
export function decompress(method: string, data: Uint8Array, limit: number): Uint8Array {
  const unpack = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (unpack) return unpack(data, limit);
  const known = unpack === null ? `compressed with ${method}, which is not supported` : `compressed with an unknown method ("${method}")`;
  throw new EmuError("kernel-compression", `the kernel is ${known}; unpack it first (gzip and zstd are supported)`);
}

const tooLarge = (limit: number): EmuError =>
  new EmuError("kernel-too-large", `the kernel unpacks to more than ${limit} bytes, more than the machine has room for`);

const cutShort = (): EmuError => new EmuError("kernel-truncated", "the compressed kernel ends before its end");

function gunzip(data: Uint8Array, limit: number): Uint8Array {
  try {
    return zlib.gunzipSync(data, { maxOutputLength: limit });
  } catch (e) {
    throw describe(e, limit);
  }
}

interface ZstdOfNode {
  zstdDecompressSync?: (data: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;
}

function unzstd(data: Uint8Array, limit: number): Uint8Array {
  const { zstdDecompressSync } = zlib as ZstdOfNode;
  if (!zstdDecompressSync) return unzstdPackage(data, limit);
  try {
    return zstdDecompressSync(data, { maxOutputLength: limit });
  } catch (e) {
    throw describe(e, limit);
  }
}

/** The part of fzstd that is used. */
interface Fzstd {
  Decompress: new (ondata: (chunk: Uint8Array, final?: boolean) => void) => { push(chunk: Uint8Array, final?: boolean): void };
}

function unzstdPackage(data: Uint8Array, limit: number): Uint8Array {
  const fzstd = loadFzstd();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let complete = false;
  const stream = new fzstd.Decompress((chunk, final) => {
    size += chunk.length;
    if (size > limit) throw tooLarge(limit);
    chunks.push(chunk.slice());
    complete ||= final === true;
  });
  try {
    stream.push(data, true);
  } catch (e) {
    if (e instanceof EmuError) throw e;
    const { message } = e as Error;
    throw message === "unexpected EOF" ? cutShort() : new EmuError("kernel-corrupt", `the compressed kernel is damaged: ${message}`);
  }
  if (!complete) throw cutShort();
  return concatenate(chunks, size);
}

function loadFzstd(): Fzstd {
  try {
    return createRequire(import.meta.url)("fzstd") as Fzstd;
  } catch {
    throw new EmuError("kernel-compression", "the kernel is compressed with zstd, which needs Node 22.15 or newer, or the package fzstd");
  }
}

function concatenate(chunks: Uint8Array[], size: number): Uint8Array {
  const out = new Uint8Array(size);
  let at = 0;
  for (const c of chunks) {
    out.set(c, at);
    at += c.length;
  }
  return out;
}

function describe(error: unknown, limit: number): EmuError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ERR_BUFFER_TOO_LARGE") return tooLarge(limit);
  if (code === "Z_BUF_ERROR") return cutShort();
  return new EmuError("kernel-corrupt", `the compressed kernel is damaged: ${message}`);
}
