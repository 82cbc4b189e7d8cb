// System register records: what the rows of el1.ts, el2.ts, debug.ts and timer.ts say, in the form the PE works with.

import type { Features } from "../features.ts";
import { encodings, type RegName } from "./encodings.ts";

/**
 * What a write changes beyond the register itself.
 * none: nothing. controls: anything derived from control registers (traps, regimes, PAC, alignment, interrupt routing).
 * tables: translation tables or context identifiers only. timer, gic, pmu, debug: the part that keeps the state.
 */
export type Effect = "none" | "controls" | "tables" | "timer" | "gic" | "pmu" | "debug";

/**
 * One register: name; lowest Exception level that may read and write it ("r0w1", "r1" = read only, "w1" = write only); fields
 * ("NAME[hi:lo]", "?FEATURE" = only with the feature, "?-FEATURE" = only without it, "!" = read only; "*" = all 64 bits); bits that read as one; effect; traps.
 *
 * Traps, in words separated by spaces (h = HCR_EL2 bit, traps accesses from EL0 and EL1 to EL2 when EL2 is enabled):
 *   TVM TID1 TID2 TID3 TID4 TACR APK TERR FIEN TLOR TCPAC   the control of that name (TVM: writes by TVM, reads by TRVM)
 *   Fn / Dn        bit n of HFGRTR_EL2, HFGWTR_EL2 / HDFGRTR_EL2, HDFGWTR_EL2 (R or W after the number: only that direction)
 *   UCT UMA FPEN   EL0 access needs the SCTLR_ELx bit; FP/SIMD access rules
 *   SPSEL          UNDEFINED while PSTATE.SP = 0
 *   TDA TDOSA TDRA TDCC TPM TPMCR   debug and performance monitor controls of MDCR_EL2 and MDCR_EL3
 *   TSCXT EnSCXT   rules of the software context numbers
 *   FGTEn HXEn ECVEn EnSCXT3   accesses from EL2 trap to EL3 unless the SCR_EL3 bit is set
 *   CNTP CNTV CNTPCT CNTVCT CNTFRQ CNTPS CNTHNS SEL2 PMUSER-*   rules of the timers, of Secure EL2 and of PMUSERENR_EL0
 * FEATURE in the last column: the register exists only with it.
 */
export type RegisterRow = readonly [
  name: RegName,
  access: string,
  fields: string,
  ones: bigint,
  effect: Effect,
  traps: string,
  feature: string,
];

/** A field of a register. */
export interface Field {
  readonly name: string;
  /** Highest and lowest bit. */
  readonly hi: number;
  readonly lo: number;
  readonly readOnly: boolean;
}

/** A register of one PE configuration. */
export interface RegisterRecord {
  readonly name: RegName;
  readonly op: readonly [op0: number, op1: number, crn: number, crm: number, op2: number];
  /** The encoding as in bits 20:5 of MRS and MSR. */
  readonly key: number;
  /** Lowest Exception level that may read / write; 4 = none may. */
  readonly readEl: number;
  readonly writeEl: number;
  readonly fields: readonly Field[];
  /** Bits that software can change. */
  readonly writable: bigint;
  /** RES1 bits. */
  readonly ones: bigint;
  readonly effect: Effect;
  readonly traps: readonly string[];
}

/** Encoding as in bits 20:5 of MRS, MSR, SYS and SYSL (op0 2 and 3: registers; 1: system instructions). */
export const encodingKey = (op0: number, op1: number, crn: number, crm: number, op2: number): number =>
  (op0 << 14) | (op1 << 11) | (crn << 7) | (crm << 3) | op2;

const byName = new Map<RegName, readonly [number, number, number, number, number]>(
  encodings.map(([name, a, b, c, d, e]) => [name, [a, b, c, d, e]]),
);

/** op0, op1, CRn, CRm, op2 of a register. */
export function encodingOf(name: RegName): readonly [number, number, number, number, number] {
  return byName.get(name) as readonly [number, number, number, number, number];
}

const ALL = (1n << 64n) - 1n;
const bits = (hi: number, lo: number): bigint => ((1n << BigInt(hi - lo + 1)) - 1n) << BigInt(lo);

/** Parses the fields column; fields of features that are absent are left out (their bits are RES0). */
export function parseFields(text: string, features: Features): Field[] {
  if (text === "*") return [{ name: "", hi: 63, lo: 0, readOnly: false }];
  const out: Field[] = [];
  for (const word of text.split(" ")) {
    if (word === "") continue;
    const m = /^(\w+)\[(\d+)(?::(\d+))?\](!?)(?:\?(-?\w+))?$/.exec(word);
    if (m === null) throw new Error(`register field "${word}"`);
    const [, name = "", hi = "0", lo = hi, ro, feature] = m;
    if (feature !== undefined && features.has(feature.replace("-", "")) === feature.startsWith("-")) continue;
    out.push({ name, hi: Number(hi), lo: Number(lo), readOnly: ro === "!" });
  }
  return out;
}

/** The record of a row, or undefined when the PE does not have the register. */
export function makeRecord(row: RegisterRow, features: Features): RegisterRecord | undefined {
  const [name, access, fieldText, ones, effect, traps, feature] = row;
  if (feature !== "" && !features.has(feature)) return undefined;
  const op = encodingOf(name);
  const fields = parseFields(fieldText, features);
  let writable = 0n;
  for (const f of fields) if (!f.readOnly) writable |= bits(f.hi, f.lo);
  return {
    name,
    op,
    key: encodingKey(...op),
    readEl: Number(/r(\d)/.exec(access)?.[1] ?? 4),
    writeEl: Number(/w(\d)/.exec(access)?.[1] ?? 4),
    fields,
    writable,
    ones: ones & ~writable & ALL,
    effect,
    traps: traps.split(" ").filter((t) => t !== ""),
  };
}
