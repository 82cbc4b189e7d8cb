// The control registers of granule protection, field by field, for people.

import { sizeName } from "./entry.ts";
import { Gpccr, type GptConfig, type GptFeatures } from "./format.ts";

export interface GpccrField {
  readonly name: string;
  /** "16" or "2:0". */
  readonly bits: string;
  readonly value: number;
  readonly meaning: string;
}

const shareability = ["Non-shareable", "reserved", "Outer Shareable", "Inner Shareable"] as const;
const cacheability = ["Non-cacheable", "Write-Back, allocating", "Write-Through", "Write-Back, allocating on reads"] as const;
const or = (log2: number, text: (size: number) => string): string => (log2 === 0 ? "reserved" : text(log2));

/** GPCCR_EL3 of a PE with these features; `c` is what the register says together. */
export function gpccrFields(gpccr: bigint, c: GptConfig, f: GptFeatures): GpccrField[] {
  const at = (bit: number, width = 1): number => Number((gpccr >> BigInt(bit)) & ((1n << BigInt(width)) - 1n));
  const field = (name: string, first: number, width: number, meaning: string): GpccrField => ({
    name,
    bits: width === 1 ? `${first}` : `${first + width - 1}:${first}`,
    value: at(first, width),
    meaning,
  });
  const flag = (name: string, bit: number, on: string): GpccrField[] => (at(bit) === 0 ? [] : [field(name, bit, 1, on)]);
  return [
    field("GPC", Gpccr.GPC, 1, c.enabled ? "granule protection is on" : "granule protection is off: nothing is checked"),
    field(
      "PPS",
      Gpccr.PPS,
      3,
      or(c.pps, (n) => `protected space of ${n} bits`),
    ),
    ...(f.gpc3 ? flag("PPS3", Gpccr.PPS3, "the upper bit of PPS") : []),
    field(
      "PGS",
      Gpccr.PGS,
      2,
      or(c.granule, (n) => `granule of ${sizeName(n)}`),
    ),
    field(
      "L0GPTSZ",
      Gpccr.L0GPTSZ,
      4,
      or(c.l0, (n) => `a level 0 entry covers ${sizeName(n)}`),
    ),
    field("SH", Gpccr.SH, 2, `table fetches are ${shareability[at(Gpccr.SH, 2)]}`),
    field("ORGN", Gpccr.ORGN, 2, `outer ${cacheability[at(Gpccr.ORGN, 2)]}`),
    field("IRGN", Gpccr.IRGN, 2, `inner ${cacheability[at(Gpccr.IRGN, 2)]}`),
    ...flag("GPCP", Gpccr.GPCP, "a fault on the fetch of a stage 2 table descriptor may be left out"),
    ...(f.gpc2 ? flag("SPAD", Gpccr.SPAD, "no access to the Secure PA space") : []),
    ...(f.gpc2 ? flag("NSPAD", Gpccr.NSPAD, "no access to the Non-secure PA space") : []),
    ...(f.gpc2 ? flag("RLPAD", Gpccr.RLPAD, "no access to the Realm PA space") : []),
    ...(f.gpc2 ? flag("NSO", Gpccr.NSO, "the GPI Non-secure only is defined") : []),
    ...(f.gpc2 ? flag("APPSAA", Gpccr.APPSAA, "above the protected space every PA space may be accessed") : []),
    ...(f.gpc3 ? flag("GPCBW", Gpccr.GPCBW, "the bypass window of GPCBW_EL3 is on") : []),
  ];
}
