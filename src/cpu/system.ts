// Every system operation that generated code hands to TypeScript (isa/sysops.ts). Off.PC is the current instruction.

import { Off } from "../arch/layout.ts";
import { Ec, WfxTi } from "../arch/syndrome.ts";
import { SysOp } from "../isa/sysops.ts";
import { defaultTarget, enterSync, undefinedInstruction } from "./exceptions.ts";
import type { Pe } from "./pe.ts";
import { mrs, msr, msrImmediate } from "./sysreg.ts";
import { sys, sysl } from "./system-ops.ts";
import { brk, exceptionReturnInstruction, fpAccessTrap, hvc, pacFail, pauthTrap, smc, svc } from "./system-traps.ts";
import { esb, wait } from "./system-wait.ts";

/** Performs operation `op` of instruction word `insn`: 0 = go on in line, 1 = continue at Off.PC. */
export function systemOperation(pe: Pe, op: number, insn: number): 0 | 1 {
  switch (op) {
    case SysOp.MRS:
      return mrs(pe, insn);
    case SysOp.MSR:
      return msr(pe, insn);
    case SysOp.MSR_IMM:
      return msrImmediate(pe, insn);
    case SysOp.SYS:
      return sys(pe, insn);
    case SysOp.SYSL:
      return sysl(pe, insn);
    case SysOp.SVC:
      return svc(pe, insn);
    case SysOp.HVC:
      return hvc(pe, insn);
    case SysOp.SMC:
      return smc(pe, insn);
    case SysOp.BRK:
      return brk(pe, insn);
    case SysOp.ERET:
      return exceptionReturnInstruction(pe, undefined);
    case SysOp.ERETA:
      return exceptionReturnInstruction(pe, ((insn >>> 10) & 1) as 0 | 1);
    case SysOp.WFI:
      return wait(pe, WfxTi.WFI, insn);
    case SysOp.WFE:
      return wait(pe, WfxTi.WFE, insn);
    case SysOp.WFIT:
      return wait(pe, WfxTi.WFIT, insn);
    case SysOp.WFET:
      return wait(pe, WfxTi.WFET, insn);
    case SysOp.SEV:
      pe.hooks.wakeAll();
      return 0;
    case SysOp.SEVL:
      pe.st.setLo(Off.EVENT, 1);
      return 0;
    case SysOp.ISB:
      return pe.redirectNext();
    case SysOp.ESB:
      return esb(pe);
    case SysOp.FPTRAP:
      fpAccessTrap(pe);
      return 1;
    case SysOp.ILLEGAL:
      enterSync(pe, defaultTarget(pe), Ec.IllegalState, 0);
      return 1;
    case SysOp.SP_ALIGNMENT:
      enterSync(pe, defaultTarget(pe), Ec.SpAlignment, 0);
      return 1;
    case SysOp.PAUTH_TRAP:
      return pauthTrap(pe, insn);
    case SysOp.PAC_FAIL:
      return pacFail(pe, insn);
    case SysOp.BRANCH_TARGET:
      enterSync(pe, defaultTarget(pe), Ec.BranchTarget, pe.st.lo(Off.BTYPE));
      return 1;
    case SysOp.GAP:
      pe.hooks.requestStop(`the instruction 0x${(insn >>> 0).toString(16)} at PC 0x${pe.st.pc.toString(16)} is announced but missing`);
      return 1;
    default:
      // UNDEFINED; HLT (no debugger, no semihosting) and DRPS (not in Debug state) are UNDEFINED too.
      undefinedInstruction(pe);
      return 1;
  }
}
