// RMM_EL3_TOKEN_SIGN: EL3 signs realm tokens for an RMM that was built to have no private key. Requests are queued, and their
// signatures fetched in that order; who asked is for the RMM to know, by the two words that come back as they were.

import { p384 } from "@noble/curves/nist.js";
import { P384_BYTES } from "../rmm/cose.ts";
import { bufferError, RmmEl3, type Service, type ServiceContext } from "./monitor-context.ts";

/** Operations, x1. */
const Op = { PUSH: 1n, PULL: 2n, PUBLIC_KEY: 3n } as const;
/** el3_token_sign_request: algorithm 0 (ECDSA on P-384), two words, hash algorithm 1 (SHA-384), hash. */
const Request = { ALGORITHM: 0, WORDS: 8, HASH_ALGORITHM: 24, HASH: 32, BYTES: 0x60 } as const;
const ECDSA_P384 = 0;
const SHA_384 = 1;
const SHA_384_BYTES = 48;
/** el3_token_sign_response: two words, length of the signature (r and s), signature. */
const Response = { WORDS: 0, LENGTH: 16, SIGNATURE: 18, BYTES: 0x212 } as const;
const CURVE_P384 = 0n;
/** Signatures that wait to be fetched: more requests are told to come AGAIN. */
const QUEUE = 16;

type Operation = (c: ServiceContext, pa: number, size: bigint, curve: bigint) => readonly bigint[];

function push(c: ServiceContext, pa: number, size: bigint): readonly bigint[] {
  if (size < BigInt(Request.BYTES)) return [RmmEl3.INVALID];
  const request = c.phys.readBytes(pa, Request.BYTES);
  if (request === undefined) return [RmmEl3.BAD_ADDRESS];
  const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
  const algorithms = [view.getUint32(Request.ALGORITHM, true), view.getUint32(Request.HASH_ALGORITHM, true)];
  if (algorithms[0] !== ECDSA_P384 || algorithms[1] !== SHA_384) return [RmmEl3.INVALID];
  if (c.signed.length >= QUEUE) return [RmmEl3.AGAIN];
  const hash = request.slice(Request.HASH, Request.HASH + SHA_384_BYTES);
  const signature = p384.sign(hash, c.attestation.realmKey, { prehash: false, lowS: false });
  const response = new Uint8Array(Response.BYTES);
  response.set(request.subarray(Request.WORDS, Request.WORDS + 16), Response.WORDS);
  new DataView(response.buffer).setUint16(Response.LENGTH, 2 * P384_BYTES, true);
  response.set(signature, Response.SIGNATURE);
  c.signed.push(response);
  return [RmmEl3.OK];
}

function pull(c: ServiceContext, pa: number, size: bigint): readonly bigint[] {
  if (size < BigInt(Response.BYTES)) return [RmmEl3.INVALID];
  const response = c.signed.shift();
  if (response === undefined) return [RmmEl3.AGAIN];
  c.phys.writeBytes(pa, response);
  return [RmmEl3.OK];
}

/** The point, uncompressed: 04, x, y. */
function publicKey(c: ServiceContext, pa: number, size: bigint, curve: bigint): readonly bigint[] {
  const point = p384.getPublicKey(c.attestation.realmKey, false);
  if (curve !== CURVE_P384 || size < BigInt(point.length)) return [RmmEl3.INVALID];
  c.phys.writeBytes(pa, point);
  return [RmmEl3.OK, BigInt(point.length)];
}

const operations = new Map<bigint, Operation>([
  [Op.PUSH, push],
  [Op.PULL, pull],
  [Op.PUBLIC_KEY, publicKey],
]);

/** x1 operation, x2 and x3 a buffer in the shared one, x4 curve of the key that is asked for. */
export const tokenSign: Service = (c, _pe, x) => {
  const operation = operations.get(x(1));
  if (operation === undefined) return [RmmEl3.INVALID];
  const error = bufferError(c, x(2), x(3));
  return error === undefined ? operation(c, Number(x(2)), x(3), x(4)) : [error];
};
