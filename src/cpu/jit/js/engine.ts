// Hot code as JavaScript blocks: decides what is translated, and runs chains of blocks. A translated entry has a table slot in
// place of its handler (jit/entries.ts); the slot holds the handler `enterBlock`.

import { PE_BASE, PE_STRIDE, VISITS_LIMIT } from "../../../arch/layout.ts";
import { PeState } from "../../../arch/state.ts";
import { disassemble } from "../../../isa/disasm/index.ts";
import type { CodePage, CodePages } from "../../code-pages.ts";
import { handlerCount } from "../../interp/handlers.ts";
import type { DecodeContext } from "../../interp/predecode.ts";
import type { Checker, Evidence } from "../check.ts";
import { TranslatedEntries, type Translation } from "../entries.ts";
import { type Instruction, instructionAt } from "../instruction.ts";
import { BLOCK_LIMIT, type JsBlock, translateBlock } from "./block.ts";
import { type BlockFunction, createRuntime, type Hooks, instantiate, type Runtime } from "./runtime.ts";

export interface JsTuning {
  /** Ways to an entry that make it worth translating. */
  readonly threshold: number;
  /** Blocks per compilation, and how long hot entries wait for others (slices). */
  readonly batch: number;
  readonly patience: number;
  /** Characters of source kept; more drops all translations. */
  readonly bound: number;
}
export const defaultJsTuning: JsTuning = { threshold: 1000, batch: 32, patience: 20, bound: 32 << 20 };

/** Receives the source of each translated block: a name that is unique, and the text. */
export type DumpSource = (name: string, source: string) => void;

interface BlockTranslation extends Translation {
  readonly block: JsBlock;
}

export class JsEngine {
  readonly statistics = { regions: 0, modules: 0, instructions: 0, bytes: 0, dropped: 0, translateMs: 0, compileMs: 0 };
  /** Told of each translation. */
  dump: DumpSource | undefined;
  private readonly checker: Checker | undefined;
  private readonly code: CodePages;
  private readonly context: DecodeContext;
  private readonly memory: WebAssembly.Memory;
  private readonly runtime: Runtime;
  private readonly enter: () => number;
  private readonly tuning: JsTuning;
  private readonly i32: Int32Array;
  /** By slot. */
  private readonly functions: (BlockFunction | undefined)[] = [];
  private readonly states: PeState[] = [];
  private readonly writesSystem = new WeakSet<BlockFunction>();
  private hotEntries: { ip: number; address: bigint }[] = [];
  private waited = 0;
  private readonly entries: TranslatedEntries<BlockTranslation>;
  private kept = 0;

  constructor(o: {
    code: CodePages;
    context: DecodeContext;
    memory: WebAssembly.Memory;
    exports: WebAssembly.Exports;
    hooks: Hooks;
    /** Every run is compared with the interpreter. */
    checker?: Checker | undefined;
    tuning?: JsTuning;
  }) {
    this.checker = o.checker;
    this.memory = o.memory;
    this.code = o.code;
    this.context = o.context;
    this.enter = o.exports.enterBlock as () => number;
    this.runtime = createRuntime(o.memory, o.hooks);
    this.tuning = o.tuning ?? defaultJsTuning;
    this.i32 = new Int32Array(o.memory.buffer);
    this.i32[VISITS_LIMIT >> 2] = this.tuning.threshold;
    this.entries = new TranslatedEntries(o.code, this.i32, o.exports.table as WebAssembly.Table);
    this.code.beforeChange = (page) => this.drop(page);
  }

  /** Runs the block at `ip`, and the blocks it leads to. Answers as a handler does. */
  run(pe: number, ip: number): number {
    const { i32, functions, checker } = this;
    let at = ip;
    for (;;) {
      const slot = (i32[at >> 2] as number) - handlerCount;
      const block = slot < 0 ? undefined : functions[slot];
      if (block === undefined) return at;
      at = checker ? this.checked(pe, at, block) : block(pe, at);
      if (at < 0) return at;
    }
  }

