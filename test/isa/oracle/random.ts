// Reproducible random instruction words and register states for differential tests.

import { decode, type Row } from "../../../src/isa/table.ts";
import { Rec, Registers } from "./oracle.ts";

/** Uniform 32-bit numbers from a seed (xorshift128). */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  constructor(seed: number) {
    this.a = seed | 1;
    this.b = 0x9e37_79b9 | 0;
    this.c = seed ^ 0x7f4a_7c15;
    this.d = 0xf39c_c060 | 0;
    for (let i = 0; i < 16; i++) this.u32();
  }
  u32(): number {
    let t = this.d ^ (this.d << 11);
    t ^= t >>> 8;
    const first = this.a;
    this.d = this.c;
    this.c = this.b;
    this.b = first;
    this.a = t ^ first ^ (first >>> 19);
    return this.a >>> 0;
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

/** Writes a lane of `bits` bits at 64-bit index `i`, like Random.lanes: without BigInt, as it runs for every register of a state. */
class LaneWriter {
  private readonly rng: Random;
  private readonly u8: Uint8Array;
  private readonly u16: Uint16Array;
  private readonly u32: Uint32Array;

  constructor(rng: Random, bytes: Uint8Array) {
    this.rng = rng;
    this.u8 = bytes;
    this.u16 = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
    this.u32 = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  }
  fill(from: number, end: number, bits: number): void {
    for (let at = from; at < end; at += bits >> 3) {
      if (bits === 64) this.doubleword(at >> 2);
      else if (bits === 32) this.u32[at >> 2] = this.edge(32);
      else if (bits === 16) this.u16[at >> 1] = this.edge(16);
      else this.u8[at] = this.edge(8);
    }
  }
  private edge(bits: number): number {
    const { rng } = this;
    const kind = rng.u32() & 7;
    if (kind > 4) return rng.u32();
    const n = rng.u32();
    if (kind === 0) return (n % 5) - 2;
    if (kind === 1) return (1 << (bits - 1)) + (n % 5) - 2;
    if (kind === 2) return 1 << (n & (bits - 1));
    if (kind === 3) return (n % 160) - 80;
    return (1 << (n & (bits - 1))) - 1;
  }
  private doubleword(at: number): void {
    const { rng } = this;
    const set = (lo: number, hi: number): void => {
      this.u32[at] = lo;
      this.u32[at + 1] = hi;
    };
    const kind = rng.u32() & 7;
    const n = rng.u32();
    const k = kind === 3 ? (n % 160) - 80 : (n % 5) - 2;
    if (kind === 0 || kind === 3) set(k, k < 0 ? -1 : 0);
    else if (kind === 1) set(k, k < 0 ? 0x7fff_ffff : 0x8000_0000);
    else if (kind === 2) set(n & 32 ? 0 : 1 << (n & 31), n & 32 ? 1 << (n & 31) : 0);
    else if (kind === 4) set(n & 32 ? -1 : (1 << (n & 31)) - 1, n & 32 ? (1 << (n & 31)) - 1 : 0);
    else set(n, rng.u32());
  }
}

/** A full register state: SIMD lanes and general registers with many edge values, random NZCV and FPSR.QC, FPCR zero. */
export function randomRegisters(rng: Random): Registers {
  const r = new Registers();
  const lanes = new LaneWriter(rng, r.bytes);
  lanes.fill(Rec.X, Rec.SP, 64);
  r.view.setUint32(Rec.SP, rng.u32() & ~15, true);
  lanes.fill(Rec.V, Rec.V + 512, 8 << rng.below(4));
  r.nzcv = (rng.below(16) << 28) >>> 0;
  r.fpsr = rng.below(2) << 27;
  return r;
}
