// Sums of products of 8-bit lanes (dot product, 2x8 by 8x2 matrix multiply) and polynomial long multiplication.

import type { PeState } from "../../arch/state.ts";
import type { Helper, HelperTable } from "../helper.ts";
import { D, loadV, M, N, R } from "../lanes.ts";
import { finish, long, splat } from "./drivers.ts";
import { pmul } from "./ops.ts";

const Q = 1 << 30;
type Bytes = Int8Array | Uint8Array;

/** Sum of `count` products a[at + i] * b[bt + i]. */
function dot(a: Bytes, at: number, b: Bytes, bt: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += (a[at + i] as number) * (b[bt + i] as number);
  return sum;
}

function load(st: PeState, insn: number): void {
  loadV(st, (insn >>> 5) & 31, N);
  loadV(st, (insn >>> 16) & 31, M);
  loadV(st, insn & 31, D);
}

function dots(st: PeState, insn: number, n: Bytes, m: Bytes): void {
  for (let i = 0; i < 4; i++) R.s32[i] = (D.s32[i] as number) + dot(n, 4 * i, m, 4 * i, 4);
  finish(st, insn, insn & Q ? 16 : 8);
}

/** Vd.S += the four byte products that lie in each 32-bit lane. */
const dotVector =
  (n: Bytes, m: Bytes): Helper =>
  (st, insn) => {
    load(st, insn);
    dots(st, insn, n, m);
  };

/** The same with one 32-bit element (H:L) of Vm. */
const dotElement =
  (n: Bytes, m: Bytes): Helper =>
  (st, insn) => {
    load(st, insn);
    splat(M, 2, M.s32[((insn >>> 10) & 2) | ((insn >>> 21) & 1)] as number);
    dots(st, insn, n, m);
  };

/** Vd (2x2 words) += Vn (2x8 bytes) times Vm (2x8 bytes) transposed. */
const matrix =
  (n: Bytes, m: Bytes): Helper =>
  (st, insn) => {
    load(st, insn);
    for (let i = 0; i < 4; i++) R.s32[i] = (D.s32[i] as number) + dot(n, 8 * (i >> 1), m, 8 * (i & 1), 8);
    finish(st, insn, 16);
  };

/** Multiples of the first factor by 0..15, three words each (67 bits). */
const MULTIPLES = new Int32Array(16 * 3);

/** R = product of polynomials over {0,1}, 64 by 64 bits, four bits of both words of `b` at a time. */
function multiplyPolynomials(a0: number, a1: number, b0: number, b1: number): void {
  const t = MULTIPLES;
  t[3] = a0;
  t[4] = a1;
  for (let i = 2; i < 16; i += 2) {
    const h = 3 * (i >> 1);
    const [x, y, z] = [t[h] as number, t[h + 1] as number, t[h + 2] as number];
    const o = 3 * i;
    t[o] = x << 1;
    t[o + 1] = (y << 1) | (x >>> 31);
    t[o + 2] = (z << 1) | (y >>> 31);
    t[o + 3] = (t[o] as number) ^ a0;
    t[o + 4] = (t[o + 1] as number) ^ a1;
    t[o + 5] = t[o + 2] as number;
  }
  let [r0, r1, r2, r3] = [0, 0, 0, 0];
  for (let shift = 28; shift >= 0; shift -= 4) {
    const i = 3 * ((b0 >>> shift) & 15);
    const j = 3 * ((b1 >>> shift) & 15);
    r3 = (r3 << 4) | (r2 >>> 28);
    r2 = (r2 << 4) | (r1 >>> 28);
    r1 = (r1 << 4) | (r0 >>> 28);
    r0 = (r0 << 4) ^ (t[i] as number);
    r1 ^= (t[i + 1] as number) ^ (t[j] as number);
    r2 ^= (t[i + 2] as number) ^ (t[j + 1] as number);
    r3 ^= t[j + 2] as number;
  }
  const r = R.s32;
  r[0] = r0;
  r[1] = r1;
  r[2] = r2;
  r[3] = r3;
}

const pmullBytes = long(pmul);

const pmull: Helper = (st, insn) => {
  if (((insn >>> 22) & 3) === 0) {
    pmullBytes(st, insn);
    return;
  }
  loadV(st, (insn >>> 5) & 31, N);
  loadV(st, (insn >>> 16) & 31, M);
  const at = insn & Q ? 2 : 0;
  multiplyPolynomials(N.s32[at] as number, N.s32[at + 1] as number, M.s32[at] as number, M.s32[at + 1] as number);
  finish(st, insn, 16);
};

// biome-ignore format: one row per line
export const products: HelperTable = {
  SDOTV_VEC:   dotVector(N.s8, M.s8),   SDOTV_ELT:  dotElement(N.s8, M.s8),
  UDOTV_VEC:   dotVector(N.u8, M.u8),   UDOTV_ELT:  dotElement(N.u8, M.u8),
  USDOTV_VEC:  dotVector(N.u8, M.s8),   USDOTV_ELT: dotElement(N.u8, M.s8),
  SUDOTV_ELT:  dotElement(N.s8, M.u8),
  SMMLAV_VEC:  matrix(N.s8, M.s8),
  UMMLAV_VEC:  matrix(N.u8, M.u8),
  USMMLAV_VEC: matrix(N.u8, M.s8),
  PMULLV:      pmull,
};