  /** Is the instruction at this entry part of a block? */
  covers(ip: number): boolean {
    return this.entries.around(ip).some((t) => ip >= t.ip && ip < t.ip + 8 * t.block.size);
  }
  private checked(pe: number, ip: number, block: BlockFunction): number {
    const index = (pe - PE_BASE) / PE_STRIDE;
    const st = this.states[index] ?? new PeState(this.memory, index);
    this.states[index] = st;
    const page = this.code.at(ip);
    const evidence: Evidence = {
      system: this.writesSystem.has(block),
      listing: () => {
        const first = (ip - page.offset) >> 3;
        const { at, describe } = this.reader(page, st.pc - BigInt(4 * first));
        return Array.from({ length: Math.min(BLOCK_LIMIT, 1024 - first) }, (_, i) => describe(at(first + i)));
      },
      files: () => {
        const t = this.entries.around(ip).find((x) => x.ip === ip);
        return t ? [{ name: `${this.nameOf(page, (ip - page.offset) >> 3)}.js`, data: t.block.source }] : [];
      },
    };
    return (this.checker as Checker).run(st, ip, block, evidence);
  }

  /** The entry at `ip`, at virtual address `address`, was reached often. */
  hot(ip: number, address: bigint): void {
    this.hotEntries.push({ ip, address });
  }
  /** Between slices: translates what has become hot, once enough came together or waited long enough. */
  work(): void {
    this.entries.quiesce();
    if (this.hotEntries.length === 0) return;
    if (this.hotEntries.length < this.tuning.batch && ++this.waited < this.tuning.patience) return;
    this.waited = 0;
    const entries = this.hotEntries;
    this.hotEntries = [];
    this.translate(entries);
  }

  private translate(entries: readonly { ip: number; address: bigint }[]): void {
    const start = performance.now();
    const found: { ip: number; page: CodePage; block: JsBlock }[] = [];
    for (const { ip, address } of entries) {
      const page = this.code.at(ip);
      const index = page ? (ip - page.offset) >> 3 : 1024;
      if (!page || page.dead || index > 1023 || this.entries.has(ip)) continue;
      const block = translateBlock(index, this.reader(page, address - BigInt(4 * index)));
      if (!block || block.size < 2) continue;
      found.push({ ip, page, block });
      this.dump?.(this.nameOf(page, index), block.source);
    }
    if (found.length === 0) return;
    const translated = performance.now();
    const functions = instantiate(
      this.runtime,
      found.map(({ block }) => block.source),
    );
    found.forEach(({ ip, page, block }, i) => {
      this.install(page, ip, functions[i] as BlockFunction, block);
    });
    this.statistics.modules++;
    this.statistics.translateMs += translated - start;
    this.statistics.compileMs += performance.now() - translated;
    if (this.kept > this.tuning.bound) for (const page of this.entries.pages()) this.drop(page);
  }
  private nameOf(page: CodePage, index: number): string {
    const name = (page.pa + 4 * index).toString(16).padStart(9, "0");
    return `${name}-${this.statistics.regions}`;
  }
  private reader(page: CodePage, address: bigint) {
    return {
      at: (index: number): Instruction => instructionAt(index, this.code.word(page.offset + 8 * index), this.context),
      describe: (i: Instruction): string => {
        const at = BigInt.asUintN(64, address + BigInt(4 * i.index));
        return `${at.toString(16).padStart(16, "0")}: ${disassemble(i.word, at)}`;
      },
    };
  }

  private install(page: CodePage, ip: number, run: BlockFunction, block: JsBlock): void {
    // An entry that became hot twice is there already.
    if (this.entries.has(ip)) return;
    const slot = this.entries.takeSlot(this.enter);
    if (slot === undefined) return;
    this.functions[slot - handlerCount] = run;
    if (block.system) this.writesSystem.add(run);
    this.entries.install(page, { ip, slot, block });
    this.kept += block.source.length;
    this.statistics.regions++;
    this.statistics.instructions += block.size;
    this.statistics.bytes += block.source.length;
  }

  /** The page is about to change or to be forgotten. A block of it may be running: it is past its effects on code. */
  private drop(page: CodePage): void {
    for (const { slot, block } of this.entries.drop(page)) {
      this.functions[slot - handlerCount] = undefined;
      this.kept -= block.source.length;
      this.statistics.dropped++;
    }
  }
}
