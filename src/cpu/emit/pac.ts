// Pointer authentication codes in Wasm.

import { I64 } from "../../ir/value.ts";
import type { Emitter } from "./emitter.ts";
import { W } from "./opcodes.ts";

/**
 * The IMPLEMENTATION DEFINED pointer authentication function, its 64 bits on the stack: a keyed mix. Not cryptography; deterministic
 * and fast. `pointer` and `modifier` are locals, `key` puts the low (0) or high (1) half of the key on the stack.
 */
export function authenticationCode(l: Emitter, pointer: number, modifier: number, key: (half: 0 | 1) => void): void {
  const h = l.local(I64);
  const mix = (shift: number, lo: number, hi: number) => {
    l.get(h);
    l.get(h);
    l.i64(shift);
    l.op(W.i64ShrU, W.i64Xor);
    l.i64(lo, hi);
    l.op(W.i64Mul);
    l.set(h);
  };
  l.get(pointer);
  key(0);
  l.op(W.i64Xor);
  l.set(h);
  mix(32, 0x7f4a7c15, 0x9e3779b9);
  l.get(h);
  l.get(modifier);
  l.op(W.i64Xor);
  key(1);
  l.op(W.i64Xor);
  l.set(h);
  mix(29, 0x1ce4e5b9, 0xbf58476d);
  l.get(h);
  l.get(h);
  l.i64(32);
  l.op(W.i64ShrU, W.i64Xor);
}
