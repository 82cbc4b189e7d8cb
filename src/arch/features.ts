// Architectural features of a PE: one table from feature to ID register fields, the CPU profiles made of it, and the text
// form of the command line ("max,lse=off"). The ID registers announce exactly the features in the set, nothing else.

import { EmuError } from "../util/errors.ts";
import type { RegName } from "./registers/encodings.ts";

/** Short names of the ID registers used in the table below. */
const idNames = {
  PFR0: "ID_AA64PFR0_EL1",
  PFR1: "ID_AA64PFR1_EL1",
  DFR0: "ID_AA64DFR0_EL1",
  ISAR0: "ID_AA64ISAR0_EL1",
  ISAR1: "ID_AA64ISAR1_EL1",
  ISAR2: "ID_AA64ISAR2_EL1",
  MMFR0: "ID_AA64MMFR0_EL1",
  MMFR1: "ID_AA64MMFR1_EL1",
  MMFR2: "ID_AA64MMFR2_EL1",
  CTR: "CTR_EL0",
} as const satisfies Record<string, RegName>;

// Feature (without FEAT_), the fields it sets (REG[hi:lo]=value; the largest value of the set wins), what it needs.
// biome-ignore format: table
const table = [
  // Exception levels, security, basics
  ["EL3",       "PFR0[15:12]=1 MMFR0[15:12]=1",             ""],
  ["GIC",       "PFR0[27:24]=1",                            ""],
  ["FP16",      "PFR0[19:16]=1 PFR0[23:20]=1",              ""],
  ["RAS",       "PFR0[31:28]=1",                            ""],
  // With EL3 this includes FEAT_DoubleFault
  ["RASv1p1",   "PFR0[31:28]=2",                            "RAS"],
  ["SEL2",      "PFR0[39:36]=1",                            "EL3"],
  ["RME",       "PFR0[55:52]=1",                            "EL3 SEL2 LSE HAFDBS RASv1p1"],
  // FEAT_RME_GPC2, FEAT_RME_GPC3
  ["GPC2",      "PFR0[55:52]=2",                            "RME"],
  ["GPC3",      "PFR0[55:52]=3",                            "GPC2"],
  ["DIT",       "PFR0[51:48]=1",                            ""],
  ["CSV2",      "PFR0[59:56]=1",                            ""],
  ["CSV2_2",    "PFR0[59:56]=2",                            "CSV2"],
  ["CSV3",      "PFR0[63:60]=1",                            ""],
  ["BTI",       "PFR1[3:0]=1",                              ""],
  ["SSBS",      "PFR1[7:4]=1",                              ""],
  ["SSBS2",     "PFR1[7:4]=2",                              "SSBS"],
  // Instruction set
  ["AES",       "ISAR0[7:4]=2",                             ""],
  ["SHA1",      "ISAR0[11:8]=1",                            ""],
  ["SHA256",    "ISAR0[15:12]=1",                           "SHA1"],
  ["SHA512",    "ISAR0[15:12]=2",                           "SHA256"],
  ["CRC32",     "ISAR0[19:16]=1",                           ""],
  ["LSE",       "ISAR0[23:20]=2",                           ""],
  ["RDM",       "ISAR0[31:28]=1",                           ""],
  ["SHA3",      "ISAR0[35:32]=1",                           "SHA512"],
  ["SM3",       "ISAR0[39:36]=1",                           ""],
  ["SM4",       "ISAR0[43:40]=1",                           "SM3"],
  ["DotProd",   "ISAR0[47:44]=1",                           ""],
  ["FHM",       "ISAR0[51:48]=1",                           "FP16"],
  ["FlagM",     "ISAR0[55:52]=1",                           ""],
  ["FlagM2",    "ISAR0[55:52]=2",                           "FlagM"],
  ["TLBIOS",    "ISAR0[59:56]=1",                           ""],
  ["TLBIRANGE", "ISAR0[59:56]=2",                           "TLBIOS"],
  ["RNG",       "ISAR0[63:60]=1",                           ""],
  ["DPB",       "ISAR1[3:0]=1",                             ""],
  ["DPB2",      "ISAR1[3:0]=2",                             "DPB"],
  // IMPLEMENTATION DEFINED cipher, with FEAT_PAuth2 and FEAT_FPACCOMBINE; PACGA too
  ["PAuth",     "ISAR1[11:8]=5 ISAR1[31:28]=1",             ""],
  ["JSCVT",     "ISAR1[15:12]=1",                           ""],
  ["FCMA",      "ISAR1[19:16]=1",                           ""],
  ["LRCPC",     "ISAR1[23:20]=1",                           ""],
  ["LRCPC2",    "ISAR1[23:20]=2",                           "LRCPC"],
  ["FRINTTS",   "ISAR1[35:32]=1",                           ""],
  ["SB",        "ISAR1[39:36]=1",                           ""],
  ["SPECRES",   "ISAR1[43:40]=1",                           ""],
  ["BF16",      "ISAR1[47:44]=1",                           ""],
  ["DGH",       "ISAR1[51:48]=1",                           ""],
  ["I8MM",      "ISAR1[55:52]=1",                           ""],
  ["XS",        "ISAR1[59:56]=1",                           "HCX"],
  ["WFxT",      "ISAR2[3:0]=2",                             ""],
  // Memory model
  ["ASID16",    "MMFR0[7:4]=2",                             ""],
  ["FGT",       "MMFR0[59:56]=1",                           ""],
  ["ECV",       "MMFR0[63:60]=2",                           ""],
  ["HAF",       "MMFR1[3:0]=1",                             ""],
  ["HAFDBS",    "MMFR1[3:0]=2",                             "HAF"],
  ["VMID16",    "MMFR1[7:4]=2",                             ""],
  ["VHE",       "MMFR1[11:8]=1",                            ""],
  ["HPDS",      "MMFR1[15:12]=1",                           ""],
  ["HPDS2",     "MMFR1[15:12]=2",                           "HPDS"],
  ["LOR",       "MMFR1[19:16]=1",                           ""],
  ["PAN",       "MMFR1[23:20]=1",                           ""],
  ["PAN2",      "MMFR1[23:20]=2",                           "PAN"],
  ["PAN3",      "MMFR1[23:20]=3",                           "PAN2"],
  ["XNX",       "MMFR1[31:28]=1",                           ""],
  ["ETS2",      "MMFR1[39:36]=2",                           ""],
  ["HCX",       "MMFR1[43:40]=1",                           ""],
  ["nTLBPA",    "MMFR1[51:48]=1",                           ""],
  ["TIDCP1",    "MMFR1[55:52]=1",                           ""],
  ["ECBHB",     "MMFR1[63:60]=1",                           ""],
  ["CnP",       "MMFR2[3:0]=1",                             ""],
  ["UAO",       "MMFR2[7:4]=1",                             ""],
  ["IESB",      "MMFR2[15:12]=1",                           "RAS"],
  ["LVA",       "MMFR2[19:16]=1",                           ""],
  ["TTST",      "MMFR2[31:28]=1",                           ""],
  ["LSE2",      "MMFR2[35:32]=1",                           "LSE"],
  ["IDST",      "MMFR2[39:36]=1",                           ""],
  ["S2FWB",     "MMFR2[43:40]=1",                           ""],
  ["TTL",       "MMFR2[51:48]=1",                           ""],
  ["BBM",       "MMFR2[55:52]=2",                           ""],
  ["EVT",       "MMFR2[59:56]=2",                           ""],
  ["E0PD",      "MMFR2[63:60]=1",                           ""],
  // Translation granules: TGRAN4 [31:28] 0 = supported, 1 = with LPA2, 0xF = not; TGRAN16 [23:20] 0 = not, 1 = supported, 2 = with LPA2
  ["GRAN16K",   "MMFR0[23:20]=1",                           ""],
  ["LPA2",      "MMFR0[31:28]=1 MMFR0[23:20]=2",            "GRAN16K"],
  // Debug and performance monitors
  ["Debugv8p2", "DFR0[3:0]=8",                              ""],
  ["Debugv8p4", "DFR0[3:0]=9",                              "Debugv8p2"],
  ["PMUv3",     "DFR0[11:8]=1",                             ""],
  ["PMUv3p1",   "DFR0[11:8]=4",                             "PMUv3"],
  ["PMUv3p4",   "DFR0[11:8]=5",                             "PMUv3p1"],
  ["PMUv3p5",   "DFR0[11:8]=6",                             "PMUv3p4"],
  ["PMUv3p7",   "DFR0[11:8]=7",                             "PMUv3p5"],
] as const satisfies readonly (readonly [string, string, string])[];

