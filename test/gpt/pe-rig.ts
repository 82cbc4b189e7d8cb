// A PE with its MMU and granule protection tables in memory, to be put into any state. Two RAM regions: what the PE needs (translation
// tables, GPT) at 1 GiB, always accessible; the target of accesses at 2 GiB, in another level 0 entry.

import { Off } from "../../src/arch/layout.ts";
import type { Security } from "../../src/arch/security.ts";
import { slot } from "../../src/arch/state.ts";
import { buildGpt, Gpi, type GptLayout } from "../../src/gpt/index.ts";
import type { Access } from "../../src/mmu/access.ts";
import type { Fault } from "../../src/mmu/fault.ts";
import { type Bench, bench } from "../cpu/sys-helper.ts";

export const OWN = 0x4000_0000;
export const TARGET = 0x8020_0000;
/** Where the rig has its tables. */
export const TABLES = OWN + 0x10_0000;
export const SECURE = 0;
export const NONSECURE = 1;
export const ROOT = 2;
export const REALM = 3;
/** Virtual address of the page under test. */
export const VA = 0x1000n;

const bit = (n: number): bigint => 1n << BigInt(n);

export class PeRig {
  readonly b: Bench;
  state = ROOT;
  el = 3;
  private scr = 0n;

  constructor(cpu = "max,rme=on,gpc3=on") {
    this.b = bench(cpu);
    this.b.pe.phys.addRam(0x8000_0000, 0x60_0000);
  }
  write(pa: number, v: bigint): void {
    const { phys } = this.b.pe;
    phys.view.setBigUint64(phys.host(pa), v, true);
  }
  read(pa: number): bigint {
    const { phys } = this.b.pe;
    return phys.view.getBigUint64(phys.host(pa), true);
  }

  /** Loads the GPT: everything accessible to everybody except what `ranges` say. */
  protect(o: Partial<GptLayout> & Pick<GptLayout, "ranges">): void {
    const built = buildGpt({ pps: 32, l0: 30, granule: 12, table: OWN + 0x4_0000, otherwise: Gpi.Any, ...o });
    for (const p of built.pieces) this.b.pe.phys.writeBytes(p.address, p.data);
    this.b.pe.writeSys("GPTBR_EL3", built.gptbr);
    this.b.pe.writeSys("GPCCR_EL3", built.gpccr | bit(19)); // NSO enabled
  }

  /** The PE in a state: Secure at EL1, Non-secure and Realm at EL2, Root at EL3. `more`: bits of SCR_EL3. */
  enter(state: number, more = 0n, el = [1, 2, 3, 2][state] as number): this {
    const { st, pe } = this.b;
    this.state = state;
    this.el = el;
    this.scr = 0x430n | bit(8) | (state === ROOT ? 1n : BigInt(state & 1)) | (state === REALM ? bit(62) : 0n) | more;
    st.set(slot.SCR_EL3, this.scr);
    this.resume();
    pe.controlsChanged();
    return this;
  }
  /** Back to the state after an exception. */
  resume(): void {
    const { st, pe } = this.b;
    st.setLo(Off.EL, this.el);
    st.pc = 0x4000_1000n;
    pe.controlsChanged();
  }

  /** Stage 1 on with 39-bit VAs: VA maps to a page through tables whose last one may be placed. Answers the leaf's address. */
  map(pa: number, bits: bigint, leafTable = TABLES + 0x2000, hardwareAf = false): number {
    const { st, pe } = this.b;
    const regime = this.el;
    this.write(TABLES, BigInt(TABLES + 0x1000) | 3n);
    this.write(TABLES + 0x1000, BigInt(leafTable) | 3n);
    const leaf = leafTable + Number(VA >> 12n) * 8;
    this.write(leaf, BigInt(pa) | bits | 3n);
    const tcr = 25n | (regime === 1 ? bit(32) | (hardwareAf ? bit(39) : 0n) : bit(16) | (hardwareAf ? bit(21) : 0n));
    const [SCTLR, TCR, TTBR, MAIR] = (
      [
        [],
        [slot.SCTLR_EL1, slot.TCR_EL1, slot.TTBR0_EL1, slot.MAIR_EL1],
        [slot.SCTLR_EL2, slot.TCR_EL2, slot.TTBR0_EL2, slot.MAIR_EL2],
        [slot.SCTLR_EL3, slot.TCR_EL3, slot.TTBR0_EL3, slot.MAIR_EL3],
      ] as number[][]
    )[regime] as [number, number, number, number];
    st.set(TCR, tcr);
    st.set(TTBR, BigInt(TABLES));
    st.set(MAIR, 0xffn);
    st.set(SCTLR, 5n);
    pe.controlsChanged();
    return leaf;
  }
  /** NS and NSE bits of a leaf for an output space. */
  spaceBits(pas: number): bigint {
    if (this.state === ROOT) return (pas & 1 ? bit(5) : 0n) | (pas & 2 ? bit(11) : 0n);
    return pas === this.state ? 0n : bit(5);
  }

  /** "ok", or the exception taken: level, ESR, and MFAR for a granule protection exception. The PE is back in its state afterwards. */
  access(kind: Access, va = VA): string {
    const { st, pe } = this.b;
    if (pe.mmu.translate(Number(va & 0xffff_ffffn) | 0, Number(va >> 32n) | 0, kind, false)) return "ok";
    return this.abort(pe.mmu.fault as Fault, kind === 2, st.el);
  }
  abort(fault: Fault, fetch: boolean, _el = 0): string {
    const { st, pe } = this.b;
    pe.takeAbort(fault, { fetch });
    const el = st.el;
    const esr = st.lo([0, slot.ESR_EL1, slot.ESR_EL2, slot.ESR_EL3][el] as number);
    const mfar = esr >>> 26 === 0x1e ? ` mfar=${st.get(slot.MFAR_EL3).toString(16)}` : "";
    this.resume();
    return `EL${el} ${esr.toString(16)}${mfar}`;
  }
  sys(op1: number, crm: number, op2: number, x = 0n): void {
    const { pe } = this.b;
    const el = pe.st.el;
    pe.st.setLo(Off.EL, 3);
    pe.mmu.tlbi(op1, 8, crm, op2, x);
    pe.st.setLo(Off.EL, el);
  }
}

export const security = (s: number): Security => s as Security;
