// The first-level TLBs in linear memory, which generated code reads (see arch/layout.ts): one set of tables per translation
// regime and security state. A set holds translations of one configuration, one VMID, one ASID and global ones.
//
// A page has two places in its table: the one that generated code looks at, and one where it stands after another page was entered in the
// first. Generated code brings it back (cpu/interp/tlb-miss.ts).

import { firstPlace, Off, PE_STRIDE, secondPlace, TLB_EMPTY, TLB_ENTRIES, TLB_TABLE_BYTES, TlbFlag } from "../arch/layout.ts";
import type { PeState } from "../arch/state.ts";

/** Tables of a set. U: unprivileged; P: privileged; N: privileged with PSTATE.PAN = 1, which does not concern fetches. */
export const L1 = { UR: 0, UW: 1, UX: 2, PR: 3, PW: 4, PX: 5, NR: 6, NW: 7 } as const;
const TABLES = 8;
const isWriteTable = [false, true, false, false, true, false, false, true] as const;
const isFetchTable = [false, false, true, false, false, true, false, false] as const;

/** Tables by privilege: reads, writes, fetches. */
export const readTable = [L1.UR, L1.PR, L1.NR] as const;
export const writeTable = [L1.UW, L1.PW, L1.NW] as const;
export const fetchTable = [L1.UX, L1.PX, L1.PX] as const;

/** What the fetch TLB at absolute offset `table` has for a virtual address: absolute offset of the page's predecoded entries. */
export function fetchPage(u32: Uint32Array, table: number, lo: number, hi: number): number | undefined {
  const at = (table + ((lo >>> 8) & ((TLB_ENTRIES - 1) << 4))) >> 2;
  return u32[at] === (lo & ~0xfff) >>> 0 && u32[at + 1] === hi ? u32[at + 2] : undefined;
}

/** Hands out the PE's table space. All regimes and states together need 60 tables; there is room for 124. */
export class L1Space {
  private readonly st: PeState;
  private next: number;

  constructor(st: PeState) {
    this.st = st;
    this.next = st.base + Off.TLBS;
  }

  /** A new, empty table: its absolute byte offset. */
  allocate(): number {
    const at = this.next;
    if (at + TLB_TABLE_BYTES > this.st.base + PE_STRIDE) throw new Error("L1 TLB space exhausted");
    this.next += TLB_TABLE_BYTES;
    empty(new Int32Array(this.st.u32.buffer), at);
    return at;
  }
}

function empty(i32: Int32Array, table: number): void {
  const end = (table + TLB_TABLE_BYTES) >>> 2;
  for (let i = table >>> 2; i < end; i += 4) i32[i] = TLB_EMPTY;
}

/** Blocks of more pages are looked for in the whole table. */
const MANY_PAGES = 64;

/** The tables of one regime and security state. */
export class L1Set {
  /** Absolute byte offsets; 0 = not allocated. */
  private readonly at = new Int32Array(TABLES);
  /** Tables that may hold entries. */
  private used = 0;
  /** Places (table * TLB_ENTRIES + index) where non-global entries are or were since the last purge, each once. */
  private readonly journal = new Int32Array(TABLES * TLB_ENTRIES);
  private readonly journalled = new Uint8Array(TABLES * TLB_ENTRIES);
  private journalLength = 0;
  private readonly i32: Int32Array;
  private readonly space: L1Space;

  constructor(st: PeState, space: L1Space) {
    this.i32 = new Int32Array(st.u32.buffer);
    this.space = space;
  }

  /** Absolute byte offset of a table, allocating it. */
  table(t: number): number {
    if (this.at[t] === 0) this.at[t] = this.space.allocate();
    return this.at[t] as number;
  }

  /** Enters a page. `vaHi` is raw: the tag byte of the address takes part in the comparison. `flags`: see TlbFlag. */
  fill(t: number, vaLo: number, vaHi: number, addend: number, flags: number): void {
    const first = firstPlace(vaLo);
    const second = secondPlace(vaLo, vaHi);
    const table = this.table(t) >>> 2;
    const at = table + first * 4;
    const i32 = this.i32;
    const page = vaLo & ~0xfff;
    this.dropPage(table + second * 4, page, vaHi);
    this.displace(table, at, page, vaHi);
    i32[at] = page;
    i32[at + 1] = vaHi;
    i32[at + 2] = addend;
    i32[at + 3] = flags;
    this.used |= 1 << t;
    if ((flags & TlbFlag.NOT_GLOBAL) === 0) return;
    this.note(t * TLB_ENTRIES + first);
    this.note(t * TLB_ENTRIES + second);
  }
  private dropPage(at: number, page: number, vaHi: number): void {
    if (this.i32[at] === page && this.i32[at + 1] === vaHi) this.i32[at] = TLB_EMPTY;
  }
  /** What stands at `at`, if it is another page, goes to its second place. */
  private displace(table: number, at: number, page: number, vaHi: number): void {
    const i32 = this.i32;
    const [lo, hi] = [i32[at] as number, i32[at + 1] as number];
    if (lo === TLB_EMPTY || (lo === page && hi === vaHi)) return;
    const to = table + secondPlace(lo, hi) * 4;
    i32[to] = lo;
    i32[to + 1] = hi;
    i32[to + 2] = i32[at + 2] as number;
    i32[to + 3] = i32[at + 3] as number;
  }
  private note(place: number): void {
    if (this.journalled[place] !== 0) return;
    this.journalled[place] = 1;
    this.journal[this.journalLength++] = place;
  }

