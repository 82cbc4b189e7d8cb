// Fetches the reference programs that tests and benchmarks compare with, and prints where they are:
//   npm run oracle              qemu-system-aarch64 and qemu-aarch64
//   npm run oracle -- cross     the cross compiler for the bundled firmware, when none is installed
//   npm run --silent oracle -- --print qemu-aarch64    one path alone, for scripts

import { createProgress } from "../src/cli/debian/progress.ts";
import { CROSS_COMPILER, fetchSysroot, QEMU, type Sysroot } from "../src/cli/debian/sysroot.ts";
import { EmuError } from "../src/util/errors.ts";

const SYSROOTS: Record<string, Sysroot> = { qemu: QEMU, cross: CROSS_COMPILER };

async function main(args: readonly string[]): Promise<void> {
  const refresh = args.includes("--refresh");
  const printAt = args.indexOf("--print");
  const wanted = printAt >= 0 ? args[printAt + 1] : undefined;
  const names = args.filter((arg, index) => !arg.startsWith("--") && (printAt < 0 || index !== printAt + 1));
  const all = Object.values(SYSROOTS);
  const chosen = wanted
    ? all.filter((s) => s.programs.some((p) => p.path.endsWith(`/${wanted}`)))
    : (names.length > 0 ? names : ["qemu"]).map(byName);
  if (chosen.length === 0) throw new EmuError("unknown-program", `no sysroot has a program ${wanted}`, 2);
  const progress = createProgress();
  for (const sysroot of chosen) {
    try {
      const { programs } = await fetchSysroot(sysroot, { refresh, progress });
      const lines = wanted ? [programs[wanted]] : Object.entries(programs).map(([name, path]) => `${name}=${path}`);
      process.stdout.write(`${lines.join("\n")}\n`);
    } catch (error) {
      progress.fail();
      throw error;
    }
  }
}

function byName(name: string): Sysroot {
  const sysroot = SYSROOTS[name];
  if (!sysroot) throw new EmuError("unknown-sysroot", `unknown sysroot "${name}" (known: ${Object.keys(SYSROOTS).join(", ")})`, 2);
  return sysroot;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`oracle: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof EmuError ? error.exitCode : 1;
});
