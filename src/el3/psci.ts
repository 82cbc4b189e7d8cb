// Power State Coordination Interface 1.1 (Arm DEN0022), as TF-A offers it on QEMU's virt machine.
//
// States of a PE, as AFFINITY_INFO tells them:
//
//            CPU_ON                  the PE starts
//     OFF ------------> ON_PENDING ------------> ON ---+
//      ^                                               |
//      +-----------------------------------------------+
//                            CPU_OFF
//
// CPU_SUSPEND: a powerdown request is carried out as standby. PSCI allows that downgrade (5.4.2: the call then returns SUCCESS
// to its caller instead of entering at the entry point), and it keeps the interrupt configuration that has to wake the PE.

import { arg, FID_SMC64, type Handler, NO_RETURN, Ret, type RowTuple, type Services } from "./smccc.ts";

const PSCI_1_1 = 0x0001_0001n;
const Affinity = { ON: 0n, OFF: 1n, ON_PENDING: 2n } as const;
const MIGRATION_NOT_REQUIRED = 2n;

const version: Handler = () => [PSCI_1_1];

/** Power states accepted by CPU_SUSPEND (original format): type at 16 (1 = powerdown), level at 25:24, StateID at 15:0. */
const powerStates: readonly { powerdown: boolean; level: number; ids: readonly number[] }[] = [
  { powerdown: false, level: 0, ids: [0, 0x01] }, // PE retention
  { powerdown: true, level: 0, ids: [0, 0x02] }, // PE off
  { powerdown: true, level: 1, ids: [0, 0x22] }, // cluster off
];

const cpuSuspend: Handler = (s, call) => {
  const state = Number(arg(call, 1) & 0xffff_ffffn);
  const known = powerStates.find((p) => state >>> 16 === ((p.powerdown ? 1 : 0) | (p.level << 8)) && p.ids.includes(state & 0xffff));
  if (!known || arg(call, 1) >> 32n !== 0n) return [Ret.INVALID_PARAMETERS];
  if (known.powerdown && !isEntry(s, arg(call, 2))) return [Ret.INVALID_ADDRESS];
  s.standby();
  return NO_RETURN;
};

const cpuOff: Handler = (s, call) => {
  s.power.powerOff(call.pe);
  return NO_RETURN;
};

const cpuOn: Handler = (s, call) => {
  const [mpidr, entry, context] = [arg(call, 1), arg(call, 2), arg(call, 3)];
  const target = s.affinities.indexOf(mpidr);
  if (target < 0) return [Ret.INVALID_PARAMETERS];
  if (!isEntry(s, entry)) return [Ret.INVALID_ADDRESS];
  const state = affinityState(s, target);
  if (state === Affinity.ON) return [Ret.ALREADY_ON];
  if (state === Affinity.ON_PENDING) return [Ret.ON_PENDING];
  s.pending |= 1 << target;
  s.power.powerOn(target, entry, context);
  return [Ret.SUCCESS];
};

const affinityInfo: Handler = (s, call) => {
  const target = s.affinities.indexOf(arg(call, 1));
  // Only PEs have a state of their own here (PSCI 1.0 made higher levels optional).
  if (target < 0 || arg(call, 2) !== 0n) return [Ret.INVALID_PARAMETERS];
  return [affinityState(s, target)];
};

const migrateInfoType: Handler = () => [MIGRATION_NOT_REQUIRED];

const systemOff: Handler = (s) => {
  s.power.systemOff();
  return NO_RETURN;
};

const systemReset: Handler = (s) => {
  s.power.systemReset("cold");
  return NO_RETURN;
};

/** Flags are 0: CPU_SUSPEND takes the original power state format and is platform coordinated. */
const features: Handler = (s, call) => [s.implemented(Number(arg(call, 1) & 0xffff_ffffn)) ? 0n : Ret.NOT_SUPPORTED];

function affinityState(s: Services, target: number): bigint {
  if (s.power.isOn(target)) return Affinity.ON;
  return s.pending & (1 << target) ? Affinity.ON_PENDING : Affinity.OFF;
}

/** An entry point is a word-aligned address in Non-secure memory. */
const isEntry = (s: Services, address: bigint): boolean => (address & 3n) === 0n && s.power.isExecutable(address);

// id32, id64, name, arguments, handler (undefined: optional and not offered)
// biome-ignore format: table
export const psciRows: readonly RowTuple[] = [
  [0x8400_0000, 0,           "PSCI_VERSION",                 "",                          version],
  [0x8400_0001, 0xc400_0001, "PSCI_CPU_SUSPEND",             "power_state entry context", cpuSuspend],
  [0x8400_0002, 0,           "PSCI_CPU_OFF",                 "",                          cpuOff],
  [0x8400_0003, 0xc400_0003, "PSCI_CPU_ON",                  "target entry context",      cpuOn],
  [0x8400_0004, 0xc400_0004, "PSCI_AFFINITY_INFO",           "target level",              affinityInfo],
  [0x8400_0005, 0xc400_0005, "PSCI_MIGRATE",                 "target",                    undefined],
  [0x8400_0006, 0,           "PSCI_MIGRATE_INFO_TYPE",       "",                          migrateInfoType],
  [0x8400_0007, 0xc400_0007, "PSCI_MIGRATE_INFO_UP_CPU",     "",                          undefined],
  [0x8400_0008, 0,           "PSCI_SYSTEM_OFF",              "",                          systemOff],
  [0x8400_0009, 0,           "PSCI_SYSTEM_RESET",            "",                          systemReset],
  [0x8400_000a, 0,           "PSCI_FEATURES",                "fid",                       features],
  [0x8400_000b, 0,           "PSCI_CPU_FREEZE",              "",                          undefined],
  [0x8400_000c, 0xc400_000c, "PSCI_CPU_DEFAULT_SUSPEND",     "entry context",             undefined],
  [0x8400_000d, 0xc400_000d, "PSCI_NODE_HW_STATE",           "target level",              undefined],
  [0x8400_000e, 0xc400_000e, "PSCI_SYSTEM_SUSPEND",          "entry context",             undefined],
  [0x8400_000f, 0,           "PSCI_SET_SUSPEND_MODE",        "mode",                      undefined],
  [0x8400_0010, 0xc400_0010, "PSCI_STAT_RESIDENCY",          "target power_state",        undefined],
  [0x8400_0011, 0xc400_0011, "PSCI_STAT_COUNT",              "target power_state",        undefined],
  [0x8400_0012, 0xc400_0012, "PSCI_SYSTEM_RESET2",           "type cookie",               undefined],
  [0x8400_0013, 0,           "PSCI_MEM_PROTECT",             "enable",                    undefined],
  [0x8400_0014, 0xc400_0014, "PSCI_MEM_PROTECT_CHECK_RANGE", "base length",               undefined],
];

/** Is it one of PSCI's function identifiers? They are for Non-secure callers. */
export const isPsci = (fid: number): boolean => {
  const number = (fid & ~FID_SMC64) >>> 0;
  return number >= 0x8400_0000 && number <= 0x8400_001f;
};
