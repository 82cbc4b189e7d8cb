// Trapped MSR and MRS of a realm: identification registers as a realm may see them, GIC registers that the host emulates.

import type { RegName } from "../arch/registers/encodings.ts";
import { encodingKey, keyText, registerName } from "../arch/registers/index.ts";
import { slot } from "../arch/state.ts";
import type { Pe } from "../cpu/pe.ts";

/** Identification registers that are shown, with the fields that are hidden: [low bit, width]. What is not here reads as zero. */
// biome-ignore format: table
const shown: Partial<Record<RegName, readonly (readonly [number, number])[]>> = {
  ID_AA64PFR0_EL1:  [[44, 4], [32, 4]],                                   // AMU, SVE
  ID_AA64PFR1_EL1:  [[8, 4], [24, 4]],                                    // MTE, SME
  // TraceVer, PMSS, SEBEP, CTX_CMPs, PMSVer, TraceFilt, TraceBuffer, BRBE, ExtTrcBuff
  ID_AA64DFR0_EL1:  [[4, 4], [16, 4], [24, 4], [28, 4], [32, 4], [40, 4], [44, 4], [52, 4], [56, 4]],
  ID_AA64DFR1_EL1:  [[48, 4], [36, 4]],                                   // EBEP, ICNTR
  ID_AA64AFR0_EL1:  [],
  ID_AA64AFR1_EL1:  [],
  ID_AA64ISAR0_EL1: [],
  ID_AA64ISAR1_EL1: [],
  ID_AA64MMFR0_EL1: [],
  ID_AA64MMFR1_EL1: [],
  ID_AA64MMFR2_EL1: [],
};

/** Value of an identification register as realms read it. */
export function realmIdRegister(pe: Pe, name: RegName): bigint {
  const hidden = shown[name];
  if (hidden === undefined) return 0n;
  return hidden.reduce((v, [low, width]) => v & ~(((1n << BigInt(width)) - 1n) << BigInt(low)), pe.st.get(slot[name]));
}

/** GIC registers whose writes the host performs. */
const hostRegisters = new Set<RegName>(["ICC_DIR_EL1", "ICC_SGI0R_EL1", "ICC_SGI1R_EL1", "ICC_ASGI1R_EL1", "ICC_PMR_EL1"]);

/** A trapped access, from the ISS of EC 0x18. */
export interface TrappedAccess {
  readonly name: RegName | undefined;
  /** "op0, op1, CRn, CRm, op2". */
  readonly text: string;
  readonly rt: number;
  readonly write: boolean;
  /** In the space of identification registers, 3, 0, 0, 1..7, x. */
  readonly id: boolean;
  /** The host has to carry it out. */
  readonly forHost: boolean;
}

export function decodeAccess(iss: number): TrappedAccess {
  const op0 = (iss >>> 20) & 3;
  const op2 = (iss >>> 17) & 7;
  const op1 = (iss >>> 14) & 7;
  const crn = (iss >>> 10) & 15;
  const crm = (iss >>> 1) & 15;
  const key = encodingKey(op0, op1, crn, crm, op2);
  const name = registerName(key);
  return {
    name,
    text: keyText(key),
    rt: (iss >>> 5) & 31,
    write: (iss & 1) === 0,
    id: op0 === 3 && op1 === 0 && crn === 0,
    forHost: name !== undefined && hostRegisters.has(name),
  };
}
