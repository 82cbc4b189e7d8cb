// Rows that combine lanes: complex arithmetic (FEAT_FCMA), half to single multiply-add (FEAT_FHM), BFloat16 (FEAT_BF16).

import type { PeState } from "../../arch/state.ts";
import type { Helper, HelperTable } from "../helper.ts";
import * as arith from "./arith.ts";
import { dotAdd } from "./bf16.ts";
import { begin, end, env } from "./env.ts";
import { FType, type Lane3, sizeLog } from "./format.ts";
import { halfValue } from "./host.ts";
import { At, clearAboveVector, copyElement, copyIn, copyOut, scratch, vd, vectorBytes, vm, vn } from "./regs.ts";

const SINGLE = FType.Single;

/** `size` field 1, 2, 3 as a type. */
function typeOfSize(insn: number): FType {
  const size = (insn >>> 22) & 3;
  return size === 1 ? FType.Half : size === 2 ? FType.Single : FType.Double;
}

/** Copies the operand at At.M with every sign flipped to At.T. */
function negateM(t: FType): void {
  const step = 1 << sizeLog[t];
  for (let i = 0; i < 16; i += step) arith.neg[t](scratch, At.T + i, At.M + i);
}

/** FCADD: Vn plus Vm rotated by 90 (rot = 0) or 270 degrees. */
const fcadd: Helper = (st, insn) => {
  begin(st);
  const t = typeOfSize(insn);
  const step = 1 << sizeLog[t];
  const add = arith.add[t];
  copyIn(st, vn(st, insn), At.N);
  copyIn(st, vm(st, insn), At.M);
  negateM(t);
  const rotate270 = (insn & (1 << 12)) !== 0;
  const forReal = rotate270 ? At.M : At.T;
  const forImaginary = rotate270 ? At.T : At.M;
  for (let i = 0; i < vectorBytes(insn); i += 2 * step) {
    add(scratch, At.D + i, At.N + i, forReal + i + step);
    add(scratch, At.D + i + step, At.N + i + step, forImaginary + i);
  }
  copyOut(st, At.D, vd(st, insn));
  clearAboveVector(st, vd(st, insn), insn);
  end(st);
};

/** FCMLA: Vd plus one half of the complex product; `rot` chooses the part of Vn, the part of Vm and the signs. `pair`: fixed pair of Vm, or -1. */
function complexMultiply(st: PeState, insn: number, t: FType, rot: number, pair: number): void {
  const step = 1 << sizeLog[t];
  const fma = arith.fmadd[t];
  const d = vd(st, insn);
  copyIn(st, vn(st, insn), At.N);
  copyIn(st, d, At.D);
  negateM(t);
  const partN = (rot & 1) * step;
  const realM = (rot === 1 || rot === 2 ? At.T : At.M) + partN;
  const imaginaryM = (rot >= 2 ? At.T : At.M) + step - partN;
  for (let i = 0; i < vectorBytes(insn); i += 2 * step) {
    const m = pair < 0 ? i : 2 * step * pair;
    fma(scratch, At.D + i, At.N + i + partN, realM + m, At.D + i);
    fma(scratch, At.D + i + step, At.N + i + partN, imaginaryM + m, At.D + i + step);
  }
  copyOut(st, At.D, d);
  clearAboveVector(st, d, insn);
}
const fcmlaVector: Helper = (st, insn) => {
  begin(st);
  copyIn(st, vm(st, insn), At.M);
  complexMultiply(st, insn, typeOfSize(insn), (insn >>> 11) & 3, -1);
  end(st);
};
const fcmlaElement: Helper = (st, insn) => {
  begin(st);
  const t = typeOfSize(insn);
  const h = (insn >>> 11) & 1;
  const l = (insn >>> 21) & 1;
  copyIn(st, vm(st, insn), At.M);
  complexMultiply(st, insn, t, (insn >>> 13) & 3, t === FType.Half ? h * 2 + l : h);
  end(st);
};

/** Half precision encoding to the single of the same value (signalling NaNs stay signalling); denormals flushed by FZ16. */
function widenHalf(to: number, h: number): void {
  const sign = (h & 0x8000) << 16;
  const frac = h & 0x3ff;
  if ((h & 0x7c00) === 0x7c00) scratch.setUint32(to, sign | 0x7f80_0000 | (frac << 13), true);
  else if ((h & 0x7c00) === 0 && env.fz16) scratch.setUint32(to, sign, true);
  else scratch.setFloat32(to, halfValue(h), true);
}

