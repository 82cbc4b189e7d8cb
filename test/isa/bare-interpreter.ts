// Runs single instructions without a machine, in the generated interpreter or translated: code anywhere, one page of data memory.

import { BITMASKS, CRC_TABLES, Off, PLAIN_HANDLERS, PREDECODE_BASE, RAM_POOL, TLB_EMPTY, TLB_TABLE_BYTES } from "../../src/arch/layout.ts";
import { PeState } from "../../src/arch/state.ts";
import type { CodePages } from "../../src/cpu/code-pages.ts";
import { hostFuses } from "../../src/cpu/emit/fused.ts";
import { bitmaskTable, crcTables } from "../../src/cpu/emit/tables.ts";
import { generateInterpreter } from "../../src/cpu/interp/generate.ts";
import { handlerCount, handlerOf, Special } from "../../src/cpu/interp/handlers.ts";
import type { DecodeContext } from "../../src/cpu/interp/predecode.ts";
import { discover } from "../../src/cpu/jit/blocks.ts";
import { compileRegion } from "../../src/cpu/jit/compile.ts";
import { type Instruction, instructionAt } from "../../src/cpu/jit/instruction.ts";
import { translateRegion } from "../../src/cpu/jit/js/region.ts";
import { createRuntime, type Hooks, instantiate, type RegionFunction, type Runtime } from "../../src/cpu/jit/js/runtime.ts";
import { jitImports, regionModule } from "../../src/cpu/jit/region-module.ts";
import type { Pe } from "../../src/cpu/pe.ts";
import { SlowPath } from "../../src/cpu/slow-path.ts";
import { verify } from "../../src/ir/verify.ts";
import { helpers } from "../../src/isa/semantics/index.ts";
import { decode } from "../../src/isa/table.ts";
import type { PhysicalMemory } from "../../src/mem/physical.ts";
import { type Fault, FaultType } from "../../src/mmu/fault.ts";
import { DATA_PAGE } from "./oracle/program.ts";
import "../../src/harness/host-compiler.ts";

/** L1 tables of the one PE: reads, writes, fetches, unprivileged reads and writes. */
const tables = [Off.TLB_R, Off.TLB_W, Off.TLB_X, Off.TLB_UR, Off.TLB_UW] as const;
const CODE = 2;

/** What executes the instructions. */
export type TestEngine = "interp" | "wasm" | "js";
/** The engines that tests run on: $RME_TEST_ENGINES, by commas. */
export const testEngines = (process.env.RME_TEST_ENGINES ?? "interp,wasm,js").split(",") as TestEngine[];

/** An instruction whose effects a translation may be made of. */
function verified(i: Instruction): Instruction {
  const wrong = i.end === "stop" ? [] : verify(i.effects, "translation");
  if (wrong.length > 0) throw new Error(`${i.row?.name} ${(i.word >>> 0).toString(16)}: ${wrong.join("; ")}`);
  return i;
}

/** Every row exists; system registers take the slow form. */
export const bareContext: DecodeContext = { available: () => true, fastIndex: () => 0 };
/** Regions may have the host's multiplication and addition with one rounding; the interpreter and JavaScript have not. */
const regionContext: DecodeContext = { ...bareContext, fused: hostFuses() && process.env.RME_TEST_FUSED !== "0" };

export class BareInterpreter {
  readonly engine: TestEngine;
  readonly st: PeState;
  /** The 4 KiB at DATA_PAGE. */
  readonly data: Uint8Array;
  protected readonly i32: Int32Array;
  protected readonly exports: WebAssembly.Exports;
  private readonly memory: WebAssembly.Memory;
  private readonly runtime: Runtime;
  private block: RegionFunction | undefined;
  /** Translations by what they are of. */
  private readonly translated = new Map<string, (() => number) | RegionFunction | undefined>();
  /** Pe.system was called: operation and word. */
  trapped: { op: number; insn: number } | undefined;
  /** A data access faulted. */
  fault: Fault | undefined;
  /** Calls of helpers. */
  helped = 0;

