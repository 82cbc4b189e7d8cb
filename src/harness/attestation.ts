// An independent verifier of CCA attestation tokens (DEN0137 A7.2): what a relying party does with the report of a realm. It shares no
// code with the RMM and the EL3 monitor, which make tokens: cbor-x decodes and encodes, node:crypto hashes and verifies.

import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import { EmuError } from "../util/errors.ts";

/** The collection of both tokens as RMM 1.0 has it, each a byte string; and of the 2.0 generation, each with its CoAP content format. */
const TAG_CCA_TOKEN = 399;
const TAG_CCA_TOKEN_2 = 907;
const EAT_CWT = 263;
const TAG_COSE_SIGN1 = 18;
const ALG_ES384 = -35;
const PLATFORM_TOKEN = 44234;
const REALM_TOKEN = 44241;
/** Security lifecycle states in which a platform's word counts: secured, 0x3000 to 0x30FF. */
const SECURED = 0x30;
/** Of a token: the RMM's tokens have at most one granule. */
const MAX_BYTES = 65_536;

/** What the verifier knows beforehand. What is absent is not compared. */
export interface TokenExpectations {
  /** Platform attestation public key: a COSE_Key, or a PEM or DER public key. Without it the platform's signature cannot be checked. */
  platformKey?: Uint8Array | string | undefined;
  /** 1 to 64 bytes; zeros follow. */
  challenge?: Uint8Array | undefined;
  /** Realm Initial Measurement, 32 or 64 bytes. */
  rim?: Uint8Array | undefined;
  /** Realm Personalization Value, at most 64 bytes; zeros follow. */
  personalizationValue?: Uint8Array | undefined;
}

/** One question that was put to a token. */
export interface TokenCheck {
  readonly name: string;
  readonly ok: boolean;
  /** What was found and what was expected, when they differ. */
  readonly detail?: string;
}

/** Claims of the realm token. */
export interface RealmTokenClaims {
  readonly challenge: Uint8Array;
  readonly personalizationValue: Uint8Array;
  /** "sha-256", "sha-512". */
  readonly hashAlgorithm: string;
  readonly rim: Uint8Array;
  readonly rems: readonly Uint8Array[];
  /** COSE_Key of the Realm attestation key. */
  readonly publicKey: Uint8Array;
  readonly publicKeyHashAlgorithm: string;
  readonly profile: string;
}

/** Claims of the platform token. */
export interface PlatformTokenClaims {
  readonly challenge: Uint8Array;
  readonly implementationId: Uint8Array;
  readonly instanceId: Uint8Array;
  readonly lifecycle: number;
  readonly hashAlgorithm: string;
  readonly profile: string;
  readonly components: readonly { type: string; version: string; measurement: Uint8Array; signer: Uint8Array }[];
}

export interface TokenReport {
  /** Every check holds. */
  readonly ok: boolean;
  readonly checks: readonly TokenCheck[];
  readonly realm: RealmTokenClaims;
  readonly platform: PlatformTokenClaims;
}

// ---- decoding -------------------------------------------------------------------------------------------------------------

const malformed = (what: string): EmuError => new EmuError("token-malformed", `this is no CCA attestation token: ${what}`);
const decoder = new Decoder({ mapsAsObjects: false, useRecords: false });
const encoder = new Encoder({ mapsAsObjects: false, useRecords: false, tagUint8Array: false });

function decode(bytes: Uint8Array, what: string): unknown {
  try {
    return decoder.decode(Buffer.from(bytes));
  } catch (error) {
    throw malformed(`${what} is not CBOR (${error instanceof Error ? error.message : String(error)})`);
  }
}
function tagged(v: unknown, tag: number, what: string): unknown {
  const t = v as { tag?: unknown; value?: unknown } | null;
  if (typeof t !== "object" || t === null || t.tag !== tag) throw malformed(`${what} lacks tag ${tag}`);
  return t.value;
}
const isBytes = (v: unknown): v is Uint8Array => v instanceof Uint8Array;

