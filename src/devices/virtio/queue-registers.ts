// The registers of one queue in the memory-mapped transport (4.2.2), modern and legacy, and the ring they make.

import type { Saved } from "../../util/stateful.ts";
import { SavedFields } from "../saved.ts";
import { address } from "./bytes.ts";
import { DESC_SIZE, MAX_QUEUE_SIZE } from "./constants.ts";
import { PackedRing, packedRingProblem } from "./packed-ring.ts";
import type { RingConfig, RingOwner, Virtqueue } from "./queue.ts";
import { SplitRing, splitRingProblem } from "./split-ring.ts";

/** Negotiated features that decide what ring a queue has. */
export interface RingFeatures {
  packed: boolean;
  indirect: boolean;
  eventIdx: boolean;
}

/** Register halves of the three area addresses: [desc, driver, device] x [low, high]. */
type Areas = [number, number, number, number, number, number];

export class QueueRegisters {
  /** QueueNumMax. */
  readonly max: number;
  /** QueueNum; starts as the maximum, which legacy drivers rely on. */
  num: number;
  /** QueueDescLow, ..High, QueueDriverLow, ..High, QueueDeviceLow, ..High. */
  areas: Areas = [0, 0, 0, 0, 0, 0];
  /** Legacy QueuePFN and QueueAlign. */
  pfn = 0;
  align = 0;
  /** The live ring; undefined while QueueReady (or QueuePFN) is 0. */
  ring: Virtqueue | undefined;

  constructor(max: number) {
    this.max = max;
    this.num = max;
  }

  /** Makes the ring from the address registers. Returns why it cannot, or undefined. */
  enable(owner: RingOwner, f: RingFeatures): string | undefined {
    const [dl, dh, al, ah, ul, uh] = this.areas;
    return this.make(owner, f, address(dl, dh), address(al, ah), address(ul, uh));
  }

  /** Makes the ring of a legacy queue: one block of guest pages (2.7.2, "legacy"). Returns why it cannot, or undefined. */
  enableLegacy(owner: RingOwner, f: RingFeatures, pageSize: number): string | undefined {
    const { num, align } = this;
    if (pageSize === 0 || align === 0 || (align & (align - 1)) !== 0) return `page size ${pageSize}, queue alignment ${align}`;
    const desc = this.pfn * pageSize;
    const driver = desc + DESC_SIZE * num;
    const device = Math.ceil((driver + 6 + 2 * num) / align) * align;
    return this.make(owner, f, desc, driver, device);
  }

  private make(owner: RingOwner, f: RingFeatures, desc: number, driver: number, device: number): string | undefined {
    if (this.num > this.max) return `queue size ${this.num} is above the maximum ${this.max}`;
    const config: RingConfig = { size: this.num, desc, driver, device, indirect: f.indirect, eventIdx: f.eventIdx };
    const problem = f.packed ? packedRingProblem(config) : splitRingProblem(config);
    if (problem === undefined) this.ring = f.packed ? new PackedRing(config, owner) : new SplitRing(config, owner);
    return problem;
  }

  reset(): void {
    this.num = this.max;
    this.areas = [0, 0, 0, 0, 0, 0];
    this.pfn = this.align = 0;
    this.ring = undefined;
  }

  save(): Saved {
    const { num, areas, pfn, align, ring } = this;
    return { num, areas: [...areas], pfn, align, ring: ring === undefined ? null : ring.save() };
  }

  /** Restores the registers; returns the saved state of a ring that `enable` or `enableLegacy` has to make first. */
  restore(state: Saved): Saved {
    const s = new SavedFields(state, "virtio queue");
    this.num = s.uint("num");
    const areas = s.uints("areas", 6, 0xffff_ffff);
    this.areas = [0, 1, 2, 3, 4, 5].map((i) => areas[i] ?? 0) as Areas;
    this.pfn = s.uint("pfn");
    this.align = s.uint("align");
    this.ring = undefined;
    return s.part("ring");
  }
}

/** The maximum a device may declare. */
export const validQueueSize = (size: number): boolean => size > 0 && size <= MAX_QUEUE_SIZE && (size & (size - 1)) === 0;
