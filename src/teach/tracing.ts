// Makes trace events from what the PEs of a board do.

import { Off } from "../arch/layout.ts";
import { slot } from "../arch/state.ts";
import { Ec, ecName } from "../arch/syndrome.ts";
import { type ExceptionInfo, Vector } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import { type Board, instructionsOf, observe } from "../machine/observe.ts";
import type { Tracer } from "../trace/events.ts";
import { cameFrom, lowerState } from "./call-stack.ts";
import { firmwareCall } from "./calls.ts";
import { TableJournal } from "./journal.ts";

const ELR = [0, slot.ELR_EL1, slot.ELR_EL2, slot.ELR_EL3] as const;
const ESR = [0, slot.ESR_EL1, slot.ESR_EL2, slot.ESR_EL3] as const;
const FAR = [0, slot.FAR_EL1, slot.FAR_EL2, slot.FAR_EL3] as const;
/** Classes whose exceptions write FAR: aborts, PC alignment, watchpoints, granule protection. */
const writesFar = new Set<number>([0x1e, 0x20, 0x21, 0x22, 0x24, 0x25, 0x34, 0x35]);
const asyncNames: Readonly<Record<number, string>> = { [Vector.Irq]: "IRQ", [Vector.Fiq]: "FIQ" };

/** Attaches `tracer`; the function that is returned detaches it. */
export function attachTracer(board: Board, tracer: Tracer): () => void {
  const worlds = new Map<Pe, number>(board.pes.map((pe) => [pe, lowerState(pe)]));
  const stamp = (pe: Pe) => ({ pe: pe.index, at: instructionsOf(board) });
  const wantsReturn = tracer.wants("eret") || tracer.wants("world");
  const detach = observe(board, {
    ...(tracer.wants("exc") || tracer.wants("smc") ? { exception: (pe: Pe, e: ExceptionInfo) => exception(tracer, stamp(pe), pe, e) } : {}),
    ...(wantsReturn
      ? {
          returned: (pe: Pe, from: number) => {
            const el = pe.st.lo(Off.EL);
            const to = { el, security: pe.security };
            const old = worlds.get(pe) ?? to.security;
            const fromSecurity = from === 3 ? (pe.hasRme ? 2 : 0) : to.security;
            tracer.emit({ kind: "eret", ...stamp(pe), from: { el: from, security: fromSecurity }, to, pc: pe.st.pc });
            if (from !== 3 || el === 3 || old === to.security) return;
            worlds.set(pe, to.security);
            tracer.emit({ kind: "world", ...stamp(pe), from: old, to: to.security });
          },
        }
      : {}),
  });
  const journal = tracer.wants("gpt") ? TableJournal.of(board) : undefined;
  const unlisten = journal?.onGpt((entry, before, by, pe) =>
    tracer.emit({ kind: "gpt", pe, at: instructionsOf(board), entry, before, by }),
  );
  return () => {
    detach();
    unlisten?.();
    journal?.release();
  };
}

function exception(tracer: Tracer, stamp: { pe: number; at: number }, pe: Pe, e: ExceptionInfo): void {
  const { st } = pe;
  const from = cameFrom(pe, e);
  const elr = st.get(ELR[e.target] as number);
  const sync = asyncNames[e.vector] === undefined;
  tracer.emit({
    kind: "exc",
    ...stamp,
    name: asyncNames[e.vector] ?? ecName(e.ec),
    from,
    to: { el: e.target, security: pe.security },
    elr,
    vector: st.pc,
    ...(sync ? { esr: st.get(ESR[e.target] as number) } : {}),
    ...(sync && writesFar.has(e.ec) ? { far: st.get(FAR[e.target] as number) } : {}),
  });
  if (e.vector !== Vector.Sync || (e.ec !== Ec.Smc && e.ec !== Ec.Hvc)) return;
  const args = [0, 1, 2, 3, 4].map((n) => st.x(n));
  const conduit = e.ec === Ec.Smc ? "SMC" : "HVC";
  tracer.emit({ kind: "smc", ...stamp, conduit, name: firmwareCall(st.lo(Off.X)), from, pc: elr - BigInt(e.next), args });
}
