// One processing element: its state block, its exceptions, system registers, interrupts, timers. The executor (cpu/run.ts) calls it
// for everything that is not an ordinary instruction.

import type { Features } from "../arch/features.ts";
import { Off } from "../arch/layout.ts";
import type { RegName } from "../arch/registers/encodings.ts";
import { Security } from "../arch/security.ts";
import { PeState, slot } from "../arch/state.ts";
import { Ec } from "../arch/syndrome.ts";
import type { IrqLine } from "../devices/device.ts";
import { GranuleProtection } from "../gpt/check.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import type { Fault } from "../mmu/fault.ts";
import type { Mmu } from "../mmu/mmu.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import { type Agent, type ExceptionInfo, Vector } from "./agent.ts";
import { Debug } from "./debug.ts";
import { branchAddress, defaultTarget, enter, enterSync, eret, FAR } from "./exceptions.ts";
import { type AbortContext, takeAbort } from "./exceptions-aborts.ts";
import { gptFeatures } from "./feature-use.ts";
import { deliverable, takeInterrupt, wakesWfi } from "./interrupts.ts";
import { resetRegisters } from "./pe-reset.ts";
import { PMU_INTID, Pmu } from "./pmu.ts";
import { readRegister, writeRegister } from "./sysreg.ts";
import { type SysReg, type SysRegs, sysRegs } from "./sysreg-access.ts";
import { DerivedContext } from "./sysreg-context.ts";
import { SysRegMap } from "./sysreg-map.ts";
import { systemOperation } from "./system.ts";
import { type Counter, Timers } from "./timers.ts";

export type { Agent, ExceptionInfo } from "./agent.ts";
export type { Counter } from "./timers.ts";

/** The CPU interface of the GIC as the PE uses it (devices/gic). */
export interface GicCpuPort {
  has(reg: RegName): boolean;
  /** 0: allowed; 1, 2, 3: trapped to that level with EC 0x18; -1: UNDEFINED. */
  access(reg: RegName, write: boolean): number;
  read(reg: RegName): bigint;
  write(reg: RegName, value: bigint): void;
  /** All of a virtual machine's interface at once, for world switches (devices/gic/virtual-interface.ts). */
  saveVirtual(to: Uint32Array, at: number): void;
  loadVirtual(from: Uint32Array, at: number): void;
  clearVirtual(): void;
  saveControls(to: Uint32Array, at: number): void;
  loadControls(from: Uint32Array, at: number): void;
  /** The Exception level's Security state or the routing in HCR_EL2 and SCR_EL3 changed. */
  update(): void;
}

/** What the machine does for a PE. */
export interface PeHooks {
  log(message: string): void;
  /** SEV: sets the event register of every PE. */
  wakeAll(): void;
  /** The guest met something that ends the run. */
  requestStop(reason: string): void;
  /** The pointer authentication code function of the executor: key = offset of the low half of the key register. */
  pac(pointer: bigint, modifier: bigint, key: number): bigint;
  /** Called after each exception entry, for traces. `e` is valid during the call only. */
  exception?(pe: Pe, e: ExceptionInfo): void;
  /** Called before an abort or a granule protection exception is taken: the PE is still as it was when it made the access. */
  abort?(pe: Pe, fault: Fault, o: AbortContext): void;
  /** Called after an exception return that was made at Exception level `from`. */
  returned?(pe: Pe, from: number): void;
  /** Retired instructions of this PE up to the current one, for the performance monitors. */
  retired?(): bigint;
}

export interface PeOptions {
  memory: WebAssembly.Memory;
  /** Number of the PE, 0..MAX_PES-1. */
  index: number;
  phys: PhysicalMemory;
  features: Features;
  counter: Counter;
  mmu: Mmu;
  gic?: GicCpuPort;
  hooks: PeHooks;
  /** Interrupt inputs of this PE by INTID, for the timers and the performance monitors. */
  ppi?: (intid: number) => IrqLine;
  /** MPIDR_EL1; default: Aff0 = index. */
  mpidr?: bigint;
  /** First state of RNDR's generator, not 0. */
  seed?: number;
}

