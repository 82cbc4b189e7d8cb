// The system-register interface of one PE: which ICC_* and ICH_* exist, who may access them (facts 6.6), and whether a name
// means the physical or the virtual interface (facts 7.1).

import type { RegName } from "../../arch/registers/encodings.ts";
import { LIST_REGISTERS } from "./constants.ts";
import type { Context } from "./context.ts";
import type { PhysicalInterface } from "./physical-interface.ts";
import { Hcr, type VirtualInterface } from "./virtual-interface.ts";

/** How a register is reached. Class: who traps and virtualizes it. */
type Class = "group0" | "group1" | "common" | "dir" | "sgi" | "own";
interface Access {
  readonly cls: Class;
  readonly read: boolean;
  readonly write: boolean;
  readonly el: 1 | 2 | 3;
}

// name, class, r/w, lowest Exception level
const table: readonly (readonly [RegName, Class, "r" | "w" | "rw", 1 | 2 | 3])[] = [
  ["ICC_IAR0_EL1",    "group0", "r",  1],
  ["ICC_EOIR0_EL1",   "group0", "w",  1],
  ["ICC_HPPIR0_EL1",  "group0", "r",  1],
  ["ICC_BPR0_EL1",    "group0", "rw", 1],
  ["ICC_AP0R0_EL1",   "group0", "rw", 1],
  ["ICC_IGRPEN0_EL1", "group0", "rw", 1],
  ["ICC_IAR1_EL1",    "group1", "r",  1],
  ["ICC_EOIR1_EL1",   "group1", "w",  1],
  ["ICC_HPPIR1_EL1",  "group1", "r",  1],
  ["ICC_BPR1_EL1",    "group1", "rw", 1],
  ["ICC_AP1R0_EL1",   "group1", "rw", 1],
  ["ICC_IGRPEN1_EL1", "group1", "rw", 1],
  ["ICC_PMR_EL1",     "common", "rw", 1],
  ["ICC_RPR_EL1",     "common", "r",  1],
  ["ICC_CTLR_EL1",    "common", "rw", 1],
  ["ICC_DIR_EL1",     "dir",    "w",  1],
  ["ICC_SGI0R_EL1",   "sgi",    "w",  1],
  ["ICC_SGI1R_EL1",   "sgi",    "w",  1],
  ["ICC_ASGI1R_EL1",  "sgi",    "w",  1],
  ["ICC_SRE_EL1",     "own",    "rw", 1],
  ["ICC_SRE_EL2",     "own",    "rw", 2],
  ["ICC_SRE_EL3",     "own",    "rw", 3],
  ["ICC_CTLR_EL3",    "own",    "rw", 3],
  ["ICC_IGRPEN1_EL3", "own",    "rw", 3],
  ["ICH_AP0R0_EL2",   "own",    "rw", 2],
  ["ICH_AP1R0_EL2",   "own",    "rw", 2],
  ["ICH_HCR_EL2",     "own",    "rw", 2],
  ["ICH_VTR_EL2",     "own",    "r",  2],
  ["ICH_MISR_EL2",    "own",    "r",  2],
  ["ICH_EISR_EL2",    "own",    "r",  2],
  ["ICH_ELRSR_EL2",   "own",    "r",  2],
  ["ICH_VMCR_EL2",    "own",    "rw", 2],
];
const accesses = new Map<RegName, Access>(
  table.map(([name, cls, rw, el]) => [name, { cls, read: rw.includes("r"), write: rw.includes("w"), el }]),
);
for (let n = 0; n < LIST_REGISTERS; n++) accesses.set(`ICH_LR${n}_EL2` as RegName, { cls: "own", read: true, write: true, el: 2 });

/** HFGRTR_EL2/HFGWTR_EL2.ICC_IGRPENn_EL1. */
const FGT_IGRPEN = 39;
const listRegister = (reg: RegName) => (reg.startsWith("ICH_LR") ? Number(reg.slice(6, reg.indexOf("_", 6))) : -1);

