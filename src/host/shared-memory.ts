// Memory of a guest that its host can reach: pages of the unprotected half of the IPA space, backed by the host's own granules. Devices of
// the VMM read and write here and nowhere else.

import type { Dma } from "../devices/device.ts";
import { GRANULE } from "../rmm/status.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import type { HostMemory } from "./memory.ts";

export class SharedMemory implements Dma, Stateful {
  private readonly memory: HostMemory;
  /** The guest's RAM, in the lower half. */
  private readonly base: number;
  private readonly size: number;
  /** First address of the upper half. */
  readonly half: number;
  /** PA of the granule behind each page, by page number in RAM. */
  private readonly pages = new Map<number, number>();

  constructor(memory: HostMemory, ram: { base: number; size: number }, ipaBits: number) {
    this.memory = memory;
    this.base = ram.base;
    this.size = ram.size;
    this.half = 2 ** (ipaBits - 1);
  }

  /** Number of the page in RAM, of an address in either half; -1: not RAM. */
  pageOf(address: number): number {
    const low = address >= this.half ? address - this.half : address;
    return low >= this.base && low < this.base + this.size ? Math.floor((low - this.base) / GRANULE) : -1;
  }
  has(page: number): boolean {
    return this.pages.has(page);
  }
  /** The granule of a page, taken when it has none. */
  provide(page: number): number {
    let pa = this.pages.get(page);
    if (pa === undefined) {
      pa = this.memory.take();
      this.memory.write(pa, new Uint8Array(GRANULE)); // nothing of its last use
      this.pages.set(page, pa);
    }
    return pa;
  }
  /** Takes the granule of a page away. It must not be mapped any more. */
  withdraw(page: number): void {
    const pa = this.pages.get(page);
    if (pa === undefined) return;
    this.pages.delete(page);
    this.memory.give(pa);
  }
  /** Pages that have a granule. */
  get list(): number[] {
    return [...this.pages.keys()];
  }

  read(address: number, length: number): Uint8Array | undefined {
    const out = new Uint8Array(length);
    const done = this.each(address, length, (pa, n, at) => {
      const piece = this.memory.read(pa, n);
      if (piece) out.set(piece, at);
      return piece !== undefined;
    });
    return done ? out : undefined;
  }
  write(address: number, data: Uint8Array): boolean {
    return this.each(address, data.length, (pa, n, at) => this.memory.write(pa, data.subarray(at, at + n)));
  }
  /** Visits the parts of a range by page; false: a part is not shared, or `visit` said no. */
  private each(address: number, length: number, visit: (pa: number, n: number, at: number) => boolean): boolean {
    for (let at = 0; at < length; ) {
      const page = this.pageOf(address + at);
      const pa = page < 0 ? undefined : this.pages.get(page);
      const inPage = (address + at) % GRANULE;
      const n = Math.min(length - at, GRANULE - inPage);
      if (pa === undefined || !visit(pa + inPage, n, at)) return false;
      at += n;
    }
    return true;
  }

  save(): Saved {
    return [...this.pages].map(([page, pa]) => [page, pa]);
  }
  restore(state: Saved): void {
    this.pages.clear();
    for (const entry of Array.isArray(state) ? state : []) {
      const [page, pa] = Array.isArray(entry) ? entry : [];
      if (typeof page !== "number" || typeof pa !== "number")
        throw new EmuError("snapshot-corrupt", "the saved shared pages of a realm are damaged");
      this.pages.set(page, pa);
    }
  }
}
