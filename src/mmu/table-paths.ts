// Ways through translation tables that walks took lately. A kernel that maps its page tables one by one walks a hundred thousand times
// through the same few upper levels. What is remembered of them is compared with memory each time, so a change is seen by the next walk,
// whether software invalidates or not. As in a TLB, only answers of stage 2 and of granule protection about the pages that tables are in
// stay until they are invalidated.

import type { PeState } from "../arch/state.ts";
import type { TableMemory } from "./table.ts";

/** Paths, and levels above the table that holds the leaf. */
const SLOTS = 256;
const ABOVE = 4;
/** Bits of the filter of pages that tables are in. */
const PAGES = 4096;
const PAGE = 4096;
/** Length of a path that is not known, or not yet. */
const UNKNOWN = -1;
/** Base address in the high word of TTBRn_ELx and VTTBR_EL2; the rest is the ASID or VMID. */
const BASE_HI = 0xffff;

/** Paths of one stage, direct-mapped by input address. A path leads to one table with a granule of 4 KiB. */
export class TablePaths {
  // The table at the end of a path.
  readonly level = new Int8Array(SLOTS);
  /** Its physical address, and the index of its first word in linear memory. */
  readonly pa = new Float64Array(SLOTS);
  readonly word = new Int32Array(SLOTS);
  // Of a table of stage 1.
  /** Its address before stage 2 (IPA, or PA). */
  readonly base = new Float64Array(SLOTS);
  /** Its PA space as the walk has it, that of its physical address, and whether an NSTable bit led there. */
  readonly space = new Uint8Array(SLOTS);
  readonly pas = new Uint8Array(SLOTS);
  readonly nsTable = new Uint8Array(SLOTS);
  /** High words of the table descriptors on the way, joined: hierarchical permissions. */
  readonly inherited = new Int32Array(SLOTS);

  private readonly st: PeState;
  private readonly table: TableMemory;
  // What the path is good for: an input address, controls of translation and of granule protection, base registers.
  private readonly key = new Int32Array(SLOTS);
  private readonly config: unknown[] = new Array(SLOTS).fill(undefined);
  private readonly protection: unknown[] = new Array(SLOTS).fill(undefined);
  /** Base registers: of this stage, and of stage 2. */
  private readonly bases = new Int32Array(4 * SLOTS);
  /** Descriptors on the way: index of the first word, low and high word. */
  private readonly length = new Int8Array(SLOTS).fill(UNKNOWN);
  private readonly descriptors = new Int32Array(3 * ABOVE * SLOTS);
  /** By page number: a table there may be on a path. */
  private readonly pages = new Uint8Array(PAGES);
  private used = false;
  /** The slot last looked at: its path is being recorded. -1: the path is too long. */
  private slot = -1;
  private steps = 0;

  constructor(st: PeState, table: TableMemory) {
    this.st = st;
    this.table = table;
  }

  /**
   * The path for `key` (the input address in units of 2 MiB) that still is as it was, or -1: a path for it may be recorded. `config`:
   * identity of the translation controls; `ttbr`, `ttbr2`: offsets in the PE block of the base register, and of that of stage 2 below it.
   */
  find(key: number, config: unknown, ttbr: number, ttbr2: number | undefined): number {
    const { st, table, bases } = this;
    const protection = table.granuleCheck?.settings;
    const lo = st.lo(ttbr) | 0;
    const hi = st.hi(ttbr) & BASE_HI;
    const lo2 = ttbr2 === undefined ? 0 : st.lo(ttbr2) | 0;
    const hi2 = ttbr2 === undefined ? 0 : st.hi(ttbr2) | 0;
    const slot = key & (SLOTS - 1);
    const b = 4 * slot;
    this.slot = slot;
    if (
      this.key[slot] === key &&
      this.config[slot] === config &&
      this.protection[slot] === protection &&
      bases[b] === lo &&
      bases[b + 1] === hi &&
      bases[b + 2] === lo2 &&
      bases[b + 3] === hi2
    )
      return this.unchanged(slot) ? slot : -1;
    this.length[slot] = UNKNOWN;
    this.key[slot] = key;
    this.config[slot] = config;
    this.protection[slot] = protection;
    bases[b] = lo;
    bases[b + 1] = hi;
    bases[b + 2] = lo2;
    bases[b + 3] = hi2;
    return -1;
  }
  /** The path is known, and the descriptors on the way are what they were. */
  private unchanged(slot: number): boolean {
    const length = this.length[slot] as number;
    if (length === UNKNOWN) return false;
    const { descriptors } = this;
    const { i32 } = this.table;
    const first = 3 * ABOVE * slot;
    const end = first + 3 * length;
    for (let d = first; d < end; d += 3) {
      const at = descriptors[d] as number;
      if (i32[at] !== descriptors[d + 1] || i32[at + 1] !== descriptors[d + 2]) return false;
    }
    return true;
  }

  /** Begins to record the path that was looked for last. */
  begin(): void {
    this.length[this.slot] = UNKNOWN;
    this.steps = 0;
  }
  /** The walk followed the table descriptor {lo, hi}, which begins with word `at` of linear memory. */
  step(at: number, lo: number, hi: number): void {
    if (this.steps === ABOVE) this.slot = -1;
    if (this.slot < 0) return;
    const d = 3 * (ABOVE * this.slot + this.steps++);
    this.descriptors[d] = at;
    this.descriptors[d + 1] = lo;
    this.descriptors[d + 2] = hi;
  }
  /**
   * The path ends at a table of `level`, whose descriptor `index`, at `pa`, was read last. The slot, in which a walk of stage 1 keeps more,
   * or -1: the path is too long.
   */
  end(level: number, pa: number, index: number): number {
    const { slot } = this;
    if (slot < 0) return -1;
    this.length[slot] = this.steps;
    this.level[slot] = level;
    this.pa[slot] = pa - 8 * index;
    this.word[slot] = this.table.at - 2 * index;
    return slot;
  }

  /** The table at `pa` is read: what is known depends on granule protection of its page. */
  note(pa: number): void {
    this.used = true;
    this.pages[Math.floor(pa / PAGE) % PAGES] = 1;
  }
  /** Stage 2 or granule protection is to be asked about every table again. */
  clear(): void {
    if (!this.used) return;
    this.used = false;
    this.length.fill(UNKNOWN);
    this.pages.fill(0);
  }
  /** Granule protection is to be asked about [start, end) again. True: that concerns a table, so nothing is known any more. */
  clearPa(start: number, end: number): boolean {
    if (!this.used) return false;
    if (end - start > PAGES * PAGE) this.clear();
    else for (let pa = start; pa < end && this.used; pa += PAGE) if (this.pages[Math.floor(pa / PAGE) % PAGES] !== 0) this.clear();
    return !this.used;
  }
}
