// The granule protection table that the EL3 monitor owns: built once in Root memory, changed one granule at a time.

import { slot } from "../arch/state.ts";
import type { Pe } from "../cpu/pe.ts";
import { EntryKind, Gpccr, Gpi, ppsSizes } from "../gpt/format.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { EmuError, hex } from "../util/errors.ts";

/** A range of physical memory with the PA space that may use it. Multiples of 4 KiB; ranges that overlap: the later one holds. */
export interface GptRegion {
  readonly base: number;
  readonly size: number;
  readonly gpi: Gpi;
}

/** Where the tables are and what they say at first. */
export interface GptLayout {
  /** PA of the level 0 table, aligned to its size and at least 4 KiB. */
  readonly l0: number;
  /** Memory for level 1 tables. */
  readonly l1: number;
  readonly l1Size: number;
  /** Protected physical address space in bits: 32, 36, 40, 42, 44 or 48. What no region names is GPI "any". */
  readonly pps: number;
  readonly regions: readonly GptRegion[];
}

/** Results of a transition, as GTSI_DELEGATE returns them. */
export const Gtsi = { OK: 0, BAD_ADDRESS: -2, BAD_PAS: -3 } as const;

/** Told of each change of a granule: teaching and tests. */
export type GptHook = (pe: number, pa: number, from: Gpi, to: Gpi) => void;

const PAGE = 4096;
const PGS_4K_LOG2 = 12;
const ANY16 = 0xffff_ffff_ffff_ffffn;

export class GptOwner {
  readonly layout: GptLayout;
  onChange: GptHook | undefined;
  private readonly phys: PhysicalMemory;
  private readonly written: (pa: number, bytes: number) => void;
  /** log2 of what a level 0 entry covers. */
  private readonly s: number;

  /** `written`: told before an entry changes. */
  constructor(phys: PhysicalMemory, layout: GptLayout, l0gptsz: number, written: (pa: number, bytes: number) => void = () => {}) {
    this.phys = phys;
    this.layout = layout;
    this.s = l0gptsz;
    this.written = written;
  }

  private get l1Bytes(): number {
    return 2 ** (this.s - PGS_4K_LOG2 - 1);
  }
  private get64(pa: number): bigint {
    return this.phys.view.getBigUint64(this.host(pa), true);
  }
  private set64(pa: number, v: bigint): void {
    this.phys.view.setBigUint64(this.host(pa), v, true);
  }
  private host(pa: number): number {
    const at = this.phys.host(pa);
    if (at === 0) throw new EmuError("gpt-memory", `the granule protection table is to be at ${hex(pa)}, where there is no memory`);
    return at;
  }

  /** Writes both levels. */
  build(): void {
    const { layout, s } = this;
    const entries = 2 ** Math.max(layout.pps - s, 0);
    const touched = new Set<number>();
    for (const r of layout.regions) {
      const last = Math.floor((r.base + r.size - 1) / 2 ** s);
      for (let i = Math.floor(r.base / 2 ** s); i <= last; i++) touched.add(i);
    }
    let next = layout.l1;
    for (let i = 0; i < entries; i++) {
      if (!touched.has(i)) {
        this.set64(layout.l0 + 8 * i, BigInt(EntryKind.Block | (Gpi.Any << 4)));
        continue;
      }
      if (next + this.l1Bytes > layout.l1 + layout.l1Size)
        throw new EmuError("gpt-memory", `the granule protection table needs more than ${hex(layout.l1Size)} bytes for level 1`);
      for (let at = 0; at < this.l1Bytes; at += 8) this.set64(next + at, ANY16);
      this.set64(layout.l0 + 8 * i, BigInt(next) | BigInt(EntryKind.Table));
      next += this.l1Bytes;
    }
    for (const r of layout.regions) this.fill(r);
  }

