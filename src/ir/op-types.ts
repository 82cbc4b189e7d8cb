// Operand and result types of the operations that are one Wasm instruction (core specification, validation of instructions).

import { F32, F64, I32, I64, V128, type ValType } from "../wasm/module.ts";

export interface OpType {
  readonly operands: readonly ValType[];
  readonly result: ValType;
  /** Lane immediates are below this; 0: the operation takes none. */
  readonly lanes: number;
}

const letters: Readonly<Record<string, ValType>> = { i: I32, l: I64, f: F32, d: F64, v: V128 };

// First and last opcode of a run, operands > result (i i32, l i64, f f32, d f64, v v128), lanes.
// biome-ignore format: table
const runs: readonly (readonly [first: number, last: number, type: string, lanes?: number])[] = [
  // comparisons
  [0x45, 0x45, "i>i"],  [0x46, 0x4f, "ii>i"], [0x50, 0x50, "l>i"],  [0x51, 0x5a, "ll>i"], [0x5b, 0x60, "ff>i"], [0x61, 0x66, "dd>i"],
  // integer and floating-point arithmetic
  [0x67, 0x69, "i>i"],  [0x6a, 0x78, "ii>i"], [0x79, 0x7b, "l>l"],  [0x7c, 0x8a, "ll>l"],
  [0x8b, 0x91, "f>f"],  [0x92, 0x98, "ff>f"], [0x99, 0x9f, "d>d"],  [0xa0, 0xa6, "dd>d"],
  // conversions
  [0xa7, 0xa7, "l>i"],  [0xa8, 0xa9, "f>i"],  [0xaa, 0xab, "d>i"],  [0xac, 0xad, "i>l"],  [0xae, 0xaf, "f>l"],  [0xb0, 0xb1, "d>l"],
  [0xb2, 0xb3, "i>f"],  [0xb4, 0xb5, "l>f"],  [0xb6, 0xb6, "d>f"],  [0xb7, 0xb8, "i>d"],  [0xb9, 0xba, "l>d"],  [0xbb, 0xbb, "f>d"],
  [0xbc, 0xbc, "f>i"],  [0xbd, 0xbd, "d>l"],  [0xbe, 0xbe, "i>f"],  [0xbf, 0xbf, "l>d"],  [0xc0, 0xc1, "i>i"],  [0xc2, 0xc4, "l>l"],
  [0xfc00, 0xfc01, "f>i"], [0xfc02, 0xfc03, "d>i"], [0xfc04, 0xfc05, "f>l"], [0xfc06, 0xfc07, "d>l"],
  // vectors: splat, lanes
  [0xfd0f, 0xfd11, "i>v"], [0xfd12, 0xfd12, "l>v"], [0xfd13, 0xfd13, "f>v"], [0xfd14, 0xfd14, "d>v"], [0xfd0e, 0xfd0e, "vv>v"],
  [0xfd15, 0xfd16, "v>i", 16], [0xfd17, 0xfd17, "vi>v", 16], [0xfd18, 0xfd19, "v>i", 8], [0xfd1a, 0xfd1a, "vi>v", 8],
  [0xfd1b, 0xfd1b, "v>i", 4],  [0xfd1c, 0xfd1c, "vi>v", 4],  [0xfd1d, 0xfd1d, "v>l", 2], [0xfd1e, 0xfd1e, "vl>v", 2],
  [0xfd1f, 0xfd1f, "v>f", 4],  [0xfd20, 0xfd20, "vf>v", 4],  [0xfd21, 0xfd21, "v>d", 2], [0xfd22, 0xfd22, "vd>v", 2],
  // vectors: comparisons, bitwise
  [0xfd23, 0xfd4c, "vv>v"], [0xfd4d, 0xfd4d, "v>v"], [0xfd4e, 0xfd51, "vv>v"], [0xfd52, 0xfd52, "vvv>v"], [0xfd53, 0xfd53, "v>i"],
  [0xfd5e, 0xfd5f, "v>v"],
  // i8x16 (and the f32x4 and f64x2 rounding that stands between)
  [0xfd60, 0xfd62, "v>v"], [0xfd63, 0xfd64, "v>i"], [0xfd65, 0xfd66, "vv>v"], [0xfd67, 0xfd6a, "v>v"], [0xfd6b, 0xfd6d, "vi>v"],
  [0xfd6e, 0xfd73, "vv>v"], [0xfd74, 0xfd75, "v>v"], [0xfd76, 0xfd79, "vv>v"], [0xfd7a, 0xfd7a, "v>v"], [0xfd7b, 0xfd7b, "vv>v"],
  // i16x8
  [0xfd7c, 0xfd81, "v>v"], [0xfd82, 0xfd82, "vv>v"], [0xfd83, 0xfd84, "v>i"], [0xfd85, 0xfd86, "vv>v"], [0xfd87, 0xfd8a, "v>v"],
  [0xfd8b, 0xfd8d, "vi>v"], [0xfd8e, 0xfd93, "vv>v"], [0xfd94, 0xfd94, "v>v"], [0xfd95, 0xfd99, "vv>v"], [0xfd9b, 0xfd9f, "vv>v"],
  // i32x4
  [0xfda0, 0xfda1, "v>v"], [0xfda3, 0xfda4, "v>i"], [0xfda7, 0xfdaa, "v>v"], [0xfdab, 0xfdad, "vi>v"], [0xfdae, 0xfdae, "vv>v"],
  [0xfdb1, 0xfdb1, "vv>v"], [0xfdb5, 0xfdba, "vv>v"], [0xfdbc, 0xfdbf, "vv>v"],
  // i64x2
  [0xfdc0, 0xfdc1, "v>v"], [0xfdc3, 0xfdc4, "v>i"], [0xfdc7, 0xfdca, "v>v"], [0xfdcb, 0xfdcd, "vi>v"], [0xfdce, 0xfdce, "vv>v"],
  [0xfdd1, 0xfdd1, "vv>v"], [0xfdd5, 0xfddf, "vv>v"],
  // f32x4, f64x2, conversions
  [0xfde0, 0xfde1, "v>v"], [0xfde3, 0xfde3, "v>v"], [0xfde4, 0xfdeb, "vv>v"], [0xfdec, 0xfded, "v>v"], [0xfdef, 0xfdef, "v>v"],
  [0xfdf0, 0xfdf7, "vv>v"], [0xfdf8, 0xfdff, "v>v"],
  // relaxed: f32x4 and f64x2 madd, nmadd
  [0xfd105, 0xfd108, "vvv>v"],
];

/** Types by opcode. */
export const opTypes: ReadonlyMap<number, OpType> = new Map(
  runs.flatMap(([first, last, text, lanes]) => {
    const [operands, result] = text.split(">") as [string, string];
    const type: OpType = {
      operands: [...operands].map((c) => letters[c] as ValType),
      result: letters[result] as ValType,
      lanes: lanes ?? 0,
    };
    return Array.from({ length: last - first + 1 }, (_, i) => [first + i, type] as const);
  }),
);