const noLine: IrqLine = { set() {} };

export class Pe implements Stateful {
  readonly st: PeState;
  readonly index: number;
  readonly phys: PhysicalMemory;
  readonly features: Features;
  readonly mmu: Mmu;
  gic: GicCpuPort | undefined;
  readonly hooks: PeHooks;
  readonly mpidr: bigint;
  readonly counter: Counter;
  readonly timers: Timers;
  readonly pmu: Pmu;
  readonly debug: Debug;
  readonly regs: SysRegs;
  readonly map: SysRegMap;
  /** Software of EL1, EL2, EL3 written in TypeScript, by Exception level. */
  readonly agents: (Agent | undefined)[] = [undefined, undefined, undefined, undefined];
  /** The same for one Security state only: index 4 * EL + state. */
  private readonly stateAgents: (Agent | undefined)[] = [];
  /** The exception being taken; reused. */
  readonly exception: ExceptionInfo = { vector: Vector.Sync, ec: 0, iss: 0, target: 1, next: 0 };

  // Features asked on hot paths.
  readonly haveEl3: boolean;
  readonly hasPan: boolean;
  readonly hasUao: boolean;
  readonly hasDit: boolean;
  readonly hasSsbs: boolean;
  readonly hasBti: boolean;
  readonly hasRme: boolean;
  readonly hasPauth: boolean;
  readonly hasLpa2: boolean;
  readonly hasLva: boolean;
  private readonly hasVhe: boolean;
  private readonly hasSel2: boolean;
  private readonly hasFgt: boolean;
  private readonly hasHcx: boolean;

  // Copies of control bits, brought up to date by controlsChanged.
  /** SCR_EL3.NS and NSE: Security state of EL0..EL2. */
  ns = true;
  nse = false;
  /** EL2 is enabled in the Security state of EL0..EL2. */
  el2On = true;
  /** Effective HCR_EL2.E2H and TGE; host = both. */
  e2h = false;
  tge = false;
  host = false;
  hcrLo = 0;
  scrLo = 0;
  /** FEAT_FGT and FEAT_HCX controls are in force. */
  fgt = false;
  hcrx = false;
  /** Interrupt lines that HCR_EL2.VI, VF and VSE raise, as bits of `Line`. */
  vlines = 0;
  /** Top byte of instruction addresses ignored: bit 0 lower, bit 1 upper range; bit 2: the regime has one range. */
  tbi = 0;
  /** SCTLR_ELx.BT of the current level. */
  bt = 0;
  /** Result of the last register read. */
  resLo = 0;
  resHi = 0;
  /** While Off.HALT is 1: the wait is a WFE (ends with an event), and the physical count at which WFIT or WFET gives up. */
  waitsForEvent = false;
  private waitUntil: bigint | undefined;

  /** An agent acts at another level than the one for which `contextChanged` was called last. */
  contextStale = false;
  /** Control registers were written since the map of registers was made. */
  private mapStale = false;

  private readonly derived = new DerivedContext();
  private readonly named = new Set<number>();
  private lastSecurity: Security = Security.NonSecure;
  private rng: number;

