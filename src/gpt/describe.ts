// Reads granule protection tables back from memory: which ranges have which GPI, and what is malformed.

import type { PhysicalMemory } from "../mem/physical.ts";
import { contigSizes, decodeGptConfig, EntryKind, type GptConfig, type GptFeatures, gpiName } from "./format.ts";

/** Granules that belong together: same GPI, or the same problem. */
export interface GptArea {
  /** [start, end) in bytes. */
  start: number;
  end: number;
  /** The GPI, undefined where the tables do not give one. */
  gpi: number | undefined;
  /** Name of the GPI, or what is wrong. */
  name: string;
}

export interface GptDescription {
  config: GptConfig;
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
const problem = (level: 0 | 1, text: string, address: number): string => `level ${level} entry at 0x${address.toString(16)}: ${text}`;

/** Lists the areas that the tables of GPCCR_EL3 and GPTBR_EL3 describe. */
export function describeGpt(phys: PhysicalMemory, gpccr: bigint, gptbr: bigint, o: DescribeOptions = {}): GptDescription {
  const config = decodeGptConfig(gpccr, gptbr, o.gpcbw ?? 0n, o.features ?? everything);
  if (config.invalid !== undefined) return { config, areas: [] };
  const list = new AreaList();
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
  const areas = list.areas;
  const reached = areas.at(-1)?.end ?? 0;
  return reached < end ? { config, areas, stoppedAt: reached } : { config, areas };
}

/** Collects areas, joining equal neighbours. */
class AreaList {
  readonly areas: GptArea[] = [];
  add(start: number, end: number, gpi: number | undefined, name: string): void {
    const last = this.areas.at(-1);
    if (last?.end === start && last.gpi === gpi && last.name === name) last.end = end;
    else this.areas.push({ start, end, gpi, name });
  }
}

function readEntry(phys: PhysicalMemory, pa: number): bigint | undefined {
  const at = phys.host(pa);
  return at === 0 ? undefined : phys.view.getBigUint64(at, true);
}
const isValid = (c: GptConfig, gpi: number): boolean => ((c.validGpis >> gpi) & 1) === 1;
const gpiOf = (entry: bigint): number => Number((entry >> 4n) & 15n);

/** Adds the area of a level 0 entry, or answers the address of its table. */
function level0(phys: PhysicalMemory, c: GptConfig, pa: number, stop: number, list: AreaList): number | undefined {
  const at = c.base + Math.floor(pa / 2 ** c.l0) * 8;
  const bad = (text: string): undefined => void list.add(pa, stop, undefined, problem(0, text, at));
  if (at >= 2 ** c.pps) return bad("above the protected space");
  const entry = readEntry(phys, at);
  if (entry === undefined) return bad("not in memory");
  const kind = Number(entry & 15n);
  if (kind === EntryKind.Block) {
    const gpi = gpiOf(entry);
    if (entry >> 8n !== 0n) return bad("reserved bits of the block are set");
    if (!isValid(c, gpi)) return bad(gpiName(gpi));
    list.add(pa, stop, gpi, gpiName(gpi));
    return undefined;
  }
  if (kind !== EntryKind.Table) return bad("neither block nor table");
  const align = 1n << BigInt(Math.max(c.l0 - c.granule - 1, 12));
  if (entry >> 52n !== 0n || (entry & (align - 1n)) !== 3n) return bad("reserved bits of the table entry are set");
  const table = Number(entry & ~15n);
  return table < 2 ** c.pps ? table : bad("its table is above the protected space");
}

/** GPI of a level 1 entry whose granules are all alike, as most are; -1: they are not. */
function uniform(phys: PhysicalMemory, pa: number): number {
  const at = phys.host(pa);
  if (at === 0) return -1;
  const low = phys.view.getUint32(at, true);
  const same = low === phys.view.getUint32(at + 4, true) && low === Math.imul(low & 15, 0x1111_1111) >>> 0;
  return same ? low & 15 : -1;
}

/** Adds what the level 1 entry for `pa` says; answers where the next entry begins. */
function level1(phys: PhysicalMemory, c: GptConfig, table: number, pa: number, stop: number, list: AreaList): number {
  const unit = 2 ** (c.granule + 4);
  const at = table + Math.floor((pa % 2 ** c.l0) / unit) * 8;
  const next = Math.min(stop, (Math.floor(pa / unit) + 1) * unit);
  const bad = (text: string): number => {
    list.add(pa, next, undefined, problem(1, text, at));
    return next;
  };
  const same = uniform(phys, at);
  if (same >= 0 && isValid(c, same)) {
    list.add(pa, next, same, gpiName(same));
    return next;
  }
  const entry = readEntry(phys, at);
  if (entry === undefined) return bad("not in memory");
  if (Number(entry & 15n) === EntryKind.Contiguous) {
    const gpi = gpiOf(entry);
    if (entry >> 10n !== 0n || contigSizes[Number((entry >> 8n) & 3n)] === 0) return bad("reserved bits of the contiguous entry");
    if (!isValid(c, gpi)) return bad(gpiName(gpi));
    list.add(pa, next, gpi, gpiName(gpi));
    return next;
  }
  const gpis = Array.from({ length: 16 }, (_, i) => Number((entry >> BigInt(4 * i)) & 15n));
  const wrong = gpis.find((g) => !isValid(c, g));
  if (wrong !== undefined) return bad(gpiName(wrong));
  const granule = 2 ** c.granule;
  for (let a = pa; a < next; ) {
    const end = Math.min(next, (Math.floor(a / granule) + 1) * granule);
    const gpi = gpis[Math.floor(a / granule) % 16] as number;
    list.add(a, end, gpi, gpiName(gpi));
    a = end;
  }
  return next;
}

/** The areas as lines of text: range, size, GPI. */
export function printGpt(d: GptDescription): string {
  if (d.config.invalid !== undefined) return `invalid configuration: ${d.config.invalid}\n`;
  const hex = (v: number): string => v.toString(16).padStart(Math.ceil(d.config.pps / 4), "0");
  const lines = d.areas.map((a) => `${hex(a.start)}..${hex(a.end - 1)}  ${a.name}`);
  if (d.stoppedAt !== undefined) lines.push(`${hex(d.stoppedAt)}..  not read`);
  if (!d.config.enabled) lines.unshift("the check is off (GPCCR_EL3.GPC = 0)");
  return `${lines.join("\n")}\n`;
}
