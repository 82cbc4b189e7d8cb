// Entry point of the program.

import { runCommandLine } from "./command.ts";
import { guestFirst } from "./threads.ts";

// Whoever reads standard output may have read enough (head, less).
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

guestFirst();
process.exitCode = await runCommandLine(process.argv.slice(2));