/** Name of a feature, as in the rows of src/isa/rows (FEAT_ left out). */
export type FeatureName = (typeof table)[number][0];

/** Number of implemented breakpoints, watchpoints and context-aware breakpoints: the architectural minimum. */
export const BREAKPOINTS = 2;
export const WATCHPOINTS = 2;
export const CONTEXT_BREAKPOINTS = 1;

/** Sizes in bits of what one level 0 entry of a granule protection table may cover (GPCCR_EL3.L0GPTSZ). */
const l0gptSizes = [30, 34, 36, 39] as const;

/** Physical address sizes that ID_AA64MMFR0_EL1.PARange can announce, in bits, by field value. */
const paRanges = [32, 36, 40, 42, 44, 48, 52] as const;

// What every profile has whatever its features: EL0..EL2 in AArch64 only, no MTPMU, no DoubleLock, 64-byte lines.
const baseId: readonly (readonly [RegName, bigint])[] = [
  ["ID_AA64PFR0_EL1", 0x111n],
  [
    "ID_AA64DFR0_EL1",
    0xf0_0000_0006n | (BigInt(BREAKPOINTS - 1) << 12n) | (BigInt(WATCHPOINTS - 1) << 20n) | (BigInt(CONTEXT_BREAKPOINTS - 1) << 28n),
  ],
  // IDC and DIC set: data and instruction sides are coherent, software needs no cache maintenance. PIPT, CWG = ERG = 64 bytes.
  ["CTR_EL0", 0xb444_c004n],
  ["DCZID_EL0", 4n],
  ["CLIDR_EL1", 0x0a20_0023n],
];

