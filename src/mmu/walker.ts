// The whole translation of one access: stage 1, with every descriptor access through stage 2, then stage 2, then the granule
// check of the final address (Arm ARM D8.2; AArch64.S1Translate, S1Walk, FullTranslate). Checks stand in priority order.

import { type Pas, Security } from "../arch/security.ts";
import type { PeState } from "../arch/state.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { Access, needed, PERM_ALL, PERM_READS, PERM_WRITES, Perm, Privilege } from "./access.ts";
import {
  combineAttr,
  combineShare,
  DEVICE,
  decodeShare,
  effectiveShare,
  isDevice,
  type MemAttr,
  NORMAL_WB,
  type Share,
  XS,
} from "./attributes.ts";
import { FaultType, WalkFault } from "./fault.ts";
import type { MmuFeatures } from "./features.ts";
import { stage1Perms, Table, Upper } from "./permissions.ts";
import { P2, type RangeConfig } from "./range.ts";
import { Regime, type RegimeConfig } from "./regime.ts";
import { AF, MAX_RETRIES, Stage2Walker } from "./stage2.ts";
import {
  addressIn,
  alignDown,
  CHANGED,
  contiguousLog2,
  field,
  isLeaf,
  isTable,
  levelSize,
  OK,
  offsetIn,
  TableMemory,
  tableBase,
} from "./table.ts";
import { TablePaths } from "./table-paths.ts";

const AP2 = 1 << 7;
/** A "leaf" that is not from a table covers everything. */
const WHOLE = 52;

/** How an access is to be translated. */
export const Purpose = {
  /** A real access: sets dirty state, checks the granule of the final address. */
  Access: 0,
  /** Address translation instruction, both stages. */
  At: 1,
  /** Address translation instruction, stage 1 only: the result is an IPA. */
  AtStage1: 2,
} as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

/** VA[63:56] made canonical: replaced by copies of bit 55 (zero in one-range regimes) when the top byte is ignored. */
export function canonicalHi(c: RegimeConfig, vaHi: number, fetch: boolean): number {
  const upper = c.twoRanges && (vaHi & (1 << 23)) !== 0;
  const r = c.ranges[upper ? 1 : 0];
  if (!(fetch ? r.tbiFetch : r.tbiData)) return vaHi | 0;
  return upper ? vaHi | 0xff000000 : vaHi & 0x00ffffff;
}

/** Translates accesses by walking tables. The result fields hold until the next `run`. */
export class Walker {
  readonly fault = new WalkFault();
  readonly table: TableMemory;
  /** Final address and space. After Purpose.AtStage1: the stage 1 output. */
  pa = 0;
  pas: Pas = 0;
  /** Stage 1 output. */
  ipa = 0;
  ipaSpace: Pas = 0;
  /** Permissions that may be cached, both stages. */
  perms = 0;
  /** log2 of the block the result is good for, and of the stage 1 and stage 2 leaves. */
  size = 0;
  size1 = 0;
  size2 = 0;
  attr: MemAttr = 0;
  sh: Share = 0;
  notGlobal = false;
  guarded = false;
  /** Level of the stage 1 leaf (0 with stage 1 off). */
  level = 0;
  /** Physical addresses of the leaf descriptors, -1 where the stage is off. */
  descriptor1 = -1;
  descriptor2 = -1;
  /** Physical address of the granule protection table entry that permits the access, -1 where none was read. */
  gptEntry = -1;

  private readonly st: PeState;
  private readonly features: MmuFeatures;
  private readonly stage2: Stage2Walker;
  private readonly paths: TablePaths;
  // State of the stage 1 walk.
  private lo = 0;
  private hi = 0;
  private tables = 0;
  private tablePas: Pas = 0;
  private nsTable = false;
  private descPa = 0;
  private descPas: Pas = 0;
  private descIpa = 0;

  constructor(st: PeState, phys: PhysicalMemory, features: MmuFeatures) {
    this.st = st;
    this.features = features;
    this.table = new TableMemory(phys);
    this.stage2 = new Stage2Walker(st, this.table, this.fault);
    this.paths = new TablePaths(st, this.table);
  }

