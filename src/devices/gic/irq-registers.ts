// The per-interrupt registers, which have the same layout (0x080-0xEFF) in the distributor and in the SGI frames.
// Who may see what when two Security states exist (GICD_CTLR.DS = 0): IHI 0069, 12.1 and the NSACR description.

import { PRIORITY_MASK } from "./constants.ts";
import type { IrqBank } from "./irq-bank.ts";

/** View of a memory-mapped access. Single: GICD_CTLR.DS = 1, everybody sees everything that still exists. */
export const View = { Secure: 0, NonSecure: 1, Single: 2 } as const;
export type View = (typeof View)[keyof typeof View];

/** No NSACR level gives Non-secure software access to such a register of a Secure interrupt. */
const NEVER = 4;

const PRIORITY = 0x400;
const PRIORITY_END = 0x800;
const CONFIG = 0xc00;
const NSACR = 0xe00;
const END = 0xf00;

/** Bitmap registers by offset >> 7. */
const Kind = {
  Group: 0x080 >> 7,
  EnableSet: 0x100 >> 7,
  EnableClear: 0x180 >> 7,
  PendingSet: 0x200 >> 7,
  PendingClear: 0x280 >> 7,
  ActiveSet: 0x300 >> 7,
  ActiveClear: 0x380 >> 7,
  Config: 0xc00 >> 7,
  ConfigHigh: 0xc80 >> 7,
  Modifier: 0xd00 >> 7,
  Nsacr: 0xe00 >> 7,
  NsacrHigh: 0xe80 >> 7,
} as const;

/** Bits 15..0 to the odd bits of a word, as in ICFGR. */
function spread(bits: number): number {
  let out = 0;
  for (let i = 0; i < 16; i++) if (bits & (1 << i)) out |= 2 << (2 * i);
  return out >>> 0;
}
/** The odd bits of a word to bits 15..0. */
function gather(word: number): number {
  let out = 0;
  for (let i = 0; i < 16; i++) if (word & (2 << (2 * i))) out |= 1 << i;
  return out;
}

/** Register access to one bank. Reserved offsets and wrong sizes are RAZ/WI. */
export class IrqRegisters {
  private readonly bank: IrqBank;
  /** Register number of the bank's first word: 0 in an SGI frame, 1 in the distributor. */
  private readonly first: number;
  /** Told which interrupts of word `w` may have changed what they ask for. */
  private readonly changed: (w: number, bits: number) => void;

  constructor(bank: IrqBank, first: 0 | 1, changed: (w: number, bits: number) => void) {
    this.bank = bank;
    this.first = first;
    this.changed = changed;
  }

  /** Non-secure access level (0-3) of interrupt `i` of the bank. */
  accessLevel(i: number): number {
    return (this.bank.nsacr[i >> 4]! >>> (2 * (i & 15))) & 3;
  }

  /** Interrupts of word `w` visible in `view` to a register that needs NSACR level `level`. GICR_NSACR does not widen access. */
  visible(w: number, view: View, level: number): number {
    const all = this.bank.implemented[w]!;
    if (view !== View.NonSecure) return all;
    let bits = this.bank.group[w]!;
    if (level < NEVER && this.first !== 0 && (this.bank.nsacr[2 * w]! | this.bank.nsacr[2 * w + 1]!) !== 0) {
      for (let b = 0; b < 32; b++) if (this.accessLevel(32 * w + b) >= level) bits |= 1 << b;
    }
    return (bits & all) >>> 0;
  }
  /** True when interrupt `i` is visible, as above. */
  sees(i: number, view: View, level: number): boolean {
    return (this.visible(i >> 5, view, level) & (1 << (i & 31))) !== 0;
  }

  read(offset: number, size: 1 | 2 | 4, view: View): number {
    if (offset >= PRIORITY && offset < PRIORITY_END) return this.readPriorities(offset, size, view);
    if (size !== 4 || offset >= END) return 0;
    const kind = offset >> 7;
    if (kind === Kind.Config || kind === Kind.ConfigHigh) return this.readConfig((offset - CONFIG) >> 2, view);
    if (kind === Kind.Nsacr || kind === Kind.NsacrHigh) return this.readNsacr((offset - NSACR) >> 2, view);
    const w = ((offset & 0x7f) >> 2) - this.first;
    return w < 0 || w >= this.bank.words ? 0 : this.readMap(kind, w, view);
  }

  write(offset: number, size: 1 | 2 | 4, value: number, view: View): void {
    if (offset >= PRIORITY && offset < PRIORITY_END) {
      this.writePriorities(offset, size, value, view);
      return;
    }
    if (size !== 4 || offset >= END) return;
    const kind = offset >> 7;
    if (kind === Kind.Config || kind === Kind.ConfigHigh) {
      this.writeConfig((offset - CONFIG) >> 2, value, view);
    } else if (kind === Kind.Nsacr || kind === Kind.NsacrHigh) {
      this.writeNsacr((offset - NSACR) >> 2, value, view);
    } else {
      const w = ((offset & 0x7f) >> 2) - this.first;
      if (w >= 0 && w < this.bank.words) this.writeMap(kind, w, value, view);
    }
  }

