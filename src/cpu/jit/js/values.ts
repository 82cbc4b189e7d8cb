// Values as JavaScript expressions. A 64-bit value is two int32 numbers: `t1` is the low half, `t1h` the high one. Halves that nobody
// asks for are never written. Every expression of an i32 or of a half is an int32.

import { Off } from "../../../arch/layout.ts";
import { canonical, conditionOf, type Flags } from "../../../ir/flags.ts";
import { Fn, I32, I64, Op, state, type Value } from "../../../ir/value.ts";
import { bitmaskImmediate } from "../../../isa/bitmask.ts";
import {
  bare,
  bitwise64,
  bitwiseV,
  compare32,
  compare64,
  comparisons,
  isAtom,
  isComparison,
  isLiteral,
  isUnsigned,
  laneExpression,
  laneWord,
  literal,
  operators32,
  plus,
  registerName,
  SELECT,
  splats,
  unsigned,
  word,
  wordShuffle,
} from "./expressions.ts";

/** Low and high half of a 64-bit value; `lo` alone for an i32. */
interface Halves {
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

export class Values {
  /** Statements so far. */
  readonly lines: string[] = [];
  /** The flags before the present instruction; undefined: in the PE block. */
  flags: Flags | undefined;
  /** Names of Op.Local values: low and high half. */
  private readonly locals: (readonly [lo: string, hi: string])[] = [];
  private memo = new Map<Value, Halves>();
  private names = 0;
  /** Offset of the present instruction from the first, in bytes. */
  protected offset = 0;
  /** Registers that the code mentions. */
  readonly used = new Set<number>();
  /** The code asks for its own address. */
  needsPc = false;

  protected startInstruction(offset: number): void {
    this.offset = offset;
    this.memo = new Map();
  }
  /** A new name, as `t1`, with `t1h` for the high half. */
  fresh(prefix = "t"): string {
    this.names++;
    return `${prefix}${this.names}`;
  }
  /** The expression, or a constant that holds it. */
  named(e: string): string {
    if (isAtom(e)) return e;
    const t = this.fresh();
    this.lines.push(`const ${t} = ${bare(e)};`);
    return t;
  }
  /** Two results of a call: the low half is returned, the high half stands in H. */
  private called(e: string, half: "lo" | "hi", m: Halves): string {
    const t = this.fresh();
    this.lines.push(`const ${t} = ${e}, ${t}h = H[0];`);
    m.lo = t;
    m.hi = `${t}h`;
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
      const e = this.low(n, m);
      m.lo ??= n.uses > 1 ? this.named(e) : e;
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
    const e = this.named(this.lo(n));
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
    if (bits) return `(${this.lo(a)} ${bits} ${this.lo(b)})`;
    if (isComparison(n.op) || n.op === 0x45 || n.op === 0x50) return `(${this.truth(n)} ? 1 : 0)`;
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
        return this.offset === 0 ? "pc" : `(pc + ${this.offset} | 0)`;
      case Op.BitMask:
        return literal(Number(BigInt.asIntN(32, bitmaskImmediate((n.a as Value).imm))));
      case Op.Lane:
        return laneExpression(n.imm, b.imm, n.high);
      case SELECT:
        return `(${this.truth(c)} ? ${this.lo(a)} : ${this.lo(b)})`;
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
    if (bits) return `(${this.hi(a)} ${bits} ${this.hi(b)})`;
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
        return `(${this.truth(c)} ? ${this.hi(a)} : ${this.hi(b)})`;
      case 0xad:
      case 0x79:
        return "0";
      case 0xac:
        return `(${this.lo(a)} >> 31)`;
      case 0xc2:
      case 0xc3:
        return `(${this.loName(n)} >> 31)`;
      case 0x7c:
        return `(${plus(this.hi(a), this.hi(b), `(${unsigned(this.loName(n))} < ${unsigned(this.addend(a, b))} ? 1 : 0)`)} | 0)`;
      case 0x7d:
        return `(${this.hi(a)} - ${this.hi(b) === "0" ? "" : `${this.hi(b)} - `}(${unsigned(this.loName(a))} < ${unsigned(this.loName(b))} ? 1 : 0) | 0)`;
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
  /** A sum carries when it is below either operand: the constant one if there is one. */
  private addend(a: Value, b: Value): string {
    return b.op === Op.Const ? this.lo(b) : this.loName(a);
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
    if (n.op === 0x45) return this.negated(a);
    if (n.op === 0x50) return this.isZero(a);
    const narrow = compare32(n.op);
    if (narrow >= 0) {
      const side = (x: Value) => (isUnsigned(narrow) ? this.loU(x) : this.lo(x));
      return `(${side(a)} ${comparisons[narrow]} ${side(b)})`;
    }
    const wide = compare64(n.op);
    if (wide < 0) return `(${this.lo(n)} !== 0)`;
    return this.compareWide(wide, a, b);
  }
  private negated(n: Value): string {
    if (n.op === 0x45) return this.truth(n.a as Value);
    if (isComparison(n.op) || n.op === 0x50 || n.op === Op.Cond) return `!${this.truth(n)}`;
    return `(${this.lo(n)} === 0)`;
  }
  private isZero(n: Value): string {
    const high = this.hi(n);
    return high === "0" ? `(${this.lo(n)} === 0)` : `((${this.lo(n)} | ${high}) === 0)`;
  }
  private compareWide(k: number, a: Value, b: Value): string {
    const op = comparisons[k] as string;
    const zero = b.op === Op.Const && b.imm === 0 && b.high === 0;
    if (k === 0) return zero ? this.isZero(a) : `(${this.lo(a)} === ${this.lo(b)} && ${this.hi(a)} === ${this.hi(b)})`;
    if (k === 1) return zero ? `!${this.isZero(a)}` : `(${this.lo(a)} !== ${this.lo(b)} || ${this.hi(a)} !== ${this.hi(b)})`;
    if (zero && (op === "<" || op === ">=") && !isUnsigned(k)) return `(${this.hi(a)} ${op} 0)`;
    const side = (e: string) => (isUnsigned(k) ? unsigned(e) : e);
    const [x, y] = [this.hiName(a), this.hiName(b)];
    const strict = op[0] as string;
    return `(${x} === ${y} ? ${this.loU(a)} ${op} ${this.loU(b)} : ${side(x)} ${strict} ${side(y)})`;
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
