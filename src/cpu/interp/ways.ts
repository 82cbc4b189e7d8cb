// The second place of a page in the L1 TLB. Generated code looks at the first, which the low bits of the page number name; what has been
// displaced from there stands where a hash of the whole page number leads (secondPlace). Where the first look fails, the page comes back
// and what stood there goes to a second place of its own: pages that share an entry in turn stay cheap.

import { PLACE_HI, PLACE_LO, PLACE_MASK, PLACE_SHIFT, TLB_EMPTY, TLB_TABLE_BYTES } from "../../arch/layout.ts";
import { I32, I64, V128 } from "../../ir/value.ts";
import type { Lowering } from "../emit/lower.ts";
import { W } from "../emit/opcodes.ts";

const i32Mul = 0x6c;

/** 1 on the stack when the second place has the page with the tag in local `tag`, which stands in local `entry`'s now; else 0. */
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
