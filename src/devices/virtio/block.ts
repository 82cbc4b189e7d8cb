// Block device (5.2): one queue of requests, each processed before the notification returns.

import type { Saved } from "../../util/stateful.ts";
import { SavedFields } from "../saved.ts";
import { type BlockBackend, SECTOR } from "./block-backend.ts";
import { u32, u64 } from "./bytes.ts";
import { type Chain, ChainReader, ChainWriter } from "./chain.ts";
import { type ConfigField, constant } from "./config.ts";
import { DeviceId } from "./constants.ts";
import { processQueue, type VirtioDevice, type VirtioTransport } from "./device.ts";

/** Feature bits (5.2.3). */
export const BlockFeature = {
  SEG_MAX: 2,
  GEOMETRY: 4,
  RO: 5,
  BLK_SIZE: 6,
  FLUSH: 9,
  TOPOLOGY: 10,
  CONFIG_WCE: 11,
  DISCARD: 13,
  WRITE_ZEROES: 14,
} as const;

/** Request types and status bytes (5.2.6). */
export const BlockRequest = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8, DISCARD: 11, WRITE_ZEROES: 13 } as const;
export const BlockStatus = { OK: 0, IOERR: 1, UNSUPP: 2 } as const;

const QUEUE_SIZE = 256;
const HEADER = 16;
const ID_BYTES = 20;
/** Data segments of a request: the queue less header and status. */
const SEG_MAX = QUEUE_SIZE - 2;
/** Bytes moved at a time, so that a request's length allocates nothing. */
const PIECE_SECTORS = 128;
/** The most data in one request. The specification sets no bound; a hostile driver must not hold the machine for long. */
const MAX_REQUEST = 64 << 20;
/** Limits of one discard or write-zeroes request, in sectors and in segments. */
const MAX_DISCARD_SECTORS = 0x3f_ffff;
const MAX_ZERO_SECTORS = 0x1_0000;
const MAX_RANGES = 1;
const UNMAP = 1;

export interface VirtioBlockOptions {
  backend: BlockBackend;
  /** Up to 20 bytes of ASCII, what GET_ID answers. */
  serial?: string;
  /** Logical block size in bytes, a multiple of 512; the default is 512. */
  blockSize?: number;
  name?: string;
}

export class VirtioBlock implements VirtioDevice {
  readonly name: string;
  readonly id = DeviceId.BLOCK;
  readonly queueSizes = [QUEUE_SIZE];
  readonly features: number;
  readonly config: readonly ConfigField[];
  private readonly backend: BlockBackend;
  private readonly serial: Uint8Array;
  private transport: VirtioTransport | undefined;
  /** Configuration field `writeback`: 1 = written data may stay in the host's cache until FLUSH. */
  private writeback = 1;

  constructor(options: VirtioBlockOptions) {
    this.name = options.name ?? "virtio-blk";
    this.backend = options.backend;
    this.serial = new Uint8Array(ID_BYTES);
    this.serial.set(new TextEncoder().encode(options.serial ?? "").subarray(0, ID_BYTES));
    this.features = this.offered().reduce((mask, bit) => mask | (1 << bit), 0);
    this.config = this.fields(options.blockSize ?? SECTOR);
  }

  private offered(): number[] {
    const f = BlockFeature;
    const bits: number[] = [f.SEG_MAX, f.GEOMETRY, f.BLK_SIZE, f.FLUSH, f.TOPOLOGY, f.CONFIG_WCE];
    if (this.backend.readOnly) bits.push(f.RO);
    else bits.push(f.WRITE_ZEROES, ...(this.backend.discard === undefined ? [] : [f.DISCARD]));
    return bits;
  }

  private fields(blockSize: number): ConfigField[] {
    const { sectors } = this.backend;
    return [
      constant("capacity", 8, sectors),
      constant("size_max", 4, 0), // not offered: segments of any size
      constant("seg_max", 4, SEG_MAX),
      constant("cylinders", 2, Math.min(16383, Math.floor(sectors / (16 * 63)))),
      constant("heads", 1, 16),
      constant("sectors", 1, 63),
      constant("blk_size", 4, blockSize),
      constant("physical_block_exp", 1, 0),
      constant("alignment_offset", 1, 0),
      constant("min_io_size", 2, 1),
      constant("opt_io_size", 4, 0),
      { name: "writeback", bytes: 1, read: () => this.writeback, write: (v) => this.setWriteback(v & 1) },
      constant("unused", 1, 0),
      constant("num_queues", 2, 1),
      constant("max_discard_sectors", 4, MAX_DISCARD_SECTORS),
      constant("max_discard_seg", 4, MAX_RANGES),
      constant("discard_sector_alignment", 4, 1),
      constant("max_write_zeroes_sectors", 4, MAX_ZERO_SECTORS),
      constant("max_write_zeroes_seg", 4, MAX_RANGES),
      constant("write_zeroes_may_unmap", 1, 0),
      constant("unused1", 1, 0),
      constant("unused1", 2, 0),
    ];
  }

  attach(transport: VirtioTransport): void {
    this.transport = transport;
  }

  private setWriteback(value: number): void {
    if (this.transport?.negotiated(BlockFeature.CONFIG_WCE) !== true) return;
    // What the cache holds must not wait for a FLUSH that a write-through driver never sends.
    if (this.writeback === 1 && value === 0) this.backend.flush();
    this.writeback = value;
  }

  /** Whether a write may complete before it is on stable storage (5.2.5). */
  private get cached(): boolean {
    const t = this.transport;
    if (t?.negotiated(BlockFeature.CONFIG_WCE) === true) return this.writeback === 1;
    return t?.negotiated(BlockFeature.FLUSH) === true;
  }

