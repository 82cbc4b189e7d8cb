// A timeline of worlds as text, and as a page that needs nothing else.

import { xml } from "./svg.ts";
import { isIdle, type PeTimeline, type Stay, sampled, type Timeline, type World, worldLetters, worldOrder } from "./timeline.ts";

const COLUMNS = 100;
/** Stays listed in full. */
const LISTED = 500;
const CAUSES = 30;

const number = (v: number): string => String(v).replace(/\B(?=(\d{3})+$)/g, " ");
const share = (part: number, whole: number): string => (whole === 0 ? "-" : `${((100 * part) / whole).toFixed(1)}%`);
const sorted = (pe: PeTimeline): PeTimeline["totals"] =>
  [...pe.totals].sort((a, b) => worldOrder.indexOf(a.world) - worldOrder.indexOf(b.world));
const active = (t: Timeline): readonly PeTimeline[] => t.pes.filter((pe) => !isIdle(t, pe));
const omittedText = (t: Timeline): string => (t.omitted > 0 ? `${number(t.omitted)} more stays are counted, not listed` : "");

/** Lines of text: a bar and totals for each PE, what entered EL3, and the stays one by one. */
export function timelineText(t: Timeline): string {
  const total = t.to - t.from;
  const legend = worldOrder.map((w) => `${worldLetters[w]} ${w}`).join(", ");
  const out = [
    `Worlds from instruction ${number(t.from)} to ${number(t.to)} (${legend}).`,
    "Time is counted in instructions of all PEs; a PE that is off or waits stays in the world it is in.",
    "",
  ];
  for (const pe of active(t)) {
    out.push(
      `PE ${pe.pe}  ${sampled(t, pe, COLUMNS)
        .map((w) => worldLetters[w])
        .join("")}`,
    );
    for (const { world, instructions, visits } of sorted(pe))
      out.push(
        `      ${world.padEnd(10)} ${number(instructions).padStart(15)} ${share(instructions, total).padStart(6)} ${number(visits).padStart(9)} times`,
      );
    out.push("");
  }
  out.push("Entries to EL3");
  for (const { name, count } of t.causes.slice(0, CAUSES)) out.push(`      ${number(count).padStart(9)}  ${name}`);
  for (const pe of active(t)) {
    out.push("", `Stays of PE ${pe.pe}${pe.stays.length > LISTED ? `, the first ${LISTED} of ${number(pe.stays.length)}` : ""}`);
    for (const s of pe.stays.slice(0, LISTED))
      out.push(`${String(s.from).padStart(14)} ${String(s.to - s.from).padStart(12)}  ${s.world.padEnd(10)} ${s.why}`.trimEnd());
  }
  if (t.omitted > 0) out.push("", omittedText(t));
  return `${out.join("\n")}\n`;
}

/** Colours, and patterns of strokes for those who do not see them: a letter stands in each long stay. */
const COLOURS: Readonly<Record<World, string>> = {
  Root: "#b22222",
  EL3: "#b22222",
  Realm: "#7b3fa0",
  Secure: "#d9a300",
  "Non-secure": "#3b7dbd",
};
const WIDTH = 1200;
const ROW = 34;
const LEFT = 60;

const CSS = `
body { font: 14px/1.45 system-ui, "DejaVu Sans", sans-serif; color: #000; background: #fff; max-width: 82rem; margin: 1.5rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .6rem 0; } td, th { text-align: left; padding: .1rem 1rem .1rem 0; } td.n { text-align: right; }
svg { width: 100%; height: auto; } svg text { font: 13px system-ui, "DejaVu Sans", sans-serif; } .key { display: inline-block; width: 1em; height: 1em; vertical-align: -2px; }
details { margin: .8rem 0; } .mono { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 12px; white-space: pre; }
`.trim();

/** The page. */
export function timelinePage(t: Timeline): string {
  const title = `Worlds from instruction ${number(t.from)} to ${number(t.to)}`;
  const used = worldOrder.filter((w) => active(t).some((pe) => pe.totals.some((x) => x.world === w)));
  const legend = used
    .map((w) => `<span class="key" style="background:${COLOURS[w]}"></span> ${xml(w)} (${worldLetters[w]})`)
    .join(" &#160; ");
  const parts = [`<h1>${xml(title)}</h1>`, `<p>${legend}</p>`, picture(t), ...active(t).map((pe) => peSection(t, pe)), causes(t)];
  if (t.omitted > 0) parts.push(`<p>${xml(omittedText(t))}.</p>`);
  return `<!DOCTYPE html>
<html lang="en" xmlns="http://www.w3.org/1999/xhtml">
<head>
<meta charset="utf-8"/>
<title>${xml(title)}</title>
<style>
${CSS}
</style>
</head>
<body>
${parts.join("\n")}
</body>
</html>
`;
}

/** One row for each PE. What is narrower than a pixel is shown by the world in which the PE was longest there. */
function picture(t: Timeline): string {
  const rows = active(t).map((pe, n) => {
    const worlds = sampled(t, pe, WIDTH);
    const out = [`<text x="0" y="${n * ROW + 20}">PE ${pe.pe}</text>`];
    for (let from = 0; from < WIDTH; ) {
      let to = from + 1;
      while (to < WIDTH && worlds[to] === worlds[from]) to++;
      const world = worlds[from] as World;
      out.push(
        `<rect x="${LEFT + from}" y="${n * ROW + 4}" width="${to - from}" height="${ROW - 10}" fill="${COLOURS[world]}"><title>${xml(world)}</title></rect>`,
      );
      if (to - from >= 24)
        out.push(`<text x="${LEFT + (from + to) / 2 - 4}" y="${n * ROW + 20}" fill="#fff">${worldLetters[world]}</text>`);
      from = to;
    }
    return out.join("");
  });
  const height = Math.max(1, rows.length) * ROW;
  const alt = xml(`World of each PE over time`);
  return `<svg viewBox="0 0 ${LEFT + WIDTH} ${height}" role="img" aria-label="${alt}" xmlns="http://www.w3.org/2000/svg">${rows.join("")}</svg>`;
}

function peSection(t: Timeline, pe: PeTimeline): string {
  const rows = sorted(pe).map(
    ({ world, instructions, visits }) =>
      `<tr><td>${xml(world)}</td><td class="n">${number(instructions)}</td><td class="n">${share(instructions, t.to - t.from)}</td><td class="n">${number(visits)}</td></tr>`,
  );
  const line = (s: Stay): string =>
    `${String(s.from).padStart(14)} ${String(s.to - s.from).padStart(12)}  ${s.world.padEnd(10)} ${s.why}`.trimEnd();
  const list = pe.stays.slice(0, LISTED).map(line).join("\n");
  const more = pe.stays.length > LISTED ? `the first ${LISTED} of ${number(pe.stays.length)} stays` : `${pe.stays.length} stays`;
  return `<h2>PE ${pe.pe}</h2>
<table><tr><th>world</th><th>instructions</th><th>share</th><th>visits</th></tr>${rows.join("")}</table>
<details><summary>${more}: from, instructions, world, what entered EL3</summary><div class="mono">${xml(list)}</div></details>`;
}

function causes(t: Timeline): string {
  const rows = t.causes.slice(0, CAUSES).map(({ name, count }) => `<tr><td class="n">${number(count)}</td><td>${xml(name)}</td></tr>`);
  return `<h2>Entries to EL3</h2><table>${rows.join("")}</table>`;
}
