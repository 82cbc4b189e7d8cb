// What all Arm PrimeCell peripherals share: 32-bit registers, the identification block, narrow accesses.

/** First offset of the identification block: PeriphID0-3 then PCellID0-3, one byte in each word. */
const ID_BLOCK = 0xfe0;
const PCELL_ID = [0x0d, 0xf0, 0x05, 0xb1] as const;

/** Size of a PrimeCell register window in bytes. */
export const PRIMECELL_SIZE = 0x1000;

/** The byte at word-aligned `offset` of the identification block, or undefined below it. `periphId` = PeriphID3..0 as one word. */
export function primecellId(periphId: number, offset: number): number | undefined {
  const index = (offset - ID_BLOCK) >> 2;
  if (index < 0) return undefined;
  return index < 4 ? (periphId >>> (8 * index)) & 0xff : (PCELL_ID[index - 4] ?? 0);
}

/** The part of a 32-bit register that a read of `size` bytes at `offset` sees. */
export function narrowRead(word: number, offset: number, size: 1 | 2 | 4): number {
  if (size === 4) return word;
  return (word >>> (8 * (offset & 3))) & (size === 1 ? 0xff : 0xffff);
}

/** What a 32-bit register receives from a write of `size` bytes at `offset`: APB has no byte strobes, other lanes carry 0. */
export function narrowWrite(value: number, offset: number, size: 1 | 2 | 4): number {
  if (size === 4) return value >>> 0;
  return ((value & (size === 1 ? 0xff : 0xffff)) << (8 * (offset & 3))) >>> 0;
}
