// Translation of the special entries of a page (interp/special.ts has their interpreter forms). What is not plain storage is left
// to the interpreter.

import { Off } from "../../arch/layout.ts";
import { Builder } from "../../ir/builder.ts";
import { c32, I32, I64 } from "../../ir/value.ts";
import { PE } from "../emit/emitter.ts";
import { W } from "../emit/opcodes.ts";
import { Special } from "../interp/handlers.ts";
import type { Instruction } from "./instruction.ts";
import type { RegionLowering } from "./region-lowering.ts";

const bailIf = (l: RegionLowering): void => {
  l.expect(false);
  l.block(W.if);
  l.bail();
  l.op(W.end);
};
/** X[index] on the stack. */
const getX = (l: RegionLowering, index: number): void => {
  if (index === 31) l.i64(0);
  else l.get(l.register(index));
};
const setX = (l: RegionLowering, index: number): void => {
  if (index === 31) l.op(W.drop);
  else l.set(l.register(index));
};
/** DAIF is reached directly above EL0; unmasking only while no interrupt line is up. */
function daifCheck(l: RegionLowering, unmasks: boolean): void {
  l.loadState(Off.EL);
  l.op(W.i32Eqz);
  if (unmasks) {
    l.loadState(Off.LINES);
    l.op(W.i32Or);
  }
  bailIf(l);
}
/** Offset of the storage that the map of this EL allows, in a local. `half`: 0 read, 2 write. */
function storage(l: RegionLowering, operand: number, half: number): number {
  const at = l.local(I32);
  l.get(PE);
  l.loadState(Off.EL);
  l.i32(9);
  l.op(W.i32Shl, W.i32Add);
  l.mem(W.i32Load16u, Off.SRMAP + half + 4 * (operand >>> 5));
  l.tee(at);
  l.op(W.i32Eqz);
  bailIf(l);
  l.get(PE);
  l.get(at);
  l.op(W.i32Add);
  return at;
}

const emitters: Record<number, (l: RegionLowering, i: Instruction) => void> = {
  [Special.MRS_FAST]: (l, i) => {
    storage(l, i.operand, 0);
    l.mem(W.i64Load, 0);
    setX(l, i.operand & 31);
  },
  [Special.MSR_FAST]: (l, i) => {
    storage(l, i.operand, 2);
    getX(l, i.operand & 31);
    l.mem(W.i64Store, 0);
  },
  [Special.DC_ZVA]: (l, i) => {
    l.loadState(Off.ZVA);
    l.op(W.i32Eqz);
    bailIf(l);
    const b = new Builder();
    b.zeroBlock(b.x(c32(i.operand & 31)));
    l.perform(b.effects);
  },
  [Special.CMO_VA]: (l, i) => {
    const va = l.local(I64);
    getX(l, i.operand & 31);
    l.set(va);
    l.loadState(Off.CMO_VA);
    l.readable(va);
    l.op(W.i32And, W.i32Eqz);
    bailIf(l);
  },
  [Special.DAIFSET]: (l, i) => {
    daifCheck(l, false);
    l.get(PE);
    l.loadState(Off.DAIF);
    l.i32((i.operand >>> 8) & 15);
    l.op(W.i32Or);
    l.mem(W.i32Store, Off.DAIF);
  },
  [Special.DAIFCLR]: (l, i) => {
    daifCheck(l, true);
    l.get(PE);
    l.loadState(Off.DAIF);
    l.i32(~((i.operand >>> 8) & 15));
    l.op(W.i32And);
    l.mem(W.i32Store, Off.DAIF);
  },
  [Special.MRS_DAIF]: (l, i) => {
    daifCheck(l, false);
    l.loadState(Off.DAIF);
    l.i32(6);
    l.op(W.i32Shl, W.extendU);
    setX(l, i.operand & 31);
  },
  [Special.MSR_DAIF]: (l, i) => {
    daifCheck(l, true);
    l.get(PE);
    getX(l, i.operand & 31);
    l.op(W.wrap);
    l.i32(6);
    l.op(W.i32ShrU);
    l.i32(15);
    l.op(W.i32And);
    l.mem(W.i32Store, Off.DAIF);
  },
};

/** Lowers a special entry; false when `i` is not one. */
export function translateSpecial(l: RegionLowering, i: Instruction): boolean {
  const emit = i.handler < Special.COUNT ? emitters[i.handler] : undefined;
  emit?.(l, i);
  return emit !== undefined;
}