  private readMap(kind: number, w: number, view: View): number {
    const bank = this.bank;
    switch (kind) {
      case Kind.Group:
        return view === View.NonSecure ? 0 : bank.group[w]!;
      case Kind.EnableSet:
      case Kind.EnableClear:
        return (bank.enable[w]! & this.visible(w, view, NEVER)) >>> 0;
      case Kind.PendingSet:
        return (bank.pending(w) & this.visible(w, view, 1)) >>> 0;
      case Kind.PendingClear:
        return (bank.pending(w) & this.visible(w, view, 2)) >>> 0;
      case Kind.ActiveSet:
      case Kind.ActiveClear:
        return (bank.active[w]! & this.visible(w, view, 2)) >>> 0;
      case Kind.Modifier:
        return view === View.Secure ? bank.modifier[w]! : 0;
      default:
        return 0;
    }
  }

  private writeMap(kind: number, w: number, value: number, view: View): void {
    const bank = this.bank;
    switch (kind) {
      case Kind.Group:
        if (view !== View.NonSecure) this.assign(bank.group, w, value & bank.implemented[w]!);
        return;
      case Kind.EnableSet:
        this.assign(bank.enable, w, bank.enable[w]! | (value & this.visible(w, view, NEVER)));
        return;
      case Kind.EnableClear:
        this.assign(bank.enable, w, bank.enable[w]! & ~(value & this.visible(w, view, NEVER)));
        return;
      case Kind.PendingSet:
        this.assign(bank.latch, w, bank.latch[w]! | (value & this.visible(w, view, 1)));
        return;
      case Kind.PendingClear:
        this.assign(bank.latch, w, bank.latch[w]! & ~(value & this.visible(w, view, 2)));
        return;
      case Kind.ActiveSet:
        this.assign(bank.active, w, bank.active[w]! | (value & this.visible(w, view, NEVER)));
        return;
      case Kind.ActiveClear:
        this.assign(bank.active, w, bank.active[w]! & ~(value & this.visible(w, view, NEVER)));
        return;
      case Kind.Modifier:
        if (view === View.Secure) this.assign(bank.modifier, w, value & bank.implemented[w]!);
        return;
    }
  }

  private assign(map: Uint32Array, w: number, value: number): void {
    const old = map[w]!;
    map[w] = value;
    const bits = (old ^ map[w]!) >>> 0;
    if (bits !== 0) this.changed(w, bits);
  }

  private readPriorities(offset: number, size: 1 | 2 | 4, view: View): number {
    if (size === 2) return 0;
    let value = 0;
    for (let k = size - 1; k >= 0; k--) value = (value << 8) | this.readPriority(offset - PRIORITY + k - 32 * this.first, view);
    return value >>> 0;
  }
  private readPriority(i: number, view: View): number {
    if (i < 0 || i >= this.bank.priority.length || !this.sees(i, view, NEVER)) return 0;
    const p = this.bank.priority[i]!;
    // Non-secure software sees its half of the range, 0x80-0xFF, as the whole one.
    return view === View.NonSecure ? (p << 1) & 0xff : p;
  }

  private writePriorities(offset: number, size: 1 | 2 | 4, value: number, view: View): void {
    if (size === 2) return;
    for (let k = 0; k < size; k++) {
      const i = offset - PRIORITY + k - 32 * this.first;
      if (i < 0 || i >= this.bank.priority.length || !this.sees(i, view, NEVER)) continue;
      const byte = (value >>> (8 * k)) & 0xff;
      const p = (view === View.NonSecure ? 0x80 | (byte >> 1) : byte) & PRIORITY_MASK;
      if (p === this.bank.priority[i]) continue;
      this.bank.setPriority(i, p);
      this.changed(i >> 5, (1 << (i & 31)) >>> 0);
    }
  }

  private readConfig(n: number, view: View): number {
    const w = (n >> 1) - this.first;
    if (w < 0 || w >= this.bank.words) return 0;
    const bits = this.bank.edge[w]! & this.visible(w, view, NEVER);
    return spread((n & 1 ? bits >>> 16 : bits) & 0xffff);
  }
  private writeConfig(n: number, value: number, view: View): void {
    const w = (n >> 1) - this.first;
    // SGIs are always edge-triggered: GICR_ICFGR0 is read-only.
    if (w < 0 || w >= this.bank.words || (this.first === 0 && n === 0)) return;
    const shift = n & 1 ? 16 : 0;
    const mask = (this.visible(w, view, NEVER) & (0xffff << shift)) >>> 0;
    this.assign(this.bank.edge, w, (this.bank.edge[w]! & ~mask) | ((gather(value) << shift) & mask));
  }

  /** Index in `bank.nsacr` of NSACR register `n`, or -1. In an SGI frame only the SGIs have it. */
  private nsacrIndex(n: number, view: View): number {
    const k = n - 2 * this.first;
    const end = this.first === 0 ? 1 : this.bank.nsacr.length;
    return view === View.Secure && k >= 0 && k < end ? k : -1;
  }
  private readNsacr(n: number, view: View): number {
    const k = this.nsacrIndex(n, view);
    return k < 0 ? 0 : this.bank.nsacr[k]!;
  }
  private writeNsacr(n: number, value: number, view: View): void {
    const k = this.nsacrIndex(n, view);
    if (k < 0) return;
    const all = (this.bank.implemented[k >> 1]! >>> (k & 1 ? 16 : 0)) & 0xffff;
    const fields = spread(all);
    this.bank.nsacr[k] = value & (fields | (fields >>> 1));
  }
}
