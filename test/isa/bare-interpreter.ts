// Runs single instructions in the generated interpreter without a machine: one page of code, no data memory.

import { BITMASKS, CRC_TABLES, Off, PREDECODE_BASE, RAM_POOL } from "../../src/arch/layout.ts";
import { PeState } from "../../src/arch/state.ts";
import { bitmaskTable, crcTables } from "../../src/cpu/emit/tables.ts";
import { generateInterpreter } from "../../src/cpu/interp/generate.ts";
import { handlerOf, Special } from "../../src/cpu/interp/handlers.ts";
import { helpers } from "../../src/isa/semantics/index.ts";
import { decode } from "../../src/isa/table.ts";

export class BareInterpreter {
  readonly st: PeState;
  private readonly i32: Int32Array;
  private readonly step: (pe: number) => number;
  /** Pe.system was called: operation and word. */
  trapped: { op: number; insn: number } | undefined;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: RAM_POOL / 65536, maximum: RAM_POOL / 65536 });
    this.st = new PeState(memory, 0);
    this.i32 = new Int32Array(memory.buffer);
    new BigUint64Array(memory.buffer).set(bitmaskTable(), BITMASKS >> 3);
    new Uint32Array(memory.buffer).set(crcTables(), CRC_TABLES >> 2);
    const unexpected = (name: string) => () => {
      throw new Error(`unexpected call of ${name}`);
    };
    const imports: Record<string, unknown> = { m: memory };
    for (const name of ["miss", "commitJs", "decode", "fetch", "landing"]) imports[name] = unexpected(name);
    imports.systemJs = (_pe: number, op: number, insn: number) => {
      this.trapped = { op, insn };
      return 1;
    };
    imports.helper = (_pe: number, index: number, insn: number) => helpers[index]?.(this.st, insn);
    const module = new WebAssembly.Module(generateInterpreter({ min: 1, max: 65536, shared: false }) as BufferSource);
    this.step = new WebAssembly.Instance(module, { e: imports as WebAssembly.ModuleImports }).exports.step as (pe: number) => number;
    // One fetch entry: virtual page 0x40000000 is the predecoded page.
    const { st } = this;
    const table = st.base + Off.TLBS;
    st.setLo(Off.TLB_X, table);
    const entry = table + ((0x40000000 >>> 8) & 0x3ff0);
    st.u64[entry >> 3] = 0x40000000n;
    st.u32[(entry + 8) >> 2] = PREDECODE_BASE;
    st.u32[(entry + 12) >> 2] = 0;
  }

  /** Executes one word at `pc` (within the code page) on the present registers. False: no handler. */
  execute(insn: number, offset = 0x100): boolean {
    const row = decode(insn);
    const handler = row ? handlerOf(row, insn) : Special.UNDEFINED;
    if (handler < 0) return false;
    const at = (PREDECODE_BASE + offset * 2) >> 2;
    this.i32[at] = handler;
    this.i32[at + 1] = insn;
    this.st.pc = BigInt(0x40000000 + offset);
    this.st.setLo(Off.BUDGET, 1);
    this.trapped = undefined;
    this.step(this.st.base);
    return true;
  }
}
