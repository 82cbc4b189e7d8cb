// --trace, --trace-json, --explain-faults: what a machine tells while it runs, and where that goes.

import { closeSync, writeFileSync, writeSync } from "node:fs";
import { type Machine, type TraceKind, TraceText, timelinePage, timelineText, traceJson, traceKinds } from "../harness/index.ts";
import { EmuError } from "../util/errors.ts";
import type { RunCommand } from "./args/options.ts";
import { explainFaults, readSymbols } from "./explain.ts";
import { openOutput } from "./output-file.ts";

/** What --trace calls the log. */
const LOG_EVENTS = ["log", "guest_errors", "unimp"];

/** Where lines go: a file, or standard error. */
export interface LogOutput {
  /** Set when the machine's own log was asked for. */
  readonly log: ((line: string) => void) | undefined;
  /** Begins to write events and explanations of a machine; the function that is returned ends it. */
  watch(machine: Machine): () => void;
  close(): void;
}

/** Opens what the command asks for. Throws EmuError when a file cannot be written. */
export function openLog(command: RunCommand): LogOutput {
  const asked = new Set(command.trace.flatMap((event) => (event === "int" ? ["exc", "eret"] : [event])));
  const kinds = (Object.keys(traceKinds) as TraceKind[]).filter((kind) => asked.has(kind));
  const wanted = command.trace.length > 0 || command.explainFaults;
  const text = wanted ? openLines(command.traceFile) : undefined;
  const json = command.traceJson === undefined ? undefined : openLines(command.traceJson);
  const symbols = kinds.length > 0 ? readSymbols(command.symbols) : undefined;
  return {
    log: LOG_EVENTS.some((event) => asked.has(event)) ? text?.write : undefined,
    watch: (machine) => {
      const ends: (() => void)[] = [];
      if (text !== undefined && kinds.length > 0) ends.push(traceText(machine, kinds, text, symbols?.lookup));
      if (json !== undefined) ends.push(machine.trace(kinds, (e) => json.write(traceJson(e, symbols?.lookup))));
      if (command.timeline !== undefined) ends.push(timeline(machine, command.timeline));
      if (text !== undefined && command.explainFaults) ends.push(explainFaults(machine, command.symbols, text.write));
      return () => {
        for (const end of ends.splice(0)) end();
      };
    },
    close: () => {
      text?.close();
      json?.close();
    },
  };
}

/** Written when the machine stops; a machine that was reset writes it again. */
function timeline(machine: Machine, path: string): () => void {
  const stop = machine.recordWorlds();
  return () => {
    const recorded = stop();
    try {
      writeFileSync(path, /\.x?html?$/i.test(path) ? timelinePage(recorded) : timelineText(recorded));
    } catch (error) {
      throw new EmuError("output-unwritable", `cannot write to "${path}": ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
    }
  };
}

interface Lines {
  write(line: string): void;
  close(): void;
  /** A person may be watching: nothing is held back for long. */
  readonly live: boolean;
}

function traceText(
  machine: Machine,
  kinds: TraceKind[],
  lines: Lines,
  symbol: ((address: bigint) => string | undefined) | undefined,
): () => void {
  const text = new TraceText(lines.write, symbol);
  let waiting: NodeJS.Immediate | undefined;
  const end = machine.trace(kinds, (event) => {
    text.event(event);
    if (lines.live) waiting ??= setImmediate(flush);
  });
  const flush = (): void => {
    waiting = undefined;
    text.flush();
  };
  return () => {
    end();
    if (waiting !== undefined) clearImmediate(waiting);
    text.flush();
  };
}

function openLines(path: string | undefined): Lines {
  if (path === undefined) return { write: (line) => process.stderr.write(`${line}\r\n`), close: () => {}, live: true };
  const file = openOutput(path);
  return { write: (line) => writeSync(file, `${line}\n`), close: () => closeSync(file), live: false };
}
