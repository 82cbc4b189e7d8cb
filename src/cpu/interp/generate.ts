// Generates the interpreter: one Wasm function per row variant, the runtime functions around them, and the central loop.
//
// A predecoded page is an array of {handler index, operand word}, 8 bytes per instruction; ip is the address of an entry.
// Instruction budget: while a page runs, Off.BUDGET = remaining + (ip >> 3), so straight-line code costs nothing; between
// pages and in JavaScript it holds `remaining`. It is checked at taken branches, jumps and page ends.

import { CRC_TABLES, Off, TLB_ENTRIES } from "../../arch/layout.ts";
import { Builder, type Effect } from "../../ir/builder.ts";
import { I32, I64, Op, type Value, Value as ValueNode } from "../../ir/value.ts";
import { SysOp } from "../../isa/sysops.ts";
import { assemble, type Func, type ModuleSpec } from "../../wasm/module.ts";
import { Kind } from "../emit/access.ts";
import { INSN, IP, Lowering, PE, W } from "../emit/lower.ts";
import { type RuntimeFn, runtimeFuncs, runtimeImports, Sig, signatures } from "../emit/runtime-abi.ts";
import { build, handlerCount, Special, variants } from "./handlers.ts";

/** Answers of a handler that are not the next ip. */
export const REDIRECT = -1;
/** The budget is used up; PC is set. */
export const EXIT_BUDGET = -2;
/** JavaScript asked to leave. */
export const EXIT_STOP = -3;

/** Bytes of a predecoded page: 1024 entries, the CROSS entry, padding. */
export const PAGE_BYTES = 8192 + 16;

const runtimeIndex = (fn: RuntimeFn): number => {
  const i = runtimeImports.findIndex(([name]) => name === fn);
  return i >= 0 ? i : runtimeImports.length + runtimeFuncs.indexOf(fn as (typeof runtimeFuncs)[number]);
};
const lowering = (params?: number) => new Lowering(runtimeIndex, params);

// ---- pieces ----------------------------------------------------------------------------------------------------------
/** remaining = BUDGET - (ip >> 3), on the stack. */
function remaining(l: Lowering): void {
  l.loadState(Off.BUDGET);
  l.get(IP);
  l.i32(3);
  l.op(W.i32ShrU, W.i32Sub);
}
/** Off.PC = address of the entry `ip`. */
function savePc(l: Lowering): void {
  l.get(PE);
  l.loadState(Off.PCBASE, W.i64Load);
  l.get(IP);
  l.i32(1);
  l.op(W.i32ShrU, W.extendU, W.i64Add);
  l.mem(W.i64Store, Off.PC);
}
/** Enters JavaScript form: PC saved, BUDGET = remaining, IP saved. */
function leavePage(l: Lowering): void {
  savePc(l);
  l.get(PE);
  l.get(IP);
  l.mem(W.i32Store, Off.IP);
  l.get(PE);
  remaining(l);
  l.mem(W.i32Store, Off.BUDGET);
}
/** Back to page form after JavaScript answered "continue". */
function resumePage(l: Lowering): void {
  l.get(PE);
  l.loadState(Off.BUDGET);
  l.get(IP);
  l.i32(3);
  l.op(W.i32ShrU, W.i32Add);
  l.mem(W.i32Store, Off.BUDGET);
}
function nextEntry(l: Lowering): void {
  l.get(IP);
  l.i32(8);
  l.op(W.i32Add);
}
/** remaining - 1 (this instruction retires with the branch) into a local. */
function retire(l: Lowering): number {
  const r = l.local(I32);
  remaining(l);
  l.i32(1);
  l.op(W.i32Sub);
  l.set(r);
  return r;
}

/** The taken branch: within the page to its entry, otherwise by PC. */
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
    l.get(PE);
    l.value(last.pc);
    l.mem(W.i64Store, Off.PC);
    if (last.btype) {
      l.get(PE);
      l.value(last.btype);
      l.mem(W.i32Store, Off.BTYPE);
    }
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

