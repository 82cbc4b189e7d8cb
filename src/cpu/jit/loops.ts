// What loops do to the addresses of their accesses: those that stay in a page for many rounds are worth a look at what was found before.

import { isConst, Op, type Value } from "../../ir/value.ts";
import { bitmaskImmediate } from "../../isa/bitmask.ts";
import type { Block, Region } from "./blocks.ts";
import { bitOf, type Instruction, type Registers, registerOf, registerRead } from "./instruction.ts";
import { type Access, isSum, type Move } from "./places.ts";

/** A register that a loop moves by at most so many bytes at a time stays in a page for a while. */
const STEP = 512;
/** An index below this stays in a page or two. */
const SMALL = 4096;

/** Does the move add a small distance to the register that it writes? */
function isStep({ r, v }: Move, word: number): boolean {
  let by = 0;
  let from = v;
  for (; isSum(from); from = from.a as Value) by += from.op === 0x7c ? (from.b as Value).imm : -(from.b as Value).imm;
  return from.op === Op.X && registerRead(from, word) === registerOf(r, word) && Math.abs(by) <= STEP;
}
/** Registers that an instruction changes, but not by a step. */
function jumps(i: Instruction): Registers {
  let { defs } = i;
  for (const m of i.shape.moves) if (isStep(m, i.word)) defs &= ~bitOf(registerOf(m.r, i.word));
  return defs;
}

/** The largest unsigned value that `n` may have. */
function bound(n: Value): number {
  const [a, b] = [n.a, n.b];
  switch (n.op) {
    case Op.Const:
      return n.high > 0 || n.imm < 0 ? 2 ** 64 : n.imm;
    case Op.BitMask:
      return isConst(a as Value) ? Number(bitmaskImmediate((a as Value).imm)) : 2 ** 64;
    case 0x71: // i32.and
    case 0x83: // i64.and
      return Math.min(bound(a as Value), bound(b as Value));
    case 0x76: // i32.shr_u
      return isConst(b as Value) ? Math.min(bound(a as Value), 2 ** 32) / 2 ** (b as Value).imm : 2 ** 32;
    case 0x88: // i64.shr_u
      return isConst(b as Value) ? bound(a as Value) / 2 ** (b as Value).imm : 2 ** 64;
    case 0xad: // i64.extend_i32_u
      return Math.min(bound(a as Value), 2 ** 32);
    default:
      return 2 ** 64;
  }
}

function registersIn(n: Value | undefined, word: number, into: Registers): Registers {
  if (!n) return into;
  if (n.op === Op.X) return into | bitOf(registerRead(n, word));
  return registersIn(n.c, word, registersIn(n.b, word, registersIn(n.a, word, into)));
}

/** The loops of a region. */
export class Loops {
  /** By order of a block: registers that its innermost loop changes, but not by steps; undefined outside of loops. */
  private readonly restless: (Registers | undefined)[] = [];

  constructor({ blocks }: Region) {
    const own = blocks.map((b) => b.code.reduce((set, i) => set | jumps(i), 0));
    for (const head of blocks) {
      if (!head.loop) continue;
      const body = bodyOf(head);
      let set = 0;
      for (const b of body) set |= own[b.order] as Registers;
      // Inner loops come later.
      for (const b of body) this.restless[b.order] = set;
    }
  }
  /** Is an access in a loop, and at an address that stays in a page for many rounds of it? */
  steady(e: Access, i: Instruction, b: Block): boolean {
    const restless = this.restless[b.order];
    if (restless === undefined) return false;
    let moving = registersIn(e.va, i.word, 0) & restless;
    if (moving === 0) return true;
    // An index into a small table.
    for (let n = b.code.indexOf(i) - 1; n >= 0 && moving !== 0; n--) {
      const before = b.code[n] as Instruction;
      if ((before.defs & moving) === 0) continue;
      for (const w of before.effects)
        if (w.e === "setX" && bitOf(registerOf(w.r, before.word)) === (before.defs & moving) && bound(w.v) < SMALL) moving &= ~before.defs;
      if ((before.defs & moving) !== 0) return false;
    }
    return moving === 0;
  }
}

/** The blocks of the loop that begins with `head`: those that come back to it. */
function bodyOf(head: Block): ReadonlySet<Block> {
  const body = new Set([head]);
  const within = head.preds.filter((p) => p.order >= head.order);
  for (let b = within.pop(); b; b = within.pop()) {
    if (body.has(b)) continue;
    body.add(b);
    within.push(...b.preds);
  }
  return body;
}
