// What a set of features means for the parts below: which instruction rows exist, what the MMU does.

import type { Features } from "../arch/features.ts";
import type { GptFeatures } from "../gpt/format.ts";
import type { MmuFeatures } from "../mmu/features.ts";

/** Tags in the instruction rows that are named otherwise in the feature table. */
const aliases: Readonly<Record<string, string>> = { SHA2: "SHA256", PMULL: "AES" };

/**
 * Do the features that a row needs exist? Text: "" always; `A,B` all; `A|B` any; `X?` needed for some field values only, which are
 * then checked by the semantics (every profile with Advanced SIMD arithmetic in half precision has FP16).
 */
export function rowAvailable(f: Features, text: string): boolean {
  if (text === "") return true;
  const one = (tag: string) => tag.endsWith("?") || tag === "per field" || f.has(aliases[tag] ?? tag);
  return text.split(",").every((any) => any.split("|").some((tag) => one(tag.trim())));
}

export function mmuFeatures(f: Features): MmuFeatures {
  return {
    paBits: f.paBits,
    rme: f.has("RME"),
    secure: true,
    sel2: f.has("SEL2"),
    el2: true,
    vhe: f.has("VHE"),
    granule4: true,
    granule16: f.has("GRAN16K"),
    granule64: true,
    lva: f.has("LVA"),
    lpa: f.paBits === 52,
    lpa2: f.has("LPA2"),
    ttst: f.has("TTST"),
    hafdbs: f.has("HAFDBS") ? 2 : f.has("HAF") ? 1 : 0,
    pan: f.has("PAN"),
    epan: f.has("PAN3"),
    uao: f.has("UAO"),
    xnx: f.has("XNX"),
    fwb: f.has("S2FWB"),
    e0pd: f.has("E0PD"),
    hpds: f.has("HPDS"),
    tbid: f.has("PAuth"),
    bti: f.has("BTI"),
    xs: f.has("XS"),
    vmid16: f.has("VMID16"),
    asid16: f.has("ASID16"),
  };
}

/** The granule protection check of a PE with FEAT_RME. */
export function gptFeatures(f: Features): GptFeatures {
  return {
    paBits: f.paBits,
    gpc2: f.has("GPC2"),
    gpc3: f.has("GPC3"),
    secure: f.has("SEL2"),
    granule16: f.has("GRAN16K"),
    granule64: true,
  };
}