// ---- special handlers --------------------------------------------------------------------------------------------------
function handler(emit: (l: Lowering) => void): Func {
  const l = lowering();
  emit(l);
  return l.func(Sig.handler);
}
const ifZeroElse = (l: Lowering, then: () => void, otherwise: () => void) => {
  l.op(W.i32Eqz);
  l.block(W.if);
  then();
  l.op(W.else);
  otherwise();
  l.op(W.end);
};
/** Address of X[operand & 31] minus Off.X. */
function xAddress(l: Lowering): void {
  l.get(PE);
  l.get(INSN);
  l.i32(3);
  l.op(W.i32Shl);
  l.i32(0xf8);
  l.op(W.i32And, W.i32Add);
}
/** Byte offset of the storage that the SRMAP entry of this EL allows, 0 if none. `half`: 0 read, 2 write. */
function mapEntry(l: Lowering, half: number): number {
  const at = l.local(I32);
  l.get(PE);
  l.loadState(Off.EL);
  l.i32(9);
  l.op(W.i32Shl, W.i32Add);
  l.get(INSN);
  l.i32(5);
  l.op(W.i32ShrU);
  l.i32(2);
  l.op(W.i32Shl, W.i32Add);
  l.mem(W.i32Load16u, Off.SRMAP + half);
  l.tee(at);
  return at;
}
const clearZr = (l: Lowering) => {
  l.get(PE);
  l.i64(0);
  l.mem(W.i64Store, Off.X + 31 * 8);
};
/** Condition: EL0, or (for unmasking) an interrupt line is up: take the slow path. */
const daifSlow = (l: Lowering, unmasks: boolean) => {
  l.loadState(Off.EL);
  l.op(W.i32Eqz);
  if (unmasks) {
    l.loadState(Off.LINES);
    l.op(W.i32Or);
  }
};
const setDaif = (l: Lowering, value: () => void) => {
  l.get(PE);
  value();
  l.mem(W.i32Store, Off.DAIF);
};
const immediate4 = (l: Lowering) => {
  l.get(INSN);
  l.i32(8);
  l.op(W.i32ShrU);
  l.i32(15);
  l.op(W.i32And);
};

const rtField = () => new ValueNode(Op.Field, I32, undefined, undefined, undefined, 0, 5);

const special: Record<number, (l: Lowering) => void> = {
  [Special.DECODE]: (l) => {
    leavePage(l);
    l.get(PE);
    l.get(IP);
    l.call("decode");
    l.block(W.if);
    l.i32(REDIRECT);
    l.op(W.return, W.end);
    resumePage(l);
    l.get(IP);
  },
  [Special.CROSS]: (l) => {
    leavePage(l);
    l.get(PE);
    l.call("jump");
  },
  [Special.UNDEFINED]: (l) => {
    l.system(SysOp.UNDEFINED);
    nextEntry(l);
  },
  [Special.GAP]: (l) => {
    l.system(SysOp.GAP);
    nextEntry(l);
  },
  [Special.MRS_FAST]: (l) => {
    const at = mapEntry(l, 0);
    ifZeroElse(
      l,
      () => l.system(SysOp.MRS),
      () => {
        xAddress(l);
        l.get(PE);
        l.get(at);
        l.op(W.i32Add);
        l.mem(W.i64Load, 0);
        l.mem(W.i64Store, Off.X);
        clearZr(l);
      },
    );
    nextEntry(l);
  },
  [Special.MSR_FAST]: (l) => {
    const at = mapEntry(l, 2);
    ifZeroElse(
      l,
      () => l.system(SysOp.MSR),
      () => {
        l.get(PE);
        l.get(at);
        l.op(W.i32Add);
        xAddress(l);
        l.mem(W.i64Load, Off.X);
        l.mem(W.i64Store, 0);
      },
    );
    nextEntry(l);
  },
  [Special.DC_ZVA]: (l) => {
    l.loadState(Off.ZVA);
    l.op(W.i32Eqz);
    l.block(W.if);
    l.system(SysOp.SYS);
    l.op(W.else);
    const b = new Builder();
    b.zeroBlock(b.x(rtField()));
    l.instruction(b.effects);
    l.op(W.end);
    nextEntry(l);
  },
  [Special.DAIFSET]: (l) => {
    daifSlow(l, false);
    l.block(W.if);
    l.system(SysOp.MSR_IMM);
    l.op(W.else);
    setDaif(l, () => {
      l.loadState(Off.DAIF);
      immediate4(l);
      l.op(W.i32Or);
    });
    l.op(W.end);
    nextEntry(l);
  },
  [Special.DAIFCLR]: (l) => {
    daifSlow(l, true);
    l.block(W.if);
    l.system(SysOp.MSR_IMM);
    l.op(W.else);
    setDaif(l, () => {
      l.loadState(Off.DAIF);
      immediate4(l);
      l.i32(-1);
      l.op(0x73, W.i32And);
    });
    l.op(W.end);
    nextEntry(l);
  },
  [Special.MRS_DAIF]: (l) => {
    daifSlow(l, false);
    l.block(W.if);
    l.system(SysOp.MRS);
    l.op(W.else);
    xAddress(l);
    l.loadState(Off.DAIF);
    l.i32(6);
    l.op(W.i32Shl, W.extendU);
    l.mem(W.i64Store, Off.X);
    clearZr(l);
    l.op(W.end);
    nextEntry(l);
  },
  [Special.MSR_DAIF]: (l) => {
    daifSlow(l, true);
    l.block(W.if);
    l.system(SysOp.MSR);
    l.op(W.else);
    setDaif(l, () => {
      xAddress(l);
      l.mem(W.i32Load, Off.X);
      l.i32(6);
      l.op(W.i32ShrU);
      l.i32(15);
      l.op(W.i32And);
    });
    l.op(W.end);
    nextEntry(l);
  },
};

