// The pieces that expressions are made of: JavaScript text, names of state, and which operations have an expression at all.

import { Off } from "../../../arch/layout.ts";
import { F32, F64, Op, V128, type Value } from "../../../ir/value.ts";

export const isName = (e: string) => /^[a-z_]\w*$/i.test(e);
export const isLiteral = (e: string) => /^-?\d+$/.test(e);
/** May be written twice without computing twice. */
export const isAtom = (e: string) => isName(e) || isLiteral(e);
export const literal = (k: number) => `${k | 0}`;
/** Drops the parentheses around a whole expression. */
export function bare(e: string): string {
  if (!e.startsWith("(") || !e.endsWith(")")) return e;
  let depth = 0;
  for (let i = 0; i < e.length - 1; i++) {
    depth += e[i] === "(" ? 1 : e[i] === ")" ? -1 : 0;
    if (depth === 0) return e;
  }
  return e.slice(1, -1);
}
/** With parentheses around the whole, once. */
export const wrapped = (e: string) => (bare(e) === e ? `(${e})` : e);
/** A number that orders as the unsigned value of an int32 does, and is an int32 itself: hosts keep those in registers. */
export const ordinal = (e: string) => (isLiteral(e) ? literal(Number(e) ^ (1 << 31)) : `(${e} ^ MIN)`);
export const unsigned = (e: string) => (isLiteral(e) ? `${Number(e) >>> 0}` : `(${e} >>> 0)`);
/** Names of the words of the PE block that are not registers. */
const stateNames = new Map<number, string>(
  Object.entries(Off)
    .filter(([, off]) => off >= Off.PC && (off < Off.V || (off >= Off.FPCR && off < Off.SYSREGS)))
    .map(([name, off]) => [off, name]),
);
/** Word of the PE block. */
export function word(off: number): string {
  const name = stateNames.get(off);
  return name === undefined ? `I[p + ${off >> 2}]` : `I[p + ${off >> 2} /* ${name} */]`;
}
export const plus = (...terms: string[]): string => terms.filter((t) => t !== "0").join(" + ") || "0";

export const registerName = (r: number) => (r === 32 ? "sp" : `x${r}`);

/** 1 when t = a + b carries out of 32 bits: bit 31 of the majority of a, b and not t. Without comparisons, so without branches. */
export function carryOf(a: string, b: string, t: string): string {
  if (isLiteral(a) && !isLiteral(b)) return carryOf(b, a, t);
  if (b === "0") return "0";
  if (isLiteral(b)) return Number(b) >= 0 ? `((${a} & ~${t}) >>> 31)` : `((${a} | ~${t}) >>> 31)`;
  return `(((${a} & ${b}) | ((${a} | ${b}) & ~${t})) >>> 31)`;
}
/** 1 when t = a - b borrows. */
export function borrowOf(a: string, b: string, t: string): string {
  if (b === "0") return "0";
  if (a === "0") return `((${b} | ${t}) >>> 31)`;
  if (isLiteral(b)) return Number(b) >= 0 ? `((~${a} & ${t}) >>> 31)` : `((~${a} | ${t}) >>> 31)`;
  return `(((~${a} & ${b}) | ((~${a} | ${b}) & ${t})) >>> 31)`;
}

