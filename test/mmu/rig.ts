// A PE without a CPU: registers, RAM, MMU, and a builder of translation tables, for the MMU tests.

import { firstPlace, Off, PE_BASE, RAM_POOL, secondPlace } from "../../src/arch/layout.ts";
import type { RegName } from "../../src/arch/registers/encodings.ts";
import { PeState, slot } from "../../src/arch/state.ts";
import { PhysicalMemory } from "../../src/mem/physical.ts";
import { Access } from "../../src/mmu/access.ts";
import { TlbDomain } from "../../src/mmu/domain.ts";
import { type Fault, faultStatusCode } from "../../src/mmu/fault.ts";
import { allMmuFeatures, type MmuFeatures } from "../../src/mmu/features.ts";
import { Mmu } from "../../src/mmu/mmu.ts";

export const RAM = 0x4000_0000;
export const RAM_SIZE = 0x400_0000;
/** log2 granule to TG0 and TG1 encodings. */
export const TG0: Record<number, bigint> = { 12: 0n, 14: 2n, 16: 1n };
export const TG1: Record<number, bigint> = { 12: 2n, 14: 1n, 16: 3n };

/** Leaf attributes: AF, Inner Shareable, AttrIndx 0, AP = EL1 read-write. */
export const LEAF = 0x700n;
export const bit = (n: number): bigint => 1n << BigInt(n);
/** AP[2:1] = 01: readable and writable at EL0 too. */
export const USER = bit(6);
export const RO = bit(7);
export const NG = bit(11);
export const GP = bit(50);
export const DBM = bit(51);
export const CONT = bit(52);
export const PXN = bit(53);
export const UXN = bit(54);
export const AF = bit(10);
export const attrIndex = (i: number): bigint => BigInt(i) << 2n;
/** Indices into MAIR as the rig sets it: Write-Back, Device-nGnRE, Non-cacheable, Write-Through. */
export const MAIR = 0x0000_0000_bb44_04ffn;

export class Rig {
  readonly memory = new WebAssembly.Memory({ initial: (RAM_POOL + 0x500_0000) >>> 16 });
  readonly phys = new PhysicalMemory(this.memory);
  readonly domain = new TlbDomain();
  readonly features: MmuFeatures;
  readonly pes: { st: PeState; mmu: Mmu }[] = [];
  private nextTable = RAM + 0x100_0000;

  constructor(o: { features?: Partial<MmuFeatures>; pes?: number } = {}) {
    this.features = { ...allMmuFeatures, ...o.features };
    this.phys.addRam(RAM, RAM_SIZE);
    for (let i = 0; i < (o.pes ?? 1); i++) {
      const st = new PeState(this.memory, i);
      st.set(slot.SCR_EL3, 1n);
      st.set(slot.MAIR_EL1, MAIR);
      st.set(slot.MAIR_EL2, MAIR);
      st.set(slot.MAIR_EL3, MAIR);
      st.setLo(Off.EL, 1);
      this.pes.push({ st, mmu: new Mmu(st, this.phys, this.features, this.domain) });
    }
  }
  get st(): PeState {
    return (this.pes[0] as { st: PeState }).st;
  }
  get mmu(): Mmu {
    return (this.pes[0] as { mmu: Mmu }).mmu;
  }

  /** Sets registers and tells the MMU. */
  set(regs: Partial<Record<Exclude<RegName, "PAN" | "UAO">, bigint>> & { EL?: number; PAN?: number; UAO?: number }, pe = 0): this {
    const { st, mmu } = this.pes[pe] as { st: PeState; mmu: Mmu };
    for (const [name, value] of Object.entries(regs)) {
      if (name === "EL" || name === "PAN" || name === "UAO") st.setLo(Off[name], value as number);
      else st.set(slot[name as RegName], value as bigint);
    }
    mmu.contextChanged();
    return this;
  }

  /** Zeroed memory for a table, aligned to its size. */
  table(size = 0x1_0000): number {
    this.nextTable = Math.ceil(this.nextTable / size) * size;
    const at = this.nextTable;
    this.nextTable += size;
    return at;
  }
  read64(pa: number): bigint {
    return this.phys.view.getBigUint64(this.phys.host(pa), true);
  }
  write64(pa: number, value: bigint, bigEndian = false): void {
    this.phys.view.setBigUint64(this.phys.host(pa), value, !bigEndian);
  }

  translate(va: bigint, access: Access = Access.Read, unprivileged = false, pe = 0): boolean {
    const { mmu } = this.pes[pe] as { mmu: Mmu };
    return mmu.translate(Number(va & 0xffff_ffffn) | 0, Number(BigInt.asIntN(32, va >> 32n)), access, unprivileged);
  }
  /** PA of an access that must succeed. */
  pa(va: bigint, access: Access = Access.Read, unprivileged = false, pe = 0): number {
    if (!this.translate(va, access, unprivileged, pe)) throw new Error(`fault ${describe(this.pes[pe]?.mmu.fault)}`);
    return (this.pes[pe] as { mmu: Mmu }).mmu.pa;
  }
  /** Fault code and stage of an access that must fail, for example "s1 0x07". */
  fails(va: bigint, access: Access = Access.Read, unprivileged = false, pe = 0): string {
    if (this.translate(va, access, unprivileged, pe)) return `no fault: ${(this.pes[pe] as { mmu: Mmu }).mmu.pa.toString(16)}`;
    return describe(this.pes[pe]?.mmu.fault);
  }
  /** "ok" or the fault, for tables of expectations. */
  outcome(va: bigint, access: Access = Access.Read, unprivileged = false): string {
    return this.translate(va, access, unprivileged) ? "ok" : describe(this.mmu.fault);
  }

