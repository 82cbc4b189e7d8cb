// Handlers of rows of the instruction table. The instruction budget is checked at taken branches, jumps and page ends (see page.ts).

import { Off } from "../../arch/layout.ts";
import { Builder, type Effect } from "../../ir/builder.ts";
import { I32, type Value } from "../../ir/value.ts";
import type { Func } from "../../wasm/module.ts";
import { IP, type Lowering, PE } from "../emit/lower.ts";
import { W } from "../emit/opcodes.ts";
import { Sig } from "../emit/runtime-abi.ts";
import { build, variants } from "./handlers.ts";
import { countVisit, lowering, nextEntry, resumeAt, retire } from "./page.ts";

function takeBranch(l: Lowering, off: Value): void {
  const byte = l.local(I32);
  const target = l.local(I32);
  l.value(off);
  l.set(byte);
  const left = retire(l);
  l.get(IP);
  l.get(byte);
  l.i32(1);
  l.op(W.i32Shl, W.i32Add);
  l.tee(target);
  l.loadState(Off.CURPRE);
  l.op(W.i32Sub);
  l.i32(8192);
  l.op(W.i32GeU);
  l.get(left);
  l.i32(0);
  l.op(W.i32LeS, W.i32Or);
  l.expect(false);
  l.block(W.if);
  l.get(PE);
  l.loadState(Off.PCBASE, W.i64Load);
  l.get(IP);
  l.i32(1);
  l.op(W.i32ShrU, W.extendU, W.i64Add);
  l.get(byte);
  l.op(W.extendS, W.i64Add);
  l.mem(W.i64Store, Off.PC);
  l.get(PE);
  l.get(left);
  l.mem(W.i32Store, Off.BUDGET);
  l.get(PE);
  l.call("jump");
  l.op(W.return, W.end);
  countVisit(l, target);
  resumeAt(l, target, () => l.get(left));
  l.get(target);
}

function finish(l: Lowering, last: Effect | undefined): void {
  if (last?.e === "branch") {
    if (!last.cond) {
      takeBranch(l, last.off);
      return;
    }
    l.value(last.cond);
    l.block(W.if);
    takeBranch(l, last.off);
    l.op(W.return, W.end);
    nextEntry(l);
  } else if (last?.e === "jump") {
    l.jumpTarget(last);
    const left = retire(l);
    l.get(PE);
    l.get(left);
    l.mem(W.i32Store, Off.BUDGET);
    l.get(PE);
    l.call("jump");
  } else nextEntry(l);
}

/** The code of a row's handler; it leaves the handler's answer on the stack. Answers whether that may be other than the next ip. */
export function rowBody(l: Lowering, index: number): boolean {
  const v = variants[index] as (typeof variants)[number];
  const b = new Builder();
  build(b, v.semantics, v.variant);
  const last = l.instruction(b.effects);
  finish(l, last);
  return last?.e === "jump";
}
export function rowHandler(index: number): Func {
  const l = lowering();
  rowBody(l, index);
  return l.func(Sig.handler);
}
