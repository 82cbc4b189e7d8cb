// `rme-emu explain` and `rme-emu gpt` on the command line.

import type { Command } from "commander";
import { usageError } from "../util/errors.ts";
import { parseCount } from "./args/sizes.ts";

const FORMATS = ["text", "json", "html"] as const;
const ACCESSES = ["read", "write", "fetch", "atomic", "maintain"] as const;

/** An access to explain on a saved machine. */
export interface ExplainCommand {
  readonly kind: "explain";
  readonly snapshot: string;
  readonly va: bigint;
  readonly pe: number;
  readonly el: number | undefined;
  /** Name of a Security state, as typed. */
  readonly state: string | undefined;
  readonly access: (typeof ACCESSES)[number];
  readonly unprivileged: boolean;
  readonly format: (typeof FORMATS)[number];
  /** File to write; absent: standard output. */
  readonly output: string | undefined;
  readonly symbols: readonly string[];
}

/** The granule protection table of a saved machine. */
export interface GptCommand {
  readonly kind: "gpt";
  readonly snapshot: string;
  readonly pe: number;
}

interface Raw {
  va: string;
  pe: string;
  el?: string;
  state?: string;
  access: string;
  unprivileged?: true;
  format: string;
  output?: string;
  symbols?: string[];
}

/** Adds both subcommands. */
export function addExplainCommands(program: Command, choose: (command: ExplainCommand | GptCommand) => void): void {
  program
    .command("explain")
    .description("explain what an access meets on a saved machine: every table entry on the way, and the rule that it breaks")
    .argument("<snapshot>", "a file written by --save")
    .requiredOption("--va <address>", "virtual address, for example 0xffff800080010000")
    .option("--pe <n>", "processor", "0")
    .option("--el <n>", "Exception level, 0 to 3 (default: where the processor is)")
    .option("--state <name>", "Security state: non-secure, secure, realm, root (default: as the processor is)")
    .option("--access <kind>", `kind of access: ${ACCESSES.join(", ")}`, "read")
    .option("--unprivileged", "with the permissions of EL0, as LDTR and STTR")
    .option("--format <name>", `${FORMATS.join(", ")}`, "text")
    .option("-o, --output <file>", "where to write it (default: standard output)")
    .option("--symbols <file>", "ELF file or System.map for names, FILE[@OFFSET]; may be repeated", (v: string, before?: string[]) => [
      ...(before ?? []),
      v,
    ])
    .allowExcessArguments(false)
    .action((snapshot: string, raw: Raw) => choose(explainCommand(snapshot, raw)));
  program
    .command("gpt")
    .description("list the granule protection table of a saved machine")
    .argument("<snapshot>", "a file written by --save")
    .option("--pe <n>", "processor", "0")
    .allowExcessArguments(false)
    .action((snapshot: string, raw: { pe: string }) => choose({ kind: "gpt", snapshot, pe: parseCount(raw.pe, "--pe", 0, 7) }));
}

function explainCommand(snapshot: string, raw: Raw): ExplainCommand {
  return {
    kind: "explain",
    snapshot,
    va: parseVa(raw.va),
    pe: parseCount(raw.pe, "--pe", 0, 7),
    el: raw.el === undefined ? undefined : parseCount(raw.el, "--el", 0, 3),
    state: raw.state,
    access: oneOf(ACCESSES, raw.access, "--access"),
    unprivileged: raw.unprivileged === true,
    format: oneOf(FORMATS, raw.format, "--format"),
    output: raw.output,
    symbols: raw.symbols ?? [],
  };
}

function parseVa(word: string): bigint {
  if (!/^(0x[0-9a-fA-F_]+|[0-9]+)$/.test(word)) throw usageError("bad-va", `--va: "${word}" is not an address`);
  const va = BigInt(word.replace(/_/g, ""));
  if (va >= 1n << 64n) throw usageError("bad-va", `--va: "${word}" has more than 64 bits`);
  return va;
}

function oneOf<T extends string>(known: readonly T[], word: string, option: string): T {
  const found = known.find((k) => k === word);
  if (found === undefined) throw usageError("bad-choice", `${option}: "${word}" is none of ${known.join(", ")}`);
  return found;
}
