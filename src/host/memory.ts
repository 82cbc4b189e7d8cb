// Memory as the host uses it: a pool of granules, and loads and stores of a Non-secure PE, each under the granule protection check.

import { Pas, Security } from "../arch/security.ts";
import { SavedFields } from "../devices/saved.ts";
import { dmaPermitted } from "../gpt/dma.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import type { GranuleCheck } from "../mmu/table.ts";
import { GRANULE } from "../rmm/status.ts";
import { EmuError, hex } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";

/** What the host needs of the machine to access memory. */
export interface HostMemoryPort {
  readonly phys: PhysicalMemory;
  /** The granule protection check of the host's PE; undefined: none. */
  check(): GranuleCheck | undefined;
  /** Told before memory changes (predecoded code, exclusive monitors). */
  written(pa: number, bytes: number): void;
}

/** A range of physical memory: base and size in bytes, multiples of a granule. */
export interface MemoryRange {
  readonly base: number;
  readonly size: number;
}

export class HostMemory implements Stateful {
  private readonly port: HostMemoryPort;
  private readonly range: MemoryRange;
  private next: number;
  private readonly free: number[] = [];

  /** `range`: what the host may give to realms and use itself. */
  constructor(port: HostMemoryPort, range: MemoryRange) {
    this.port = port;
    this.range = range;
    this.next = range.base;
  }

  /** Granules taken and not given back. */
  get used(): number {
    return (this.next - this.range.base) / GRANULE - this.free.length;
  }

  /** Takes a granule. */
  take(): number {
    return this.free.pop() ?? this.takeAligned(1);
  }
  /** Takes `count` contiguous granules at a multiple of `align` bytes; default: of their total size. */
  takeAligned(count: number, align = count * GRANULE): number {
    const size = count * GRANULE;
    const at = Math.ceil(this.next / align) * align;
    for (let skipped = this.next; skipped < at; skipped += GRANULE) this.free.push(skipped);
    if (at + size > this.range.base + this.range.size) {
      throw new EmuError("host-out-of-memory", `the host has no memory left for the realm: ${hex(this.range.size)} bytes are in use`);
    }
    this.next = at + size;
    return at;
  }
  /** Gives a granule back. It must be in the Non-secure PA space again. */
  give(pa: number): void {
    this.free.push(pa);
  }

  /** Is every byte of the range accessible in the Non-secure PA space? What is in one granule is asked about as a PE does. */
  accessible(pa: number, length: number): boolean {
    const { phys } = this.port;
    const check = this.port.check();
    if (check?.checkOften === undefined || !check.active || (pa % GRANULE) + length > GRANULE) return dmaPermitted(phys, check, pa, length);
    return check.checkOften(pa, Pas.NonSecure, Security.NonSecure) === 0 && !phys.hidden(pa, Pas.NonSecure);
  }
  /** Loads; undefined: a granule protection fault, or no memory. */
  read(pa: number, length: number): Uint8Array | undefined {
    return this.accessible(pa, length) ? this.port.phys.readBytes(pa, length) : undefined;
  }
  /** Loads into `to`, within 64 KiB; false: a granule protection fault, or no memory. */
  readInto(pa: number, to: Uint8Array): boolean {
    const { phys } = this.port;
    const at = this.accessible(pa, to.length) ? phys.host(pa) : 0;
    if (at !== 0) to.set(phys.u8.subarray(at, at + to.length));
    return at !== 0;
  }
  /** Stores; false: a granule protection fault, or no memory. */
  write(pa: number, data: Uint8Array): boolean {
    if (!this.accessible(pa, data.length)) return false;
    this.port.written(pa, data.length);
    return this.port.phys.writeBytes(pa, data);
  }

  /** A register access of the host to a device. Throws EmuError("host-device") when the device answers with an error. */
  writeDevice(pa: number, value: number): void {
    const found = this.port.phys.deviceAt(pa);
    const done = found?.device.write(found.offset, 4, value, { pas: Security.NonSecure, pe: 0 });
    if (done !== true) throw new EmuError("host-device", `the host cannot reach its device at ${hex(pa)}`);
  }
  /** Which granules are in use; contents are the machine's. */
  save(): Saved {
    return { next: this.next, free: [...this.free] };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "host memory");
    const end = this.range.base + this.range.size;
    this.next = s.uint("next", end);
    this.free.splice(0, Number.POSITIVE_INFINITY, ...s.uints("free", this.range.size / GRANULE, end));
  }
}
