// Stage 2 walk: IPA to PA (Arm ARM D8.2.12; AArch64.S2Translate, S2Walk). Checks stand in architected priority order.

import { type Pas, Security } from "../arch/security.ts";
import type { PeState } from "../arch/state.ts";
import { PERM_READS, PERM_WRITES, Perm } from "./access.ts";
import { stage2Device } from "./attributes.ts";
import { FaultType, type WalkFault } from "./fault.ts";
import { stage2Perms, Upper } from "./permissions.ts";
import { P2 } from "./range.ts";
import type { Stage2Config } from "./stage2-config.ts";
import { addressIn, alignDown, CHANGED, contiguousLog2, levelSize, OK, type TableMemory, tableBase } from "./table.ts";

export const AF = 1 << 10;
const S2AP_WRITE = 1 << 7;
/** How often a walk starts over because a descriptor changed under its update. Aliased tables could make it endless. */
export const MAX_RETRIES = 4;

/** Pages of stage 1 tables whose translation is remembered. */
const KNOWN = 512;
/** Bits of the filter of stage 2 tables that were read for them. */
const READ = 4096;
const PAGE = 4096;

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
  /** By page number: a stage 2 table there may have been read since the last clear(). */
  private readonly read = new Uint8Array(READ);
  private used = false;

  clear(): void {
    if (!this.used) return;
    this.used = false;
    this.ipa.fill(-1);
    this.read.fill(0);
  }
  /** A stage 2 descriptor at `pa` was read. */
  note(pa: number): void {
    this.used = true;
    this.read[Math.floor(pa / PAGE) % READ] = 1;
  }
  /** The granule protection of [start, end) is to be asked about again. */
  clearPa(start: number, end: number): void {
    if (end - start > READ * PAGE) this.clear();
    else for (let pa = start; pa < end; pa += PAGE) if (this.read[Math.floor(pa / PAGE) % READ] !== 0) this.clear();
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

  constructor(st: PeState, table: TableMemory, fault: WalkFault) {
    this.st = st;
    this.table = table;
    this.fault = fault;
  }

  /** A TLB maintenance operation concerns stage 2 or granule protection. */
  forget(): void {
    this.tables.clear();
  }
  /** The same, granule protection of some memory only. */
  forgetPa(start: number, end: number): void {
    this.tables.clearPa(start, end);
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

  /** Follows table descriptors down to the leaf: {lo, hi}, level, descriptor. */
  private descend(c: Stage2Config, ipa: number): boolean {
    const f = this.fault;
    let base = tableBase(c, this.st.lo(c.ttbr), this.st.hi(c.ttbr));
    // The first table may be up to 16 concatenated ones: its index takes all bits up to the input size.
    let index = Math.floor(ipa / (P2[levelSize(c, c.startLevel)] as number));
    // D8.2.5: base beyond the output size.
    if (base >= c.oaLimit) return f.set(FaultType.AddressSize, 0, 2);
    for (let level = c.startLevel; ; level++) {
      const at = base + index * 8;
      this.tables.note(at);
      const r = this.table.read(at, c.walkPas, c.ee, 2, level);
      if (r !== OK) return this.unreadable(r as FaultType, level, at, c.walkPas);
      const lo = this.table.lo;
      const hi = this.table.hi;
      if ((lo & 1) === 0) return f.set(FaultType.Translation, level, 2);
      if (level === 3 || (lo & 2) === 0) {
        // 0b01 is reserved at level 3, and where the granule has no blocks.
        if (level === 3 ? (lo & 2) === 0 : level < c.minBlockLevel) return f.set(FaultType.Translation, level, 2);
        this.level = level;
        this.lo = lo;
        this.hi = hi;
        this.descriptor = at;
        return true;
      }
      base = addressIn(lo, hi, c.granule, c.wide);
      if (base >= c.oaLimit) return f.set(FaultType.AddressSize, level, 2);
      index = Math.floor(ipa / (P2[levelSize(c, level + 1)] as number)) % (P2[c.stride] as number);
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
