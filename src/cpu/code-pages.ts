// Predecoded pages: one per physical page that was executed. Instruction caches are coherent with data here (CTR_EL0.IDC
// and DIC are 1): every write to such a page takes the slow path, which resets the entries that it covers.

import { PREDECODE_BASE, RAM_POOL } from "../arch/layout.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import type { TlbDomain } from "../mmu/domain.ts";
import { PAGE_BYTES } from "./interp/generate.ts";
import { Special } from "./interp/handlers.ts";
import { type DecodeContext, type Entry, predecode } from "./interp/predecode.ts";

export interface CodePage {
  /** Physical address of the 4 KiB page. */
  readonly pa: number;
  /** Absolute offset of its entries. */
  readonly offset: number;
  /** Slow writes since it was made; many of them drop the page. */
  writes: number;
  /** How often beforeChange told of it: what was read from it since is still true when the number is. */
  changes: number;
  dead: boolean;
}

const CAPACITY = Math.floor((RAM_POOL - PREDECODE_BASE) / PAGE_BYTES);
/** Pages below 16 GiB: more than a board has. */
const DIRECT_PAGES = 2 ** 22;
/** Slow writes after which a page is taken for data. */
const DROP_AFTER = 64;
/** Words that are remembered as decoded, log2: code repeats half of its words. */
const KNOWN_BITS = 14;
/** Words decoded ahead of the one that was needed. */
const DECODE_AHEAD = 32;

export class CodePages {
  private readonly phys: PhysicalMemory;
  private readonly domain: TlbDomain;
  private readonly context: DecodeContext;
  private readonly i32: Int32Array;
  private readonly byPa = new Map<number, CodePage>();
  /** Slot of a live page plus 1, by page number; what is beyond is found in the map. */
  private readonly direct = new Uint16Array(DIRECT_PAGES);
  private readonly slots: (CodePage | undefined)[] = [];
  private readonly free: number[] = [];
  /** Dropped pages whose slot may still be the current page of a running PE. */
  private quarantine: CodePage[] = [];
  /** Told of a page before its entries are reset. */
  beforeChange: ((page: CodePage) => void) | undefined;
  private readonly entry: Entry = { handler: 0, operand: 0 };
  /** By hash of the word: the word, its handler (DECODE: none yet) and operand, and nothing. */
  private readonly known = new Int32Array(4 << KNOWN_BITS);

  constructor(phys: PhysicalMemory, domain: TlbDomain, context: DecodeContext) {
    this.phys = phys;
    this.domain = domain;
    this.context = context;
    this.i32 = new Int32Array(phys.memory.buffer);
  }

  /** Number of live pages. */
  get size(): number {
    return this.byPa.size;
  }
  has(pa: number): boolean {
    return this.find(Math.floor(pa / 4096)) !== undefined;
  }
  /** The live page of a page number. */
  private find(key: number): CodePage | undefined {
    if (key >= DIRECT_PAGES) return this.byPa.get(key);
    const slot = this.direct[key] as number;
    return slot === 0 ? undefined : this.slots[slot - 1];
  }
  /** The page whose entries contain `ip`. */
  at(ip: number): CodePage {
    return this.slots[Math.floor((ip - PREDECODE_BASE) / PAGE_BYTES)] as CodePage;
  }
  /** Physical address of the instruction at `ip`. */
  paOf(ip: number): number {
    const page = this.at(ip);
    return page.pa + ((ip - page.offset) >> 1);
  }
  /** Instruction word at `ip`. */
  word(ip: number): number {
    return this.phys.view.getInt32(this.phys.host(this.paOf(ip)), true);
  }

  /** The instruction words of a page, as they stand in memory. */
  words(page: CodePage): Int32Array {
    return new Int32Array(this.phys.memory.buffer, this.phys.host(page.pa), 1024);
  }

