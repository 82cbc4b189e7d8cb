// RMM_EL3_TOKEN_SIGN as the EL3 monitor has it for an RMM image: the key, requests and their signatures through the shared buffer.

import { p384 } from "@noble/curves/nist.js";
import { describe, expect, it } from "vitest";
import type { Bench } from "../rmm/bench.ts";
import { imageBench, minus, SHARED, smc, V0_8, V2 } from "./image-bench.ts";

const TOKEN_SIGN = 0xc400_01b5;
const PUSH = 1;
const PULL = 2;
const PUBLIC_KEY = 3;
const REQUEST = 0x60;
const RESPONSE = 0x212;
const INVALID = minus(5);
const AGAIN = minus(6);

/** A request for the signature of a hash that is all `fill`. */
function request(fill: number, cookie = 0n, ticket = 0n): Uint8Array {
  const data = new Uint8Array(REQUEST);
  const view = new DataView(data.buffer);
  view.setBigUint64(8, cookie, true);
  view.setBigUint64(16, ticket, true);
  view.setUint32(24, 1, true);
  data.fill(fill, 32, 32 + 48);
  return data;
}
const sign = (b: Bench, operation: number, size: number, curve = 0, at = SHARED): bigint[] =>
  smc(b, TOKEN_SIGN, operation, at, size, curve).slice(0, 2);
function pushed(b: Bench, data: Uint8Array, size = REQUEST): bigint | undefined {
  b.write(SHARED, data);
  return sign(b, PUSH, size)[0];
}
function pulled(b: Bench): { cookie: bigint; ticket: bigint; signature: Uint8Array } {
  expect(sign(b, PULL, 4096)[0]).toBe(0n);
  const data = b.read(SHARED, RESPONSE);
  const view = new DataView(data.buffer, data.byteOffset);
  const length = view.getUint16(16, true);
  expect(length).toBe(96);
  return { cookie: view.getBigUint64(0, true), ticket: view.getBigUint64(8, true), signature: data.slice(18, 18 + length) };
}
function publicKey(b: Bench): Uint8Array {
  expect(sign(b, PUBLIC_KEY, 4096)).toEqual([0n, 97n]);
  return b.read(SHARED, 97).slice();
}
const verifies = (signature: Uint8Array, fill: number, key: Uint8Array): boolean =>
  p384.verify(signature, new Uint8Array(48).fill(fill), key, { prehash: false, lowS: false });

describe.each([V2, V0_8])("RMM_EL3_TOKEN_SIGN, interface 0x%s", (version) => {
  it("is in the feature register", () => expect(smc(imageBench(version), 0xc400_01b4, 0).slice(0, 2)).toEqual([0n, 1n]));

  it("signs hashes in turn, with the key whose public half it tells", () => {
    const b = imageBench(version);
    expect(pushed(b, request(0xaa, 0x1_2345_6000n, 2n ** 63n))).toBe(0n);
    expect(pushed(b, request(0xbb, 1n, 2n))).toBe(0n);
    const key = publicKey(b);
    expect([...key]).toEqual([...p384.getPublicKey(b.monitor.realmKey(), false)]);
    const first = pulled(b);
    expect(first).toMatchObject({ cookie: 0x1_2345_6000n, ticket: 2n ** 63n });
    const second = pulled(b);
    expect(second).toMatchObject({ cookie: 1n, ticket: 2n });
    expect([verifies(first.signature, 0xaa, key), verifies(first.signature, 0xbb, key)]).toEqual([true, false]);
    expect([verifies(second.signature, 0xaa, key), verifies(second.signature, 0xbb, key)]).toEqual([false, true]);
    expect(sign(b, PULL, RESPONSE)[0]).toBe(AGAIN);
  });

  it("has room for sixteen, and says AGAIN to more", () => {
    const b = imageBench(version);
    for (let n = 0; n < 16; n++) expect(pushed(b, request(n, BigInt(n)))).toBe(0n);
    expect(pushed(b, request(99))).toBe(AGAIN);
    expect(pulled(b).cookie).toBe(0n);
    expect(pushed(b, request(16, 16n))).toBe(0n);
    for (let n = 1; n <= 16; n++) expect(pulled(b).cookie).toBe(BigInt(n));
  });

  it.each([
    ["another signature algorithm", 0],
    ["another hash algorithm", 24],
  ])("refuses %s", (_what, at) => {
    const b = imageBench(version);
    const data = request(1);
    data[at] = 2;
    expect(pushed(b, data)).toBe(INVALID);
    expect(sign(b, PULL, RESPONSE)[0]).toBe(AGAIN);
  });

  it.each([
    ["an operation that there is not", 0, 4096, 0, SHARED, INVALID],
    ["another one", 4, 4096, 0, SHARED, INVALID],
    ["a request that is cut short", PUSH, REQUEST - 1, 0, SHARED, INVALID],
    ["too little room for a response", PULL, RESPONSE - 1, 0, SHARED, INVALID],
    ["too little room for the key", PUBLIC_KEY, 96, 0, SHARED, INVALID],
    ["another curve", PUBLIC_KEY, 97, 1, SHARED, INVALID],
    ["a buffer before the shared one", PULL, RESPONSE, 0, SHARED - 1, minus(2)],
    ["a buffer behind the shared one", PUBLIC_KEY, 97, 0, SHARED + 4096, minus(2)],
    ["a buffer that reaches out of the shared one", PUSH, REQUEST, 0, SHARED + 4096 - REQUEST + 1, INVALID],
  ] as const)("refuses %s", (_what, operation, size, curve, at, error) => {
    const b = imageBench(version);
    b.write(SHARED, request(1));
    expect(sign(b, PUSH, REQUEST)[0]).toBe(0n);
    b.write(SHARED, request(2));
    expect(sign(b, operation, size, curve, at)[0]).toBe(error);
    expect(pulled(b).cookie).toBe(0n); // nothing is lost
    expect(sign(b, PULL, RESPONSE)[0]).toBe(AGAIN);
  });

  it("keeps what waits over a snapshot", () => {
    const b = imageBench(version);
    expect(pushed(b, request(5, 77n))).toBe(0n);
    const saved = b.monitor.save();
    expect(pulled(b).cookie).toBe(77n);
    b.monitor.restore(saved);
    expect(pulled(b).cookie).toBe(77n);
    expect(sign(b, PULL, RESPONSE)[0]).toBe(AGAIN);
  });
});
