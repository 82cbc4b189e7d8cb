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
}

export class TranslatedEntries<T extends Translation> {
  private readonly code: CodePages;
  private readonly i32: Int32Array;
  private readonly table: WebAssembly.Table;
  private readonly byPage = new Map<CodePage, T[]>();
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
  around(ip: number): readonly T[] {
    return this.byPage.get(this.code.at(ip)) ?? [];
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
  /** Puts the slot of `t` into its entry. */
  install(page: CodePage, t: T): void {
    // The plain handler of an entry that is not decoded yet would be DECODE, which resets it: decode first.
    if (this.i32[t.ip >> 2] === Special.DECODE) this.code.decode(t.ip);
    this.i32[(PLAIN_HANDLERS >> 2) + t.slot - handlerCount] = this.i32[t.ip >> 2] as number;
    this.i32[t.ip >> 2] = t.slot;
    const list = this.byPage.get(page);
    if (list) list.push(t);
    else this.byPage.set(page, [t]);
  }

  /** The page is about to change or to be forgotten. Its entries get their handlers back; answers what was dropped. */
  drop(page: CodePage): readonly T[] {
    const list = this.byPage.get(page) ?? [];
    this.byPage.delete(page);
    for (const { ip, slot } of list) {
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
