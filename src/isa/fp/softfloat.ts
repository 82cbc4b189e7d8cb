// Exact core: unpacking, rounding and NaN rules of the Arm ARM pseudocode (FPUnpack, FPRound, FPProcessNaNs; chapter J1.3, shared/functions/float)
// on BigInt significands. It serves every format and mode; the host's own arithmetic (arith.ts, convert.ts) serves the common cases.

import { Exc, env, Round, raise } from "./env.ts";
import { F64, type Format } from "./format.ts";

export const Kind = { Zero: 0, Finite: 1, Infinity: 2, QNaN: 3, SNaN: 4 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** A number: (-1)^sign * man * 2^exp when finite. `bits` is the encoding it came from. */
export interface Unpacked {
  readonly kind: Kind;
  readonly sign: 0 | 1;
  readonly man: bigint;
  readonly exp: number;
  readonly bits: bigint;
}

/** FPUnpack: with flushing of denormal inputs, unless `keepHalf` (FPUnpackCV: conversions ignore FZ16) or `ahp` applies. */
export function unpack(fmt: Format, bits: bigint, keepHalf = false, ahp = false): Unpacked {
  const sign = (bits & fmt.sign) !== 0n ? 1 : 0;
  const frac = bits & fmt.fracMask;
  const field = Number((bits & fmt.inf) >> BigInt(fmt.f));
  if (field === 0) {
    if (frac === 0n) return { kind: Kind.Zero, sign, man: 0n, exp: 0, bits };
    if (fmt.usesFz ? env.fz : env.fz16 && !keepHalf) {
      // Flushing a half-precision input does not set IDC.
      if (fmt.usesFz) raise(Exc.IDC);
      return { kind: Kind.Zero, sign, man: 0n, exp: 0, bits };
    }
    return { kind: Kind.Finite, sign, man: frac, exp: 1 - fmt.bias - fmt.f, bits };
  }
  if (field === fmt.expMax && !ahp) {
    const kind = frac === 0n ? Kind.Infinity : (frac & fmt.quiet) !== 0n ? Kind.QNaN : Kind.SNaN;
    return { kind, sign, man: 0n, exp: 0, bits };
  }
  return { kind: Kind.Finite, sign, man: frac | (fmt.quiet << 1n), exp: field - fmt.bias - fmt.f, bits };
}

export function bitLength(x: bigint): number {
  return x.toString(2).length;
}

export function zero(fmt: Format, sign: 0 | 1): bigint {
  return sign ? fmt.sign : 0n;
}
export function infinity(fmt: Format, sign: 0 | 1): bigint {
  return zero(fmt, sign) | fmt.inf;
}
/** FPMaxNormal: the largest finite number. */
export function maxNormal(fmt: Format, sign: 0 | 1): bigint {
  return zero(fmt, sign) | (fmt.inf - 1n);
}
/** FPDefaultNaN with FPCR.AH = 0: positive, quiet, no payload. */
export function defaultNaN(fmt: Format): bigint {
  return fmt.inf | fmt.quiet;
}
/** Raises Invalid Operation, gives the default NaN. */
export function invalid(fmt: Format): bigint {
  raise(Exc.IOC);
  return defaultNaN(fmt);
}

/** Does an overflow in this rounding mode give infinity (else the largest finite number)? */
export function overflowsToInfinity(mode: Round, sign: 0 | 1): boolean {
  if (mode === Round.TieEven || mode === Round.TieAway) return true;
  return mode === (sign ? Round.NegInf : Round.PosInf);
}

/** Rounding decision for a kept integer `q` and the rest of the magnitude compared with one half: 0 none, 1 below, 2 equal, 3 above. */
export function roundsUp(mode: Round, sign: 0 | 1, odd: boolean, rest: 0 | 1 | 2 | 3): boolean {
  switch (mode) {
    case Round.TieEven:
      return rest === 3 || (rest === 2 && odd);
    case Round.TieAway:
      return rest >= 2;
    case Round.PosInf:
      return rest !== 0 && sign === 0;
    case Round.NegInf:
      return rest !== 0 && sign === 1;
    default:
      return false;
  }
}

/** Compares the low `shift` bits of a magnitude with one half: the `rest` of roundsUp. */
export function restOf(man: bigint, shift: number): 0 | 1 | 2 | 3 {
  if (shift <= 0) return 0;
  const low = BigInt.asUintN(shift, man);
  if (low === 0n) return 0;
  const half = 1n << BigInt(shift - 1);
  return low < half ? 1 : low === half ? 2 : 3;
}

export interface RoundOptions {
  readonly mode?: Round;
  /** Ignore FZ16 (FPRoundCV). */
  readonly keepHalf?: boolean;
  /** Alternative half precision: no infinities, Invalid Operation instead of overflow. */
  readonly ahp?: boolean;
}

/** FPRound: encodes (-1)^sign * man * 2^exp, man > 0. The lowest bit of a long `man` may be a sticky bit. */
export function round(fmt: Format, sign: 0 | 1, man: bigint, exp: number, o: RoundOptions = {}): bigint {
  const mode = o.mode ?? env.mode;
  const exponent = bitLength(man) - 1 + exp;
  const minimum = 1 - fmt.bias;
  const tiny = exponent < minimum;
  if (tiny && (fmt.usesFz ? env.fz : env.fz16 && !o.keepHalf)) {
    raise(Exc.UFC);
    return zero(fmt, sign);
  }
  const shift = (tiny ? minimum : exponent) - fmt.f - exp;
  const rest = restOf(man, shift);
  let kept = shift > 0 ? man >> BigInt(shift) : man << BigInt(-shift);
  // Tininess is detected before rounding.
  if (tiny && rest !== 0) raise(Exc.UFC);
  if (roundsUp(mode, sign, (kept & 1n) !== 0n, rest)) kept += 1n;
  else if (mode === Round.Odd && rest !== 0) kept |= 1n;
  // The hidden bit of `kept` adds one to the exponent field, and a carry out of rounding another.
  const magnitude = tiny ? kept : (BigInt(exponent - minimum) << BigInt(fmt.f)) + kept;
  if (magnitude >= (o.ahp ? fmt.sign : fmt.inf)) return overflow(fmt, sign, mode, o.ahp === true);
  if (rest !== 0) raise(Exc.IXC);
  return zero(fmt, sign) | magnitude;
}

function overflow(fmt: Format, sign: 0 | 1, mode: Round, ahp: boolean): bigint {
  if (ahp) {
    raise(Exc.IOC);
    return zero(fmt, sign) | (fmt.sign - 1n);
  }
  raise(Exc.OFC | Exc.IXC);
  return overflowsToInfinity(mode, sign) ? infinity(fmt, sign) : maxNormal(fmt, sign);
}

export function isNotANumber(u: Unpacked): boolean {
  return u.kind >= Kind.QNaN;
}

/** FPProcessNaN: the quiet form of a NaN operand, or the default NaN. */
export function processNaN(fmt: Format, u: Unpacked): bigint {
  if (u.kind === Kind.SNaN) raise(Exc.IOC);
  return env.dn ? defaultNaN(fmt) : u.bits | fmt.quiet;
}

/** FPProcessNaNs, FPProcessNaNs3: the first signalling, else the first quiet NaN of the operands; undefined when there is none. */
export function processNaNs(fmt: Format, ...operands: Unpacked[]): bigint | undefined {
  const nan = operands.find((u) => u.kind === Kind.SNaN) ?? operands.find((u) => u.kind === Kind.QNaN);
  return nan && processNaN(fmt, nan);
}

/** Exact sum of signed magnitudes. Zero when they cancel. */
function signedSum(a: Unpacked, b: Unpacked): { value: bigint; exp: number } {
  const exp = Math.min(a.kind === Kind.Zero ? b.exp : a.exp, b.kind === Kind.Zero ? a.exp : b.exp);
  const am = a.kind === Kind.Zero ? 0n : a.man << BigInt(a.exp - exp);
  const bm = b.kind === Kind.Zero ? 0n : b.man << BigInt(b.exp - exp);
  return { value: (a.sign ? -am : am) + (b.sign ? -bm : bm), exp };
}

/** Rounds the sum of two numbers, neither NaN nor infinite; `scale` is added to the exponent of the sum. */
export function roundSum(fmt: Format, a: Unpacked, b: Unpacked, scale = 0): bigint {
  const { value, exp } = signedSum(a, b);
  if (value === 0n) {
    // Equal-signed zeros keep their sign; a cancellation is +0, or -0 when rounding towards minus infinity.
    if (a.kind === Kind.Zero && b.kind === Kind.Zero && a.sign === b.sign) return zero(fmt, a.sign);
    return zero(fmt, env.mode === Round.NegInf ? 1 : 0);
  }
  return value < 0n ? round(fmt, 1, -value, exp + scale) : round(fmt, 0, value, exp + scale);
}

/** The exact product of two numbers, neither NaN. Infinity times zero must have been excluded. */
export function product(a: Unpacked, b: Unpacked): Unpacked {
  const sign = (a.sign ^ b.sign) as 0 | 1;
  if (a.kind === Kind.Infinity || b.kind === Kind.Infinity) return { kind: Kind.Infinity, sign, man: 0n, exp: 0, bits: 0n };
  if (a.kind === Kind.Zero || b.kind === Kind.Zero) return { kind: Kind.Zero, sign, man: 0n, exp: 0, bits: 0n };
  return { kind: Kind.Finite, sign, man: a.man * b.man, exp: a.exp + b.exp, bits: 0n };
}

export function isInfinityTimesZero(a: Unpacked, b: Unpacked): boolean {
  return (a.kind === Kind.Infinity && b.kind === Kind.Zero) || (a.kind === Kind.Zero && b.kind === Kind.Infinity);
}

/** FPConvertNaN: keeps sign and the most significant payload bits, quiet. */
export function convertNaN(from: Format, to: Format, bits: bigint): bigint {
  const payload = (bits & (from.quiet - 1n)) << BigInt(F64.f - from.f);
  const sign = (bits & from.sign) !== 0n ? to.sign : 0n;
  return sign | to.inf | to.quiet | (payload >> BigInt(F64.f - to.f));
}
