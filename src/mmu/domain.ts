// The MMUs that share one Inner and Outer Shareable domain: all PEs of the machine.

import type { Mmu } from "./mmu.ts";

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

  /** Every PE: writes to the physical page at `pa` (any address in it) take the slow path from now on. */
  dropWrites(pa: number): void {
    for (const m of this.mmus) m.dropWrites(pa);
  }
  /** Every PE: forgets fetch entries that point to the predecoded page at absolute offset `page`. */
  dropFetch(page: number): void {
    for (const m of this.mmus) m.dropFetch(page);
  }
}