/** Operators of i32 operations that are one JavaScript operator. */
export const operators32: Readonly<Record<number, readonly [op: string, suffix: string]>> = {
  106: ["+", " | 0"],
  107: ["-", " | 0"],
  113: ["&", ""],
  114: ["|", ""],
  115: ["^", ""],
  116: ["<<", ""],
  117: [">>", ""],
  118: [">>>", " | 0"],
};
export const bitwise64: Readonly<Record<number, string>> = { 131: "&", 132: "|", 133: "^" };
export const bitwiseV: Readonly<Record<number, (a: string, b: string, c: string) => string>> = {
  64845: (a) => `(~${a})`,
  64846: (a, b) => `(${a} & ${b})`,
  64847: (a, b) => `(${a} & ~${b})`,
  64848: (a, b) => `(${a} | ${b})`,
  64849: (a, b) => `(${a} ^ ${b})`,
  64850: (a, b, c) => `((${a} & ${c}) | (${b} & ~${c}))`,
  64942: (a, b) => `(${a} + ${b} | 0)`,
  64945: (a, b) => `(${a} - ${b} | 0)`,
};
/** x & 0 and x & -1 are common: masks of 64 bits come in halves. */
export function bitwise(op: string, a: string, b: string): string {
  if (op === "&" && (a === "0" || b === "0")) return "0";
  if (op === "&" && b === "-1") return a;
  if (op !== "&" && b === "0") return a;
  if (op !== "&" && a === "0") return b;
  if (op === "^" && b === "-1") return `(~${a})`;
  return `(${a} ${op} ${b})`;
}
/** eq ne lts ltu gts gtu les leu ges geu, from the first opcode of the i32 and i64 groups. */
export const comparisons = ["===", "!==", "<", "<", ">", ">", "<=", "<=", ">=", ">="] as const;
export const isUnsigned = (k: number) => k >= 2 && (k & 1) === 1;
export const compare32 = (op: number) => (op >= 0x46 && op <= 0x4f ? op - 0x46 : -1);
export const compare64 = (op: number) => (op >= 0x51 && op <= 0x5a ? op - 0x51 : -1);
export const EQZ32 = 0x45;
export const EQZ64 = 0x50;
export const SELECT = 0x1b;
export const splats: Readonly<Record<number, (e: string) => string>> = {
  64783: (e) => `(Math.imul(${e} & 255, 0x1010101))`,
  64784: (e) => `(Math.imul(${e} & 65535, 0x10001))`,
  64785: (e) => e,
};
const supported = new Set<number>([
  ...[
    Op.Const,
    Op.X,
    Op.V,
    Op.Result,
    Op.Local,
    Op.Cond,
    Op.Flag,
    Op.Pc,
    Op.BitMask,
    Op.State,
    Op.Lane,
    Op.VZero,
    Op.Call,
    Op.OrElse,
    Op.RoundsPlainly,
    SELECT,
  ],
  ...[EQZ32, EQZ64, 0x67, 0x6c, 0x6d, 0x6e, 0x78, 0x79, 0x7c, 0x7d, 0x7e, 0x7f, 0x80, 0x86, 0x87, 0x88, 0x8a, 0xa7, 0xac, 0xad, 0xc2, 0xc3],
  ...Object.keys(operators32).map(Number),
  ...Object.keys(bitwise64).map(Number),
  ...Object.keys(bitwiseV).map(Number),
  ...Object.keys(splats).map(Number),
  0xfd12,
]);
export const isComparison = (op: number) => compare32(op) >= 0 || compare64(op) >= 0;

// ---- floating point --------------------------------------------------------------------------------------------------
// Numbers of JavaScript are doubles; a single is one that Math.fround leaves alone.

/** Relations of Wasm, f32 and f64: eq ne lt gt le ge. */
export const floatRelation = (op: number): string | undefined =>
  op >= 0x5b && op <= 0x66 ? ["===", "!==", "<", ">", "<=", ">="][(op - 0x5b) % 6] : undefined;
const rounded = (e: string) => `Math.fround(${bare(e)})`;
/** Operations on one or two numbers; those on singles round where the exact result may have more bits. */
export const floatOperations: Readonly<Record<number, (a: string, b: string) => string>> = {};
const define = (first: number, single: boolean, forms: readonly ((a: string, b: string) => string)[], exact: number): void => {
  forms.forEach((form, i) => {
    (floatOperations as Record<number, (a: string, b: string) => string>)[first + i] =
      single && i < exact ? (a, b) => rounded(form(a, b)) : form;
  });
};
const infix = (op: string) => (a: string, b: string) => `(${a} ${op} ${b})`;
const math = (name: string) => (a: string, b: string) =>
  `Math.${name}(${[a, b]
    .filter((x) => x !== "")
    .map(bare)
    .join(", ")})`;
