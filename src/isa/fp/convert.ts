// Lane conversions: between precisions, to and from integers and fixed point, and to integral values. As in arith.ts, the host's
// doubles serve whenever result and flags are provably right; the exact core serves the rest.

import { env, Round } from "./env.ts";
import {
  BF16,
  F16,
  F32,
  F64,
  type Format,
  FType,
  formats,
  type Lane1,
  type PerType,
  perType,
  readBits,
  sizeLog,
  writeBits,
} from "./format.ts";
import { addOdd, box, halfValue, MIN32, roundAway, roundEven, roundToHalf, sumError } from "./host.ts";
import * as soft from "./softfloat-convert.ts";

/** Rounding mode argument that means "as FPCR.RMode says". */
export const FPCR_MODE = -1;
export type ModeArg = Round | typeof FPCR_MODE;

function modeOf(arg: ModeArg): Round {
  return arg === FPCR_MODE ? env.mode : arg;
}

/** Rounds a double to an integral value. */
function integral(v: number, mode: Round): number {
  switch (mode) {
    case Round.TieEven:
      return roundEven(v);
    case Round.PosInf:
      return Math.ceil(v);
    case Round.NegInf:
      return Math.floor(v);
    case Round.Zero:
      return Math.trunc(v);
    default:
      return roundAway(v);
  }
}

const powers = Float64Array.from({ length: 65 }, (_, i) => 2 ** i);
const inversePowers = Float64Array.from({ length: 65 }, (_, i) => 2 ** -i);

/** Result of toFixed: two 32-bit halves, as signed host integers. Narrower results are in `lo`. */
export const fixed = { lo: 0, hi: 0 };

/** Converts the number of type `t` at byte offset `n` to an integer of `width` bits with `fbits` fraction bits, into `fixed`. */
export function toFixed(dv: DataView, n: number, t: FType, fbits: number, unsigned: boolean, arg: ModeArg, width: 16 | 32 | 64): void {
  if (t === FType.Half ? !env.fz16 : !env.fz) {
    const v = t === FType.Double ? dv.getFloat64(n, true) : t === FType.Single ? dv.getFloat32(n, true) : halfValue(dv.getUint16(n, true));
    const scaled = fbits === 0 ? v : v * (powers[fbits] as number);
    const r = integral(scaled, modeOf(arg));
    const limit = powers[unsigned ? width : width - 1] as number;
    if (r < limit && r >= (unsigned ? 0 : -limit) && (r === scaled || env.inexact)) {
      const hi = Math.floor(r / 4294967296);
      fixed.hi = hi | 0;
      fixed.lo = (r - hi * 4294967296) | 0;
      return;
    }
  }
  const fmt = formats[t];
  const x = soft.toFixed(fmt, readBits(dv, n, fmt), fbits, unsigned, modeOf(arg), width);
  fixed.lo = Number(x & 0xffff_ffffn) | 0;
  fixed.hi = Number(x >> 32n) | 0;
}

/** Stores the double `x`, exact or rounded to odd as `exact` says, as type `t`. False when the exact core is needed. */
function storeRounded(dv: DataView, d: number, t: FType, x: number, exact: boolean): boolean {
  if (t === FType.Half) {
    const h = env.near16 ? roundToHalf(x) : -1;
    if (h >= 0) dv.setUint16(d, h, true);
    return h >= 0;
  }
  if (t === FType.Double) {
    if (exact) dv.setFloat64(d, x, true);
    return exact;
  }
  const r = Math.fround(x);
  const ok = (exact && r === x) || (env.inexact && env.near);
  if (ok) dv.setFloat32(d, r, true);
  return ok;
}

/**
 * Converts an integer of `width` bits (halves `lo`, `hi`; narrower ones already extended into `lo`) with `fbits` fraction bits
 * to type `t` at byte offset `d`.
 */
