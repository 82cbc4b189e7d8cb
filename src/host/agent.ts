// The software of Non-secure EL2, written as coroutines: each PE of the host runs one. A coroutine asks for the two things that host
// software does beyond its own computing: an SMC, after which it goes on with the registers that the firmware left, and waiting for
// an interrupt (WFI). It reaches realms by nothing but RMI, so it does not matter whether agents or real firmware answer.

import { Off } from "../arch/layout.ts";
import { Security } from "../arch/security.ts";
import type { Agent, ExceptionInfo } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import { SysOp } from "../isa/sysops.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";

/** SMC with these values in x0, x1, ...; the answer is x0 to x7. "wait": WFI; the answer is empty. */
export type HostAction = readonly bigint[] | "wait";

/** A coroutine of host software. */
export type HostTask<T = void> = Generator<HostAction, T, readonly bigint[]>;

/** What one PE of the host does from its start on. It ends by not returning: a coroutine that returns leaves its PE waiting for good. */
export type HostProgram = (pe: Pe) => HostTask;

/** SMC #0. */
const SMC = 0xd400_0003;
/** Where the PE appears to execute while the host runs: no memory is there, so real code cannot be mistaken for it. */
const HOST_PC = 0x0f00_0000n;
/** Results of an SMC that are looked at: x0 to x7. */
const RESULTS = 8;
/** Calls made in one turn of `execute`. What they cost in host time bounds how long the emulator is away from its event loop. */
const CALLS_PER_TURN = 64;

/** Told of the calls of the host, so that one that never returns is found. */
export interface CallObserver {
  atHost(pe: Pe): void;
  calls(pe: Pe, fid: number): void;
}

interface Thread {
  readonly task: HostTask;
  /** An SMC is under way: x0 to x7 are its answer when the PE is back. */
  calling: boolean;
}

/** Is the PE at the level whose software this is? */
const atHost = (pe: Pe): boolean => pe.st.lo(Off.EL) === 2 && pe.security === Security.NonSecure;

export class HostAgent implements Agent, Stateful {
  readonly el = 2;
  private readonly program: HostProgram;
  private readonly watch: CallObserver | undefined;
  private readonly threads = new Map<number, Thread>();

  constructor(program: HostProgram, watch?: CallObserver) {
    this.program = program;
    this.watch = watch;
  }

  /** Goes on with the coroutine of `pe`, which is at Non-secure EL2; starts it on the PE's first visit. */
  execute(pe: Pe): void {
    let thread = this.threads.get(pe.index);
    if (thread === undefined) {
      thread = { task: this.program(pe), calling: false };
      this.threads.set(pe.index, thread);
    }
    for (let n = 0; n < CALLS_PER_TURN && atHost(pe) && pe.st.lo(Off.HALT) === 0; n++) this.step(pe, thread);
  }

  private step(pe: Pe, thread: Thread): void {
    const answer = thread.calling ? Array.from({ length: RESULTS }, (_, n) => pe.st.x(n)) : [];
    thread.calling = false;
    this.watch?.atHost(pe);
    const next = thread.task.next(answer);
    if (next.done || next.value === "wait") {
      pe.startWait(false, undefined);
      return;
    }
    for (const [n, value] of next.value.entries()) pe.st.setX(n, BigInt.asUintN(64, value));
    pe.st.pc = HOST_PC;
    thread.calling = true;
    this.watch?.calls(pe, Number(BigInt.asUintN(32, next.value[0] ?? 0n)));
    pe.system(SysOp.SMC, SMC);
  }

  /** Interrupts are masked at EL2 and nothing below it runs in the Non-secure state: only a fault of the emulator gets here. */
  handle(pe: Pe, e: ExceptionInfo): void {
    pe.hooks.requestStop(`the host of PE ${pe.index} met an exception of class 0x${e.ec.toString(16)} that it has no handler for`);
  }

  /** Forgets the coroutines: the next visit of a PE starts its program anew. */
  reset(): void {
    this.threads.clear();
  }
  save(): Saved {
    throw new EmuError("snapshot-realm", "a machine whose host is a part of the emulator cannot be saved: its coroutines cannot");
  }
  restore(): void {
    this.save();
  }
}
