// Measurements and tokens, judged by implementations of others: node:crypto for hashes and signatures, cbor-x for CBOR.

import { createHash, createPublicKey, verify } from "node:crypto";
import { Decoder } from "cbor-x";
import { describe, expect, it } from "vitest";
import { encodeCbor } from "../../src/rmm/cbor.ts";
import { rsi } from "../../src/rmm/commands.ts";
import { computeRim, type RimEvent } from "../../src/rmm/measure.ts";
import { GRANULE, HashAlgorithm } from "../../src/rmm/status.ts";
import { Bench, type TestRealm } from "./bench.ts";

type Tagged = { tag: number; value: unknown };
const decoder = new Decoder({ mapsAsObjects: false, useRecords: false });
const decode = (b: Uint8Array): unknown => decoder.decode(Buffer.from(b));
const asMap = (v: unknown): Map<number, unknown> => v as Map<number, unknown>;
const hash = (algo: string, ...data: Uint8Array[]): Buffer => data.reduce((h, d) => h.update(d), createHash(algo)).digest();

/** Verifies a COSE_Sign1 with a COSE_Key: the payload. */
function verified(token: Uint8Array, key: Uint8Array): Map<number, unknown> {
  const { tag, value } = decode(token) as Tagged;
  expect(tag).toBe(18);
  const [header, unprotectedHeader, payload, signature] = value as [Uint8Array, unknown, Uint8Array, Uint8Array];
  expect(asMap(decode(header)).get(1)).toBe(-35);
  expect(asMap(unprotectedHeader).size).toBe(0);
  const k = asMap(decode(key));
  expect([k.get(1), k.get(-1)]).toEqual([2, 2]);
  const coordinate = (n: number): string => Buffer.from(k.get(n) as Uint8Array).toString("base64url");
  const publicKey = createPublicKey({ key: { kty: "EC", crv: "P-384", x: coordinate(-2), y: coordinate(-3) }, format: "jwk" });
  // ["Signature1", protected, h'', payload], encoded here by hand
  const bstr = (b: Uint8Array): Buffer =>
    Buffer.concat([
      b.length < 24
        ? Buffer.of(0x40 | b.length)
        : b.length < 256
          ? Buffer.of(0x58, b.length)
          : Buffer.of(0x59, b.length >> 8, b.length & 255),
      b,
    ]);
  const structure = Buffer.concat([Buffer.of(0x84, 0x6a), Buffer.from("Signature1"), bstr(header), Buffer.of(0x40), bstr(payload)]);
  expect(signature.length).toBe(96);
  expect(verify("sha384", structure, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature)).toBe(true);
  return asMap(decode(payload));
}

/** Fetches a token into the realm's page at 0x1000 in pieces of `step` bytes. */
function fetchToken(b: Bench, step: number, challenge = 0x77n): Uint8Array {
  const init = b.realmSmc(
    rsi.ATTESTATION_TOKEN_INIT,
    Array.from({ length: 8 }, () => challenge),
  ) as bigint[];
  expect([init[0], init[1]]).toEqual([0n, 0x1000n]);
  const pa = b.realmPa(0x1000);
  let at = 0;
  for (;;) {
    const x = b.realmSmc(rsi.ATTESTATION_TOKEN_CONTINUE, [0x1000, at, Math.min(step, GRANULE - at)]) as bigint[];
    at += Number(x[1]);
    if (x[0] === 0n) return b.read(pa, at).slice();
    expect(x[0]).toBe(3n);
  }
}

describe("CBOR", () => {
  it.each([
    [0, "00"],
    [23, "17"],
    [24, "1818"],
    [255, "18ff"],
    [256, "190100"],
    [65536, "1a00010000"],
    [2 ** 32, "1b0000000100000000"],
    [-1, "20"],
    [-35, "3822"],
    ["", "60"],
    ["sha-256", "677368612d323536"],
    [Uint8Array.of(1, 2), "420102"],
    [{ array: [1, { map: [[-2, 3]] }] }, "8201a12103"],
    [{ tag: 399, value: 0 }, "d9018f00"],
  ] as const)("case %#", (value, text) => {
    expect(Buffer.from(encodeCbor(value as never)).toString("hex")).toBe(text);
  });
});

