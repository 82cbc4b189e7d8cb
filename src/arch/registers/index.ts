// All system registers of a PE, by name and by encoding, for a feature set.

import type { Features } from "../features.ts";
import { debugRows } from "./debug.ts";
import { el1Rows } from "./el1.ts";
import { el2Rows } from "./el2.ts";
import { encodings, type RegName } from "./encodings.ts";
import { encodingKey, encodingOf, makeRecord, type RegisterRecord, type RegisterRow } from "./record.ts";
import { timerRows } from "./timer.ts";

export { type Effect, encodingKey, encodingOf, type Field, type RegisterRecord, type RegisterRow } from "./record.ts";

/** The CPU interface of the GIC: access rules, fields and state are the GIC's (devices/gic). The lowest level follows from the name. */
function gicRows(): RegisterRow[] {
  const rows: RegisterRow[] = [];
  for (const [name, , op1] of encodings) {
    if (!name.startsWith("ICC_") && !name.startsWith("ICH_")) continue;
    const el = op1 === 6 ? 3 : op1 === 4 ? 2 : 1;
    rows.push([name, `r${el}w${el}`, "*", 0n, "gic", /^ICC_IGRPEN[01]_EL1$/.test(name) ? "F39" : "", "GIC"]);
  }
  return rows;
}

/** Event counters: PMEVCNTRn_EL0 and PMEVTYPERn_EL0, 0..30. Those not implemented (n >= PMCR_EL0.N) are found out by the PMU. */
function pmuRows(): RegisterRow[] {
  const rows: RegisterRow[] = [];
  for (let n = 0; n < 31; n++) {
    rows.push([`PMEVCNTR${n}_EL0` as RegName, "r0w0", "*", 0n, "pmu", "PMUSER-ERR TPM D12", "PMUv3"]);
    rows.push([`PMEVTYPER${n}_EL0` as RegName, "r0w0", "*", 0n, "pmu", "PMUSER-EN TPM D13", "PMUv3"]);
  }
  return rows;
}

/** The register that an _EL12 or _EL02 name stands for. */
export function aliasTarget(name: RegName): RegName | undefined {
  if (name.endsWith("_EL12")) return `${name.slice(0, -5)}_EL1` as RegName;
  if (name.endsWith("_EL02")) return `${name.slice(0, -5)}_EL0` as RegName;
  return undefined;
}

/**
 * With HCR_EL2.E2H = 1, these names reach the EL2 register when used at EL2 (the timer names also at EL0 when TGE = 1 too).
 * Arm ARM D8, "Virtualization Host Extensions, System register redirection".
 */
export const e2hRedirect: Partial<Record<RegName, RegName>> = {
  SCTLR_EL1: "SCTLR_EL2",
  CPACR_EL1: "CPTR_EL2",
  TTBR0_EL1: "TTBR0_EL2",
  TTBR1_EL1: "TTBR1_EL2",
  TCR_EL1: "TCR_EL2",
  SPSR_EL1: "SPSR_EL2",
  ELR_EL1: "ELR_EL2",
  AFSR0_EL1: "AFSR0_EL2",
  AFSR1_EL1: "AFSR1_EL2",
  ESR_EL1: "ESR_EL2",
  FAR_EL1: "FAR_EL2",
  MAIR_EL1: "MAIR_EL2",
  AMAIR_EL1: "AMAIR_EL2",
  VBAR_EL1: "VBAR_EL2",
  CONTEXTIDR_EL1: "CONTEXTIDR_EL2",
  SCXTNUM_EL1: "SCXTNUM_EL2",
  CNTKCTL_EL1: "CNTHCTL_EL2",
  CNTP_TVAL_EL0: "CNTHP_TVAL_EL2",
  CNTP_CTL_EL0: "CNTHP_CTL_EL2",
  CNTP_CVAL_EL0: "CNTHP_CVAL_EL2",
  CNTV_TVAL_EL0: "CNTHV_TVAL_EL2",
  CNTV_CTL_EL0: "CNTHV_CTL_EL2",
  CNTV_CVAL_EL0: "CNTHV_CVAL_EL2",
};

/** The _EL12 and _EL02 names: accessible at EL2 and EL3 with E2H = 1. They share the fields of the register they stand for. */
function aliasRows(rows: readonly RegisterRow[]): RegisterRow[] {
  const byName = new Map(rows.map((r) => [r[0], r]));
  const out: RegisterRow[] = [];
  for (const [name] of encodings) {
    const target = aliasTarget(name);
    const row = target === undefined ? undefined : byName.get(target);
    if (row === undefined) continue;
    const traps = row[5].includes("TCPAC") ? "TCPAC3" : row[5].includes("EnSCXT") ? "EnSCXT3" : "";
    out.push([name, "r2w2", row[2], row[3], row[4], traps, "VHE"]);
  }
  return out;
}

const allRows: readonly RegisterRow[] = (() => {
  const rows = [...el1Rows, ...el2Rows, ...timerRows, ...debugRows, ...gicRows(), ...pmuRows()];
  return [...rows, ...aliasRows(rows)];
})();

/** The registers of one PE configuration. */
export interface RegisterSet {
  readonly records: readonly RegisterRecord[];
  readonly byName: ReadonlyMap<RegName, RegisterRecord>;
  /** By encodingKey. */
  readonly byKey: ReadonlyMap<number, RegisterRecord>;
}

export function registerSet(features: Features): RegisterSet {
  const records: RegisterRecord[] = [];
  for (const row of allRows) {
    const r = makeRecord(row, features);
    if (r !== undefined) records.push(r);
  }
  return {
    records,
    byName: new Map(records.map((r) => [r.name, r])),
    byKey: new Map(records.map((r) => [r.key, r])),
  };
}

const names = new Map<number, RegName>(encodings.map(([name]) => [encodingKey(...encodingOf(name)), name]));

/** Name of the register with an encoding key, for disassembly and logs, whether it works or not. */
export const registerName = (key: number): RegName | undefined => names.get(key);

/** "op0, op1, CRn, CRm, op2" of an encoding key. */
export function keyText(key: number): string {
  return `${key >> 14}, ${(key >> 11) & 7}, ${(key >> 7) & 15}, ${(key >> 3) & 15}, ${key & 7}`;
}
