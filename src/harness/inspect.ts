// Looking into a machine: registers and memory, by their architectural names.

import { Off } from "../arch/layout.ts";
import type { RegName } from "../arch/registers/encodings.ts";
import { slot } from "../arch/state.ts";
import type { VirtMachine } from "../machine/virt.ts";
import { EmuError, hex } from "../util/errors.ts";

/** Registers of one PE. */
export interface PeView {
  /** Xn, 0..30; 31 reads zero. */
  x(n: number): bigint;
  readonly pc: bigint;
  readonly sp: bigint;
  /** Exception level, 0..3. */
  readonly el: number;
  /** NZCV in bits 31..28. */
  readonly nzcv: number;
  /** V register n, 16 bytes, lowest lane first. */
  v(n: number): Uint8Array;
  /** Stored value of a system register. Throws EmuError for an unknown name. */
  sysreg(name: string): bigint;
}

export class Inspector {
  /** The board; its parts are not a stable API. */
  readonly board: VirtMachine;

  constructor(board: VirtMachine) {
    this.board = board;
  }

  /** A view of PE `index` (default 0). */
  pe(index = 0): PeView {
    const pe = this.board.pes[index];
    if (!pe) throw new EmuError("no-such-pe", `there is no PE ${index}; this machine has ${this.board.pes.length}`);
    const { st } = pe;
    return {
      x: (n) => st.x(n),
      get pc() {
        return st.pc;
      },
      get sp() {
        return st.sp;
      },
      get el() {
        return st.el;
      },
      get nzcv() {
        return st.nzcv;
      },
      v: (n) => st.u8.slice(st.base + Off.V + 16 * n, st.base + Off.V + 16 * n + 16),
      sysreg: (name) => {
        const at = slot[name as RegName];
        if (at === undefined) throw new EmuError("no-such-register", `there is no system register "${name}"`);
        return st.get(at);
      },
    };
  }

  /** Copies guest physical memory. Throws EmuError when it is not RAM. */
  readMemory(pa: number, length: number): Uint8Array {
    const data = this.board.phys.readBytes(pa, length);
    if (!data) throw new EmuError("not-ram", `${hex(pa)} to ${hex(pa + length)} is not RAM`);
    return data;
  }
  /** Writes guest physical memory. Throws EmuError when it is not RAM. */
  writeMemory(pa: number, data: Uint8Array): void {
    this.board.executor.memoryWritten(pa, data.length);
    if (!this.board.phys.writeBytes(pa, data)) throw new EmuError("not-ram", `${hex(pa)} to ${hex(pa + data.length)} is not RAM`);
  }
}
