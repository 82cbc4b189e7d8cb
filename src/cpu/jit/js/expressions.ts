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
/** eq ne lts ltu gts gtu les leu ges geu, from the first opcode of the i32 and i64 groups. */
export const comparisons = ["===", "!==", "<", "<", ">", ">", "<=", "<=", ">=", ">="] as const;
export const isUnsigned = (k: number) => k >= 2 && (k & 1) === 1;
export const compare32 = (op: number) => (op >= 0x46 && op <= 0x4f ? op - 0x46 : -1);
export const compare64 = (op: number) => (op >= 0x51 && op <= 0x5a ? op - 0x51 : -1);
export const SELECT = 0x1b;
export const splats: Readonly<Record<number, (e: string) => string>> = {
  64783: (e) => `(Math.imul(${e} & 255, 0x1010101))`,
  64784: (e) => `(Math.imul(${e} & 65535, 0x10001))`,
  64785: (e) => e,
};
const supported = new Set<number>([
  ...[Op.Const, Op.X, Op.V, Op.Result, Op.Local, Op.Cond, Op.Flag, Op.Pc, Op.BitMask, Op.State, Op.Lane, Op.VZero, Op.Call, SELECT],
  ...[0x45, 0x50, 0x67, 0x6c, 0x6d, 0x6e, 0x78, 0x79, 0x7c, 0x7d, 0x7e, 0x7f, 0x80, 0x86, 0x87, 0x88, 0x8a, 0xa7, 0xac, 0xad, 0xc2, 0xc3],
  ...Object.keys(operators32).map(Number),
  ...Object.keys(bitwise64).map(Number),
  ...Object.keys(bitwiseV).map(Number),
  ...Object.keys(splats).map(Number),
  0xfd12,
]);
export const isComparison = (op: number) => compare32(op) >= 0 || compare64(op) >= 0;

/** Can the value be written in JavaScript? Otherwise the handler of the interpreter does the instruction. */
export function hasExpression(n: Value | undefined): boolean {
  if (!n) return true;
  if (n.type === F32 || n.type === F64 || (n.type === V128 && n.op === SELECT)) return false;
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
