// The runtime functions that continue at an address: fetch TLB, landing pads of guarded pages, page form. Translated code that leads
// to translated code gets there by tail calls, without the central loop in between.

import { Off, TLB_ENTRIES } from "../../arch/layout.ts";
import { I32, I64 } from "../../ir/value.ts";
import type { Func } from "../../wasm/module.ts";
import { IP, type Lowering, PE } from "../emit/lower.ts";
import { W } from "../emit/opcodes.ts";
import { Sig } from "../emit/runtime-abi.ts";
import { handlerCount, Special } from "./handlers.ts";
import { countVisit, EXIT_BUDGET, lowering, REDIRECT, resumeAt, savePc } from "./page.ts";
import { takeFromSecondPlace } from "./tlb-miss.ts";

/** Bit 4 * t + BTYPE: may a branch with this BTYPE land on BTI with targets t (0 none, 1 c, 2 j, 3 jc)? (BranchTargetCheck) */
const BTI_ALLOWS = 0b1110_1010_0110_0000;

/**
 * 1 when the entry at `ip` is decoded and a BTI or PACIxSP that PSTATE.BTYPE (not 0) may land on; 0: JavaScript decides. PACIxSP is
 * taken for compatible with BTYPE 1 and 2 only, which does not depend on SCTLR_ELx.BTx.
 */
function isLandingPad(l: Lowering, ip: number): void {
  const word = l.local(I32);
  l.get(ip);
  l.mem(W.i32Load, 0);
  l.i32(Special.DECODE);
  l.op(W.i32Ne);
  l.get(ip);
  l.mem(W.i32Load, 4);
  l.tee(word);
  l.i32(~0xc0);
  l.op(W.i32And);
  l.i32(0xd503241f | 0);
  l.op(W.i32Eq);
  l.i32(BTI_ALLOWS);
  l.get(word);
  l.i32(4);
  l.op(W.i32ShrU);
  l.i32(12);
  l.op(W.i32And);
  l.loadState(Off.BTYPE);
  l.op(W.i32Or, W.i32ShrU, W.i32And);
  l.get(word);
  l.i32(~0x40);
  l.op(W.i32And);
  l.i32(0xd503233f | 0);
  l.op(W.i32Eq);
  l.loadState(Off.BTYPE);
  l.i32(3);
  l.op(W.i32Ne, W.i32And, W.i32Or, W.i32And);
}

/** Has the fetch TLB no entry for the address in local `pc`? The entry's address in local `entry`. */
function missesTlb(l: Lowering, pc: number, entry: number): void {
  l.loadState(Off.TLB_X);
  l.get(pc);
  l.i64(8);
  l.op(W.i64ShrU, W.wrap);
  l.i32((TLB_ENTRIES - 1) << 4);
  l.op(W.i32And, W.i32Add);
  l.tee(entry);
  l.mem(W.i64Load, 0);
  pageTag(l, pc);
  l.op(W.i64Ne);
}
/** The tag of the page; a misaligned PC has none. */
function pageTag(l: Lowering, pc: number): void {
  l.get(pc);
  l.i64(-4096 | 3);
  l.op(W.i64And);
}
/** The address in `pc` stands in the page with predecoded entries at `page`, which becomes the current one. */
function enterPage(l: Lowering, pc: number, entry: number, page: number): void {
  l.get(PE);
  l.get(page);
  l.mem(W.i32Store, Off.CURPRE);
  l.get(PE);
  l.get(pc);
  l.i64(-4096);
  l.op(W.i64And);
  l.get(page);
  l.i32(1);
  l.op(W.i32ShrU, W.extendU, W.i64Sub);
  l.mem(W.i64Store, Off.PCBASE);
  l.get(PE);
  l.get(entry);
  l.mem(W.i32Load, 12);
  l.i32(1);
  l.op(W.i32And);
  l.mem(W.i32Store, Off.GUARDED);
}
/** The entry of the address in `pc`, on the stack. */
function entryAddress(l: Lowering, pc: number, page: number): void {
  l.get(page);
  l.get(pc);
  l.op(W.wrap);
  l.i32(0xfff);
  l.op(W.i32And);
  l.i32(1);
  l.op(W.i32Shl, W.i32Add);
}

/** jump(pe): continues at Off.PC. Answers the entry, or an exit. */
export const jump = (): Func => {
  const l = lowering(1);
  const pc = l.local(I64);
  const tag = l.local(I64);
  const left = l.local(I32);
  const entry = l.local(I32);
  const page = l.local(I32);
  const ip = l.local(I32);
  l.block(W.loop);
  l.loadState(Off.BUDGET);
  l.tee(left);
  l.i32(0);
  l.op(W.i32LeS);
  l.expect(false);
  l.block(W.if);
  l.i32(EXIT_BUDGET);
  l.op(W.return, W.end);
  l.loadState(Off.PC, W.i64Load);
  l.set(pc);
  missesTlb(l, pc, entry);
  l.expect(false);
  l.block(W.if);
  pageTag(l, pc);
  l.set(tag);
  takeFromSecondPlace(l, entry, tag);
  l.op(W.i32Eqz);
  l.block(W.if);
  l.get(PE);
  l.call("fetch");
  l.tee(ip);
  l.op(W.i32Eqz);
  l.br(2, W.brIf);
  l.get(ip);
  l.op(W.return, W.end, W.end);
  l.get(entry);
  l.mem(W.i32Load, 8);
  l.set(page);
  enterPage(l, pc, entry, page);
  entryAddress(l, pc, page);
  l.set(ip);
  l.loadState(Off.BTYPE);
  l.block(W.if);
  l.loadState(Off.GUARDED);
  l.block(W.if);
  isLandingPad(l, ip);
  l.op(W.i32Eqz);
  l.block(W.if);
  l.get(PE);
  l.get(ip);
  l.call("landing");
  l.br(3, W.brIf);
  l.op(W.end, W.end);
  l.get(PE);
  l.i32(0);
  l.mem(W.i32Store, Off.BTYPE);
  l.op(W.end);
  countVisit(l, ip);
  resumeAt(l, ip, () => l.get(left));
  l.get(ip);
  l.op(W.return, W.end, W.unreachable);
  return l.func(Sig.jump);
};

