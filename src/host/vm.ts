// An ordinary virtual machine, run by the host itself at Non-secure EL2, for comparison with a realm: the same board and VMM, with stage 2
// tables of the host's, direct exception returns, and PSCI by HVC. Virtual PE n is always on PE n of the host, and the host computes
// outside of the PE's registers: those of the guest stay where they are.

import type { Features } from "../arch/features.ts";
import { type PeState, slot } from "../arch/state.ts";
import { AbortIss, accessRegister, Ec, ecOf, loadedValue, storedData } from "../arch/syndrome.ts";
import { Vector } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import type { Dma } from "../devices/device.ts";
import { SavedFields } from "../devices/saved.ts";
import { injectSea, injectUndefined, runningState } from "../rmm/inject.ts";
import { Enter, Exit, RecExit } from "../rmm/layouts.ts";
import { CNTHCTL_REALM, contextRegisters, PSTATE_START, pmuRegisters, SCTLR_START } from "../rmm/rec.ts";
import { HCR_REALM, vtcrOf, vttbrOf } from "../rmm/stage2.ts";
import { EnterFlag, ExitReason, GRANULE } from "../rmm/status.ts";
import { blank } from "../rmm/struct.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";
import type { HostTask } from "./agent.ts";
import { affinityOf } from "./board-maps.ts";
import type { RecExitView } from "./exits.ts";
import type { Guest, RecEnterView, Resolution } from "./guest.ts";
import type { HostGic } from "./host-gic.ts";
import { loadListRegisters, saveListRegisters } from "./list-registers.ts";
import type { HostMemory } from "./memory.ts";
import type { RealmConfig } from "./realm.ts";
import { BLOCK, Stage2Tables } from "./stage2-tables.ts";
import { callHypervisor } from "./vm-calls.ts";

export type VmConfig = Pick<RealmConfig, "map" | "memory" | "pes" | "ipaBits" | "image">;

/** As of a realm, but the guest reads identification registers itself (TID3). */
const HCR_VM = HCR_REALM & ~(1n << 18n);
const VMID = 1;
/** CPTR_EL2 (E2H = 1): FPEN = 11. MDCR_EL2: HPMD. */
const CPTR_VM = 3n << 20n;
const MDCR_HPMD = 1n << 17n;
/** PMCR_EL0: LC, DP. OSLSR_EL1: the lock is there, and locked. */
const PMCR_START = 0x60n;
const OSLSR_START = 0xan;
/** Timers of EL1: number in cpu/timers.ts, INTID, fields of the exit. */
const TIMERS = [
  { n: 0, intid: 30, cval: slot.CNTP_CVAL_EL0, ctl: Exit.cntp_ctl, value: Exit.cntp_cval },
  { n: 1, intid: 27, cval: slot.CNTV_CVAL_EL0, ctl: Exit.cntv_ctl, value: Exit.cntv_cval },
] as const;
const PMU_PPI = 23;

/** One virtual PE. */
export class Vcpu {
  readonly index: number;
  readonly exit = blank(RecExit);
  on: boolean;
  /** Where it starts at its next entry, and x0 there. */
  start: { pc: bigint; x0: bigint } | undefined;
  /** Syndrome and address of the last exit, which the next entry completes. */
  esr = 0n;
  far = 0n;
  /** Bit n: private interrupt n is masked at the host's interrupt controller, because the guest has not handled it yet. */
  masked = 0;

  constructor(index: number) {
    this.index = index;
    this.on = index === 0;
  }
}

/** Next: leave the guest, or go back into it. */
type Next = "exit" | "guest";

export class HostVm implements Guest {
  readonly config: VmConfig;
  readonly vcpus: readonly Vcpu[];
  private readonly memory: HostMemory;
  private readonly gic: HostGic;
  private readonly cpu: Features;
  /** PA of the guest's RAM, which is contiguous. */
  private ram = 0;
  private table = 0;
  private startLevel = 0;
  private tables: readonly number[] = [];

  constructor(memory: HostMemory, gic: HostGic, cpu: Features, config: VmConfig) {
    this.memory = memory;
    this.gic = gic;
    this.cpu = cpu;
    this.config = config;
    this.vcpus = Array.from({ length: config.pes }, (_, n) => new Vcpu(n));
  }

  get pes(): number {
    return this.config.pes;
  }

  /** Memory as the guest's devices reach it. */
  get dma(): Dma {
    const { map, memory: size } = this.config;
    const inside = (at: number, length: number): boolean => at >= map.ram && at + length <= map.ram + size;
    return {
      read: (at, length) => (inside(at, length) ? this.memory.read(this.ram + at - map.ram, length) : undefined),
      write: (at, data) => inside(at, data.length) && this.memory.write(this.ram + at - map.ram, data),
    };
  }

