// The verifier: what every translation of an instruction may rely on. Checklist:
//
//  1  Types     every operation has the operands that its opcode takes; effects have the types that builder.ts states.
//  2  Ranges    register numbers, lanes, shuffle bytes, sizes, field positions, state offsets.
//  3  Results   the result of an effect belongs to that effect alone and is used only after it.
//  4  Order     register writes (setX, setV, setLane, setFlags) are performed last by every lowering, whatever their place in the list;
//               setState and helper act at their place: nothing that can fault or redirect (load, store, atomic, storex, zva, system)
//               may follow them, or a fault would leave the instruction half done.
//  5  Once      the flags are written at most once. A register may be written twice (CONSTRAINED UNPREDICTABLE words do): lowerings write
//               in the order of the list, so the later one counts.
//  6  End       branch, jump and the final system stand at most once, and last among all but register writes.
//  7  Form      the interpreter's form alone has Field (shapes of a translation are in that form); a translation has none. Neither has Local.

import { Off, PE_STRIDE } from "../arch/layout.ts";
import type { Effect } from "./builder.ts";
import type { Flags } from "./flags.ts";
import { opTypes } from "./op-types.ts";
import { F32, F64, Fn, I32, I64, Op, V128, type ValType, type Value } from "./value.ts";

/** With instruction fields as values (the interpreter), or with all fields known (a translation). */
export type Form = "interpreter" | "translation";

const typeName = (t: ValType) => ({ [I32]: "i32", [I64]: "i64", [F32]: "f32", [F64]: "f64", [V128]: "v128" })[t];
const opName = (op: number) => Object.entries(Op).find(([, n]) => n === op)?.[0] ?? `op 0x${op.toString(16)}`;
/** i32, i64, i64, i32: N, Z, C, V. */
const canonicalTypes = [I64, I64, I32, I64] as const;
const callTypes: Readonly<Record<number, readonly [operands: readonly ValType[], result: ValType]>> = {
  [Fn.Pac]: [[I64, I64, I32], I64],
  [Fn.Crc32]: [[I32, I64, I32], I32],
};
const faulting = new Set<Effect["e"]>(["load", "store", "atomic", "storex", "zva", "system"]);
const postponed = new Set<Effect["e"]>(["setX", "setV", "setLane", "setFlags"]);

/** Everything that is wrong with the effects of an instruction, one line each; empty when they are sound. */
export function verify(effects: readonly Effect[], form: Form): string[] {
  const v = new Verifier(form);
  v.run(effects);
  return v.wrong;
}

class Verifier {
  readonly wrong: string[] = [];
  private readonly form: Form;
  private readonly seen = new Set<Value>();
  /** Results of the effects so far. */
  private readonly results = new Set<Value>();
  private flagsWritten = false;
  private acted: Effect["e"] | undefined;
  private ended: Effect["e"] | undefined;

  constructor(form: Form) {
    this.form = form;
  }

  run(effects: readonly Effect[]): void {
    for (const e of effects) {
      this.order(e);
      this.effect(e);
    }
  }
  private fail(condition: boolean, message: () => string): void {
    if (!condition) this.wrong.push(message());
  }

  // ---- effects -----------------------------------------------------------------------------------------------------
  private order(e: Effect): void {
    this.fail(this.ended === undefined || postponed.has(e.e), () => `${e.e} after ${this.ended}, which ends the instruction`);
    this.fail(this.acted === undefined || !faulting.has(e.e), () => `${e.e} can fault after ${this.acted} has acted`);
    if (e.e === "branch" || e.e === "jump" || (e.e === "system" && e.last)) this.ended = e.e;
    if (e.e === "setState" || e.e === "helper" || e.e === "fast") this.acted = e.e;
  }

