// Cases for branches: targets are words of zeros in the program (program.ts: landings), near and far, before and behind.

import { fieldValue, type Row } from "../../../src/isa/table.ts";
import type { Case } from "./oracle.ts";
import { landings } from "./program.ts";
import { type Random, randomRegisters, randomWord } from "./random.ts";

/** The immediate of direct branches, and the widest landing area it reaches. */
const immediates: Record<string, readonly (typeof landings)[keyof typeof landings][]> = {
  imm14: [landings.near],
  imm19: [landings.near, landings.middle],
  imm26: [landings.near, landings.middle, landings.far],
};
const everywhere = Object.values(landings);

/** `count` states of a branch row; a new word every `perWord` states. */
export function branchCases(row: Row, rng: Random, count: number, perWord: number): Case[] {
  const name = Object.keys(immediates).find((n) => row.fields.has(n));
  const areas = name ? (immediates[name] as (typeof everywhere)[number][]) : everywhere;
  const pick = (): number => {
    const area = areas[rng.below(areas.length)] as (typeof everywhere)[number];
    return area.at + 4 * rng.below(area.bytes / 4);
  };
  const out: Case[] = [];
  let insn = 0;
  let at: ((address: number) => number) | undefined;
  for (let i = 0; i < count; i++) {
    if (i % perWord === 0) {
      insn = randomWord(row, rng);
      const [word, target] = [insn, pick()];
      const f = name ? row.fields.get(name) : undefined;
      const mask = f ? (2 ** f.width - 1) * 2 ** f.low : 0;
      // One target in eight is the next instruction: taken and not taken must agree there too.
      const next = rng.below(8) === 0;
      at = f && ((address) => ((word & ~mask) | (((next ? 1 : (target - address) >> 2) << f.low) & mask)) >>> 0);
    }
    const before = randomRegisters(rng);
    const t = row.fields.get("Rt");
    // Compare-and-branch on zero would hardly ever see one.
    if (t && rng.below(2) === 0 && fieldValue(t, insn) !== 31)
      before.setX(fieldValue(t, insn), rng.below(2) === 0 ? 0n : BigInt(rng.u32()) << 32n);
    const n = row.fields.get("Rn");
    if (n && fieldValue(n, insn) !== 31) before.setX(fieldValue(n, insn), BigInt(pick()));
    out.push({ insn, before, ...(at ? { at } : {}) });
  }
  return out;
}

/** BR XZR and the like jump to address 0, where nothing is mapped. */
export const jumpsToZero = (row: Row, insn: number): boolean => {
  const n = row.fields.get("Rn");
  return n !== undefined && fieldValue(n, insn) === 31;
};
