// What translated functions call. Every function that gives a 64-bit result returns its low half and leaves the high half in H[0].

import { CRC_TABLES, Off, TLB_ENTRIES } from "../../../arch/layout.ts";
import { Kind } from "../../emit/access.ts";
import { handlerCount, Special } from "../../interp/handlers.ts";
import { REDIRECT } from "../../interp/page.ts";
import { NO_BOUNCE } from "./memory.ts";

/** What the executor does for translated functions. */
export interface Hooks {
  /** Executes one instruction in the interpreter. */
  plain(pe: number, ip: number): number;
  /** The same, for the instruction that a function leaves to the interpreter and ends with, while there is `budget` (page form). */
  interpret(pe: number, ip: number, budget: number): number;
  /** A Helper (isa/helper.ts). */
  helper(pe: number, index: number, insn: number): void;
  /** Counts a way to the entry. */
  visit(pe: number, ip: number): void;
  /** Address in linear memory of an aligned access to Off.VA, if it is RAM and may be made without anybody being told; else -1. */
  probe(pe: number, kind: number): number;
}

/** A translated region. */
export type RegionFunction = (pe: number, ip: number) => number;

/** The names that translated functions use. */
export type Runtime = ReturnType<typeof createRuntime>;

export function createRuntime(memory: WebAssembly.Memory, hooks: Hooks) {
  const { buffer } = memory;
  const I = new Int32Array(buffer);
  const U8 = new Uint8Array(buffer);
  const I8 = new Int8Array(buffer);
  const U16 = new Uint16Array(buffer);
  const I16 = new Int16Array(buffer);
  const F32 = new Float32Array(buffer);
  const F64 = new Float64Array(buffer);
  const H = new Int32Array(1);
  const MIN = 1 << 31;
  const { plain, helper } = hooks;
  const views = { I, U8, I8, U16, I16, F32, F64, H, MIN };
  return { ...views, plain, helper, ...control(I, hooks), ...flags(I), ...arithmetic(I, H), nearest, look: lookIn(I, U8, hooks) };
}

/** Functions made from sources that have the names of the runtime as free names. In parentheses: the host then compiles them at once. */
export function instantiate(runtime: Runtime, sources: readonly string[]): RegionFunction[] {
  const body = `"use strict"; const { ${Object.keys(runtime).join(", ")} } = R;\nreturn [\n${sources.map((s) => `(${s})`).join(",\n")}\n];`;
  return new Function("R", body)(runtime) as RegionFunction[];
}

// ---- control -------------------------------------------------------------------------------------------------------
/** `left` and `k` as in region.ts: the budget in page form and an instruction, counted from the entry `ip` of the function. */
function control(I: Int32Array, hooks: Hooks) {
  const [BUDGET, PC, PCBASE] = [Off.BUDGET >> 2, Off.PC >> 2, Off.PCBASE >> 2];
  const { interpret, visit } = hooks;
  /** PC = PCBASE + distance (below 2^31, or negative). */
  const setPc = (p: number, distance: number): void => {
    const base = I[p + PCBASE] as number;
    const lo = (base + distance) | 0;
    I[p + PC] = lo;
    const carry = distance >= 0 ? (lo >>> 0 < base >>> 0 ? 1 : 0) : lo >>> 0 > base >>> 0 ? -1 : 0;
    I[p + PC + 1] = ((I[p + PCBASE + 1] as number) + carry) | 0;
  };
  /** Continues at the instruction k of the page: its entry, or REDIRECT when the budget is used up. */
  const leave = (p: number, ip: number, left: number, k: number): number => {
    const to = ip + 8 * k;
    if (left <= k) {
      I[p + BUDGET] = left - k;
      setPc(p, to >>> 1);
      return REDIRECT;
    }
    I[p + BUDGET] = left + (ip >>> 3);
    if ((I[to >>> 2] as number) < handlerCount) visit(p << 2, to);
    return to;
  };
  /** The interpreter executes the instruction k, which could not be finished. */
  const giveUp = (pe: number, ip: number, left: number, k: number): number => interpret(pe, ip + 8 * k, left + (ip >>> 3));
  /** The same for an instruction that is never done here: what follows may become a region of its own. */
  const stop = (pe: number, ip: number, left: number, k: number): number => {
    const behind = ip + 8 * k + 8;
    const handler = I[behind >>> 2] as number;
    if (handler < handlerCount && handler !== Special.CROSS) visit(pe, behind);
    return giveUp(pe, ip, left, k);
  };
  /** From the instruction k by `offset` bytes, out of the page. */
  const away = (p: number, ip: number, left: number, k: number, offset: number): number => {
    I[p + BUDGET] = left - k - 1;
    setPc(p, (ip >>> 1) + 4 * k + offset);
    return REDIRECT;
  };
  /** A jump to an address; `remaining`: the budget. */
  const go = (p: number, remaining: number, lo: number, hi: number): number => {
    I[p + BUDGET] = remaining;
    I[p + PC] = lo;
    I[p + PC + 1] = hi;
    return REDIRECT;
  };
  return { leave, stop, giveUp, away, go };
}

