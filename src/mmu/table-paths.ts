// Ways through translation tables that walks took lately. A kernel that maps its page tables one by one walks a hundred thousand times
// through the same few upper levels. What is remembered of them is compared with memory each time, so a change is seen by the next walk,
// whether software invalidates or not. As in a TLB, only answers of stage 2 and of granule protection about the pages that tables are in
// stay until they are invalidated.

/** Paths, and levels above the table that holds the leaf. */
const SLOTS = 256;
const ABOVE = 4;
/** Bits of the filter of pages that tables are in. */
const PAGES = 4096;
const PAGE = 4096;

/** Paths of one stage, direct-mapped by input address. A path leads to one table with a granule of 4 KiB. */
export class TablePaths {
  // The table at the end of a path.
  readonly level = new Int8Array(SLOTS);
  /** Input address of the table to the next stage (IPA, or PA), its physical address, and the index of its first word in linear memory. */
  readonly base = new Float64Array(SLOTS);
  readonly pa = new Float64Array(SLOTS);
  readonly word = new Int32Array(SLOTS);
  /** Its PA space as the walk has it, that of its physical address, and whether an NSTable bit led there. */
  readonly space = new Uint8Array(SLOTS);
  readonly pas = new Uint8Array(SLOTS);
  readonly nsTable = new Uint8Array(SLOTS);
  /** High words of the table descriptors on the way, joined: hierarchical permissions. */
  readonly inherited = new Int32Array(SLOTS);

  private readonly i32: Int32Array;
  private readonly key = new Int32Array(SLOTS);
  private readonly config: unknown[] = new Array(SLOTS).fill(undefined);
  private readonly protection: unknown[] = new Array(SLOTS).fill(undefined);
  /** Base registers: of this stage, and of stage 2. */
  private readonly bases = new Int32Array(4 * SLOTS);
  /** Descriptors on the way: index of the first word, low and high word. */
  private readonly length = new Uint8Array(SLOTS);
  private readonly descriptors = new Int32Array(3 * ABOVE * SLOTS);
  /** By page number: a table there may be on a path. */
  private readonly pages = new Uint8Array(PAGES);
  private used = false;
  // The path that is being recorded.
  private steps = 0;
  private slot = -1;
  private noted = 0;

  /** `i32`: linear memory. */
  constructor(i32: Int32Array) {
    this.i32 = i32;
  }

  /**
   * The path for `key` (the input address in units of 2 MiB) that still is as it was, or -1. `config` and `protection`: identities of the
   * translation controls and of those of granule protection; `lo`, `hi`, `lo2`, `hi2`: the base registers.
   */
  find(key: number, config: unknown, protection: unknown, lo: number, hi: number, lo2: number, hi2: number): number {
    const slot = key & (SLOTS - 1);
    if (this.key[slot] !== key || this.config[slot] !== config || this.protection[slot] !== protection) return -1;
    const { bases, descriptors, i32 } = this;
    const b = 4 * slot;
    if (bases[b] !== (lo | 0) || bases[b + 1] !== (hi | 0) || bases[b + 2] !== (lo2 | 0) || bases[b + 3] !== (hi2 | 0)) return -1;
    const first = 3 * ABOVE * slot;
    const end = first + 3 * (this.length[slot] as number);
    for (let d = first; d < end; d += 3) {
      const at = descriptors[d] as number;
      if (i32[at] !== descriptors[d + 1] || i32[at + 1] !== descriptors[d + 2]) return -1;
    }
    return slot;
  }

  /** Begins to record the path for `key`. */
  begin(key: number): void {
    this.slot = key & (SLOTS - 1);
    this.noted = key;
    this.config[this.slot] = undefined;
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
  /** The path ends. The slot to fill, or -1: it is too long. Arguments as for `find`. */
  end(config: unknown, protection: unknown, lo: number, hi: number, lo2: number, hi2: number): number {
    const { slot } = this;
    if (slot < 0) return -1;
    this.slot = -1;
    this.key[slot] = this.noted;
    this.config[slot] = config;
    this.protection[slot] = protection;
    const b = 4 * slot;
    this.bases[b] = lo;
    this.bases[b + 1] = hi;
    this.bases[b + 2] = lo2;
    this.bases[b + 3] = hi2;
    this.length[slot] = this.steps;
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
    this.config.fill(undefined);
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