/** A map of claims, read with their types. */
class Claims {
  private readonly map: ReadonlyMap<unknown, unknown>;
  private readonly what: string;
  constructor(v: unknown, what: string) {
    if (!(v instanceof Map)) throw malformed(`${what} is not a map`);
    this.map = v;
    this.what = what;
  }
  bytes(key: number, lengths?: readonly number[]): Uint8Array {
    const v = this.map.get(key);
    if (!isBytes(v)) throw malformed(`claim ${key} of ${this.what} is not a byte string`);
    if (lengths && !lengths.includes(v.length))
      throw malformed(`claim ${key} of ${this.what} has ${v.length} bytes, not ${lengths.join(" or ")}`);
    return new Uint8Array(v);
  }
  text(key: number): string {
    const v = this.map.get(key);
    if (typeof v !== "string") throw malformed(`claim ${key} of ${this.what} is not a text`);
    return v;
  }
  number(key: number): number {
    const v = this.map.get(key);
    if (typeof v !== "number") throw malformed(`claim ${key} of ${this.what} is not a number`);
    return v;
  }
  list(key: number): unknown[] {
    const v = this.map.get(key);
    if (!Array.isArray(v)) throw malformed(`claim ${key} of ${this.what} is not an array`);
    return v;
  }
}

interface Sign1 {
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

function sign1Of(token: Uint8Array, what: string): Sign1 {
  const parts = tagged(decode(token, what), TAG_COSE_SIGN1, what);
  if (!Array.isArray(parts) || parts.length !== 4) throw malformed(`${what} is not a COSE_Sign1`);
  const [header, unsigned, payload, signature] = parts as unknown[];
  if (!(unsigned instanceof Map) || !isBytes(header) || !isBytes(payload) || !isBytes(signature))
    throw malformed(`${what} is not a COSE_Sign1`);
  if (new Claims(decode(header, "a protected header"), "a protected header").number(1) !== ALG_ES384)
    throw malformed(`${what} is not signed with ES384`);
  return { header, payload, signature };
}

function realmClaims(payload: Uint8Array): RealmTokenClaims {
  const c = new Claims(decode(payload, "the realm token's payload"), "the realm token");
  const measurement = [32, 64];
  return {
    challenge: c.bytes(10, [64]),
    personalizationValue: c.bytes(44235, [64]),
    hashAlgorithm: c.text(44236),
    rim: c.bytes(44238, measurement),
    rems: c.list(44239).map((v) => {
      if (!isBytes(v) || !measurement.includes(v.length)) throw malformed("an extensible measurement is not 32 or 64 bytes");
      return new Uint8Array(v);
    }),
    publicKey: c.bytes(44237),
    publicKeyHashAlgorithm: c.text(44240),
    profile: c.text(265),
  };
}

function platformClaims(payload: Uint8Array): PlatformTokenClaims {
  const c = new Claims(decode(payload, "the platform token's payload"), "the platform token");
  return {
    challenge: c.bytes(10, [32, 48, 64]),
    implementationId: c.bytes(2396, [32]),
    instanceId: c.bytes(256, [33]),
    lifecycle: c.number(2395),
    hashAlgorithm: c.text(2402),
    profile: c.text(265),
    components: c.list(2399).map((v) => {
      const part = new Claims(v, "a software component");
      const optional = (key: number): string => ((v as Map<number, unknown>).has(key) ? part.text(key) : "");
      return { type: optional(1), version: optional(4), measurement: part.bytes(2), signer: part.bytes(5) };
    }),
  };
}

/** The tokens of platform and realm. */
function partsOf(token: Uint8Array): { platform: Sign1; realm: Sign1 } {
  const collection = decode(token, "it") as { tag?: unknown; value?: unknown } | null;
  const later = collection?.tag === TAG_CCA_TOKEN_2;
  const outer = new Claims(later ? collection.value : tagged(collection, TAG_CCA_TOKEN, "it"), "the token");
  const part = (key: number): Uint8Array => {
    if (!later) return outer.bytes(key);
    const [format, bytes] = outer.list(key);
    if (format !== EAT_CWT || !isBytes(bytes)) throw malformed(`claim ${key} of the token is not an EAT`);
    return new Uint8Array(bytes);
  };
  return { platform: sign1Of(part(PLATFORM_TOKEN), "the platform token"), realm: sign1Of(part(REALM_TOKEN), "the realm token") };
}

// ---- keys and signatures ------------------------------------------------------------------------------------------------------

/** A COSE_Key on P-384 as a key of node:crypto. */
function coseKey(bytes: Uint8Array, what: string): KeyObject {
  const c = new Claims(decode(bytes, what), what);
  if (c.number(1) !== 2 || c.number(-1) !== 2) throw malformed(`${what} is not a key on P-384`);
  const coordinate = (n: number): string => Buffer.from(c.bytes(n, [48])).toString("base64url");
  try {
    return createPublicKey({ key: { kty: "EC", crv: "P-384", x: coordinate(-2), y: coordinate(-3) }, format: "jwk" });
  } catch {
    throw malformed(`${what} is not a point on P-384`);
  }
}

function publicKey(key: Uint8Array | string): KeyObject {
  const text = typeof key === "string" ? key : Buffer.from(key).toString("latin1");
  try {
    if (text.includes("-----BEGIN")) return createPublicKey(text);
    if (typeof key !== "string" && key[0] === 0x30) return createPublicKey({ key: Buffer.from(key), format: "der", type: "spki" });
  } catch (error) {
    throw new EmuError("platform-key", `the platform key cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof key !== "string") return coseKey(key, "the platform key");
  throw new EmuError("platform-key", "the platform key is neither PEM, DER nor a COSE_Key");
}

/** RFC 9052 4.4. */
function signatureHolds(s: Sign1, key: KeyObject): boolean {
  const structure = encoder.encode(["Signature1", Buffer.from(s.header), Buffer.alloc(0), Buffer.from(s.payload)]);
  return verify("sha384", structure, { key, dsaEncoding: "ieee-p1363" }, s.signature);
}

// ---- the verifier ---------------------------------------------------------------------------------------------------------------

const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");
const padded = (b: Uint8Array): Uint8Array => {
  if (b.length > 64) throw new EmuError("token-expectation", `an expected value has at most 64 bytes, not ${b.length}`);
  const out = new Uint8Array(64);
  out.set(b);
  return out;
};
function same(name: string, found: Uint8Array, expected: Uint8Array): TokenCheck {
  const ok = hex(found) === hex(expected);
  return ok ? { name, ok } : { name, ok, detail: `the token says ${hex(found)}, expected ${hex(expected)}` };
}
const holds = (name: string, ok: boolean, detail: string): TokenCheck => (ok ? { name, ok } : { name, ok, detail });

/**
 * Verifies a CCA token: both signatures, the binding of the Realm attestation key to the platform, and what is expected of its claims.
 * Throws EmuError "token-malformed" for bytes that are no token.
 */
export function verifyToken(token: Uint8Array, expected: TokenExpectations = {}): TokenReport {
  if (token.length > MAX_BYTES) throw malformed(`it has ${token.length} bytes`);
  const { platform: platformToken, realm: realmToken } = partsOf(token);
  const realm = realmClaims(realmToken.payload);
  const platform = platformClaims(platformToken.payload);

  const { platformKey, challenge, rim, personalizationValue } = expected;
  const size = realm.hashAlgorithm === "sha-256" ? 32 : realm.hashAlgorithm === "sha-512" ? 64 : 0;
  const binding = realm.publicKeyHashAlgorithm.replace("-", "");
  const checks: TokenCheck[] = [
    platformKey === undefined
      ? holds("platform signature", false, "no platform key was given to check it with")
      : holds("platform signature", signatureHolds(platformToken, publicKey(platformKey)), "the platform key did not make it"),
    ["sha256", "sha384", "sha512"].includes(binding)
      ? same("realm key bound to the platform", platform.challenge, createHash(binding).update(realm.publicKey).digest())
      : holds("realm key bound to the platform", false, `unknown hash algorithm ${realm.publicKeyHashAlgorithm}`),
    holds("realm signature", signatureHolds(realmToken, coseKey(realm.publicKey, "the realm key")), "the realm key did not make it"),
    holds("platform secured", platform.lifecycle >> 8 === SECURED, `its lifecycle state is 0x${platform.lifecycle.toString(16)}`),
    holds(
      "profiles",
      isProfile(platform.profile, "cca_platform") && isProfile(realm.profile, "realm"),
      `${platform.profile}, ${realm.profile}`,
    ),
    holds(
      "sizes of measurements",
      [realm.rim, ...realm.rems].every((m) => m.length === size) && realm.rems.length === 4,
      `${realm.hashAlgorithm} with ${[realm.rim, ...realm.rems].map((m) => m.length).join(", ")} bytes`,
    ),
  ];
  if (challenge) checks.push(same("challenge", realm.challenge, padded(challenge)));
  if (rim) checks.push(same("realm initial measurement", realm.rim, rim));
  if (personalizationValue) checks.push(same("personalization value", realm.personalizationValue, padded(personalizationValue)));
  return { ok: checks.every((c) => c.ok), checks, realm, platform };
}

/** "tag:arm.com,2023:realm#1.0.0" */
const isProfile = (profile: string, kind: string): boolean => new RegExp(`^tag:arm\\.com,20\\d\\d:${kind}#`).test(profile);
