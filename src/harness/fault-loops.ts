// Exceptions that a PE takes from the same place again and again, without anything else being done in between.

import { Off } from "../arch/layout.ts";
import { type PeState, slot } from "../arch/state.ts";
import { Ec, syndromeName } from "../arch/syndrome.ts";
import { type ExceptionInfo, Vector } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import { type Board, observe } from "../machine/observe.ts";
import { hex } from "../util/errors.ts";

const ELR = [0, slot.ELR_EL1, slot.ELR_EL2, slot.ELR_EL3] as const;
const ESR = [0, slot.ESR_EL1, slot.ESR_EL2, slot.ESR_EL3] as const;
const FAR = [0, slot.FAR_EL1, slot.FAR_EL2, slot.FAR_EL3] as const;
const VBAR = [0, slot.VBAR_EL1, slot.VBAR_EL2, slot.VBAR_EL3] as const;
const X_BYTES = 8 * 32;
const VECTORS = 0x800n;

/** Calls and waits: software may make them for as long as it likes. */
const ASKED = new Set<number>([Ec.Wfx, Ec.Svc, Ec.Hvc, Ec.Smc, Ec.Brk, Ec.Breakpoint, Ec.SoftwareStep, Ec.Watchpoint]);
/** Most instructions between two exceptions of a loop: of a handler that does nothing but return, and of one that faults itself. */
const HANDLER = 200;
const NESTED = 8;

/** So many exceptions between two looks are worth a closer one, when there is one at least every so many instructions. */
const MANY = 1000;
const OFTEN = 2 * HANDLER;
/** So many, and the next look is due. */
const DUE = 20_000;

/** Begins what is told of one that comes again and again. */
export const SAME_EXCEPTION = "the same exception over and over";

/** An exception that came again. */
export interface FaultLoop {
  /** Does its handler return to the same instruction, or does it take the exception itself? */
  readonly kind: "returns" | "nested";
  /** How often it came. */
  readonly count: number;
  /** The same for the same loop. */
  readonly key: string;
  readonly why: string;
}

class Track {
  count = 0;
  /** Instructions at the last exception, and at the first of the loop. */
  at = 0;
  since = 0;
  returns = false;
  returned = false;
  ec = 0;
  target = 0;
  esr = 0n;
  elr = 0n;
  far = 0n;
  readonly x = new Uint8Array(X_BYTES);

  reset(): void {
    this.count = 0;
  }
}

/** Is it none of those that software asks for? */
const isFault = (pe: Pe, e: ExceptionInfo): boolean =>
  e.vector === Vector.Sync && !ASKED.has(e.ec) && pe.agentFor(e.target, pe.security) === undefined;

/** Counts exceptions, which is all there is to do in a machine that works, and looks for loops while there are many. */
export class FaultWatch {
  private readonly board: Board;
  private readonly end: () => void;
  /** By PE, of the last fault that it took. */
  private readonly last: ({ target: number; esr: number } | undefined)[] = [];
  private count = 0;
  private at: number;
  private loops: FaultLoops | undefined;
  /** Of each PE, what was found at the last look. */
  private found: (FaultLoop | undefined)[] = [];

  constructor(board: Board) {
    this.board = board;
    this.at = board.retired;
    this.end = observe(board, {
      exception: (pe, e) => {
        if (!isFault(pe, e)) return;
        this.count++;
        this.last[pe.index] = { target: e.target, esr: pe.st.lo(ESR[e.target] as number) };
      },
    });
  }
  get due(): boolean {
    return this.count >= DUE;
  }
  /** By PE: the loop that it has been in since the last look, and for how long in all. */
  look(): readonly (FaultLoop | undefined)[] {
    const { board, found } = this;
    const often = this.count >= MANY && board.retired - this.at <= OFTEN * this.count;
    this.count = 0;
    this.at = board.retired;
    const loops = this.loops?.finish() ?? [];
    this.loops = often ? new FaultLoops(board) : undefined;
    this.found = loops.map((loop, i) => loop && { ...loop, count: loop.count + (found[i]?.key === loop.key ? (found[i]?.count ?? 0) : 0) });
    return this.found;
  }
  /** The last fault that a PE took, in words, when it was to the level at which the PE still is and nothing came after it. */
  lastFault({ index, st }: Pe): string | undefined {
    const last = this.last[index];
    return last && last.target === st.el && last.esr === st.lo(ESR[last.target] as number) ? faultText(st, last.target) : undefined;
  }
  stop(): void {
    this.loops?.finish();
    this.loops = undefined;
    this.end();
  }
}

