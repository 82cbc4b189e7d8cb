// NZCV in variables of a function, in the form that the last operation left (jit/flow.ts): its operands fa, fah, fb, fbh (of a logical
// operation: its result fa, fah), or component by component: sign of fn, fz equal to 0, fc, sign of fv.

import { Off } from "../../../arch/layout.ts";
import { canonical, type Flags } from "../../../ir/flags.ts";
import { add, I32, I64, Op, sub, Value } from "../../../ir/value.ts";
import { type FlagForm, formOf } from "../flow.ts";
import { word } from "./expressions.ts";
import type { Assignment } from "./lower.ts";
import { MemoryLowering } from "./memory.ts";
import { count } from "./values.ts";

const components = ["fn", "fz", "fc", "fv"] as const;
const operands = ["fa", "fah", "fb", "fbh"] as const;
/** Variables of a form, in the order of the function that stores it. */
function variables(form: FlagForm): readonly string[] {
  if (form === "memory") return [];
  if (form === "canonical") return components;
  const names = form.startsWith("logic") ? operands.slice(0, 2) : operands;
  return form.endsWith("64") ? names : names.filter((n) => !n.endsWith("h"));
}

export abstract class FlagState extends MemoryLowering {
  private present: FlagForm = "memory";
  /** The variables hold the flags if `again` is true; else they are in the PE block. Nobody asks for them meanwhile. */
  protected tentative = false;
  private readonly usedVariables = new Set<string>();

  get form(): FlagForm {
    return this.present;
  }
  set form(form: FlagForm) {
    this.present = form;
    this.tentative = false;
    this.flags = this.flagsIn(form);
    for (const name of variables(form)) this.usedVariables.add(name);
  }
  /** Names of the variables that hold flags. */
  protected flagVariables(): string[] {
    return [...operands, ...components].filter((name) => this.usedVariables.has(name));
  }
  private flagsIn(form: FlagForm): Flags | undefined {
    const named = (type: Value["type"], lo: string, hi: string) =>
      new Value(Op.Local, type, undefined, undefined, undefined, this.local(lo, hi));
    if (form === "memory") return undefined;
    // Only the signs of N and V count, and that Z is zero.
    if (form === "canonical")
      return { kind: "canonical", values: [named(I64, "0", "fn"), named(I64, "fz", "0"), named(I32, "fc", "0"), named(I64, "0", "fv")] };
    const type = form.endsWith("64") ? I64 : I32;
    const a = named(type, "fa", "fah");
    if (form.startsWith("logic")) return { kind: "logic", values: [a] };
    const b = named(type, "fb", "fbh");
    return form.startsWith("sub") ? { kind: "sub", values: [a, b, sub(a, b)] } : { kind: "add", values: [a, b, add(a, b)] };
  }
  setForm(f: Flags): void {
    this.form = formOf(f);
  }

  /** The statement that stores the flags in the PE block; "" when they are there. */
  protected storedFlags(): string {
    const { form } = this;
    if (form === "memory") return "";
    return `${this.tentative ? "if (again) " : ""}${form === "canonical" ? "nzcv" : form}(p, ${variables(form).join(", ")});`;
  }
  /** Takes the components from the PE block. */
  protected loadCanonical(): void {
    this.emit(canonicalLoads());
    for (const name of components) this.usedVariables.add(name);
  }
  /** Brings the flags into `form`, in which a block expects them. */
  protected convertFlags(form: FlagForm): void {
    if (form === this.form) return;
    if (form !== "canonical") throw new Error(`js: flags cannot go from ${this.form} to ${form}`);
    if (this.form === "memory") this.loadCanonical();
    else {
      const values = canonical(this.flags as Flags);
      for (const v of values) count(v);
      this.startInstruction(0);
      this.emit(...this.components(values).map((e, i) => `${components[i]} = ${e};`));
    }
    this.form = form;
  }
  /** Expressions of the variables of the canonical form. */
  components(values: readonly Value[]): string[] {
    const [n, z, c, v] = values as [Value, Value, Value, Value];
    const [zl, zh] = [this.lo(z), this.hi(z)];
    // A 32-bit result is sign-extended here: its high half says nothing more.
    const zero = z.op === 0xac || zh === "0" ? zl : zl === "0" ? zh : `(${zl} | ${zh})`;
    return [this.hi(n), zero, this.lo(c), this.hi(v)];
  }
}
export const canonicalLoads = (): string =>
  `fn = ${word(Off.NF + 4)}; fz = ${word(Off.ZF)} | ${word(Off.ZF + 4)}; fc = ${word(Off.CF)}; fv = ${word(Off.VF + 4)};`;

/** Assignments that keep what the flags are made of. */
export function assignFlags(s: FlagState, f: Flags, out: Assignment[]): void {
  if (f.kind === "canonical") {
    s.components(f.values).forEach((e, i) => {
      out.push([components[i] as string, e]);
    });
    return;
  }
  const [a, b] = f.values as [Value, Value];
  const keep = (v: Value, name: string) => {
    out.push([name, s.lo(v)]);
    if (v.type === I64) out.push([`${name}h`, s.hi(v)]);
  };
  keep(a, "fa");
  if (f.kind !== "logic") keep(b, "fb");
}
