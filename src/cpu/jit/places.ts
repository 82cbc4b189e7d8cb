// What an instruction tells about addresses: registers that get others plus a distance, and plain accesses to memory.

import type { Effect } from "../../ir/builder.ts";
import { isConst, Op, type Value } from "../../ir/value.ts";

/** Distances beyond this are not kept. */
export const FAR = 2 ** 30;
const distance = (n: Value): number | undefined => (isConst(n) && n.high === n.imm >> 31 && Math.abs(n.imm) < FAR ? n.imm : undefined);

/** Is `n` a sum of a register, or of PC, and a distance? ADRP clears the low bits of PC. */
export function isPlace(n: Value): boolean {
  if (n.op === Op.X || n.op === Op.Pc) return true;
  const { a, b } = n;
  if (!a || !b) return false;
  const by = distance(b);
  if (by === undefined) return false;
  return isSum(n) ? isPlace(a) : n.op === 0x83 && a.op === Op.Pc && by === -4096;
}
export const isSum = (n: Value): boolean => n.op === 0x7c || n.op === 0x7d; // i64.add, i64.sub

export type Move = Extract<Effect, { e: "setX" }>;
export const isMove = (e: Effect): e is Move => e.e === "setX" && !(isConst(e.r) && e.r.imm === 31) && isPlace(e.v);

export type Access = Extract<Effect, { e: "load" | "store" }>;
export const isPlainAccess = (e: Effect): e is Access => (e.e === "load" || e.e === "store") && !e.o.exclusive && !e.o.ordered;
