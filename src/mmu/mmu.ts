// The memory management unit of one PE: translation of accesses through the L2 TLB and table walks, filling the L1 TLBs that
// generated code reads, TLB maintenance and address translation instructions.

import { EMPTY_TLB, firstPlace, Off, secondPlace, TlbFlag } from "../arch/layout.ts";
import { type Pas, Security } from "../arch/security.ts";
import { type PeState, slot } from "../arch/state.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { Access, needed, Privilege } from "./access.ts";
import { type AtOp, atRaises, decodeAt, parOfFault, parOfResult, privilegeOf } from "./at.ts";
import { isDevice, type MemAttr, type Share } from "./attributes.ts";
import { ConfigCache, Context } from "./context.ts";
import type { TlbDomain } from "./domain.ts";
import { type Fault, makeFault } from "./fault.ts";
import type { MmuFeatures } from "./features.ts";
import { fetchPage, fetchTable, L1Set, L1Space, readTable, writeTable } from "./l1.ts";
import { GLOBAL, Info, L2Tlb, TAG_CONTEXT, TAG_CONTEXT_VMID, tagOf } from "./l2.ts";
import { P2 } from "./range.ts";
import { el2Enabled, Hcr, hostRegime, inHost, lowerSecurity, Regime, Scr } from "./regime.ts";
import { type GranuleCheck, offsetIn, type WalkObserver } from "./table.ts";
import { paOperand, rangeOperand, type Tlbi, TlbiOp, tlbiOf } from "./tlbi.ts";
import { canonicalHi, Purpose, Walker } from "./walker.ts";

/** What an L2 entry holds. Addresses are those of the first byte of the block. */
export interface CachedTranslation {
  /** log2 of the block. */
  size: number;
  pa: number;
  pas: Pas;
  ipa: number;
  /** Level of the stage 1 leaf. */
  level: number;
  /** Bits of `Perm`. */
  perms: number;
  attr: MemAttr;
  global: boolean;
  asid: number;
  vmid: number;
  /** Physical addresses of the stage 1 and stage 2 leaf descriptors, -1: stage off. */
  descriptor1: number;
  descriptor2: number;
  /** Physical address of the granule protection table entry that permitted the access, -1: unchecked or none needed. */
  gptEntry: number;
  /** Regime and Security state that the entry belongs to. */
  regime: Regime;
  security: Security;
}

export class Mmu {
  readonly st: PeState;
  readonly phys: PhysicalMemory;
  readonly features: MmuFeatures;
  readonly domain: TlbDomain;

  // ---- result of the last successful translate(), at() excluded
  /** Physical address and PA space. */
  pa = 0;
  pas: Pas = Security.NonSecure;
  /** Device memory type: misaligned accesses fault. */
  device = false;
  /** The page is guarded (GP): branch targets are checked. */
  guarded = false;
  /** Memory attributes (see attributes.ts), shareability. */
  attr: MemAttr = 0;
  sh: Share = 0;
  /** Result of the last translate() that returned false. */
  fault: Fault | undefined;
  /** L2 hits and walks so far, for statistics. */
  hits = 0;
  walks = 0;

  private readonly walker: Walker;
  private readonly l2 = new L2Tlb();
  private readonly l1Space: L1Space;
  private readonly contexts: (Context | undefined)[] = new Array(16).fill(undefined);
  private readonly configs: ConfigCache;
  /** Context of the current EL, and the privilege of its ordinary and its unprivileged (LDTR, STTR) accesses. */
  private current: Context;
  private privilege: Privilege = Privilege.Privileged;
  private unprivileged: Privilege = Privilege.User;
  /** Last entry used, for fillFetch. */
  private entry = -1;

  constructor(st: PeState, phys: PhysicalMemory, features: MmuFeatures, domain: TlbDomain) {
    this.st = st;
    this.phys = phys;
    this.features = features;
    this.domain = domain;
    this.walker = new Walker(st, phys, features);
    this.walker.table.onWrite = (pa) => domain.tableWritten(pa);
    this.l1Space = new L1Space(st);
    this.configs = new ConfigCache(() => {
      this.flushAll();
      for (const c of this.contexts) c?.forget();
    });
    this.l2.onDrop = (i) => this.dropL1(i);
    domain.mmus.push(this);
    this.current = this.context(Regime.EL3, Security.Root);
    this.contextChanged();
  }

