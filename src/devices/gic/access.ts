// Which instruction may reach which CPU interface register: existence, direction, Exception level and traps
// (the accessibility pseudocode of each ICC_* and ICH_* register; EL2 traps before EL3 traps).

import type { RegName } from "../../arch/registers/encodings.ts";
import type { Context } from "./context.ts";
import { Hcr, type VirtualInterface } from "./virtual-interface.ts";

/** 0: allowed; 1, 2, 3: trapped to that EL with EC 0x18; -1: UNDEFINED. */
export type AccessResult = -1 | 0 | 1 | 2 | 3;

/**
 * What a register belongs to, which decides traps and whether EL1 reaches the virtual one instead:
 * g0, g1: a group; common, dir, sgi: both groups; sre: the enable of this interface; hyp: EL2 and up; mon: EL3;
 * absent: named in the architecture, not in this implementation (fewer priority bits and list registers, no NMI, no virtual SError).
 */
type Kind = "g0" | "g1" | "common" | "dir" | "sgi" | "sre" | "hyp" | "mon" | "absent";
type Direction = "rw" | "ro" | "wo";

// biome-ignore format: a table, one register per line
const table: readonly (readonly [RegName, Direction, Kind])[] = [
  ["ICC_PMR_EL1",       "rw", "common"],
  ["ICC_IAR0_EL1",      "ro", "g0"],
  ["ICC_EOIR0_EL1",     "wo", "g0"],
  ["ICC_HPPIR0_EL1",    "ro", "g0"],
  ["ICC_BPR0_EL1",      "rw", "g0"],
  ["ICC_AP0R0_EL1",     "rw", "g0"],
  ["ICC_AP0R1_EL1",     "rw", "absent"],
  ["ICC_AP0R2_EL1",     "rw", "absent"],
  ["ICC_AP0R3_EL1",     "rw", "absent"],
  ["ICC_AP1R0_EL1",     "rw", "g1"],
  ["ICC_AP1R1_EL1",     "rw", "absent"],
  ["ICC_AP1R2_EL1",     "rw", "absent"],
  ["ICC_AP1R3_EL1",     "rw", "absent"],
  ["ICC_NMIAR1_EL1",    "ro", "absent"],
  ["ICC_DIR_EL1",       "wo", "dir"],
  ["ICC_RPR_EL1",       "ro", "common"],
  ["ICC_SGI1R_EL1",     "wo", "sgi"],
  ["ICC_ASGI1R_EL1",    "wo", "sgi"],
  ["ICC_SGI0R_EL1",     "wo", "sgi"],
  ["ICC_IAR1_EL1",      "ro", "g1"],
  ["ICC_EOIR1_EL1",     "wo", "g1"],
  ["ICC_HPPIR1_EL1",    "ro", "g1"],
  ["ICC_BPR1_EL1",      "rw", "g1"],
  ["ICC_CTLR_EL1",      "rw", "common"],
  ["ICC_SRE_EL1",       "rw", "sre"],
  ["ICC_IGRPEN0_EL1",   "rw", "g0"],
  ["ICC_IGRPEN1_EL1",   "rw", "g1"],
  ["ICC_SRE_EL2",       "rw", "hyp"],
  ["ICH_AP0R0_EL2",     "rw", "hyp"],
  ["ICH_AP0R1_EL2",     "rw", "absent"],
  ["ICH_AP0R2_EL2",     "rw", "absent"],
  ["ICH_AP0R3_EL2",     "rw", "absent"],
  ["ICH_AP1R0_EL2",     "rw", "hyp"],
  ["ICH_AP1R1_EL2",     "rw", "absent"],
  ["ICH_AP1R2_EL2",     "rw", "absent"],
  ["ICH_AP1R3_EL2",     "rw", "absent"],
  ["ICH_VSEIR_EL2",     "rw", "absent"],
  ["ICH_HCR_EL2",       "rw", "hyp"],
  ["ICH_VTR_EL2",       "ro", "hyp"],
  ["ICH_MISR_EL2",      "ro", "hyp"],
  ["ICH_EISR_EL2",      "ro", "hyp"],
  ["ICH_ELRSR_EL2",     "ro", "hyp"],
  ["ICH_VMCR_EL2",      "rw", "hyp"],
  ["ICH_LR0_EL2",       "rw", "hyp"],
  ["ICH_LR1_EL2",       "rw", "hyp"],
  ["ICH_LR2_EL2",       "rw", "hyp"],
  ["ICH_LR3_EL2",       "rw", "hyp"],
  ["ICH_LR4_EL2",       "rw", "absent"],
  ["ICH_LR5_EL2",       "rw", "absent"],
  ["ICH_LR6_EL2",       "rw", "absent"],
  ["ICH_LR7_EL2",       "rw", "absent"],
  ["ICH_LR8_EL2",       "rw", "absent"],
  ["ICH_LR9_EL2",       "rw", "absent"],
  ["ICH_LR10_EL2",      "rw", "absent"],
  ["ICH_LR11_EL2",      "rw", "absent"],
  ["ICH_LR12_EL2",      "rw", "absent"],
  ["ICH_LR13_EL2",      "rw", "absent"],
  ["ICH_LR14_EL2",      "rw", "absent"],
  ["ICH_LR15_EL2",      "rw", "absent"],
  ["ICC_CTLR_EL3",      "rw", "mon"],
  ["ICC_SRE_EL3",       "rw", "mon"],
  ["ICC_IGRPEN1_EL3",   "rw", "mon"],
];

