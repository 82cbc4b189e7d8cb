// Entry point of the program.

import { runCommandLine } from "./command.ts";

process.exitCode = await runCommandLine(process.argv.slice(2));
