// The Realm Execution Context: registers and pending business of one virtual PE, in the REC granule.

import type { RegName } from "../arch/registers/encodings.ts";
import type { GuardedMemory } from "./memory.ts";
import { type StructView, struct } from "./struct.ts";

/**
 * EL1 and EL0 registers that belong to a realm, in the order in which the REC keeps them. The host's are kept while a realm runs.
 * Timers are separate, since their state includes whether the condition is met.
 */
// biome-ignore format: table
export const contextRegisters: readonly RegName[] = [
  "SP_EL0", "SP_EL1", "ELR_EL1", "SPSR_EL1", "TPIDRRO_EL0", "TPIDR_EL0", "TPIDR_EL1", "SCXTNUM_EL0", "SCXTNUM_EL1", "CSSELR_EL1", "SCTLR_EL1", "ACTLR_EL1", "CPACR_EL1",
  "TTBR0_EL1", "TTBR1_EL1", "TCR_EL1", "ESR_EL1", "AFSR0_EL1", "AFSR1_EL1", "FAR_EL1", "MAIR_EL1", "VBAR_EL1", "CONTEXTIDR_EL1", "AMAIR_EL1",
  "CNTKCTL_EL1", "PAR_EL1", "DISR_EL1", "VDISR_EL2", "VSESR_EL2",
  "MDSCR_EL1", "MDCCINT_EL1", "OSLSR_EL1", "DBGCLAIMSET_EL1",
  "DBGBVR0_EL1", "DBGBCR0_EL1", "DBGBVR1_EL1", "DBGBCR1_EL1", "DBGWVR0_EL1", "DBGWCR0_EL1", "DBGWVR1_EL1", "DBGWCR1_EL1",
  "APIAKEYLO_EL1", "APIAKEYHI_EL1", "APIBKEYLO_EL1", "APIBKEYHI_EL1", "APDAKEYLO_EL1", "APDAKEYHI_EL1", "APDBKEYLO_EL1", "APDBKEYHI_EL1",
  "APGAKEYLO_EL1", "APGAKEYHI_EL1",
];
/** Performance monitors: a realm's own only when it was created with them. */
// biome-ignore format: table
export const pmuRegisters: readonly RegName[] = [
  "PMCR_EL0", "PMCNTENSET_EL0", "PMINTENSET_EL1", "PMOVSSET_EL0", "PMSELR_EL0", "PMUSERENR_EL0", "PMCCNTR_EL0", "PMCCFILTR_EL0",
  "PMEVCNTR0_EL0", "PMEVCNTR1_EL0", "PMEVCNTR2_EL0", "PMEVCNTR3_EL0", "PMEVCNTR4_EL0", "PMEVCNTR5_EL0",
  "PMEVTYPER0_EL0", "PMEVTYPER1_EL0", "PMEVTYPER2_EL0", "PMEVTYPER3_EL0", "PMEVTYPER4_EL0", "PMEVTYPER5_EL0",
];
export const MAX_AUX = 16;
const MAX_LRS = 16;

