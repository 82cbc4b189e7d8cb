// A descriptor chain that the driver made available, and reading and writing it as a stream.

import type { Dma } from "../device.ts";
import { u16, u32, u64 } from "./bytes.ts";
import { DESC_SIZE, DescFlag } from "./constants.ts";

/** A piece of guest memory: address and length in bytes (up to 2^32-1), as the driver gave them, not checked. */
export interface Segment {
  addr: number;
  len: number;
}

/** One buffer: device-readable pieces followed by device-writable ones. */
export interface Chain {
  /** What identifies the buffer in the used ring: head index (split) or buffer id (packed). */
  id: number;
  /** Ring slots that the chain occupies (packed rings skip that many). */
  slots: number;
  readable: Segment[];
  writable: Segment[];
}

/** A descriptor as it lies in memory, split or packed. */
export interface Descriptor {
  addr: number;
  len: number;
  /** Split: flags, next. Packed: flags, buffer id. */
  flags: number;
  nextOrId: number;
}

/** The descriptor at `at` of `table`. The last two fields are the other way round in packed rings. */
export function decodeDescriptor(table: Uint8Array, at: number, packed: boolean): Descriptor {
  const a = u16(table, at + 12);
  const b = u16(table, at + 14);
  return { addr: u64(table, at), len: u32(table, at + 8), flags: packed ? b : a, nextOrId: packed ? a : b };
}

/** Reads and decodes the descriptor at guest address `addr`. */
export function readDescriptor(dma: Dma, addr: number, packed: boolean): Descriptor | undefined {
  const bytes = dma.read(addr, DESC_SIZE);
  return bytes === undefined ? undefined : decodeDescriptor(bytes, 0, packed);
}

/** Appends a descriptor's buffer. False: a readable one after a writable one, which 2.7.4.2 forbids. */
export function addSegment(chain: Chain, d: Descriptor): boolean {
  if ((d.flags & DescFlag.WRITE) !== 0) {
    chain.writable.push({ addr: d.addr, len: d.len });
    return true;
  }
  if (chain.writable.length > 0) return false;
  chain.readable.push({ addr: d.addr, len: d.len });
  return true;
}

/** Total bytes of `segments`. */
export const totalLength = (segments: readonly Segment[]): number => segments.reduce((sum, s) => sum + s.len, 0);

/** A position in a list of segments. */
class Cursor {
  protected readonly dma: Dma;
  private readonly segments: readonly Segment[];
  private index = 0;
  private offset = 0;
  /** Bytes from here to the end. */
  remaining: number;

  constructor(dma: Dma, segments: readonly Segment[]) {
    this.dma = dma;
    this.segments = segments;
    this.remaining = totalLength(segments);
  }

  /** The next contiguous piece, at most `max` bytes (max > 0), and moves past it. Undefined at the end. */
  protected take(max: number): Segment | undefined {
    let s = this.segments[this.index];
    while (s !== undefined && this.offset >= s.len) {
      this.offset = 0;
      s = this.segments[++this.index];
    }
    if (s === undefined) return undefined;
    const len = Math.min(max, s.len - this.offset);
    const piece = { addr: s.addr + this.offset, len };
    this.offset += len;
    this.remaining -= len;
    return piece;
  }
}

/** Reads the device-readable part of a chain in order, whatever its division into descriptors (2.7.4.4). */
export class ChainReader extends Cursor {
  /** Exactly `length` bytes. Undefined: fewer are left, or the memory is not reachable. Ask for moderate lengths only: it allocates. */
  read(length: number): Uint8Array | undefined {
    if (length > this.remaining) return undefined;
    const out = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const piece = this.take(length - done);
      const bytes = piece && this.dma.read(piece.addr, piece.len);
      if (bytes === undefined) return undefined;
      out.set(bytes, done);
      done += bytes.length;
    }
    return out;
  }
}

/** Writes the device-writable part of a chain in order. */
export class ChainWriter extends Cursor {
  /** Bytes written so far, for the used ring. */
  written = 0;

  /** Writes all of `data`. False: it does not fit, or the memory is not reachable (a part may have been written). */
  write(data: Uint8Array): boolean {
    if (data.length > this.remaining) return false;
    for (let done = 0; done < data.length; ) {
      const piece = this.take(data.length - done);
      if (piece === undefined || !this.dma.write(piece.addr, data.subarray(done, done + piece.len))) return false;
      done += piece.len;
      this.written += piece.len;
    }
    return true;
  }

  /** Passes over `length` bytes (at most `remaining`) without writing them. */
  skip(length: number): void {
    for (let left = length; left > 0; ) {
      const piece = this.take(left);
      if (piece === undefined) return;
      left -= piece.len;
    }
  }
}
