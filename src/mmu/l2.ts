// The second-level TLB: combined stage 1 and stage 2 translations, one entry per leaf of its real size, set-associative.
// An entry stays until an invalidation that covers it, or until its way is needed for another.

import { P2 } from "./range.ts";

const SETS_LOG2 = 11;
const WAYS = 4;
const SETS = 1 << SETS_LOG2;
export const L2_ENTRIES = SETS * WAYS;
const CUT_SLOTS_LOG2 = 14;
const CUT_SLOTS = 1 << CUT_SLOTS_LOG2;
const BLOCK_SLOTS_LOG2 = 13;
const BLOCK_SLOTS = 1 << BLOCK_SLOTS_LOG2;
/** End of a chain. */
const NONE = -1;

/** ASID of a global entry. */
export const GLOBAL = -1;

// Tag: configuration << 20 | context << 16 | VMID. The context is regime * 4 + security state.
export const MAX_CONFIGS = 256;
/** Compares context and VMID of a tag, not the configuration: invalidation covers all of them. */
export const TAG_CONTEXT_VMID = 0x000f_ffff;
export const TAG_CONTEXT = 0x000f_0000;
export const tagOf = (config: number, context: number, vmid: number): number => (config << 20) | (context << 16) | vmid;

/** Attributes of an entry packed in one word. */
export const Info = {
  /** MemAttr, 9 bits. */
  ATTR: 0x1ff,
  PAS_SHIFT: 9,
  GUARDED: 1 << 11,
  DEVICE: 1 << 12,
  SH_SHIFT: 13,
  LEVEL_SHIFT: 15,
} as const;

export class L2Tlb {
  /** Number of valid entries. */
  live = 0;
  /** log2 size of each entry; 0 = free. */
  readonly size = new Uint8Array(L2_ENTRIES);
  /** First virtual address, canonical. */
  readonly lo = new Int32Array(L2_ENTRIES);
  readonly hi = new Int32Array(L2_ENTRIES);
  /** -1, which is in no context: free. */
  readonly tag = new Int32Array(L2_ENTRIES).fill(-1);
  /** ASID, or GLOBAL. */
  readonly asid = new Int32Array(L2_ENTRIES);
  /** log2 of the stage 1 and stage 2 leaves: an invalidation anywhere in them covers the entry. */
  readonly size1 = new Uint8Array(L2_ENTRIES);
  readonly size2 = new Uint8Array(L2_ENTRIES);
  readonly perms = new Uint8Array(L2_ENTRIES);
  readonly info = new Int32Array(L2_ENTRIES);
  /** Output address and IPA of the first byte. */
  readonly pa = new Float64Array(L2_ENTRIES);
  readonly ipa = new Float64Array(L2_ENTRIES);
  /** IPA space: 0 Secure, 1 Non-secure, 3 Realm. */
  readonly ipaSpace = new Uint8Array(L2_ENTRIES);
  /** Physical addresses of the leaf descriptors, -1: none. For explanations. */
  readonly descriptor1 = new Float64Array(L2_ENTRIES);
  readonly descriptor2 = new Float64Array(L2_ENTRIES);
  /** Physical address of the granule protection table entry that permitted the access, -1: none was read. */
  readonly gptEntry = new Float64Array(L2_ENTRIES);
  /** 1: the L1 may hold pages of this entry. */
  readonly inL1 = new Uint8Array(L2_ENTRIES);
  /** Called before an entry disappears while the L1 may hold pages of it. */
  onDrop: (i: number) => void = () => {};

