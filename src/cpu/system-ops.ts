// SYS and SYSL: cache maintenance, address translation, TLB maintenance, prediction restriction (Arm ARM C5.3 to C5.6).

import type { Features } from "../arch/features.ts";
import { Off } from "../arch/layout.ts";
import type { RegName } from "../arch/registers/encodings.ts";
import { type InstructionKind, systemInstructions } from "../arch/registers/instructions.ts";
import { Access } from "../mmu/access.ts";
import { type Fault, FaultType } from "../mmu/fault.ts";
import { undefinedInstruction } from "./exceptions.ts";
import { takeAbort } from "./exceptions-aborts.ts";
import type { Pe } from "./pe.ts";
import { refuse, unallocated } from "./sysreg.ts";
import { checkAccess, OK, SysReg, UNDEF } from "./sysreg-access.ts";

interface Operation {
  /** Access rules; only the write direction is used. */
  readonly rules: SysReg;
  readonly kind: InstructionKind;
}

const cache = new WeakMap<Features, Map<number, Operation>>();
/** Those of the PE that asked last: usually all PEs are alike. */
let latest: { readonly features: Features; readonly map: Map<number, Operation> } | undefined;

function operations(features: Features): Map<number, Operation> {
  if (latest?.features === features) return latest.map;
  let map = cache.get(features);
  if (map === undefined) {
    map = new Map();
    for (const i of systemInstructions(features)) {
      const rules = new SysReg({
        name: i.name as RegName,
        op: [1, (i.key >> 11) & 7, (i.key >> 7) & 15, (i.key >> 3) & 15, i.key & 7],
        key: i.key,
        readEl: 4,
        writeEl: i.el,
        fields: [],
        writable: 0n,
        ones: 0n,
        effect: "none",
        traps: i.traps,
      });
      map.set(i.key, { rules, kind: i.kind });
    }
    cache.set(features, map);
  }
  latest = { features, map };
  return map;
}

/** SYS: 0 = go on in line, 1 = continue at Off.PC. */
export function sys(pe: Pe, insn: number): 0 | 1 {
  const key = (insn >>> 5) & 0xffff;
  const op = operations(pe.features).get(key);
  if (op === undefined) return unallocated(pe, insn, key);
  const verdict = checkAccess(pe, op.rules, pe.st.lo(Off.EL), true);
  if (verdict !== OK) return refuse(pe, verdict, insn, key);
  if (noSuchState(pe, op.kind, key)) return refuse(pe, UNDEF, insn, key);
  const at = Off.X + 8 * (insn & 31);
  const op1 = (key >> 11) & 7;
  const crn = (key >> 7) & 15;
  const crm = (key >> 3) & 15;
  const op2 = key & 7;
  switch (op.kind) {
    // One coherent copy of memory, which predecoded code follows by itself: only the translation and its faults are visible.
    case "icva":
    case "dcva":
      return maintain(pe, at) ? 0 : 1;
    case "ic":
    case "nop":
    case "rctx":
    case "dcpa":
      return 0;
    case "zva":
      // The executor performs DC ZVA; it asks here only while Off.ZVA is 0: one of the rules above refuses it, or memory is Device memory.
      if (pe.mmu.flat) zeroDevice(pe, at);
      else undefinedInstruction(pe);
      return 1;
    case "at": {
      const fault = pe.mmu.at(op1, crm, op2, pe.st.get(at));
      if (fault === undefined) return 0;
      takeAbort(pe, fault, { fetch: false });
      return 1;
    }
    case "tlbi": {
      // HCR_EL2.FB: local operations of EL1 reach the Inner Shareable domain.
      const widen = op1 === 0 && pe.st.lo(Off.EL) === 1 && pe.el2On && (pe.hcrLo & (1 << 9)) !== 0;
      const share = widen && crm === 7 ? 3 : widen && crm === 6 ? 2 : crm;
      pe.mmu.tlbiWords(op1, crn, share, op2, pe.st.lo(at), pe.st.hi(at));
      // Code goes on in its page until the next ISB, unless that page is where it was: then ISB has nothing to fetch anew.
      if (!pe.mmu.fetchStands) pe.st.setLo(Off.RESYNC, 1);
      return 0;
    }
  }
}

/** DC ZVA to Device memory: an Alignment fault, unless translation faults (Arm ARM, DC ZVA). FAR is the address in the register. */
function zeroDevice(pe: Pe, at: number): void {
  const { st, mmu } = pe;
  const allowed = mmu.translate(st.lo(at), st.hi(at), Access.Write, false);
  const fault: Fault = allowed
    ? {
        type: FaultType.Alignment,
        level: 0,
        stage: 1,
        s1ptw: false,
        write: true,
        fetch: false,
        maintenance: false,
        va: st.get(at),
        ipa: 0,
        ipaSpace: mmu.pas,
        ipaValid: false,
      }
    : (mmu.fault as Fault);
  takeAbort(pe, fault, { fetch: false });
}

/**
 * AT and TLBI at EL3 that name a regime of EL1 or EL2: UNDEFINED while SCR_EL3.{NSE,NS} selects no Security state, those of EL2
 * also while EL2 is disabled in it. (TLBI by IPA and ALLE1, VMALLS12E1 only do nothing then.)
 */
function noSuchState(pe: Pe, kind: InstructionKind, key: number): boolean {
  const op1 = (key >> 11) & 7;
  if ((kind !== "at" && kind !== "tlbi") || op1 === 6 || pe.st.lo(Off.EL) !== 3) return false;
  if (pe.nse && !pe.ns) return true;
  return op1 === 4 && !pe.el2On && namesEl2(kind, key);
}

/** AT S1E2x; TLBI ALLE2, VAE2, VALE2 and their range forms: op2 0, 1 and 5, except the stage 2 operations (CRm 0 and 4). */
function namesEl2(kind: InstructionKind, key: number): boolean {
  const crm = (key >> 3) & 15;
  const op2 = key & 7;
  if (kind === "at") return op2 < 2;
  return (op2 === 0 || op2 === 1 || op2 === 5) && crm !== 0 && crm !== 4;
}

/** SYSL: no instruction of this PE returns a result. */
export function sysl(pe: Pe, insn: number): 0 | 1 {
  return unallocated(pe, insn, (insn >>> 5) & 0xffff);
}

/** Translates the address in a register for cache maintenance; false when a fault was taken (ISS.CM = 1). */
function maintain(pe: Pe, at: number): boolean {
  const user = pe.st.lo(Off.EL) === 0;
  if (pe.mmu.translate(pe.st.lo(at), pe.st.hi(at), user ? Access.Read : Access.Maintain, false)) return true;
  const fault: Fault = { ...(pe.mmu.fault as Fault), maintenance: true };
  takeAbort(pe, fault, { fetch: false });
  return false;
}
