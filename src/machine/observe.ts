// Attaching to what the PEs and bus masters of a board do. One observer per purpose (traces, explanations, the journal); without any, the hooks of
// the PEs stay empty and cost nothing.

import type { ExceptionInfo } from "../cpu/agent.ts";
import type { AbortContext } from "../cpu/exceptions-aborts.ts";
import type { Executor } from "../cpu/executor.ts";
import type { Pe } from "../cpu/pe.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import type { TlbDomain } from "../mmu/domain.ts";
import type { Fault } from "../mmu/fault.ts";
import type { RefusedTransfer } from "./dma.ts";

/** A machine as observers see it. */
export interface Board {
  readonly pes: readonly Pe[];
  readonly executor: Executor;
  readonly domain: TlbDomain;
  readonly phys: PhysicalMemory;
  /** Instructions retired by all PEs before the present slice. */
  readonly retired: number;
  readonly busHooks: BusHooks;
}

/** Set while somebody observes. */
export interface BusHooks {
  refused?: (transfer: RefusedTransfer) => void;
}

export interface BoardObserver {
  /** An abort or granule protection exception will be taken; the PE is as it was when it made the access. */
  abort?(pe: Pe, fault: Fault, o: AbortContext): void;
  /** An exception was taken; `e` holds during the call only. */
  exception?(pe: Pe, e: ExceptionInfo): void;
  /** An exception return was made at level `from`. */
  returned?(pe: Pe, from: number): void;
  /** A transfer of a device did not take place. */
  refused?(transfer: RefusedTransfer): void;
}

const attached = new WeakMap<Board, BoardObserver[]>();

/** Adds an observer; the function that is returned removes it. */
export function observe(board: Board, observer: BoardObserver): () => void {
  const list = attached.get(board) ?? [];
  attached.set(board, list);
  list.push(observer);
  install(board, list);
  return () => {
    const at = list.indexOf(observer);
    if (at >= 0) list.splice(at, 1);
    install(board, list);
  };
}

/** Only the hooks that somebody needs are set. */
function install(board: Board, list: readonly BoardObserver[]): void {
  const { busHooks } = board;
  delete busHooks.refused;
  if (list.some((o) => o.refused))
    busHooks.refused = (transfer) => {
      for (const l of list) l.refused?.(transfer);
    };
  for (const { hooks } of board.pes) {
    delete hooks.abort;
    delete hooks.exception;
    delete hooks.returned;
    if (list.some((o) => o.abort))
      hooks.abort = (pe, fault, o) => {
        for (const l of list) l.abort?.(pe, fault, o);
      };
    if (list.some((o) => o.exception))
      hooks.exception = (pe, e) => {
        for (const l of list) l.exception?.(pe, e);
      };
    if (list.some((o) => o.returned))
      hooks.returned = (pe, from) => {
        for (const l of list) l.returned?.(pe, from);
      };
  }
}

/** Instructions retired by all PEs, exact also in the middle of a slice. */
export const instructionsOf = (board: Board): number => board.retired + board.executor.progress;