interface Profile {
  midr: bigint;
  paBits: number;
  features: readonly FeatureName[];
}

const v80: readonly FeatureName[] = ["EL3", "GIC", "ASID16", "AES", "SHA256", "CRC32", "PMUv3"];
// biome-ignore format: table
const v82: readonly FeatureName[] = [
  ...v80, "LSE", "RDM", "LOR", "PAN2", "VHE", "VMID16", "HAFDBS", "HPDS2", "XNX", "CnP", "UAO", "RAS", "IESB", "DPB", "FP16",
  "DotProd", "LRCPC", "SSBS2", "CSV2", "CSV3", "GRAN16K", "Debugv8p2", "PMUv3p1",
];
// biome-ignore format: table
/** Everything the emulator implements for its newest profile. Features not here stay available by name ("max,rme=on"). */
const everything: readonly FeatureName[] = [
  ...v82, "SHA512", "SHA3", "SM4", "FHM", "FlagM2", "TLBIRANGE", "RNG", "DPB2", "PAuth", "JSCVT", "FCMA", "LRCPC2", "FRINTTS", "SB",
  "SPECRES", "BF16", "DGH", "I8MM", "XS", "WFxT", "FGT", "ECV", "PAN3", "ETS2", "HCX", "nTLBPA", "TIDCP1", "ECBHB", "LVA", "TTST", "LSE2", "IDST",
  "S2FWB", "TTL", "BBM", "EVT", "E0PD", "LPA2", "DIT", "BTI", "CSV2_2", "Debugv8p4", "PMUv3p7",
];

