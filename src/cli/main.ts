// Entry point of the command line: parses, runs, and turns the outcome into an exit code.

import { readFileSync } from "node:fs";
import { parseCommandLine } from "./args/options.ts";
import { reportError } from "./report.ts";

/** Runs one command line (without node and script); resolves to the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const command = parseCommandLine(argv, packageVersion());
  if (command.kind === "print") {
    process.stdout.write(command.text);
    return 0;
  }
  // Loaded only when needed: fetching starts no machine, and a machine needs no fetcher.
  if (command.kind === "fetch") return (await import("./fetch.ts")).runFetch(command);
  return (await import("./start.ts")).runMachine(command);
}

function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.exitCode = reportError(error);
  },
);
