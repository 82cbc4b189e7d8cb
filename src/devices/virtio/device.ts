// A virtio device, independent of how it is attached; and the transport as the device sees it.

import type { Stateful } from "../../util/stateful.ts";
import type { Dma } from "../device.ts";
import type { Chain } from "./chain.ts";
import type { ConfigField } from "./config.ts";
import type { Virtqueue } from "./queue.ts";

/** What a transport offers the device behind it. */
export interface VirtioTransport {
  readonly dma: Dma;
  /** Queue `index`, while the driver lets the device use it; undefined before that, and after a failure until the next reset. */
  queue(index: number): Virtqueue | undefined;
  /** Whether feature bit `bit` was negotiated. */
  negotiated(bit: number): boolean;
  /** Ends a batch on queue `index`: interrupts the driver if it wants that. */
  flush(index: number): void;
  /** The configuration space changed: new generation, interrupt. */
  configChanged(): void;
  /** The driver broke the rules beyond what a request's status could say: NEEDS_RESET (2.1.2). */
  fail(reason: string): void;
}

/** A device type. Requests are processed within `notify`; nothing is in flight between two accesses. */
export interface VirtioDevice extends Stateful {
  readonly name: string;
  /** Device type number (5). */
  readonly id: number;
  /** Maximum size of each queue. */
  readonly queueSizes: readonly number[];
  /** Device-specific feature bits offered, as a mask of bits 0 to 23. */
  readonly features: number;
  readonly config: readonly ConfigField[];
  /** Called once, before anything else. */
  attach(transport: VirtioTransport): void;
  /** The driver made buffers available in queue `queue`, or may have: DRIVER_OK was just set. */
  notify(queue: number): void;
  /** The driver reset the device. */
  reset(): void;
}

/**
 * Handles what is available in queue `index`, no more than the queue can hold. `handle` returns how many bytes it wrote to the
 * buffer, or undefined after it called `fail`.
 */
export function processQueue(transport: VirtioTransport, index: number, handle: (chain: Chain) => number | undefined): void {
  const queue = transport.queue(index);
  if (queue === undefined) return;
  for (let left = queue.available(); left > 0; left--) {
    const chain = queue.pop();
    const written = chain && handle(chain);
    if (chain === undefined || written === undefined) break;
    queue.push(chain, written);
  }
  transport.flush(index);
}
