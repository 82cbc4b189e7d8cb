// Entropy device (5.4): fills the driver's buffers with random bytes.

import type { Saved, Stateful } from "../../util/stateful.ts";
import { SavedFields } from "../saved.ts";
import { type Chain, ChainWriter } from "./chain.ts";
import { DeviceId } from "./constants.ts";
import { processQueue, type VirtioDevice, type VirtioTransport } from "./device.ts";

const QUEUE_SIZE = 8;
/** The most given for one buffer; the driver sees from the used length that it was not filled (5.4.6.2). */
const MAX_FILL = 1 << 16;

/** Where random bytes come from: `length` bytes a call. */
export type EntropyFunction = (length: number) => Uint8Array;

/**
 * A deterministic generator (xoshiro128**), so that a run can be repeated. Statistically sound, no secret: give the device host
 * entropy where that matters.
 */
export class SeededEntropy implements Stateful {
  private readonly s: Uint32Array;

  /** `seed`: any 32-bit number; equal seeds give equal bytes. */
  constructor(seed: number) {
    // splitmix32 spreads the seed over the state, which must not be all zeros.
    this.s = Uint32Array.from({ length: 4 }, (_, i) => {
      let z = (seed + Math.imul(i + 1, 0x9e37_79b9)) | 0;
      z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
      return z ^ (z >>> 16);
    });
    if (this.s.every((w) => w === 0)) this.s[0] = 1;
  }

  /** The next 32 bits, unsigned. */
  next(): number {
    const s = this.s;
    const [s0, s1, s2, s3] = s as unknown as [number, number, number, number];
    const result = Math.imul(rotl(Math.imul(s1, 5), 7), 9) >>> 0;
    s[2] = s2 ^ s0;
    s[3] = s3 ^ s1;
    s[1] = s1 ^ (s[2] as number);
    s[0] = s0 ^ (s[3] as number);
    s[2] = (s[2] as number) ^ (s1 << 9);
    s[3] = rotl(s[3] as number, 11);
    return result;
  }

  /** The next `length` bytes; a word that is only partly used is not kept. */
  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      const word = this.next();
      for (let b = 0; b < 4 && i + b < length; b++) out[i + b] = (word >>> (8 * b)) & 0xff;
    }
    return out;
  }

  save(): Saved {
    return { state: [...this.s] };
  }

  restore(state: Saved): void {
    const words = new SavedFields(state, "entropy").uints("state", 4, 0xffff_ffff);
    for (let i = 0; i < 4; i++) this.s[i] = words[i] ?? 1;
  }
}

const rotl = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

export interface VirtioRngOptions {
  entropy: SeededEntropy | EntropyFunction;
  name?: string;
}

export class VirtioRng implements VirtioDevice {
  readonly name: string;
  readonly id = DeviceId.RNG;
  readonly queueSizes = [QUEUE_SIZE];
  readonly features = 0;
  readonly config = [];
  private readonly entropy: SeededEntropy | EntropyFunction;
  private transport: VirtioTransport | undefined;

  constructor(options: VirtioRngOptions) {
    this.name = options.name ?? "virtio-rng";
    this.entropy = options.entropy;
  }

  attach(transport: VirtioTransport): void {
    this.transport = transport;
  }

  notify(queue: number): void {
    const { transport } = this;
    if (transport !== undefined) processQueue(transport, queue, (chain) => this.fill(transport, chain));
  }

  private fill(transport: VirtioTransport, chain: Chain): number | undefined {
    const writer = new ChainWriter(transport.dma, chain.writable);
    const length = Math.min(writer.remaining, MAX_FILL);
    const { entropy } = this;
    const data = typeof entropy === "function" ? entropy(length) : entropy.bytes(length);
    if (length > 0 && writer.write(data.subarray(0, length))) return writer.written;
    transport.fail(length === 0 ? "a buffer has no device-writable part" : "a buffer is not in memory");
    return undefined;
  }

  reset(): void {
    // Entropy goes on: a reset must not repeat bytes.
  }

  save(): Saved {
    return { entropy: typeof this.entropy === "function" ? null : this.entropy.save() };
  }

  restore(state: Saved): void {
    const entropy = new SavedFields(state, this.name).part("entropy");
    if (entropy !== null && typeof this.entropy !== "function") this.entropy.restore(entropy);
  }
}