const rows = new Map<RegName, { direction: Direction; kind: Kind }>(table.map(([name, direction, kind]) => [name, { direction, kind }]));

/** HFGRTR_EL2 and HFGWTR_EL2 bit of ICC_IGRPEN0_EL1 and ICC_IGRPEN1_EL1. */
const FGT_IGRPEN = 39;

/** The registers of the CPU interface, those absent here included. */
export const gicRegisters: readonly RegName[] = table.map(([name]) => name);

export const isGicRegister = (reg: RegName): boolean => rows.has(reg);

/** True when an access to `reg` in the current state means the virtual interface: EL1 with HCR_EL2.IMO, FMO. */
export function isVirtual(reg: RegName, cx: Context): boolean {
  if (cx.el !== 1) return false;
  switch (rows.get(reg)?.kind) {
    case "g0":
      return cx.fmo;
    case "g1":
      return cx.imo;
    case "common":
    case "dir":
      return cx.imo || cx.fmo;
    default:
      return false;
  }
}

/** Judges an MRS (`write` = false) or MSR of `reg` at the current Exception level. */
export function judge(reg: RegName, write: boolean, cx: Context, virtual: VirtualInterface): AccessResult {
  const row = rows.get(reg);
  if (!row || row.kind === "absent" || row.direction === (write ? "ro" : "wo")) return -1;
  switch (cx.el) {
    case 0:
      return -1;
    case 1:
      return atEl1(reg, row.kind, write, cx, virtual);
    case 2:
      return row.kind === "mon" ? -1 : el3Trap(row.kind, cx) ? 3 : 0;
    case 3:
      return 0;
  }
}

function atEl1(reg: RegName, kind: Kind, write: boolean, cx: Context, virtual: VirtualInterface): AccessResult {
  if (kind === "mon") return -1;
  // FEAT_NV: EL2 registers at EL1 trap, else they are UNDEFINED there.
  if (kind === "hyp") return cx.nestedVirtualization ? 2 : -1;
  if (cx.el2Enabled && el2Trap(reg, kind, write, cx, virtual)) return 2;
  return !isVirtual(reg, cx) && el3Trap(kind, cx) ? 3 : 0;
}

function el2Trap(reg: RegName, kind: Kind, write: boolean, cx: Context, virtual: VirtualInterface): boolean {
  if ((reg === "ICC_IGRPEN0_EL1" || reg === "ICC_IGRPEN1_EL1") && cx.fineGrainedTrap(write, FGT_IGRPEN)) return true;
  switch (kind) {
    case "g0":
      return virtual.control(Hcr.TALL0);
    case "g1":
      return virtual.control(Hcr.TALL1);
    case "common":
      return virtual.control(Hcr.TC);
    case "dir":
      return virtual.control(Hcr.TC) || virtual.control(Hcr.TDIR);
    case "sgi":
      // There is no virtual SGI generation: the hypervisor emulates it.
      return virtual.control(Hcr.TC) || cx.imo || cx.fmo;
    default:
      return false;
  }
}

/** SCR_EL3.{IRQ,FIQ}: the groups that EL3 keeps to itself. (Asked for physical accesses only.) */
function el3Trap(kind: Kind, cx: Context): boolean {
  switch (kind) {
    case "g0":
      return cx.fiqToEl3;
    case "g1":
      return cx.irqToEl3;
    case "common":
    case "dir":
    case "sgi":
      return cx.irqToEl3 && cx.fiqToEl3;
    default:
      return false;
  }
}
