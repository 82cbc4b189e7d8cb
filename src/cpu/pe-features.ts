// The MMU's view of a CPU's features.

import type { Features } from "../arch/features.ts";
import type { MmuFeatures } from "../mmu/features.ts";

export function mmuFeatures(f: Features): MmuFeatures {
  return {
    paBits: f.paBits,
    rme: f.has("RME"),
    secure: f.has("EL3"),
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
