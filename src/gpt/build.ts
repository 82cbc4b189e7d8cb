// Builds granule protection tables: what firmware, agents and tests put into memory.

import { contigSizes, EntryKind, Gpccr, type Gpi, l0Code, pgsSizes, ppsSizes } from "./format.ts";

/** A range of physical memory with one GPI. Base and size in bytes, multiples of the granule. */
export interface GptRange {
  readonly base: number;
  readonly size: number;
  readonly gpi: Gpi;
}

export interface GptLayout {
  /** Bits of the protected physical address space (GPCCR_EL3.PPS). */
  readonly pps: number;
  /** log2 of what a level 0 entry covers: 30, 34, 36 or 39; the PE decides (GPCCR_EL3.L0GPTSZ). */
  readonly l0: number;
  /** log2 of the granule: 12, 14 or 16. */
  readonly granule: number;
  /** Address of the level 0 table, aligned to its size (at least 4 KiB). */
  readonly table: number;
  /** Address from which level 1 tables are placed; default: behind the level 0 table. */
  readonly level1?: number;
  /** GPI of everything that no range names. */
  readonly otherwise: Gpi;
  /** Later ranges win over earlier ones. */
  readonly ranges: readonly GptRange[];
  /** Level 0 blocks where a whole entry has one GPI, contiguous level 1 entries likewise; both default to true. */
  readonly blocks?: boolean;
  readonly contiguous?: boolean;
}

export interface BuiltGpt {
  /** The tables, to be written to memory as they are. */
  readonly pieces: readonly { address: number; data: Uint8Array }[];
  /** First address behind the level 1 tables. */
  readonly end: number;
  /** GPCCR_EL3 with GPC = 1 and Write-Back, Inner Shareable tables, without L0GPTSZ's effect on a write (it is read-only). */
  readonly gpccr: bigint;
  readonly gptbr: bigint;
}

/** A cut of the address space: from `base` on the GPI is `gpi`. */
interface Cut {
  base: number;
  gpi: Gpi;
}

const alignUp = (v: number, unit: number): number => Math.ceil(v / unit) * unit;

/** log2 of the alignment that level 0 and level 1 tables have, which is also their size. */
export const level0Log2 = (pps: number, l0: number): number => Math.max(pps - l0 + 3, 12);
export const level1Log2 = (l0: number, granule: number): number => Math.max(l0 - granule - 1, 12);

/** Register values for a layout. */
export function gptRegisters(o: Pick<GptLayout, "pps" | "l0" | "granule" | "table">): { gpccr: bigint; gptbr: bigint } {
  const pps = ppsSizes.indexOf(o.pps as 32);
  const pgs = pgsSizes.indexOf(o.granule as 12);
  const gpccr =
    (pps & 7) |
    ((pps >> 3) << Gpccr.PPS3) |
    (1 << Gpccr.IRGN) |
    (1 << Gpccr.ORGN) |
    (3 << Gpccr.SH) |
    (pgs << Gpccr.PGS) |
    (1 << Gpccr.GPC);
  return { gpccr: BigInt(gpccr | (l0Code(o.l0) << Gpccr.L0GPTSZ)), gptbr: BigInt(o.table / 4096) };
}

/** Tables for a layout. The caller writes the pieces, then GPTBR_EL3 and GPCCR_EL3. */
export function buildGpt(o: GptLayout): BuiltGpt {
  const cuts = cutsOf(o);
  const regionSize = 2 ** o.l0;
  const entries = 2 ** Math.max(o.pps - o.l0, 0);
  const level0 = new DataView(new ArrayBuffer(2 ** level0Log2(o.pps, o.l0)));
  const tableSize = 2 ** level1Log2(o.l0, o.granule);
  let next = alignUp(o.level1 ?? o.table + level0.byteLength, tableSize);
  const pieces: { address: number; data: Uint8Array }[] = [{ address: o.table, data: new Uint8Array(level0.buffer) }];
  const reader = new GpiReader(cuts);
  for (let i = 0; i < entries; i++) {
    const gpi = o.blocks === false ? undefined : reader.uniform(i * regionSize, regionSize);
    if (gpi !== undefined) {
      level0.setBigUint64(i * 8, BigInt(EntryKind.Block | (gpi << 4)), true);
      continue;
    }
    level0.setBigUint64(i * 8, BigInt(next) | BigInt(EntryKind.Table), true);
    pieces.push({ address: next, data: level1Table(o, reader, i * regionSize, tableSize) });
    next += tableSize;
  }
  return { pieces, end: next, ...gptRegisters(o) };
}

