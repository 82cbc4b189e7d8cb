// The cases of conformance/rsi.ts over the agent, and what holds for all calls of a realm.

import { describe, expect, it } from "vitest";
import { rsiCommands } from "../../src/rmm/commands.ts";
import { Bench } from "./bench.ts";
import { rsiCases, running } from "./conformance/rsi.ts";

describe.each(rsiCases)("%s", (_name, cases) => {
  it.each(cases.map((c) => [c.name, c] as const))("%s", (_n, c) => {
    expect(c.check(new Bench())).toBe("");
  });
});

it("every call of RSI 1.0 is in the table", () => {
  for (const { name } of rsiCommands) expect(rsiCases.find(([n]) => n === `RSI_${name}`)?.[1].length, name).toBeGreaterThan(1);
});

it("what is neither RSI, PSCI nor SMCCC_VERSION answers -1 and changes nothing else", () => {
  const b = new Bench();
  running(b);
  const known = new Set(rsiCommands.map((c) => c.fid));
  for (let fid = 0xc400_0190; fid <= 0xc400_01cf; fid++) {
    if (known.has(fid)) continue;
    expect((b.realmSmc(fid, [1, 2, 3]) as bigint[])[0], fid.toString(16)).toBe(0xffff_ffff_ffff_ffffn);
  }
  for (const fid of [0, 1, 0x8000_0001, 0x8000_8000, 0xc400_0150, 0xc500_0020, 0xffff_ffff, 0x8400_0015, 0x8400_0050])
    expect((b.realmSmc(fid, [1, 2, 3]) as bigint[])[0], fid.toString(16)).toBe(0xffff_ffff_ffff_ffffn);
  expect(b.stops).toEqual([]);
});
