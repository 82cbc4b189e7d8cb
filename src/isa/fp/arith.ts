// Lane arithmetic. Each operation tries the host's arithmetic, which rounds to nearest even as FPCR usually asks, and falls back
// to the exact core whenever the result or the FPSR flags could differ: other modes, NaNs, infinities, overflow, tiny results,
// and inexact results while FPSR.IXC is still clear.
// Rounding a double result to single (or half) gives the correctly rounded + - * / sqrt, since 53 >= 2 * 24 + 2.

import { env } from "./env.ts";
import { F16, F32, F64, type Format, type Lane1, type Lane2, type Lane3, type PerType, perType, readBits, writeBits } from "./format.ts";
import {
  addOdd,
  box,
  fusedMultiplyAdd,
  halfValue,
  isExactProduct,
  isExactQuotient,
  isExactRoot,
  MIN32,
  MIN64,
  roundToHalf,
  sumError,
} from "./host.ts";
import * as soft from "./softfloat-ops.ts";

function slow1(dv: DataView, d: number, n: number, fmt: Format, op: soft.Soft1): void {
  writeBits(dv, d, fmt, op(fmt, readBits(dv, n, fmt)));
}
function slow2(dv: DataView, d: number, n: number, m: number, fmt: Format, op: soft.Soft2): void {
  writeBits(dv, d, fmt, op(fmt, readBits(dv, n, fmt), readBits(dv, m, fmt)));
}

/** Stores the single nearest to `x`, a double that rounds correctly; `exact` says that x is the infinitely precise result. */
function storeSingle(dv: DataView, d: number, x: number, exact: boolean): boolean {
  const r = Math.fround(x);
  const ok = exact && r === x ? r - r === 0 : env.inexact && r - r === 0 && Math.abs(r) > MIN32;
  if (ok) dv.setFloat32(d, r, true);
  return ok;
}
function storeHalf(dv: DataView, d: number, x: number): boolean {
  const h = roundToHalf(x);
  if (h >= 0) dv.setUint16(d, h, true);
  return h >= 0;
}
function half(dv: DataView, off: number): number {
  return halfValue(dv.getUint16(off, true));
}

const add64: Lane2 = (dv, d, n, m) => {
  if (env.near) {
    const a = dv.getFloat64(n, true);
    const b = dv.getFloat64(m, true);
    const r = a + b;
    // A tiny sum is exact.
    if (r - r === 0 && (env.inexact || sumError(a, b, r) === 0)) {
      dv.setFloat64(d, r, true);
      return;
    }
  }
  slow2(dv, d, n, m, F64, soft.add);
};
const add32: Lane2 = (dv, d, n, m) => {
  if (env.near) {
    const a = dv.getFloat32(n, true);
    const b = dv.getFloat32(m, true);
    const s = a + b;
    const r = Math.fround(s);
    if (r - r === 0 && (env.inexact || (r === s && sumError(a, b, s) === 0))) {
      dv.setFloat32(d, r, true);
      return;
    }
  }
  slow2(dv, d, n, m, F32, soft.add);
};
const add16: Lane2 = (dv, d, n, m) => {
  if (env.near16 && storeHalf(dv, d, half(dv, n) + half(dv, m))) return;
  slow2(dv, d, n, m, F16, soft.add);
};

const sub64: Lane2 = (dv, d, n, m) => {
  if (env.near) {
    const a = dv.getFloat64(n, true);
    const b = dv.getFloat64(m, true);
    const r = a - b;
    if (r - r === 0 && (env.inexact || sumError(a, -b, r) === 0)) {
      dv.setFloat64(d, r, true);
      return;
    }
  }
  slow2(dv, d, n, m, F64, soft.sub);
};
const sub32: Lane2 = (dv, d, n, m) => {
  if (env.near) {
    const a = dv.getFloat32(n, true);
    const b = dv.getFloat32(m, true);
    const s = a - b;
    const r = Math.fround(s);
    if (r - r === 0 && (env.inexact || (r === s && sumError(a, -b, s) === 0))) {
      dv.setFloat32(d, r, true);
      return;
    }
  }
  slow2(dv, d, n, m, F32, soft.sub);
};
const sub16: Lane2 = (dv, d, n, m) => {
  if (env.near16 && storeHalf(dv, d, half(dv, n) - half(dv, m))) return;
  slow2(dv, d, n, m, F16, soft.sub);
};

