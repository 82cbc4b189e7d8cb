// Reproducible random instruction words and register states for differential tests.

import { decode, type Row } from "../../../src/isa/table.ts";
import { Registers } from "./oracle.ts";

/** Uniform 32-bit numbers from a seed (xorshift128). */
export class Random {
  private readonly s: Uint32Array;

  constructor(seed: number) {
    this.s = Uint32Array.of(seed | 1, 0x9e37_79b9, seed ^ 0x7f4a_7c15, 0xf39c_c060);
    for (let i = 0; i < 16; i++) this.u32();
  }
  u32(): number {
    const s = this.s;
    let t = s[3] as number;
    t ^= t << 11;
    t ^= t >>> 8;
    s.copyWithin(1, 0, 3);
    const first = s[1] as number;
    s[0] = t ^ first ^ (first >>> 19);
    return s[0] as number;
  }
  /** 0 <= result < n. */
  below(n: number): number {
    return Math.floor((this.u32() / 2 ** 32) * n);
  }
  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }
  /** A 64-bit lane value of `bits` bits per lane: edges of signed and unsigned ranges, small and shifted numbers, or noise. */
  lanes(bits: number): bigint {
    let v = 0n;
    for (let at = 0; at < 64; at += bits) v |= BigInt.asUintN(bits, this.edge(bits)) << BigInt(at);
    return v;
  }
  private edge(bits: number): bigint {
    const top = 1n << BigInt(bits - 1);
    switch (this.below(8)) {
      case 0:
        return BigInt(this.below(5) - 2);
      case 1:
        return top + BigInt(this.below(5) - 2);
      case 2:
        return 1n << BigInt(this.below(bits));
      case 3:
        return BigInt(this.below(160) - 80);
      case 4:
        return (1n << BigInt(this.below(bits))) - 1n;
      default:
        return this.u64();
    }
  }
}

/** A word that decodes to `row`, with random fields; register numbers are drawn from a few so that they often coincide. */
export function randomWord(row: Row, rng: Random): number {
  for (let tries = 0; tries < 10_000; tries++) {
    let word = row.value | (rng.u32() & ~row.mask);
    if (rng.below(2) === 0) word = coincide(word, row, rng);
    if (decode(word) === row) return word >>> 0;
  }
  throw new Error(`no word decodes to ${row.name}`);
}

/** Makes one register field equal to another. */
function coincide(word: number, row: Row, rng: Random): number {
  const registers = [...row.fields.values()].filter((f) => f.width === 5 && /^R|^X|^V/.test(f.name));
  const from = registers[rng.below(registers.length)];
  const to = registers[rng.below(registers.length)];
  if (!from || !to) return word;
  return (word & ~(31 << to.low)) | (((word >>> from.low) & 31) << to.low);
}

/** A full register state: SIMD lanes and general registers with many edge values, random NZCV and FPSR.QC, FPCR zero. */
export function randomRegisters(rng: Random): Registers {
  const r = new Registers();
  for (let i = 0; i < 31; i++) r.setX(i, rng.lanes(64));
  r.setX(31, BigInt(rng.u32()) & ~15n);
  const bits = 8 << rng.below(4);
  for (let i = 0; i < 32; i++) {
    const v = new DataView(r.v(i).buffer, r.v(i).byteOffset, 16);
    v.setBigUint64(0, rng.lanes(bits), true);
    v.setBigUint64(8, rng.lanes(bits), true);
  }
  r.nzcv = (rng.below(16) << 28) >>> 0;
  r.fpsr = rng.below(2) << 27;
  return r;
}