/** Is the entry at `ip` not translated? Its handler in local `handler`. */
function isPlain(l: Lowering, ip: number, handler: number): void {
  l.get(ip);
  l.mem(W.i32Load, 0);
  l.tee(handler);
  l.i32(handlerCount);
  l.op(W.i32LtU);
}
/** Goes on in the translation at `ip`. */
function tailCall(l: Lowering, ip: number, handler: number): void {
  l.get(PE);
  l.get(ip);
  l.get(ip);
  l.mem(W.i32Load, 4);
  l.get(handler);
  l.op(W.returnCallIndirect);
  l.out.uleb(Sig.handler);
  l.out.uleb(0);
}

/**
 * go(pe, pc, left): the answer of a translation that goes on at `pc` with `left` instructions. What is translated there runs at
 * once; everything else is for jump().
 */
export const go = (): Func => {
  const l = lowering(3);
  const [PC, LEFT] = [1, 2];
  const entry = l.local(I32);
  const page = l.local(I32);
  const ip = l.local(I32);
  const handler = l.local(I32);
  l.block(W.block);
  l.get(LEFT);
  l.i32(0);
  l.op(W.i32LeS);
  l.expect(false);
  l.br(0, W.brIf);
  missesTlb(l, PC, entry);
  l.expect(false);
  l.br(0, W.brIf);
  l.get(entry);
  l.mem(W.i32Load, 8);
  l.set(page);
  entryAddress(l, PC, page);
  l.set(ip);
  isPlain(l, ip, handler);
  l.expect(false);
  l.br(0, W.brIf);
  l.loadState(Off.BTYPE);
  l.expect(false);
  l.block(W.if);
  l.get(entry);
  l.mem(W.i32Load, 12);
  l.i32(1);
  l.op(W.i32And);
  l.block(W.if);
  // The first instruction of a translation is decoded.
  isLandingPad(l, ip);
  l.op(W.i32Eqz);
  l.br(2, W.brIf);
  l.op(W.end);
  l.get(PE);
  l.i32(0);
  l.mem(W.i32Store, Off.BTYPE);
  l.op(W.end);
  enterPage(l, PC, entry, page);
  resumeAt(l, ip, () => l.get(LEFT));
  tailCall(l, ip, handler);
  l.op(W.end);
  l.get(PE);
  l.get(PC);
  l.mem(W.i64Store, Off.PC);
  l.get(PE);
  l.get(LEFT);
  l.mem(W.i32Store, Off.BUDGET);
  l.i32(REDIRECT);
  return l.func(Sig.go);
};

/**
 * onward(pe, ip, warm, budget): the answer of a translation that goes on at the entry `ip` of the current page, with `budget` in page
 * form. `warm`: the entry to which this is one more way, 0 for none.
 */
export const onward = (): Func => {
  const l = lowering(4);
  const [WARM, BUDGET] = [2, 3];
  const handler = l.local(I32);
  resumeWithin(l, BUDGET);
  isPlain(l, IP, handler);
  l.expect(false);
  l.block(W.if);
  l.get(WARM);
  l.block(W.if);
  countVisit(l, WARM);
  l.op(W.end);
  l.get(IP);
  l.op(W.return, W.end);
  tailCall(l, IP, handler);
  return l.func(Sig.onward);
};

/**
 * interpret(pe, ip, budget): the answer of a translation that leaves the instruction of the entry `ip` to the interpreter. It looks at
 * the budget as well: a loop may come this way each time, and at no other place where somebody looks.
 */
export const interpret = (): Func => {
  const l = lowering(3);
  resumeWithin(l, 2);
  l.get(PE);
  l.get(IP);
  l.call("plain");
  return l.func(Sig.handler);
};

/** Off.BUDGET = `budget` (page form) at the entry IP; when it is used up, the answer leaves the page. */
function resumeWithin(l: Lowering, budget: number): void {
  const left = l.local(I32);
  l.get(budget);
  l.get(IP);
  l.i32(3);
  l.op(W.i32ShrU, W.i32Sub);
  l.tee(left);
  l.i32(0);
  l.op(W.i32LeS);
  l.expect(false);
  l.block(W.if);
  savePc(l);
  l.get(PE);
  l.get(left);
  l.mem(W.i32Store, Off.BUDGET);
  l.i32(REDIRECT);
  l.op(W.return, W.end);
  l.get(PE);
  l.get(budget);
  l.mem(W.i32Store, Off.BUDGET);
}
