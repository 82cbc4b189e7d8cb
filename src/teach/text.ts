// An explanation as text for a terminal or a log: aligned, at most about 140 columns.

import type { DescriptorInfo, Explanation, FieldInfo, GptInfo, RequesterInfo, TriggerInfo, WriterInfo } from "./model.ts";

/** Rows of cells, columns as wide as their widest cell. */
export function columns(rows: readonly (readonly string[])[], indent = 0): string[] {
  const widths: number[] = [];
  for (const r of rows) for (const [i, c] of r.entries()) widths[i] = Math.max(widths[i] ?? 0, c.length);
  const pad = " ".repeat(indent);
  return rows.map((r) => (pad + r.map((c, i) => (i === r.length - 1 ? c : c.padEnd(widths[i] as number))).join("  ")).trimEnd());
}

/** The whole explanation, ending in a newline. */
export function explanationText(e: Explanation): string {
  const lines = [e.summary, "", ...columns(head(e), 2)];
  if (e.failure) lines.push("", ...failure(e));
  lines.push("", ...walk(e));
  if (e.gpt) lines.push("", ...gpt(e.gpt, `Granule protection check of the ${e.transfer ? "transfer" : "output"}`, 2));
  for (const note of e.notes) lines.push(...wrap(`Note: ${note}`, 2));
  return `${lines.join("\n")}\n`;
}

function head(e: Explanation): string[][] {
  const rows: string[][] = [["Requester", requesterText(e.requester)]];
  const { instruction, pc, symbol, trigger } = e.requester;
  if (trigger) rows.push(["Caused by", triggerText(trigger)]);
  if (pc !== undefined) rows.push(["PC", symbol === undefined ? pc : `${pc} ${symbol}`]);
  if (instruction !== undefined) rows.push(["Instruction", `${instruction.word}  ${instruction.text}`]);
  const { transfer } = e;
  if (transfer) rows.push(["Transfer", `${e.requester.access} of ${transfer.length} bytes at PA ${transfer.address}`]);
  if (transfer) return rows;
  rows.push(["Address", `${e.va} (${e.requester.access}, ${e.requester.privilege})`]);
  rows.push(["Regime", `${e.regime.name}, stage 1 ${e.regime.stage1 ? "on" : "off"}${e.regime.stage2 ? ", stage 2 on" : ""}`]);
  if (e.tlb)
    rows.push([
      "TLB",
      `${e.tlb.address} ${e.tlb.space}, 2^${e.tlb.block} bytes, ${e.tlb.agrees ? "as the tables say" : "NOT what the tables say"}`,
    ]);
  return rows;
}

/** "PE 0, Non-secure EL1, after 1234 instructions". */
export function requesterText(r: RequesterInfo): string {
  if (r.device !== undefined) return `${r.device}, ${r.security}`;
  return `PE ${r.pe}, ${r.security} EL${r.el}${r.instructions === undefined ? "" : `, after ${r.instructions} instructions`}`;
}

/** "PE 0, Non-secure EL1, PC 0x... name: str w1, [x2]". */
export function triggerText(t: TriggerInfo): string {
  const symbol = t.symbol === undefined ? "" : ` ${t.symbol}`;
  return `PE ${t.pe}, ${t.security} EL${t.el}, PC ${t.pc}${symbol}${t.instruction === undefined ? "" : `: ${t.instruction.text}`}`;
}

function walk(e: Explanation): string[] {
  if (e.transfer) return ["No translation: a device uses physical addresses"];
  const lines = ["Translation"];
  lines.push(
    ...columns(
      e.regime.registers.map((r) => [r.name, r.value, r.fields.map(fieldText).join(", ")]),
      2,
    ),
  );
  for (const d of e.descriptors) lines.push(...descriptor(d, 2));
  if (e.ipa) lines.push(`  Stage 1 output: IPA ${e.ipa.address}, ${e.ipa.space} space`);
  if (e.output) {
    const { address, space, memory, permissions, block } = e.output;
    lines.push(`  Output: PA ${address}, ${space} PA space; ${memory}; ${permissions}; block of 2^${block} bytes`);
  }
  return lines;
}

const fieldText = (f: FieldInfo): string => `${f.name}=${f.value} ${f.meaning}`;

