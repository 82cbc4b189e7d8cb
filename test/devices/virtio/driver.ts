// A small virtio driver for tests: guest memory, the register protocol of the transport, and both ring formats from the driver's side.

import { expect } from "vitest";
import type { Dma } from "../../../src/devices/device.ts";
import { Feature, MmioReg as R, Status, type VirtioDevice, VirtioMmio, type VirtioMmioOptions } from "../../../src/devices/virtio/index.ts";
import { read, TestLine, write } from "../support.ts";

export const RAM_BASE = 0x4000_0000;
export const RAM_SIZE = 0x20_0000;
/** An address without memory. */
export const NOWHERE = 0x8000_0000;

/** Guest RAM as a device sees it, and a bump allocator for the driver. */
export class GuestMemory implements Dma {
  readonly bytes = new Uint8Array(RAM_SIZE);
  readonly view = new DataView(this.bytes.buffer);
  /** The longest access any device made: none may ask for unbounded lengths. */
  longest = 0;
  /** The highest address any device asked for: numbers above 2^52 are no physical addresses. */
  highest = 0;
  private next = 0x1000;

  read(pa: number, length: number): Uint8Array | undefined {
    return this.inside(pa, length) ? this.bytes.slice(pa - RAM_BASE, pa - RAM_BASE + length) : undefined;
  }
  write(pa: number, data: Uint8Array): boolean {
    if (!this.inside(pa, data.length)) return false;
    this.bytes.set(data, pa - RAM_BASE);
    return true;
  }
  private inside(pa: number, length: number): boolean {
    this.longest = Math.max(this.longest, length);
    this.highest = Math.max(this.highest, pa + length);
    return pa >= RAM_BASE && pa + length <= RAM_BASE + RAM_SIZE;
  }

  /** Zeroed memory; returns its address. */
  alloc(length: number, align = 16): number {
    this.next = Math.ceil(this.next / align) * align;
    const at = this.next;
    this.next += length;
    if (this.next > RAM_SIZE) throw new Error("test guest out of memory");
    return RAM_BASE + at;
  }
  place(data: Uint8Array): number {
    const at = this.alloc(data.length);
    this.bytes.set(data, at - RAM_BASE);
    return at;
  }
  get16(pa: number): number {
    return this.view.getUint16(pa - RAM_BASE, true);
  }
  put16(pa: number, v: number): void {
    this.view.setUint16(pa - RAM_BASE, v, true);
  }
  get32(pa: number): number {
    return this.view.getUint32(pa - RAM_BASE, true);
  }
  put32(pa: number, v: number): void {
    this.view.setUint32(pa - RAM_BASE, v, true);
  }
  put64(pa: number, v: number): void {
    this.put32(pa, v % 2 ** 32);
    this.put32(pa + 4, Math.floor(v / 2 ** 32));
  }
}

/** One descriptor as a test asks for it. */
export interface Desc {
  addr: number;
  len: number;
  flags: number;
  /** Split: next. Packed: id. Filled in by the queue unless given. */
  next?: number;
}

export const F = { NEXT: 1, WRITE: 2, INDIRECT: 4 } as const;

export interface Used {
  id: number;
  len: number;
}

/** A queue from the driver's side. `add` makes one chain available and returns its id; `collect` returns what came back. */
export interface DriverQueue {
  readonly index: number;
  readonly size: number;
  add(chain: Desc[]): number;
  collect(): Used[];
}

/** Links descriptors in order, the last one ending the chain. */
const link = (chain: Desc[]): Desc[] => chain.map((d, i) => ({ ...d, flags: d.flags | (i < chain.length - 1 ? F.NEXT : 0) }));

export class SplitQueue implements DriverQueue {
  readonly index: number;
  readonly size: number;
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  private readonly mem: GuestMemory;
  private free = 0;
  private availIdx = 0;
  private seen = 0;

  constructor(mem: GuestMemory, index: number, size: number, at?: { desc: number; avail: number; used: number }) {
    this.mem = mem;
    this.index = index;
    this.size = size;
    this.desc = at?.desc ?? mem.alloc(16 * size, 16);
    this.avail = at?.avail ?? mem.alloc(6 + 2 * size, 2);
    this.used = at?.used ?? mem.alloc(6 + 8 * size, 4);
  }

