// From a lane operation to an instruction: which lanes the operands come from, where the results go. Every driver copies operands to
// the scratch vectors N, M, D, runs the operation over the lanes of R, and writes R back, so registers may overlap freely.
// Scalar forms (bit 28 set) are vectors of one lane.

import type { PeState } from "../../arch/state.ts";
import type { Helper } from "../helper.ts";
import { clearVec, D, loadV, M, makeVec, N, R, storeV, type Vec } from "../lanes.ts";
import type { LaneOp, Op, Op64 } from "./ops.ts";
import { flushQC } from "./saturate.ts";

const SCALAR = 1 << 28;
const Q = 1 << 30;

// The four runners are written out so that each lane access sees few array types and stays compiled.

const signedLanes = (v: Vec): readonly [Int8Array, Int16Array, Int32Array] => [v.s8, v.s16, v.s32];
const unsignedLanes = (v: Vec): readonly [Uint8Array, Uint16Array, Uint32Array] => [v.u8, v.u16, v.u32];
type Small = 0 | 1 | 2;
const [NS, MS, DS, RS] = [signedLanes(N), signedLanes(M), signedLanes(D), signedLanes(R)];
const [NU, MU, DU] = [unsignedLanes(N), unsignedLanes(M), unsignedLanes(D)];

function runSigned(op: Op, size: Small, count: number): void {
  const n = NS[size];
  const m = MS[size];
  const d = DS[size];
  const r = RS[size];
  for (let i = 0; i < count; i++) r[i] = op(n[i] as number, m[i] as number, d[i] as number, size);
}

function runUnsigned(op: Op, size: Small, count: number): void {
  const n = NU[size];
  const m = MU[size];
  const d = DU[size];
  const r = RS[size];
  for (let i = 0; i < count; i++) r[i] = op(n[i] as number, m[i] as number, d[i] as number, size);
}

function runSigned64(op: Op64, count: number): void {
  for (let i = 0; i < count; i++) R.s64[i] = op(N.s64[i] as bigint, M.s64[i] as bigint, D.s64[i] as bigint);
}

function runUnsigned64(op: Op64, count: number): void {
  for (let i = 0; i < count; i++) R.u64[i] = op(N.u64[i] as bigint, M.u64[i] as bigint, D.u64[i] as bigint);
}

/** R = op(N, M, D) for `count` lanes of 8 << size bits, size 0..3. */
export function run(o: LaneOp, size: number, count: number): void {
  if (size === 3) o.signed ? runSigned64(o.op64, count) : runUnsigned64(o.op64, count);
  else o.signed ? runSigned(o.op, size as Small, count) : runUnsigned(o.op, size as Small, count);
}

// Operand setup and write-back.

const loadN = (st: PeState, insn: number): void => loadV(st, (insn >>> 5) & 31, N);
const loadM = (st: PeState, insn: number): void => loadV(st, (insn >>> 16) & 31, M);
const loadD = (st: PeState, insn: number): void => loadV(st, insn & 31, D);

/** Lanes of 8 << size bits that the instruction works on: 1 for scalar forms, else those of 64 or 128 bits (Q). */
export function laneCount(insn: number, size: number): number {
  return insn & SCALAR ? 1 : (insn & Q ? 16 : 8) >> size;
}

/** Writes the low `bytes` (1, 2, 4, 8 or 16) of R to Vd, zero above, and FPSR.QC. */
export function finish(st: PeState, insn: number, bytes: number): void {
  if (bytes < 16) clearAbove(bytes);
  storeV(st, insn & 31, R);
  flushQC(st);
}

function clearAbove(bytes: number): void {
  const r = R.u32;
  r[3] = 0;
  r[2] = 0;
  if (bytes === 8) return;
  r[1] = 0;
  if (bytes < 4) r[0] = (r[0] as number) & ((1 << (8 * bytes)) - 1);
}

