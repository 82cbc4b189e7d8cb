// The runtime function that continues at an address: fetch TLB, landing pads of guarded pages, page form.

import { Off, TLB_ENTRIES } from "../../arch/layout.ts";
import { I32, I64 } from "../../ir/value.ts";
import type { Func } from "../../wasm/module.ts";
import { type Lowering, PE } from "../emit/lower.ts";
import { W } from "../emit/opcodes.ts";
import { Sig } from "../emit/runtime-abi.ts";
import { Special } from "./handlers.ts";
import { countVisit, EXIT_BUDGET, lowering } from "./page.ts";

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

/** jump(pe): continues at Off.PC. Answers the entry, or an exit. */
export const jump = (): Func => {
  const l = lowering(1);
  const pc = l.local(I64);
  const left = l.local(I32);
  const entry = l.local(I32);
  const ip = l.local(I32);
  l.block(W.loop);
  l.loadState(Off.BUDGET);
  l.tee(left);
  l.i32(0);
  l.op(W.i32LeS);
  l.block(W.if);
  l.i32(EXIT_BUDGET);
  l.op(W.return, W.end);
  l.loadState(Off.PC, W.i64Load);
  l.set(pc);
  l.loadState(Off.TLB_X);
  l.get(pc);
  l.i64(8);
  l.op(W.i64ShrU, W.wrap);
  l.i32((TLB_ENTRIES - 1) << 4);
  l.op(W.i32And, W.i32Add);
  l.tee(entry);
  l.mem(W.i64Load, 0);
  l.get(pc);
  l.i64(-4096 | 3);
  l.op(W.i64And, W.i64Ne);
  l.block(W.if);
  l.get(PE);
  l.call("fetch");
  l.tee(ip);
  l.op(W.i32Eqz);
  l.br(1, W.brIf);
  l.get(ip);
  l.op(W.return, W.end);
  l.get(PE);
  l.get(entry);
  l.mem(W.i32Load, 8);
  l.tee(ip);
  l.mem(W.i32Store, Off.CURPRE);
  l.get(PE);
  l.get(pc);
  l.i64(-4096);
  l.op(W.i64And);
  l.get(ip);
  l.i32(1);
  l.op(W.i32ShrU, W.extendU, W.i64Sub);
  l.mem(W.i64Store, Off.PCBASE);
  l.get(ip);
  l.get(pc);
  l.op(W.wrap);
  l.i32(0xfff);
  l.op(W.i32And);
  l.i32(1);
  l.op(W.i32Shl, W.i32Add);
  l.set(ip);
  l.get(PE);
  l.get(entry);
  l.mem(W.i32Load, 12);
  l.i32(1);
  l.op(W.i32And);
  l.mem(W.i32Store, Off.GUARDED);
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
  l.get(PE);
  l.get(left);
  l.get(ip);
  l.i32(3);
  l.op(W.i32ShrU, W.i32Add);
  l.mem(W.i32Store, Off.BUDGET);
  l.get(ip);
  l.op(W.return, W.end, 0x00);
  return l.func(Sig.jump);
};