  // biome-ignore lint/correctness/useYield: a coroutine like that of a realm, which has calls to make
  *create(): HostTask {
    const { map, memory: size, ipaBits, image } = this.config;
    this.ram = this.memory.takeAligned(size / GRANULE, BLOCK);
    const tables = new Stage2Tables(this.memory, ipaBits);
    tables.map(map.ram, this.ram, size);
    this.table = tables.base;
    this.startLevel = tables.startLevel;
    this.tables = tables.granules;
    for (const r of image.regions) this.memory.write(this.ram + r.ipa - map.ram, r.content);
    (this.vcpus[0] as Vcpu).start = { pc: BigInt(image.entry), x0: BigInt(image.dtbAddress) };
  }

  // ---- running -------------------------------------------------------------------------------------------------------

  *enter(pe: Pe, n: number, enter: RecEnterView, resumed: boolean): HostTask<RecExitView | undefined> {
    const v = this.vcpus[n] as Vcpu;
    if (!resumed) {
      if (v.start) this.reset(pe, v, v.start);
      else complete(pe.st, v, enter);
      v.start = undefined;
      loadListRegisters(pe, enter);
    }
    v.exit.raw.fill(0);
    let next: Next = "guest";
    for (let first = resumed; next === "guest"; first = false) {
      const [vector] = yield first ? "resume" : "guest";
      next = this.handle(pe, v, Number(vector));
    }
    this.report(pe, v);
    return v.exit;
  }

  /** The state in which a virtual PE starts: EL1h, MMU off. */
  private reset(pe: Pe, v: Vcpu, start: { pc: bigint; x0: bigint }): void {
    const { st } = pe;
    for (const r of [...contextRegisters, ...pmuRegisters]) st.set(slot[r], 0n);
    for (let n = 0; n < 31; n++) st.setX(n, n === 0 ? start.x0 : 0n);
    const stage2 = { base: this.table, ipaBits: this.config.ipaBits, startLevel: this.startLevel, tables: 1, vmid: VMID };
    // biome-ignore format: table
    const values = [
      [slot.SCTLR_EL1,     SCTLR_START],                    [slot.OSLSR_EL1,     OSLSR_START],
      [slot.PMCR_EL0,      PMCR_START],                     [slot.CNTP_CTL_EL0,  0n],
      [slot.CNTV_CTL_EL0,  0n],                             [slot.CNTHCTL_EL2,   CNTHCTL_REALM],
      [slot.CNTVOFF_EL2,   0n],                             [slot.CNTPOFF_EL2,   0n],
      [slot.HCR_EL2,       HCR_VM],                         [slot.CPTR_EL2,      CPTR_VM],
      [slot.VTCR_EL2,      vtcrOf(stage2, this.cpu)],       [slot.VTTBR_EL2,     vttbrOf(stage2)],
      [slot.VPIDR_EL2,     st.get(slot.MIDR_EL1)],          [slot.VMPIDR_EL2,    (1n << 31n) | BigInt(affinityOf(v.index))],
      [slot.MDCR_EL2,      MDCR_HPMD | (st.get(slot.MDCR_EL2) & 0x1fn)],
      [slot.ELR_EL2,       start.pc],                       [slot.SPSR_EL2,      PSTATE_START],
    ] as const;
    for (const [at, value] of values) st.set(at, value);
    pe.gic?.write("ICH_VMCR_EL2", 0n);
    pe.controlsChanged();
    pe.timers.refresh();
    pe.pmu.update();
  }

  /** What the guest was left with; its timers and interrupts become the host's to deal with. */
  private report(pe: Pe, v: Vcpu): void {
    const { st } = pe;
    const { exit } = v;
    saveListRegisters(pe, exit);
    for (const t of TIMERS) {
      const ctl = pe.timers.control(t.n);
      exit.setLoHi(t.ctl, ctl, 0);
      exit.setLoHi(t.value, st.lo(t.cval), st.hi(t.cval));
      this.mask(pe, v, t.intid, (ctl & 7) === 5);
    }
    pe.pmu.sync();
    const overflow = st.lo(slot.PMOVSSET_EL0) & st.lo(slot.PMINTENSET_EL1) & st.lo(slot.PMCNTENSET_EL0);
    const active = (st.lo(slot.PMCR_EL0) & 1) !== 0 && overflow !== 0;
    exit.setLoHi(Exit.pmu_ovf_status, active ? 1 : 0, 0);
    this.mask(pe, v, PMU_PPI, active);
  }
  /** A level that the guest knows about must not interrupt the host again and again until the guest has dealt with it. */
  private mask(pe: Pe, v: Vcpu, intid: number, masked: boolean): void {
    const bit = 1 << intid;
    if (((v.masked & bit) !== 0) === masked) return;
    v.masked ^= bit;
    this.gic.mask(pe.index, intid, masked);
  }

  // ---- exceptions of the guest ---------------------------------------------------------------------------------------

  private handle(pe: Pe, v: Vcpu, vector: number): Next {
    const { st } = pe;
    const { exit } = v;
    v.esr = 0n;
    if (vector === Vector.Sync) return this.synchronous(pe, v);
    const reason = vector === Vector.Irq ? ExitReason.IRQ : vector === Vector.Fiq ? ExitReason.FIQ : ExitReason.SERROR;
    exit.set(Exit.exit_reason, reason);
    if (reason === ExitReason.SERROR) exit.set(Exit.esr, st.get(slot.ESR_EL2));
    return "exit";
  }

