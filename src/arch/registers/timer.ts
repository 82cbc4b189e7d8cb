// Generic timer registers. Columns: see record.ts.

import type { RegisterRow } from "./record.ts";

const CTL = "ENABLE[0] IMASK[1] ISTATUS[2]!";

// biome-ignore format: table
export const timerRows: readonly RegisterRow[] = [
  ["CNTFRQ_EL0",        "r0w3", "FREQ[31:0]",                                     0n, "none", "CNTFRQ", ""],
  ["CNTPCT_EL0",        "r0",   "",                                               0n, "none", "CNTPCT", ""],
  ["CNTVCT_EL0",        "r0",   "",                                               0n, "none", "CNTVCT", ""],
  ["CNTPCTSS_EL0",      "r0",   "",                                               0n, "none", "CNTPCT", "ECV"],
  ["CNTVCTSS_EL0",      "r0",   "",                                               0n, "none", "CNTVCT", "ECV"],
  ["CNTP_TVAL_EL0",     "r0w0", "TVAL[31:0]",                                     0n, "timer", "CNTP", ""],
  ["CNTP_CTL_EL0",      "r0w0", CTL,                                              0n, "timer", "CNTP", ""],
  ["CNTP_CVAL_EL0",     "r0w0", "*",                                              0n, "timer", "CNTP", ""],
  ["CNTV_TVAL_EL0",     "r0w0", "TVAL[31:0]",                                     0n, "timer", "CNTV", ""],
  ["CNTV_CTL_EL0",      "r0w0", CTL,                                              0n, "timer", "CNTV", ""],
  ["CNTV_CVAL_EL0",     "r0w0", "*",                                              0n, "timer", "CNTV", ""],
  ["CNTKCTL_EL1",       "r1w1", "EL0PCTEN[0] EL0VCTEN[1] EVNTEN[2] EVNTDIR[3] EVNTI[7:4] EL0VTEN[8] EL0PTEN[9] EVNTIS[17]?ECV", 0n, "controls", "", ""],
  ["CNTVOFF_EL2",       "r2w2", "*",                                              0n, "timer", "", ""],
  ["CNTPOFF_EL2",       "r2w2", "*",                                              0n, "timer", "ECVEn", "ECV"],
  ["CNTHCTL_EL2",       "r2w2", "EL0PCTEN[0] EL0VCTEN[1] EVNTEN[2] EVNTDIR[3] EVNTI[7:4] EL0VTEN[8] EL0PTEN[9] EL1PCTEN[10] EL1PTEN[11] ECV[12]?ECV EL1TVT[13]?ECV EL1TVCT[14]?ECV EVNTIS[17]?ECV CNTVMASK[18]?RME CNTPMASK[19]?RME", 0n, "controls", "", ""],
  ["CNTHP_TVAL_EL2",    "r2w2", "TVAL[31:0]",                                     0n, "timer", "CNTHNS", ""],
  ["CNTHP_CTL_EL2",     "r2w2", CTL,                                              0n, "timer", "CNTHNS", ""],
  ["CNTHP_CVAL_EL2",    "r2w2", "*",                                              0n, "timer", "CNTHNS", ""],
  ["CNTHV_TVAL_EL2",    "r2w2", "TVAL[31:0]",                                     0n, "timer", "CNTHNS", "VHE"],
  ["CNTHV_CTL_EL2",     "r2w2", CTL,                                              0n, "timer", "CNTHNS", "VHE"],
  ["CNTHV_CVAL_EL2",    "r2w2", "*",                                              0n, "timer", "CNTHNS", "VHE"],
  ["CNTHVS_TVAL_EL2",   "r2w2", "TVAL[31:0]",                                     0n, "timer", "SEL2", "SEL2"],
  ["CNTHVS_CTL_EL2",    "r2w2", CTL,                                              0n, "timer", "SEL2", "SEL2"],
  ["CNTHVS_CVAL_EL2",   "r2w2", "*",                                              0n, "timer", "SEL2", "SEL2"],
  ["CNTHPS_TVAL_EL2",   "r2w2", "TVAL[31:0]",                                     0n, "timer", "SEL2", "SEL2"],
  ["CNTHPS_CTL_EL2",    "r2w2", CTL,                                              0n, "timer", "SEL2", "SEL2"],
  ["CNTHPS_CVAL_EL2",   "r2w2", "*",                                              0n, "timer", "SEL2", "SEL2"],
  ["CNTPS_TVAL_EL1",    "r1w1", "TVAL[31:0]",                                     0n, "timer", "CNTPS", "EL3"],
  ["CNTPS_CTL_EL1",     "r1w1", CTL,                                              0n, "timer", "CNTPS", "EL3"],
  ["CNTPS_CVAL_EL1",    "r1w1", "*",                                              0n, "timer", "CNTPS", "EL3"],
];