function mulFast64(dv: DataView, d: number, n: number, m: number): boolean {
  if (!env.near) return false;
  const a = dv.getFloat64(n, true);
  const b = dv.getFloat64(m, true);
  const r = a * b;
  if (!(r - r === 0 && (Math.abs(r) > MIN64 || a === 0 || b === 0))) return false;
  if (!env.inexact && !isExactProduct(a, b, r)) return false;
  dv.setFloat64(d, r, true);
  return true;
}
function mulFast32(dv: DataView, d: number, n: number, m: number): boolean {
  // The product of two singles is exact in a double.
  return env.near && storeSingle(dv, d, dv.getFloat32(n, true) * dv.getFloat32(m, true), true);
}
function mulFast16(dv: DataView, d: number, n: number, m: number): boolean {
  return env.near16 && storeHalf(dv, d, half(dv, n) * half(dv, m));
}
const mul64: Lane2 = (dv, d, n, m) => {
  if (!mulFast64(dv, d, n, m)) slow2(dv, d, n, m, F64, soft.mul);
};
const mul32: Lane2 = (dv, d, n, m) => {
  if (!mulFast32(dv, d, n, m)) slow2(dv, d, n, m, F32, soft.mul);
};
const mul16: Lane2 = (dv, d, n, m) => {
  if (!mulFast16(dv, d, n, m)) slow2(dv, d, n, m, F16, soft.mul);
};
const mulx64: Lane2 = (dv, d, n, m) => {
  if (!mulFast64(dv, d, n, m)) slow2(dv, d, n, m, F64, soft.mulx);
};
const mulx32: Lane2 = (dv, d, n, m) => {
  if (!mulFast32(dv, d, n, m)) slow2(dv, d, n, m, F32, soft.mulx);
};
const mulx16: Lane2 = (dv, d, n, m) => {
  if (!mulFast16(dv, d, n, m)) slow2(dv, d, n, m, F16, soft.mulx);
};

const div64: Lane2 = (dv, d, n, m) => {
  if (env.near) {
    const a = dv.getFloat64(n, true);
    const b = dv.getFloat64(m, true);
    const r = a / b;
    if (r - r === 0 && (Math.abs(r) > MIN64 || a === 0) && (env.inexact || isExactQuotient(a, b, r))) {
      dv.setFloat64(d, r, true);
      return;
    }
  }
  slow2(dv, d, n, m, F64, soft.div);
};
const div32: Lane2 = (dv, d, n, m) => {
  if (env.near) {
    const a = dv.getFloat32(n, true);
    const b = dv.getFloat32(m, true);
    const q = a / b;
    // When q is a single, q * b is exact in a double.
    if (storeSingle(dv, d, q, Math.fround(q) * b === a)) return;
  }
  slow2(dv, d, n, m, F32, soft.div);
};
const div16: Lane2 = (dv, d, n, m) => {
  if (env.near16) {
    const a = half(dv, n);
    const b = half(dv, m);
    // An inexact quotient of 11-bit significands is never within a double's rounding of a half.
    if (b !== 0 && storeHalf(dv, d, a / b)) return;
  }
  slow2(dv, d, n, m, F16, soft.div);
};

