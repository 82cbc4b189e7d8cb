// Stage 2 tables that the host makes for its virtual machines: 4 KiB granule, memory mapped by blocks of 2 MiB.

import { startTables } from "../rmm/rtt.ts";
import { levelSize } from "../rmm/rtt-entry.ts";
import { GRANULE } from "../rmm/status.ts";
import { EmuError, hex } from "../util/errors.ts";
import type { HostMemory } from "./memory.ts";
import { startLevelOf } from "./realm.ts";

const BLOCK_LEVEL = 2;
export const BLOCK = 2 ** 21;
/** Block descriptor: AF, Inner Shareable, read-write, Normal Write-Back (with FWB). */
const BLOCK_ATTRIBUTES = 1n | (0b110n << 2n) | (3n << 6n) | (3n << 8n) | (1n << 10n);
const TABLE = 3n;

export class Stage2Tables {
  readonly startLevel: number;
  /** PA of the first start-level table. */
  readonly base: number;
  private readonly memory: HostMemory;
  /** Granules of all tables. */
  readonly granules: number[] = [];
  /** PAs of the tables of BLOCK_LEVEL, by the IPA at which they begin. */
  private readonly tables = new Map<number, number>();

  constructor(memory: HostMemory, ipaBits: number) {
    this.memory = memory;
    this.startLevel = startLevelOf(ipaBits);
    const count = startTables(ipaBits, this.startLevel);
    if (count === undefined || this.startLevel > BLOCK_LEVEL)
      throw new EmuError("vm-ipa-width", `no tables of this host fit IPAs of ${ipaBits} bits`);
    this.base = memory.takeAligned(count);
    for (let i = 0; i < count; i++) this.clear(this.base + i * GRANULE);
  }

  private clear(pa: number): void {
    this.granules.push(pa);
    if (!this.memory.write(pa, new Uint8Array(GRANULE)))
      throw new EmuError("host-memory-lost", `the host cannot write its table ${hex(pa)}`);
  }
  private put(table: number, index: number, descriptor: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, descriptor, true);
    this.memory.write(table + 8 * index, bytes);
  }

  /** Maps [ipa, ipa + size) to `pa`; all are multiples of 2 MiB. */
  map(ipa: number, pa: number, size: number): void {
    for (let at = 0; at < size; at += BLOCK) {
      const span = levelSize(BLOCK_LEVEL - 1);
      const first = this.startLevel === BLOCK_LEVEL ? 0 : Math.floor((ipa + at) / span) * span;
      const table = this.startLevel === BLOCK_LEVEL ? this.base : this.tableAt(first);
      this.put(table, (ipa + at - first) / BLOCK, BigInt(pa + at) | BLOCK_ATTRIBUTES);
    }
  }
  /** The table of BLOCK_LEVEL that begins at `ipa`, made with those above it. */
  private tableAt(ipa: number): number {
    const known = this.tables.get(ipa);
    if (known !== undefined) return known;
    let table = this.base;
    for (let level = this.startLevel; level < BLOCK_LEVEL; level++) {
      const size = levelSize(level);
      // Tables of the start level follow each other: the index in the first one may be beyond its end.
      const index = level === this.startLevel ? Math.floor(ipa / size) : Math.floor(ipa / size) % 512;
      table = this.below(table, index);
    }
    this.tables.set(ipa, table);
    return table;
  }
  private below(table: number, index: number): number {
    const bytes = this.memory.read(table + 8 * index, 8) as Uint8Array;
    const descriptor = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
    if (descriptor !== 0n) return Number(descriptor & 0xffff_ffff_f000n);
    const made = this.memory.take();
    this.clear(made);
    this.put(table, index, BigInt(made) | TABLE);
    return made;
  }
}
