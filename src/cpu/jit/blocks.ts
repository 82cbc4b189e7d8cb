// Region discovery: the basic blocks that direct branches and calls reach from an entry, ordered for structured code.
//
// Code is found by its distance from the entry's page in virtual addresses: index 0 is the first word of that page, index 1024 the
// first of the page behind. A short function that is called stands in the region once per call (a Frame), so that its return leads
// straight to the instruction behind the call.

import { cutJumpsIntoLoops, dominators, leaveOut, predecessors, reversePostOrder } from "./graph.ts";
import type { Instruction } from "./instruction.ts";

/** The code that discovery looks at. */
export interface CodeSource {
  /** Decodes the instruction at an index; a new object each time. */
  at(index: number): Instruction;
  /** Address of the predecoded entries of the page that holds `index`; undefined when that page is not known. */
  page(index: number): number | undefined;
  /** The instruction word at an index of a known page. */
  word(index: number): number;
  /** Is this place in a known page worth following? (CodeImage.warm) */
  warm(index: number): boolean;
  /** Does another translation begin here, or is one under way? */
  begun?(index: number): boolean;
}

/** One activation of a function in a region. */
export interface Frame {
  readonly caller: Frame | undefined;
  /** Index behind the call. */
  readonly back: number;
  readonly entry: number;
  readonly depth: number;
}

/** Where control goes at the end of a block. */
export interface Edge {
  readonly index: number;
  readonly kind: "taken" | "fall" | "return";
  /** Leads to another page. */
  readonly crosses: boolean;
  /** No branch has gone there. */
  readonly cold: boolean;
  /** The block, when the edge stays in the region. */
  to: Block | undefined;
}

export interface Block {
  readonly index: number;
  readonly code: readonly Instruction[];
  /** Of a conditional branch: taken and fall-through; otherwise one. None after a jump. */
  readonly taken: Edge | undefined;
  readonly fall: Edge | undefined;
  /** Where a return leads when it goes back to the call that the region knows. */
  readonly back: Edge | undefined;
  /** Those of the three that there are. */
  readonly edges: readonly Edge[];
  /** The instruction that ends the region here because the interpreter must execute it. */
  readonly stop: boolean;
  preds: Block[];
  order: number;
  dominator: Block | undefined;
  /** Blocks that this one dominates immediately. */
  children: Block[];
  /** Target of a back edge. */
  loop: boolean;
  /** More than one forward edge leads here. */
  merge: boolean;
}

export interface Region {
  readonly entry: Block;
  /** In reverse post-order. */
  readonly blocks: readonly Block[];
  readonly size: number;
  /** Leaves its page or follows calls. */
  readonly wide: boolean;
  /** Addresses of the predecoded entries of its pages, by index >> 10. */
  readonly pages: ReadonlyMap<number, number>;
}

/** Instructions of a region at most. */
export const REGION_LIMIT = 300;
/** Pages of a region at most. */
const PAGE_LIMIT = 8;
/** Calls within calls that a region follows. */
const DEPTH_LIMIT = 3;
/** A function is followed when a return stands within this many words of its entry. */
const CALLEE_LIMIT = 64;

export const pageOf = (index: number): number => index >> 10;
const isCall = (i: Instruction): boolean => i.row?.name === "BL";
/** RET X30, RETAA, RETAB. */
const isReturn = (word: number): boolean => word === (0xd65f03c0 | 0) || (word & ~0x400) === (0xd65f0bff | 0);

interface Target {
  readonly index: number;
  readonly frame: Frame;
}
/** Straight-line code; runs of a frame do not overlap. */
interface Run {
  readonly start: number;
  readonly code: Instruction[];
  /** No branch has gone to where it is taken. */
  cold: boolean;
  taken: Target | undefined;
  fall: Target | undefined;
  back: Target | undefined;
  stop: boolean;
}

/** The runs of a frame. Loops here and below count: iterators are many objects, and most regions are found by code that is not compiled. */
class Runs {
  readonly list: Run[] = [];
  private readonly starts = new Set<number>();
  add(run: Run): void {
    this.list.push(run);
    this.starts.add(run.start);
  }
  has(start: number): boolean {
    return this.starts.has(start);
  }
  /** The run that holds `index`, but does not start there. */
  holder(index: number): Run | undefined {
    for (let n = 0; n < this.list.length; n++) {
      const { start, code } = this.list[n] as Run;
      if (index > start && index < start + code.length) return this.list[n];
    }
    return undefined;
  }
}

