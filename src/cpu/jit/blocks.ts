// Region discovery: the basic blocks that direct branches reach from an entry within one page, ordered for structured code.

import type { Instruction } from "./instruction.ts";

/** Where control goes at the end of a block. */
export interface Edge {
  /** Index of the target in the page; 1024 is the page behind; others are outside. */
  readonly index: number;
  /** By a taken branch: costs the change of page form (see interp/page.ts). */
  readonly taken: boolean;
  /** The block, when the edge stays in the region. */
  to: Block | undefined;
}

export interface Block {
  readonly index: number;
  readonly code: readonly Instruction[];
  /** Of a conditional branch: taken and fall-through; otherwise one. None after a jump. */
  readonly taken: Edge | undefined;
  readonly fall: Edge | undefined;
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
}

/** Instructions of a region at most. */
export const REGION_LIMIT = 300;

interface Run {
  code: Instruction[];
  taken: number | undefined;
  fall: number | undefined;
  stop: boolean;
}

const isLink = (i: Instruction): boolean => i.row?.name === "BL";

/** Follows direct branches breadth first; `at` decodes the instruction at an index of the page. */
function collect(entry: number, at: (index: number) => Instruction, limit: number): Map<number, Run> {
  const runs = new Map<number, Run>();
  const work = [entry];
  let total = 0;
  for (let next = work.shift(); next !== undefined; next = work.shift()) {
    if (runs.has(next)) continue;
    const run: Run = { code: [], taken: undefined, fall: undefined, stop: false };
    runs.set(next, run);
    for (let index = next; ; index++) {
      if (index >= 1024 || total >= limit || (index !== next && runs.has(index))) {
        run.fall = index;
        break;
      }
      const i = at(index);
      if (i.end === "stop") {
        run.fall = index;
        run.stop = true;
        break;
      }
      run.code.push(i);
      total++;
      if (i.end === "next") continue;
      if (i.end === "branch") {
        run.taken = i.target;
        if (i.conditional) run.fall = index + 1;
        // A call continues in another function: its code is a region of its own.
        if (!isLink(i)) for (const t of [run.taken, run.fall]) if (t !== undefined && t >= 0 && t < 1024) work.push(t);
      }
      break;
    }
  }
  return runs;
}

const newBlock = (index: number, code: readonly Instruction[], rest: Pick<Block, "taken" | "fall" | "stop">): Block => ({
  index,
  code,
  ...rest,
  preds: [],
  order: -1,
  dominator: undefined,
  children: [],
  loop: false,
  merge: false,
});
const edge = (index: number | undefined, taken: boolean): Edge | undefined =>
  index === undefined ? undefined : { index, taken, to: undefined };

/** Runs that lead into the middle of another are cut there. */
function cut(runs: Map<number, Run>): Map<number, Block> {
  const leaders = [...runs.keys()].sort((a, b) => a - b);
  const blocks = new Map<number, Block>();
  for (const [index, run] of runs) {
    const inner = leaders.find((l) => l > index && l < index + run.code.length);
    const block =
      inner === undefined
        ? newBlock(index, run.code, { taken: edge(run.taken, true), fall: edge(run.fall, false), stop: run.stop })
        : newBlock(index, run.code.slice(0, inner - index), { taken: undefined, fall: edge(inner, false), stop: false });
    if (block.code.length > 0) blocks.set(index, block);
  }
  return blocks;
}

export const edgesOf = (b: Block): Edge[] => [b.taken, b.fall].filter((e) => e !== undefined);

function postOrder(entry: Block): Block[] {
  const order: Block[] = [];
  const seen = new Set<Block>([entry]);
  const stack: { block: Block; edges: Edge[] }[] = [{ block: entry, edges: edgesOf(entry) }];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const to = top.edges.shift()?.to;
    if (to && !seen.has(to)) {
      seen.add(to);
      stack.push({ block: to, edges: edgesOf(to) });
    } else if (top.edges.length === 0 && !to) {
      order.push(top.block);
      stack.pop();
    }
  }
  return order.reverse();
}

function predecessors(blocks: readonly Block[]): void {
  for (const b of blocks) b.preds = [];
  for (const b of blocks) for (const e of edgesOf(b)) e.to?.preds.push(b);
}

/** Cooper, Harvey, Kennedy: a simple, fast dominance algorithm. */
function dominators(blocks: readonly Block[]): void {
  const entry = blocks[0] as Block;
  for (const b of blocks) b.dominator = undefined;
  entry.dominator = entry;
  for (let changed = true; changed; ) {
    changed = false;
    for (const b of blocks) {
      if (b === entry) continue;
      let d: Block | undefined;
      for (const p of b.preds) {
        if (!p.dominator) continue;
        d = d ? common(d, p) : p;
      }
      if (d !== b.dominator) {
        b.dominator = d;
        changed = true;
      }
    }
  }
}
function common(a: Block, b: Block): Block {
  let x = a;
  let y = b;
  while (x !== y) {
    while (x.order > y.order) x = x.dominator as Block;
    while (y.order > x.order) y = y.dominator as Block;
  }
  return x;
}
function dominates(a: Block, b: Block): boolean {
  for (let x = b; ; x = x.dominator as Block) {
    if (x === a) return true;
    if (x.dominator === x) return false;
  }
}

/** The region of the entry at `index`, of at most `limit` instructions; undefined when its first instruction cannot be translated. */
export function discover(index: number, at: (index: number) => Instruction, limit = REGION_LIMIT): Region | undefined {
  const blocks = cut(collect(index, at, limit));
  const entry = blocks.get(index);
  if (!entry) return undefined;
  for (const b of blocks.values()) {
    const last = b.code.at(-1) as Instruction;
    for (const e of edgesOf(b)) e.to = isLink(last) ? undefined : blocks.get(e.index);
  }
  const order = postOrder(entry);
  order.forEach((b, i) => {
    b.order = i;
  });
  predecessors(order);
  dominators(order);
  // A jump into the middle of a loop has no structured form: it leaves the region.
  let irreducible = false;
  for (const b of order) {
    for (const e of edgesOf(b)) {
      if (!e.to || e.to.order > b.order || dominates(e.to, b)) continue;
      e.to = undefined;
      irreducible = true;
    }
  }
  if (irreducible) {
    predecessors(order);
    dominators(order);
  }
  // Edges that were cut may have left blocks without a way to them.
  const live = order.filter((b) => b.dominator);
  for (const b of live) {
    b.preds = b.preds.filter((p) => p.dominator);
    if (b !== entry) (b.dominator as Block).children.push(b);
    b.loop = b.preds.some((p) => p.order >= b.order);
    b.merge = b.preds.filter((p) => p.order < b.order).length > 1;
  }
  return { entry, blocks: live, size: live.reduce((n, b) => n + b.code.length, 0) };
}
