// System instructions (SYS, op0 = 1): cache maintenance, address translation, TLB maintenance, prediction restriction.

import type { Features } from "../features.ts";
import { encodingKey } from "./record.ts";

/** ic: invalidate all; icva, dcva: by virtual address; nop: by set and way; zva: DC ZVA; at; tlbi; rctx: prediction restriction; dcpa: by PA. */
export type InstructionKind = "ic" | "icva" | "dcva" | "nop" | "zva" | "at" | "tlbi" | "rctx" | "dcpa";

/** Name, op1, CRn, CRm, op2, lowest level, kind, traps (as in record.ts; In: bit n of HFGITR_EL2, Nn: the same for an nXS form), feature. */
type InstructionRow = readonly [string, number, number, number, number, number, InstructionKind, string, string];

// biome-ignore format: table
const rows: readonly InstructionRow[] = [
  ["IC IALLUIS",  0, 7,  1, 0, 1, "ic",   "TPU TICAB I0",      ""],
  ["IC IALLU",    0, 7,  5, 0, 1, "ic",   "TPU TOCU I1",       ""],
  ["IC IVAU",     3, 7,  5, 1, 0, "icva", "UCI TPU TOCU I2",   ""],
  ["DC IVAC",     0, 7,  6, 1, 1, "dcva", "TPCP I3",           ""],
  ["DC ISW",      0, 7,  6, 2, 1, "nop",  "TSW I4",            ""],
  ["DC CSW",      0, 7, 10, 2, 1, "nop",  "TSW I5",            ""],
  ["DC CISW",     0, 7, 14, 2, 1, "nop",  "TSW I6",            ""],
  ["DC ZVA",      3, 7,  4, 1, 0, "zva",  "DZE TDZ I11",       ""],
  ["DC CVAC",     3, 7, 10, 1, 0, "dcva", "UCI TPCP I54",      ""],
  ["DC CVAU",     3, 7, 11, 1, 0, "dcva", "UCI TPU TOCU I7",   ""],
  ["DC CVAP",     3, 7, 12, 1, 0, "dcva", "UCI TPCP I8",       "DPB"],
  ["DC CVADP",    3, 7, 13, 1, 0, "dcva", "UCI TPCP I9",       "DPB2"],
  ["DC CIVAC",    3, 7, 14, 1, 0, "dcva", "UCI TPCP I10",      ""],
  ["DC CIPAPA",   6, 7, 14, 1, 3, "dcpa", "",                  "RME"],
  ["DC CIGDPAPA", 6, 7, 14, 5, 3, "dcpa", "",                  "RME MTE2"],
  ["AT S1E1R",    0, 7,  8, 0, 1, "at",   "I12",               ""],
  ["AT S1E1W",    0, 7,  8, 1, 1, "at",   "I13",               ""],
  ["AT S1E0R",    0, 7,  8, 2, 1, "at",   "I14",               ""],
  ["AT S1E0W",    0, 7,  8, 3, 1, "at",   "I15",               ""],
  ["AT S1E1RP",   0, 7,  9, 0, 1, "at",   "I16",               "PAN2"],
  ["AT S1E1WP",   0, 7,  9, 1, 1, "at",   "I17",               "PAN2"],
  ["AT S1E2R",    4, 7,  8, 0, 2, "at",   "",                  ""],
  ["AT S1E2W",    4, 7,  8, 1, 2, "at",   "",                  ""],
  ["AT S12E1R",   4, 7,  8, 4, 2, "at",   "",                  ""],
  ["AT S12E1W",   4, 7,  8, 5, 2, "at",   "",                  ""],
  ["AT S12E0R",   4, 7,  8, 6, 2, "at",   "",                  ""],
  ["AT S12E0W",   4, 7,  8, 7, 2, "at",   "",                  ""],
  ["AT S1E3R",    6, 7,  8, 0, 3, "at",   "",                  "EL3"],
  ["AT S1E3W",    6, 7,  8, 1, 3, "at",   "",                  "EL3"],
  ["CFP RCTX",    3, 7,  3, 4, 0, "rctx", "EnRCTX I48",        "SPECRES"],
  ["DVP RCTX",    3, 7,  3, 5, 0, "rctx", "EnRCTX I49",        "SPECRES"],
  ["CPP RCTX",    3, 7,  3, 7, 0, "rctx", "EnRCTX I50",        "SPECRES"],
];