function descriptor(d: DescriptorInfo, indent: number): string[] {
  const pad = " ".repeat(indent);
  const lines: string[] = [];
  const inner = d.stage2 ?? [];
  if (inner.some((s) => s.failed || (s.gpt && s.gpt.result !== "pass"))) for (const s of inner) lines.push(...descriptor(s, indent + 4));
  const at = d.address === undefined ? `at IPA ${d.ipa}` : `at ${d.address} (${d.space})${d.ipa === undefined ? "" : `, IPA ${d.ipa}`}`;
  const mark = d.failed ? " <== FAILS HERE" : "";
  lines.push(`${pad}Stage ${d.stage} level ${d.level} ${d.kind} ${at}${d.value === undefined ? "" : ` = ${d.value}`}${mark}`);
  const rows =
    d.kind === "table" && !d.failed ? d.fields.filter((f) => f.name !== "NextTable" && f.name !== "Type" && f.value !== 0) : d.fields;
  lines.push(
    ...columns(
      rows.map((f) => [`[${f.bits}]`, f.name, `${f.value}`, f.meaning]),
      indent + 4,
    ),
  );
  if (lines.length === 1 && inner.length > 0) lines.push(`${pad}    by stage 2: ${inner.map(brief).join(" -> ")}`);
  if (d.writer) lines.push(`${pad}    last written: ${writerText(d.writer)}`);
  // A check that passed is one line; one that failed is shown whole.
  if (d.gpt?.result === "pass") lines.push(`${pad}    granule check: ${gptShort(d.gpt)}`);
  else if (d.gpt) lines.push(...gpt(d.gpt, "Granule protection check of this descriptor", indent + 4));
  for (const s of d.update ?? []) lines.push(...descriptor(s, indent + 4));
  return lines;
}

/** A stage 2 descriptor in a few words. */
function brief(d: DescriptorInfo): string {
  return `level ${d.level} ${d.kind} ${d.value ?? ""} at ${d.address ?? "?"}`;
}

/** "PE 0, Root EL3, PC 0x... name, in RMI_GRANULE_DELEGATE ..., at instruction 1234; it was 0x...". */
export function writerText(w: WriterInfo): string {
  const parts = [w.by];
  if (w.el !== undefined) parts.push(`${w.security} EL${w.el}`);
  if (w.pc !== undefined) parts.push(`PC ${w.pc}${w.symbol === undefined ? "" : ` ${w.symbol}`}`);
  if (w.call !== undefined) parts.push(`in ${w.call}`);
  return `${parts.join(", ")}, at instruction ${w.at}; before: ${w.before}`;
}

function gptShort(g: GptInfo): string {
  const last = g.entries.at(-1);
  if (last === undefined) return `${g.result} (${g.reason ?? ""})`;
  return `${g.result}, ${last.gpiName ?? last.kind} by the level ${last.level} entry at ${last.address}`;
}

function gpt(g: GptInfo, title: string, indent: number): string[] {
  const pad = " ".repeat(indent);
  const level = g.level === undefined ? "" : `, level ${g.level}`;
  const lines = [`${pad.slice(2)}${title}: ${g.result}${level}`, `${pad}${g.address} in the ${g.space} PA space`];
  if (g.reason !== undefined) lines.push(`${pad}${g.reason}`);
  for (const e of g.entries) {
    lines.push(
      `${pad}Level ${e.level} ${e.kind} at ${e.address}${e.value === undefined ? "" : ` = ${e.value}`}${e.failed ? " <== FAILS HERE" : ""}`,
    );
    lines.push(
      ...columns(
        e.fields.map((f) => [`[${f.bits}]`, f.name, `${f.value}`, f.meaning]),
        indent + 4,
      ),
    );
    if (e.writer) lines.push(`${pad}    last written: ${writerText(e.writer)}`);
  }
  return lines;
}

function failure(e: Explanation): string[] {
  const f = e.failure as NonNullable<Explanation["failure"]>;
  const lines = [`Why: ${f.title} [${f.rule}; Arm ARM ${f.section}]`];
  lines.push(...wrap(f.text, 2));
  lines.push(`  Where: ${f.where}`);
  if (f.status) lines.push(`  Status: 0x${f.status.code.toString(16).padStart(2, "0")} ${f.status.name}`);
  if (f.reported) {
    const { exception, to, esr, far, hpfar, mfar } = f.reported;
    const more = [hpfar && `HPFAR_EL2=${hpfar}`, mfar && `MFAR_EL3=${mfar}`].filter((t) => t).map((t) => `, ${t}`);
    lines.push(`  Reported: ${exception}, taken to EL${to}: ESR_EL${to}=${esr}, FAR_EL${to}=${far}${more.join("")}`);
  }
  lines.push("  What to do:");
  for (const r of f.remedies) lines.push(...wrap(`- ${r}`, 4, 6));
  return lines;
}

/** Breaks text at spaces, at column 120. */
export function wrap(text: string, indent: number, hanging = indent): string[] {
  const lines: string[] = [];
  let line = " ".repeat(indent);
  let empty = true;
  for (const word of text.split(" ")) {
    if (!empty && line.length + 1 + word.length > 120) {
      lines.push(line);
      line = " ".repeat(hanging);
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  lines.push(line);
  return lines;
}
