// Rows that move lanes: ZIP, UZP, TRN, EXT, REV, TBL, TBX, DUP, INS, UMOV, SMOV.

import { Off } from "../../arch/layout.ts";
import type { PeState } from "../../arch/state.ts";
import type { Helper, HelperTable } from "../helper.ts";
import { D, loadV, M, makeVec, N, R, vIndex } from "../lanes.ts";
import { finish, splat } from "./drivers.ts";

const Q = 1 << 30;
const bytesOf = (insn: number): number => (insn & Q ? 16 : 8);

/** Concatenation Vm:Vn, or up to four table registers. */
const CAT = makeVec(64);

function loadCat(st: PeState, reg: number, at: number): void {
  const w = st.u32;
  const o = vIndex(st, reg);
  CAT.u32[4 * at] = w[o] as number;
  CAT.u32[4 * at + 1] = w[o + 1] as number;
  CAT.u32[4 * at + 2] = w[o + 2] as number;
  CAT.u32[4 * at + 3] = w[o + 3] as number;
}

/** Vd = bytes of Vm:Vn chosen by a map made once for each Q and size; `lane(i, count)` numbers Vn's lanes from 0, Vm's from `count`. */
function twoSources(lane: (i: number, count: number) => number): Helper {
  const maps = [0, 1].map((q) => [0, 1, 2, 3].map((size) => byteMap(8 << q, size, lane)));
  return (st, insn) => {
    loadCat(st, (insn >>> 5) & 31, 0);
    loadCat(st, (insn >>> 16) & 31, 1);
    gather(st, insn, (maps[(insn >>> 30) & 1] as Uint8Array[])[(insn >>> 22) & 3] as Uint8Array);
  };
}

function byteMap(bytes: number, size: number, lane: (i: number, count: number) => number): Uint8Array {
  const count = bytes >> size;
  return Uint8Array.from({ length: bytes }, (_, b) => {
    const from = lane(b >> size, count);
    const register = from >= count ? 16 : 0;
    return register + ((from % count) << size) + (b & ((1 << size) - 1));
  });
}

/** Vd = CAT bytes by index; the map is as long as the result. */
function gather(st: PeState, insn: number, map: Uint8Array): void {
  const from = CAT.u8;
  const to = R.u8;
  const n = map.length;
  for (let i = 0; i < n; i++) to[i] = from[map[i] as number] as number;
  finish(st, insn, n);
}

/** Reverses the lanes inside containers of `container` bytes. */
function reverse(container: number): Helper {
  const maps = [0, 1, 2].map((size) => byteMap(16, size, (i) => i ^ ((container >> size) - 1)));
  return (st, insn) => {
    loadCat(st, (insn >>> 5) & 31, 0);
    const map = maps[(insn >>> 22) & 3] as Uint8Array;
    for (let i = 0; i < 16; i++) R.u8[i] = CAT.u8[map[i] as number] as number;
    finish(st, insn, bytesOf(insn));
  };
}

const ext: Helper = (st, insn) => {
  const n = bytesOf(insn);
  const first = (insn >>> 11) & 15;
  loadCat(st, (insn >>> 5) & 31, 0);
  loadV(st, (insn >>> 16) & 31, M);
  const at = n >> 2;
  for (let i = 0; i < at; i++) CAT.u32[at + i] = M.u32[i] as number;
  for (let i = 0; i < n; i++) R.u8[i] = CAT.u8[first + i] as number;
  finish(st, insn, n);
};

/** TBL: indexes beyond the table give zero; TBX: they keep the old byte. */
const table =
  (keep: boolean): Helper =>
  (st, insn) => {
    const registers = ((insn >>> 13) & 3) + 1;
    for (let i = 0; i < registers; i++) loadCat(st, ((insn >>> 5) + i) & 31, i);
    loadV(st, (insn >>> 16) & 31, M);
    if (keep) loadV(st, insn & 31, D);
    const n = bytesOf(insn);
    const limit = 16 * registers;
    for (let i = 0; i < n; i++) {
      const index = M.u8[i] as number;
      R.u8[i] = index < limit ? (CAT.u8[index] as number) : keep ? (D.u8[i] as number) : 0;
    }
    finish(st, insn, n);
  };

// DUP, INS, UMOV, SMOV: imm5 = index:1:zeros gives the lane size (0..3) and index.

const imm5 = (insn: number): number => (insn >>> 16) & 31;
const sizeOf = (insn: number): number => 31 - Math.clz32(imm5(insn) & -imm5(insn));

