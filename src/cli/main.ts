// Entry point of the program.

import { runCommandLine } from "./command.ts";
import { guestFirst } from "./threads.ts";

/** Runs the command line; the process ends with its exit code. */
export async function main(args: readonly string[]): Promise<void> {
  // Whoever reads standard output may have read enough (head, less).
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  guestFirst();
  process.exitCode = await runCommandLine(args);
}
