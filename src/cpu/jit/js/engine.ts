// Hot code as JavaScript functions: decides what is translated, and runs chains of functions. A translated entry has a table slot in
// place of its handler (jit/entries.ts); the slot holds the handler `enterBlock`.

import { Off, PE_BASE, PE_STRIDE, TLB_ENTRIES, VISITS_LIMIT } from "../../../arch/layout.ts";
import { PeState } from "../../../arch/state.ts";
import { disassemble } from "../../../isa/disasm/index.ts";
import type { CodePage, CodePages } from "../../code-pages.ts";
import { handlerCount } from "../../interp/handlers.ts";
import { REDIRECT } from "../../interp/page.ts";
import type { DecodeContext } from "../../interp/predecode.ts";
import type { Checker, Evidence } from "../check.ts";
import { TranslatedEntries, type Translation } from "../entries.ts";
import { type Instruction, instructionAt } from "../instruction.ts";
import { type JsRegion, translateRegion } from "./region.ts";
import { createRuntime, type Hooks, instantiate, type RegionFunction, type Runtime } from "./runtime.ts";

export interface JsTuning {
  /** Ways to an entry that make it worth translating. */
  readonly threshold: number;
  /** Functions per compilation, and how long hot entries wait for others (slices). */
  readonly batch: number;
  readonly patience: number;
  /** Characters of source kept; more drops all translations. */
  readonly bound: number;
}
export const defaultJsTuning: JsTuning = { threshold: 500_000, batch: 32, patience: 60, bound: 64 << 20 };
/** Under check: correctness of much code counts, not speed. */
const checkTuning: JsTuning = { ...defaultJsTuning, threshold: 1000 };

/** Receives the source of each translated region: a name that is unique, and the text. */
export type DumpSource = (name: string, source: string) => void;