  /** Does the L1 table at Off.<which> hold the page of `va`? Returns the host offset it yields, or -1. */
  l1(which: "TLB_R" | "TLB_W" | "TLB_X" | "TLB_UR" | "TLB_UW", va: bigint, pe = 0): number {
    const st = (this.pes[pe] as { st: PeState }).st;
    const table = st.lo(Off[which]);
    const lo = Number(va & 0xffff_ffffn);
    const hi = Number(BigInt.asUintN(64, va) >> 32n);
    for (const place of [firstPlace(lo), secondPlace(lo, hi)]) {
      const at = table + 16 * place;
      if (this.phys.view.getBigUint64(at, true) === (BigInt.asUintN(64, va) & ~0xfffn))
        return (this.phys.view.getUint32(at + 8, true) + lo) >>> 0;
    }
    return -1;
  }
}

export function describe(f: Fault | undefined): string {
  if (f === undefined) return "none";
  return `s${f.stage}${f.s1ptw ? "ptw" : ""} 0x${faultStatusCode(f).toString(16).padStart(2, "0")}${f.write ? " w" : ""}`;
}

/** Shape of a table tree, as in TCR. */
export interface TreeOptions {
  granule?: 12 | 14 | 16;
  /** Input address bits. */
  ia?: number;
  start?: number;
  /** DS = 1 descriptors (4K, 16K). */
  ds?: boolean;
  bigEndian?: boolean;
  /** log2 of concatenated first tables. */
  concat?: number;
}

/** A tree of translation tables in RAM, written independently of the walker: index arithmetic with BigInt from the Arm ARM's tables. */
export class Tree {
  readonly rig: Rig;
  readonly granule: number;
  readonly ia: number;
  readonly start: number;
  readonly root: number;
  private readonly ds: boolean;
  private readonly bigEndian: boolean;
  /** Extra bits put into every table descriptor that is created. */
  tableBits = 0n;

  constructor(rig: Rig, o: TreeOptions = {}) {
    this.rig = rig;
    this.granule = o.granule ?? 12;
    this.ia = o.ia ?? 48;
    this.ds = o.ds ?? false;
    this.bigEndian = o.bigEndian ?? false;
    let start = 3;
    while (this.shift(start) + this.granule - 3 < this.ia) start--;
    this.start = o.start ?? start;
    this.root = rig.table(0x1_0000 * Math.max(1, 2 ** ((o.concat ?? 0) + this.granule - 16)));
  }
  /** Lowest input address bit that the index of `level` uses. */
  shift(level: number): number {
    return this.granule + (this.granule - 3) * (3 - level);
  }
  /** Address of the descriptor of `level` for `va`, creating tables above it. */
  slot(va: bigint, level: number): number {
    let table = this.root;
    for (let l = this.start; ; l++) {
      const top = l === this.start ? this.ia : this.shift(l) + this.granule - 3;
      const index = (va & ((1n << BigInt(top)) - 1n)) >> BigInt(this.shift(l));
      const at = table + Number(index) * 8;
      if (l === level) return at;
      let d = this.get(at);
      if ((d & 3n) !== 3n) {
        d = this.address(BigInt(this.rig.table(2 ** this.granule))) | 3n | this.tableBits;
        this.put(at, d);
      }
      table = Number(this.addressOf(d));
    }
  }
  get(at: number): bigint {
    return this.rig.phys.view.getBigUint64(this.rig.phys.host(at), !this.bigEndian);
  }
  put(at: number, d: bigint): void {
    this.rig.write64(at, d, this.bigEndian);
  }
  /** Maps `va` at `level` to `pa` with the given attributes; returns the descriptor's address. */
  map(va: bigint, pa: number | bigint, attrs: bigint, level = 3): number {
    const at = this.slot(va, level);
    this.put(at, this.address(BigInt(pa)) | attrs | (level === 3 ? 3n : 1n));
    return at;
  }
  /** Places an output address in a descriptor. */
  address(pa: bigint): bigint {
    if (this.granule === 16) return (pa & 0xffff_ffff_0000n) | ((pa >> 48n) << 12n);
    if (!this.ds) return pa;
    return (pa & 0x3_ffff_ffff_f000n) | (((pa >> 50n) & 3n) << 8n);
  }
  private addressOf(d: bigint): bigint {
    if (this.granule === 16) return (d & 0xffff_ffff_0000n) | (((d >> 12n) & 15n) << 48n);
    const low = BigInt.asUintN(48, d) & ~((1n << BigInt(this.granule)) - 1n);
    return this.ds ? (BigInt.asUintN(50, d) & ~((1n << BigInt(this.granule)) - 1n)) | (((d >> 8n) & 3n) << 50n) : low;
  }
  /** TTBR value with 52-bit placement. */
  ttbr(asid = 0): bigint {
    return BigInt(this.root) | (BigInt(asid) << 48n);
  }
  get tsz(): bigint {
    return BigInt(64 - this.ia);
  }
}

/** TCR_EL1 for two trees, IPS 48 bits, 16-bit ASIDs. */
export function tcr(t0: Tree, t1: Tree = t0, more = 0n): bigint {
  return (
    t0.tsz | ((TG0[t0.granule] as bigint) << 14n) | (t1.tsz << 16n) | ((TG1[t1.granule] as bigint) << 30n) | (5n << 32n) | bit(36) | more
  );
}
/** TCR_EL1 with another IPS. */
export const withIps = (v: bigint, ips: number): bigint => (v & ~(7n << 32n)) | (BigInt(ips) << 32n);
/** TCR_EL2/EL3 (one range), PS 48 bits. */
export function tcrOne(t: Tree, more = 0n): bigint {
  return t.tsz | ((TG0[t.granule] as bigint) << 14n) | (5n << 16n) | more;
}

export { Access, PE_BASE };
