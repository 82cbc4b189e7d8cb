// A granule protection table as text: registers, ranges, and how much belongs to each PA space.

import { type GptDescription, problemOf } from "./describe.ts";
import { sizeName } from "./entry.ts";
import { gpccrFields } from "./registers.ts";

const hex64 = (v: bigint): string => `0x${v.toString(16).padStart(16, "0")}`;

/** "224 MiB", "127.8 MiB". */
function sizeOf(bytes: number): string {
  let log2 = 0;
  while (log2 < 50 && bytes >= 2 ** (log2 + 10)) log2 += 10;
  const amount = bytes / 2 ** log2;
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)} ${sizeName(log2).split(" ")[1]}`;
}

/** The whole description, ending in a newline. */
export function printGpt(d: GptDescription): string {
  return `${[...registers(d), "", ...areas(d), "", ...totals(d)].join("\n").trimEnd()}\n`;
}

function registers({ registers: r, config, features }: GptDescription): string[] {
  const fields = gpccrFields(r.gpccr, config, features);
  const rows = fields.map((f) => `  ${`[${f.bits}]`.padEnd(8)} ${f.name.padEnd(8)} 0x${f.value.toString(16)}  ${f.meaning}`);
  const lines = [`GPCCR_EL3 = ${hex64(r.gpccr)}`, ...rows, `GPTBR_EL3 = ${hex64(r.gptbr)}`];
  lines.push(`  ${"[39:0]".padEnd(8)} ${"BADDR".padEnd(8)} level 0 table at 0x${config.base.toString(16)}`);
  const { window } = config;
  if (window) {
    const every = window.upper >= features.paBits - 1 ? "" : `, again every ${sizeName(window.upper + 1)}`;
    lines.push(
      `GPCBW_EL3 = ${hex64(r.gpcbw)}`,
      `  nothing is checked in ${sizeName(window.lower)} from 0x${window.base.toString(16)} on${every}`,
    );
  }
  if (config.invalid !== undefined) lines.push(`This configuration is invalid, every access fails: ${config.invalid}`);
  return lines;
}

function areas(d: GptDescription): string[] {
  const digits = Math.ceil(d.config.pps / 4);
  const hex = (v: number): string => `0x${v.toString(16).padStart(digits, "0")}`;
  const lines = d.areas.map((a) => `${hex(a.start)} to ${hex(a.end - 1)}  ${sizeOf(a.end - a.start).padStart(10)}  ${problemOf(a)}`);
  if (d.stoppedAt !== undefined) lines.push(`${hex(d.stoppedAt)} and up: not read`);
  return lines;
}

/** How much of the protected space belongs to whom, the largest GPI first. */
function totals(d: GptDescription): string[] {
  const by = new Map<string, { bytes: number; ranges: number; gpi: number }>();
  for (const a of d.areas) {
    const key = a.gpi === undefined ? "malformed" : a.name;
    const t = by.get(key) ?? { bytes: 0, ranges: 0, gpi: a.gpi ?? -1 };
    by.set(key, { ...t, bytes: t.bytes + a.end - a.start, ranges: t.ranges + 1 });
  }
  return [...by]
    .sort(([, a], [, b]) => b.gpi - a.gpi)
    .map(([name, t]) => `${name.padEnd(16)} ${sizeOf(t.bytes).padStart(12)} in ${t.ranges} range${t.ranges === 1 ? "" : "s"}`);
}
