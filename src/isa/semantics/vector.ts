// Advanced SIMD instructions that are one or few Wasm SIMD operations: the hot ones of kernels and C libraries. Every row
// here also has a helper (isa/simd), which the tests compare with.

import type { Builder } from "../../ir/builder.ts";
import { and, c32, c64, or, shl, shru, shuffle, sub, V128, type Value, vzero, wasm, zext } from "../../ir/value.ts";
import { SysOp } from "../sysops.ts";
import { define, type Fields, type Variants } from "./define.ts";
import { binary, ops, splat, vand, vandNot, vor, vselect, vxor } from "./vector-ops.ts";

/** Register size as log2 bytes. */
const lgOf = (v: Variants) => (v.Q ? 4 : 3);
const not1 = (a: Value) => wasm(0xfd4d, V128, a);

type Vector = (b: Builder, f: Fields, v: Variants) => Value;
function vector(rows: string, variants: string, value: Vector, valid?: (v: Variants) => boolean): void {
  define(
    rows,
    variants,
    (b, f, v) => {
      b.requireFp(SysOp.FPTRAP);
      b.setV(f.Rd, value(b, f, v), lgOf(v));
    },
    valid,
  );
}

// ---- three same: one opcode per element size ------------------------------------------------------------------------
const sized = (opcodes: readonly number[]) => (v: Variants) => opcodes[v.size as number] !== undefined && (v.Q === 1 || v.size !== 3);
function lanewise(row: string, opcodes: readonly number[], swapped = false): void {
  vector(
    row,
    "Q size",
    (b, f, v) => {
      const [n, m] = swapped ? [b.v(f.Rm), b.v(f.Rn)] : [b.v(f.Rn), b.v(f.Rm)];
      return binary(opcodes[v.size as number] as number, n, m);
    },
    sized(opcodes),
  );
}
lanewise("ADDV", ops.add);
lanewise("SUBV", ops.sub);
lanewise("CMEQV_REG", ops.eq);
lanewise("CMGTV_REG", ops.gtS);
lanewise("CMGEV_REG", ops.geS);

// ---- bitwise ---------------------------------------------------------------------------------------------------------
const bitwise: Record<string, (n: Value, m: Value, d: () => Value) => Value> = {
  ANDV: vand,
  BICV_REG: vandNot,
  ORRV_REG: vor,
  ORNV: (n, m) => vor(n, not1(m)),
  EORV: vxor,
  BSLV: (n, m, d) => vselect(n, m, d()),
  BITV: (n, m, d) => vselect(n, d(), m),
  BIFV: (n, m, d) => vselect(d(), n, m),
};
for (const [row, f2] of Object.entries(bitwise)) vector(row, "Q", (b, f) => f2(b.v(f.Rn), b.v(f.Rm), () => b.v(f.Rd)));
vector("NOTV", "Q", (b, f) => not1(b.v(f.Rn)));

// ---- two-register: compare with zero ---------------------------------------------------------------------------------
function compareZero(row: string, opcodes: readonly number[]): void {
  vector(row, "Q size", (b, f, v) => binary(opcodes[v.size as number] as number, b.v(f.Rn), vzero()), sized(opcodes));
}
compareZero("CMEQV_ZERO", ops.eq);
compareZero("CMGTV_ZERO", ops.gtS);
compareZero("CMLTV", ops.ltS);

// ---- pairwise: even and odd elements of the concatenation Rm:Rn --------------------------------------------------------
function pairwise(row: string, opcodes: readonly number[]): void {
  vector(
    row,
    "Q size",
    (b, f, v) => {
      const element = 1 << (v.size as number);
      const half = v.Q ? 16 : 8;
      /** Byte j of the vector of even (odd = 0) or odd elements. */
      const pick = (odd: number) =>
        Array.from({ length: 16 }, (_, j) => {
          const k = (Math.floor((j & (half - 1)) / element) * 2 + odd) * element + (j % element);
          return k < half ? k : 16 + (k - half);
        });
      const [n, m] = [b.v(f.Rn), b.v(f.Rm)];
      return binary(opcodes[v.size as number] as number, shuffle(n, m, pick(0)), shuffle(n, m, pick(1)));
    },
    sized(opcodes),
  );
}
pairwise("ADDPV_VEC", ops.add);
pairwise("UMAXPV", ops.maxU);
pairwise("UMINPV", ops.minU);

