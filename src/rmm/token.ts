// The CCA attestation token (DEN0137 A7.2, profile arm.com:realm 1.0.0): claims of the realm, and the collection of both tokens.

import { sha256 } from "@noble/hashes/sha2.js";
import { encodeCbor } from "./cbor.ts";
import { hashName, hashSize } from "./measure.ts";
import { MEASUREMENTS, type Realm } from "./realm.ts";

export const TAG_CCA_TOKEN = 399;
export const CcaClaim = { PLATFORM_TOKEN: 44234, REALM_TOKEN: 44241 } as const;
// biome-ignore format: table
export const RealmClaim = {
  CHALLENGE:        10,
  PROFILE:          265,
  PERSONALIZATION:  44235,
  HASH_ALGO:        44236,
  PUBLIC_KEY:       44237,
  INITIAL:          44238,
  EXTENSIBLE:       44239,
  PUBLIC_KEY_HASH:  44240,
} as const;
export const REALM_PROFILE = "tag:arm.com,2023:realm#1.0.0";

/** The payload of the realm token: what the realm's key signs. `publicKey`: COSE_Key of the Realm attestation key. */
export function realmClaims(realm: Realm, challenge: Uint8Array, publicKey: Uint8Array): Uint8Array {
  const measurement = (i: number): Uint8Array => realm.measurement(i).slice(0, hashSize(realm.hash));
  return encodeCbor({
    map: [
      [RealmClaim.CHALLENGE, challenge],
      [RealmClaim.PERSONALIZATION, realm.view.bytes("rpv").slice()],
      [RealmClaim.PUBLIC_KEY, publicKey],
      [RealmClaim.HASH_ALGO, hashName(realm.hash)],
      [RealmClaim.PUBLIC_KEY_HASH, "sha-256"],
      [RealmClaim.PROFILE, REALM_PROFILE],
      [RealmClaim.INITIAL, measurement(0)],
      [RealmClaim.EXTENSIBLE, { array: Array.from({ length: MEASUREMENTS - 1 }, (_, i) => measurement(i + 1)) }],
    ],
  });
}

/** What binds the platform token to the Realm attestation key: its challenge. */
export const platformChallenge = (publicKey: Uint8Array): Uint8Array => sha256(publicKey);

/** The token that the realm receives. */
export const ccaToken = (platform: Uint8Array, realm: Uint8Array): Uint8Array =>
  encodeCbor({
    tag: TAG_CCA_TOKEN,
    value: {
      map: [
        [CcaClaim.PLATFORM_TOKEN, platform],
        [CcaClaim.REALM_TOKEN, realm],
      ],
    },
  });
