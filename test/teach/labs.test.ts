// The judges of the labs, on runs made up here. test/cli/lab.test.ts has the real programs.

import { describe, expect, it } from "vitest";
import { type LabFault, type LabRun, labs, looksOf } from "../../src/teach/labs.ts";

const fault = (f: Partial<LabFault> = {}): LabFault => ({
  security: "Non-secure",
  el: 2,
  target: 2,
  granule: true,
  walk: false,
  stage: 1,
  level: 3,
  text: "",
  ...f,
});
const run = (lines: string[], faults: LabFault[] = [], ended = true): LabRun => ({ console: lines.join("\r\n"), faults, ended });
const judge = (name: string, r: LabRun) => labs.find((l) => l.name === name)?.judge(r);
const look = (who: string, access: string, result: string) => `  ${who}: ${access}: ${result}`;
const ABORT = "Data Abort taken to EL2: granule protection fault on the access itself";

it("reads what a program reports, and nothing else", () => {
  const text = `Realm EL2: load: 1\r\n${look("Non-secure EL1", "load", "0x12")}\r\n      ESR_EL2 = 0x1\r\n${look("Root EL3", "dc-zva", "done")}\n`;
  expect(looksOf(text)).toEqual([
    { security: "Non-secure", el: 1, access: "load", result: "0x12" },
    { security: "Root", el: 3, access: "dc-zva", result: "done" },
  ]);
});

describe.each(labs.map((l) => l.name))("%s", (name) => {
  it("a program that does not end, reports nothing, or reports other faults than there were reaches no goal", () => {
    expect(judge(name, run([]))?.reached).toBe(false);
    expect(judge(name, run([], [], false))).toEqual({ reached: false, text: "The program did not come to its end." });
    expect(judge(name, run([], [fault()]))?.text).toMatch(/reports 0 faults, the machine has seen 1/);
    expect(judge(name, run([look("Realm EL2", "load", ABORT)], [fault()]))?.text).toMatch(/reports 1 faults/);
  });
});

describe("first-gpf", () => {
  const reads = (realm: string, host: string) => [look("Realm EL2", "load", realm), look("Non-secure EL2", "load", host)];
  it.each([
    [true, reads("0x1", ABORT), [fault()], /belongs to the Realm space/],
    [false, reads("0x1", "0x1"), [], /let through/],
    [false, reads(ABORT, ABORT), [fault({ security: "Realm" }), fault()], /Realm read fails/],
    [false, reads("0x1", ABORT), [fault({ granule: false })], /not with a granule protection fault/],
    [false, reads("0x1", ABORT), [fault({ target: 3 })], /not with a granule protection fault taken to EL2/],
    [false, [look("Realm EL2", "load", "0x1")], [], /Both states/],
  ])("%s", (reached, lines, faults, text) => {
    expect(judge("first-gpf", run(lines, faults))).toEqual({ reached, text: expect.stringMatching(text) });
  });
});

describe("walk-vs-output", () => {
  const lines = [look("Non-secure EL1", "load", ABORT)];
  it.each([
    [true, { walk: true, stage: 2, level: 3, target: 2 }, /belongs to stage 2/],
    [false, { walk: true, stage: 2, level: 2, target: 2 }, /of level 2/],
    [false, { walk: true, stage: 1, level: 3, target: 2 }, /table of the guest's/],
    [false, { walk: true, stage: 1, level: 3, target: 1 }, /taken to EL1/],
    [false, { walk: false, target: 1 }, /access itself/],
    [false, { granule: false }, /no granule protection fault/],
  ] as const)("%s %o", (reached, f, text) => {
    expect(judge("walk-vs-output", run(lines, [fault({ el: 1, ...f })]))).toEqual({ reached, text: expect.stringMatching(text) });
  });
});

describe("four-views", () => {
  const of = (granted: string[]) => {
    const states = ["Realm", "Non-secure", "Secure", "Root"];
    const lines = states.map((s) => look(`${s} EL2`, "load", granted.includes(s) ? "0x1" : ABORT));
    return judge(
      "four-views",
      run(
        lines,
        states.filter((s) => !granted.includes(s)).map((security) => fault({ security })),
      ),
    );
  };
  it.each([
    [true, ["Realm", "Root"]],
    [false, ["Realm"]],
    [false, ["Realm", "Root", "Secure"]],
    [false, ["Root", "Non-secure"]],
    [false, []],
  ])("%s: %o", (reached, granted) => {
    expect(of(granted)?.reached).toBe(reached);
  });
});

describe("missing-tlbi", () => {
  const of = (before: string, during: string, after: string, faults: LabFault[]) => {
    const [read, secret] = [(r: string) => look("Non-secure EL2", "load", r), look("Realm EL2", "store", "done")];
    return judge("missing-tlbi", run([read(before), secret, read(during), read(after)], faults));
  };
  it.each([
    [true, of("0x1", ABORT, "0x0", [fault()]), /remembers/],
    [false, of("0x1", "0x5555", "0x0", []), /reads 0x5555/],
    [false, of("0x1", ABORT, "0x5555", [fault()]), /not zeros/],
    [false, of(ABORT, ABORT, "0x0", [fault(), fault()]), /own page/],
    [false, of("0x1", ABORT, "0x0", [fault({ granule: false })]), /not with a granule/],
  ])("%s", (reached, verdict, text) => {
    expect(verdict).toEqual({ reached, text: expect.stringMatching(text) });
  });
});