/** Fills all lanes of 8 << size bits (0..3) with an integer. */
export function splat(v: Vec, size: number, value: number): void {
  let low = value;
  if (size === 0) low = Math.imul(value & 0xff, 0x0101_0101);
  else if (size === 1) low = Math.imul(value & 0xffff, 0x1_0001);
  const high = size === 3 ? value >> 31 : low;
  const lanes = v.s32;
  lanes[0] = low;
  lanes[1] = high;
  lanes[2] = low;
  lanes[3] = high;
}

/** M = the element of the by-element form (16 or 32 bits by size), in every lane. */
function loadElement(st: PeState, insn: number, size: number): void {
  const h = (insn >>> 11) & 1;
  const l = (insn >>> 21) & 1;
  if (size === 1) {
    loadV(st, (insn >>> 16) & 15, M);
    splat(M, 1, M.u16[(h << 2) | (l << 1) | ((insn >>> 20) & 1)] as number);
  } else {
    loadV(st, (insn >>> 16) & 31, M);
    splat(M, 2, M.s32[(h << 1) | l] as number);
  }
}

/** Widens the low (or, for the "2" forms, high) half of `v` in place, from lanes of 8 << size bits to twice that. */
function extend(v: Vec, signed: boolean, size: number, high: boolean): void {
  if (high) {
    v.u32[0] = v.u32[2] as number;
    v.u32[1] = v.u32[3] as number;
  }
  if (size === 0) {
    const from = signed ? v.s8 : v.u8;
    for (let i = 7; i >= 0; i--) v.s16[i] = from[i] as number;
  } else if (size === 1) {
    const from = signed ? v.s16 : v.u16;
    for (let i = 3; i >= 0; i--) v.s32[i] = from[i] as number;
  } else {
    for (let i = 1; i >= 0; i--) {
      const low = v.s32[i] as number;
      v.s32[2 * i] = low;
      v.s32[2 * i + 1] = signed ? low >> 31 : 0;
    }
  }
}

const isHigh = (insn: number): boolean => (insn & (SCALAR | Q)) === Q;
const sizeOf = (insn: number): number => (insn >>> 22) & 3;

function finishLanes(st: PeState, insn: number, o: LaneOp, size: number): void {
  const count = laneCount(insn, size);
  run(o, size, count);
  finish(st, insn, count << size);
}

// Same width.

/** Vd = op(Vn, Vm, Vd), lane by lane. */
export const same =
  (o: LaneOp): Helper =>
  (st, insn) => {
    loadN(st, insn);
    loadM(st, insn);
    loadD(st, insn);
    finishLanes(st, insn, o, sizeOf(insn));
  };

/** Vd = op(Vn, element of Vm, Vd). */
export const byElement =
  (o: LaneOp): Helper =>
  (st, insn) => {
    loadN(st, insn);
    loadElement(st, insn, sizeOf(insn));
    loadD(st, insn);
    finishLanes(st, insn, o, sizeOf(insn));
  };

/** Vd = op(Vn, 0, Vd); `fixedSize` for rows that do not encode a size. */
export const unary =
  (o: LaneOp, fixedSize?: number): Helper =>
  (st, insn) => {
    loadN(st, insn);
    clearVec(M);
    loadD(st, insn);
    finishLanes(st, insn, o, fixedSize ?? sizeOf(insn));
  };

const CAT = makeVec(32);

/** Vd = op over neighbouring lanes of Vm:Vn. */
export const pairwise =
  (o: LaneOp): Helper =>
  (st, insn) => {
    const size = sizeOf(insn);
    loadN(st, insn);
    loadM(st, insn);
    const words = insn & Q ? 4 : 2;
    for (let i = 0; i < words; i++) {
      CAT.u32[i] = N.u32[i] as number;
      CAT.u32[words + i] = M.u32[i] as number;
    }
    split(size, laneCount(insn, size));
    finishLanes(st, insn, o, size);
  };

