// Walks of Realm translation tables by the RMM, and the edits of tables that several commands share.

import { GranuleState, type Granules } from "./granules.ts";
import type { GuardedMemory } from "./memory.ts";
import type { Stage2 } from "./realm.ts";
import {
  assigned,
  assignedNs,
  entryAddress,
  hostBits,
  isAssigned,
  isLive,
  isUnassigned,
  Kind,
  kindOf,
  levelShift,
  levelSize,
  ripasOf,
  tableAt,
  UNASSIGNED_NS,
  unassigned,
} from "./rtt-entry.ts";
import { GRANULE, Ripas } from "./status.ts";

export const PAGE_LEVEL = 3;
/** Lowest level at which an entry may map a block. */
export const MIN_BLOCK_LEVEL = 1;
export const ENTRIES = 512;

/** Where a walk ended. */
export interface Walk {
  /** PA of the table that holds the entry, level of the entry, its index. */
  readonly table: number;
  readonly level: number;
  readonly index: number;
  readonly entry: bigint;
  readonly kind: Kind;
}

/** Start level and number of start-level tables of an IPA size: does the level fit, and how many tables does it take? */
export function startTables(ipaBits: number, level: number): number | undefined {
  if (level < 0 || level > PAGE_LEVEL) return undefined;
  const levels = PAGE_LEVEL - level;
  const min = 9 * levels + 13;
  const max = 9 * levels + 21 + (level > 0 ? 4 : 0);
  if (ipaBits < min || ipaBits > max) return undefined;
  return ipaBits <= 9 * levels + 21 ? 1 : 2 ** (ipaBits - (9 * levels + 21));
}

export class Rtt {
  private readonly memory: GuardedMemory;
  private readonly granules: Granules;

  constructor(memory: GuardedMemory, granules: Granules) {
    this.memory = memory;
    this.granules = granules;
  }

  /** Follows tables from the start level down to `level` or the first entry that is not a table. `ipa` is inside the IPA space. */
  walk(s2: Stage2, ipa: number, level: number): Walk {
    let index = Math.floor(ipa / levelSize(s2.startLevel));
    let table = s2.base + Math.floor(index / ENTRIES) * GRANULE;
    index %= ENTRIES;
    let l = s2.startLevel;
    for (let next = 0; l < level; l++) {
      next = this.tableIn(table, index);
      if (next < 0) break;
      table = next;
      index = Math.floor(ipa / levelSize(l + 1)) % ENTRIES;
    }
    const entry = this.read(table, index);
    return { table, level: l, index, entry, kind: kindOf(entry, l) };
  }

  /** The table that an entry above the level of pages leads to; -1: none. */
  private tableIn(table: number, index: number): number {
    const at = (this.memory.own(table) >>> 2) + 2 * index;
    return tableAt(this.memory.u32[at] as number, this.memory.u32[at + 1] as number);
  }
  read(table: number, index: number): bigint {
    return this.memory.phys.view.getBigUint64(this.memory.own(table) + 8 * index, true);
  }
  /** All entries of a table: a view of memory (the host is little-endian like the tables). */
  private entries(table: number): BigUint64Array {
    return new BigUint64Array(this.memory.phys.view.buffer, this.memory.own(table), ENTRIES);
  }
  write(table: number, index: number, entry: bigint): void {
    this.memory.putEntry(table, 8 * index, entry);
  }

  /** The end of what holds nothing from `ipa` on: `ipa` itself when its entry is live, else the next live entry or the table's end. */
  skipNonLive(w: Walk, ipa: number): number {
    const now = kindOf(this.read(w.table, w.index), w.level);
    if (isLive(now)) return ipa;
    const size = levelSize(w.level);
    const entries = this.entries(w.table);
    let i = w.index + 1;
    while (i < ENTRIES && !isLive(kindOf(entries[i] as bigint, w.level))) i++;
    return Math.floor(ipa / size) * size + (i - w.index) * size;
  }

  /** Fills the start-level tables: UNASSIGNED, EMPTY in the protected half, UNASSIGNED_NS above. */
  initStart(s2: Stage2): void {
    const total = 2 ** (s2.ipaBits - levelShift(s2.startLevel));
    for (let first = 0; first < total; first += ENTRIES) {
      const entries = this.memory.table(s2.base + (first / ENTRIES) * GRANULE);
      for (let i = 0; i < Math.min(ENTRIES, total - first); i++) {
        entries[i] = first + i < total / 2 ? unassigned(Ripas.EMPTY) : UNASSIGNED_NS;
      }
    }
  }

  /**
   * Fills the table at `table` (of `level`) so that it says what the parent's entry said ("unfolding"). Returns how many references
   * its entries hold. The parent's entry is not a table.
   */
  unfold(table: number, level: number, parent: bigint, kind: Kind): number {
    const ripas = ripasOf(kind);
    const block = isAssigned(kind) || kind === Kind.AssignedNs ? entryAddress(parent, level - 1, kind) : 0;
    const attributes = kind === Kind.AssignedNs ? hostBits(parent, level - 1) - BigInt(block) : 0n;
    const entries = this.memory.table(table);
    if (isUnassigned(kind)) entries.fill(unassigned(ripas as Ripas));
    else if (kind === Kind.UnassignedNs) entries.fill(UNASSIGNED_NS);
    else {
      for (let i = 0; i < ENTRIES; i++) {
        const pa = block + i * levelSize(level);
        entries[i] = kind === Kind.AssignedNs ? assignedNs(BigInt(pa) | attributes, level) : assigned(pa, ripas as Ripas, level);
      }
    }
    return isAssigned(kind) ? ENTRIES : 0;
  }

  /** What one entry of `level` - 1 would say in place of the table, or undefined when the table is not homogeneous. */
  folded(table: number, level: number): { kind: Kind; entry: bigint } | undefined {
    const entries = this.entries(table);
    const first = entries[0] as bigint;
    const kind = kindOf(first, level);
    if (kind === Kind.Table) return undefined;
    const mapped = isAssigned(kind) || kind === Kind.AssignedNs;
    const pa = mapped ? entryAddress(first, level, kind) : 0;
    if (mapped && pa % levelSize(level - 1) !== 0) return undefined;
    const step = mapped ? BigInt(levelSize(level)) : 0n;
    for (let i = 1; i < ENTRIES; i++) if (entries[i] !== first + BigInt(i) * step) return undefined;
    if (isAssigned(kind)) return { kind, entry: assigned(pa, ripasOf(kind) as Ripas, level - 1) };
    if (kind === Kind.AssignedNs) return { kind, entry: assignedNs(hostBits(first, level), level - 1) };
    return { kind, entry: first };
  }

  /** Gives a table granule back: wiped, DELEGATED. */
  free(table: number): void {
    this.memory.wipe(table);
    this.granules.transition(table, GranuleState.RTT, GranuleState.DELEGATED);
  }
}
