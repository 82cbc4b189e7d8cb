// Physical memory by PA space, for explanations and pictures.

import { slot } from "../arch/state.ts";
import { describeGpt, type GptDescription, problemOf } from "../gpt/describe.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import type { Mmu } from "../mmu/mmu.ts";
import { protectionOf } from "./gpt.ts";
import { hexPa, type MemoryRange } from "./model.ts";

/** Longest list that an explanation holds. */
const MAX_RANGES = 20_000;

/** The granule protection table as this PE's registers name it; undefined without FEAT_RME. */
export function gptOf(mmu: Mmu): GptDescription | undefined {
  const check = protectionOf(mmu);
  if (check === undefined) return undefined;
  const [gpccr, gptbr, gpcbw] = [slot.GPCCR_EL3, slot.GPTBR_EL3, slot.GPCBW_EL3].map((s) => mmu.st.get(s)) as [bigint, bigint, bigint];
  return describeGpt(mmu.phys, gpccr, gptbr, { gpcbw, features: check.features });
}

/** Physical memory as this PE is configured, lowest address first. One range without granule protection. */
export function memoryRanges(mmu: Mmu): MemoryRange[] {
  const d = protectionOf(mmu)?.config.enabled ? gptOf(mmu) : undefined;
  const last = mmu.phys.ramRegions.at(-1);
  const end = last ? last.base + last.size : 2 ** 32;
  if (d === undefined) return mmu.phys.ramRegions.map((r) => range(mmu.phys, r.base, r.base + r.size, undefined, "not checked"));
  if (d.config.invalid !== undefined) return [range(mmu.phys, 0, end, undefined, `every access fails: ${d.config.invalid}`)];
  const out = d.areas.slice(0, MAX_RANGES).map((a) => range(mmu.phys, a.start, a.end, a.gpi, problemOf(a)));
  const listed = d.areas[out.length - 1]?.end ?? 0;
  if (listed < 2 ** d.config.pps) out.push(range(mmu.phys, listed, 2 ** d.config.pps, undefined, "not listed"));
  return out;
}

function range(phys: PhysicalMemory, from: number, to: number, gpi: number | undefined, space: string): MemoryRange {
  const inside = phys.ramRegions.filter((r) => r.base < to && r.base + r.size > from);
  const holds = inside.length === 0 ? undefined : inside.some((r) => r.base <= from && r.base + r.size >= to) ? "RAM" : "part RAM";
  return { from: hexPa(from), to: hexPa(to - 1), ...(gpi === undefined ? {} : { gpi }), space, ...(holds === undefined ? {} : { holds }) };
}
