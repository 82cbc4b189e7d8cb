// Every integer SIMD row against qemu-aarch64: random words, operands and register overlaps. RME_ORACLE_STATES sets the states per row.

import { describe, expect, it } from "vitest";
import { PE_BASE, PE_STRIDE } from "../../../src/arch/layout.ts";
import { PeState } from "../../../src/arch/state.ts";
import { simdHelpers } from "../../../src/isa/simd/index.ts";
import { rowByName } from "../../../src/isa/table.ts";
import { type Case, differences, fromPe, qemu, runOracle, toPe } from "../oracle/oracle.ts";
import { Random, randomRegisters, randomWord } from "../oracle/random.ts";

const states = Number(process.env.RME_ORACLE_STATES ?? 40);
const seed = Number(process.env.RME_ORACLE_SEED ?? 1);
const st = new PeState(new WebAssembly.Memory({ initial: (PE_BASE + PE_STRIDE) / 0x1_0000 }), 0);
if (qemu === undefined) process.stderr.write("skipped: no qemu-aarch64 to compare the SIMD rows with\n");

/** First differences of `names` from the oracle, as text. */
function compare(names: readonly string[]): string[] {
  const cases: (Case & { name: string })[] = [];
  names.forEach((name, i) => {
    const row = rowByName.get(name);
    if (!row) throw new Error(`no row ${name}`);
    const rng = new Random(seed * 1000 + i);
    for (let n = 0; n < states; n++) cases.push({ name, insn: randomWord(row, rng), before: randomRegisters(rng) });
  });
  const wrong: string[] = [];
  runOracle(cases).forEach((expected, i) => {
    const { name, insn, before } = cases[i] as Case & { name: string };
    toPe(before, st);
    simdHelpers[name]?.(st, insn);
    const diff = expected.signal !== 0 ? [`signal ${expected.signal}`] : differences(expected, fromPe(st));
    if (diff.length > 0) wrong.push(`${name} ${insn.toString(16)}: ${diff.join("; ")}`);
  });
  return wrong;
}

describe.skipIf(qemu === undefined)("integer SIMD rows against qemu-aarch64", () => {
  const names = Object.keys(simdHelpers);
  const group = 48;
  for (let i = 0; i < names.length; i += group) {
    const part = names.slice(i, i + group);
    it(`${part[0]} .. ${part.at(-1)}`, () => {
      expect(compare(part).slice(0, 20)).toEqual([]);
    }, 600_000);
  }
});
