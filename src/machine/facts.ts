// The machine as firmware has to fit it.

import { parseCpu } from "../arch/features.ts";
import type { MachineFacts } from "../loader/fit.ts";
import { virtMap } from "./virt-map.ts";

/** Windows that firmware drives: PCI windows hold what software puts there, the platform bus is empty. */
const NOT_DRIVEN = new Set<string>(["ram", "secureRam", "flash0", "flash1", "pcieMmio", "pciePio", "platformBus"]);

/** Facts of `virt`. `memory`: bytes of RAM. */
export function virtFacts(o: { secure: boolean; memory: number; cpu: string }): MachineFacts {
  const { flash0, flash1, secureRam, ram } = virtMap;
  return {
    name: o.secure ? "virt,secure=on" : "virt",
    platform: "QEMU virt",
    secure: o.secure,
    rme: parseCpu(o.cpu).has("RME"),
    ram: [{ base: ram.base, size: o.memory }, ...(o.secure ? [secureRam] : [])],
    flash: [flash0, flash1],
    devices: Object.entries(virtMap).flatMap(([name, window]) => (NOT_DRIVEN.has(name) ? [] : [window])),
  };
}
