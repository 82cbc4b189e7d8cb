// Explains the faults of a running machine as they are taken.

import { slot } from "../arch/state.ts";
import { ecName } from "../arch/syndrome.ts";
import type { ExceptionInfo } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import type { RefusedTransfer } from "../machine/dma.ts";
import { type Board, observe } from "../machine/observe.ts";
import { type Fault, faultStatusCode, hpfar } from "../mmu/fault.ts";
import { explainAccess, explainFault, type Question, type Sources } from "./explain.ts";
import { memoryRanges } from "./gpt-map.ts";
import { TableJournal } from "./journal.ts";
import { type Explanation, hex64, type WriterInfo } from "./model.ts";
import type { Symbols } from "./symbols.ts";
import { explainTransfer } from "./transfer.ts";

export interface ExplainerOptions {
  symbols?: Symbols | undefined;
  /** Record who writes table entries (stores to tables become slower). Default: true. */
  journal?: boolean;
  /** Explain a repeated fault each time. Default: identical PC, address and kind are explained once and then counted. */
  every?: boolean;
}

/** Kinds of faults counted; beyond that the oldest counts are forgotten. */
const MAX_KEYS = 10_000;
const ESR = [0, slot.ESR_EL1, slot.ESR_EL2, slot.ESR_EL3] as const;
const FAR = [0, slot.FAR_EL1, slot.FAR_EL2, slot.FAR_EL3] as const;

/** Delivers explanations to listeners, after the exception was taken. */
export class FaultExplainer {
  private readonly board: Board;
  private readonly options: ExplainerOptions;
  private readonly listeners: ((e: Explanation) => void)[] = [];
  private readonly counts = new Map<string, { summary: string; count: number }>();
  private readonly journal: TableJournal | undefined;
  private readonly detach: () => void;
  private pending: { pe: Pe; explanation: Explanation; fault: Fault } | undefined;

  constructor(board: Board, options: ExplainerOptions = {}) {
    this.board = board;
    this.options = options;
    if (options.journal !== false) this.journal = TableJournal.of(board);
    this.detach = observe(board, {
      abort: (pe, fault) => this.abort(pe, fault),
      exception: (pe, e) => this.taken(pe, e),
      refused: (transfer) => this.refused(transfer),
    });
  }

  /** `listener` gets every explanation. */
  onFault(listener: (e: Explanation) => void): void {
    this.listeners.push(listener);
  }
  stop(): void {
    this.detach();
    this.journal?.release();
  }

  /** Explains an access that PE `index` might make now. */
  ask(q: Question & { pe?: number | undefined }): Explanation {
    return explain(this.board, q, this.sources(this.board.pes[q.pe ?? 0] as Pe));
  }

  /** Faults that were taken more than once: how often, and what they were. */
  repeated(): { summary: string; count: number }[] {
    return [...this.counts.values()].filter((c) => c.count > 1);
  }

  private sources(pe: Pe | undefined): Sources {
    const symbol = this.options.symbols?.lookup;
    return {
      symbol,
      writer: this.journal && ((pa, granule) => this.named(this.journal?.writer(pa, granule))),
      ...(pe === undefined ? {} : { instructions: Number(this.board.executor.retired(pe)) }),
    };
  }
  private named(w: WriterInfo | undefined): WriterInfo | undefined {
    const symbol = w?.pc === undefined ? undefined : this.options.symbols?.lookup(BigInt(w.pc));
    return w && symbol !== undefined ? { ...w, symbol } : w;
  }

  private abort(pe: Pe, fault: Fault): void {
    this.pending = undefined;
    const key = `${pe.st.pc}:${fault.va}:${fault.fetch}:${fault.write}:${fault.stage}:${faultStatusCode(fault)}:${fault.gpc ?? 0}`;
    const explanation = this.once(key, () => explainFault(pe, fault, this.sources(pe)));
    if (explanation) this.pending = { pe, explanation, fault };
  }
  /** A device reports a failed access to its driver, if at all: no exception follows. */
  private refused(t: RefusedTransfer): void {
    const sources = this.sources(this.board.executor.running);
    const explanation = this.once(`${t.device}:${t.write}:${t.at}`, () => explainTransfer(this.board, t, sources));
    if (explanation) for (const l of this.listeners) l(explanation);
  }
  /** Counts a fault; undefined: it was explained before. */
  private once(key: string, explanation: () => Explanation): Explanation | undefined {
    const seen = this.counts.get(key);
    if (seen) seen.count++;
    if (seen && this.options.every !== true) return undefined;
    const e = explanation();
    if (!seen) {
      if (this.counts.size >= MAX_KEYS) this.counts.delete(this.counts.keys().next().value as string);
      this.counts.set(key, { summary: e.summary, count: 1 });
    }
    return e;
  }

  /** The exception that reports the fault: its registers are part of the explanation. */
  private taken(pe: Pe, e: ExceptionInfo): void {
    const p = this.pending;
    this.pending = undefined;
    if (p === undefined || p.pe !== pe || p.explanation.failure === undefined) return;
    const { st } = pe;
    p.explanation.failure.reported = {
      exception: ecName(e.ec),
      to: e.target,
      esr: hex64(st.get(ESR[e.target] as number)),
      far: hex64(st.get(FAR[e.target] as number)),
      ...(p.fault.ipaValid && e.target >= 2 ? { hpfar: hex64(hpfar(p.fault, p.explanation.requester.security === "Secure")) } : {}),
      ...(e.ec === 0x1e ? { mfar: hex64(st.get(slot.MFAR_EL3)) } : {}),
    };
    for (const l of this.listeners) l(p.explanation);
  }
}

/** Explains an access that a PE of the board might make now, with the map of memory. */
export function explain(board: Board, q: Question & { pe?: number | undefined }, sources: Sources = {}): Explanation {
  const pe = board.pes[q.pe ?? 0] as Pe;
  return explainAccess(pe, q, { instructions: Number(board.executor.retired(pe)), memory: () => memoryRanges(pe.mmu), ...sources });
}