// ---- flags: canonical form (arch/layout.ts) ------------------------------------------------------------------------
function flags(I: Int32Array) {
  const [NF, ZF, CF, VF] = [Off.NF >> 2, Off.ZF >> 2, Off.CF >> 2, Off.VF >> 2];
  /** The sign of N and V, Z as a word that is 0 or not, C as 0 or 1. */
  const nzcv = (p: number, n: number, z: number, c: number, v: number): void => {
    I[p + NF] = n;
    I[p + NF + 1] = n;
    I[p + ZF] = z;
    I[p + ZF + 1] = 0;
    I[p + CF] = c;
    I[p + VF] = v;
    I[p + VF + 1] = v;
  };
  const logic32 = (p: number, r: number): void => nzcv(p, r, r, 0, 0);
  const logic64 = (p: number, l: number, h: number): void => nzcv(p, h, l | h, 0, 0);
  const sub32 = (p: number, a: number, b: number): void => {
    const r = (a - b) | 0;
    nzcv(p, r, r, a >>> 0 >= b >>> 0 ? 1 : 0, (a ^ b) & (a ^ r));
  };
  const add32 = (p: number, a: number, b: number): void => {
    const r = (a + b) | 0;
    nzcv(p, r, r, r >>> 0 < a >>> 0 ? 1 : 0, (a ^ r) & (b ^ r));
  };
  const sub64 = (p: number, a: number, ah: number, b: number, bh: number): void => {
    const borrow = a >>> 0 < b >>> 0 ? 1 : 0;
    const h = (ah - bh - borrow) | 0;
    const above = ah === bh ? borrow === 0 : ah >>> 0 > bh >>> 0;
    nzcv(p, h, (a - b) | 0 | h, above ? 1 : 0, (ah ^ bh) & (ah ^ h));
  };
  const add64 = (p: number, a: number, ah: number, b: number, bh: number): void => {
    const l = (a + b) | 0;
    const carry = l >>> 0 < a >>> 0 ? 1 : 0;
    const h = (ah + bh + carry) | 0;
    const out = h === ah ? carry === 1 && bh === -1 : h >>> 0 < ah >>> 0;
    nzcv(p, h, l | h, out ? 1 : 0, (ah ^ h) & (bh ^ h));
  };
  return { nzcv, logic32, logic64, sub32, add32, sub64, add64 };
}

// ---- arithmetic ----------------------------------------------------------------------------------------------------
/** To an integer, ties to even, keeping the sign of zero. */
function nearest(x: number): number {
  const up = Math.round(x);
  const even = up - x === 0.5 && up % 2 !== 0 ? up - 1 : up;
  return even === 0 && (x < 0 || Object.is(x, -0)) ? -0 : even;
}
/**
 * High half of the product of unsigned 32-bit numbers. The product as a double is wrong by less than 2^11; without its low half, which
 * is known exactly, it is a multiple of 2^32 up to that error.
 */
function umulh(a: number, b: number): number {
  return (((a >>> 0) * (b >>> 0) - (Math.imul(a, b) >>> 0)) / 4294967296 + 0.5) | 0;
}
function shifts() {
  const shl = (l: number, _h: number, n: number) => ((n & 32) === 0 ? l << n : 0);
  const shlh = (l: number, h: number, n: number) => {
    const k = n & 31;
    if ((n & 32) !== 0) return l << k;
    return k === 0 ? h : (h << k) | (l >>> (32 - k));
  };
  const down = (l: number, h: number, k: number) => (k === 0 ? l : (l >>> k) | (h << (32 - k)));
  const shr = (l: number, h: number, n: number) => ((n & 32) === 0 ? down(l, h, n & 31) : (h >>> (n & 31)) | 0);
  const shrh = (_l: number, h: number, n: number) => ((n & 32) === 0 ? (h >>> n) | 0 : 0);
  const sar = (l: number, h: number, n: number) => ((n & 32) === 0 ? down(l, h, n & 31) : h >> (n & 31));
  const sarh = (_l: number, h: number, n: number) => ((n & 32) === 0 ? h >> n : h >> 31);
  const ror = (l: number, h: number, n: number) => ((n & 32) === 0 ? down(l, h, n & 31) : down(h, l, n & 31));
  const rorh = (l: number, h: number, n: number) => ror(h, l, n);
  return { shl, shlh, shr, shrh, sar, sarh, ror, rorh };
}
function arithmetic(I: Int32Array, H: Int32Array) {
  const big = (l: number, h: number) => (BigInt(h) << 32n) | BigInt(l >>> 0);
  const split = (v: bigint): number => {
    H[0] = Number(BigInt.asIntN(32, v >> 32n));
    return Number(BigInt.asIntN(32, v));
  };
  const udiv64 = (l: number, h: number, dl: number, dh: number): number => {
    if ((h | dh) === 0) {
      H[0] = 0;
      return ((l >>> 0) / (dl >>> 0)) | 0;
    }
    return split(BigInt.asUintN(64, big(l, h)) / BigInt.asUintN(64, big(dl, dh)));
  };
  const sdiv64 = (l: number, h: number, dl: number, dh: number): number => split(big(l, h) / big(dl, dh));
  /** CRC32 of the low `bytes` & 0xff bytes; bit 8 selects the Castagnoli polynomial. */
  const crc32 = (acc: number, lo: number, hi: number, bytes: number): number => {
    const table = (CRC_TABLES >> 2) + ((bytes >>> 8) << 8);
    let c = acc;
    for (let i = 0; i < (bytes & 255); i++) {
      const byte = (i < 4 ? lo >>> (8 * i) : hi >>> (8 * (i - 4))) & 255;
      c = (I[table + ((c ^ byte) & 255)] as number) ^ (c >>> 8);
    }
    return c;
  };
  return { umulh, ...shifts(), udiv64, sdiv64, crc32, pac: pacIn(I, H) };
}