  private effect(e: Effect): void {
    switch (e.e) {
      case "load":
        this.operand(e.va, I64, "load address");
        this.elements(e.results, e.lg, "load");
        this.fail(!e.signed || e.results.every((r) => r.type === I64), () => "load: only i64 results are sign-extended");
        this.addResults(e.results, e.e);
        return;
      case "store":
      case "storex":
        this.operand(e.va, I64, `${e.e} address`);
        for (const value of e.values) this.value(value);
        this.elements(e.values, e.lg, e.e);
        if (e.e === "store") return;
        this.fail(e.status.type === I32, () => "storex: the status is an i32");
        this.fail(e.o.exclusive === true, () => "storex: not marked exclusive");
        this.addResults([e.status], e.e);
        return;
      case "atomic":
        this.operand(e.va, I64, "atomic address");
        this.elements(e.results, e.lg, "atomic");
        this.fail(e.next.length === e.results.length, () => `atomic: ${e.next.length} values for ${e.results.length} elements`);
        this.addResults(e.results, e.e);
        for (const value of e.next) this.operand(value, I64, "atomic value");
        return;
      case "zva":
        this.operand(e.va, I64, "zva address");
        return;
      case "system":
        if (e.cond) this.operand(e.cond, I32, "system condition");
        this.fail(!e.last || e.cond === undefined, () => "system: the last one has no condition");
        return;
      case "setState":
        this.value(e.v);
        this.stateSlot(e.off, e.v.type, "setState");
        return;
      case "helper":
        this.fail(Number.isInteger(e.index) && e.index >= 0, () => `helper: index ${e.index}`);
        return;
      case "fast":
        this.operand(e.ok, I32, "fast condition");
        this.fail(Number.isInteger(e.index) && e.index >= 0, () => `fast: helper ${e.index}`);
        for (const w of e.writes) {
          const isWrite = w.e === "setX" || w.e === "setV" || w.e === "setFlags";
          this.fail(isWrite, () => `fast: ${w.e} in it`);
          this.fail(w.e !== "setFlags" || w.f.kind === "canonical", () => "fast: flags in another form than canonical");
          if (isWrite) this.effect(w);
        }
        return;
      case "branch":
        this.operand(e.off, I32, "branch offset");
        if (e.cond) this.operand(e.cond, I32, "branch condition");
        this.fail(e.off.op !== Op.Const || (e.off.imm & 3) === 0, () => `branch: offset ${e.off.imm} is not a multiple of 4`);
        return;
      case "jump":
        this.operand(e.pc, I64, "jump address");
        if (e.btype) this.operand(e.btype, I32, "jump BTYPE");
        return;
      default:
        this.write(e);
    }
  }
  private write(e: Extract<Effect, { e: "setX" | "setV" | "setLane" | "setFlags" }>): void {
    if (e.e === "setFlags") {
      this.fail(!this.flagsWritten, () => "the flags are written twice");
      this.flagsWritten = true;
      this.flags(e.f);
      return;
    }
    this.register(e.r, e.e === "setX" ? 32 : 31, e.e);
    if (e.e === "setX") {
      this.operand(e.v, I64, "setX value");
    } else if (e.e === "setV") {
      this.value(e.v);
      this.vectorValue(e.v.type, e.lg);
    } else {
      this.operand(e.v, I64, "setLane value");
      this.lane(e.index, e.lg, "setLane");
    }
  }
  private vectorValue(type: ValType, lg: number): void {
    const fits = type === V128 ? lg >= 0 && lg <= 4 : type === I64 || type === F64 ? lg === 3 : lg === 2;
    this.fail(Number.isInteger(lg) && fits, () => `setV: 2^${lg} bytes of a ${typeName(type)}`);
  }
  private elements(values: readonly Value[], lg: number, what: string): void {
    this.fail(values.length === 1 || values.length === 2, () => `${what}: ${values.length} elements`);
    const limit = values[0]?.type === V128 ? 4 : 3;
    this.fail(Number.isInteger(lg) && lg >= 0 && lg <= limit, () => `${what}: elements of 2^${lg} bytes`);
    const types = new Set(values.map((n) => n.type));
    this.fail(types.size === 1 && (types.has(I64) || types.has(V128)), () => `${what}: elements are i64 or v128, all alike`);
  }
  private addResults(results: readonly Value[], what: string): void {
    for (const r of results) {
      this.fail(r.op === Op.Result, () => `${what}: its result is ${opName(r.op)}`);
      this.fail(!this.results.has(r), () => `${what}: a result of another effect`);
      this.results.add(r);
    }
  }
  private flags(f: Flags): void {
    for (const n of f.values) this.value(n);
    const types = f.values.map((n) => n.type);
    if (f.kind === "canonical") {
      this.fail(
        types.length === 4 && types.every((t, i) => t === canonicalTypes[i]),
        () => "setFlags: canonical flags are i64, i64, i32, i64",
      );
      return;
    }
    this.fail(types.length === (f.kind === "logic" ? 1 : 3), () => `setFlags: ${types.length} operands of ${f.kind}`);
    this.fail(new Set(types).size === 1 && (types[0] === I32 || types[0] === I64), () => `setFlags: operands of ${f.kind} differ in type`);
  }

