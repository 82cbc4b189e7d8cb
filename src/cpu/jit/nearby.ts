// The code around an entry, as a fetch TLB maps it.

import { Off, TLB_ENTRIES, VISITS, VISITS_MASK } from "../../arch/layout.ts";
import type { PeState } from "../../arch/state.ts";
import type { CodePage, CodePages } from "../code-pages.ts";
import { handlerCount } from "../interp/handlers.ts";
import type { DecodeContext } from "../interp/predecode.ts";
import { type CodeSource, pageOf } from "./blocks.ts";
import { type Instruction, instructionAt } from "./instruction.ts";

/** A predecoded entry, and how a PE came to it. */
export interface Place {
  readonly ip: number;
  /** Virtual address of its page, low and high word. */
  readonly lo: number;
  readonly hi: number;
  /** Address of the fetch TLB. */
  readonly tlb: number;
  /** Accesses had to be aligned there (SCTLR_ELx.A, or a disabled MMU). */
  readonly aligned: boolean;
}

/** Where the PE, whose current page holds the entry `ip`, is. */
export function placeOf(st: PeState, code: CodePages, ip: number): Place {
  const va = st.get(Off.PCBASE) + BigInt(code.at(ip).offset >>> 1);
  const [lo, hi] = [Number(BigInt.asUintN(32, va)), Number(BigInt.asUintN(32, va >> 32n))];
  return { ip, lo, hi, tlb: st.lo(Off.TLB_X), aligned: st.lo(Off.ALIGN) !== 0 };
}

/** The predecoded entry of the instruction at a virtual address in the fetch TLB `tlb`; undefined when its page is not there. */
export function entryInTlb(u32: Uint32Array, tlb: number, lo: number, hi: number): number | undefined {
  const at = (tlb + ((lo >>> 8) & ((TLB_ENTRIES - 1) << 4))) >> 2;
  const hit = u32[at] === (lo & ~0xfff) >>> 0 && u32[at + 1] === hi;
  return hit ? (u32[at + 2] as number) + 2 * (lo & 0xffc) : undefined;
}

/** Visits that make a place in another page worth following. */
const WARM = 500;

interface Known {
  readonly offset: number;
  readonly words: Int32Array;
}

/** What stands in other pages is a guess, made from the TLB as it is now: the region checks it on its way. */
export class NearbyCode implements CodeSource {
  private readonly code: CodePages;
  private readonly context: DecodeContext;
  private readonly u32: Uint32Array;
  private readonly place: Place;
  private readonly known = new Map<number, Known | undefined>();

  constructor(code: CodePages, context: DecodeContext, u32: Uint32Array, place: Place, owner: CodePage) {
    this.code = code;
    this.context = context;
    this.u32 = u32;
    this.place = place;
    this.known.set(0, { offset: owner.offset, words: code.words(owner) });
  }

  at(index: number): Instruction {
    return instructionAt(index, this.word(index), this.context);
  }
  word(index: number): number {
    return (this.around(pageOf(index)) as Known).words[index & 1023] as number;
  }
  page(index: number): number | undefined {
    return this.around(pageOf(index))?.offset;
  }
  warm(index: number): boolean {
    const ip = (this.page(index) as number) + 8 * (index & 1023);
    return (this.u32[ip >> 2] as number) >= handlerCount || (this.u32[(VISITS + ((ip >>> 1) & VISITS_MASK)) >> 2] as number) >= WARM;
  }
  private around(distance: number): Known | undefined {
    if (!this.known.has(distance)) this.known.set(distance, this.look(distance));
    return this.known.get(distance);
  }
  private look(distance: number): Known | undefined {
    const { lo, hi, tlb } = this.place;
    const va = lo + distance * 4096;
    // Carry and borrow into the high word: such code stays where it is.
    if (va < 0 || va > 0xffff_ffff) return undefined;
    const offset = entryInTlb(this.u32, tlb, va, hi);
    const owner = offset === undefined ? undefined : this.code.at(offset);
    return owner && !owner.dead ? { offset: owner.offset, words: this.code.words(owner) } : undefined;
  }
}
