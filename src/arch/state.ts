// Typed access to one PE's state in linear memory (see layout.ts). No behaviour here: every reader and writer
// (executors, exceptions, MMU, GIC CPU interface, agents, snapshots) sees the same bytes.

import { Off, PE_BASE, PE_STRIDE } from "./layout.ts";
import { encodings, type RegName } from "./registers/encodings.ts";

/** Byte offset of each system register inside the PE block. */
export const slot = Object.fromEntries(encodings.map(([name], i) => [name, Off.SYSREGS + 8 * i])) as Record<RegName, number>;

/** Views and accessors on the state block of PE `index`. */
export class PeState {
  readonly index: number;
  /** Absolute byte offset of the block. */
  readonly base: number;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;
  readonly view: DataView;

  constructor(memory: WebAssembly.Memory, index: number) {
    this.index = index;
    this.base = PE_BASE + index * PE_STRIDE;
    this.u8 = new Uint8Array(memory.buffer);
    this.u32 = new Uint32Array(memory.buffer);
    this.u64 = new BigUint64Array(memory.buffer);
    this.view = new DataView(memory.buffer);
  }

  /** 64-bit value at a byte offset of the block: `Off.*`, or `slot.*` for a system register. */
  get(off: number): bigint {
    return this.u64[(this.base + off) >>> 3] as bigint;
  }
  set(off: number, value: bigint): void {
    this.u64[(this.base + off) >>> 3] = value;
  }
  /** Low or only 32 bits at a byte offset, unsigned. */
  lo(off: number): number {
    return this.u32[(this.base + off) >>> 2] as number;
  }
  /** High 32 bits of the 64-bit value at a byte offset, unsigned. */
  hi(off: number): number {
    return this.u32[(this.base + off + 4) >>> 2] as number;
  }
  setLo(off: number, value: number): void {
    this.u32[(this.base + off) >>> 2] = value;
  }
  setLoHi(off: number, lo: number, hi: number): void {
    this.u32[(this.base + off) >>> 2] = lo;
    this.u32[(this.base + off + 4) >>> 2] = hi;
  }
  /** One bit (0..63) of the 64-bit value at a byte offset. */
  bit(off: number, n: number): number {
    return n < 32 ? (this.lo(off) >>> n) & 1 : (this.hi(off) >>> (n - 32)) & 1;
  }

  /** General-purpose register Xn, 0..30; 31 reads zero. */
  x(n: number): bigint {
    const at = Off.X + 8 * n;
    // Calls have many arguments that are zero: a BigInt read from memory is an object of its own.
    return (this.lo(at) | this.hi(at)) === 0 ? 0n : this.get(at);
  }
  /** Writes Xn; n = 31 (XZR) discards. */
  setX(n: number, value: bigint): void {
    if (n !== 31) this.set(Off.X + 8 * n, value);
  }
  get sp(): bigint {
    return this.get(Off.X + 8 * 32);
  }
  set sp(value: bigint) {
    this.set(Off.X + 8 * 32, value);
  }
  get pc(): bigint {
    return this.get(Off.PC);
  }
  set pc(value: bigint) {
    this.set(Off.PC, value);
  }
  get el(): 0 | 1 | 2 | 3 {
    return this.lo(Off.EL) as 0 | 1 | 2 | 3;
  }

  /** NZCV as bits 31..28, from the canonical form. */
  get nzcv(): number {
    const n = this.hi(Off.NF) >>> 31;
    const z = this.lo(Off.ZF) === 0 && this.hi(Off.ZF) === 0 ? 1 : 0;
    const c = this.lo(Off.CF) & 1;
    const v = this.hi(Off.VF) >>> 31;
    return ((n << 31) | (z << 30) | (c << 29) | (v << 28)) >>> 0;
  }
  set nzcv(bits: number) {
    this.setLoHi(Off.NF, 0, bits & 0x8000_0000);
    this.setLoHi(Off.ZF, bits & 0x4000_0000 ? 0 : 1, 0);
    this.setLo(Off.CF, (bits >>> 29) & 1);
    this.setLoHi(Off.VF, 0, bits & 0x1000_0000 ? 0x8000_0000 : 0);
  }
}
