// Values as JavaScript expressions. A 64-bit value is two int32 numbers: `t1` is the low half, `t1h` the high one of a register. Halves
// that nobody asks for are never written. Every expression of an i32 or of a half is an int32.

import { Off } from "../../../arch/layout.ts";
import { canonical, conditionOf, type Flags } from "../../../ir/flags.ts";
import { F32, F64, Fn, I32, I64, Op, state, type Value } from "../../../ir/value.ts";
import { bitmaskImmediate } from "../../../isa/bitmask.ts";
import { Exc, Fpcr } from "../../../isa/fp/env.ts";
import {
  bare,
  bitwise,
  bitwise64,
  bitwiseV,
  borrowOf,
  carryOf,
  compare32,
  compare64,
  comparisons,
  EQZ32,
  EQZ64,
  floatConstant,
  floatElement,
  floatOperations,
  floatRelation,
  fromInteger,
  isAtom,
  isBitsOfFloat,
  isComparison,
  isLiteral,
  isTruncation,
  isUnsigned,
  laneExpression,
  laneWord,
  literal,
  operators32,
  ordinal,
  plus,
  registerName,
  SELECT,
  splats,
  unsigned,
  word,
  wordShuffle,
} from "./expressions.ts";

/** What is known of a value in one instruction. */
interface Halves {
  /** Low half of a 64-bit value; an i32; a floating-point number. */
  lo?: string;
  hi?: string;
  /** The four 32-bit lanes of a vector. */
  lanes?: readonly string[];
}

/** Counts uses: a value used once may stand where it is used. */
export function count(n: Value | undefined): void {
  if (!n || n.uses++ > 0) return;
  count(n.a);
  count(n.b);
  count(n.c);
}

/** Where i32 results of comparisons may be conditions of JavaScript. */
const isTruth = (n: Value): boolean =>
  isComparison(n.op) ||
  n.op === EQZ32 ||
  n.op === EQZ64 ||
  n.op === Op.Cond ||
  n.op === Op.OrElse ||
  n.op === Op.RoundsPlainly ||
  floatRelation(n.op) !== undefined ||
  ((n.op === 0x71 || n.op === 0x72) && isTruth(n.a as Value) && isTruth(n.b as Value));
/** A condition before a question mark. */
const condition = (e: string) => (/[?&|]/.test(e) ? e : bare(e));
const isFloat = (n: Value) => n.type === F32 || n.type === F64;

export class Values {
  /** Statements so far. */
  readonly lines: string[] = [];
  /** Depth of the statements. */
  protected indent = 0;
  /** The flags before the present instruction; undefined: in the PE block. */
  flags: Flags | undefined;
  /** Names of Op.Local values: low and high half. */
  private readonly locals: (readonly [lo: string, hi: string])[] = [];
  private memo = new Map<Value, Halves>();
  /** Temporaries of the present instruction: words t1..., numbers d1...; and the most that an instruction needed. */
  private readonly names = { t: 0, d: 0 };
  readonly temporaries = { t: 0, d: 0 };
  /** Offset of the present instruction from the entry of the function, in bytes. */
  protected offset = 0;
  /** Registers that the code mentions. */
  readonly used = new Set<number>();
  /** The code asks for its own address. */
  needsPc = false;

  protected startInstruction(offset: number): void {
    this.offset = offset;
    this.memo = new Map();
    this.names.t = 0;
    this.names.d = 0;
  }
  emit(...lines: string[]): void {
    for (const line of lines) this.lines.push("  ".repeat(this.indent) + line);
  }
  /** A variable of this instruction: `t` for an int32, `d` for a floating-point number. */
  protected fresh(prefix: "t" | "d" = "t"): string {
    const n = ++this.names[prefix];
    this.temporaries[prefix] = Math.max(this.temporaries[prefix], n);
    return `${prefix}${n}`;
  }
  /** The expression, or a variable that holds it. */
  named(e: string, prefix: "t" | "d" = "t"): string {
    if (isAtom(e)) return e;
    const t = this.fresh(prefix);
    this.emit(`${t} = ${bare(e)};`);
    return t;
  }
  /** Two results of a call: the low half is returned, the high half stands in H. */
  private called(e: string, half: "lo" | "hi", m: Halves): string {
    m.lo = this.fresh();
    m.hi = this.fresh();
    this.emit(`${m.lo} = ${e}; ${m.hi} = H[0];`);
    return m[half] as string;
  }
  define(n: Value, halves: Halves): void {
    this.memo.set(n, halves);
  }
  local(lo: string, hi: string): number {
    return this.locals.push([lo, hi]) - 1;
  }
  register(r: number): string {
    this.used.add(r);
    return registerName(r);
  }
  private of(n: Value): Halves {
    let m = this.memo.get(n);
    if (!m) {
      m = {};
      this.memo.set(n, m);
    }
    return m;
  }

