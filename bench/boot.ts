// `npm run bench`: boots one Debian kernel to its shell on QEMU and on rme-emu, in turn, and prints times and their ratio.
//   npm run bench -- --kernel 7.2 --runs 5 --cpu cortex-a76
// Both are started as a person starts them, and the time runs from the start of the process to the first shell prompt.

import { parseArgs } from "node:util";
import { fetchKernel } from "../src/cli/debian/kernel.ts";
import { createProgress } from "../src/cli/debian/progress.ts";
import { fetchSysroot, QEMU } from "../src/cli/debian/sysroot.ts";
import { reportError } from "../src/cli/report.ts";
import { type Contestant, Guest, LAUNCHER, median, type Usage } from "./guest.ts";

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kernel: { type: "string", default: "6.12" },
      runs: { type: "string", default: "3" },
      cpu: { type: "string", default: "max" },
      memory: { type: "string", default: "1G" },
      smp: { type: "string", default: "1" },
    },
  });
  const progress = createProgress();
  const kernel = await fetchKernel(values.kernel, { progress });
  const qemu = (await fetchSysroot(QEMU, { progress })).programs["qemu-system-aarch64"] ?? "";
  const boot = [
    "-kernel",
    kernel.vmlinuz,
    "-initrd",
    kernel.initrd,
    "-append",
    "console=ttyAMA0",
    "-m",
    values.memory,
    "-smp",
    values.smp,
    "-nographic",
  ];
  const machine = ["-M", "virt,virtualization=on,gic-version=3", "-cpu", values.cpu];
  const contestants: Contestant[] = [
    { name: "qemu-system-aarch64", program: qemu, args: [...machine, ...boot] },
    { name: "rme-emu", program: process.execPath, args: [LAUNCHER, ...machine, ...boot] },
  ];
  const samples: Usage[][] = contestants.map(() => []);
  for (let run = 0; run < Number(values.runs); run++) {
    for (const [index, contestant] of contestants.entries()) samples[index]?.push(await bootOnce(contestant));
  }
  process.stdout.write(`Debian ${kernel.release}, ${values.smp} PE, ${values.memory}, -cpu ${values.cpu}; median of ${values.runs}\n\n`);
  process.stdout.write(
    table(
      contestants.map((c) => c.name),
      samples,
    ),
  );
  return 0;
}

/** Runs one emulator until the prompt, then ends it. */
async function bootOnce(contestant: Contestant): Promise<Usage> {
  const guest = new Guest(contestant);
  try {
    await guest.prompt();
    return guest.usage();
  } finally {
    await guest.kill();
  }
}

function table(names: readonly string[], samples: readonly Usage[][]): string {
  const of = (index: number, key: keyof Usage): number => median((samples[index] ?? []).map((s) => s[key]));
  const row = (cells: readonly string[]): string => `${cells.map((cell, i) => (i === 0 ? cell.padEnd(22) : cell.padStart(12))).join("")}\n`;
  let text = row(["", "to prompt", "CPU time", "memory", "ratio"]);
  for (const [index, name] of names.entries()) {
    const ratio = of(index, "seconds") / of(0, "seconds");
    text += row([
      name,
      `${of(index, "seconds").toFixed(2)} s`,
      `${of(index, "cpu").toFixed(2)} s`,
      `${of(index, "memory").toFixed(0)} MiB`,
      ratio.toFixed(2),
    ]);
  }
  return text;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.exitCode = reportError(error);
  },
);
