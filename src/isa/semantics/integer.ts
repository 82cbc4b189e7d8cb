// Data processing: immediate and register (Arm ARM C4.1.93, C4.1.95).

import type { Builder } from "../../ir/builder.ts";
import { addWithCarry, canonical, type Flags, fromNzcv } from "../../ir/flags.ts";
import {
  add,
  and,
  bin,
  c32,
  c64,
  call,
  clz,
  eqz,
  Fn,
  I32,
  I64,
  lo32,
  mul,
  neg,
  not,
  or,
  select,
  sext,
  shl,
  shrs,
  shru,
  signed,
  sub,
  un,
  type Value,
  xor,
  zext,
} from "../../ir/value.ts";
import { define, type Variants } from "./define.ts";

const k = (sf: number, v: number): Value => (sf ? c64(v) : c32(v));
/** Widens an i32 shift amount or immediate to the operand type. */
const widen = (sf: number, n: Value): Value => (sf ? zext(n) : n);

/** ShiftReg types: LSL LSR ASR ROR. */
function shiftBy(kind: number, a: Value, amount: Value): Value {
  return bin((["shl", "shru", "shrs", "rotr"] as const)[kind] as "shl", a, amount);
}

/** ADD/ADDS/SUB/SUBS of two operands. */
function addSub(b: Builder, name: string, x: Value, y: Value): Value {
  const isSub = name.startsWith("SUB");
  const r = isSub ? sub(x, y) : add(x, y);
  if (name.startsWith("ADDS") || name.startsWith("SUBS")) b.setFlags({ kind: isSub ? "sub" : "add", values: [x, y, r] });
  return r;
}

// ---- immediate -----------------------------------------------------------------------------------------------------
const adrOffset = (immhi: Value, immlo: Value) => or(shl(signed(immhi, 19), c32(2)), immlo);
define("ADR", "", (b, f) => b.setX(f.Rd, add(b.pc, sext(adrOffset(f.immhi, f.immlo)))));
define("ADRP", "", (b, f) => b.setX(f.Rd, add(and(b.pc, c64(-4096)), shl(sext(adrOffset(f.immhi, f.immlo)), c64(12)))));

/** Rn may be SP; for the forms without flags Rd may be SP too. */
define("ADD_ADDSUB_IMM SUB_ADDSUB_IMM", "sf sh Rn31 Rd31", (b, f, v, row) => {
  const n = v.Rn31 ? b.sp : b.x(f.Rn);
  b.setX(v.Rd31 ? c32(32) : f.Rd, addSub(b, row.name.slice(0, 3), v.sf ? n : lo32(n), widen(v.sf, shl(f.imm12, c32(v.sh ? 12 : 0)))));
});
define("ADDS_ADDSUB_IMM SUBS_ADDSUB_IMM", "sf sh Rn31", (b, f, v, row) => {
  const n = v.Rn31 ? b.sp : b.x(f.Rn);
  b.setX(f.Rd, addSub(b, row.name, v.sf ? n : lo32(n), widen(v.sf, shl(f.imm12, c32(v.sh ? 12 : 0)))));
});

type Logic = (n: Value, m: Value) => Value;
const logicOf = (name: string): Logic => {
  if (name.startsWith("AND")) return and;
  if (name.startsWith("ORR")) return or;
  if (name.startsWith("EOR")) return xor;
  if (name.startsWith("BIC")) return (n, m) => and(n, not(m));
  if (name.startsWith("ORN")) return (n, m) => or(n, not(m));
  return (n, m) => xor(n, not(m)); // EON
};
define("AND_LOG_IMM ORR_LOG_IMM EOR_LOG_IMM", "sf Rd31", (b, f, v, row) => {
  const m = b.bitmask(f.n13);
  b.setX(v.Rd31 ? c32(32) : f.Rd, logicOf(row.name)(b.reg(f.Rn, v.sf), v.sf ? m : lo32(m)));
});
define("ANDS_LOG_IMM", "sf", (b, f, v) => {
  const m = b.bitmask(f.n13);
  const r = and(b.reg(f.Rn, v.sf), v.sf ? m : lo32(m));
  b.setFlags({ kind: "logic", values: [r] });
  b.setX(f.Rd, r);
});
define(
  "MOVZ MOVN MOVK",
  "sf hw",
  (b, f, v, row) => {
    const s = c64((v.hw as number) * 16);
    const imm = shl(zext(f.imm16), s);
    if (row.name === "MOVK") b.setX(f.Rd, zextIf32(v, or(and(b.x(f.Rd), not(shl(c64(0xffff), s))), imm)));
    else b.setX(f.Rd, zextIf32(v, row.name === "MOVZ" ? imm : not(imm)));
  },
  (v) => v.sf === 1 || (v.hw as number) < 2,
);
const zextIf32 = (v: Variants, x: Value) => (v.sf ? x : lo32(x));

