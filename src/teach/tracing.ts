// Makes trace events of what PEs do.

import { Off } from "../arch/layout.ts";
import { slot } from "../arch/state.ts";
import { Ec, ecName } from "../arch/syndrome.ts";
import { type ExceptionInfo, Vector } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import { type Board, instructionsOf, observe } from "../machine/observe.ts";
import type { Tracer } from "../trace/events.ts";
import { cameFrom, lowerState } from "./call-stack.ts";
import { CallTracker } from "./call-tracker.ts";
import { GptTrace } from "./gpt-trace.ts";

const ELR = [0, slot.ELR_EL1, slot.ELR_EL2, slot.ELR_EL3] as const;
const ESR = [0, slot.ESR_EL1, slot.ESR_EL2, slot.ESR_EL3] as const;
const FAR = [0, slot.FAR_EL1, slot.FAR_EL2, slot.FAR_EL3] as const;
/** Classes whose exceptions write FAR: aborts, PC alignment, watchpoints, granule protection. */
const writesFar = new Set<number>([0x1e, 0x20, 0x21, 0x22, 0x24, 0x25, 0x34, 0x35]);
const asyncNames: Readonly<Record<number, string>> = { [Vector.Irq]: "IRQ", [Vector.Fiq]: "FIQ" };

/** Attaches `tracer`; the function that is returned detaches it. */
export function attachTracer(board: Board, tracer: Tracer): () => void {
  const run = new Tracing(board, tracer);
  return () => run.stop();
}

class Tracing {
  private readonly board: Board;
  private readonly tracer: Tracer;
  private readonly worlds: Map<Pe, number>;
  private readonly calls: CallTracker | undefined;
  private readonly gpt: GptTrace | undefined;
  private readonly detach: () => void;

  constructor(board: Board, tracer: Tracer) {
    this.board = board;
    this.tracer = tracer;
    this.worlds = new Map(board.pes.map((pe) => [pe, lowerState(pe)]));
    this.calls = tracer.wants("smc", "rmi", "rsi") ? new CallTracker(board.phys) : undefined;
    this.gpt = tracer.wants("gpt") ? new GptTrace(board, (e) => tracer.emit(e)) : undefined;
    const calls = this.calls !== undefined;
    const entries = calls || tracer.wants("exc");
    const exits = calls || tracer.wants("eret", "world");
    this.detach = observe(board, {
      ...(entries ? { exception: (pe: Pe, e: ExceptionInfo) => this.exception(pe, e) } : {}),
      ...(exits ? { returned: (pe: Pe, from: number) => this.returned(pe, from) } : {}),
    });
  }
  stop(): void {
    this.gpt?.stop();
    this.detach();
  }

  private stamp(pe: Pe): { pe: number; at: number } {
    return { pe: pe.index, at: instructionsOf(this.board) };
  }

  private exception(pe: Pe, e: ExceptionInfo): void {
    this.gpt?.flush();
    if (this.tracer.wants("exc")) this.taken(pe, e);
    if (e.ec !== Ec.Smc && e.ec !== Ec.Hvc) return;
    const call = this.calls?.exception(pe, e);
    if (call !== undefined) this.tracer.emit({ ...this.stamp(pe), ...call });
  }
  private taken(pe: Pe, e: ExceptionInfo): void {
    const { st } = pe;
    const sync = asyncNames[e.vector] === undefined;
    this.tracer.emit({
      kind: "exc",
      ...this.stamp(pe),
      name: asyncNames[e.vector] ?? ecName(e.ec),
      from: cameFrom(pe, e),
      to: { el: e.target, security: pe.security },
      elr: st.get(ELR[e.target] as number),
      vector: st.pc,
      ...(sync ? { esr: st.get(ESR[e.target] as number) } : {}),
      ...(sync && writesFar.has(e.ec) ? { far: st.get(FAR[e.target] as number) } : {}),
    });
  }

  private returned(pe: Pe, from: number): void {
    this.gpt?.flush();
    const el = pe.st.lo(Off.EL);
    const { security } = pe;
    if (this.tracer.wants("eret")) {
      const left = { el: from, security: from === 3 ? (pe.hasRme ? 2 : 0) : security };
      this.tracer.emit({ kind: "eret", ...this.stamp(pe), from: left, to: { el, security }, pc: pe.st.pc });
    }
    if (from === 3 && el < 3) this.worldOf(pe, el);
    const answer = this.calls?.returned(pe);
    if (answer !== undefined) this.tracer.emit({ ...this.stamp(pe), ...answer });
  }
  private worldOf(pe: Pe, el: number): void {
    const { security } = pe;
    const old = this.worlds.get(pe);
    if (old === security) return;
    this.worlds.set(pe, security);
    this.tracer.emit({ kind: "world", ...this.stamp(pe), from: old ?? security, to: security, el, pc: pe.st.pc });
  }
}