  // ---- values ------------------------------------------------------------------------------------------------------
  private operand(n: Value, type: ValType, what: string): void {
    this.value(n);
    this.fail(n.type === type, () => `${what} is ${typeName(n.type)}, not ${typeName(type)}`);
  }
  private value(n: Value): void {
    if (n.op === Op.Result) {
      this.fail(this.results.has(n), () => "a result is used before its effect");
      return;
    }
    if (this.seen.has(n)) return;
    this.seen.add(n);
    const operands = [n.a, n.b, n.c].filter((x) => x !== undefined);
    for (const x of operands) if (!this.isIndex(n, x)) this.value(x);
    const known = opTypes.get(n.op);
    if (known) {
      this.types(n, operands, known.operands, known.result);
      this.fail(known.lanes === 0 || (n.imm >= 0 && n.imm < known.lanes), () => `${opName(n.op)}: lane ${n.imm}`);
    } else this.special(n, operands);
  }
  /** Register numbers and lane indices are checked by register() and lane(). */
  private isIndex(n: Value, x: Value): boolean {
    return (n.op === Op.X || n.op === Op.V || n.op === Op.Lane) && (x === n.a || x === n.b);
  }
  private types(n: Value, given: readonly Value[], wanted: readonly ValType[], result: ValType): void {
    const matches = given.length === wanted.length && given.every((x, i) => x.type === wanted[i]) && n.type === result;
    const list = (types: readonly ValType[]) => types.map(typeName).join(", ");
    this.fail(
      matches,
      () =>
        `${opName(n.op)}(${list(given.map((x) => x.type))}) of type ${typeName(n.type)}; it is (${list(wanted)}) of type ${typeName(result)}`,
    );
  }
  private special(n: Value, operands: readonly Value[]): void {
    const leaf = (type: ValType, inRange: boolean) => {
      this.types(n, operands, [], type);
      this.fail(inRange, () => `${opName(n.op)} ${n.imm} is out of range`);
    };
    switch (n.op) {
      case Op.Const:
        this.fail(n.type === I32 || n.type === I64, () => `a constant of type ${typeName(n.type)}`);
        return;
      case Op.Field:
        this.fail(this.form === "interpreter", () => "a field in a translation");
        leaf(I32, n.imm >= 0 && n.high > 0 && n.imm + n.high <= 32);
        return;
      case Op.Cond:
        leaf(I32, n.imm >= 0 && n.imm < 14);
        return;
      case Op.Flag:
        leaf(n.imm === 2 ? I32 : I64, n.imm >= 0 && n.imm < 4);
        return;
      case Op.RoundsPlainly:
        leaf(I32, true);
        return;
      case Op.Pc:
        leaf(I64, true);
        return;
      case Op.VZero:
        leaf(V128, true);
        return;
      case Op.State:
        this.fail(operands.length === 0, () => "State takes no operand");
        this.stateSlot(n.imm, n.type, "State");
        return;
      case Op.X:
      case Op.V:
        this.fail(n.type === (n.op === Op.X ? I64 : V128), () => `${opName(n.op)} of type ${typeName(n.type)}`);
        this.registerNumber(n, n.op === Op.X ? 32 : 31);
        // XZR is a constant, never a register that happens to read zero.
        this.fail(n.op !== Op.X || n.a !== undefined || n.imm !== 31, () => "X31 is read");
        return;
      case Op.Lane:
        this.fail(n.type === I64, () => `Lane of type ${typeName(n.type)}`);
        this.registerNumber(n, 31);
        if (n.b) this.lane(n.b, n.high, "Lane");
        else this.wrong.push("Lane without an index");
        return;
      case Op.BitMask:
        this.types(n, operands, [I32], I64);
        return;
      case Op.Shuffle:
        this.types(n, operands, [V128, V128], V128);
        this.fail(
          n.bytes?.length === 16 && n.bytes.every((b) => Number.isInteger(b) && b >= 0 && b < 32),
          () => `shuffle bytes ${n.bytes}`,
        );
        return;
      case Op.Call: {
        const type = callTypes[n.imm];
        if (type) this.types(n, operands, type[0], type[1]);
        else this.wrong.push(`a call of function ${n.imm}`);
        return;
      }
      case Op.OrElse:
        this.types(n, operands, [I32, I32], I32);
        return;
      case SELECT:
        this.types(n, operands, [n.type, n.type, I32], n.type);
        return;
      default:
        this.wrong.push(`${opName(n.op)} is not an operation of values`);
    }
  }
  private registerNumber(n: Value, last: number): void {
    if (n.a) this.operand(n.a, I32, `${opName(n.op)} number`);
    this.fail(n.imm >= 0 && n.imm <= last, () => `register ${opName(n.op)}${n.imm}`);
  }
  private register(r: Value, last: number, what: string): void {
    this.operand(r, I32, `${what} register`);
    this.fail(r.op !== Op.Const || (r.imm >= 0 && r.imm <= last), () => `${what}: register ${r.imm}`);
  }
  private lane(index: Value, lg: number, what: string): void {
    this.fail(Number.isInteger(lg) && lg >= 0 && lg <= 3, () => `${what}: elements of 2^${lg} bytes`);
    this.operand(index, I32, `${what} index`);
    this.fail(index.op !== Op.Const || (index.imm >= 0 && index.imm < 16 >> lg), () => `${what}: element ${index.imm} of 2^${lg} bytes`);
  }
  private stateSlot(off: number, type: ValType, what: string): void {
    const size = type === I64 ? 8 : type === I32 ? 4 : 0;
    const fits = size > 0 && off >= 0 && off % size === 0 && off + size <= PE_STRIDE;
    // Registers have their own operations, which a translation keeps in locals; TLBs are nobody's state.
    const plain = (off >= Off.PC && off < Off.V) || (off >= Off.FPCR && off < Off.TLBS);
    this.fail(fits && plain, () => `${what}: ${typeName(type)} at offset 0x${off.toString(16)}`);
  }
}

/** Wasm's select: a, b, condition. */
const SELECT = 0x1b;
