// Granule protection checks, explained: the entries that were read, decoded, and what is wrong with them (Arm ARM D9).

import { type Pas, Security, securityName } from "../arch/security.ts";
import { GranuleProtection } from "../gpt/check.ts";
import { bits, decodeLevel0, decodeLevel1, sizeName, tableSize } from "../gpt/entry.ts";
import { contigSizes, EntryKind, type GptConfig, gpiName } from "../gpt/format.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { Gpc } from "../mmu/fault.ts";
import type { Mmu } from "../mmu/mmu.ts";
import { type Diagnosis, gpcResult } from "./diagnose.ts";
import type { FieldInfo, GptEntryInfo, GptInfo } from "./model.ts";
import { hex64, hexPa, short } from "./model.ts";
import type { RecordedCheck } from "./recorder.ts";
import type { RuleId } from "./rules.ts";

/** The check of a PE as src/gpt implements it; undefined without FEAT_RME. */
export function protectionOf(mmu: Mmu): GranuleProtection | undefined {
  const g = mmu.granuleCheck;
  return g instanceof GranuleProtection ? g : undefined;
}

/** An entry as two words; undefined: not in memory. */
function readEntry(phys: PhysicalMemory, pa: number): bigint | undefined {
  const at = phys.host(pa);
  return at === 0 ? undefined : phys.view.getBigUint64(at, true);
}

// ---- entries -----------------------------------------------------------------------------------------------------------

const gpiField = (name: string, bits: string, gpi: number): FieldInfo => ({ name, bits, value: gpi, meaning: gpiName(gpi) });

function level0(c: GptConfig, pa: number, v: bigint | undefined): GptEntryInfo {
  const address = hexPa(c.base + Math.floor(pa / 2 ** c.l0) * 8);
  if (v === undefined) return { level: 0, address, kind: "unreadable", fields: [] };
  const common = { level: 0, address, value: hex64(v) } as const;
  const wrong = decodeLevel0(c, v).kind === "malformed";
  const type = bits(v, 0, 4);
  if (type === EntryKind.Block) {
    const gpi = bits(v, 4, 4);
    const fields = [
      { name: "Type", bits: "3:0", value: type, meaning: `Block: one GPI for ${sizeName(c.l0)}` },
      gpiField("GPI", "7:4", gpi),
    ];
    return wrong ? { ...common, kind: "malformed", fields } : { ...common, kind: "block", fields, gpi, gpiName: gpiName(gpi) };
  }
  if (type === EntryKind.Table) {
    const table = Number(v & 0xf_ffff_ffff_f000n);
    const fields = [
      { name: "Type", bits: "3:0", value: type, meaning: "Table: granules are in a level 1 table" },
      { name: "NextTable", bits: "51:12", value: hexPa(table), meaning: `level 1 table of ${sizeName(tableSize(c))}` },
    ];
    return { ...common, kind: wrong ? "malformed" : "table", fields };
  }
  return { ...common, kind: "malformed", fields: [{ name: "Type", bits: "3:0", value: type, meaning: "reserved" }] };
}

function level1(c: GptConfig, pa: number, at: number, v: bigint | undefined): GptEntryInfo {
  const address = hexPa(at);
  if (v === undefined) return { level: 1, address, kind: "unreadable", fields: [] };
  const common = { level: 1, address, value: hex64(v) } as const;
  const wrong = decodeLevel1(c, v).kind === "malformed";
  if (bits(v, 0, 4) === EntryKind.Contiguous) {
    const gpi = bits(v, 4, 4);
    const contig = bits(v, 8, 2);
    const of = contigSizes[contig] as number;
    const fields = [
      { name: "Type", bits: "3:0", value: 1, meaning: "Contiguous" },
      gpiField("GPI", "7:4", gpi),
      {
        name: "Contig",
        bits: "9:8",
        value: contig,
        meaning: of === 0 ? "reserved" : `one of the entries of ${sizeName(of)} with the same GPI`,
      },
    ];
    return wrong ? { ...common, kind: "malformed", fields } : { ...common, kind: "contiguous", fields, gpi, gpiName: gpiName(gpi) };
  }
  const i = Math.floor(pa / 2 ** c.granule) % 16;
  const gpi = bits(v, 4 * i, 4);
  const fields = [gpiField(`GPI of granule ${i}`, `${4 * i + 3}:${4 * i}`, gpi)];
  return wrong ? { ...common, kind: "malformed", fields } : { ...common, kind: "granules", fields, gpi, gpiName: gpiName(gpi) };
}

