// The MMUs that share one Inner and Outer Shareable domain: all PEs of the machine.

import type { Mmu } from "./mmu.ts";

const MANY = 0xffff_ffff;

/** Hooks and broadcasts common to all PEs' MMUs. */
export class TlbDomain {
  readonly mmus: Mmu[] = [];
  /**
   * Asked before a page becomes writable through the L1 TLB; `pa` is the address of a 4 KiB page. False keeps every write to it
   * on the slow path: pages with predecoded code, and pages that an exclusive monitor or a debugger watches.
   */
  allowWrite: (pa: number) => boolean = () => true;
  /** Called after the hardware management of access flag or dirty state changed the descriptor at `pa` (8 bytes). */
  tableWritten: (pa: number) => void = () => {};

  /** Which PEs may hold a write entry for a 4 KiB page of linear memory: bit n = PE n. Grown to the size of the memory. */
  private writable = new Uint8Array(0);
  /** The two places in the L1 tables where such entries are, 16 bits each; MANY: in others too. Most pages are written by one address. */
  private places = new Uint32Array(0);

  /** A write entry for the page of linear memory at `host` goes into the L1 of PE `pe`, into one of two places of a table. */
  noteWritable(host: number, pe: number, first: number, second: number): void {
    const page = host >>> 12;
    if (page >= this.writable.length) this.grow(page);
    const pes = this.writable[page] as number;
    const both = first | (second << 16);
    this.places[page] = pes === 0 || this.places[page] === both ? both : MANY;
    this.writable[page] = pes | (1 << pe);
  }
  private grow(page: number): void {
    const length = Math.max(page + 1, 2 * this.writable.length, 0x1_0000);
    const writable = new Uint8Array(length);
    writable.set(this.writable);
    this.writable = writable;
    const places = new Uint32Array(length);
    places.set(this.places);
    this.places = places;
  }

  /** Every PE: writes to the physical page at `pa` (any address in it) take the slow path from now on. */
  dropWrites(pa: number): void {
    const mmu = this.mmus[0];
    const host = mmu === undefined ? 0 : mmu.phys.host(pa - (pa % 4096));
    const pes = host === 0 ? 0 : (this.writable[host >>> 12] ?? 0);
    if (pes === 0) return;
    const both = this.places[host >>> 12] as number;
    const [first, second] = both === MANY ? [-1, -1] : [both & 0xffff, both >>> 16];
    this.writable[host >>> 12] = 0;
    for (const m of this.mmus) if ((pes >> m.st.index) & 1) m.dropWritesTo(host, first, second);
  }
  /** Every PE: forgets fetch entries that point to the predecoded page at absolute offset `page`. */
  dropFetch(page: number): void {
    for (const m of this.mmus) m.dropFetch(page);
  }
}
