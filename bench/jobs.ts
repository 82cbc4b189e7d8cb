// `npm run bench:jobs`: work in a Debian guest and in a program of our own, on QEMU (one thread) and on rme-emu in turn: medians and ratios.
//   npm run bench:jobs -- --cpu cortex-a76 --runs 5 --engine wasm --only sha256sum,awk,core --json samples.json
// CPU seconds stand beside seconds: on a busy host they are the better figure.

import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { usageError } from "../src/util/errors.ts";
import { commonOptions, debianKernel, debianQemu, machineArgs, program } from "./common.ts";
import { type Contestant, Guest, LAUNCHER } from "./guest.ts";
import { jobTable, Samples } from "./samples.ts";

type Jobs = readonly (readonly [name: string, command: string])[];

// biome-ignore format: table
const debianJobs: Jobs = [
  ["sha256sum", "dd if=/dev/zero bs=1M count=64 2>/dev/null | sha256sum"],
  ["md5sum",    "dd if=/dev/zero bs=1M count=64 2>/dev/null | md5sum"],
  ["gzip",      "dd if=/dev/zero bs=1M count=16 2>/dev/null | gzip -9 | wc -c"],
  ["awk",       "awk 'BEGIN{for(i=0;i<2000000;i++)s+=i*1.5;print s}'"],
  ["loop",      "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done"],
  ["fork",      "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done; echo done"],
];
/** Those of firmware/bench, each in as many rounds as take QEMU about a second. */
const ownJobs: Jobs = ["core", "memcpy", "neon", "float", "calls"].map((name) => [name, name]);
const OWN_PROGRAM = fileURLToPath(new URL("../firmware/bench/bench.img", import.meta.url));

const EMULATORS = ["qemu", "rme-emu"] as const;

/** A machine that is started once a run: what the time to its prompt is called, its arguments, and what it is given to do. */
interface Work {
  readonly start: string;
  readonly args: readonly string[];
  readonly jobs: Jobs;
}

program(async () => {
  // biome-ignore format: table
  const { values } = parseArgs({
    options: {
      ...commonOptions,
      runs:   { type: "string", default: "5" },
      engine: { type: "string" },
      only:   { type: "string" },
      json:   { type: "string" },
    },
  });
  const wanted = chooser(values.only?.split(","));
  const kernel = await debianKernel(values.kernel);
  const works: Work[] = [
    { start: "boot", args: kernel.args, jobs: debianJobs.filter(wanted) },
    { start: "start", args: ["-kernel", OWN_PROGRAM], jobs: ownJobs.filter(wanted) },
  ].filter(({ start, jobs }) => jobs.length > 0 || wanted([start]));
  const qemu = await debianQemu();
  const samples = new Samples();
  for (let run = 0; run < Number(values.runs); run++) {
    for (const work of works) {
      for (const contestant of contestants(qemu, work, values)) await once(contestant, work, samples);
    }
  }
  const title = `Debian ${kernel.release}, -cpu ${values.cpu}, engine ${values.engine ?? "default"}; median of ${values.runs}`;
  const rows = { starts: works.map((w) => w.start), jobs: works.flatMap((w) => w.jobs.map(([name]) => name)) };
  process.stdout.write(`${title}: seconds (CPU seconds)\n\n${jobTable(EMULATORS, rows, samples)}`);
  if (values.json) {
    const host = { model: cpus()[0]?.model, cpus: cpus().length, node: process.version };
    writeFileSync(values.json, `${JSON.stringify({ title, host, samples: samples.costs }, undefined, 2)}\n`);
  }
});

/** For jobs and starts that --only names; all when it is not given. */
function chooser(only: readonly string[] | undefined): (job: readonly string[]) => boolean {
  const names = ["boot", "start", ...debianJobs.map(([name]) => name), ...ownJobs.map(([name]) => name)];
  const unknown = only?.find((name) => !names.includes(name));
  if (unknown !== undefined) throw usageError("bad-job", `--only takes ${names.join(", ")}, not "${unknown}"`);
  return ([name = ""]) => only === undefined || only.includes(name);
}

function contestants(qemu: string, work: Work, o: { cpu: string; engine?: string | undefined }): Contestant[] {
  const args = [...machineArgs(o.cpu), ...work.args, "-m", "1G", "-nographic"];
  const engine = o.engine === undefined ? [] : ["--engine", o.engine];
  return [
    { name: EMULATORS[0], program: qemu, args: ["-accel", "tcg,thread=single", ...args] },
    { name: EMULATORS[1], program: process.execPath, args: [LAUNCHER, ...args, ...engine] },
  ];
}

/** Starts a machine and gives it its jobs, one after another. */
async function once(contestant: Contestant, work: Work, samples: Samples): Promise<void> {
  const guest = new Guest(contestant);
  try {
    await guest.prompt();
    samples.add(contestant.name, work.start, guest.usage());
    for (const [name, command] of work.jobs) {
      const cost = await guest.run(command);
      samples.add(contestant.name, name, cost);
      samples.check(contestant.name, name, cost.answer);
    }
  } finally {
    await guest.kill();
  }
}
