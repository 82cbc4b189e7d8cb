// How EL3 hands over to an RMM image: the versions of the RMM-EL3 interface that it may be offered, and the boot manifest in the shared
// buffer (manifest 0.5, the same for all of them).

import { EmuError } from "../util/errors.ts";

/** Bytes of the shared buffer: one granule of the Realm PA space. */
export const SHARED_BUFFER = 4096;
const MANIFEST_VERSION = 0x0000_0005;

/** What a version of the RMM-EL3 interface says about the way between the worlds. */
export interface RmmInterface {
  readonly name: string;
  /** Version word in x1 at the cold boot: major in 30:16, minor in 15:0. */
  readonly version: bigint;
  /** Registers from x0 on that RMI_REQ_COMPLETE takes to the host. */
  readonly results: number;
  /** EL3 switches ICH_HCR_EL2 and ICH_VMCR_EL2 between the worlds; else they are left as they are. */
  readonly switchesGic: boolean;
  /** EL3 answers calls of FIRME too. */
  readonly firme: boolean;
}

/**
 * Newest first: an RMM is entered with the first of them, and answers a major version that is not its own with VERSION_NOT_VALID. It is
 * then loaded anew and entered with the next. Minor versions of one major version are compatible, so that 0.8 serves all of 0.x.
 */
// biome-ignore format: table
export const rmmInterfaces: readonly RmmInterface[] = [
  { name: "2.0", version: 0x2_0000n, results: 8, switchesGic: false, firme: true },
  { name: "0.8", version: 0x0_0008n, results: 5, switchesGic: true,  firme: false },
];

export interface ManifestConsole {
  readonly base: number;
  /** Pages of the register window. */
  readonly pages: number;
  readonly clockHz: number;
  readonly baud: number;
}
export interface ManifestContents {
  /** DRAM for realms: ascending, not overlapping. */
  readonly banks: readonly { base: number; size: number }[];
  readonly consoles: readonly ManifestConsole[];
}

const HEADER = 168;
/** Offsets of the {count, pointer, checksum} triples, in the order of the manifest. */
const Triple = { DRAM: 16, CONSOLE: 40, NCOH: 64, COH: 88, SMMU: 112 } as const;
const BANK_BYTES = 16;
const CONSOLE_BYTES = 48;

/** The manifest as it stands at `base`, the PA of the shared buffer. */
export function bootManifest(base: number, m: ManifestContents): Uint8Array {
  const data = new Uint8Array(SHARED_BUFFER);
  const view = new DataView(data.buffer);
  const end = HEADER + m.banks.length * BANK_BYTES + m.consoles.length * CONSOLE_BYTES;
  if (end > SHARED_BUFFER) throw new EmuError("rmm-manifest", "the RMM boot manifest does not fit into its page");
  view.setUint32(0, MANIFEST_VERSION, true);
  let at = HEADER;
  const list = (triple: number, count: number, bytes: number, write: (i: number, at: number) => void): void => {
    if (count === 0) return; // an empty list is {0, 0, 0}
    for (let i = 0; i < count; i++) write(i, at + i * bytes);
    view.setBigUint64(triple, BigInt(count), true);
    view.setBigUint64(triple + 8, BigInt(base + at), true);
    let sum = BigInt(count) + BigInt(base + at);
    for (let w = at; w < at + count * bytes; w += 8) sum += view.getBigUint64(w, true);
    view.setBigUint64(triple + 16, BigInt.asUintN(64, -sum), true);
    at += count * bytes;
  };
  list(Triple.DRAM, m.banks.length, BANK_BYTES, (i, p) => {
    view.setBigUint64(p, BigInt(m.banks[i]?.base ?? 0), true);
    view.setBigUint64(p + 8, BigInt(m.banks[i]?.size ?? 0), true);
  });
  list(Triple.CONSOLE, m.consoles.length, CONSOLE_BYTES, (i, p) => {
    const c = m.consoles[i] as ManifestConsole;
    view.setBigUint64(p, BigInt(c.base), true);
    view.setBigUint64(p + 8, BigInt(c.pages), true);
    data.set(new TextEncoder().encode("pl011"), p + 16);
    view.setBigUint64(p + 24, BigInt(c.clockHz), true);
    view.setBigUint64(p + 32, BigInt(c.baud), true);
  });
  return data;
}

/** RMM_BOOT_COMPLETE, x1: the version of the interface is not one that the RMM supports. */
export const VERSION_NOT_VALID = -2n;

/** What an RMM says when its boot fails (RMM_BOOT_COMPLETE, x1). */
const bootErrors: Readonly<Record<string, string>> = {
  "-1": "unknown error",
  "-2": `it supports none of the versions of the RMM-EL3 interface that this EL3 has: ${rmmInterfaces.map((i) => i.name).join(", ")}`,
  "-3": "too many CPUs",
  "-4": "CPU number out of range",
  "-5": "invalid shared buffer",
  "-6": "it does not support version 0.5 of the boot manifest",
  "-7": "invalid data in the boot manifest",
  "-8": "not enough memory from EL3 (RMM_RESERVE_MEMORY)",
};
export const bootError = (code: bigint): string => bootErrors[BigInt.asIntN(64, code).toString()] ?? `code ${BigInt.asIntN(64, code)}`;
