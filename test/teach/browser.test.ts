// Explanation pages in headless Chromium: they render, everything is inside of its box, and nothing is asked of a network.
// RME_CHROMIUM names the program when it is not where Debian's package has it; without one this is skipped.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { explanationPage } from "../../src/teach/html.ts";
import type { Explanation } from "../../src/teach/model.ts";
import { richExplanation } from "../support/explanations.ts";

const chromium = [process.env.RME_CHROMIUM, "/usr/bin/chromium"].find((path) => path !== undefined && existsSync(path));
const dir = mkdtempSync(join(tmpdir(), "rme-emu-page-"));
afterAll(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));

/** What is measured in the browser. Lengths in units of the pictures. */
interface Measured {
  /** Width and height of each picture on the screen. */
  pictures: [number, number][];
  /** Texts that stick out of their picture, or of the box that they stand in. */
  outside: string[];
  /** Texts that lie over each other. */
  overlapping: string[];
  /** The page is wider than the window. */
  wide: boolean;
  marks: number;
}

/** Runs in the page; the result goes to an attribute, from where --dump-dom brings it. */
const PROBE = `
  const inside = (a, b) => a.x >= b.x - 1 && a.y >= b.y - 1 && a.x + a.width <= b.x + b.width + 1 && a.y + a.height <= b.y + b.height + 1;
  const out = { pictures: [], outside: [], overlapping: [], wide: document.documentElement.scrollWidth > innerWidth, marks: 0 };
  for (const svg of document.querySelectorAll("svg")) {
    const { width, height } = svg.getBoundingClientRect();
    out.pictures.push([width, height]);
    out.marks += svg.querySelectorAll(".mark").length;
    const boxes = [...svg.querySelectorAll("rect.box")].map((r) => r.getBBox());
    const texts = [...svg.querySelectorAll("text")];
    for (const t of texts) {
      const b = t.getBBox();
      const own = boxes.find((r) => b.x >= r.x && b.x < r.x + r.width && b.y + b.height / 2 >= r.y && b.y + b.height / 2 < r.y + r.height);
      if (!inside(b, own ?? svg.viewBox.baseVal)) out.outside.push(t.textContent);
    }
    texts.forEach((t, i) => {
      const a = t.getBBox();
      for (const u of texts.slice(i + 1)) {
        const b = u.getBBox();
        if (a.x < b.x + b.width - 1 && b.x < a.x + a.width - 1 && a.y < b.y + b.height - 4 && b.y < a.y + a.height - 4)
          out.overlapping.push(t.textContent + " | " + u.textContent);
      }
    });
  }
  document.documentElement.setAttribute("data-measured", btoa(unescape(encodeURIComponent(JSON.stringify(out)))));
`;

function show(name: string, e: Explanation): { measured: Measured; picture: number } {
  const page = explanationPage(e);
  const file = join(dir, `${name}.html`);
  writeFileSync(file, page.replace("</body>", `<script>${PROBE}</script></body>`));
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"];
  const more = [`--user-data-dir=${dir}/profile`, `--screenshot=${dir}/${name}.png`, "--window-size=1100,2400", "--dump-dom"];
  const dom = execFileSync(chromium as string, [...flags, ...more, `file://${file}`], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    timeout: 50_000,
  });
  const measured = JSON.parse(Buffer.from(/data-measured="([^"]+)"/.exec(dom)?.[1] ?? "", "base64").toString()) as Measured;
  return { measured, picture: statSync(`${dir}/${name}.png`).size };
}

/** A refused transfer of a device, from the pieces of the other. */
function transfer(): Explanation {
  const { va: _va, ipa: _ipa, output: _output, tlb: _tlb, ...e } = richExplanation();
  const trigger = {
    pe: 0,
    el: 1,
    security: "Non-secure",
    pc: "0xffff800080012344",
    instruction: { word: "0xb9000041", text: "str w1, [x2]" },
  };
  return {
    ...e,
    summary: "virtio-blk at 0xa003e00 cannot write 512 bytes at 0x40007ff0: the granule does not belong to the PA space of the access",
    requester: { device: "virtio-blk at 0xa003e00", security: "Non-secure", privilege: "privileged", access: "write", trigger },
    transfer: { address: "0x0000040007ff0", length: 512, refusedAt: "0x0000040008000" },
    regime: { name: "none", stage1: false, stage2: false, registers: [] },
    descriptors: [],
  };
}

it.skipIf(!chromium).each([
  ["two stages", richExplanation],
  ["a transfer of a device", transfer],
])(`renders in Chromium: %s${chromium ? "" : " (skipped: no Chromium, name one in RME_CHROMIUM)"}`, { timeout: 60_000 }, (name, make) => {
  const { measured, picture } = show(name.replace(/ /g, "-"), make());
  expect(measured.pictures.length).toBe(2);
  for (const [width, height] of measured.pictures) {
    expect(width).toBeGreaterThan(800);
    expect(height).toBeGreaterThan(100);
  }
  expect(measured).toMatchObject({ outside: [], overlapping: [], wide: false, marks: 1 });
  // A blank page of this size is a few kilobytes.
  expect(picture).toBeGreaterThan(60_000);
});