/** Fills R with one lane given as 64 bits. */
function duplicate(size: number, low: number, high: number): void {
  if (size < 3) {
    splat(R, size, low);
    return;
  }
  R.u32[0] = low;
  R.u32[1] = high;
  R.u32[2] = low;
  R.u32[3] = high;
}

const dupElement: Helper = (st, insn) => {
  const size = sizeOf(insn);
  const index = imm5(insn) >> (size + 1);
  loadV(st, (insn >>> 5) & 31, N);
  if (size === 3) duplicate(3, N.s32[2 * index] as number, N.s32[2 * index + 1] as number);
  else duplicate(size, smallLane(size, index), 0);
  finish(st, insn, insn & (1 << 28) ? 1 << size : bytesOf(insn));
};

/** Lane of N of 8, 16 or 32 bits, sign-extended. */
function smallLane(size: number, index: number): number {
  return (size === 0 ? N.s8[index] : size === 1 ? N.s16[index] : N.s32[index]) as number;
}

/** Index into `st.u32` of the low word of Xn; n = 31 is the zero slot. */
const xIndex = (st: PeState, n: number): number => ((st.base + Off.X) >>> 2) + 2 * n;

const dupGeneral: Helper = (st, insn) => {
  const x = xIndex(st, (insn >>> 5) & 31);
  duplicate(sizeOf(insn), (st.u32[x] as number) | 0, (st.u32[x + 1] as number) | 0);
  finish(st, insn, bytesOf(insn));
};

/** Replaces lane `index` of Vd by the low bits of low:high. */
function insert(st: PeState, reg: number, size: number, index: number, low: number, high: number): void {
  const byte = st.base + Off.V + 16 * reg + (index << size);
  if (size === 0) st.u8[byte] = low;
  else if (size === 1) {
    st.u8[byte] = low;
    st.u8[byte + 1] = low >>> 8;
  } else {
    st.u32[byte >>> 2] = low;
    if (size === 3) st.u32[(byte >>> 2) + 1] = high;
  }
}

const insGeneral: Helper = (st, insn) => {
  const size = sizeOf(insn);
  const x = xIndex(st, (insn >>> 5) & 31);
  insert(st, insn & 31, size, imm5(insn) >> (size + 1), (st.u32[x] as number) | 0, (st.u32[x + 1] as number) | 0);
};

const insElement: Helper = (st, insn) => {
  const size = sizeOf(insn);
  const from = ((insn >>> 11) & 15) >> size;
  loadV(st, (insn >>> 5) & 31, N);
  const to = imm5(insn) >> (size + 1);
  if (size === 3) insert(st, insn & 31, 3, to, N.s32[2 * from] as number, N.s32[2 * from + 1] as number);
  else insert(st, insn & 31, size, to, smallLane(size, from), 0);
};

function writeX(st: PeState, insn: number, low: number, high: number): void {
  const rd = insn & 31;
  if (rd === 31) return;
  const x = xIndex(st, rd);
  st.u32[x] = low;
  st.u32[x + 1] = high;
}

const umov: Helper = (st, insn) => {
  const size = sizeOf(insn);
  const index = imm5(insn) >> (size + 1);
  loadV(st, (insn >>> 5) & 31, N);
  if (size === 3) writeX(st, insn, N.s32[2 * index] as number, N.s32[2 * index + 1] as number);
  else writeX(st, insn, smallLane(size, index) & (size === 0 ? 0xff : size === 1 ? 0xffff : -1), 0);
};

const smov: Helper = (st, insn) => {
  const size = sizeOf(insn);
  loadV(st, (insn >>> 5) & 31, N);
  const lane = smallLane(size, imm5(insn) >> (size + 1));
  writeX(st, insn, lane, insn & Q ? lane >> 31 : 0);
};

// biome-ignore format: one row per line
export const permute: HelperTable = {
  ZIP1V: twoSources((i, n) => (i >> 1) + (i & 1) * n),
  ZIP2V: twoSources((i, n) => n / 2 + (i >> 1) + (i & 1) * n),
  UZP1V: twoSources((i) => 2 * i),
  UZP2V: twoSources((i) => 2 * i + 1),
  TRN1V: twoSources((i, n) => (i & ~1) + (i & 1) * n),
  TRN2V: twoSources((i, n) => (i | 1) + (i & 1) * n),
  REV16V: reverse(2),
  REV32V: reverse(4),
  REV64V: reverse(8),
  EXTV: ext,
  TBLV: table(false),
  TBXV: table(true),
  DUPV_ELT: dupElement,
  DUPV_ELT_s: dupElement,
  DUPV_GEN: dupGeneral,
  INSV_GEN: insGeneral,
  INSV_ELT: insElement,
  UMOVV: umov,
  SMOVV: smov,
};
