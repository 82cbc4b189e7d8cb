// Saturation and the cumulative saturation flag FPSR.QC (bit 27): Arm ARM SatQ, SignedSatQ, UnsignedSatQ.

import { Off } from "../../arch/layout.ts";
import type { PeState } from "../../arch/state.ts";

const QC = 1 << 27;
const S_MAX = [0x7f, 0x7fff, 0x7fff_ffff] as const;
const U_MAX = [0xff, 0xffff, 0xffff_ffff] as const;
const S64_MAX = (1n << 63n) - 1n;
const S64_MIN = -(1n << 63n);
const U64_MAX = (1n << 64n) - 1n;

/** Set when the running instruction saturated a lane; see `flushQC`. */
let saturated = false;

/** Clamps `v` to a signed lane of 8 << size bits (size 0..2). */
export function satS(v: number, size: number): number {
  const max = S_MAX[size] as number;
  if (v > max) {
    saturated = true;
    return max;
  }
  if (v < -max - 1) {
    saturated = true;
    return -max - 1;
  }
  return v;
}

/** Clamps `v` to an unsigned lane of 8 << size bits (size 0..2). */
export function satU(v: number, size: number): number {
  if (v < 0) {
    saturated = true;
    return 0;
  }
  const max = U_MAX[size] as number;
  if (v > max) {
    saturated = true;
    return max;
  }
  return v;
}

/** Clamps `v` to a signed lane of 64 bits. */
export function satS64(v: bigint): bigint {
  if (v >= S64_MIN && v <= S64_MAX) return v;
  saturated = true;
  return v < 0n ? S64_MIN : S64_MAX;
}

/** Clamps `v` to an unsigned lane of 64 bits. */
export function satU64(v: bigint): bigint {
  if (v >= 0n && v <= U64_MAX) return v;
  saturated = true;
  return v < 0n ? 0n : U64_MAX;
}

/** Clamps a 64-bit value to a lane of 32 bits. */
export function narrowS64(v: bigint): bigint {
  const r = BigInt.asIntN(32, v);
  if (r === v) return v;
  saturated = true;
  return v < 0n ? -0x8000_0000n : 0x7fff_ffffn;
}

/** Clamps a 64-bit value to an unsigned lane of 32 bits. */
export function narrowU64(v: bigint): bigint {
  const r = BigInt.asUintN(32, v);
  if (r === v) return v;
  saturated = true;
  return v < 0n ? 0n : 0xffff_ffffn;
}

/** Ends an instruction: sets FPSR.QC when a lane saturated since the last call. */
export function flushQC(st: PeState): void {
  if (!saturated) return;
  saturated = false;
  st.setLo(Off.FPSR, st.lo(Off.FPSR) | QC);
}
