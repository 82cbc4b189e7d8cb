// What a device is given: an interrupt line, a clock, DMA. It knows neither the CPU nor the machine nor its address.

export { BUS_ERROR, type MmioDevice, type Requester } from "../mem/physical.ts";

/** A level-sensitive interrupt output. */
export interface IrqLine {
  set(level: boolean): void;
}

/** Virtual time in nanoseconds since the machine was powered on (exact integers in a double). */
export interface Clock {
  now(): number;
}

/** Memory as a bus-mastering device sees it. Every access is checked; false or undefined: the address is not reachable. */
export interface Dma {
  read(pa: number, length: number): Uint8Array | undefined;
  write(pa: number, data: Uint8Array): boolean;
}

/** Where a console-like device sends bytes; `receive` of the device takes bytes the other way. */
export interface ByteSink {
  write(bytes: Uint8Array): void;
}

/** What takes bytes from a terminal. Returns how many it took. */
export interface Receiver {
  receive(bytes: Uint8Array): number;
}
