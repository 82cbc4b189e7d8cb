// What is the same however a virtio device is attached: feature negotiation, device status, queues (2.1 to 2.6, 3.1).

import { EmuError } from "../../util/errors.ts";
import type { Saved } from "../../util/stateful.ts";
import type { Dma } from "../device.ts";
import type { SavedFields } from "../saved.ts";
import { ConfigSpace } from "./config.ts";
import { Feature, Status } from "./constants.ts";
import type { VirtioDevice, VirtioTransport } from "./device.ts";
import { boundedDma } from "./dma.ts";
import type { RingOwner, Virtqueue } from "./queue.ts";
import { QueueRegisters, type RingFeatures, validQueueSize } from "./queue-registers.ts";

/** Feature bits as two 32-bit words. */
export type FeatureWords = [number, number];

/** What a board can choose about the features of any transport. */
export interface FeatureOptions {
  /** Offer ACCESS_PLATFORM, and insist on it: the guest then goes through its DMA API (a realm guest shares its buffers). */
  accessPlatform?: boolean;
  /** Offer packed virtqueues (not to legacy drivers); the default is not to, as QEMU. */
  packed?: boolean;
  /** Offer EVENT_IDX and INDIRECT_DESC; the default is to. */
  eventIdx?: boolean;
  indirect?: boolean;
}

/** Why the driver is interrupted. */
export type Cause = "queue" | "config";

export interface CoreOptions extends FeatureOptions {
  name: string;
  dma: Dma;
  device: VirtioDevice | undefined;
  /** 1: the interface from before virtio 1.0. */
  version: 1 | 2;
  interrupt(cause: Cause): void;
  log?: ((message: string) => void) | undefined;
}

function offeredFeatures(o: CoreOptions): FeatureWords {
  const words: FeatureWords = [o.device?.features ?? 0, 0];
  const offer = (bit: number, yes: boolean): void => {
    if (yes) words[bit < 32 ? 0 : 1] |= 1 << (bit & 31);
  };
  offer(Feature.INDIRECT_DESC, o.indirect ?? true);
  offer(Feature.EVENT_IDX, o.eventIdx ?? true);
  if (o.version === 2) {
    offer(Feature.VERSION_1, true);
    offer(Feature.RING_RESET, true);
    offer(Feature.ACCESS_PLATFORM, o.accessPlatform ?? false);
    offer(Feature.RING_PACKED, o.packed ?? false);
  }
  return [words[0] >>> 0, words[1] >>> 0];
}

export class VirtioCore implements VirtioTransport, RingOwner {
  readonly dma: Dma;
  readonly offered: FeatureWords;
  readonly queues: QueueRegisters[];
  readonly config: ConfigSpace;
  status = 0;
  generation = 0;
  private accepted: FeatureWords = [0, 0];
  private readonly o: CoreOptions;

  constructor(o: CoreOptions) {
    this.o = o;
    this.dma = boundedDma(o.dma);
    this.offered = offeredFeatures(o);
    this.config = new ConfigSpace(o.device?.config ?? []);
    this.queues = (o.device?.queueSizes ?? []).map((max) => {
      if (!validQueueSize(max)) throw new EmuError("virtio-queue-size", `${o.name}: a queue of ${max} is not a power of two up to 32768`);
      return new QueueRegisters(max);
    });
    o.device?.attach(this);
  }

  // --- what the device and the rings see ---

  get failed(): boolean {
    return (this.status & Status.NEEDS_RESET) !== 0;
  }

  /** The device may use its queues. Legacy drivers may use them before DRIVER_OK (3.1.2). */
  private get running(): boolean {
    const ready = this.o.version === 2 ? Status.DRIVER_OK : Status.DRIVER;
    return (this.status & (ready | Status.NEEDS_RESET | Status.FAILED)) === ready;
  }

  queue(index: number): Virtqueue | undefined {
    return this.running ? this.queues[index]?.ring : undefined;
  }

  negotiated(bit: number): boolean {
    if (this.o.version === 2 && (this.status & Status.FEATURES_OK) === 0) return false;
    const word = bit < 32 ? 0 : 1;
    return ((this.accepted[word] & this.offered[word]) >>> (bit & 31)) % 2 === 1;
  }

  flush(index: number): void {
    if (this.queue(index)?.flush() === true) this.o.interrupt("queue");
  }

  configChanged(): void {
    this.generation = (this.generation + 1) >>> 0;
    if ((this.status & Status.DRIVER_OK) !== 0) this.o.interrupt("config");
  }

  fail(reason: string): void {
    if (this.failed) return;
    this.o.log?.(`${this.o.name}: ${reason}; the device needs reset`);
    const told = (this.status & Status.DRIVER_OK) !== 0;
    this.status |= Status.NEEDS_RESET;
    if (told) this.o.interrupt("config");
  }

