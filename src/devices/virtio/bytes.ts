// Little-endian integers in byte arrays, and 64-bit bus addresses as numbers.

/** The 16-bit value at `at`. */
export const u16 = (b: Uint8Array, at: number): number => (b[at] as number) | ((b[at + 1] as number) << 8);

/** The 32-bit value at `at`, unsigned. */
export const u32 = (b: Uint8Array, at: number): number => (u16(b, at) | (u16(b, at + 2) << 16)) >>> 0;

/**
 * The 64-bit value at `at` as a number. Above 2^53 it is rounded: as an address or a sector such a value is out of every
 * range, rounded or not.
 */
export const u64 = (b: Uint8Array, at: number): number => u32(b, at) + u32(b, at + 4) * 0x1_0000_0000;

/** `value` as two bytes. */
export const le16 = (value: number): Uint8Array => Uint8Array.of(value & 0xff, (value >> 8) & 0xff);

/** Writes the low 32 bits of `value` at `at`. */
export function put32(b: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) b[at + i] = (value >>> (8 * i)) & 0xff;
}

/** An address from its two register halves. */
export const address = (lo: number, hi: number): number => hi * 0x1_0000_0000 + lo;