// TLBI forms: CRm by shareability (local, inner, outer) for plain and range operations.
// biome-ignore format: table
const shareability = [
  { suffix: "",   crm: 7, range: 6, trap: "TTLB",         feature: "" },
  { suffix: "IS", crm: 3, range: 2, trap: "TTLB TTLBIS",  feature: "" },
  { suffix: "OS", crm: 1, range: 5, trap: "TTLB TTLBOS",  feature: "TLBIOS" },
] as const;
/** First HFGITR_EL2 bit of the plain and range groups, in the order of `shareability`. */
const fgtPlain = [42, 28, 18];
const fgtRange = [38, 34, 24];
// Name, op1, op2, lowest level.
// biome-ignore format: table
const plain: readonly (readonly [string, number, number, number])[] = [
  ["VMALLE1", 0, 0, 1], ["VAE1", 0, 1, 1], ["ASIDE1", 0, 2, 1], ["VAAE1", 0, 3, 1], ["VALE1", 0, 5, 1], ["VAALE1", 0, 7, 1],
  ["ALLE2", 4, 0, 2], ["VAE2", 4, 1, 2], ["ALLE1", 4, 4, 2], ["VALE2", 4, 5, 2], ["VMALLS12E1", 4, 6, 2],
  ["ALLE3", 6, 0, 3], ["VAE3", 6, 1, 3], ["VALE3", 6, 5, 3],
];
// biome-ignore format: table
const ranges: readonly (readonly [string, number, number, number])[] = [
  ["RVAE1", 0, 1, 1], ["RVAAE1", 0, 3, 1], ["RVALE1", 0, 5, 1], ["RVAALE1", 0, 7, 1],
  ["RVAE2", 4, 1, 2], ["RVALE2", 4, 5, 2], ["RVAE3", 6, 1, 3], ["RVALE3", 6, 5, 3],
];
// Stage 2 by IPA: name, CRm, op2, feature.
// biome-ignore format: table
const byIpa: readonly (readonly [string, number, number, string])[] = [
  ["IPAS2E1IS", 0, 1, ""], ["RIPAS2E1IS", 0, 2, "TLBIRANGE"], ["IPAS2LE1IS", 0, 5, ""], ["RIPAS2LE1IS", 0, 6, "TLBIRANGE"],
  ["IPAS2E1OS", 4, 0, "TLBIOS"], ["IPAS2E1", 4, 1, ""], ["RIPAS2E1", 4, 2, "TLBIRANGE"], ["RIPAS2E1OS", 4, 3, "TLBIRANGE"],
  ["IPAS2LE1OS", 4, 4, "TLBIOS"], ["IPAS2LE1", 4, 5, ""], ["RIPAS2LE1", 4, 6, "TLBIRANGE"], ["RIPAS2LE1OS", 4, 7, "TLBIRANGE"],
];

function tlbiRows(): InstructionRow[] {
  const out: InstructionRow[] = [];
  // CRn 9: the nXS forms (FEAT_XS).
  for (const [crn, xs, bit] of [
    [8, "", "I"],
    [9, "nXS", "N"],
  ] as const) {
    const feature = (f: string): string => [f, crn === 9 ? "XS" : ""].filter((s) => s !== "").join(" ");
    shareability.forEach((s, i) => {
      plain.forEach(([name, op1, op2, el], n) => {
        const traps = op1 === 0 ? `${s.trap} ${bit}${(fgtPlain[i] as number) + n}` : "";
        out.push([`TLBI ${name}${s.suffix}${xs}`, op1, crn, s.crm, op2, el, "tlbi", traps, feature(s.feature)]);
      });
      ranges.forEach(([name, op1, op2, el], n) => {
        const traps = op1 === 0 ? `${s.trap} ${bit}${(fgtRange[i] as number) + n}` : "";
        out.push([`TLBI ${name}${s.suffix}${xs}`, op1, crn, s.range, op2, el, "tlbi", traps, feature("TLBIRANGE")]);
      });
    });
    for (const [name, crm, op2, f] of byIpa) out.push([`TLBI ${name}${xs}`, 4, crn, crm, op2, 2, "tlbi", "", feature(f)]);
  }
  for (const [name, crm, op2] of [
    ["PAALL", 7, 4],
    ["PAALLOS", 1, 4],
    ["RPAOS", 4, 3],
    ["RPALOS", 4, 7],
  ] as const) {
    out.push([`TLBI ${name}`, 6, 8, crm, op2, 3, "tlbi", "", "RME"]);
  }
  return out;
}

/** A system instruction that a PE has. */
export interface SystemInstruction {
  readonly name: string;
  readonly key: number;
  readonly el: number;
  readonly kind: InstructionKind;
  readonly traps: readonly string[];
}

/** All system instructions of a feature set. */
export function systemInstructions(features: Features): SystemInstruction[] {
  const out: SystemInstruction[] = [];
  for (const [name, op1, crn, crm, op2, el, kind, traps, need] of [...rows, ...tlbiRows()]) {
    if (!need.split(" ").every((f) => f === "" || features.has(f))) continue;
    out.push({ name, key: encodingKey(1, op1, crn, crm, op2), el, kind, traps: traps.split(" ").filter((t) => t !== "") });
  }
  return out;
}
