// Granule protection tables as they lie in memory, and the registers that control the check (Arm ARM D9, FEAT_RME).
//
// Level 0, one entry per 2^L0GPTSZ bytes:     Block  [3:0] = 1, GPI in [7:4]
//                                             Table  [3:0] = 3, address of the level 1 table in [51:12]
// Level 1, one entry per 16 granules:         Contiguous  [3:0] = 1, GPI in [7:4], Contig in [9:8]
//                                             Granules    sixteen GPIs, that of granule i in [4i+3:4i]

import { Pas, Security } from "../arch/security.ts";

/** Granule protection information: the PA space that may access a granule. */
export const Gpi = { None: 0x0, Secure: 0x8, NonSecure: 0x9, Root: 0xa, Realm: 0xb, NonSecureOnly: 0xd, Any: 0xf } as const;
export type Gpi = (typeof Gpi)[keyof typeof Gpi];

/** Names of the GPIs; what is missing is reserved. */
export const gpiNames: Readonly<Record<number, string>> = {
  0: "no access",
  4: "system agent",
  5: "non-secure protected",
  8: "Secure",
  9: "Non-secure",
  10: "Root",
  11: "Realm",
  13: "Non-secure only",
  15: "any",
};
export const gpiName = (gpi: number): string => gpiNames[gpi] ?? `reserved (0x${gpi.toString(16)})`;

/** Kinds of level 0 and level 1 entries: bits [3:0]. A level 1 entry that is not contiguous holds Granules. */
export const EntryKind = { Block: 1, Contiguous: 1, Table: 3 } as const;

/** log2 of the block of a contiguous level 1 entry, by Contig; 0: reserved. */
export const contigSizes = [0, 21, 25, 29] as const;

/** Fields of GPCCR_EL3: lowest bit, or the bit itself. */
export const Gpccr = {
  PPS: 0,
  PPS3: 3,
  RLPAD: 5,
  NSPAD: 6,
  SPAD: 7,
  IRGN: 8,
  ORGN: 10,
  SH: 12,
  PGS: 14,
  GPC: 16,
  GPCP: 17,
  NSO: 19,
  L0GPTSZ: 20,
  APPSAA: 24,
  GPCBW: 29,
} as const;

/** Bits that a level 0 entry covers, by GPCCR_EL3.L0GPTSZ; 0: reserved. */
export const l0Sizes = [30, 0, 0, 0, 34, 0, 36, 0, 0, 39, 0, 0, 0, 0, 0, 0] as const;
/** GPCCR_EL3.L0GPTSZ for a level 0 entry of 2^bits bytes. */
export const l0Code = (bits: number): number => l0Sizes.indexOf(bits as 30);
/** log2 of the physical granule, by GPCCR_EL3.PGS; 0: reserved. */
export const pgsSizes = [12, 16, 14, 0] as const;
/** Bits of the protected physical address space, by {PPS3,PPS}; 0: reserved. PPS3 exists with FEAT_RME_GPC3. */
export const ppsSizes = [32, 36, 40, 42, 44, 48, 52, 56, 46, 47, 0, 0, 0, 0, 0, 0] as const;

/** What the PE implements of the check. */
export interface GptFeatures {
  /** Implemented physical address size in bits. */
  readonly paBits: number;
  /** FEAT_RME_GPC2: NSO, SPAD, NSPAD, RLPAD, APPSAA. */
  readonly gpc2: boolean;
  /** FEAT_RME_GPC3: bypass windows, PPS3. */
  readonly gpc3: boolean;
  /** Secure state exists: GPI 0b1000 is not reserved. */
  readonly secure: boolean;
  /** Physical granules besides 4 KiB. */
  readonly granule16: boolean;
  readonly granule64: boolean;
}

/** A window in which the check passes everything (GPCBW_EL3): PA bits [upper:lower] equal those of `base`. */
export interface BypassWindow {
  readonly lower: number;
  readonly upper: number;
  readonly base: number;
}

/** The control registers, decoded. */
export interface GptConfig {
  /** GPCCR_EL3.GPC. */
  readonly enabled: boolean;
  /** Why the configuration is invalid: every check is then a GPT walk fault at level 0. */
  readonly invalid: string | undefined;
  /** Size of the protected physical address space in bits. */
  readonly pps: number;
  /** log2 of what a level 0 entry covers, and of the physical granule. */
  readonly l0: number;
  readonly granule: number;
  /** Address of the level 0 table. */
  readonly base: number;
  /** Bit n: GPI n is valid in an entry. */
  readonly validGpis: number;
  /** Bit n: accesses to PA space n are refused (SPAD, NSPAD, RLPAD). */
  readonly disabledSpaces: number;
  /** GPCCR_EL3.APPSAA: above the protected space every PA space may access. */
  readonly allAbove: boolean;
  readonly window: BypassWindow | undefined;
}