const profiles: Record<string, Profile> = {
  max: { midr: 0x000f_0510n, paBits: 52, features: everything },
  "cortex-a53": { midr: 0x410f_d034n, paBits: 40, features: v80 },
  "cortex-a76": { midr: 0x414f_d0b1n, paBits: 40, features: v82 },
  "neoverse-n1": { midr: 0x414f_d0c1n, paBits: 48, features: v82 },
};

/** Names accepted as the first word of a CPU description. */
export const profileNames: readonly string[] = Object.keys(profiles);
/** Names accepted as options of a CPU description. */
export const featureNames: readonly FeatureName[] = table.map((r) => r[0]);

const needs = new Map<string, string[]>(table.map((r) => [r[0], r[2].split(" ").filter((s) => s !== "")]));

/** The set of features of one PE and what follows from it. Immutable. */
export class Features {
  readonly profile: string;
  readonly names: ReadonlySet<string>;
  /** Physical address size in bits: 32, 36, 40, 42, 44, 48 or 52. */
  readonly paBits: number;
  readonly midr: bigint;
  /** With FEAT_RME: log2 of the memory that a level 0 entry of the granule protection table covers (30, 34, 36 or 39). */
  readonly l0gptsz: number;
  /** Features that the PE has and its ID registers do not announce. */
  readonly hidden: ReadonlySet<string>;

  constructor(
    profile: string,
    names: ReadonlySet<string>,
    paBits: number,
    midr: bigint,
    l0gptsz = 30,
    hidden: ReadonlySet<string> = new Set(),
  ) {
    this.profile = profile;
    this.names = names;
    this.paBits = paBits;
    this.midr = midr;
    this.l0gptsz = l0gptsz;
    this.hidden = hidden;
  }

  /** The same with an EL3 that is the emulator's own: software below it is not told, and its SMCs are answered all the same, as on QEMU. */
  withHiddenEl3(): Features {
    if (this.has("EL3")) return this;
    return new Features(this.profile, new Set([...this.names, "EL3"]), this.paBits, this.midr, this.l0gptsz, new Set(["EL3"]));
  }

  /** Is the feature implemented? The name is without FEAT_, as in the instruction rows. */
  has(name: FeatureName | (string & {})): boolean {
    return this.names.has(name);
  }
}

/** Features of a named profile. */
export function cpuProfile(name: string): Features {
  const p = profiles[name];
  if (p === undefined) throw new EmuError("cpu-unknown", `no CPU is called "${name}"; there are: ${profileNames.join(", ")}`, 2);
  const set = new Set<string>();
  for (const f of p.features) enable(set, f);
  return new Features(name, set, p.paBits, p.midr);
}

/** QEMU marks what it calls experimental. */
const QEMU_PREFIX = /^x-(?=rme=|rme$|l0gptsz=)/;

/** QEMU's options for what is never or always so here: accepted when they ask for that. */
// biome-ignore format: table
const settled: Readonly<Record<string, string>> = {
  sve: "off", sme: "off", mte: "off", "pauth-impdef": "on", "pauth-qarma3": "off", "pauth-qarma5": "off", aarch64: "on",
};

/** What a CPU description may say, as text for people: profiles, and features with what they need. */
export function cpuHelp(): string {
  const line = (name: FeatureName): string => {
    const wanted = needs.get(name) ?? [];
    const inMax = cpuProfile("max").has(name) ? "max" : "   ";
    return `  ${name.padEnd(10)} ${inMax}${wanted.length > 0 ? `  needs ${wanted.join(" ")}` : ""}`.trimEnd();
  };
  return [
    `CPUs: ${profileNames.join(", ")}`,
    "",
    "Options, after commas: pa=BITS, l0gptsz=BITS, and each feature with =on or =off (max: it has it without being asked).",
    "A feature brings what it needs; one switched off takes away what needs it.",
    ...featureNames.map(line),
    "",
  ].join("\n");
}