// ---- copy --------------------------------------------------------------------------------------------------------------
/** imm5: the lowest set bit gives the element size, the bits above it the index. */
const sizeOfImm5 = (v: Variants) => 31 - Math.clz32((v.imm5 as number) & -(v.imm5 as number));
const indexOfImm5 = (v: Variants) => (v.imm5 as number) >> (sizeOfImm5(v) + 1);
const validImm5 = (v: Variants) => ((v.imm5 as number) & 15) !== 0 && (v.Q !== 0 || sizeOfImm5(v) < 3);
vector("DUPV_GEN", "Q imm5", (b, f, v) => splat(sizeOfImm5(v), b.x(f.Rn)), validImm5);
vector("DUPV_ELT", "Q imm5", (b, f, v) => splat(sizeOfImm5(v), b.lane(f.Rn, c32(indexOfImm5(v)), sizeOfImm5(v))), validImm5);
define(
  "UMOVV",
  "Q imm5",
  (b, f, v) => {
    b.requireFp(SysOp.FPTRAP);
    b.setX(f.Rd, b.lane(f.Rn, c32(indexOfImm5(v)), sizeOfImm5(v)));
  },
  (v) => ((v.imm5 as number) & 15) !== 0 && (v.Q === 1) === (sizeOfImm5(v) === 3),
);
define(
  "INSV_GEN",
  "imm5",
  (b, f, v) => {
    b.requireFp(SysOp.FPTRAP);
    b.setLane(f.Rd, c32(indexOfImm5(v)), sizeOfImm5(v), b.x(f.Rn));
  },
  (v) => ((v.imm5 as number) & 15) !== 0,
);

// ---- immediate ---------------------------------------------------------------------------------------------------------
const imm8 = (f: Fields) => {
  const bit = (x: Value, n: number) => shl(x, c32(n));
  return or(or(or(bit(f.a, 7), bit(f.b, 6)), or(bit(f.c, 5), bit(f.d, 4))), or(or(bit(f.e, 3), bit(f.f, 2)), or(bit(f.g, 1), f.h)));
};
/** AdvSIMDExpandImm for MOVI (op = 0: no inversion) and the 64-bit byte mask form (op = 1, cmode 1110). */
vector(
  "MOVIV",
  "Q op cmode",
  (_b, f, v) => {
    const i = imm8(f);
    const cmode = v.cmode as number;
    if (cmode < 8) return splat(2, shl(i, c32((cmode >> 1) * 8)));
    if (cmode < 12) return splat(1, shl(i, c32(((cmode >> 1) & 1) * 8)));
    if (cmode < 14) return splat(2, cmode & 1 ? or(shl(i, c32(16)), c32(0xffff)) : or(shl(i, c32(8)), c32(0xff)));
    if (v.op === 0) return splat(0, i);
    // Each bit of imm8 becomes a byte of ones: bits spread to bytes, times 0xff.
    const bits = Array.from({ length: 8 }, (_, k) => shl(zext(and(shru(i, c32(k)), c32(1))), c64(8 * k)));
    const ones = bits.reduce((x, y) => or(x, y));
    return splat(3, sub(shl(ones, c64(8)), ones));
  },
  (v) => {
    const cmode = v.cmode as number;
    return cmode !== 15 && (v.op === 0 ? cmode === 14 || cmode >= 12 || (cmode & 1) === 0 : cmode === 14);
  },
);

// ---- extract -----------------------------------------------------------------------------------------------------------
vector(
  "EXTV",
  "Q imm4",
  (b, f, v) => {
    const half = v.Q ? 16 : 8;
    const map = Array.from({ length: 16 }, (_, j) => {
      const k = (j & (half - 1)) + (v.imm4 as number);
      return k < half ? k : 16 + (k - half);
    });
    return shuffle(b.v(f.Rn), b.v(f.Rm), map);
  },
  (v) => v.Q === 1 || (v.imm4 as number) < 8,
);