  /** Granule protection check in front of every access (FEAT_RME). The PE sets it before use. */
  get granuleCheck(): GranuleCheck | undefined {
    return this.walker.table.granuleCheck;
  }
  set granuleCheck(g: GranuleCheck | undefined) {
    this.walker.table.granuleCheck = g;
  }
  /** Told of every descriptor that walks of this PE read; undefined: nobody. */
  set walkObserver(o: WalkObserver | undefined) {
    this.walker.table.observer = o;
  }

  /** Cold start: every TLB empty. Also after PhysicalMemory.clear(), which moves RAM. */
  reset(): void {
    this.flushAll();
    this.contextChanged();
  }
  /** Empties the L1 tables only: translations stay, and pages are asked about again (TlbDomain.allowWrite). */
  flushL1(): void {
    for (const c of this.contexts) c?.l1.purge();
  }
  flushAll(): void {
    this.l2.clear();
    this.walker.forget();
    for (const c of this.contexts) c?.l1.purge();
  }

  // ---- context -------------------------------------------------------------------------------------------------------

  private context(regime: Regime, security: Security): Context {
    const n = regime * 4 + security;
    let c = this.contexts[n];
    if (c === undefined) {
      c = new Context(this.st, this.features, this.configs, regime, security, new L1Set(this.st, this.l1Space));
      this.contexts[n] = c;
    }
    return c;
  }

  /** Translation regime of an Exception level in a security state (TranslationRegime()). */
  regimeOf(el: number, security: Security): Regime {
    if (el === 3) return Regime.EL3;
    if (el === 2) return hostRegime(this.st, this.features) ? Regime.EL20 : Regime.EL2;
    if (el === 1) return Regime.EL10;
    return inHost(this.st, this.features) && el2Enabled(this.st, this.features, security) ? Regime.EL20 : Regime.EL10;
  }

  /**
   * Anything that translation depends on may have changed: EL, PAN, UAO, or a system register. Selects the L1 tables of the
   * current context and removes from its L1 what no longer applies. Cheap when only EL or PAN changed.
   */
  contextChanged(): void {
    const st = this.st;
    const el = st.lo(Off.EL);
    const security = el === 3 ? Security.Root : lowerSecurity(st, this.features);
    const regime = this.regimeOf(el, security);
    const c = this.contexts[regime * 4 + security] ?? this.context(regime, security);
    c.refresh();
    this.current = c;
    this.entry = -1;

    let p: Privilege = Privilege.Privileged;
    if (el === 0) p = Privilege.User;
    else if (regime <= Regime.EL20 && st.lo(Off.PAN) !== 0 && this.features.pan) p = Privilege.PrivilegedPan;
    this.privilege = p;
    // LDTR and STTR act as at EL0 at EL1, and at EL2 with {E2H,TGE} = {1,1}, unless PSTATE.UAO is set.
    const demoted = (el === 1 || (el === 2 && inHost(this.st, this.features))) && st.lo(Off.UAO) === 0;
    const u = demoted ? Privilege.User : p;
    this.unprivileged = u;

    st.setLo(Off.TLB_R, c.l1.table(readTable[p]));
    st.setLo(Off.TLB_W, c.l1.table(writeTable[p]));
    st.setLo(Off.TLB_X, c.l1.table(fetchTable[p]));
    st.setLo(Off.TLB_UR, c.l1.table(readTable[u]));
    st.setLo(Off.TLB_UW, c.l1.table(writeTable[u]));
  }
  /** Until the context changes no instruction is found in the L1, so that the executor is asked before one executes. */
  fetchNothing(): void {
    this.st.setLo(Off.TLB_X, EMPTY_TLB);
  }

  // ---- translation ---------------------------------------------------------------------------------------------------

  /** Neither stage of the current context translates: all data accesses are to Device-nGnRnE memory. */
  get flat(): boolean {
    return this.current.config.flat;
  }

  /** Accesses are granule-checked: the TLB holds the answers, also for regimes that do not translate. */
  private get checked(): boolean {
    return this.walker.table.granuleCheck?.active === true;
  }

