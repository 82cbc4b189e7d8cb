// Kinds of data access as generated code describes them to the slow path (run time: cpu/slow-path.ts).

export const Kind = {
  /** log2 of the element size, bits 2..0. */
  LG: 7,
  STORE: 8,
  /** Two elements. */
  PAIR: 16,
  UNPRIVILEGED: 32,
  /** Atomic read-modify-write: needs read and write permission, and RAM. */
  ATOMIC: 64,
  /** Must be naturally aligned. */
  EXCLUSIVE: 128,
  /** Must not cross a 16-byte boundary when misaligned. */
  ORDERED: 256,
  /** DC ZVA: 64 bytes, never to Device memory. */
  ZVA: 512,
} as const;

/** Bytes that an access of this kind covers. */
export const accessBytes = (kind: number): number => (kind & Kind.ZVA ? 64 : (1 << (kind & Kind.LG)) << (kind & Kind.PAIR ? 1 : 0));
