// System registers of EL2 and EL3. Columns: see record.ts.
// SCTLR_EL2, CPTR_EL2, TCR_EL2 and CNTHCTL_EL2 have two layouts, chosen by HCR_EL2.E2H; the fields given are those of E2H = 1 together
// with the bits that only the other layout has.

import type { RegisterRow } from "./record.ts";

const SCTLR_EL2 =
  "M[0] A[1] C[2] SA[3] SA0[4] nAA[6]?LSE2 EnRCTX[10]?SPECRES I[12] EnDB[13]?PAuth DZE[14] UCT[15] nTWI[16] nTWE[18] WXN[19] TSCXT[20]?CSV2_2 IESB[21]?IESB SPAN[23]?VHE UCI[26] EnDA[27]?PAuth EnIB[30]?PAuth EnIA[31]?PAuth BT0[35]?BTI BT[36]?BTI DSSBS[44]?SSBS EPAN[57]?PAN3 TIDCP[63]?TIDCP1";
const SCTLR_EL3 =
  "M[0] A[1] C[2] SA[3] nAA[6]?LSE2 I[12] EnDB[13]?PAuth WXN[19] IESB[21]?IESB EnDA[27]?PAuth EnIB[30]?PAuth EnIA[31]?PAuth BT[36]?BTI DSSBS[44]?SSBS";
const HCR =
  "VM[0] SWIO[1] PTW[2] FMO[3] IMO[4] AMO[5] VF[6] VI[7] VSE[8] FB[9] BSU[11:10] DC[12] TWI[13] TWE[14] TID1[16] TID2[17] TID3[18] TSC[19] TIDCP[20] TACR[21] TSW[22] TPCP[23] TPU[24] TTLB[25] TVM[26] TGE[27] TDZ[28] HCD[29]?-EL3 TRVM[30] CD[32] ID[33] E2H[34]?VHE TLOR[35]?LOR TERR[36]?RAS TEA[37]?RAS APK[40]?PAuth API[41]?PAuth FWB[46]?S2FWB FIEN[47]?RASv1p1 GPF[48]?RME TID4[49]?EVT TICAB[50]?EVT TOCU[52]?EVT EnSCXT[53]?CSV2_2 TTLBIS[54]?EVT TTLBOS[55]?EVT";
const SPSR =
  "M[3:0] F[6] I[7] A[8] D[9] BTYPE[11:10]?BTI SSBS[12]?SSBS IL[20] SS[21] PAN[22]?PAN UAO[23]?UAO DIT[24]?DIT V[28] C[29] Z[30] N[31]";
// Bits of the fine-grained trap registers for registers and instructions that exist; the rest is RES0.
const HFGR =
  "AFSR0[0] AFSR1[1] AIDR[2] AMAIR[3] APKEYS[8:4]?PAuth CCSIDR[9] CLIDR[10] CONTEXTIDR[11] CPACR[12] CSSELR[13] CTR[14] DCZID[15] ESR[16] FAR[17] ISR[18] LOR[23:19]?LOR MAIR[24] MIDR[25] MPIDR[26] PAR[27] REVIDR[28] SCTLR[29] SCXTNUM[31:30]?CSV2_2 TCR[32] TPIDR_EL1[33] TPIDRRO[34] TPIDR_EL0[35] TTBR0[36] TTBR1[37] VBAR[38] ICC_IGRPENn[39]?GIC ERX[49:40]?RAS";
const HFGW =
  "AFSR0[0] AFSR1[1] AMAIR[3] APKEYS[8:4]?PAuth CONTEXTIDR[11] CPACR[12] CSSELR[13] ESR[16] FAR[17] LOR[20:19]?LOR LORN[22]?LOR LORSA[23]?LOR MAIR[24] PAR[27] SCTLR[29] SCXTNUM[31:30]?CSV2_2 TCR[32] TPIDR_EL1[33] TPIDRRO[34] TPIDR_EL0[35] TTBR0[36] TTBR1[37] VBAR[38] ICC_IGRPENn[39]?GIC ERRSELR[41]?RAS ERX[49:43]?RAS";
const HFGI =
  "IC[2:0] DC[10:3] DCZVA[11] AT[17:12] TLBIOS[23:18]?TLBIOS TLBIROS[27:24]?TLBIRANGE TLBIIS[33:28] TLBIR[41:34]?TLBIRANGE TLBI[47:42] RCTX[50:48]?SPECRES ERET[51] SVC_EL0[52] SVC_EL1[53] DCCVAC[54]";
const HDFGR =
  "DBG[3:0] MDSCR[4] DBGCLAIM[5] DBGAUTHSTATUS[6] DBGPRCR[7] OSLSR[9] OSECCR[10] OSDLR[11] PMU[19:12]?PMUv3 PMMIR[22]?PMUv3p4 PMUSERENR[57]?PMUv3 PMCEID[58]?PMUv3";
