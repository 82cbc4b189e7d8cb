// Reset values of the PE's registers. What the architecture leaves UNKNOWN is 0, so that every run is the same.

import { idRegisters } from "../arch/features.ts";
import { Off } from "../arch/layout.ts";
import type { RegName } from "../arch/registers/encodings.ts";
import { slot } from "../arch/state.ts";
import { Gpccr, l0Code } from "../gpt/format.ts";
import type { Pe } from "./pe.ts";

/** Registers, PSTATE and lines at a cold reset. */
export function resetRegisters(pe: Pe): void {
  const st = pe.st;
  st.u8.fill(0, st.base, st.base + Off.SRMAP);
  st.setLo(Off.INDEX, pe.index);
  for (const r of pe.regs.all) if (!r.alias) st.set(r.slot, r.record.ones);
  for (const [name, value] of Object.entries(idRegisters(pe.features))) st.set(slot[name as RegName], value);
  st.set(slot.MPIDR_EL1, pe.mpidr);
  st.set(slot.VPIDR_EL2, pe.features.midr);
  st.set(slot.VMPIDR_EL2, pe.mpidr);
  st.set(slot.CNTFRQ_EL0, BigInt(pe.counter.hz));
  st.set(slot.CNTHCTL_EL2, 3n); // EL1 may use the physical counter and timer (E2H = 0 layout)
  st.set(slot.CPTR_EL2, 0x33ffn); // RES1 bits of the E2H = 0 layout, no traps
  st.set(slot.OSLSR_EL1, 0xan); // OS lock implemented (OSLM) and locked
  st.set(slot.SCTLR_EL2, 0x30c5_0830n); // RES1 bits of the E2H = 0 layout
  // Without EL3, EL2 behaves as if EL3 had enabled everything for Non-secure state.
  if (!pe.haveEl3) st.set(slot.SCR_EL3, 0x40_1803_0531n);
  // GPC is 0 after a reset: nothing is checked until Root software has built a table. L0GPTSZ is read-only.
  if (pe.hasRme) st.set(slot.GPCCR_EL3, BigInt(l0Code(pe.features.l0gptsz)) << BigInt(Gpccr.L0GPTSZ));
  st.setLo(Off.EL, pe.haveEl3 ? 3 : 2);
  st.setLo(Off.SPSEL, 1);
  st.setLo(Off.DAIF, 15);
}
