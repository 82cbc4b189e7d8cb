// ESR_ELx: exception classes and the ISS encodings that system code produces (Arm ARM D19, ESR_EL1). ISS values are 25 bits.

/** Exception class, ESR_ELx.EC. Classes with a "lower" and a "same" form are the lower one; add 1 when taken to the current EL. */
export const Ec = {
  Unknown: 0x00,
  Wfx: 0x01,
  FpAccess: 0x07,
  PauthTrap: 0x09,
  BranchTarget: 0x0d,
  IllegalState: 0x0e,
  Svc: 0x15,
  Hvc: 0x16,
  Smc: 0x17,
  SystemRegister: 0x18,
  Eret: 0x1a,
  PacFail: 0x1c,
  GranuleProtection: 0x1e,
  InstructionAbort: 0x20,
  PcAlignment: 0x22,
  DataAbort: 0x24,
  SpAlignment: 0x26,
  SError: 0x2f,
  Breakpoint: 0x30,
  SoftwareStep: 0x32,
  Watchpoint: 0x34,
  Brk: 0x3c,
} as const;
export type Ec = (typeof Ec)[keyof typeof Ec];

const ecNames: Record<number, string> = {
  0: "Unknown reason",
  1: "Trapped WFI or WFE",
  7: "FP or SIMD access",
  9: "Pointer authentication trap",
  13: "Branch target",
  14: "Illegal Execution state",
  21: "SVC",
  22: "HVC",
  23: "SMC",
  24: "Trapped MSR, MRS or SYS",
  26: "Trapped ERET",
  28: "Pointer authentication failure",
  30: "Granule protection check",
  32: "Instruction Abort from a lower level",
  33: "Instruction Abort",
  34: "PC alignment",
  36: "Data Abort from a lower level",
  37: "Data Abort",
  38: "SP alignment",
  47: "SError",
  48: "Breakpoint from a lower level",
  49: "Breakpoint",
  50: "Software step from a lower level",
  51: "Software step",
  52: "Watchpoint from a lower level",
  53: "Watchpoint",
  60: "BRK",
};
/** Name of an exception class, for logs. */
export const ecName = (ec: number): string => ecNames[ec] ?? `EC 0x${ec.toString(16)}`;

// biome-ignore format: table
const abortStatuses: readonly (readonly [mask: number, code: number, name: string])[] = [
  [0x3c, 0x00, "address size fault"],
  [0x3c, 0x04, "translation fault"],
  [0x3c, 0x08, "access flag fault"],
  [0x3c, 0x0c, "permission fault"],
  [0x3f, 0x10, "External abort: nothing is there"],
  [0x3c, 0x14, "External abort on the walk of a table"],
  [0x3f, 0x21, "alignment fault"],
  [0x3f, 0x23, "granule protection fault on the walk of a table"],
  [0x3c, 0x24, "granule protection fault on the walk of a table"],
  [0x3f, 0x28, "granule protection fault"],
  [0x3f, 0x35, "unsupported atomic access"],
];
/** Exception class. `esr`, here and below: the low 32 bits of ESR_ELx. */
export const ecOf = (esr: number): number => esr >>> 26;
/** Name of an exception from the low 32 bits of its syndrome, with the fault of an abort: "Data Abort, translation fault". */
export function syndromeName(esr: number): string {
  const ec = ecOf(esr);
  const abort = (ec & ~1) === Ec.InstructionAbort || (ec & ~1) === Ec.DataAbort; // from a lower level, or the same
  const status = abort ? abortStatuses.find(([mask, code]) => (esr & mask) === code)?.[2] : undefined;
  return status === undefined ? ecName(ec) : `${ecName(ec)}, ${status}`;
}

/** Low 32 bits of ESR for a class and an ISS, with IL = 1 (all A64 instructions have 32 bits). */
export const esr = (ec: number, iss: number): number => ((ec << 26) | (1 << 25) | (iss & 0x1ff_ffff)) >>> 0;

/** ISS of EC 0x18 from the instruction word of MRS, MSR, SYS, SYSL or MSR (immediate): Dir = 1 for reads. */
export function sysIss(insn: number): number {
  const op0 = (insn >>> 19) & 3;
  const op1 = (insn >>> 16) & 7;
  const crn = (insn >>> 12) & 15;
  const crm = (insn >>> 8) & 15;
  const op2 = (insn >>> 5) & 7;
  return (op0 << 20) | (op2 << 17) | (op1 << 14) | (crn << 10) | ((insn & 31) << 5) | (crm << 1) | ((insn >>> 21) & 1);
}

/** ISS of EC 0x07: CV = 1, COND = always. */
export const FP_TRAP_ISS = (1 << 24) | (0xe << 20);

