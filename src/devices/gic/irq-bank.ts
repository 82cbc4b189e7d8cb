// The state of a block of interrupts: bitmaps, priorities, and the pending/active state machine (IHI 0069, 4.1.2).
// The distributor has one bank for the SPIs, every redistributor one for its SGIs and PPIs.
//
//   edge:   a rising line or ISPENDR sets the latch; acknowledge clears it
//   level:  pending while the line is high or the latch is set (ISPENDR); acknowledge clears the latch only

import type { Saved } from "../../util/stateful.ts";
import { SavedFields } from "../saved.ts";
import { bitOf, Group, lowestBit, PRIORITY_MASK } from "./constants.ts";

const MAPS = ["group", "modifier", "enable", "latch", "active", "edge", "line"] as const;

/** Interrupts [base, base + 32 * words). Word w, bit b is INTID base + 32w + b. All words are used as unsigned bitmaps. */
export class IrqBank {
  readonly base: number;
  readonly words: number;
  /** Bits of INTIDs that exist. */
  readonly implemented: Uint32Array;
  /** IGROUPR. */
  readonly group: Uint32Array;
  /** IGRPMODR. */
  readonly modifier: Uint32Array;
  /** ISENABLER. */
  readonly enable: Uint32Array;
  /** Pending latch. */
  readonly latch: Uint32Array;
  readonly active: Uint32Array;
  /** ICFGR: 1 = edge-triggered. */
  readonly edge: Uint32Array;
  /** Current level of the input. */
  readonly line: Uint32Array;
  /** NSACR, two words of 2-bit fields for each word of interrupts. */
  readonly nsacr: Uint32Array;
  /** IPRIORITYR, one byte each, implemented bits only. */
  readonly priority: Uint8Array;

  constructor(base: number, count: number) {
    this.base = base;
    this.words = Math.ceil(count / 32);
    const map = () => new Uint32Array(this.words);
    this.implemented = map();
    for (let i = 0; i < count; i++) this.implemented[i >> 5]! |= 1 << (i & 31);
    this.group = map();
    this.modifier = map();
    this.enable = map();
    this.latch = map();
    this.active = map();
    this.edge = map();
    this.line = map();
    this.nsacr = new Uint32Array(2 * this.words);
    this.priority = new Uint8Array(32 * this.words);
  }

  reset(): void {
    for (const m of MAPS) if (m !== "line") this[m].fill(0);
    this.nsacr.fill(0);
    this.priority.fill(0);
  }

  /** ISPENDR as read: latch, or the line of a level-sensitive interrupt. */
  pending(w: number): number {
    return (this.latch[w]! | (this.line[w]! & ~this.edge[w]!)) >>> 0;
  }

  /** The interrupts of word `w` that belong to one of `groups` (a set of bitOf(Group)). `ds`: GICD_CTLR.DS. */
  inGroups(w: number, groups: number, ds: boolean): number {
    const g = this.group[w]!;
    const mod = ds ? 0 : this.modifier[w]!;
    let bits = 0;
    if (groups & bitOf(Group.G0)) bits |= ~g & ~mod;
    if (groups & bitOf(Group.G1S)) bits |= ~g & mod;
    if (groups & bitOf(Group.G1NS)) bits |= g;
    return bits >>> 0;
  }

  /** Pending, enabled, not active and of an enabled group: what may be forwarded. */
  candidates(w: number, groups: number, ds: boolean): number {
    return (this.pending(w) & this.enable[w]! & ~this.active[w]! & this.inGroups(w, groups, ds)) >>> 0;
  }

  /** Group of interrupt number `i` of the bank. */
  groupOf(i: number, ds: boolean): Group {
    const w = i >> 5;
    const bit = 1 << (i & 31);
    if (this.group[w]! & bit) return Group.G1NS;
    return !ds && this.modifier[w]! & bit ? Group.G1S : Group.G0;
  }

  /** Of `bits` in word `w`: the number in the bank of the one with the highest priority, lowest INTID on a tie; -1 for none. */
  best(w: number, bits: number): number {
    let best = -1;
    let bestPriority = 0x100;
    while (bits !== 0) {
      const b = lowestBit(bits);
      bits &= bits - 1;
      const i = 32 * w + b;
      const p = this.priority[i]!;
      if (p < bestPriority) {
        best = i;
        bestPriority = p;
      }
    }
    return best;
  }

  /** The input of interrupt `i` changes. True when that may change what is pending. */
  setLine(i: number, level: boolean): boolean {
    const w = i >> 5;
    const bit = 1 << (i & 31);
    if (((this.line[w]! & bit) !== 0) === level) return false;
    this.line[w]! ^= bit;
    if (level && this.edge[w]! & bit) this.latch[w]! |= bit;
    return true;
  }

  /** Pending becomes active (for a level interrupt whose line stays high: active and pending). */
  acknowledge(i: number): void {
    this.latch[i >> 5]! &= ~(1 << (i & 31));
    this.active[i >> 5]! |= 1 << (i & 31);
  }
  deactivate(i: number): void {
    this.active[i >> 5]! &= ~(1 << (i & 31));
  }
  setPending(i: number): void {
    this.latch[i >> 5]! |= 1 << (i & 31);
  }
  setPriority(i: number, value: number): void {
    this.priority[i] = value & PRIORITY_MASK;
  }

  save(): { [key: string]: Saved } {
    const out: { [key: string]: Saved } = { nsacr: Array.from(this.nsacr), priority: Array.from(this.priority) };
    for (const m of MAPS) out[m] = Array.from(this[m]);
    return out;
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "interrupts of the gic");
    for (const m of MAPS) s.uintsInto(m, this[m]);
    s.uintsInto("nsacr", this.nsacr);
    s.uintsInto("priority", this.priority);
  }
}
