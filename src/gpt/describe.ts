// Reads granule protection tables back from memory: which ranges have which GPI, and what is malformed.

import type { PhysicalMemory } from "../mem/physical.ts";
import { decodeLevel0, decodeLevel1 } from "./entry.ts";
import { decodeGptConfig, type GptConfig, type GptFeatures, gpiName } from "./format.ts";

/** Granules that belong together: same GPI, or the same problem. */
export interface GptArea {
  /** [start, end) in bytes. */
  start: number;
  end: number;
  /** The GPI, undefined where the tables do not give one. */
  gpi: number | undefined;
  /** Name of the GPI, or what is wrong with the entries. */
  name: string;
  /** Where tables do not give a GPI: the entries that are wrong. */
  bad?: { level: 0 | 1; first: number; count: number };
}

export interface GptDescription {
  config: GptConfig;
  registers: { gpccr: bigint; gptbr: bigint; gpcbw: bigint };
  features: GptFeatures;
  areas: GptArea[];
  /** Reading stopped at this address because the tables are larger than `limit` entries. */
  stoppedAt?: number;
}

export interface DescribeOptions {
  /** Part of the address space to look at, in bytes: default the protected physical address space. */
  from?: number;
  to?: number;
  /** Most table entries that are read, so that no table makes this endless; default 2^20. */
  limit?: number;
  gpcbw?: bigint;
  /** What the PE implements; default everything. */
  features?: GptFeatures;
}

const everything: GptFeatures = { paBits: 52, gpc2: true, gpc3: true, secure: true, granule16: true, granule64: true };

/** Lists the areas that the tables of GPCCR_EL3 and GPTBR_EL3 describe. */
export function describeGpt(phys: PhysicalMemory, gpccr: bigint, gptbr: bigint, o: DescribeOptions = {}): GptDescription {
  const { features = everything, gpcbw = 0n } = o;
  const config = decodeGptConfig(gpccr, gptbr, gpcbw, features);
  const d: GptDescription = { config, registers: { gpccr, gptbr, gpcbw }, features, areas: [] };
  if (config.invalid !== undefined) return d;
  const list = new AreaList(d.areas);
  const end = Math.min(o.to ?? 2 ** config.pps, 2 ** config.pps);
  const region = 2 ** config.l0;
  let left = o.limit ?? 2 ** 20;
  for (let pa = o.from ?? 0; pa < end && left > 0; ) {
    const stop = Math.min(end, (Math.floor(pa / region) + 1) * region);
    left--;
    const table = level0(phys, config, pa, stop, list);
    if (table === undefined) pa = stop;
    else for (; pa < stop && left > 0; left--) pa = level1(phys, config, table, pa, stop, list);
  }
  const reached = d.areas.at(-1)?.end ?? 0;
  if (reached < end) d.stoppedAt = reached;
  return d;
}

/** Collects areas, joining equal neighbours. */
class AreaList {
  private readonly areas: GptArea[];
  constructor(areas: GptArea[]) {
    this.areas = areas;
  }
  add(start: number, end: number, gpi: number): void {
    const last = this.areas.at(-1);
    if (last?.end === start && last.gpi === gpi) last.end = end;
    else this.areas.push({ start, end, gpi, name: gpiName(gpi) });
  }
  bad(start: number, end: number, level: 0 | 1, entry: number, name: string): void {
    const last = this.areas.at(-1);
    const next = last?.bad && last.bad.first + 8 * last.bad.count;
    if (last?.bad && last.end === start && last.name === name && last.bad.level === level && next === entry) {
      last.end = end;
      last.bad.count++;
    } else this.areas.push({ start, end, gpi: undefined, name, bad: { level, first: entry, count: 1 } });
  }
}

function readEntry(phys: PhysicalMemory, pa: number): bigint | undefined {
  const at = phys.host(pa);
  return at === 0 ? undefined : phys.view.getBigUint64(at, true);
}

/** Adds the area of a level 0 entry, or answers the address of its table. */
function level0(phys: PhysicalMemory, c: GptConfig, pa: number, stop: number, list: AreaList): number | undefined {
  const at = c.base + Math.floor(pa / 2 ** c.l0) * 8;
  const bad = (text: string): undefined => void list.bad(pa, stop, 0, at, text);
  if (at >= 2 ** c.pps) return bad("above the protected space");
  const value = readEntry(phys, at);
  if (value === undefined) return bad("not in memory");
  const entry = decodeLevel0(c, value);
  if (entry.kind === "malformed") return bad(entry.wrong);
  if (entry.kind === "table") return entry.table < 2 ** c.pps ? entry.table : bad("its table is above the protected space");
  list.add(pa, stop, entry.gpi);
  return undefined;
}

/** Adds what the level 1 entry for `pa` says; answers where the next entry begins. */
function level1(phys: PhysicalMemory, c: GptConfig, table: number, pa: number, stop: number, list: AreaList): number {
  const unit = 2 ** (c.granule + 4);
  const at = table + Math.floor((pa % 2 ** c.l0) / unit) * 8;
  const next = Math.min(stop, (Math.floor(pa / unit) + 1) * unit);
  const value = readEntry(phys, at);
  const entry = value === undefined ? undefined : decodeLevel1(c, value);
  if (entry === undefined) list.bad(pa, next, 1, at, "not in memory");
  else if (entry.kind === "malformed") list.bad(pa, next, 1, at, entry.wrong);
  else if (entry.kind === "contiguous") list.add(pa, next, entry.gpi);
  else {
    const granule = 2 ** c.granule;
    for (let a = pa; a < next; ) {
      const end = Math.min(next, (Math.floor(a / granule) + 1) * granule);
      list.add(a, end, entry.gpis[Math.floor(a / granule) % 16] as number);
      a = end;
    }
  }
  return next;
}

/** What an area without a GPI suffers from, in words. */
export function problemOf(a: GptArea): string {
  if (a.bad === undefined) return a.name;
  const { level, first, count } = a.bad;
  const hex = (v: number): string => `0x${v.toString(16)}`;
  return count === 1
    ? `level ${level} entry at ${hex(first)}: ${a.name}`
    : `level ${level} entries from ${hex(first)} to ${hex(first + 8 * (count - 1))}: ${a.name}`;
}