  /** Entries of each size, and the sizes that occur, smallest first. */
  private readonly ofSize = new Int32Array(64);
  private sizes: number[] = [];
  /** Live entries per ASID: most ASID invalidations find none. */
  private readonly ofAsid = new Int32Array(0x10000);
  /** Counting filter of stage 1 leaves that were cut into smaller entries by stage 2 or the granule check. */
  private readonly cut = new Int32Array(CUT_SLOTS);
  private cutLive = 0;
  /** Cut leaves by their size: an address can lie in a leaf of each. */
  private readonly cutOfSize = new Int32Array(64);
  /** Live entries per context: most invalidations of what other software left behind find none. */
  private readonly ofContext = new Int32Array(16);
  /** Entries by the block of physical addresses that they map, as chains: most granules that change hands are in none. */
  private readonly blocks = new Int32Array(BLOCK_SLOTS).fill(NONE);
  private readonly nextInBlock = new Int32Array(L2_ENTRIES);
  private readonly previousInBlock = new Int32Array(L2_ENTRIES);
  private victim = 0;

  /** Index of the entry that translates {lo, hi}, or -1. `tag` matches exactly, ASID unless the entry is global. */
  find(lo: number, hi: number, tag: number, asid: number): number {
    const sizes = this.sizes;
    for (let s = 0; s < sizes.length; s++) {
      const size = sizes[s] as number;
      const baseLo = size < 32 ? lo & (-1 << size) : 0;
      const baseHi = size <= 32 ? hi : hi & (-1 << (size - 32));
      const first = setOf(baseLo, baseHi, size, tag);
      for (let i = first; i < first + WAYS; i++) {
        if (this.tag[i] !== tag || this.lo[i] !== baseLo || this.hi[i] !== baseHi || this.size[i] !== size) continue;
        const a = this.asid[i] as number;
        if (a === asid || a === GLOBAL) return i;
      }
    }
    return -1;
  }

  /** Index of a free entry for the leaf at {lo, hi} of `size`, evicting if necessary. The caller fills the other fields. */
  insert(lo: number, hi: number, size: number, size1: number, tag: number, asid: number): number {
    const baseLo = size < 32 ? lo & (-1 << size) : 0;
    const baseHi = size <= 32 ? hi | 0 : hi & (-1 << (size - 32));
    const first = setOf(baseLo, baseHi, size, tag);
    let at = -1;
    for (let i = first; i < first + WAYS; i++) {
      if (this.size[i] === 0) at = i;
      else if (this.size[i] === size && this.tag[i] === tag && this.lo[i] === baseLo && this.hi[i] === baseHi && this.asid[i] === asid) {
        at = i;
        break;
      }
    }
    if (at < 0) at = first + (this.victim++ & (WAYS - 1));
    if (this.size[at] !== 0) this.remove(at);
    this.lo[at] = baseLo;
    this.hi[at] = baseHi;
    this.size[at] = size;
    this.size1[at] = size1;
    this.tag[at] = tag;
    this.asid[at] = asid;
    this.inL1[at] = 0;
    this.pa[at] = -1;
    this.count(at, 1);
    return at;
  }
  /** Sets the output address of an entry that `insert` has just made. */
  setPa(i: number, pa: number): void {
    this.pa[i] = pa;
    const slot = blockSlot(pa, this.size[i] as number);
    const first = this.blocks[slot] as number;
    this.nextInBlock[i] = first;
    this.previousInBlock[i] = NONE;
    if (first !== NONE) this.previousInBlock[first] = i;
    this.blocks[slot] = i;
  }
  private unlinkBlock(i: number): void {
    const next = this.nextInBlock[i] as number;
    const previous = this.previousInBlock[i] as number;
    if (next !== NONE) this.previousInBlock[next] = previous;
    if (previous !== NONE) this.nextInBlock[previous] = next;
    else this.blocks[blockSlot(this.pa[i] as number, this.size[i] as number)] = next;
  }

  remove(i: number): void {
    if (this.inL1[i] !== 0) this.onDrop(i);
    this.count(i, -1);
    if ((this.pa[i] as number) >= 0) this.unlinkBlock(i);
    this.size[i] = 0;
    // No context has this tag: lookups need not test the size first.
    this.tag[i] = -1;
  }

  clear(): void {
    for (let i = 0; i < L2_ENTRIES; i++) if (this.size[i] !== 0) this.remove(i);
  }

