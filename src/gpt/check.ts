// The granule protection check (Arm ARM D9.3; GranuleProtectionCheck(), GPTWalk()). Steps stand in priority order.

import { Pas, type Security } from "../arch/security.ts";
import { type PeState, slot } from "../arch/state.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { Gpc } from "../mmu/fault.ts";
import { P2 } from "../mmu/range.ts";
import type { GranuleCheck } from "../mmu/table.ts";
import { contigSizes, decodeGptConfig, EntryKind, type GptConfig, type GptFeatures, permits } from "./format.ts";

const PASS = 0;
/** What a failed check returns: kind, level of the GPT. */
const failed = (kind: Gpc, level: 0 | 1): number => kind * 16 + level;

/** Where the control registers are: GPCCR_EL3, GPTBR_EL3, GPCBW_EL3 of one PE. */
type Registers = Pick<PeState, "get" | "lo" | "hi">;

const VALID_SLOTS = 16;
const PASSED = 4096;
const PAGE = 4096;
/** log2 of the granules in an entry, of the entries that are looked at together, and the bytes of those. */
const ENTRY_LOG2 = 4;
const GROUP_LOG2 = 5;
const GROUP_BYTES = 8 << GROUP_LOG2;
/** log2 of a block larger than any address. */
const EVERYWHERE = 52;

/**
 * The check as one PE makes it. What a TLB remembers of its answers is the TLB's business; but of pages that are in no TLB and accessed
 * again and again, as translation tables are, this remembers which it has let pass. The registers are compared at each check, so whoever
 * writes them need not tell.
 */
export class GranuleProtection implements GranuleCheck {
  sizeLog2 = EVERYWHERE;
  entry = -1;
  /** Entries read so far, for statistics. */
  reads = 0;

  /** Called when a check finds other control registers than the one before. */
  onConfig: (() => void) | undefined;

  private readonly regs: Registers;
  private readonly phys: PhysicalMemory;
  readonly features: GptFeatures;
  private known: GptConfig | undefined;
  private readonly seen = new Uint32Array(6);
  // The entry last read.
  private lo = 0;
  private hi = 0;
  // Halves of entries found valid, and for which configuration: most are one GPI eight times.
  private readonly validHalf = new Int32Array(VALID_SLOTS);
  private readonly validFor: (GptConfig | undefined)[] = new Array(VALID_SLOTS).fill(undefined);

  // Pages that passed: page number, PA space and Security state in one number, by the low bits of the page number and the Security
  // state: what a host and its RMM hand to each other both of them access in turn.
  private readonly passed = new Float64Array(PASSED).fill(-1);
  private passedFor: GptConfig | undefined;

  constructor(regs: Registers, phys: PhysicalMemory, features: GptFeatures) {
    this.regs = regs;
    this.phys = phys;
    this.features = features;
  }

  get active(): boolean {
    return (this.regs.lo(slot.GPCCR_EL3) & (1 << 16)) !== 0;
  }
  get granuleLog2(): number {
    return this.config.granule;
  }

  get settings(): unknown {
    return this.config;
  }

  /** The control registers as they stand now. */
  get config(): GptConfig {
    const { regs, seen } = this;
    let changed = this.known === undefined;
    for (let i = 0; i < registers.length; i++) {
      const at = registers[i] as number;
      const lo = regs.lo(at);
      const hi = regs.hi(at);
      if (seen[2 * i] === lo && seen[2 * i + 1] === hi) continue;
      seen[2 * i] = lo;
      seen[2 * i + 1] = hi;
      changed = true;
    }
    if (changed) {
      this.known = decodeGptConfig(regs.get(slot.GPCCR_EL3), regs.get(slot.GPTBR_EL3), regs.get(slot.GPCBW_EL3), this.features);
      this.onConfig?.();
    }
    return this.known as GptConfig;
  }

  check(pa: number, pas: Pas, state: Security): number {
    this.sizeLog2 = EVERYWHERE;
    this.entry = -1;
    const c = this.config;
    if (!c.enabled) return PASS;
    if (c.invalid !== undefined) return failed(Gpc.Walk, 0);
    if (c.window !== undefined) {
      // Whatever the answer, it is not valid across the border of the window.
      this.sizeLog2 = c.window.lower;
      if (inWindow(c.window, pa)) return PASS;
    }
    if ((c.disabledSpaces >> pas) & 1) return failed(Gpc.Fail, 0);
    const end = P2[c.pps] as number;
    if (pa >= end) {
      this.sizeLog2 = Math.min(this.sizeLog2, c.pps);
      return pas === Pas.NonSecure || c.allAbove ? PASS : failed(Gpc.Fail, 0);
    }
    if (c.base >= end) return failed(Gpc.AddressSize, 0);
    return this.level0(c, pa, pas, state);
  }

