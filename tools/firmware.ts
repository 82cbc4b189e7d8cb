// `npm run check:firmware`: rebuilds the bundled programs with the compiler that made them, and compares.

import { spawnSync } from "node:child_process";
import { createProgress } from "../src/cli/debian/progress.ts";
import { CROSS_COMPILER, fetchSysroot } from "../src/cli/debian/sysroot.ts";
import { reportError } from "../src/cli/report.ts";
import { EmuError } from "../src/util/errors.ts";

async function main(): Promise<number> {
  const { programs } = await fetchSysroot(CROSS_COMPILER, { progress: createProgress() });
  const CROSS = (programs["aarch64-linux-gnu-gcc"] ?? "").replace(/gcc$/, "");
  const check = new URL("../firmware/check.sh", import.meta.url).pathname;
  const result = spawnSync("bash", [check], { encoding: "utf8", env: { ...process.env, CROSS } });
  process.stdout.write(result.stdout);
  process.stderr.write(result.stderr);
  // With this compiler the script has no excuse not to compare.
  if (result.status === 0 && !/is what its source gives/.test(result.stdout))
    throw new EmuError("firmware-unchecked", "the bundled firmware was not compared");
  return result.status ?? 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.exitCode = reportError(error);
  },
);
