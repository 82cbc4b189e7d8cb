// World switch at EL3: the registers that the Non-secure and the Realm world have each for themselves, per PE.

import { Off } from "../arch/layout.ts";
import { RegisterBlock } from "../arch/register-block.ts";
import type { RegName } from "../arch/registers/encodings.ts";
import { slot } from "../arch/state.ts";
import { switchSp } from "../cpu/exceptions.ts";
import type { Pe } from "../cpu/pe.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";

/** SCR_EL3.NS, NSE. */
export const SCR_NS_BIT = 0;
export const SCR_NSE_BIT = 62;
export const SCR_NS = 1n << BigInt(SCR_NS_BIT);
export const SCR_NSE = 1n << BigInt(SCR_NSE_BIT);

/** EL1 and EL0 registers, timers, FP and SIMD are the RMM's to switch. */
// biome-ignore format: table
const registers: readonly RegName[] = [
  "SPSR_EL3", "ELR_EL3", "SCR_EL3", "SP_EL0", "SP_EL2",
  "ACTLR_EL2", "AFSR0_EL2", "AFSR1_EL2", "AMAIR_EL2", "CNTHCTL_EL2", "CNTVOFF_EL2", "CNTPOFF_EL2", "CPTR_EL2", "ELR_EL2", "ESR_EL2", "FAR_EL2",
  "HACR_EL2", "HCR_EL2", "HPFAR_EL2", "HSTR_EL2", "MAIR_EL2", "MDCR_EL2", "SCTLR_EL2", "SPSR_EL2", "TCR_EL2", "TPIDR_EL2", "TTBR0_EL2",
  "TTBR1_EL2", "CONTEXTIDR_EL2", "VBAR_EL2", "VMPIDR_EL2", "VPIDR_EL2", "VTCR_EL2", "VTTBR_EL2", "HFGRTR_EL2", "HFGWTR_EL2", "HFGITR_EL2",
  "HDFGRTR_EL2", "HDFGWTR_EL2", "HCRX_EL2", "VDISR_EL2", "VSESR_EL2", "SCXTNUM_EL2",
  "APIAKEYLO_EL1", "APIAKEYHI_EL1", "APIBKEYLO_EL1", "APIBKEYHI_EL1", "APDAKEYLO_EL1", "APDAKEYHI_EL1", "APDBKEYLO_EL1", "APDBKEYHI_EL1",
  "APGAKEYLO_EL1", "APGAKEYHI_EL1",
];
const indexOf = new Map(registers.map((r, i) => [r, i]));
/**
 * Of the GIC, only ICH_VMCR_EL2 and ICH_HCR_EL2 are switched, and by version 0.x of the RMM-EL3 interface only: list registers and active
 * priorities are the RMM's.
 */
const GIC_REGISTERS = 2;
const GPRS = 31;
const block = new RegisterBlock([...Array.from({ length: GPRS }, (_, n) => Off.X + 8 * n), ...registers.map((r) => slot[r])]);
const LENGTH = block.length + GIC_REGISTERS;

/** The context of one world on one PE. */
export class World {
  readonly values = new BigUint64Array(LENGTH);

  private readonly words = new Uint32Array(this.values.buffer);
  /** Something was kept or set since it was cleared. */
  private used = false;

  /** Keeps what the PE, at EL3, has now. */
  keep(pe: Pe): void {
    this.used = true;
    block.save(pe.st, this.words, 0);
    pe.gic?.saveControls(this.words, 2 * block.length);
  }
  /** Gives it to the PE, at EL3. An exception return must follow: it enters the world. `gic`: with the registers of the GIC. */
  load(pe: Pe, gic = true): void {
    block.load(pe.st, this.words, 0);
    if (gic) pe.gic?.loadControls(this.words, 2 * block.length);
    pe.controlsWritten();
  }
  x(n: number): bigint {
    return this.values[n] as bigint;
  }
  setX(n: number, v: bigint): void {
    this.used = true;
    this.values[n] = BigInt.asUintN(64, v);
  }
  get(reg: RegName): bigint {
    return this.values[GPRS + (indexOf.get(reg) as number)] as bigint;
  }
  set(reg: RegName, v: bigint): void {
    this.used = true;
    this.values[GPRS + (indexOf.get(reg) as number)] = v;
  }
  clear(): void {
    if (this.used) this.words.fill(0);
    this.used = false;
  }
  save(): Saved {
    return new Uint8Array(this.values.slice().buffer);
  }
  restore(s: Saved | undefined): void {
    if (!(s instanceof Uint8Array) || s.length !== 8 * LENGTH) throw new EmuError("snapshot-corrupt", "the saved world of a PE is damaged");
    this.used = true;
    this.values.set(new BigUint64Array(s.slice().buffer));
  }
}

/** Brings a PE that runs an agent at EL2 to EL3, as its SMC would. An exception return must follow. */
export function toEl3(pe: Pe): void {
  if (pe.st.lo(Off.EL) !== 3) switchSp(pe, 3, 1);
}
