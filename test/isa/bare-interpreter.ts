// Runs single instructions in the generated interpreter without a machine: code anywhere, one page of data memory.

import { BITMASKS, CRC_TABLES, Off, PREDECODE_BASE, RAM_POOL, TLB_EMPTY, TLB_TABLE_BYTES } from "../../src/arch/layout.ts";
import { PeState } from "../../src/arch/state.ts";
import type { CodePages } from "../../src/cpu/code-pages.ts";
import { bitmaskTable, crcTables } from "../../src/cpu/emit/tables.ts";
import { generateInterpreter } from "../../src/cpu/interp/generate.ts";
import { handlerOf, Special } from "../../src/cpu/interp/handlers.ts";
import type { Pe } from "../../src/cpu/pe.ts";
import { SlowPath } from "../../src/cpu/slow-path.ts";
import { helpers } from "../../src/isa/semantics/index.ts";
import { decode } from "../../src/isa/table.ts";
import type { PhysicalMemory } from "../../src/mem/physical.ts";
import { type Fault, FaultType } from "../../src/mmu/fault.ts";
import { DATA_PAGE } from "./oracle/program.ts";

/** L1 tables of the one PE: reads, writes, fetches, unprivileged reads and writes. */
const tables = [Off.TLB_R, Off.TLB_W, Off.TLB_X, Off.TLB_UR, Off.TLB_UW] as const;
const CODE = 2;

export class BareInterpreter {
  readonly st: PeState;
  /** The 4 KiB at DATA_PAGE. */
  readonly data: Uint8Array;
  private readonly i32: Int32Array;
  private readonly step: (pe: number) => number;
  /** Pe.system was called: operation and word. */
  trapped: { op: number; insn: number } | undefined;
  /** A data access faulted. */
  fault: Fault | undefined;

  constructor() {
    const pages = RAM_POOL / 65536 + 1;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.st = new PeState(memory, 0);
    this.i32 = new Int32Array(memory.buffer);
    this.data = new Uint8Array(memory.buffer, RAM_POOL, 4096);
    new BigUint64Array(memory.buffer).set(bitmaskTable(), BITMASKS >> 3);
    new Uint32Array(memory.buffer).set(crcTables(), CRC_TABLES >> 2);
    const unexpected = (name: string) => () => {
      throw new Error(`unexpected call of ${name}`);
    };
    const imports: Record<string, unknown> = { m: memory };
    for (const name of ["decode", "fetch", "landing", "probe", "hot", "block"]) imports[name] = unexpected(name);
    imports.systemJs = (_pe: number, op: number, insn: number) => {
      this.trapped = { op, insn };
      return 1;
    };
    imports.helper = (_pe: number, index: number, insn: number) => helpers[index]?.(this.st, insn);
    const slow = this.slowPath();
    imports.miss = (_pe: number, kind: number) => slow.path.access(slow.pe, kind);
    imports.commitJs = (_pe: number, kind: number) => slow.path.commit(slow.pe, kind);
    const module = new WebAssembly.Module(generateInterpreter({ min: 1, max: 65536, shared: false }) as BufferSource);
    this.step = new WebAssembly.Instance(module, { e: imports as WebAssembly.ModuleImports }).exports.step as (pe: number) => number;
    tables.forEach((off, i) => {
      const table = this.st.base + Off.TLBS + i * TLB_TABLE_BYTES;
      this.st.setLo(off, table);
      for (let at = table; at < table + TLB_TABLE_BYTES; at += 16) this.st.u64[at >> 3] = BigInt(TLB_EMPTY);
      if (i !== CODE) this.map(i, DATA_PAGE, RAM_POOL - DATA_PAGE);
    });
  }

  private map(table: number, page: number, addend: number): void {
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
      translate(lo: number, hi: number): boolean {
        this.pa = lo;
        return hi === 0 && lo >= DATA_PAGE && lo < DATA_PAGE + 4096;
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

  /** Forgets what the last instruction did: exclusive monitor, trap, fault. */
  reset(): void {
    this.st.setLo(Off.EXSIZE, 0);
    this.trapped = undefined;
    this.fault = undefined;
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
    this.step(this.st.base);
    return true;
  }
}
