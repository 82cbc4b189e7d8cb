import { expect, it } from "vitest";
import { jobTable, Samples } from "../../bench/samples.ts";

function samples(): Samples {
  const s = new Samples();
  for (const [emulator, seconds] of [
    ["a", [1, 9, 2]],
    ["b", [4, 3, 5]],
  ] as const) {
    for (const n of seconds) {
      s.add(emulator, "boot", { seconds: 100 * n, cpu: 1 });
      s.add(emulator, "one", { seconds: n, cpu: 10 });
      s.add(emulator, "two", { seconds: 1, cpu: n });
    }
  }
  return s;
}

it("shows medians, ratios, and the geometric mean of the jobs without the starts", () => {
  const text = jobTable(["a", "b"], { starts: ["boot"], jobs: ["one", "two"] }, samples());
  const rows = text.split("\n").map((line) => line.trim().split(/ {2,}/));
  expect(rows.slice(0, -1)).toEqual([
    ["a", "b", "ratio"],
    ["boot", "200.00 (1.00)", "400.00 (1.00)", "2.00 (1.00)"],
    ["one", "2.00 (10.00)", "4.00 (10.00)", "2.00 (1.00)"],
    ["two", "1.00 (2.00)", "1.00 (4.00)", "1.00 (2.00)"],
    ["geomean", "1.41 (1.41)"],
  ]);
});

it("keeps every sample for a file", () => {
  expect(samples().costs["b"]?.["one"]).toEqual([4, 3, 5].map((seconds) => ({ seconds, cpu: 10 })));
});

it("refuses an answer that another emulator did not give", () => {
  const s = new Samples();
  s.check("a", "sum", "5");
  s.check("b", "sum", "5");
  expect(() => s.check("b", "sum", "6")).toThrow('sum answers "6" on b, and "5" on a');
});