  constructor(o: PeOptions) {
    this.st = new PeState(o.memory, o.index);
    this.index = o.index;
    this.phys = o.phys;
    this.features = o.features;
    this.mmu = o.mmu;
    this.gic = o.gic;
    this.hooks = o.hooks;
    this.counter = o.counter;
    this.mpidr = o.mpidr ?? (1n << 31n) | BigInt(o.index);
    this.rng = o.seed ?? 0x9e37_79b9 ^ o.index;
    const has = (f: string): boolean => o.features.has(f);
    this.haveEl3 = has("EL3");
    this.hasPan = has("PAN");
    this.hasUao = has("UAO");
    this.hasDit = has("DIT");
    this.hasSsbs = has("SSBS");
    this.hasBti = has("BTI");
    this.hasRme = has("RME");
    this.hasPauth = has("PAuth");
    this.hasLpa2 = has("LPA2");
    this.hasLva = has("LVA");
    this.hasVhe = has("VHE");
    this.hasSel2 = has("SEL2");
    this.hasFgt = has("FGT");
    this.hasHcx = has("HCX");
    if (this.hasRme) o.mmu.granuleCheck = new GranuleProtection(this.st, o.phys, gptFeatures(o.features));
    this.regs = sysRegs(o.features);
    this.map = new SysRegMap(this);
    this.timers = new Timers(this, o.counter, o.ppi ?? (() => noLine));
    this.pmu = new Pmu(this, (o.ppi ?? (() => noLine))(PMU_INTID));
    this.debug = new Debug(this);
  }

  /** Security state of the current Exception level. Without FEAT_RME, EL3 is in Secure state. */
  get security(): Security {
    if (this.st.lo(Off.EL) === 3) return this.hasRme ? Security.Root : Security.Secure;
    if (!this.ns) return Security.Secure;
    return this.nse ? Security.Realm : Security.NonSecure;
  }

  // ---- context --------------------------------------------------------------------------------------------------------

  /** The Exception level, PSTATE or a translation register changed: brings everything derived from them up to date. */
  contextChanged(): void {
    this.contextStale = false;
    if (this.mapStale) {
      this.mapStale = false;
      this.map.update();
    }
    this.mmu.contextChanged();
    this.derived.apply(this);
    this.stateChanged();
  }
  /**
   * The Exception level changed to one where `agent` acts, if there is one. Most of the context is for instructions: an agent executes
   * none and returns from the level, so that it would be brought up to date for nothing.
   */
  levelChanged(agent: Agent | undefined): void {
    if (agent === undefined) {
      this.contextChanged();
      return;
    }
    this.contextStale = true;
    this.mmu.fetchNothing();
    this.stateChanged();
  }
  /** What others than instructions see of the level: counters, the interrupt controller, timers. */
  private stateChanged(): void {
    if (this.pmu.active) this.pmu.recount();
    const security = this.security;
    if (security !== this.lastSecurity) {
      this.lastSecurity = security;
      this.gic?.update();
      this.timers.update();
    }
  }

  /** A control register changed (also to be called after writing st directly): traps, routing and regimes are computed again. */
  controlsChanged(): void {
    this.controlsWritten();
    this.contextChanged();
  }
  /** The same when an exception entry or return follows, which brings the context up to date anyway. */
  controlsWritten(): void {
    const st = this.st;
    const oldHcr = this.hcrLo;
    const oldScr = this.scrLo;
    this.scrLo = st.lo(slot.SCR_EL3);
    this.ns = !this.haveEl3 || (this.scrLo & 1) === 1;
    this.nse = this.haveEl3 && this.hasRme && st.bit(slot.SCR_EL3, 62) === 1;
    this.el2On = this.ns || (this.hasSel2 && (this.scrLo & (1 << 18)) !== 0);
    this.fgt = this.hasFgt && (!this.haveEl3 || (this.scrLo & (1 << 27)) !== 0);
    this.hcrx = this.hasHcx && (!this.haveEl3 || st.bit(slot.SCR_EL3, 38) === 1);
    this.readHcr();
    this.derived.invalidate();
    this.mapStale = true;
    if (oldHcr !== this.hcrLo || oldScr !== this.scrLo) this.gic?.update();
  }

  /** Copies of HCR_EL2. */
  readHcr(): void {
    const st = this.st;
    this.hcrLo = st.lo(slot.HCR_EL2);
    this.e2h = this.hasVhe && st.bit(slot.HCR_EL2, 34) === 1;
    this.tge = this.el2On && (this.hcrLo & (1 << 27)) !== 0;
    this.host = this.e2h && this.tge;
    // VF (6), VI (7), VSE (8) to Line.VFIQ (8), VIRQ (4), VSERROR (32)
    this.vlines = ((this.hcrLo >>> 3) & 8) | ((this.hcrLo >>> 5) & 4) | ((this.hcrLo >>> 3) & 32);
  }

