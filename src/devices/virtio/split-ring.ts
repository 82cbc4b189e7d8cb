// Split virtqueues (2.7): descriptor table, available ring (driver to device), used ring (device to driver).

import type { Saved } from "../../util/stateful.ts";
import { SavedFields } from "../saved.ts";
import { le16, put32, u16 } from "./bytes.ts";
import { addSegment, type Chain, type Descriptor, decodeDescriptor, readDescriptor } from "./chain.ts";
import { DESC_SIZE, DescFlag, MAX_INDIRECT } from "./constants.ts";
import type { RingConfig, RingOwner, Virtqueue } from "./queue.ts";

/** available: {u16 flags, u16 idx, u16 ring[size], u16 used_event}; used: {u16 flags, u16 idx, {u32 id, u32 len} ring[size], u16 avail_event}. */
const RING = 4;
const NO_INTERRUPT = 1;

/** Why a split queue cannot be made ready, or undefined (2.7: power of two, alignment 16, 2, 4). */
export function splitRingProblem(c: RingConfig): string | undefined {
  if (c.size === 0 || (c.size & (c.size - 1)) !== 0) return `queue size ${c.size} is not a power of two`;
  if (c.desc % 16 !== 0 || c.driver % 2 !== 0 || c.device % 4 !== 0) return "ring addresses are not aligned";
  return undefined;
}

export class SplitRing implements Virtqueue {
  private readonly c: RingConfig;
  private readonly owner: RingOwner;
  /** Free-running 16-bit indices: next to take, next to return, and the latter when the driver was last told. */
  private nextAvail = 0;
  private nextUsed = 0;
  private signalled = 0;

  constructor(config: RingConfig, owner: RingOwner) {
    this.c = config;
    this.owner = owner;
  }

  start(): void {
    // The driver zeroed the used ring, which is what an enabled queue needs (2.7.8).
  }

  available(): number {
    if (this.owner.failed) return 0;
    const idx = this.read16(this.c.driver + 2);
    if (idx === undefined) return 0;
    const count = (idx - this.nextAvail) & 0xffff;
    if (count <= this.c.size) return count;
    this.owner.fail(`available index ${idx} is ${count} ahead of the device, more than the queue size ${this.c.size}`);
    return 0;
  }

  pop(): Chain | undefined {
    if (this.available() === 0) return undefined;
    const head = this.read16(this.c.driver + RING + 2 * (this.nextAvail % this.c.size));
    if (head === undefined) return undefined;
    const chain: Chain = { id: head, slots: 1, readable: [], writable: [] };
    if (!this.walk(chain, head)) return undefined;
    this.nextAvail = (this.nextAvail + 1) & 0xffff;
    return chain;
  }

  /** Follows the chain from descriptor `head`. False: it breaks the rules. */
  private walk(chain: Chain, head: number): boolean {
    let index = head;
    for (let n = 0; n < this.c.size; n++) {
      if (index >= this.c.size) return this.fail(`descriptor index ${index} is not below the queue size ${this.c.size}`);
      const d = readDescriptor(this.owner.dma, this.c.desc + DESC_SIZE * index, false);
      if (d === undefined) return this.fail("the descriptor table is not in memory");
      if ((d.flags & DescFlag.INDIRECT) !== 0) return this.walkIndirect(chain, d);
      if (!addSegment(chain, d)) return this.fail("a device-readable descriptor follows a device-writable one");
      if ((d.flags & DescFlag.NEXT) === 0) return true;
      index = d.nextOrId;
    }
    return this.fail("a descriptor chain is longer than the queue: it loops");
  }

  /** An indirect table ends the chain (2.7.5.3): its descriptors are linked among themselves from number 0. */
  private walkIndirect(chain: Chain, table: Descriptor): boolean {
    if (!this.c.indirect) return this.fail("indirect descriptor, but INDIRECT_DESC was not negotiated");
    if ((table.flags & DescFlag.NEXT) !== 0) return this.fail("an indirect descriptor has NEXT set");
    if (table.len === 0 || table.len % DESC_SIZE !== 0) return this.fail(`indirect table of ${table.len} bytes`);
    const entries = Math.min(table.len / DESC_SIZE, MAX_INDIRECT);
    const bytes = this.owner.dma.read(table.addr, entries * DESC_SIZE);
    if (bytes === undefined) return this.fail("an indirect table is not in memory");
    let index = 0;
    for (let n = 0; n < entries; n++) {
      if (index >= entries) return this.fail(`index ${index} is outside an indirect table of ${entries} descriptors`);
      const d = decodeDescriptor(bytes, index * DESC_SIZE, false);
      if ((d.flags & DescFlag.INDIRECT) !== 0) return this.fail("an indirect table contains an indirect descriptor");
      if (!addSegment(chain, d)) return this.fail("a device-readable descriptor follows a device-writable one");
      if ((d.flags & DescFlag.NEXT) === 0) return true;
      index = d.nextOrId;
    }
    return this.fail("the descriptors of an indirect table loop");
  }

  push(chain: Chain, written: number): void {
    if (this.owner.failed) return;
    const element = new Uint8Array(8);
    put32(element, 0, chain.id);
    put32(element, 4, written);
    const slot = this.c.device + RING + 8 * (this.nextUsed % this.c.size);
    this.nextUsed = (this.nextUsed + 1) & 0xffff;
    this.write(slot, element);
    this.write(this.c.device + 2, le16(this.nextUsed));
  }

  flush(): boolean {
    if (this.owner.failed) return false;
    // Ask for a notification at the next buffer (2.7.10). Without EVENT_IDX, used.flags stays 0 and every buffer notifies.
    if (this.c.eventIdx) this.write(this.c.device + RING + 8 * this.c.size, le16(this.nextAvail));
    const old = this.signalled;
    this.signalled = this.nextUsed;
    if (old === this.nextUsed) return false;
    if (!this.c.eventIdx) return ((this.read16(this.c.driver) ?? NO_INTERRUPT) & NO_INTERRUPT) === 0;
    // Interrupt if the driver's used_event was passed, modulo 2^16 (2.7.7.2).
    const event = this.read16(this.c.driver + RING + 2 * this.c.size);
    return event !== undefined && ((this.nextUsed - event - 1) & 0xffff) < ((this.nextUsed - old) & 0xffff);
  }

  private read16(addr: number): number | undefined {
    const bytes = this.owner.dma.read(addr, 2);
    if (bytes === undefined) this.fail("the available ring is not in memory");
    return bytes && u16(bytes, 0);
  }

  private write(addr: number, data: Uint8Array): void {
    if (!this.owner.dma.write(addr, data)) this.fail("the used ring is not in memory");
  }

  private fail(reason: string): false {
    this.owner.fail(reason);
    return false;
  }

  save(): Saved {
    const { nextAvail, nextUsed, signalled } = this;
    return { nextAvail, nextUsed, signalled };
  }

  restore(state: Saved): void {
    const s = new SavedFields(state, "split virtqueue");
    this.nextAvail = s.uint("nextAvail", 0xffff);
    this.nextUsed = s.uint("nextUsed", 0xffff);
    this.signalled = s.uint("signalled", 0xffff);
  }
}
