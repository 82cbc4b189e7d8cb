// GICv3 as this machine implements it: INTID space, groups, priority geometry, identification values (IHI 0069).

/** First INTID of each kind. SGI 0-15, PPI 16-31, SPI 32-1019; 1020-1023 are special, LPIs start at 8192. */
export const PPI_BASE = 16;
export const SPI_BASE = 32;
export const SPECIAL_BASE = 1020;
export const LPI_BASE = 8192;

/** What an acknowledge returns besides an INTID. */
export const Special = { SecureGroup1: 1020, NonSecureGroup1: 1021, None: 1023 } as const;

/** Interrupt groups. With GICD_CTLR.DS = 1 there are G0 and G1NS only. */
export const Group = { G0: 0, G1S: 1, G1NS: 2 } as const;
export type Group = (typeof Group)[keyof typeof Group];
/** Set of groups: bit n = group n. */
export const bitOf = (group: Group): number => 1 << group;

/** PPI of the maintenance interrupt, level-sensitive (BSA). */
export const MAINTENANCE_PPI = 25;

/** Implemented priority bits, physical and virtual; all of them are preemption bits. */
export const PRIORITY_BITS = 5;
/** Priority bits that are kept; the low ones are RES0. */
export const PRIORITY_MASK = (0xff << (8 - PRIORITY_BITS)) & 0xff;
/** A group priority is bit (priority >> AP_SHIFT) of an active priorities register. */
export const AP_SHIFT = 8 - PRIORITY_BITS;
export const IDLE_PRIORITY = 0xff;
/** Least binary points: BPR0 and the Secure BPR1; the Non-secure BPR1 is one more. */
export const MIN_BPR = 7 - PRIORITY_BITS;
export const MIN_BPR_NS = MIN_BPR + 1;

/** List registers per PE. */
export const LIST_REGISTERS = 4;

/** 24-bit INTIDs (1) in ICC_CTLR and ICH_VTR, affinity 3 valid. */
const ID_BITS = 1;
/** Read-only fields of ICC_CTLR_EL1, ICV_CTLR_EL1 and ICC_CTLR_EL3: PRIbits, IDbits, A3V. */
export const CTLR_FIXED = ((PRIORITY_BITS - 1) << 8) | (ID_BITS << 11) | (1 << 15);
/** ICH_VTR_EL2: ListRegs, TDS, nV4, A3V, IDbits, PREbits, PRIbits. */
export const VTR =
  ((LIST_REGISTERS - 1) |
    (1 << 19) |
    (1 << 20) |
    (1 << 21) |
    (ID_BITS << 23) |
    ((PRIORITY_BITS - 1) << 26) |
    ((PRIORITY_BITS - 1) << 29)) >>>
  0;

/** GICD_IIDR and GICR_IIDR: implementer Arm, product 0 (no driver applies a product quirk to it). */
export const IIDR = 0x43b;
/** Bits of GICD_TYPER.IDbits (INTID bits minus one). */
export const TYPER_ID_BITS = 15;

/** The identification registers at 0xFFD0..0xFFFC; `part` is PIDR0. PIDR2.ArchRev = 3: GICv3. */
export function identification(offset: number, part: number): number {
  const bytes = [0x44, 0, 0, 0, part, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1];
  return bytes[(offset - ID_REGISTERS) >> 2] ?? 0;
}
/** Offset of PIDR4, the first identification register, in every 64 KiB frame that has them. */
export const ID_REGISTERS = 0xffd0;

/** The first clear-to-set scan of a nonzero word: index of its lowest set bit. */
export const lowestBit = (word: number): number => 31 - Math.clz32(word & -word);
