// Files that output is appended to.

import { openSync } from "node:fs";
import { EmuError } from "../util/errors.ts";

/** Opens for appending: nothing that is in the file is lost. Throws EmuError("output-unwritable"). */
export function openOutput(path: string): number {
  try {
    return openSync(path, "a");
  } catch (error) {
    throw new EmuError("output-unwritable", `cannot write to "${path}": ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}
