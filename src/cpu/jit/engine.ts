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
import { REDIRECT } from "../interp/page.ts";
import type { DecodeContext } from "../interp/predecode.ts";
import type { Checker, Translated } from "./check.ts";
import { type Translation as Installed, TranslatedEntries } from "./entries.ts";
import type { Answer, Found, Place, Translation, TranslationService, Wanted } from "./job.ts";
import { CodeImages, entryInTlb, placeOf } from "./nearby.ts";
import { jitImports, regionModule } from "./region-module.ts";
import { Translator, targetOf } from "./translator.ts";

/** Ways to an entry that make it worth translating, regions per job, and how long hot entries wait for others (slices). */
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
export const defaultTuning: Tuning = { threshold: 8000, wide: 12, window: 2000, batch: 64, patience: 60, bound: 48 << 20 };

interface Checked {
  readonly found: Found;
  readonly func: Func;
  readonly run: Translated;
}
/** A job that has no answer yet: the pages that it copied, and how often they had changed then. */
interface Sent {
  readonly pages: ReadonlyMap<number, CodePage>;
  readonly changes: ReadonlyMap<number, number>;
  readonly entries: readonly number[];
}
interface RegionTranslation extends Installed {
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
  /** They were spent in another thread. */
  elsewhere?: boolean;
}

