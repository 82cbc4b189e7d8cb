// NZCV, kept as the operands that produced it until somebody needs a flag.

import { add, and, bin, c32, c64, constant, eqz, I32, I64, not, or, sext, shru, sub, type Value, xor } from "./value.ts";

/** How the flags were produced. sub, add: values [a, b, result]; logic: [result]; canonical: [n, z, c, v]. */
export interface Flags {
  readonly kind: "sub" | "add" | "logic" | "canonical";
  readonly values: readonly Value[];
}

/** Canonical form: n (i64, N = sign), z (i64, Z = equals 0), c (i32 0/1), v (i64, V = sign). */
export function canonical(f: Flags): readonly Value[] {
  if (f.kind === "canonical") return f.values;
  const [a, b, r] = f.values as [Value, Value, Value];
  switch (f.kind) {
    case "logic":
      return [sext(a), sext(a), c32(0), c64(0)];
    case "sub":
      return [sext(r), sext(r), bin("geu", a, b), sext(and(xor(a, b), xor(a, r)))];
    case "add":
      return [sext(r), sext(r), bin("ltu", r, a), sext(and(xor(a, r), xor(b, r)))];
  }
}

/** a + b + carry with all four flags (Arm ARM AddWithCarry). */
export function addWithCarry(a: Value, b: Value, carry: Value): { result: Value; flags: Flags } {
  const wide = a.type === I64;
  const result = add(add(a, b), wide ? sext(carry) : carry);
  const top = (n: Value) => and(wide ? lowBit64(n) : shru(n, c32(31)), c32(1));
  const c = top(or(and(a, b), and(or(a, b), not(result))));
  return { result, flags: { kind: "canonical", values: [sext(result), sext(result), c, sext(and(xor(a, result), xor(b, result)))] } };
}
const lowBit64 = (n: Value) => bin("lts", n, c64(0));

/** Condition code `cond` (0..15) over `f`, as i32 0/1. */
export function conditionOf(f: Flags, cond: number): Value {
  const half = cond >> 1;
  if (half === 7) return c32(1);
  const p = direct(f, half) ?? general(f, half);
  return cond & 1 ? eqz(p) : p;
}

/** Conditions that the producing operation answers without computing flags. */
function direct(f: Flags, half: number): Value | undefined {
  const [a, b, r] = f.values as [Value, Value, Value];
  const zero = constant(a.type === I64 ? I64 : I32, 0);
  if (f.kind === "sub") {
    switch (half) {
      case 0:
        return bin("eq", a, b);
      case 1:
        return bin("geu", a, b);
      case 2:
        return bin("lts", r, zero);
      case 4:
        return bin("gtu", a, b);
      case 5:
        return bin("ges", a, b);
      case 6:
        return bin("gts", a, b);
    }
  }
  if (f.kind === "logic") {
    switch (half) {
      case 0:
        return eqz(a);
      case 2:
        return bin("lts", a, zero);
      case 5:
        return bin("ges", a, zero);
      case 6:
        return bin("gts", a, zero);
      default:
        return c32(0);
    }
  }
  return undefined;
}

function general(f: Flags, half: number): Value {
  const [n, z, c, v] = canonical(f) as [Value, Value, Value, Value];
  const ge = () => bin("ges", xor(n, v), c64(0));
  switch (half) {
    case 0:
      return eqz(z);
    case 1:
      return c;
    case 2:
      return bin("lts", n, c64(0));
    case 3:
      return bin("lts", v, c64(0));
    case 4:
      return and(c, bin("ne", z, c64(0)));
    case 5:
      return ge();
    default:
      return and(ge(), bin("ne", z, c64(0)));
  }
}

/** The canonical flags for a constant or dynamic 4-bit NZCV value (i32). */
export function fromNzcv(nzcv: Value): Flags {
  const bit = (i: number) => and(shru(nzcv, c32(i)), c32(1));
  const sign = (i: number) => sext(sub(c32(0), bit(i)));
  return { kind: "canonical", values: [sign(3), sext(xor(bit(2), c32(1))), bit(1), sign(0)] };
}