describe("measurements", () => {
  it.each([
    ["sha256", HashAlgorithm.SHA_256, 32],
    ["sha512", HashAlgorithm.SHA_512, 64],
  ] as const)("extensible ones, %s", (algo, hash_algo, size) => {
    const b = new Bench();
    const r = b.realm((p) => p.set("hash_algo", hash_algo));
    b.rec(r);
    b.ok("REALM_ACTIVATE", r.rd);
    b.enter(r);
    const words = Array.from({ length: 8 }, () => 0x1111_1111_1111_1111n);
    expect((b.realmSmc(rsi.MEASUREMENT_EXTEND, [1, 32, ...words]) as bigint[])[0]).toBe(0n);
    const want = new Uint8Array(64);
    want.set(hash(algo, new Uint8Array(size), new Uint8Array(32).fill(0x11)));
    const x = b.realmSmc(rsi.MEASUREMENT_READ, [1]) as bigint[];
    const got = new DataView(new ArrayBuffer(64));
    for (let i = 0; i < 8; i++) got.setBigUint64(8 * i, x[i + 1] as bigint, true);
    expect([...new Uint8Array(got.buffer)]).toEqual([...want]);
    expect((b.realmSmc(rsi.MEASUREMENT_READ, [5]) as bigint[])[0]).toBe(1n);
    for (const [index, length] of [
      [0, 32],
      [5, 32],
      [1, 65],
    ] as const) {
      expect((b.realmSmc(rsi.MEASUREMENT_EXTEND, [index, length, ...words]) as bigint[])[0], `${index} ${length}`).toBe(1n);
    }
  });

  it("the vector of kvm-unit-tests: one extend of slot 1 with 32 bytes of 0x11", () => {
    expect(hash("sha256", new Uint8Array(32), new Uint8Array(32).fill(0x11)).toString("hex")).toMatch(/^8878b15a.*655ef8$/);
  });

  it.each([
    ["sha256", HashAlgorithm.SHA_256, 32],
    ["sha512", HashAlgorithm.SHA_512, 64],
  ] as const)("the initial one is what the events make, %s", (algo, hash_algo, size) => {
    const b = new Bench();
    const r = b.realm((p) => p.set("hash_algo", hash_algo));
    b.tables(r, 0x20_0000);
    b.ok("RTT_INIT_RIPAS", r.rd, 0x20_0000, 0x20_3000);
    const content = new Uint8Array(2 * GRANULE).map((_, i) => i * 7);
    b.data(r, 0x20_0000, content.subarray(0, GRANULE));
    b.data(r, 0x20_1000, content.subarray(GRANULE));
    b.rec(r, { pc: 0x20_0040, gprs: [1n, 2n] });
    b.rec(r, { pc: 0x666 });
    const rd = b.rmm.cx.memory.bytes(r.rd).slice(0x200, 0x200 + size);

    // By hand, from the descriptors of the specification.
    const put = (size: number, fields: readonly (readonly [number, bigint | Uint8Array])[]): Buffer => {
      const d = Buffer.alloc(size);
      for (const [at, v] of fields) {
        if (typeof v === "bigint") d.writeBigUInt64LE(v, at);
        else d.set(v, at);
      }
      return d;
    };
    let rim = hash(
      algo,
      put(4096, [
        [8, 33n],
        [0x18, 1n],
        [0x20, 1n],
        [0x30, BigInt(hash_algo)],
      ]),
    );
    for (const base of [0x20_0000n, 0x20_1000n, 0x20_2000n])
      rim = hash(
        algo,
        put(256, [
          [0, 2n],
          [8, 256n],
          [0x10, rim],
          [0x50, base],
          [0x58, base + 0x1000n],
        ]),
      );
    for (const i of [0, 1]) {
      const page = content.subarray(i * GRANULE, (i + 1) * GRANULE);
      rim = hash(
        algo,
        put(256, [
          [0, 0n],
          [8, 256n],
          [0x10, rim],
          [0x50, 0x20_0000n + BigInt(i * GRANULE)],
          [0x58, 1n],
          [0x60, hash(algo, page)],
        ]),
      );
    }
    const rec = hash(
      algo,
      put(4096, [
        [0, 1n],
        [0x200, 0x20_0040n],
        [0x300, 1n],
        [0x308, 2n],
      ]),
    );
    rim = hash(
      algo,
      put(256, [
        [0, 1n],
        [8, 256n],
        [0x10, rim],
        [0x50, rec],
      ]),
    );
    expect([...rd]).toEqual([...rim]);

    const events: RimEvent[] = [
      { kind: "ripas", base: 0x20_0000n, top: 0x20_3000n, level: 3 },
      { kind: "data", ipa: 0x20_0000n, content, measured: true },
      { kind: "rec", runnable: true, pc: 0x20_0040n, gprs: [1n, 2n] },
      { kind: "rec", runnable: false, pc: 0x666n, gprs: [] },
    ];
    const computed = computeRim({ hash: hash_algo, s2sz: 33, flags: 0, sveVl: 0, numBps: 1, numWps: 1, pmuCounters: 0, events });
    expect([...computed]).toEqual([...rim]);
  });
});