/** The pointer authentication function (interp/runtime.ts has the definition). `key`: offset of the key in the PE block. */
function pacIn(I: Int32Array, H: Int32Array) {
  const state = new Int32Array(2);
  /** state = (state ^ state >>> shift) * constant; shift <= 32. */
  const mix = (shift: number, lo: number, hi: number): void => {
    let l = state[0] as number;
    let h = state[1] as number;
    l ^= shift === 32 ? h : (l >>> shift) | (h << (32 - shift));
    if (shift < 32) h ^= h >>> shift;
    state[0] = Math.imul(l, lo);
    state[1] = (umulh(l, lo) + Math.imul(h, lo) + Math.imul(l, hi)) | 0;
  };
  return (p: number, pl: number, ph: number, ml: number, mh: number, key: number): number => {
    const k = p + (key >> 2);
    state[0] = pl ^ (I[k] as number);
    state[1] = ph ^ (I[k + 1] as number);
    mix(32, 0x7f4a7c15 | 0, 0x9e3779b9 | 0);
    state[0] = (state[0] as number) ^ ml ^ (I[k + 2] as number);
    state[1] = (state[1] as number) ^ mh ^ (I[k + 3] as number);
    mix(29, 0x1ce4e5b9 | 0, 0xbf58476d | 0);
    // state ^ state >>> 32
    H[0] = state[1] as number;
    return (state[0] as number) ^ (state[1] as number);
  };
}

// ---- memory --------------------------------------------------------------------------------------------------------
/** Kinds whose misaligned form is an access like any other. */
const PLAIN = Kind.LG | Kind.STORE | Kind.PAIR | Kind.UNPRIVILEGED;

/**
 * look(pe, lo, hi, kind): the address in linear memory of an access that missed in line, or 0: the interpreter must do it. A misaligned
 * load within a page is answered by a copy in the VAL buffer, which is aligned.
 */
function lookIn(I: Int32Array, U8: Uint8Array, hooks: Hooks) {
  const near = (p: number, lo: number, hi: number, kind: number): number => {
    if ((kind & ~PLAIN) !== 0 || (I[p + (Off.ALIGN >> 2)] as number) !== 0) return 0;
    const bytes = (1 << (kind & Kind.LG)) << (kind & Kind.PAIR ? 1 : 0);
    if ((lo & 0xfff) + bytes > 4096) return 0;
    const store = (kind & Kind.STORE) !== 0;
    const table = kind & Kind.UNPRIVILEGED ? (store ? Off.TLB_UW : Off.TLB_UR) : store ? Off.TLB_W : Off.TLB_R;
    const at = ((I[p + (table >> 2)] as number) + ((lo >>> 8) & ((TLB_ENTRIES - 1) << 4))) >>> 2;
    return I[at] === (lo & -4096) && I[at + 1] === hi ? ((I[at + 2] as number) + lo) | 0 : 0;
  };
  return (pe: number, lo: number, hi: number, flags: number): number => {
    const p = pe >>> 2;
    const kind = flags & ~NO_BOUNCE;
    // Translated code accesses memory by words.
    const misaligned = (lo & (Math.min(4, 1 << (kind & Kind.LG)) - 1)) !== 0;
    if (misaligned && (flags & NO_BOUNCE) !== 0) return 0;
    let m = near(p, lo, hi, kind);
    if (m === 0) {
      I[p + (Off.VA >> 2)] = lo;
      I[p + (Off.VA >> 2) + 1] = hi;
      const found = hooks.probe(pe, kind);
      if (found === -1) return 0;
      m = found | 0;
    }
    if (!misaligned) return m;
    U8.copyWithin(pe + Off.VAL, m >>> 0, (m >>> 0) + ((1 << (kind & Kind.LG)) << (kind & Kind.PAIR ? 1 : 0)));
    return pe + Off.VAL;
  };
}
