// The CPU profile, against the format (Profiler.Profile of the DevTools protocol) and against the rule by which viewers read it.

import { describe, expect, it } from "vitest";
import { Machine } from "../../src/harness/index.ts";
import { cpuProfile, profileText } from "../../src/teach/profile-report.ts";
import type { Profile, Sample } from "../../src/teach/profiler.ts";
import { addImm, b, cbnz, image, mov, ORIGIN, subImm } from "../support/a64.ts";

interface Node {
  id: number;
  callFrame: { functionName: string; scriptId: string; url: string; lineNumber: number; columnNumber: number };
  hitCount: number;
  children: number[];
}
interface CpuProfile {
  nodes: Node[];
  startTime: number;
  endTime: number;
  samples: number[];
  timeDeltas: number[];
}

/** What the format asks for; a list of what is wrong. */
function violations(p: CpuProfile): string[] {
  const wrong: string[] = [];
  const check = (ok: boolean, what: string) => {
    if (!ok) wrong.push(what);
  };
  const natural = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 0;
  check(Object.keys(p).sort().join() === "endTime,nodes,samples,startTime,timeDeltas", "members of the profile");
  const byId = new Map(p.nodes.map((n) => [n.id, n]));
  check(byId.size === p.nodes.length, "ids are unique");
  const parents = new Map<number, number>();
  for (const n of p.nodes) {
    check(natural(n.id) && n.id > 0 && natural(n.hitCount), `numbers of node ${n.id}`);
    const { functionName, scriptId, url, lineNumber, columnNumber } = n.callFrame;
    check(
      [functionName, scriptId, url].every((x) => typeof x === "string"),
      `strings of node ${n.id}`,
    );
    check([lineNumber, columnNumber].every(Number.isInteger), `position of node ${n.id}`);
    for (const child of n.children) {
      check(byId.has(child), `child ${child} of node ${n.id}`);
      check(!parents.has(child), `node ${child} has two parents`);
      parents.set(child, n.id);
    }
  }
  const roots = p.nodes.filter((n) => !parents.has(n.id));
  check(roots.length === 1 && roots[0] === p.nodes[0], "one root, which comes first");
  check(roots[0]?.callFrame.functionName === "(root)", "the root's name");
  check(p.samples.length === p.timeDeltas.length, "a time for each sample");
  check(
    p.samples.every((id) => byId.has(id)),
    "samples are nodes",
  );
  check(p.timeDeltas.every(natural), "times are microseconds, not negative");
  check(p.startTime > 0, "a start time: Chrome takes 0 for none, and shows nothing");
  check(p.startTime + p.timeDeltas.reduce((a, d) => a + d, 0) === p.endTime, "times add up");
  return wrong;
}
/** Microseconds of each leaf, as speedscope and the developer tools of Chrome compute them: a sample lasts until the next one. */
function selfTimes(p: CpuProfile): Map<string, number> {
  const out = new Map<string, number>();
  const names = new Map(p.nodes.map((n) => [n.id, n.callFrame.functionName]));
  for (let i = 0; i + 1 < p.samples.length; i++) {
    const name = names.get(p.samples[i] as number) as string;
    out.set(name, (out.get(name) ?? 0) + (p.timeDeltas[i + 1] as number));
  }
  return out;
}
const made = (samples: Sample[]): Profile => ({
  samples,
  groups: new Map(),
  rows: new Map(),
  tiers: new Map(),
  exits: new Map(),
  misses: { slow: 0, refills: 0 },
  translation: undefined,
  instructions: samples.reduce((n, s) => n + s.instructions, 0),
  ms: samples.reduce((n, s) => n + s.ms, 0),
});
const sample = (code: string, ms: number, pe = 0): Sample => ({ frames: [`PE ${pe}`, "EL1 Non-secure", code], instructions: 10_007, ms });

describe("the CPU profile", () => {
  it("keeps to the format, whatever was measured", () => {
    for (const samples of [[], [sample("one", 0)], [sample("a", 1), sample("b", 2, 1), sample("a", 3, 1), sample("a", 0.0004)]])
      expect(violations(JSON.parse(cpuProfile(made(samples))))).toEqual([]);
  });

  it("gives each function the time of its own samples, to the microsecond", () => {
    const times: [string, number][] = [
      ["memcpy", 5],
      ["schedule", 0.25],
      ["memcpy", 1.5],
      ["idle", 40],
    ];
    const profile = JSON.parse(cpuProfile(made(times.map(([name, ms]) => sample(name, ms)))));
    expect([...selfTimes(profile)].sort()).toEqual([
      ["idle", 40_000],
      ["memcpy", 6500],
      ["schedule", 250],
    ]);
    // Pieces far below a microsecond do not vanish.
    const fine = JSON.parse(cpuProfile(made(Array.from({ length: 1000 }, () => sample("f", 0.0003)))));
    expect(selfTimes(fine).get("f")).toBe(300);
  });

  it("of a machine: two loops that take turns, by name, in text and file alike", async () => {
    // 30000 rounds of 2 instructions, then 10000 of 3.
    const program = image([
      ...mov(1, 30_000),
      subImm(1, 1, 1),
      cbnz(1, -1),
      ...mov(2, 10_000),
      addImm(3, 3, 1),
      subImm(2, 2, 1),
      cbnz(2, -2),
      b(-7),
    ]);
    const machine = await Machine.create({ kernel: program, memory: 64 * 2 ** 20 });
    const second = BigInt(ORIGIN + 64 + 4 * 3);
    const finish = machine.profile((address) => (address >= second ? "second" : "first"));
    await machine.runInstructions(3_000_000);
    const profile = finish();
    const file = JSON.parse(cpuProfile(profile)) as CpuProfile;
    expect(violations(file)).toEqual([]);
    expect([...selfTimes(file).keys()].sort()).toEqual(["first", "second"]);
    const total = [...selfTimes(file).values()].reduce((a, n) => a + n, 0);
    expect(Math.abs(total - profile.ms * 1000)).toBeLessThanOrEqual(1);
    const share = (name: string) => Number(new RegExp(`([0-9.]+) % .*EL2 Non-secure +${name}$`, "m").exec(profileText(profile))?.[1]);
    expect(share("first")).toBeGreaterThan(60);
    expect(share("second")).toBeGreaterThan(28);
    expect(share("first") + share("second")).toBeCloseTo(100, 0);
  });
});
