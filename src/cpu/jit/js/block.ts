// A basic block as a JavaScript function that a person can read: `(pe, ip) => next`. It runs from its first instruction to a taken
// branch, past conditional ones that are not taken; a branch back to the start is a loop. Registers are in variables (x5 is the low, x5h
// the high half) and go back to the PE block at the end. `at` is the number of an instruction that the interpreter has to execute; then
// the block has done exactly the instructions before it.
//
// Answers as a handler of the interpreter does (interp/page.ts): the next entry, or -1 to continue at Off.PC. Off.BUDGET is in page form.

import { Off } from "../../../arch/layout.ts";
import { Special } from "../../interp/handlers.ts";
import type { Instruction } from "../instruction.ts";
import { registerName, word } from "./expressions.ts";
import { Lowering, type Way, wayOf } from "./lower.ts";

/** Instructions of a block at most. */
export const BLOCK_LIMIT = 64;

export interface JsBlock {
  /** Expression of type (pe: number, ip: number) => number; its free names are those of runtime.ts. */
  readonly source: string;
  /** Number of instructions. */
  readonly size: number;
  /** It may write system registers. */
  readonly system: boolean;
}

export interface BlockContext {
  /** The instruction at an index of the page, 0..1023. */
  at(index: number): Instruction;
  /** A line about an instruction: its address and disassembly. */
  describe(i: Instruction): string;
}

/** Translates from the instruction at `first`; undefined when the interpreter has to execute that one. */
export function translateBlock(first: number, context: BlockContext): JsBlock | undefined {
  const block = new BlockWriter(first);
  for (let index = first; ; index++) {
    const i = index < 1024 && index - first < BLOCK_LIMIT ? context.at(index) : undefined;
    const way = i ? wayOf(i) : "stop";
    if (index === first && way === "stop") return undefined;
    if (!i) block.continueAt(index);
    else if (way === "stop") block.stopAt(index, context.describe(i));
    else if (!block.append(i, context.describe(i))) continue;
    return { source: block.source(), size: Math.max(1, block.size), system: block.system };
  }
}

class BlockWriter extends Lowering {
  size = 0;
  system = false;
  private readonly first: number;
  private loops = false;

  constructor(first: number) {
    super();
    this.first = first;
  }

  /** Emits an instruction. True: control never goes past it. */
  append(i: Instruction, text: string): boolean {
    this.lines.push(`// ${text}`);
    const way = this.instruction(i, i.index - this.first);
    this.size++;
    this.system ||= i.handler === Special.MSR_FAST;
    if (!way) return false;
    if (way.effect.e === "jump") this.jump(i, way);
    else this.branch(i, way);
    return way.condition === undefined;
  }
  /** The interpreter executes the instruction at `index`, and the block ends. */
  stopAt(index: number, text: string): void {
    this.lines.push(`// ${text}`, `${this.storeFlags()}at = ${index - this.first};`, "break body;");
  }
  continueAt(index: number): void {
    this.lines.push(`${this.storeFlags()}next = ip + ${8 * (index - this.first)};`, "break body;");
  }

  private jump(i: Instruction, way: Way): void {
    const [lo, hi] = way.pc as readonly [string, string];
    if (way.btype !== undefined) this.lines.push(`${word(Off.BTYPE)} = ${way.btype};`);
    this.lines.push(`${this.storeFlags()}next = go(p, ip + ${8 * (i.index - this.first)}, ${lo}, ${hi});`, "break body;");
  }
  private branch(i: Instruction, way: Way): void {
    const out = this.taken(i);
    if (way.condition === undefined || way.condition === "true") this.lines.push(...out);
    else this.lines.push(`if ${wrapped(way.condition)} {`, ...out.map((line) => `  ${line}`), "}");
  }
  private taken(i: Instruction): string[] {
    const from = i.index - this.first;
    const flags = this.storeFlags();
    const lines = flags === "" ? [] : [flags.trim()];
    if (i.target < 0 || i.target > 1023) return [...lines, `next = away(p, ip + ${8 * from}, ${4 * (i.target - i.index)});`, "break body;"];
    lines.push(`next = branch(p, ip + ${8 * (i.target - this.first)}, ${i.target - i.index - 1});`);
    if (i.target === this.first) {
      this.loops = true;
      lines.push("if (next === ip) continue body;");
    }
    return [...lines, "break body;"];
  }

  source(): string {
    const registers = [...this.used].sort((a, b) => a - b);
    const assigned = [...this.assigned].sort((a, b) => a - b);
    const halves = (r: number) => [
      [registerName(r), word(8 * r)],
      [`${registerName(r)}h`, word(8 * r + 4)],
    ];
    const head = ["const p = pe >>> 2;"];
    if (registers.length > 0)
      head.push(
        `let ${registers
          .flatMap(halves)
          .map(([name, at]) => `${name} = ${at}`)
          .join(", ")};`,
      );
    if (this.needsPc)
      head.push(`const pc = ${word(Off.PCBASE)} + (ip >>> 1) | 0, pch = ${word(Off.PCBASE + 4)} + (pc >>> 0 < ip >>> 1 ? 1 : 0) | 0;`);
    head.push("let at = -1, next = 0;");
    const tail =
      assigned.length > 0
        ? [
            assigned
              .flatMap(halves)
              .map(([name, at]) => `${at} = ${name};`)
              .join(" "),
          ]
        : [];
    return [
      "(pe, ip) => {",
      ...indent(head, 2),
      `  body: ${this.loops ? "for (;;) " : ""}{`,
      ...indent(this.lines, 4),
      "  }",
      ...indent([...tail, "return at < 0 ? next : interpret(pe, ip + 8 * at);"], 2),
      "}",
    ].join("\n");
  }
}

const indent = (lines: readonly string[], by: number) => lines.map((line) => " ".repeat(by) + line);
const wrapped = (condition: string) => (/^\(.*\)$/.test(condition) && balanced(condition) ? condition : `(${condition})`);
/** The first parenthesis closes at the end. */
function balanced(e: string): boolean {
  let depth = 0;
  for (let i = 0; i < e.length - 1; i++) {
    depth += e[i] === "(" ? 1 : e[i] === ")" ? -1 : 0;
    if (depth === 0) return false;
  }
  return true;
}
