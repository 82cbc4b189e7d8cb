// Advanced SIMD loads and stores of structures: LD1..LD4, ST1..ST4, single and replicating forms (Arm ARM C4.1.94.1-4).

import type { Builder } from "../../ir/builder.ts";
import { add, and, c32, c64, lo32, or, shl, shuffle, V128, type Value, wasm } from "../../ir/value.ts";
import { SysOp } from "../sysops.ts";
import { define, type Fields, type Variants } from "./define.ts";
import { base, writeBase } from "./memory.ts";

/** Register r + i, modulo 32. */
const regPlus = (r: Value, i: number) => (i === 0 ? r : and(add(r, c32(i)), c32(31)));

/** Post-index: Rm = 31 adds the transfer size, otherwise Xm. */
function postIndex(b: Builder, f: Fields, v: Variants, name: string, start: Value, bytes: number): void {
  if (name.endsWith("_POST")) writeBase(b, f, v, add(start, v.Rm31 ? c64(bytes) : b.x(f.Rm)));
}

// ---- multiple structures -------------------------------------------------------------------------------------------
const ld1Registers: Record<number, number> = { 7: 1, 10: 2, 6: 3, 2: 4 };
/** LD1/ST1 of one to four consecutive registers. */
define(
  "LD1V_MULT_OFF LD1V_MULT_POST ST1V_MULT_OFF ST1V_MULT_POST",
  "Q opcode Rn31 Rm31",
  (b, f, v, row) => {
    b.requireFp(SysOp.FPTRAP);
    const count = ld1Registers[v.opcode as number] as number;
    const lg = v.Q ? 4 : 3;
    const start = base(b, f, v);
    const at = (i: number) => add(start, c64(i << lg));
    if (row.name.startsWith("ST")) for (let i = 0; i < count; i++) b.store(at(i), lg, [b.v(regPlus(f.Rt, i))]);
    else {
      const loaded = Array.from({ length: count }, (_, i) => b.load(at(i), lg, { type: V128 }));
      loaded.forEach((value, i) => {
        b.setV(regPlus(f.Rt, i), value);
      });
    }
    postIndex(b, f, v, row.name, start, count << lg);
  },
  (v) => ld1Registers[v.opcode as number] !== undefined,
);

/** Byte j of the result is byte map[j] of the concatenation of `sources` (16 bytes each). */
function gather(sources: readonly Value[], map: readonly number[]): Value {
  const first = sources[0] as Value;
  if (sources.length === 1) return shuffle(first, first, map);
  let result = shuffle(
    first,
    sources[1] as Value,
    map.map((m) => (m < 32 ? m : 0)),
  );
  for (let s = 2; s < sources.length; s++) {
    result = shuffle(
      result,
      sources[s] as Value,
      map.map((m, j) => (m >> 4 === s ? 16 + (m & 15) : j)),
    );
  }
  return result;
}

/** LD2/3/4: element e of register i stands at memory element e * n + i; memory is moved in blocks of a register's size. */
function defineInterleaved(n: 2 | 3 | 4): void {
  define(
    `LD${n}V_MULT_OFF LD${n}V_MULT_POST ST${n}V_MULT_OFF ST${n}V_MULT_POST`,
    "Q size Rn31 Rm31",
    (b, f, v, row) => {
      b.requireFp(SysOp.FPTRAP);
      const lg = v.Q ? 4 : 3;
      const block = 1 << lg;
      const element = 1 << (v.size as number);
      const start = base(b, f, v);
      const at = (i: number) => add(start, c64(i << lg));
      /** Position in the concatenated 16-byte sources of byte `k` of a packed array of 8- or 16-byte blocks. */
      const packed = (k: number) => (k >> lg) * 16 + (k & (block - 1));
      if (row.name.startsWith("ST")) {
        const regs = Array.from({ length: n }, (_, i) => b.v(regPlus(f.Rt, i)));
        for (let blockIndex = 0; blockIndex < n; blockIndex++) {
          const map = Array.from({ length: 16 }, (_, j) => {
            const k = Math.min(blockIndex * block + (j & (block - 1)), n * block - 1);
            const unit = Math.floor(k / element);
            return (unit % n) * 16 + Math.floor(unit / n) * element + (k % element);
          });
          b.store(at(blockIndex), lg, [gather(regs, map)]);
        }
      } else {
        const loaded = Array.from({ length: n }, (_, i) => b.load(at(i), lg, { type: V128 }));
        for (let i = 0; i < n; i++) {
          const map = Array.from({ length: 16 }, (_, j) => {
            const k = j & (block - 1);
            return packed((Math.floor(k / element) * n + i) * element + (k % element));
          });
          b.setV(regPlus(f.Rt, i), gather(loaded, map), lg);
        }
      }
      postIndex(b, f, v, row.name, start, n << lg);
    },
    (v) => v.Q === 1 || v.size !== 3,
  );
}
for (const n of [2, 3, 4] as const) defineInterleaved(n);

