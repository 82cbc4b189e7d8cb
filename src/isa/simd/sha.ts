// Hash steps: SHA-1 and SHA-256 (FIPS 180-4) in 32-bit words, SHA-512 in 64-bit words, and the SHA-3 helpers (FIPS 202).

import type { PeState } from "../../arch/state.ts";
import type { Helper, HelperTable } from "../helper.ts";
import { D, loadV, M, makeVec, N, R, type Vec } from "../lanes.ts";
import { finish } from "./drivers.ts";

const rol = (w: number, n: number): number => (w << n) | (w >>> (32 - n));
const ror = (w: number, n: number): number => (w >>> n) | (w << (32 - n));
const choose = (x: number, y: number, z: number): number => ((y ^ z) & x) ^ z;
const parity = (x: number, y: number, z: number): number => x ^ y ^ z;
const majority = (x: number, y: number, z: number): number => (x & y) | ((x | y) & z);

/** Vn, Vm and Vd into the scratch vectors; rows without Vm have fixed bits there and ignore M. */
function load(st: PeState, insn: number): void {
  loadV(st, (insn >>> 5) & 31, N);
  loadV(st, (insn >>> 16) & 31, M);
  loadV(st, insn & 31, D);
}

function result(st: PeState, insn: number, w0: number, w1: number, w2: number, w3: number): void {
  const r = R.s32;
  r[0] = w0;
  r[1] = w1;
  r[2] = w2;
  r[3] = w3;
  finish(st, insn, 16);
}

const word = (v: Vec, i: number): number => v.s32[i] as number;

/** Four rounds of SHA-1: Vd holds a..d, Sn holds e, Vm four schedule words with the constant added. */
const sha1Rounds =
  (f: (x: number, y: number, z: number) => number): Helper =>
  (st, insn) => {
    load(st, insn);
    let a = word(D, 0);
    let b = word(D, 1);
    let c = word(D, 2);
    let d = word(D, 3);
    let e = word(N, 0);
    for (let i = 0; i < 4; i++) {
      const t = (rol(a, 5) + f(b, c, d) + e + word(M, i)) | 0;
      e = d;
      d = c;
      c = rol(b, 30);
      b = a;
      a = t;
    }
    result(st, insn, a, b, c, d);
  };

const sha1h: Helper = (st, insn) => {
  loadV(st, (insn >>> 5) & 31, N);
  R.s32[0] = rol(word(N, 0), 30);
  finish(st, insn, 4);
};

const sha1su0: Helper = (st, insn) => {
  load(st, insn);
  const d0 = word(D, 0);
  const d1 = word(D, 1);
  const d2 = word(D, 2);
  const d3 = word(D, 3);
  result(st, insn, d2 ^ d0 ^ word(M, 0), d3 ^ d1 ^ word(M, 1), word(N, 0) ^ d2 ^ word(M, 2), word(N, 1) ^ d3 ^ word(M, 3));
};

const sha1su1: Helper = (st, insn) => {
  load(st, insn);
  const r0 = rol(word(D, 0) ^ word(N, 1), 1);
  const r3 = rol(word(D, 3), 1) ^ rol(r0, 1);
  result(st, insn, r0, rol(word(D, 1) ^ word(N, 2), 1), rol(word(D, 2) ^ word(N, 3), 1), r3);
};

