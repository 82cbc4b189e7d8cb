// From instruction word to predecoded entry: handler index and operand word.

import type { Row } from "../../isa/table.ts";
import { decode, rowByName } from "../../isa/table.ts";
import { handlerOf, Special } from "./handlers.ts";

/** A decoded entry. */
export interface Entry {
  handler: number;
  /** The instruction word, or what the special handler expects. */
  operand: number;
}

/** What decoding depends on besides the word. */
export interface DecodeContext {
  /** The row's features exist in this PE. */
  available(row: Row): boolean;
  /** Index of a system register in the fast map, or 0 (cpu/sysreg-map.ts). Key: op0<<14 | op1<<11 | CRn<<7 | CRm<<3 | op2. */
  fastIndex(key: number): number;
  /** Translations for a host that multiplies and adds with one rounding (emit/fused.ts). */
  readonly fused?: boolean;
}

const sysKey = (insn: number) => (insn >>> 5) & 0xffff;
const keyOf = (op0: number, op1: number, crn: number, crm: number, op2: number) =>
  (op0 << 14) | (op1 << 11) | (crn << 7) | (crm << 3) | op2;
const DC_ZVA = keyOf(1, 3, 7, 4, 1);
/** DC IVAC, CVAC, CVAU, CIVAC, IC IVAU. */
const CMO_VA = new Set([keyOf(1, 0, 7, 6, 1), keyOf(1, 3, 7, 10, 1), keyOf(1, 3, 7, 11, 1), keyOf(1, 3, 7, 14, 1), keyOf(1, 3, 7, 5, 1)]);
const DAIF = keyOf(3, 3, 4, 2, 1);

/** Instructions of FEAT_PAuth in the space of hints, which are NOPs without it. */
const PAUTH_HINTS = new Set(["PACIA_HINT", "PACIB_HINT", "AUTIA_HINT", "AUTIB_HINT", "XPACLRI"].map((name) => rowByName.get(name)));
const PACIA = rowByName.get("PACIA") as Row;
const NOP = rowByName.get("NOP") as Row;

/** Decodes one word into `out`. */
export function predecode(insn: number, context: DecodeContext, out: Entry): void {
  out.operand = insn;
  const row = decode(insn);
  if (!row || !context.available(row)) {
    out.handler = Special.UNDEFINED;
    return;
  }
  const isNop = PAUTH_HINTS.has(row) && !context.available(PACIA);
  const handler = handlerOf(isNop ? NOP : row, insn);
  out.handler = handler >= 0 ? handler : Special.GAP;
  switch (row.name) {
    case "MRS":
    case "MSR_REG":
      systemRegister(insn, row.name === "MRS", context, out);
      break;
    case "MSR_IMM": {
      const field = (insn >>> 16) & 7;
      const op2 = (insn >>> 5) & 7;
      if (field === 3 && op2 === 6) out.handler = Special.DAIFSET;
      if (field === 3 && op2 === 7) out.handler = Special.DAIFCLR;
      break;
    }
    case "SYS":
      if (sysKey(insn) === DC_ZVA) out.handler = Special.DC_ZVA;
      else if (CMO_VA.has(sysKey(insn))) out.handler = Special.CMO_VA;
      break;
  }
}

function systemRegister(insn: number, read: boolean, context: DecodeContext, out: Entry): void {
  const key = sysKey(insn);
  if (key === DAIF) {
    out.handler = read ? Special.MRS_DAIF : Special.MSR_DAIF;
    return;
  }
  const index = context.fastIndex(key);
  if (index === 0) return;
  out.handler = read ? Special.MRS_FAST : Special.MSR_FAST;
  out.operand = (index << 5) | (insn & 31);
}
