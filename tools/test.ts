// `npm test`: fetches what the tests compare with (once), then runs them. Arguments go to vitest:
//   npm test -- test/cli

import { spawn } from "node:child_process";
import { fetchEfiDisk } from "../src/cli/debian/efi-disk.ts";
import { FIRMWARE, fetchFirmware } from "../src/cli/debian/firmware.ts";
import { fetchKernel } from "../src/cli/debian/kernel.ts";
import { createProgress } from "../src/cli/debian/progress.ts";
import { CROSS_COMPILER, fetchSysroot, QEMU } from "../src/cli/debian/sysroot.ts";
import { reportError } from "../src/cli/report.ts";
import { TEST_DISKS, TEST_KERNELS } from "../test/support/debian.ts";

async function main(args: readonly string[]): Promise<number> {
  const environment = await prepare();
  return vitest(args, environment);
}

/** Fetches kernels and reference programs; returns the variables that tell the tests where they are. */
async function prepare(): Promise<Record<string, string>> {
  const progress = createProgress();
  try {
    for (const version of TEST_KERNELS) await fetchKernel(version, { progress });
    for (const name of Object.keys(FIRMWARE)) await fetchFirmware(name, { progress });
    for (const [loader, version] of TEST_DISKS) await fetchEfiDisk(version, loader, { progress });
    const qemu = await fetchSysroot(QEMU, { progress });
    const cross = await fetchSysroot(CROSS_COMPILER, { progress });
    return {
      RME_QEMU_AARCH64: qemu.programs["qemu-aarch64"] ?? "",
      RME_QEMU_SYSTEM_AARCH64: qemu.programs["qemu-system-aarch64"] ?? "",
      RME_CROSS_COMPILE: (cross.programs["aarch64-linux-gnu-gcc"] ?? "").replace(/gcc$/, ""),
    };
  } catch (error) {
    progress.fail();
    throw error;
  }
}

function vitest(args: readonly string[], environment: Record<string, string>): Promise<number> {
  const script = new URL("../node_modules/vitest/vitest.mjs", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, "run", ...args], { stdio: "inherit", env: { ...process.env, ...environment } });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 1));
  });
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.exitCode = reportError(error);
  },
);