/** Four rounds of SHA-256 on x = a..d, y = e..h; `second` gives the new y, else x. */
function sha256Rounds(st: PeState, insn: number, x: Vec, y: Vec, second: boolean): void {
  let a = word(x, 0);
  let b = word(x, 1);
  let c = word(x, 2);
  let d = word(x, 3);
  let e = word(y, 0);
  let f = word(y, 1);
  let g = word(y, 2);
  let h = word(y, 3);
  for (let i = 0; i < 4; i++) {
    const t1 = (h + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + choose(e, f, g) + word(M, i)) | 0;
    const t2 = (t1 + (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + majority(a, b, c)) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = t2;
  }
  if (second) result(st, insn, e, f, g, h);
  else result(st, insn, a, b, c, d);
}

const sha256h: Helper = (st, insn) => {
  load(st, insn);
  sha256Rounds(st, insn, D, N, false);
};

const sha256h2: Helper = (st, insn) => {
  load(st, insn);
  sha256Rounds(st, insn, N, D, true);
};

const smallSigma0 = (w: number): number => ror(w, 7) ^ ror(w, 18) ^ (w >>> 3);
const smallSigma1 = (w: number): number => ror(w, 17) ^ ror(w, 19) ^ (w >>> 10);

const sha256su0: Helper = (st, insn) => {
  load(st, insn);
  const d0 = word(D, 0);
  const d1 = word(D, 1);
  const d2 = word(D, 2);
  const d3 = word(D, 3);
  result(st, insn, d0 + smallSigma0(d1), d1 + smallSigma0(d2), d2 + smallSigma0(d3), d3 + smallSigma0(word(N, 0)));
};

const sha256su1: Helper = (st, insn) => {
  load(st, insn);
  const r0 = (word(D, 0) + word(N, 1) + smallSigma1(word(M, 2))) | 0;
  const r1 = (word(D, 1) + word(N, 2) + smallSigma1(word(M, 3))) | 0;
  result(st, insn, r0, r1, word(D, 2) + word(N, 3) + smallSigma1(r0), word(D, 3) + word(M, 0) + smallSigma1(r1));
};

// SHA-512 on 64-bit words as halves. A rotation of low:high by n < 32 has the low half `funnel(low, high, n)` and the high half
// `funnel(high, low, n)`; from 32 on the halves change places. So one function serves both halves of the large sigmas.

const funnel = (a: number, b: number, n: number): number => (a >>> n) | (b << (32 - n));
/** Rotations by 28, 34, 39. */
const sum0 = (a: number, b: number): number => funnel(a, b, 28) ^ funnel(b, a, 2) ^ funnel(b, a, 7);
/** Rotations by 14, 18, 41. */
const sum1 = (a: number, b: number): number => funnel(a, b, 14) ^ funnel(a, b, 18) ^ funnel(b, a, 9);

/** 64-bit lane `i` of `to` = sum of three 64-bit numbers given as low, high. */
function setSum(to: Vec, i: number, aLow: number, aHigh: number, bLow: number, bHigh: number, cLow: number, cHigh: number): void {
  const low = (aLow >>> 0) + (bLow >>> 0) + (cLow >>> 0);
  to.s32[2 * i] = low;
  to.s32[2 * i + 1] = aHigh + bHigh + cHigh + Math.floor(low / 2 ** 32);
}

const sha512h: Helper = (st, insn) => {
  load(st, insn);
  const x0l = word(N, 0);
  const x0h = word(N, 1);
  const x1l = word(N, 2);
  const x1h = word(N, 3);
  const y1l = word(M, 2);
  const y1h = word(M, 3);
  setSum(R, 1, choose(y1l, x0l, x1l), choose(y1h, x0h, x1h), sum1(y1l, y1h), sum1(y1h, y1l), word(D, 2), word(D, 3));
  setSum(R, 0, word(R, 2), word(R, 3), word(M, 0), word(M, 1), 0, 0);
  const tl = word(R, 0);
  const th = word(R, 1);
  setSum(R, 0, choose(tl, y1l, x0l), choose(th, y1h, x0h), sum1(tl, th), sum1(th, tl), word(D, 0), word(D, 1));
  finish(st, insn, 16);
};

const sha512h2: Helper = (st, insn) => {
  load(st, insn);
  const y0l = word(M, 0);
  const y0h = word(M, 1);
  const y1l = word(M, 2);
  const y1h = word(M, 3);
  const x0l = word(N, 0);
  const x0h = word(N, 1);
  setSum(R, 1, majority(x0l, y1l, y0l), majority(x0h, y1h, y0h), sum0(y0l, y0h), sum0(y0h, y0l), word(D, 2), word(D, 3));
  const hl = word(R, 2);
  const hh = word(R, 3);
  setSum(R, 0, majority(hl, y0l, y1l), majority(hh, y0h, y1h), sum0(hl, hh), sum0(hh, hl), word(D, 0), word(D, 1));
  finish(st, insn, 16);
};

const sha512su0: Helper = (st, insn) => {
  load(st, insn);
  for (let i = 0; i < 2; i++) {
    const l = i === 0 ? word(D, 2) : word(N, 0);
    const h = i === 0 ? word(D, 3) : word(N, 1);
    const low = funnel(l, h, 1) ^ funnel(l, h, 8) ^ funnel(l, h, 7);
    const high = funnel(h, l, 1) ^ funnel(h, l, 8) ^ (h >>> 7);
    setSum(R, i, low, high, word(D, 2 * i), word(D, 2 * i + 1), 0, 0);
  }
  finish(st, insn, 16);
};

const sha512su1: Helper = (st, insn) => {
  load(st, insn);
  for (let i = 0; i < 2; i++) {
    const l = word(N, 2 * i);
    const h = word(N, 2 * i + 1);
    const low = funnel(l, h, 19) ^ funnel(h, l, 29) ^ funnel(l, h, 6);
    const high = funnel(h, l, 19) ^ funnel(l, h, 29) ^ (h >>> 6);
    setSum(R, i, low, high, word(D, 2 * i), word(D, 2 * i + 1), word(M, 2 * i), word(M, 2 * i + 1));
  }
  finish(st, insn, 16);
};

// SHA-3 helpers.

const A = makeVec();

/** Vd = op(Vn, Vm, Va) by words. */
const threeSources =
  (op: (n: number, m: number, a: number) => number): Helper =>
  (st, insn) => {
    load(st, insn);
    loadV(st, (insn >>> 10) & 31, A);
    for (let i = 0; i < 4; i++) R.s32[i] = op(word(N, i), word(M, i), word(A, i));
    finish(st, insn, 16);
  };

/** Rotates both 64-bit lanes right by n (0..63). */
function rotateLanes(v: Vec, n: number): void {
  for (let i = 0; i < 4; i += 2) {
    const swap = n >>> 5;
    const low = word(v, i + swap);
    const high = word(v, i + (swap ^ 1));
    const s = n & 31;
    v.s32[i] = s === 0 ? low : (low >>> s) | (high << (32 - s));
    v.s32[i + 1] = s === 0 ? high : (high >>> s) | (low << (32 - s));
  }
}

/** RAX1: Vn xor (Vm rotated left by one). */
const rax1: Helper = (st, insn) => {
  load(st, insn);
  rotateLanes(M, 63);
  result(st, insn, word(N, 0) ^ word(M, 0), word(N, 1) ^ word(M, 1), word(N, 2) ^ word(M, 2), word(N, 3) ^ word(M, 3));
};

/** XAR: (Vn xor Vm) rotated right by the immediate. */
const xar: Helper = (st, insn) => {
  load(st, insn);
  for (let i = 0; i < 4; i++) R.s32[i] = word(N, i) ^ word(M, i);
  rotateLanes(R, (insn >>> 10) & 63);
  finish(st, insn, 16);
};

// biome-ignore format: one row per line
export const sha: HelperTable = {
  SHA1CV:     sha1Rounds(choose),
  SHA1PV:     sha1Rounds(parity),
  SHA1MV:     sha1Rounds(majority),
  SHA1HV:     sha1h,
  SHA1SU0V:   sha1su0,
  SHA1SU1V:   sha1su1,
  SHA256HV:   sha256h,
  SHA256H2V:  sha256h2,
  SHA256SU0V: sha256su0,
  SHA256SU1V: sha256su1,
  SHA512HV:   sha512h,
  SHA512H2V:  sha512h2,
  SHA512SU0V: sha512su0,
  SHA512SU1V: sha512su1,
  EOR3V:      threeSources((n, m, a) => n ^ m ^ a),
  BCAXV:      threeSources((n, m, a) => n ^ (m & ~a)),
  RAX1V:      rax1,
  XARV:       xar,
};
