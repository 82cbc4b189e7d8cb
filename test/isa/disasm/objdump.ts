// The oracle of the disassembler tests: GNU objdump for AArch64.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The objdump to ask: ${RME_CROSS_COMPILE}objdump, else aarch64-linux-gnu-objdump on the path; undefined when there is none. */
export const objdump: string | undefined = findObjdump();

function findObjdump(): string | undefined {
  for (const prefix of [process.env.RME_CROSS_COMPILE, "aarch64-linux-gnu-"]) {
    if (!prefix) continue;
    try {
      execFileSync(`${prefix}objdump`, ["--version"], { stdio: "ignore" });
      return `${prefix}objdump`;
    } catch {
      // not installed: try the next name
    }
  }
  return undefined;
}

/** What objdump prints for each word; word i stands at address `base` + 4 i. */
export function objdumpText(words: readonly number[], base: number): string[] {
  if (objdump === undefined) throw new Error("objdump is not installed");
  const dir = mkdtempSync(join(tmpdir(), "rme-objdump-"));
  try {
    const file = join(dir, "words");
    writeFileSync(file, new Uint8Array(Uint32Array.from(words).buffer));
    const args = ["-D", "-z", "-b", "binary", "-m", "aarch64", `--adjust-vma=${base}`, file];
    const text = execFileSync(objdump, args, { encoding: "utf8", maxBuffer: 2 ** 28 });
    return text.split("\n").flatMap((l) => {
      const m = /^\s*[0-9a-f]+:\t[0-9a-f]{8} \t(.*)$/.exec(l);
      return m ? [m[1] as string] : [];
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** One space between tokens, no comments, lower case. */
export const normalize = (text: string): string =>
  text
    .replace(/\/\/.*$/, "")
    .trim()
    .replace(/\s+/g, " ")
    .toLowerCase();
