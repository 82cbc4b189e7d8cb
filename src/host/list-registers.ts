// The virtual CPU interface of a PE, as the software of EL2 sets it up for a guest and finds it afterwards. An ordinary virtual machine has
// it so, and a realm since RMI 2.0; before, the RMM did it from what RmiRecRun says.

import type { Pe } from "../cpu/pe.ts";
import { LIST_REGISTERS } from "../devices/gic/constants.ts";
import { SavedWords } from "../devices/gic/virtual-interface.ts";
import { Enter, Exit } from "../rmm/layouts.ts";
import type { RecExitView } from "./exits.ts";
import type { RecEnterView } from "./guest.ts";

/** ICH_HCR_EL2.En. */
const ICH_HCR_EN = 1n;
/** Names of the list registers. */
const LR = Array.from({ length: LIST_REGISTERS }, (_, i) => `ICH_LR${i}_EL2` as "ICH_LR0_EL2");

/** Loads what `enter` says, and switches the interface on. */
export function loadListRegisters(pe: Pe, enter: RecEnterView): void {
  for (let i = 0; i < LIST_REGISTERS; i++) pe.gic?.write(LR[i] as "ICH_LR0_EL2", enter.get(Enter.gicv3_lrs, i));
  pe.gic?.write("ICH_HCR_EL2", enter.get(Enter.gicv3_hcr) | ICH_HCR_EN);
}

const kept = new Uint32Array(SavedWords.count);

/** Puts what the guest left into `exit`, and switches the interface off: no maintenance for the host itself. */
export function saveListRegisters(pe: Pe, exit: RecExitView): void {
  kept.fill(0);
  pe.gic?.saveVirtual(kept, 0);
  exit.setWords(Exit.gicv3_lrs, kept, SavedWords.LR, 2 * LIST_REGISTERS);
  exit.setLoHi(Exit.gicv3_hcr, kept[SavedWords.HCR] as number, 0);
  pe.gic?.write("ICH_HCR_EL2", 0n);
}
