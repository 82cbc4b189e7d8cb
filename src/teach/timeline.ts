// Which world each PE was in, and when: seen where EL3 is entered and left. Time is counted in instructions of all PEs.

import { Off } from "../arch/layout.ts";
import { Security, securityName } from "../arch/security.ts";
import { Ec, ecName } from "../arch/syndrome.ts";
import { type ExceptionInfo, Vector } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import { type Board, instructionsOf, observe } from "../machine/observe.ts";
import { lowerState } from "./call-stack.ts";
import { describeCall } from "./calls.ts";

/** Names of the worlds: the Security states, EL3 of a PE without FEAT_RME by its level. */
export type World = (typeof securityName)[number] | "EL3";

/** A stay in a world, in instructions: [from, to). */
export interface Stay {
  readonly world: World;
  readonly from: number;
  readonly to: number;
  /** What brought the PE to EL3; nothing for a return from it. */
  readonly why: string;
}

export interface PeTimeline {
  readonly pe: number;
  readonly stays: readonly Stay[];
  /** Instructions in each world, and how often it was entered. */
  readonly totals: readonly { readonly world: World; readonly instructions: number; readonly visits: number }[];
}

export interface Timeline {
  readonly from: number;
  readonly to: number;
  readonly pes: readonly PeTimeline[];
  /** What entered EL3, most frequent first. */
  readonly causes: readonly { readonly name: string; readonly count: number }[];
  /** Stays of EL3 and others that are not listed, because there were too many. Totals and causes count them. */
  readonly omitted: number;
}

/** Stays that are kept for each PE. */
const MAX_STAYS = 100_000;
const asyncNames: Readonly<Record<number, string>> = { [Vector.Irq]: "IRQ", [Vector.Fiq]: "FIQ", [Vector.SError]: "SError" };

interface Running {
  world: World;
  since: number;
  why: string;
  readonly stays: Stay[];
  readonly totals: Map<World, { instructions: number; visits: number }>;
}

/** Records from its creation until `stop`. */
export class WorldRecorder {
  private readonly board: Board;
  private readonly begin: number;
  private readonly pes = new Map<Pe, Running>();
  private readonly causes = new Map<string, number>();
  private readonly detach: () => void;
  private omitted = 0;

  constructor(board: Board) {
    this.board = board;
    this.begin = instructionsOf(board);
    for (const pe of board.pes) this.pes.set(pe, { world: worldOf(pe), since: this.begin, why: "", stays: [], totals: new Map() });
    this.detach = observe(board, {
      exception: (pe, e) => {
        if (e.target === 3) this.toEl3(pe, e);
      },
      returned: (pe, from) => {
        if (from === 3) this.change(pe, worldOf(pe), "");
      },
    });
  }

  /** What was recorded so far. */
  timeline(): Timeline {
    const now = instructionsOf(this.board);
    const pes = [...this.pes].map(([pe, r]): PeTimeline => {
      const last: Stay = { world: r.world, from: r.since, to: now, why: r.why };
      const totals = new Map(r.totals);
      const t = totals.get(r.world) ?? { instructions: 0, visits: 0 };
      totals.set(r.world, { instructions: t.instructions + now - r.since, visits: t.visits + 1 });
      return { pe: pe.index, stays: [...r.stays, last], totals: [...totals].map(([world, v]) => ({ world, ...v })) };
    });
    const causes = [...this.causes].map(([name, count]) => ({ name, count })).sort((a, b) => b.count - a.count);
    return { from: this.begin, to: now, pes, causes, omitted: this.omitted };
  }
  stop(): Timeline {
    this.detach();
    return this.timeline();
  }

  private toEl3(pe: Pe, e: ExceptionInfo): void {
    const call = e.vector === Vector.Sync && e.ec === Ec.Smc;
    const why = call ? describeCall(pe.st.lo(Off.X)).name : (asyncNames[e.vector] ?? ecName(e.ec));
    this.causes.set(why, (this.causes.get(why) ?? 0) + 1);
    this.change(pe, worldOf(pe), why);
  }
  private change(pe: Pe, world: World, why: string): void {
    const r = this.pes.get(pe);
    if (r === undefined || r.world === world) return;
    const now = instructionsOf(this.board);
    const total = r.totals.get(r.world) ?? { instructions: 0, visits: 0 };
    total.instructions += now - r.since;
    total.visits++;
    r.totals.set(r.world, total);
    if (r.stays.length < MAX_STAYS) r.stays.push({ world: r.world, from: r.since, to: now, why: r.why });
    else this.omitted++;
    r.world = world;
    r.since = now;
    r.why = why;
  }
}

function worldOf(pe: Pe): World {
  if (pe.st.lo(Off.EL) === 3) return pe.hasRme ? "Root" : "EL3";
  return securityName[lowerState(pe)] as World;
}

/** Letters for the worlds, in the order in which tables list them. */
export const worldLetters: Readonly<Record<World, string>> = { Root: "R", EL3: "3", Realm: "r", Secure: "s", "Non-secure": "n" };
export const worldOrder = Object.keys(worldLetters) as World[];

/** The world in which a PE was longest in each of `count` equal pieces of the time. */
export function sampled(t: Timeline, pe: PeTimeline, count: number): World[] {
  const step = Math.max(1, t.to - t.from) / count;
  const out: World[] = [];
  let n = 0;
  for (let i = 0; i < count; i++) {
    const [from, to] = [t.from + i * step, t.from + (i + 1) * step];
    while (n < pe.stays.length - 1 && (pe.stays[n] as Stay).to <= from) n++;
    const time = new Map<World, number>();
    for (let k = n; k < pe.stays.length && (pe.stays[k] as Stay).from < to; k++) {
      const { world, from: start, to: end } = pe.stays[k] as Stay;
      time.set(world, (time.get(world) ?? 0) + Math.min(end, to) - Math.max(start, from));
    }
    out.push([...time].sort((a, b) => b[1] - a[1])[0]?.[0] ?? (pe.stays[n] as Stay).world);
  }
  return out;
}

/** A PE that is off, or waits, is in the world it was in; states that reset gives to levels that never ran do not count. */
export const isIdle = (t: Timeline, pe: PeTimeline): boolean =>
  pe.stays.length === 1 && t.to > t.from && pe.stays[0]?.world === securityName[Security.Secure];