  /** The predecoded page for the RAM page at `pa`, made if needed. */
  get(pa: number): CodePage {
    const key = Math.floor(pa / 4096);
    const existing = this.find(key);
    if (existing) return existing;
    const slot = this.takeSlot();
    const page: CodePage = { pa: key * 4096, offset: PREDECODE_BASE + slot * PAGE_BYTES, writes: 0, changes: 0, dead: false };
    this.slots[slot] = page;
    this.byPa.set(key, page);
    if (key < DIRECT_PAGES) this.direct[key] = slot + 1;
    this.i32.fill(0, page.offset >> 2, (page.offset + PAGE_BYTES) >> 2);
    this.i32[(page.offset + 8192) >> 2] = Special.CROSS;
    this.domain.dropWrites(page.pa);
    return page;
  }
  private takeSlot(): number {
    const slot = this.free.pop();
    if (slot !== undefined) return slot;
    if (this.slots.length < CAPACITY) return this.slots.push(undefined) - 1;
    // All slots are in use: start over. Pages are made between two pages of the running PE, so none is being executed.
    this.clear();
    this.quiesce();
    return this.free.pop() as number;
  }

  /** Fills the entry at `ip` and some behind it. False: the page was dropped, the PE must fetch again. */
  decode(ip: number): boolean {
    const page = this.at(ip);
    if (page.dead) return false;
    const host = this.phys.host(page.pa);
    const first = (ip - page.offset) >> 3;
    const last = Math.min(1024, first + DECODE_AHEAD);
    for (let i = first; i < last; i++) {
      const at = (page.offset + 8 * i) >> 2;
      if (this.i32[at] !== Special.DECODE) break;
      const known = this.decoded(this.phys.view.getInt32(host + 4 * i, true));
      this.i32[at] = this.known[known + 1] as number;
      this.i32[at + 1] = this.known[known + 2] as number;
    }
    return true;
  }
  /** Where in `known` the decoded word stands. */
  private decoded(word: number): number {
    const { known, entry } = this;
    const at = (Math.imul(word, 0x9e37_79b1) >>> (32 - KNOWN_BITS)) << 2;
    if (known[at] === word && known[at + 1] !== Special.DECODE) return at;
    predecode(word, this.context, entry);
    known[at] = word;
    known[at + 1] = entry.handler;
    known[at + 2] = entry.operand;
    return at;
  }

  /** Memory [pa, pa+length) is about to change. */
  written(pa: number, length: number): void {
    const last = Math.floor((pa + length - 1) / 4096);
    for (let key = Math.floor(pa / 4096); key <= last; key++) {
      const page = this.find(key);
      if (!page) continue;
      if (++page.writes > DROP_AFTER) {
        this.drop(page);
        continue;
      }
      this.changes(page);
      const from = Math.max(pa, page.pa);
      const to = Math.min(pa + length, page.pa + 4096);
      const first = (from - page.pa) >> 2;
      const end = (to - page.pa + 3) >> 2;
      for (let i = first; i < end; i++) this.i32[(page.offset + 8 * i) >> 2] = Special.DECODE;
    }
  }
  private changes(page: CodePage): void {
    page.changes++;
    this.beforeChange?.(page);
  }
  /** Forgets the page: it may be written at full speed until it is executed again. */
  drop(page: CodePage): void {
    if (page.dead) return;
    this.changes(page);
    page.dead = true;
    const key = page.pa / 4096;
    this.byPa.delete(key);
    if (key < DIRECT_PAGES) this.direct[key] = 0;
    this.domain.dropFetch(page.offset);
    for (let i = 0; i < 1024; i++) this.i32[(page.offset + 8 * i) >> 2] = Special.DECODE;
    this.quarantine.push(page);
  }
  dropAt(pa: number): void {
    const page = this.find(Math.floor(pa / 4096));
    if (page) this.drop(page);
  }
  clear(): void {
    for (const page of [...this.byPa.values()]) this.drop(page);
  }
  private release(page: CodePage): void {
    const slot = (page.offset - PREDECODE_BASE) / PAGE_BYTES;
    this.slots[slot] = undefined;
    this.free.push(slot);
  }
  /** No PE is inside generated code: slots of dropped pages may be reused. */
  quiesce(): void {
    if (this.quarantine.length === 0) return;
    for (const page of this.quarantine) this.release(page);
    this.quarantine = [];
  }
}
