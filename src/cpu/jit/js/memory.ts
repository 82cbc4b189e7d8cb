// Loads, stores and atomics of a function.

import { Off, TLB_ENTRIES } from "../../../arch/layout.ts";
import type { Effect } from "../../../ir/builder.ts";
import { I64, Op, V128, Value } from "../../../ir/value.ts";
import { Kind } from "../../emit/access.ts";
import { bare, word } from "./expressions.ts";
import { Values } from "./values.ts";

const TAG = -4096;

/** Variables that hold the indices of the L1 TLB tables that are current; translated code cannot change which these are. */
const tables = { reads: Off.TLB_R, writes: Off.TLB_W, userReads: Off.TLB_UR, userWrites: Off.TLB_UW } as const;

/** Flag for `look`: the access needs its real address. */
export const NO_BOUNCE = 1 << 16;

export abstract class MemoryLowering extends Values {
  private readonly usedTables = new Set<keyof typeof tables>();

  /** Declarations of the tables that are used. */
  protected tableDeclarations(): string[] {
    return [...this.usedTables].map((name) => `const ${name} = ${word(tables[name])} >>> 2;`);
  }
  /** Statements by which the interpreter is made to execute this instruction. */
  protected abstract giveUp(): string;

  /**
   * The name of a byte address in linear memory. The check in line covers aligned accesses that hit the L1 TLB; `look` finds the rest
   * of RAM. `bounce`: a misaligned load may be given the address of a copy.
   */
  private address(va: Value, kind: number, bounce: boolean): string {
    const write = (kind & (Kind.STORE | Kind.ATOMIC | Kind.ZVA)) !== 0;
    const user = (kind & Kind.UNPRIVILEGED) !== 0;
    const table = write ? (user ? "userWrites" : "writes") : user ? "userReads" : "reads";
    this.usedTables.add(table);
    const single = kind & (Kind.EXCLUSIVE | Kind.ATOMIC);
    const pair = (kind & Kind.PAIR) !== 0;
    const element = kind & Kind.ZVA ? 64 : (1 << (kind & Kind.LG)) << (pair && single ? 1 : 0);
    // The high half names the low one when it needs its carry.
    const hi = this.named(this.hi(va));
    const lo = this.named(this.lo(va));
    const last = pair && !single ? `(${lo} + ${element})` : lo;
    const m = this.fresh();
    this.emit(`${m} = ${table} + (${lo} >>> 10 & ${(TLB_ENTRIES - 1) << 2});`);
    this.emit(`if (I[${m}] === (${last} & ${TAG | (element - 1)}) && I[${m} + 1] === ${hi}) ${m} = I[${m} + 2] + ${lo} | 0;`);
    const flags = kind | (bounce ? 0 : NO_BOUNCE);
    this.emit(`else if ((${m} = look(pe, ${lo}, ${hi}, ${flags})) === 0) ${this.giveUp()}`);
    return m;
  }
  private kindOf(e: { lg: number; o: { unprivileged?: boolean; ordered?: boolean; exclusive?: boolean } }, n: number): number {
    const { o } = e;
    const unprivileged = o.unprivileged ? Kind.UNPRIVILEGED : 0;
    return e.lg | (n === 2 ? Kind.PAIR : 0) | unprivileged | (o.ordered ? Kind.ORDERED : 0) | (o.exclusive ? Kind.EXCLUSIVE : 0);
  }
  /** Words, halfword or byte at `m` + off: the low and, for 8 bytes, the high half. */
  private read(m: string, off: number, lg: number, signed: boolean): { lo: string; hi: string } {
    const at = off === 0 ? m : `(${m} + ${off})`;
    const views = signed ? ["I8", "I16", "I"] : ["U8", "U16", "I"];
    if (lg === 3) return { lo: `I[${at} >>> 2]`, hi: `I[(${m} + ${off + 4}) >>> 2]` };
    const lo = `${views[lg]}[${at} >>> ${lg}]`;
    return { lo, hi: signed ? "sign" : "0" };
  }
  private result(r: Value, m: string, off: number, lg: number, signed: boolean): void {
    if (r.type === V128) {
      const bytes = 1 << lg;
      const lanes = [0, 4, 8, 12].map((k) => (k >= bytes ? "0" : this.named(this.read(m, off + k, Math.min(lg, 2), false).lo)));
      this.define(r, { lanes });
      return;
    }
    const { lo, hi } = this.read(m, off, lg, signed);
    const low = this.named(lo);
    this.define(r, { lo: low, hi: hi === "sign" ? `(${low} >> 31)` : this.named(hi) });
  }
  protected load(e: Extract<Effect, { e: "load" }>): void {
    const m = this.address(e.va, this.kindOf(e, e.results.length), !e.o.exclusive);
    e.results.forEach((r, i) => {
      this.result(r, m, i << e.lg, e.lg, e.signed);
    });
    if (e.o.exclusive) this.emit(`${word(Off.EXSIZE)} = ${e.results.length << e.lg}; ${word(Off.EXADDR)} = ${m};`);
  }
  private write(m: string, off: number, lg: number, v: Value): void {
    const at = (k: number) => (off + k === 0 ? m : `(${m} + ${off + k})`);
    if (v.type === V128) {
      const lanes = this.lanes(v).slice(0, 1 << (lg - 2));
      this.emit(lanes.map((e, k) => `I[${at(4 * k)} >>> 2] = ${bare(e)};`).join(" "));
    } else if (lg === 3) this.emit(`I[${at(0)} >>> 2] = ${bare(this.lo(v))}; I[${at(4)} >>> 2] = ${bare(this.hi(v))};`);
    else this.emit(`${["U8", "U16", "I"][lg]}[${at(0)} >>> ${lg}] = ${bare(this.lo(v))};`);
  }
  protected store(e: Extract<Effect, { e: "store" }>): void {
    const m = this.address(e.va, this.kindOf(e, e.values.length) | Kind.STORE, false);
    e.values.forEach((v, i) => {
      this.write(m, i << e.lg, e.lg, v);
    });
  }
  protected atomic(e: Extract<Effect, { e: "atomic" }>): void {
    const kind = e.lg | Kind.ATOMIC | Kind.STORE | Kind.ORDERED | (e.results.length === 2 ? Kind.PAIR : 0);
    const m = this.address(e.va, kind, false);
    e.results.forEach((r, i) => {
      this.result(r, m, i << e.lg, e.lg, false);
    });
    // All values before the first write.
    const values = e.next.map((v) => [this.named(this.lo(v)), e.lg === 3 ? this.named(this.hi(v)) : "0"] as const);
    values.forEach(([lo, hi], i) => {
      this.writeHalves(m, i << e.lg, e.lg, lo, hi);
    });
  }
  private writeHalves(m: string, off: number, lg: number, lo: string, hi: string): void {
    const at = (k: number) => (off + k === 0 ? m : `(${m} + ${off + k})`);
    if (lg === 3) this.emit(`I[${at(0)} >>> 2] = ${lo}; I[${at(4)} >>> 2] = ${hi};`);
    else this.emit(`${["U8", "U16", "I"][lg]}[${at(0)} >>> ${lg}] = ${lo};`);
  }
  protected storeExclusive(e: Extract<Effect, { e: "storex" }>): void {
    const m = this.address(e.va, this.kindOf(e, e.values.length) | Kind.STORE | Kind.ATOMIC, false);
    const halves = e.values.map((v) => [this.named(this.lo(v)), e.lg === 3 ? this.named(this.hi(v)) : "0"] as const);
    const status = this.fresh();
    this.emit(`${status} = ${word(Off.EXSIZE)} === ${e.values.length << e.lg} && ${word(Off.EXADDR)} === ${m} ? 0 : 1;`);
    this.emit(`if (${status} === 0) {`);
    this.indent++;
    halves.forEach(([lo, hi], i) => {
      this.writeHalves(m, i << e.lg, e.lg, lo, hi);
    });
    this.indent--;
    this.emit("}", `${word(Off.EXSIZE)} = 0;`);
    this.define(e.status, { lo: status });
  }
  /** Gives up unless the L1 TLB has the page of an address (low and high half) for reads. */
  readable([lo, hi]: readonly [string, string]): void {
    this.usedTables.add("reads");
    const m = this.fresh();
    this.emit(`${m} = reads + (${lo} >>> 10 & ${(TLB_ENTRIES - 1) << 2});`);
    this.emit(`if (I[${m}] !== (${lo} & ${TAG}) || I[${m} + 1] !== ${hi}) ${this.giveUp()}`);
  }
  zeroBlock(va: Value): void {
    const lo = this.named(`(${this.lo(va)} & -64)`);
    const block = new Value(Op.Result, I64);
    this.define(block, { lo, hi: this.hi(va) });
    const m = this.address(block, Kind.ZVA | Kind.STORE, false);
    this.emit(`U8.fill(0, ${m} >>> 0, (${m} >>> 0) + 64);`);
  }
}
