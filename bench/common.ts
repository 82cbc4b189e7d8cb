// What the benchmarks have in common: options, the Debian guest, runs of several contestants in turn, the way a program ends.

import { fetchKernel } from "../src/cli/debian/kernel.ts";
import { createProgress } from "../src/cli/debian/progress.ts";
import { fetchSysroot, QEMU } from "../src/cli/debian/sysroot.ts";
import { reportError } from "../src/cli/report.ts";
import { type Contestant, Guest, median, type Usage } from "./guest.ts";

/** For parseArgs; the values are strings. */
export const commonOptions = {
  kernel: { type: "string", default: "6.12" },
  runs: { type: "string", default: "3" },
  cpu: { type: "string", default: "max" },
} as const;

/** A Debian kernel that boots to a shell, fetched when it is not there. */
export async function debianKernel(version: string): Promise<{ release: string; args: readonly string[] }> {
  const kernel = await fetchKernel(version, { progress: createProgress() });
  return { release: kernel.release, args: ["-kernel", kernel.vmlinuz, "-initrd", kernel.initrd, "-append", "console=ttyAMA0"] };
}
/** Debian's qemu-system-aarch64. */
export async function debianQemu(): Promise<string> {
  return (await fetchSysroot(QEMU, { progress: createProgress() })).programs["qemu-system-aarch64"] ?? "";
}
/** The machine, as both emulators are told. */
export const machineArgs = (cpu: string): readonly string[] => ["-M", "virt,virtualization=on,gic-version=3", "-cpu", cpu];

/** `runs` times every contestant in turn, so that what else the computer does meets all of them. What `once` answered, by contestant. */
export async function inTurn<T>(runs: number, contestants: readonly Contestant[], once: (c: Contestant) => Promise<T>): Promise<T[][]> {
  const results: T[][] = contestants.map(() => []);
  for (let run = 0; run < runs; run++) {
    for (const [index, contestant] of contestants.entries()) results[index]?.push(await once(contestant));
  }
  return results;
}

/** Runs one contestant until its prompt, then ends it. */
export async function bootOnce(contestant: Contestant): Promise<Usage> {
  const guest = new Guest(contestant);
  try {
    await guest.prompt();
    return guest.usage();
  } finally {
    await guest.kill();
  }
}

/** Medians of boots, one row per contestant; ratios are to the first one. On a busy computer that of CPU time says more. */
export function bootTable(names: readonly string[], samples: readonly Usage[][]): string {
  const of = (index: number, key: keyof Usage): number => median((samples[index] ?? []).map((s) => s[key]));
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const row = (cells: readonly string[]): string =>
    `${cells.map((cell, i) => (i === 0 ? cell.padEnd(width) : cell.padStart(12))).join("")}\n`;
  let text = row(["", "to prompt", "CPU time", "memory", "ratio", "CPU ratio"]);
  for (const [index, name] of names.entries()) {
    const [seconds, cpu, memory] = [of(index, "seconds"), of(index, "cpu"), of(index, "memory")];
    const ratios = [seconds / of(0, "seconds"), cpu / of(0, "cpu")].map((r) => r.toFixed(2));
    text += row([name, `${seconds.toFixed(2)} s`, `${cpu.toFixed(2)} s`, `${memory.toFixed(0)} MiB`, ...ratios]);
  }
  return text;
}

/** Runs a benchmark as a program. */
export function program(main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    process.exitCode = reportError(error);
  });
}