  // ---- halves ------------------------------------------------------------------------------------------------------
  /** Low half, or an i32. */
  lo(n: Value): string {
    if (n.op === Op.Const) return literal(n.imm);
    const m = this.of(n);
    if (m.lo === undefined) {
      const e = isFloat(n) ? this.number(n) : this.low(n, m);
      m.lo ??= n.uses > 1 ? this.named(e, isFloat(n) ? "d" : "t") : e;
    }
    return m.lo;
  }
  hi(n: Value): string {
    if (n.op === Op.Const) return literal(n.high);
    const m = this.of(n);
    if (m.hi === undefined) {
      const e = this.high(n, m);
      m.hi ??= n.uses > 1 ? this.named(e) : e;
    }
    return m.hi;
  }
  /** The same as names or literals, which may be repeated. */
  private loName(n: Value): string {
    const e = this.named(this.lo(n), isFloat(n) ? "d" : "t");
    if (n.op !== Op.Const) this.of(n).lo = e;
    return e;
  }
  private hiName(n: Value): string {
    const e = this.named(this.hi(n));
    if (n.op !== Op.Const) this.of(n).hi = e;
    return e;
  }
  loU(n: Value): string {
    return unsigned(this.lo(n));
  }

  private low(n: Value, m: Halves): string {
    const [a, b, c] = [n.a as Value, n.b as Value, n.c as Value];
    const infix = operators32[n.op];
    if (infix) return `(${this.lo(a)} ${infix[0]} ${this.lo(b)}${infix[1]})`;
    const bits = bitwise64[n.op];
    if (bits) return bitwise(bits, this.lo(a), this.lo(b));
    if (isTruth(n) && n.op !== Op.Cond) return `(${condition(this.truth(n))} ? 1 : 0)`;
    if (isTruncation(n.op)) return `(${this.lo(a)} | 0)`;
    if (isBitsOfFloat(n.op)) return this.floatBits(n, m, "lo");
    switch (n.op) {
      case Op.X:
        return this.register(n.imm);
      case Op.Local:
        return (this.locals[n.imm] as readonly string[])[0] as string;
      case Op.State:
        return word(n.imm);
      case Op.Cond:
        return this.lo(this.counted(this.condition(n.imm)));
      case Op.Flag:
        return this.lo(this.counted(this.flag(n.imm)));
      case Op.Pc:
        this.needsPc = true;
        return this.offset === 0 ? "pc" : `(pc ${this.offset < 0 ? "-" : "+"} ${Math.abs(this.offset)} | 0)`;
      case Op.BitMask:
        return literal(Number(BigInt.asIntN(32, bitmaskImmediate((n.a as Value).imm))));
      case Op.Lane:
        return laneExpression(n.imm, b.imm, n.high);
      case SELECT:
        return `(${condition(this.truth(c))} ? ${this.lo(a)} : ${this.lo(b)})`;
      case 0xa7:
      case 0xac:
      case 0xad:
        return this.lo(a);
      case 0x67:
        return `Math.clz32(${bare(this.lo(a))})`;
      case 0x6c:
      case 0x7e:
        return `Math.imul(${bare(this.lo(a))}, ${bare(this.lo(b))})`;
      case 0x6d:
        return `(${this.lo(a)} / ${this.lo(b)} | 0)`;
      case 0x6e:
        return `(${this.loU(a)} / ${this.loU(b)} | 0)`;
      case 0x78: {
        const x = this.loName(a);
        const k = this.loName(b);
        const back = isLiteral(k) ? literal(32 - Number(k)) : `(32 - ${k})`;
        return `(${x} >>> ${k} | ${x} << ${back})`;
      }
      case 0x79: {
        const high = this.hiName(a);
        return `(${high} !== 0 ? Math.clz32(${high}) : 32 + Math.clz32(${bare(this.lo(a))}))`;
      }
      case 0x7c:
        return `(${this.lo(a)} + ${this.lo(b)} | 0)`;
      case 0x7d:
        return `(${this.lo(a)} - ${this.lo(b)} | 0)`;
      case 0x7f:
      case 0x80: {
        const args = [this.lo(a), this.hi(a), this.lo(b), this.hi(b)].map(bare).join(", ");
        return this.called(`${n.op === 0x7f ? "sdiv64" : "udiv64"}(${args})`, "lo", m);
      }
      case 0x86:
      case 0x87:
      case 0x88:
      case 0x8a:
        return this.shift(n, "lo");
      case 0xc2:
        return `(${this.lo(a)} << 24 >> 24)`;
      case 0xc3:
        return `(${this.lo(a)} << 16 >> 16)`;
      case Op.Call:
        return this.call(n, m);
    }
    throw new Error(`js: no expression for operation 0x${n.op.toString(16)}`);
  }