const strideUpper = new Map([
  [0, 39],
  [2, 41],
  [4, 43],
  [6, 45],
  [7, 46],
  [8, 47],
  [9, 48],
  [10, 49],
  [16, 55],
]);
const windowSizes = [30, 31, 32, 0, 34, 0, 36, 0] as const;

const aligned = (v: number, bits: number): number => Math.floor(v / 2 ** bits) * 2 ** bits;

/** GPCBW_EL3 as a window; a text says what is wrong with it. */
export function decodeWindow(gpcbw: bigint): BypassWindow | string {
  const lower = windowSizes[Number((gpcbw >> 37n) & 7n)] as number;
  const upper = strideUpper.get(Number((gpcbw >> 32n) & 31n));
  const base = Number(gpcbw & 0x3ff_ffffn) * 2 ** 30;
  if (lower === 0) return "GPCBW_EL3.BWSIZE is reserved";
  if (upper === undefined) return "GPCBW_EL3.BWSTRIDE is reserved";
  if (aligned(base, lower) !== base) return "GPCBW_EL3.BWADDR is not aligned to BWSIZE";
  if (base >= 2 ** (upper + 1)) return "GPCBW_EL3.BWADDR is not below BWSTRIDE";
  return { lower, upper, base };
}

/** Decodes GPCCR_EL3, GPTBR_EL3 and GPCBW_EL3. Fields of features that are absent are ignored. */
export function decodeGptConfig(gpccr: bigint, gptbr: bigint, gpcbw: bigint, f: GptFeatures): GptConfig {
  const lo = Number(BigInt.asUintN(32, gpccr));
  const bit = (n: number): boolean => ((lo >>> n) & 1) === 1;
  const two = (n: number): number => (lo >>> n) & 3;
  const pps = ppsSizes[(lo & 7) | (f.gpc3 ? lo & 8 : 0)] as number;
  const granule = pgsSizes[two(Gpccr.PGS)] as number;
  const l0 = l0Sizes[(lo >>> Gpccr.L0GPTSZ) & 15] as number;
  const window = f.gpc3 && bit(Gpccr.GPCBW) ? decodeWindow(gpcbw) : undefined;
  const valid = [Gpi.None, Gpi.NonSecure, Gpi.Root, Gpi.Realm, Gpi.Any].reduce<number>((m, g) => m | (1 << g), 0);
  return {
    enabled: bit(Gpccr.GPC),
    invalid: inconsistency(f, { pps, granule, l0, sh: two(Gpccr.SH), orgn: two(Gpccr.ORGN), irgn: two(Gpccr.IRGN), window }),
    pps,
    l0,
    granule,
    // The low bits that the size of the table makes zero are ignored.
    base: aligned(Number(gptbr & 0xff_ffff_ffffn) * 4096, Math.max(pps - l0 + 3, 12)),
    validGpis: valid | (f.secure ? 1 << Gpi.Secure : 0) | (f.gpc2 && bit(Gpccr.NSO) ? 1 << Gpi.NonSecureOnly : 0),
    disabledSpaces: f.gpc2
      ? (bit(Gpccr.SPAD) ? 1 << Pas.Secure : 0) | (bit(Gpccr.NSPAD) ? 1 << Pas.NonSecure : 0) | (bit(Gpccr.RLPAD) ? 1 << Pas.Realm : 0)
      : 0,
    allAbove: f.gpc2 && bit(Gpccr.APPSAA),
    window: typeof window === "string" ? undefined : window,
  };
}

/** GPCRegistersConsistent(): what makes every check fail, in words. */
function inconsistency(
  f: GptFeatures,
  c: { pps: number; granule: number; l0: number; sh: number; orgn: number; irgn: number; window: BypassWindow | string | undefined },
): string | undefined {
  if (c.pps === 0) return "GPCCR_EL3.PPS is reserved";
  if (c.pps > f.paBits) return `GPCCR_EL3.PPS says ${c.pps} bits, the PE implements ${f.paBits}`;
  if (c.l0 === 0) return "GPCCR_EL3.L0GPTSZ is reserved";
  if (c.granule === 0) return "GPCCR_EL3.PGS is reserved";
  if ((c.granule === 14 && !f.granule16) || (c.granule === 16 && !f.granule64))
    return "GPCCR_EL3.PGS names a granule that the PE does not support";
  if (c.sh === 1) return "GPCCR_EL3.SH is reserved";
  if (c.orgn === 0 && c.irgn === 0 && c.sh !== 2) return "GPCCR_EL3.SH is not Outer Shareable for Non-cacheable tables";
  return typeof c.window === "string" ? c.window : undefined;
}

/** May an access to PA space `pas` by a requester in `state` use a granule with this (valid) GPI? */
export function permits(gpi: number, pas: Pas, state: Security): boolean {
  if (gpi === Gpi.Any) return true;
  // The GPIs 8 to 11 are 8 + PA space.
  if (gpi === 8 + pas) return true;
  return gpi === Gpi.NonSecureOnly && pas === Pas.NonSecure && (state === Security.NonSecure || state === Security.Root);
}