/** SBFM, UBFM, BFM: the source field moves by two shifts; BFM places it under the same shifts of all ones. */
define("SBFM UBFM BFM", "sf", (b, f, v, row) => {
  const top = c32(v.sf ? 63 : 31);
  const left = widen(v.sf, sub(top, f.imms));
  const right = widen(v.sf, and(sub(sub(f.immr, f.imms), c32(1)), top));
  const place = (x: Value) => bin(row.name === "SBFM" ? "shrs" : "shru", shl(x, left), right);
  // imms >= immr: extract bits [imms:immr]; otherwise insert bits [imms:0] at width - immr. Both are: left-align, then
  // shift right by (immr - imms - 1) mod width, which for extraction is width - 1 - (imms - immr).
  const value = place(b.reg(f.Rn, v.sf));
  if (row.name !== "BFM") {
    b.setX(f.Rd, value);
    return;
  }
  const mask = bin("shru", shl(k(v.sf, -1), left), right);
  b.setX(f.Rd, or(and(b.reg(f.Rd, v.sf), not(mask)), value));
});
define("EXTR", "sf", (b, f, v) => {
  const s = widen(v.sf, f.imms);
  const back = widen(v.sf, sub(c32(v.sf ? 64 : 32), f.imms));
  const m = b.reg(f.Rm, v.sf);
  b.setX(f.Rd, select(eqz(f.imms), m, or(shru(m, s), shl(b.reg(f.Rn, v.sf), back))));
});

// ---- register ------------------------------------------------------------------------------------------------------
define("AND_LOG_SHIFT BIC_LOG_SHIFT ORR_LOG_SHIFT ORN_LOG_SHIFT EOR_LOG_SHIFT EON ANDS_LOG_SHIFT BICS", "sf shift", (b, f, v, row) => {
  const m = shiftBy(v.shift as number, b.reg(f.Rm, v.sf), widen(v.sf, f.imm6));
  const r = logicOf(row.name)(b.reg(f.Rn, v.sf), m);
  if (row.name.startsWith("ANDS") || row.name === "BICS") b.setFlags({ kind: "logic", values: [r] });
  b.setX(f.Rd, r);
});
define(
  "ADD_ADDSUB_SHIFT ADDS_ADDSUB_SHIFT SUB_ADDSUB_SHIFT SUBS_ADDSUB_SHIFT",
  "sf shift",
  (b, f, v, row) => {
    const m = shiftBy(v.shift as number, b.reg(f.Rm, v.sf), widen(v.sf, f.imm6));
    b.setX(f.Rd, addSub(b, row.name, b.reg(f.Rn, v.sf), m));
  },
  (v) => v.shift !== 3,
);

/** ExtendReg: UXTB UXTH UXTW UXTX SXTB SXTH SXTW SXTX. */
export function extend(x: Value, option: number): Value {
  switch (option) {
    case 0:
      return and(x, c64(0xff));
    case 1:
      return and(x, c64(0xffff));
    case 2:
      return zext(lo32(x));
    case 4:
      return un(0xc2, I64, x);
    case 5:
      return un(0xc3, I64, x);
    case 6:
      return sext(lo32(x));
    default:
      return x;
  }
}
function addSubExtended(b: Builder, f: Parameters<Parameters<typeof define>[2]>[1], v: Variants, name: string): Value {
  const n = v.Rn31 ? b.sp : b.x(f.Rn);
  const m = shl(extend(b.x(f.Rm), v.option_name as number), zext(f.imm3));
  return addSub(b, name, v.sf ? n : lo32(n), v.sf ? m : lo32(m));
}
define("ADD_ADDSUB_EXT SUB_ADDSUB_EXT", "sf option_name Rn31 Rd31", (b, f, v, row) =>
  b.setX(v.Rd31 ? c32(32) : f.Rd, addSubExtended(b, f, v, row.name.slice(0, 3))),
);
define("ADDS_ADDSUB_EXT SUBS_ADDSUB_EXT", "sf option_name Rn31", (b, f, v, row) => b.setX(f.Rd, addSubExtended(b, f, v, row.name)));

