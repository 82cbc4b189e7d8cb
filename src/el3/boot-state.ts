// The state in which firmware hands a PE to the Non-secure world: EL3 registers as TF-A's BL31 leaves them, so that EL2 may use
// everything the PE has.

import type { RegName } from "../arch/registers/encodings.ts";

/** Does the PE have the feature (name without FEAT_)? */
export type Has = (feature: string) => boolean;

/** Bits of a register, set when the feature is there ("" = always). */
type BitRow = readonly [bits: bigint, name: string, feature: string, why: string];

// biome-ignore format: table
const scr: readonly BitRow[] = [
  [1n << 0n,   "NS",       "",            "EL2 and below are Non-secure"],
  [3n << 4n,   "RES1",     "",            ""],
  [1n << 8n,   "HCE",      "",            "HVC works"],
  [1n << 9n,   "SIF",      "",            "Secure state fetches nothing from Non-secure memory"],
  [1n << 10n,  "RW",       "",            "EL2 is AArch64"],
  [1n << 16n,  "APK",      "PAuth",       "pointer authentication keys"],
  [1n << 17n,  "API",      "PAuth",       "pointer authentication instructions"],
  [1n << 25n,  "EnSCXT",   "CSV2_2",      "SCXTNUM_ELx"],
  [1n << 27n,  "FGTEn",    "FGT",         "fine-grained trap registers"],
  [1n << 28n,  "ECVEn",    "ECV",         "CNTPOFF_EL2"],
  [1n << 35n,  "AMVOFFEN", "AMUv1p1",     "virtual offsets of activity monitors"],
  [1n << 36n,  "EnAS0",    "LS64_ACCDATA","ST64BV0"],
  [1n << 37n,  "ADEn",     "LS64_ACCDATA","ACCDATA_EL1"],
  [1n << 38n,  "HXEn",     "HCX",         "HCRX_EL2"],
  [1n << 39n,  "GCSEn",    "GCS",         "guarded control stacks"],
  [1n << 41n,  "EnTP2",    "SME",         "TPIDR2_EL0"],
  [1n << 42n,  "RCWMASKEn","THE",         "RCWMASK_EL1, RCWSMASK_EL1"],
  [1n << 43n,  "TCR2En",   "TCR2",        "TCR2_ELx"],
  [1n << 44n,  "SCTLR2En", "SCTLR2",      "SCTLR2_ELx"],
  [1n << 45n,  "PIEn",     "S1PIE",       "permission indirection and overlays"],
  [1n << 46n,  "AIEn",     "AIE",         "MAIR2_ELx, AMAIR2_ELx"],
  [1n << 47n,  "D128En",   "D128",        "128-bit descriptors"],
  [1n << 50n,  "EnFPM",    "FPMR",        "FPMR"],
  [1n << 59n,  "FGTEn2",   "FGT2",        "second set of fine-grained trap registers"],
];

// biome-ignore format: table
const cptr: readonly BitRow[] = [
  [1n << 8n,   "EZ",       "SVE",         "SVE"],
  [1n << 12n,  "ESM",      "SME",         "SME"],
];

// biome-ignore format: table
const mdcr: readonly BitRow[] = [
  [2n << 14n,  "SPD32",    "",            "no AArch32 self-hosted debug in Secure state"],
  [1n << 16n,  "SDD",      "",            "no self-hosted debug in Secure state"],
  [1n << 23n,  "SCCD",     "PMUv3p5",     "the cycle counter stops in Secure state"],
  [1n << 34n,  "MCCD",     "PMUv3p7",     "the cycle counter stops at EL3"],
  [3n << 12n,  "NSPB",     "SPE",         "the profiling buffer is Non-secure"],
];

const sum = (rows: readonly BitRow[], has: Has): bigint =>
  rows.reduce((v, [bits, , feature]) => (feature === "" || has(feature) ? v | bits : v), 0n);

/** SCTLR_EL2 with only its RES1 bits: MMU and caches off. */
const SCTLR_RES1 = 0x30c5_0830n;

/** SPSR for the entry: EL2 with SP_EL2, D, A, I and F masked. */
export const ENTRY_SPSR = 0x3c9n;

/** Values of the registers that firmware sets before it leaves EL3. `frequency`: of the system counter, Hz. */
export function bootRegisters(has: Has, frequency: number): readonly (readonly [RegName, bigint])[] {
  return [
    ["SCR_EL3", sum(scr, has)],
    ["CPTR_EL3", sum(cptr, has)],
    ["MDCR_EL3", sum(mdcr, has)],
    ["CNTFRQ_EL0", BigInt(frequency)],
    ["SCTLR_EL2", SCTLR_RES1],
    ["HCR_EL2", 0n],
    ["SPSR_EL3", ENTRY_SPSR],
  ];
}

/** GIC CPU interface, by system register access at EL3: system registers on (SRE), no bypass (DFB, DIB), lower levels may enable theirs. */
export const bootGicRegisters: readonly (readonly [RegName, bigint])[] = [["ICC_SRE_EL3", 0xfn]];