  private high(n: Value, m: Halves): string {
    const [a, b, c] = [n.a as Value, n.b as Value, n.c as Value];
    const bits = bitwise64[n.op];
    if (bits) return bitwise(bits, this.hi(a), this.hi(b));
    if (isTruncation(n.op)) return `(Math.floor(Math.trunc(${bare(this.lo(a))}) / 4294967296) | 0)`;
    if (isBitsOfFloat(n.op)) return this.floatBits(n, m, "hi");
    switch (n.op) {
      case Op.X:
        return `${this.register(n.imm)}h`;
      case Op.Local:
        return (this.locals[n.imm] as readonly string[])[1] as string;
      case Op.State:
        return word(n.imm + 4);
      case Op.Flag:
        return this.hi(this.counted(this.flag(n.imm)));
      case Op.Pc:
        this.needsPc = true;
        return "pch";
      case Op.BitMask:
        return literal(Number(BigInt.asIntN(32, bitmaskImmediate((n.a as Value).imm) >> 32n)));
      case Op.Lane:
        return n.high === 3 ? laneWord(n.imm, 2 * b.imm + 1) : "0";
      case SELECT:
        return `(${condition(this.truth(c))} ? ${this.hi(a)} : ${this.hi(b)})`;
      case 0xad:
      case 0x79:
        return "0";
      case 0xac:
        return `(${this.lo(a)} >> 31)`;
      case 0xc2:
      case 0xc3:
        return `(${this.loName(n)} >> 31)`;
      case 0x7c:
        return this.sumHigh(n, a, b);
      case 0x7d:
        return this.differenceHigh(n, a, b);
      case 0x7e:
        return this.productHigh(a, b);
      case 0x7f:
      case 0x80:
        this.lo(n);
        return m.hi as string;
      case 0x86:
      case 0x87:
      case 0x88:
      case 0x8a:
        return this.shift(n, "hi");
      case Op.Call:
        this.lo(n);
        return m.hi as string;
    }
    throw new Error(`js: no high half for operation 0x${n.op.toString(16)}`);
  }
  private sumHigh(n: Value, a: Value, b: Value): string {
    const [x, y, t] = [this.loName(a), this.loName(b), this.loName(n)];
    const sum = plus(this.hi(a), this.hi(b), carryOf(x, y, t));
    return isAtom(sum) ? sum : `(${sum} | 0)`;
  }
  private differenceHigh(n: Value, a: Value, b: Value): string {
    const [x, y, t] = [this.loName(a), this.loName(b), this.loName(n)];
    const terms = [this.hi(a), this.hi(b), borrowOf(x, y, t)];
    const used = terms.filter((e, i) => i === 0 || e !== "0");
    return used.length === 1 ? (used[0] as string) : `(${used.join(" - ")} | 0)`;
  }
  private productHigh(a: Value, b: Value): string {
    const x = this.loName(a);
    const y = this.loName(b);
    const cross = [
      this.hi(a) === "0" ? "" : ` + Math.imul(${bare(this.hi(a))}, ${y})`,
      this.hi(b) === "0" ? "" : ` + Math.imul(${x}, ${bare(this.hi(b))})`,
    ];
    return `(umulh(${x}, ${y})${cross.join("")} | 0)`;
  }
  private shift(n: Value, half: "lo" | "hi"): string {
    const kind = ({ 134: "shl", 135: "sar", 136: "shr", 138: "ror" } as Record<number, string>)[n.op] as string;
    const by = n.b as Value;
    const a = n.a as Value;
    if (by.op === Op.Const) return this.shiftBy(kind, a, by.imm & 63, half);
    return `${kind}${half === "lo" ? "" : "h"}(${[this.loName(a), this.hiName(a), this.loName(by)].join(", ")})`;
  }
  private shiftBy(kind: string, a: Value, k: number, half: "lo" | "hi"): string {
    if (k === 0) return this[half](a);
    if (kind === "ror") {
      const [l, h] = [this.loName(a), this.hiName(a)];
      const [x, y] = k < 32 === (half === "lo") ? [l, h] : [h, l];
      return k === 32 ? x : `(${x} >>> ${k & 31} | ${y} << ${32 - (k & 31)})`;
    }
    if (kind === "shl") {
      if (k > 31) return half === "lo" ? "0" : k === 32 ? this.lo(a) : `(${this.lo(a)} << ${k - 32})`;
      return half === "lo" ? `(${this.lo(a)} << ${k})` : `(${this.hi(a)} << ${k} | ${this.lo(a)} >>> ${32 - k})`;
    }
    const op = kind === "sar" ? ">>" : ">>>";
    if (k > 31) {
      if (half === "hi") return kind === "sar" ? `(${this.hi(a)} >> 31)` : "0";
      return k === 32 ? this.hi(a) : `(${this.hi(a)} ${op} ${k - 32} | 0)`;
    }
    return half === "hi" ? `(${this.hi(a)} ${op} ${k} | 0)` : `(${this.lo(a)} >>> ${k} | ${this.hi(a)} << ${32 - k})`;
  }
  private call(n: Value, m: Halves): string {
    const [a, b, c] = [n.a as Value, n.b as Value, n.c as Value];
    if (n.imm === Fn.Crc32) return `crc32(${[this.lo(a), this.lo(b), this.hi(b), this.lo(c)].map(bare).join(", ")})`;
    return this.called(`pac(p, ${[this.lo(a), this.hi(a), this.lo(b), this.hi(b), this.lo(c)].map(bare).join(", ")})`, "lo", m);
  }

