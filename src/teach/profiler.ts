// A profile of a guest: where its instructions are executed, of which kind they are, and why generated code was left.
//
// Turns are cut into pieces of PERIOD instructions, which changes nothing for the guest; the place at which a piece ends is a sample
// that stands for its instructions and its host time. Nothing is measured, or slower, while no profiler is attached.

import { Off } from "../arch/layout.ts";
import { securityName } from "../arch/security.ts";
import { ExitCounters } from "../cpu/counters.ts";
import type { Pe } from "../cpu/pe.ts";
import { decode } from "../isa/table.ts";
import type { VirtMachine } from "../machine/virt.ts";
import type { SymbolNames } from "./profile-report.ts";

/** Instructions between two samples: a prime, so that loops do not beat with it. */
const PERIOD = 10_007;

/** Who executed a sample's instructions, as far as its last one tells. */
export type Tier = "interpreter" | "translated" | "unknown";

export interface Sample {
  readonly frames: readonly [pe: string, level: string, code: string];
  readonly instructions: number;
  /** Host milliseconds. */
  readonly ms: number;
}

export interface Profile {
  readonly samples: readonly Sample[];
  /** Instructions by group and by row of the instruction table. */
  readonly groups: ReadonlyMap<string, number>;
  readonly rows: ReadonlyMap<string, number>;
  readonly tiers: ReadonlyMap<Tier, { instructions: number; ms: number }>;
  readonly exits: ReadonlyMap<string, number>;
  /** First-level TLB misses of data accesses: served for the interpreter, and looked up for translated code. */
  readonly misses: { readonly slow: number; readonly refills: number };
  readonly translation:
    | { readonly translateMs: number; readonly compileMs: number; readonly regions: number; readonly elsewhere?: boolean }
    | undefined;
  readonly instructions: number;
  readonly ms: number;
}

/** Instruction groups by bits 28:25 of the word (Arm ARM C4.1). */
function groupOf(word: number): string {
  const op0 = (word >>> 25) & 15;
  if ((op0 & 0b1110) === 0b1000) return "data processing, immediate";
  if ((op0 & 0b1110) === 0b1010) return "branches and system";
  if ((op0 & 0b0101) === 0b0100) return "loads and stores";
  if ((op0 & 0b0111) === 0b0101) return "data processing, register";
  if ((op0 & 0b0111) === 0b0111) return "floating point and Advanced SIMD";
  return "other";
}

const addTo = <K>(map: Map<K, number>, key: K, n: number): void => {
  map.set(key, (map.get(key) ?? 0) + n);
};

export class Profiler {
  private readonly board: VirtMachine;
  private readonly symbols: SymbolNames;
  private readonly counters = new ExitCounters();
  private readonly samples: Sample[] = [];
  private readonly groups = new Map<string, number>();
  private readonly rows = new Map<string, number>();
  private readonly tiers = new Map<Tier, { instructions: number; ms: number }>();

  /** Attaches to the machine. `symbols` gives a function's name, without an offset, for an address. */
  constructor(board: VirtMachine, symbols: SymbolNames) {
    this.board = board;
    this.symbols = symbols;
    board.executor.counters = this.counters;
    board.sampler = { period: PERIOD, sample: (pe, n, ms) => this.sample(pe, n, ms) };
  }

  /** Detaches, and answers what was seen. */
  finish(): Profile {
    this.board.sampler = undefined;
    this.board.executor.counters = undefined;
    const { samples, groups, rows, tiers, counters } = this;
    const total = (of: (s: Sample) => number) => samples.reduce((sum, s) => sum + of(s), 0);
    return {
      samples,
      groups,
      rows,
      tiers,
      exits: counters.byCause,
      misses: { slow: counters.byCause.get("data access") ?? 0, refills: counters.refills },
      translation: this.board.executor.translations,
      instructions: total((s) => s.instructions),
      ms: total((s) => s.ms),
    };
  }

  private sample(pe: Pe, instructions: number, ms: number): void {
    const { executor } = this.board;
    const waits = pe.st.lo(Off.HALT) !== 0;
    const ip = waits ? undefined : executor.entryOf(pe);
    const tier: Tier = ip === undefined ? "unknown" : executor.isTranslated(ip) ? "translated" : "interpreter";
    const sum = this.tiers.get(tier) ?? { instructions: 0, ms: 0 };
    this.tiers.set(tier, { instructions: sum.instructions + instructions, ms: sum.ms + ms });
    if (ip !== undefined) this.mix(executor.code.word(ip), instructions);
    const level = `EL${pe.st.el} ${securityName[pe.security]}`;
    this.samples.push({ frames: [`PE ${pe.index}`, level, this.place(pe)], instructions, ms });
  }
  private mix(word: number, instructions: number): void {
    addTo(this.groups, groupOf(word), instructions);
    addTo(this.rows, decode(word)?.name ?? "(undefined)", instructions);
  }
  /** The function, or the page when no symbol covers the address. */
  private place(pe: Pe): string {
    const { pc, el } = pe.st;
    return this.symbols(pc, el) ?? `0x${(pc & ~0xfffn).toString(16)}`;
  }
}
