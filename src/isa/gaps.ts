// What of the instruction table is not implemented, and why. A row is implemented (semantics/) or belongs to a feature below.

import type { Row } from "./table.ts";

// biome-ignore format: table
/** Features (as in the rows' feature tags) whose rows have no semantics. No CPU profile announces one: the rows are UNDEFINED in the guest. */
export const missingFeatures = [
  // feature,      name,                                             first in, why not
  ["MTE",          "Memory Tagging, instructions at EL0",            "v8.5",   "no allocation tags in memory"],
  ["MTE2",         "Memory Tagging, full",                           "v8.5",   "no allocation tags in memory"],
  ["MOPS",         "memory copy and set",                            "v8.8",   "optional for the supported guests"],
  ["HBC",          "hinted conditional branches",                    "v8.8",   "optional for the supported guests"],
  ["CSSC",         "common short sequence compression",              "v8.9",   "optional for the supported guests"],
  ["LRCPC3",       "load-acquire RCpc, version 3",                   "v8.9",   "optional for the supported guests"],
  ["LS64",         "64-byte loads and stores",                       "v8.7",   "no device takes them"],
  ["LS64_V",       "64-byte stores with status",                     "v8.7",   "no device takes them"],
  ["LS64_ACCDATA", "64-byte stores of ACCDATA_EL1",                  "v8.7",   "no device takes them"],
  ["LSE128",       "128-bit atomics",                                "v9.4",   "optional for the supported guests"],
  ["D128",         "128-bit translation tables",                     "v9.4",   "64-bit descriptors only"],
  ["THE",          "translation hardening, read-check-write",        "v8.9",   "translation tables are not hardened"],
  ["SYSREG128",    "128-bit system registers",                       "v9.4",   "comes with D128"],
  ["SYSINSTR128",  "128-bit system instructions",                    "v9.4",   "comes with D128"],
  ["GCS",          "guarded control stack",                          "v9.4",   "optional for the supported guests"],
  ["TME",          "transactional memory",                           "v9.0",   "withdrawn from the architecture"],
] as const satisfies readonly (readonly [feature: string, name: string, version: string, why: string])[];

// biome-ignore format: table
/** Parts of the encoding space that have no rows at all: every word is UNDEFINED. */
export const missingGroups = [
  ["SVE, SVE2",    "op0 = 0010",              "needs vector registers of up to 2048 bits; no profile announces it"],
  ["SME, SME2",    "op0 = 0000, bit 31 set",  "needs streaming mode and ZA; no profile announces it"],
  ["after v9.4",   "CPA, FP8, FAMINMAX, LUT, LSUI, LSFE, FPRCVT, OCCMO, ...", "newer than the table"],
] as const satisfies readonly (readonly [group: string, encodings: string, why: string])[];

/** A feature that is missing. */
export type Gap = (typeof missingFeatures)[number];

/** The missing feature that a row needs; undefined when it needs none. */
export function gapOf(row: Row): Gap | undefined {
  const needed = row.features.split(",");
  return missingFeatures.find(([feature]) => needed.includes(feature));
}
