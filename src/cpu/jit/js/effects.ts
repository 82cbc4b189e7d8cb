// Which effects can be written in JavaScript, and how often the values in them are used.

import type { Effect } from "../../../ir/builder.ts";
import { Op, V128, type Value } from "../../../ir/value.ts";
import type { Instruction } from "../instruction.ts";
import { hasExpression } from "./expressions.ts";
import { count } from "./values.ts";

const all = (...values: (Value | undefined)[]) => values.every(hasExpression);

function hasStatement(e: Effect): boolean {
  switch (e.e) {
    case "load":
    case "zva":
      return all(e.va);
    case "store":
    case "storex":
      return all(e.va, ...e.values) && (e.values[0]?.type !== V128 || e.lg >= 2);
    case "atomic":
      return all(e.va, ...e.next);
    case "setX":
    case "setState":
    case "setV":
      return all(e.v);
    case "setLane":
      return all(e.v) && e.index.op === Op.Const;
    case "setFlags":
      return all(...e.f.values);
    case "branch":
      return all(e.cond);
    case "jump":
      return all(e.pc, e.btype);
    case "system":
      return all(e.cond);
    case "fast":
      return all(e.ok) && e.writes.every(hasStatement);
    default:
      return false;
  }
}
/** Every effect of the instruction can be written in JavaScript. */
export const expressible = (i: Instruction): boolean => i.effects.every(hasStatement);

/** When its checks have passed, nothing is left that could fault: the handler of the interpreter may be called in the middle of a function. */
export function isQuiet(i: Instruction): boolean {
  const writesFlags = i.effects.some((e) => e.e === "setFlags");
  return (
    !writesFlags &&
    i.effects.every(
      (e) => ["setX", "setV", "setLane", "helper", "fast"].includes(e.e) || (e.e === "system" && e.cond && hasExpression(e.cond)),
    )
  );
}

export function countEffect(e: Effect): void {
  switch (e.e) {
    case "load":
    case "zva":
      count(e.va);
      return;
    case "store":
    case "storex":
      count(e.va);
      e.values.forEach(count);
      return;
    case "atomic":
      count(e.va);
      e.next.forEach(count);
      return;
    case "setX":
    case "setV":
    case "setLane":
    case "setState":
      count(e.v);
      return;
    case "setFlags":
      e.f.values.forEach(count);
      return;
    case "branch":
    case "system":
      count(e.cond);
      return;
    case "jump":
      count(e.pc);
      count(e.btype);
      return;
    case "fast":
      count(e.ok);
      e.writes.forEach(countEffect);
  }
}
