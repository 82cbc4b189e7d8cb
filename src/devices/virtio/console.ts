// Console device (5.3): one port, a receive and a transmit queue, optional size, emergency write.

import type { Saved } from "../../util/stateful.ts";
import type { ByteSink } from "../device.ts";
import { SavedFields } from "../saved.ts";
import { type Chain, ChainReader, ChainWriter } from "./chain.ts";
import { type ConfigField, constant } from "./config.ts";
import { DeviceId } from "./constants.ts";
import { processQueue, type VirtioDevice, type VirtioTransport } from "./device.ts";

/** Feature bits (5.3.3). */
export const ConsoleFeature = { SIZE: 0, EMERG_WRITE: 2 } as const;

const RX = 0;
const TX = 1;
const QUEUE_SIZE = 128;
/** The most one transmit buffer may hold: far above what a terminal needs, and what keeps a hostile driver from flooding the sink. */
const MAX_TRANSMIT = 1 << 20;
const PIECE = 1 << 16;

export interface VirtioConsoleOptions {
  sink: ByteSink;
  /** Size of the terminal in characters, if it is known; `resize` changes it. */
  size?: { cols: number; rows: number };
  /** Called when there is room again after `receive` took less than it was offered. */
  onRoom?: () => void;
  name?: string;
}

export class VirtioConsole implements VirtioDevice {
  readonly name: string;
  readonly id = DeviceId.CONSOLE;
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE];
  readonly features: number;
  readonly config: readonly ConfigField[];
  private readonly sink: ByteSink;
  private readonly onRoom: (() => void) | undefined;
  private transport: VirtioTransport | undefined;
  private cols: number;
  private rows: number;
  private refused = false;

  constructor(options: VirtioConsoleOptions) {
    this.name = options.name ?? "virtio-console";
    this.sink = options.sink;
    this.onRoom = options.onRoom;
    this.cols = options.size?.cols ?? 0;
    this.rows = options.size?.rows ?? 0;
    this.features = (options.size === undefined ? 0 : 1 << ConsoleFeature.SIZE) | (1 << ConsoleFeature.EMERG_WRITE);
    this.config = [
      { name: "cols", bytes: 2, read: () => this.cols },
      { name: "rows", bytes: 2, read: () => this.rows },
      constant("max_nr_ports", 4, 0), // MULTIPORT is not offered
      { name: "emerg_wr", bytes: 4, read: () => 0, write: (v) => this.sink.write(Uint8Array.of(v % 256)) },
    ];
  }

  attach(transport: VirtioTransport): void {
    this.transport = transport;
  }

  /** The terminal has a new size, each up to 65535. Without effect when the console was made without one. */
  resize(cols: number, rows: number): void {
    if ((this.features & (1 << ConsoleFeature.SIZE)) === 0) return;
    this.cols = cols & 0xffff;
    this.rows = rows & 0xffff;
    this.transport?.configChanged();
  }

  /** Input for the guest. Returns how many bytes went into its buffers; the caller keeps the others and offers them again on `onRoom`. */
  receive(bytes: Uint8Array): number {
    let accepted = 0;
    const transport = this.transport;
    if (transport !== undefined && bytes.length > 0) {
      const queue = transport.queue(RX);
      for (let left = queue?.available() ?? 0; left > 0 && accepted < bytes.length; left--) {
        const chain = queue?.pop();
        const written = chain && this.fill(transport, chain, bytes.subarray(accepted));
        if (chain === undefined || written === undefined) break;
        queue?.push(chain, written);
        accepted += written;
      }
      transport.flush(RX);
    }
    this.refused = accepted < bytes.length;
    return accepted;
  }

  private fill(transport: VirtioTransport, chain: Chain, bytes: Uint8Array): number | undefined {
    const writer = new ChainWriter(transport.dma, chain.writable);
    const length = Math.min(writer.remaining, bytes.length);
    if (length > 0 && writer.write(bytes.subarray(0, length))) return length;
    transport.fail(length === 0 ? "a receive buffer has no device-writable part" : "a receive buffer is not in memory");
    return undefined;
  }

  notify(queue: number): void {
    const transport = this.transport;
    if (transport === undefined) return;
    if (queue === TX) processQueue(transport, TX, (chain) => this.transmit(transport, chain));
    if (queue === RX && this.refused) {
      this.refused = false;
      this.onRoom?.();
    }
  }

  private transmit(transport: VirtioTransport, chain: Chain): number | undefined {
    const reader = new ChainReader(transport.dma, chain.readable);
    if (reader.remaining > MAX_TRANSMIT) {
      transport.fail(`a transmit buffer of ${reader.remaining} bytes`);
      return undefined;
    }
    while (reader.remaining > 0) {
      const bytes = reader.read(Math.min(reader.remaining, PIECE));
      if (bytes === undefined) {
        transport.fail("a transmit buffer is not in memory");
        return undefined;
      }
      this.sink.write(bytes);
    }
    return 0;
  }

  reset(): void {
    // The terminal's size and what the caller holds outlive a reset of the driver's side.
  }

  save(): Saved {
    const { cols, rows, refused } = this;
    return { cols, rows, refused };
  }

  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    this.cols = s.uint("cols", 0xffff);
    this.rows = s.uint("rows", 0xffff);
    this.refused = s.bool("refused");
  }
}
