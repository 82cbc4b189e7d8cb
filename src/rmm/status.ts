// Return codes and enumerations of the Realm Management Interface and the Realm Services Interface (Arm DEN0137 1.0).

/** RmiStatusCode, bits 7:0 of x0. */
export const RmiStatus = { SUCCESS: 0, ERROR_INPUT: 1, ERROR_REALM: 2, ERROR_REC: 3, ERROR_RTT: 4 } as const;
export type RmiStatus = (typeof RmiStatus)[keyof typeof RmiStatus];

/** RsiCommandReturnCode, x0. */
export const RsiStatus = { SUCCESS: 0, ERROR_INPUT: 1, ERROR_STATE: 2, INCOMPLETE: 3, ERROR_UNKNOWN: 4 } as const;
export type RsiStatus = (typeof RsiStatus)[keyof typeof RsiStatus];

/** x0 of a call whose function identifier nobody knows. */
export const SMC_UNKNOWN = 0xffff_ffff_ffff_ffffn;

/** RmiCommandReturnCode: status in bits 7:0, index in bits 15:8. A level of -1 is 0xFF. */
export const rmiCode = (status: RmiStatus, index = 0): bigint => BigInt(status | ((index & 0xff) << 8));

/** Status and index of an RmiCommandReturnCode. The index of ERROR_RTT is a level, signed. */
export function unpackRmiCode(x0: bigint): { status: number; index: number } {
  const status = Number(x0 & 0xffn);
  const index = Number((x0 >> 8n) & 0xffn);
  return { status, index: status === RmiStatus.ERROR_RTT ? (index << 24) >> 24 : index };
}

/** "RMI_SUCCESS", "RMI_ERROR_RTT 2", or the number, for logs. */
export function rmiCodeName(x0: bigint): string {
  if (x0 === SMC_UNKNOWN) return "SMC_UNKNOWN";
  const { status, index } = unpackRmiCode(x0);
  const name = Object.entries(RmiStatus).find(([, v]) => v === status)?.[0];
  if (name === undefined) return `0x${x0.toString(16)}`;
  return status === RmiStatus.ERROR_RTT || index !== 0 ? `RMI_${name} ${index}` : `RMI_${name}`;
}
export const rsiCodeName = (x0: bigint): string => {
  const name = Object.entries(RsiStatus).find(([, v]) => BigInt(v) === x0)?.[0];
  return name === undefined ? (x0 === SMC_UNKNOWN ? "SMC_UNKNOWN" : `0x${x0.toString(16)}`) : `RSI_${name}`;
};

/** Version 1.0 of both interfaces: major in 30:16, minor in 15:0. */
export const ABI_VERSION = 0x1_0000n;

export const RealmState = { NEW: 0, ACTIVE: 1, SYSTEM_OFF: 2 } as const;
export type RealmState = (typeof RealmState)[keyof typeof RealmState];

/** RmiRttEntryState, x2 of RTT_READ_ENTRY. */
export const RttState = { UNASSIGNED: 0, ASSIGNED: 1, TABLE: 2 } as const;

export const Ripas = { EMPTY: 0, RAM: 1, DESTROYED: 2 } as const;
export type Ripas = (typeof Ripas)[keyof typeof Ripas];

export const HashAlgorithm = { SHA_256: 0, SHA_512: 1 } as const;
export type HashAlgorithm = (typeof HashAlgorithm)[keyof typeof HashAlgorithm];

/** RmiRecExitReason. */
export const ExitReason = { SYNC: 0, IRQ: 1, FIQ: 2, PSCI: 3, RIPAS_CHANGE: 4, HOST_CALL: 5, SERROR: 6 } as const;
export type ExitReason = (typeof ExitReason)[keyof typeof ExitReason];
const exitReasonNames = Object.entries(ExitReason).reduce<string[]>((names, [name, v]) => Object.assign(names, { [v]: name }), []);
export const exitReasonName = (reason: number): string => exitReasonNames[reason] ?? `${reason}`;

/** Bits of RmiRecEnter.flags. */
export const EnterFlag = { EMUL_MMIO: 1, INJECT_SEA: 2, TRAP_WFI: 4, TRAP_WFE: 8, RIPAS_RESPONSE: 16 } as const;
/** Bits of RmiRealmParams.flags. */
export const RealmFlag = { LPA2: 1, SVE: 2, PMU: 4 } as const;
/** Bits of RmiRecParams.flags. */
export const RecFlag = { RUNNABLE: 1 } as const;
/** DATA_CREATE flags. */
export const DataFlag = { MEASURE: 1 } as const;
/** RsiResponse, RmiResponse. */
export const Response = { ACCEPT: 0n, REJECT: 1n } as const;
/** IPA_STATE_SET flags. */
export const RipasChange = { CHANGE_DESTROYED: 1 } as const;

/** PSCI return codes, as 64-bit values. */
export const Psci = {
  SUCCESS: 0n,
  NOT_SUPPORTED: BigInt.asUintN(64, -1n),
  INVALID_PARAMETERS: BigInt.asUintN(64, -2n),
  DENIED: BigInt.asUintN(64, -3n),
  ALREADY_ON: BigInt.asUintN(64, -4n),
  INVALID_ADDRESS: BigInt.asUintN(64, -9n),
  AFFINITY_ON: 0n,
  AFFINITY_OFF: 1n,
} as const;

/** The granule: unit of delegation, protection and RTT pages. */
export const GRANULE = 4096;
