// A virtqueue as devices use it, independent of the ring format; and what the driver configured it to be.

import type { Saved } from "../../util/stateful.ts";
import type { Dma } from "../device.ts";
import type { Chain } from "./chain.ts";

/** Where a ring lies and how big it is, as the driver set it up. */
export interface RingConfig {
  /** Number of descriptors. */
  size: number;
  /** Addresses of the descriptor area, the driver area (available ring) and the device area (used ring). */
  desc: number;
  driver: number;
  device: number;
  /** Negotiated features that change the ring. */
  indirect: boolean;
  eventIdx: boolean;
}

/**
 * A live virtqueue. A driver can only be wrong through memory, so every method survives any contents: what breaks the rules
 * calls `fail` of the ring's owner, and the queue then yields nothing more.
 */
export interface Virtqueue {
  /** The driver just made the queue ready: the device initialises its own area. */
  start(): void;
  /**
   * Buffers that may be taken now; at most the queue size. A device that handles a notification takes this many and no more: its
   * own writes could otherwise keep making new ones.
   */
  available(): number;
  /** The next buffer, or undefined when there is none or the ring is broken. */
  pop(): Chain | undefined;
  /** Returns a buffer to the driver with `written` bytes in its device-writable part. */
  push(chain: Chain, written: number): void;
  /** The batch is over: tells the driver where to notify next; true when the driver wants an interrupt for what was pushed since. */
  flush(): boolean;
  /** Positions in the ring; the configuration is the transport's to save. */
  save(): Saved;
  restore(state: Saved): void;
}

/** What a ring implementation is given. */
export interface RingOwner {
  readonly dma: Dma;
  /** `fail` was called and the driver has not reset the device yet. */
  readonly failed: boolean;
  /** The driver broke the rules: the device needs reset (2.1.2). */
  fail(reason: string): void;
}
