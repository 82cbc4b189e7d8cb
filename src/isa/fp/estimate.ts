// Reciprocal and reciprocal square root estimates, by the architected integer algorithms (Arm ARM RecipEstimate, RecipSqrtEstimate).

import { lazy } from "../../util/lazy.ts";
import { Exc, env, raise } from "./env.ts";
import type { Format } from "./format.ts";
import {
  infinity,
  invalid,
  isNotANumber,
  Kind,
  maxNormal,
  overflowsToInfinity,
  processNaN,
  type Unpacked,
  unpack,
  zero,
} from "./softfloat.ts";

/** RecipEstimate: `a` in 256..511 stands for [0.5, 1); the result in 256..511 for 1.0 to 511/256. */
function recipEstimate(a: number): number {
  const b = Math.floor(2 ** 19 / (a * 2 + 1));
  return (b + 1) >> 1;
}

/** RecipSqrtEstimate: `a` in 128..511 stands for [0.25, 1); the result in 256..511 for 1.0 to 511/256. */
function recipSqrtEstimate(a: number): number {
  const x = a < 256 ? a * 2 + 1 : ((a >> 1) * 2 + 1) * 2;
  let b = 512;
  while (x * (b + 1) * (b + 1) < 2 ** 28) b += 1;
  return (b + 1) >> 1;
}

const recipTable = lazy(() => Uint16Array.from({ length: 512 }, (_, a) => (a < 256 ? 0 : recipEstimate(a))));
const sqrtTable = lazy(() => Uint16Array.from({ length: 512 }, (_, a) => (a < 128 ? 0 : recipSqrtEstimate(a))));

/** Exponent field and the 8 most significant fraction bits of a finite number, normalised: the field of a denormal is <= 0. */
function scale(fmt: Format, u: Unpacked): { field: number; top: number } {
  const length = u.man.toString(2).length;
  const man = u.man << BigInt(fmt.f + 1 - length);
  return { field: u.exp + length - 1 + fmt.bias, top: Number((man >> BigInt(fmt.f - 8)) & 0xffn) };
}

/** Exponent of the leading bit. */
function leading(u: Unpacked): number {
  return u.man.toString(2).length - 1 + u.exp;
}

/** FPRecipEstimate. */
export function recpe(fmt: Format, a: bigint): bigint {
  const x = unpack(fmt, a);
  if (isNotANumber(x)) return processNaN(fmt, x);
  if (x.kind === Kind.Infinity) return zero(fmt, x.sign);
  if (x.kind === Kind.Zero) {
    raise(Exc.DZC);
    return infinity(fmt, x.sign);
  }
  if (leading(x) < -fmt.bias - 1) {
    raise(Exc.OFC | Exc.IXC);
    return overflowsToInfinity(env.mode, x.sign) ? infinity(fmt, x.sign) : maxNormal(fmt, x.sign);
  }
  if ((fmt.usesFz ? env.fz : env.fz16) && leading(x) >= fmt.bias - 1) {
    raise(Exc.UFC);
    return zero(fmt, x.sign);
  }
  const { field, top } = scale(fmt, x);
  const resultField = 2 * fmt.bias - 1 - field;
  const estimate = BigInt((recipTable()[256 + top] as number) & 0xff) << BigInt(fmt.f - 8);
  const hidden = fmt.quiet << 1n;
  // Results with a field of 0 or -1 are denormal.
  const magnitude = resultField > 0 ? BigInt(resultField) * hidden + estimate : (hidden + estimate) >> BigInt(1 - resultField);
  return zero(fmt, x.sign) | magnitude;
}

/** FPRSqrtEstimate. */
export function rsqrte(fmt: Format, a: bigint): bigint {
  const x = unpack(fmt, a);
  if (isNotANumber(x)) return processNaN(fmt, x);
  if (x.kind === Kind.Zero) {
    raise(Exc.DZC);
    return infinity(fmt, x.sign);
  }
  if (x.sign) return invalid(fmt);
  if (x.kind === Kind.Infinity) return zero(fmt, 0);
  const { field, top } = scale(fmt, x);
  const scaled = field & 1 ? 128 + (top >> 1) : 256 + top;
  const resultField = Math.floor((3 * fmt.bias - 1 - field) / 2);
  const estimate = BigInt((sqrtTable()[scaled] as number) & 0xff) << BigInt(fmt.f - 8);
  return (BigInt(resultField) << BigInt(fmt.f)) | estimate;
}
