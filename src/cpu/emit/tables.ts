// Constant tables in linear memory that generated code reads.

/** Decoded logical immediates (DecodeBitMasks), indexed by N:immr:imms; reserved ones are 0. */
export function bitmaskTable(): BigUint64Array {
  const table = new BigUint64Array(8192);
  for (let i = 0; i < 8192; i++) {
    const immr = (i >> 6) & 63;
    const imms = i & 63;
    const length = 31 - Math.clz32(((i >> 12) << 6) | (~imms & 63));
    if (length < 1) continue;
    const size = 1 << length;
    const ones = imms & (size - 1);
    const rotate = immr & (size - 1);
    if (ones === size - 1) continue;
    const mask = (1n << BigInt(size)) - 1n;
    const run = (1n << BigInt(ones + 1)) - 1n;
    let element = ((run >> BigInt(rotate)) | (run << BigInt(size - rotate))) & mask;
    for (let width = size; width < 64; width *= 2) element |= element << BigInt(width);
    table[i] = element;
  }
  return table;
}

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
