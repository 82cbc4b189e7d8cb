// Data flow over a region: which registers are changed but not stored yet (dirty), which must be loaded at the entry, and in
// which form the flags arrive at each block.

import type { Flags } from "../../ir/flags.ts";
import { I64 } from "../../ir/value.ts";
import type { Block, Edge, Region } from "./blocks.ts";
import type { Instruction, Registers } from "./instruction.ts";

/**
 * How NZCV stands: `memory` in the PE block; otherwise in locals, as the operands of the operation that made it (64 or 32 bits
 * wide), or component by component. `mixed`: in one of several of these; a local says in which. Loops keep their flags so, when
 * nothing but rare ways out wants to know.
 */
export type FlagForm = "memory" | "sub64" | "sub32" | "add64" | "add32" | "logic64" | "logic32" | "canonical" | "mixed";

export const formOf = (f: Flags): FlagForm =>
  f.kind === "canonical" ? "canonical" : (`${f.kind}${f.values[0]?.type === I64 ? 64 : 32}` as FlagForm);

export interface Flow {
  /** Changed registers at the start of each block. */
  readonly dirtyIn: ReadonlyMap<Block, Registers>;
  readonly formIn: ReadonlyMap<Block, FlagForm>;
  /** What `mixed` may be: `memory` first. */
  readonly mixed: readonly FlagForm[];
  /** Registers to load at the entry. */
  readonly entry: Registers;
  /** Registers that the shared way out stores: all that is dirty at any place that may take it. */
  readonly bail: Registers;
}

/** What an instruction with a helper stores before the call: the registers it may touch. */
export const dirtyAfter = (i: Instruction, dirty: Registers): Registers => (i.helper ? dirty & ~(i.uses | i.defs) : dirty | i.defs);

/** What a block does, as one step. Sets of registers are transformed by (x & keep) | add. */
interface Summary {
  readonly keepDirty: Registers;
  readonly addDirty: Registers;
  /** What is dirty at its places that may leave for the interpreter. */
  readonly keepBail: Registers;
  readonly addBail: Registers;
  readonly form: FlagForm | undefined;
  /** Something in it reads the flags that arrive. */
  readonly reads: boolean;
}
function summarise(b: Block): Summary {
  let [keepDirty, addDirty, keepBail, addBail] = [-1, 0, 0, 0];
  let form: FlagForm | undefined;
  let reads = false;
  for (let n = 0; n < b.code.length; n++) {
    const i = b.code[n] as Instruction;
    if (form === undefined && i.readsFlags) reads = true;
    if (i.mayBail) {
      keepBail |= keepDirty;
      addBail |= addDirty;
    }
    if (i.helper) keepDirty &= ~(i.uses | i.defs);
    addDirty = dirtyAfter(i, addDirty);
    form = i.shape.form ?? form;
  }
  return { keepDirty, addDirty, keepBail, addBail, form, reads };
}

/** May the edge take the shared way out? Loops do when the budget is spent. */
const mayStop = (b: Block, e: Edge): boolean => (e.to ? e.to.order <= b.order : e.cold);

/** By number of a block: are the flags that arrive read, or stored at a way out that is not rare, before others are made? */
function wantedFlags(blocks: readonly Block[], sums: readonly Summary[], at: ReadonlyMap<Block, number>): readonly boolean[] {
  const leaves = (b: Block) => b.code.at(-1)?.end === "jump" || b.edges.some((e) => e.crosses || (!e.to && !e.cold));
  const wanted = blocks.map((b, n) => (sums[n] as Summary).reads || ((sums[n] as Summary).form === undefined && leaves(b)));
  for (let changed = true; changed; ) {
    changed = false;
    for (let n = blocks.length - 1; n >= 0; n--) {
      if (wanted[n] || (sums[n] as Summary).form !== undefined) continue;
      wanted[n] = (blocks[n] as Block).edges.some((e) => e.to && wanted[at.get(e.to) as number]);
      if (wanted[n]) changed = true;
    }
  }
  return wanted;
}
/** How far a form is from those of single operations: at a merge, forms go up only. */
const rank = (form: FlagForm): number => (form === "mixed" ? 2 : form === "canonical" ? 1 : 0);