  // ---- exceptions -----------------------------------------------------------------------------------------------------

  /** Takes an exception whose routing is decided. FAR and HPFAR are the caller's. */
  takeException(e: ExceptionInfo): void {
    enter(this, e.target, e.vector, e.ec, e.iss, e.next);
  }
  /** Takes the Instruction or Data Abort (or granule protection exception) for a fault of the current instruction. */
  takeAbort(fault: Fault, o: AbortContext): void {
    takeAbort(this, fault, o);
  }
  /** Misaligned PC: the instruction at Off.PC cannot be fetched. */
  takePcAlignment(): void {
    const target = defaultTarget(this);
    this.st.set(FAR[target] as number, this.st.pc);
    enterSync(this, target, Ec.PcAlignment, 0);
  }
  /** Removes the ignored top byte of PC (AArch64.BranchAddr); true when PC changed. */
  canonicalPc(): boolean {
    const st = this.st;
    const hi = st.hi(Off.PC);
    branchAddress(this, st.lo(Off.PC), hi);
    return st.hi(Off.PC) !== hi;
  }
  /** PACIASP and PACIBSP are landing pads also for BTYPE 3 (SCTLR_ELx.BT = 0). */
  get btiPacCompatible(): boolean {
    return this.bt === 0;
  }
  /** Software in TypeScript for an Exception level in one Security state, for example R-EL2; undefined removes it. */
  setAgent(el: 1 | 2 | 3, security: Security, agent: Agent | undefined): void {
    this.stateAgents[4 * el + security] = agent;
  }
  /** The agent that takes exceptions to `el` in `security`: the one of that state, else the one of the level. */
  agentFor(el: 1 | 2 | 3, security: Security): Agent | undefined {
    return this.stateAgents[4 * el + security] ?? this.agents[el];
  }
  /** The agent that is the software of the current Exception level and Security state and runs by itself, if there is one. */
  get resident(): Required<Agent> | undefined {
    const el = this.st.lo(Off.EL);
    const agent = el === 0 ? undefined : this.agentFor(el as 1 | 2 | 3, this.security);
    return agent?.execute === undefined ? undefined : (agent as Required<Agent>);
  }
  /** The ERET of the current Exception level: PSTATE from SPSR_ELx, PC from ELR_ELx. */
  exceptionReturn(): void {
    eret(this);
  }
  /** Performs a system operation (isa/sysops.ts): 0 = go on in line, 1 = continue at Off.PC. */
  system(op: number, insn: number): 0 | 1 {
    return systemOperation(this, op, insn);
  }

  // ---- results of system operations ------------------------------------------------------------------------------------

  /** The instruction is complete; the next one is to be fetched anew. */
  redirectNext(): 1 {
    const st = this.st;
    const lo = (st.lo(Off.PC) + 4) >>> 0;
    st.setLoHi(Off.PC, lo, lo < 4 ? (st.hi(Off.PC) + 1) >>> 0 : st.hi(Off.PC));
    st.setLo(Off.BTYPE, 0);
    st.setLo(Off.RESYNC, 0);
    return 1;
  }
  /** The instruction is complete; leaves generated code when an interrupt can be taken now. */
  recheck(): 0 | 1 {
    return deliverable(this) === 0 ? 0 : this.redirectNext();
  }

  // ---- interrupts and waiting --------------------------------------------------------------------------------------------

