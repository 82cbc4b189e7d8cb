// A region (jit/blocks.ts) as a JavaScript function that a person can read: `(pe, ip) => next`. Loops are loops, and blocks that more
// than one way leads to follow a labelled block (Ramsey, "Beyond Relooper", as for WebAssembly). Registers are in variables: x5 is the
// low, x5h the high half; each way out puts back what has changed on it. `at` is the number of an instruction that the interpreter has
// to execute; then the function has done exactly the instructions before it.
//
// Answers as a handler of the interpreter does (interp/page.ts): the next entry, or -1 to continue at Off.PC. `left` is the budget in
// page form, counted from the entry of the function: the instruction number k may be executed while left - k is above 0.

import { Off } from "../../../arch/layout.ts";
import { Special } from "../../interp/handlers.ts";
import { type Block, type CodeSource, discover, type Edge, pageOf, type Region } from "../blocks.ts";
import { analyse, dirtyAfter, type FlagForm, type Flow } from "../flow.ts";
import { bitOf, type Instruction } from "../instruction.ts";
import { definesSp, keepsSpAligned } from "../region-lowering.ts";
import { registerName, word, wrapped } from "./expressions.ts";
import { canonicalLoads } from "./flags.ts";
import { Lowering, type Way, wayOf } from "./lower.ts";

/** Instructions of a function at most: the host's optimizer takes long for large ones, and meanwhile they run slowly. */
const SIZE_LIMIT = 64;

export interface JsRegion {
  /** Expression of type (pe: number, ip: number) => number; its free names are those of runtime.ts. */
  readonly source: string;
  /** Number of instructions. */
  readonly size: number;
  /** Index in the page and number of instructions of each piece of straight-line code. */
  readonly runs: readonly (readonly [first: number, count: number])[];
  readonly loops: boolean;
  /** It may write system registers. */
  readonly system: boolean;
}

export interface RegionContext {
  /** The instruction at an index of the page, 0..1023. */
  at(index: number): Instruction;
  /** A line about an instruction: its address and disassembly. */
  describe(i: Instruction): string;
}

/** Translates what direct branches reach from the instruction at `first`; undefined when the interpreter has to execute that one. */
export function translateRegion(first: number, context: RegionContext): JsRegion | undefined {
  const region = discover(
    first,
    onePage((index) => withEnd(context.at(index))),
    false,
    SIZE_LIMIT,
  );
  if (!region) return undefined;
  const { blocks, size } = region;
  return {
    source: new RegionWriter(region, first, context).source(),
    size,
    runs: blocks.map((b) => [b.index, b.code.length] as const),
    loops: blocks.some((b) => b.loop),
    system: blocks.some((b) => b.code.some((i) => i.handler === Special.MSR_FAST)),
  };
}
/** Discovery that stays in the page. */
const onePage = (at: (index: number) => Instruction): CodeSource => ({
  at,
  page: (index) => (pageOf(index) === 0 ? 0 : undefined),
  word: (index) => at(index).word,
  warm: () => true,
});
/** What has no form here ends a region. */
const withEnd = (i: Instruction): Instruction =>
  i.end !== "stop" && wayOf(i) === "stop" ? Object.assign(Object.create(i), { end: "stop" }) : i;

class RegionWriter extends Lowering {
  private readonly region: Region;
  private readonly flow: Flow;
  private readonly first: number;
  private readonly context: RegionContext;
  /** Form in which all ways back to the entry leave the flags, which it does not ask for; see FlagState.tentative. */
  private readonly repeated: FlagForm | undefined;
  /** Checks that were made on every path to the end of a block. */
  private readonly checkedAfter = new Map<Block, Lowering["checked"]>();

  constructor(region: Region, first: number, context: RegionContext) {
    super();
    this.region = region;
    this.first = first;
    this.context = context;
    this.flow = analyse(region);
    this.repeated = repeatedForm(region.entry, this.flow);
    this.spStable = region.blocks.flatMap((b) => b.code.filter(definesSp)).every(keepsSpAligned);
  }

