// Registers as the floating-point helpers see them: byte offsets into the PE's memory, and a scratch area for instructions whose
// destination may overlap lanes still to be read.

import { Off } from "../../arch/layout.ts";
import type { PeState } from "../../arch/state.ts";
import { FType } from "./format.ts";

/** Byte offsets (absolute) of the V registers named by an instruction word. */
export function vd(st: PeState, insn: number): number {
  return st.base + Off.V + ((insn & 31) << 4);
}
export function vn(st: PeState, insn: number): number {
  return st.base + Off.V + ((insn >>> 1) & 0x1f0);
}
export function vm(st: PeState, insn: number): number {
  return st.base + Off.V + ((insn >>> 12) & 0x1f0);
}
export function va(st: PeState, insn: number): number {
  return st.base + Off.V + ((insn >>> 6) & 0x1f0);
}

/** Zeroes the V register at byte offset `d` above a scalar of type `t`. */
export function clearAboveScalar(st: PeState, d: number, t: FType): void {
  const w = st.u32;
  const i = d >>> 2;
  if (t >= FType.Half) w[i] = (w[i] as number) & 0xffff;
  if (t !== FType.Double) w[i + 1] = 0;
  w[i + 2] = 0;
  w[i + 3] = 0;
}
/** Zeroes the upper half of the V register at byte offset `d` when Q (bit 30 of the instruction) is 0. */
export function clearAboveVector(st: PeState, d: number, insn: number): void {
  if ((insn & 0x4000_0000) !== 0) return;
  st.u32[(d >>> 2) + 2] = 0;
  st.u32[(d >>> 2) + 3] = 0;
}
/** Bytes in the vector arrangement: 8, or 16 when Q = 1. */
export function vectorBytes(insn: number): number {
  return (insn & 0x4000_0000) !== 0 ? 16 : 8;
}

/** Writes general register `r` (31: discarded) from its halves. */
export function writeX(st: PeState, r: number, lo: number, hi: number): void {
  if (r !== 31) st.setLoHi(Off.X + 8 * r, lo, hi);
}

/** Does condition `cond` (0..15) hold for `nzcv` (bits 31..28)? */
export function conditionHolds(cond: number, nzcv: number): boolean {
  if (cond >= 14) return true;
  return baseCondition(cond >>> 1, nzcv) !== ((cond & 1) !== 0);
}
function baseCondition(pair: number, nzcv: number): boolean {
  const n = nzcv >>> 31 !== 0;
  const z = (nzcv & 0x4000_0000) !== 0;
  const c = (nzcv & 0x2000_0000) !== 0;
  const v = (nzcv & 0x1000_0000) !== 0;
  switch (pair) {
    case 0:
      return z;
    case 1:
      return c;
    case 2:
      return n;
    case 3:
      return v;
    case 4:
      return c && !z;
    case 5:
      return n === v;
    default:
      return n === v && !z;
  }
}

/** Scratch operands; each area holds one 16-byte register. */
export const At = { N: 0, M: 16, D: 32, T: 48 } as const;
const words = new Uint32Array(20);
export const scratch = new DataView(words.buffer);

/** Copies the 16-byte register at `from` (absolute) to scratch offset `to`. */
export function copyIn(st: PeState, from: number, to: number): void {
  const w = st.u32;
  const i = from >>> 2;
  const j = to >>> 2;
  words[j] = w[i] as number;
  words[j + 1] = w[i + 1] as number;
  words[j + 2] = w[i + 2] as number;
  words[j + 3] = w[i + 3] as number;
}
/** Copies 16 bytes at scratch offset `from` to the register at `to` (absolute). */
export function copyOut(st: PeState, from: number, to: number): void {
  const w = st.u32;
  const i = to >>> 2;
  const j = from >>> 2;
  w[i] = words[j] as number;
  w[i + 1] = words[j + 1] as number;
  w[i + 2] = words[j + 2] as number;
  w[i + 3] = words[j + 3] as number;
}

/** Element number and register of a by-element operand (bits H = 11, L = 21, M = 20), as its scratch offset after copying it to At.M. */
export function copyElement(st: PeState, insn: number, t: FType): number {
  const h = (insn >>> 11) & 1;
  const l = (insn >>> 21) & 1;
  const m = (insn >>> 20) & 1;
  const reg = (insn >>> 16) & (t === FType.Half ? 15 : 31);
  copyIn(st, st.base + Off.V + 16 * reg, At.M);
  if (t === FType.Half) return At.M + 2 * (h * 4 + l * 2 + m);
  return At.M + (t === FType.Double ? 8 * h : 4 * (h * 2 + l));
}
