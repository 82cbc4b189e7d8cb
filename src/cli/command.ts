// One command line from words to exit code.

import { readFileSync } from "node:fs";
import { parseCommandLine } from "./args/options.ts";
import { parseRealmCommandLine } from "./args/realm.ts";
import { reportError } from "./report.ts";

/** Where a command writes. */
export interface Output {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** Runs the words after the program's name; resolves to the exit code. Errors are reported, never thrown. */
export async function runCommandLine(argv: readonly string[], output: Output = process): Promise<number> {
  try {
    const command = await parse(argv);
    if (command.kind === "print") {
      output.stdout.write(command.text);
      return 0;
    }
    // Loaded only when needed: fetching starts no machine, and a machine needs no fetcher.
    if (command.kind === "fetch") return await (await import("./fetch.ts")).runFetch(command);
    if (command.kind === "fip") return (await import("./fip.ts")).runFip(command, output);
    if (command.kind === "lab") return await (await import("./lab.ts")).runLab(command, output);
    if (command.kind === "explain") return (await import("./explain.ts")).runExplain(command, output);
    if (command.kind === "gpt") return (await import("./explain.ts")).runGpt(command, output);
    if (command.kind === "verify-token") return (await import("./verify-token.ts")).runVerifyToken(command, output);
    if (command.kind === "measure") return await (await import("./measure.ts")).runMeasure(command, output);
    return await (await import("./start.ts")).runMachine(command);
  } catch (error) {
    return reportError(error, output.stderr);
  }
}

/** A command that goes on with a saved machine is parsed again, behind what the snapshot says about that machine. */
async function parse(argv: readonly string[]) {
  const command = parseWords(argv);
  if (command.kind !== "run" || command.restore === undefined) return command;
  const { withNote } = await import("./restore.ts");
  return parseWords(withNote(command.restore, command.realm ? argv.slice(1) : argv, command));
}

function parseWords(argv: readonly string[]) {
  const [word] = argv;
  const realm = word === "realm" || word === "measure";
  return realm ? parseRealmCommandLine(word, argv.slice(1)) : parseCommandLine(argv, packageVersion());
}

function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
