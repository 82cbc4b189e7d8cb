// The way into a region: what its body has in locals is loaded.

import { Off } from "../../arch/layout.ts";
import type { Bytes } from "../../wasm/bytes.ts";
import type { Hint } from "../../wasm/module.ts";
import { Emitter, flagSlots, IP, PE } from "../emit/emitter.ts";
import { W } from "../emit/opcodes.ts";
import type { Flow } from "./flow.ts";
import type { RegionLowering } from "./region-lowering.ts";
import { importIndex } from "./region-module.ts";

/** Emits it before the code of the body, which is complete. `canonical`: the flags start so. Answers its hints. */
export function prologue(code: Bytes, l: RegionLowering, flow: Flow, budget: number, canonical: boolean): Hint[] {
  const hints: Hint[] = [];
  const get = (off: number, op: number) => {
    code.u8(0x20);
    code.uleb(PE);
    code.u8(op);
    code.uleb(0);
    code.uleb(off);
  };
  const load = (off: number, op: number, local: number) => {
    get(off, op);
    code.u8(0x21);
    code.uleb(local);
  };
  if (l.unaligned) {
    // if (ALIGN) return plain(pe, ip)
    get(Off.ALIGN, W.i32Load);
    hints.push({ at: code.length, likely: false });
    code.bytes(new Uint8Array([W.if, 0x40, 0x20, PE, 0x20, IP, 0x10]));
    code.uleb(importIndex("plain"));
    code.bytes(new Uint8Array([W.return, W.end]));
  }
  load(Off.BUDGET, W.i32Load, budget);
  for (const [off, local] of l.tables) load(off, W.i32Load, local);
  if (l.asksRounding) {
    const e = new Emitter(importIndex);
    e.roundsPlainly();
    e.set(l.plainRounding());
    code.bytes(e.out.view());
  }
  for (let bit = 0; bit < 32; bit++) {
    const index = bit === 31 ? 32 : bit;
    if ((flow.entry >>> bit) & 1) load(Off.X + 8 * index, W.i64Load, l.register(index));
  }
  if (canonical) {
    const locals = l.canonicalLocals();
    flagSlots.forEach((off, i) => {
      load(off, i === 2 ? W.i32Load : W.i64Load, locals[i] as number);
    });
  }
  return hints;
}