  constructor(engine: TestEngine = "interp") {
    this.engine = engine;
    const pages = RAM_POOL / 65536 + 1;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.memory = memory;
    this.st = new PeState(memory, 0);
    this.i32 = new Int32Array(memory.buffer);
    this.data = new Uint8Array(memory.buffer, RAM_POOL, 4096);
    new BigUint64Array(memory.buffer).set(bitmaskTable(), BITMASKS >> 3);
    new Uint32Array(memory.buffer).set(crcTables(), CRC_TABLES >> 2);
    const unexpected = (name: string) => () => {
      throw new Error(`unexpected call of ${name}`);
    };
    const imports: Record<string, unknown> = { m: memory };
    for (const name of ["decode", "fetch", "landing", "hot"]) imports[name] = unexpected(name);
    imports.systemJs = (_pe: number, op: number, insn: number) => {
      this.trapped = { op, insn };
      this.st.setLo(Off.BUDGET, 1); // leaves the loop
      return 1;
    };
    imports.helper = (_pe: number, index: number, insn: number) => {
      this.helped++;
      helpers[index]?.(this.st, insn);
    };
    const slow = this.slowPath();
    imports.miss = (_pe: number, kind: number) => slow.path.access(slow.pe, kind);
    const probe = (_pe: number, kind: number) => slow.path.probe(slow.pe, kind, () => true);
    imports.probe = probe;
    imports.block = (pe: number, ip: number) => (this.block as RegionFunction)(pe, ip);
    imports.commitJs = (_pe: number, kind: number) => slow.path.commit(slow.pe, kind);
    const module = new WebAssembly.Module(generateInterpreter({ min: 1, max: 65536, shared: false }) as BufferSource);
    this.exports = new WebAssembly.Instance(module, { e: imports as WebAssembly.ModuleImports }).exports;
    this.runtime = createRuntime(memory, {
      plain: this.exports.plain as RegionFunction,
      interpret: this.exports.interpret as Hooks["interpret"],
      helper: imports.helper as (pe: number, index: number, insn: number) => void,
      visit: this.exports.visit as (pe: number, ip: number) => void,
      probe,
    });
    tables.forEach((off, i) => {
      const table = this.st.base + Off.TLBS + i * TLB_TABLE_BYTES;
      this.st.setLo(off, table);
      for (let at = table; at < table + TLB_TABLE_BYTES; at += 16) this.st.u64[at >> 3] = BigInt(TLB_EMPTY);
      if (i !== CODE) this.map(i, DATA_PAGE, RAM_POOL - DATA_PAGE);
    });
  }

  protected map(table: number, page: number, addend: number): void {
    const { st } = this;
    const entry = st.base + Off.TLBS + table * TLB_TABLE_BYTES + ((page >>> 8) & 0x3ff0);
    st.u64[entry >> 3] = BigInt(page);
    st.u32[(entry + 8) >> 2] = addend;
    st.u32[(entry + 12) >> 2] = 0;
  }

  /** The slow path over a PE whose only memory is the data page. */
  private slowPath(): { path: SlowPath; pe: Pe } {
    const { st } = this;
    const phys = { u8: st.u8, hostIn: (pa: number) => RAM_POOL + (pa - DATA_PAGE) };
    const code = { dropAt: () => {}, word: () => 0 };
    const mmu = {
      pa: 0,
      pas: 0,
      device: false,
      fault: { type: FaultType.Translation } as Fault,
      translate: (lo: number, hi: number): boolean => {
        mmu.pa = lo;
        mmu.fault = { type: FaultType.Translation, va: (BigInt(hi) << 32n) | BigInt(lo) } as Fault;
        return hi === 0 && lo >= DATA_PAGE && lo < DATA_PAGE + 4096 && !this.refused(lo);
      },
    };
    const pe = {
      st,
      mmu,
      takeAbort: (fault: Fault) => {
        this.fault = fault;
        st.setLo(Off.BUDGET, 0); // leaves the loop instead of going to a vector
      },
    };
    return { path: new SlowPath(phys as unknown as PhysicalMemory, code as unknown as CodePages, () => {}), pe: pe as unknown as Pe };
  }

  /** Fault injection: the access number `failAt` faults, and so does every later one to its address. -1: none. */
  protected failAt = -1;
  protected poisoned = -1;
  protected accesses = 0;
  private refused(lo: number): boolean {
    if (this.failAt < 0) return false;
    if (this.accesses++ === this.failAt) this.poisoned = lo;
    return lo === this.poisoned;
  }

