// Granule protection of requesters that are not PEs: what a device reads or writes by itself.

import { Pas } from "../arch/security.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import type { GranuleCheck } from "../mmu/table.ts";

/** Largest step in which a transfer is checked: the unit of RAM. */
const STEP = 16;

/**
 * May a device, a requester of the Non-secure PA space, transfer `length` bytes at `pa`? All of the transfer has to pass. Nothing is
 * cached: the tables as they stand in memory decide. Without a check only memory that Non-secure accesses do not see is refused.
 * Answers the address of the first byte that is refused; undefined: none is.
 */
export function dmaRefusedAt(phys: PhysicalMemory, check: GranuleCheck | undefined, pa: number, length: number): number | undefined {
  const checked = check?.active === true;
  for (let at = pa; at < pa + length; ) {
    // The check stands in front of the memory, which the access reaches only when it passes.
    if (checked && check.check(at, Pas.NonSecure, Pas.NonSecure) !== 0) return at;
    if (phys.hidden(at, Pas.NonSecure)) return at;
    const unit = 2 ** (checked ? Math.min(check.sizeLog2, STEP) : STEP);
    at = (Math.floor(at / unit) + 1) * unit;
  }
  return undefined;
}

export const dmaPermitted = (phys: PhysicalMemory, check: GranuleCheck | undefined, pa: number, length: number): boolean =>
  dmaRefusedAt(phys, check, pa, length) === undefined;