function level1Table(o: GptLayout, reader: GpiReader, base: number, tableSize: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(tableSize));
  const unit = 2 ** (o.granule + 4);
  const entries = 2 ** (o.l0 - o.granule - 4);
  for (let i = 0; i < entries; ) {
    const pa = base + i * unit;
    const run = o.contiguous === false ? undefined : contiguousRun(o, reader, pa);
    if (run === undefined) {
      view.setBigUint64(i * 8, granulesEntry(o, reader, pa), true);
      i++;
      continue;
    }
    for (const end = i + run.size / unit; i < end; i++) view.setBigUint64(i * 8, run.entry, true);
  }
  return new Uint8Array(view.buffer);
}

/** The largest contiguous entry that can start at `pa`. */
function contiguousRun(o: GptLayout, reader: GpiReader, pa: number): { size: number; entry: bigint } | undefined {
  for (let contig = 3; contig > 0; contig--) {
    const size = 2 ** (contigSizes[contig] as number);
    if (pa % size !== 0 || size > 2 ** o.l0) continue;
    const gpi = reader.uniform(pa, size);
    if (gpi !== undefined) return { size, entry: BigInt(EntryKind.Contiguous | (gpi << 4) | (contig << 8)) };
  }
  return undefined;
}

function granulesEntry(o: GptLayout, reader: GpiReader, pa: number): bigint {
  let entry = 0n;
  for (let g = 15; g >= 0; g--) entry = (entry << 4n) | BigInt(reader.at(pa + g * 2 ** o.granule));
  return entry;
}

/** The ranges flattened: where the GPI changes, lowest address first. */
function cutsOf(o: GptLayout): Cut[] {
  let cuts: Cut[] = [{ base: 0, gpi: o.otherwise }];
  for (const r of o.ranges) {
    const end = r.base + r.size;
    const after = gpiIn(cuts, end);
    const kept = cuts.filter((c) => c.base < r.base || c.base > end);
    cuts = [...kept, { base: r.base, gpi: r.gpi }, { base: end, gpi: after }].sort((a, b) => a.base - b.base);
  }
  return cuts;
}
const gpiIn = (cuts: readonly Cut[], pa: number): Gpi => cuts.findLast((c) => c.base <= pa)?.gpi as Gpi;

/** Looks GPIs up, by binary search. */
class GpiReader {
  private readonly cuts: readonly Cut[];

  constructor(cuts: readonly Cut[]) {
    this.cuts = cuts.filter((c, i) => i === 0 || c.gpi !== cuts[i - 1]?.gpi);
  }

  private index(pa: number): number {
    let low = 0;
    let high = this.cuts.length;
    while (high - low > 1) {
      const mid = (low + high) >>> 1;
      if ((this.cuts[mid] as Cut).base <= pa) low = mid;
      else high = mid;
    }
    return low;
  }
  at(pa: number): Gpi {
    return (this.cuts[this.index(pa)] as Cut).gpi;
  }
  /** The one GPI of [pa, pa + size), undefined when there are several. */
  uniform(pa: number, size: number): Gpi | undefined {
    const i = this.index(pa);
    const next = this.cuts[i + 1];
    return next === undefined || next.base >= pa + size ? (this.cuts[i] as Cut).gpi : undefined;
  }
}
