// Firmware calls by function identifier (SMCCC, DEN0028): what each is called, what its registers hold, what its result says. One look-up
// over the tables of those who implement the calls, and of those that only real firmware has.

import { callTable } from "../el3/agent.ts";
import { isHandBack, knownCalls } from "../el3/known-calls.ts";
import { RmmEl3 } from "../el3/monitor-context.ts";
import { Firme, firmeServices } from "../el3/monitor-firme.ts";
import { services } from "../el3/monitor-services.ts";
import { FID_SVE_HINT, Ret } from "../el3/smccc.ts";
import { rmiCommands, rsiCommands } from "../rmm/commands.ts";
import { rmi11, rmi20, rsi11 } from "../rmm/later-commands.ts";
import { RmiStatus, rmiCodeName, rsiCodeName, unpackRmiCode } from "../rmm/status.ts";

/** A call as its function identifier describes it. */
export interface FirmwareCall {
  readonly fid: number;
  /** "RMI_REALM_CREATE", "PSCI_CPU_ON"; of an unknown call its owner and number: "SiP 0x82000010". */
  readonly name: string;
  /** RMI and RSI have kinds of their own among trace events. */
  readonly kind: "smc" | "rmi" | "rsi";
  /** Names of arguments and results, x1 and up. Undefined: nobody knows them. */
  readonly args: readonly string[] | undefined;
  readonly results: readonly string[];
  /** Gives back control to whom it was asked by; it has no result of its own. */
  readonly handsBack: boolean;
  /** What x0 of the answer says. */
  code(x0: bigint): string;
}

type Described = Omit<FirmwareCall, "fid">;

const words = (s: string): string[] => s.split(" ").filter((w) => w !== "");
const hex = (v: bigint | number): string => `0x${v.toString(16)}`;

/** Names of negative results; they fill x0, or w0 only. */
function negative(names: Readonly<Record<string, bigint>>): (x0: bigint) => string {
  return (x0) => {
    const value = x0 >> 31n === 1n ? BigInt.asIntN(32, x0) : BigInt.asIntN(64, x0);
    const name = value <= 0n ? Object.entries(names).find(([, v]) => v === value)?.[0] : undefined;
    return name ?? (value < 0n ? `${value}` : hex(x0));
  };
}
/** A result that is a number when it is not negative: versions, counts, states. */
const counted = (names: Readonly<Record<string, bigint>>): ((x0: bigint) => string) => {
  const name = negative(names);
  return (x0) => (x0 === 0n ? "0x0" : name(x0));
};

/** Status codes that came after RMI 1.0. */
const laterStatus: Readonly<Record<number, string>> = {
  5: "ERROR_NOT_SUPPORTED",
  6: "ERROR_DEVICE",
  7: "ERROR_RTT_AUX",
  8: "ERROR_PSMMU_ST",
  9: "ERROR_DPT",
  10: "BUSY",
  11: "ERROR_GLOBAL",
  12: "ERROR_TRACKING",
  13: "INCOMPLETE",
  14: "BLOCKED",
  15: "ERROR_GPT",
  16: "ERROR_GRANULE",
};
function rmiCode(x0: bigint): string {
  const { status } = unpackRmiCode(x0);
  const later = status > RmiStatus.ERROR_RTT && x0 < 0x1_0000n ? laterStatus[status] : undefined;
  return later === undefined ? rmiCodeName(x0) : `RMI_${later}`;
}

const NONE = { handsBack: false } as const;
const known = new Map<number, Described>();
/** RMI 2.0 under the numbers that it shares with 1.0. */
const known20 = new Map<number, Described>();

for (const { id32, id64, name, args } of callTable) {
  const code = /VERSION|FEATURES|AFFINITY_INFO|STAT_|TYPE/.test(name) ? counted(Ret) : negative(Ret);
  for (const id of [id32, id64]) if (id !== 0) known.set(id, { name, kind: "smc", args, results: [], ...NONE, code });
}
for (const { id32, id64, name, args, results } of knownCalls) {
  const handsBack = isHandBack(name);
  const code = name.startsWith("FFA_") ? ffaCode : counted(Ret);
  for (const id of [id32, id64]) if (id !== 0) known.set(id, { name, kind: "smc", args, results, handsBack, code });
}
for (const [fid, name, args, results] of services)
  known.set(fid, { name, kind: "smc", args: words(args), results: words(results), ...NONE, code: negative(RmmEl3) });
for (const [fid, name, args, results] of firmeServices) {
  const code = name === "FIRME_SERVICE_VERSION" ? counted(Firme) : negative(Firme);
  known.set(fid, { name, kind: "smc", args: words(args), results: words(results), ...NONE, code });
}
for (const { fid, name, args, results } of [...rmiCommands, ...rmi11])
  known.set(fid, { name: `RMI_${name}`, kind: "rmi", args, results, ...NONE, code: rmiCode });
for (const { fid, name, args, results } of rmi20)
  known20.set(fid, { name: `RMI_${name}`, kind: "rmi", args, results, ...NONE, code: rmiCode });
for (const { fid, name, args, results } of [...rsiCommands, ...rsi11])
  known.set(fid, { name: `RSI_${name}`, kind: "rsi", args, results, ...NONE, code: rsiCodeName });

/** FF-A answers with the identifier of another of its functions. */
function ffaCode(x0: bigint): string {
  return known.get(Number(x0 & 0xffff_ffffn))?.name ?? negative(Ret)(x0);
}

/** Owning entities, bits 29:24 of a function identifier. */
const owners = ["Arm architecture", "CPU", "SiP", "OEM", "standard secure", "standard hypervisor", "vendor hypervisor"] as const;
function ownerOf(fid: number): string {
  const oen = (fid >>> 24) & 0x3f;
  // Fast calls only; yielding ones belong to trusted OSes from 0x02000000 on. Kernels use lower numbers with HVC for themselves.
  if (fid >>> 31 === 0) return oen < 2 ? "private call" : "yielding call";
  return owners[oen] ?? (oen >= 50 ? "trusted OS" : oen >= 48 ? "trusted application" : "reserved owner");
}

/** The call with this function identifier (W0). `rmiMajor`: version of RMI in use, for numbers that 2.0 has given another meaning. */
export function describeCall(w0: number, rmiMajor = 1): FirmwareCall {
  const fid = (w0 & ~FID_SVE_HINT) >>> 0;
  const [first, second] = rmiMajor >= 2 ? [known20, known] : [known, known20];
  const found = first.get(fid) ?? second.get(fid);
  if (found !== undefined) return { fid, ...found };
  return { fid, name: `${ownerOf(fid)} ${hex(fid)}`, kind: "smc", args: undefined, results: [], ...NONE, code: negative(Ret) };
}

/** "RMI_GRANULE_DELEGATE (0xc4000151)". */
export function firmwareCall(w0: number): string {
  const { fid, name, args } = describeCall(w0);
  return args === undefined ? `function ${hex(fid)}` : `${name} (${hex(fid)})`;
}