/** What EC 0x01 reports. */
export const WfxTi = { WFI: 0, WFE: 1, WFIT: 2, WFET: 3 } as const;

/** ISS of EC 0x01. `rn` is the register of WFIT and WFET, undefined for WFI and WFE. */
export const wfxIss = (ti: number, rn: number | undefined): number =>
  (1 << 24) | (0xe << 20) | (rn === undefined ? 0 : (rn << 5) | (1 << 2)) | ti;

/** Bits of the ISS of a Data Abort. Where ISV = 0, SAS, SSE, SRT, SF and AR say nothing. */
export const AbortIss = { ISV: 1 << 24, SAS: 3 << 22, SSE: 1 << 21, SF: 1 << 15, AR: 1 << 14, WnR: 1 << 6 } as const;
const SAS_SHIFT = 22;
const SRT_SHIFT = 16;

/** ISV, SAS, SSE, SRT, SF and AR (bits 24:14) of a Data Abort ISS for a load or store instruction word, 0 when ISV = 0.
 *  Valid for loads and stores of one general-purpose register without writeback, not for exclusives, atomics and pairs
 *  (Arm ARM, "ISS encoding for an exception from a Data Abort", ISV). */
export function dataAbortIsv(insn: number): number {
  const rt = insn & 31;
  if ((insn & 0x3f00_0000) >>> 0 === 0x0800_0000) {
    // LDAR, STLR, LDLAR, STLLR: o2 = 1, o1 = 0
    if ((insn & 0x00a0_0000) !== 0x0080_0000) return 0;
    const size = insn >>> 30;
    return isv(size, 0, rt, size === 3, 1);
  }
  if ((insn & 0x3f20_0c00) >>> 0 === 0x1900_0000) return oneRegister(insn, 1); // LDAPUR, STLUR
  if ((insn & 0x3fff_fc00) >>> 0 === 0x38bf_c000) {
    const size = insn >>> 30; // LDAPR
    return isv(size, 0, rt, size === 3, 1);
  }
  if ((insn & 0x3b00_0000) >>> 0 === 0x1800_0000 && (insn & 0x0400_0000) === 0) {
    const opc = insn >>> 30; // LDR (literal): W, X, SW; 3 is PRFM
    if (opc === 3) return 0;
    return isv(opc === 1 ? 3 : 2, opc === 2 ? 1 : 0, rt, opc !== 0, 0);
  }
  if ((insn & 0x3f00_0000) >>> 0 === 0x3900_0000) return oneRegister(insn, 0); // unsigned offset
  if ((insn & 0x3f20_0000) >>> 0 === 0x3800_0000) {
    const kind = (insn >>> 10) & 3; // 0 unscaled, 1 post-index, 2 unprivileged, 3 pre-index
    return kind === 0 || kind === 2 ? oneRegister(insn, 0) : 0;
  }
  if ((insn & 0x3f20_0c00) >>> 0 === 0x3820_0800) return oneRegister(insn, 0); // register offset
  return 0;
}

/** size in bits 31:30, opc in bits 23:22: 0 store, 1 load, 2 load signed to 64 bits, 3 load signed to 32 bits. */
function oneRegister(insn: number, ar: number): number {
  const size = insn >>> 30;
  const opc = (insn >>> 22) & 3;
  if (size === 3 && opc === 2) return 0; // PRFM
  return isv(size, opc >>> 1, insn & 31, opc < 2 ? size === 3 : opc === 2, ar);
}

const isv = (sas: number, sse: number, srt: number, sf: boolean, ar: number): number =>
  AbortIss.ISV | (sas << SAS_SHIFT) | (sse * AbortIss.SSE) | (srt << SRT_SHIFT) | (sf ? AbortIss.SF : 0) | (ar * AbortIss.AR);

// The other way: the access that a Data Abort with ISV = 1 is about, for those who carry it out instead of the guest.

/** Bytes: 1, 2, 4, 8. */
export const accessBytes = (esr: number): number => 1 << ((esr >>> SAS_SHIFT) & 3);
/** Number of the general-purpose register; 31: zero. */
export const accessRegister = (esr: number): number => (esr >>> SRT_SHIFT) & 31;
/** What a store writes, from the value of its register. */
export const storedData = (esr: number, value: bigint): bigint => BigInt.asUintN(8 * accessBytes(esr), value);
/** What a load puts into its register when memory holds `data`; bits beyond the access do not matter. */
export function loadedValue(esr: number, data: bigint): bigint {
  const bits = 8 * accessBytes(esr);
  if ((esr & AbortIss.SSE) === 0) return BigInt.asUintN(bits, data);
  return BigInt.asUintN((esr & AbortIss.SF) !== 0 ? 64 : 32, BigInt.asIntN(bits, data));
}