  // ---- conditions --------------------------------------------------------------------------------------------------
  private counted(n: Value): Value {
    count(n);
    return n;
  }
  private condition(cond: number): Value {
    return conditionOf(this.flags ?? inMemory(), cond);
  }
  private flag(component: number): Value {
    return canonical(this.flags ?? inMemory())[component] as Value;
  }
  /** An i32 as a condition of JavaScript. */
  truth(n: Value): string {
    const [a, b] = [n.a as Value, n.b as Value];
    if (n.op === Op.Const) return n.imm !== 0 ? "true" : "false";
    if (n.op === Op.Cond) return this.truth(this.counted(this.condition(n.imm)));
    if (n.op === Op.RoundsPlainly) return `((${word(Off.FPCR)} & ${Fpcr.FZ | Fpcr.RMODE}) === 0 && (${word(Off.FPSR)} & ${Exc.IXC}) !== 0)`;
    if (n.op === Op.OrElse) return `(${this.truth(a)} || ${this.truth(b)})`;
    if (n.op === EQZ32) return this.negated(a);
    if (n.op === EQZ64) return this.isZero(a);
    const relation = floatRelation(n.op);
    if (relation) return `(${this.lo(a)} ${relation} ${this.lo(b)})`;
    if ((n.op === 0x71 || n.op === 0x72) && isTruth(n)) return `(${this.truth(a)} ${n.op === 0x71 ? "&&" : "||"} ${this.truth(b)})`;
    const narrow = compare32(n.op);
    if (narrow >= 0) return this.compareNarrow(narrow, this.lo(a), this.lo(b));
    const wide = compare64(n.op);
    if (wide < 0) return `(${this.lo(n)} !== 0)`;
    return this.compareWide(wide, a, b);
  }
  private compareNarrow(k: number, a: string, b: string): string {
    const op = comparisons[k] as string;
    if (!isUnsigned(k)) return `(${a} ${op} ${b})`;
    if (b === "0" && op === ">") return `(${a} !== 0)`;
    if (b === "0" && op === "<=") return `(${a} === 0)`;
    return `(${ordinal(a)} ${op} ${ordinal(b)})`;
  }
  private negated(n: Value): string {
    if (n.op === EQZ32) return this.truth(n.a as Value);
    const k = compare32(n.op);
    // Equal and not equal, less and not less stand in pairs.
    if (k >= 0) return this.compareNarrow(k < 2 ? k ^ 1 : (k & 1 ? 12 : 10) - k, this.lo(n.a as Value), this.lo(n.b as Value));
    if (isTruth(n)) return `!${this.truth(n)}`;
    return `(${this.lo(n)} === 0)`;
  }
  private isZero(n: Value): string {
    const high = this.hi(n);
    const low = this.lo(n);
    if (high === "0" || low === "0") return `(${high === "0" ? low : high} === 0)`;
    return `((${low} | ${high}) === 0)`;
  }
  private compareWide(k: number, a: Value, b: Value): string {
    const op = comparisons[k] as string;
    const zero = b.op === Op.Const && b.imm === 0 && b.high === 0;
    if (k === 0) return zero ? this.isZero(a) : `(${this.lo(a)} === ${this.lo(b)} && ${this.hi(a)} === ${this.hi(b)})`;
    if (k === 1) return zero ? `!${this.isZero(a)}` : `(${this.lo(a)} !== ${this.lo(b)} || ${this.hi(a)} !== ${this.hi(b)})`;
    if (zero && (op === "<" || op === ">=") && !isUnsigned(k)) return `(${this.hi(a)} ${op} 0)`;
    const side = (e: string) => (isUnsigned(k) ? ordinal(e) : e);
    const [x, y] = [this.hiName(a), this.hiName(b)];
    const strict = op[0] as string;
    const low = this.compareNarrow(k | 1, this.lo(a), this.lo(b));
    return x === "0" && y === "0" ? low : `(${x} === ${y} ? ${bare(low)} : ${side(x)} ${strict} ${side(y)})`;
  }

