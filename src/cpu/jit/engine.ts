// Decides what is translated and keeps the books: entries that became hot, translated regions by page, table slots, memory bound.
//
// A translated region replaces the handler index of its entry; PLAIN_HANDLERS keeps the one it had. Entries change only between
// slices, or when memory of the page is about to be written: then all regions of the page go.
//
// A first translation stays in its page and ends at calls: most code deserves no more. Where the PE is at the start of a slice tells
// which regions take the time: these are made again, with the pages and short functions around them ("wide").

import { Off, VISITS_LIMIT } from "../../arch/layout.ts";
import type { PeState } from "../../arch/state.ts";
import { disassemble } from "../../isa/disasm/index.ts";
import type { Func, ModuleSpec } from "../../wasm/module.ts";
import type { CodePage, CodePages } from "../code-pages.ts";
import { Special } from "../interp/handlers.ts";
import { REDIRECT } from "../interp/page.ts";
import type { DecodeContext } from "../interp/predecode.ts";
import { discover, pageOf, type Region } from "./blocks.ts";
import type { Checker, Translated } from "./check.ts";
import { compileRegion, jitImports, regionModule } from "./compile.ts";
import { TranslatedEntries, type Translation } from "./entries.ts";
import { entryInTlb, NearbyCode, type Place, placeOf } from "./nearby.ts";

/** Ways to an entry that make it worth translating, regions per module, and how long hot entries wait for others (slices). */
export interface Tuning {
  readonly threshold: number;
  /** A region is worth a wide translation when so many of the slices looked at in a window (a number of slices) begin in it. */
  readonly wide: number;
  readonly window: number;
  readonly batch: number;
  readonly patience: number;
  /** Bytes of WebAssembly code kept; more drops all translations. */
  readonly bound: number;
}
/** One in so many slices is looked at. */
const SAMPLED = 4;
export const defaultTuning: Tuning = { threshold: 4000, wide: 12, window: 2000, batch: 64, patience: 60, bound: 48 << 20 };

