// The two pictures of an explanation, as SVG: the walk, and physical memory by PA space. Every shade comes with a hatching of its
// own, so that they read in black and white too.

import { type DescriptorInfo, type Explanation, type GptEntryInfo, type GptInfo, type MemoryRange, short } from "./model.ts";

/** Text for XML. Control characters that XML does not know are left out. */
export function xml(text: string): string {
  return text
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "")
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;");
}

// ---- PA spaces -----------------------------------------------------------------------------------------------------------

/** Fill, hatching and short name of a GPI. */
export interface Style {
  readonly id: string;
  readonly name: string;
  readonly fill: string;
  /** Content of a pattern of 8 x 8. */
  readonly hatch: string;
}

const line = (d: string): string => `<path d="${d}" stroke="#000" stroke-width="1" fill="none"/>`;
// biome-ignore format: table
const styles: readonly Style[] = [
  { id: "gpi-9",  name: "Non-secure",       fill: "#d6ecff", hatch: "" },
  { id: "gpi-b",  name: "Realm",            fill: "#ffe29a", hatch: line("M-2 2 L2 -2 M0 8 L8 0 M6 10 L10 6") },
  { id: "gpi-8",  name: "Secure",           fill: "#c9efc4", hatch: line("M0 4 H8") },
  { id: "gpi-a",  name: "Root",             fill: "#f5b7b1", hatch: line("M0 0 L8 8 M0 8 L8 0") },
  { id: "gpi-f",  name: "any",              fill: "#ffffff", hatch: '<circle cx="4" cy="4" r="1" fill="#000"/>' },
  { id: "gpi-0",  name: "no access",        fill: "#9a9a9a", hatch: "" },
  { id: "gpi-d",  name: "Non-secure only",  fill: "#b5d4f5", hatch: line("M4 0 V8") },
  { id: "bad",    name: "malformed",        fill: "#ff7b7b", hatch: line("M0 0 L8 8 M0 8 L8 0 M0 4 H8 M4 0 V8") },
  { id: "plain",  name: "not checked",      fill: "#eeeeee", hatch: "" },
];
const styleOf = (r: MemoryRange): Style => {
  const id = r.gpi !== undefined ? `gpi-${r.gpi.toString(16)}` : r.space === "not checked" ? "plain" : "bad";
  return styles.find((s) => s.id === id) ?? (styles.find((s) => s.id === "gpi-0") as Style);
};

function patterns(): string {
  return styles
    .map(
      (s) =>
        `<pattern id="${s.id}" width="8" height="8" patternUnits="userSpaceOnUse"><rect width="8" height="8" fill="${s.fill}"/>${s.hatch}</pattern>`,
    )
    .join("");
}

// ---- drawing -------------------------------------------------------------------------------------------------------------

const text = (x: number, y: number, content: string, cls = ""): string =>
  `<text x="${x}" y="${y}"${cls ? ` class="${cls}"` : ""}>${xml(content)}</text>`;

/** Columns: stage 1 left, stage 2 right, granule protection below both. */
const WIDTH = 960;
const BOX_W = 440;
const GAP = 26;

interface Box {
  readonly title: string;
  readonly lines: readonly string[];
  readonly failed: boolean;
  /** The access did not get here. */
  readonly unreached?: boolean;
}
const height = (b: Box): number => 32 + 16 * b.lines.length;

function drawBox(b: Box, x: number, y: number): string {
  const h = height(b);
  const out = [`<rect x="${x}" y="${y}" width="${BOX_W}" height="${h}" class="box${b.failed ? " bad" : b.unreached ? " not" : ""}"/>`];
  out.push(text(x + 10, y + 18, b.title, "title"));
  for (const [i, l] of b.lines.entries()) out.push(text(x + 10, y + 36 + 16 * i, l, "mono"));
  if (b.failed) {
    out.push(`<path d="M${x + BOX_W - 30} ${y + 6} l18 18 m0 -18 l-18 18" class="cross"/>`);
    out.push(text(x + BOX_W - 128, y + 20, "FAILS HERE", "fails"));
  }
  return out.join("");
}
const arrow = (x1: number, y1: number, x2: number, y2: number, dashed: boolean): string =>
  `<path d="M${x1} ${y1} L${x2} ${y2}" class="arrow${dashed ? " not" : ""}"${dashed ? "" : ' marker-end="url(#head)"'}/>`;

const clip = (s: string): string => (s.length > 58 ? `${s.slice(0, 57)}…` : s);

