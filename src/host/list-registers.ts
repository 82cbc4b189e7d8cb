// The virtual CPU interface of a PE, as the software of EL2 sets it up for a guest and finds it afterwards. An ordinary virtual machine has
// it so, and a realm since RMI 2.0; before, the RMM did it from what RmiRecRun says.

import type { Pe } from "../cpu/pe.ts";
import type { RecExitView } from "./exits.ts";
import type { RecEnterView } from "./guest.ts";

/** ICH_HCR_EL2.En. */
const ICH_HCR_EN = 1n;
/** Names of the list registers. */
const LR = Array.from({ length: 16 }, (_, i) => `ICH_LR${i}_EL2` as "ICH_LR0_EL2");

/** Loads what `enter` says, and switches the interface on. */
export function loadListRegisters(pe: Pe, enter: RecEnterView, count: number): void {
  for (let i = 0; i < count; i++) pe.gic?.write(LR[i] as "ICH_LR0_EL2", enter.get("gicv3_lrs", i));
  pe.gic?.write("ICH_HCR_EL2", enter.get("gicv3_hcr") | ICH_HCR_EN);
}

/** Puts what the guest left into `exit`, and switches the interface off: no maintenance for the host itself. */
export function saveListRegisters(pe: Pe, exit: RecExitView, count: number): void {
  for (let i = 0; i < count; i++) exit.set("gicv3_lrs", pe.gic?.read(LR[i] as "ICH_LR0_EL2") ?? 0n, i);
  exit.set("gicv3_hcr", pe.gic?.read("ICH_HCR_EL2") ?? 0n);
  pe.gic?.write("ICH_HCR_EL2", 0n);
}
