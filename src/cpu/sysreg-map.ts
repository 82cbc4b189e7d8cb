// The fast path of MRS and MSR. Generated code looks up, per Exception level and register, the storage offset that an access
// reaches without any check or side effect; 0 sends it to Pe.system. Layout at Off.SRMAP: el * 512 + index * 4: offset for reads
// (u16), offset for writes (u16). The tables are computed by the same rules as the slow path and kept per configuration of the
// controls they depend on, so that world switches only copy.

import { Off } from "../arch/layout.ts";
import type { RegName } from "../arch/registers/encodings.ts";
import { encodingKey, encodingOf } from "../arch/registers/record.ts";
import { slot } from "../arch/state.ts";
import type { Pe } from "./pe.ts";
import { checkAccess, OK, redirect, type SysReg } from "./sysreg-access.ts";
import { sctlrSlot, zvaAllowed } from "./sysreg-context.ts";

// Registers with plain storage, and what may be direct: r = read, w = write too (only where every written bit is kept or ignored).
const fast: readonly (readonly [RegName, "r" | "rw"])[] = [
  ["SP_EL0", "rw"],
  ["TPIDR_EL0", "rw"],
  ["TPIDRRO_EL0", "rw"],
  ["TPIDR_EL1", "rw"],
  ["TPIDR_EL2", "rw"],
  ["ELR_EL1", "rw"],
  ["ELR_EL2", "rw"],
  ["SPSR_EL1", "rw"],
  ["SPSR_EL2", "rw"],
  ["ESR_EL1", "rw"],
  ["ESR_EL2", "rw"],
  ["FAR_EL1", "rw"],
  ["FAR_EL2", "rw"],
  ["ELR_EL12", "rw"],
  ["SPSR_EL12", "rw"],
  ["ESR_EL12", "rw"],
  ["FAR_EL12", "rw"],
  ["TPIDR_EL3", "rw"],
  ["ELR_EL3", "rw"],
  ["SPSR_EL3", "rw"],
  ["ESR_EL3", "rw"],
  ["FAR_EL3", "rw"],
  ["GPCCR_EL3", "r"],
  ["SP_EL1", "rw"],
  ["PAR_EL1", "rw"],
  ["APIAKEYLO_EL1", "rw"],
  ["APIAKEYHI_EL1", "rw"],
  ["APIBKEYLO_EL1", "rw"],
  ["APIBKEYHI_EL1", "rw"],
  ["APDAKEYLO_EL1", "rw"],
  ["APDAKEYHI_EL1", "rw"],
  ["APDBKEYLO_EL1", "rw"],
  ["APDBKEYHI_EL1", "rw"],
  ["APGAKEYLO_EL1", "rw"],
  ["APGAKEYHI_EL1", "rw"],
  ["HPFAR_EL2", "r"],
  ["VBAR_EL1", "r"],
  ["VBAR_EL2", "r"],
  ["VBAR_EL12", "r"],
  ["CONTEXTIDR_EL1", "r"],
  ["CONTEXTIDR_EL2", "r"],
  ["CONTEXTIDR_EL12", "r"],
  ["TTBR0_EL1", "r"],
  ["TTBR1_EL1", "r"],
  ["TTBR0_EL2", "r"],
  ["TTBR1_EL2", "r"],
  ["TTBR0_EL12", "r"],
  ["TTBR1_EL12", "r"],
  ["TCR_EL1", "r"],
  ["TCR_EL12", "r"],
  ["MAIR_EL1", "r"],
  ["MAIR_EL12", "r"],
  ["SCTLR_EL1", "r"],
  ["SCTLR_EL2", "r"],
  ["SCTLR_EL12", "r"],
  ["CPACR_EL1", "r"],
  ["CPACR_EL12", "r"],
  ["CPTR_EL2", "r"],
  ["HCR_EL2", "r"],
  ["VTTBR_EL2", "r"],
  ["VTCR_EL2", "r"],
  ["MIDR_EL1", "r"],
  ["MPIDR_EL1", "r"],
  ["REVIDR_EL1", "r"],
  ["CTR_EL0", "r"],
  ["DCZID_EL0", "r"],
  ["CNTFRQ_EL0", "r"],
  ["CNTKCTL_EL1", "r"],
  ["CNTKCTL_EL12", "r"],
  ["CNTHCTL_EL2", "r"],
  ["CNTVOFF_EL2", "r"],
  ["MDSCR_EL1", "r"],
  ["MDCR_EL2", "r"],
  ["PMUSERENR_EL0", "r"],
  ["CSSELR_EL1", "r"],
  ["CLIDR_EL1", "r"],
  ["ID_AA64PFR0_EL1", "r"],
  ["ID_AA64PFR1_EL1", "r"],
  ["ID_AA64DFR0_EL1", "r"],
  ["ID_AA64ISAR0_EL1", "r"],
  ["ID_AA64ISAR1_EL1", "r"],
  ["ID_AA64ISAR2_EL1", "r"],
  ["ID_AA64MMFR0_EL1", "r"],
  ["ID_AA64MMFR1_EL1", "r"],
  ["ID_AA64MMFR2_EL1", "r"],
];

const indexOfKey = new Uint8Array(0x1_0000);
fast.forEach(([name], i) => {
  indexOfKey[encodingKey(...encodingOf(name))] = i + 1;
});