  private fill(r: GptRegion): void {
    const same = BigInt(r.gpi) * 0x1111_1111_1111_1111n;
    for (let pa = r.base; pa < r.base + r.size; ) {
      if (pa % (16 * PAGE) === 0 && pa + 16 * PAGE <= r.base + r.size) {
        this.set64(this.entryOf(pa), same);
        pa += 16 * PAGE;
      } else {
        this.writeIn(this.entryOf(pa), pa, r.gpi);
        pa += PAGE;
      }
    }
  }

  /** PA of the level 1 entry of a granule, or -1: level 0 says a block. */
  private entryOf(pa: number): number {
    const at = this.host(this.layout.l0 + 8 * Math.floor(pa / 2 ** this.s));
    const lo = this.phys.view.getUint32(at, true);
    if ((lo & 15) !== EntryKind.Table) return -1;
    const table = this.phys.view.getUint32(at + 4, true) * 2 ** 32 + ((lo & ~15) >>> 0);
    return table + Math.floor((pa % 2 ** this.s) / (16 * PAGE)) * 8;
  }
  /** GPI of a granule in its level 1 entry. An entry has two halves of eight. */
  private gpiIn(entry: number, pa: number): Gpi {
    const n = Math.floor(pa / PAGE) & 15;
    return ((this.phys.view.getUint32(this.host(entry) + (n & 8) / 2, true) >>> ((n & 7) * 4)) & 15) as Gpi;
  }
  private writeIn(entry: number, pa: number, gpi: Gpi): void {
    const n = Math.floor(pa / PAGE) & 15;
    const at = this.host(entry) + (n & 8) / 2;
    const shift = (n & 7) * 4;
    this.phys.view.setUint32(at, (this.phys.view.getUint32(at, true) & ~(15 << shift)) | (gpi << shift), true);
  }

  /** Is there a level 1 entry for this granule, so that it can change? */
  covers(pa: number): boolean {
    return pa < 2 ** this.layout.pps && this.entryOf(pa) >= 0;
  }
  /** GPI of a granule as the table in memory says it. */
  gpi(pa: number): Gpi {
    if (pa >= 2 ** this.layout.pps) return Gpi.NonSecure;
    const at = this.entryOf(pa);
    if (at < 0) return Number((this.get64(this.layout.l0 + 8 * Math.floor(pa / 2 ** this.s)) >> 4n) & 15n) as Gpi;
    return this.gpiIn(at, pa);
  }

  /** Moves a granule from one PA space to another, with the invalidations that this takes (all PEs). */
  transition(pe: Pe, pa: bigint, from: Gpi, to: Gpi): number {
    const granule = Number(pa);
    if ((pa & 0xfffn) !== 0n || pa >= 1n << BigInt(this.layout.pps)) return Gtsi.BAD_ADDRESS;
    const entry = this.entryOf(granule);
    if (entry < 0) return Gtsi.BAD_ADDRESS;
    if (this.gpiIn(entry, granule) !== from) return Gtsi.BAD_PAS;
    // Memory is one coherent copy: DC CIPAPA of the old space would do nothing here.
    this.written(entry, 8);
    this.writeIn(entry, granule, to);
    pe.mmu.invalidatePa(granule, granule + PAGE); // TLBI RPALOS
    this.onChange?.(pe.index, granule, from, to);
    return Gtsi.OK;
  }

  /** GPTBR_EL3 and GPCCR_EL3 of a PE; checks are on afterwards. */
  enable(pe: Pe): void {
    const pps = (ppsSizes as readonly number[]).indexOf(this.layout.pps);
    const cacheable = (1 << Gpccr.IRGN) | (1 << Gpccr.ORGN) | (3 << Gpccr.SH);
    pe.st.set(slot.GPTBR_EL3, BigInt(this.layout.l0 / PAGE));
    pe.writeSys("GPCCR_EL3", BigInt(pps | cacheable));
    pe.mmu.tlbi(6, 8, 1, 4, 0n); // PAALLOS
    pe.writeSys("GPCCR_EL3", BigInt(pps | cacheable | (1 << Gpccr.GPC)));
    pe.mmu.tlbi(6, 8, 1, 4, 0n);
  }
}
