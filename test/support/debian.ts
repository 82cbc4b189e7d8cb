// What tests need from Debian, taken from the cache: `npm test` (tools/test.ts) puts it there first.

import { cacheRoot } from "../../src/cli/debian/cache.ts";
import type { EfiLoader } from "../../src/cli/debian/efi-disk.ts";
import { cachedKernel, type DebianKernel } from "../../src/cli/debian/kernel.ts";

/** Kernels that the boot tests run, by the beginning of their version. Debian's suites move on: RME_TEST_KERNELS names others. */
export const TEST_KERNELS: readonly string[] = (process.env["RME_TEST_KERNELS"] ?? "6.12,7.2").split(",");

/** Disks with such kernels that UEFI firmware starts from, by what starts the kernel. */
export const TEST_DISKS: readonly (readonly [EfiLoader, string])[] = [
  ["grub", TEST_KERNELS[0] ?? ""],
  ["stub", TEST_KERNELS.at(-1) ?? ""],
];

/** The cached kernel, with its busybox initramfs. Throws when it was not fetched: a test that cannot run has failed. */
export async function debianKernel(version: string): Promise<DebianKernel> {
  const kernel = await cachedKernel(cacheRoot(), version);
  if (!kernel)
    throw new Error(`Debian kernel ${version} is not in the cache: run "npm test" or "npx rme-emu fetch debian-kernel=${version}"`);
  return kernel;
}

/** Path of a reference program. Throws when `npm test` (or `npm run oracle`) did not provide it. */
export function referenceProgram(name: "qemu-system-aarch64" | "qemu-aarch64"): string {
  const variable = name === "qemu-aarch64" ? "RME_QEMU_AARCH64" : "RME_QEMU_SYSTEM_AARCH64";
  const path = process.env[variable];
  if (!path) throw new Error(`${variable} is not set: run "npm test", or set it to what "npm run oracle" prints`);
  return path;
}