  // ---- floating point ----------------------------------------------------------------------------------------------
  private number(n: Value): string {
    const direct = floatConstant(n) ?? floatElement(n);
    if (direct !== undefined) return direct;
    const a = n.a as Value;
    const convert = fromInteger[n.op];
    if (convert) return convert(this.lo(a), a.type === I64 ? this.hi(a) : "0");
    const f = floatOperations[n.op] as (typeof floatOperations)[number];
    return f(this.lo(a), n.b ? this.lo(n.b) : "");
  }
  /** The bits of a number: those of a V register stand in words of the PE block; others go through the VAL buffer. */
  private floatBits(n: Value, m: Halves, half: "lo" | "hi"): string {
    const a = n.a as Value;
    const single = a.type === F32;
    if (floatElement(a) !== undefined) {
      const first = single ? a.imm : 2 * a.imm;
      m.lo = laneWord((a.a as Value).imm, first);
      m.hi = laneWord((a.a as Value).imm, first + 1);
    } else {
      m.lo = this.fresh();
      m.hi = this.fresh();
      const value = bare(this.lo(a));
      const into = single ? `F32[p + ${Off.VAL >> 2}]` : `F64[q + ${Off.VAL >> 3}]`;
      this.emit(`${into} = ${value}; ${m.lo} = ${word(Off.VAL)}; ${m.hi} = ${word(Off.VAL + 4)};`);
    }
    return m[half] as string;
  }

  // ---- vectors -----------------------------------------------------------------------------------------------------
  /** The four words of a v128, lowest first. */
  lanes(n: Value): readonly string[] {
    const m = this.of(n);
    if (m.lanes) return m.lanes;
    const e = this.laneList(n);
    m.lanes = n.uses > 1 ? e.map((x) => this.named(x)) : e;
    return m.lanes;
  }
  private laneList(n: Value): readonly string[] {
    const four = [0, 1, 2, 3];
    if (n.op === Op.V) return four.map((k) => laneWord(n.imm, k));
    if (n.op === Op.VZero) return ["0", "0", "0", "0"];
    if (n.op === 0xfd12) {
      const [l, h] = [this.loName(n.a as Value), this.hiName(n.a as Value)];
      return [l, h, l, h];
    }
    const splat = splats[n.op];
    if (splat) {
      const e = this.named(splat(this.lo(n.a as Value)));
      return [e, e, e, e];
    }
    if (n.op === Op.Shuffle) {
      const from = [...this.lanes(n.a as Value), ...this.lanes(n.b as Value)];
      return (wordShuffle(n) as number[]).map((w) => from[w] as string);
    }
    const f = bitwiseV[n.op] as (typeof bitwiseV)[number];
    const [a, b, c] = [n.a, n.b, n.c].map((x) => (x ? this.lanes(x) : []));
    return four.map((k) => {
      const mask = n.op === 0xfd52 ? this.named(c?.[k] as string) : "";
      return f(a?.[k] as string, b?.[k] as string, mask);
    });
  }
}

const inMemory = (): Flags => ({ kind: "canonical", values: stateFlags() });
const stateFlags = () => [state(Off.NF, I64), state(Off.ZF, I64), state(Off.CF, I32), state(Off.VF, I64)];
