// The code around an entry, as a fetch TLB maps it.

import { Off, TLB_ENTRIES, VISITS, VISITS_MASK } from "../../arch/layout.ts";
import type { PeState } from "../../arch/state.ts";
import { fetchPage } from "../../mmu/l1.ts";
import type { CodePage, CodePages } from "../code-pages.ts";
import { handlerCount } from "../interp/handlers.ts";
import type { Translation as Installed, TranslatedEntries } from "./entries.ts";
import type { CodeImage, Place } from "./job.ts";

/** Where the PE, whose current page holds the entry `ip`, is. */
export function placeOf(st: PeState, code: CodePages, ip: number): Place {
  const va = st.get(Off.PCBASE) + BigInt(code.at(ip).offset >>> 1);
  const [lo, hi] = [Number(BigInt.asUintN(32, va)), Number(BigInt.asUintN(32, va >> 32n))];
  return { ip, lo, hi, tlb: st.lo(Off.TLB_X), aligned: st.lo(Off.ALIGN) !== 0 };
}

/** The predecoded entry of the instruction at a virtual address in the fetch TLB `tlb`; undefined when its page is not there. */
export function entryInTlb(u32: Uint32Array, tlb: number, lo: number, hi: number): number | undefined {
  const page = fetchPage(u32, tlb, lo, hi);
  return page === undefined ? undefined : page + 2 * (lo & 0xffc);
}

/** Ways to a place that make it worth translating with what leads there. */
const SEEN = 16;

/** Pages as jobs take them along: each once, however many regions of a job are in it. */
export class CodeImages {
  /** Pages that were taken. */
  readonly pages = new Map<number, CodePage>();
  private readonly code: CodePages;
  private readonly u32: Uint32Array;
  private readonly entries: TranslatedEntries<Installed>;
  private readonly copied: boolean;
  private readonly underway: ReadonlySet<number>;
  private readonly plain = new Map<CodePage, CodeImage>();
  private readonly marked = new Map<CodePage, CodeImage>();

  /** `underway`: entries that will be translated. `copied`: the images will be looked at when the guest has run on. */
  constructor(code: CodePages, u32: Uint32Array, entries: TranslatedEntries<Installed>, underway: ReadonlySet<number>, copied: boolean) {
    this.code = code;
    this.u32 = u32;
    this.entries = entries;
    this.underway = underway;
    this.copied = copied;
  }

  /** The page; warm is what branches have reached. */
  of(page: CodePage): CodeImage {
    let image = this.plain.get(page);
    if (!image) {
      image = { offset: page.offset, words: this.words(page), warm: this.reached(page), begun: this.begun(page) };
      this.plain.set(page, image);
    }
    return image;
  }
  private words(page: CodePage): Int32Array {
    this.pages.set(page.offset, page);
    const words = this.code.words(page);
    return this.copied ? words.slice() : words;
  }
  /**
   * Pages with translations that the fetch TLB maps, by their distance from that of `place`; warm is what is translated. It is a
   * guess how they will be mapped later: a region checks it on its way. Carry and borrow into the high word end what is looked at.
   */
  around({ lo, hi, tlb }: Place): Map<number, CodeImage> {
    const found = new Map<number, CodeImage>();
    for (let at = tlb >> 2, end = at + 4 * TLB_ENTRIES; at < end; at += 4) {
      if (this.u32[at + 1] !== hi || ((this.u32[at] as number) & 0xfff) !== 0) continue;
      const page = this.code.at(this.u32[at + 2] as number);
      if (page && !page.dead && this.entries.isIn(page)) found.set(((this.u32[at] as number) - lo) / 4096, this.translated(page));
    }
    return found;
  }
  private translated(page: CodePage): CodeImage {
    let image = this.marked.get(page);
    if (!image) {
      const warm = new Uint32Array(32);
      for (const { ip } of this.entries.around(page.offset)) mark(warm, (ip - page.offset) >> 3);
      image = { offset: page.offset, words: this.plain.get(page)?.words ?? this.words(page), warm, begun: none };
      this.marked.set(page, image);
    }
    return image;
  }
  private begun({ offset }: CodePage): Uint32Array {
    const bits = new Uint32Array(32);
    for (const { ip } of this.entries.around(offset)) mark(bits, (ip - offset) >> 3);
    for (const ip of this.underway) mark(bits, (ip - offset) >> 3);
    return bits;
  }
  private reached({ offset }: CodePage): Uint32Array {
    const { u32 } = this;
    const warm = new Uint32Array(32);
    for (let i = 0; i < 1024; i++) {
      const ip = offset + 8 * i;
      const visits = u32[(VISITS + ((ip >>> 1) & VISITS_MASK)) >> 2] as number;
      if (visits >= SEEN || (u32[ip >> 2] as number) >= handlerCount) mark(warm, i);
    }
    return warm;
  }
}
const none = new Uint32Array(32);
/** What is not in the page is left alone. */
function mark(bits: Uint32Array, i: number): void {
  if (i >= 0 && i < 1024) bits[i >> 5] = (bits[i >> 5] as number) | (1 << (i & 31));
}
