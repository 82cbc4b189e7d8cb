// Translation faults as values: all that ESR, FAR, HPFAR and PAR need. Codes: Arm ARM, ISS encoding for a Data Abort, "DFSC".

import type { Pas } from "../arch/security.ts";

export const FaultType = {
  Translation: 0,
  AddressSize: 1,
  AccessFlag: 2,
  Permission: 3,
  /** Misaligned access to Device memory or with alignment checking (raised by the executor, not by translation). */
  Alignment: 4,
  /** Synchronous External abort on the access itself (raised by the executor). */
  External: 5,
  /** Synchronous External abort on a translation table walk: the table is not in memory. */
  ExternalOnWalk: 6,
  /** Granule protection check failed on the final address. */
  GranuleOnOutput: 7,
  /** Granule protection check failed on a descriptor access. */
  GranuleOnWalk: 8,
  /** Unsupported exclusive or atomic access (raised by the executor). */
  Exclusive: 9,
  /** Unsupported atomic hardware update: a descriptor kept changing under the update of its access flag or dirty state. */
  HardwareUpdate: 10,
} as const;
export type FaultType = (typeof FaultType)[keyof typeof FaultType];

/** What a granule protection check that does not pass reports (rme-cpu facts, section 5, GPCSC). */
export const Gpc = { AddressSize: 1, Walk: 2, Fail: 3, ExternalAbort: 4 } as const;
export type Gpc = (typeof Gpc)[keyof typeof Gpc];

/** One fault. Exceptions are built from it; it is never thrown. */
export interface Fault {
  readonly type: FaultType;
  /** Lookup level, -1..3. Meaningful where the fault code has one. */
  readonly level: number;
  /** Stage that faulted. */
  readonly stage: 1 | 2;
  /** The stage 2 fault hit a stage 1 descriptor access (ISS.S1PTW, PAR.PTW). */
  readonly s1ptw: boolean;
  /** WnR: the access that failed was a write. 1 for cache maintenance and address translation instructions (ISS.CM). */
  readonly write: boolean;
  /** The access was an instruction fetch (Instruction Abort). */
  readonly fetch: boolean;
  /** Cache maintenance or AT instruction: ISS.CM = 1, WnR = 1. */
  readonly maintenance: boolean;
  /** Faulting virtual address as the program gave it, 64 bits: FAR_ELx. */
  readonly va: bigint;
  /** Intermediate physical address that stage 2 was given: page address and offset, below 2^52. */
  readonly ipa: number;
  /** Address space of `ipa`: HPFAR_EL2.NS in Secure state. */
  readonly ipaSpace: Pas;
  /** HPFAR_EL2 is written when the fault is taken to EL2. */
  readonly ipaValid: boolean;
  /** Granule protection: what failed and at which level of the GPT. */
  readonly gpc?: Gpc;
  readonly gpcLevel?: number;
  /** Physical address and space that failed the granule protection check or the External abort (MFAR_EL3). */
  readonly pa?: number;
  readonly pas?: Pas;
}

/** The fields of a fault that a walk determines. Reused from walk to walk. */
export class WalkFault {
  type: FaultType = FaultType.Translation;
  level = 0;
  stage: 1 | 2 = 1;
  s1ptw = false;
  write = false;
  ipa = 0;
  ipaSpace: Pas = 0;
  /** kind * 16 + level of a failed granule protection check, else 0. */
  gpc = 0;
  pa = 0;
  pas: Pas = 0;

  /** Records a fault; always false, so that walks can return it. */
  set(type: FaultType, level: number, stage: 1 | 2): false {
    this.type = type;
    this.level = level;
    this.stage = stage;
    return false;
  }
}

/** HPFAR_EL2 holds the IPA (IPAValid()): stage 2 faults, but permission faults only on a stage 1 walk. */
function ipaValid(w: WalkFault): boolean {
  if (w.stage !== 2) return false;
  if (w.gpc !== 0) return true;
  if (w.type === FaultType.Permission) return w.s1ptw;
  return w.type === FaultType.Translation || w.type === FaultType.AddressSize || w.type === FaultType.AccessFlag;
}

/** The fault value for a finished walk. */
export function makeFault(w: WalkFault, vaLo: number, vaHi: number, o: { fetch: boolean; maintenance: boolean }): Fault {
  return {
    type: w.type,
    level: w.level,
    stage: w.stage,
    s1ptw: w.s1ptw,
    write: w.write || o.maintenance,
    fetch: o.fetch,
    maintenance: o.maintenance,
    va: (BigInt(vaHi >>> 0) << 32n) | BigInt(vaLo >>> 0),
    ipa: w.ipa,
    ipaSpace: w.ipaSpace,
    ipaValid: ipaValid(w),
    ...(w.gpc === 0 ? {} : { gpc: (w.gpc >> 4) as Gpc, gpcLevel: w.gpc & 15, pa: w.pa, pas: w.pas }),
  };
}

/** The 6-bit fault status code: DFSC, IFSC, PAR_EL1.FST, xFSC (facts 4.4). */
export function faultStatusCode(f: Pick<Fault, "type" | "level">): number {
  const top = f.level < 0;
  const level = f.level & 3;
  switch (f.type) {
    case FaultType.AddressSize:
      return top ? 0x29 : level;
    case FaultType.Translation:
      return top ? 0x2b : 0x04 | level;
    case FaultType.AccessFlag:
      return 0x08 | level;
    case FaultType.Permission:
      return 0x0c | level;
    case FaultType.External:
      return 0x10;
    case FaultType.ExternalOnWalk:
      return top ? 0x13 : 0x14 | level;
    case FaultType.Alignment:
      return 0x21;
    case FaultType.GranuleOnWalk:
      return top ? 0x23 : 0x24 + level;
    case FaultType.GranuleOnOutput:
      return 0x28;
    case FaultType.HardwareUpdate:
      return 0x31;
    case FaultType.Exclusive:
      return 0x35;
  }
}

/** HPFAR_EL2 for a fault with `ipaValid`: FIPA = IPA[51:12] in bits 43:4, NS (bit 63) for the Non-secure IPA space of Secure state. */
export function hpfar(f: Fault, secureState: boolean): bigint {
  const fipa = BigInt(Math.floor(f.ipa / 4096)) << 4n;
  return secureState && f.ipaSpace === 1 ? fipa | (1n << 63n) : fipa;
}
