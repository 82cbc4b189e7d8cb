// Decides what is translated and keeps the books: entries that became hot, translated regions by page, table slots, memory bound.
//
// A translated region replaces the handler index of its entry; PLAIN_HANDLERS keeps the one it had. Entries change only between
// slices, or when memory of the page is about to be written: then all regions of the page go.

import { Off, VISITS_LIMIT } from "../../arch/layout.ts";
import type { PeState } from "../../arch/state.ts";
import { disassemble } from "../../isa/disasm/index.ts";
import type { Func, ModuleSpec } from "../../wasm/module.ts";
import type { CodePage, CodePages } from "../code-pages.ts";
import { Special } from "../interp/handlers.ts";
import type { DecodeContext } from "../interp/predecode.ts";
import { discover, type Region } from "./blocks.ts";
import type { Checker, Translated } from "./check.ts";
import { compileRegion, jitImports, regionModule } from "./compile.ts";
import { TranslatedEntries, type Translation } from "./entries.ts";
import { type Instruction, instructionAt } from "./instruction.ts";

/** Ways to an entry that make it worth translating, regions per module, and how long hot entries wait for others (slices). */
export interface Tuning {
  readonly threshold: number;
  readonly batch: number;
  readonly patience: number;
  /** Bytes of WebAssembly code kept; more drops all translations. */
  readonly bound: number;
}
export const defaultTuning: Tuning = { threshold: 4000, batch: 64, patience: 60, bound: 48 << 20 };

/** A region that was compiled. Its effects, which are many objects, are not kept. */
interface Found {
  readonly func: Func;
  readonly ip: number;
  readonly owner: CodePage;
  readonly size: number;
  /** First entry and number of instructions of its blocks. */
  readonly runs: readonly (readonly [first: number, count: number])[];
  /** Writes system registers. */
  readonly system: boolean;
}
interface Checked {
  readonly found: Found;
  readonly run: Translated;
}
interface RegionTranslation extends Translation {
  /** Entries of its instructions: first and number. */
  readonly runs: readonly (readonly [ip: number, count: number])[];
  readonly bytes: number;
}

export interface JitStatistics {
  regions: number;
  modules: number;
  instructions: number;
  bytes: number;
  dropped: number;
  /** Milliseconds spent in translation and in the host's compiler. */
  translateMs: number;
  compileMs: number;
}

export class RegionEngine {
  readonly statistics: JitStatistics = {
    regions: 0,
    modules: 0,
    instructions: 0,
    bytes: 0,
    dropped: 0,
    translateMs: 0,
    compileMs: 0,
  };
  private readonly code: CodePages;
  private readonly context: DecodeContext;
  private readonly memory: WebAssembly.Memory;
  /** The memory as modules import it. */
  private readonly memorySpec: ModuleSpec["memory"];
  private readonly exports: WebAssembly.Exports;
  private readonly tuning: Tuning;
  private hotEntries: number[] = [];
  private waited = 0;
  private readonly entries: TranslatedEntries<RegionTranslation>;
  private kept = 0;
  private readonly checker: Checker | undefined;
  /** With a checker: what stands behind each entry. */
  private readonly checked = new Map<number, Checked>();

  constructor(o: {
    code: CodePages;
    context: DecodeContext;
    memory: WebAssembly.Memory;
    pages: { initial: number; maximum: number };
    exports: WebAssembly.Exports;
    /** Every run is compared with the interpreter. */
    checker?: Checker | undefined;
    tuning?: Tuning;
  }) {
    this.checker = o.checker;
    this.code = o.code;
    this.context = o.context;
    this.memory = o.memory;
    this.memorySpec = { min: o.pages.initial, max: o.pages.maximum, shared: false };
    this.exports = o.exports;
    this.tuning = o.tuning ?? defaultTuning;
    const i32 = new Int32Array(o.memory.buffer);
    i32[VISITS_LIMIT >> 2] = this.tuning.threshold;
    this.entries = new TranslatedEntries(o.code, i32, o.exports.table as WebAssembly.Table);
    this.code.beforeChange = (page) => this.drop(page);
  }

  /** The entry at `ip` was reached often. Called from generated code. */
  hot(ip: number): void {
    this.hotEntries.push(ip);
  }

