// The functions around the handlers: slow paths into JavaScript, pointer authentication, CRC32, jump and the central loop.

import { CRC_TABLES, Off, PLAIN_HANDLERS } from "../../arch/layout.ts";
import { I32 } from "../../ir/value.ts";
import type { Func } from "../../wasm/module.ts";
import { IP, type Lowering, PE } from "../emit/lower.ts";
import { W } from "../emit/opcodes.ts";
import { authenticationCode } from "../emit/pac.ts";
import { runtimeFuncs, Sig } from "../emit/runtime-abi.ts";
import { StructuredLowering } from "../emit/structured.ts";
import { central } from "./central.ts";
import { handlerCount } from "./handlers.ts";
import { go, interpret, jump, onward } from "./jump.ts";
import {
  countVisit,
  EXIT_BUDGET,
  leavePage,
  lowering,
  openExecutor,
  REDIRECT,
  remaining,
  resumePage,
  runtimeIndex,
  savePc,
} from "./page.ts";
import { near, tryNear } from "./tlb-miss.ts";

type FuncBuilder = () => Func;

/** Instructions that a region may run behind the last look at the budget, and the one that it leaves to the interpreter. */
const RESERVE = 320;

/** slow(pe, ip, va, kind): what `near` does not find is answered by JavaScript; -1: an exception was taken. */
const slow: FuncBuilder = () => {
  const l = lowering(4);
  const [VA, KIND] = [2, 3];
  const host = l.local(I32);
  tryNear(l, VA, KIND, host);
  l.get(PE);
  l.get(VA);
  l.mem(W.i64Store, Off.VA);
  leavePage(l);
  l.get(PE);
  l.get(KIND);
  l.call("miss");
  l.tee(host);
  l.i32(-1);
  l.op(W.i32Eq);
  l.expect(false);
  l.block(W.if);
  l.i32(-1);
  l.op(W.return, W.end);
  resumePage(l);
  l.get(host);
  return l.func(Sig.slow);
};

/** refill(pe, va, kind): like slow without any effect but a filled TLB; -1: the interpreter must do the access. */
const refill: FuncBuilder = () => {
  const l = lowering(3);
  const [VA, KIND] = [1, 2];
  tryNear(l, VA, KIND, l.local(I32));
  l.get(PE);
  l.get(VA);
  l.mem(W.i64Store, Off.VA);
  l.get(PE);
  l.get(KIND);
  l.call("probe");
  return l.func(Sig.refill);
};

/** Handler of the entry on the stack as it was before the entry was translated; `handler`: local that takes it. */
function plainHandler(l: Lowering, handler: number): void {
  l.mem(W.i32Load, 0);
  l.tee(handler);
  l.i32(handlerCount);
  l.op(W.i32GeU);
  l.block(W.if, I32);
  l.get(handler);
  l.i32(handlerCount);
  l.op(W.i32Sub);
  l.i32(2);
  l.op(W.i32Shl);
  l.mem(W.i32Load, PLAIN_HANDLERS);
  l.op(W.else);
  l.get(handler);
  l.op(W.end);
}

/** plain(pe, ip): executes one instruction in the interpreter, whatever stands in its entry. */
const plain: FuncBuilder = () => {
  const l = lowering(2);
  const handler = l.local(I32);
  l.get(PE);
  l.get(IP);
  l.get(IP);
  l.mem(W.i32Load, 4);
  l.get(IP);
  plainHandler(l, handler);
  l.op(W.callIndirect);
  l.out.uleb(Sig.handler);
  l.out.uleb(0);
  return l.func(Sig.miss);
};

/** visit(pe, ip): counts a way to the entry. */
const visit: FuncBuilder = () => {
  const l = lowering(2);
  countVisit(l, IP);
  return l.func(Sig.visit);
};

/** help(pe, index, insn): a helper for translated code, which imports no JavaScript; it wants to know whether FPSR.IXC is set now. */
const help: FuncBuilder = () => {
  const l = lowering(3);
  for (const p of [0, 1, 2]) l.get(p);
  l.call("helper");
  l.roundsPlainly();
  return l.func(Sig.help);
};

/** A handler: the entry is a translated block in JavaScript (jit/js). */
const enterBlock: FuncBuilder = () => {
  const l = lowering();
  l.get(PE);
  l.get(IP);
  l.call("block");
  return l.func(Sig.handler);
};

/** commit(pe, ip, kind): completes a store whose data stand in VAL. */
const commit: FuncBuilder = () => {
  const l = lowering(3);
  leavePage(l);
  l.get(PE);
  l.get(2);
  l.call("commitJs");
  l.block(W.if);
  l.i32(1);
  l.op(W.return, W.end);
  resumePage(l);
  l.i32(0);
  return l.func(Sig.commit);
};

/** system(pe, ip, insn, op): the instruction counts as retired when it redirects. */
const system: FuncBuilder = () => {
  const l = lowering(4);
  leavePage(l);
  l.get(PE);
  l.get(3);
  l.get(2);
  l.call("systemJs");
  l.block(W.if);
  l.get(PE);
  l.loadState(Off.BUDGET);
  l.i32(1);
  l.op(W.i32Sub);
  l.mem(W.i32Store, Off.BUDGET);
  l.i32(1);
  l.op(W.return, W.end);
  resumePage(l);
  l.i32(0);
  return l.func(Sig.system);
};