// ---- single structure, one lane ------------------------------------------------------------------------------------
/** opcode<2:1>, S, size give element size and lane: Q:S:size for bytes, Q:S:size<1> for halfwords, Q:S for words, Q for doublewords. */
function laneOf(f: Fields, v: Variants): { lg: number; index: Value } {
  const scale = (v.opcode as number) >> 1;
  const qs = or(shl(f.Q, c32(1)), f.S);
  if (scale === 0) return { lg: 0, index: or(shl(qs, c32(2)), c32(v.size as number)) };
  if (scale === 1) return { lg: 1, index: or(shl(qs, c32(1)), c32((v.size as number) >> 1)) };
  if (((v.size as number) & 1) === 0) return { lg: 2, index: qs };
  return { lg: 3, index: f.Q };
}
function defineSingle(n: 1 | 2 | 3 | 4): void {
  define(
    `LD${n}V_SNGL_OFF LD${n}V_SNGL_POST ST${n}V_SNGL_OFF ST${n}V_SNGL_POST`,
    "opcode size Rn31 Rm31",
    (b, f, v, row) => {
      b.requireFp(SysOp.FPTRAP);
      const { lg, index } = laneOf(f, v);
      const start = base(b, f, v);
      const at = (i: number) => add(start, c64(i << lg));
      if (row.name.startsWith("ST")) for (let i = 0; i < n; i++) b.store(at(i), lg, [b.lane(regPlus(f.Rt, i), index, lg)]);
      else {
        const loaded = Array.from({ length: n }, (_, i) => b.load(at(i), lg));
        loaded.forEach((value, i) => {
          b.setLane(regPlus(f.Rt, i), index, lg, value);
        });
      }
      postIndex(b, f, v, row.name, start, n << lg);
    },
    (v) => ((v.opcode as number) & 1) === (n > 2 ? 1 : 0) && (v.opcode as number) < 6,
  );
}
for (const n of [1, 2, 3, 4] as const) defineSingle(n);

// ---- single structure, replicated to all lanes ---------------------------------------------------------------------
const splat = [0xfd0f, 0xfd10, 0xfd11, 0xfd12] as const;
function defineReplicate(n: 1 | 2 | 3 | 4): void {
  define(`LD${n}RV_OFF LD${n}RV_POST`, "Q size Rn31 Rm31", (b, f, v, row) => {
    b.requireFp(SysOp.FPTRAP);
    const lg = v.size as number;
    const start = base(b, f, v);
    const loaded = Array.from({ length: n }, (_, i) => b.load(add(start, c64(i << lg)), lg));
    loaded.forEach((value, i) => {
      b.setV(regPlus(f.Rt, i), wasm(splat[lg] as number, V128, lg === 3 ? value : lo32(value)), v.Q ? 4 : 3);
    });
    postIndex(b, f, v, row.name, start, n << lg);
  });
}
for (const n of [1, 2, 3, 4] as const) defineReplicate(n);
