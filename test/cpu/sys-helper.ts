// A PE without an executor: tests put it into a state, hand it one instruction word and look at the registers.

import { parseCpu } from "../../src/arch/features.ts";
import { Off } from "../../src/arch/layout.ts";
import type { RegName } from "../../src/arch/registers/encodings.ts";
import { encodingOf } from "../../src/arch/registers/record.ts";
import { PeState, slot } from "../../src/arch/state.ts";
import { mmuFeatures } from "../../src/cpu/feature-use.ts";
import { type GicCpuPort, Pe } from "../../src/cpu/pe.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import { PhysicalMemory } from "../../src/mem/physical.ts";
import { TlbDomain } from "../../src/mmu/domain.ts";
import { Mmu } from "../../src/mmu/mmu.ts";

export const RAM = 0x4000_0000;
/** Where the instruction under test is. */
export const PC = 0x4000_1000n;

export interface Bench {
  pe: Pe;
  st: PeState;
  clock: { count: bigint };
  /** Level of each PPI that was ever driven. */
  lines: Map<number, boolean>;
  log: string[];
  events: { sev: number; stops: string[]; retired: bigint };
}

const memory = new WebAssembly.Memory({ initial: 0xa40_0000 >>> 16 });

/** A PE after reset, EL3 (or EL2 with "el3=off"). All share one memory: use one at a time. */
export function bench(cpu = "max", gic?: GicCpuPort): Bench {
  const features = parseCpu(cpu);
  const clock = { count: 1000n };
  const lines = new Map<number, boolean>();
  const log: string[] = [];
  const events = { sev: 0, stops: [] as string[], retired: 0n };
  const phys = new PhysicalMemory(memory);
  phys.addRam(RAM, 0x20_0000);
  const st = new PeState(memory, 0);
  const pe: Pe = new Pe({
    memory,
    index: 0,
    phys,
    features,
    counter: { now: () => clock.count, hz: 1_000_000_000 },
    mmu: new Mmu(st, phys, mmuFeatures(features), new TlbDomain()),
    ...(gic === undefined ? {} : { gic }),
    hooks: {
      log: (m) => log.push(m),
      wakeAll: () => {
        events.sev++;
        st.setLo(Off.EVENT, 1);
      },
      requestStop: (r) => events.stops.push(r),
      pac: (p, m, k) => BigInt.asUintN(64, (p ^ (m << 7n) ^ BigInt(k)) * 0x9e37_79b9_7f4a_7c15n),
      retired: () => events.retired,
    },
    ppi: (intid) => ({ set: (level) => void lines.set(intid, level) }),
  });
  pe.reset();
  st.pc = PC;
  return { pe, st: pe.st, clock, lines, log, events };
}

/** SCR_EL3 of a firmware that lets Non-secure EL2 do everything: NS, HCE, RW, APK, API, FGTEn, ECVEn, HXEn. */
export const SCR_NS = 0x40_1803_0531n;
export const HCR_RW = 1n << 31n;
export const HCR_E2H = 1n << 34n;
export const HCR_TGE = 1n << 27n;

/** A PE at `el` (SP_ELx, interrupts masked as given) in Non-secure state with `hcr` in HCR_EL2. */
export function at(el: 0 | 1 | 2 | 3, hcr = 0n, cpu = "max", gic?: GicCpuPort): Bench {
  const b = bench(cpu, gic);
  if (b.pe.haveEl3) b.st.set(slot.SCR_EL3, SCR_NS);
  b.st.set(slot.HCR_EL2, hcr | HCR_RW | (3n << 40n));
  b.st.set(slot.SCTLR_EL1, b.st.get(slot.SCTLR_EL1) | (1n << 16n) | (1n << 18n) | (1n << 15n) | (1n << 26n));
  b.st.set(slot.SCTLR_EL2, b.st.get(slot.SCTLR_EL2) | (1n << 16n) | (1n << 18n) | (1n << 15n) | (1n << 26n));
  b.st.set(slot.CPACR_EL1, 3n << 20n);
  b.st.set(slot.CPTR_EL2, hcr & HCR_E2H ? 3n << 20n : 0x33ffn);
  b.st.set(slot.CNTHCTL_EL2, 0xc03n | (3n << 8n));
  b.st.set(slot.CNTKCTL_EL1, 0x303n);
  b.st.set(slot.VBAR_EL1, 0x1_0000n);
  b.st.set(slot.VBAR_EL2, 0x2_0000n);
  b.st.set(slot.VBAR_EL3, 0x3_0000n);
  b.st.set(slot.SP_EL0, 0x10n);
  b.st.set(slot.SP_EL1, 0x110n);
  b.st.set(slot.SP_EL2, 0x210n);
  b.st.set(slot.SP_EL3, 0x310n);
  b.st.sp = [0x10n, 0x110n, 0x210n, 0x310n][el] as bigint;
  b.st.setLo(Off.EL, el);
  b.st.setLo(Off.SPSEL, el === 0 ? 0 : 1);
  b.st.setLo(Off.DAIF, 0);
  b.pe.controlsChanged();
  return b;
}

const sysWord = (l: number, op0: number, op1: number, crn: number, crm: number, op2: number, rt: number): number =>
  (0xd500_0000 | (l << 21) | (op0 << 19) | (op1 << 16) | (crn << 12) | (crm << 8) | (op2 << 5) | rt) >>> 0;

export const mrsWord = (name: RegName, rt = 0): number => sysWord(1, ...encodingOf(name), rt);
export const msrWord = (name: RegName, rt = 0): number => sysWord(0, ...encodingOf(name), rt);
export { sysWord };

/** Executes MRS X0, name: the value, or the exception taken. */
export function mrs(b: Bench, name: RegName): bigint | string {
  b.st.set(Off.X, 0xdead_beef_dead_beefn);
  const before = b.st.pc;
  const from = b.st.el;
  b.pe.system(SysOp.MRS, mrsWord(name));
  return b.st.pc === before || b.st.pc === before + 4n ? b.st.get(Off.X) : taken(b, from);
}
/** Executes MSR name, X0 with a value: "ok", or the exception taken. */
export function msr(b: Bench, name: RegName, value: bigint): string {
  b.st.set(Off.X, value);
  return run(b, SysOp.MSR, msrWord(name));
}
/** Executes a system operation: "ok", or the exception taken. */
export function run(b: Bench, op: number, insn: number): string {
  const before = b.st.pc;
  const from = b.st.el;
  b.pe.system(op, insn);
  return b.st.pc === before || b.st.pc === before + 4n ? "ok" : taken(b, from);
}

/** The exception just taken: "EL2 ec=18 iss=..." (hex); EC 0 as "EL1 undefined". */
export function taken(b: Bench, _from: number): string {
  const el = b.st.el;
  const esr = b.st.lo([0, slot.ESR_EL1, slot.ESR_EL2, slot.ESR_EL3][el] as number);
  const ec = esr >>> 26;
  return ec === 0 ? `EL${el} undefined` : `EL${el} ec=${ec.toString(16)} iss=${(esr & 0x1ff_ffff).toString(16)}`;
}