/**
 * Reads a CPU description: a profile name, then options separated by commas: `feature`, `feature=on`, `feature=off` (case does not
 * matter), `pa=BITS` and `l0gptsz=BITS`; QEMU's x-rme and x-l0gptsz too. A feature switched on brings what it needs; one switched off
 * takes away what needs it.
 */
export function parseCpu(text: string): Features {
  const [name = "", ...options] = text.split(",").map((s) => s.trim());
  const base = cpuProfile(name.toLowerCase());
  const set = new Set<string>(base.names);
  let paBits = base.paBits;
  let l0gptsz = base.l0gptsz;
  for (const option of options) {
    const [key = "", value = "on"] = option.toLowerCase().replace(QEMU_PREFIX, "").split("=");
    if (key === "pa") {
      paBits = Number(value);
      if (!(paRanges as readonly number[]).includes(paBits)) {
        throw new EmuError("cpu-option", `pa=${value}: the physical address size is one of ${paRanges.join(", ")} bits`, 2);
      }
      continue;
    }
    if (key === "l0gptsz") {
      l0gptsz = Number(value);
      if (!(l0gptSizes as readonly number[]).includes(l0gptsz)) {
        throw new EmuError(
          "cpu-option",
          `l0gptsz=${value}: a level 0 GPT entry covers 2 to the power of one of ${l0gptSizes.join(", ")}`,
          2,
        );
      }
      continue;
    }
    if (Object.hasOwn(settled, key)) {
      if (value === settled[key]) continue;
      throw new EmuError("cpu-option", `CPU option "${option}": only ${key}=${settled[key]} is supported`, 2);
    }
    const feature = featureNames.find((f) => f.toLowerCase() === (key === "pmu" ? "pmuv3" : key));
    if (feature === undefined) {
      throw new EmuError(
        "cpu-option",
        `unknown CPU option "${option}"; options are pa=BITS, l0gptsz=BITS and, with =on or =off: ${featureNames.join(", ")}`,
        2,
      );
    }
    if (value === "on") enable(set, feature);
    else if (value === "off") disable(set, feature);
    else throw new EmuError("cpu-option", `CPU option "${option}": say ${key}=on or ${key}=off`, 2);
  }
  if (paBits === 52 && !set.has("LPA2")) paBits = 48;
  return new Features(base.profile, set, paBits, base.midr, l0gptsz);
}

function enable(set: Set<string>, name: string): void {
  if (set.has(name)) return;
  set.add(name);
  for (const n of needs.get(name) ?? []) enable(set, n);
}

function disable(set: Set<string>, name: string): void {
  set.delete(name);
  for (const [other, list] of needs) if (list.includes(name) && set.has(other)) disable(set, other);
}

/** Values of the identification registers for a feature set (MPIDR_EL1 is per PE and not here). */
export function idRegisters(f: Features): Partial<Record<RegName, bigint>> {
  const id: Partial<Record<RegName, bigint>> = { MIDR_EL1: f.midr };
  for (const [reg, value] of baseId) id[reg] = value;
  setField(id, "ID_AA64MMFR0_EL1", 3, 0, BigInt(paRanges.indexOf(f.paBits as 52)));
  for (const [name, fields] of table) {
    if (!f.has(name) || f.hidden.has(name)) continue;
    for (const [, reg, hi, lo, value] of fields.matchAll(/(\w+)\[(\d+):(\d+)\]=(\d+)/g)) {
      const full = idNames[reg as keyof typeof idNames];
      const old = ((id[full] ?? 0n) >> BigInt(lo as string)) & 0xfn;
      const want = BigInt(value as string);
      if (want > old) setField(id, full, Number(hi), Number(lo), want);
    }
  }
  return id;
}

function setField(id: Partial<Record<RegName, bigint>>, reg: RegName, hi: number, lo: number, value: bigint): void {
  const mask = ((1n << BigInt(hi - lo + 1)) - 1n) << BigInt(lo);
  id[reg] = ((id[reg] ?? 0n) & ~mask) | (value << BigInt(lo));
}
