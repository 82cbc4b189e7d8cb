// Who may access a system register, and where a refused access goes. The trap words of the register rows (arch/registers/record.ts)
// become lists of checks, evaluated in the architected order: UNDEFINED by level, EL1 controls, EL2 controls, EL3 controls.

import type { Features } from "../arch/features.ts";
import { Off } from "../arch/layout.ts";
import type { RegName } from "../arch/registers/encodings.ts";
import { aliasTarget, e2hRedirect, type RegisterRecord, type RegisterSet, registerSet } from "../arch/registers/index.ts";
import { encodingKey } from "../arch/registers/record.ts";
import { slot } from "../arch/state.ts";
import type { Pe } from "./pe.ts";
import { sctlrSlot } from "./sysreg-context.ts";
import { type ReadFn, specialRead, specialWrite, type WriteFn } from "./sysreg-special.ts";

/** Results of `checkAccess`: OK, UNDEFINED, or the Exception level that traps. */
export const OK = 0;
export const UNDEF = -1;

/** 0, or the Exception level that traps the access (-1 UNDEFINED). */
type Check = (pe: Pe, el: number) => number;

/** Checks of one direction. */
interface Checks {
  undef: Check[];
  el1: Check[];
  el2: Check[];
  el3: Check[];
}
const noChecks = (): Checks => ({ undef: [], el1: [], el2: [], el3: [] });

/** A register as the PE accesses it. */
export class SysReg {
  readonly record: RegisterRecord;
  readonly name: RegName;
  /** Offset of the storage; for an _EL12 or _EL02 name, that of the register it stands for. */
  readonly slot: number;
  readonly readEl: number;
  readonly writeEl: number;
  /** Writable bits and ones, as words. */
  readonly wLo: number;
  readonly wHi: number;
  readonly oLo: number;
  readonly oHi: number;
  /** The _EL12 or _EL02 form. */
  readonly alias: boolean;
  /** Name of the register whose state it is. */
  readonly target: RegName;
  readonly read: Checks;
  readonly write: Checks;
  /** FP and SIMD access rules apply. */
  readonly fp: boolean;
  /** What the name reaches at EL2 with E2H = 1 (timers: also at host EL0), and in Secure state. */
  e2h: SysReg | undefined;
  e2hSecure: SysReg | undefined;
  /** The redirection also holds at EL0 with E2H = TGE = 1. */
  e2hEl0 = false;
  /** What reads and writes do instead of reaching the storage. */
  readonly readFn: ReadFn | undefined;
  readonly writeFn: WriteFn | undefined;

  constructor(record: RegisterRecord) {
    this.record = record;
    this.name = record.name;
    const target = aliasTarget(record.name);
    this.alias = target !== undefined;
    this.target = target ?? record.name;
    this.slot = slot[this.target];
    this.readEl = record.readEl;
    this.writeEl = record.writeEl;
    this.wLo = Number(record.writable & 0xffff_ffffn);
    this.wHi = Number(record.writable >> 32n);
    this.oLo = Number(record.ones & 0xffff_ffffn);
    this.oHi = Number(record.ones >> 32n);
    this.read = noChecks();
    this.write = noChecks();
    this.fp = record.traps.includes("FPEN");
    for (const t of record.traps) addTrap(this, t);
    this.readFn = specialRead(this);
    this.writeFn = specialWrite(this);
  }
}

const hcr =
  (bit: number): Check =>
  (pe) =>
    pe.st.bit(slot.HCR_EL2, bit) === 1 ? 2 : OK;
const scr =
  (bit: number): Check =>
  (pe) =>
    pe.st.bit(slot.SCR_EL3, bit) === 1 ? 3 : OK;
const scrClear =
  (bit: number): Check =>
  (pe) =>
    pe.st.bit(slot.SCR_EL3, bit) === 0 ? 3 : OK;
const bitSet =
  (reg: number, bit: number, target: number): Check =>
  (pe) =>
    pe.st.bit(reg, bit) === 1 ? target : OK;
/** An EL0 access that EL1 configuration refuses goes to EL1, or to EL2 with TGE. */
const el1Target = (pe: Pe): number => (pe.tge ? 2 : 1);
const fgt =
  (reg: number, bit: number): Check =>
  (pe) =>
    pe.fgt && pe.st.bit(reg, bit) === 1 ? 2 : OK;

/** CNTKCTL_EL1 or, for a host, CNTHCTL_EL2: EL0 may use a counter when one of `mask` is set. */
const el0Counter =
  (mask: number): Check =>
  (pe) =>
    (pe.st.lo(pe.host ? slot.CNTHCTL_EL2 : slot.CNTKCTL_EL1) & mask) === 0 ? el1Target(pe) : OK;
