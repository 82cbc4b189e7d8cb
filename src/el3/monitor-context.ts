// What calls of an RMM image to EL3 act on, and what they answer with.

import type { Pe } from "../cpu/pe.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import type { PlatformAttestation } from "./monitor-attest.ts";
import { type RmmInterface, SHARED_BUFFER } from "./monitor-boot.ts";
import type { GptOwner } from "./monitor-gpt.ts";

/** Results in x0. AGAIN and what follows it come from other firmware only. */
// biome-ignore format: table
export const RmmEl3 = {
  OK: 0n, UNKNOWN: -1n, BAD_ADDRESS: -2n, BAD_PAS: -3n, NO_MEMORY: -4n, INVALID: -5n, AGAIN: -6n, FAULT: -7n, IN_PROGRESS: -8n,
  NOT_SUPPORTED: -9n, BUSY: -10n, DENIED: -11n,
} as const;

/** What the services act on. */
export interface ServiceContext {
  readonly phys: PhysicalMemory;
  readonly gpt: GptOwner;
  readonly attestation: PlatformAttestation;
  /** PA of the shared buffer. */
  readonly shared: number;
  /** What the RMM was booted with. */
  interface: RmmInterface;
  /** Rest of a platform token that did not fit into the buffer. */
  tokenLeft: Uint8Array;
  /** Responses of TOKEN_SIGN that wait to be fetched. */
  signed: Uint8Array[];
  /** Memory that RESERVE_MEMORY may hand out: [next, end). */
  reserve: { next: number; end: number };
}

export type Service = (c: ServiceContext, pe: Pe, x: (n: number) => bigint) => readonly bigint[];
/** Function identifier, name, arguments (x1 and up), results (x1 and up), handler. */
export type ServiceRow = readonly [fid: number, name: string, args: string, results: string, handler: Service];

/** Result for a buffer that does not lie in the shared one: its start decides first, then its end. */
export function bufferError({ shared }: ServiceContext, pa: bigint, size: bigint): bigint | undefined {
  const [first, end] = [BigInt(shared), BigInt(shared + SHARED_BUFFER)];
  if (pa < first || pa >= end) return RmmEl3.BAD_ADDRESS;
  return pa + size > end ? RmmEl3.INVALID : undefined;
}
