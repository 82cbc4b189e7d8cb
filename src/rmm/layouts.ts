// Structures that the host and realms share with the RMM (Arm DEN0137 1.0, B4 and B5). Offsets and widths in bytes.

import { struct } from "./struct.ts";

// biome-ignore format: table
export const RealmParams = struct("RmiRealmParams", 4096, [
  ["flags",           0x000, 8],      // RealmFlag
  ["s2sz",            0x008, 4],      // IPA width in bits. The spec defines 8 bits of these five, TF-RMM reads 32
  ["sve_vl",          0x010, 4],      // vector length / 128 - 1
  ["num_bps",         0x018, 4],      // breakpoints - 1
  ["num_wps",         0x020, 4],      // watchpoints - 1
  ["pmu_num_ctrs",    0x028, 4],      // event counters
  ["hash_algo",       0x030, 1],      // HashAlgorithm
  ["rpv",             0x400, 1, 64],  // Realm Personalization Value
  ["vmid",            0x800, 2],
  ["rtt_base",        0x808, 8],      // PA of the first of the start-level tables
  ["rtt_level_start", 0x810, 8],      // signed
  ["rtt_num_start",   0x818, 4],      // number of start-level tables
]);

// biome-ignore format: table
export const RecParams = struct("RmiRecParams", 4096, [
  ["flags",   0x000, 8],              // RecFlag
  ["mpidr",   0x100, 8],              // Aff0 3:0, Aff1 15:8, Aff2 23:16, Aff3 31:24
  ["pc",      0x200, 8],
  ["gprs",    0x300, 8, 8],
  ["num_aux", 0x800, 8],
  ["aux",     0x808, 8, 16],          // PAs of auxiliary granules
]);

// biome-ignore format: table
export const RecEnter = struct("RmiRecEnter", 0x800, [
  ["flags",     0x000, 8],            // EnterFlag
  ["gprs",      0x200, 8, 31],
  ["gicv3_hcr", 0x300, 8],
  ["gicv3_lrs", 0x308, 8, 16],
]);

/** Its fields. */
export const Enter = RecEnter.fields;

// biome-ignore format: table
export const RecExit = struct("RmiRecExit", 0x800, [
  ["exit_reason",    0x000, 8],       // ExitReason
  ["esr",            0x100, 8],
  ["far",            0x108, 8],
  ["hpfar",          0x110, 8],
  ["gprs",           0x200, 8, 31],
  ["gicv3_hcr",      0x300, 8],
  ["gicv3_lrs",      0x308, 8, 16],
  ["gicv3_misr",     0x388, 8],
  ["gicv3_vmcr",     0x390, 8],
  ["cntp_ctl",       0x400, 8],
  ["cntp_cval",      0x408, 8],
  ["cntv_ctl",       0x410, 8],
  ["cntv_cval",      0x418, 8],
  ["ripas_base",     0x500, 8],
  ["ripas_top",      0x508, 8],
  ["ripas_value",    0x510, 8],       // Ripas
  ["imm",            0x600, 8],       // RSI_HOST_CALL
  ["pmu_ovf_status", 0x700, 8],       // 1: an overflow is active
]);

/** Its fields. */
export const Exit = RecExit.fields;

/** Offset of RmiRecExit in RmiRecRun; RmiRecEnter is at 0. */
export const EXIT_OFFSET = 0x800;

// biome-ignore format: table
export const RsiRealmConfig = struct("RsiRealmConfig", 4096, [
  ["ipa_width", 0x000, 8],
  ["hash_algo", 0x008, 1],
  ["rpv",       0x200, 1, 64],
]);

// biome-ignore format: table
export const RsiHostCall = struct("RsiHostCall", 256, [
  ["imm",  0x00, 2],
  ["gprs", 0x08, 8, 31],
]);

/** Descriptors that extend the Realm Initial Measurement. */
export const MeasurementType = { DATA: 0, REC: 1, RIPAS: 2 } as const;

// biome-ignore format: table
export const MeasurementData = struct("RmmMeasurementDescriptorData", 0x100, [
  ["type",    0x00, 1],
  ["length",  0x08, 8],
  ["rim",     0x10, 1, 64],
  ["ipa",     0x50, 8],
  ["flags",   0x58, 8],
  ["content", 0x60, 1, 64],
]);

// biome-ignore format: table
export const MeasurementRec = struct("RmmMeasurementDescriptorRec", 0x100, [
  ["type",    0x00, 1],
  ["length",  0x08, 8],
  ["rim",     0x10, 1, 64],
  ["content", 0x50, 1, 64],
]);

// biome-ignore format: table
export const MeasurementRipas = struct("RmmMeasurementDescriptorRipas", 0x100, [
  ["type",    0x00, 1],
  ["length",  0x08, 8],
  ["rim",     0x10, 1, 64],
  ["base",    0x50, 8],
  ["top",     0x58, 8],
]);