  /**
   * Translates an access of the current EL at virtual address {vaLo, vaHi}. True: the result fields hold, and for Normal memory in
   * RAM the L1 has the page. False: `fault` holds. `unprivileged`: LDTR, STTR.
   */
  translate(vaLo: number, vaHi: number, access: Access, unprivileged: boolean): boolean {
    const c = this.current;
    const config = c.config;
    const privilege = unprivileged ? this.unprivileged : this.privilege;
    const hi = canonicalHi(config, vaHi, access === Access.Fetch);
    if (!config.flat || this.checked) {
      const need = needed[privilege * 8 + access] as number;
      const i = this.l2.find(vaLo, hi, c.tag, c.asid);
      if (i >= 0) {
        if (((this.l2.perms[i] as number) & need) === need) {
          this.hits++;
          this.useEntry(i, vaLo, hi);
          this.fillData(vaLo, vaHi, access, privilege);
          return true;
        }
        // Not permitted: the tables decide, since the entry may be older and more restrictive, or the page still clean.
        return this.walk(c, vaLo, vaHi, hi, access, privilege, i);
      }
    }
    return this.walk(c, vaLo, vaHi, hi, access, privilege, -1);
  }

  /** Translates by walking; `outdated`: an entry that the result of a successful walk replaces, or -1. */
  private walk(c: Context, vaLo: number, vaHi: number, hi: number, access: Access, privilege: Privilege, outdated: number): boolean {
    const w = this.walker;
    this.walks++;
    if (!w.run(c.config, vaLo, hi, access, privilege, Purpose.Access)) {
      this.fault = makeFault(w.fault, vaLo, vaHi, { fetch: access === Access.Fetch, maintenance: access === Access.Maintain });
      return false;
    }
    if (!c.config.flat || this.checked) {
      if (outdated >= 0) this.l2.remove(outdated);
      this.useEntry(this.insert(c, vaLo, hi), vaLo, hi);
    } else {
      this.entry = -1;
      this.pa = w.pa;
      this.pas = w.pas;
      // Stage 1 off: data is Device-nGnRnE, instructions are Normal.
      this.device = access !== Access.Fetch;
      this.guarded = false;
      this.attr = w.attr;
      this.sh = w.sh;
    }
    this.fillData(vaLo, vaHi, access, privilege);
    return true;
  }

  /** The cached translation of an address in the current context, for explanations and debuggers; undefined when none is cached. */
  inspect(vaLo: number, vaHi: number): CachedTranslation | undefined {
    const c = this.current;
    const l2 = this.l2;
    const i = l2.find(vaLo, canonicalHi(c.config, vaHi, false), c.tag, c.asid);
    if (i < 0) return undefined;
    const info = l2.info[i] as number;
    return {
      size: l2.size[i] as number,
      pa: l2.pa[i] as number,
      pas: ((info >>> Info.PAS_SHIFT) & 3) as Pas,
      ipa: l2.ipa[i] as number,
      level: (info >>> Info.LEVEL_SHIFT) - 1,
      perms: l2.perms[i] as number,
      attr: info & Info.ATTR,
      global: l2.asid[i] === GLOBAL,
      asid: c.asid,
      vmid: c.vmid,
      descriptor1: l2.descriptor1[i] as number,
      descriptor2: l2.descriptor2[i] as number,
      gptEntry: l2.gptEntry[i] as number,
      regime: c.regime,
      security: c.security,
    };
  }

  /** Puts the walker's result into the L2. */
  private insert(c: Context, vaLo: number, hi: number): number {
    const { walker: w, l2 } = this;
    const i = l2.insert(vaLo, hi, w.size, w.size1, c.tag, w.notGlobal ? c.asid : GLOBAL);
    const unit = P2[w.size] as number;
    l2.size2[i] = w.size2;
    l2.perms[i] = w.perms;
    l2.info[i] =
      w.attr |
      (w.pas << Info.PAS_SHIFT) |
      (w.guarded ? Info.GUARDED : 0) |
      (isDevice(w.attr) ? Info.DEVICE : 0) |
      (w.sh << Info.SH_SHIFT) |
      ((w.level + 1) << Info.LEVEL_SHIFT);
    l2.setPa(i, Math.floor(w.pa / unit) * unit);
    l2.ipa[i] = Math.floor(w.ipa / unit) * unit;
    l2.ipaSpace[i] = w.ipaSpace;
    l2.descriptor1[i] = w.descriptor1;
    l2.descriptor2[i] = w.descriptor2;
    l2.gptEntry[i] = w.gptEntry;
    return i;
  }

  /** Sets the result fields from an L2 entry. */
  private useEntry(i: number, vaLo: number, hi: number): void {
    const l2 = this.l2;
    const info = l2.info[i] as number;
    this.entry = i;
    this.pa = (l2.pa[i] as number) + offsetIn(vaLo, hi, l2.size[i] as number);
    this.pas = ((info >>> Info.PAS_SHIFT) & 3) as Pas;
    this.device = (info & Info.DEVICE) !== 0;
    this.guarded = (info & Info.GUARDED) !== 0;
    this.attr = info & Info.ATTR;
    this.sh = ((info >>> Info.SH_SHIFT) & 3) as Share;
  }