/** N = even lanes of CAT, M = odd lanes. */
function split(size: number, count: number): void {
  if (size === 0) splitInto(CAT.u8, N.u8, M.u8, count);
  else if (size === 1) splitInto(CAT.u16, N.u16, M.u16, count);
  else splitInto(CAT.u32, N.u32, M.u32, size === 2 ? count : 0);
  if (size !== 3) return;
  for (let i = 0; i < count; i++) {
    for (let h = 0; h < 2; h++) {
      N.u32[2 * i + h] = CAT.u32[4 * i + h] as number;
      M.u32[2 * i + h] = CAT.u32[4 * i + 2 + h] as number;
    }
  }
}

type Unsigned = Uint8Array | Uint16Array | Uint32Array;
function splitInto(from: Unsigned, even: Unsigned, odd: Unsigned, count: number): void {
  for (let i = 0; i < count; i++) {
    even[i] = from[2 * i] as number;
    odd[i] = from[2 * i + 1] as number;
  }
}

// Long, wide, pairwise long: run on lanes of twice the encoded size.

/** Vd (wide) = op(extended Vn, extended Vm, Vd). */
export const long =
  (o: LaneOp): Helper =>
  (st, insn) => {
    loadM(st, insn);
    finishLong(st, insn, o);
  };

/** Vd (wide) = op(extended Vn, extended element of Vm, Vd). */
export const longByElement =
  (o: LaneOp): Helper =>
  (st, insn) => {
    loadElement(st, insn, sizeOf(insn));
    finishLong(st, insn, o);
  };

function finishLong(st: PeState, insn: number, o: LaneOp): void {
  const size = sizeOf(insn);
  loadN(st, insn);
  loadD(st, insn);
  extend(N, o.signed, size, isHigh(insn));
  extend(M, o.signed, size, isHigh(insn));
  finishWide(st, insn, o, size + 1);
}

/** All 128 bits whatever Q says, or one lane in scalar forms. */
function finishWide(st: PeState, insn: number, o: LaneOp, size: number): void {
  const count = insn & SCALAR ? 1 : 16 >> size;
  run(o, size, count);
  finish(st, insn, count << size);
}

/** Vd (wide) = op(Vn (wide), extended Vm). */
export const wide =
  (o: LaneOp): Helper =>
  (st, insn) => {
    const size = sizeOf(insn);
    loadN(st, insn);
    loadM(st, insn);
    extend(M, o.signed, size, isHigh(insn));
    finishWide(st, insn, o, size + 1);
  };

/** Vd (wide) = op on lanes of twice the size, each of which holds a pair of Vn. */
export const pairwiseLong =
  (o: LaneOp): Helper =>
  (st, insn) => {
    loadN(st, insn);
    loadD(st, insn);
    finishLanes(st, insn, o, sizeOf(insn) + 1);
  };

/** Vd (wide) = op(extended Vn, shift): SSHLL, USHLL. */
export const longShift =
  (o: LaneOp): Helper =>
  (st, insn) => {
    const size = shiftSize(insn);
    loadN(st, insn);
    extend(N, o.signed, size, isHigh(insn));
    splat(M, size + 1, immhb(insn) - (8 << size));
    finishWide(st, insn, o, size + 1);
  };

/** SHLL: shift left by the lane size. */
export const longShiftBySize =
  (o: LaneOp): Helper =>
  (st, insn) => {
    const size = sizeOf(insn);
    loadN(st, insn);
    extend(N, o.signed, size, isHigh(insn));
    splat(M, size + 1, 8 << size);
    finishWide(st, insn, o, size + 1);
  };

// Shift by immediate: the amount goes to every lane of M, negative for right shifts.

const immhb = (insn: number): number => (insn >>> 16) & 0x7f;
const shiftSize = (insn: number): number => 28 - Math.clz32(immhb(insn));