define("ADC ADCS SBC SBCS", "sf", (b, f, v, row) => {
  const m = b.reg(f.Rm, v.sf);
  const { result, flags } = addWithCarry(b.reg(f.Rn, v.sf), row.name.startsWith("SBC") ? not(m) : m, b.carry);
  if (row.name.endsWith("S")) b.setFlags(flags);
  b.setX(f.Rd, result);
});

define("CCMN_REG CCMN_IMM CCMP_REG CCMP_IMM", "sf cond", (b, f, v, row) => {
  const a = b.reg(f.Rn, v.sf);
  const y = row.name.endsWith("IMM") ? widen(v.sf, f.imm5) : b.reg(f.Rm, v.sf);
  const isSub = row.name.startsWith("CCMP");
  const met = b.cond(v.cond as number);
  const compared = canonical({ kind: isSub ? "sub" : "add", values: [a, y, isSub ? sub(a, y) : add(a, y)] });
  const given = fromNzcv(f.nzcv).values;
  const flags: Flags = { kind: "canonical", values: compared.map((c, i) => select(met, c, given[i] as Value)) };
  b.setFlags(flags);
});
define("CSEL CSINC CSINV CSNEG", "sf cond", (b, f, v, row) => {
  const m = b.reg(f.Rm, v.sf);
  const other = { CSEL: m, CSINC: add(m, k(v.sf, 1)), CSINV: not(m), CSNEG: neg(m) }[row.name] as Value;
  b.setX(f.Rd, select(b.cond(v.cond as number), b.reg(f.Rn, v.sf), other));
});

// ---- one source ----------------------------------------------------------------------------------------------------
/** Swaps neighbouring groups of s bits under mask m (the mask repeats in both halves). */
const swap = (sf: number, y: Value, s: number, m: number) => {
  const mask = sf ? c64(m, m) : c32(m);
  return or(shl(and(y, mask), k(sf, s)), and(shru(y, k(sf, s)), mask));
};
const swapBytes16 = (sf: number, y: Value) => swap(sf, y, 8, 0x00ff00ff);
const reverseBytes32 = (sf: number, y: Value) =>
  sf ? swap(1, swapBytes16(1, y), 16, 0x0000ffff) : bin("rotr", swapBytes16(0, y), c32(16));
const reverseBytes = (sf: number, y: Value) => (sf ? bin("rotr", reverseBytes32(1, y), c64(32)) : reverseBytes32(0, y));
define("RBIT_INT", "sf", (b, f, v) => {
  let y = b.reg(f.Rn, v.sf);
  for (const [s, m] of [
    [1, 0x55555555],
    [2, 0x33333333],
    [4, 0x0f0f0f0f],
  ] as const)
    y = swap(v.sf, y, s, m);
  b.setX(f.Rd, reverseBytes(v.sf, y));
});
define("REV16_INT", "sf", (b, f, v) => b.setX(f.Rd, swapBytes16(v.sf, b.reg(f.Rn, v.sf))));
define("REV32_INT", "", (b, f) => b.setX(f.Rd, reverseBytes32(1, b.x(f.Rn))));
define("REV", "sf", (b, f, v) => b.setX(f.Rd, reverseBytes(v.sf, b.reg(f.Rn, v.sf))));
define("CLZ_INT", "sf", (b, f, v) => b.setX(f.Rd, clz(b.reg(f.Rn, v.sf))));
define("CLS_INT", "sf", (b, f, v) => {
  const x = b.reg(f.Rn, v.sf);
  b.setX(f.Rd, sub(clz(xor(x, shrs(x, k(v.sf, 1)))), k(v.sf, 1)));
});