  /** Writes descriptor `i` exactly as given. */
  put(i: number, d: Desc): void {
    const at = this.desc + 16 * i;
    this.mem.put64(at, d.addr);
    this.mem.put32(at + 8, d.len);
    this.mem.put16(at + 12, d.flags);
    this.mem.put16(at + 14, d.next ?? 0);
  }

  /** Makes `head` available without writing descriptors. */
  offer(head: number): void {
    this.mem.put16(this.avail + 4 + 2 * (this.availIdx % this.size), head);
    this.setIdx(this.availIdx + 1);
  }
  setIdx(idx: number): void {
    this.availIdx = idx & 0xffff;
    this.mem.put16(this.avail + 2, this.availIdx);
  }

  add(chain: Desc[]): number {
    const head = this.free;
    for (const d of link(chain)) {
      this.put(this.free, { next: (this.free + 1) % this.size, ...d });
      this.free = (this.free + 1) % this.size;
    }
    this.offer(head);
    return head;
  }

  collect(): Used[] {
    const out: Used[] = [];
    for (; this.seen !== this.usedIdx; this.seen = (this.seen + 1) & 0xffff) {
      const at = this.used + 4 + 8 * (this.seen % this.size);
      out.push({ id: this.mem.get32(at), len: this.mem.get32(at + 4) });
    }
    return out;
  }

  get usedIdx(): number {
    return this.mem.get16(this.used + 2);
  }
  get availEvent(): number {
    return this.mem.get16(this.used + 4 + 8 * this.size);
  }
  setUsedEvent(v: number): void {
    this.mem.put16(this.avail + 4 + 2 * this.size, v);
  }
  setFlags(v: number): void {
    this.mem.put16(this.avail, v);
  }
}

export class PackedQueue implements DriverQueue {
  readonly index: number;
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  private readonly mem: GuestMemory;
  private at = 0;
  private wrap = 1;
  private usedAt = 0;
  private usedWrap = 1;
  private nextId = 0;
  private readonly slots = new Map<number, number>();

  constructor(mem: GuestMemory, index: number, size: number) {
    this.mem = mem;
    this.index = index;
    this.size = size;
    this.desc = mem.alloc(16 * size, 16);
    this.driver = mem.alloc(4, 4);
    this.device = mem.alloc(4, 4);
  }

  /** Writes slot `i` exactly as given. */
  put(i: number, d: Desc): void {
    const at = this.desc + 16 * i;
    this.mem.put64(at, d.addr);
    this.mem.put32(at + 8, d.len);
    this.mem.put16(at + 12, d.next ?? 0);
    this.mem.put16(at + 14, d.flags);
  }

  add(chain: Desc[]): number {
    const id = this.nextId;
    this.nextId = (this.nextId + 1) & 0x7fff;
    this.slots.set(id, chain.length);
    for (const d of link(chain)) {
      this.put(this.at, { next: id, ...d, flags: d.flags | (this.wrap === 1 ? 0x80 : 0x8000) });
      if (++this.at === this.size) {
        this.at = 0;
        this.wrap ^= 1;
      }
    }
    return id;
  }

  collect(): Used[] {
    const out: Used[] = [];
    for (;;) {
      const at = this.desc + 16 * this.usedAt;
      const flags = this.mem.get16(at + 14);
      if ((flags >> 7) % 2 !== this.usedWrap || flags >> 15 !== this.usedWrap) return out;
      const id = this.mem.get16(at + 12);
      out.push({ id, len: this.mem.get32(at + 8) });
      expect((flags & F.WRITE) !== 0).toBe(this.mem.get32(at + 8) > 0);
      this.usedAt += this.slots.get(id) ?? 1;
      if (this.usedAt >= this.size) {
        this.usedAt -= this.size;
        this.usedWrap ^= 1;
      }
    }
  }
}

export type DriverOptions = Partial<Omit<VirtioMmioOptions, "device">> & { mem?: GuestMemory };

const V1 = 2 ** 32;
export const bits = (...list: number[]): number => list.reduce((sum, b) => sum + 2 ** b, 0);

