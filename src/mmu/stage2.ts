// Stage 2 walk: IPA to PA (Arm ARM D8.2.12; AArch64.S2Translate, S2Walk). Checks stand in architected priority order.

import { type Pas, Security } from "../arch/security.ts";
import type { PeState } from "../arch/state.ts";
import { PERM_READS, PERM_WRITES, Perm } from "./access.ts";
import { stage2Device } from "./attributes.ts";
import { FaultType, type WalkFault } from "./fault.ts";
import { stage2Perms, Upper } from "./permissions.ts";
import { P2 } from "./range.ts";
import type { Stage2Config } from "./stage2-config.ts";
import { addressIn, alignDown, CHANGED, contiguousLog2, isLeaf, isTable, levelSize, OK, type TableMemory, tableBase } from "./table.ts";
import { TablePaths } from "./table-paths.ts";

export const AF = 1 << 10;
const S2AP_WRITE = 1 << 7;
/** How often a walk starts over because a descriptor changed under its update. Aliased tables could make it endless. */
export const MAX_RETRIES = 4;

/** Pages of stage 1 tables whose translation is remembered. */
const KNOWN = 512;
const PAGE = 4096;
/** What one path is good for: the memory that a table of level 3 maps. */
const PATH = 2 ** 21;

/**
 * Stage 2 translations of pages that stage 1 descriptors were read from, as a TLB may keep them: a walk would read four descriptors of
 * stage 2 for each one of stage 1, and most walks read the same few. What holds of a granule protection check is not kept: the page
 * itself is checked at each access.
 */
class TablePages {
  private readonly ipa = new Float64Array(KNOWN).fill(-1);
  private readonly oa = new Float64Array(KNOWN);
  private readonly pas = new Uint8Array(KNOWN);
  private config: Stage2Config | undefined;
  private ttbrLo = 0;
  private ttbrHi = 0;
  private used = false;

  clear(): void {
    if (!this.used) return;
    this.used = false;
    this.ipa.fill(-1);
  }
  /** Another configuration, other tables or another VMID: nothing that is known applies. */
  private select(c: Stage2Config, st: PeState): void {
    const lo = st.lo(c.ttbr);
    const hi = st.hi(c.ttbr);
    if (this.config === c && this.ttbrLo === lo && this.ttbrHi === hi) return;
    this.config = c;
    this.ttbrLo = lo;
    this.ttbrHi = hi;
    this.clear();
  }
  /** Slot that knows the page of `ipa`, or -1. */
  find(c: Stage2Config, st: PeState, ipa: number): number {
    this.select(c, st);
    const page = Math.floor(ipa / PAGE);
    const slot = page % KNOWN;
    return this.ipa[slot] === page ? slot : -1;
  }
  add(ipa: number, oa: number, pas: Pas): void {
    const page = Math.floor(ipa / PAGE);
    const slot = page % KNOWN;
    this.used = true;
    this.ipa[slot] = page;
    this.oa[slot] = oa - (oa % PAGE);
    this.pas[slot] = pas;
  }
  address(slot: number, ipa: number): number {
    return (this.oa[slot] as number) + (ipa % PAGE);
  }
  space(slot: number): Pas {
    return this.pas[slot] as Pas;
  }
}

/** One stage 2 translation; results stay valid until the next. */
export class Stage2Walker {
  /** Output address of the IPA, and its PA space. */
  oa = 0;
  oaPas: Pas = 0;
  /** log2 of the leaf (contiguous set included). */
  size = 0;
  /** Permissions to cache: writes left out while the descriptor is clean. */
  perms = 0;
  /** MemAttr[3:0], SH, FnXS of the leaf. */
  memAttr = 0;
  sh = 0;
  fnxs = false;
  /** Physical address of the leaf descriptor. */
  descriptor = 0;

  private level = 0;
  private lo = 0;
  private hi = 0;
  private readonly st: PeState;
  private readonly table: TableMemory;
  private readonly fault: WalkFault;
  private readonly tables = new TablePages();
  private readonly paths: TablePaths;

  constructor(st: PeState, table: TableMemory, fault: WalkFault) {
    this.st = st;
    this.table = table;
    this.fault = fault;
    this.paths = new TablePaths(st, table);
  }

  /** A TLB maintenance operation concerns stage 2 or granule protection. */
  forget(): void {
    this.tables.clear();
    this.paths.clear();
  }
  /** The same, granule protection of some memory only. True: of a table of stage 2. */
  forgetPa(start: number, end: number): boolean {
    if (!this.paths.clearPa(start, end)) return false;
    this.tables.clear();
    return true;
  }