  /**
   * Fills the L1 after a data access to RAM. Device memory is kept out, since only aligned accesses to it are allowed; unless all data of
   * the regime is Device memory because nothing translates: then the PE's alignment control keeps misaligned accesses on the slow path.
   */
  private fillData(vaLo: number, vaHi: number, access: Access, privilege: Privilege): void {
    if ((this.device && !this.flat) || access === Access.Fetch) return;
    const i = this.entry; // -1: neither translated nor checked
    const offset = vaLo & 0xfff;
    if (access === Access.Maintain && !this.readable(i, privilege)) return;
    const write = access !== Access.Read && access !== Access.Maintain;
    const host = this.phys.hostIn(this.pa - offset, this.pas, write);
    if (host === 0) return;
    if (write) {
      // Atomics use the write table: it holds only pages that may also be read.
      const both = needed[privilege * 8 + Access.ReadWrite] as number;
      if (i >= 0 && ((this.l2.perms[i] as number) & both) !== both) return;
      if (!this.domain.allowWrite(this.pa - offset)) return;
      this.domain.noteWritable(host, this.st.index, firstPlace(vaLo), secondPlace(vaLo, vaHi));
    }
    if (i >= 0) this.l2.inL1[i] = 1;
    const table = write ? writeTable[privilege] : readTable[privilege];
    this.current.l1.fill(table, vaLo, vaHi, (host - (vaLo & ~0xfff)) >>> 0, i >= 0 ? this.scope(i) : 0);
  }

  /** Cache maintenance, which needs no permission and touches no memory, may fill the L1 for reads as long as that changes nothing. */
  private readable(i: number, privilege: Privilege): boolean {
    const read = needed[privilege * 8 + Access.Read] as number;
    return (i < 0 || ((this.l2.perms[i] as number) & read) === read) && !this.phys.isBlank(this.pa);
  }

  /**
   * After a successful fetch translation of {vaLo, vaHi}: fetches from its page run from the predecoded page at absolute offset
   * `page`.
   */
  fillFetch(vaLo: number, vaHi: number, page: number): void {
    const c = this.current;
    const table = fetchTable[this.privilege];
    if (c.config.flat && !this.checked) {
      c.l1.fill(table, vaLo, vaHi, page, 0);
      return;
    }
    const i = this.l2.find(vaLo, canonicalHi(c.config, vaHi, true), c.tag, c.asid);
    // Gone already: the next fetch translates again.
    if (i < 0) return;
    this.l2.inL1[i] = 1;
    const guarded = ((this.l2.info[i] as number) & Info.GUARDED) !== 0 ? TlbFlag.GUARDED : 0;
    c.l1.fill(table, vaLo, vaHi, page, guarded | this.scope(i));
  }
  /** TlbFlag.NOT_GLOBAL, or 0. */
  private scope(i: number): number {
    return this.l2.asid[i] === GLOBAL ? 0 : TlbFlag.NOT_GLOBAL;
  }

  /** Is the page that the PE executes still in the fetch TLB? Then no TLB maintenance since has touched its translation. */
  get fetchStands(): boolean {
    const { st } = this;
    return fetchPage(st.u32, st.lo(Off.TLB_X), st.lo(Off.PC), st.hi(Off.PC)) !== undefined;
  }

  /** Keeps the L1 a subset of the L2. What belongs to another ASID than the current one left the L1 when that changed. */
  private dropL1(i: number): void {
    const l2 = this.l2;
    const c = this.contexts[((l2.tag[i] as number) >>> 16) & 15];
    const asid = l2.asid[i] as number;
    if (c === undefined || (asid !== GLOBAL && asid !== c.asid)) return;
    c.l1.dropBlock(l2.lo[i] as number, l2.hi[i] as number, l2.size[i] as number);
  }

  /** Writes to the 4 KiB host page at absolute offset `host` take the slow path from now on. See TlbDomain.dropWrites, L1Set.dropWrites. */
  dropWritesTo(host: number, first: number, second: number): void {
    for (const c of this.contexts) c?.l1.dropWrites(host, first, second);
  }
  /** Forgets fetch entries that point to a predecoded page. */
  dropFetch(page: number): void {
    for (const c of this.contexts) c?.l1.dropFetch(page);
  }