/** A region that was compiled. Its effects, which are many objects, are not kept. */
interface Found {
  readonly func: Func;
  readonly place: Place;
  /** Pages that hold its code. */
  readonly pages: readonly CodePage[];
  readonly size: number;
  /** First entry and number of instructions of its blocks. */
  readonly runs: readonly (readonly [first: number, count: number])[];
  readonly wide: boolean;
  /** Writes system registers. */
  readonly system: boolean;
}
interface Checked {
  readonly found: Found;
  readonly run: Translated;
}
interface RegionTranslation extends Translation {
  readonly place: Place;
  /** Slices of its last window that began here; undefined once it is wide. */
  heat: number | undefined;
  window: number;
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
  readonly statistics: JitStatistics & { wide: number } = {
    regions: 0,
    wide: 0,
    modules: 0,
    instructions: 0,
    bytes: 0,
    dropped: 0,
    translateMs: 0,
    compileMs: 0,
  };
  private readonly code: CodePages;
  private readonly u32: Uint32Array;
  private readonly context: DecodeContext;
  private readonly memory: WebAssembly.Memory;
  /** The memory as modules import it. */
  private readonly memorySpec: ModuleSpec["memory"];
  private readonly exports: WebAssembly.Exports;
  private readonly tuning: Tuning;
  private hotEntries: Place[] = [];
  private hotRegions: RegionTranslation[] = [];
  private slices = 0;
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
    this.u32 = new Uint32Array(o.memory.buffer);
    this.u32[VISITS_LIMIT >> 2] = this.tuning.threshold;
    this.entries = new TranslatedEntries(o.code, new Int32Array(o.memory.buffer), o.exports.table as WebAssembly.Table);
    this.code.beforeChange = (page) => this.drop(page);
  }

  /** The PE reached the entry at `ip` often. Called from generated code. */
  hot(st: PeState, ip: number): void {
    this.hotEntries.push(placeOf(st, this.code, ip));
  }
  /** The PE begins a slice: the code that it is in, and the code that called it, may be where the time goes. */
  sample(st: PeState): void {
    if (++this.slices % SAMPLED !== 0) return;
    this.heat(st, st.lo(Off.PC), st.hi(Off.PC));
    const lo = st.lo(Off.X + 30 * 8);
    if (lo >= 4) this.heat(st, lo - 4, st.hi(Off.X + 30 * 8));
  }
  private heat(st: PeState, lo: number, hi: number): void {
    const ip = entryInTlb(this.u32, st.lo(Off.TLB_X), lo, hi);
    if (ip === undefined) return;
    let found: RegionTranslation | undefined;
    // Of the regions that have the instruction, the one whose entry comes last before it.
    for (const t of this.entries.around(ip)) if (hasEntry(t, ip) && !(found && found.ip > t.ip && found.ip <= ip)) found = t;
    if (found?.heat === undefined) return;
    const window = Math.floor(this.slices / this.tuning.window);
    if (found.window !== window) found.heat = 0;
    found.window = window;
    if (++found.heat === this.tuning.wide) this.hotRegions.push(found);
  }

  /** Is the instruction at this entry part of a region? */
  covers(ip: number): boolean {
    for (const t of this.entries.around(ip)) if (hasEntry(t, ip)) return true;
    return false;
  }

  /** Runs the region at `ip` under check. */
  run(st: PeState, ip: number): number {
    const { found, run } = this.checked.get(ip) as Checked;
    const text = (entry: number) => {
      const at = BigInt.asUintN(64, st.get(Off.PCBASE) + BigInt(entry >>> 1));
      return `${at.toString(16)}: ${disassemble(this.code.word(entry), at)}`;
    };
    const name = `${this.code.paOf(ip).toString(16)}.wasm`;
    return (this.checker as Checker).run(st, ip, run, {
      system: found.system,
      listing: () => found.runs.flatMap(([first, count]) => Array.from({ length: count }, (_, n) => text(first + 8 * n))),
      files: () => [{ name, data: regionModule([found.func], this.memorySpec) }],
    });
  }

  /** Where a translation leads is not part of what is compared: it ends at its ways out. */
  private readonly stay = {
    go: (pe: number, pc: bigint, left: number) => {
      const lo = (pe + Off.PC) >> 2;
      this.u32[lo] = Number(BigInt.asUintN(32, pc));
      this.u32[lo + 1] = Number(BigInt.asUintN(32, pc >> 32n));
      this.u32[(pe + Off.BUDGET) >> 2] = left;
      return REDIRECT;
    },
    onward: (pe: number, ip: number, _warm: number, budget: number) => {
      this.u32[(pe + Off.BUDGET) >> 2] = budget;
      return ip;
    },
  };

  /** Between slices: translates what has become hot, once enough came together or waited long enough. */
  work(): void {
    this.entries.quiesce();
    const waiting = this.hotEntries.length + this.hotRegions.length;
    if (waiting === 0 || (waiting < this.tuning.batch && ++this.waited < this.tuning.patience)) return;
    this.waited = 0;
    const found = new Map<number, Found>();
    const start = performance.now();
    for (const place of this.hotEntries) {
      const f = this.entries.has(place.ip) || found.has(place.ip) ? undefined : this.compile(place, false);
      if (f) found.set(place.ip, f);
    }
    for (const t of this.hotRegions) {
      t.heat = undefined;
      const f = this.entries.has(t.ip) ? this.compile(t.place, true) : undefined;
      if (f) found.set(t.ip, f);
    }
    this.hotEntries = [];
    this.hotRegions = [];
    this.translate([...found.values()], start);
  }

  private translate(found: readonly Found[], start: number): void {
    if (found.length === 0) return;
    const bytes = regionModule(
      found.map((f) => f.func),
      this.memorySpec,
    );
    const translated = performance.now();
    const e: Record<string, WebAssembly.ImportValue> = { m: this.memory };
    for (const [name] of jitImports) e[name] = this.exports[name] as WebAssembly.ImportValue;
    // What a region leaves to the interpreter is not part of what is compared.
    if (this.checker) Object.assign(e, { plain: (_pe: number, ip: number) => ip, ...this.stay });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), { e });
    const each = bytes.length / found.length;
    found.forEach((f, i) => {
      const run = instance.exports[String(i)] as Translated;
      if (this.checker) this.checked.set(f.place.ip, { found: f, run });
      this.install(f, this.checker ? (this.exports.enterBlock as Translated) : run, each);
    });
    const s = this.statistics;
    s.modules++;
    s.regions += found.length;
    s.bytes += bytes.length;
    for (const { size, wide } of found) {
      s.instructions += size;
      if (wide) s.wide++;
    }
    s.translateMs += translated - start;
    s.compileMs += performance.now() - translated;
    if (this.kept > this.tuning.bound) this.dropAll();
  }
  private compile(place: Place, wide: boolean): Found | undefined {
    const owner = this.code.at(place.ip);
    if (!owner || owner.dead) return undefined;
    const index = (place.ip - owner.offset) >> 3;
    if (index > 1023) return undefined;
    const region = discover(index, new NearbyCode(this.code, this.context, this.u32, place, owner), wide);
    if (!region || !this.pays(region) || (wide && !region.wide)) return undefined;
    const entry = (i: number) => (region.pages.get(pageOf(i)) as number) + 8 * (i & 1023);
    const runs = region.blocks.map((b) => [entry(b.index), b.code.length] as const);
    const pages = [...new Set([owner, ...runs.map(([first]) => this.code.at(first))])];
    const system = region.blocks.some((b) => b.code.some((x) => x.handler === Special.MSR_FAST));
    return { func: compileRegion(region, place.aligned), place, pages, size: region.size, runs, wide, system };
  }
  /** One instruction without a loop runs as fast in the interpreter. */
  private pays(region: Region): boolean {
    return region.size >= 2 || region.blocks.some((b) => b.loop);
  }
  private install({ place, pages, runs, wide }: Found, run: Translated, bytes: number): void {
    const { ip } = place;
    const t = { ip, place, pages, runs, bytes, heat: wide ? undefined : 0, window: 0 };
    const narrow = wide ? this.entries.find(ip) : undefined;
    if (narrow) {
      this.kept += bytes - narrow.bytes;
      this.entries.replace(narrow, { ...t, slot: narrow.slot }, run);
      return;
    }
    const slot = this.entries.takeSlot(run);
    if (slot === undefined) return;
    this.kept += bytes;
    this.entries.install({ ...t, slot });
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

const hasEntry = (t: RegionTranslation, ip: number): boolean => t.runs.some(([first, count]) => ip >= first && ip < first + 8 * count);