export class RegionEngine {
  /** `installMs`: milliseconds of the thread that runs the guest, for putting translations in their places. */
  readonly statistics: JitStatistics & { wide: number; installMs: number } = {
    regions: 0,
    wide: 0,
    modules: 0,
    instructions: 0,
    bytes: 0,
    dropped: 0,
    translateMs: 0,
    compileMs: 0,
    installMs: 0,
  };
  private readonly code: CodePages;
  private readonly u32: Uint32Array;
  private readonly imports: Record<string, WebAssembly.ImportValue>;
  private readonly memorySpec: ModuleSpec["memory"];
  private readonly tuning: Tuning;
  private readonly service: TranslationService;
  private hotEntries: Place[] = [];
  private hotRegions: RegionTranslation[] = [];
  private readonly sent = new Map<number, Sent>();
  /** Entries that are wanted or being translated. */
  private readonly underway = new Set<number>();
  private jobs = 0;
  private slices = 0;
  private waited = 0;
  private readonly entries: TranslatedEntries<RegionTranslation>;
  private kept = 0;
  private readonly checker: Checker | undefined;
  private readonly enterBlock: Translated;
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
    /** Who translates; the engine itself when not given. */
    translation?: Translation | undefined;
  }) {
    this.checker = o.checker;
    this.code = o.code;
    this.memorySpec = { min: o.pages.initial, max: o.pages.maximum, shared: false };
    this.tuning = o.tuning ?? defaultTuning;
    this.imports = { m: o.memory };
    for (const [name] of jitImports) this.imports[name] = o.exports[name] as WebAssembly.ImportValue;
    // What a region leaves to the interpreter is not part of what is compared.
    if (this.checker) Object.assign(this.imports, { plain: (_pe: number, ip: number) => ip, ...this.stay });
    this.enterBlock = o.exports.enterBlock as Translated;
    this.u32 = new Uint32Array(o.memory.buffer);
    this.u32[VISITS_LIMIT >> 2] = this.tuning.threshold;
    this.entries = new TranslatedEntries(o.code, new Int32Array(o.memory.buffer), o.exports.table as WebAssembly.Table);
    this.code.beforeChange = (page) => this.drop(page);
    const target = targetOf(o.context, this.memorySpec);
    // A checker wants to see the functions, which do not leave their thread.
    this.service = (this.checker ? undefined : o.translation?.(target)) ?? new Translator(target);
    this.statistics.elsewhere = this.service.remote;
  }

  /** The PE reached the entry at `ip` often. Called from generated code. */
  hot(st: PeState, ip: number): void {
    if (this.underway.has(ip)) {
      // It was reached as often again while it waited for others: worth a module of its own.
      this.waited = this.tuning.patience;
      return;
    }
    this.underway.add(ip);
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
    // Of the regions that have the instruction, the one whose entry comes last before it; then those that begin behind it.
    for (const t of this.entries.around(ip)) if (hasEntry(t, ip) && !(found && (ip - found.ip) >>> 0 <= (ip - t.ip) >>> 0)) found = t;
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
    const { found, func, run } = this.checked.get(ip) as Checked;
    const text = (entry: number) => {
      const at = BigInt.asUintN(64, st.get(Off.PCBASE) + BigInt(entry >>> 1));
      return `${at.toString(16)}: ${disassemble(this.code.word(entry), at)}`;
    };
    const name = `${this.code.paOf(ip).toString(16)}.wasm`;
    return (this.checker as Checker).run(st, ip, run, {
      system: found.system,
      listing: () => found.runs.flatMap(([first, count]) => Array.from({ length: count }, (_, n) => text(first + 8 * n))),
      files: () => [{ name, data: regionModule([func], this.memorySpec) }],
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
    onward: (pe: number, ip: number, _warm: number, budget: number) => this.stay.interpret(pe, ip, budget),
    interpret: (pe: number, ip: number, budget: number) => {
      this.u32[(pe + Off.BUDGET) >> 2] = budget;
      return ip;
    },
  };

  /** Between slices: installs what was translated, and asks for what has become hot, once enough came together or waited long. */
  work(): void {
    this.entries.quiesce();
    const waiting = this.hotEntries.length + this.hotRegions.length;
    if (waiting > 0 && (waiting >= this.tuning.batch || ++this.waited >= this.tuning.patience)) this.send();
    if (this.sent.size === 0) return;
    for (let answer = this.service.poll(); answer; answer = this.service.poll()) this.receive(answer);
  }

  private send(): void {
    this.waited = 0;
    const images = new CodeImages(this.code, this.u32, this.entries, this.underway, this.service.remote);
    const wanted: Wanted[] = [];
    for (const place of this.hotEntries) {
      const page = this.entries.has(place.ip) ? undefined : this.pageOf(place);
      if (page) wanted.push({ place, page: images.of(page), around: undefined });
      else this.underway.delete(place.ip);
    }
    for (const t of this.hotRegions) {
      t.heat = undefined;
      const page = this.entries.find(t.ip) === t ? this.pageOf(t.place) : undefined;
      if (page) wanted.push({ place: t.place, page: images.of(page), around: images.around(t.place) });
    }
    this.hotEntries = [];
    this.hotRegions = [];
    if (wanted.length === 0) return;
    const { pages } = images;
    const changes = new Map([...pages].map(([offset, page]) => [offset, page.changes]));
    const id = this.jobs++;
    this.sent.set(id, { pages, changes, entries: wanted.map((w) => w.place.ip) });
    this.service.post({ id, wanted });
  }
  /** The page that holds the entry; undefined when the entry is gone, or is not an instruction. */
  private pageOf({ ip }: Place): CodePage | undefined {
    const page = this.code.at(ip);
    return page && !page.dead && ip - page.offset < 8192 ? page : undefined;
  }

  private receive(answer: Answer): void {
    const sent = this.sent.get(answer.id) as Sent;
    this.sent.delete(answer.id);
    for (const ip of sent.entries) this.underway.delete(ip);
    const s = this.statistics;
    s.translateMs += answer.translateMs;
    s.compileMs += answer.compileMs;
    if (!answer.module) return;
    const start = performance.now();
    const { exports } = new WebAssembly.Instance(answer.module, { e: this.imports });
    answer.found.forEach((found, i) => {
      const pages = this.unchanged(found, sent);
      if (!pages) return;
      const run = exports[String(i)] as Translated;
      if (this.checker) this.checked.set(found.place.ip, { found, func: answer.funcs?.[i] as Func, run });
      this.install(found, pages, this.checker ? this.enterBlock : run, answer.bytes / answer.found.length);
    });
    s.modules++;
    s.bytes += answer.bytes;
    s.installMs += performance.now() - start;
    if (this.kept > this.tuning.bound) this.dropAll();
  }
  /** The pages of the region, if they are what was translated. */
  private unchanged(found: Found, { pages, changes }: Sent): CodePage[] | undefined {
    const own = found.pages.map((offset) => pages.get(offset) as CodePage);
    return own.every((page) => !page.dead && page.changes === changes.get(page.offset)) ? own : undefined;
  }
  private install({ place, runs, wide, size }: Found, pages: readonly CodePage[], run: Translated, bytes: number): void {
    const { ip } = place;
    const t = { ip, place, pages, runs, bytes, heat: wide ? undefined : 0, window: 0 };
    const narrow = this.entries.find(ip);
    // A wide region takes the place of one; what it was made from may have gone and come back since.
    if (wide !== (narrow !== undefined)) return;
    if (narrow) {
      this.kept += bytes - narrow.bytes;
      this.entries.replace(narrow, { ...t, slot: narrow.slot }, run);
    } else {
      const slot = this.entries.takeSlot(run);
      if (slot === undefined) return;
      this.kept += bytes;
      this.entries.install({ ...t, slot });
    }
    const s = this.statistics;
    s.regions++;
    s.instructions += size;
    if (wide) s.wide++;
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