  /** As `translate`, for the read of a stage 1 descriptor: only `oa` and `oaPas` are set. */
  ofDescriptor(c: Stage2Config, ipa: number, space: Pas): boolean {
    const { tables, table, fault } = this;
    // Whoever watches the walk sees all of it; one that leaves no trace remembers nothing.
    if (table.observer !== undefined || table.dry) return this.translate(c, ipa, space, Perm.PR, true, true);
    const slot = tables.find(c, this.st, ipa);
    if (slot < 0) {
      if (!this.translate(c, ipa, space, Perm.PR, true, true)) return false;
      tables.add(ipa, this.oa, this.oaPas);
      return true;
    }
    fault.ipa = ipa;
    fault.ipaSpace = space;
    this.oa = tables.address(slot, ipa);
    this.oaPas = tables.space(slot);
    return true;
  }

  /**
   * Translates `ipa`. `need`: permissions required (bits of `Perm`); `walk`: the access is a stage 1 descriptor access;
   * `dirty`: a write may set the dirty state. False: the fault is in the WalkFault.
   */
  translate(c: Stage2Config, ipa: number, space: Pas, need: number, walk: boolean, dirty: boolean): boolean {
    const f = this.fault;
    f.ipa = ipa;
    f.ipaSpace = space;
    f.s1ptw = walk;
    // VTCR.{T0SZ,SL0} invalid or inconsistent; IPA out of range: level 0 translation faults.
    if (c.invalid || ipa >= (P2[c.iaBits] as number)) return f.set(FaultType.Translation, 0, 2);
    for (let i = 0; i < MAX_RETRIES; i++) {
      if (!this.descend(c, ipa)) return false;
      const done = this.leaf(c, ipa, need, walk, dirty);
      if (done !== undefined) return done;
    }
    return f.set(FaultType.HardwareUpdate, this.level, 2);
  }

  /** Finds the leaf, {lo, hi}, level, descriptor: in the table that is known to hold it, or from the first table on. */
  private descend(c: Stage2Config, ipa: number): boolean {
    if (c.granule !== 12 || c.ee || !this.table.plain) return this.follow(c, ipa, false);
    const slot = this.paths.find(Math.floor(ipa / PATH), c, c.ttbr, undefined);
    if (slot >= 0) {
      const found = this.resume(c, ipa, slot);
      if (found !== undefined) return found;
    }
    return this.follow(c, ipa, true);
  }
  /** Reads the leaf from the table at the end of a known path. Undefined: a table descriptor is there now. */
  private resume(c: Stage2Config, ipa: number, slot: number): boolean | undefined {
    const { paths } = this;
    const { i32 } = this.table;
    const level = paths.level[slot] as number;
    const index = indexOf(c, ipa, level);
    const at = (paths.word[slot] as number) + 2 * index;
    const lo = i32[at] as number;
    if (isTable(lo, level)) return undefined;
    return this.found(c, level, lo, i32[at + 1] as number, (paths.pa[slot] as number) + 8 * index);
  }
  /** The descriptor at `pa` leads to no table: it has to be a valid leaf. */
  private found(c: Stage2Config, level: number, lo: number, hi: number, pa: number): boolean {
    this.level = level;
    this.lo = lo;
    this.hi = hi;
    this.descriptor = pa;
    return isLeaf(c, lo, level) || this.fault.set(FaultType.Translation, level, 2);
  }

  /** Follows table descriptors down to the leaf. `note`: the way may be remembered. */
  private follow(c: Stage2Config, ipa: number, note: boolean): boolean {
    const f = this.fault;
    const { paths } = this;
    let base = tableBase(c, this.st.lo(c.ttbr), this.st.hi(c.ttbr));
    // D8.2.5: base beyond the output size.
    if (base >= c.oaLimit) return f.set(FaultType.AddressSize, 0, 2);
    let noted = note;
    if (noted) paths.begin();
    for (let level = c.startLevel; ; level++) {
      const index = indexOf(c, ipa, level);
      const at = base + index * 8;
      paths.note(at);
      const r = this.table.read(at, c.walkPas, c.ee, 2, level);
      if (r !== OK) return this.unreadable(r as FaultType, level, at, c.walkPas);
      noted &&= this.table.inRam(at);
      const lo = this.table.lo;
      const hi = this.table.hi;
      if (!isTable(lo, level)) {
        if (noted) paths.end(level, at, index);
        return this.found(c, level, lo, hi, at);
      }
      if (noted) paths.step(this.table.at, lo, hi);
      base = addressIn(lo, hi, c.granule, c.wide);
      if (base >= c.oaLimit) return f.set(FaultType.AddressSize, level, 2);
    }
  }

