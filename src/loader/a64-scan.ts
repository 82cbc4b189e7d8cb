// What an A64 program says about itself without being run: the addresses that it mentions, the tables that describe its memory, the system
// registers that it writes, the text in it.

/** A range of physical memory that a program maps. */
export interface MappedRange {
  readonly base: number;
  readonly size: number;
  /** Device memory, by the attributes of the entry. */
  readonly device: boolean;
}

/** Bytes that are looked at: firmware stages are small, what follows in a large file is data. */
const LIMIT = 8 * 2 ** 20;

const head = (data: Uint8Array): Uint8Array => data.subarray(0, Math.min(data.length, LIMIT) & ~7);
const viewOf = (data: Uint8Array): DataView => new DataView(data.buffer, data.byteOffset, data.length);

/** Bits 28:25 of instructions: 0, 1 and 3 are reserved or unallocated (0 is SME's too). */
const RESERVED = new Set([0, 1, 3]);

/** A program's own code begins within this much. */
const CODE_WINDOW = 2 ** 18;

/** Does this look like A64 code from its first bytes on? Zero words are padding. */
export function looksLikeA64(data: Uint8Array): boolean {
  const view = viewOf(data);
  let [words, reserved] = [0, 0];
  for (let at = 0; at + 4 <= Math.min(data.length, CODE_WINDOW); at += 4) {
    const word = view.getUint32(at, true);
    if (word === 0 || word === 0xffff_ffff) continue;
    words++;
    if (RESERVED.has((word >>> 25) & 15)) reserved++;
  }
  return words > 0 && reserved <= words / 4;
}

/** Is it A32 code: a branch and seven loads of the program counter, the vectors that 32-bit boot code begins with? */
export function looksLikeA32(data: Uint8Array): boolean {
  if (data.length < 32) return false;
  const view = viewOf(data);
  const words = Array.from({ length: 8 }, (_, i) => view.getUint32(4 * i, true));
  return words.every((w, i) => w >>> 24 === 0xea || (i > 0 && (w & 0xffff_f000) >>> 0 === 0xe59f_f000));
}

/**
 * Addresses in a program: constants that MOVZ and MOVK make, literals, pointers in data; numbers below 64 KiB are no addresses. Sorted
 * neither by place nor by value.
 */
export function addressesIn(program: Uint8Array): Set<number> {
  const data = head(program);
  const view = viewOf(data);
  const out = new Set<number>();
  const add = (v: number): void => {
    if (v >= 0x1_0000 && v < 2 ** 48) out.add(v);
  };
  const registers = new Map<number, number>();
  for (let at = 0; at + 4 <= data.length; at += 4) {
    const word = view.getUint32(at, true);
    const [d, imm, shift] = [word & 31, (word >>> 5) & 0xffff, 2 ** (16 * ((word >>> 21) & 3))];
    // MOVZ and MOVK, 32 or 64 bits
    if ((word & 0x7f80_0000) === 0x5280_0000) registers.set(d, imm * shift);
    else if ((word & 0x7f80_0000) === 0x7280_0000 && registers.has(d)) registers.set(d, (registers.get(d) as number) + imm * shift);
    else continue;
    add(registers.get(d) as number);
  }
  for (let at = 0; at + 8 <= data.length; at += 8) {
    const value = view.getBigUint64(at, true);
    if (value < 2n ** 48n && value % 4096n === 0n) add(Number(value));
  }
  return out;
}

/** MT_TYPE of TF-A's mapping attributes: 0 is device memory. */
const TYPE_MASK = 7;
const REGION = 40;

/**
 * Entries of TF-A's table of mapped regions (mmap_region_t: physical base, virtual base, size, attributes, granularity), which every
 * stage has for the memory and devices of its platform. Found by their form.
 */
export function mappedRanges(program: Uint8Array): MappedRange[] {
  const data = head(program);
  const view = viewOf(data);
  const out: MappedRange[] = [];
  const word = (at: number): number => Number(view.getBigUint64(at, true));
  const page = (v: number): boolean => v % 4096 === 0;
  for (let at = 0; at + REGION <= data.length; at += 8) {
    const [base, size, granularity] = [word(at), word(at + 16), word(at + 32)];
    if (size === 0 || !page(base) || !page(size) || base >= 2 ** 48 || size >= 2 ** 44 || word(at + 8) !== base) continue;
    if (granularity < 4096 || granularity > 2 ** 48 || 2 ** Math.round(Math.log2(granularity)) !== granularity) continue;
    const attributes = view.getUint32(at + 24, true);
    if (attributes === 0 || attributes >= 0x400 || view.getUint32(at + 28, true) !== 0) continue;
    out.push({ base, size, device: (attributes & TYPE_MASK) === 0 });
  }
  return out;
}

/** MSR GPCCR_EL3, Xt: only firmware for RME writes it. */
const MSR_GPCCR = 0xd51e_21c0;

/** Does the program switch granule protection checks on? */
export function writesGpccr(program: Uint8Array): boolean {
  const data = head(program);
  const view = viewOf(data);
  for (let at = 0; at + 4 <= data.length; at += 4) if ((view.getUint32(at, true) & 0xffff_ffe0) >>> 0 === MSR_GPCCR) return true;
  return false;
}

/** ASCII text in a program, as one string; what is between pieces of text is a line feed. */
export function textIn(program: Uint8Array, limit = LIMIT): string {
  const out: string[] = [];
  let from = -1;
  const end = Math.min(program.length, limit);
  for (let at = 0; at <= end; at++) {
    const b = at < end ? (program[at] as number) : 0;
    if (b >= 0x20 && b < 0x7f) {
      if (from < 0) from = at;
      continue;
    }
    if (from >= 0 && at - from >= 4) out.push(latin1(program.subarray(from, at)));
    from = -1;
  }
  return out.join("\n");
}
/** The same for UTF-16 text, which EFI programs have. */
export function wideTextIn(program: Uint8Array, limit = LIMIT): string {
  const out: string[] = [];
  let text = "";
  for (let at = 0; at + 2 <= Math.min(program.length, limit); at += 2) {
    const [lo, hi] = [program[at] as number, program[at + 1] as number];
    if (hi === 0 && lo >= 0x20 && lo < 0x7f) text += String.fromCharCode(lo);
    else {
      if (text.length >= 4) out.push(text);
      text = "";
    }
  }
  return out.join("\n");
}
const latin1 = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes);
