// RmiFeatureRegister0: what realms of this RMM may have. What the PE lacks is not offered.

import { BREAKPOINTS, type Features, WATCHPOINTS } from "../arch/features.ts";
import { EmuError } from "../util/errors.ts";

/** Fields of RmiFeatureRegister0: name, lowest bit, width. */
// biome-ignore format: table
export const featureFields = [
  ["S2SZ",          0,  8],  // largest IPA width, bits
  ["LPA2",          8,  1],
  ["SVE_EN",        9,  1],
  ["SVE_VL",        10, 4],  // largest vector length / 128 - 1
  ["NUM_BPS",       14, 6],  // breakpoints - 1
  ["NUM_WPS",       20, 6],  // watchpoints - 1
  ["PMU_EN",        26, 1],
  ["PMU_NUM_CTRS",  27, 5],
  ["HASH_SHA_256",  32, 1],
  ["HASH_SHA_512",  33, 1],
  ["GICV3_NUM_LRS", 34, 4],  // list registers - 1
  ["MAX_RECS_ORDER", 38, 4], // at most 2^order - 1 RECs
] as const satisfies readonly (readonly [string, number, number])[];
export type FeatureField = (typeof featureFields)[number][0];

/** What realms may have, by field. */
export type RmmFeatures = Readonly<Record<FeatureField, number>>;

/** Features without which this RMM does not run (DEN0137 1.0 and how TF-RMM uses the PE). */
const REQUIRED = ["RME", "VHE", "S2FWB", "GIC"] as const;

/** PMCR_EL0.N and the number of list registers come from the PE's PMU and GIC. */
export interface PeResources {
  eventCounters: number;
  listRegisters: number;
}

export const MAX_RECS_ORDER = 10;
export const MAX_RECS = 2 ** MAX_RECS_ORDER - 1;

export function rmmFeatures(f: Features, r: PeResources): RmmFeatures {
  const missing = REQUIRED.filter((name) => !f.has(name));
  if (missing.length > 0) throw new EmuError("rmm-needs", `realms need a CPU with ${missing.join(", ")}`);
  const pmu = f.has("PMUv3p7");
  return {
    // 52-bit IPAs need LPA2 tables, which this RMM does not build.
    S2SZ: Math.min(f.paBits, 48),
    LPA2: 0,
    SVE_EN: 0,
    SVE_VL: 0,
    NUM_BPS: BREAKPOINTS - 1,
    NUM_WPS: WATCHPOINTS - 1,
    PMU_EN: pmu ? 1 : 0,
    PMU_NUM_CTRS: pmu ? r.eventCounters : 0,
    HASH_SHA_256: 1,
    HASH_SHA_512: 1,
    GICV3_NUM_LRS: r.listRegisters - 1,
    MAX_RECS_ORDER,
  };
}

/** RmiFeatureRegister0 from its fields. */
export const featureRegister0 = (f: RmmFeatures): bigint =>
  featureFields.reduce((v, [name, low, width]) => v | (BigInt(f[name] & (2 ** width - 1)) << BigInt(low)), 0n);

/** Fields of an RmiFeatureRegister0. */
export const decodeFeatures = (value: bigint): RmmFeatures =>
  Object.fromEntries(
    featureFields.map(([name, low, width]) => [name, Number((value >> BigInt(low)) & ((1n << BigInt(width)) - 1n))]),
  ) as Record<FeatureField, number>;