const pac: FuncBuilder = () => {
  const l = lowering(4);
  const [POINTER, MODIFIER, KEY] = [1, 2, 3];
  authenticationCode(l, POINTER, MODIFIER, (half) => {
    l.get(PE);
    l.get(KEY);
    l.op(W.i32Add);
    l.mem(W.i64Load, half * 8);
  });
  return l.func(Sig.pac);
};

/** crc32(accumulator, value, bytes | castagnoli << 8), by table, one byte at a time. */
const crc32: FuncBuilder = () => {
  const l = lowering(3);
  const [ACC, VALUE, BYTES] = [0, 1, 2];
  const left = l.local(I32);
  const table = l.local(I32);
  l.get(BYTES);
  l.i32(0xff);
  l.op(W.i32And);
  l.set(left);
  l.get(BYTES);
  l.i32(8);
  l.op(W.i32ShrU);
  l.i32(10);
  l.op(W.i32Shl);
  l.i32(CRC_TABLES);
  l.op(W.i32Add);
  l.set(table);
  l.block(W.loop);
  l.get(ACC);
  l.get(VALUE);
  l.op(W.wrap, 0x73);
  l.i32(0xff);
  l.op(W.i32And);
  l.i32(2);
  l.op(W.i32Shl);
  l.get(table);
  l.op(W.i32Add);
  l.mem(W.i32Load, 0);
  l.get(ACC);
  l.i32(8);
  l.op(W.i32ShrU, 0x73);
  l.set(ACC);
  l.get(VALUE);
  l.i64(8);
  l.op(W.i64ShrU);
  l.set(VALUE);
  l.get(left);
  l.i32(1);
  l.op(W.i32Sub);
  l.tee(left);
  l.br(0, W.brIf);
  l.op(W.end);
  l.get(ACC);
  return l.func(Sig.crc32);
};

/** Like the central loop (central.ts), but stops after exactly the budget, instruction by instruction. */
const step: FuncBuilder = () => {
  const l = new StructuredLowering(runtimeIndex, 1);
  const ip = l.permanent(I32);
  const again = openExecutor(l, ip);
  dispatchExactly(l, ip);
  stopWhenSpent(l, ip);
  l.branchTo(again);
  l.op(W.end, W.unreachable);
  return l.func(Sig.jump);
};
/** Calls the handler that `handler` makes of the entry's address. */
function dispatch(l: Lowering, ip: number, handler: () => void): void {
  l.get(PE);
  l.get(ip);
  l.get(ip);
  l.mem(W.i32Load, 4);
  l.get(ip);
  handler();
  l.op(W.callIndirect);
  l.out.uleb(Sig.handler);
  l.out.uleb(0);
  l.set(ip);
}
/** A translated entry runs while there is budget for more than what it may overrun; the rest is interpreted. */
function dispatchExactly(l: Lowering, ip: number): void {
  l.get(ip);
  l.mem(W.i32Load, 0);
  l.i32(handlerCount);
  l.op(W.i32GeU);
  remaining(l, ip);
  l.i32(2 * RESERVE);
  l.op(0x4a, W.i32And); // i32.gt_s
  l.block(W.if);
  changeBudget(l, () => l.i32(-RESERVE));
  l.get(PE);
  l.i32(RESERVE);
  l.mem(W.i32Store, Off.RESERVE);
  dispatch(l, ip, () => l.mem(W.i32Load, 0));
  // JavaScript that leaves the slice takes the reserve away.
  changeBudget(l, () => l.loadState(Off.RESERVE));
  l.get(PE);
  l.i32(0);
  l.mem(W.i32Store, Off.RESERVE);
  l.get(ip);
  l.i32(EXIT_BUDGET);
  l.op(W.i32Eq);
  l.loadState(Off.BUDGET);
  l.i32(0);
  l.op(0x4a, W.i32And);
  l.block(W.if);
  l.i32(REDIRECT);
  l.set(ip);
  l.op(W.end, W.else);
  dispatch(l, ip, () => plainHandler(l, l.local(I32)));
  l.op(W.end);
}
function changeBudget(l: Lowering, by: () => void): void {
  l.get(PE);
  l.loadState(Off.BUDGET);
  by();
  l.op(W.i32Add);
  l.mem(W.i32Store, Off.BUDGET);
}
function stopWhenSpent(l: Lowering, ip: number): void {
  const left = l.local(I32);
  l.get(ip);
  l.i32(0);
  l.op(W.i32GeS);
  l.block(W.if);
  remaining(l, ip);
  l.tee(left);
  l.i32(0);
  l.op(W.i32LeS);
  l.block(W.if);
  savePc(l, ip);
  l.get(PE);
  l.get(left);
  l.mem(W.i32Store, Off.BUDGET);
  l.i32(EXIT_BUDGET);
  l.op(W.return, W.end, W.end);
}

const builders: Record<(typeof runtimeFuncs)[number], FuncBuilder> = {
  near,
  slow,
  refill,
  commit,
  system,
  pac,
  crc32,
  jump,
  run: central,
  step,
  plain,
  visit,
  help,
  enterBlock,
  go,
  onward,
  interpret,
};

/** The runtime functions, in the order of runtimeFuncs. */
export const runtimeFunctions = (): Func[] => runtimeFuncs.map((name) => builders[name]());