  /** Forgets what the last instruction did: exclusive monitor, trap, fault. */
  reset(): void {
    this.st.setLo(Off.EXSIZE, 0);
    this.trapped = undefined;
    this.fault = undefined;
  }
  /** L1 TLB tables of data without entries: every access asks. */
  protected forgetData(): void {
    tables.forEach((_, i) => {
      if (i !== CODE) this.st.u64[(this.st.base + Off.TLBS + i * TLB_TABLE_BYTES + ((DATA_PAGE >>> 8) & 0x3ff0)) >> 3] = BigInt(TLB_EMPTY);
    });
  }

  /** PSTATE.BTYPE; clears it. */
  takeBtype(): number {
    const btype = this.st.lo(Off.BTYPE);
    this.st.setLo(Off.BTYPE, 0);
    return btype;
  }

  /** Executes one word at `pc` (a multiple of 4 below 2^32) on the present state. False: no handler. */
  execute(insn: number, pc = 0x4000_0100): boolean {
    const row = decode(insn);
    const handler = row ? handlerOf(row, insn) : Special.UNDEFINED;
    if (handler < 0) return false;
    this.map(CODE, (pc & ~0xfff) >>> 0, PREDECODE_BASE);
    const at = (PREDECODE_BASE + (pc & 0xfff) * 2) >> 2;
    this.i32[at] = handler;
    this.i32[at + 1] = insn;
    this.st.pc = BigInt(pc);
    this.st.setLo(Off.BUDGET, 1);
    this.trapped = undefined;
    this.fault = undefined;
    if (this.engine === "interp" || !this.install([insn], (pc & 0xfff) >> 2, at)) {
      (this.exports.step as (pe: number) => number)(this.st.base);
      return true;
    }
    this.translations++;
    // Straight-line code looks at the budget no earlier than at the end of its page: here that is the next entry.
    const next = [this.i32[at + 2], this.i32[at + 3]] as [number, number];
    this.i32[at + 2] = Special.CROSS;
    (this.exports.run as (pe: number) => number)(this.st.base);
    [this.i32[at + 2], this.i32[at + 3]] = next;
    return true;
  }
  /** Regions are made as those of the hottest code are. */
  protected hot = true;
  /** How many executions were translated ones. */
  translations = 0;

  /** Translates the words at index `first` of the page and puts the translation into the entry at `at` (in words). */
  protected install(words: readonly number[], first: number, at: number): boolean {
    const key = `${first} ${words.join(" ")}`;
    // The host gives the code of a module back when nobody holds its functions.
    if (this.translated.size > 64) this.translated.clear();
    if (!this.translated.has(key)) this.translated.set(key, this.translate(words, first));
    const run = this.translated.get(key);
    if (!run) return false;
    const table = this.exports.table as WebAssembly.Table;
    if (table.length === handlerCount) table.grow(1);
    if (this.engine === "js") this.block = run as RegionFunction;
    table.set(handlerCount, this.engine === "js" ? this.exports.enterBlock : run);
    this.i32[PLAIN_HANDLERS >> 2] = this.i32[at] as number;
    this.i32[at] = handlerCount;
    return true;
  }
  /** Words of zeros around the code: UDF, which is nobody's to translate. */
  private translate(words: readonly number[], first: number): (() => number) | RegionFunction | undefined {
    const word = (index: number): number => words[index - first] ?? 0;
    const read = (index: number): Instruction =>
      verified(instructionAt(index, word(index), this.engine === "js" ? bareContext : regionContext));
    if (this.engine === "js") {
      const block = translateRegion(first, { at: read, describe: () => "" });
      return block && instantiate(this.runtime, [block.source])[0];
    }
    const page = (index: number) => (index >> 10 === 0 ? PREDECODE_BASE : undefined);
    const region = discover(first, { at: read, word, page, warm: () => true }, true);
    if (!region) return undefined;
    const pages = this.memory.buffer.byteLength / 65536;
    const bytes = regionModule([compileRegion(region, false, this.hot)], { min: pages, max: pages, shared: false });
    const e: Record<string, WebAssembly.ImportValue> = { m: this.memory };
    for (const [name] of jitImports) e[name] = this.exports[name] as WebAssembly.ImportValue;
    return new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), { e }).exports["0"] as () => number;
  }
}

const made = new Map<TestEngine, BareInterpreter>();
/** The one of an engine: they are costly to make. */
export function bare(engine: TestEngine): BareInterpreter {
  const existing = made.get(engine) ?? new BareInterpreter(engine);
  made.set(engine, existing);
  return existing;
}
