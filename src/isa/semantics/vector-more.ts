// Rows of Advanced SIMD that compilers and libraries use now and then, as Wasm SIMD operations in translations; the interpreter calls their
// helpers (isa/simd). Rows of one element, which end in _s, are done as vectors of which one lane counts.

import type { Builder } from "../../ir/builder.ts";
import { add, and, bin, c32, c64, I32, I64, lo32, neg, select, shuffle, V128, type Value, vzero, wasm, zext } from "../../ir/value.ts";
import { defineTranslated, type Fields, helperIndex, type Variants } from "./define.ts";
import { double, none } from "./fp-ops.ts";
import { binary, narrow, ops, right, splat, unary, vand, vandNot, vor, vselect, vxor } from "./vector-ops.ts";

const SWIZZLE = 0xfd0e;
/** Extraction of element 0, zero-extended to 32 bits. */
const lowest = [0xfd16, 0xfd19, 0xfd1b] as const;

const sizeOf = (v: Variants) => v.size as number;
/** log2 of the bytes that Rd gets from a vector; rows without Q have one doubleword. undefined: reserved, or no doubleword. */
function lgOf(v: Variants): 3 | 4 | undefined {
  if (v.Q === undefined) return v.size === 3 ? 3 : undefined;
  return v.Q ? 4 : v.size === 3 ? undefined : 3;
}
type Vector = (b: Builder, f: Fields, v: Variants) => Value | undefined;
/** Rd = value, of the register's size. */
function rows(names: string, value: Vector): void {
  defineTranslated(names, (b, f, v) => {
    const lg = lgOf(v);
    const x = lg && value(b, f, v);
    if (!x) return false;
    b.setV(f.Rd, x, lg);
    return true;
  });
}
/** An operation by size of Rn and Rm (or Rn and zero); sizes without opcode are the helper's. */
const lanewise =
  (opcodes: readonly number[], zero = false): Vector =>
  (b, f, v) => {
    const op = opcodes[sizeOf(v)];
    return op === undefined ? undefined : binary(op, b.v(f.Rn), zero ? vzero() : b.v(f.Rm));
  };
const forms = (row: string) => `${row} ${row}_s`;

// ---- arithmetic and comparisons ------------------------------------------------------------------------------------------
rows("ADDV_s", lanewise(ops.add));
rows("SUBV_s", lanewise(ops.sub));
rows("CMEQV_REG_s", lanewise(ops.eq));
rows("CMGTV_REG_s", lanewise(ops.gtS));
rows("CMGEV_REG_s", lanewise(ops.geS));
rows("CMEQV_ZERO_s", lanewise(ops.eq, true));
rows("CMGTV_ZERO_s", lanewise(ops.gtS, true));
rows("CMLTV_s", lanewise(ops.ltS, true));
rows(forms("CMGEV_ZERO"), lanewise(ops.geS, true));
rows(forms("CMLEV"), lanewise(ops.leS, true));
rows(forms("CMTSTV"), (b, f, v) => binary(ops.ne[sizeOf(v)], vand(b.v(f.Rn), b.v(f.Rm)), vzero()));
rows("ABSV_s", (b, f) => unary(ops.abs[3], b.v(f.Rn)));
rows("NEGV_s", (b, f) => unary(ops.neg[3], b.v(f.Rn)));
/** Wasm takes the amount modulo the size, which is not reached. */
defineTranslated("SHLV_s USHRV_s SSHRV_s", (b, f, v, { name }) => {
  if ((v.immh as number) < 8) return false;
  const imm = ((v.immh as number) << 3) | (v.immb as number);
  const left = name === "SHLV_s";
  const amount = left ? imm - 64 : 128 - imm;
  if (amount === 64 && name === "USHRV_s") b.setV(f.Rd, vzero());
  else b.setV(f.Rd, wasm((left ? ops.shl : name === "USHRV_s" ? ops.shrU : ops.shrS)[3], V128, b.v(f.Rn), c32(Math.min(amount, 63))), 3);
  return true;
});