  private synchronous(pe: Pe, v: Vcpu): Next {
    const { st } = pe;
    const esr = st.lo(slot.ESR_EL2);
    switch (ecOf(esr)) {
      case Ec.Hvc:
        return callHypervisor(st, v, this.vcpus) ? "exit" : "guest";
      case Ec.Smc: // firmware is not for guests
        st.setX(0, BigInt.asUintN(64, -1n));
        skip(st);
        return "guest";
      case Ec.SystemRegister:
        skip(st);
        return this.syncExit(st, v, esr);
      case Ec.DataAbort:
      case Ec.InstructionAbort:
        if ((esr & 0x3f) !== 0x10) return this.syncExit(st, v, esr);
        injectSea(runningState(st), st.get(slot.ESR_EL2), st.get(slot.FAR_EL2));
        return "guest";
      default:
        injectUndefined(runningState(st));
        return "guest";
    }
  }
  private syncExit(st: PeState, v: Vcpu, esr: number): Next {
    v.esr = st.get(slot.ESR_EL2);
    v.far = st.get(slot.FAR_EL2);
    v.exit.set(Exit.exit_reason, ExitReason.SYNC);
    v.exit.set(Exit.esr, v.esr);
    v.exit.set(Exit.far, v.far);
    v.exit.set(Exit.hpfar, st.get(slot.HPFAR_EL2));
    const abort = ecOf(esr) === Ec.DataAbort;
    v.exit.set(Exit.gprs, abort ? storedData(esr, st.x(accessRegister(esr))) : st.x((esr >>> 5) & 31), 0);
    return "exit";
  }

  deviceAddress(ipa: number): number | undefined {
    const { map, memory } = this.config;
    return ipa >= map.ram && ipa < map.ram + memory ? undefined : ipa;
  }
  // biome-ignore lint/correctness/useYield: as above
  *resolve(): HostTask<Resolution> {
    return undefined; // all of its memory is there
  }
  // biome-ignore lint/correctness/useYield: as above
  *changeRipas(): HostTask<boolean> {
    return false; // no guest asks
  }
  /** Nothing is left to do: the call has set up its target. */
  *completePsci(): HostTask {}

  // biome-ignore lint/correctness/useYield: as above
  *destroy(): HostTask {
    for (let at = 0; at < this.config.memory; at += GRANULE) this.memory.give(this.ram + at);
    for (const pa of this.tables) this.memory.give(pa);
  }

  // ---- snapshots -----------------------------------------------------------------------------------------------------

  save(): Saved {
    const vcpus = this.vcpus.map((v) => ({ on: v.on, start: v.start ? { ...v.start } : null, esr: v.esr, far: v.far, masked: v.masked }));
    return { ram: this.ram, table: this.table, startLevel: this.startLevel, tables: [...this.tables], vcpus };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "virtual machine");
    this.ram = s.number("ram");
    this.table = s.number("table");
    this.startLevel = s.uint("startLevel", 3);
    this.tables = s.uints("tables", this.config.memory / GRANULE, Number.MAX_SAFE_INTEGER);
    for (const [i, saved] of s.list("vcpus", this.pes).entries()) {
      const v = this.vcpus[i] as Vcpu;
      const f = saved as { [key: string]: Saved };
      const start = f["start"] as { pc?: Saved; x0?: Saved } | null;
      if (typeof f["esr"] !== "bigint" || typeof f["far"] !== "bigint")
        throw new EmuError("snapshot-corrupt", "the saved state of a virtual PE is damaged");
      v.on = f["on"] === true;
      v.esr = f["esr"];
      v.far = f["far"];
      v.masked = new SavedFields(saved, "virtual PE").uint("masked");
      v.start = typeof start?.pc === "bigint" && typeof start.x0 === "bigint" ? { pc: start.pc, x0: start.x0 } : undefined;
    }
  }
}

/** Past the instruction that was trapped. */
const skip = (st: PeState): void => st.set(slot.ELR_EL2, BigInt.asUintN(64, st.get(slot.ELR_EL2) + 4n));

/** Carries out what the VMM answered to the last exit. */
function complete(st: PeState, v: Vcpu, enter: RecEnterView): void {
  const flags = enter.num(Enter.flags);
  const esr = Number(BigInt.asUintN(32, v.esr));
  if ((flags & EnterFlag.INJECT_SEA) !== 0) injectSea(runningState(st), v.esr, v.far);
  else if ((flags & EnterFlag.EMUL_MMIO) !== 0) {
    const rt = accessRegister(esr);
    if ((esr & AbortIss.WnR) === 0 && rt !== 31) st.setX(rt, loadedValue(esr, enter.get(Enter.gprs, 0)));
    skip(st);
  } else if (ecOf(esr) === Ec.SystemRegister && (esr & 1) === 1) {
    const rt = (esr >>> 5) & 31;
    if (rt !== 31) st.setX(rt, enter.get(Enter.gprs, 0));
  }
  v.esr = 0n;
}
