// COSE_Sign1 with ES384 and COSE_Key of a P-384 public key (RFC 9052, RFC 9053), as CCA attestation uses them.

import { p384 } from "@noble/curves/nist.js";
import { sha384, sha512 } from "@noble/hashes/sha2.js";
import { type CborMap, encodeCbor } from "./cbor.ts";

const TAG_COSE_SIGN1 = 18;
const HEADER_ALG = 1;
const ES384 = -35;
const Key = { KTY: 1, EC2: 2, CRV: -1, P384: 2, X: -2, Y: -3 } as const;

/** Bytes of a private scalar, of each coordinate, and of each half of a signature. */
export const P384_BYTES = 48;

/** A private scalar on P-384 made from a seed, 48 bytes big-endian. */
export function keyFromSeed(purpose: string, seed: bigint): Uint8Array {
  const text = new TextEncoder().encode(`${purpose}:${seed.toString(16)}`);
  const material = new Uint8Array(72);
  material.set(sha512(text));
  material.set(sha512(Uint8Array.of(1, ...text)).subarray(0, 8), 64);
  const order = p384.Point.Fn.ORDER;
  let v = 0n;
  for (const byte of material) v = (v << 8n) | BigInt(byte);
  v = (v % (order - 1n)) + 1n;
  return Uint8Array.from({ length: P384_BYTES }, (_, i) => Number((v >> BigInt(8 * (P384_BYTES - 1 - i))) & 0xffn));
}

/** The public key as a COSE_Key. */
export function coseKey(secret: Uint8Array): Uint8Array {
  const point = p384.getPublicKey(secret, false); // 04, x, y
  const map: CborMap = [
    [Key.KTY, Key.EC2],
    [Key.CRV, Key.P384],
    [Key.X, point.slice(1, 1 + P384_BYTES)],
    [Key.Y, point.slice(1 + P384_BYTES)],
  ];
  return encodeCbor({ map });
}

const protectedHeader = encodeCbor({ map: [[HEADER_ALG, ES384]] });

/** ECDSA over SHA-384, deterministic (RFC 6979); r and s, 96 bytes. */
function signature(secret: Uint8Array, payload: Uint8Array): Uint8Array {
  const structure = encodeCbor({ array: ["Signature1", protectedHeader, new Uint8Array(0), payload] });
  return p384.sign(sha384(structure), secret, { prehash: false, lowS: false });
}

/** A tagged COSE_Sign1 of a payload. */
export function sign1(secret: Uint8Array, payload: Uint8Array): Uint8Array {
  return encodeCbor({
    tag: TAG_COSE_SIGN1,
    value: { array: [protectedHeader, { map: [] }, payload, signature(secret, payload)] },
  });
}
