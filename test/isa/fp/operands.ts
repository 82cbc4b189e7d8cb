// Random floating-point states for differential tests: operands at the edges of the formats, related to each other, and every FPCR mode.

import { BF16, F16, F32, F64, type Format } from "../../../src/isa/fp/format.ts";
import type { Row } from "../../../src/isa/table.ts";
import type { Registers } from "../oracle/oracle.ts";
import { type Random, randomRegisters } from "../oracle/random.ts";

const pick = <T>(rng: Random, from: readonly T[]): T => from[rng.below(from.length)] as T;

/** Zeros, denormals, ends of the range, infinities, NaNs; without the sign. */
function special(fmt: Format, rng: Random): bigint {
  const payload = rng.u64() & fmt.fracMask;
  const unit = fmt.quiet << 1n;
  return pick(rng, [
    0n,
    0n,
    1n,
    fmt.quiet,
    fmt.fracMask,
    payload,
    payload & 0xffn,
    unit,
    unit + 1n,
    fmt.inf - 1n,
    fmt.inf,
    fmt.inf,
    fmt.inf | fmt.quiet | payload,
    fmt.inf | 1n,
    fmt.inf | (payload & (fmt.quiet - 1n)) | 1n,
  ]);
}

/** A normal number of the given unbiased exponent (clamped to the format), with a significand that is full, short, or all ones or zeros. */
function normal(fmt: Format, exponent: number, rng: Random): bigint {
  const field = Math.min(Math.max(exponent + fmt.bias, 0), fmt.expMax - 1);
  let frac = rng.u64() & fmt.fracMask;
  switch (rng.below(6)) {
    case 0:
      frac = 0n;
      break;
    case 1:
      frac = (fmt.fracMask << BigInt(rng.below(fmt.f))) & fmt.fracMask;
      break;
    case 2:
      frac &= fmt.fracMask << BigInt(fmt.f - rng.below(Math.min(fmt.f, 9)));
      break;
    case 3:
      frac = (frac & 3n) + (rng.below(2) ? fmt.fracMask - 3n : 0n);
      break;
  }
  return (BigInt(field) << BigInt(fmt.f)) | frac;
}

/** One number, as bits. */
export function operand(fmt: Format, rng: Random): bigint {
  const sign = rng.below(2) ? fmt.sign : 0n;
  const around = (center: number, spread: number) => center + rng.below(2 * spread + 1) - spread;
  const range = fmt.bias;
  switch (rng.below(10)) {
    case 0:
    case 1:
      return sign | special(fmt, rng);
    case 2:
      return sign | normal(fmt, around(0, range), rng);
    // Ends of the exponent range, and the middle of each half, where products and roots reach them.
    case 3:
      return sign | normal(fmt, around(pick(rng, [-range, range, -(range >> 1), range >> 1]), 4), rng);
    // Limits of the integers that conversions saturate to.
    case 4:
      return sign | normal(fmt, around(pick(rng, [15, 31, 63]), 1), rng);
    default:
      return sign | normal(fmt, around(0, rng.below(2) ? 2 : 12), rng);
  }
}

/** A neighbour of `a`: equal, negated, or a few units apart. */
export function related(fmt: Format, a: bigint, rng: Random): bigint {
  const flipped = rng.below(2) ? a ^ fmt.sign : a;
  return BigInt.asUintN(8 * fmt.bytes, flipped + BigInt(pick(rng, [-1, 0, 0, 1, rng.below(64) - 32])));
}

/** An operand near n * m, for multiply-adds that cancel. */
export function nearProduct(fmt: Format, n: bigint, m: bigint, rng: Random): bigint {
  if (fmt === F64) {
    const v = new DataView(new ArrayBuffer(16));
    v.setBigUint64(0, n);
    v.setBigUint64(8, m);
    v.setFloat64(0, v.getFloat64(0) * v.getFloat64(8));
    return related(fmt, v.getBigUint64(0), rng);
  }
  if (fmt === F32) {
    const v = new DataView(new ArrayBuffer(8));
    v.setUint32(0, Number(n));
    v.setUint32(4, Number(m));
    v.setFloat32(0, v.getFloat32(0) * v.getFloat32(4));
    return related(fmt, BigInt(v.getUint32(0)), rng);
  }
  return operand(fmt, rng);
}

/** Formats the instruction is likely to read: the others are drawn too, but less often. */
function likelyFormats(row: Row, insn: number): Format[] {
  if (row.name.startsWith("BF")) return row.name.startsWith("BFCVT") ? [F32] : [BF16, BF16, F32];
  if (/_h$/.test(row.name)) return [F16];
  if (/^FML[AS]L/.test(row.name)) return [F16, F16, F32];
  if (row.fields.has("ftype")) return [[F32, F64, F16, F16][(insn >>> 22) & 3] as Format];
  if (row.name === "FJCVTZS") return [F64];
  if (row.name === "FCVTLV") return [insn & (1 << 22) ? F32 : F16];
  if (row.name.startsWith("FCVTNV") || row.name.startsWith("FCVTXN")) return [insn & (1 << 22) ? F64 : F32];
  if (row.fields.has("sz")) return [insn & (1 << 22) ? F64 : F32];
  if (row.fields.has("immh")) return [insn & (1 << 22) ? F64 : insn & (1 << 21) ? F32 : F16];
  if (row.fields.has("size")) return [[F16, F16, F32, F64][(insn >>> 22) & 3] as Format];
  return [F16, F32, F64];
}

const FPCR_BITS = [1 << 26, 1 << 25, 1 << 24, 1 << 19];
const FPSR_BITS = 0x0800_009f;

function randomFpcr(rng: Random): number {
  if (rng.below(3) === 0) return 0;
  let fpcr = rng.below(2) ? rng.below(4) << 22 : 0;
  for (const bit of FPCR_BITS) if (rng.below(3) === 0) fpcr |= bit;
  return fpcr;
}

/** The registers before one execution of `insn`. */
export function randomFpRegisters(row: Row, insn: number, rng: Random): Registers {
  const r = randomRegisters(rng);
  // Integer conversions read lanes as integers: leave some states as they are.
  if (rng.below(8) !== 0 && !/^[SU]CVTFV|^UR/.test(row.name)) fillVectors(r, likelyFormats(row, insn), rng);
  r.fpcr = randomFpcr(rng);
  r.fpsr = pick(rng, [0, 0, 1 << 4, rng.u32() & FPSR_BITS]);
  return r;
}

function fillVectors(r: Registers, likely: Format[], rng: Random): void {
  const fmt = rng.below(8) === 0 ? pick(rng, [F16, F32, F64]) : pick(rng, likely);
  const seen = Array.from({ length: 6 }, () => operand(fmt, rng));
  for (let reg = 0; reg < 32; reg++) {
    // Some registers hold the other formats of the instruction.
    const own = likely.length > 1 ? pick(rng, likely) : fmt;
    const v = new DataView(r.v(reg).buffer, r.v(reg).byteOffset, 16);
    for (let at = 0; at < 16; at += own.bytes) {
      const choice = rng.below(8);
      let bits = operand(own, rng);
      if (own === fmt && choice === 0) bits = related(fmt, pick(rng, seen), rng);
      if (own === fmt && choice === 1) bits = nearProduct(fmt, pick(rng, seen), pick(rng, seen), rng);
      if (own === fmt) seen[rng.below(6)] = bits;
      if (own.bytes === 8) v.setBigUint64(at, bits, true);
      else if (own.bytes === 4) v.setUint32(at, Number(bits), true);
      else v.setUint16(at, Number(bits), true);
    }
  }
}