/** FMLAL, FMLSL and their second parts: products of half precision lanes added to single precision lanes. */
function multiplyLong(op: Lane3, upper: boolean, byElement: boolean): Helper {
  return (st, insn) => {
    begin(st);
    const d = vd(st, insn);
    const bytes = vectorBytes(insn);
    const offset = upper ? bytes / 2 : 0;
    copyIn(st, vn(st, insn), At.N);
    copyIn(st, d, At.D);
    let element = -1;
    if (byElement) element = scratch.getUint16(copyElement(st, insn, FType.Half), true);
    else copyIn(st, vm(st, insn), At.M);
    for (let i = 0; i < bytes; i += 4) {
      widenHalf(At.T, scratch.getUint16(At.N + offset + i / 2, true));
      widenHalf(At.T + 4, element >= 0 ? element : scratch.getUint16(At.M + offset + i / 2, true));
      op(scratch, At.D + i, At.T, At.T + 4, At.D + i);
    }
    copyOut(st, At.D, d);
    clearAboveVector(st, d, insn);
    end(st);
  };
}

/** BFMLALB, BFMLALT (Q selects even or odd lanes of Vn and Vm). */
function bfmlal(byElement: boolean): Helper {
  return (st, insn) => {
    begin(st);
    const d = vd(st, insn);
    const part = (insn & 0x4000_0000) !== 0 ? 2 : 0;
    copyIn(st, vn(st, insn), At.N);
    copyIn(st, d, At.D);
    const element = byElement ? copyElement(st, insn, FType.Half) : -1;
    if (!byElement) copyIn(st, vm(st, insn), At.M);
    for (let i = 0; i < 16; i += 4) {
      // A BFloat16 number is the upper half of the single of the same value.
      scratch.setUint32(At.T, scratch.getUint16(At.N + i + part, true) << 16, true);
      scratch.setUint32(At.T + 4, scratch.getUint16(byElement ? element : At.M + i + part, true) << 16, true);
      arith.fmadd[SINGLE](scratch, At.D + i, At.T, At.T + 4, At.D + i);
    }
    copyOut(st, At.D, d);
    end(st);
  };
}

/** dotAdd of the single at `d` with the BFloat16 pairs at `n` and `m`, all scratch offsets. */
function dot(d: number, n: number, m: number): void {
  const a0 = scratch.getUint16(n, true);
  const a1 = scratch.getUint16(n + 2, true);
  const b0 = scratch.getUint16(m, true);
  const b1 = scratch.getUint16(m + 2, true);
  scratch.setUint32(d, dotAdd(scratch.getUint32(d, true), a0, a1, b0, b1), true);
}
function bfdot(byElement: boolean): Helper {
  return (st, insn) => {
    const d = vd(st, insn);
    copyIn(st, vn(st, insn), At.N);
    copyIn(st, d, At.D);
    // The element is a pair, numbered and encoded as a 32-bit element.
    const element = byElement ? copyElement(st, insn, SINGLE) : -1;
    if (!byElement) copyIn(st, vm(st, insn), At.M);
    for (let i = 0; i < vectorBytes(insn); i += 4) dot(At.D + i, At.N + i, byElement ? element : At.M + i);
    copyOut(st, At.D, d);
    clearAboveVector(st, d, insn);
  };
}
/** BFMMLA: 2x4 by 4x2 matrices, 2x2 sums. */
const bfmmla: Helper = (st, insn) => {
  const d = vd(st, insn);
  copyIn(st, vn(st, insn), At.N);
  copyIn(st, vm(st, insn), At.M);
  copyIn(st, d, At.D);
  for (let i = 0; i < 2; i++) {
    for (let j = 0; j < 2; j++) {
      for (let k = 0; k < 2; k++) dot(At.D + 8 * i + 4 * j, At.N + 8 * i + 4 * k, At.M + 8 * j + 4 * k);
    }
  }
  copyOut(st, At.D, d);
};

export const complexRows: HelperTable = {
  FCADDV_VEC: fcadd,
  FCMLAV_VEC: fcmlaVector,
  FCMLAV_ELT: fcmlaElement,
  FMLALV_VEC: multiplyLong(arith.fmadd[SINGLE], false, false),
  FMLAL2V_VEC: multiplyLong(arith.fmadd[SINGLE], true, false),
  FMLSLV_VEC: multiplyLong(arith.fmsub[SINGLE], false, false),
  FMLSL2V_VEC: multiplyLong(arith.fmsub[SINGLE], true, false),
  FMLALV_ELT: multiplyLong(arith.fmadd[SINGLE], false, true),
  FMLAL2V_ELT: multiplyLong(arith.fmadd[SINGLE], true, true),
  FMLSLV_ELT: multiplyLong(arith.fmsub[SINGLE], false, true),
  FMLSL2V_ELT: multiplyLong(arith.fmsub[SINGLE], true, true),
  BFMLALV_VEC: bfmlal(false),
  BFMLALV_ELT: bfmlal(true),
  BFDOTV_VEC: bfdot(false),
  BFDOTV_ELT: bfdot(true),
  BFMMLAV: bfmmla,
};