/** A driver on one transport. */
export class Driver {
  readonly mem: GuestMemory;
  readonly line = new TestLine();
  readonly mmio: VirtioMmio;
  readonly logs: string[] = [];
  queues: DriverQueue[] = [];

  constructor(device: VirtioDevice | undefined, options: DriverOptions = {}) {
    this.mem = options.mem ?? new GuestMemory();
    const { mem: _, ...rest } = options;
    const withDevice = device === undefined ? rest : { ...rest, device };
    this.mmio = new VirtioMmio({ irq: this.line, dma: this.mem, log: (m) => this.logs.push(m), ...withDevice });
  }

  r(offset: number): number {
    return read(this.mmio, offset);
  }
  w(offset: number, value: number): void {
    write(this.mmio, offset, value);
  }
  get status(): number {
    return this.r(R.Status);
  }
  get needsReset(): boolean {
    return (this.status & Status.NEEDS_RESET) !== 0;
  }

  offered(): number {
    this.w(R.DeviceFeaturesSel, 1);
    const hi = this.r(R.DeviceFeatures);
    this.w(R.DeviceFeaturesSel, 0);
    return hi * V1 + this.r(R.DeviceFeatures);
  }

  /** Reset to FEATURES_OK; `features` besides VERSION_1. True when the device kept FEATURES_OK. */
  negotiate(features = 0): boolean {
    this.w(R.Status, 0);
    this.w(R.Status, Status.ACKNOWLEDGE);
    this.w(R.Status, Status.ACKNOWLEDGE | Status.DRIVER);
    this.writeFeatures(features + bits(Feature.VERSION_1));
    this.w(R.Status, Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
    return (this.status & Status.FEATURES_OK) !== 0;
  }
  writeFeatures(features: number): void {
    this.w(R.DriverFeaturesSel, 0);
    this.w(R.DriverFeatures, features % V1);
    this.w(R.DriverFeaturesSel, 1);
    this.w(R.DriverFeatures, Math.floor(features / V1));
  }

  setQueue(index: number, size: number, desc: number, driver: number, device: number): void {
    this.w(R.QueueSel, index);
    this.w(R.QueueNum, size);
    const areas: [number, number][] = [
      [R.QueueDescLow, desc],
      [R.QueueDriverLow, driver],
      [R.QueueDeviceLow, device],
    ];
    for (const [reg, addr] of areas) {
      this.w(reg, addr % V1);
      this.w(reg + 4, Math.floor(addr / V1));
    }
    this.w(R.QueueReady, 1);
  }

  addSplit(index: number, size: number): SplitQueue {
    const q = new SplitQueue(this.mem, index, size);
    this.setQueue(index, size, q.desc, q.avail, q.used);
    this.queues[index] = q;
    return q;
  }
  addPacked(index: number, size: number): PackedQueue {
    const q = new PackedQueue(this.mem, index, size);
    this.setQueue(index, size, q.desc, q.driver, q.device);
    this.queues[index] = q;
    return q;
  }

  /** Negotiates, makes `count` queues of `size` and sets DRIVER_OK. */
  start(features = 0, count = 1, size = 8): this {
    expect(this.negotiate(features)).toBe(true);
    const packed = Math.floor(features / 2 ** Feature.RING_PACKED) % 2 === 1;
    for (let i = 0; i < count; i++) packed ? this.addPacked(i, size) : this.addSplit(i, size);
    this.driverOk();
    return this;
  }
  driverOk(): void {
    this.w(R.Status, this.status | Status.DRIVER_OK);
  }

  split(index = 0): SplitQueue {
    const q = this.queues[index];
    if (!(q instanceof SplitQueue)) throw new Error("not a split queue");
    return q;
  }
  packed(index = 0): PackedQueue {
    const q = this.queues[index];
    if (!(q instanceof PackedQueue)) throw new Error("not a packed queue");
    return q;
  }

  kick(index = 0): void {
    this.w(R.QueueNotify, index);
  }
  /** Acknowledges and returns the interrupts that were pending. */
  ack(): number {
    const isr = this.r(R.InterruptStatus);
    this.w(R.InterruptACK, isr);
    return isr;
  }
}