  /** A TLB maintenance operation concerns stage 2 or granule protection. */
  forget(): void {
    this.paths.clear();
    this.stage2.forget();
    this.table.granuleCheck?.forget?.(0, Number.POSITIVE_INFINITY);
  }
  /** The same, granule protection of some memory only. */
  forgetPa(start: number, end: number): void {
    if (this.stage2.forgetPa(start, end)) this.paths.clear();
    else this.paths.clearPa(start, end);
    this.table.granuleCheck?.forget?.(start, end);
  }

  /**
   * Translates `vaLo`, `hi` (canonical, see canonicalHi). False: the fault is in `fault`.
   * `need` is looked up from access and privilege; Maintain needs nothing.
   */
  run(c: RegimeConfig, vaLo: number, hi: number, access: Access, privilege: Privilege, purpose: Purpose): boolean {
    const f = this.fault;
    f.s1ptw = false;
    f.gpc = 0;
    this.table.state = c.security;
    f.write = access === Access.Write;
    const need = needed[privilege * 8 + access] as number;
    if (!(c.stage1 ? this.stage1(c, vaLo, hi, need, privilege, purpose) : this.stage1Off(c, vaLo, hi))) return false;
    this.ipa = this.pa;
    this.ipaSpace = this.pas;
    this.size2 = WHOLE;
    this.descriptor2 = -1;
    if (purpose === Purpose.AtStage1) return true;
    const s2 = c.stage2Ns !== undefined && this.pas === Security.NonSecure ? c.stage2Ns : c.stage2;
    if (s2 !== undefined) {
      if (!this.stage2.translate(s2, this.pa, this.pas, need, false, purpose === Purpose.Access)) return false;
      this.combine(s2.fwb, s2.cacheDisable);
    }
    this.sh = effectiveShare(this.attr, this.sh);
    this.size = Math.min(this.size1, this.size2);
    return purpose !== Purpose.Access || this.granule(access);
  }

  /** Joins the stage 2 result to the stage 1 result. */
  private combine(fwb: boolean, cacheDisable: boolean): void {
    const s = this.stage2;
    this.pa = s.oa;
    this.pas = s.oaPas;
    this.perms &= s.perms;
    this.size2 = s.size;
    this.descriptor2 = s.descriptor;
    this.attr = combineAttr(this.attr, s.memAttr, fwb, s.fnxs);
    if (cacheDisable && !isDevice(this.attr)) this.attr = 0x44 | (this.attr & XS);
    this.sh = combineShare(this.sh, decodeShare(s.sh));
  }

  /** Granule protection check of the final address (lowest priority of all translation checks). */
  private granule(access: Access): boolean {
    const g = this.table.granuleCheck;
    this.gptEntry = -1;
    if (g === undefined) return true;
    const r = g.check(this.pa, this.pas, this.table.state);
    if (r === 0) {
      this.size = Math.min(this.size, g.sizeLog2);
      this.gptEntry = g.entry;
      return true;
    }
    this.fault.write = access === Access.Write;
    this.fault.gpc = r;
    this.fault.pa = this.pa;
    this.fault.pas = this.pas;
    return this.fault.set(FaultType.GranuleOnOutput, 0, 1);
  }

  /** AArch64.S1DisabledOutput. */
  private stage1Off(c: RegimeConfig, vaLo: number, hi: number): boolean {
    const va = (hi >>> 0) * 4294967296 + (vaLo >>> 0);
    // VA bits above the implemented PA size must be zero.
    if (va >= (P2[this.features.paBits] as number)) return this.fault.set(FaultType.AddressSize, 0, 1);
    this.pa = va;
    this.pas = this.space(c);
    this.perms = PERM_ALL;
    this.size1 = WHOLE;
    this.level = 0;
    this.descriptor1 = -1;
    this.notGlobal = false;
    this.guarded = false;
    this.sh = c.defaultCacheable ? 0 : 2;
    // The attributes are those of data accesses; fetches are to Normal memory whatever they say.
    this.attr = c.defaultCacheable ? NORMAL_WB : DEVICE;
    return true;
  }