  // ---- TLB maintenance -----------------------------------------------------------------------------------------------

  /** TLBI instruction (op0 = 1, CRn = 8 or 9) of this PE with operand `value`. Encodings that do not exist do nothing. */
  tlbi(op1: number, CRn: number, CRm: number, op2: number, value: bigint): void {
    this.tlbiWords(op1, CRn, CRm, op2, Number(value & 0xffff_ffffn), Number((value >> 32n) & 0xffff_ffffn));
  }
  /** The same, with the operand as two words. */
  tlbiWords(op1: number, CRn: number, CRm: number, op2: number, lo: number, hi: number): void {
    const t = tlbiOf(op1, CRn, CRm, op2);
    if (t === undefined) return;
    const el = this.st.el;
    const security = t.el === 3 ? Security.Root : lowerSecurity(this.st, this.features);
    const regime = this.tlbiRegime(t, el, security);
    const c = this.context(regime, security);
    c.refresh();
    // HCR_EL2.FB makes the local operations of EL1 broadcast.
    const forced = el === 1 && el2Enabled(this.st, this.features, security) && (this.st.lo(slot.HCR_EL2) & Hcr.FB) !== 0;
    const everywhere = t.broadcast || forced;
    if (!t.range && (t.op === TlbiOp.Va || t.op === TlbiOp.Vaa)) {
      this.tlbiPage(t, c, lo, hi, everywhere);
      return;
    }
    const apply = this.invalidation(t, c, (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0));
    if (apply === undefined) return;
    if (!everywhere) apply(this.l2, this);
    else for (const m of this.domain.mmus) apply(m.l2, m);
  }
  /** What TLBI RPALOS does for [start, end): multiples of the physical granule. All PEs. */
  invalidatePa(start: number, end: number): void {
    for (const m of this.domain.mmus) m.dropPa(start, end);
  }
  private dropPa(start: number, end: number): void {
    this.walker.forgetPa(start, end);
    this.l2.removePa(start, end);
  }
  /** By one address, which kernels do most: VA[55:12] in bits 43:0 of the operand, the ASID in 63:48. One-range regimes have none. */
  private tlbiPage(t: Tlbi, c: Context, lo: number, hi: number, everywhere: boolean): void {
    const tag = tagOf(0, c.number, c.vmid);
    const asid = t.op === TlbiOp.Vaa || c.regime >= Regime.EL2 ? -1 : (hi >>> 16) & c.config.asidMask;
    const vaLo = lo << 12;
    const vaHi = (((lo >>> 20) | (hi << 12)) << 8) >> 8; // canonical by bit 55
    if (!everywhere) this.l2.removeVa(vaLo, vaHi, tag, asid);
    else for (const m of this.domain.mmus) m.l2.removeVa(vaLo, vaHi, tag, asid);
  }

  /** Regime an operation acts on: at EL2 and EL3 with {E2H,TGE} = {1,1} the EL1 operations mean EL2&0; stage 2 ones never do. */
  private tlbiRegime(t: Tlbi, el: number, security: Security): Regime {
    if (t.el === 3) return Regime.EL3;
    if (t.el === 2) return hostRegime(this.st, this.features) ? Regime.EL20 : Regime.EL2;
    const stage1 = t.op === TlbiOp.Va || t.op === TlbiOp.Vaa || t.op === TlbiOp.Asid || (t.op === TlbiOp.Vmall && !t.stage12);
    const host = stage1 && el >= 2 && inHost(this.st, this.features) && el2Enabled(this.st, this.features, security);
    return host ? Regime.EL20 : Regime.EL10;
  }

  /** The work of one operation on one PE's L2 (the L1 follows), with the operand decoded once. */
  private invalidation(t: Tlbi, c: Context, value: bigint): ((l2: L2Tlb, m: Mmu) => void) | undefined {
    const tag = tagOf(0, c.number, c.vmid);
    const asid = (): number => Number(value >> 48n) & c.config.asidMask;
    switch (t.op) {
      case TlbiOp.Asid: {
        const which = asid();
        return (l2) => l2.removeAsid(tag, which);
      }
      case TlbiOp.Vmall:
        return (l2, m) => {
          m.walker.forget();
          l2.removeContext(tag, TAG_CONTEXT_VMID);
        };
      case TlbiOp.All:
        return (l2, m) => {
          m.walker.forget();
          l2.removeContext(tag, TAG_CONTEXT);
        };
      case TlbiOp.Va:
      case TlbiOp.Vaa:
        // One-range regimes have no ASID.
        return this.byRange(c, tag, t.op === TlbiOp.Vaa || c.regime >= Regime.EL2 ? -1 : asid(), value);
      case TlbiOp.Ipa:
        return this.byIpa(t, c, tag, value);
      case TlbiOp.PaAll:
        return (_l2, m) => m.flushAll();
      case TlbiOp.PaRange: {
        const r = paOperand(value, this.granuleCheck?.granuleLog2 ?? 0);
        if (r === undefined) return undefined;
        return (_l2, m) => m.dropPa(r.start, r.end);
      }
    }
  }

