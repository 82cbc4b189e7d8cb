// Data flow over a region: which registers are changed but not stored yet (dirty), which must be loaded at the entry, and in
// which form the flags arrive at each block.

import type { Flags } from "../../ir/flags.ts";
import { I64 } from "../../ir/value.ts";
import { type Block, edgesOf, type Region } from "./blocks.ts";
import type { Instruction, Registers } from "./instruction.ts";

/**
 * How NZCV stands: `memory` in the PE block; otherwise in locals, as the operands of the operation that made it (64 or 32 bits
 * wide), or component by component.
 */
export type FlagForm = "memory" | "sub64" | "sub32" | "add64" | "add32" | "logic64" | "logic32" | "canonical";

export const formOf = (f: Flags): FlagForm =>
  f.kind === "canonical" ? "canonical" : (`${f.kind}${f.values[0]?.type === I64 ? 64 : 32}` as FlagForm);

export interface Flow {
  /** Changed registers at the start of each block. */
  readonly dirtyIn: ReadonlyMap<Block, Registers>;
  readonly formIn: ReadonlyMap<Block, FlagForm>;
  /** Registers to load at the entry. */
  readonly entry: Registers;
  /** Registers that the shared way out to the interpreter stores: all that is dirty at any place that may take it. */
  readonly bail: Registers;
}

/** Form of the flags that an instruction leaves; undefined: it leaves them alone. */
export function flagsAfter(i: Instruction): FlagForm | undefined {
  if (i.helper && i.setsFlags) return "memory";
  for (const e of i.effects) {
    if (e.e === "setFlags") return formOf(e.f);
    if (e.e === "fast" && i.setsFlags) return "canonical";
  }
  return undefined;
}

/** What an instruction with a helper stores before the call: the registers it may touch. */
export const dirtyAfter = (i: Instruction, dirty: Registers): Registers => (i.helper ? dirty & ~(i.uses | i.defs) : dirty | i.defs);

export function analyse(region: Region): Flow {
  const dirtyIn = new Map<Block, Registers>();
  const formIn = new Map<Block, FlagForm>();
  const formOut = new Map<Block, FlagForm | undefined>();
  const dirtyOut = new Map<Block, Registers>();
  for (let changed = true; changed; ) {
    changed = false;
    for (const b of region.blocks) {
      let dirty = 0;
      let form: FlagForm | undefined = b === region.entry ? "memory" : undefined;
      for (const p of b.preds) {
        dirty |= dirtyOut.get(p) ?? 0;
        const f = formOut.get(p);
        if (f !== undefined) form = form === undefined || form === f ? f : "canonical";
      }
      // A merge never goes back to a more special form: the iteration ends.
      const before = formIn.get(b);
      if (before !== undefined && before !== form) form = "canonical";
      dirtyIn.set(b, dirty);
      formIn.set(b, form ?? "memory");
      let out = form;
      for (const i of b.code) {
        dirty = dirtyAfter(i, dirty);
        out = flagsAfter(i) ?? out;
      }
      if (dirtyOut.get(b) !== dirty || formOut.get(b) !== out) changed = true;
      dirtyOut.set(b, dirty);
      formOut.set(b, out);
    }
  }
  // The entry takes its flags from memory also when a loop leads back to it.
  let bail = 0;
  for (const b of region.blocks) {
    let dirty = dirtyIn.get(b) ?? 0;
    for (const i of b.code) {
      if (i.mayBail) bail |= dirty;
      dirty = dirtyAfter(i, dirty);
    }
  }
  return { dirtyIn, formIn, bail, entry: liveAtEntry(region, bail, dirtyOut) };
}

/** Backward liveness; a way out is a use of what it stores. */
function liveAtEntry(region: Region, bail: Registers, dirtyOut: ReadonlyMap<Block, Registers>): Registers {
  const liveIn = new Map<Block, Registers>();
  for (let changed = true; changed; ) {
    changed = false;
    for (let k = region.blocks.length - 1; k >= 0; k--) {
      const b = region.blocks[k] as Block;
      let live = 0;
      const edges = edgesOf(b);
      // Jumps, back edges (the budget may be spent), edges to other pages and edges out of the region may store what is dirty.
      const jumps = b.code.at(-1)?.end === "jump";
      if (jumps || edges.some((e) => !e.to || e.crosses || e.to.order <= b.order)) live |= dirtyOut.get(b) ?? 0;
      for (const e of edges) if (e.to) live |= liveIn.get(e.to) ?? 0;
      for (let n = b.code.length - 1; n >= 0; n--) {
        const i = b.code[n] as Instruction;
        live = (live & ~i.defs) | i.uses;
        if (i.mayBail) live |= bail;
      }
      if (liveIn.get(b) !== live) {
        liveIn.set(b, live);
        changed = true;
      }
    }
  }
  return liveIn.get(region.entry) ?? 0;
}
