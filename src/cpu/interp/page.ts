// Page form and JavaScript form of a running PE, and the answers of a handler. A predecoded page is an array of
// {handler index, operand word}, 8 bytes per instruction; ip is the address of an entry. While a page runs, Off.BUDGET =
// remaining + (ip >> 3), so straight-line code costs nothing; between pages and in JavaScript it holds `remaining`.

import { Off, VISITS, VISITS_LIMIT, VISITS_MASK } from "../../arch/layout.ts";
import { I32 } from "../../ir/value.ts";
import { IP, Lowering, PE } from "../emit/lower.ts";
import { W } from "../emit/opcodes.ts";
import { type RuntimeFn, runtimeFuncs, runtimeImports } from "../emit/runtime-abi.ts";
import type { StructuredLowering } from "../emit/structured.ts";
import { handlerCount } from "./handlers.ts";

/** Answers of a handler that are not the next ip. */
export const REDIRECT = -1;
/** The budget is used up; PC is set. */
export const EXIT_BUDGET = -2;

/** Bytes of a predecoded page: 1024 entries, the CROSS entry, padding. */
export const PAGE_BYTES = 8192 + 16;

/** Function index of a runtime function in the interpreter's module. */
export const runtimeIndex = (fn: RuntimeFn): number => {
  const i = runtimeImports.findIndex(([name]) => name === fn);
  return i >= 0 ? i : runtimeImports.length + runtimeFuncs.indexOf(fn as (typeof runtimeFuncs)[number]);
};
/** A function body under construction. */
export const lowering = (params?: number) => new Lowering(runtimeIndex, params);

/** remaining = BUDGET - (ip >> 3), on the stack. */
export function remaining(l: Lowering, ip = IP): void {
  l.loadState(Off.BUDGET);
  l.get(ip);
  l.i32(3);
  l.op(W.i32ShrU, W.i32Sub);
}
/** Off.PC = address of the entry `ip`. */
export function savePc(l: Lowering, ip = IP): void {
  l.get(PE);
  l.loadState(Off.PCBASE, W.i64Load);
  l.get(ip);
  l.i32(1);
  l.op(W.i32ShrU, W.extendU, W.i64Add);
  l.mem(W.i64Store, Off.PC);
}
/** Enters JavaScript form: PC saved, BUDGET = remaining, IP saved. */
export function leavePage(l: Lowering): void {
  savePc(l);
  l.get(PE);
  l.get(IP);
  l.mem(W.i32Store, Off.IP);
  l.get(PE);
  remaining(l);
  l.mem(W.i32Store, Off.BUDGET);
}
/** Back to page form at the entry in local `ip`, where `left` leaves what remains on the stack. */
export function resumeAt(l: Lowering, ip: number, left: () => void): void {
  l.get(PE);
  left();
  l.get(ip);
  l.i32(3);
  l.op(W.i32ShrU, W.i32Add);
  l.mem(W.i32Store, Off.BUDGET);
}
/** Back to page form after JavaScript answered "continue". */
export const resumePage = (l: Lowering): void => resumeAt(l, IP, () => l.loadState(Off.BUDGET));
export function nextEntry(l: Lowering): void {
  l.get(IP);
  l.i32(8);
  l.op(W.i32Add);
}
/** remaining - 1 (this instruction retires with the branch) into a local. */
export function retire(l: Lowering): number {
  const r = l.local(I32);
  remaining(l);
  l.i32(1);
  l.op(W.i32Sub);
  l.set(r);
  return r;
}

/** The entry of the address in Off.PC, or an exit, in local `ip`. */
export function continueAtPc(l: Lowering, ip: number): void {
  l.get(PE);
  l.call("jump");
  l.set(ip);
}
/** Opens the loop of an executor, which looks at the answer in local `ip`: negative ones leave the page, or the function. Answers its label. */
export function openExecutor(l: StructuredLowering, ip: number): number {
  continueAtPc(l, ip);
  l.block(W.loop);
  const label = l.depth;
  l.get(ip);
  l.i32(0);
  l.op(W.i32LtS);
  l.expect(false);
  l.block(W.if);
  l.get(ip);
  l.i32(REDIRECT);
  l.op(W.i32Eq);
  l.block(W.if);
  continueAtPc(l, ip);
  l.branchTo(label);
  l.op(W.end);
  l.get(ip);
  l.op(W.return, W.end);
  return label;
}

/** Counts a way to the entry in local `ip`, unless it is translated; tells JavaScript when it becomes worth translating. */
export function countVisit(l: Lowering, ip: number): void {
  const at = l.local(I32);
  const count = l.local(I32);
  l.get(ip);
  l.mem(W.i32Load, 0);
  l.i32(handlerCount);
  l.op(W.i32LtU);
  l.block(W.if);
  l.get(ip);
  l.i32(1);
  l.op(W.i32ShrU);
  l.i32(VISITS_MASK);
  l.op(W.i32And);
  l.tee(at);
  l.get(at);
  l.mem(W.i32Load, VISITS);
  l.i32(1);
  l.op(W.i32Add);
  l.tee(count);
  l.mem(W.i32Store, VISITS);
  l.get(count);
  l.i32(0);
  l.mem(W.i32Load, VISITS_LIMIT);
  l.op(W.i32Eq);
  l.expect(false);
  l.block(W.if);
  l.get(PE);
  l.get(ip);
  l.call("hot");
  l.op(W.end, W.end);
}
