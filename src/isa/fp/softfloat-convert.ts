// Exact conversions: FPRoundInt, FPRoundIntN, FPToFixed, FixedToFP, FPToFixedJS, FPConvert, FPConvertBF (Arm ARM, shared/functions/float).

import { Exc, env, Round, raise } from "./env.ts";
import { BF16, F32, type Format } from "./format.ts";
import {
  convertNaN,
  defaultNaN,
  infinity,
  isNotANumber,
  Kind,
  processNaN,
  restOf,
  round,
  roundsUp,
  type Unpacked,
  unpack,
  zero,
} from "./softfloat.ts";

/** Magnitude of a finite number rounded to an integer, and whether that was inexact. */
function toInteger(u: Unpacked, exp: number, mode: Round): { magnitude: bigint; inexact: boolean } {
  if (exp >= 0) return { magnitude: u.man << BigInt(exp), inexact: false };
  const rest = restOf(u.man, -exp);
  const kept = u.man >> BigInt(-exp);
  return { magnitude: roundsUp(mode, u.sign, (kept & 1n) !== 0n, rest) ? kept + 1n : kept, inexact: rest !== 0 };
}

/** FPRoundInt: to an integral value of the same format; `exact` raises Inexact. */
export function roundInt(fmt: Format, a: bigint, mode: Round, exact: boolean): bigint {
  const x = unpack(fmt, a);
  if (isNotANumber(x)) return processNaN(fmt, x);
  if (x.kind === Kind.Infinity) return infinity(fmt, x.sign);
  if (x.kind === Kind.Zero) return zero(fmt, x.sign);
  if (x.exp >= 0) return a;
  const { magnitude, inexact } = toInteger(x, x.exp, mode);
  if (exact && inexact) raise(Exc.IXC);
  return magnitude === 0n ? zero(fmt, x.sign) : round(fmt, x.sign, magnitude, 0);
}

/** FPRoundIntN: to an integral value that fits a signed integer of `width` (32 or 64) bits, else -2^(width-1). */
export function roundIntN(fmt: Format, a: bigint, mode: Round, width: number): bigint {
  const x = unpack(fmt, a);
  const limit = 1n << BigInt(width - 1);
  if (x.kind === Kind.Zero) return zero(fmt, x.sign);
  if (x.kind === Kind.Finite) {
    const { magnitude, inexact } = toInteger(x, x.exp, mode);
    if (magnitude < limit || (x.sign && magnitude === limit)) {
      if (inexact) raise(Exc.IXC);
      return magnitude === 0n ? zero(fmt, x.sign) : round(fmt, x.sign, magnitude, 0);
    }
  }
  raise(Exc.IOC);
  return round(fmt, 1, limit, 0);
}

/** FPToFixed: to a fixed-point integer of `width` bits with `fbits` fraction bits, saturating. Result is unsigned `width` bits. */
export function toFixed(fmt: Format, a: bigint, fbits: number, unsigned: boolean, mode: Round, width: number): bigint {
  const x = unpack(fmt, a);
  const top = (1n << BigInt(unsigned ? width : width - 1)) - 1n;
  const bottom = unsigned ? 0n : -top - 1n;
  if (x.kind === Kind.Zero) return 0n;
  if (isNotANumber(x)) {
    raise(Exc.IOC);
    return 0n;
  }
  const saturated = BigInt.asUintN(width, x.sign ? bottom : top);
  if (x.kind === Kind.Infinity) {
    raise(Exc.IOC);
    return saturated;
  }
  const { magnitude, inexact } = toInteger(x, x.exp + fbits, mode);
  const value = x.sign ? -magnitude : magnitude;
  if (value > top || value < bottom) {
    raise(Exc.IOC);
    return saturated;
  }
  if (inexact) raise(Exc.IXC);
  return BigInt.asUintN(width, value);
}

/** FixedToFP: `value` is the integer, already sign- or zero-extended. */
export function fromFixed(fmt: Format, value: bigint, fbits: number, mode: Round): bigint {
  if (value === 0n) return 0n;
  return value < 0n ? round(fmt, 1, -value, -fbits, { mode }) : round(fmt, 0, value, -fbits, { mode });
}

/** FPToFixedJS: the low 32 bits of a double truncated to an integer, and whether the conversion was exact (PSTATE.Z). */
export function toInt32JS(fmt: Format, a: bigint): { value: number; exact: boolean } {
  const x = unpack(fmt, a);
  // -0 counts as inexact, and so does a flushed denormal.
  if (x.kind === Kind.Zero) return { value: 0, exact: x.sign === 0 && (a & fmt.fracMask) === 0n };
  if (x.kind !== Kind.Finite) {
    raise(Exc.IOC);
    return { value: 0, exact: false };
  }
  const { magnitude, inexact } = toInteger(x, x.exp, Round.Zero);
  const integer = x.sign ? -magnitude : magnitude;
  const value = Number(BigInt.asUintN(32, integer));
  if (integer !== BigInt.asIntN(32, integer)) raise(Exc.IOC);
  else if (inexact) raise(Exc.IXC);
  else return { value, exact: true };
  return { value, exact: false };
}

/** FPConvert between half, single and double precision. Half precision is never flushed; FPCR.AHP selects its alternative form. */
export function convert(from: Format, to: Format, a: bigint, mode: Round): bigint {
  const ahpFrom = from.bytes === 2 && env.ahp;
  const ahp = to.bytes === 2 && env.ahp;
  const x = unpack(from, a, true, ahpFrom);
  if (isNotANumber(x)) {
    if (x.kind === Kind.SNaN || ahp) raise(Exc.IOC);
    if (ahp) return zero(to, x.sign);
    return env.dn ? defaultNaN(to) : convertNaN(from, to, a);
  }
  if (x.kind === Kind.Infinity) {
    if (!ahp) return infinity(to, x.sign);
    raise(Exc.IOC);
    return zero(to, x.sign) | (to.sign - 1n);
  }
  if (x.kind === Kind.Zero) return zero(to, x.sign);
  return round(to, x.sign, x.man, x.exp, { mode, keepHalf: true, ahp });
}

/** FPConvertBF: single precision to BFloat16. */
export function convertToBF16(a: bigint): bigint {
  const x = unpack(F32, a);
  if (isNotANumber(x)) {
    if (x.kind === Kind.SNaN) raise(Exc.IOC);
    return env.dn ? defaultNaN(BF16) : convertNaN(F32, BF16, a);
  }
  if (x.kind === Kind.Infinity) return infinity(BF16, x.sign);
  if (x.kind === Kind.Zero) return zero(BF16, x.sign);
  return round(BF16, x.sign, x.man, x.exp);
}