// ---- pairs and whole registers ---------------------------------------------------------------------------------------------
/** Bytes that move so that element e of 2^lg bytes comes from element pick(e). */
const moved = (lg: number, pick: (e: number) => number) =>
  Array.from({ length: 16 }, (_, j) => (pick(j >> lg) << lg) + (j & ((1 << lg) - 1)));
const pairwise =
  (opcodes: readonly number[]): Vector =>
  (b, f, v) => {
    const [lg, op] = [sizeOf(v), opcodes[sizeOf(v)]];
    const count = (v.Q ? 16 : 8) >> lg;
    const pick = (odd: number) =>
      moved(lg, (e) => ((2 * e + odd) % (2 * count) < count ? 0 : (16 >> lg) - count) + ((2 * e + odd) % (2 * count)));
    const [n, m] = [b.v(f.Rn), b.v(f.Rm)];
    return op === undefined ? undefined : binary(op, shuffle(n, m, pick(0)), shuffle(n, m, pick(1)));
  };
rows("SMAXPV", pairwise(ops.maxS));
rows("SMINPV", pairwise(ops.minS));
rows("ADDPV_PAIR_s", (b, f) => {
  const n = b.v(f.Rn);
  return binary(
    ops.add[3],
    n,
    shuffle(
      n,
      n,
      moved(3, (e) => e ^ 1),
    ),
  );
});
/** All elements of 2^lg bytes in the lower 2^bytes bytes of x, combined: in element 0. */
function across(op: number, lg: number, bytes: number, x: Value): Value {
  let all = x;
  for (let k = bytes - 1; k >= lg; k--) {
    const distance = 1 << (k - lg);
    all = binary(
      op,
      all,
      shuffle(
        all,
        all,
        moved(lg, (e) => e ^ distance),
      ),
    );
  }
  return all;
}
/** Rd = element 0 of x, of 2^lg bytes. */
function setLowest(b: Builder, f: Fields, lg: number, x: Value): void {
  if (lg === 3) b.setV(f.Rd, x, 3);
  else b.setV(f.Rd, wasm(lowest[lg] as number, I32, x), 2);
}
for (const [row, opcodes] of Object.entries({ ADDVV: ops.add, SMAXVV: ops.maxS, UMAXVV: ops.maxU, SMINVV: ops.minS, UMINVV: ops.minU }))
  defineTranslated(row, (b, f, v) => {
    const lg = sizeOf(v);
    if (lg > 2 || (lg === 2 && !v.Q)) return false;
    setLowest(b, f, lg, across(opcodes[lg] as number, lg, v.Q ? 4 : 3, b.v(f.Rn)));
    return true;
  });
/** The sum of all elements, of twice their size: pairs first, which Wasm can widen. */
const pairSums = { S: [0xfd7c, 0xfd7e], U: [0xfd7d, 0xfd7f] } as const;
for (const sign of ["S", "U"] as const)
  defineTranslated(`${sign}ADDLVV`, (b, f, v) => {
    const lg = sizeOf(v);
    if (lg > 2 || (lg === 2 && !v.Q)) return false;
    const n = b.v(f.Rn);
    const extend = sign === "S" ? [0xfdc7, 0xfdc8] : [0xfdc9, 0xfdca];
    const sums = lg === 2 ? binary(ops.add[3], unary(extend[0], n), unary(extend[1], n)) : unary(pairSums[sign][lg], n);
    setLowest(b, f, lg + 1, across(ops.add[lg + 1] as number, lg + 1, v.Q ? 4 : 3, sums));
    return true;
  });