function descriptorBox(d: DescriptorInfo): Box {
  const at = d.address === undefined ? `at IPA ${d.ipa}` : `at ${d.address} ${d.space}`;
  const lines = [at];
  if (d.value !== undefined) lines.push(`= ${d.value}`);
  const shown = d.fields.filter(
    (f) =>
      /^(OutputAddress|NextTable|AP\[2:1\]|S2AP|AF|UXN|PXN|XN|NS|APTable)$/.test(f.name) &&
      (f.value !== 0 || d.failed || f.name === "AP[2:1]" || f.name === "S2AP"),
  );
  for (const f of shown) lines.push(clip(`${f.name} = ${f.value}: ${f.meaning}`));
  if (d.stage2) lines.push(clip(`found by stage 2: ${d.stage2.map((s) => `level ${s.level} ${s.kind}`).join(", ")}`));
  if (d.gpt)
    lines.push(
      clip(
        `granule check: ${d.gpt.result}${d.gpt.entries.length > 0 ? `, ${d.gpt.entries.at(-1)?.gpiName ?? d.gpt.entries.at(-1)?.kind}` : ""}`,
      ),
    );
  if (d.writer) lines.push(clip(`last written by ${d.writer.by}${d.writer.symbol ? ` in ${d.writer.symbol}` : ""}`));
  return { title: `Stage ${d.stage}, level ${d.level}: ${d.kind}`, lines, failed: d.failed === true };
}

function gptBox(e: GptEntryInfo): Box {
  const lines = [`at ${e.address} Root`, ...(e.value === undefined ? ["not in memory"] : [`= ${e.value}`])];
  for (const f of e.fields) lines.push(clip(`${f.name} = ${typeof f.value === "number" ? short(f.value) : f.value}: ${f.meaning}`));
  if (e.writer) lines.push(clip(`last written by ${e.writer.by}${e.writer.call ? ` in ${e.writer.call}` : ""}`));
  return { title: `Granule protection, level ${e.level}: ${e.kind}`, lines, failed: e.failed === true };
}

function transferLines(e: Explanation): string[] {
  const { requester: r, transfer } = e;
  const lines = [clip(`${r.access} of ${transfer?.length} bytes by ${r.device}`), `a ${r.security} requester; no translation`];
  if (r.trigger) lines.push(clip(`caused by PE ${r.trigger.pe}, ${r.trigger.instruction?.text ?? r.trigger.pc}`));
  return lines;
}

/** The walk: boxes from top to bottom, stage 2 to the right of stage 1, arrows from each entry to what it names. */
export function walkSvg(e: Explanation): string {
  const out: string[] = [];
  const left = 20;
  const right = WIDTH - BOX_W - 20;
  let y = 10;
  const place = (b: Box, x: number, from?: readonly [number, number]): readonly [number, number] => {
    if (from) out.push(arrow(from[0], from[1], x + BOX_W / 2, y, b.unreached === true));
    out.push(drawBox(b, x, y));
    const bottom = y + height(b);
    y = bottom + GAP;
    return [x + BOX_W / 2, bottom];
  };
  const r = e.requester;
  const before = e.failure !== undefined && e.descriptors.length === 0 && !e.gpt && e.failure.rule.startsWith("S");
  const first: Box = e.transfer
    ? { title: `PA ${e.transfer.address}`, lines: transferLines(e), failed: !e.gpt }
    : {
        title: `VA ${e.va}`,
        lines: [
          `${r.access} by PE ${r.pe}, ${r.security} EL${r.el}, ${r.privilege}`,
          `regime ${e.regime.name}: stage 1 ${e.regime.stage1 ? "on" : "off"}, stage 2 ${e.regime.stage2 ? "on" : "off"}`,
        ],
        failed: before,
      };
  let last = place(first, left);
  let anyFailed = before;
  const step = (d: DescriptorInfo, x: number): void => {
    const bad = [...(d.stage2 ?? []), ...(d.update ?? [])].filter((s) => s.failed || (s.gpt && s.gpt.result !== "pass"));
    // A stage 2 walk that failed on the way to a stage 1 descriptor is drawn whole.
    if (bad.length > 0) for (const s of [...(d.stage2 ?? []), ...(d.update ?? [])]) last = place(descriptorBox(s), right, last);
    last = place(descriptorBox(d), x, last);
    anyFailed ||= d.failed === true || bad.length > 0;
    if (d.gpt && d.gpt.result !== "pass") drawGpt(d.gpt);
    for (const s of bad) if (s.gpt && s.gpt.result !== "pass") drawGpt(s.gpt);
  };
  const drawGpt = (g: GptInfo): void => {
    for (const entry of g.entries) {
      last = place(gptBox(entry), right, last);
      anyFailed ||= entry.failed === true;
    }
    if (g.entries.length > 0) return;
    const bad = g.result !== "pass";
    last = place({ title: `Granule protection: ${g.result}`, lines: [clip(g.reason ?? "")], failed: bad }, right, last);
    anyFailed ||= bad;
  };
  for (const d of e.descriptors.filter((x) => x.stage === 1)) step(d, left);
  if (e.ipa) last = place({ title: `IPA ${e.ipa.address}`, lines: [`${e.ipa.space} IPA space`], failed: false }, left, last);
  for (const d of e.descriptors.filter((x) => x.stage === 2)) step(d, right);
  if (e.gpt) drawGpt(e.gpt);
  if (e.output) {
    const failed = e.failure !== undefined && !anyFailed;
    const unreached = e.failure !== undefined && anyFailed;
    const lines = unreached ? ["not reached"] : [clip(e.output.memory), clip(e.output.permissions)];
    place({ title: `PA ${e.output.address}, ${e.output.space} PA space`, lines, failed, unreached }, left, last);
  }
  const defs = `<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 L10 5 L0 10 z"/></marker></defs>`;
  return svg(y, defs + out.join(""), `The walk for ${e.va ?? e.transfer?.address}`);
}

