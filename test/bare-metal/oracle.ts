// qemu-system-aarch64 for these tests: RME_QEMU_SYSTEM, RME_QEMU_SYSTEM_AARCH64 (set by `npm test`), or the one on PATH; version 10 or newer.

import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Path of a usable qemu-system-aarch64, or undefined. */
export function findQemu(): string | undefined {
  for (const path of [process.env.RME_QEMU_SYSTEM, process.env.RME_QEMU_SYSTEM_AARCH64, "qemu-system-aarch64"]) {
    if (!path) continue;
    const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
    const major = Number(/version (\d+)/.exec(stdout ?? "")?.[1] ?? 0);
    if (major >= 10) return path;
  }
  return undefined;
}

/** Version of a QEMU program, "11.1". */
export function qemuVersion(qemu: string): string {
  const { stdout } = spawnSync(qemu, ["--version"], { encoding: "utf8" });
  return /version (\d+\.\d+)/.exec(stdout ?? "")?.[1] ?? "";
}

/** What the program prints on QEMU's virt machine. Instructions are counted (icount), so that the time it sees is its own. */
export function runOnQemu(qemu: string, image: string): string {
  const output = join(tmpdir(), `rme-emu-bare-metal-${process.pid}.txt`);
  const machine = ["-M", "virt,virtualization=on,gic-version=3", "-cpu", "max", "-smp", "2", "-m", "256M", "-icount", "shift=0,sleep=off"];
  try {
    execFileSync(qemu, [...machine, "-display", "none", "-monitor", "none", "-serial", `file:${output}`, "-kernel", image], {
      timeout: 50_000,
      stdio: "ignore",
    });
    return readFileSync(output, "utf8");
  } finally {
    rmSync(output, { force: true });
  }
}
