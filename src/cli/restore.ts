// Machines that were saved, on the command line. A snapshot notes what kind of machine it is of, so that `rme-emu --restore FILE` needs
// no more words. It notes no names of files: whoever made the snapshot does not decide which files of this host are opened.

import { readFileSync } from "node:fs";
import { snapshotNote } from "../harness/index.ts";
import { EmuError, usageError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";
import type { RunCommand } from "./args/options.ts";

/** Options that a note may have. Flags are "". */
const NOTED = ["memory", "smp", "cpu", "machine", "board", "normal", "teardown", "console", "time"] as const;
type Noted = Partial<Record<(typeof NOTED)[number], string>>;

/** What a snapshot of the machine of this command notes. */
export function noteOf(c: RunCommand): Saved {
  const { realm } = c;
  const options: Noted = {
    memory: `${c.memory / 2 ** 20}M`,
    smp: `${c.smp}`,
    ...(c.cpu === undefined ? {} : { cpu: c.cpu }),
    ...(realm ? { board: realm.board ?? "virt" } : { machine: c.machine }),
    ...(realm?.normal ? { normal: "" } : {}),
    ...(realm?.teardown ? { teardown: "" } : {}),
    console: c.console,
    time: c.time,
  };
  return { command: realm ? "realm" : "run", options, files: filesOf(c) };
}

/** Options of a command that name files without which its machine cannot go on. */
const filesOf = (c: RunCommand): string[] => [
  ...(c.realm?.rmm === undefined ? [] : ["--rmm"]),
  ...(c.firmware === undefined ? [] : ["--bios"]),
  ...(c.drives.length === 0 ? [] : ["--drive"]),
];

interface Note {
  command?: Saved;
  options?: { [key: string]: Saved };
  files?: Saved;
}

/**
 * The words typed behind those that the snapshot stands for, so that what is typed wins. `command`: what they mean by themselves; the
 * word "realm" is not among them. The first word of the answer is "realm" when the snapshot is of a machine with a guest of the built-in
 * host.
 */
export function withNote(path: string, typed: readonly string[], command: RunCommand): string[] {
  const note = told(path, () => snapshotNote(readSnapshotFile(path))) as Note | null;
  const realm = command.realm !== undefined;
  const words = Object.entries(note?.options ?? {}).map(([key, value]) => wordOf(path, key, value));
  const saved = note === null ? realm : note.command === "realm";
  if (realm && !saved)
    throw usageError("restore-realm", `"${path}" is of a machine without a realm: rme-emu --restore FILE goes on with it`);
  const given = filesOf(command);
  const missing = ["--rmm", "--bios", "--drive"].filter((f) => Array.isArray(note?.files) && note.files.includes(f) && !given.includes(f));
  if (missing.length > 0)
    throw usageError(
      "restore-files",
      `"${path}" was saved from a machine with ${missing.join(" and ")}: rme-emu${saved ? " realm" : ""} --restore FILE needs them again`,
    );
  return [...(saved ? ["realm"] : []), ...words, ...typed];
}

function wordOf(path: string, key: string, value: Saved): string {
  if (!NOTED.some((k) => k === key) || typeof value !== "string")
    throw new EmuError("snapshot-corrupt", `cannot restore "${path}": the snapshot is damaged: its note has an option "${key}"`);
  return value === "" ? `--${key}` : `--${key}=${value}`;
}

/** Contents of a snapshot file. Throws EmuError("snapshot-unreadable"). */
export function readSnapshotFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new EmuError("snapshot-unreadable", reason === "ENOENT" ? "there is no such file" : reason);
  }
}

/** Runs something about a snapshot; an EmuError says which. */
export function told<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof EmuError)) throw error;
    throw new EmuError(error.code, `cannot restore "${path}": ${error.message}`, error.exitCode);
  }
}
