// The software of Non-secure EL2, written as coroutines: each PE of the host runs one. A coroutine asks for the things that host
// software does beyond its own computing: an SMC, after which it goes on with the registers that the firmware left; waiting for
// an interrupt (WFI); and an exception return into a virtual machine, up to the next exception that is taken to EL2. It reaches realms
// by nothing but RMI, so it does not matter whether agents or real firmware answer.

import { Off } from "../arch/layout.ts";
import { Security } from "../arch/security.ts";
import type { Agent, ExceptionInfo } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import { SavedFields } from "../devices/saved.ts";
import { SysOp } from "../isa/sysops.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";

/**
 * SMC with these values in x0, x1, ...; the answer is x0 to x7. "wait": WFI; the answer is empty. "guest": ERET; the answer is the vector
 * offset of the exception that ended it (cpu/agent.ts). "interrupts": takes those that are pending, to no effect but that they are over.
 * "resume": what the program does is under way already, since before the machine was
 * saved; the answer is that of the action of then.
 */
export type HostAction = readonly bigint[] | "wait" | "guest" | "interrupts" | "resume";

/** A coroutine of host software. */
export type HostTask<T = void> = Generator<HostAction, T, readonly bigint[]>;

/**
 * What one PE of the host does from its start on. It ends by not returning: a coroutine that returns leaves its PE waiting for good.
 * `resumed`: the machine was restored, and the first action is "resume".
 */
export type HostProgram = (pe: Pe, resumed: boolean) => HostTask;

/** SMC #0. */
const SMC = 0xd400_0003;
/** Where the PE appears to execute while the host runs: no memory is there, so real code cannot be mistaken for it. */
const HOST_PC = 0x0f00_0000n;
/** First of the INTIDs that say that there is none. */
const SPURIOUS = 1020;
/** Calls made in one turn of `execute`. What they cost in host time bounds how long the emulator is away from its event loop. */
const CALLS_PER_TURN = 64;

/** Told of the calls of the host, so that one that never returns is found. */
export interface CallObserver {
  atHost(pe: Pe): void;
  calls(pe: Pe, fid: number): void;
}

/** What the PE of a thread is about: nothing that has an answer; an SMC, whose answer x0 to x7 are when it is back; a virtual machine. */
const activities = ["none", "call", "guest"] as const;

interface Thread {
  readonly task: HostTask;
  activity: (typeof activities)[number];
  /** Vector of the exception that ended the stay in the virtual machine. */
  vector: number;
}

/** Is the PE at the level whose software this is? */
const atHost = (pe: Pe): boolean => pe.st.lo(Off.EL) === 2 && pe.security === Security.NonSecure;

export class HostAgent implements Agent {
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
      thread = { task: this.program(pe, false), activity: "none", vector: 0 };
      this.threads.set(pe.index, thread);
    }
    for (let n = 0; n < CALLS_PER_TURN && atHost(pe) && pe.st.lo(Off.HALT) === 0; n++) this.step(pe, thread);
  }

  private step(pe: Pe, thread: Thread): void {
    this.watch?.atHost(pe);
    const next = thread.task.next(answerOf(pe, thread));
    thread.activity = "none";
    if (next.done || next.value === "wait") {
      pe.startWait(false, undefined);
      return;
    }
    if (next.value === "interrupts") {
      takeInterrupts(pe);
      return;
    }
    if (next.value === "resume") throw new EmuError("internal", "the program of a PE resumes what is not under way");
    if (next.value === "guest") {
      thread.activity = "guest";
      pe.exceptionReturn();
      return;
    }
    const call = next.value;
    for (let n = 0; n < call.length; n++) pe.st.setX(n, BigInt.asUintN(64, call[n] as bigint));
    pe.st.pc = HOST_PC;
    thread.activity = "call";
    this.watch?.calls(pe, pe.st.lo(Off.X));
    pe.system(SysOp.SMC, SMC);
  }

  /** An exception of a virtual machine. Interrupts are masked at EL2 itself: otherwise only a fault of the emulator gets here. */
  handle(pe: Pe, e: ExceptionInfo): void {
    const thread = this.threads.get(pe.index);
    if (thread?.activity === "guest") thread.vector = e.vector;
    else pe.hooks.requestStop(`the host of PE ${pe.index} met an exception of class 0x${e.ec.toString(16)} that it has no handler for`);
  }

  /** Has PE `index` begun with its program? */
  started(index: number): boolean {
    return this.threads.has(index);
  }

  /** Forgets the coroutines: the next visit of a PE starts its program anew. */
  reset(): void {
    this.threads.clear();
  }
  /** Programs are saved by their owner; they must be able to resume. */
  save(): Saved {
    return [...this.threads].map(([pe, { activity, vector }]) => ({ pe, activity, vector }));
  }
  /** After the owner of the programs was restored. */
  restore(state: Saved, pes: readonly Pe[]): void {
    this.threads.clear();
    for (const saved of Array.isArray(state) ? state : []) {
      const s = new SavedFields(saved, "host");
      const pe = pes[s.uint("pe", pes.length - 1)] as Pe;
      const activity = activities.find((a) => a === (saved as { activity?: Saved }).activity);
      const task = this.program(pe, true);
      const first = task.next([]).value;
      if (first !== "resume" || activity === undefined)
        throw new EmuError("snapshot-corrupt", "the saved host of a realm has the wrong shape");
      this.threads.set(pe.index, { task, activity, vector: s.uint("vector") });
    }
  }
}

/** Acknowledges and finishes what is pending at the PE, one of each at most: a line that stays high comes up again. */
function takeInterrupts(pe: Pe): void {
  for (let n = 0; n < SPURIOUS; n++) {
    const intid = pe.gic?.read("ICC_IAR1_EL1") ?? BigInt(SPURIOUS);
    if (intid >= BigInt(SPURIOUS)) return;
    pe.gic?.write("ICC_EOIR1_EL1", intid);
  }
}

function answerOf({ st }: Pe, thread: Thread): bigint[] {
  if (thread.activity === "call") return [st.x(0), st.x(1), st.x(2), st.x(3), st.x(4), st.x(5), st.x(6), st.x(7)];
  return thread.activity === "guest" ? [BigInt(thread.vector)] : [];
}
