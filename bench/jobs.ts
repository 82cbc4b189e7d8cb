// `npm run bench:jobs`: work in a Debian guest, on QEMU (one thread) and on rme-emu in turn: medians and ratios.
//   npm run bench:jobs -- --cpu cortex-a76 --runs 5 --engine wasm --only sha256sum,awk
// CPU seconds stand beside seconds: on a busy host they are the better figure.

import { parseArgs } from "node:util";
import { fetchKernel } from "../src/cli/debian/kernel.ts";
import { createProgress } from "../src/cli/debian/progress.ts";
import { fetchSysroot, QEMU } from "../src/cli/debian/sysroot.ts";
import { reportError } from "../src/cli/report.ts";
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

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kernel: { type: "string", default: "6.12" },
      runs: { type: "string", default: "3" },
      cpu: { type: "string", default: "max" },
      engine: { type: "string" },
      only: { type: "string" },
    },
  });
  const only = values.only?.split(",");
  const chosen = jobs.filter(([name]) => !only || only.includes(name));
  const progress = createProgress();
  const kernel = await fetchKernel(values.kernel, { progress });
  const qemu = (await fetchSysroot(QEMU, { progress })).programs["qemu-system-aarch64"] ?? "";
  const boot = ["-kernel", kernel.vmlinuz, "-initrd", kernel.initrd, "-append", "console=ttyAMA0", "-m", "1G", "-nographic"];
  const machine = ["-M", "virt,virtualization=on,gic-version=3", "-cpu", values.cpu, ...boot];
  const engine = values.engine ? ["--engine", values.engine] : [];
  const contestants: Contestant[] = [
    { name: "qemu", program: qemu, args: ["-accel", "tcg,thread=single", ...machine] },
    { name: "rme-emu", program: process.execPath, args: [LAUNCHER, ...machine, ...engine] },
  ];
  const costs = contestants.map(() => new Map<string, Cost[]>());
  for (let run = 0; run < Number(values.runs); run++) {
    for (const [index, contestant] of contestants.entries()) await once(contestant, chosen, costs[index] as Map<string, Cost[]>);
  }
  process.stdout.write(`Debian ${kernel.release}, -cpu ${values.cpu}; median of ${values.runs}: seconds (CPU seconds)\n\n`);
  report(["boot", ...chosen.map(([name]) => name)], costs as [Map<string, Cost[]>, Map<string, Cost[]>]);
  return 0;
}

async function once(c: Contestant, chosen: typeof jobs, costs: Map<string, Cost[]>): Promise<void> {
  const guest = new Guest(c);
  const add = (name: string, cost: Cost) => costs.set(name, [...(costs.get(name) ?? []), cost]);
  try {
    await guest.prompt();
    add("boot", guest.usage());
    for (const [name, command] of chosen) add(name, await guest.run(command));
  } finally {
    await guest.kill();
  }
}

function report(names: readonly string[], [qemu, ours]: readonly [Map<string, Cost[]>, Map<string, Cost[]>]): void {
  const of = (costs: Map<string, Cost[]>, name: string, key: keyof Cost): number => median((costs.get(name) ?? []).map((c) => c[key]));
  const row = (...cells: string[]) => process.stdout.write(`${cells.map((c, i) => (i === 0 ? c.padEnd(12) : c.padStart(18))).join("")}\n`);
  const pair = (costs: Map<string, Cost[]>, name: string) =>
    `${of(costs, name, "seconds").toFixed(2)} (${of(costs, name, "cpu").toFixed(2)})`;
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

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.exitCode = reportError(error);
  },
);
