// Advanced SIMD shifts by immediate, widening, narrowing and unsigned comparison, as Wasm SIMD operations. Every row here also has a
// helper (isa/simd), which the tests compare with.

import { c64, shl, shuffle, type Value } from "../../ir/value.ts";
import { SysOp } from "../sysops.ts";
import { define, type Fields, type Variants } from "./define.ts";
import { binary, leftAmount, lgOfImmh, narrow, ops, resizable, right, rightAmount, shiftable, splat, unary, vxor } from "./vector-ops.ts";

/** Opcodes that widen the lower and the upper half, by log2 element size. */
const widen = {
  s: [
    [0xfd87, 0xfda7, 0xfdc7],
    [0xfd88, 0xfda8, 0xfdc8],
  ],
  u: [
    [0xfd89, 0xfda9, 0xfdc9],
    [0xfd8a, 0xfdaa, 0xfdca],
  ],
} as const;

function shifts(row: string, value: (n: Value, f: Fields, v: Variants) => Value): void {
  define(
    row,
    "Q immh",
    (b, f, v) => {
      b.requireFp(SysOp.FPTRAP);
      b.setV(f.Rd, value(b.v(f.Rn), f, v), v.Q ? 4 : 3);
    },
    shiftable,
  );
}
shifts("SHLV", (n, f, v) => binary(ops.shl[lgOfImmh(v)], n, leftAmount(f, v)));
shifts("SSHRV", (n, f, v) => right("S", lgOfImmh(v), n, rightAmount(f, v)));
shifts("USHRV", (n, f, v) => right("U", lgOfImmh(v), n, rightAmount(f, v)));

/** SSHLL, USHLL: the lower (Q = 0) or upper half widens, then shifts left. */
function longShift(row: string, sign: "s" | "u"): void {
  define(
    row,
    "Q immh",
    (b, f, v) => {
      b.requireFp(SysOp.FPTRAP);
      const lg = lgOfImmh(v);
      const wide = unary(widen[sign][v.Q ? 1 : 0][lg], b.v(f.Rn));
      b.setV(f.Rd, binary(ops.shl[lg + 1], wide, leftAmount(f, v)));
    },
    resizable,
  );
}
longShift("SSHLLV", "s");
longShift("USHLLV", "u");

define(
  "SHRNV",
  "Q immh",
  (b, f, v) => {
    b.requireFp(SysOp.FPTRAP);
    const lg = lgOfImmh(v);
    // The amount is at most half of the wide element's size.
    narrow(b, f, v, lg, binary(ops.shrU[lg + 1], b.v(f.Rn), rightAmount(f, v)));
  },
  resizable,
);
define(
  "XTNV",
  "Q size",
  (b, f, v) => {
    b.requireFp(SysOp.FPTRAP);
    narrow(b, f, v, v.size as number, b.v(f.Rn));
  },
  (v) => v.size !== 3,
);

// ---- unsigned comparison: doublewords by way of their signs ------------------------------------------------------------
function compareUnsigned(row: string, opcodes: readonly number[]): void {
  define(
    row,
    "Q size",
    (b, f, v) => {
      b.requireFp(SysOp.FPTRAP);
      const flip = (x: Value) => (v.size === 3 ? vxor(x, splat(3, shl(c64(1), c64(63)))) : x);
      b.setV(f.Rd, binary(opcodes[v.size as number] as number, flip(b.v(f.Rn)), flip(b.v(f.Rm))), v.Q ? 4 : 3);
    },
    (v) => v.Q === 1 || v.size !== 3,
  );
}
compareUnsigned("CMHIV", [...ops.gtU, ops.gtS[3]]);
compareUnsigned("CMHSV", [...ops.geU, ops.geS[3]]);

// ---- permutation -------------------------------------------------------------------------------------------------------
/** Result element e of the row is element pick(e, elements per register) of the concatenation Rm:Rn. */
function permute(row: string, pick: (e: number, count: number) => number): void {
  define(
    row,
    "Q size",
    (b, f, v) => {
      b.requireFp(SysOp.FPTRAP);
      const element = 1 << (v.size as number);
      const bytes = v.Q ? 16 : 8;
      const count = bytes / element;
      const map = Array.from({ length: 16 }, (_, j) => {
        const k = pick(Math.floor((j & (bytes - 1)) / element), count);
        return (k < count ? k * element : 16 + (k - count) * element) + (j % element);
      });
      b.setV(f.Rd, shuffle(b.v(f.Rn), b.v(f.Rm), map), v.Q ? 4 : 3);
    },
    (v) => v.Q === 1 || v.size !== 3,
  );
}
permute("ZIP1V", (e, n) => (e >> 1) + (e & 1) * n);
permute("ZIP2V", (e, n) => (n >> 1) + (e >> 1) + (e & 1) * n);
permute("UZP1V", (e) => 2 * e);
permute("UZP2V", (e) => 2 * e + 1);
permute("TRN1V", (e, n) => (e & ~1) + (e & 1) * n);
permute("TRN2V", (e, n) => (e & ~1) + 1 + (e & 1) * n);

/** Reverses elements within containers of 2^container bytes. */
function reverse(row: string, container: number): void {
  define(
    row,
    "Q size",
    (b, f, v) => {
      b.requireFp(SysOp.FPTRAP);
      const flip = (1 << container) - (1 << (v.size as number));
      const n = b.v(f.Rn);
      const map = Array.from({ length: 16 }, (_, j) => j ^ flip);
      b.setV(f.Rd, shuffle(n, n, map), v.Q ? 4 : 3);
    },
    (v) => (v.size as number) < container,
  );
}
reverse("REV64V", 3);
reverse("REV32V", 2);
reverse("REV16V", 1);