/** CNTHCTL_EL2 enables of EL1 accesses: bit 10 or 11 with E2H = 1, bit 0 or 1 without. */
const el1Counter =
  (vhe: number, plain: number): Check =>
  (pe) =>
    pe.st.bit(slot.CNTHCTL_EL2, pe.e2h ? vhe : plain) === 0 ? 2 : OK;
/** PMUSERENR_EL0: EL0 access needs one of `mask`. */
const userPmu =
  (mask: number): Check =>
  (pe) =>
    (pe.st.lo(slot.PMUSERENR_EL0) & mask) === 0 ? el1Target(pe) : OK;
/** MDCR_EL2 debug traps; TDE and TGE imply them. */
const debugTrap =
  (bit: number): Check =>
  (pe) =>
    (pe.st.lo(slot.MDCR_EL2) & ((1 << bit) | (1 << 8))) !== 0 || pe.tge ? 2 : OK;
/** EL0 needs the bit of the SCTLR_ELx in force. */
const el0Sctlr =
  (bit: number): Check =>
  (pe) =>
    pe.st.bit(sctlrSlot(pe, 0), bit) === 0 ? el1Target(pe) : OK;
/** Registers of Secure EL2: for it, and for EL3 while SCR_EL3.EEL2 enables it. */
const secureOnly: Check = (pe, el) => ((el === 3 ? pe.st.bit(slot.SCR_EL3, 18) === 1 : el === 2 && !pe.ns) ? OK : UNDEF);

function both(r: SysReg, kind: keyof Checks, check: Check): void {
  r.read[kind].push(check);
  r.write[kind].push(check);
}