  private byRange(c: Context, tag: number, asid: number, value: bigint): ((l2: L2Tlb) => void) | undefined {
    const r = rangeOperand(value, c.config.largeVa, true);
    return r === undefined ? undefined : (l2) => removeRange(l2, r.start, r.end, tag, asid);
  }

  private byIpa(t: Tlbi, c: Context, tag: number, value: bigint): ((l2: L2Tlb, m: Mmu) => void) | undefined {
    if (!el2Enabled(this.st, this.features, c.security)) return undefined;
    // Secure state: Xt.NS selects the IPA space.
    const space = c.security === Security.Secure && (value & (1n << 63n)) !== 0n ? Security.NonSecure : c.security;
    const start = Number(value & 0xff_ffff_ffffn) * 4096;
    const r = t.range ? rangeOperand(value, c.config.largeIpa, false) : { start, end: start + 4096 };
    if (r === undefined) return undefined;
    return (l2, m) => {
      m.walker.forget();
      l2.removeIpa(r.start, r.end, space, tag);
    };
  }

  // ---- address translation instructions ------------------------------------------------------------------------------

  /**
   * AT instruction (op0 = 1, CRn = 7) of this PE: writes PAR_EL1. Returns a fault only where the instruction itself raises an
   * exception; PAR_EL1 is then unchanged. Encodings that do not exist do nothing.
   */
  at(op1: number, CRm: number, op2: number, va: bigint): Fault | undefined {
    const op = decodeAt(op1, CRm, op2);
    if (op === undefined) return undefined;
    const st = this.st;
    const el = st.el;
    const security = op.el === 3 ? Security.Root : lowerSecurity(st, this.features);
    const c = this.context(this.atRegime(op, security), security);
    c.refresh();
    const lo = Number(va & 0xffff_ffffn) | 0;
    const hi = Number((va >> 32n) & 0xffff_ffffn) | 0;
    const both = op.bothStages && el2Enabled(st, this.features, security);
    const w = this.walker;
    const privilege = privilegeOf(op, this.features.pan && st.lo(Off.PAN) !== 0);
    if (w.run(c.config, lo, canonicalHi(c.config, hi, false), op.access, privilege, both ? Purpose.At : Purpose.AtStage1)) {
      const { pa, pas, attr, sh } = w;
      st.set(slot.PAR_EL1, parOfResult({ pa, pas, attr, sh, regime: c.regime, security, bothStages: both, rme: this.features.rme }));
      return undefined;
    }
    const fault = makeFault(w.fault, lo, hi, { fetch: false, maintenance: true });
    const scrGpf = (st.hi(slot.SCR_EL3) & Scr.GPF_HI) !== 0;
    const hcrGpf = (st.hi(slot.HCR_EL2) & Hcr.GPF_HI) !== 0;
    if (atRaises(fault, { el, op, scrGpf, hcrGpf })) return fault;
    st.set(slot.PAR_EL1, parOfFault(fault));
    return undefined;
  }

  private atRegime(op: AtOp, security: Security): Regime {
    if (op.el === 3) return Regime.EL3;
    if (op.el === 2) return hostRegime(this.st, this.features) ? Regime.EL20 : Regime.EL2;
    if (op.bothStages) return Regime.EL10;
    return inHost(this.st, this.features) && el2Enabled(this.st, this.features, security) ? Regime.EL20 : Regime.EL10;
  }
}

/** Small ranges probe page by page, large ones look at every entry. */
function removeRange(l2: L2Tlb, start: number, end: number, tag: number, asid: number): void {
  if ((end - start) / 4096 > 64) {
    l2.removeVaRange(start, end, tag, asid);
    return;
  }
  for (let va = start; va < end; va += 4096) l2.removeVa(va | 0, Math.floor(va / 4294967296) | 0, tag, asid);
}