const HDFGW = "DBG[3:0] MDSCR[4] DBGCLAIM[5] DBGPRCR[7] OSLAR[8] OSECCR[10] OSDLR[11] PMU[21:12]?PMUv3 PMUSERENR[57]?PMUv3";

// biome-ignore format: table
export const el2Rows: readonly RegisterRow[] = [
  ["VPIDR_EL2",         "r2w2", "VPIDR[31:0]",                                    0n, "none", "", ""],
  ["VMPIDR_EL2",        "r2w2", "Aff012[24:0] U[30] Aff3[39:32]",                 1n << 31n, "none", "", ""],
  ["SCTLR_EL2",         "r2w2", SCTLR_EL2,                                        0x30c0_0800n, "controls", "", ""],
  ["ACTLR_EL2",         "r2w2", "",                                               0n, "none", "", ""],
  ["HCR_EL2",           "r2w2", HCR,                                              0x8000_0000n, "controls", "", ""],
  ["MDCR_EL2",          "r2w2", "HPMN[4:0]?PMUv3 TPMCR[5]?PMUv3 TPM[6]?PMUv3 HPME[7]?PMUv3 TDE[8] TDA[9] TDOSA[10] TDRA[11] HPMD[17]?PMUv3p1 HCCD[23]?PMUv3p5 HLP[26]?PMUv3p5 TDCC[27]?FGT HPMFZO[29]?PMUv3p7", 0n, "controls", "TDA3", ""],
  ["CPTR_EL2",          "r2w2", "TFP[10] FPEN[21:20] TCPAC[31]",                  0n, "controls", "TCPAC3", ""],
  ["HSTR_EL2",          "r2w2", "",                                               0n, "none", "", ""],
  ["HFGRTR_EL2",        "r2w2", HFGR,                                             0n, "controls", "FGTEn", "FGT"],
  ["HFGWTR_EL2",        "r2w2", HFGW,                                             0n, "controls", "FGTEn", "FGT"],
  ["HFGITR_EL2",        "r2w2", HFGI,                                             0n, "controls", "FGTEn", "FGT"],
  ["HDFGRTR_EL2",       "r2w2", HDFGR,                                            0n, "controls", "FGTEn", "FGT"],
  ["HDFGWTR_EL2",       "r2w2", HDFGW,                                            0n, "controls", "FGTEn", "FGT"],
  ["HACR_EL2",          "r2w2", "",                                               0n, "none", "", ""],
  ["HCRX_EL2",          "r2w2", "FnXS[3]?XS FGTnXS[4]?XS",                        0n, "controls", "HXEn", "HCX"],
  ["TTBR0_EL2",         "r2w2", "*",                                              0n, "tables", "", ""],
  ["TTBR1_EL2",         "r2w2", "*",                                              0n, "tables", "", "VHE"],
  ["TCR_EL2",           "r2w2", "*",                                              0n, "controls", "", ""],
  ["VTTBR_EL2",         "r2w2", "*",                                              0n, "tables", "", ""],
  ["VTCR_EL2",          "r2w2", "T0SZ[5:0] SL0[7:6] IRGN0[9:8] ORGN0[11:10] SH0[13:12] TG0[15:14] PS[18:16] VS[19]?VMID16 HA[21]?HAF HD[22]?HAFDBS HWU[28:25]?HPDS2 NSW[29]?SEL2 NSA[30]?SEL2 DS[32]?LPA2 SL2[33]?LPA2", 0x8000_0000n, "tables", "", ""],
  ["VSTTBR_EL2",        "r2w2", "*",                                              0n, "tables", "SEL2", "SEL2"],
  ["VSTCR_EL2",         "r2w2", "T0SZ[5:0] SL0[7:6] TG0[15:14] SW[29] SA[30] SL2[33]?LPA2", 0x8000_0000n, "tables", "SEL2", "SEL2"],
  ["SPSR_EL2",          "r2w2", SPSR,                                             0n, "none", "", ""],
  ["ELR_EL2",           "r2w2", "*",                                              0n, "none", "", ""],
  ["SP_EL1",            "r2w2", "*",                                              0n, "none", "", ""],
  ["AFSR0_EL2",         "r2w2", "",                                               0n, "none", "", ""],
  ["AFSR1_EL2",         "r2w2", "",                                               0n, "none", "", ""],
  ["ESR_EL2",           "r2w2", "ISS[24:0] IL[25] EC[31:26] ISS2[55:32]",         0n, "none", "", ""],
  ["VSESR_EL2",         "r2w2", "ISS[24:0]",                                      0n, "none", "", "RAS"],
  ["FAR_EL2",           "r2w2", "*",                                              0n, "none", "", ""],
  ["HPFAR_EL2",         "r2w2", "FIPA[47:4] NS[63]",                              0n, "none", "", ""],
  ["MAIR_EL2",          "r2w2", "*",                                              0n, "tables", "", ""],
  ["AMAIR_EL2",         "r2w2", "",                                               0n, "none", "", ""],
  ["VBAR_EL2",          "r2w2", "VBA[63:11]",                                     0n, "none", "", ""],
  ["VDISR_EL2",         "r2w2", "ISS[24:0] A[31]",                                0n, "none", "", "RAS"],
  ["CONTEXTIDR_EL2",    "r2w2", "PROCID[31:0]",                                   0n, "none", "", "VHE"],
  ["TPIDR_EL2",         "r2w2", "*",                                              0n, "none", "", ""],
  ["SCXTNUM_EL2",       "r2w2", "*",                                              0n, "none", "EnSCXT3", "CSV2_2"],
  // EL3
  ["SCTLR_EL3",         "r3w3", SCTLR_EL3,                                        0x30c5_0830n, "controls", "", "EL3"],
  ["ACTLR_EL3",         "r3w3", "",                                               0n, "none", "", "EL3"],
  ["SCR_EL3",           "r3w3", "NS[0] IRQ[1] FIQ[2] EA[3] SMD[7] HCE[8] SIF[9] ST[11] TWI[12] TWE[13] TLOR[14]?LOR TERR[15]?RAS APK[16]?PAuth API[17]?PAuth EEL2[18]?SEL2 EASE[19]?RASv1p1 NMEA[20]?RASv1p1 FIEN[21]?RASv1p1 EnSCXT[25]?CSV2_2 FGTEn[27]?FGT ECVEn[28]?ECV HXEn[38]?HCX GPF[48]?RME NSE[62]?RME", 0x430n, "controls", "", "EL3"],
  ["CPTR_EL3",          "r3w3", "TFP[10] TCPAC[31]",                              0n, "controls", "", "EL3"],
  ["MDCR_EL3",          "r3w3", "TPM[6]?PMUv3 TDA[9] TDOSA[10] SDD[16] SPME[17]?PMUv3 SCCD[23]?PMUv3p5 TDCC[27]?FGT MCCD[34]?PMUv3p7 MPMX[35]?PMUv3p7", 0n, "controls", "", "EL3"],
  ["TTBR0_EL3",         "r3w3", "*",                                              0n, "tables", "", "EL3"],
  ["TCR_EL3",           "r3w3", "T0SZ[5:0] IRGN0[9:8] ORGN0[11:10] SH0[13:12] TG0[15:14] PS[18:16] TBI[20] HA[21]?HAF HD[22]?HAFDBS HPD[24]?HPDS HWU[28:25]?HPDS2 TBID[29]?PAuth DS[32]?LPA2", 0x8080_0000n, "controls", "", "EL3"],
  ["GPTBR_EL3",         "r3w3", "BADDR[39:0]",                                    0n, "tables", "", "RME"],
  ["GPCCR_EL3",         "r3w3", "PPS[2:0] PPS3[3]?GPC3 RLPAD[5]?GPC2 NSPAD[6]?GPC2 SPAD[7]?GPC2 IRGN[9:8] ORGN[11:10] SH[13:12] PGS[15:14] GPC[16] GPCP[17] NSO[19]?GPC2 L0GPTSZ[23:20]! APPSAA[24]?GPC2 GPCBW[29]?GPC3", 0n, "tables", "", "RME"],
  ["GPCBW_EL3",         "r3w3", "BWADDR[25:0] BWSTRIDE[36:32] BWSIZE[39:37]",      0n, "tables", "", "GPC3"],
  ["SPSR_EL3",          "r3w3", SPSR,                                             0n, "none", "", "EL3"],
  ["ELR_EL3",           "r3w3", "*",                                              0n, "none", "", "EL3"],
  ["SP_EL2",            "r3w3", "*",                                              0n, "none", "", "EL3"],
  ["AFSR0_EL3",         "r3w3", "",                                               0n, "none", "", "EL3"],
  ["AFSR1_EL3",         "r3w3", "",                                               0n, "none", "", "EL3"],
  ["ESR_EL3",           "r3w3", "ISS[24:0] IL[25] EC[31:26] ISS2[55:32]",         0n, "none", "", "EL3"],
  ["FAR_EL3",           "r3w3", "*",                                              0n, "none", "", "EL3"],
  ["MFAR_EL3",          "r3w3", "FPA[51:12] NSE[62] NS[63]",                      0n, "none", "", "RME"],
  ["MAIR_EL3",          "r3w3", "*",                                              0n, "tables", "", "EL3"],
  ["AMAIR_EL3",         "r3w3", "",                                               0n, "none", "", "EL3"],
  ["VBAR_EL3",          "r3w3", "VBA[63:11]",                                     0n, "none", "", "EL3"],
  ["RVBAR_EL3",         "r3",   "",                                               0n, "none", "", "EL3"],
  ["RMR_EL3",           "r3w3", "",                                               1n, "none", "", "EL3"],
  ["TPIDR_EL3",         "r3w3", "*",                                              0n, "none", "", "EL3"],
  ["SCXTNUM_EL3",       "r3w3", "*",                                              0n, "none", "", "CSV2_2"],
];