export const shiftLeft =
  (o: LaneOp): Helper =>
  (st, insn) => {
    const size = shiftSize(insn);
    loadN(st, insn);
    loadD(st, insn);
    splat(M, size, immhb(insn) - (8 << size));
    finishLanes(st, insn, o, size);
  };

export const shiftRight =
  (o: LaneOp): Helper =>
  (st, insn) => {
    const size = shiftSize(insn);
    loadN(st, insn);
    loadD(st, insn);
    splat(M, size, immhb(insn) - (16 << size));
    finishLanes(st, insn, o, size);
  };

// Narrow: run on lanes of twice the size, then pack one half of each.

/** Packs the low (or high) halves of the wide lanes of R and writes them to Vd, or for the "2" forms to its upper half. */
function finishNarrow(st: PeState, insn: number, size: number, highHalves: boolean): void {
  const offset = highHalves ? 1 : 0;
  if (size === 0) for (let i = 0; i < 8; i++) R.u8[i] = R.u8[2 * i + offset] as number;
  else if (size === 1) for (let i = 0; i < 4; i++) R.u16[i] = R.u16[2 * i + offset] as number;
  else for (let i = 0; i < 2; i++) R.u32[i] = R.u32[2 * i + offset] as number;
  if (isHigh(insn)) {
    R.u32[2] = R.u32[0] as number;
    R.u32[3] = R.u32[1] as number;
    loadD(st, insn);
    R.u32[0] = D.u32[0] as number;
    R.u32[1] = D.u32[1] as number;
    finish(st, insn, 16);
  } else finish(st, insn, insn & SCALAR ? 1 << size : 8);
}

/** Vd (narrow) = low half of op(Vn, 0). */
export const narrow =
  (o: LaneOp): Helper =>
  (st, insn) => {
    const size = sizeOf(insn);
    loadN(st, insn);
    clearVec(M);
    run(o, size + 1, insn & SCALAR ? 1 : 8 >> size);
    finishNarrow(st, insn, size, false);
  };

/** Vd (narrow) = low half of op(Vn, -shift). */
export const narrowShift =
  (o: LaneOp): Helper =>
  (st, insn) => {
    const size = shiftSize(insn);
    loadN(st, insn);
    splat(M, size + 1, immhb(insn) - (16 << size));
    run(o, size + 1, insn & SCALAR ? 1 : 8 >> size);
    finishNarrow(st, insn, size, false);
  };

/** Vd (narrow) = high half of op(Vn, Vm), with half a unit added first when `rounding`. */
export const narrowHigh =
  (o: LaneOp, rounding: boolean): Helper =>
  (st, insn) => {
    const size = sizeOf(insn);
    loadN(st, insn);
    loadM(st, insn);
    run(o, size + 1, 8 >> size);
    if (rounding) addHalfUnit(size);
    finishNarrow(st, insn, size, true);
  };

function addHalfUnit(size: number): void {
  if (size === 0) for (let i = 0; i < 8; i++) R.u16[i] = (R.u16[i] as number) + 0x80;
  else if (size === 1) for (let i = 0; i < 4; i++) R.u32[i] = (R.u32[i] as number) + 0x8000;
  else for (let i = 0; i < 2; i++) R.u64[i] = (R.u64[i] as bigint) + 0x8000_0000n;
}

// Across lanes.

/** Vd = op folded over all lanes of Vn; `grow` = 1 when the result lane is twice as wide. `signed` comes from the operation. */
export const across =
  (o: LaneOp, grow: 0 | 1): Helper =>
  (st, insn) => {
    const size = sizeOf(insn) as Small;
    loadN(st, insn);
    const lanes = o.signed ? NS[size] : NU[size];
    const count = laneCount(insn, size);
    let r = lanes[0] as number;
    for (let i = 1; i < count; i++) r = o.op(r, lanes[i] as number, 0, size);
    R.s32[0] = r;
    R.s32[1] = grow === 1 ? Math.floor(r / 2 ** 32) : 0;
    finish(st, insn, 1 << (size + grow));
  };