// The layout is this RMM's own.
// biome-ignore format: table
export const RecGranule = struct("RealmExecutionContext", 4096, [
  ["rd",             0x000, 8],                     // PA of the RD
  ["index",          0x008, 8],
  ["mpidr",          0x010, 8],                     // as the realm reads it
  ["runnable",       0x018, 8],
  ["num_aux",        0x020, 8],
  ["aux",            0x028, 8, MAX_AUX],
  ["psci_pending",   0x0b0, 8],                     // waits for PSCI_COMPLETE
  ["host_call",      0x0b8, 8],                     // a host call is to be completed at the next entry
  ["serror",         0x0c0, 8],                     // 1: virtual SError with vsesr at the next entry
  ["vsesr",          0x0c8, 8],
  ["ripas_base",     0x0d0, 8],                     // RIPAS change asked for; base = top: none
  ["ripas_top",      0x0d8, 8],
  ["ripas_addr",     0x0e0, 8],                     // progress of the host
  ["ripas_value",    0x0e8, 8],
  ["ripas_flags",    0x0f0, 8],
  ["last_esr",       0x0f8, 8],                     // of the last exit to the host; 0: nothing to complete
  ["last_far",       0x100, 8],
  ["last_hpfar",     0x108, 8],
  ["run",            0x110, 8],                     // PA of the run page while the REC runs
  ["token_state",    0x118, 8],                     // TokenState
  ["token_length",   0x120, 8],
  ["token_copied",   0x128, 8],
  ["pc",             0x180, 8],
  ["pstate",         0x188, 8],
  ["gprs",           0x190, 8, 31],
  ["cntp_ctl",       0x290, 8],                     // with ISTATUS, as of the last exit
  ["cntp_cval",      0x298, 8],
  ["cntv_ctl",       0x2a0, 8],
  ["cntv_cval",      0x2a8, 8],
  ["cnthctl",        0x2b0, 8],
  ["gic_hcr",        0x2b8, 8],                     // from here to gic_lrs: SavedWords of the GIC
  ["gic_vmcr",       0x2c0, 8],
  ["gic_misr",       0x2c8, 8],
  ["gic_ap0r0",      0x2d0, 8],
  ["gic_ap1r0",      0x2d8, 8],
  ["gic_lrs",        0x2e0, 8, MAX_LRS],
  ["hcr",            0x360, 8],                     // HCR_EL2 of the current run
  ["fpcr",           0x370, 4],
  ["fpsr",           0x374, 4],
  ["v",              0x400, 1, 512],
  ["sysregs",        0x600, 8, contextRegisters.length],
  ["pmu",            0xa00, 8, pmuRegisters.length],
]);
/** Its fields. */
export const Rec = RecGranule.fields;
export type RecField = keyof typeof RecGranule.fields;
export type RecView = StructView<RecField>;

/** Attestation token of a REC: none asked for, created but not signed, being copied. */
export const TokenState = { NONE: 0, CREATED: 1, SIGNED: 2 } as const;
/** Auxiliary granules: what is where. */
export const Aux = { REALM_TOKEN: 0, CCA_TOKEN: 1 } as const;

export const recAt = (memory: GuardedMemory, pa: number): RecView => memory.view(RecGranule, pa);

const registerIndex = new Map<RegName, number>(contextRegisters.map((r, i) => [r, i]));
/** Reads and writes a system register of a REC that does not run. */
export const recSys = (rec: RecView, reg: RegName): bigint => rec.get("sysregs", registerIndex.get(reg) as number);
export const setRecSys = (rec: RecView, reg: RegName, value: bigint): void => rec.set("sysregs", value, registerIndex.get(reg) as number);

/** EL1h, D, A, I, F masked. */
export const PSTATE_START = 0x3c5n;
/** SPAN, EIS, nTWE, nTWI, EOS, nAA, CP15BEN, SA0, SA (DEN0137: SCTLR_EL1 at REC_CREATE). */
export const SCTLR_START = 0x00c5_0878n;
/** MDSCR_EL1.TDCC. */
const MDSCR_START = 1n << 12n;
/** CNTHCTL_EL2 in the layout of E2H = 1: EL1PCTEN, EL1PTEN. */
export const CNTHCTL_REALM = (1n << 10n) | (1n << 11n);
export const CNTVMASK = 1 << 18;
export const CNTPMASK = 1 << 19;
/** ICH_HCR_EL2.En, vSGIEOICount, DVIM. */
export const ICH_HCR_REALM = 1n | (1n << 8n) | (1n << 15n);
/** PMCR_EL0: LC, DP; with a PMU of its own also C and P, which reset the counters. */
const PMCR_START = (1n << 6n) | (1n << 5n);

/** Fills a wiped REC granule with the state in which a realm's PE starts. */
export function initRec(rec: RecView): void {
  rec.set("pstate", PSTATE_START);
  rec.set("cnthctl", CNTHCTL_REALM);
  rec.set("gic_hcr", ICH_HCR_REALM);
  rec.set("pmu", PMCR_START, 0);
  setRecSys(rec, "SCTLR_EL1", SCTLR_START);
  setRecSys(rec, "MDSCR_EL1", MDSCR_START);
  setRecSys(rec, "OSLSR_EL1", 0xan); // OS lock implemented, locked
}

/** A timer's interrupt condition: ENABLE and ISTATUS, not IMASK. */
export const timerAsserted = (ctl: number): boolean => (ctl & 7) === 5;