/** Follows direct branches, short calls and their returns, breadth first. */
class Collector {
  readonly runs = new Map<Frame, Runs>();
  readonly pages = new Map<number, number>();
  private readonly source: CodeSource;
  private readonly work: Target[] = [];
  private readonly wide: boolean;
  private readonly limit: number;
  private total = 0;

  constructor(source: CodeSource, wide: boolean, limit: number) {
    this.source = source;
    this.wide = wide;
    this.limit = limit;
  }

  get isWide(): boolean {
    return this.pages.size > 1 || this.runs.size > 1;
  }
  collect(entry: number): Frame {
    const root: Frame = { caller: undefined, back: -1, entry, depth: 0 };
    this.pages.set(pageOf(entry), this.source.page(entry) as number);
    this.work.push({ index: entry, frame: root });
    for (let n = 0; n < this.work.length; n++) this.run(this.work[n] as Target);
    return root;
  }
  private runsOf(frame: Frame): Runs {
    let runs = this.runs.get(frame);
    if (!runs) {
      runs = new Runs();
      this.runs.set(frame, runs);
    }
    return runs;
  }
  /** Puts the target on the list; in another page, when that page is known and the way there is used. */
  private follow(t: Target, from: number): void {
    if (pageOf(t.index) === pageOf(from) || this.leadsOn(t.index)) this.work.push(t);
  }
  /** What a condition leads forward to may never have been executed (errors, slow paths): such code is left out. */
  private followTaken(run: Run, t: Target, i: Instruction): void {
    run.cold = i.conditional && !this.wide && t.index > i.index && pageOf(t.index) === pageOf(i.index) && !this.source.warm(t.index);
    if (!run.cold) this.follow(t, i.index);
  }
  private leadsOn(index: number): boolean {
    return this.wide && this.reaches(index) && this.source.warm(index);
  }
  private reaches(index: number): boolean {
    const page = pageOf(index);
    if (this.pages.has(page)) return true;
    const address = this.pages.size < PAGE_LIMIT ? this.source.page(index) : undefined;
    if (address === undefined) return false;
    this.pages.set(page, address);
    return true;
  }

  private run({ index: start, frame }: Target): void {
    const runs = this.runsOf(frame);
    if (runs.has(start)) return;
    const holder = runs.holder(start);
    if (holder) {
      runs.add(split(holder, { index: start, frame }));
      return;
    }
    const run: Run = { start, code: [], cold: false, taken: undefined, fall: undefined, back: undefined, stop: false };
    runs.add(run);
    for (let index = start; ; index++) {
      const crosses = index !== start && (index & 1023) === 0;
      if (crosses || this.total >= this.limit || (index !== start && runs.has(index))) {
        run.fall = { index, frame };
        if (crosses) this.follow(run.fall, index - 1);
        return;
      }
      const i = this.source.at(index);
      if (i.end === "stop") {
        run.fall = { index, frame };
        run.stop = true;
        return;
      }
      run.code.push(i);
      this.total++;
      if (i.end === "branch") this.branch(run, i, frame);
      if (i.end === "jump") this.jump(run, i, frame);
      if (i.end !== "next") return;
    }
  }
  private branch(run: Run, i: Instruction, frame: Frame): void {
    if (isCall(i)) {
      const callee: Frame = { caller: frame, back: i.index + 1, entry: i.target, depth: frame.depth + 1 };
      run.taken = { index: i.target, frame: callee };
      if (this.isShort(callee)) this.work.push(run.taken);
      return;
    }
    run.taken = { index: i.target, frame };
    this.followTaken(run, run.taken, i);
    if (!i.conditional) return;
    run.fall = { index: i.index + 1, frame };
    this.follow(run.fall, i.index);
  }
  private jump(run: Run, i: Instruction, frame: Frame): void {
    if (!frame.caller || !isReturn(i.word)) return;
    run.back = { index: frame.back, frame: frame.caller };
    this.work.push(run.back);
  }
  /** The function ends soon, does not call itself, and there is room for it. */
  private isShort(callee: Frame): boolean {
    const { entry, depth } = callee;
    if (depth > DEPTH_LIMIT || !this.leadsOn(entry)) return false;
    for (let f = callee.caller; f; f = f.caller) if (f.entry === entry) return false;
    const end = Math.min(entry + CALLEE_LIMIT, (pageOf(entry) + 1) * 1024, entry + this.limit - this.total);
    for (let index = entry; index < end; index++) if (isReturn(this.source.word(index))) return true;
    return false;
  }
}

