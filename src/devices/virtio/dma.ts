// Guards the bus from the addresses that drivers write into descriptors.

import type { Dma } from "../device.ts";

/** No physical address has more than 52 bits. */
const PA_LIMIT = 2 ** 52;

/** `dma`, with everything outside the physical address space unreachable: numbers above it are not exact any more. */
export function boundedDma(dma: Dma): Dma {
  const inside = (pa: number, length: number): boolean => pa + length <= PA_LIMIT;
  return {
    read: (pa, length) => (inside(pa, length) ? dma.read(pa, length) : undefined),
    write: (pa, data) => inside(pa, data.length) && dma.write(pa, data),
  };
}
