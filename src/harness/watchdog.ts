// The watchdog: tells when a machine can get nowhere any more, and where each of its PEs is.
//
// It must never be wrong about a machine that idles or is slow. So a PE counts as stuck only when
//   - it is in a loop without conditions, with interrupts masked (stuck-code.ts: a proof), or
//   - it waits in WFI or WFE, no timer will end that, and no device may interrupt, or
//   - it takes the same exception from the same place for a long time, and nothing else (fault-loops.ts),
// and a machine only when all PEs that are on are stuck: any other could free them. Loops with conditions (polling a device, the
// counter, a word that another PE is to write) are work.

import { Off } from "../arch/layout.ts";
import { securityName } from "../arch/security.ts";
import type { Pe } from "../cpu/pe.ts";
import type { VirtMachine } from "../machine/virt.ts";
import { hex, usageError } from "../util/errors.ts";
import { type FaultLoop, FaultWatch, SAME_EXCEPTION } from "./fault-loops.ts";
import { closedLoop, waiting } from "./stuck-code.ts";

/** A PE that gets nowhere. */
export interface StuckPe {
  readonly pe: number;
  readonly pc: bigint;
  /** Exception level, 0 to 3. */
  readonly el: number;
  /** Security state: "Root", "Secure", "Realm", "Non-secure". */
  readonly security: string;
  readonly why: string;
  /** The last fault that was taken to this level, when a watchdog was there to see it. */
  readonly fault?: string;
}

/** When the watchdog barks, in instructions of all PEs. */
export interface WatchdogLimits {
  /** For how long a machine has to have been stuck; default 200 million. */
  readonly after?: number | undefined;
  /**
   * For how long no console may print anything, whatever the machine does; default: for ever. Time that passes in delays of the guest
   * counts as well (kernels wait for a panic to be read that way), a nanosecond as an instruction. A machine that waits for input does
   * neither.
   */
  readonly silent?: number | undefined;
  /** How many instructions there may be since power-on, whatever the machine does (firmware that starts again and again); default: no limit. */
  readonly limit?: number | undefined;
}

/** Instructions of all PEs for which a machine has to have been stuck. */
const AFTER = 200_000_000;
/**
 * The same for exceptions that come over and over, in exceptions by that number of instructions: of a handler that returns to what faults,
 * and of one that faults itself, which is lost after a few. Each costs the host microseconds.
 */
const TRIES = { returns: 1 / 100, nested: 1 / 10_000 } as const;

export class Watchdog {
  private readonly board: VirtMachine;
  private readonly after: number;
  private readonly silent: number;
  private readonly limit: number;
  private readonly faults: FaultWatch;
  /** What was found at the last look, and since which instruction it has been so. */
  private state = "";
  private since = 0;
  /** Instructions of all PEs when a console last printed, and nanoseconds of delays. */
  private heardAt = 0;
  private delayedAt = 0;

  constructor(board: VirtMachine, { after = AFTER, silent = Infinity, limit = Infinity }: WatchdogLimits) {
    for (const [name, value] of Object.entries({ after, silent, limit }))
      if (!(value > 0)) throw usageError("bad-watchdog", `watchdog: ${name} is a number of instructions, not ${value}`);
    this.board = board;
    this.after = after;
    this.silent = silent;
    this.limit = limit;
    this.faults = new FaultWatch(board);
  }

  /** A console has printed. */
  heard(): void {
    this.heardAt = this.board.retired;
    this.delayedAt = this.board.delayed;
  }
  /** What the machine has had too much of. */
  get excess(): Pick<Stuck, "silence" | "delay" | "instructions"> | undefined {
    const { retired, delayed } = this.board;
    if (retired >= this.limit) return { instructions: retired };
    return this.isSilent ? { silence: retired - this.heardAt, delay: delayed - this.delayedAt } : undefined;
  }
  private get isSilent(): boolean {
    const { retired, delayed } = this.board;
    return retired - this.heardAt + (delayed - this.delayedAt) >= this.silent;
  }