// ---- two and three sources -----------------------------------------------------------------------------------------
define("UDIV", "sf", (b, f, v) => {
  const d = b.reg(f.Rm, v.sf);
  b.setX(f.Rd, select(eqz(d), k(v.sf, 0), bin("divu", b.reg(f.Rn, v.sf), select(eqz(d), k(v.sf, 1), d))));
});
/** Division by -1 is negation (Wasm traps on the most negative value). */
define("SDIV", "sf", (b, f, v) => {
  const n = b.reg(f.Rn, v.sf);
  const d = b.reg(f.Rm, v.sf);
  const minusOne = bin("eq", d, k(v.sf, -1));
  const quotient = bin("divs", n, select(or(eqz(d), minusOne), k(v.sf, 1), d));
  b.setX(f.Rd, select(eqz(d), k(v.sf, 0), select(minusOne, neg(n), quotient)));
});
define("LSLV LSRV ASRV RORV", "sf", (b, f, v, row) =>
  b.setX(f.Rd, shiftBy(["LSLV", "LSRV", "ASRV", "RORV"].indexOf(row.name), b.reg(f.Rn, v.sf), b.reg(f.Rm, v.sf))),
);
define("MADD MSUB", "sf", (b, f, v, row) =>
  b.setX(f.Rd, (row.name === "MADD" ? add : sub)(b.reg(f.Ra, v.sf), mul(b.reg(f.Rn, v.sf), b.reg(f.Rm, v.sf)))),
);
define("SMADDL SMSUBL UMADDL UMSUBL", "", (b, f, _v, row) => {
  const ext = (x: Value) => (row.name.startsWith("U") ? zext(lo32(x)) : sext(lo32(x)));
  b.setX(f.Rd, (row.name.endsWith("ADDL") ? add : sub)(b.x(f.Ra), mul(ext(b.x(f.Rn)), ext(b.x(f.Rm)))));
});
define("SMULH UMULH", "", (b, f, _v, row) => {
  const x = b.x(f.Rn);
  const y = b.x(f.Rm);
  const lo = (n: Value) => zext(lo32(n));
  const hi = (n: Value) => shru(n, c64(32));
  const p = add(mul(hi(x), lo(y)), hi(mul(lo(x), lo(y))));
  const q = add(mul(lo(x), hi(y)), lo(p));
  const unsigned = add(add(mul(hi(x), hi(y)), hi(p)), hi(q));
  const correction = add(and(shrs(x, c64(63)), y), and(shrs(y, c64(63)), x));
  b.setX(f.Rd, row.name === "UMULH" ? unsigned : sub(unsigned, correction));
});
define("CRC32 CRC32C", "sz", (b, f, v, row) => {
  const castagnoli = row.name === "CRC32C" ? 0x100 : 0;
  b.setX(f.Rd, call(Fn.Crc32, I32, lo32(b.x(f.Rn)), b.x(f.Rm), c32((1 << (v.sz as number)) | castagnoli)));
});

// ---- FlagM ---------------------------------------------------------------------------------------------------------
/** Current NZCV as an i32, N in bit 3. */
function nzcv(b: Builder): Value {
  const sign = (x: Value) => lo32(shru(x, c64(63)));
  return or(or(shl(sign(b.flag(0)), c32(3)), shl(eqz(b.flag(1)), c32(2))), or(shl(b.flag(2), c32(1)), sign(b.flag(3))));
}
define("RMIF", "", (b, f) => {
  const rotated = lo32(bin("rotr", b.x(f.Rn), zext(f.imm6)));
  b.setFlags(fromNzcv(or(and(rotated, f.mask), and(nzcv(b), not(f.mask)))));
});
define("SETF", "sz", (b, f, v) => {
  const top = v.sz ? 15 : 7;
  const w = lo32(b.x(f.Rn));
  const low = shl(w, c32(31 - top));
  const overflow = sext(shl(xor(w, shru(w, c32(1))), c32(31 - top)));
  b.setFlags({ kind: "canonical", values: [sext(low), sext(low), b.carry, overflow] });
});
define("CFINV", "", (b) => b.setFlags({ kind: "canonical", values: [b.flag(0), b.flag(1), xor(b.carry, c32(1)), b.flag(3)] }));
/** AXFLAG: N=0, Z = Z|V, C = C & !V, V=0. */
define("AXFLAG", "", (b) => {
  const v = lo32(shru(b.flag(3), c64(63)));
  const z = or(eqz(b.flag(1)), v);
  b.setFlags({ kind: "canonical", values: [c64(0), zext(eqz(z)), and(b.carry, eqz(v)), c64(0)] });
});
/** XAFLAG: N = !C & !Z, Z = Z & C, C = C | Z, V = !C & Z. */
define("XAFLAG", "", (b) => {
  const z = eqz(b.flag(1));
  const c = b.carry;
  const sign = (x: Value) => sext(sub(c32(0), x));
  b.setFlags({
    kind: "canonical",
    values: [sign(and(eqz(c), eqz(z))), zext(eqz(and(z, c))), or(c, z), sign(and(eqz(c), z))],
  });
});