  private ringFeatures(): RingFeatures {
    return {
      packed: this.negotiated(Feature.RING_PACKED),
      indirect: this.negotiated(Feature.INDIRECT_DESC),
      eventIdx: this.negotiated(Feature.EVENT_IDX),
    };
  }

  // --- what drivers do through the transport's registers ---

  /** The driver (or the board) resets the device: everything but the generation returns to its first value. */
  reset(): void {
    this.accepted = [0, 0];
    this.status = 0;
    for (const q of this.queues) q.reset();
    this.o.device?.reset();
  }

  /** Word 0 or 1 of what the driver accepted so far. */
  acceptedWord(word: number): number {
    return this.accepted[word] ?? 0;
  }

  /** Features are fixed once FEATURES_OK is set; for a legacy driver, once it uses a queue or runs. */
  acceptFeatures(word: number, value: number): void {
    if ((this.status & (Status.FEATURES_OK | Status.DRIVER_OK)) !== 0 || this.queues.some((q) => q.ring !== undefined)) return;
    if (word === 0 || word === 1) this.accepted[word] = value;
  }

  /** A nonzero status; writing 0 is `reset`, with whatever the transport resets. */
  writeStatus(value: number): void {
    // Only a reset clears bits (2.1.1), and NEEDS_RESET is the device's own.
    let next = this.status | (value & ~Status.NEEDS_RESET);
    if (this.o.version === 2) {
      if ((next & ~this.status & Status.FEATURES_OK) !== 0 && !this.featuresAcceptable()) next &= ~Status.FEATURES_OK;
      if ((next & Status.FEATURES_OK) === 0) next &= ~Status.DRIVER_OK;
    }
    const starts = (next & ~this.status & Status.DRIVER_OK) !== 0;
    this.status = next;
    // Buffers that were made available, and notified too early, before DRIVER_OK.
    if (starts) for (let i = 0; i < this.queues.length; i++) this.notify(i);
  }

  /** 2.2.2: nothing that was not offered; VERSION_1; and ACCESS_PLATFORM if offered, for other addresses would not be honoured. */
  private featuresAcceptable(): boolean {
    const [lo, hi] = this.accepted;
    const mandatory = this.offered[1] & ((1 << (Feature.VERSION_1 - 32)) | (1 << (Feature.ACCESS_PLATFORM - 32)));
    return (lo & ~this.offered[0]) === 0 && (hi & ~this.offered[1]) === 0 && (hi & mandatory) === mandatory;
  }

  /** The driver has put something into queue `index`. */
  notify(index: number): void {
    if (this.queue(index) !== undefined) this.o.device?.notify(index);
  }

  /** QueueReady = 1, queue_enable = 1 (4.2.2, 4.1.4.3). */
  enableQueue(q: QueueRegisters): void {
    if (q.ring !== undefined || this.failed) return;
    if ((this.status & Status.FEATURES_OK) === 0) this.fail("a queue is made ready before the features are negotiated");
    else this.start(q, q.enable(this, this.ringFeatures()));
  }
  /** QueuePFN of a legacy driver. */
  enableLegacyQueue(q: QueueRegisters, pageSize: number): void {
    if (!this.failed) this.start(q, q.enableLegacy(this, this.ringFeatures(), pageSize));
  }
  private start(q: QueueRegisters, problem: string | undefined): void {
    if (problem !== undefined) this.fail(problem);
    q.ring?.start();
  }
  /** QueueReset, queue_reset. */
  resetQueue(q: QueueRegisters): void {
    if (this.negotiated(Feature.RING_RESET)) q.reset();
  }

  // --- state ---

  save(): { [key: string]: Saved } {
    const { accepted, status, generation } = this;
    const queues = this.queues.map((q) => q.save());
    return { accepted: [...accepted], status, generation, queues, device: this.o.device?.save() ?? null };
  }

  /** `s`: of an object with the fields that `save` returned. `pageSize`: of a legacy driver. */
  restore(s: SavedFields, pageSize = 0): void {
    const [lo, hi] = s.uints("accepted", 2, 0xffff_ffff);
    this.accepted = [lo ?? 0, hi ?? 0];
    this.status = s.uint("status", 0xff);
    this.generation = s.uint("generation");
    const queues = s.list("queues", this.queues.length);
    for (const [i, q] of this.queues.entries()) this.restoreQueue(q, queues[i] as Saved, pageSize);
    this.o.device?.restore(s.part("device"));
  }

  private restoreQueue(q: QueueRegisters, state: Saved, pageSize: number): void {
    const ring = q.restore(state);
    if (ring === null) return;
    const f = this.ringFeatures();
    const problem = this.o.version === 2 ? q.enable(this, f) : q.enableLegacy(this, f, pageSize);
    if (problem !== undefined) throw new EmuError("snapshot-corrupt", `snapshot of ${this.o.name}: ${problem}`);
    q.ring?.restore(ring);
  }
}
