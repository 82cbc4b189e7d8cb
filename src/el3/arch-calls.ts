// Arm architecture calls of SMCCC: version, discovery, and the mitigations of speculation flaws.

import { arg, type Handler, Ret, type RowTuple } from "./smccc.ts";

/** SMCCC 1.5. */
const SMCCC_1_5 = 0x0001_0005n;
/** Answer of ARCH_FEATURES for a mitigation that this PE does not need: it does not speculate. */
const NOT_REQUIRED = 1n;

const version: Handler = () => [SMCCC_1_5];

const archFeatures: Handler = (s, call) => {
  const fid = Number(arg(call, 1) & 0xffff_ffffn);
  if (isWorkaround(fid)) return [NOT_REQUIRED];
  // Calls of other owners have their own discovery (PSCI_FEATURES, TRNG_FEATURES).
  return [isArchCall(fid) && s.implemented(fid) ? Ret.SUCCESS : Ret.NOT_SUPPORTED];
};

/** On a PE that is not affected the call has no effect (SMCCC, section on each workaround). */
const workaround: Handler = () => [Ret.SUCCESS];

// SOC_ID would need a JEP-106 manufacturer code, which this machine does not have.
// id32, id64, name, arguments, handler (undefined: optional and not offered)
// biome-ignore format: table
export const archRows: readonly RowTuple[] = [
  [0x8000_0000, 0,           "SMCCC_VERSION",                   "",         version],
  [0x8000_0001, 0,           "SMCCC_ARCH_FEATURES",             "fid",      archFeatures],
  [0x8000_0002, 0xc000_0002, "SMCCC_ARCH_SOC_ID",               "type",     undefined],
  [0x8000_0003, 0xc000_0003, "SMCCC_ARCH_FEATURE_AVAILABILITY", "register", undefined],
  [0x8000_0004, 0,           "SMCCC_ARCH_WORKAROUND_4",         "",         workaround],
  [0x8000_3fff, 0,           "SMCCC_ARCH_WORKAROUND_3",         "",         workaround],
  [0x8000_7fff, 0,           "SMCCC_ARCH_WORKAROUND_2",         "enable",   workaround],
  [0x8000_8000, 0,           "SMCCC_ARCH_WORKAROUND_1",         "",         workaround],
];

const isArchCall = (fid: number): boolean => archRows.some(([id32, id64]) => fid === id32 || (id64 !== 0 && fid === id64));
const isWorkaround = (fid: number): boolean => archRows.some(([id32, , , , handler]) => fid === id32 && handler === workaround);