  /** PA space of the regime's own accesses: EL3 is Secure without FEAT_RME. */
  private space(c: RegimeConfig): Pas {
    return c.security === Security.Root && !this.features.rme ? Security.Secure : c.security;
  }

  private stage1(c: RegimeConfig, vaLo: number, hi: number, need: number, privilege: Privilege, purpose: Purpose): boolean {
    const f = this.fault;
    const upper = c.twoRanges && (hi & (1 << 23)) !== 0;
    const r = c.ranges[upper ? 1 : 0];
    // TxSZ out of range, VA out of range, E0PD, EPD: level 0 translation faults, in this order.
    if (r.invalid || outOfRange(r.iaBits, vaLo, hi, upper)) return f.set(FaultType.Translation, 0, 1);
    if (r.e0pd && privilege === Privilege.User) return f.set(FaultType.Translation, 0, 1);
    if (r.epd) return f.set(FaultType.Translation, 0, 1);
    for (let i = 0; i < MAX_RETRIES; i++) {
      if (!this.descend(c, r, vaLo, hi)) return false;
      const done = this.leaf(c, r, vaLo, hi, need, purpose);
      if (done !== undefined) return done;
    }
    return f.set(FaultType.HardwareUpdate, this.level, 1);
  }

  /** Finds the leaf: from the table that is known to hold it, or by following table descriptors from the first table on. */
  private descend(c: RegimeConfig, r: RangeConfig, vaLo: number, hi: number): boolean {
    // Stage 2 pages may be smaller than tables of other granules.
    if (r.granule !== 12 || c.ee || c.stage2Ns !== undefined || !this.table.plain) return this.follow(c, r, vaLo, hi, false);
    const slot = this.paths.find(pathKey(vaLo, hi), c, r.ttbr, c.stage2?.ttbr);
    if (slot >= 0) {
      const found = this.resume(c, r, vaLo, hi, slot);
      if (found !== undefined) return found;
    }
    return this.follow(c, r, vaLo, hi, true);
  }

  /** Reads the leaf from the table at the end of a known path. Undefined: a table descriptor is there now. */
  private resume(c: RegimeConfig, r: RangeConfig, vaLo: number, hi: number, slot: number): boolean | undefined {
    const { paths, table } = this;
    const level = paths.level[slot] as number;
    const lsb = levelSize(r, level);
    const index = field(vaLo, hi, lsb, level === r.startLevel ? r.iaBits - lsb : r.stride);
    const at = (paths.word[slot] as number) + 2 * index;
    const lo = table.i32[at] as number;
    if (isTable(lo, level)) return undefined;
    this.level = level;
    this.lo = lo;
    this.hi = table.i32[at + 1] as number;
    this.tables = paths.inherited[slot] as number;
    this.tablePas = paths.space[slot] as Pas;
    this.nsTable = paths.nsTable[slot] !== 0;
    this.descIpa = (paths.base[slot] as number) + 8 * index;
    this.descPa = (paths.pa[slot] as number) + 8 * index;
    this.descPas = paths.pas[slot] as Pas;
    if (c.stage2 !== undefined) {
      this.fault.ipa = this.descIpa;
      this.fault.ipaSpace = this.tablePas;
    }
    return isLeaf(r, lo, level) || this.fault.set(FaultType.Translation, level, 1);
  }

