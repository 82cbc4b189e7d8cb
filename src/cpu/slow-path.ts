// Data accesses that generated code does not finish itself: L1 TLB misses, misaligned and page-crossing accesses, devices,
// pages with predecoded code.

import { Align, Off } from "../arch/layout.ts";
import type { Pas } from "../arch/security.ts";
import { BUS_ERROR, type PhysicalMemory, type Requester } from "../mem/physical.ts";
import { Access } from "../mmu/access.ts";
import { type Fault, FaultType } from "../mmu/fault.ts";
import type { CodePages } from "./code-pages.ts";
import { accessBytes, Kind } from "./emit/access.ts";
import type { Pe } from "./pe.ts";
import { sctlrSlot } from "./sysreg-context.ts";

/** An access answered by an exception. */
export const REDIRECTED = -1;

/** A translated piece of an access: within one page. */
interface Piece {
  pa: number;
  pas: Pas;
  bytes: number;
  /** Offset in linear memory; 0: not RAM. */
  host: number;
}

/** An access that reads and writes. A store-exclusive is for faults a write. */
const isAtomic = (kind: number): boolean => (kind & (Kind.ATOMIC | Kind.EXCLUSIVE)) === Kind.ATOMIC;

export class SlowPath {
  private readonly phys: PhysicalMemory;
  private readonly code: CodePages;
  /** Where the store in VAL goes. */
  private pending: Piece[] = [];
  private readonly who: Requester = { pas: 0, pe: 0 };
  /** Watchpoints are armed: every access comes here. */
  watching = false;

  private readonly written: (pa: number, bytes: number) => void;

  /** `written` is told of every write that generated code is about to do to RAM on behalf of the slow path. */
  constructor(phys: PhysicalMemory, code: CodePages, written: (pa: number, bytes: number) => void) {
    this.phys = phys;
    this.code = code;
    this.written = written;
  }

  /** Address in linear memory at which generated code does the access, the VAL buffer included; or REDIRECTED. */
  access(pe: Pe, kind: number): number {
    const { st } = pe;
    const lo = st.lo(Off.VA);
    const hi = st.hi(Off.VA);
    const bytes = accessBytes(kind);
    const misaligned = this.misaligned(kind, lo, bytes);
    if (misaligned && ((st.lo(Off.ALIGN) & Align.CHECKED) !== 0 || this.crossesUnit(pe, kind, lo, bytes)))
      return this.abort(pe, kind, FaultType.Alignment);
    if (this.watching && this.watched(pe, kind, bytes)) return REDIRECTED;
    const inPage = 4096 - (lo & 0xfff);
    const first = this.translate(pe, kind, lo, hi, Math.min(bytes, inPage), misaligned);
    if (!first) return REDIRECTED;
    if (bytes <= inPage && first.host !== 0) return first.host;
    if (bytes <= inPage) return this.device(pe, kind, [first]);
    const nextLo = (lo + inPage) >>> 0;
    const second = this.translate(pe, kind, nextLo, nextLo < lo ? (hi + 1) >>> 0 : hi, bytes - inPage, misaligned);
    return second ? this.device(pe, kind, [first, second]) : REDIRECTED;
  }

  /**
   * Like access, but without any effect on the guest: for translated code, which leaves everything but plain RAM to the
   * interpreter. REDIRECTED: not plain RAM, or a fault.
   */
  probe(pe: Pe, kind: number, allowWrite: (pa: number) => boolean): number {
    const { st, mmu } = pe;
    const lo = st.lo(Off.VA);
    const hi = st.hi(Off.VA);
    const bytes = accessBytes(kind);
    const misaligned = this.misaligned(kind, lo, bytes);
    if ((lo & 0xfff) + bytes > 4096) return REDIRECTED;
    if (misaligned && (st.lo(Off.ALIGN) !== 0 || this.crossesUnit(pe, kind, lo, bytes))) return REDIRECTED;
    const write = (kind & Kind.STORE) !== 0 || isAtomic(kind);
    const access = isAtomic(kind) ? Access.ReadWrite : kind & Kind.STORE ? Access.Write : Access.Read;
    if (!mmu.translate(lo, hi, access, (kind & Kind.UNPRIVILEGED) !== 0)) return REDIRECTED;
    if (mmu.device && (misaligned || kind & Kind.ZVA)) return REDIRECTED;
    const { pa, pas } = mmu;
    const host = this.phys.hostIn(pa, pas, write);
    return host === 0 || (write && !allowWrite(pa)) ? REDIRECTED : host;
  }

  /** Watchpoints: true when the exception was taken. */
  private watched(pe: Pe, kind: number, bytes: number): boolean {
    const write = (kind & (Kind.STORE | Kind.ATOMIC | Kind.ZVA)) !== 0;
    const el = kind & Kind.UNPRIVILEGED ? 0 : pe.st.lo(Off.EL);
    return pe.debug.takeWatchpoint(pe.st.get(Off.VA), bytes, !write || (kind & Kind.ATOMIC) !== 0, write, el, false);
  }

  private misaligned(kind: number, lo: number, bytes: number): boolean {
    if (kind & Kind.ZVA) return false;
    const unit = kind & (Kind.EXCLUSIVE | Kind.ATOMIC) ? bytes : 1 << (kind & Kind.LG);
    return (lo & (unit - 1)) !== 0;
  }
  /**
   * Misaligned exclusive, ordered and atomic accesses fault when they cross a 16-byte unit (FEAT_LSE2, UnalignedAccessFaults);
   * SCTLR_ELx.nAA lets the ordered ones cross it.
   */
  private crossesUnit(pe: Pe, kind: number, lo: number, bytes: number): boolean {
    if ((kind & (Kind.ORDERED | Kind.ATOMIC | Kind.EXCLUSIVE)) === 0 || (lo & 15) + bytes <= 16) return false;
    if ((kind & (Kind.ATOMIC | Kind.EXCLUSIVE)) !== 0) return true;
    return pe.st.bit(sctlrSlot(pe, pe.st.lo(Off.EL)), 6) === 0;
  }