/** The check with everything it looked at. */
export function describeCheck(mmu: Mmu, check: RecordedCheck): GptInfo | undefined {
  const g = protectionOf(mmu);
  if (g === undefined) return undefined;
  const c = g.config;
  const kind = check.result >> 4;
  const level = check.result & 15;
  const entries: GptEntryInfo[] = [];
  let reason: string | undefined;
  if (check.entry < 0) reason = withoutTable(c, check);
  else {
    const at = c.base + Math.floor(check.pa / 2 ** c.l0) * 8;
    const l0 = level0(c, check.pa, readEntry(mmu.phys, at));
    entries.push(l0);
    const table = l0.kind === "table" ? Number(BigInt(l0.value as string) & 0xf_ffff_ffff_f000n) : -1;
    if (table >= 0 && table < 2 ** c.pps) {
      const l1 = table + Math.floor((check.pa % 2 ** c.l0) / 2 ** c.granule / 16) * 8;
      entries.push(level1(c, check.pa, l1, readEntry(mmu.phys, l1)));
    }
  }
  const failing = kind === 0 ? undefined : entries.find((e) => e.level === level);
  if (failing) failing.failed = true;
  return {
    address: hexPa(check.pa),
    space: securityName[check.pas] as string,
    result: gpcResult(kind),
    ...(kind === 0 ? {} : { level }),
    granule: c.granule,
    l0: c.l0,
    pps: c.pps,
    entries,
    ...(reason === undefined ? {} : { reason }),
  };
}

function withoutTable(c: GptConfig, check: RecordedCheck): string {
  if (!c.enabled) return "GPCCR_EL3.GPC is 0: nothing is checked";
  if (c.invalid !== undefined) return c.invalid;
  if (check.result === 0) {
    if (check.pa >= 2 ** c.pps) return `the address is above the protected space of ${c.pps} bits`;
    return "the address is in the bypass window (GPCBW_EL3)";
  }
  if ((c.disabledSpaces >> check.pas) & 1) return `the ${securityName[check.pas]} PA space is disabled`;
  if (check.pa >= 2 ** c.pps) return `the address is above the protected space of ${c.pps} bits, where only Non-secure accesses may go`;
  return `the table at ${short(c.base)} (GPTBR_EL3) is above the protected space of ${c.pps} bits`;
}

// ---- diagnosis -----------------------------------------------------------------------------------------------------------

const FLUSH = "then TLBI PAALLOS, or RPAOS for the granule, and DSB";

