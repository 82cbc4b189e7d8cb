// What bus mastering devices reach by themselves: RAM, as requesters of the Non-secure PA space, behind a granule protection check.

import type { Dma } from "../devices/device.ts";
import { dmaRefusedAt } from "../gpt/dma.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import type { GranuleCheck } from "../mmu/table.ts";

/** A transfer that did not take place; nothing of it did. Addresses and length in bytes. */
export interface RefusedTransfer {
  /** Who made it. */
  readonly device: string;
  readonly write: boolean;
  readonly pa: number;
  readonly length: number;
  /** The first byte that the device may not reach. */
  readonly at: number;
}

export interface DmaPortOptions {
  readonly phys: PhysicalMemory;
  /** The check in front of the device. */
  check(): GranuleCheck | undefined;
  /** Told before memory changes. */
  written(pa: number, length: number): void;
  refused(transfer: RefusedTransfer): void;
}

/** The way of one device to memory. */
export class DmaPort implements Dma {
  private readonly device: string;
  private readonly o: DmaPortOptions;

  constructor(device: string, options: DmaPortOptions) {
    this.device = device;
    this.o = options;
  }

  read(pa: number, length: number): Uint8Array | undefined {
    return this.mayAccess(pa, length, false) ? this.o.phys.readBytes(pa, length) : undefined;
  }
  write(pa: number, data: Uint8Array): boolean {
    if (!this.mayAccess(pa, data.length, true)) return false;
    this.o.written(pa, data.length);
    return this.o.phys.writeBytes(pa, data);
  }

  private mayAccess(pa: number, length: number, write: boolean): boolean {
    const { phys } = this.o;
    const at = dmaRefusedAt(phys, this.o.check(), pa, length) ?? firstOutside(phys, pa, length);
    if (at === undefined) return true;
    this.o.refused({ device: this.device, write, pa, length, at });
    return false;
  }
}

/** The first byte of a range that is no RAM; undefined: all of it is. */
function firstOutside(phys: PhysicalMemory, pa: number, length: number): number | undefined {
  for (let at = pa; at < pa + length; ) {
    const region = phys.ramRegions.find((r) => at >= r.base && at < r.base + r.size);
    if (region === undefined) return at;
    at = region.base + region.size;
  }
  return undefined;
}