  private translate(pe: Pe, kind: number, lo: number, hi: number, bytes: number, misaligned: boolean): Piece | undefined {
    const { mmu } = pe;
    const access = isAtomic(kind) ? Access.ReadWrite : kind & Kind.STORE ? Access.Write : Access.Read;
    if (!mmu.translate(lo, hi, access, (kind & Kind.UNPRIVILEGED) !== 0)) {
      const insn = this.code.word(pe.st.lo(Off.IP));
      const fault = mmu.fault as Fault;
      pe.takeAbort(kind & Kind.ZVA ? { ...fault, va: this.zvaAddress(pe) } : fault, { fetch: false, insn });
      return undefined;
    }
    if (mmu.device && (misaligned || kind & Kind.ZVA)) {
      this.abort(pe, kind, FaultType.Alignment, lo, hi, true);
      return undefined;
    }
    const { pa, pas } = mmu;
    const host = this.phys.hostIn(pa, pas, (kind & Kind.STORE) !== 0 || isAtomic(kind));
    if (kind & Kind.STORE && host !== 0) {
      // An atomic may read-modify-write at full speed afterwards: take the page for data at once.
      if (kind & Kind.ATOMIC) this.code.dropAt(pa);
      this.written(pa, bytes);
    }
    return { pa, pas, bytes, host };
  }

  /** FAR of DC ZVA is the address in its register, not the start of the block. */
  private zvaAddress(pe: Pe): bigint {
    return pe.st.x(this.code.word(pe.st.lo(Off.IP)) & 31);
  }
  /** Raises an abort that translation does not know about. */
  private abort(pe: Pe, kind: number, type: FaultType, lo = pe.st.lo(Off.VA), hi = pe.st.hi(Off.VA), onDevice = false): number {
    const fault: Fault = {
      type,
      level: 0,
      stage: 1,
      s1ptw: false,
      // An atomic that a read of the address would also have failed reports a read (ESR_ELx.WnR).
      write: (kind & Kind.STORE) !== 0 && !(isAtomic(kind) && (onDevice || (pe.st.lo(Off.ALIGN) & Align.CHECKED) !== 0)),
      fetch: false,
      maintenance: false,
      va: kind & Kind.ZVA ? this.zvaAddress(pe) : (BigInt(hi) << 32n) | BigInt(lo),
      ipa: 0,
      ipaSpace: pe.mmu.pas,
      ipaValid: false,
    };
    pe.takeAbort(fault, { fetch: false });
    return REDIRECTED;
  }

  /** An access through the VAL buffer: at least one piece is a device, or it crosses a page. */
  private device(pe: Pe, kind: number, pieces: Piece[]): number {
    const buffer = pe.st.base + Off.VAL;
    if (kind & (Kind.ATOMIC | Kind.ZVA)) return this.abort(pe, kind, kind & Kind.ZVA ? FaultType.Alignment : FaultType.Exclusive);
    if (kind & Kind.STORE) {
      this.pending = pieces;
      return buffer;
    }
    let at = buffer;
    for (const p of pieces) {
      if (p.host !== 0) this.phys.u8.copyWithin(at, p.host, p.host + p.bytes);
      else if (!this.readDevice(pe, p, kind, at)) return this.abort(pe, kind, FaultType.External);
      at += p.bytes;
    }
    return buffer;
  }

  /** Completes a store from VAL. True: an exception was taken. */
  commit(pe: Pe, kind: number): boolean {
    let at = pe.st.base + Off.VAL;
    for (const p of this.pending) {
      if (p.host !== 0) this.phys.u8.copyWithin(p.host, at, at + p.bytes);
      else if (!this.writeDevice(pe, p, kind, at)) {
        this.abort(pe, kind, FaultType.External);
        return true;
      }
      at += p.bytes;
    }
    return false;
  }

  /** Bus transfers of an element: naturally aligned units of at most 4 bytes. */
  private unit(p: Piece, done: number, kind: number): 1 | 2 | 4 {
    const element = Math.min(4, 1 << (kind & Kind.LG));
    const left = p.bytes - done;
    let size = element;
    while (size > left || ((p.pa + done) & (size - 1)) !== 0) size >>= 1;
    return size as 1 | 2 | 4;
  }
  private readDevice(pe: Pe, p: Piece, kind: number, at: number): boolean {
    const { view } = this.phys;
    this.who.pas = p.pas;
    this.who.pe = pe.index;
    for (let done = 0; done < p.bytes; ) {
      const size = this.unit(p, done, kind);
      const found = this.phys.deviceAt(p.pa + done);
      const value = found ? found.device.read(found.offset, size, this.who) : BUS_ERROR;
      if (value === BUS_ERROR) return false;
      if (size === 4) view.setUint32(at + done, value, true);
      else if (size === 2) view.setUint16(at + done, value, true);
      else view.setUint8(at + done, value);
      done += size;
    }
    return true;
  }
  private writeDevice(pe: Pe, p: Piece, kind: number, at: number): boolean {
    const { view } = this.phys;
    this.who.pas = p.pas;
    this.who.pe = pe.index;
    for (let done = 0; done < p.bytes; ) {
      const size = this.unit(p, done, kind);
      const found = this.phys.deviceAt(p.pa + done);
      const value = size === 4 ? view.getUint32(at + done, true) : size === 2 ? view.getUint16(at + done, true) : view.getUint8(at + done);
      if (!found?.device.write(found.offset, size, value, this.who)) return false;
      done += size;
    }
    return true;
  }
}
