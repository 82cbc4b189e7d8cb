// Special entries of a page (interp/special.ts has their interpreter forms). What is not plain storage is left to the interpreter.

import { Off } from "../../../arch/layout.ts";
import { I64, Op, Value } from "../../../ir/value.ts";
import { Special } from "../../interp/handlers.ts";
import type { Instruction } from "../instruction.ts";
import { word } from "./expressions.ts";
import type { Lowering } from "./lower.ts";
import { count } from "./values.ts";

/** Offset of the storage that the map of this Exception level allows (cpu/sysreg-map.ts). `half`: 0 read, 2 write. */
function storage(l: Lowering, index: number, half: number): string {
  const at = l.named(`U16[(pe + ${Off.SRMAP + half + 4 * index} + (${word(Off.EL)} << 9)) >>> 1]`);
  l.guard(`${at} === 0`);
  return at;
}
function assignBoth(l: Lowering, r: number, lo: string, hi: string): void {
  if (r === 31) return;
  const name = l.register(r);
  l.emit(`${name} = ${lo}; ${name}h = ${hi};`);
}

const el0 = `${word(Off.EL)} === 0`;
const pending = `${word(Off.LINES)} !== 0`;
const forms: Readonly<Record<number, (l: Lowering, operand: number, t: number) => void>> = {
  [Special.MRS_FAST]: (l, operand, t) => {
    const at = storage(l, operand >>> 5, 0);
    assignBoth(l, t, `I[(pe + ${at}) >>> 2]`, `I[(pe + ${at} + 4) >>> 2]`);
  },
  [Special.MSR_FAST]: (l, operand, t) => {
    const at = storage(l, operand >>> 5, 2);
    const [lo, hi] = t === 31 ? ["0", "0"] : [l.register(t), `${l.register(t)}h`];
    l.emit(`I[(pe + ${at}) >>> 2] = ${lo}; I[(pe + ${at} + 4) >>> 2] = ${hi};`);
  },
  [Special.DC_ZVA]: (l, _operand, t) => {
    l.guard(`${word(Off.ZVA)} === 0`);
    const va = new Value(t === 31 ? Op.Const : Op.X, I64, undefined, undefined, undefined, t === 31 ? 0 : t);
    count(va);
    l.zeroBlock(va);
  },
  [Special.CMO_VA]: (l, _operand, t) => {
    l.guard(`${word(Off.CMO_VA)} === 0`);
    l.readable(t === 31 ? ["0", "0"] : [l.register(t), `${l.register(t)}h`]);
  },
  [Special.DAIFSET]: (l, operand) => {
    l.guard(el0);
    l.emit(`${word(Off.DAIF)} |= ${(operand >>> 8) & 15};`);
  },
  // Unmasking may let an interrupt through.
  [Special.DAIFCLR]: (l, operand) => {
    l.guard(`${el0} || ${pending}`);
    l.emit(`${word(Off.DAIF)} &= ${~((operand >>> 8) & 15)};`);
  },
  [Special.MRS_DAIF]: (l, _operand, t) => {
    l.guard(el0);
    assignBoth(l, t, `${word(Off.DAIF)} << 6`, "0");
  },
  [Special.MSR_DAIF]: (l, _operand, t) => {
    l.guard(`${el0} || ${pending}`);
    l.emit(`${word(Off.DAIF)} = ${t === 31 ? "0" : `${l.register(t)} >>> 6 & 15`};`);
  },
};

/** Emits a special entry. */
export function special(l: Lowering, i: Instruction): void {
  const form = forms[i.handler];
  if (!form) throw new Error(`js: special entry ${i.handler}`);
  form(l, i.operand, i.operand & 31);
}
