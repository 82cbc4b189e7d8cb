// Explanations on the command line: of a saved machine, and of the faults of a running one.

import { readFileSync, writeFileSync } from "node:fs";
import { printGpt } from "../gpt/index.ts";
import { type Explanation, explanationPage, explanationText, type Machine, Symbols } from "../harness/index.ts";
import { readSnapshot } from "../harness/snapshot.ts";
import { SnapshotView, securityNamed } from "../teach/snapshot-view.ts";
import { EmuError, usageError } from "../util/errors.ts";
import type { Output } from "./command.ts";
import type { ExplainCommand, GptCommand } from "./explain-command.ts";

/** Writes the explanation; the exit code is 0 whether the access works or not. */
export function runExplain(c: ExplainCommand, output: Output): number {
  const security = c.state === undefined ? undefined : securityNamed(c.state);
  if (security === 2 && c.el !== undefined && c.el !== 3) throw usageError("bad-state", "Root state has EL3 only");
  const el = c.el ?? (security === 2 ? 3 : undefined);
  const symbols = readSymbols(c.symbols);
  const { va, pe, access, unprivileged } = c;
  const e = open(c.snapshot).explain({ va, pe, el, security, access, unprivileged }, { symbol: symbols?.lookup });
  const text = { text: explanationText, json: (x: Explanation) => `${JSON.stringify(x, null, 2)}\n`, html: explanationPage }[c.format](e);
  if (c.output === undefined) output.stdout.write(text);
  else write(c.output, text);
  return 0;
}

/** Lists the ranges of the granule protection table. */
export function runGpt(c: GptCommand, output: Output): number {
  const gpt = open(c.snapshot).gpt(c.pe);
  if (gpt === undefined) throw new EmuError("no-rme", "the CPU of the saved machine has no FEAT_RME (--cpu max,rme=on has)");
  output.stdout.write(printGpt(gpt));
  return 0;
}

/**
 * Writes each explanation of the machine's faults to `line`, as lines. The function that is returned ends it and tells how often
 * faults came again.
 */
export function explainFaults(machine: Machine, symbolFiles: readonly string[], line: (text: string) => void): () => void {
  let count = 0;
  const stop = machine.onFault(
    (e) => {
      line(`---- fault ${++count} ----`);
      for (const l of explanationText(e).trimEnd().split("\n")) line(l);
    },
    { symbols: readSymbols(symbolFiles) },
  );
  return () => {
    for (const { summary, count: times } of stop()) line(`${times} times: ${summary}`);
  };
}

function open(path: string): SnapshotView {
  const { state, ram } = readSnapshot(read(path));
  return new SnapshotView(state, ram);
}

/** Files as "FILE" or "FILE@OFFSET"; the offset is added to every address (KASLR). */
export function readSymbols(files: readonly string[]): Symbols | undefined {
  if (files.length === 0) return undefined;
  const symbols = new Symbols();
  for (const spec of files) {
    const m = /^(.+)@(-?)(0x[0-9a-fA-F]+|[0-9]+)$/.exec(spec);
    const offset = m ? BigInt(m[3] as string) * (m[2] === "-" ? -1n : 1n) : 0n;
    const path = m ? (m[1] as string) : spec;
    symbols.addFile(read(path), offset, `"${path}"`);
  }
  return symbols;
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (e) {
    throw new EmuError("file-unreadable", `cannot read "${path}": ${(e as NodeJS.ErrnoException).code ?? String(e)}`);
  }
}
function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (e) {
    throw new EmuError("output-unwritable", `cannot write to "${path}": ${(e as NodeJS.ErrnoException).code ?? String(e)}`);
  }
}