  private count(i: number, d: 1 | -1): void {
    const size = this.size[i] as number;
    this.live += d;
    const n = (this.ofSize[size] as number) + d;
    this.ofSize[size] = n;
    if (n === 0 || (n === 1 && d === 1)) this.listSizes();
    const context = contextOf(this.tag[i] as number);
    this.ofContext[context] = (this.ofContext[context] as number) + d;
    const asid = this.asid[i] as number;
    if (asid >= 0) this.ofAsid[asid] = (this.ofAsid[asid] as number) + d;
    const size1 = this.size1[i] as number;
    if (size1 > size && size1 < 52) {
      this.cutLive += d;
      this.cutOfSize[size1] = (this.cutOfSize[size1] as number) + d;
      const slot = cutSlot(this.lo[i] as number, this.hi[i] as number, size1);
      this.cut[slot] = (this.cut[slot] as number) + d;
    }
  }
  private listSizes(): void {
    this.sizes = [];
    for (let s = 12; s < 64; s++) if (this.ofSize[s] !== 0) this.sizes.push(s);
  }

  // ---- invalidation -------------------------------------------------------------------------------------------------

  /** Removes what translates the page at {lo, hi} in a context and VMID, for one ASID and global, or any ASID (asid < 0). */
  removeVa(lo: number, hi: number, tag: number, asid: number): void {
    if (this.ofContext[contextOf(tag)] === 0) return;
    const sizes = this.sizes;
    for (let s = sizes.length - 1; s >= 0; s--) {
      const size = sizes[s] as number;
      const baseLo = size < 32 ? lo & (-1 << size) : 0;
      const baseHi = size <= 32 ? hi : hi & (-1 << (size - 32));
      this.removeAt(baseLo, baseHi, size, tag, asid);
    }
    if (this.cutLive !== 0) this.removeCut(lo, hi, tag, asid);
  }

  private removeAt(baseLo: number, baseHi: number, size: number, tag: number, asid: number): void {
    const first = setOf(baseLo, baseHi, size, tag);
    for (let i = first; i < first + WAYS; i++) {
      if (this.size[i] === size && this.lo[i] === baseLo && this.hi[i] === baseHi && this.covered(i, tag, asid)) this.remove(i);
    }
  }
  private covered(i: number, tag: number, asid: number): boolean {
    if ((((this.tag[i] as number) ^ tag) & TAG_CONTEXT_VMID) !== 0) return false;
    const a = this.asid[i] as number;
    return asid < 0 || a === asid || a === GLOBAL;
  }

  /** Entries smaller than the stage 1 leaf they come from go with any address of the leaf. */
  private removeCut(lo: number, hi: number, tag: number, asid: number): void {
    for (let size1 = 13; size1 < 52; size1++) {
      if (this.cutOfSize[size1] === 0 || this.cut[cutSlot(lo, hi, size1)] === 0) continue;
      const maskLo = size1 < 32 ? -1 << size1 : 0;
      const maskHi = size1 <= 32 ? -1 : -1 << (size1 - 32);
      this.removeWhere(tag, (i) => {
        if (this.size1[i] !== size1 || this.size[i] === size1) return false;
        return (
          (((this.lo[i] as number) ^ lo) & maskLo) === 0 && (((this.hi[i] as number) ^ hi) & maskHi) === 0 && this.covered(i, tag, asid)
        );
      });
    }
  }

  /** Removes what lies (or whose stage 1 leaf lies) at least partly in [start, end), canonical addresses as signed doubles. */
  removeVaRange(start: number, end: number, tag: number, asid: number): void {
    this.removeWhere(tag, (i) => {
      const size1 = Math.max(this.size1[i] as number, this.size[i] as number);
      const unit = P2[size1 < 52 ? size1 : (this.size[i] as number)] as number;
      const first = Math.floor(((this.hi[i] as number) * 4294967296 + ((this.lo[i] as number) >>> 0)) / unit) * unit;
      return first < end && first + unit > start && this.covered(i, tag, asid);
    });
  }

