// A REC exit, decoded: what the fields of RmiRecExit say about an abort or a trapped system register.

import { AbortIss, accessBytes, ecOf } from "../arch/syndrome.ts";
import { Exit, type RecExit } from "../rmm/layouts.ts";
import type { StructView } from "../rmm/struct.ts";

export type RecExitView = StructView<keyof typeof RecExit.fields>;

/** Exception classes that RMI reports. */
export const ExitEc = { WFX: 0x01, SYSREG: 0x18, INSTRUCTION_ABORT: 0x20, DATA_ABORT: 0x24 } as const;

export const exitEc = (exit: RecExitView): number => ecOf(exit.lo(Exit.esr));

/** IPA of an abort: the page from HPFAR, the rest from FAR as far as it is disclosed. */
export const exitIpa = (exit: RecExitView): number => Math.floor(exit.num(Exit.hpfar) / 16) * 4096 + (exit.lo(Exit.far) & 0xfff);

/** A data abort that the host may emulate. */
export interface MmioAccess {
  readonly ipa: number;
  readonly write: boolean;
  /** Bytes: 1, 2, 4, 8. */
  readonly size: number;
  /** What a write stores. */
  readonly data: bigint;
}

/** The access behind a data abort, or undefined when the syndrome does not describe it (ISV = 0). */
export function mmioAccess(exit: RecExitView): MmioAccess | undefined {
  const esr = exit.lo(Exit.esr);
  if ((esr & AbortIss.ISV) === 0) return undefined;
  return { ipa: exitIpa(exit), write: (esr & AbortIss.WnR) !== 0, size: accessBytes(esr), data: exit.get(Exit.gprs, 0) };
}

/** Encoding of the system register of an EC 0x18 exit as op0:op1:CRn:CRm:op2, and the direction. */
export function trappedRegister(exit: RecExitView): { name: string; write: boolean } {
  const iss = exit.get(Exit.esr);
  const field = (low: number, width: number): bigint => (iss >> BigInt(low)) & ((1n << BigInt(width)) - 1n);
  const name = `S${field(20, 2)}_${field(14, 3)}_C${field(10, 4)}_C${field(1, 4)}_${field(17, 3)}`;
  return { name, write: (iss & 1n) === 0n };
}
