// Code that a PE can never leave: a loop without conditions, with interrupts masked.

import { Off } from "../arch/layout.ts";
import { interruptible } from "../cpu/interrupts.ts";
import type { Pe } from "../cpu/pe.ts";
import { waitTrap } from "../cpu/system-wait.ts";
import { instructionAt } from "../teach/explain.ts";

/** Longest loop that is looked at, in instructions. */
const MAX_LOOP = 16;

/** Instructions that do nothing to where the PE goes next. */
// biome-ignore format: table
const HARMLESS: readonly (readonly [mask: number, value: number])[] = [
  [0xffff_f01f, 0xd503_201f], // hints: NOP, YIELD, WFE, WFI, SEV, BTI
  [0xffff_f01f, 0xd503_301f], // barriers: CLREX, DSB, DMB, ISB, SB
  [0xffff_f0ff, 0xd503_40df], // MSR DAIFSet
];
const WFE = 0xd503_205f;
const WFI = 0xd503_207f;

/**
 * What a PE does that can never leave the loop it is in, whatever time and devices bring; undefined: it may leave it. This is a proof: the
 * instructions from PC on are read until they close a circle, and only such count as cannot do anything but go on.
 */
export function closedLoop(pe: Pe): string | undefined {
  if (pe.debug.mode !== 0 || interruptible(pe)) return undefined;
  const loop = new Map<bigint, number>();
  let pc = pe.st.pc;
  while (!loop.has(pc)) {
    if (loop.size === MAX_LOOP || (pc & 3n) !== 0n) return undefined;
    const word = instructionAt(pe, pc);
    if (word === undefined) return undefined;
    loop.set(pc, word);
    if (word >>> 26 === 0b00_0101) pc = BigInt.asUintN(64, pc + BigInt((word << 6) >> 4));
    else if (HARMLESS.some(([mask, value]) => (word & mask) >>> 0 === value)) pc += 4n;
    else return undefined;
  }
  const words = [...loop.values()];
  const waits = [WFI, WFE].filter((w) => words.includes(w));
  if (waits.some((w) => waitTrap(pe, w === WFE) !== 0)) return undefined;
  const names = waits.map((w) => (w === WFI ? "WFI" : "WFE"));
  return names.length > 0 ? `a loop of ${names.join(" and ")} with interrupts masked` : "a branch to itself with interrupts masked";
}

/** A PE that waits: how, and whether something that the PE itself has set up ends it in time. */
export function waiting(pe: Pe): { what: string; timed: boolean } | undefined {
  if (pe.st.lo(Off.HALT) !== 1) return undefined;
  return { what: pe.waitsForEvent ? "WFE" : "WFI", timed: pe.timers.nextDeadline() !== undefined };
}
