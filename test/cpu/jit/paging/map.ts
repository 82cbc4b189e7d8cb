// Where everything is in the guest whose data is hardly ever all there (guest.ts), and instructions that its parts share.

// ---- offsets from a64.ORIGIN ------------------------------------------------------------------------------------------------------

export const VECTORS = 0x800;
export const TABLES = { l1: 0x1000, l2: 0x2000, l3: 0x3000 } as const;
/** What the handler keeps: scratch, where the next record goes, how many pages it has mapped, and the last of them. */
export const STATE = 0x4000;
export const State = { scratch: 0, next: 16, mapped: 24, ring: 64 } as const;
export const HANDLER = 0x5000;
/** Register states that loops begin with, 1 KiB each. */
export const STARTS = 0x6000;
/** Loops: a page, and one with a function that it calls. */
export const LOOPS = 0x4_0000;
export const LOOP_BYTES = 0x2000;
export const MAX_LOOPS = 56;

// ---- addresses --------------------------------------------------------------------------------------------------------------------

/** Data: virtual pages; physical ones, in another order. */
export const DATA_VA = 0x8000_0000;
export const DATA = 0x4100_0000;
export const DATA_PAGES = 64;
/** The 64 KiB that pointers are brought back to at each round; accesses reach the data before and behind it. */
export const POINTERS_VA = DATA_VA + 0x1_0000;

/** Records of exceptions. */
export const LOG = 0x4180_0000;
export const LOG_END = 0x4400_0000;
export const MEMORY = LOG_END - 0x4000_0000;
export const RECORD = 1024;
/** A record: offsets in bytes. */
export const Field = { X: 0, SP: 248, ELR: 256, SPSR: 264, ESR: 272, FAR: 280, FPSR: 288, V: 512 } as const;

// ---- instructions that a64.ts has not ---------------------------------------------------------------------------------------------

const register =
  (opcode: number) =>
  (d: number, n: number, m: number, shift = 0) =>
    (opcode | (m << 16) | (shift << 10) | (n << 5) | d) >>> 0;
export const addShifted = register(0x8b00_0000);
export const subShifted = register(0xcb00_0000);
export const orrShifted = register(0xaa00_0000);
export const bic = register(0x8a20_0000);
const pair =
  (opcode: number, scale: number) =>
  (t: number, t2: number, n: number, offset = 0): number =>
    (opcode | (((offset >> scale) & 0x7f) << 15) | (t2 << 10) | (n << 5) | t) >>> 0;
export const stp = pair(0xa900_0000, 3);
export const ldp = pair(0xa940_0000, 3);
export const stpPre = pair(0xa980_0000, 3);
export const ldpPost = pair(0xa8c0_0000, 3);
export const stpQ = pair(0xad00_0000, 4);
export const ldpQ = pair(0xad40_0000, 4);
/** `width` bits from bit `low` on. */
export const ubfx = (d: number, n: number, low: number, width: number): number =>
  (0xd340_0000 | (low << 16) | ((low + width - 1) << 10) | (n << 5) | d) >>> 0;
export const cmpImm = (n: number, imm: number): number => (0xf100_0000 | (imm << 10) | (n << 5) | 31) >>> 0;
export const bCond = (cond: number, offset: number): number => (0x5400_0000 | ((offset & 0x7_ffff) << 5) | cond) >>> 0;
export const Cond = { EQ: 0, NE: 1, HI: 8 } as const;
export const bl = (offset: number): number => (0x9400_0000 | (offset & 0x3ff_ffff)) >>> 0;
export const RET = 0xd65f_03c0;
export const DSB = 0xd503_3f9f;
export const TLBI_VAAE1 = (t: number): number => (0xd508_8760 | t) >>> 0;
export const msrFpcr = (t: number): number => (0xd51b_4400 | t) >>> 0;
export const msrFpsr = (t: number): number => (0xd51b_4420 | t) >>> 0;
export const mrsFpsr = (t: number): number => (0xd53b_4420 | t) >>> 0;
export const msrNzcv = (t: number): number => (0xd51b_4200 | t) >>> 0;

/** Words with labels. */
export class Assembler {
  private readonly words: (number | ((at: number) => number))[] = [];
  private readonly labels = new Map<string, number>();
  add(...words: readonly number[]): this {
    this.words.push(...words);
    return this;
  }
  label(name: string): this {
    this.labels.set(name, this.words.length);
    return this;
  }
  /** An instruction that `make` makes of the distance to the label, in words. */
  to(name: string, make: (offset: number) => number): this {
    this.words.push((at) => make((this.labels.get(name) as number) - at));
    return this;
  }
  done(): number[] {
    return this.words.map((w, at) => (typeof w === "number" ? w : w(at)) >>> 0);
  }
}