  /** Empties the set. */
  purge(): void {
    for (let t = 0; t < TABLES; t++) if ((this.used >> t) & 1) empty(this.i32, this.at[t] as number);
    this.used = 0;
    this.forgetJournal();
  }

  /** Empties what was entered for an ASID; global entries stay. */
  purgeNotGlobal(): void {
    const i32 = this.i32;
    for (let j = 0; j < this.journalLength; j++) {
      const place = this.journal[j] as number;
      const at = ((this.at[(place / TLB_ENTRIES) | 0] as number) >>> 2) + (place % TLB_ENTRIES) * 4;
      if (((i32[at + 3] as number) & TlbFlag.NOT_GLOBAL) !== 0) i32[at] = TLB_EMPTY;
    }
    this.forgetJournal();
  }
  private forgetJournal(): void {
    for (let j = 0; j < this.journalLength; j++) this.journalled[this.journal[j] as number] = 0;
    this.journalLength = 0;
  }

  /** Empties the pages of the block at {lo, hi} of 2^size bytes, whatever their tag byte. */
  dropBlock(lo: number, hi: number, size: number): void {
    const maskLo = size < 32 ? -1 << size : 0;
    const maskHi = (size <= 32 ? -1 : -1 << (size - 32)) & 0x00ffffff;
    const pages = size < 32 ? 2 ** (size - 12) : Infinity;
    if (pages > MANY_PAGES) {
      for (let place = 0; place < TLB_ENTRIES; place++) this.dropAt(place, lo, hi, maskLo, maskHi);
      return;
    }
    for (let page = 0; page < pages; page++) {
      this.dropAt(firstPlace(lo + 4096 * page), lo, hi, maskLo, maskHi);
      this.dropAt(secondPlace(lo + 4096 * page, hi), lo, hi, maskLo, maskHi);
    }
  }
  /** Empties the place in each table if a page of the block stands there. */
  private dropAt(place: number, lo: number, hi: number, maskLo: number, maskHi: number): void {
    const { i32, used } = this;
    for (let t = 0; t < TABLES; t++) {
      if (((used >> t) & 1) === 0) continue;
      const at = ((this.at[t] as number) >>> 2) + 4 * place;
      if ((((i32[at] as number) ^ lo) & maskLo) === 0 && (((i32[at + 1] as number) ^ hi) & maskHi) === 0) i32[at] = TLB_EMPTY;
    }
  }

  /** Empties write entries that map the 4 KiB host page at absolute offset `host`. They are in these two places; -1: anywhere. */
  dropWrites(host: number, first: number, second: number): void {
    for (let t = 0; t < TABLES; t++) {
      if (!isWriteTable[t] || ((this.used >> t) & 1) === 0) continue;
      const table = (this.at[t] as number) >>> 2;
      if (first < 0) for (let i = 0; i < TLB_ENTRIES; i++) this.dropWrite(table + 4 * i, host | 0);
      else {
        this.dropWrite(table + 4 * first, host | 0);
        this.dropWrite(table + 4 * second, host | 0);
      }
    }
  }
  /** An empty entry has an odd tag and so never adds up to a page. */
  private dropWrite(at: number, host: number): void {
    if ((((this.i32[at] as number) + (this.i32[at + 2] as number)) | 0) === host) this.i32[at] = TLB_EMPTY;
  }

  /** Empties fetch entries that point to the predecoded page at absolute offset `page`. */
  dropFetch(page: number): void {
    const i32 = this.i32;
    const wanted = page | 0;
    for (let t = 0; t < TABLES; t++) {
      if (!isFetchTable[t] || ((this.used >> t) & 1) === 0) continue;
      const start = (this.at[t] as number) >>> 2;
      for (let at = start; at < start + TLB_ENTRIES * 4; at += 4) if (i32[at + 2] === wanted) i32[at] = TLB_EMPTY;
    }
  }
}
