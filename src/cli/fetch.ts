// `rme-emu fetch`: gets a Debian kernel and says how to boot it.

import { usageError } from "../util/errors.ts";
import type { FetchCommand } from "./args/options.ts";
import { DEFAULT_KERNEL, type DebianKernel, fetchKernel } from "./debian/kernel.ts";
import { createProgress } from "./debian/progress.ts";

/** Runs the command; returns the exit code. */
export async function runFetch(command: FetchCommand): Promise<number> {
  const match = /^(?:debian-kernel|debian)(?:=(.*))?$/.exec(command.item);
  if (!match) throw usageError("unknown-item", `fetch: unknown item "${command.item}" (known: debian-kernel, debian-kernel=VERSION)`);
  const version = match[1] ?? DEFAULT_KERNEL;
  const kernel = await fetchWithProgress(version, command.refresh);
  process.stdout.write(`kernel=${kernel.vmlinuz}\ninitrd=${kernel.initrd}\n`);
  process.stderr.write(`Boot it with: rme-emu --kernel debian${match[1] ? `=${version}` : ""}\n`);
  return 0;
}

/** `--kernel debian[=VERSION]`: the cached kernel, fetched first when it is not there. Undefined for a file name. */
export async function debianKernel(kernel: string): Promise<DebianKernel | undefined> {
  const match = /^debian(?:=(.*))?$/.exec(kernel);
  return match ? fetchWithProgress(match[1] ?? DEFAULT_KERNEL, false) : undefined;
}

async function fetchWithProgress(version: string, refresh: boolean): Promise<DebianKernel> {
  const progress = createProgress();
  try {
    return await fetchKernel(version, { refresh, progress });
  } catch (error) {
    progress.fail();
    throw error;
  }
}