  /** Follows table descriptors down to the leaf. `note`: the way may be remembered. */
  private follow(c: RegimeConfig, r: RangeConfig, vaLo: number, hi: number, note: boolean): boolean {
    const f = this.fault;
    const { paths } = this;
    this.tables = 0;
    this.tablePas = this.space(c);
    this.nsTable = false;
    let base = tableBase(r, this.st.lo(r.ttbr), this.st.hi(r.ttbr));
    let lsb = levelSize(r, r.startLevel);
    let bits = r.iaBits - lsb;
    // D8.2.5: base beyond the output size.
    if (base >= r.oaLimit) return f.set(FaultType.AddressSize, 0, 1);
    let noted = note;
    if (noted) paths.begin();
    for (let level = r.startLevel; ; level++) {
      this.level = level;
      const index = field(vaLo, hi, lsb, bits);
      if (!this.readDescriptor(c, base + index * 8)) return false;
      noted &&= this.table.inRam(this.descPa);
      if (noted) paths.note(this.descPa);
      const lo = this.lo;
      if (!isTable(lo, level)) {
        if (noted) this.remember(base, index);
        return isLeaf(r, lo, level) || f.set(FaultType.Translation, level, 1);
      }
      if (noted) paths.step(this.table.at, lo, this.hi);
      base = addressIn(lo, this.hi, r.granule, r.wide);
      if (base >= r.oaLimit) return f.set(FaultType.AddressSize, level, 1);
      if (!r.hpd) this.tables |= this.hi;
      // NSTable: only Secure tables can point to Non-secure ones.
      if (this.tablePas === Security.Secure && (this.hi & Table.NS) !== 0) {
        this.tablePas = Security.NonSecure;
        this.nsTable = true;
      }
      bits = r.stride;
      lsb -= r.stride;
    }
  }
  /** The path ends at the table at `base`, whose descriptor `index` has been read. */
  private remember(base: number, index: number): void {
    const { paths } = this;
    const slot = paths.end(this.level, this.descPa, index);
    if (slot < 0) return;
    paths.base[slot] = base;
    paths.space[slot] = this.tablePas;
    paths.pas[slot] = this.descPas;
    paths.nsTable[slot] = this.nsTable ? 1 : 0;
    paths.inherited[slot] = this.tables;
  }

  /** Reads the descriptor at IPA `at` through stage 2 where it applies. */
  private readDescriptor(c: RegimeConfig, at: number): boolean {
    this.descIpa = at;
    if (!this.locate(c, false)) return false;
    const r = this.table.read(this.descPa, this.descPas, c.ee, 1, this.level);
    if (r === OK) {
      this.lo = this.table.lo;
      this.hi = this.table.hi;
      return true;
    }
    return this.inaccessible(r as FaultType);
  }
  /** The descriptor cannot be read or updated. */
  private inaccessible(type: FaultType): false {
    this.fault.gpc = type === FaultType.GranuleOnWalk ? this.table.gpc : 0;
    this.fault.pa = this.descPa;
    this.fault.pas = this.descPas;
    return this.fault.set(type, this.level, 1);
  }

  /** Physical address of the descriptor at descIpa, which is read, or read and updated. */
  private locate(c: RegimeConfig, update: boolean): boolean {
    const s2 = c.stage2Ns !== undefined && this.tablePas === Security.NonSecure ? c.stage2Ns : c.stage2;
    if (s2 === undefined) {
      this.descPa = this.descIpa;
      this.descPas = this.tablePas;
      return true;
    }
    const { stage2, descIpa, tablePas } = this;
    const found = update
      ? stage2.translate(s2, descIpa, tablePas, Perm.PR | Perm.PW, true, true)
      : stage2.ofDescriptor(s2, descIpa, tablePas);
    if (!found) return false;
    this.fault.s1ptw = false;
    this.descPa = this.stage2.oa;
    this.descPas = this.stage2.oaPas;
    return true;
  }