// ---- runtime functions -------------------------------------------------------------------------------------------------
type FuncBuilder = () => Func;

/** slow(pe, ip, va, kind): misaligned accesses that stay in a page of the L1 TLB; everything else by JavaScript. */
const slow: FuncBuilder = () => {
  const l = lowering(4);
  const [VA, KIND] = [2, 3];
  const entry = l.local(I32);
  // Plain kinds only: no atomic, exclusive, ordered or ZVA flag, and no alignment checking.
  l.get(KIND);
  l.i32(~(Kind.LG | Kind.STORE | Kind.PAIR | Kind.UNPRIVILEGED));
  l.op(W.i32And);
  l.loadState(Off.ALIGN);
  l.op(W.i32Or, W.i32Eqz);
  l.block(W.if);
  l.get(VA);
  l.op(W.wrap);
  l.i32(0xfff);
  l.op(W.i32And);
  l.i32(1);
  l.get(KIND);
  l.i32(Kind.LG);
  l.op(W.i32And, W.i32Shl);
  l.get(KIND);
  l.i32(4);
  l.op(W.i32ShrU);
  l.i32(1);
  l.op(W.i32And, W.i32Shl, W.i32Add);
  l.i32(4096);
  l.op(0x4d); // i32.le_u
  l.block(W.if);
  // The four current tables stand in a row: R, W, X, UR, UW.
  l.get(PE);
  l.get(KIND);
  l.i32(Kind.STORE);
  l.op(W.i32And);
  l.i32(1);
  l.op(W.i32ShrU);
  l.get(KIND);
  l.i32(Kind.UNPRIVILEGED);
  l.op(W.i32And);
  l.i32(5);
  l.op(W.i32ShrU);
  l.i32(12);
  l.op(0x6c, W.i32Add, W.i32Add); // i32.mul
  l.mem(W.i32Load, Off.TLB_R);
  l.get(VA);
  l.i64(8);
  l.op(W.i64ShrU, W.wrap);
  l.i32((TLB_ENTRIES - 1) << 4);
  l.op(W.i32And, W.i32Add);
  l.tee(entry);
  l.mem(W.i64Load, 0);
  l.get(VA);
  l.i64(-4096);
  l.op(W.i64And, W.i64Eq);
  l.block(W.if);
  l.get(entry);
  l.mem(W.i32Load, 8);
  l.get(VA);
  l.op(W.wrap, W.i32Add, W.return, W.end, W.end, W.end);
  l.get(PE);
  l.get(VA);
  l.mem(W.i64Store, Off.VA);
  leavePage(l);
  l.get(PE);
  l.get(KIND);
  l.call("miss");
  l.tee(entry);
  l.i32(-1);
  l.op(W.i32Eq);
  l.block(W.if);
  l.i32(-1);
  l.op(W.return, W.end);
  resumePage(l);
  l.get(entry);
  return l.func(Sig.slow);
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

/** The IMPLEMENTATION DEFINED pointer authentication function: a keyed 64-bit mix. Not cryptography; deterministic and fast. */
const pac: FuncBuilder = () => {
  const l = lowering(4);
  const [POINTER, MODIFIER, KEY] = [1, 2, 3];
  const h = l.local(I64);
  const key = (half: number) => {
    l.get(PE);
    l.get(KEY);
    l.op(W.i32Add);
    l.mem(W.i64Load, half * 8);
  };
  const mix = (shift: number, lo: number, hi: number) => {
    l.get(h);
    l.get(h);
    l.i64(shift);
    l.op(W.i64ShrU, 0x85);
    l.i64(lo, hi);
    l.op(0x7e);
    l.set(h);
  };
  l.get(POINTER);
  key(0);
  l.op(0x85);
  l.set(h);
  mix(32, 0x7f4a7c15, 0x9e3779b9);
  l.get(h);
  l.get(MODIFIER);
  l.op(0x85);
  key(1);
  l.op(0x85);
  l.set(h);
  mix(29, 0x1ce4e5b9, 0xbf58476d);
  mix(32, 0x133111eb, 0x94d049bb);
  l.get(h);
  l.get(h);
  l.i64(31);
  l.op(W.i64ShrU, 0x85);
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

/** jump(pe): continues at Off.PC. Answers the entry, or an exit. */
const jump: FuncBuilder = () => {
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
  l.get(PE);
  l.get(ip);
  l.call("landing");
  l.br(2, W.brIf);
  l.op(W.end);
  l.get(PE);
  l.i32(0);
  l.mem(W.i32Store, Off.BTYPE);
  l.op(W.end);
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

/** The central loop; `exact` stops after exactly the budget, instruction by instruction. */
const loop =
  (exact: boolean): FuncBuilder =>
  () => {
    const l = lowering(1);
    const ip = l.local(I32);
    l.get(PE);
    l.call("jump");
    l.set(ip);
    l.block(W.loop);
    l.get(ip);
    l.i32(0);
    l.op(W.i32GeS);
    l.block(W.if);
    l.get(PE);
    l.get(ip);
    l.get(ip);
    l.mem(W.i32Load, 4);
    l.get(ip);
    l.mem(W.i32Load, 0);
    l.op(W.callIndirect);
    l.out.uleb(Sig.handler);
    l.out.uleb(0);
    l.set(ip);
    if (exact) stopWhenSpent(l, ip);
    l.br(1);
    l.op(W.end);
    l.get(ip);
    l.i32(REDIRECT);
    l.op(W.i32Eq);
    l.block(W.if);
    l.get(PE);
    l.call("jump");
    l.set(ip);
    l.br(1);
    l.op(W.end, W.end);
    l.get(ip);
    return l.func(Sig.jump);
  };
function stopWhenSpent(l: Lowering, ip: number): void {
  const left = l.local(I32);
  l.get(ip);
  l.i32(0);
  l.op(W.i32GeS);
  l.block(W.if);
  l.loadState(Off.BUDGET);
  l.get(ip);
  l.i32(3);
  l.op(W.i32ShrU, W.i32Sub);
  l.tee(left);
  l.i32(0);
  l.op(W.i32LeS);
  l.block(W.if);
  l.get(PE);
  l.loadState(Off.PCBASE, W.i64Load);
  l.get(ip);
  l.i32(1);
  l.op(W.i32ShrU, W.extendU, W.i64Add);
  l.mem(W.i64Store, Off.PC);
  l.get(PE);
  l.get(left);
  l.mem(W.i32Store, Off.BUDGET);
  l.i32(EXIT_BUDGET);
  l.op(W.return, W.end, W.end);
}

const builders: Record<(typeof runtimeFuncs)[number], FuncBuilder> = {
  slow,
  commit,
  system,
  pac,
  crc32,
  jump,
  run: loop(false),
  step: loop(true),
};

/** Size of the handler table: handlers, and room for compiled code. */
const TABLE_MAX = 1 << 20;

/** The interpreter as a module for a memory of at most `maxPages` 64 KiB pages. */
export function generateInterpreter(memory: ModuleSpec["memory"]): Uint8Array {
  const runtime = runtimeFuncs.map((name) => builders[name]());
  const handlers: Func[] = [];
  for (let i = 0; i < Special.COUNT; i++) handlers.push(handler(special[i] as (l: Lowering) => void));
  for (let i = 0; i < variants.length; i++) handlers.push(rowHandler(i));
  if (handlers.length !== handlerCount) throw new Error("interp: handler count");
  const exported = ["run", "step", "pac"] as const;
  return assemble({
    memory,
    signatures,
    imports: runtimeImports.map(([name, type]) => ({ name, type })),
    funcs: [...runtime, ...handlers],
    exports: exported.map((name) => [name, runtimeFuncs.indexOf(name)] as const),
    table: { elements: handlers.map((_, i) => runtime.length + i), max: TABLE_MAX },
  });
}