const sqrt64: Lane1 = (dv, d, n) => {
  if (env.near) {
    const a = dv.getFloat64(n, true);
    const r = Math.sqrt(a);
    if (r - r === 0 && (env.inexact || isExactRoot(a, r))) {
      dv.setFloat64(d, r, true);
      return;
    }
  }
  slow1(dv, d, n, F64, soft.sqrt);
};
const sqrt32: Lane1 = (dv, d, n) => {
  if (env.near) {
    const a = dv.getFloat32(n, true);
    const q = Math.sqrt(a);
    const r = Math.fround(q);
    if (storeSingle(dv, d, q, r * r === a)) return;
  }
  slow1(dv, d, n, F32, soft.sqrt);
};
const sqrt16: Lane1 = (dv, d, n) => {
  if (env.near16 && storeHalf(dv, d, Math.sqrt(half(dv, n)))) return;
  slow1(dv, d, n, F16, soft.sqrt);
};

/** Multiply-add with the operand n and the addend optionally negated (before NaNs are looked at, as FPNeg of the operand is). */
function fma64(dv: DataView, d: number, n: number, m: number, a: number, negN: boolean, negA: boolean): void {
  if (env.near) {
    const x = dv.getFloat64(n, true);
    const z = dv.getFloat64(a, true);
    box[1] = negA ? -z : z;
    box[2] = negN ? -x : x;
    box[3] = dv.getFloat64(m, true);
    if (fusedMultiplyAdd()) {
      dv.setFloat64(d, box[0] as number, true);
      return;
    }
  }
  slowFma(dv, d, n, m, a, negN, negA, F64);
}
function fma32(dv: DataView, d: number, n: number, m: number, a: number, negN: boolean, negA: boolean): void {
  if (env.near) {
    const p = dv.getFloat32(n, true) * dv.getFloat32(m, true);
    const z = dv.getFloat32(a, true);
    const inexact = addOdd(negN ? -p : p, negA ? -z : z);
    if (storeSingle(dv, d, box[0] as number, !inexact)) return;
  }
  slowFma(dv, d, n, m, a, negN, negA, F32);
}
function fma16(dv: DataView, d: number, n: number, m: number, a: number, negN: boolean, negA: boolean): void {
  if (env.near16) {
    const p = half(dv, n) * half(dv, m);
    const z = half(dv, a);
    addOdd(negN ? -p : p, negA ? -z : z);
    if (storeHalf(dv, d, box[0] as number)) return;
  }
  slowFma(dv, d, n, m, a, negN, negA, F16);
}
function slowFma(dv: DataView, d: number, n: number, m: number, a: number, negN: boolean, negA: boolean, fmt: Format): void {
  const x = readBits(dv, n, fmt) ^ (negN ? fmt.sign : 0n);
  const z = readBits(dv, a, fmt) ^ (negA ? fmt.sign : 0n);
  writeBits(dv, d, fmt, soft.fma(fmt, z, x, readBits(dv, m, fmt)));
}

function fmaVariant(negN: boolean, negA: boolean): PerType<Lane3> {
  return perType<Lane3>(
    (dv, d, n, m, a) => fma32(dv, d, n, m, a, negN, negA),
    (dv, d, n, m, a) => fma64(dv, d, n, m, a, negN, negA),
    (dv, d, n, m, a) => fma16(dv, d, n, m, a, negN, negA),
  );
}

/** A fused step: c - n * m, and halved for the square root. */
function step(c: number, scale: number, op: soft.Soft2): PerType<Lane2> {
  return perType<Lane2>(
    (dv, d, n, m) => {
      const inexact = addOdd(c, -(dv.getFloat32(n, true) * dv.getFloat32(m, true)));
      if (!(env.near && storeSingle(dv, d, (box[0] as number) * scale, !inexact))) slow2(dv, d, n, m, F32, op);
    },
    (dv, d, n, m) => {
      box[1] = c;
      box[2] = -dv.getFloat64(n, true);
      box[3] = dv.getFloat64(m, true);
      if (env.near && fusedMultiplyAdd()) {
        dv.setFloat64(d, (box[0] as number) * scale, true);
      } else slow2(dv, d, n, m, F64, op);
    },
    (dv, d, n, m) => {
      addOdd(c, -(half(dv, n) * half(dv, m)));
      if (!(env.near16 && storeHalf(dv, d, (box[0] as number) * scale))) slow2(dv, d, n, m, F16, op);
    },
  );
}

