// Physical memory as the RMM reaches it: granule by granule, each through the granule protection check of the PE it runs on.

import { type Pas, Security } from "../arch/security.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import type { GranuleCheck } from "../mmu/table.ts";
import { EmuError, hex } from "../util/errors.ts";
import { GRANULE } from "./status.ts";
import { type Struct, StructView } from "./struct.ts";

/** The check of the PE on which the RMM runs at the moment; undefined: no granule protection. */
export type CheckSource = () => GranuleCheck | undefined;

export class GuardedMemory {
  readonly phys: PhysicalMemory;
  /** All memory as words. */
  readonly u32: Uint32Array;
  private readonly copy = new Uint8Array(GRANULE);
  private readonly checks: CheckSource;
  private readonly written: (pa: number, bytes: number) => void;

  /** `written`: told before memory changes (predecoded code, exclusive monitors). */
  constructor(phys: PhysicalMemory, checks: CheckSource, written: (pa: number, bytes: number) => void) {
    this.phys = phys;
    this.u32 = new Uint32Array(phys.memory.buffer);
    this.checks = checks;
    this.written = written;
  }

  /** Offset in linear memory of the granule at `pa`; 0: a granule protection fault or no RAM. */
  private host(pa: number, pas: Pas): number {
    return this.permitted(pa, pas) ? this.phys.hostIn(pa, pas) : 0;
  }
  private permitted(pa: number, pas: Pas): boolean {
    const check = this.checks();
    if (check === undefined) return true;
    return (check.checkOften === undefined ? check.check(pa, pas, Security.Realm) : check.checkOften(pa, pas, Security.Realm)) === 0;
  }

  /** Copies `length` bytes out of one granule of Non-secure memory; undefined when the access faults. The copy is good until the next one. */
  readNonSecure(pa: number, length: number): Uint8Array | undefined {
    const to = this.copy.subarray(0, length);
    return this.readNonSecureInto(pa, to) ? to : undefined;
  }
  /** Copies the start of one granule of Non-secure memory; false when the access faults. */
  readNonSecureInto(pa: number, to: Uint8Array): boolean {
    const at = this.host(pa, Security.NonSecure);
    if (at !== 0) to.set(this.phys.u8.subarray(at, at + to.length));
    return at !== 0;
  }
  /** Copies into one granule of Non-secure memory, from `offset` on; false when the access faults. */
  writeNonSecure(pa: number, offset: number, data: Uint8Array): boolean {
    const at = this.host(pa, Security.NonSecure);
    if (at === 0) return false;
    this.written(pa + offset, data.length);
    this.phys.u8.set(data, at + offset);
    return true;
  }

  /** Offset in linear memory of a granule of Realm memory that the RMM owns. It is always there unless EL3 broke its promise. */
  own(pa: number): number {
    const at = this.host(pa, Security.Realm);
    if (at === 0) throw new EmuError("rmm-granule-lost", `the RMM cannot reach its granule ${hex(pa)}: it is not in the Realm PA space`);
    return at;
  }
  /** A structure at the start of a granule of the RMM's own. */
  view<N extends string>(s: Struct<N>, pa: number): StructView<N> {
    return new StructView(s, this.phys.view, this.own(pa));
  }
  /** Contents of a granule of the RMM's own: a view. */
  bytes(pa: number): Uint8Array {
    const at = this.own(pa);
    return this.phys.u8.subarray(at, at + GRANULE);
  }
  /** Writes one entry of a table, 8 bytes. */
  putEntry(pa: number, offset: number, value: bigint): void {
    const at = this.own(pa);
    this.written(pa + offset, 8);
    this.phys.view.setBigUint64(at + offset, value, true);
  }
  /** All entries of a table, to be changed. */
  table(pa: number): BigUint64Array {
    const at = this.own(pa);
    this.written(pa, GRANULE);
    return new BigUint64Array(this.phys.view.buffer, at, GRANULE / 8);
  }
  wipe(pa: number): void {
    // Memory that nobody has used is zero, and is taken from the host only when somebody does.
    if (this.phys.isBlank(pa) && !this.phys.hidden(pa, Security.Realm) && this.permitted(pa, Security.Realm)) return;
    const bytes = this.bytes(pa);
    this.written(pa, GRANULE);
    bytes.fill(0);
  }
  /** Copies into realm memory: a whole granule or a part of one. */
  put(pa: number, offset: number, data: Uint8Array): void {
    const bytes = this.bytes(pa);
    this.written(pa + offset, data.length);
    bytes.set(data, offset);
  }
}
