// System operations: what generated code asks the PE to do in TypeScript (Pe.system). The instruction word carries the operands.

export const SysOp = {
  /** Unallocated encoding, or one that is UNDEFINED in the current state. */
  UNDEFINED: 0,
  SVC: 1,
  HVC: 2,
  SMC: 3,
  BRK: 4,
  HLT: 5,
  ERET: 6,
  /** ERETAA, ERETAB: M in bit 10. */
  ERETA: 7,
  DRPS: 8,
  MRS: 9,
  MSR: 10,
  MSR_IMM: 11,
  SYS: 12,
  SYSL: 13,
  WFI: 14,
  WFE: 15,
  WFIT: 16,
  WFET: 17,
  SEV: 18,
  SEVL: 19,
  ISB: 20,
  ESB: 21,
  /** An FP or SIMD instruction met Off.FPTRAP != 0. */
  FPTRAP: 22,
  /** Any instruction while PSTATE.IL is set. */
  ILLEGAL: 23,
  /** The encoding belongs to a feature that the ID registers announce but this emulator lacks: stops with an error naming it. */
  GAP: 24,
  /** SP is misaligned and SP alignment checking is on. */
  SP_ALIGNMENT: 25,
  /** A pointer authentication instruction met Off.PAUTH bit 4. */
  PAUTH_TRAP: 26,
  /** An AUT* instruction failed and FEAT_FPAC is on. Bit 0 of the operand: key B; bit 1: data key. */
  PAC_FAIL: 27,
  /** The branch target instruction is not compatible with PSTATE.BTYPE. */
  BRANCH_TARGET: 28,
} as const;
export type SysOp = (typeof SysOp)[keyof typeof SysOp];
