// What a block device stores its sectors in. Host files are a backend elsewhere: devices do not touch the host.

import type { Saved, Stateful } from "../../util/stateful.ts";
import { SavedFields } from "../saved.ts";

/** Unit of addresses and lengths, whatever block size the device declares. */
export const SECTOR = 512;

/**
 * Storage of `sectors` sectors of 512 bytes. Every range it is asked for lies inside. Undefined or false: an input/output error,
 * which the guest sees as such. A backend with `save` and `restore` becomes part of the device's state.
 */
export interface BlockBackend extends Partial<Stateful> {
  readonly sectors: number;
  readonly readOnly: boolean;
  /** `count` x 512 bytes from `sector` on. */
  read(sector: number, count: number): Uint8Array | undefined;
  /** Are the sectors known to hold nothing but zeros, without looking at what they hold? Absent: not known. */
  isBlank?(sector: number, count: number): boolean;
  /** Stores `data` (a multiple of 512 bytes) from `sector` on. */
  write(sector: number, data: Uint8Array): boolean;
  /** Everything written is on stable storage when it returns true. */
  flush(): boolean;
  /** Releases the sectors; what they read afterwards is unspecified. Absent: DISCARD is not offered. */
  discard?(sector: number, count: number): boolean;
}

const CHUNK_SECTORS = 128;
const CHUNK = CHUNK_SECTORS * SECTOR;

export interface MemoryBackendOptions {
  /** Size in sectors; the default is the base's. */
  sectors?: number;
  readOnly?: boolean;
  /** What sectors hold that were not written. Never written to: a scratch layer over an image. Absent: zeros. */
  base?: BlockBackend;
}

/** Sectors in host memory, 64 KiB at a time when first written. */
export class MemoryBlockBackend implements BlockBackend {
  readonly sectors: number;
  readonly readOnly: boolean;
  private readonly base: BlockBackend | undefined;
  private readonly chunks = new Map<number, Uint8Array>();

  constructor(options: MemoryBackendOptions) {
    this.base = options.base;
    this.sectors = options.sectors ?? options.base?.sectors ?? 0;
    this.readOnly = options.readOnly ?? false;
  }

  /** A backend that holds a copy of `image`, padded with zeros to whole sectors. */
  static from(image: Uint8Array, readOnly = false): MemoryBlockBackend {
    const backend = new MemoryBlockBackend({ sectors: Math.ceil(image.length / SECTOR), readOnly });
    for (let at = 0; at < image.length; at += CHUNK) {
      const chunk = new Uint8Array(CHUNK);
      chunk.set(image.subarray(at, at + CHUNK));
      backend.chunks.set(at / CHUNK, chunk);
    }
    return backend;
  }

  read(sector: number, count: number): Uint8Array | undefined {
    const out = new Uint8Array(count * SECTOR);
    for (let done = 0; done < count; ) {
      const at = sector + done;
      const within = at % CHUNK_SECTORS;
      const n = Math.min(count - done, CHUNK_SECTORS - within);
      const chunk = this.chunks.get(Math.floor(at / CHUNK_SECTORS));
      const data = chunk?.subarray(within * SECTOR, (within + n) * SECTOR) ?? this.readBase(at, n);
      if (data === undefined) return undefined;
      out.set(data, done * SECTOR);
      done += n;
    }
    return out;
  }

  isBlank(sector: number, count: number): boolean {
    if (this.base !== undefined) return false;
    for (let n = Math.floor(sector / CHUNK_SECTORS); n * CHUNK_SECTORS < sector + count; n++) if (this.chunks.has(n)) return false;
    return true;
  }

  /** Sectors of the base, and zeros past its end. */
  private readBase(sector: number, count: number): Uint8Array | undefined {
    const n = Math.max(0, Math.min(count, (this.base?.sectors ?? 0) - sector));
    if (n === 0) return new Uint8Array(count * SECTOR);
    const data = this.base?.read(sector, n);
    if (data === undefined || n === count) return data;
    const padded = new Uint8Array(count * SECTOR);
    padded.set(data);
    return padded;
  }

  write(sector: number, data: Uint8Array): boolean {
    if (this.readOnly) return false;
    const count = data.length / SECTOR;
    for (let done = 0; done < count; ) {
      const at = sector + done;
      const within = at % CHUNK_SECTORS;
      const n = Math.min(count - done, CHUNK_SECTORS - within);
      const chunk = this.own(Math.floor(at / CHUNK_SECTORS));
      if (chunk === undefined) return false;
      chunk.set(data.subarray(done * SECTOR, (done + n) * SECTOR), within * SECTOR);
      done += n;
    }
    return true;
  }

  /** The chunk with number `index`, to be written to. */
  private own(index: number): Uint8Array | undefined {
    let chunk = this.chunks.get(index);
    if (chunk === undefined) {
      chunk = this.readBase(index * CHUNK_SECTORS, CHUNK_SECTORS);
      if (chunk === undefined) return undefined;
      this.chunks.set(index, chunk);
    }
    return chunk;
  }

  flush(): boolean {
    return true;
  }

  discard(sector: number, count: number): boolean {
    if (this.readOnly) return false;
    // Whole chunks give their memory back; they read as the base again, or as zeros.
    const first = Math.ceil(sector / CHUNK_SECTORS);
    const end = Math.floor((sector + count) / CHUNK_SECTORS);
    for (let c = first; c < end; c++) this.chunks.delete(c);
    return true;
  }

  save(): Saved {
    return { chunks: [...this.chunks].map(([index, data]) => ({ index, data: data.slice() })) };
  }

  restore(state: Saved): void {
    const list = new SavedFields(state, "block backend").list("chunks");
    const chunks = list.map((c) => {
      const s = new SavedFields(c, "block backend chunk");
      return [s.uint("index", Math.ceil(this.sectors / CHUNK_SECTORS)), s.bytes("data", CHUNK).slice()] as const;
    });
    this.chunks.clear();
    for (const [index, data] of chunks) this.chunks.set(index, data);
  }
}