interface RegionTranslation extends Translation {
  readonly region: JsRegion;
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
  private readonly functions: (RegionFunction | undefined)[] = [];
  private readonly states: PeState[] = [];
  private readonly writesSystem = new WeakSet<RegionFunction>();
  private hotEntries: { ip: number; address: bigint }[] = [];
  private waited = 0;
  private readonly entries: TranslatedEntries<RegionTranslation>;
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
    this.tuning = o.tuning ?? (o.checker ? checkTuning : defaultJsTuning);
    this.i32 = new Int32Array(o.memory.buffer);
    this.i32[VISITS_LIMIT >> 2] = this.tuning.threshold;
    this.entries = new TranslatedEntries(o.code, this.i32, o.exports.table as WebAssembly.Table);
    this.code.beforeChange = (page) => this.drop(page);
  }

  /** Runs the function at `ip`, and those that it leads to. Answers as a handler does. */
  run(pe: number, ip: number): number {
    const { i32, functions, checker } = this;
    const budget = (pe + Off.BUDGET) >> 2;
    let at = ip;
    for (;;) {
      const region = functions[(i32[at >> 2] as number) - handlerCount] as RegionFunction;
      if (checker) return this.checked(pe, at, region);
      at = region(pe, at);
      if (at < 0) {
        if (at !== REDIRECT) return at;
        at = this.jump(pe);
        if (at < 0) return REDIRECT;
      } else if ((i32[at >> 2] as number) < handlerCount || (i32[budget] as number) <= at >>> 3) return at;
    }
  }
  /** As the runtime function jump (interp/jump.ts), when the next instruction is translated; else -1, and nothing has happened. */
  private jump(pe: number): number {
    const { i32 } = this;
    const p = pe >> 2;
    const left = i32[p + (Off.BUDGET >> 2)] as number;
    if (left <= 0) return -1;
    const lo = i32[p + (Off.PC >> 2)] as number;
    const hi = i32[p + (Off.PC >> 2) + 1] as number;
    const entry = ((i32[p + (Off.TLB_X >> 2)] as number) >>> 2) + ((lo >>> 10) & ((TLB_ENTRIES - 1) << 2));
    if (i32[entry] !== (lo & (-4096 | 3)) || i32[entry + 1] !== hi) return -1;
    const page = i32[entry + 2] as number;
    const ip = page + ((lo & 0xfff) << 1);
    if ((i32[ip >> 2] as number) < handlerCount) return -1;
    const guarded = (i32[entry + 3] as number) & 1;
    if (i32[p + (Off.BTYPE >> 2)] !== 0) {
      // Whether a branch may land there is not decided here.
      if (guarded !== 0) return -1;
      i32[p + (Off.BTYPE >> 2)] = 0;
    }
    const first = lo & -4096;
    const base = (first - (page >>> 1)) | 0;
    i32[p + (Off.CURPRE >> 2)] = page;
    i32[p + (Off.PCBASE >> 2)] = base;
    i32[p + (Off.PCBASE >> 2) + 1] = (hi - (first >>> 0 < page >>> 1 ? 1 : 0)) | 0;
    i32[p + (Off.GUARDED >> 2)] = guarded;
    i32[p + (Off.BUDGET >> 2)] = left + (ip >>> 3);
    return ip;
  }

  /** Is the instruction at this entry part of a translation? */
  covers(ip: number): boolean {
    const index = (ip - this.code.at(ip).offset) >> 3;
    for (const { region } of this.entries.around(ip)) {
      if (region.runs.some(([first, count]) => index >= first && index < first + count)) return true;
    }
    return false;
  }
  private checked(pe: number, ip: number, region: RegionFunction): number {
    const index = (pe - PE_BASE) / PE_STRIDE;
    const st = this.states[index] ?? new PeState(this.memory, index);
    this.states[index] = st;
    const page = this.code.at(ip);
    const translation = () => this.entries.find(ip);
    const evidence: Evidence = {
      system: this.writesSystem.has(region),
      listing: () => {
        const { at, describe } = this.reader(page, BigInt.asUintN(64, st.get(Off.PCBASE) + BigInt(page.offset >>> 1)));
        const runs = translation()?.region.runs ?? [];
        return runs.flatMap(([first, count]) => Array.from({ length: count }, (_, i) => describe(at(first + i))));
      },
      files: () => {
        const t = translation();
        return t ? [{ name: `${this.nameOf(page, (ip - page.offset) >> 3)}.js`, data: t.region.source }] : [];
      },
    };
    return (this.checker as Checker).run(st, ip, region, evidence);
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
    const found: { ip: number; page: CodePage; region: JsRegion }[] = [];
    for (const { ip, address } of entries) {
      const page = this.code.at(ip);
      const index = page ? (ip - page.offset) >> 3 : 1024;
      if (!page || page.dead || index > 1023 || this.entries.has(ip)) continue;
      const region = translateRegion(index, this.reader(page, address - BigInt(4 * index)));
      if (!region || !pays(region)) continue;
      found.push({ ip, page, region });
      this.dump?.(this.nameOf(page, index), region.source);
    }
    if (found.length === 0) return;
    const translated = performance.now();
    const functions = instantiate(
      this.runtime,
      found.map(({ region }) => region.source),
    );
    found.forEach(({ ip, page, region }, i) => {
      this.install(page, ip, functions[i] as RegionFunction, region);
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

  private install(page: CodePage, ip: number, run: RegionFunction, region: JsRegion): void {
    // An entry that became hot twice is there already.
    if (this.entries.has(ip)) return;
    const slot = this.entries.takeSlot(this.enter);
    if (slot === undefined) return;
    this.functions[slot - handlerCount] = run;
    if (region.system) this.writesSystem.add(run);
    this.entries.install({ ip, slot, pages: [page], region });
    this.kept += region.source.length;
    this.statistics.regions++;
    this.statistics.instructions += region.size;
    this.statistics.bytes += region.source.length;
  }

  /** The page is about to change or to be forgotten. One of its functions may be running: it is past its effects on code. */
  private drop(page: CodePage): void {
    for (const { slot, region } of this.entries.drop(page)) {
      this.functions[slot - handlerCount] = undefined;
      this.kept -= region.source.length;
      this.statistics.dropped++;
    }
  }
}

/** A few instructions without a loop run as fast in the interpreter. */
const pays = (region: JsRegion): boolean => region.size >= 4 || region.loops;