  /** So many exceptions were taken since the last look, or there was nothing to hear for so long, that it is time for the next. */
  get due(): boolean {
    return this.faults.due || this.isSilent;
  }
  /** To be called every few million instructions, when it is due, and when all PEs wait (`idle`). The PEs, when the machine is stuck for good. */
  look(idle: boolean): StuckPe[] | undefined {
    const loops = this.faults.look();
    const whys = this.board.pes.map((pe) => this.whyStuck(pe, loops[pe.index]));
    const state = whys.every((w) => w !== undefined) ? whys.map((w) => w?.key).join("; ") : "";
    const now = this.board.retired;
    if (state === "" || state !== this.state) this.since = now;
    this.state = state;
    if (state === "") return undefined;
    const tries = whys.flatMap((w) => w?.loop ?? []);
    // While all wait no instructions pass: what is proved needs no more time. Nor does it beside exceptions, which cost time.
    const patience = tries.length > 0 ? tries.every((t) => t.count >= this.after * TRIES[t.kind]) : idle || now - this.since >= this.after;
    return patience ? this.withFaults(this.board.pes.map((pe, i) => ({ ...placeOf(pe), why: whys[i]?.why ?? "" }))) : undefined;
  }
  /** Adds what came before. */
  withFaults(pes: readonly StuckPe[]): StuckPe[] {
    return pes.map((p) => {
      const pe = this.board.pes[p.pe];
      const fault = pe && p.why !== "off" && !p.why.startsWith(SAME_EXCEPTION) ? this.faults.lastFault(pe) : undefined;
      return fault === undefined ? p : { ...p, fault };
    });
  }
  /** Ends watching. */
  stop(): void {
    this.faults.stop();
  }

  /** Why a PE will do nothing more by itself; undefined: it may. `loop`: of exceptions that it is in. */
  private whyStuck(pe: Pe, loop: FaultLoop | undefined): { why: string; key: string; loop?: FaultLoop } | undefined {
    const proved = (why: string) => ({ why, key: why });
    if (pe.st.lo(Off.HALT) === 2) return proved("off");
    // Software of the emulator's own is there: it has a watch itself (CallWatch), and may be woken in ways not known here.
    if (pe.st.el !== 0 && pe.agentFor(pe.st.el as 1 | 2 | 3, pe.security)?.execute) return undefined;
    const closed = closedLoop(pe);
    if (closed !== undefined) return proved(closed);
    const wait = waiting(pe);
    if (wait === undefined) return loop && { why: loop.why, key: loop.key, loop };
    const { board } = this;
    const wakes = wait.timed || board.gic.listens || board.deviceDeadline() !== Infinity || board.software || board.host;
    return wakes ? undefined : proved(`${wait.what}, no timer is set and no device may interrupt`);
  }
}

const placeOf = (pe: Pe): Omit<StuckPe, "why"> => ({ pe: pe.index, pc: pe.st.pc, el: pe.st.el, security: securityName[pe.security] });

/** Where PEs are and what they do, also when nobody proves that it is for good. */
export function whereabouts(pes: readonly Pe[]): StuckPe[] {
  return pes.map((pe) => {
    const halt = pe.st.lo(Off.HALT);
    return { ...placeOf(pe), why: halt === 2 ? "off" : (closedLoop(pe) ?? waiting(pe)?.what ?? "running") };
  });
}

/**
 * Why a watchdog ended a run: the PEs are stuck for good, have printed nothing for `silence` instructions and `delay` nanoseconds of delays,
 * or have run `instructions` in all.
 */
export interface Stuck {
  readonly kind: "stuck";
  readonly pes: readonly StuckPe[];
  readonly silence?: number;
  readonly delay?: number;
  readonly instructions?: number;
}

/** The same in a sentence. */
export function stuckMessage({ pes, silence, delay = 0, instructions }: Stuck, symbol?: (address: bigint) => string | undefined): string {
  let what = "the machine can get no further";
  if (silence !== undefined) what = `no console has printed anything for ${silence} instructions${delayText(delay)}`;
  if (instructions !== undefined) what = `the machine has run ${instructions} instructions and may run no more`;
  return `${what}: ${stuckText(pes, symbol)}`;
}

const delayText = (ns: number): string => (ns < 1e6 ? "" : ` and ${(ns / 1e9).toFixed(3)} s of delays`);

/** One line about PEs that get nowhere. PEs that are off are counted only. `symbol`: "name+0x10" for an address. */
export function stuckText(pes: readonly StuckPe[], symbol: (address: bigint) => string | undefined = () => undefined): string {
  const on = pes.filter((p) => p.why !== "off");
  const parts = on.map((p) => {
    const name = symbol(p.pc);
    const at = `${hex(p.pc)}${name === undefined ? "" : ` (${name})`}`;
    const fault = p.fault === undefined ? "" : ` (the last fault before: ${p.fault})`;
    return `PE ${p.pe} at EL${p.el} in the ${p.security} state, PC ${at}: ${p.why}${fault}`;
  });
  const off = pes.length - on.length;
  if (off > 0) parts.push(`${off === pes.length ? "all" : off} PE${off === 1 ? " is" : "s are"} off`);
  return parts.join("; ");
}