/** Watches for a while; then each PE that did nothing else has a loop. */
class FaultLoops {
  private readonly board: Board;
  private readonly starts: readonly number[];
  private readonly tracks: Track[];
  private readonly end: () => void;

  constructor(board: Board) {
    this.board = board;
    this.starts = board.pes.map((pe) => this.retired(pe));
    this.tracks = board.pes.map(() => new Track());
    this.end = observe(board, {
      exception: (pe, e) => this.exception(pe, e),
      returned: (pe) => this.returned(pe),
    });
  }

  /** Ends watching. By PE: the loop that it is in, when that took most of the time since the beginning. */
  finish(): (FaultLoop | undefined)[] {
    this.end();
    return this.board.pes.map((pe, i) => {
      const t = this.tracks[i] as Track;
      const now = this.retired(pe);
      const most = now - t.since > (now - (this.starts[i] as number)) / 2;
      return t.count > 100 && now - t.at <= HANDLER && most ? describe(t) : undefined;
    });
  }
  /** Instructions of this PE. */
  private retired(pe: Pe): number {
    return Number(this.board.executor.retired(pe));
  }

  private exception(pe: Pe, e: ExceptionInfo): void {
    const t = this.tracks[pe.index] as Track;
    const { st } = pe;
    const now = this.retired(pe);
    if (!isFault(pe, e)) {
      t.reset();
      return;
    }
    const elr = st.get(ELR[e.target] as number);
    const same = t.count > 0 && t.target === e.target && t.ec === e.ec && t.elr === elr;
    const goesOn = same && (t.returned ? this.retried(t, pe, now) : this.nested(t, pe, now));
    t.count = goesOn ? t.count + 1 : 1;
    if (!goesOn) t.since = now;
    t.at = now;
    t.returns = t.returned;
    t.returned = false;
    t.ec = e.ec;
    t.target = e.target;
    t.elr = elr;
    t.esr = st.get(ESR[e.target] as number);
    t.far = st.get(FAR[e.target] as number);
    t.x.set(registers(pe));
  }
  /** A return to anything but the instruction that faulted gets on. */
  private returned(pe: Pe): void {
    const t = this.tracks[pe.index] as Track;
    if (pe.st.pc === t.elr) t.returned = true;
    else t.reset();
  }
  /** The handler came back, and the same instruction faults in the same way with the same registers. */
  private retried(t: Track, pe: Pe, now: number): boolean {
    const { st } = pe;
    const same = t.esr === st.get(ESR[t.target] as number) && t.far === st.get(FAR[t.target] as number);
    return same && now - t.at <= HANDLER && Buffer.compare(t.x, registers(pe)) === 0;
  }
  /** The handler faults before it has got anywhere: in the vectors, or in its first instructions. */
  private nested(t: Track, pe: Pe, now: number): boolean {
    const vbar = pe.st.get(VBAR[t.target] as number) & ~(VECTORS - 1n);
    return (t.elr >= vbar && t.elr < vbar + VECTORS) || now - t.at <= NESTED;
  }
}

const registers = ({ st }: Pe): Uint8Array => st.u8.subarray(st.base + Off.X, st.base + Off.X + X_BYTES);

/** "Data Abort, translation fault: ESR_EL3 …, ELR_EL3 …, FAR_EL3 …" */
function faultText(st: PeState, target: number): string {
  return described(target, st.get(ESR[target] as number), st.get(ELR[target] as number), st.get(FAR[target] as number));
}
function described(target: number, esr: bigint, elr: bigint, far: bigint): string {
  const name = syndromeName(Number(esr & 0xffff_ffffn));
  return `${name}: ESR_EL${target} ${hex(esr)}, ELR_EL${target} ${hex(elr)}, FAR_EL${target} ${hex(far)}`;
}

function describe(t: Track): FaultLoop {
  const how = t.returns ? "whose handler returns to it every time" : "and the handler itself takes it again";
  return {
    kind: t.returns ? "returns" : "nested",
    count: t.count,
    key: `${t.target} ${t.ec} ${t.elr} ${t.returns}`,
    why: `${SAME_EXCEPTION}, ${how} (${described(t.target, t.esr, t.elr, t.far)})`,
  };
}
