// Generates the interpreter: one Wasm function per row variant, the runtime functions around them, and the central loop.
// The instruction budget is checked at taken branches, jumps and page ends (see page.ts).

import { Off } from "../../arch/layout.ts";
import { Builder, type Effect } from "../../ir/builder.ts";
import { I32, type Value } from "../../ir/value.ts";
import { assemble, type Func, type ModuleSpec } from "../../wasm/module.ts";
import { IP, type Lowering, PE } from "../emit/lower.ts";
import { W } from "../emit/opcodes.ts";
import { runtimeFuncs, runtimeImports, Sig, signatures } from "../emit/runtime-abi.ts";
import { build, handlerCount, variants } from "./handlers.ts";
import { countVisit, lowering, nextEntry, retire } from "./page.ts";
import { runtimeFunctions } from "./runtime.ts";
import { specialHandlers } from "./special.ts";

export { PAGE_BYTES } from "./page.ts";

function takeBranch(l: Lowering, off: Value): void {
  const byte = l.local(I32);
  const target = l.local(I32);
  l.value(off);
  l.set(byte);
  const left = retire(l);
  l.get(IP);
  l.get(byte);
  l.i32(1);
  l.op(W.i32Shl, W.i32Add);
  l.tee(target);
  l.loadState(Off.CURPRE);
  l.op(W.i32Sub);
  l.i32(8192);
  l.op(W.i32GeU);
  l.get(left);
  l.i32(0);
  l.op(W.i32LeS, W.i32Or);
  l.expect(false);
  l.block(W.if);
  l.get(PE);
  l.loadState(Off.PCBASE, W.i64Load);
  l.get(IP);
  l.i32(1);
  l.op(W.i32ShrU, W.extendU, W.i64Add);
  l.get(byte);
  l.op(W.extendS, W.i64Add);
  l.mem(W.i64Store, Off.PC);
  l.get(PE);
  l.get(left);
  l.mem(W.i32Store, Off.BUDGET);
  l.get(PE);
  l.call("jump");
  l.op(W.return, W.end);
  countVisit(l, target);
  l.get(PE);
  l.get(left);
  l.get(target);
  l.i32(3);
  l.op(W.i32ShrU, W.i32Add);
  l.mem(W.i32Store, Off.BUDGET);
  l.get(target);
}

function finish(l: Lowering, last: Effect | undefined): void {
  if (last?.e === "branch") {
    if (!last.cond) {
      takeBranch(l, last.off);
      return;
    }
    l.value(last.cond);
    l.block(W.if);
    takeBranch(l, last.off);
    l.op(W.return, W.end);
    nextEntry(l);
  } else if (last?.e === "jump") {
    l.jumpTarget(last);
    const left = retire(l);
    l.get(PE);
    l.get(left);
    l.mem(W.i32Store, Off.BUDGET);
    l.get(PE);
    l.call("jump");
  } else nextEntry(l);
}

function rowHandler(index: number): Func {
  const v = variants[index] as (typeof variants)[number];
  const b = new Builder();
  build(b, v.semantics, v.variant);
  const l = lowering();
  finish(l, l.instruction(b.effects));
  return l.func(Sig.handler);
}

const TABLE_MAX = 1 << 20;

/** The interpreter as a module for a memory of at most `maxPages` 64 KiB pages. */
export function generateInterpreter(memory: ModuleSpec["memory"]): Uint8Array {
  const runtime = runtimeFunctions();
  const handlers = specialHandlers();
  for (let i = 0; i < variants.length; i++) handlers.push(rowHandler(i));
  if (handlers.length !== handlerCount) throw new Error("interp: handler count");
  const exported = ["run", "step", "jump", "refill", "plain", "visit", "pac", "crc32", "help", "enterBlock", "go", "onward"] as const;
  return assemble({
    memory,
    signatures,
    imports: runtimeImports.map(([name, type]) => ({ name, type })),
    funcs: [...runtime, ...handlers],
    exports: exported.map((name) => [name, runtimeFuncs.indexOf(name)] as const),
    table: { elements: handlers.map((_, i) => runtime.length + i), max: TABLE_MAX },
  });
}