/** Minimum or maximum: the host orders the zeros as the architecture does, and NaNs take the exact path. */
function extremum(isMax: boolean, op: soft.Soft2): PerType<Lane2> {
  return perType<Lane2>(
    (dv, d, n, m) => {
      const a = dv.getFloat32(n, true);
      const b = dv.getFloat32(m, true);
      if (env.fz || Number.isNaN(a) || Number.isNaN(b)) slow2(dv, d, n, m, F32, op);
      else dv.setFloat32(d, isMax ? Math.max(a, b) : Math.min(a, b), true);
    },
    (dv, d, n, m) => {
      const a = dv.getFloat64(n, true);
      const b = dv.getFloat64(m, true);
      if (env.fz || Number.isNaN(a) || Number.isNaN(b)) slow2(dv, d, n, m, F64, op);
      else dv.setFloat64(d, isMax ? Math.max(a, b) : Math.min(a, b), true);
    },
    (dv, d, n, m) => {
      const a = half(dv, n);
      const b = half(dv, m);
      if (env.fz16 || Number.isNaN(a) || Number.isNaN(b)) slow2(dv, d, n, m, F16, op);
      else dv.setUint16(d, roundToHalf(isMax ? Math.max(a, b) : Math.min(a, b)), true);
    },
  );
}

export const add = perType(add32, add64, add16);
export const sub = perType(sub32, sub64, sub16);
export const mul = perType(mul32, mul64, mul16);
export const mulx = perType(mulx32, mulx64, mulx16);
export const div = perType(div32, div64, div16);
export const sqrt = perType(sqrt32, sqrt64, sqrt16);
/** a + n*m, a - n*m, -a - n*m, -a + n*m. */
export const fmadd = fmaVariant(false, false);
export const fmsub = fmaVariant(true, false);
export const fnmadd = fmaVariant(true, true);
export const fnmsub = fmaVariant(false, true);
export const recps = step(2, 1, soft.recps);
export const rsqrts = step(3, 0.5, soft.rsqrts);
export const max = extremum(true, soft.max);
export const min = extremum(false, soft.min);
export const maxnm = extremum(true, soft.maxnm);
export const minnm = extremum(false, soft.minnm);

// Sign operations look at no other bit and raise nothing, whatever the number is.
type SignOp = (top: number, signBit: number) => number;
const clearSign: SignOp = (top, bit) => top & ~bit;
const flipSign: SignOp = (top, bit) => top ^ bit;
function signOp(op: SignOp): PerType<Lane1> {
  return perType<Lane1>(
    (dv, d, n) => dv.setUint32(d, op(dv.getUint32(n, true), 0x8000_0000), true),
    (dv, d, n) => {
      const hi = op(dv.getUint32(n + 4, true), 0x8000_0000);
      dv.setUint32(d, dv.getUint32(n, true), true);
      dv.setUint32(d + 4, hi, true);
    },
    (dv, d, n) => dv.setUint16(d, op(dv.getUint16(n, true), 0x8000), true),
  );
}
export const abs = signOp(clearSign);
export const neg = signOp(flipSign);

/** An operation followed by a sign operation on its result. */
function then(op: PerType<Lane2>, after: PerType<Lane1>): PerType<Lane2> {
  const compose = (t: 0 | 1 | 3): Lane2 => {
    const first = op[t];
    const second = after[t];
    return (dv, d, n, m) => {
      first(dv, d, n, m);
      second(dv, d, d);
    };
  };
  return perType(compose(0), compose(1), compose(3));
}
export const nmul = then(mul, neg);
export const abd = then(sub, abs);

/** Operations that have no host counterpart worth taking. */
export function exact1(op: soft.Soft1): PerType<Lane1> {
  return perType<Lane1>(
    (dv, d, n) => slow1(dv, d, n, F32, op),
    (dv, d, n) => slow1(dv, d, n, F64, op),
    (dv, d, n) => slow1(dv, d, n, F16, op),
  );
}
