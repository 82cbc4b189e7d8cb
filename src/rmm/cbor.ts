// Encoding of CBOR (RFC 8949), deterministic: shortest lengths, definite sizes, map entries in the order given.

/** Keys of the maps used in attestation are integers. */
export type CborMap = readonly (readonly [key: number, value: Cbor])[];
export type Cbor =
  | number
  | bigint
  | string
  | Uint8Array
  | { readonly array: readonly Cbor[] }
  | { readonly map: CborMap }
  | { readonly tag: number; readonly value: Cbor };

const Major = { UINT: 0, NINT: 1, BSTR: 2, TSTR: 3, ARRAY: 4, MAP: 5, TAG: 6 } as const;

function head(major: number, value: bigint): number[] {
  const lead = major << 5;
  if (value < 24n) return [lead | Number(value)];
  const bytes = value < 0x100n ? 1 : value < 0x1_0000n ? 2 : value < 0x1_0000_0000n ? 4 : 8;
  const out = [lead | (24 + Math.log2(bytes))];
  for (let i = bytes - 1; i >= 0; i--) out.push(Number((value >> BigInt(8 * i)) & 0xffn));
  return out;
}

function write(out: number[], v: Cbor): void {
  if (typeof v === "number" || typeof v === "bigint") {
    const n = BigInt(v);
    out.push(...(n >= 0n ? head(Major.UINT, n) : head(Major.NINT, -1n - n)));
  } else if (typeof v === "string") {
    const text = new TextEncoder().encode(v);
    out.push(...head(Major.TSTR, BigInt(text.length)), ...text);
  } else if (v instanceof Uint8Array) {
    out.push(...head(Major.BSTR, BigInt(v.length)), ...v);
  } else if ("array" in v) {
    out.push(...head(Major.ARRAY, BigInt(v.array.length)));
    for (const item of v.array) write(out, item);
  } else if ("map" in v) {
    out.push(...head(Major.MAP, BigInt(v.map.length)));
    for (const [key, value] of v.map) {
      write(out, key);
      write(out, value);
    }
  } else {
    out.push(...head(Major.TAG, BigInt(v.tag)));
    write(out, v.value);
  }
}

export function encodeCbor(v: Cbor): Uint8Array {
  const out: number[] = [];
  write(out, v);
  return Uint8Array.from(out);
}