const svg = (h: number, body: string, label: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${Math.ceil(h)}" role="img" aria-label="${xml(label)}">${body}</svg>`;

// ---- memory --------------------------------------------------------------------------------------------------------------

const BAR_X = 20;
const BAR_W = WIDTH - 40;
/** Ranges drawn; what is more is told. */
const MAX_DRAWN = 60;

/**
 * Physical memory from left to right by PA space. Ranges are drawn at widths between a minimum and what fits, not to scale: a
 * granule beside gigabytes must remain visible. Each range is a row of a legend below.
 */
export function memorySvg(e: Explanation): string {
  const mark = markOf(e);
  const ranges = chosen(e.memory, mark);
  const weights = ranges.map((r) => 4 + Math.log2(Number(r.to) - Number(r.from) + 2) / 4);
  const unit =
    BAR_W /
    Math.max(
      1,
      weights.reduce((a, b) => a + b, 0),
    );
  const out = [`<defs>${patterns()}</defs>`];
  const marks: string[] = [];
  let x = BAR_X;
  const top = 44;
  for (const [i, r] of ranges.entries()) {
    const w = (weights[i] as number) * unit;
    out.push(`<rect x="${x.toFixed(1)}" y="${top}" width="${w.toFixed(1)}" height="56" fill="url(#${styleOf(r).id})" class="range"/>`);
    if (w > 18) out.push(text(x + 3, top + 70, `${i + 1}`, "small"));
    if (mark !== undefined && mark >= Number(r.from) && mark <= Number(r.to)) {
      const at = x + (w * (mark - Number(r.from))) / (Number(r.to) - Number(r.from) + 1);
      marks.push(
        `<path d="M${at.toFixed(1)} ${top - 2} l-7 -14 h14 z" class="mark"/><path d="M${at.toFixed(1)} ${top} v56" class="needle"/>`,
      );
      marks.push(
        `<text x="${Math.min(Math.max(at, 120), WIDTH - 120).toFixed(1)}" y="${top - 22}" class="mono" text-anchor="middle">${xml(`PA ${short(mark)}`)}</text>`,
      );
    }
    x += w;
  }
  out.push(...marks);
  let y = top + 100;
  for (const [i, r] of ranges.entries()) {
    const here = mark !== undefined && mark >= Number(r.from) && mark <= Number(r.to);
    out.push(`<rect x="${BAR_X}" y="${y - 12}" width="28" height="14" fill="url(#${styleOf(r).id})" class="range"/>`);
    out.push(text(BAR_X + 36, y, `${String(i + 1).padStart(2)}`, "small"));
    out.push(text(BAR_X + 64, y, `${r.from} to ${r.to}`, "mono"));
    out.push(text(BAR_X + 400, y, clip(`${r.space}${r.holds ? `, ${r.holds}` : ""}`), here ? "title" : ""));
    if (here) out.push(text(BAR_X + 790, y, "◀ the address", "title"));
    y += 20;
  }
  const left = e.memory.length - ranges.length;
  if (left > 0) {
    out.push(text(BAR_X + 64, y, `and ${left} more ranges`, "small"));
    y += 20;
  }
  return svg(y + 4, out.join(""), "Physical memory by physical address space");
}

/** Physical address to mark: the output, or the table entry whose check failed. */
function markOf(e: Explanation): number | undefined {
  const failed = e.descriptors.find((d) => d.gpt && d.gpt.result !== "pass")?.gpt ?? e.gpt;
  const hex = failed?.address ?? e.output?.address ?? e.transfer?.refusedAt;
  return hex === undefined ? undefined : Number(hex);
}

/** All ranges, or those around the mark. */
function chosen(all: readonly MemoryRange[], mark: number | undefined): readonly MemoryRange[] {
  if (all.length <= MAX_DRAWN) return all;
  const at = mark === undefined ? 0 : all.findIndex((r) => mark >= Number(r.from) && mark <= Number(r.to));
  const from = Math.max(0, Math.min(all.length - MAX_DRAWN, at - MAX_DRAWN / 2));
  return all.slice(from, from + MAX_DRAWN);
}

/** The legend of hatchings that occur. */
export function legendOf(e: Explanation): readonly Style[] {
  return styles.filter((s) => e.memory.some((r) => styleOf(r) === s));
}
