// Logical immediates (Arm ARM, DecodeBitMasks).

/** The 64-bit value of the 13-bit field N:immr:imms: a rotated run of ones repeated over the register; 0 when reserved. */
export function bitmaskImmediate(field: number): bigint {
  const immr = (field >> 6) & 63;
  const imms = field & 63;
  const length = 31 - Math.clz32(((field >> 12) << 6) | (~imms & 63));
  if (length < 1) return 0n;
  const size = 1 << length;
  const ones = imms & (size - 1);
  const rotate = immr & (size - 1);
  if (ones === size - 1) return 0n;
  const run = (1n << BigInt(ones + 1)) - 1n;
  let element = ((run >> BigInt(rotate)) | (run << BigInt(size - rotate))) & ((1n << BigInt(size)) - 1n);
  for (let width = size; width < 64; width *= 2) element |= element << BigInt(width);
  return element;
}
