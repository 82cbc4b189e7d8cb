// SHA-256 and SHA-512 of many pages. The library's are in JavaScript and run anywhere; where the host has faster ones, they take their place.

import { sha256, sha512 } from "@noble/hashes/sha2.js";

export interface Digests {
  sha256(data: Uint8Array): Uint8Array;
  sha512(data: Uint8Array): Uint8Array;
}

let digests: Digests = { sha256, sha512 };

/** Takes these from now on: the same functions, faster. */
export function provideDigests(d: Digests): void {
  digests = d;
}

export const digest256 = (data: Uint8Array): Uint8Array => digests.sha256(data);
export const digest512 = (data: Uint8Array): Uint8Array => digests.sha512(data);