/** Trap words without parameters: what they add to a register. */
const trapWords: Record<string, (r: SysReg) => void> = {
  TVM: (r) => {
    r.read.el2.push(hcr(30));
    r.write.el2.push(hcr(26));
  },
  TID1: (r) => r.read.el2.push(hcr(16)),
  TID2: (r) => both(r, "el2", hcr(17)),
  TID3: (r) => r.read.el2.push(hcr(18)),
  TID4: (r) => both(r, "el2", hcr(49)),
  TACR: (r) => both(r, "el2", hcr(21)),
  SPSEL: (r) => both(r, "undef", (pe, el) => (el === pe.st.lo(Off.EL) && pe.st.lo(Off.SPSEL) === 0 ? UNDEF : OK)),
  APK: (r) => {
    both(r, "el2", (pe) => (pe.st.bit(slot.HCR_EL2, 40) === 0 ? 2 : OK));
    both(r, "el3", scrClear(16));
  },
  TERR: (r) => {
    both(r, "el2", hcr(36));
    both(r, "el3", scr(15));
  },
  FIEN: (r) => {
    both(r, "el2", (pe) => (pe.st.bit(slot.HCR_EL2, 47) === 0 ? 2 : OK));
    both(r, "el3", scrClear(21));
  },
  TLOR: (r) => {
    both(r, "undef", (pe) => (pe.ns ? OK : UNDEF));
    both(r, "el2", hcr(35));
    both(r, "el3", scr(14));
  },
  TCPAC: (r) => {
    both(r, "el2", bitSet(slot.CPTR_EL2, 31, 2));
    both(r, "el3", bitSet(slot.CPTR_EL3, 31, 3));
  },
  TCPAC3: (r) => both(r, "el3", bitSet(slot.CPTR_EL3, 31, 3)),
  UCT: (r) => r.read.el1.push(el0Sctlr(15)),
  UMA: (r) => both(r, "el1", (pe) => (pe.host || pe.st.bit(slot.SCTLR_EL1, 9) === 0 ? el1Target(pe) : OK)),
  FPEN: () => {},
  TDA: (r) => {
    both(r, "el2", debugTrap(9));
    both(r, "el3", bitSet(slot.MDCR_EL3, 9, 3));
  },
  TDA3: (r) => both(r, "el3", bitSet(slot.MDCR_EL3, 9, 3)),
  TDOSA: (r) => {
    both(r, "el2", debugTrap(10));
    both(r, "el3", bitSet(slot.MDCR_EL3, 10, 3));
  },
  TDRA: (r) => {
    both(r, "el2", debugTrap(11));
    both(r, "el3", bitSet(slot.MDCR_EL3, 9, 3));
  },
  TDCC: (r) => {
    both(r, "el1", (pe) => (pe.st.bit(slot.MDSCR_EL1, 12) === 1 ? el1Target(pe) : OK));
    both(r, "el2", bitSet(slot.MDCR_EL2, 27, 2));
    both(r, "el3", bitSet(slot.MDCR_EL3, 27, 3));
  },
  TPM: (r) => {
    both(r, "el2", bitSet(slot.MDCR_EL2, 6, 2));
    both(r, "el3", bitSet(slot.MDCR_EL3, 6, 3));
  },
  TPMCR: (r) => both(r, "el2", bitSet(slot.MDCR_EL2, 5, 2)),
  // Software context numbers (Arm ARM D24, SCXTNUM_EL0): SCTLR_ELx.TSCXT refuses EL0, HCR_EL2.EnSCXT = 0 traps a guest.
  TSCXT: (r) => both(r, "el1", (pe) => (pe.st.bit(sctlrSlot(pe, 0), 20) === 1 ? el1Target(pe) : OK)),
  EnSCXT: (r) => {
    both(r, "el2", (pe) => (pe.st.bit(slot.HCR_EL2, 53) === 0 ? 2 : OK));
    both(r, "el3", scrClear(25));
  },
  EnSCXT3: (r) => both(r, "el3", scrClear(25)),
  FGTEn: (r) => both(r, "el3", scrClear(27)),
  HXEn: (r) => both(r, "el3", scrClear(38)),
  ECVEn: (r) => both(r, "el3", scrClear(28)),
  CNTFRQ: (r) => {
    r.read.el1.push(el0Counter(3));
    r.write.undef.push((pe, el) => (el === 3 || (el === 2 && !pe.haveEl3) ? OK : UNDEF));
  },
  CNTPCT: (r) => {
    r.read.el1.push(el0Counter(1));
    r.read.el2.push(el1Counter(10, 0));
  },
  CNTVCT: (r) => {
    r.read.el1.push(el0Counter(2));
    r.read.el2.push(bitSet(slot.CNTHCTL_EL2, 14, 2));
  },
  CNTP: (r) => {
    both(r, "el1", el0Counter(1 << 9));
    both(r, "el2", el1Counter(11, 1));
  },
  CNTV: (r) => {
    both(r, "el1", el0Counter(1 << 8));
    both(r, "el2", bitSet(slot.CNTHCTL_EL2, 13, 2));
  },
  CNTHNS: (r) => both(r, "undef", (pe, el) => (el === 2 && !pe.ns ? UNDEF : OK)),
  // Secure EL1 physical timer: EL3, or Secure EL1 when SCR_EL3.ST allows it.
  CNTPS: (r) => both(r, "undef", (pe, el) => (el === 3 ? OK : el === 2 || pe.ns ? UNDEF : pe.st.bit(slot.SCR_EL3, 11) === 0 ? 3 : OK)),
  SEL2: (r) => both(r, "undef", secureOnly),
  // System instructions (arch/registers/instructions.ts)
  UCI: (r) => r.write.el1.push(el0Sctlr(26)),
  DZE: (r) => r.write.el1.push(el0Sctlr(14)),
  EnRCTX: (r) => r.write.el1.push(el0Sctlr(10)),
  TSW: (r) => r.write.el2.push(hcr(22)),
  TPCP: (r) => r.write.el2.push(hcr(23)),
  TPU: (r) => r.write.el2.push(hcr(24)),
  TTLB: (r) => r.write.el2.push(hcr(25)),
  TDZ: (r) => r.write.el2.push(hcr(28)),
  TICAB: (r) => r.write.el2.push(hcr(50)),
  TOCU: (r) => r.write.el2.push(hcr(52)),
  TTLBIS: (r) => r.write.el2.push(hcr(54)),
  TTLBOS: (r) => r.write.el2.push(hcr(55)),
  "PMUSER-EN": (r) => both(r, "el1", userPmu(1)),
  "PMUSER-SW": (r) => both(r, "el1", userPmu(3)),
  "PMUSER-ER": (r) => both(r, "el1", userPmu(9)),
  "PMUSER-CR": (r) => {
    r.read.el1.push(userPmu(5));
    r.write.el1.push(userPmu(1));
  },
  "PMUSER-ERR": (r) => {
    r.read.el1.push(userPmu(9));
    r.write.el1.push(userPmu(1));
  },
};

