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
import { hex } from "../util/errors.ts";
import { type FaultLoop, FaultLoops } from "./fault-loops.ts";
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
}

/** Instructions of all PEs for which a machine has to have been stuck. */
const AFTER = 200_000_000;
/** The same, as a part of that, for a handler that takes its own exception: it is lost after a few, and each costs the host microseconds. */
const NESTED = 1 / 200;
/** Of how many looks one watches exceptions until the next look: that costs a little for each. */
const WATCHED = 8;

export class Watchdog {
  private readonly board: VirtMachine;
  private readonly after: number;
  private loops: FaultLoops | undefined;
  private looks = 0;
  /** What was found at the last look, and since which instruction it has been so. */
  private state = "";
  private since = 0;
  /** The loops that were found when exceptions were last watched. */
  private found: (FaultLoop | undefined)[] = [];
  /** They were found just now. */
  private fresh = false;

  /** `after`: instructions of all PEs before it barks. */
  constructor(board: VirtMachine, after = AFTER) {
    this.board = board;
    this.after = after;
  }

  /** To be called every few million instructions, and when all PEs wait (`idle`). The PEs, when the machine is stuck for good. */
  look(idle: boolean): StuckPe[] | undefined {
    this.watchExceptions();
    const whys = this.board.pes.map((pe) => this.whyStuck(pe));
    const state = whys.every((w) => w !== undefined) ? whys.map((w) => w?.key).join("; ") : "";
    const now = this.board.retired;
    if (state === "" || state !== this.state) this.since = now;
    this.state = state;
    if (state === "") return undefined;
    // While all wait no instructions pass: what is proved needs no more time.
    const patience = whys.reduce((most, w) => Math.max(most, w?.patience ?? 0), 0);
    if (!this.fresh && whys.some((w) => w?.old)) return undefined;
    if (!idle && now - this.since < this.after * patience) return undefined;
    return this.board.pes.map((pe, i) => ({ ...placeOf(pe), why: whys[i]?.why ?? "" }));
  }
  /** Ends watching. */
  stop(): void {
    this.loops?.finish();
    this.loops = undefined;
  }

  private watchExceptions(): void {
    const turn = this.looks++ % WATCHED;
    this.fresh = turn === 1;
    if (turn === 1 && this.loops) {
      this.found = this.loops.finish();
      this.loops = undefined;
    }
    if (turn === 0) this.loops ??= new FaultLoops(this.board);
  }

  /** Why a PE will do nothing more by itself, and how long that has to have been so; undefined: it may. `old`: it was so when last watched. */
  private whyStuck(pe: Pe): { why: string; key: string; patience: number; old?: boolean } | undefined {
    const proved = (why: string) => ({ why, key: why, patience: 1 });
    if (pe.st.lo(Off.HALT) === 2) return proved("off");
    // Software of the emulator's own is there: it has a watch itself (CallWatch), and may be woken in ways not known here.
    if (pe.st.el !== 0 && pe.agentFor(pe.st.el as 1 | 2 | 3, pe.security)?.execute) return undefined;
    const loop = closedLoop(pe);
    if (loop !== undefined) return proved(loop);
    const wait = waiting(pe);
    if (wait !== undefined) {
      const { board } = this;
      const wakes = wait.timed || board.gic.listens || board.deviceDeadline() !== Infinity || board.software || board.host;
      return wakes ? undefined : proved(`${wait.what}, no timer is set and no device may interrupt`);
    }
    const again = this.found[pe.index];
    return again && { why: again.why, key: again.key, patience: again.returns ? 1 : NESTED, old: true };
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

/** One line about PEs that get nowhere. PEs that are off are counted only. `symbol`: "name+0x10" for an address. */
export function stuckText(pes: readonly StuckPe[], symbol: (address: bigint) => string | undefined = () => undefined): string {
  const on = pes.filter((p) => p.why !== "off");
  const parts = on.map((p) => {
    const name = symbol(p.pc);
    const at = `${hex(p.pc)}${name === undefined ? "" : ` (${name})`}`;
    return `PE ${p.pe} at EL${p.el} in the ${p.security} state, PC ${at}: ${p.why}`;
  });
  const off = pes.length - on.length;
  if (off > 0) parts.push(`${off === pes.length ? "all" : off} PE${off === 1 ? " is" : "s are"} off`);
  return parts.join("; ");
}
