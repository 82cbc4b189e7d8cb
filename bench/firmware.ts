// `npm run bench:firmware`: real firmware with RME from reset to the first line of the kernel, on QEMU and on rme-emu, in turn.
//   npm run bench:firmware -- --runs 5 --kernel 6.12
//   RME_TF_FLASH=flash.bin npm run bench:firmware        a flash image of your own in place of Debian's TF-A and its test RMM
//   npm run bench:firmware -- --profile boot.cpuprofile  also: where our time goes (functions of the program and of the host's engine)
// "start" is from the start of the process to the first line of firmware, "boot" from there to the kernel's first line.

import { readFileSync, writeFileSync } from "node:fs";
import { type Profiler, Session } from "node:inspector";
import { parseArgs } from "node:util";
import { stackFlash } from "../src/cli/debian/flash.ts";
import { fetchKernel } from "../src/cli/debian/kernel.ts";
import { createProgress } from "../src/cli/debian/progress.ts";
import { Machine } from "../src/harness/index.ts";
import { debianQemu, inTurn, program } from "./common.ts";
import { type Contestant, Guest, LAUNCHER, median } from "./guest.ts";

const FIRST_LINE = /NOTICE: {2}Booting Trusted Firmware\r?\n/;
const KERNEL = /Booting Linux on physical CPU [^\n]*\n/;

interface Sample {
  /** Host seconds. */
  readonly start: number;
  readonly boot: number;
  readonly cpu: number;
  /** MiB. */
  readonly memory: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kernel: { type: "string", default: "7.2" },
      runs: { type: "string", default: "5" },
      memory: { type: "string", default: "2G" },
      smp: { type: "string", default: "1" },
      engine: { type: "string" },
      profile: { type: "string" },
    },
  });
  const progress = createProgress();
  const kernel = await fetchKernel(values.kernel, { progress });
  const qemu = process.env["RME_QEMU_SYSTEM_AARCH64"] ?? (await debianQemu());
  const own = process.env["RME_TF_FLASH"];
  const flash = own ?? (await stackFlash("tf-a-rme", readFileSync(kernel.vmlinuz), { progress }));
  const common = ["-M", "virt,secure=on,virtualization=on,gic-version=3", "-m", values.memory, "-smp", values.smp, "-bios", flash];
  const boot = [...common, "-kernel", kernel.vmlinuz, "-append", "console=ttyAMA0", "-serial", "stdio", "-display", "none"];
  const engine = values.engine === undefined ? [] : ["--engine", values.engine];
  const contestants: Contestant[] = [
    { name: "qemu-system-aarch64", program: qemu, args: [...boot, "-cpu", "max,x-rme=on,pauth-impdef=on", "-nic", "none"] },
    { name: "rme-emu", program: process.execPath, args: [LAUNCHER, ...boot, "-cpu", "max,x-rme=on", ...engine] },
  ];
  const samples = await inTurn(Number(values.runs), contestants, bootOnce);
  const what = own === undefined ? `Debian's TF-A, its test RMM, Debian ${kernel.release}` : own;
  process.stdout.write(`${what}; ${values.smp} PE, ${values.memory}; median of ${values.runs}\n\n`);
  process.stdout.write(table(contestants, samples));
  if (values.profile !== undefined) await profile(flash, kernel.vmlinuz, Number(values.smp), values.profile);
}

async function bootOnce(contestant: Contestant): Promise<Sample> {
  const guest = new Guest(contestant);
  try {
    await guest.until(FIRST_LINE);
    const start = guest.usage().seconds;
    await guest.until(KERNEL);
    const { seconds, cpu, memory } = guest.usage();
    return { start, boot: seconds - start, cpu, memory };
  } finally {
    await guest.kill();
  }
}

function table(contestants: readonly Contestant[], samples: readonly Sample[][]): string {
  const of = (index: number, key: keyof Sample): number => median((samples[index] ?? []).map((s) => s[key]));
  const row = (cells: readonly string[]): string => `${cells.map((cell, i) => (i === 0 ? cell.padEnd(22) : cell.padStart(12))).join("")}\n`;
  let text = row(["", "start", "boot", "ratio", "CPU time", "memory"]);
  for (const [index, { name }] of contestants.entries()) {
    const ratio = of(index, "boot") / of(0, "boot");
    const seconds = (["start", "boot"] as const).map((key) => `${of(index, key).toFixed(2)} s`);
    text += row([name, ...seconds, ratio.toFixed(2), `${of(index, "cpu").toFixed(2)} s`, `${of(index, "memory").toFixed(0)} MiB`]);
  }
  return text;
}

/** Boots once in this process, writes a profile for Chrome and speedscope, and prints where most time went. */
async function profile(flash: string, kernel: string, smp: number, path: string): Promise<void> {
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.setSamplingInterval", { interval: 200 });
  session.post("Profiler.start");
  const began = performance.now();
  const machine = await Machine.create({
    machine: "virt,secure=on",
    cpu: "max,rme=on",
    memory: 2 ** 31,
    time: "wall",
    smp,
    bios: flash,
    kernel,
    append: "console=ttyAMA0",
  });
  const made = performance.now();
  await machine.waitFor(KERNEL, { timeout: 120_000 });
  const seconds = (from: number, to: number): string => ((to - from) / 1000).toFixed(2);
  process.stdout.write(
    `\nin one process: ${seconds(began, made)} s to make the machine, ${seconds(made, performance.now())} s to ${KERNEL.source.slice(0, 13)}, ` +
      `${machine.instructions} instructions\n`,
  );
  const data = await new Promise<Profiler.Profile>((resolve, reject) =>
    session.post("Profiler.stop", (error, result) => (error ? reject(error) : resolve(result.profile))),
  );
  writeFileSync(path, JSON.stringify(data));
  process.stdout.write(hottest(data, 25));
}

function hottest({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile, count: number): string {
  const names = new Map(
    nodes.map(({ id, callFrame: f }) => [id, `${f.functionName || "(anonymous)"} ${f.url.split("/").pop()}:${f.lineNumber + 1}`]),
  );
  const self = new Map<string, number>();
  for (const [i, id] of samples.entries()) {
    const name = names.get(id) ?? "?";
    self.set(name, (self.get(name) ?? 0) + (timeDeltas[i] ?? 0));
  }
  const top = [...self].sort((a, b) => b[1] - a[1]).slice(0, count);
  return top.map(([name, us]) => `${(us / 1000).toFixed(0).padStart(8)} ms  ${name}\n`).join("");
}

program(main);