  // ---- structure ---------------------------------------------------------------------------------------------------
  private tree(b: Block): void {
    const merges = b.children.filter((c) => c.merge).sort((x, y) => y.order - x.order);
    if (!b.loop) {
      this.within(b, merges, 0);
      return;
    }
    this.emit(`${loopLabel(b)}: for (;;) {`);
    this.indent++;
    this.within(b, merges, 0);
    this.indent--;
    this.emit("}");
  }
  /** The merge points that `b` dominates follow its code, the last in order outermost. */
  private within(b: Block, merges: readonly Block[], n: number): void {
    const next = merges[n];
    if (!next) {
      this.block(b);
      return;
    }
    this.emit(`${label(next)}: {`);
    this.indent++;
    this.within(b, merges, n + 1);
    // The end of the block leads there as well.
    if (this.lines.at(-1)?.trim() === `break ${label(next)};`) this.lines.pop();
    this.indent--;
    this.emit("}");
    this.tree(next);
  }
  private block(b: Block): void {
    this.form = this.formIn(b);
    this.tentative = b === this.region.entry && this.repeated !== undefined;
    this.dirty = this.flow.dirtyIn.get(b) as number;
    this.checked = this.checkedAfter.get(b.dominator as Block) ?? { fp: false, sp: false };
    let way: Way | undefined;
    for (const i of b.code) {
      this.emit(`// ${this.context.describe(i)}`);
      way = this.instruction(i, i.index - this.first);
      this.dirty = dirtyAfter(i, this.dirty);
    }
    this.checkedAfter.set(b, this.checked);
    this.leave(b, way);
  }
  private leave(b: Block, way: Way | undefined): void {
    const last = b.code.at(-1) as Instruction;
    if (way?.effect.e === "jump") {
      const [lo, hi] = way.pc as readonly [string, string];
      if (way.btype !== undefined) this.emit(`${word(Off.BTYPE)} = ${way.btype};`);
      this.emit(...this.stores(), `return go(p, left - ${this.relative(last.index) + 1}, ${lo}, ${hi});`);
      return;
    }
    const { condition } = way ?? {};
    if (condition === undefined || !b.taken || !b.fall) {
      this.edge(b, last, (b.taken ?? b.fall) as Edge);
      return;
    }
    const [form, dirty] = [this.form, this.dirty];
    this.emit(`if ${wrapped(condition)} {`);
    this.indent++;
    this.edge(b, last, b.taken);
    this.indent--;
    this.emit("}");
    this.form = form;
    this.dirty = dirty;
    this.edge(b, last, b.fall);
  }
  /** Number of the instruction at an index of the page, counted from the entry. */
  private relative(index: number): number {
    return index - this.first;
  }

  /** Form of the flags at the start of a block. */
  private formIn(b: Block): FlagForm {
    return (b === this.region.entry && this.repeated) || (this.flow.formIn.get(b) as FlagForm);
  }

  // ---- edges -------------------------------------------------------------------------------------------------------
  private edge(from: Block, last: Instruction, e: Edge): void {
    const { to } = e;
    const inPage = e.index >= 0 && e.index < 1024;
    const spent = e.index - last.index - 1;
    if (e.kind === "taken" && inPage && spent !== 0) this.emit(`left = left ${spent < 0 ? "-" : "+"} ${Math.abs(spent)} | 0;`);
    if (!to) {
      this.exit(from, last, e);
      return;
    }
    this.convertFlags(this.formIn(to));
    if (to === this.region.entry && this.repeated) this.emit("again = true;");
    if (to.order <= from.order) {
      // A loop goes on while there is budget: interrupts are taken between slices.
      const k = this.relative(to.index);
      this.emit(`if (left > ${k}) continue ${loopLabel(to)};`, ...this.stores(), `return leave(p, ip, left, ${k});`);
    } else if (to.merge) this.emit(`break ${label(to)};`);
    else this.tree(to);
  }
  private exit(from: Block, last: Instruction, e: Edge): void {
    this.emit(...this.stores());
    const k = this.relative(e.index);
    if (from.stop && e.kind === "fall") {
      this.emit(`// ${this.context.describe(this.context.at(e.index))}`, `return stop(pe, ip, left, ${k});`);
    } else if (e.index >= 0 && e.index < 1024) this.emit(`return leave(p, ip, left, ${k});`);
    // Running into the next page is like a branch there.
    else if (e.kind === "fall") this.emit(`return away(p, ip, left, ${k - 1}, 4);`);
    else this.emit(`return away(p, ip, left, ${this.relative(last.index)}, ${4 * (e.index - last.index)});`);
  }
  /** Statements that put back flags and registers that have changed on this way. */
  private stores(): string[] {
    const flags = this.storedFlags();
    return [...(flags === "" ? [] : [flags]), ...this.storedRegisters(this.dirty)];
  }

