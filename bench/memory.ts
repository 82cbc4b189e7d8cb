// `npm run bench:memory`: does the host's memory stay as it is while a Debian guest forks and executes programs?
//   npm run bench:memory -- --minutes 10 --engine wasm --kernel 6.12 --batch 100
// Every batch of forks is one sample of the emulator's resident memory, at the guest's prompt. The first quarter of the time is for
// warming up (translations, the guest's page cache). Behind it the memory is flat when a line through the samples (least squares) gains
// less than 2 % or 8 MiB; the exit status is 1 when it is not.

import { parseArgs } from "node:util";
import { commonOptions, debianKernel, machineArgs, program } from "./common.ts";
import { Guest, LAUNCHER } from "./guest.ts";

interface Point {
  /** Minutes since the prompt. */
  readonly at: number;
  /** MiB. */
  readonly resident: number;
}

/** What counts as flat: growth over the measured time, in MiB and as a part of what there was at its start. */
const ALLOWED_MIB = 8;
const ALLOWED_PART = 0.02;

program(async () => {
  const options = {
    minutes: { type: "string", default: "10" },
    batch: { type: "string", default: "100" },
    engine: { type: "string" },
  } as const;
  const { values } = parseArgs({ options: { ...commonOptions, ...options } });
  const kernel = await debianKernel(values.kernel);
  const engine = values.engine ? ["--engine", values.engine] : [];
  const args = [LAUNCHER, ...machineArgs(values.cpu), ...kernel.args, "-m", "1G", "-nographic", ...engine];
  const guest = new Guest({ name: "rme-emu", program: process.execPath, args });
  try {
    await guest.prompt();
    process.stdout.write(`Debian ${kernel.release}, -cpu ${values.cpu}, engine ${values.engine ?? "default"}\n`);
    report(await sample(guest, Number(values.minutes), Number(values.batch)));
  } finally {
    await guest.kill();
  }
});

async function sample(guest: Guest, minutes: number, batch: number): Promise<Point[]> {
  const start = guest.usage().seconds;
  const points: Point[] = [{ at: 0, resident: guest.resident() }];
  let told = 0;
  for (let forks = batch; ; forks += batch) {
    await guest.run(`i=0; while [ $i -lt ${batch} ]; do /bin/true; i=$((i+1)); done`);
    const at = (guest.usage().seconds - start) / 60;
    const resident = guest.resident();
    points.push({ at, resident });
    if (at >= told) {
      process.stdout.write(
        `${at.toFixed(1).padStart(6)} min ${String(forks).padStart(8)} programs ${resident.toFixed(0).padStart(6)} MiB\n`,
      );
      told = Math.floor(at * 2) / 2 + 0.5;
    }
    if (at >= minutes) return points;
  }
}

function report(points: readonly Point[]): void {
  const end = points.at(-1)?.at ?? 0;
  const measured = points.filter((p) => p.at >= end / 4);
  const { slope, intercept } = line(measured);
  const first = intercept + (slope * end) / 4;
  const growth = (slope * end * 3) / 4;
  const allowed = Math.max(ALLOWED_MIB, ALLOWED_PART * first);
  const flat = growth < allowed;
  const peak = Math.max(...points.map((p) => p.resident));
  process.stdout.write(
    `\nbehind the first quarter: ${growth.toFixed(1)} MiB in ${((end * 3) / 4).toFixed(1)} min, from ${first.toFixed(0)} MiB`,
  );
  process.stdout.write(` (allowed: ${allowed.toFixed(1)} MiB); peak ${peak.toFixed(0)} MiB: ${flat ? "flat" : "GROWING"}\n`);
  if (!flat) process.exitCode = 1;
}
/** The line with the least squares of distances. */
function line(points: readonly Point[]): { slope: number; intercept: number } {
  const mean = (of: (p: Point) => number) => points.reduce((sum, p) => sum + of(p), 0) / points.length;
  const [x, y] = [mean((p) => p.at), mean((p) => p.resident)];
  const spread = mean((p) => (p.at - x) ** 2);
  const slope = spread === 0 ? 0 : mean((p) => (p.at - x) * (p.resident - y)) / spread;
  return { slope, intercept: y - slope * x };
}