  notify(queue: number): void {
    const { transport } = this;
    if (transport !== undefined) processQueue(transport, queue, (chain) => this.request(transport, chain));
  }

  /** Performs one request; returns how many bytes it wrote in one run from the start of the writable part. */
  private request(transport: VirtioTransport, chain: Chain): number | undefined {
    const reader = new ChainReader(transport.dma, chain.readable);
    const writer = new ChainWriter(transport.dma, chain.writable);
    const dataRoom = writer.remaining - 1;
    const header = reader.read(HEADER);
    if (header === undefined || dataRoom < 0) {
      transport.fail("a request without a complete header and a status byte");
      return undefined;
    }
    const status = this.execute(u32(header, 0), u64(header, 8), reader, writer);
    const before = writer.written;
    writer.skip(writer.remaining - 1);
    if (!writer.write(Uint8Array.of(status))) {
      transport.fail("the status byte of a request is not in memory");
      return undefined;
    }
    return before === dataRoom ? writer.written : before;
  }

  private execute(type: number, sector: number, reader: ChainReader, writer: ChainWriter): number {
    switch (type) {
      case BlockRequest.IN:
        return this.readSectors(sector, writer);
      case BlockRequest.OUT:
        return this.writeSectors(sector, reader);
      case BlockRequest.FLUSH:
        return outcome(this.backend.flush());
      case BlockRequest.GET_ID:
        return outcome(writer.write(this.serial.subarray(0, Math.min(ID_BYTES, writer.remaining - 1))));
      case BlockRequest.DISCARD:
        return this.discard(reader);
      case BlockRequest.WRITE_ZEROES:
        return this.writeZeroes(reader);
      default:
        return BlockStatus.UNSUPP;
    }
  }

  /** `bytes` of data at `sector` is a request that can be served. */
  private inRange(sector: number, bytes: number): boolean {
    return bytes % SECTOR === 0 && bytes <= MAX_REQUEST && sector + bytes / SECTOR <= this.backend.sectors;
  }

  private readSectors(sector: number, writer: ChainWriter): number {
    const bytes = writer.remaining - 1;
    if (!this.inRange(sector, bytes)) return BlockStatus.IOERR;
    return forPieces(sector, bytes / SECTOR, (at, n) => {
      const data = this.backend.read(at, n);
      return data !== undefined && data.length === n * SECTOR && writer.write(data);
    });
  }

  private writeSectors(sector: number, reader: ChainReader): number {
    const bytes = reader.remaining;
    if (this.backend.readOnly || !this.inRange(sector, bytes)) return BlockStatus.IOERR;
    const status = forPieces(sector, bytes / SECTOR, (at, n) => {
      const data = reader.read(n * SECTOR);
      return data !== undefined && this.backend.write(at, data);
    });
    return status === BlockStatus.OK ? this.writeThrough() : status;
  }

  private writeThrough(): number {
    return outcome(this.cached || this.backend.flush());
  }

  private discard(reader: ChainReader): number {
    const { backend } = this;
    if (backend.readOnly) return BlockStatus.IOERR;
    if (backend.discard === undefined) return BlockStatus.UNSUPP;
    const range = this.range(reader, MAX_DISCARD_SECTORS, 0);
    return typeof range === "number" ? range : outcome(backend.discard(range.sector, range.count));
  }

  private writeZeroes(reader: ChainReader): number {
    if (this.backend.readOnly) return BlockStatus.IOERR;
    const range = this.range(reader, MAX_ZERO_SECTORS, UNMAP);
    if (typeof range === "number") return range;
    const zeros = new Uint8Array(PIECE_SECTORS * SECTOR);
    const status = forPieces(range.sector, range.count, (at, n) => this.backend.write(at, zeros.subarray(0, n * SECTOR)));
    return status === BlockStatus.OK ? this.writeThrough() : status;
  }

  /** The one range {u64 sector, u32 count, u32 flags} of a discard or write-zeroes request, or the status that refuses it. */
  private range(reader: ChainReader, maxSectors: number, allowedFlags: number): { sector: number; count: number } | number {
    if (reader.remaining !== 16 * MAX_RANGES) return BlockStatus.IOERR;
    const bytes = reader.read(16);
    if (bytes === undefined) return BlockStatus.IOERR;
    const sector = u64(bytes, 0);
    const count = u32(bytes, 8);
    // 5.2.6.2: an unknown flag, or UNMAP in a discard, is unsupported.
    if ((u32(bytes, 12) & ~allowedFlags) !== 0) return BlockStatus.UNSUPP;
    if (count > maxSectors || sector + count > this.backend.sectors) return BlockStatus.IOERR;
    return { sector, count };
  }

  reset(): void {
    this.writeback = 1;
  }

  save(): Saved {
    return { writeback: this.writeback, backend: this.backend.save?.() ?? null };
  }

  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    this.writeback = s.uint("writeback", 1);
    const backend = s.part("backend");
    if (backend !== null) this.backend.restore?.(backend);
  }
}

const outcome = (ok: boolean): number => (ok ? BlockStatus.OK : BlockStatus.IOERR);

/** Calls `f` for `count` sectors from `sector` on, a piece at a time, until it returns false. */
function forPieces(sector: number, count: number, f: (sector: number, count: number) => boolean): number {
  for (let done = 0; done < count; ) {
    const n = Math.min(PIECE_SECTORS, count - done);
    if (!f(sector + done, n)) return BlockStatus.IOERR;
    done += n;
  }
  return BlockStatus.OK;
}