  /** Checks the leaf, manages AF and dirty state, sets the results. Undefined: the descriptor changed meanwhile, walk again. */
  private leaf(c: RegimeConfig, r: RangeConfig, vaLo: number, hi: number, need: number, purpose: Purpose): boolean | undefined {
    const f = this.fault;
    const lo = this.lo;
    const top = this.hi;
    const level = this.level;
    const contiguous = (top & Upper.CONTIGUOUS) !== 0 ? contiguousLog2(r.granule, level) : 0;
    const size = levelSize(r, level) + contiguous;
    // A contiguous set larger than the input range: translation fault (AArch64.ContiguousBitFaults, our choice).
    if (contiguous !== 0 && size > r.iaBits) return f.set(FaultType.Translation, level, 1);
    const base = alignDown(addressIn(lo, top, levelSize(r, level), r.wide), size);
    if (base >= r.oaLimit) return f.set(FaultType.AddressSize, level, 1);
    if ((lo & AF) === 0 && !c.ha) return f.set(FaultType.AccessFlag, level, 1);

    const pas = this.outputSpace(c, lo);
    const dbm = c.hd && (top & Upper.DBM) !== 0;
    let ap = (lo >>> 6) & 3;
    const clean = dbm && (ap & 2) !== 0;
    if (dbm) ap &= 1;
    const perms = stage1Perms(c, ap, top, this.tables, noExecute(c, this.space(c), pas));
    const missing = need & ~perms;
    if (missing !== 0) {
      f.write = (missing & PERM_READS) === 0 && (missing & PERM_WRITES) !== 0;
      return f.set(FaultType.Permission, level, 1);
    }
    const write = clean && purpose === Purpose.Access && (need & PERM_WRITES) !== 0;
    const newLo = (write ? lo & ~AP2 : lo) | AF;
    if (newLo !== lo) {
      if (!this.locate(c, true)) return false;
      const r = this.table.update(this.descPa, this.descPas, lo, top, newLo, c.ee);
      if (r === CHANGED) return undefined;
      if (r !== OK) return this.inaccessible(r as FaultType);
    }

    this.pa = base + offsetIn(vaLo, hi, size);
    this.pas = pas;
    this.perms = clean && !write ? perms & ~PERM_WRITES : perms;
    if (r.e0pd) this.perms &= ~(Perm.UR | Perm.UW | Perm.UX);
    this.size1 = size;
    this.descriptor1 = this.descPa;
    this.sh = decodeShare(r.ds ? r.sh : lo >>> 8);
    this.attr = memoryType(c, (lo >>> 2) & 7);
    this.notGlobal = c.twoRanges && (this.nsTable || (lo & (1 << 11)) !== 0);
    this.guarded = this.features.bti && (top & Upper.GP) !== 0;
    return true;
  }

  /** Output PA space of a leaf (AArch64.S1NextWalkStateLeaf; rme-cpu facts, section 6). */
  private outputSpace(c: RegimeConfig, lo: number): Pas {
    const ns = (lo & (1 << 5)) !== 0;
    switch (this.tablePas) {
      case Security.Secure:
        return ns ? Security.NonSecure : Security.Secure;
      case Security.Root: {
        const pas = (((lo >>> 11) & 1) << 1) | (ns ? 1 : 0);
        return pas === Security.Secure && !this.features.secure ? Security.NonSecure : (pas as Pas);
      }
      case Security.Realm:
        return ns && c.regime !== Regime.EL10 ? Security.NonSecure : Security.Realm;
      default:
        return Security.NonSecure;
    }
  }
}

/** MAIR attribute for data accesses: Normal memory is Non-cacheable while SCTLR.C is 0. */
function memoryType(c: RegimeConfig, index: number): MemAttr {
  const a = c.mair[index] as MemAttr;
  return isDevice(a) || c.dataCache ? a : 0x44 | (a & XS);
}

/** Does the output space forbid execution at stage 1? Realm EL1&0 is judged at stage 2. */
function noExecute(c: RegimeConfig, state: Security, pas: Pas): boolean {
  switch (state) {
    case Security.Secure:
      return c.sif && pas === Security.NonSecure;
    case Security.Root:
      return pas !== Security.Root;
    case Security.Realm:
      return c.regime !== Regime.EL10 && pas !== Security.Realm;
    default:
      return false;
  }
}

/** The 2 MiB around an address, and the VA range that it is in. */
const pathKey = (vaLo: number, hi: number): number => (vaLo >>> 21) | (hi << 11);

/** VA bits above the input size differ from bit 55 (two ranges) or are not zero (AArch64.VAIsOutOfRange). */
function outOfRange(iaBits: number, lo: number, hi: number, upper: boolean): boolean {
  const sign = upper ? -1 : 0;
  if (iaBits >= 32) return hi >> (iaBits - 32) !== sign;
  return hi !== sign || lo >> iaBits !== sign;
}
