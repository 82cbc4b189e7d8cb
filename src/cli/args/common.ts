// What the command lines of `rme-emu` and `rme-emu realm` have in common.

import { type Command, CommanderError } from "commander";
import { type Engine, engines } from "../../harness/index.ts";
import { traceKinds } from "../../trace/events.ts";
import { usageError } from "../../util/errors.ts";
import { parseWatchdog, WATCHDOG_HELP, type WatchdogPlan } from "./watchdog.ts";

/** What --trace can write. guest_errors and unimp are QEMU's names for log, int is its name for exc and eret together. */
const TRACE_EVENTS = ["log", "guest_errors", "unimp", ...Object.keys(traceKinds), "int"] as const;

/** "exc (exceptions taken), ..." */
export const TRACE_KINDS_HELP = Object.entries(traceKinds)
  .map(([kind, what]) => `${kind} (${what})`)
  .join(", ");

/** The options of both as typed. */
export interface CommonOptions {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly memory: string;
  readonly smp: string;
  readonly cpu?: string;
  readonly bios?: string;
  readonly drive?: string[];
  readonly device?: string[];
  readonly serial?: string[];
  readonly consoles?: string[];
  readonly console: string;
  readonly time: string;
  readonly trace?: string;
  readonly traceFile?: string;
  readonly traceJson?: string;
  readonly timeline?: string;
  readonly reboot: boolean;
  readonly explainFaults?: true;
  readonly symbols?: string[];
  readonly save?: string;
  readonly restore?: string;
  readonly engine?: string;
  readonly dumpJs?: string;
  readonly profile?: string;
  readonly watchdog?: string | true;
}

/** What a command that runs a machine takes from them as they are. */
export interface CommonCommand {
  readonly cpu: string | undefined;
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
  readonly append: string | undefined;
  readonly time: "deterministic" | "wall";
  /** Events to write: see TRACE_EVENTS. */
  readonly trace: readonly string[];
  readonly traceFile: string | undefined;
  /** File that gets the events of --trace as JSON, one in a line. */
  readonly traceJson: string | undefined;
  /** File that gets the timeline of worlds when the machine stops. */
  readonly timeline: string | undefined;
  /** Leave when the guest asks for a reset, instead of starting it again. */
  readonly noReboot: boolean;
  /** Explain each abort, where --trace writes. */
  readonly explainFaults: boolean;
  /** Files with symbols for explanations. */
  readonly symbols: readonly string[];
  /** File that gets the state of the machine when it stops. */
  readonly save: string | undefined;
  /** Snapshot to go on from, instead of power-on. */
  readonly restore: string | undefined;
  /** What executes hot code; undefined: the machine's default. */
  readonly engine: Engine | undefined;
  /** Directory that gets the JavaScript of translated blocks. */
  readonly dumpJs: string | undefined;
  /** Name, without its ending, of the files that get a profile. */
  readonly profile: string | undefined;
  /** What happens when the machine can get no further. */
  readonly watchdog: WatchdogPlan;
}

/** `firmware`: the machine starts in firmware or at EL3. */
export function commonCommand(raw: CommonOptions, firmware: boolean): CommonCommand {
  return {
    cpu: raw.cpu,
    kernel: raw.kernel,
    initrd: raw.initrd,
    append: raw.append,
    time: parseTime(raw.time),
    trace: raw.trace === undefined ? [] : parseTrace(raw.trace),
    traceFile: raw.traceFile,
    traceJson: raw.traceJson,
    timeline: raw.timeline,
    noReboot: !raw.reboot,
    explainFaults: raw.explainFaults === true,
    symbols: raw.symbols ?? [],
    save: raw.save,
    restore: raw.restore,
    engine: raw.engine === undefined ? undefined : parseEngine(raw.engine),
    dumpJs: raw.dumpJs,
    profile: raw.profile,
    watchdog: parseWatchdog(raw.watchdog, firmware),
  };
}

const ENGINES_HELP = "interp, wasm (WebAssembly regions), js (JavaScript blocks), check or check-js (compares with interp)";

function parseEngine(text: string): Engine {
  const engine = engines.find((name) => name === text);
  if (engine) return engine;
  throw usageError("bad-engine", `--engine: unknown engine "${text}" (known: ${engines.join(", ")})`);
}

/** Of options that may be repeated. */
export const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

/** Firmware, Secure, Host, Realm. */
const CONSOLES_HELP = "split (panes), marked (one stream), or firmware=WHERE,secure=WHERE,host=WHERE,realm=WHERE as for --serial";

/** Options about what a run shows and keeps. `log`: what the event of that name is. */
export function addRunOptions(command: Command, o: { log: string; serial: string; kinds: string }): Command {
  return command
    .option("--serial <where>", `where it goes: stdio, none, file:NAME, tcp:[HOST]:PORT[,server=on], pty${o.serial}`, collect)
    .option("--consoles <what>", CONSOLES_HELP, collect)
    .option("--time <mode>", "wall: as the host's clock; deterministic: by instructions, equal in every run", "wall")
    .option("--trace <what>", `events to write, by commas: log (${o.log})${o.kinds}`)
    .option("--trace-file <file>", "where traced events and explanations go (default: standard error)")
    .option("--trace-json <file>", "file that gets the traced events as JSON as well, one in a line")
    .option("--timeline <file>", "when each PE was in which world: text, or a page when the name ends in .html")
    .option("--explain-faults", "explain each abort and granule protection exception: the tables, the rule, what to do")
    .option("--symbols <file>", "names for traces and explanations: ELF file or System.map, FILE[@OFFSET]; may be repeated", collect)
    .option("--save <file>", "save the machine there when it stops: for --restore, rme-emu explain and rme-emu gpt")
    .option("--restore <file>", "go on with a saved machine; its memory, processors and board are those of then, drives are given again")
    .option("--engine <name>", `what executes hot code: ${ENGINES_HELP}`)
    .option("--dump-js <dir>", "with --engine js: write the JavaScript of each translated block there")
    .option("--profile <name>", "write where time goes to NAME.txt, and to NAME.cpuprofile for speedscope and Chrome; see --symbols")
    .option("--no-reboot", "end when the guest asks for a reset")
    .option("--watchdog [what]", WATCHDOG_HELP);
}

/** Does the option, as typed, want a word behind it? */
export const takesValue = (program: Command, word: string): boolean =>
  program.options.some((option) => (option.long === word || option.short === word) && option.required);

/** Parses words. Answers text for standard output when that is what they ask for (help, version). */
export function parseWords(program: Command, words: readonly string[]): string | undefined {
  let text = "";
  const print = (chunk: string): void => {
    text += chunk;
  };
  for (const part of [program, ...program.commands]) part.exitOverride().configureOutput({ writeOut: print, writeErr: () => {} });
  try {
    program.parse(words, { from: "user" });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return text;
    throw usageError("usage", error.message.replace(/^error: /, "").replace(/\n/g, " "));
  }
}

function parseTrace(text: string): string[] {
  const events = text.split(",");
  const unknown = events.find((event) => !TRACE_EVENTS.some((known) => known === event));
  if (unknown === undefined) return events;
  throw usageError("unknown-event", `--trace: unknown event "${unknown}" (known: ${TRACE_EVENTS.join(", ")})`);
}

function parseTime(text: string): "deterministic" | "wall" {
  if (text === "deterministic" || text === "wall") return text;
  throw usageError("bad-time", `--time: "${text}" is neither wall nor deterministic`);
}