export class CpuInterface {
  readonly physical: PhysicalInterface;
  readonly virtual: VirtualInterface;
  private readonly cx: Context;
  private readonly evaluate: () => void;

  constructor(cx: Context, physical: PhysicalInterface, virtual: VirtualInterface, evaluate: () => void) {
    this.cx = cx;
    this.physical = physical;
    this.virtual = virtual;
    this.evaluate = evaluate;
  }

  has(reg: RegName): boolean {
    return accesses.has(reg);
  }

  /** 0: allowed; 1, 2, 3: trapped to that level with EC 0x18; -1: UNDEFINED. */
  access(reg: RegName, write: boolean): number {
    const a = accesses.get(reg);
    const { el } = this.cx;
    if (!a || el === 0 || !(write ? a.write : a.read)) return -1;
    if (el < a.el) return a.el === 2 && el === 1 && this.cx.nestedVirtualization ? 2 : -1;
    if (el === 1 && this.cx.el2Enabled && this.trapsToEl2(reg, a.cls, write)) return 2;
    return el < 3 && this.trapsToEl3(a.cls) ? 3 : 0;
  }
  private trapsToEl2(reg: RegName, cls: Class, write: boolean): boolean {
    const { cx, virtual } = this;
    if (reg.startsWith("ICC_IGRPEN") && cx.fineGrainedTrap(write, FGT_IGRPEN)) return true;
    switch (cls) {
      case "group0":
        return virtual.control(Hcr.TALL0);
      case "group1":
        return virtual.control(Hcr.TALL1);
      case "common":
        return virtual.control(Hcr.TC);
      case "dir":
        return virtual.control(Hcr.TC) || virtual.control(Hcr.TDIR);
      case "sgi":
        return cx.imo || cx.fmo || virtual.control(Hcr.TC);
      default:
        return false;
    }
  }
  /** What EL3 keeps for itself: the groups whose interrupts SCR_EL3 routes to it, unless the access is to the virtual interface. */
  private trapsToEl3(cls: Class): boolean {
    const { cx } = this;
    const atEl1 = cx.el === 1;
    switch (cls) {
      case "group0":
        return cx.fiqToEl3 && !(atEl1 && cx.fmo);
      case "group1":
        return cx.irqToEl3 && !(atEl1 && cx.imo);
      case "common":
      case "dir":
      case "sgi":
        return cx.irqToEl3 && cx.fiqToEl3 && !(atEl1 && (cx.imo || cx.fmo));
      default:
        return false;
    }
  }

  /** The name means ICV_*. */
  private isVirtual(cls: Class): boolean {
    const { cx } = this;
    if (cx.el !== 1) return false;
    if (cls === "group0") return cx.fmo;
    if (cls === "group1") return cx.imo;
    return (cls === "common" || cls === "dir") && (cx.imo || cx.fmo);
  }

  read(reg: RegName): bigint {
    const a = accesses.get(reg);
    if (!a) return 0n;
    const lr = listRegister(reg);
    if (lr >= 0) return (BigInt(this.virtual.readLr(lr, true) >>> 0) << 32n) | BigInt(this.virtual.readLr(lr, false) >>> 0);
    if (reg.startsWith("ICH_")) return BigInt(this.virtual.readIch(reg) >>> 0);
    return BigInt((this.isVirtual(a.cls) ? this.virtual.readIcv(reg) : this.physical.read(reg)) >>> 0);
  }
  write(reg: RegName, value: bigint): void {
    const a = accesses.get(reg);
    if (!a) return;
    const low = Number(value & 0xffff_ffffn);
    const high = Number((value >> 32n) & 0xffff_ffffn);
    const lr = listRegister(reg);
    if (lr >= 0) this.virtual.writeLr(lr, low, high);
    else if (reg.startsWith("ICH_")) this.virtual.writeIch(reg, low);
    else if (this.isVirtual(a.cls)) this.virtual.writeIcv(reg, low);
    else this.physical.write(reg, low, high);
  }
  /** Exception level, Security state or routing changed. */
  update(): void {
    this.evaluate();
  }
}
