// Lane views of 128-bit values. SIMD helpers copy their source registers into the scratch vectors below, compute into `R`, and
// copy R to the destination: so a destination may equal a source, and every lane access goes through fixed typed arrays.

import { Off } from "../arch/layout.ts";
import type { PeState } from "../arch/state.ts";

/** One 128-bit value seen as lanes of each width; lane 0 is the least significant (little-endian host assumed, as WebAssembly is). */
export interface Vec {
  readonly u8: Uint8Array;
  readonly s8: Int8Array;
  readonly u16: Uint16Array;
  readonly s16: Int16Array;
  readonly u32: Uint32Array;
  readonly s32: Int32Array;
  readonly u64: BigUint64Array;
  readonly s64: BigInt64Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
}

/** A new zero vector of `bytes` bytes (a multiple of 16). */
export function makeVec(bytes = 16): Vec {
  const b = new ArrayBuffer(bytes);
  return {
    u8: new Uint8Array(b),
    s8: new Int8Array(b),
    u16: new Uint16Array(b),
    s16: new Int16Array(b),
    u32: new Uint32Array(b),
    s32: new Int32Array(b),
    u64: new BigUint64Array(b),
    s64: new BigInt64Array(b),
    f32: new Float32Array(b),
    f64: new Float64Array(b),
  };
}

/** Scratch of the running helper: operands from Vn, Vm, the old Vd (or Va), and the result. Helpers never nest, so one set is enough. */
export const N = makeVec();
export const M = makeVec();
export const D = makeVec();
export const R = makeVec();

/** Index into `st.u32` of the low word of V`reg` (0..31). */
export function vIndex(st: PeState, reg: number): number {
  return ((st.base + Off.V) >>> 2) + 4 * reg;
}

/** Copies V`reg` (0..31) into `to`. */
export function loadV(st: PeState, reg: number, to: Vec): void {
  const o = vIndex(st, reg);
  const w = st.u32;
  const t = to.u32;
  t[0] = w[o] as number;
  t[1] = w[o + 1] as number;
  t[2] = w[o + 2] as number;
  t[3] = w[o + 3] as number;
}

/** Copies the 128 bits of `from` into V`reg` (0..31). */
export function storeV(st: PeState, reg: number, from: Vec): void {
  const o = vIndex(st, reg);
  const w = st.u32;
  const f = from.u32;
  w[o] = f[0] as number;
  w[o + 1] = f[1] as number;
  w[o + 2] = f[2] as number;
  w[o + 3] = f[3] as number;
}

/** Sets all 128 bits of `v` to zero. */
export function clearVec(v: Vec): void {
  v.u32[0] = 0;
  v.u32[1] = 0;
  v.u32[2] = 0;
  v.u32[3] = 0;
}
