// Where guest-visible state lives in the one WebAssembly.Memory. All offsets in bytes.
//
//   0x0000_0000  constants (logical immediates, CRC tables)
//   0x0010_0000  PE blocks, PE_STRIDE each: registers, system registers, TLBs
//   0x0200_0000  predecoded code pages
//   0x0A00_0000  RAM pool: chunks of guest memory, allocated when first touched
//
// Offsets in `Off` are relative to the start of a PE's block.

export const MAX_PES = 8;
/** Table of decoded logical immediates, 8 bytes each, indexed N:immr:imms. */
export const BITMASKS = 0x1_0000;
/** CRC32 (IEEE) and CRC32C tables, 256 words each. */
export const CRC_TABLES = 0x2_0000;
/** A TLB table without entries. */
export const EMPTY_TLB = 0x3_0000;
/** How often branches led to a predecoded entry: 32-bit counters, shared by entries that are 64 pages apart. See cpu/jit. */
export const VISITS = 0x4_0000;
export const VISITS_MASK = 0x3_fffc;
/** Count at which an entry is worth translating; 0: never. */
export const VISITS_LIMIT = 0x3_8000;
/** Handlers that translated entries had before, 32 bits each. */
export const PLAIN_HANDLERS = 0x8_0000;
export const PE_BASE = 0x10_0000;
export const PE_STRIDE = 0x20_0000;
export const PREDECODE_BASE = 0x200_0000;
export const RAM_POOL = 0xa00_0000;

export const Off = {
  /** X0..X30, slot 31 always reads zero, slot 32 is the current SP. 8 bytes each. */
  X: 0x0,
  /** Flags in canonical form: N = sign bit of NF, Z = (ZF == 0), C = CF (0/1, 32 bits), V = sign bit of VF. */
  NF: 0x110,
  ZF: 0x118,
  CF: 0x120,
  VF: 0x128,
  /** PC: address of the next instruction to execute; while a system helper runs, of the current one. */
  PC: 0x130,
  /** PC = PCBASE + (ip >> 1) while code runs from a predecoded page. */
  PCBASE: 0x138,
  /** Predecoded page being executed (absolute offset). */
  CURPRE: 0x140,
  /** Predecoded entry at which the last exit happened. */
  IP: 0x144,
  /** Remaining instructions + (ip >> 3); see cpu/run.ts. */
  BUDGET: 0x148,
  /** Faulting or requested virtual address of the slow path. */
  VA: 0x150,
  /** Buffer between generated code and the slow path: up to 64 bytes of data. */
  VAL: 0x160,
  /** PSTATE fields, one 32-bit word each. */
  EL: 0x1a0,
  SPSEL: 0x1a4,
  /** D A I F in bits 3..0 (as DAIF[9:6]). */
  DAIF: 0x1a8,
  PAN: 0x1ac,
  UAO: 0x1b0,
  DIT: 0x1b4,
  SSBS: 0x1b8,
  BTYPE: 0x1bc,
  IL: 0x1c0,
  SS: 0x1c4,
  TCO: 0x1c8,
  ALLINT: 0x1cc,
  /** Interrupt lines into the PE: bits of `Line`. */
  LINES: 0x1d0,
  /** WFE event register. */
  EVENT: 0x1d4,
  /** 1 while the PE waits (WFI/WFE), 2 while it is powered off. */
  HALT: 0x1d8,
  /** Local exclusive monitor: 0 open, else the size in bytes; and the reserved address as an offset in this memory. */
  EXSIZE: 0x1dc,
  EXADDR: 0x1e0,
  /** Current L1 TLB tables (absolute offsets): reads, writes, fetches, unprivileged reads and writes. */
  TLB_R: 0x1e4,
  TLB_W: 0x1e8,
  TLB_X: 0x1ec,
  TLB_UR: 0x1f0,
  TLB_UW: 0x1f4,
  /** Bits of `Align`; nonzero: misaligned data accesses take the slow path even when the L1 TLB has the page. */
  ALIGN: 0x1f8,
  /** Number of this PE, 0..MAX_PES-1. */
  INDEX: 0x1fc,
  /** V0..V31, 16 bytes each. */
  V: 0x200,
  FPCR: 0x400,
  FPSR: 0x404,
  /** 0 when FP/SIMD instructions are allowed at the current EL, else nonzero: the slow path decides who traps. */
  FPTRAP: 0x408,
  /** 15 (the bits of SP that must be zero) when SP alignment checking applies at the current EL, else 0. */
  SPALIGN: 0x40c,
  /** Retired instructions, 64 bits, up to the start of the current slice. */
  ICOUNT: 0x410,
  /** Pointer authentication at the current EL: bits 0..3 = IA, IB, DA, DB enabled; bit 4 = the instruction must take the slow path (trap). */
  PAUTH: 0x418,
  /** Bits of a virtual address that hold a PAC, for addresses with bit 55 = 0 and 1. 64 bits each. */
  PACMASK0: 0x420,
  PACMASK1: 0x428,
  /** 1 when DC ZVA may execute at the current EL without a trap, and memory is not all Device memory. */
  ZVA: 0x430,
  /** Flags of the fetch TLB entry of the current page: bit 0 = guarded page (GP). */
  GUARDED: 0x434,
  /** Instructions that are kept from BUDGET while a region runs near the end of a slice: `remaining` is both together. */
  RESERVE: 0x438,
  /** Not 0: the next ISB has instructions fetched anew, since the context has changed. */
  RESYNC: 0x43c,
  /** 1 when cache maintenance by address (DC IVAC, CVAC, CVAU, CIVAC, IC IVAU) may execute at the current EL without a trap; EL0 is not told. */
  CMO_VA: 0x440,
  /** System registers, 8 bytes each, in the order of registers/encodings.ts (see slot). */
  SYSREGS: 0x1000,
  /** For each Exception level: which storage slot MRS and MSR reach directly; see cpu/sysreg-map.ts. */
  SRMAP: 0x4000,
  /** L1 TLB tables. */
  TLBS: 0x1_0000,
} as const;

