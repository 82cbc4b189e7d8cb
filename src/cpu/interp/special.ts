// Handlers that are not rows of the instruction table (see handlers.ts, Special).

import { Off } from "../../arch/layout.ts";
import { Builder } from "../../ir/builder.ts";
import { I32, I64, Op, Value } from "../../ir/value.ts";
import { SysOp } from "../../isa/sysops.ts";
import type { Func } from "../../wasm/module.ts";
import { INSN, IP, type Lowering, PE } from "../emit/lower.ts";
import { W } from "../emit/opcodes.ts";
import { Sig } from "../emit/runtime-abi.ts";
import { Special } from "./handlers.ts";
import { leavePage, lowering, nextEntry, REDIRECT, resumePage } from "./page.ts";

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

const rtField = () => new Value(Op.Field, I32, undefined, undefined, undefined, 0, 5);

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
  // Memory is one coherent copy: an address that reads find in the L1 TLB needs nothing done.
  [Special.CMO_VA]: (l) => {
    const va = l.local(I64);
    xAddress(l);
    l.mem(W.i64Load, Off.X);
    l.set(va);
    l.loadState(Off.CMO_VA);
    l.readable(va);
    l.op(W.i32And, W.i32Eqz);
    l.block(W.if);
    l.system(SysOp.SYS);
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

/** The code of a special handler; it leaves the handler's answer on the stack. */
export const specialBody = (l: Lowering, index: number): void => (special[index] as (l: Lowering) => void)(l);

/** The special handlers, by index. */
export const specialHandlers = (): Func[] => Array.from({ length: Special.COUNT }, (_, i) => handler((l) => specialBody(l, i)));
