// Reads input files. Everything that can be wrong with a path gets one clear line.

import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { EmuError } from "../util/errors.ts";

/** What a file is to the boot: the prefix of error codes ("kernel-missing", "initrd-empty", "dtb-unreadable", "kernel-too-large"). */
export type Role = "kernel" | "initrd" | "bios" | "loader" | "dtb" | "rmm";

/** The contents of a file, or the bytes given instead of a path. `limit`: the most bytes that could ever be of use. */
export function readInput(role: Role, source: string | Uint8Array, limit: number): Uint8Array {
  const data = typeof source === "string" ? readRegularFile(role, source, limit) : source;
  if (data.length === 0) throw new EmuError(`${role}-empty`, `the ${role} ${nameOf(source)} is empty`);
  if (data.length > limit) throw tooLarge(role, source, data.length, limit);
  return data;
}

/** How many bytes `readInput` will answer, and the first few of them; the same errors. */
export function inputHead(role: Role, source: string | Uint8Array, limit: number, count: number): { size: number; head: Uint8Array } {
  if (typeof source !== "string") return { size: readInput(role, source, limit).length, head: source.subarray(0, count) };
  const [size, head] = ofFile(role, source, limit, (size) => {
    const head = new Uint8Array(count);
    const file = openSync(source, "r");
    try {
      return [size, head.subarray(0, readSync(file, head))] as const;
    } finally {
      closeSync(file);
    }
  });
  if (size === 0) throw new EmuError(`${role}-empty`, `the ${role} ${nameOf(source)} is empty`);
  return { size, head };
}

/** Contents that stay in their file until they are copied: a kernel of 40 MB need not stand in the host's memory beside the guest's. */
export class FileContents {
  private readonly role: Role;
  private readonly path: string;
  /** Bytes. */
  readonly length: number;

  constructor(role: Role, path: string, length: number) {
    this.role = role;
    this.path = path;
    this.length = length;
  }
  /** All of it. */
  bytes(): Uint8Array {
    const data = new Uint8Array(this.length);
    this.open((fill) => fill(data, 0));
    return data;
  }
  /** Lets `use` fill arrays with what stands at an offset. Throws EmuError, also for a file that has become shorter. */
  open(use: (fill: (target: Uint8Array, offset: number) => void) => void): void {
    const { role, path } = this;
    ofFile(role, path, Infinity, () => {
      const file = openSync(path, "r");
      try {
        use((target, offset) => {
          for (let done = 0; done < target.length; ) {
            const n = readSync(file, target, done, target.length - done, offset + done);
            if (n === 0) throw new EmuError(`${role}-unreadable`, `the ${role} "${path}" has become shorter than ${this.length} bytes`);
            done += n;
          }
        });
      } finally {
        closeSync(file);
      }
    });
  }
}

/** How a message names an input. */
export const nameOf = (source: string | Uint8Array): string => (typeof source === "string" ? `"${source}"` : "given as bytes");

const readRegularFile = (role: Role, path: string, limit: number): Uint8Array => ofFile(role, path, limit, () => readFileSync(path));

/** `read` of a file that is a regular one within the limit. */
function ofFile<T>(role: Role, path: string, limit: number, read: (size: number) => T): T {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) throw new EmuError(`${role}-unreadable`, `the ${role} "${path}" is not a regular file`);
    if (stat.size > limit) throw tooLarge(role, path, stat.size, limit);
    return read(stat.size);
  } catch (e) {
    if (e instanceof EmuError) throw e;
    const reason = (e as NodeJS.ErrnoException).code ?? String(e);
    if (reason === "ENOENT" || reason === "ENOTDIR") throw new EmuError(`${role}-missing`, `no such ${role} file: "${path}"`);
    throw new EmuError(`${role}-unreadable`, `cannot read the ${role} "${path}": ${reason}`);
  }
}

function tooLarge(role: Role, source: string | Uint8Array, size: number, limit: number): EmuError {
  return new EmuError(`${role}-too-large`, `the ${role} ${nameOf(source)} has ${size} bytes, the machine has room for ${limit}`);
}
