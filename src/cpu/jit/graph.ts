// The graph of a region's blocks: order, dominators, loops, and the edges that are cut.

import type { Block, CodeSource, Edge } from "./blocks.ts";

/** Blocks that the entry leads to, each before those that it leads to, but for loops. */
export function reversePostOrder(entry: Block): Block[] {
  const order: Block[] = [];
  entry.order = 0;
  const path: Block[] = [entry];
  /** How many edges of the blocks on the path were followed. */
  const followed: number[] = [0];
  while (path.length > 0) {
    const top = path.length - 1;
    const b = path[top] as Block;
    const n = followed[top] as number;
    const edge = b.edges[n];
    followed[top] = n + 1;
    if (!edge) {
      order.push(b);
      path.pop();
      followed.pop();
    } else if (edge.to && edge.to.order < 0) {
      edge.to.order = 0;
      path.push(edge.to);
      followed.push(0);
    }
  }
  return order.reverse();
}

/** Fills in where the edges come from. */
export function predecessors(blocks: readonly Block[]): void {
  for (let n = 0; n < blocks.length; n++) (blocks[n] as Block).preds = [];
  for (let n = 0; n < blocks.length; n++) {
    const b = blocks[n] as Block;
    for (let k = 0; k < b.edges.length; k++) b.edges[k]?.to?.preds.push(b);
  }
}

/** Cooper, Harvey, Kennedy: a simple, fast dominance algorithm. */
export function dominators(blocks: readonly Block[]): void {
  const entry = blocks[0] as Block;
  for (let n = 0; n < blocks.length; n++) (blocks[n] as Block).dominator = undefined;
  entry.dominator = entry;
  for (let changed = true; changed; ) {
    changed = false;
    for (let n = 1; n < blocks.length; n++) {
      const b = blocks[n] as Block;
      let d: Block | undefined;
      for (let k = 0; k < b.preds.length; k++) {
        const p = b.preds[k] as Block;
        if (p.dominator) d = d ? common(d, p) : p;
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
export function dominates(a: Block, b: Block): boolean {
  for (let x = b; ; x = x.dominator as Block) {
    if (x === a) return true;
    if (x.dominator === x) return false;
  }
}

/**
 * What begins with another translation is left out from so many instructions on. Leading on to it costs as much as several; below this,
 * shells and the like lose more than the host's compiler gains.
 */
const APART = 32;

/** By order of a block: that of the outermost loop that holds it; -1 for none. */
function outermostLoops(order: readonly Block[]): Int32Array {
  const loops = new Int32Array(order.length).fill(-1);
  for (let n = 0; n < order.length; n++) {
    const head = order[n] as Block;
    if (loops[n] !== -1) continue;
    const within = head.preds.filter((p) => p.order >= n);
    for (let b = within.pop(); b; b = within.pop()) {
      if (loops[b.order] !== -1) continue;
      loops[b.order] = n;
      if (b !== head) within.push(...b.preds);
    }
  }
  return loops;
}

/**
 * Leaves out what only blocks lead to that other translations begin with: it is translated once, and is fast sooner. Loops stay
 * whole. Answers whether there was any.
 */
export function leaveOut(order: readonly Block[], source: CodeSource): boolean {
  if (!order.some((b, n) => n > 0 && source.begun?.(b.index))) return false;
  const loops = outermostLoops(order);
  /** Instructions that only the block leads to. */
  const sizes = new Int32Array(order.length);
  for (let n = order.length - 1; n >= 0; n--) {
    const b = order[n] as Block;
    sizes[n] = (sizes[n] as number) + b.code.length;
    if (n > 0) sizes[(b.dominator as Block).order] = (sizes[(b.dominator as Block).order] as number) + (sizes[n] as number);
  }
  let some = false;
  for (let n = 1; n < order.length; n++) {
    const b = order[n] as Block;
    const loop = loops[n] as number;
    if ((loop >= 0 && loop !== n) || (sizes[n] as number) < APART || !source.begun?.(b.index)) continue;
    for (const p of b.preds) for (const e of p.edges) if (e.to === b && p.order < n) e.to = undefined;
    some = true;
  }
  return some;
}

/** Jumps into the middle of a loop have no structured form: they leave the region. Answers whether there was any. */
export function cutJumpsIntoLoops(order: readonly Block[]): boolean {
  let some = false;
  for (let n = 0; n < order.length; n++) {
    const b = order[n] as Block;
    for (let k = 0; k < b.edges.length; k++) {
      const e = b.edges[k] as Edge;
      if (!e.to || e.to.order > b.order || dominates(e.to, b)) continue;
      e.to = undefined;
      some = true;
    }
  }
  return some;
}
