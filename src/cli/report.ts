// How an error reaches the person: one line on standard error, and the exit code.

import { EmuError } from "../util/errors.ts";

/**
 * Writes `rme-emu: …` and returns the exit code. With RME_EMU_DEBUG=1 the stack trace follows. A difference between engines is a report of
 * many lines.
 */
export function reportError(error: unknown, stderr: { write(text: string): unknown } = process.stderr): number {
  const message = error instanceof Error ? error.message : String(error);
  const text = error instanceof EmuError ? message : `internal error: ${message} (set RME_EMU_DEBUG=1 to see where)`;
  const lines = error instanceof EmuError && error.code === "engine-difference" ? text.split("\n") : [text.trim()];
  stderr.write(`rme-emu: ${lines.map(printable).join("\n")}\n`);
  if (process.env["RME_EMU_DEBUG"] === "1" && error instanceof Error && error.stack) stderr.write(`${error.stack}\n`);
  return error instanceof EmuError ? error.exitCode : 1;
}

/** Control characters (file names may hold any) must neither break the line nor reach the terminal. */
const printable = (line: string): string => line.replace(/[\u0000-\u001f\u007f]+/g, " ").trimEnd();