  /** Is the instruction at this entry part of a region? */
  covers(ip: number): boolean {
    return this.entries.around(ip).some((t) => t.runs.some(([first, count]) => ip >= first && ip < first + 8 * count));
  }

  /** Runs the region at `ip` under check. */
  run(st: PeState, ip: number): number {
    const { found, run } = this.checked.get(ip) as Checked;
    const { owner } = found;
    const text = (entry: number) => {
      const at = BigInt.asUintN(64, st.get(Off.PCBASE) + BigInt(entry >>> 1));
      return `${at.toString(16)}: ${disassemble(this.code.word(entry), at)}`;
    };
    const name = `${(owner.pa + ((ip - owner.offset) >> 1)).toString(16)}.wasm`;
    return (this.checker as Checker).run(st, ip, run, {
      system: found.system,
      listing: () => found.runs.flatMap(([first, count]) => Array.from({ length: count }, (_, n) => text(first + 8 * n))),
      files: () => [{ name, data: regionModule([found.func], this.memorySpec) }],
    });
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

  private translate(entries: readonly number[]): void {
    const start = performance.now();
    const found: Found[] = [];
    for (const ip of new Set(entries)) {
      const f = this.compile(ip);
      if (f) found.push(f);
    }
    if (found.length === 0) return;
    const bytes = regionModule(
      found.map((f) => f.func),
      this.memorySpec,
    );
    const translated = performance.now();
    const e: Record<string, WebAssembly.ImportValue> = { m: this.memory };
    for (const [name] of jitImports) e[name] = this.exports[name] as WebAssembly.ImportValue;
    // What a region leaves to the interpreter is not part of what is compared.
    if (this.checker) e.plain = (_pe: number, ip: number) => ip;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), { e });
    const each = bytes.length / found.length;
    found.forEach((f, i) => {
      const run = instance.exports[String(i)] as Translated;
      if (this.checker) this.checked.set(f.ip, { found: f, run });
      this.install(f, this.checker ? (this.exports.enterBlock as Translated) : run, each);
    });
    const s = this.statistics;
    s.modules++;
    s.regions += found.length;
    s.bytes += bytes.length;
    for (const { size } of found) s.instructions += size;
    s.translateMs += translated - start;
    s.compileMs += performance.now() - translated;
    if (this.kept > this.tuning.bound) this.dropAll();
  }
  private compile(ip: number): Found | undefined {
    const owner = this.code.at(ip);
    if (!owner || owner.dead || this.entries.has(ip)) return undefined;
    const index = (ip - owner.offset) >> 3;
    if (index > 1023) return undefined;
    const region = discover(index, this.reader(owner));
    if (!region || !this.pays(region)) return undefined;
    const runs = region.blocks.map((b) => [owner.offset + 8 * b.index, b.code.length] as const);
    const system = region.blocks.some((b) => b.code.some((x) => x.handler === Special.MSR_FAST));
    return { func: compileRegion(region, owner.offset), ip, owner, size: region.size, runs, system };
  }
  /** A few instructions without a loop run as fast in the interpreter. */
  private pays(region: Region): boolean {
    return region.size >= 3 || region.blocks.some((b) => b.loop);
  }
  private reader(page: CodePage): (index: number) => Instruction {
    const decoded = new Map<number, Instruction>();
    return (index) => {
      let i = decoded.get(index);
      if (!i) {
        i = instructionAt(index, this.code.word(page.offset + 8 * index), this.context);
        decoded.set(index, i);
      }
      return i;
    };
  }

  private install({ owner: page, ip, runs }: Found, run: Translated, bytes: number): void {
    const slot = this.entries.takeSlot(run);
    if (slot === undefined) return;
    this.entries.install(page, { ip, runs, slot, bytes });
    this.kept += bytes;
  }

  /** The page is about to change or to be forgotten. */
  private drop(page: CodePage): void {
    for (const { bytes } of this.entries.drop(page)) {
      this.kept -= bytes;
      this.statistics.dropped++;
    }
  }
  private dropAll(): void {
    for (const page of this.entries.pages()) this.drop(page);
  }
}
