// Packed virtqueues (2.8): one ring of descriptors that driver and device both write, with a wrap counter on each side.

import type { Saved } from "../../util/stateful.ts";
import { SavedFields } from "../saved.ts";
import { put32, u16 } from "./bytes.ts";
import { addSegment, type Chain, type Descriptor, decodeDescriptor, readDescriptor } from "./chain.ts";
import { DESC_SIZE, DescFlag, MAX_INDIRECT, MAX_QUEUE_SIZE } from "./constants.ts";
import type { RingConfig, RingOwner, Virtqueue } from "./queue.ts";

/** Event suppression structure (2.8.10): {u16 offset 14:0 | wrap 15, u16 flags}. */
const Event = { ENABLE: 0, DISABLE: 1, DESC: 2 } as const;

/** Why a packed queue cannot be made ready, or undefined (2.8: size up to 2^15, alignment 16, 4, 4). */
export function packedRingProblem(c: RingConfig): string | undefined {
  if (c.size === 0 || c.size > MAX_QUEUE_SIZE) return `queue size ${c.size}`;
  if (c.desc % 16 !== 0 || c.driver % 4 !== 0 || c.device % 4 !== 0) return "ring addresses are not aligned";
  return undefined;
}

export class PackedRing implements Virtqueue {
  private readonly c: RingConfig;
  private readonly owner: RingOwner;
  /** Slot and wrap counter (1 at first) of the next buffer to take and of the next to return. */
  private availAt = 0;
  private availWrap = 1;
  private usedAt = 0;
  private usedWrap = 1;
  /** Slots returned since the driver was last told. */
  private unsignalled = 0;

  constructor(config: RingConfig, owner: RingOwner) {
    this.c = config;
    this.owner = owner;
  }

  start(): void {
    // Device event suppression: every buffer notifies (2.8.10).
    if (!this.owner.dma.write(this.c.device, new Uint8Array(4))) this.fail("the device area is not in memory");
  }

  available(): number {
    if (this.owner.failed) return 0;
    // Only whether there is one is cheap to know; a chain takes a slot or more, so the size bounds how many there are.
    const flags = this.read16(this.c.desc + DESC_SIZE * this.availAt + 14);
    return flags !== undefined && this.isAvailable(flags) ? this.c.size : 0;
  }

  private isAvailable(flags: number): boolean {
    const avail = (flags & DescFlag.AVAIL) !== 0 ? 1 : 0;
    const used = (flags & DescFlag.USED) !== 0 ? 1 : 0;
    return avail === this.availWrap && used !== this.availWrap;
  }

  pop(): Chain | undefined {
    if (this.available() === 0) return undefined;
    const chain: Chain = { id: 0, slots: 0, readable: [], writable: [] };
    if (!this.walk(chain)) return undefined;
    this.availAt += chain.slots;
    if (this.availAt >= this.c.size) {
      this.availAt -= this.c.size;
      this.availWrap ^= 1;
    }
    return chain;
  }

  /** Collects the chain that starts at `availAt`; the last descriptor carries the buffer id. False: it breaks the rules. */
  private walk(chain: Chain): boolean {
    while (chain.slots < this.c.size) {
      const slot = (this.availAt + chain.slots++) % this.c.size;
      const d = readDescriptor(this.owner.dma, this.c.desc + DESC_SIZE * slot, true);
      if (d === undefined) return this.fail("the descriptor ring is not in memory");
      chain.id = d.nextOrId;
      if ((d.flags & DescFlag.INDIRECT) !== 0) return this.walkIndirect(chain, d);
      if (!addSegment(chain, d)) return this.fail("a device-readable descriptor follows a device-writable one");
      if ((d.flags & DescFlag.NEXT) === 0) return true;
    }
    return this.fail("a descriptor chain is longer than the queue");
  }

  /** An indirect table is a chain of its own: all its descriptors, in order, of whose flags only WRITE counts (2.8.8). */
  private walkIndirect(chain: Chain, table: Descriptor): boolean {
    if (!this.c.indirect) return this.fail("indirect descriptor, but INDIRECT_DESC was not negotiated");
    if ((table.flags & DescFlag.NEXT) !== 0 || chain.slots !== 1) return this.fail("an indirect descriptor is linked with others");
    if (table.len === 0 || table.len % DESC_SIZE !== 0) return this.fail(`indirect table of ${table.len} bytes`);
    const entries = table.len / DESC_SIZE;
    if (entries > MAX_INDIRECT) return this.fail(`indirect table of ${entries} descriptors`);
    const bytes = this.owner.dma.read(table.addr, table.len);
    if (bytes === undefined) return this.fail("an indirect table is not in memory");
    for (let i = 0; i < entries; i++) {
      const ordered = addSegment(chain, decodeDescriptor(bytes, i * DESC_SIZE, true));
      if (!ordered) return this.fail("a device-readable descriptor follows a device-writable one");
    }
    return true;
  }

  push(chain: Chain, written: number): void {
    if (this.owner.failed) return;
    // Length, id and flags are the last 8 bytes of a descriptor; WRITE says that the length means something (2.8.4).
    const wrap = this.usedWrap === 1 ? DescFlag.AVAIL | DescFlag.USED : 0;
    const tail = new Uint8Array(8);
    put32(tail, 0, written);
    put32(tail, 4, chain.id | ((wrap | (written > 0 ? DescFlag.WRITE : 0)) << 16));
    if (!this.owner.dma.write(this.c.desc + DESC_SIZE * this.usedAt + 8, tail)) this.fail("the descriptor ring is not in memory");
    this.usedAt += chain.slots;
    if (this.usedAt >= this.c.size) {
      this.usedAt -= this.c.size;
      this.usedWrap ^= 1;
    }
    this.unsignalled = Math.min(this.unsignalled + chain.slots, this.c.size);
  }

  flush(): boolean {
    if (this.owner.failed) return false;
    const passed = this.unsignalled;
    this.unsignalled = 0;
    if (passed === 0) return false;
    const flags = this.read16(this.c.driver + 2);
    if (flags === undefined || flags === Event.DISABLE) return false;
    if (flags !== Event.DESC || !this.c.eventIdx) return true;
    const offWrap = this.read16(this.c.driver) ?? 0;
    // Slots from the driver's event position to where the device is now; it was passed if that is within what was returned.
    const sameLap = offWrap >> 15 === this.usedWrap;
    const distance = this.usedAt - (offWrap & 0x7fff) + (sameLap ? 0 : this.c.size);
    return distance >= 1 && distance <= passed;
  }

  private read16(addr: number): number | undefined {
    const bytes = this.owner.dma.read(addr, 2);
    if (bytes === undefined) this.fail("the ring or the driver area is not in memory");
    return bytes && u16(bytes, 0);
  }

  private fail(reason: string): false {
    this.owner.fail(reason);
    return false;
  }

  save(): Saved {
    const { availAt, availWrap, usedAt, usedWrap, unsignalled } = this;
    return { availAt, availWrap, usedAt, usedWrap, unsignalled };
  }

  restore(state: Saved): void {
    const s = new SavedFields(state, "packed virtqueue");
    this.availAt = s.uint("availAt", this.c.size - 1);
    this.availWrap = s.uint("availWrap", 1);
    this.usedAt = s.uint("usedAt", this.c.size - 1);
    this.usedWrap = s.uint("usedWrap", 1);
    this.unsignalled = s.uint("unsignalled", this.c.size);
  }
}