  /** Takes the highest-priority unmasked interrupt, if any; Off.PC must be the next instruction to execute. */
  pollInterrupts(): boolean {
    const line = deliverable(this);
    if (line === 0) return false;
    takeInterrupt(this, line);
    return true;
  }
  /** Enters WFI, or WFE with `event`; `until`: CNTVCT value at which WFIT and WFET end. */
  startWait(event: boolean, until: bigint | undefined): void {
    this.waitsForEvent = event;
    this.waitUntil = until === undefined ? undefined : this.timers.now() + (until - this.timers.virtualCount());
    this.st.setLo(Off.HALT, 1);
  }
  /** Physical count at which the current WFIT or WFET ends. */
  waitDeadline(): bigint | undefined {
    return this.waitUntil;
  }
  /** Does it wait in WFIT, WFET, or WFE that the event stream ends: for time to pass, in a loop that does nothing else? */
  get delays(): boolean {
    return this.st.lo(Off.HALT) === 1 && (this.waitUntil !== undefined || (this.waitsForEvent && this.timers.eventStream));
  }
  /** While waiting: does the wait end now? Clears Off.HALT when it does. Call timers.update() before. */
  wakeFromHalt(): boolean {
    const st = this.st;
    if (st.lo(Off.HALT) !== 1) return false;
    let wake = this.waitUntil !== undefined && this.timers.now() >= this.waitUntil;
    if (this.waitsForEvent) {
      if (st.lo(Off.EVENT) !== 0) {
        st.setLo(Off.EVENT, 0);
        wake = true;
      } else if (deliverable(this) !== 0) wake = true;
    } else if (wakesWfi(this)) wake = true;
    if (!wake) return false;
    st.setLo(Off.HALT, 0);
    this.waitUntil = undefined;
    return true;
  }

  // ---- registers for agents, loaders, tests --------------------------------------------------------------------------------

  private register(name: RegName): SysReg {
    const r = this.regs.byName.get(name);
    if (r === undefined) throw new EmuError("register-absent", `this CPU has no register ${name}`);
    return r;
  }
  /** Reads a system register as software at the highest level would, with no access check. */
  readSys(name: RegName): bigint {
    readRegister(this, this.register(name));
    return (BigInt(this.resHi) << 32n) | BigInt(this.resLo);
  }
  /** Writes a system register with its masks and effects, with no access check. */
  writeSys(name: RegName, value: bigint): void {
    writeRegister(this, this.register(name), Number(value & 0xffff_ffffn), Number((value >> 32n) & 0xffff_ffffn));
  }

  /** Logs something about an encoding the first time it is met. */
  nameOnce(key: number, message: () => string): void {
    if (this.named.has(key)) return;
    this.named.add(key);
    this.hooks.log(message());
  }
  /** Next number of RNDR's generator (xorshift32), 32 bits. */
  random32(): number {
    let x = this.rng;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.rng = x;
    return x >>> 0;
  }

  // ---- reset, save, restore --------------------------------------------------------------------------------------------------

  /** Cold reset: the highest Exception level, interrupts masked, PC = 0. */
  reset(): void {
    resetRegisters(this);
    this.map.clear();
    this.waitUntil = undefined;
    this.waitsForEvent = false;
    this.mmu.reset();
    this.pmu.reset();
    this.timers.reset();
    this.controlsChanged();
  }
  save(): Saved {
    return {
      rng: this.rng,
      timers: this.timers.save(),
      pmu: this.pmu.save(),
      waitsForEvent: this.waitsForEvent,
      waitUntil: this.waitUntil ?? null,
      resync: this.st.lo(Off.RESYNC) !== 0,
    };
  }
  /** After the state block was restored. */
  restore(state: Saved): void {
    const s = state as { [key: string]: Saved } | null;
    if (s === null || typeof s !== "object" || typeof s.rng !== "number" || typeof s.pmu !== "boolean" || s.timers === undefined) {
      throw new EmuError("snapshot-corrupt", "the state of a PE is damaged");
    }
    this.rng = s.rng;
    this.waitsForEvent = s.waitsForEvent === true;
    this.waitUntil = typeof s.waitUntil === "bigint" ? s.waitUntil : undefined;
    this.map.clear();
    this.mmu.reset();
    this.controlsChanged();
    this.timers.restore(s.timers);
    this.pmu.restore(s.pmu);
    this.st.setLo(Off.RESYNC, s.resync === true ? 1 : 0);
  }
}