/**
 * Index of a register in the fast map, 1..127, or 0 when it always takes the slow path.
 * @param key bits 20:5 of the MRS or MSR instruction word
 */
export const fastIndex = (key: number): number => indexOfKey[key & 0xffff] as number;

const WORDS = 4 * 128;
const SP_EL0_INDEX = 1;

// Control registers the access rules of the fast registers read, and the bits that matter to them (low word, high word).
const controls: readonly (readonly [at: number, lo: number, hi: number])[] = [
  [slot.HCR_EL2, 0x5c27_0000, 0x0002_0104], // TID1..3 TACR TVM TGE TDZ TRVM; E2H APK TID4
  [slot.SCR_EL3, 0x0805_0001, 0],
  [slot.HFGRTR_EL2, -1, -1],
  [slot.HFGWTR_EL2, -1, -1],
  [slot.HFGITR_EL2, 1 << 11, 0], // DCZVA
  [slot.HDFGRTR_EL2, -1, -1],
  [slot.HDFGWTR_EL2, -1, -1],
  [slot.MDCR_EL2, 0x0800_0f60, 0],
  [slot.MDCR_EL3, 0x0800_0640, 0],
  [slot.CPTR_EL2, 0x8000_0000 | 0, 0],
  [slot.CPTR_EL3, 0x8000_0000 | 0, 0],
  [slot.SCTLR_EL1, 3 << 14, 0], // DZE UCT
  [slot.SCTLR_EL2, 3 << 14, 0],
  [slot.CNTKCTL_EL1, 3, 0],
  [slot.CNTHCTL_EL2, 3, 0],
];

const controlWords = Int32Array.from(controls.flat());

interface Configuration {
  key: Int32Array;
  table: Uint32Array;
}
/** Host, guest, agent: few configurations alternate. */
const KEPT = 12;

export class SysRegMap {
  private readonly pe: Pe;
  private readonly table: Uint32Array;
  private readonly key = new Int32Array(controls.length * 2);
  private readonly kept: Configuration[] = [];
  private current: Configuration | undefined;

  constructor(pe: Pe) {
    this.pe = pe;
    this.table = pe.st.u32.subarray((pe.st.base + Off.SRMAP) >>> 2, ((pe.st.base + Off.SRMAP) >>> 2) + WORDS);
  }

  /** A control register may have changed. */
  update(): void {
    const st = this.pe.st;
    const key = this.key;
    for (let i = 0; i < controlWords.length; i += 3) {
      const at = controlWords[i] as number;
      const k = (i / 3) << 1;
      key[k] = st.lo(at) & (controlWords[i + 1] as number);
      key[k + 1] = st.hi(at) & (controlWords[i + 2] as number);
    }
    if (this.current !== undefined && same(this.current.key, key)) return;
    let found = this.kept.find((c) => same(c.key, key));
    if (found === undefined) {
      found = { key: key.slice(), table: this.compute() };
      if (this.kept.length >= KEPT) this.kept.shift();
      this.kept.push(found);
    }
    this.current = found;
    this.table.set(found.table);
    this.spSelected(st.lo(Off.EL), st.lo(Off.SPSEL));
  }

  /** SP_EL0 is UNDEFINED while PSTATE.SP = 0 (its value is then the current SP). */
  spSelected(el: number, spsel: number): void {
    if (this.current === undefined) return;
    const at = el * 128 + SP_EL0_INDEX;
    this.table[at] = spsel ? (this.current.table[at] as number) : 0;
  }

  /** Forgets everything (reset, restore). */
  clear(): void {
    this.kept.length = 0;
    this.current = undefined;
  }

  private compute(): Uint32Array {
    const table = new Uint32Array(WORDS);
    fast.forEach(([name, how], i) => {
      const r = this.pe.regs.byName.get(name);
      if (r === undefined) return;
      for (let el = 0; el < 4; el++) {
        const read = this.direct(r, el, false);
        const write = how === "rw" ? this.direct(r, el, true) : 0;
        table[el * 128 + i + 1] = read | (write << 16);
      }
    });
    return table;
  }

  /** Offset that the access reaches, or 0 when it is refused or special. */
  private direct(r: SysReg, el: number, write: boolean): number {
    const pe = this.pe;
    const to = redirect(pe, r, el);
    // PSTATE.SP is looked at when it changes, not here.
    if (r.name === "SP_EL0") return el === 0 ? 0 : checkIgnoringSp(pe, r, el, write);
    if (checkAccess(pe, el === 0 ? r : to, el, write) !== OK) return 0;
    if (write && to.record.effect !== "none") return 0;
    // DCZID_EL0.DZP is 0 in the storage.
    if (r.name === "DCZID_EL0" && !zvaAllowed(pe, el, sctlrSlot(pe, el))) return 0;
    if (el === 1 && pe.el2On && r.name === "MIDR_EL1") return slot.VPIDR_EL2;
    if (el === 1 && pe.el2On && r.name === "MPIDR_EL1") return slot.VMPIDR_EL2;
    return to.slot;
  }
}

const checkIgnoringSp = (_pe: Pe, r: SysReg, el: number, write: boolean): number => (el < (write ? r.writeEl : r.readEl) ? 0 : r.slot);

function same(a: Int32Array, b: Int32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
