// What is done about a miss of the L1 TLB before JavaScript is asked: misaligned accesses within a page, and pages in their second place.
//
// Generated code looks at the first place of a page, which the low bits of the page number name; what has been
// displaced from there stands where a hash of the whole page number leads (secondPlace). Where the first look fails, the page comes back
// and what stood there goes to a second place of its own: pages that share an entry in turn stay cheap.

import { Off, PLACE_HI, PLACE_LO, PLACE_MASK, PLACE_SHIFT, TLB_EMPTY, TLB_ENTRIES, TLB_TABLE_BYTES } from "../../arch/layout.ts";
import { I32, I64, V128 } from "../../ir/value.ts";
import type { Func } from "../../wasm/module.ts";
import { Kind } from "../emit/access.ts";
import { type Lowering, PE } from "../emit/lower.ts";
import { W } from "../emit/opcodes.ts";
import { Sig } from "../emit/runtime-abi.ts";
import { lowering } from "./page.ts";

const i32Mul = 0x6c;

/** 1 on the stack when the second place has the page with the tag in local `tag`, which then stands at the address in local `entry`; else 0. */
export function takeFromSecondPlace(l: Lowering, entry: number, tag: number): void {
  const second = l.local(I32);
  placeOf(l, entry, tag);
  l.tee(second);
  l.mem(W.i64Load, 0);
  l.get(tag);
  l.op(W.i64Eq);
  l.block(W.if, I32);
  bringBack(l, entry, second);
  l.i32(1);
  l.op(W.else);
  l.i32(0);
  l.op(W.end);
}
/** Address of the second place, in the table that `entry` is in, of the page in local `tag`; on the stack. */
function placeOf(l: Lowering, entry: number, tag: number): void {
  l.get(entry);
  l.i32(-TLB_TABLE_BYTES);
  l.op(W.i32And);
  l.get(tag);
  l.op(W.wrap);
  l.i32(12);
  l.op(W.i32ShrU);
  l.get(tag);
  l.i64(32);
  l.op(W.i64ShrU, W.wrap);
  l.i32(PLACE_MASK);
  l.op(W.i32And);
  l.i32(PLACE_HI);
  l.op(i32Mul, W.i32Xor);
  l.i32(PLACE_LO);
  l.op(i32Mul);
  l.i32(PLACE_SHIFT);
  l.op(W.i32ShrU);
  l.i32(4);
  l.op(W.i32Shl, W.i32Add);
}
function bringBack(l: Lowering, entry: number, second: number): void {
  const [back, away, tag] = [l.local(V128), l.local(V128), l.local(I64)];
  for (const [from, to] of [
    [second, back],
    [entry, away],
  ] as const) {
    l.get(from);
    l.mem(W.v128Load, 0);
    l.set(to);
  }
  l.get(second);
  l.i64(TLB_EMPTY);
  l.mem(W.i64Store, 0);
  l.get(entry);
  l.mem(W.i64Load, 0);
  l.tee(tag);
  l.i64(TLB_EMPTY);
  l.op(W.i64And, W.i64Eqz);
  l.block(W.if);
  placeOf(l, entry, tag);
  l.get(away);
  l.mem(W.v128Store, 0);
  l.op(W.end);
  l.get(entry);
  l.get(back);
  l.mem(W.v128Store, 0);
}

/**
 * near(pe, va, kind): address of a plain access that stays in a page of the L1 TLB, or -1. In line it was missed because it is misaligned,
 * or because its page stands in its second place.
 */
export const near = (): Func => {
  const l = lowering(3);
  const [VA, KIND] = [1, 2];
  const entry = l.local(I32);
  const tag = l.local(I64);
  refusesAlignment(l, VA, KIND);
  l.op(W.i32Eqz);
  l.block(W.if);
  staysInPage(l, VA, KIND);
  l.block(W.if);
  entryOf(l, VA, KIND);
  l.tee(entry);
  l.mem(W.i64Load, 0);
  l.get(VA);
  l.i64(-4096);
  l.op(W.i64And);
  l.tee(tag);
  l.op(W.i64Eq);
  l.block(W.if, I32);
  l.i32(1);
  l.op(W.else);
  takeFromSecondPlace(l, entry, tag);
  l.op(W.end);
  l.block(W.if);
  l.get(entry);
  l.mem(W.i32Load, 8);
  l.get(VA);
  l.op(W.wrap, W.i32Add, W.return, W.end, W.end, W.end);
  l.i32(-1);
  return l.func(Sig.refill);
};
/** Not 0: an atomic, exclusive, ordered or ZVA access, which has rules of its own; or alignment is checked and this one is misaligned. */
function refusesAlignment(l: Lowering, va: number, kind: number): void {
  l.get(kind);
  l.i32(~(Kind.LG | Kind.STORE | Kind.PAIR | Kind.UNPRIVILEGED));
  l.op(W.i32And);
  l.loadState(Off.ALIGN);
  l.op(W.i32Eqz);
  l.block(W.if, I32);
  l.i32(0);
  l.op(W.else);
  l.get(va);
  l.op(W.wrap);
  bytesOf(l, kind);
  l.i32(1);
  l.op(W.i32Sub, W.i32And, W.end, W.i32Or);
}
/** 1 on the stack when both elements of a pair are in one page. */
function staysInPage(l: Lowering, va: number, kind: number): void {
  l.get(va);
  l.op(W.wrap);
  l.i32(0xfff);
  l.op(W.i32And);
  bytesOf(l, kind);
  l.get(kind);
  l.i32(4);
  l.op(W.i32ShrU);
  l.i32(1);
  l.op(W.i32And, W.i32Shl, W.i32Add);
  l.i32(4096);
  l.op(W.i32LeU);
}
/** Address of the first place, in the current table for the kind of access, on the stack. */
function entryOf(l: Lowering, va: number, kind: number): void {
  // The five current tables stand in a row: R, W, X, UR, UW.
  l.get(PE);
  l.get(kind);
  l.i32(Kind.STORE);
  l.op(W.i32And);
  l.i32(1);
  l.op(W.i32ShrU);
  l.get(kind);
  l.i32(Kind.UNPRIVILEGED);
  l.op(W.i32And);
  l.i32(5);
  l.op(W.i32ShrU);
  l.i32(12);
  l.op(i32Mul, W.i32Add, W.i32Add);
  l.mem(W.i32Load, Off.TLB_R);
  l.get(va);
  l.i64(8);
  l.op(W.i64ShrU, W.wrap);
  l.i32((TLB_ENTRIES - 1) << 4);
  l.op(W.i32And, W.i32Add);
}
/** Bytes of an element of the access `kind`, on the stack. */
function bytesOf(l: Lowering, kind: number): void {
  l.i32(1);
  l.get(kind);
  l.i32(Kind.LG);
  l.op(W.i32And, W.i32Shl);
}

/** Returns the address that near() finds, if it finds one. `host`: a local for it. */
export function tryNear(l: Lowering, va: number, kind: number, host: number): void {
  l.get(PE);
  l.get(va);
  l.get(kind);
  l.call("near");
  l.tee(host);
  l.i32(-1);
  l.op(W.i32Ne);
  l.block(W.if);
  l.get(host);
  l.op(W.return, W.end);
}
