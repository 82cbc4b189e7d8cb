// `npm run bench:memory`: does the host's memory stay as it is while a Debian guest forks and executes programs?
//   npm run bench:memory -- --minutes 10 --engine wasm --kernel 6.12 --batch 100
// Every batch of forks is one sample of the emulator's resident memory, at the guest's prompt. The first quarter of the time is for
// warming up (translations, the guest's page cache). The median of the last quarter is compared with that of the second: the host's
// garbage collector lets single samples swing by tens of MiB. More than 10 % or 32 MiB above it is growth, and the exit status 1.

import { parseArgs } from "node:util";
import { commonOptions, debianKernel, machineArgs, program } from "./common.ts";
import { Guest, LAUNCHER, median } from "./guest.ts";

interface Point {
  /** Minutes since the prompt. */
  readonly at: number;
  /** MiB. */
  readonly resident: number;
}

/** What counts as flat: growth in MiB, and as a part of what there was before. */
const ALLOWED_MIB = 32;
const ALLOWED_PART = 0.1;

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
  const quarter = (n: number) => median(points.filter((p) => p.at >= (end * (n - 1)) / 4 && p.at <= (end * n) / 4).map((p) => p.resident));
  const [before, after] = [quarter(2), quarter(4)];
  const allowed = Math.max(ALLOWED_MIB, ALLOWED_PART * before);
  const flat = after - before <= allowed;
  const peak = Math.max(...points.map((p) => p.resident));
  const [a, b, most] = [before, after, peak].map((n) => n.toFixed(0));
  process.stdout.write(`\nsecond quarter ${a} MiB, last quarter ${b} MiB (medians), peak ${most} MiB: ${flat ? "flat" : "GROWING"}\n`);
  if (!flat) process.exitCode = 1;
}