  checkOften(pa: number, pas: Pas, state: Security): number {
    const c = this.config;
    if (!c.enabled) return PASS;
    const page = Math.floor(pa / PAGE);
    const key = 16 * page + 4 * pas + state;
    const slot = (4 * page + state) & (PASSED - 1);
    if (this.passed[slot] === key && this.passedFor === c) return PASS;
    const result = this.check(pa, pas, state);
    if (result !== PASS) return result;
    if (this.passedFor !== c) this.passed.fill(-1);
    this.passedFor = c;
    this.passed[slot] = key;
    return PASS;
  }
  forget(start: number, end: number): void {
    const slots = 4 * Math.ceil((end - start) / PAGE);
    if (slots >= PASSED) this.passed.fill(-1);
    else for (let n = 4 * Math.floor(start / PAGE); n < 4 * Math.floor(start / PAGE) + slots; n++) this.passed[n & (PASSED - 1)] = -1;
  }

  private level0(c: GptConfig, pa: number, pas: Pas, state: Security): number {
    if (!this.read(c.base + Math.floor(pa / (P2[c.l0] as number)) * 8)) return failed(Gpc.ExternalAbort, 0);
    const { lo, hi } = this;
    if ((lo & 15) === EntryKind.Block) {
      const gpi = (lo >>> 4) & 15;
      if (lo >>> 8 !== 0 || hi !== 0 || !isValid(c, gpi)) return failed(Gpc.Walk, 0);
      return this.judge(gpi, pas, state, c.l0, 0);
    }
    const reserved = (1 << Math.max(c.l0 - c.granule - 1, 12)) - 1; // [11:0], and what the alignment of the table makes zero
    if ((lo & 15) !== EntryKind.Table || (lo & reserved & ~15) !== 0 || hi >>> 20 !== 0) return failed(Gpc.Walk, 0);
    const table = (hi >>> 0) * 4294967296 + ((lo & ~15) >>> 0);
    if (table >= (P2[c.pps] as number)) return failed(Gpc.AddressSize, 0);
    return this.level1(c, table, pa, pas, state);
  }

  private level1(c: GptConfig, table: number, pa: number, pas: Pas, state: Security): number {
    const granule = Math.floor((pa % (P2[c.l0] as number)) / (P2[c.granule] as number));
    if (!this.read(table + Math.floor(granule / 16) * 8)) return failed(Gpc.ExternalAbort, 1);
    const { lo, hi } = this;
    if ((lo & 15) === EntryKind.Contiguous) {
      const gpi = (lo >>> 4) & 15;
      const size = contigSizes[(lo >>> 8) & 3] as number;
      if (size === 0 || lo >>> 10 !== 0 || hi !== 0 || !isValid(c, gpi)) return failed(Gpc.Walk, 1);
      return this.judge(gpi, pas, state, size, 1);
    }
    if (!this.allValid(c, lo) || (hi !== lo && !this.allValid(c, hi))) return failed(Gpc.Walk, 1);
    const i = granule & 15;
    const gpi = ((i < 8 ? lo : hi) >>> ((i & 7) * 4)) & 15;
    const same = lo === hi && lo === Math.imul(gpi, 0x1111_1111);
    return this.judge(gpi, pas, state, same ? c.granule + this.sameAround(lo) : c.granule, 1);
  }
  /**
   * log2 of the granules around the one in the entry just read, which says the same of its 16, of which others say so too. A TLB may hold
   * all those entries, and drops what it made of them when one of them is invalidated.
   */
  private sameAround(word: number): number {
    const at = this.phys.host(this.entry);
    const first = at - (at % GROUP_BYTES);
    const { view } = this.phys;
    for (let word32 = first; word32 < first + GROUP_BYTES; word32 += 4) if (view.getInt32(word32, true) !== word) return ENTRY_LOG2;
    return ENTRY_LOG2 + GROUP_LOG2;
  }

  /** Are all GPIs of half an entry valid? */
  private allValid(c: GptConfig, half: number): boolean {
    const slot = half & (VALID_SLOTS - 1);
    if (this.validHalf[slot] === half && this.validFor[slot] === c) return true;
    for (let shift = 0; shift < 32; shift += 4) if (!isValid(c, (half >>> shift) & 15)) return false;
    this.validHalf[slot] = half;
    this.validFor[slot] = c;
    return true;
  }

  private judge(gpi: number, pas: Pas, state: Security, sizeLog2: number, level: 0 | 1): number {
    this.sizeLog2 = Math.min(this.sizeLog2, sizeLog2);
    return permits(gpi, pas, state) ? PASS : failed(Gpc.Fail, level);
  }

  /** Fetches an entry from the Root PA space, always little-endian; false: an External abort. */
  private read(pa: number): boolean {
    this.entry = pa;
    this.reads++;
    const at = this.phys.host(pa);
    if (at === 0) return false;
    this.lo = this.phys.view.getInt32(at, true);
    this.hi = this.phys.view.getInt32(at + 4, true);
    return true;
  }
}

const registers = [slot.GPCCR_EL3, slot.GPTBR_EL3, slot.GPCBW_EL3];
const isValid = (c: GptConfig, gpi: number): boolean => ((c.validGpis >> gpi) & 1) === 1;

/** PA bits [upper:lower] equal the base's. */
export function inWindow(w: { lower: number; upper: number; base: number }, pa: number): boolean {
  return Math.floor(pa / 2 ** w.lower) % 2 ** (w.upper + 1 - w.lower) === w.base / 2 ** w.lower;
}