function addTrap(r: SysReg, word: string): void {
  const known = trapWords[word];
  if (known !== undefined) {
    known(r);
    return;
  }
  const m = /^([FDIN])(\d+)([RW]?)$/.exec(word);
  if (m === null) throw new Error(`${r.name}: trap word "${word}"`);
  const bit = Number(m[2]);
  if (m[1] === "I") {
    r.write.el2.push(fgt(slot.HFGITR_EL2, bit));
    return;
  }
  if (m[1] === "N") {
    // HCRX_EL2.FGTnXS = 1 exempts the nXS forms.
    const check = fgt(slot.HFGITR_EL2, bit);
    r.write.el2.push((pe, el) => (pe.hcrx && pe.st.bit(slot.HCRX_EL2, 4) === 1 ? OK : check(pe, el)));
    return;
  }
  const debug = m[1] === "D";
  if (m[3] !== "W") r.read.el2.push(fgt(debug ? slot.HDFGRTR_EL2 : slot.HFGRTR_EL2, bit));
  if (m[3] !== "R") r.write.el2.push(fgt(debug ? slot.HDFGWTR_EL2 : slot.HFGWTR_EL2, bit));
}

/** Whether `el` may access `r` (after redirection): OK, UNDEF or the level that traps. FP rules are not included. */
export function checkAccess(pe: Pe, r: SysReg, el: number, write: boolean): number {
  if (el < (write ? r.writeEl : r.readEl)) return UNDEF;
  if (r.alias && !pe.e2h) return UNDEF;
  const c = write ? r.write : r.read;
  for (let i = 0; i < c.undef.length; i++) {
    const t = (c.undef[i] as Check)(pe, el);
    if (t !== OK) return t;
  }
  if (el === 0) {
    for (let i = 0; i < c.el1.length; i++) {
      const t = (c.el1[i] as Check)(pe, el);
      if (t !== OK) return t;
    }
  }
  if (el < 2 && pe.el2On && !(el === 0 && pe.host)) {
    for (let i = 0; i < c.el2.length; i++) {
      const t = (c.el2[i] as Check)(pe, el);
      if (t !== OK) return t;
    }
  }
  if (el < 3 && pe.haveEl3) {
    for (let i = 0; i < c.el3.length; i++) {
      const t = (c.el3[i] as Check)(pe, el);
      if (t !== OK) return t;
    }
  }
  return OK;
}

/** What a name reaches at `el` (VHE redirection). */
export function redirect(pe: Pe, r: SysReg, el: number): SysReg {
  if (r.e2h === undefined || !(el === 2 ? pe.e2h : el === 0 && pe.host && r.e2hEl0)) return r;
  return !pe.ns && r.e2hSecure !== undefined ? r.e2hSecure : r.e2h;
}

/** The registers of one feature set, ready for access. */
export interface SysRegs {
  readonly set: RegisterSet;
  readonly all: readonly SysReg[];
  /** Index in `all` plus 1 by encoding key; 0 = not allocated. */
  readonly byKey: Uint16Array;
  readonly byName: ReadonlyMap<RegName, SysReg>;
}

const cache = new WeakMap<Features, SysRegs>();

export function sysRegs(features: Features): SysRegs {
  const known = cache.get(features);
  if (known !== undefined) return known;
  const set = registerSet(features);
  const all = set.records.map((r) => new SysReg(r));
  const byName = new Map(all.map((r) => [r.name, r]));
  const byKey = new Uint16Array(0x1_0000);
  all.forEach((r, i) => {
    byKey[r.record.key] = i + 1;
  });
  // The ID space 3, 0, 0, 1..7, x: what is not allocated reads as zero and traps like the rest (HCR_EL2.TID3).
  const raz = new SysReg({ ...(set.byName.get("ID_AA64AFR1_EL1") as RegisterRecord) });
  all.push(raz);
  for (let crm = 1; crm < 8; crm++) {
    for (let op2 = 0; op2 < 8; op2++) {
      const key = encodingKey(3, 0, 0, crm, op2);
      if (byKey[key] === 0) byKey[key] = all.length;
    }
  }
  if (features.has("VHE")) {
    for (const [from, to] of Object.entries(e2hRedirect)) {
      const r = byName.get(from as RegName);
      if (r === undefined) continue;
      r.e2h = byName.get(to);
      r.e2hEl0 = from.startsWith("CNTP_") || from.startsWith("CNTV_");
      if (r.e2hEl0) r.e2hSecure = byName.get(to.replace("_", "S_") as RegName);
    }
  }
  const made: SysRegs = { set, all, byKey, byName };
  cache.set(features, made);
  return made;
}

/** Is an encoding in the space that FEAT_IDST reports with EC 0x18 instead of EC 0 when read below its level? */
export function inIdSpace(key: number): boolean {
  const op1 = (key >> 11) & 7;
  return key >> 14 === 3 && (op1 === 0 || op1 === 1 || op1 === 3) && ((key >> 3) & 0xff) <= 7;
}
