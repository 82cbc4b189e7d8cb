// Entries of granule protection tables, decoded for people: what an entry says, or what is wrong with it in words (Arm ARM D9.4). The
// check itself (check.ts) decides by the same rules on 32-bit halves, and says less.

import { contigSizes, EntryKind, type GptConfig } from "./format.ts";

export interface Malformed {
  readonly kind: "malformed";
  readonly wrong: string;
}

/** A level 0 entry. `table`: address of the level 1 table, which may be above the protected space. */
export type Level0Entry = { readonly kind: "block"; readonly gpi: number } | { readonly kind: "table"; readonly table: number } | Malformed;

/** A level 1 entry. `size`: log2 of the block that it is a part of; `gpis`: by granule, 16 of them. */
export type Level1Entry =
  | { readonly kind: "contiguous"; readonly gpi: number; readonly size: number }
  | { readonly kind: "granules"; readonly gpis: readonly number[] }
  | Malformed;

/** `width` bits of a 64-bit value from bit `first` on. */
export const bits = (v: bigint, first: number, width: number): number => Number((v >> BigInt(first)) & ((1n << BigInt(width)) - 1n));
const hex = (v: number): string => `0x${v.toString(16)}`;
const isValid = (c: GptConfig, gpi: number): boolean => ((c.validGpis >> gpi) & 1) === 1;
const malformed = (wrong: string): Malformed => ({ kind: "malformed", wrong });

/** log2 of the size of a level 1 table in bytes, to which it is aligned as far as that is more than 4 KiB. */
export const tableSize = (c: GptConfig): number => c.l0 - c.granule - 1;

export function decodeLevel0(c: GptConfig, v: bigint): Level0Entry {
  const kind = bits(v, 0, 4);
  if (kind === EntryKind.Block) {
    const gpi = bits(v, 4, 4);
    if (!isValid(c, gpi)) return malformed(`reserved GPI ${hex(gpi)} in bits 7:4 of the block entry`);
    return v >> 8n === 0n ? { kind: "block", gpi } : malformed("bits 63:8 of the block entry are not 0");
  }
  if (kind !== EntryKind.Table) return malformed(`bits 3:0 are ${hex(kind)}: a level 0 entry is a block (0x1) or a table (0x3)`);
  if (bits(v, 4, 8) !== 0) return malformed("bits 11:4 of the table entry are not 0");
  if (v >> 52n !== 0n) return malformed("bits 63:52 of the table entry are not 0");
  const align = tableSize(c);
  if (align > 12 && bits(v, 12, align - 12) !== 0)
    return malformed(`bits ${align - 1}:12 of the table entry are not 0: a level 1 table of ${sizeName(align)} is aligned to its size`);
  return { kind: "table", table: Number(v & ~0xfffn) };
}

export function decodeLevel1(c: GptConfig, v: bigint): Level1Entry {
  if (bits(v, 0, 4) === EntryKind.Contiguous) {
    const gpi = bits(v, 4, 4);
    const size = contigSizes[bits(v, 8, 2)] as number;
    if (size === 0) return malformed("reserved Contig 0b00 in bits 9:8 of the contiguous entry");
    if (!isValid(c, gpi)) return malformed(`reserved GPI ${hex(gpi)} in bits 7:4 of the contiguous entry`);
    return v >> 10n === 0n ? { kind: "contiguous", gpi, size } : malformed("bits 63:10 of the contiguous entry are not 0");
  }
  const gpis = Array.from({ length: 16 }, (_, i) => bits(v, 4 * i, 4));
  const wrong = gpis.findIndex((g) => !isValid(c, g));
  if (wrong < 0) return { kind: "granules", gpis };
  return malformed(`reserved GPI ${hex(gpis[wrong] as number)} in bits ${4 * wrong + 3}:${4 * wrong}, granule ${wrong} of the entry`);
}

/** "4 KiB", "1 GiB" for a log2. */
export function sizeName(log2: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
  return `${2 ** (log2 % 10)} ${units[Math.floor(log2 / 10)]}`;
}
