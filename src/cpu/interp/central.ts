// The central loop. The code of the handlers that are needed most stands in it, behind one jump table: what a call costs -- looking
// into the function table, a frame, the stack limit -- is as much as what most instructions do. The rest, translations among it, is called.

import { I32, type ValType } from "../../ir/value.ts";
import type { Func } from "../../wasm/module.ts";
import { INSN, IP, Lowering, PE } from "../emit/lower.ts";
import { W } from "../emit/opcodes.ts";
import { Sig } from "../emit/runtime-abi.ts";
import { inlined, Special } from "./handlers.ts";
import { REDIRECT, runtimeIndex } from "./page.ts";
import { rowBody } from "./rows.ts";
import { specialBody } from "./special.ts";

/** Handlers in one function: they share its locals, and where a function would return they go to the loop that looks at the answer. */
class CentralLowering extends Lowering {
  /** Open blocks; a label is the depth just after its block was opened. */
  private depth = 0;
  /** Label of the loop that looks at the answer in IP. */
  private answer = 0;
  private readonly free = new Map<ValType, number[]>();
  private taken: { type: ValType; local: number }[] = [];

  constructor() {
    super(runtimeIndex, 1);
    // What is a parameter of a handler stands in the same local here.
    for (const local of [IP, INSN]) if (this.own(I32) !== local) throw new Error("interp: parameters of a handler");
  }
  /** A local that is not shared. */
  own(type: ValType): number {
    return super.local(type);
  }
  override block(op: number, type = 0x40): void {
    this.depth++;
    super.block(op, type);
  }
  override op(...ops: number[]): void {
    for (const o of ops) {
      if (o === W.return) {
        this.set(IP);
        this.branchTo(this.answer);
        continue;
      }
      if (o === W.end) this.depth--;
      super.op(o);
    }
  }
  override local(type: ValType): number {
    const local = this.free.get(type)?.pop() ?? super.local(type);
    this.taken.push({ type, local });
    return local;
  }
  /** The locals of one handler may be those of the next. */
  release(): void {
    for (const { type, local } of this.taken) this.free.set(type, [...(this.free.get(type) ?? []), local]);
    this.taken = [];
  }
  /** Opens a block, whose label is the answer. */
  open(op: number): number {
    this.block(op);
    return this.depth;
  }
  branchTo(label: number): void {
    this.br(this.depth - label);
  }
  /** Opens the loop that looks at the answer in IP: negative ones leave the page, and perhaps the function. */
  openAnswer(): number {
    this.answer = this.open(W.loop);
    this.get(IP);
    this.i32(0);
    this.op(W.i32LtS);
    this.expect(false);
    this.block(W.if);
    this.get(IP);
    this.i32(REDIRECT);
    this.op(W.i32Eq);
    this.block(W.if);
    this.continueAtPc();
    this.branchTo(this.answer);
    this.op(W.end);
    this.get(IP);
    super.op(W.return);
    this.op(W.end);
    return this.answer;
  }
  continueAtPc(): void {
    this.get(PE);
    this.call("jump");
    this.set(IP);
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
  const handler = l.own(I32);
  const count = inlined.end - inlined.first;
  l.continueAtPc();
  const answer = l.openAnswer();
  const next = l.open(W.loop);
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
    l.release();
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
