// Constant tables in linear memory that generated code reads.

import { bitmaskImmediate } from "../../isa/bitmask.ts";

/** Decoded logical immediates, indexed by N:immr:imms; reserved ones are 0. */
export const bitmaskTable = (): BigUint64Array => BigUint64Array.from({ length: 8192 }, (_, field) => bitmaskImmediate(field));

/** Byte tables of CRC32 (polynomial 0x04C11DB7) and CRC32C (0x1EDC6F41), both reflected. */
export function crcTables(): Uint32Array {
  const table = new Uint32Array(512);
  [0xedb88320, 0x82f63b78].forEach((polynomial, which) => {
    for (let i = 0; i < 256; i++) {
      let c = i;
      for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ polynomial : c >>> 1;
      table[which * 256 + i] = c >>> 0;
    }
  });
  return table;
}
