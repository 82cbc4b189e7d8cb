// AES round steps (FIPS 197). The state is column-major: byte 4c + r is row r of column c. Tables are computed, not listed.

import type { PeState } from "../../arch/state.ts";
import { lazy } from "../../util/lazy.ts";
import type { Helper, HelperTable } from "../helper.ts";
import { D, loadV, N, R } from "../lanes.ts";
import { finish } from "./drivers.ts";

/** Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
function gfMultiply(a: number, b: number): number {
  let r = 0;
  for (let x = a, y = b; y; y >>= 1) {
    if (y & 1) r ^= x;
    x = (x << 1) ^ (x & 0x80 ? 0x11b : 0);
  }
  return r;
}

function makeSBox(): Uint8Array {
  const box = new Uint8Array(256);
  for (let v = 0; v < 256; v++) {
    let inverse = 0;
    while (v !== 0 && gfMultiply(v, inverse) !== 1) inverse++;
    const wide = inverse * 0x101;
    box[v] = inverse ^ (wide >> 4) ^ (wide >> 5) ^ (wide >> 6) ^ (wide >> 7) ^ 0x63;
  }
  return box;
}

/** The AES S-box and its inverse. */
const sBox = lazy(makeSBox);
const inverseSBox = lazy(() => {
  const inverse = new Uint8Array(256);
  sBox().forEach((s, v) => {
    inverse[s] = v;
  });
  return inverse;
});

/** ShiftRows moves row r left by r columns, its inverse right. */
const SHIFT_ROWS = Uint8Array.from({ length: 16 }, (_, i) => (i + 4 * (i & 3)) & 15);
const INVERSE_SHIFT_ROWS = Uint8Array.from({ length: 16 }, (_, i) => (i - 4 * (i & 3)) & 15);

function loadXored(st: PeState, insn: number): void {
  loadV(st, insn & 31, D);
  loadV(st, (insn >>> 5) & 31, N);
  for (let i = 0; i < 4; i++) D.s32[i] = (D.s32[i] as number) ^ (N.s32[i] as number);
}

const substitute =
  (table: () => Uint8Array, rows: Uint8Array): Helper =>
  (st, insn) => {
    const box = table();
    loadXored(st, insn);
    for (let i = 0; i < 16; i++) R.u8[i] = box[D.u8[rows[i] as number] as number] as number;
    finish(st, insn, 16);
  };

/** Each byte of `w` times x. */
const timesX = (w: number): number => ((w << 1) & 0xfefe_fefe) ^ Math.imul((w >>> 7) & 0x0101_0101, 0x1b);
const rotate = (w: number, n: number): number => (w >>> n) | (w << (32 - n));

/** One column: 2, 3, 1, 1 times bytes i, i+1, i+2, i+3. */
function mixColumn(w: number): number {
  const next = rotate(w, 8);
  return timesX(w ^ next) ^ next ^ rotate(w, 16) ^ rotate(w, 24);
}

/** The inverse matrix is the forward one times (5, 0, 4, 0). */
function inverseMixColumn(w: number): number {
  return mixColumn(w ^ timesX(timesX(w ^ rotate(w, 16))));
}

const columns =
  (mix: (w: number) => number): Helper =>
  (st, insn) => {
    loadV(st, (insn >>> 5) & 31, N);
    for (let i = 0; i < 4; i++) R.s32[i] = mix(N.s32[i] as number);
    finish(st, insn, 16);
  };

// biome-ignore format: one row per line
export const aes: HelperTable = {
  AESEV:   substitute(sBox, SHIFT_ROWS),
  AESDV:   substitute(inverseSBox, INVERSE_SHIFT_ROWS),
  AESMCV:  columns(mixColumn),
  AESIMCV: columns(inverseMixColumn),
};