export function fromFixed(
  dv: DataView,
  d: number,
  t: FType,
  lo: number,
  hi: number,
  unsigned: boolean,
  fbits: number,
  width: number,
): void {
  const scale = inversePowers[fbits] as number;
  if (width <= 32) {
    if (storeRounded(dv, d, t, (unsigned ? lo >>> 0 : lo | 0) * scale, true)) return;
  } else {
    const high = (unsigned ? hi >>> 0 : hi | 0) * 4294967296;
    const low = lo >>> 0;
    if (t === FType.Double) {
      const r = high + low;
      if (sumError(high, low, r) === 0 || (env.near && env.inexact)) {
        dv.setFloat64(d, r * scale, true);
        return;
      }
    } else {
      const inexact = addOdd(high, low);
      if (storeRounded(dv, d, t, (box[0] as number) * scale, !inexact)) return;
    }
  }
  const raw = width <= 32 ? BigInt(lo >>> 0) : (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  const bits = Math.max(width, 32);
  const fmt = formats[t];
  writeBits(dv, d, fmt, soft.fromFixed(fmt, unsigned ? raw : BigInt.asIntN(bits, raw), fbits, env.mode));
}

/** FCVT*S/U on a vector lane: the integer is as wide as the float. */
export function laneToInt(unsigned: boolean, mode: Round, fbits = 0): PerType<Lane1> {
  return perType<Lane1>(
    (dv, d, n) => {
      toFixed(dv, n, FType.Single, fbits, unsigned, mode, 32);
      dv.setInt32(d, fixed.lo, true);
    },
    (dv, d, n) => {
      toFixed(dv, n, FType.Double, fbits, unsigned, mode, 64);
      dv.setInt32(d, fixed.lo, true);
      dv.setInt32(d + 4, fixed.hi, true);
    },
    (dv, d, n) => {
      toFixed(dv, n, FType.Half, fbits, unsigned, mode, 16);
      dv.setInt16(d, fixed.lo, true);
    },
  );
}

/** SCVTF, UCVTF on a vector lane. */
export function laneFromInt(unsigned: boolean, fbits = 0): PerType<Lane1> {
  return perType<Lane1>(
    (dv, d, n) => fromFixed(dv, d, FType.Single, dv.getInt32(n, true), 0, unsigned, fbits, 32),
    (dv, d, n) => fromFixed(dv, d, FType.Double, dv.getInt32(n, true), dv.getInt32(n + 4, true), unsigned, fbits, 64),
    (dv, d, n) => fromFixed(dv, d, FType.Half, unsigned ? dv.getUint16(n, true) : dv.getInt16(n, true), 0, unsigned, fbits, 16),
  );
}

function slow1(dv: DataView, d: number, n: number, fmt: Format, op: (fmt: Format, bits: bigint) => bigint): void {
  writeBits(dv, d, fmt, op(fmt, readBits(dv, n, fmt)));
}

/** FRINT*: `exact` raises Inexact (FRINTX). */
export function laneRoundInt(arg: ModeArg, exact: boolean): PerType<Lane1> {
  const op = (fmt: Format, bits: bigint) => soft.roundInt(fmt, bits, modeOf(arg), exact);
  return perType<Lane1>(
    (dv, d, n) => {
      const v = dv.getFloat32(n, true);
      const r = integral(v, modeOf(arg));
      if (!env.fz && !Number.isNaN(v) && (!exact || r === v || env.inexact)) dv.setFloat32(d, r, true);
      else slow1(dv, d, n, F32, op);
    },
    (dv, d, n) => {
      const v = dv.getFloat64(n, true);
      const r = integral(v, modeOf(arg));
      if (!env.fz && !Number.isNaN(v) && (!exact || r === v || env.inexact)) dv.setFloat64(d, r, true);
      else slow1(dv, d, n, F64, op);
    },
    (dv, d, n) => slow1(dv, d, n, F16, op),
  );
}

/** FRINT32*, FRINT64*. There is no half precision form. */
export function laneRoundIntN(arg: ModeArg, width: 32 | 64): PerType<Lane1> {
  const op = (fmt: Format, bits: bigint) => soft.roundIntN(fmt, bits, modeOf(arg), width);
  const limit = powers[width - 1] as number;
  const fits = (v: number, r: number) => !env.fz && r < limit && r >= -limit && (r === v || env.inexact);
  const single: Lane1 = (dv, d, n) => {
    const v = dv.getFloat32(n, true);
    const r = integral(v, modeOf(arg));
    if (fits(v, r)) dv.setFloat32(d, r, true);
    else slow1(dv, d, n, F32, op);
  };
  const double: Lane1 = (dv, d, n) => {
    const v = dv.getFloat64(n, true);
    const r = integral(v, modeOf(arg));
    if (fits(v, r)) dv.setFloat64(d, r, true);
    else slow1(dv, d, n, F64, op);
  };
  return perType(single, double, single);
}

function slowConvert(dv: DataView, d: number, n: number, from: Format, to: Format, mode: Round): void {
  writeBits(dv, d, to, soft.convert(from, to, readBits(dv, n, from), mode));
}

/** FCVT, FCVTL, FCVTN lanes by source and destination type. The offset `d` may equal `n`. */
export const singleToDouble: Lane1 = (dv, d, n) => {
  const v = dv.getFloat32(n, true);
  if (!env.fz && !Number.isNaN(v)) dv.setFloat64(d, v, true);
  else slowConvert(dv, d, n, F32, F64, env.mode);
};
export const doubleToSingle: Lane1 = (dv, d, n) => {
  const v = dv.getFloat64(n, true);
  const r = Math.fround(v);
  if (env.near && (r === v || (env.inexact && r - r === 0 && Math.abs(r) > MIN32))) dv.setFloat32(d, r, true);
  else slowConvert(dv, d, n, F64, F32, env.mode);
};
export const halfToSingle: Lane1 = (dv, d, n) => {
  const v = halfValue(dv.getUint16(n, true));
  if (!env.ahp && !Number.isNaN(v)) dv.setFloat32(d, v, true);
  else slowConvert(dv, d, n, F16, F32, env.mode);
};
export const halfToDouble: Lane1 = (dv, d, n) => {
  const v = halfValue(dv.getUint16(n, true));
  if (!env.ahp && !Number.isNaN(v)) dv.setFloat64(d, v, true);
  else slowConvert(dv, d, n, F16, F64, env.mode);
};
export const singleToHalf: Lane1 = (dv, d, n) => {
  const h = env.near && !env.ahp ? roundToHalf(dv.getFloat32(n, true)) : -1;
  if (h >= 0) dv.setUint16(d, h, true);
  else slowConvert(dv, d, n, F32, F16, env.mode);
};
export const doubleToHalf: Lane1 = (dv, d, n) => {
  const h = env.near && !env.ahp ? roundToHalf(dv.getFloat64(n, true)) : -1;
  if (h >= 0) dv.setUint16(d, h, true);
  else slowConvert(dv, d, n, F64, F16, env.mode);
};
/** FCVTXN: rounds to odd, so that a later rounding to a narrower format is correct. */
export const doubleToSingleOdd: Lane1 = (dv, d, n) => slowConvert(dv, d, n, F64, F32, Round.Odd);
/** BFCVT. */
export const singleToBF16: Lane1 = (dv, d, n) => writeBits(dv, d, BF16, soft.convertToBF16(readBits(dv, n, F32)));

/** Size of a lane in bytes, by type. */
export function laneBytes(t: FType): number {
  return 1 << sizeLog[t];
}
