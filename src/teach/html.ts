// An explanation as one page that needs nothing else: no script, no other file. It prints on A4 or Letter.

import type { Explanation } from "./model.ts";
import { memorySvg, walkSvg, xml } from "./svg.ts";
import { explanationText, requesterText, triggerText } from "./text.ts";

const CSS = `
body { font: 14px/1.45 system-ui, "DejaVu Sans", sans-serif; color: #000; background: #fff; max-width: 62rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; line-height: 1.3; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; border-bottom: 1px solid #000; }
table { border-collapse: collapse; } td, th { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0; } th { font-weight: 600; white-space: nowrap; }
code, pre, .mono { font-family: ui-monospace, "DejaVu Sans Mono", monospace; } code { font-size: .92em; }
pre { font-size: 11px; line-height: 1.35; white-space: pre-wrap; border: 1px solid #999; padding: .6rem; }
.why { margin: 1rem 0; border: 2px solid #000; border-left-width: 8px; padding: .4rem .8rem; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 13px system-ui, "DejaVu Sans", sans-serif; } svg .mono { font: 12px ui-monospace, "DejaVu Sans Mono", monospace; }
svg .title { font-weight: 700; } svg .small { font-size: 11px; } svg .fails { font-weight: 700; fill: #a00000; }
svg .box { fill: #fff; stroke: #000; stroke-width: 1.2; } svg .bad { fill: #fff0ef; stroke: #a00000; stroke-width: 4; }
svg .not { stroke-dasharray: 5 4; } svg .cross { stroke: #a00000; stroke-width: 4; } svg .arrow { stroke: #000; stroke-width: 1.4; fill: none; }
svg .range { stroke: #000; stroke-width: .8; } svg .mark { fill: #000; } svg .needle { stroke: #000; stroke-width: 2.5; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; } .picture { break-inside: avoid; } .picture svg { max-height: 235mm; } .why, tr { break-inside: avoid; } @page { margin: 14mm; } * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
`.trim();

/** A heading with its picture; on paper they stay together, and a long walk is made to fit the sheet. */
const picture = (title: string, text: string, svg: string): string =>
  `<section class="picture"><h2>${xml(title)}</h2>${text}${svg}</section>`;
const row = (name: string, value: string): string => `<tr><th scope="row">${xml(name)}</th><td>${value}</td></tr>`;
const code = (s: string): string => `<code>${xml(s)}</code>`;

/** The whole document. */
export function explanationPage(e: Explanation): string {
  const parts = [`<h1>${xml(e.summary)}</h1>`, requester(e)];
  if (e.failure) parts.push(why(e));
  for (const n of e.notes) parts.push(`<p><strong>Note:</strong> ${xml(n)}</p>`);
  parts.push(picture(e.transfer ? "The check" : "The walk", "", walkSvg(e)));
  if (e.memory.length > 0)
    parts.push(
      picture("Physical memory by PA space", "<p>Not to scale: every range is at least a few millimetres wide.</p>", memorySvg(e)),
    );
  parts.push("<h2>Everything</h2>", `<pre>${xml(explanationText(e))}</pre>`);
  return `<!DOCTYPE html>
<html lang="en" xmlns="http://www.w3.org/1999/xhtml">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>${xml(e.summary)}</title>
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

function requester(e: Explanation): string {
  const r = e.requester;
  if (e.transfer) return `<table>${transferRows(e).join("")}</table>`;
  const rows = [
    row("Requester", xml(`PE ${r.pe}, ${r.security} EL${r.el}, ${r.privilege}`)),
    row("Access", `${xml(r.access)} at ${code(e.va ?? "")}`),
  ];
  if (r.pc !== undefined) rows.push(row("PC", `${code(r.pc)} ${xml(r.symbol ?? "")}`));
  if (r.instruction) rows.push(row("Instruction", `${code(r.instruction.text)} <small>(${xml(r.instruction.word)})</small>`));
  rows.push(row("Regime", xml(`${e.regime.name}; stage 1 ${e.regime.stage1 ? "on" : "off"}, stage 2 ${e.regime.stage2 ? "on" : "off"}`)));
  if (e.output)
    rows.push(row("Output", `${code(e.output.address)} ${xml(`${e.output.space} PA space, ${e.output.memory}, ${e.output.permissions}`)}`));
  return `<table>${rows.join("")}</table>`;
}

function transferRows(e: Explanation): string[] {
  const { requester: r, transfer } = e;
  const rows = [row("Requester", xml(requesterText(r)))];
  if (r.trigger) rows.push(row("Caused by", xml(triggerText(r.trigger))));
  if (transfer) rows.push(row("Transfer", `${xml(r.access)} of ${transfer.length} bytes at physical address ${code(transfer.address)}`));
  return rows;
}

function why(e: Explanation): string {
  const f = e.failure as NonNullable<Explanation["failure"]>;
  const reported = f.reported
    ? `<br/>Reported as ${xml(f.reported.exception)} to EL${f.reported.to}, ESR ${code(f.reported.esr)}, FAR ${code(f.reported.far)}`
    : "";
  const status = f.status ? ` Status 0x${f.status.code.toString(16).padStart(2, "0")}, ${xml(f.status.name)}.` : "";
  return `<div class="why"><p><strong>${xml(f.title)}</strong> [${xml(f.rule)}; Arm ARM ${xml(f.section)}]</p><p>${xml(f.text)}</p>
<p>Where: ${xml(f.where)}.${status}${reported}</p>
<p>What software would have to do:</p><ul>${f.remedies.map((r) => `<li>${xml(r)}</li>`).join("")}</ul></div>`;
}
