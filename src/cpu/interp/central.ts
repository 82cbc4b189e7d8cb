// The central loop. The code of the handlers that are needed most stands in it, behind one jump table: what a call costs -- looking
// into the function table, a frame, the stack limit -- is as much as what most instructions do. The rest, translations among it, is called.

import { I32 } from "../../ir/value.ts";
import type { Func } from "../../wasm/module.ts";
import { INSN, IP, PE } from "../emit/lower.ts";
import { W } from "../emit/opcodes.ts";
import { Sig } from "../emit/runtime-abi.ts";
import { StructuredLowering } from "../emit/structured.ts";
import { inlined, Special } from "./handlers.ts";
import { openExecutor, runtimeIndex } from "./page.ts";
import { rowBody } from "./rows.ts";
import { specialBody } from "./special.ts";

/** Handlers in one function: where one of them would return, it goes to the loop that looks at the answer. */
class CentralLowering extends StructuredLowering {
  /** Label of that loop, once it is open. */
  answer: number | undefined;

  constructor() {
    super(runtimeIndex, 1);
    // What is a parameter of a handler stands in the same local here.
    for (const local of [IP, INSN]) if (this.permanent(I32) !== local) throw new Error("interp: parameters of a handler");
  }
  protected override opcode(o: number): void {
    if (o !== W.return || this.answer === undefined) {
      super.opcode(o);
      return;
    }
    this.set(IP);
    this.branchTo(this.answer);
  }
}

/** Code of a handler. Answers whether it may leave something else than the next ip. */
function body(l: CentralLowering, handler: number): boolean {
  if (handler >= Special.COUNT) return rowBody(l, handler - Special.COUNT);
  specialBody(l, handler);
  return false;
}

/** run(pe): executes at Off.PC until the budget is used up. */
export function central(): Func {
  const l = new CentralLowering();
  const handler = l.permanent(I32);
  const count = inlined.end - inlined.first;
  const answer = openExecutor(l, IP);
  l.answer = answer;
  l.block(W.loop);
  const next = l.depth;
  l.get(IP);
  l.mem(W.i32Load, 4);
  l.set(INSN);
  for (let i = 0; i <= count; i++) l.block(W.block);
  l.get(IP);
  l.mem(W.i32Load, 0);
  l.tee(handler);
  l.i32(inlined.first);
  l.op(W.i32Sub);
  l.op(W.brTable);
  l.out.uleb(count);
  for (let i = 0; i <= count; i++) l.out.uleb(i);
  for (let i = 0; i < count; i++) {
    l.op(W.end);
    const checked = body(l, inlined.first + i);
    l.set(IP);
    l.branchTo(checked ? answer : next);
    l.freeTemporaries();
  }
  l.op(W.end);
  for (const local of [PE, IP, INSN, handler]) l.get(local);
  l.op(W.callIndirect);
  l.out.uleb(Sig.handler);
  l.out.uleb(0);
  l.set(IP);
  l.branchTo(answer);
  l.op(W.end, W.end, W.unreachable);
  return l.func(Sig.jump);
}
