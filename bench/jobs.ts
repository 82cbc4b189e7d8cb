// `npm run bench:jobs`: work in a Debian guest, on QEMU (one thread) and on rme-emu in turn: medians and ratios.
//   npm run bench:jobs -- --cpu cortex-a76 --runs 5 --engine wasm --only sha256sum,awk
// CPU seconds stand beside seconds: on a busy host they are the better figure.

import { parseArgs } from "node:util";
import { commonOptions, debianKernel, debianQemu, inTurn, machineArgs, program } from "./common.ts";
import { type Contestant, Guest, LAUNCHER, median } from "./guest.ts";

// biome-ignore format: table
const jobs: readonly (readonly [name: string, command: string])[] = [
  ["sha256sum", "dd if=/dev/zero bs=1M count=64 2>/dev/null | sha256sum"],
  ["md5sum",    "dd if=/dev/zero bs=1M count=64 2>/dev/null | md5sum"],
  ["gzip",      "dd if=/dev/zero bs=1M count=16 2>/dev/null | gzip -9 | wc -c"],
  ["awk",       "awk 'BEGIN{for(i=0;i<2000000;i++)s+=i*1.5;print s}'"],
  ["loop",      "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done"],
  ["fork",      "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done; echo done"],
];

interface Cost {
  seconds: number;
  cpu: number;
}

program(async () => {
  const { values } = parseArgs({ options: { ...commonOptions, engine: { type: "string" }, only: { type: "string" } } });
  const only = values.only?.split(",");
  const chosen = jobs.filter(([name]) => !only || only.includes(name));
  const kernel = await debianKernel(values.kernel);
  const args = [...machineArgs(values.cpu), ...kernel.args, "-m", "1G", "-nographic"];
  const engine = values.engine ? ["--engine", values.engine] : [];
  const contestants: Contestant[] = [
    { name: "qemu", program: await debianQemu(), args: ["-accel", "tcg,thread=single", ...args] },
    { name: "rme-emu", program: process.execPath, args: [LAUNCHER, ...args, ...engine] },
  ];
  const [qemu = [], ours = []] = await inTurn(Number(values.runs), contestants, (c) => once(c, chosen));
  process.stdout.write(`Debian ${kernel.release}, -cpu ${values.cpu}; median of ${values.runs}: seconds (CPU seconds)\n\n`);
  report(["boot", ...chosen.map(([name]) => name)], qemu, ours);
});

/** What boot and every job cost, by name. */
async function once(c: Contestant, chosen: typeof jobs): Promise<Map<string, Cost>> {
  const guest = new Guest(c);
  try {
    await guest.prompt();
    const costs = new Map<string, Cost>([["boot", guest.usage()]]);
    for (const [name, command] of chosen) costs.set(name, await guest.run(command));
    return costs;
  } finally {
    await guest.kill();
  }
}

type Runs = readonly Map<string, Cost>[];

function report(names: readonly string[], qemu: Runs, ours: Runs): void {
  const of = (runs: Runs, name: string, key: keyof Cost): number => median(runs.map((costs) => costs.get(name)?.[key] ?? Number.NaN));
  const row = (...cells: string[]) => process.stdout.write(`${cells.map((c, i) => (i === 0 ? c.padEnd(12) : c.padStart(18))).join("")}\n`);
  const pair = (runs: Runs, name: string) => `${of(runs, name, "seconds").toFixed(2)} (${of(runs, name, "cpu").toFixed(2)})`;
  const logs: [number, number][] = [];
  row("", "qemu", "rme-emu", "ratio");
  for (const name of names) {
    const ratio = of(ours, name, "seconds") / of(qemu, name, "seconds");
    const cpu = of(ours, name, "cpu") / of(qemu, name, "cpu");
    if (name !== "boot") logs.push([Math.log(ratio), Math.log(cpu)]);
    row(name, pair(qemu, name), pair(ours, name), `${ratio.toFixed(2)} (${cpu.toFixed(2)})`);
  }
  const mean = (k: 0 | 1) => Math.exp(logs.reduce((sum, l) => sum + l[k], 0) / logs.length).toFixed(2);
  row("geomean", "", "", `${mean(0)} (${mean(1)})`);
}
