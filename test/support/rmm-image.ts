// RMM images for tests: made on the spot, or brought by whoever runs the tests. No image is a part of the project.

import { existsSync } from "node:fs";

export interface ElfSpec {
  /** e_machine. */
  readonly machine: number;
  readonly entry: number;
  readonly segments: readonly { address: number; data: readonly number[] }[];
}

const HEADER = 64;
const PROGRAM_HEADER = 56;

/** An ELF64 executable with these PT_LOAD segments. */
export function elfFile({ machine, entry, segments }: ElfSpec): Uint8Array {
  const size = segments.reduce((n, s) => n + PROGRAM_HEADER + s.data.length, HEADER);
  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, machine, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(entry), true);
  view.setBigUint64(32, BigInt(HEADER), true);
  view.setUint16(52, HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, segments.length, true);
  let at = HEADER + segments.length * PROGRAM_HEADER;
  for (const [i, s] of segments.entries()) {
    const header = HEADER + i * PROGRAM_HEADER;
    view.setUint32(header, 1, true);
    view.setUint32(header + 4, 7, true);
    const fields = [at, s.address, s.address, s.data.length, s.data.length, 4096];
    for (const [n, v] of fields.entries()) view.setBigUint64(header + 8 + 8 * n, BigInt(v), true);
    file.set(s.data, at);
    at += s.data.length;
  }
  return file;
}

/** A file that the environment names, for tests that need it; undefined, with one line that says so: not there. */
export function broughtImage(variable: string, what: string): string | undefined {
  const path = process.env[variable];
  if (path !== undefined && existsSync(path)) return path;
  process.stderr.write(`not run: no image (${variable} names ${what})\n`);
  return undefined;
}
