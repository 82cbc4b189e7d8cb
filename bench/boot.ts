// `npm run bench`: boots one Debian kernel to its shell on QEMU and on rme-emu, in turn, and prints times and their ratio.
//   npm run bench -- --kernel 7.2 --runs 5 --cpu cortex-a76
// Both are started as a person starts them, and the time runs from the start of the process to the first shell prompt.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fetchKernel } from "../src/cli/debian/kernel.ts";
import { createProgress } from "../src/cli/debian/progress.ts";
import { fetchSysroot, QEMU } from "../src/cli/debian/sysroot.ts";
import { reportError } from "../src/cli/report.ts";

const PROMPT = /~ # /;

interface Sample {
  /** Host seconds from start to prompt. */
  readonly seconds: number;
  /** Host CPU seconds, all threads, until the prompt. */
  readonly cpu: number;
  /** Largest resident memory until the prompt, MiB. */
  readonly memory: number;
}

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
  const launcher = fileURLToPath(new URL("../bin/rme-emu.js", import.meta.url));
  const contestants = [
    { name: "qemu-system-aarch64", program: qemu, args: [...machine, ...boot] },
    { name: "rme-emu", program: process.execPath, args: [launcher, ...machine, ...boot] },
  ];
  const samples: Sample[][] = contestants.map(() => []);
  for (let run = 0; run < Number(values.runs); run++) {
    for (const [index, contestant] of contestants.entries()) samples[index]?.push(await bootOnce(contestant.program, contestant.args));
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
function bootOnce(program: string, args: readonly string[]): Promise<Sample> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    let output = "";
    let sample: Sample | undefined;
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString("latin1");
      if (sample || !PROMPT.test(output)) return;
      sample = { seconds: (performance.now() - start) / 1000, ...usage(child.pid ?? 0) };
      child.kill("SIGKILL");
    });
    child.on("error", reject);
    child.on("close", () => {
      if (sample) resolve(sample);
      else reject(new Error(`${program} ended before the prompt; last output: ${output.slice(-500)}`));
    });
  });
}

/** CPU time and peak memory of a running process (Linux). */
function usage(pid: number): { cpu: number; memory: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // from field 3 on: utime is field 14, stime 15, in 1/100 s
  const peak = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
  return { cpu: (Number(fields[11]) + Number(fields[12])) / 100, memory: peak };
}

function table(names: readonly string[], samples: readonly Sample[][]): string {
  const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
  const of = (index: number, key: keyof Sample): number => median((samples[index] ?? []).map((s) => s[key]));
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
