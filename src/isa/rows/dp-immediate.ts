// A64 encodings: dp immediate. One row each: name, value, mask, fields name[hi:lo], features that must exist.

import type { RowData } from "./row.ts";

// biome-ignore format: table
export const dpImmediate: readonly RowData[] = [
  ["ADD_ADDSUB_IMM",  0x11000000, 0x7f800000, "sf[31] sh[22] imm12[21:10] Rn[9:5] Rd[4:0]", ""],
  ["ADDS_ADDSUB_IMM", 0x31000000, 0x7f800000, "sf[31] sh[22] imm12[21:10] Rn[9:5] Rd[4:0]", ""],
  ["SUB_ADDSUB_IMM",  0x51000000, 0x7f800000, "sf[31] sh[22] imm12[21:10] Rn[9:5] Rd[4:0]", ""],
  ["SUBS_ADDSUB_IMM", 0x71000000, 0x7f800000, "sf[31] sh[22] imm12[21:10] Rn[9:5] Rd[4:0]", ""],
  ["ADR",             0x10000000, 0x9f000000, "immlo[30:29] immhi[23:5] Rd[4:0]", ""],
  ["ADRP",            0x90000000, 0x9f000000, "immlo[30:29] immhi[23:5] Rd[4:0]", ""],
  ["SMAX_IMM",        0x11c00000, 0x7ffc0000, "sf[31] imm8[17:10] Rn[9:5] Rd[4:0]", "CSSC"],
  ["UMAX_IMM",        0x11c40000, 0x7ffc0000, "sf[31] imm8[17:10] Rn[9:5] Rd[4:0]", "CSSC"],
  ["SMIN_IMM",        0x11c80000, 0x7ffc0000, "sf[31] imm8[17:10] Rn[9:5] Rd[4:0]", "CSSC"],
  ["UMIN_IMM",        0x11cc0000, 0x7ffc0000, "sf[31] imm8[17:10] Rn[9:5] Rd[4:0]", "CSSC"],
  ["SBFM",            0x13000000, 0x7f800000, "sf[31] N[22] immr[21:16] imms[15:10] Rn[9:5] Rd[4:0]", ""],
  ["BFM",             0x33000000, 0x7f800000, "sf[31] N[22] immr[21:16] imms[15:10] Rn[9:5] Rd[4:0]", ""],
  ["UBFM",            0x53000000, 0x7f800000, "sf[31] N[22] immr[21:16] imms[15:10] Rn[9:5] Rd[4:0]", ""],
  ["MOVN",            0x12800000, 0x7f800000, "sf[31] hw[22:21] imm16[20:5] Rd[4:0]", ""],
  ["EXTR",            0x13800000, 0x7fa00000, "sf[31] N[22] Rm[20:16] imms[15:10] Rn[9:5] Rd[4:0]", ""],
  ["MOVZ",            0x52800000, 0x7f800000, "sf[31] hw[22:21] imm16[20:5] Rd[4:0]", ""],
  ["MOVK",            0x72800000, 0x7f800000, "sf[31] hw[22:21] imm16[20:5] Rd[4:0]", ""],
  ["AND_LOG_IMM",     0x12000000, 0x7f800000, "sf[31] N[22] immr[21:16] imms[15:10] Rn[9:5] Rd[4:0]", ""],
  ["ORR_LOG_IMM",     0x32000000, 0x7f800000, "sf[31] N[22] immr[21:16] imms[15:10] Rn[9:5] Rd[4:0]", ""],
  ["EOR_LOG_IMM",     0x52000000, 0x7f800000, "sf[31] N[22] immr[21:16] imms[15:10] Rn[9:5] Rd[4:0]", ""],
  ["ANDS_LOG_IMM",    0x72000000, 0x7f800000, "sf[31] N[22] immr[21:16] imms[15:10] Rn[9:5] Rd[4:0]", ""],
  ["ADDG",            0x91800000, 0xffc0c000, "uimm6[21:16] uimm4[13:10] Xn[9:5] Xd[4:0]", "MTE"],
  ["SUBG",            0xd1800000, 0xffc0c000, "uimm6[21:16] uimm4[13:10] Xn[9:5] Xd[4:0]", "MTE"],
];