/** A way leads into the middle of a run: from there on it is one of its own. */
function split(run: Run, to: Target): Run {
  const { cold, taken, fall, back, stop } = run;
  run.cold = false;
  run.taken = undefined;
  run.fall = to;
  run.back = undefined;
  run.stop = false;
  return { start: to.index, code: run.code.splice(to.index - run.start), cold, taken, fall, back, stop };
}

/** Makes blocks of runs, with edges between them. */
function blocksOf(runs: ReadonlyMap<Frame, Runs>): Map<Frame, Map<number, Block>> {
  const blocks = new Map<Frame, Map<number, Block>>();
  const edges: Edge[] = [];
  const targets: Target[] = [];
  for (const [frame, { list }] of runs) {
    const own = new Map<number, Block>();
    blocks.set(frame, own);
    for (let n = 0; n < list.length; n++) {
      const { start, code, stop, cold, taken, fall, back } = list[n] as Run;
      const last = code[code.length - 1];
      if (!last) continue;
      const all: Edge[] = [];
      const edge = (target: Target | undefined, kind: Edge["kind"]): Edge | undefined => {
        if (!target) return undefined;
        const crosses = pageOf(target.index) !== pageOf(last.index);
        const e: Edge = { index: target.index, kind, crosses, cold: cold && kind === "taken", to: undefined };
        all.push(e);
        edges.push(e);
        targets.push(target);
        return e;
      };
      own.set(start, newBlock(start, code, stop, edge(taken, "taken"), edge(fall, "fall"), edge(back, "return"), all));
    }
  }
  for (let n = 0; n < edges.length; n++) {
    const { frame, index } = targets[n] as Target;
    (edges[n] as Edge).to = blocks.get(frame)?.get(index);
  }
  return blocks;
}

function newBlock(
  index: number,
  code: readonly Instruction[],
  stop: boolean,
  taken: Edge | undefined,
  fall: Edge | undefined,
  back: Edge | undefined,
  edges: readonly Edge[],
): Block {
  const [preds, children]: [Block[], Block[]] = [[], []];
  return { index, code, taken, fall, back, edges, stop, preds, order: -1, dominator: undefined, children, loop: false, merge: false };
}

/**
 * The region of the entry at `index`, of at most `limit` instructions; undefined when its first instruction cannot be translated.
 * `wide`: with the pages and short functions around it.
 */
export function discover(index: number, source: CodeSource, wide: boolean, limit = REGION_LIMIT): Region | undefined {
  const collector = new Collector(source, wide, limit);
  const root = collector.collect(index);
  const entry = blocksOf(collector.runs).get(root)?.get(index);
  if (!entry) return undefined;
  let live = reversePostOrder(entry);
  for (let n = 0; n < live.length; n++) (live[n] as Block).order = n;
  predecessors(live);
  dominators(live);
  /** Edges that were cut may have left blocks without a way to them. */
  const again = () => {
    predecessors(live);
    dominators(live);
    live = live.filter((b) => b.dominator);
    for (let n = 0; n < live.length; n++) {
      const b = live[n] as Block;
      b.preds = b.preds.filter((p) => p.dominator);
      b.order = n;
    }
  };
  if (cutJumpsIntoLoops(live)) again();
  if (!wide && leaveOut(live, source)) again();
  let size = 0;
  for (let n = 0; n < live.length; n++) {
    const b = live[n] as Block;
    if (n > 0) (b.dominator as Block).children.push(b);
    let forward = 0;
    for (let k = 0; k < b.preds.length; k++) if ((b.preds[k] as Block).order < b.order) forward++;
    b.loop = forward < b.preds.length;
    b.merge = forward > 1;
    size += b.code.length;
  }
  return { entry, blocks: live, size, wide: collector.isWide, pages: collector.pages };
}