// ---- widening and narrowing ------------------------------------------------------------------------------------------------
defineTranslated("SHLLV", (b, f, v) => {
  const lg = sizeOf(v);
  if (lg > 2) return false;
  const wide = unary(([0xfd89, 0xfda9, 0xfdc9][lg] as number) + (v.Q as number), b.v(f.Rn));
  b.setV(f.Rd, wasm(ops.shl[lg + 1] as number, V128, wide, c32(8 << lg)));
  return true;
});
for (const [row, op, round] of [
  ["ADDHNV", ops.add, false],
  ["RADDHNV", ops.add, true],
  ["SUBHNV", ops.sub, false],
  ["RSUBHNV", ops.sub, true],
] as const)
  defineTranslated(row, (b, f, v) => {
    const lg = sizeOf(v);
    if (lg > 2) return false;
    const bits = 8 << lg;
    const sum = binary(op[lg + 1], b.v(f.Rn), b.v(f.Rm));
    const half = splat(lg + 1, lg === 2 ? c64(1 << 31, 0) : c32(1 << (bits - 1)));
    const x = round ? binary(ops.add[lg + 1], sum, half) : sum;
    narrow(b, f, v, lg, wasm(ops.shrU[lg + 1] as number, V128, x, c32(bits)));
    return true;
  });

// ---- elements --------------------------------------------------------------------------------------------------------------
/** imm5: the lowest set bit gives the element size, the bits above it the index. */
const sizeOfImm5 = (v: Variants) => 31 - Math.clz32((v.imm5 as number) & -(v.imm5 as number));
const indexOfImm5 = (v: Variants) => (v.imm5 as number) >> (sizeOfImm5(v) + 1);
defineTranslated("INSV_ELT", (b, f, v) => {
  if (((v.imm5 as number) & 15) === 0) return false;
  const lg = sizeOfImm5(v);
  b.setLane(f.Rd, c32(indexOfImm5(v)), lg, b.lane(f.Rn, c32((v.imm4 as number) >> lg), lg));
  return true;
});
defineTranslated("DUPV_ELT_s", (b, f, v) => {
  if (((v.imm5 as number) & 15) === 0) return false;
  const lg = sizeOfImm5(v);
  const x = b.lane(f.Rn, c32(indexOfImm5(v)), lg);
  b.setV(f.Rd, lg === 3 ? x : lo32(x), lg === 3 ? 3 : 2);
  return true;
});
defineTranslated("SMOVV", (b, f, v) => {
  const lg = sizeOfImm5(v);
  if (((v.imm5 as number) & 15) === 0 || lg > (v.Q ? 2 : 1)) return false;
  const x = wasm([0xc2, 0xc3, 0xc4][lg] as number, I64, b.lane(f.Rn, c32(indexOfImm5(v)), lg));
  b.setX(f.Rd, v.Q ? x : zext(lo32(x)));
  return true;
});

// ---- immediates ------------------------------------------------------------------------------------------------------------
/** AdvSIMDExpandImm of the forms that are inverted, or combined with Rd: words and halfwords, words that shift ones in. */
function expanded(v: Variants): Value | undefined {
  const imm8 = [..."abcdefgh"].reduce((x, name) => 2 * x + (v[name] as number), 0);
  const cmode = v.cmode as number;
  if (cmode < 8) return splat(2, c32(imm8 << ((cmode >> 1) * 8)));
  if (cmode < 12) return splat(1, c32(imm8 << (((cmode >> 1) & 1) * 8)));
  if (cmode < 14) return splat(2, c32(cmode & 1 ? (imm8 << 16) | 0xffff : (imm8 << 8) | 0xff));
  return undefined;
}
const immediate =
  (value: (imm: Value, d: () => Value) => Value): Vector =>
  (b, f, v) => {
    const imm = expanded(v);
    return imm && value(imm, () => b.v(f.Rd));
  };
rows(
  "MVNIV",
  immediate((imm) => unary(0xfd4d, imm)),
);
rows(
  "ORRV_IMM",
  immediate((imm, d) => vor(d(), imm)),
);
rows(
  "BICV_IMM",
  immediate((imm, d) => vandNot(d(), imm)),
);

// ---- shifts by register ------------------------------------------------------------------------------------------------------
/**
 * The low byte of each element of Rm is the amount; negative: to the right. Wasm shifts all elements alike, and so does most code: where the
 * elements of Rm are the same, and the amount is no more than the size.
 */
