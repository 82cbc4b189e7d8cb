// --profile, --dump-js, and what --engine check finds: what the engines tell, and the files it goes to.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cpuProfile, EmuError, EngineDifference, type Machine, profileText } from "../harness/index.ts";
import type { RunCommand } from "./args/options.ts";
import { readSymbols } from "./explain.ts";

/** Where a difference between engines is written when --dump-js does not say. */
const DIFFERENCE_DIRECTORY = "rme-emu-difference";

/** Begins what the command asks for; the function that is returned ends it and writes the profile. */
export function watchEngine(command: RunCommand, machine: Machine): () => void {
  const { dumpJs, profile } = command;
  if (dumpJs !== undefined) {
    inFile(dumpJs, () => mkdirSync(dumpJs, { recursive: true }));
    machine.onTranslation((name, source) => write(join(dumpJs, `${name}.js`), `${source}\n`));
  }
  if (profile === undefined) return () => {};
  const finish = machine.profile(readSymbols(command.symbols)?.lookup);
  return () => {
    const measured = finish();
    write(`${profile}.txt`, profileText(measured));
    write(`${profile}.cpuprofile`, cpuProfile(measured));
  };
}

/** Writes the translation that a check has found wrong, and answers the error that says where it is. */
export function explainDifference(error: unknown, command: RunCommand): unknown {
  if (!(error instanceof EngineDifference)) return error;
  const directory = command.dumpJs ?? DIFFERENCE_DIRECTORY;
  inFile(directory, () => mkdirSync(directory, { recursive: true }));
  const paths = error.files.map(({ name, data }) => {
    write(join(directory, name), data);
    return join(directory, name);
  });
  return new EngineDifference(`${error.message}\ntranslation: ${paths.join(", ")}`, error.files);
}

const write = (path: string, data: string | Uint8Array): void => inFile(path, () => writeFileSync(path, data));
function inFile(path: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    throw new EmuError("output-unwritable", `cannot write to "${path}": ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}
