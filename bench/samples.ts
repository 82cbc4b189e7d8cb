// What jobs cost on several emulators, run after run: collected, and as a table of medians and ratios.

import { median } from "./guest.ts";

/** Host seconds, and host CPU seconds of all threads. */
export interface Cost {
  readonly seconds: number;
  readonly cpu: number;
}

/** Costs by emulator and job, one of each run. */
export class Samples {
  readonly costs: Record<string, Record<string, Cost[]>> = {};
  private readonly answers = new Map<string, { by: string; answer: string }>();

  add(emulator: string, job: string, { seconds, cpu }: Cost): void {
    const before = this.costs[emulator] ?? {};
    this.costs[emulator] = { ...before, [job]: [...(before[job] ?? []), { seconds, cpu }] };
  }
  /** Throws unless it is what the job has answered everywhere else: a wrong result in no time is no result. */
  check(emulator: string, job: string, answer: string): void {
    const first = this.answers.get(job);
    if (first === undefined) this.answers.set(job, { by: emulator, answer });
    else if (first.answer !== answer) throw new Error(`${job} answers "${answer}" on ${emulator}, and "${first.answer}" on ${first.by}`);
  }
  median(emulator: string, job: string, key: keyof Cost): number {
    return median((this.costs[emulator]?.[job] ?? []).map((cost) => cost[key]));
  }
  /** Medians of the second emulator as multiples of the first one's. */
  ratio([first, second]: readonly [string, string], job: string, key: keyof Cost): number {
    return this.median(second, job, key) / this.median(first, job, key);
  }
}

const geomean = (values: readonly number[]): number => Math.exp(values.reduce((sum, v) => sum + Math.log(v), 0) / values.length);

/** Medians and ratios of two emulators. Rows of `starts` come first and are no part of the mean. */
export function jobTable(
  pair: readonly [string, string],
  { starts, jobs }: { starts: readonly string[]; jobs: readonly string[] },
  samples: Samples,
): string {
  const row = (...cells: string[]) => `${cells.map((c, i) => (i === 0 ? c.padEnd(12) : c.padStart(18))).join("")}\n`;
  const both = (value: (key: keyof Cost) => number): string => `${value("seconds").toFixed(2)} (${value("cpu").toFixed(2)})`;
  let text = row("", ...pair, "ratio");
  for (const name of [...starts, ...jobs]) {
    const medians = pair.map((emulator) => both((key) => samples.median(emulator, name, key)));
    text += row(
      name,
      ...medians,
      both((key) => samples.ratio(pair, name, key)),
    );
  }
  if (jobs.length > 0)
    text += row(
      "geomean",
      "",
      "",
      both((key) => geomean(jobs.map((name) => samples.ratio(pair, name, key)))),
    );
  return text;
}