  private unreadable(type: FaultType, level: number, pa: number, pas: Pas): false {
    this.fault.gpc = type === FaultType.GranuleOnWalk ? this.table.gpc : 0;
    this.fault.pa = pa;
    this.fault.pas = pas;
    return this.fault.set(type, level, 2);
  }

  /** Checks the leaf, manages AF and dirty state, sets the results. Undefined: the descriptor changed meanwhile, walk again. */
  private leaf(c: Stage2Config, ipa: number, need: number, walk: boolean, dirty: boolean): boolean | undefined {
    const { level, lo, hi } = this;
    const f = this.fault;
    const contiguous = (hi & Upper.CONTIGUOUS) !== 0 ? contiguousLog2(c.granule, level) : 0;
    const size = levelSize(c, level) + contiguous;
    // A contiguous set larger than the input range: translation fault (AArch64.ContiguousBitFaults, our choice).
    if (contiguous !== 0 && size > c.iaBits) return f.set(FaultType.Translation, level, 2);
    const base = alignDown(addressIn(lo, hi, levelSize(c, level), c.wide), size);
    if (base >= c.oaLimit) return f.set(FaultType.AddressSize, level, 2);
    if ((lo & AF) === 0 && !c.ha) return f.set(FaultType.AccessFlag, level, 2);

    const pas = c.realm && (hi & Upper.NS_S2) !== 0 ? Security.NonSecure : c.outPas;
    const memAttr = (lo >>> 2) & 15;
    const dbm = c.hd && (hi & Upper.DBM) !== 0;
    let s2ap = (lo >>> 6) & 3;
    const clean = dbm && (s2ap & 2) === 0;
    if (dbm) s2ap |= 2;
    let perms = stage2Perms(s2ap, hi, c.xnx);
    const foreign = c.realm && pas !== Security.Realm;
    // Realm state does not execute from another PA space.
    if (foreign) perms &= ~(Perm.UX | Perm.PX);
    if (!this.permitted(c, perms, need, walk, foreign, memAttr)) return f.set(FaultType.Permission, level, 2);

    let newLo = lo | AF;
    const write = dirty && (need & PERM_WRITES) !== 0;
    if (dbm && write) newLo |= S2AP_WRITE;
    if (newLo !== lo) {
      const r = this.table.update(this.descriptor, c.walkPas, lo, hi, newLo, c.ee);
      if (r === CHANGED) return undefined;
      if (r !== OK) return this.unreadable(r as FaultType, level, this.descriptor, c.walkPas);
    }

    this.oa = base + (ipa - alignDown(ipa, size));
    this.oaPas = pas;
    this.size = size;
    this.perms = clean && !write ? perms & ~PERM_WRITES : perms;
    this.memAttr = memAttr;
    this.sh = c.ds ? c.sh : (lo >>> 8) & 3;
    this.fnxs = c.xs && (lo & (1 << 11)) !== 0;
    return true;
  }

  /** AArch64.S2CheckPermissions. Sets WnR of the fault. */
  private permitted(c: Stage2Config, perms: number, need: number, walk: boolean, foreign: boolean, memAttr: number): boolean {
    // Stage 1 walks: not through Device memory with HCR_EL2.PTW, not outside the Realm PA space in Realm state.
    if (walk && ((c.ptw && stage2Device(memAttr, c.fwb)) || foreign)) return false;
    const missing = need & ~perms;
    if (missing === 0) return true;
    // WnR of the original access stays for walks; otherwise a missing read permission reports a read.
    if (!walk) this.fault.write = (missing & PERM_READS) === 0 && (missing & PERM_WRITES) !== 0;
    return false;
  }
}

/** Index of the descriptor for `ipa` in a table of `level`. The first table may be up to 16 concatenated ones: all bits up to the input size. */
function indexOf(c: Stage2Config, ipa: number, level: number): number {
  const n = Math.floor(ipa / (P2[levelSize(c, level)] as number));
  return level === c.startLevel ? n : n & ((1 << c.stride) - 1);
}
