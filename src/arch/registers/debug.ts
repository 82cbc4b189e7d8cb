// Self-hosted debug and performance monitor registers. Columns: see record.ts.

import { BREAKPOINTS, WATCHPOINTS } from "../features.ts";
import type { RegName } from "./encodings.ts";
import type { RegisterRow } from "./record.ts";

const BCR = "E[0] PMC[2:1] HMC[13] SSC[15:14] LBN[19:16] BT[23:20] SSCE[29]?RME";
const WCR = "E[0] PAC[2:1] LSC[4:3] BAS[12:5] HMC[13] SSC[15:14] LBN[19:16] WT[20] MASK[28:24] SSCE[29]?RME";

function pairs(): RegisterRow[] {
  const rows: RegisterRow[] = [];
  for (let n = 0; n < BREAKPOINTS; n++) {
    // An address or, by DBGBCR.BT, context identifiers in all bits.
    rows.push([`DBGBVR${n}_EL1` as RegName, "r1w1", "*", 0n, "debug", "TDA D1", ""]);
    // BAS (8:5) is RES1: there is no AArch32 state.
    rows.push([`DBGBCR${n}_EL1` as RegName, "r1w1", BCR, 0x1e0n, "debug", "TDA D0", ""]);
  }
  for (let n = 0; n < WATCHPOINTS; n++) {
    rows.push([`DBGWVR${n}_EL1` as RegName, "r1w1", "VA[63:2]", 0n, "debug", "TDA D3", ""]);
    rows.push([`DBGWCR${n}_EL1` as RegName, "r1w1", WCR, 0n, "debug", "TDA D2", ""]);
  }
  return rows;
}

// biome-ignore format: table
export const debugRows: readonly RegisterRow[] = [
  ["MDSCR_EL1",         "r1w1", "SS[0] ERR[6] TDCC[12] KDE[13] HDE[14] MDE[15] TDA[21] INTdis[23:22] TXU[26] RXO[27] TXfull[29] RXfull[30]", 0n, "controls", "TDA D4", ""],
  ["MDCCINT_EL1",       "r1w1", "TX[29] RX[30]",                                  0n, "none", "TDA TDCC", ""],
  ["MDCCSR_EL0",        "r0",   "",                                               0n, "none", "TDA TDCC", ""],
  // No debugger reads the Debug Communications Channel: its data registers are RAZ/WI.
  ["DBGDTR_EL0",        "r0w0", "",                                               0n, "none", "TDA TDCC", ""],
  ["DBGDTRRX_EL0",      "r0w0", "",                                               0n, "none", "TDA TDCC", ""],
  ["OSDTRRX_EL1",       "r1w1", "",                                               0n, "none", "TDA TDCC", ""],
  ["OSDTRTX_EL1",       "r1w1", "",                                               0n, "none", "TDA TDCC", ""],
  ["OSECCR_EL1",        "r1w1", "",                                               0n, "none", "TDA D10", ""],
  ["MDRAR_EL1",         "r1",   "",                                               0n, "none", "TDRA", ""],
  ["OSLAR_EL1",         "w1",   "OSLK[0]",                                        0n, "debug", "TDOSA D8W", ""],
  ["OSLSR_EL1",         "r1",   "OSLM0[0]! OSLK[1]! nTT[2]! OSLM1[3]!",           0n, "debug", "TDOSA D9R", ""],
  ["OSDLR_EL1",         "r1w1", "",                                               0n, "none", "TDOSA D11", ""],
  ["DBGPRCR_EL1",       "r1w1", "CORENPDRQ[0]",                                   0n, "none", "TDOSA D7", ""],
  ["DBGCLAIMSET_EL1",   "r1w1", "CLAIM[7:0]",                                     0n, "debug", "TDA D5", ""],
  ["DBGCLAIMCLR_EL1",   "r1w1", "CLAIM[7:0]",                                     0n, "debug", "TDA D5", ""],
  // Nothing outside the PE can halt it: all debug authentication fields say "not implemented".
  ["DBGAUTHSTATUS_EL1", "r1",   "",                                               0n, "none", "TDA D6R", ""],
  ...pairs(),
  // Performance monitors
  ["PMCR_EL0",          "r0w0", "E[0] P[1] C[2] D[3] X[4] DP[5] LC[6]! LP[7]?PMUv3p5 FZO[9]?PMUv3p7 N[15:11]! IDCODE[23:16]! IMP[31:24]!", 0x40n, "pmu", "PMUSER-EN TPM TPMCR D21W", "PMUv3"],
  ["PMCNTENSET_EL0",    "r0w0", "*",                                              0n, "pmu", "PMUSER-EN TPM D16", "PMUv3"],
  ["PMCNTENCLR_EL0",    "r0w0", "*",                                              0n, "pmu", "PMUSER-EN TPM D16", "PMUv3"],
  ["PMOVSCLR_EL0",      "r0w0", "*",                                              0n, "pmu", "PMUSER-EN TPM D18", "PMUv3"],
  ["PMOVSSET_EL0",      "r0w0", "*",                                              0n, "pmu", "PMUSER-EN TPM D18", "PMUv3"],
  ["PMSWINC_EL0",       "w0",   "*",                                              0n, "pmu", "PMUSER-SW TPM D20W", "PMUv3"],
  ["PMSELR_EL0",        "r0w0", "SEL[4:0]",                                       0n, "pmu", "PMUSER-ER TPM D19", "PMUv3"],
  ["PMCEID0_EL0",       "r0",   "",                                               0n, "pmu", "PMUSER-EN TPM D58R", "PMUv3"],
  ["PMCEID1_EL0",       "r0",   "",                                               0n, "pmu", "PMUSER-EN TPM D58R", "PMUv3"],
  ["PMCCNTR_EL0",       "r0w0", "*",                                              0n, "pmu", "PMUSER-CR TPM D15", "PMUv3"],
  ["PMXEVTYPER_EL0",    "r0w0", "*",                                              0n, "pmu", "PMUSER-EN TPM D13", "PMUv3"],
  ["PMXEVCNTR_EL0",     "r0w0", "*",                                              0n, "pmu", "PMUSER-ERR TPM D12", "PMUv3"],
  ["PMUSERENR_EL0",     "r0w1", "EN[0] SW[1] CR[2] ER[3]",                        0n, "controls", "TPM D57", "PMUv3"],
  ["PMINTENSET_EL1",    "r1w1", "*",                                              0n, "pmu", "TPM D17", "PMUv3"],
  ["PMINTENCLR_EL1",    "r1w1", "*",                                              0n, "pmu", "TPM D17", "PMUv3"],
  ["PMMIR_EL1",         "r1",   "SLOTS[7:0]!",                                    0n, "none", "TPM D22R", "PMUv3p4"],
  ["PMCCFILTR_EL0",     "r0w0", "SH[24]?SEL2 M[26] NSH[27] NSU[28] NSK[29] U[30] P[31] RLH[20]?RME RLU[21]?RME RLK[22]?RME", 0n, "pmu", "PMUSER-EN TPM D14", "PMUv3"],
];
