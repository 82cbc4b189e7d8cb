// The books that both translating engines keep: which entries of predecoded pages are translated, and in which table slots.
//
// The slot stands in the entry in place of its handler; PLAIN_HANDLERS keeps the handler it had.

import { PLAIN_HANDLERS, VISITS, VISITS_MASK } from "../../arch/layout.ts";
import type { CodePage, CodePages } from "../code-pages.ts";
import { handlerCount, Special } from "../interp/handlers.ts";

/** PLAIN_HANDLERS has room for this many. */
const MAX_SLOTS = 0x1_f000;

export interface Translation {
  readonly ip: number;
  readonly slot: number;
  /** Pages that hold its code. */
  readonly pages: readonly CodePage[];
}

export class TranslatedEntries<T extends Translation> {
  private readonly code: CodePages;
  private readonly i32: Int32Array;
  private readonly table: WebAssembly.Table;
  private readonly byPage = new Map<CodePage, Set<T>>();
  private readonly free: number[] = [];
  private next = handlerCount;
  /** Slots of dropped translations, one of which may still be running. */
  private retired: number[] = [];

  constructor(code: CodePages, i32: Int32Array, table: WebAssembly.Table) {
    this.code = code;
    this.i32 = i32;
    this.table = table;
  }

  /** Does a translation stand at `ip`? */
  has(ip: number): boolean {
    return (this.i32[ip >> 2] as number) >= handlerCount;
  }
  /** Translations of the page that holds `ip`. */
  around(ip: number): Iterable<T> {
    return this.byPage.get(this.code.at(ip)) ?? [];
  }
  /** Does a translation have code of the page? */
  isIn(page: CodePage): boolean {
    return (this.byPage.get(page)?.size ?? 0) > 0;
  }
  /** The translation at `ip`. */
  find(ip: number): T | undefined {
    for (const t of this.around(ip)) if (t.ip === ip) return t;
    return undefined;
  }
  private ofPage(page: CodePage): Set<T> {
    let list = this.byPage.get(page);
    if (!list) {
      list = new Set();
      this.byPage.set(page, list);
    }
    return list;
  }
  /** A slot whose table element is `run`; undefined when there is no more room. */
  takeSlot(run: unknown): number | undefined {
    const slot = this.free.pop() ?? this.newSlot();
    if (slot !== undefined) this.table.set(slot, run);
    return slot;
  }
  private newSlot(): number | undefined {
    if (this.next - handlerCount >= MAX_SLOTS) return undefined;
    if (this.next >= this.table.length) this.table.grow(1024);
    return this.next++;
  }
  /** Puts the slot of `t` into its entry; it goes when one of its pages changes. */
  install(t: T): void {
    // The plain handler of an entry that is not decoded yet would be DECODE, which resets it: decode first.
    if (this.i32[t.ip >> 2] === Special.DECODE) this.code.decode(t.ip);
    this.i32[(PLAIN_HANDLERS >> 2) + t.slot - handlerCount] = this.i32[t.ip >> 2] as number;
    this.i32[t.ip >> 2] = t.slot;
    for (const page of t.pages) this.ofPage(page).add(t);
  }

  /** No translation is running: `run` takes the place and the slot of `old`. */
  replace(old: T, t: T, run: unknown): void {
    for (const page of old.pages) this.byPage.get(page)?.delete(old);
    for (const page of t.pages) this.ofPage(page).add(t);
    this.table.set(t.slot, run);
  }
  /** The page is about to change or to be forgotten. Its entries get their handlers back; answers what was dropped. */
  drop(page: CodePage): readonly T[] {
    const list = [...(this.byPage.get(page) ?? [])];
    this.byPage.delete(page);
    for (const t of list) {
      const { ip, slot } = t;
      for (const other of t.pages) this.byPage.get(other)?.delete(t);
      this.i32[ip >> 2] = this.i32[(PLAIN_HANDLERS >> 2) + slot - handlerCount] as number;
      this.i32[(VISITS + ((ip >>> 1) & VISITS_MASK)) >> 2] = 0;
      this.retired.push(slot);
    }
    return list;
  }
  /** Pages with translations. */
  pages(): CodePage[] {
    return [...this.byPage.keys()];
  }
  /** No translation is running: slots of dropped ones may be used again. */
  quiesce(): void {
    if (this.retired.length === 0) return;
    for (const slot of this.retired) this.table.set(slot, null);
    this.free.push(...this.retired);
    this.retired = [];
  }
}
