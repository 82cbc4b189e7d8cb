// From a job to a module. Knows nothing of a running machine.

import { type Row, rows } from "../../isa/table.ts";
import type { Func, ModuleSpec } from "../../wasm/module.ts";
import { hostFuses } from "../emit/fused.ts";
import { Special } from "../interp/handlers.ts";
import type { DecodeContext } from "../interp/predecode.ts";
import { fastIndex } from "../sysreg-map.ts";
import { type CodeSource, discover, pageOf, type Region } from "./blocks.ts";
import { compileRegion } from "./compile.ts";
import { type Instruction, InstructionSet } from "./instruction.ts";
import type { Answer, CodeImage, Found, Job, Target, TranslationService, Wanted } from "./job.ts";
import { regionModule } from "./region-module.ts";

export const targetOf = (context: DecodeContext, memory: ModuleSpec["memory"]): Target => ({
  absent: rows.filter((row) => !context.available(row)).map((row) => row.name),
  memory,
  fused: hostFuses(),
});

/** Regions are found in what the job holds. */
class StoredCode implements CodeSource {
  private readonly wanted: Wanted;
  private readonly set: InstructionSet;

  constructor(wanted: Wanted, set: InstructionSet) {
    this.wanted = wanted;
    this.set = set;
  }
  at(index: number): Instruction {
    return this.set.at(index, this.word(index));
  }
  word(index: number): number {
    return (this.image(pageOf(index)) as CodeImage).words[index & 1023] as number;
  }
  page(index: number): number | undefined {
    return this.image(pageOf(index))?.offset;
  }
  warm(index: number): boolean {
    return has(this.image(pageOf(index))?.warm, index & 1023);
  }
  begun(index: number): boolean {
    return has(this.image(pageOf(index))?.begun, index & 1023);
  }
  private image(distance: number): CodeImage | undefined {
    return this.wanted.around?.get(distance) ?? (distance === 0 ? this.wanted.page : undefined);
  }
}

const has = (bits: Uint32Array | undefined, at: number): boolean => (((bits?.[at >> 5] ?? 0) >>> (at & 31)) & 1) === 1;

/** One instruction without a loop runs as fast in the interpreter. */
const pays = (region: Region): boolean => region.size >= 2 || region.blocks.some((b) => b.loop);

export class Translator implements TranslationService {
  readonly remote = false;
  private readonly set: InstructionSet;
  private readonly memory: ModuleSpec["memory"];
  private readonly answers: Answer[] = [];

  constructor({ absent, memory, fused }: Target) {
    const names = new Set(absent);
    this.set = new InstructionSet({ available: (row: Row) => !names.has(row.name), fastIndex, fused });
    this.memory = memory;
  }

  post(job: Job): void {
    this.answers.push(this.translate(job));
  }
  poll(): Answer | undefined {
    return this.answers.shift();
  }

  translate({ id, wanted }: Job): Answer {
    const start = performance.now();
    const found: Found[] = [];
    const funcs: Func[] = [];
    for (const w of wanted) {
      const region = this.region(w);
      if (!region) continue;
      found.push(describe(w, region));
      funcs.push(compileRegion(region, w.place.aligned, w.around !== undefined));
    }
    if (found.length === 0) return { id, found, module: undefined, bytes: 0, translateMs: performance.now() - start, compileMs: 0 };
    const bytes = regionModule(funcs, this.memory);
    const translated = performance.now();
    const module = new WebAssembly.Module(bytes as BufferSource);
    const times = { translateMs: translated - start, compileMs: performance.now() - translated };
    return { id, found, module, bytes: bytes.length, ...times, funcs };
  }
  private region(w: Wanted): Region | undefined {
    const wide = w.around !== undefined;
    const region = discover((w.place.ip - w.page.offset) >> 3, new StoredCode(w, this.set), wide);
    return region && pays(region) ? region : undefined;
  }
}

function describe({ place, page, around }: Wanted, region: Region): Found {
  const entry = (i: number) => (region.pages.get(pageOf(i)) as number) + 8 * (i & 1023);
  const runs = region.blocks.map((b) => [entry(b.index), b.code.length] as const);
  const holders = region.blocks.map((b) => region.pages.get(pageOf(b.index)) as number);
  const system = region.blocks.some((b) => b.code.some((x) => x.handler === Special.MSR_FAST));
  return { place, wide: around !== undefined, pages: [...new Set([page.offset, ...holders])], size: region.size, runs, system };
}
