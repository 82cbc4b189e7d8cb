// Does the host multiply and add with one rounding? WebAssembly's relaxed SIMD leaves it to the host whether relaxed_madd rounds the product
// too: the answer of the present one is found by trying. Only translations made at run time may depend on it, never code built ahead.

import { F32, F64, Op, V128, Value, wasm } from "../../ir/value.ts";
import { assemble } from "../../wasm/module.ts";
import { Emitter } from "./emitter.ts";

/** relaxed_madd, splat and extract_lane of both precisions; bits of the numbers that are tried. */
const precisions = [
  { type: F32, madd: 0xfd105, splat: 0xfd13, lane: 0xfd1f, half: 15 },
  { type: F64, madd: 0xfd107, splat: 0xfd14, lane: 0xfd21, half: 30 },
] as const;

let answer: boolean | undefined;
/** f32x4 and f64x2.relaxed_madd and relaxed_nmadd exist and are fused. */
export function hostFuses(): boolean {
  answer ??= precisions.every((p) => isFused(p, false) && isFused(p, true));
  return answer;
}

/** With x = 1 + 2^-half, x * x - (1 + 2^(1 - half)) is 2^(-2 half), which a rounded product has lost. */
function isFused({ type, madd, splat, lane, half }: (typeof precisions)[number], minus: boolean): boolean {
  const e = new Emitter(() => 0, 2);
  const all = (local: number) => wasm(splat, V128, new Value(Op.Local, type, undefined, undefined, undefined, local));
  e.value(wasm(lane, type, wasm(madd + (minus ? 1 : 0), V128, all(0), all(0), all(1))));
  const bytes = assemble({
    memory: { min: 0, max: 0, shared: false },
    signatures: [{ params: [type, type], results: [type] }],
    imports: [],
    funcs: [e.func(0)],
    exports: [["fused", 0]],
  }) as BufferSource;
  if (!WebAssembly.validate(bytes)) return false;
  const m = new WebAssembly.Memory({ initial: 0, maximum: 0 });
  const { fused } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { e: { m } }).exports as {
    fused: (x: number, addend: number) => number;
  };
  const sign = minus ? -1 : 1;
  return fused(1 + 2 ** -half, -sign * (1 + 2 ** (1 - half))) === sign * 2 ** (-2 * half);
}