  /** Removes non-global entries of one ASID. */
  removeAsid(tag: number, asid: number): void {
    const { asid: asids, tag: tags } = this;
    for (let i = 0; i < L2_ENTRIES && this.ofAsid[asid] !== 0; i++) {
      if (asids[i] === asid && (((tags[i] as number) ^ tag) & TAG_CONTEXT_VMID) === 0) this.remove(i);
    }
  }

  /** Removes everything of a context, of one VMID (mask TAG_CONTEXT_VMID) or of all (TAG_CONTEXT). */
  removeContext(tag: number, mask: number): void {
    this.removeWhere(tag, (i) => (((this.tag[i] as number) ^ tag) & mask) === 0);
  }

  /** Removes what stage 2 translates from an IPA in [start, end) of a space. */
  removeIpa(start: number, end: number, space: number, tag: number): void {
    this.removeWhere(tag, (i) => {
      const unit = P2[Math.min(this.size2[i] as number, 52)] as number;
      if (this.descriptor2[i] === -1 || this.ipaSpace[i] !== space || (((this.tag[i] as number) ^ tag) & TAG_CONTEXT_VMID) !== 0)
        return false;
      const first = Math.floor((this.ipa[i] as number) / unit) * unit;
      return first < end && first + unit > start;
    });
  }

  /** Removes what was granule-checked in [start, end). */
  removePa(start: number, end: number): void {
    for (const size of this.sizes) {
      const unit = P2[Math.min(size, 52)] as number;
      if (end - start <= 16 * unit) {
        for (let at = Math.floor(start / unit) * unit; at < end; at += unit) this.removeBlock(at, size);
      } else {
        // More blocks than it is worth to look for one by one.
        for (let i = 0; i < L2_ENTRIES; i++) {
          if (this.size[i] === size && (this.pa[i] as number) < end && (this.pa[i] as number) + unit > start) this.remove(i);
        }
      }
    }
  }
  /** Removes the entries that map just the block of 2^size bytes at `pa`. */
  private removeBlock(pa: number, size: number): void {
    let i = this.blocks[blockSlot(pa, size)] as number;
    while (i !== NONE) {
      const next = this.nextInBlock[i] as number;
      if (this.pa[i] === pa && this.size[i] === size) this.remove(i);
      i = next;
    }
  }

  /** Removes entries of the context of a tag. */
  private removeWhere(tag: number, hit: (i: number) => boolean): void {
    if (this.ofContext[contextOf(tag)] === 0) return;
    for (let i = 0; i < L2_ENTRIES; i++) if (this.size[i] !== 0 && hit(i)) this.remove(i);
  }
}

const contextOf = (tag: number): number => (tag >>> 16) & 15;

/** First way of the set of a leaf. The configuration stays out of the hash: invalidations do not know it. */
function setOf(lo: number, hi: number, size: number, tag: number): number {
  const page = size < 32 ? ((lo >>> size) | (hi << (32 - size))) ^ (hi >>> 12) : hi >>> (size - 32);
  const h = Math.imul(page ^ Math.imul((tag & TAG_CONTEXT_VMID) ^ (size << 24), 0x85ebca6b), 0x9e3779b1);
  return (h >>> (32 - SETS_LOG2)) * WAYS;
}

function blockSlot(pa: number, size: number): number {
  const number = Math.floor(pa / (P2[Math.min(size, 52)] as number));
  return Math.imul((number | 0) ^ (size << 24), 0x9e3779b1) >>> (32 - BLOCK_SLOTS_LOG2);
}

function cutSlot(lo: number, hi: number, size1: number): number {
  const page = size1 < 32 ? (lo >>> size1) ^ (hi << (32 - size1)) : hi >>> (size1 - 32);
  return Math.imul(page ^ (size1 << 20), 0x9e3779b1) >>> (32 - CUT_SLOTS_LOG2);
}
