// Compares floating-point rows with qemu-aarch64 on random words, operands, FPCR modes and FPSR.

import { PE_BASE, PE_STRIDE } from "../../../src/arch/layout.ts";
import { PeState } from "../../../src/arch/state.ts";
import { fpHelpers } from "../../../src/isa/fp/index.ts";
import { rowByName } from "../../../src/isa/table.ts";
import { type Case, differences, fromPe, runOracle, toPe } from "../oracle/oracle.ts";
import { Random, randomWord } from "../oracle/random.ts";
import { randomFpRegisters } from "./operands.ts";

const st = new PeState(new WebAssembly.Memory({ initial: (PE_BASE + PE_STRIDE) / 0x1_0000 }), 0);

type RowCase = Case & { readonly name: string };

function casesOf(name: string, states: number, seed: number): RowCase[] {
  const row = rowByName.get(name);
  if (!row) throw new Error(`no row ${name}`);
  const rng = new Random(seed);
  return Array.from({ length: states }, () => {
    const insn = randomWord(row, rng);
    return { name, insn, before: randomFpRegisters(row, insn, rng) };
  });
}

function describeCase({ name, insn, before }: RowCase): string {
  const hex = (n: number) => Buffer.from(before.v(n)).reverse().toString("hex");
  const operands = [5, 16, 10, 0].map((at) => `V${(insn >>> at) & 31}=${hex((insn >>> at) & 31)}`).join(" ");
  return `${name} ${insn.toString(16)} fpcr ${before.fpcr.toString(16)} fpsr ${before.fpsr.toString(16)} ${operands}`;
}

/** Differences of the rows from the oracle in `states` executions of each, as text. */
export function compare(names: readonly string[], states: number, seed: number): string[] {
  const cases = names.flatMap((name, i) => casesOf(name, states, seed + i));
  const wrong: string[] = [];
  runOracle(cases).forEach((expected, i) => {
    const c = cases[i] as RowCase;
    toPe(c.before, st);
    fpHelpers[c.name]?.(st, c.insn);
    const diff = expected.signal !== 0 ? [`signal ${expected.signal}`] : differences(expected, fromPe(st));
    if (diff.length > 0) wrong.push(`${describeCase(c)}: ${diff.join("; ")}`);
  });
  return wrong;
}