for (const [row, sign, round] of [
  ["SSHLV", "S", false],
  ["USHLV", "U", false],
  ["SRSHLV", "S", true],
  ["URSHLV", "U", true],
] as const)
  defineTranslated(forms(row), (b, f, v, { name }) => {
    const [lg, size] = [lgOf(v), sizeOf(v)];
    if (!lg) return false;
    const [n, bits] = [b.v(f.Rn), 8 << size];
    const amount = lo32(wasm(0xc2, I64, b.lane(f.Rm, c32(0), 0)));
    const alike = none({ p: double, lg }, vxor(b.v(f.Rm), splat(size, b.lane(f.Rm, c32(0), size))));
    const ok = and(alike, bin("ltu", add(amount, c32(bits)), c32(2 * bits)));
    const left = wasm(ops.shl[size] as number, V128, n, amount);
    const value = select(bin("lts", amount, c32(0)), right(sign, size, n, neg(amount), round), left);
    b.fast(ok, helperIndex(name), () => b.setV(f.Rd, value, lg));
    return true;
  });

// ---- tables ----------------------------------------------------------------------------------------------------------------
/** Bytes of up to four registers by index; others become 0 (TBL) or stay (TBX). */
for (const row of ["TBLV", "TBXV"])
  rows(row, (b, f, v) => {
    const index = b.v(f.Rm);
    const count = (v.len as number) + 1;
    const parts = Array.from({ length: count }, (_, k) => {
      const at = k === 0 ? index : binary(ops.sub[0], index, splat(0, c32(16 * k)));
      return binary(SWIZZLE, b.v(c32((f.Rn.imm + k) & 31)), at);
    });
    const found = parts.reduce((x, y) => vor(x, y));
    if (row === "TBLV") return found;
    return vselect(found, b.v(f.Rd), binary(ops.ltU[0], index, splat(0, c32(16 * count))));
  });

// ---- products ----------------------------------------------------------------------------------------------------------------
/** Sums of four products of bytes are added to each word: products of 16 bits, then pairs, then pairs of those. */
function dot(b: Builder, f: Fields, _v: Variants, sign: "S" | "U", m: Value): Value {
  const n = b.v(f.Rn);
  const [product, pairs] = sign === "S" ? [0xfd9c, 0xfd7e] : [0xfd9e, 0xfd7f];
  const low = unary(pairs, binary(product, n, m));
  const high = unary(pairs, binary(product + 1, n, m));
  const words = (odd: number) =>
    shuffle(
      low,
      high,
      moved(2, (e) => 2 * e + odd),
    );
  return binary(ops.add[2], b.v(f.Rd), binary(ops.add[2], words(0), words(1)));
}
for (const sign of ["S", "U"] as const) {
  rows(`${sign}DOTV_VEC`, (b, f, v) => (v.size === 2 ? dot(b, f, v, sign, b.v(f.Rm)) : undefined));
  rows(`${sign}DOTV_ELT`, (b, f, v) => {
    if (v.size !== 2) return undefined;
    const m = b.lane(c32(f.Rm.imm + 16 * (v.M as number)), c32(2 * (v.H as number) + (v.L as number)), 2);
    return dot(b, f, v, sign, splat(2, m));
  });
}

// ---- three operands of SHA-3 -------------------------------------------------------------------------------------------------
const rotated = (x: Value, left: number) =>
  left === 0 ? x : vor(wasm(ops.shl[3], V128, x, c32(left)), wasm(ops.shrU[3], V128, x, c32(64 - left)));
const whole = (names: string, value: (b: Builder, f: Fields, v: Variants) => Value) =>
  defineTranslated(names, (b, f, v) => {
    b.setV(f.Rd, value(b, f, v));
    return true;
  });
whole("EOR3V", (b, f) => vxor(b.v(f.Rn), vxor(b.v(f.Rm), b.v(f.Ra))));
whole("BCAXV", (b, f) => vxor(b.v(f.Rn), vandNot(b.v(f.Rm), b.v(f.Ra))));
whole("RAX1V", (b, f) => vxor(b.v(f.Rn), rotated(b.v(f.Rm), 1)));
whole("XARV", (b, f, v) => rotated(vxor(b.v(f.Rn), b.v(f.Rm)), (64 - (v.imm6 as number)) & 63));