describe("attestation token", () => {
  const start = (hash_algo: HashAlgorithm = HashAlgorithm.SHA_256): { b: Bench; r: TestRealm } => {
    const b = new Bench();
    const r = b.realm((p) => p.set("hash_algo", hash_algo));
    b.data(r, 0x1000);
    b.rec(r);
    b.ok("REALM_ACTIVATE", r.rd);
    b.enter(r);
    return { b, r };
  };

  it.each([
    ["sha-256", HashAlgorithm.SHA_256, 32, 4096],
    ["sha-512", HashAlgorithm.SHA_512, 64, 100],
  ] as const)("%s: both signatures, the binding, and every claim", (name, algo, size, step) => {
    const { b, r } = start(algo);
    b.realmSmc(rsi.MEASUREMENT_EXTEND, [3, 8, 5]);
    const token = decode(fetchToken(b, step)) as Tagged;
    expect(token.tag).toBe(399);
    const [platform, realm] = [44234, 44241].map((k) => asMap(token.value).get(k) as Uint8Array);
    const claims = asMap(decode(decodeSign1(realm as Uint8Array)));
    const rak = claims.get(44237) as Uint8Array;
    expect(verified(realm as Uint8Array, rak)).toEqual(claims);
    expect([...claims.keys()]).toEqual([10, 44235, 44237, 44236, 44240, 265, 44238, 44239]);
    expect(Buffer.from(claims.get(10) as Uint8Array).toString("hex")).toBe("7700000000000000".repeat(8));
    expect([...(claims.get(44235) as Uint8Array)]).toEqual(Array.from({ length: 64 }, (_, i) => i + 1));
    expect([claims.get(44236), claims.get(44240), claims.get(265)]).toEqual([name, "sha-256", "tag:arm.com,2023:realm#1.0.0"]);
    const memory = b.rmm.cx.memory.bytes(r.rd);
    expect([...(claims.get(44238) as Uint8Array)]).toEqual([...memory.slice(0x200, 0x200 + size)]);
    const rems = claims.get(44239) as Uint8Array[];
    expect(rems.map((v) => v.length)).toEqual([size, size, size, size]);
    expect(rems.map((v) => v.some((x) => x !== 0))).toEqual([false, false, true, false]);

    const p = verified(platform as Uint8Array, b.monitor.attestation.platformPublicKey);
    expect([...(p.get(10) as Uint8Array)]).toEqual([...hash("sha256", rak)]);
    expect([p.get(265), p.get(2395), p.get(2402)]).toEqual(["tag:arm.com,2023:cca_platform#1.0.0", 0x3003, "sha-256"]);
    expect((p.get(256) as Uint8Array).length).toBe(33);
    expect((p.get(2396) as Uint8Array).length).toBe(32);
    expect((p.get(2399) as unknown[]).length).toBe(2);
  });

  it("CONTINUE refuses bad buffers, keeps its state then, and needs INIT", () => {
    const { b } = start();
    const code = (...a: number[]): number => Number((b.realmSmc(rsi.ATTESTATION_TOKEN_CONTINUE, a) as bigint[])[0]);
    expect(code(0x1000, 0, 4096)).toBe(2);
    b.realmSmc(rsi.ATTESTATION_TOKEN_INIT, [1, 2, 3, 4, 5, 6, 7, 8]);
    for (const bad of [
      [0x1001, 0, 16],
      [0x1000, 4096, 0],
      [0x1000, 0, 4097],
      [0x1000, 16, 4096],
      [0x1000, 16, -16],
      [2 ** 32, 0, 16],
      [0x2000, 0, 16],
    ] as const) {
      expect(code(...bad), `${bad}`).toBe(1);
    }
    expect(code(0x1000, 0, 0)).toBe(3);
    expect(b.pe().st.x(1)).toBe(0n);
    expect(code(0x1000, 0, 4096)).toBe(0);
    expect(code(0x1000, 0, 4096)).toBe(2);
  });

  it("INIT again starts over with the new challenge", () => {
    const { b } = start();
    b.realmSmc(
      rsi.ATTESTATION_TOKEN_INIT,
      Array.from({ length: 8 }, () => 1),
    );
    b.realmSmc(rsi.ATTESTATION_TOKEN_CONTINUE, [0x1000, 0, 64]);
    const token = asMap((decode(fetchToken(b, 4096, 9n)) as Tagged).value);
    const claims = asMap(decode(decodeSign1(token.get(44241) as Uint8Array)));
    expect((claims.get(10) as Uint8Array)[0]).toBe(9);
  });
});

function decodeSign1(token: Uint8Array): Uint8Array {
  return ((decode(token) as Tagged).value as Uint8Array[])[2] as Uint8Array;
}