/** `shared`: places that are left rarely (see mayStop) take the shared way out as well, which knows the mixed form. */
export function analyse(region: Region, shared = false): Flow {
  const { blocks } = region;
  const sums = blocks.map(summarise);
  const dirtyIn = blocks.map(() => 0);
  const dirtyOut = blocks.map(() => 0);
  const formIn: (FlagForm | undefined)[] = blocks.map(() => undefined);
  const formOut = [...formIn];
  const at = places(blocks);
  const wanted = shared ? wantedFlags(blocks, sums, at) : undefined;
  let first = true;
  for (let changed = true; changed; first = false) {
    changed = first;
    for (const [n, b] of blocks.entries()) {
      const { keepDirty, addDirty, form: made } = sums[n] as Summary;
      let dirty = 0;
      const several = !wanted || wanted[n] ? "canonical" : "mixed";
      // The entry takes its flags from memory also when a loop leads back to it.
      let form: FlagForm | undefined = n === 0 ? "memory" : undefined;
      for (const p of b.preds) {
        const k = at.get(p) as number;
        dirty |= dirtyOut[k] as Registers;
        const f = formOut[k];
        if (f !== undefined) form = form === undefined || form === f ? f : several;
      }
      // A merge never goes back to a more special form: the iteration ends.
      const before = formIn[n];
      if (before !== undefined && form !== undefined && before !== form && rank(form) <= rank(before)) form = several;
      dirtyIn[n] = dirty;
      formIn[n] = form;
      const out = (dirty & keepDirty) | addDirty;
      const left = made ?? form;
      if (dirtyOut[n] !== out || formOut[n] !== left) changed = true;
      dirtyOut[n] = out;
      formOut[n] = left;
    }
  }
  let bail = 0;
  for (const [n, b] of blocks.entries()) {
    const { keepBail, addBail } = sums[n] as Summary;
    bail |= ((dirtyIn[n] as Registers) & keepBail) | addBail;
    if (shared && b.edges.some((e) => mayStop(b, e))) bail |= dirtyOut[n] as Registers;
  }
  return {
    dirtyIn: new Map(blocks.map((b, n) => [b, dirtyIn[n] as Registers])),
    formIn: new Map(blocks.map((b, n) => [b, formIn[n] ?? "memory"])),
    mixed: formsOfMixed(blocks, at, formIn, formOut),
    bail,
    entry: liveAtEntry(blocks, at, bail, dirtyOut, shared),
  };
}

function formsOfMixed(
  blocks: readonly Block[],
  at: ReadonlyMap<Block, number>,
  formIn: readonly (FlagForm | undefined)[],
  formOut: readonly (FlagForm | undefined)[],
): FlagForm[] {
  const forms = new Set<FlagForm>(["memory"]);
  for (const [n, b] of blocks.entries())
    if (formIn[n] === "mixed") for (const p of b.preds) forms.add(formOut[at.get(p) as number] ?? "memory");
  forms.delete("mixed");
  return [...forms];
}

const places = (blocks: readonly Block[]): ReadonlyMap<Block, number> => new Map(blocks.map((b, n) => [b, n]));

/** Backward liveness; a way out is a use of what it stores. */
function liveAtEntry(
  blocks: readonly Block[],
  at: ReadonlyMap<Block, number>,
  bail: Registers,
  dirtyOut: readonly Registers[],
  shared: boolean,
): Registers {
  const sums = blocks.map((b, n) => liveness(b, bail, dirtyOut[n] as Registers, shared));
  const liveIn = blocks.map(() => 0);
  for (let changed = true; changed; ) {
    changed = false;
    for (let n = blocks.length - 1; n >= 0; n--) {
      const { keep, add, edges } = sums[n] as Liveness;
      let live = 0;
      for (const e of edges) if (e.to) live |= liveIn[at.get(e.to) as number] as Registers;
      live = (live & keep) | add;
      if (liveIn[n] === live) continue;
      liveIn[n] = live;
      changed = true;
    }
  }
  return liveIn[0] as Registers;
}
interface Liveness {
  readonly keep: Registers;
  readonly add: Registers;
  readonly edges: readonly Edge[];
}
function liveness(b: Block, bail: Registers, dirty: Registers, shared: boolean): Liveness {
  const { edges } = b;
  // Jumps, back edges (the budget may be spent), edges to other pages and edges out of the region may store what is dirty.
  const jumps = b.code.at(-1)?.end === "jump";
  const leaves = jumps || edges.some((e) => !e.to || e.crosses || e.to.order <= b.order);
  let [keep, add] = [-1, leaves ? dirty : 0];
  if (shared && edges.some((e) => mayStop(b, e))) add |= bail;
  for (let n = b.code.length - 1; n >= 0; n--) {
    const i = b.code[n] as Instruction;
    keep &= ~i.defs;
    add = (add & ~i.defs) | i.uses;
    if (i.mayBail) add |= bail;
  }
  return { keep, add, edges };
}
