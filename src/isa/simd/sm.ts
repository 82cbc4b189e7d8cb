// SM3 hash (GB/T 32905) and SM4 block cipher (GB/T 32907) steps.

import type { PeState } from "../../arch/state.ts";
import { lazy } from "../../util/lazy.ts";
import type { Helper, HelperTable } from "../helper.ts";
import { clearVec, D, loadV, M, makeVec, N, R, type Vec } from "../lanes.ts";
import { finish } from "./drivers.ts";

const rol = (w: number, n: number): number => (w << n) | (w >>> (32 - n));
const majority = (x: number, y: number, z: number): number => (x & y) | ((x | y) & z);
const choose = (x: number, y: number, z: number): number => ((y ^ z) & x) ^ z;
const parity = (x: number, y: number, z: number): number => x ^ y ^ z;
const word = (v: Vec, i: number): number => v.s32[i] as number;

function load(st: PeState, insn: number): void {
  loadV(st, (insn >>> 5) & 31, N);
  loadV(st, (insn >>> 16) & 31, M);
  loadV(st, insn & 31, D);
}

// SM3.

/** Permutation P1 of the message expansion. */
const p1 = (w: number): number => w ^ rol(w, 15) ^ rol(w, 23);

const sm3partw1: Helper = (st, insn) => {
  load(st, insn);
  for (let i = 0; i < 4; i++) {
    const later = i < 3 ? word(M, i + 1) : word(R, 0);
    R.s32[i] = p1(word(D, i) ^ word(N, i) ^ rol(later, 15));
  }
  finish(st, insn, 16);
};

const sm3partw2: Helper = (st, insn) => {
  load(st, insn);
  for (let i = 0; i < 4; i++) R.s32[i] = word(D, i) ^ word(N, i) ^ rol(word(M, i), 7);
  R.s32[3] = word(R, 3) ^ p1(rol(word(N, 0) ^ rol(word(M, 0), 7), 15));
  finish(st, insn, 16);
};

const A = makeVec();
const sm3ss1: Helper = (st, insn) => {
  load(st, insn);
  loadV(st, (insn >>> 10) & 31, A);
  clearVec(R);
  R.s32[3] = rol((rol(word(N, 3), 12) + word(M, 3) + word(A, 3)) | 0, 7);
  finish(st, insn, 16);
};

type Mix = (x: number, y: number, z: number) => number;

/** Half of a round: words d..a of Vd shift down, `rotation` on the third, and the new word is `last` of the sum. */
const half =
  (mix: Mix, first: boolean): Helper =>
  (st, insn) => {
    load(st, insn);
    const [d, c, b, a] = [word(D, 0), word(D, 1), word(D, 2), word(D, 3)];
    const added = first ? word(N, 3) ^ rol(a, 12) : word(N, 3);
    const sum = (mix(a, b, c) + d + added + word(M, (insn >>> 12) & 3)) | 0;
    R.s32[0] = c;
    R.s32[1] = rol(b, first ? 9 : 19);
    R.s32[2] = a;
    R.s32[3] = first ? sum : sum ^ rol(sum, 9) ^ rol(sum, 17);
    finish(st, insn, 16);
  };

// SM4. Its S-box is affine, inverse, affine in GF(2^8) modulo x^8+x^7+x^6+x^5+x^4+x^2+1.

function gfMultiply(a: number, b: number): number {
  let r = 0;
  for (let x = a, y = b; y; y >>= 1) {
    if (y & 1) r ^= x;
    x = (x << 1) ^ (x & 0x80 ? 0x1f5 : 0);
  }
  return r;
}

function affine(v: number): number {
  const w = v * 0x101;
  return (w ^ (w >> 1) ^ (w >> 2) ^ (w >> 5) ^ (w >> 7) ^ 0xd3) & 0xff;
}

function makeSBox(): Uint8Array {
  const box = new Uint8Array(256);
  for (let v = 0; v < 256; v++) {
    const x = affine(v);
    let inverse = 0;
    while (x !== 0 && gfMultiply(x, inverse) !== 1) inverse++;
    box[v] = affine(inverse);
  }
  return box;
}

const sBox = lazy(makeSBox);

const substituteByte = (w: number, shift: number): number => (sBox()[(w >>> shift) & 0xff] as number) << shift;
const substitute = (w: number): number => substituteByte(w, 0) | substituteByte(w, 8) | substituteByte(w, 16) | substituteByte(w, 24);
const cipherLinear = (w: number): number => w ^ rol(w, 2) ^ rol(w, 10) ^ rol(w, 18) ^ rol(w, 24);
const keyLinear = (w: number): number => w ^ rol(w, 13) ^ rol(w, 23);

/** Four rounds on `state` with the four words of `keys`. */
function sm4Rounds(st: PeState, insn: number, state: Vec, keys: Vec, linear: (w: number) => number): void {
  let [x0, x1, x2, x3] = [word(state, 0), word(state, 1), word(state, 2), word(state, 3)];
  for (let i = 0; i < 4; i++) {
    const next = x0 ^ linear(substitute(x1 ^ x2 ^ x3 ^ word(keys, i)));
    x0 = x1;
    x1 = x2;
    x2 = x3;
    x3 = next;
  }
  R.s32[0] = x0;
  R.s32[1] = x1;
  R.s32[2] = x2;
  R.s32[3] = x3;
  finish(st, insn, 16);
}

const sm4e: Helper = (st, insn) => {
  load(st, insn);
  sm4Rounds(st, insn, D, N, cipherLinear);
};

const sm4ekey: Helper = (st, insn) => {
  load(st, insn);
  sm4Rounds(st, insn, N, M, keyLinear);
};

// biome-ignore format: one row per line
export const sm: HelperTable = {
  SM3PARTW1V: sm3partw1,
  SM3PARTW2V: sm3partw2,
  SM3SS1V:    sm3ss1,
  SM3TT1AV:   half(parity, true),
  SM3TT1BV:   half(majority, true),
  SM3TT2AV:   half(parity, false),
  SM3TT2BV:   half(choose, false),
  SM4EV:      sm4e,
  SM4EKEYV:   sm4ekey,
};
