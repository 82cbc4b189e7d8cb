// The SMC Calling Convention (Arm DEN0028): function identifiers, return codes, and what a handler of a call is given.

import type { PowerControl } from "./power.ts";

/** Bits of a function identifier (W0): fast call 31, SMC64 30, owning entity 29:24, SVE hint 16, number 15:0. */
export const FID_SMC64 = 0x4000_0000;
/** "No live state in Z registers" hint of the caller (SMCCC 1.3): not part of the number. All registers are kept anyway. */
export const FID_SVE_HINT = 0x1_0000;

/** Return codes of SMCCC, PSCI and TRNG, as 64-bit values: negative ones fill x0, so that w0 and x0 read the same. */
export const Ret = {
  SUCCESS: 0n,
  NOT_SUPPORTED: -1n,
  INVALID_PARAMETERS: -2n,
  DENIED: -3n,
  ALREADY_ON: -4n,
  ON_PENDING: -5n,
  INVALID_ADDRESS: -9n,
} as const;

/** One call as its handler sees it. */
export interface Call {
  /** PE that made the call. */
  readonly pe: number;
  /** x1, x2, ...: as many as the row says; in an SMC32 call only their low 32 bits. */
  readonly args: readonly bigint[];
  /** Made with an SMC64 function identifier. */
  readonly wide: boolean;
}

/** Results for x0, x1, ...: the registers beyond them keep their values. */
export type Results = readonly bigint[];

/** The call does not return in the ordinary way: its handler has arranged what happens to the PE. */
export const NO_RETURN = null;

/** What handlers act on. */
export interface Services {
  readonly power: PowerControl;
  /** MPIDR affinity fields of each PE: Aff3 at 39:32, Aff2..Aff0 at 23:0. */
  readonly affinities: readonly bigint[];
  /** CPU_ON has been accepted for these PEs (bit mask) and they have not started yet. */
  pending: number;
  /** `n` bytes of entropy. */
  entropy(n: number): Uint8Array;
  /** Goes back to the caller with x0 = 0 and lets the PE wait for an interrupt. */
  standby(): void;
  /** Is this function identifier one that returns something else than NOT_SUPPORTED? */
  implemented(fid: number): boolean;
}

/** undefined as handler: known, and answered NOT_SUPPORTED like an unknown one. */
export type Handler = (s: Services, call: Call) => Results | typeof NO_RETURN;

/** A row of a call table. `id32` or `id64` is 0 when the call does not exist in that width. */
export interface CallRow {
  readonly id32: number;
  readonly id64: number;
  readonly name: string;
  /** Names of the arguments, x1 and up. */
  readonly args: readonly string[];
  readonly handler: Handler | undefined;
}

/** A row as the tables write it. */
export type RowTuple = readonly [id32: number, id64: number, name: string, args: string, handler: Handler | undefined];

export const toRow = ([id32, id64, name, args, handler]: RowTuple): CallRow => ({ id32, id64, name, args: words(args), handler });
const words = (s: string): string[] => s.split(" ").filter((w) => w !== "");

/** An argument, 0 when the row is too short for it. */
export const arg = (call: Call, n: number): bigint => call.args[n - 1] ?? 0n;
