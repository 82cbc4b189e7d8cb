// Looking into a machine: registers and memory, by their architectural names.

import { Off } from "../arch/layout.ts";
import type { RegName } from "../arch/registers/encodings.ts";
import { slot } from "../arch/state.ts";
import type { VirtMachine } from "../machine/virt.ts";
import { EmuError, hex, usageError } from "../util/errors.ts";

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
  /**
   * Value of a system register as the highest Exception level would read it. Throws EmuError for a name that the architecture
   * (no-such-register) or this CPU (register-absent) does not have, and for registers whose reading acts (register-read-acts).
   */
  sysreg(name: string): bigint;
}

/** Acknowledging an interrupt, drawing a random number. */
const READ_ACTS = /^(ICC_IAR|ICC_NMIAR|ICV_|RNDR)/;

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
      x: (n) => st.x(checkNumber("X", n)),
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
      v: (n) => st.u8.slice(st.base + Off.V + 16 * checkNumber("V", n), st.base + Off.V + 16 * n + 16),
      sysreg: (name) => {
        if (!Object.hasOwn(slot, name)) throw new EmuError("no-such-register", `there is no system register "${name}"`);
        if (READ_ACTS.test(name)) throw new EmuError("register-read-acts", `reading ${name} would change the machine`);
        return pe.readSys(name as RegName);
      },
    };
  }

  /** Copies guest physical memory. Throws EmuError when any of it is not RAM. */
  readMemory(pa: number, length: number): Uint8Array {
    this.checkRam(pa, length);
    return this.board.phys.readBytes(pa, length) as Uint8Array;
  }
  /** Writes guest physical memory. Throws EmuError, and writes nothing, when any of it is not RAM. */
  writeMemory(pa: number, data: Uint8Array): void {
    this.checkRam(pa, data.length);
    this.board.executor.memoryWritten(pa, data.length);
    this.board.phys.writeBytes(pa, data);
  }
  private checkRam(pa: number, length: number): void {
    const counts = Number.isSafeInteger(pa) && pa >= 0 && Number.isSafeInteger(length) && length >= 0;
    if (!counts) throw usageError("bad-range", `an address and a length are whole numbers, not ${pa} and ${length}`);
    const inside = this.board.phys.ramRegions.some((r) => pa >= r.base && pa + length <= r.base + r.size);
    if (!inside) throw new EmuError("not-ram", `${hex(pa)} to ${hex(pa + length)} is not RAM`);
  }
}

function checkNumber(kind: "X" | "V", n: number): number {
  if (Number.isInteger(n) && n >= 0 && n <= 31) return n;
  throw new EmuError("no-such-register", `there is no register ${kind}${n}`);
}
