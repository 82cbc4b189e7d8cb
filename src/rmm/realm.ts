// The Realm Descriptor: what the RMM knows of a realm, in the RD granule.

import { P2 } from "../mmu/range.ts";
import type { GuardedMemory } from "./memory.ts";
import type { HashAlgorithm, RealmState } from "./status.ts";
import { type StructView, struct } from "./struct.ts";

/** Measurements: 0 is the initial measurement, 1 to 4 are extensible. */
export const MEASUREMENTS = 5;
/** Bytes kept for each, whatever the algorithm. */
export const MEASUREMENT_BYTES = 64;

// The layout is this RMM's own.
// biome-ignore format: table
export const RealmDescriptor = struct("RealmDescriptor", 4096, [
  ["state",        0x000, 8],         // RealmState
  ["rec_count",    0x008, 8],         // RECs created so far: the next REC's index
  ["ipa_bits",     0x010, 8],
  ["rtt_base",     0x018, 8],
  ["rtt_level",    0x020, 8],         // start level
  ["rtt_count",    0x028, 8],         // start-level tables
  ["vmid",         0x030, 8],
  ["hash_algo",    0x038, 8],         // HashAlgorithm
  ["num_aux",      0x040, 8],         // auxiliary granules of each REC
  ["pmu",          0x048, 8],         // 1: the realm has a PMU
  ["pmu_num_ctrs", 0x050, 8],
  ["num_bps",      0x058, 8],
  ["num_wps",      0x060, 8],
  ["rpv",          0x100, 1, 64],
  ["measurements", 0x200, 1, MEASUREMENTS * MEASUREMENT_BYTES],
]);
/** Its fields. */
export const Rd = RealmDescriptor.fields;
export type RdField = keyof typeof RealmDescriptor.fields;

/** Stage 2 of a realm: what a walk needs. */
export interface Stage2 {
  readonly ipaBits: number;
  readonly startLevel: number;
  readonly base: number;
  readonly tables: number;
  readonly vmid: number;
}

/** A realm, read from its RD. Cheap to make; made anew for each call. */
export class Realm implements Stage2 {
  /** PA of the RD granule. */
  readonly rd: number;
  readonly view: StructView<RdField>;
  readonly ipaBits: number;
  /** Bytes of IPA space. */
  readonly ipaSize: number;
  readonly startLevel: number;
  readonly base: number;
  readonly tables: number;
  readonly vmid: number;

  constructor(memory: GuardedMemory, rd: number) {
    this.rd = rd;
    this.view = memory.view(RealmDescriptor, rd);
    this.ipaBits = this.view.num(Rd.ipa_bits);
    this.ipaSize = P2[this.ipaBits] as number;
    this.startLevel = this.view.num(Rd.rtt_level);
    this.base = this.view.num(Rd.rtt_base);
    this.tables = this.view.num(Rd.rtt_count);
    this.vmid = this.view.num(Rd.vmid);
  }

  get state(): RealmState {
    return this.view.num(Rd.state) as RealmState;
  }
  set state(s: RealmState) {
    this.view.set(Rd.state, s);
  }
  get hash(): HashAlgorithm {
    return this.view.num(Rd.hash_algo) as HashAlgorithm;
  }
  /** Is the IPA in the protected half of the IPA space? */
  isProtected(ipa: number | bigint): boolean {
    return ipa < this.ipaSize / 2;
  }
  /** Measurement `i`, MEASUREMENT_BYTES long: a view. */
  measurement(i: number): Uint8Array {
    return this.view.bytes(Rd.measurements).subarray(i * MEASUREMENT_BYTES, (i + 1) * MEASUREMENT_BYTES);
  }
}

/** RECs per realm have an index made of their MPIDR: Aff0 3:0, Aff1 15:8, Aff2 23:16, Aff3 31:24. */
export const recIndexOf = (mpidr: bigint): number =>
  Number(mpidr & 0xfn) +
  Number((mpidr >> 8n) & 0xffn) * 2 ** 4 +
  Number((mpidr >> 16n) & 0xffn) * 2 ** 12 +
  Number((mpidr >> 24n) & 0xffn) * 2 ** 20;
/** The same for an MPIDR that a realm gives to PSCI: affinity 3 is where MPIDR_EL1 has it, in 39:32. */
export const recIndexOfMpidr = (mpidr: bigint): number => recIndexOf((mpidr & 0xff_ffffn) | (((mpidr >> 32n) & 0xffn) << 24n));
/** Only affinity fields, and Aff0 below 16. */
export const recMpidrValid = (mpidr: bigint): boolean => (mpidr & ~0xffff_ff0fn) === 0n;
/** MPIDR_EL1 that the realm sees. */
export const mpidrOfRec = (mpidr: bigint): bigint => (1n << 31n) | (mpidr & 0xff_ffffn) | (((mpidr >> 24n) & 0xffn) << 32n);