  // ---- the function ------------------------------------------------------------------------------------------------
  source(): string {
    this.indent = 2;
    this.tree(this.region.entry);
    const body = this.lines.splice(0);
    const tail = this.givesUp ? this.storedRegisters(this.flow.bail) : [];
    this.indent = 0;
    this.emit("(pe, ip) => {");
    this.indent++;
    this.emit(...this.declarations(body));
    if (this.givesUp) this.emit("body: {");
    this.lines.push(...(this.givesUp ? body : body.map((line) => line.slice(2))));
    if (this.givesUp) this.emit("}", ...tail, "return giveUp(pe, ip, left, at);");
    this.indent--;
    this.emit("}");
    return this.lines.join("\n");
  }
  private declarations(body: readonly string[]): string[] {
    const out = [`const p = pe >>> 2${body.some((line) => line.includes("F64[")) ? ", q = pe >>> 3" : ""};`, ...this.tableDeclarations()];
    if (this.needsPc)
      out.push(`const pc = ${word(Off.PCBASE)} + (ip >>> 1) | 0, pch = ${word(Off.PCBASE + 4)} + (pc >>> 0 < ip >>> 1 ? 1 : 0) | 0;`);
    out.push(`let left = ${word(Off.BUDGET)} - (ip >>> 3) | 0;`);
    for (const r of [...this.used].sort((a, b) => a - b)) {
      const name = registerName(r);
      const live = (this.flow.entry & bitOf(r)) !== 0;
      out.push(live ? `let ${name} = ${word(8 * r)}, ${name}h = ${word(8 * r + 4)};` : `let ${name} = 0, ${name}h = 0;`);
    }
    const zeros = [...this.flagVariables(), ...counted("t", this.temporaries.t), ...counted("d", this.temporaries.d)];
    if (this.givesUp) zeros.push("at");
    if (zeros.length > 0) out.push(`let ${zeros.map((name) => `${name} = 0`).join(", ")};`);
    if (this.repeated) out.push("let again = false;");
    if (this.formIn(this.region.entry) === "canonical") out.push(canonicalLoads());
    return out;
  }
}

/** The form, when the entry sets the flags before it asks for them, and all loops back to it leave them in one form. */
function repeatedForm(entry: Block, flow: Flow): FlagForm | undefined {
  const first = entry.code.find((i) => i.setsFlags || i.readsFlags);
  if (!entry.loop || !first || first.readsFlags) return undefined;
  const after = (b: Block) => b.code.reduce((form, i) => i.shape.form ?? form, flow.formIn.get(b) as FlagForm);
  const forms = new Set(entry.preds.map(after));
  const [form] = forms;
  return forms.size === 1 && form !== "memory" && form !== "canonical" ? form : undefined;
}
const hex = (b: Block) => (4 * b.index).toString(16).padStart(3, "0");
const label = (b: Block) => `to_${hex(b)}`;
const loopLabel = (b: Block) => `loop_${hex(b)}`;
const counted = (prefix: string, n: number) => Array.from({ length: n }, (_, i) => `${prefix}${i + 1}`);
