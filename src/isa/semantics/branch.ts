// Branches, exceptions, hints, barriers and system instructions (Arm ARM C4.1.92).

import { Off } from "../../arch/layout.ts";
import type { Builder } from "../../ir/builder.ts";
import { and, bin, c32, c64, eqz, or, select, shl, signed, type Value, zext } from "../../ir/value.ts";
import { SysOp } from "../sysops.ts";
import { define, type Fields } from "./define.ts";

const offset = (imm: Value, width: number) => shl(signed(imm, width), c32(2));

define("B_UNCOND", "", (b, f) => b.branch(offset(f.imm26, 26)));
define("BL", "", (b, f) => {
  b.setX(c32(30), b.nextPc());
  b.branch(offset(f.imm26, 26));
});
define("B_COND", "cond", (b, f, v) => b.branch(offset(f.imm19, 19), (v.cond as number) >= 14 ? undefined : b.cond(v.cond as number)));
define("CBZ CBNZ", "sf", (b, f, v, row) => {
  const zero = eqz(b.reg(f.Rt, v.sf));
  b.branch(offset(f.imm19, 19), row.name === "CBZ" ? zero : eqz(zero));
});
define("TBZ TBNZ", "b5", (b, f, v, row) => {
  const bit = zext(or(f.b40, c32((v.b5 as number) << 5)));
  const zero = eqz(and(b.x(f.Rt), shl(c64(1), bit)));
  b.branch(offset(f.imm14, 14), row.name === "TBZ" ? zero : eqz(zero));
});

// PSTATE.BTYPE for the target (Arm ARM, BranchTo and BTypeNext): BLR 10; BR from X16/X17 01, otherwise 11 when the page of
// the branch is guarded, else 01; RET 00.
export const brType = (b: Builder, rn: Value) =>
  select(bin("eq", or(rn, c32(1)), c32(17)), c32(1), or(shl(b.state(Off.GUARDED), c32(1)), c32(1)));
define("BR", "", (b, f) => b.jump(b.x(f.Rn), brType(b, f.Rn)));
define("BLR", "", (b, f) => {
  b.setX(c32(30), b.nextPc());
  b.jump(b.x(f.Rn), c32(2));
});
define("RET", "", (b, f) => b.jump(b.x(f.Rn)));

// ---- exceptions and system -----------------------------------------------------------------------------------------
const systemRows: Record<string, SysOp> = {
  SVC: SysOp.SVC,
  HVC: SysOp.HVC,
  SMC: SysOp.SMC,
  BRK: SysOp.BRK,
  HLT: SysOp.HLT,
  DCPS1: SysOp.UNDEFINED,
  DCPS2: SysOp.UNDEFINED,
  DCPS3: SysOp.UNDEFINED,
  DRPS: SysOp.DRPS,
  ERET: SysOp.ERET,
  ERETA: SysOp.ERETA,
  WFE: SysOp.WFE,
  WFI: SysOp.WFI,
  WFET: SysOp.WFET,
  WFIT: SysOp.WFIT,
  SEV: SysOp.SEV,
  SEVL: SysOp.SEVL,
  ESB: SysOp.ESB,
  SYS: SysOp.SYS,
  SYSL: SysOp.SYSL,
  MSR_IMM: SysOp.MSR_IMM,
  UDF_PERM_UNDEF: SysOp.UNDEFINED,
};
for (const [row, op] of Object.entries(systemRows)) define(row, "", (b) => b.system(op));

// Nothing is speculated or buffered: only after a change of what fetches depend on is the next instruction fetched anew.
define("ISB", "", (b) => b.systemIf(SysOp.ISB, b.state(Off.RESYNC)));

// MRS and MSR reach their storage through the PE's system-register map when it allows (cpu/sysreg-map.ts); the decoder
// gives this form an index in the instruction word (see cpu/interp/predecode.ts). These are the slow forms.
define("MRS", "", (b) => b.system(SysOp.MRS));
define("MSR_REG", "", (b) => b.system(SysOp.MSR));

/** Hints without effect here, and barriers: memory is sequentially consistent, speculation does not exist. */
const noEffect = (_b: Builder, _f: Fields) => {};
define("HINT NOP YIELD DGH PSB TSB GCSB CSDB CLRBHB CHKFEAT BTI DMB DSB DSB_NXS SB", "", noEffect);
