// Golden translations beside their input: golden/NAME.s has words in hexadecimal, one in a line, with their disassembly; NAME.block is the
// block that they become. RME_UPDATE_GOLDEN=1 writes the .block files anew (and the comments of the .s files).

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Instruction, instructionAt } from "../../../../src/cpu/jit/instruction.ts";
import { translateRegion } from "../../../../src/cpu/jit/js/region.ts";
import { disassemble } from "../../../../src/isa/disasm/index.ts";
import { bareContext } from "../../../isa/bare-interpreter.ts";

const folder = new URL("./golden/", import.meta.url);
const update = process.env.RME_UPDATE_GOLDEN === "1";
/** Where the code stands. */
const ADDRESS = 0x40000000n;

const text = (word: number, index: number) => disassemble(word | 0, ADDRESS + BigInt(4 * index));
function wordsOf(file: string): number[] {
  const lines = readFileSync(new URL(file, folder), "utf8").split("\n");
  return lines.flatMap((line) => (/^[0-9a-f]{8}\b/.test(line) ? [Number.parseInt(line.slice(0, 8), 16)] : []));
}
function translation(words: readonly number[]): string {
  const at = (index: number): Instruction => instructionAt(index, (words[index] ?? 0) | 0, bareContext);
  const describe = (i: Instruction) => `${(ADDRESS + BigInt(4 * i.index)).toString(16)}: ${text(i.word, i.index)}`;
  return `${translateRegion(0, { at, describe })?.source ?? "// the interpreter executes the first instruction"}\n`;
}

const inputs = readdirSync(folder).filter((name) => name.endsWith(".s"));

describe("golden translations", () => {
  it("there are some", () => expect(inputs.length).toBeGreaterThan(5));

  it.each(inputs)("%s", (name) => {
    const words = wordsOf(name);
    const golden = new URL(name.replace(/\.s$/, ".block"), folder);
    const source = translation(words);
    const listing = `${words.map((w, i) => `${w.toString(16).padStart(8, "0")}  ${text(w, i)}`).join("\n")}\n`;
    if (update) {
      writeFileSync(new URL(name, folder), listing);
      writeFileSync(golden, source);
    }
    expect(readFileSync(new URL(name, folder), "utf8")).toBe(listing);
    expect(readFileSync(golden, "utf8")).toBe(source);
  });
});
