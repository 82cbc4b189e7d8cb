// Timelines of worlds.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Machine, type Timeline, timelinePage, timelineText } from "../../src/harness/index.ts";
import { sampled } from "../../src/teach/timeline.ts";
import { run } from "../support/cli.ts";

const HELLO = new URL("../../firmware/realm-hello/realm-hello.img", import.meta.url).pathname;

async function realmTimeline(smp: number): Promise<{ timeline: Timeline; entries: number; instructions: number }> {
  const machine = await Machine.create({ kernel: HELLO, memory: 2 ** 25, smp, realm: {} });
  let entries = 0;
  machine.trace(["rmi"], (e) => {
    if ("phase" in e && e.phase === "call" && e.name === "RMI_REC_ENTER") entries++;
  });
  const stop = machine.recordWorlds();
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  return { timeline: stop(), entries, instructions: machine.instructions };
}

test.each([1, 2])("stays of %i PE(s) cover the time without gaps, and agree with totals and calls", async (smp) => {
  const { timeline, entries, instructions } = await realmTimeline(smp);
  expect([timeline.from, timeline.to, timeline.omitted, timeline.pes.length]).toEqual([0, instructions, 0, smp]);
  let realmVisits = 0;
  for (const { stays, totals } of timeline.pes) {
    expect([stays[0]?.from, stays.at(-1)?.to]).toEqual([timeline.from, timeline.to]);
    for (const [n, s] of stays.entries()) {
      if (n === 0) continue;
      expect(s.from).toBe(stays[n - 1]?.to);
      expect(s.world).not.toBe(stays[n - 1]?.world);
      expect(s.why === "").toBe(s.world !== "Root");
    }
    for (const t of totals) {
      const own = stays.filter((s) => s.world === t.world);
      expect([own.length, own.reduce((sum, s) => sum + s.to - s.from, 0)]).toEqual([t.visits, t.instructions]);
    }
    realmVisits += stays.filter((s) => s.world === "Realm").length;
  }
  expect(realmVisits).toBe(entries);
  expect(timeline.causes.find((c) => c.name === "RMI_REC_ENTER")?.count).toBe(entries);
});

/** A made-up one: each world once. */
const made: Timeline = {
  from: 0,
  to: 1000,
  pes: [
    {
      pe: 0,
      stays: [
        { world: "Secure", from: 0, to: 0, why: "" },
        { world: "Root", from: 0, to: 500, why: "reset & <start>" },
        { world: "Non-secure", from: 500, to: 900, why: "" },
        { world: "Realm", from: 900, to: 1000, why: "" },
      ],
      totals: [
        { world: "Secure", instructions: 0, visits: 1 },
        { world: "Root", instructions: 500, visits: 1 },
        { world: "Non-secure", instructions: 400, visits: 1 },
        { world: "Realm", instructions: 100, visits: 1 },
      ],
    },
    { pe: 1, stays: [{ world: "Secure", from: 0, to: 1000, why: "" }], totals: [{ world: "Secure", instructions: 1000, visits: 1 }] },
  ],
  causes: [{ name: "RMI_VERSION", count: 2 }],
  omitted: 0,
};

test("the bar shows where a PE was longest", () => {
  const [pe] = made.pes;
  expect(sampled(made, pe as Timeline["pes"][number], 10).join(" ")).toBe(
    "Root Root Root Root Root Non-secure Non-secure Non-secure Non-secure Realm",
  );
  // 300 to 600: more of Root than of Non-secure
  expect(sampled(made, pe as Timeline["pes"][number], 3)).toEqual(["Root", "Root", "Non-secure"]);
});

test("text", () => {
  const text = timelineText(made);
  expect(text).toContain(`PE 0  ${"R".repeat(50)}${"n".repeat(40)}${"r".repeat(10)}\n`);
  expect(text).toMatch(/^ {6}Root +500 +50\.0% +1 times$/m);
  expect(text).toMatch(/^ +2 {2}RMI_VERSION$/m);
  expect(text).toMatch(/^ +0 +500 {2}Root +reset & <start>$/m);
  expect(text).not.toContain("PE 1");
});

test("the page is well-formed and needs nothing else", () => {
  const page = timelinePage(made);
  expect(page).not.toMatch(/<script|src=|href=|url\(/);
  expect(page).toContain("reset &amp; &lt;start&gt;");
  const open: string[] = [];
  for (const [, close, name, self] of page.replace(/<!DOCTYPE html>/, "").matchAll(/<(\/?)([a-z]+)(?:\s[^<>]*?)?(\/?)>/g)) {
    if (close) expect(open.pop()).toBe(name);
    else if (!self) open.push(name as string);
  }
  expect(open).toEqual([]);
  expect(page.match(/<rect /g)?.length).toBe(3);
});

test("--timeline writes text or a page", async () => {
  const dir = mkdtempSync(join(tmpdir(), "rme-emu-timeline-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  for (const name of ["t.txt", "t.html"])
    expect((await run(["realm", "--memory", "32M", "--serial", "none", "--timeline", join(dir, name)])).code).toBe(0);
  expect(readFileSync(join(dir, "t.txt"), "utf8")).toMatch(/^Worlds from instruction 0 to [\d ]+ \(R Root/);
  expect(readFileSync(join(dir, "t.html"), "utf8")).toMatch(/^<!DOCTYPE html>[\s\S]*RMI_REC_ENTER/);
  expect(await run(["realm", "--memory", "32M", "--serial", "none", "--timeline", join(dir, "no", "t")])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("cannot write to"),
  });
});
