// Comparisons: FCMP and friends (to NZCV), FCMEQ/GE/GT/LE/LT and FACGE/FACGT (to lane masks).

import { env } from "./env.ts";
import { FType, formats, type Lane2, type PerType, perType, readBits } from "./format.ts";
import { halfValue } from "./host.ts";
import { compare, Rel } from "./softfloat-ops.ts";

/** Offset argument that stands for the operand +0.0. */
export const ZERO = -1;

/** Compares the numbers of type `t` at byte offsets `n` and `m`; `signalQuiet`: quiet NaNs raise Invalid Operation too. */
export function relation(dv: DataView, t: FType, n: number, m: number, signalQuiet: boolean, magnitudes = false): Rel {
  if (t === FType.Half ? !env.fz16 : !env.fz) {
    let a: number;
    let b = 0;
    if (t === FType.Double) {
      a = dv.getFloat64(n, true);
      if (m >= 0) b = dv.getFloat64(m, true);
    } else if (t === FType.Single) {
      a = dv.getFloat32(n, true);
      if (m >= 0) b = dv.getFloat32(m, true);
    } else {
      a = halfValue(dv.getUint16(n, true));
      if (m >= 0) b = halfValue(dv.getUint16(m, true));
    }
    if (magnitudes) {
      a = Math.abs(a);
      b = Math.abs(b);
    }
    if (a < b) return Rel.Less;
    if (a > b) return Rel.Greater;
    if (a === b) return Rel.Equal;
  }
  const fmt = formats[t];
  const mask = magnitudes ? fmt.sign - 1n : -1n;
  const x = readBits(dv, n, fmt) & mask;
  return compare(fmt, x, m >= 0 ? readBits(dv, m, fmt) & mask : 0n, signalQuiet);
}

/** NZCV (bits 31..28) of a comparison. */
export function flagsOf(rel: Rel): number {
  switch (rel) {
    case Rel.Less:
      return 0x8000_0000;
    case Rel.Equal:
      return 0x6000_0000;
    case Rel.Greater:
      return 0x2000_0000;
    default:
      return 0x3000_0000;
  }
}

export interface Test {
  readonly less: boolean;
  readonly equal: boolean;
  readonly greater: boolean;
  /** Quiet NaNs raise Invalid Operation: every test but equality. */
  readonly signalQuiet: boolean;
  readonly magnitudes?: boolean;
}
export const tests = {
  eq: { less: false, equal: true, greater: false, signalQuiet: false },
  ge: { less: false, equal: true, greater: true, signalQuiet: true },
  gt: { less: false, equal: false, greater: true, signalQuiet: true },
  le: { less: true, equal: true, greater: false, signalQuiet: true },
  lt: { less: true, equal: false, greater: false, signalQuiet: true },
  absGe: { less: false, equal: true, greater: true, signalQuiet: true, magnitudes: true },
  absGt: { less: false, equal: false, greater: true, signalQuiet: true, magnitudes: true },
} as const satisfies Record<string, Test>;

/** -1 (all ones) when the test holds, else 0. */
function mask(dv: DataView, t: FType, n: number, m: number, test: Test): number {
  const rel = relation(dv, t, n, m, test.signalQuiet, test.magnitudes === true);
  const holds = rel === Rel.Less ? test.less : rel === Rel.Equal ? test.equal : rel === Rel.Greater && test.greater;
  return holds ? -1 : 0;
}

/** The lanes of a comparison; the offset m may be ZERO. */
export function laneTest(test: Test): PerType<Lane2> {
  return perType<Lane2>(
    (dv, d, n, m) => dv.setInt32(d, mask(dv, FType.Single, n, m, test), true),
    (dv, d, n, m) => {
      const r = mask(dv, FType.Double, n, m, test);
      dv.setInt32(d, r, true);
      dv.setInt32(d + 4, r, true);
    },
    (dv, d, n, m) => dv.setInt16(d, mask(dv, FType.Half, n, m, test), true),
  );
}