const binary = [infix("+"), infix("-"), infix("*"), infix("/"), math("min"), math("max")];
const unary = [math("abs"), (a: string) => `(- ${a})`, math("ceil"), math("floor"), math("trunc"), (a: string) => `nearest(${bare(a)})`];
for (const single of [true, false]) {
  define(single ? 0x92 : 0xa0, single, binary, 4);
  define(single ? 0x8b : 0x99, single, unary, 0);
  define(single ? 0x91 : 0x9f, single, [math("sqrt")], 1);
}
define(0xb6, true, [(a) => a], 1); // f32.demote_f64
define(0xbb, false, [(a) => a], 0); // f64.promote_f32
/** Conversions from an integer: of an i32 by its low half, of an i64 by both. f32 of an i64 would round twice. */
export const fromInteger: Readonly<Record<number, (lo: string, hi: string) => string>> = {
  178: (lo) => rounded(lo),
  179: (lo) => rounded(unsigned(lo)),
  183: (lo) => lo,
  184: (lo) => unsigned(lo),
  185: (lo, hi) => `(${hi} * 4294967296 + ${unsigned(lo)})`,
  186: (lo, hi) => `(${unsigned(hi)} * 4294967296 + ${unsigned(lo)})`,
};
/** Saturating truncations, of values that are known to be in range. */
export const isTruncation = (op: number) => op >= 0xfc00 && op <= 0xfc07;
/** i32 and i64 from the bits of a float. */
export const isBitsOfFloat = (op: number) => op === 0xbc || op === 0xbd;
const FROM_BITS = { 190: true, 191: true } as Readonly<Record<number, boolean>>;
const isFloat = (n: Value) => n.type === F32 || n.type === F64;

/** The value of constant bits. */
export function floatConstant(n: Value): string | undefined {
  const bits = n.a;
  if (!FROM_BITS[n.op] || bits?.op !== Op.Const) return undefined;
  const view = new DataView(new ArrayBuffer(8));
  view.setInt32(0, bits.imm, true);
  view.setInt32(4, bits.high, true);
  const value = n.type === F32 ? view.getFloat32(0, true) : view.getFloat64(0, true);
  return Number.isNaN(value) ? undefined : `${Object.is(value, -0) ? "-0" : value}`;
}
/** Element of a V register as a number. */
export function floatElement(n: Value): string | undefined {
  if (n.a?.op !== Op.V || n.a.a) return undefined;
  const at = Off.V + 16 * n.a.imm;
  if (n.op === 0xfd1f) return `F32[p + ${(at >> 2) + n.imm}]`;
  return n.op === 0xfd21 ? `F64[q + ${(at >> 3) + n.imm}]` : undefined;
}
function hasFloat(n: Value): boolean {
  if (floatConstant(n) !== undefined || floatElement(n) !== undefined) return true;
  if (!floatOperations[n.op] && !fromInteger[n.op]) return false;
  return hasExpression(n.a) && hasExpression(n.b);
}

/** Can the value be written in JavaScript? Otherwise the handler of the interpreter does the instruction. */
export function hasExpression(n: Value | undefined): boolean {
  if (!n) return true;
  if (isFloat(n)) return hasFloat(n);
  if (floatRelation(n.op) || isTruncation(n.op) || isBitsOfFloat(n.op)) return hasExpression(n.a) && hasExpression(n.b);
  if (n.type === V128 && n.op === SELECT) return false;
  if (n.op === Op.Shuffle) return wordShuffle(n) !== undefined && hasExpression(n.a) && hasExpression(n.b);
  if (!supported.has(n.op) && !isComparison(n.op)) return false;
  if (n.op === Op.Lane) return n.b?.op === Op.Const;
  if (n.op === Op.BitMask) return n.a?.op === Op.Const;
  return hasExpression(n.a) && hasExpression(n.b) && hasExpression(n.c);
}
/** Source words (0..3 of a, 4..7 of b) of a shuffle that moves whole words. */
export function wordShuffle(n: Value): number[] | undefined {
  const bytes = n.bytes as readonly number[];
  const words = [0, 4, 8, 12].map((i) => bytes[i] as number);
  const whole = words.every((w, i) => w % 4 === 0 && [1, 2, 3].every((k) => bytes[4 * i + k] === w + k));
  return whole ? words.map((w) => w / 4) : undefined;
}

/** Word k of V register r. */
export const laneWord = (r: number, k: number) => word(Off.V + 16 * r + 4 * k);
export function laneExpression(r: number, index: number, lg: number): string {
  const at = Off.V + 16 * r + (index << lg);
  if (lg === 0) return `U8[pe + ${at}]`;
  if (lg === 1) return `U16[(pe + ${at}) >>> 1]`;
  return word(at);
}
