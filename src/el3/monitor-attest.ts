// The platform's part of attestation: keys made from the machine's seed, and the platform token (Arm CCA platform profile 1.0.0).

import { sha256 } from "@noble/hashes/sha2.js";
import { type CborMap, encodeCbor } from "../rmm/cbor.ts";
import { coseKey, keyFromSeed, sign1 } from "../rmm/cose.ts";

// biome-ignore format: table
export const PlatformClaim = {
  CHALLENGE:         10,
  INSTANCE_ID:       256,
  PROFILE:           265,
  LIFECYCLE:         2395,
  IMPLEMENTATION_ID: 2396,
  SW_COMPONENTS:     2399,
  CONFIG:            2401,
  HASH_ALGO:         2402,
} as const;
const Component = { TYPE: 1, VALUE: 2, VERSION: 4, SIGNER: 5, ALGO: 6 } as const;
export const PLATFORM_PROFILE = "tag:arm.com,2023:cca_platform#1.0.0";
/** Security lifecycle: secured. */
const SECURED = 0x3003;
/** Type of an instance identifier: a hash of the attestation key. */
const UEID_RAND = 0x01;

/** Firmware that the platform token names; `measured` is hashed with SHA-256. */
export interface SoftwareComponent {
  readonly type: string;
  readonly version: string;
  readonly measured: Uint8Array;
}

const text = (s: string): Uint8Array => new TextEncoder().encode(s);

export class PlatformAttestation {
  /** Realm attestation key: private scalar, 48 bytes. */
  readonly realmKey: Uint8Array;
  /** Platform attestation key, likewise. Its public half is what a verifier's endorsement names. */
  private readonly platformKey: Uint8Array;
  private readonly components: readonly SoftwareComponent[];
  private last: { challenge: string; token: Uint8Array } | undefined;

  constructor(seed: bigint, components: readonly SoftwareComponent[]) {
    this.realmKey = keyFromSeed("realm attestation key", seed);
    this.platformKey = keyFromSeed("platform attestation key", seed);
    this.components = components;
  }

  /** The platform attestation public key, as a COSE_Key. */
  get platformPublicKey(): Uint8Array {
    return coseKey(this.platformKey);
  }

  /** The token for a challenge of 32, 48 or 64 bytes. */
  token(challenge: Uint8Array): Uint8Array {
    const key = challenge.join();
    if (this.last?.challenge === key) return this.last.token;
    const token = sign1(this.platformKey, encodeCbor({ map: this.claims(challenge) }));
    this.last = { challenge: key, token };
    return token;
  }

  private claims(challenge: Uint8Array): CborMap {
    const signer = sha256(text("rme-emu"));
    return [
      [PlatformClaim.PROFILE, PLATFORM_PROFILE],
      [PlatformClaim.CHALLENGE, challenge],
      [PlatformClaim.IMPLEMENTATION_ID, sha256(text("rme-emu platform"))],
      [PlatformClaim.INSTANCE_ID, Uint8Array.of(UEID_RAND, ...sha256(this.platformPublicKey))],
      [PlatformClaim.CONFIG, Uint8Array.of(0)],
      [PlatformClaim.LIFECYCLE, SECURED],
      [PlatformClaim.HASH_ALGO, "sha-256"],
      [
        PlatformClaim.SW_COMPONENTS,
        {
          array: this.components.map((c) => ({
            map: [
              [Component.TYPE, c.type],
              [Component.VALUE, sha256(c.measured)],
              [Component.VERSION, c.version],
              [Component.SIGNER, signer],
              [Component.ALGO, "sha-256"],
            ] as CborMap,
          })),
        },
      ],
    ];
  }
}