/** Bits of Off.ALIGN: SCTLR_ELx.A applies at the current EL; all data accesses are to Device memory, since nothing translates. */
export const Align = { CHECKED: 1, DEVICE: 2 } as const;

/** Interrupt lines into a PE, as bits of Off.LINES. */
export const Line = { IRQ: 1, FIQ: 2, VIRQ: 4, VFIQ: 8, SERROR: 16, VSERROR: 32, NMI: 64 } as const;

/** L1 TLB geometry. An entry is 16 bytes: tag (virtual page, 64 bits), addend (32), flags (32: see TlbFlag). Tables are aligned to their size. */
export const TLB_ENTRIES = 1024;
export const TLB_TABLE_BYTES = TLB_ENTRIES * 16;
/**
 * A page has two places: the entry that bits 21:12 name, where generated code looks, and one by a hash of the page number without the tag
 * byte, where it stands once another page has taken the first (mmu/l1.ts, cpu/interp/tlb-miss.ts). `lo`, `hi`: its address.
 */
export const firstPlace = (lo: number): number => (lo >>> 12) & (TLB_ENTRIES - 1);
export const secondPlace = (lo: number, hi: number): number =>
  Math.imul((lo >>> 12) ^ Math.imul(hi & PLACE_MASK, PLACE_HI), PLACE_LO) >>> PLACE_SHIFT;
/** Of the hash: bits of `hi` that count, odd factors without a pattern, and what leaves an index. */
export const [PLACE_MASK, PLACE_HI, PLACE_LO, PLACE_SHIFT] = [0xff_ffff, 0x9e37_79b1 | 0, 0x85eb_ca6b | 0, 22] as const;
/** Fetch tables: the page is guarded (GP). All: the translation is not global. */
export const TlbFlag = { GUARDED: 1, NOT_GLOBAL: 2 } as const;
/** Tag of an empty entry: no page address has low bits set. */
export const TLB_EMPTY = 1;