/** Why a check failed. `what`: what was to be accessed, for example "the stage 1 level 2 descriptor". */
export function diagnoseCheck(mmu: Mmu, check: RecordedCheck, what: string): Diagnosis {
  const c = (protectionOf(mmu) as GranuleProtection).config;
  const info = describeCheck(mmu, check) as GptInfo;
  const failing = info.entries.find((e) => e.failed);
  const space = securityName[check.pas] as string;
  const kind = check.result >> 4;
  const say = (rule: RuleId, text: string, ...remedies: string[]): Diagnosis => ({ rule, text, remedies });
  if (failing === undefined) {
    if (c.invalid !== undefined)
      return say("GPC-CONFIG", `every access fails: ${c.invalid}`, "correct GPCCR_EL3 (and GPCBW_EL3) before setting GPCCR_EL3.GPC");
    if (kind === Gpc.AddressSize)
      return say(
        "GPT-BASE-SIZE",
        `GPTBR_EL3 puts the level 0 table at ${short(c.base)}, above the protected space of ${c.pps} bits`,
        "put the table below 2^PPS, or raise GPCCR_EL3.PPS",
      );
    if ((c.disabledSpaces >> check.pas) & 1)
      return say(
        "GPC-SPACE-OFF",
        `GPCCR_EL3.${["SPAD", "NSPAD", "", "RLPAD"][check.pas]} is 1: no access to the ${space} PA space passes`,
        `clear GPCCR_EL3.${["SPAD", "NSPAD", "", "RLPAD"][check.pas]}, ${FLUSH}`,
      );
    return say(
      "GPC-ABOVE-PPS",
      `${what} is at ${short(check.pa)} in the ${space} PA space, above the protected space of ${c.pps} bits, where only Non-secure accesses may go`,
      "use an address below 2^PPS, or raise GPCCR_EL3.PPS and extend the table",
    );
  }
  const { level } = failing;
  const at = short(BigInt(failing.address));
  if (failing.kind === "unreadable")
    return say(
      level === 0 ? "GPT-L0-EXTERNAL" : "GPT-L1-EXTERNAL",
      `the level ${level} entry for ${short(check.pa)} would be at ${at}, where there is no RAM`,
      level === 0 ? "let GPTBR_EL3 point to a table in RAM" : "let the level 0 entry point to a table in RAM",
    );
  if (kind === Gpc.AddressSize)
    return say(
      "GPT-L0-SIZE",
      `the level 0 entry at ${at} points to a level 1 table above the protected space of ${c.pps} bits`,
      "put the level 1 table below 2^PPS",
    );
  if (kind === Gpc.Walk) {
    const value = BigInt(failing.value as string);
    const entry = level === 0 ? decodeLevel0(c, value) : decodeLevel1(c, value);
    return say(
      level === 0 ? "GPT-L0-MALFORMED" : "GPT-L1-MALFORMED",
      `${entry.kind === "malformed" ? entry.wrong : "malformed"}: level ${level} entry ${short(value)} at ${at}`,
      `write a well-formed entry at ${at}, ${FLUSH}`,
    );
  }
  return wrongSpace(check, failing, what, at);
}

function wrongSpace(check: RecordedCheck, e: GptEntryInfo, what: string, at: string): Diagnosis {
  const space = securityName[check.pas] as string;
  const gpi = e.gpi as number;
  const owner =
    gpi >= 8 && gpi <= 11 ? `belongs to the ${gpiName(gpi)} PA space` : gpi === 0 ? "belongs to no PA space" : `has GPI "${gpiName(gpi)}"`;
  const text = `${what} is at ${short(check.pa)} in the ${space} PA space, but the granule ${owner} (GPI ${short(gpi)} in the level ${e.level} entry at ${at})`;
  return { rule: "GPT-GPI", text, remedies: transition(gpi, check.pas) };
}

/** How a granule gets to where the access wants it. */
function transition(gpi: number, wanted: Pas): string[] {
  const direct = `or let EL3 write the GPI ${short(8 + wanted)} (${securityName[wanted]}) into the entry, ${FLUSH}`;
  if (gpi === 8 + Security.Realm && wanted === Security.NonSecure)
    return ["the host has to take the granule back: RMI_GRANULE_UNDELEGATE, after the realm has released it", direct];
  if (gpi === 8 + Security.NonSecure && wanted === Security.Realm)
    return [
      "the host has to give the granule first: RMI_GRANULE_DELEGATE",
      "or, if the memory is meant to be shared, map it with NS = 1, so that the access goes to the Non-secure PA space",
      direct,
    ];
  return ["access the granule from a state, and by a mapping (NS, NSE of the leaf), that names its PA space", direct];
}
