// The virtual machine monitor: builds the guest on PE 0, then runs virtual PE n on PE n of the host and answers its exits.

import { Security } from "../arch/security.ts";
import type { Pe } from "../cpu/pe.ts";
import { BUS_ERROR, type Requester } from "../devices/device.ts";
import { SavedFields } from "../devices/saved.ts";
import { Enter, Exit, RecEnter } from "../rmm/layouts.ts";
import { EnterFlag, ExitReason, exitReasonName, Psci, Ripas } from "../rmm/status.ts";
import { blank } from "../rmm/struct.ts";
import { EmuError, hex } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import type { HostTask } from "./agent.ts";
import type { GuestBoard } from "./board.ts";
import { affinityOf } from "./board-maps.ts";
import { ExitEc, exitEc, exitIpa, type MmioAccess, mmioAccess, type RecExitView, trappedRegister } from "./exits.ts";
import type { Guest } from "./guest.ts";
import type { HostGic } from "./host-gic.ts";

/** How the guest ended. */
export type GuestEnd = "poweroff" | "reset";

/** Told of every exit, before it is handled. */
export type ExitObserver = (rec: number, exit: RecExitView) => void;

export interface VmmOptions {
  gic: HostGic;
  guest: Guest;
  board: GuestBoard;
  /** An address in Non-secure RAM at which secondary PEs of the host are started. */
  entry: number;
  /** Destroy the guest when it has ended, and give all its memory back, before the host powers off. */
  teardown: boolean;
  log(line: string): void;
}

const PsciFid = { CPU_ON: 0xc400_0003n, SYSTEM_OFF: 0x8400_0008n, SYSTEM_RESET: 0x8400_0009n } as const;
/** PSCI function numbers (FID less SMC64 and owner). */
const PsciCall = { CPU_SUSPEND: 1, CPU_OFF: 2, CPU_ON: 3, AFFINITY_INFO: 4, SYSTEM_OFF: 8, SYSTEM_RESET: 9 } as const;
const WORD = 0xffff_ffffn;
const SMCCC_VERSION = 0x8000_0000n;
const SMCCC_1_1 = 0x1_0001n;
const NOT_SUPPORTED = BigInt.asUintN(64, -1n);
const ICC_SGI1R_EL1 = "S3_0_C12_C11_5";
const Ppi = { PMU: 23, VIRTUAL_TIMER: 27, PHYSICAL_TIMER: 30 } as const;

/**
 * Where the program of a PE is: at work (between two of the others), before the guest exists, in the guest, waiting because its virtual
 * PE is off or suspended, or at its end. Only work cannot be saved.
 */
const points = ["work", "boot", "guest", "off", "suspended", "over"] as const;
type Point = (typeof points)[number];

/** One virtual PE as the host's PE runs it. */
class Virtual {
  readonly index: number;
  readonly enter = blank(RecEnter);
  /** Powered on, as PSCI has it. */
  on: boolean;
  at: Point = "work";

  constructor(index: number) {
    this.index = index;
    this.on = index === 0;
  }
}

export class Vmm implements Stateful {
  /** Set when the guest has switched itself off. */
  end: GuestEnd | undefined;
  /** Number of exits by reason. */
  readonly exits = new Map<string, number>();
  private readonly o: VmmOptions;
  private readonly virtuals: Virtual[] = [];
  private readonly observers: ExitObserver[] = [];
  private ready = false;
  /** PE that switches the host off; it waits for the others. */
  private finisher = 0;
  private readonly who: Requester = { pas: Security.NonSecure, pe: 0 };

  constructor(o: VmmOptions) {
    this.o = o;
    for (let n = 0; n < o.guest.pes; n++) this.virtuals.push(new Virtual(n));
  }

  onExit(observer: ExitObserver): void {
    this.observers.push(observer);
  }

  /** An interrupt came up for virtual PE `n`: it leaves the guest, so that it can be entered with it. */
  changed(n: number): void {
    const at = this.virtuals[n]?.at;
    if (at === "guest" || at === "suspended") this.o.gic.kick(n);
  }

  /** The program of every PE of the host. `resumed`: of a machine that was restored. */
  *program(pe: Pe, resumed = false): HostTask {
    const v = this.virtuals[pe.index] as Virtual;
    const at = resumed ? v.at : undefined;
    if (at === undefined) yield* this.boot(pe, v);
    else if (at === "guest") yield* this.enter(pe, v, true);
    else {
      yield "resume";
      this.o.gic.acknowledge(pe);
      if (at === "suspended") yield* this.suspend(pe, v);
    }
    while (!this.ready) yield* this.wait(pe, v, "boot");
    while (this.end === undefined) {
      if (v.on) yield* this.enter(pe, v, false);
      else yield* this.wait(pe, v, "off");
    }
    if (at !== "over") this.o.gic.kick(this.finisher);
    while (true) yield* this.wait(pe, v, "over");
  }

  /** Waits for an interrupt. */
  private *wait(pe: Pe, v: Virtual, at: Point): HostTask {
    v.at = at;
    yield "wait";
    v.at = "work";
    this.o.gic.acknowledge(pe);
  }

  private *boot(pe: Pe, v: Virtual): HostTask {
    const { gic, guest } = this.o;
    if (v.index === 0) gic.start();
    gic.startPe(pe);
    if (v.index !== 0) return;
    yield* guest.create();
    for (let n = 1; n < this.virtuals.length; n++) {
      const [status] = yield [PsciFid.CPU_ON, BigInt(affinityOf(n)), BigInt(this.o.entry), 0n];
      if (status !== Psci.SUCCESS) throw new EmuError("host-cpu-on", `PSCI CPU_ON of the host's PE ${n} returned ${hex(status ?? 0n)}`);
    }
    this.ready = true;
  }

  // ---- entering ------------------------------------------------------------------------------------------------------

  /** One entry and the answer to its exit. */
  private *enter(pe: Pe, v: Virtual, resumed: boolean): HostTask {
    const { guest, board } = this.o;
    if (!resumed) board.vgic.enter(v.index, v.enter);
    v.at = "guest";
    const exit = yield* guest.enter(pe, v.index, v.enter, resumed);
    v.at = "work";
    this.o.gic.acknowledge(pe);
    v.enter.set(Enter.flags, 0);
    if (exit !== undefined) yield* this.exited(pe, v, exit);
    else {
      board.vgic.exit(v.index, v.enter);
      if (this.end === undefined) throw new EmuError("guest-off", `virtual PE ${v.index} cannot be entered: the guest is off`);
    }
  }

  private *exited(pe: Pe, v: Virtual, exit: RecExitView): HostTask {
    const { vgic } = this.o.board;
    const reason = exitReasonName(exit.num(Exit.exit_reason));
    this.exits.set(reason, (this.exits.get(reason) ?? 0) + 1);
    vgic.exit(v.index, exit);
    vgic.setPrivate(v.index, Ppi.VIRTUAL_TIMER, asserted(exit.lo(Exit.cntv_ctl)));
    vgic.setPrivate(v.index, Ppi.PHYSICAL_TIMER, asserted(exit.lo(Exit.cntp_ctl)));
    vgic.setPrivate(v.index, Ppi.PMU, exit.lo(Exit.pmu_ovf_status) === 1);
    for (const observer of this.observers) observer(v.index, exit);
    switch (exit.num(Exit.exit_reason)) {
      case ExitReason.SYNC:
        if (!this.emulated(v, exit)) yield* this.synchronous(v, exit);
        return;
      case ExitReason.IRQ:
      case ExitReason.FIQ:
        return; // acknowledged already
      case ExitReason.SERROR:
        // Not of the host's making: it has no devices that report errors so. What the guest has to know the RMM tells it.
        this.o.log(`host: virtual PE ${v.index} met an SError, ESR ${hex(exit.get(Exit.esr))}`);
        return;
      case ExitReason.PSCI:
        yield* this.psci(pe, v, exit);
        return;
      case ExitReason.RIPAS_CHANGE:
        yield* this.ripasChange(v, exit);
        return;
      case ExitReason.HOST_CALL:
        this.hostCall(v, exit);
        return;
      default:
        throw new EmuError(
          "realm-exit",
          `REC ${v.index} left the realm with ${reason}, ESR ${hex(exit.get(Exit.esr))}: this host has no answer to that`,
        );
    }
  }

  // ---- synchronous exits ---------------------------------------------------------------------------------------------

  /** What nearly all exits are: an access to a device. False: it is something else, or needs commands. */
  private emulated(v: Virtual, exit: RecExitView): boolean {
    if (exitEc(exit) !== ExitEc.DATA_ABORT) return false;
    const address = this.o.guest.deviceAddress(exitIpa(exit));
    if (address === undefined) return false;
    this.mmio(v, mmioAccess(exit), address);
    return true;
  }
  private *synchronous(v: Virtual, exit: RecExitView): HostTask {
    switch (exitEc(exit)) {
      case ExitEc.DATA_ABORT:
      case ExitEc.INSTRUCTION_ABORT:
        yield* this.abort(v, exit);
        return;
      case ExitEc.SYSREG:
        this.systemRegister(v, exit);
        return;
      case ExitEc.WFX:
        return; // waits are not trapped; entering again is a wait that ended at once
      default:
        throw stuck(v, exit);
    }
  }

  private *abort(v: Virtual, exit: RecExitView): HostTask {
    const found = yield* this.o.guest.resolve(exitIpa(exit));
    if (found === "memory") return;
    if (found === undefined) throw stuck(v, exit);
    this.mmio(v, mmioAccess(exit), found.device);
  }

  /** Does the access to a device; where there is none, or it answers with an error, the guest takes an external abort. */
  private mmio(v: Virtual, access: MmioAccess | undefined, address: number): void {
    const found = access && this.o.board.deviceAt(address);
    const aligned = access !== undefined && address % access.size === 0;
    if (!found || !aligned || !this.transfer(v, found, access)) v.enter.set(Enter.flags, EnterFlag.INJECT_SEA);
    else v.enter.set(Enter.flags, EnterFlag.EMUL_MMIO);
  }
  /** A bus of 32 bits: 8 bytes are two transfers, the low half first. */
  private transfer(v: Virtual, at: NonNullable<ReturnType<GuestBoard["deviceAt"]>>, access: MmioAccess): boolean {
    this.who.pe = v.index;
    if (access.size <= 4) return this.transferWord(v, at, access);
    const unit = 4;
    const mask = (1n << BigInt(8 * unit)) - 1n;
    let value = 0n;
    for (let done = 0; done < access.size; done += unit) {
      const shift = BigInt(8 * done);
      if (access.write) {
        if (!at.device.write(at.offset + done, unit, Number((access.data >> shift) & mask), this.who)) return false;
      } else {
        const read = at.device.read(at.offset + done, unit, this.who);
        if (read === BUS_ERROR) return false;
        value |= BigInt(read) << shift;
      }
    }
    v.enter.set(Enter.gprs, value, 0);
    return true;
  }

  private transferWord(v: Virtual, at: NonNullable<ReturnType<GuestBoard["deviceAt"]>>, access: MmioAccess): boolean {
    const size = access.size as 1 | 2 | 4;
    if (access.write) {
      v.enter.setLoHi(Enter.gprs, 0, 0);
      return at.device.write(at.offset, size, Number(access.data & WORD), this.who);
    }
    const read = at.device.read(at.offset, size, this.who);
    if (read === BUS_ERROR) return false;
    v.enter.setLoHi(Enter.gprs, read, 0);
    return true;
  }

  /** A trapped register of the interrupt controller: software generated interrupts. Others are not the host's business: read 0. */
  private systemRegister(v: Virtual, exit: RecExitView): void {
    const { name, write } = trappedRegister(exit);
    if (write && name === ICC_SGI1R_EL1) this.o.board.vgic.sendSgi(v.index, exit.get(Exit.gprs, 0));
    else this.o.log(`host: REC ${v.index}: ${write ? "write of" : "read of"} ${name} has no effect`);
    v.enter.set(Enter.gprs, 0n, 0);
  }

  // ---- requests ------------------------------------------------------------------------------------------------------

  private *ripasChange(v: Virtual, exit: RecExitView): HostTask {
    const base = exit.num(Exit.ripas_base);
    const top = exit.num(Exit.ripas_top);
    const ram = exit.num(Exit.ripas_value) === Ripas.RAM;
    if (!(yield* this.o.guest.changeRipas(v.index, base, top, ram))) v.enter.set(Enter.flags, EnterFlag.RIPAS_RESPONSE);
  }

  /** RSI_HOST_CALL, taken as a call by SMCCC, as KVM does. */
  private hostCall(v: Virtual, exit: RecExitView): void {
    for (let n = 0; n < 31; n++) v.enter.set(Enter.gprs, exit.get(Exit.gprs, n), n);
    v.enter.set(Enter.gprs, exit.get(Exit.gprs, 0) === SMCCC_VERSION ? SMCCC_1_1 : NOT_SUPPORTED, 0);
  }

  private *psci(pe: Pe, v: Virtual, exit: RecExitView): HostTask {
    switch (Number(exit.get(Exit.gprs, 0) & 0xffffn)) {
      case PsciCall.CPU_ON:
        yield* this.complete(v, exit, true);
        return;
      case PsciCall.AFFINITY_INFO:
        yield* this.complete(v, exit, false);
        return;
      case PsciCall.CPU_OFF:
        v.on = false;
        return;
      case PsciCall.CPU_SUSPEND:
        this.o.gic.setAlarm(pe, wakeTime(exit));
        yield* this.suspend(pe, v);
        return;
      case PsciCall.SYSTEM_OFF:
        yield* this.finish(pe, v, "poweroff");
        return;
      case PsciCall.SYSTEM_RESET:
        yield* this.finish(pe, v, "reset");
        return;
      default:
        throw new EmuError(
          "realm-psci",
          `REC ${v.index} asked for the PSCI function ${hex(exit.get(Exit.gprs, 0))}, which this host does not know`,
        );
    }
  }

  /** Tells the RMM which REC the MPIDR of a PSCI request means. */
  private *complete(v: Virtual, exit: RecExitView, powerOn: boolean): HostTask {
    const mpidr = exit.get(Exit.gprs, 1) & 0xff_00ff_ffffn;
    const target = this.virtuals.find((other) => BigInt(affinityOf(other.index)) === mpidr);
    if (target === undefined)
      throw new EmuError("realm-psci", `REC ${v.index} asked for a PE ${hex(mpidr)} that the RMM should have refused`);
    yield* this.o.guest.completePsci(v.index, target.index);
    if (!powerOn) return;
    target.on = true;
    this.o.gic.kick(target.index);
  }

  /** Standby: until an interrupt for the virtual PE, or the alarm, which is one of its timers. */
  private *suspend(pe: Pe, v: Virtual): HostTask {
    const { gic, board } = this.o;
    while (this.end === undefined && !board.vgic.pending(v.index) && !gic.alarm(pe)) yield* this.wait(pe, v, "suspended");
    gic.setAlarm(pe, undefined);
  }

  /** The guest is off. The other PEs of the host leave it, then the host itself is switched off. */
  private *finish(pe: Pe, v: Virtual, end: GuestEnd): HostTask {
    this.end = end;
    this.finisher = v.index;
    for (const other of this.virtuals) if (other !== v) this.o.gic.kick(other.index);
    while (this.virtuals.some((other) => other.at === "guest")) {
      yield "wait";
      this.o.gic.acknowledge(pe);
    }
    if (this.o.teardown) yield* this.o.guest.destroy();
    v.at = "over";
    yield [end === "poweroff" ? PsciFid.SYSTEM_OFF : PsciFid.SYSTEM_RESET];
  }

  // ---- snapshots -----------------------------------------------------------------------------------------------------

  /** Is no PE in the middle of the host's own work, so that the state can be saved? */
  get settled(): boolean {
    return this.virtuals.every((v) => v.at !== "work" || !this.started(v.index));
  }
  /** Set by the owner of the coroutines: does this PE run its program? */
  started: (pe: number) => boolean = () => true;

  /** No PE is in the guest, as far as this knows: `restore` follows. */
  forget(): void {
    for (const v of this.virtuals) v.at = "work";
  }
  save(): Saved {
    if (!this.settled && this.end === undefined)
      throw new EmuError("snapshot-busy", "the host is in the middle of its work for a guest: let the machine run on for a little");
    const virtuals = this.virtuals.map((v) => ({ on: v.on, at: v.at, enter: v.enter.raw.slice() }));
    return { ready: this.ready, end: this.end ?? null, finisher: this.finisher, exits: [...this.exits].map((e) => [...e]), virtuals };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "vmm");
    this.ready = s.bool("ready");
    const end = (state as { end?: Saved }).end;
    this.end = end === "poweroff" || end === "reset" ? end : undefined;
    this.finisher = s.uint("finisher", this.virtuals.length - 1);
    this.exits.clear();
    for (const e of s.list("exits")) if (Array.isArray(e)) this.exits.set(String(e[0]), Number(e[1]));
    for (const [n, saved] of s.list("virtuals", this.virtuals.length).entries()) {
      const v = this.virtuals[n] as Virtual;
      const f = new SavedFields(saved, "virtual PE");
      v.on = f.bool("on");
      v.at = points.find((p) => p === (saved as { at?: Saved }).at) ?? "work";
      v.enter.raw.set(f.bytes("enter", v.enter.raw.length));
    }
  }
}

/** ENABLE and ISTATUS, not IMASK. */
const asserted = (ctl: number): boolean => (ctl & 7) === 5;

/** Count at which the first of the guest's timers asks for attention; undefined: none does. */
function wakeTime(exit: RecExitView): bigint | undefined {
  const armed = (["cntv", "cntp"] as const).filter((t) => (exit.get(`${t}_ctl`) & 3n) === 1n).map((t) => exit.get(`${t}_cval`));
  return armed.length === 0 ? undefined : armed.reduce((a, b) => (a < b ? a : b));
}

/** The error for an abort that the host can do nothing about: the same entry would end the same way for ever. */
function stuck(v: Virtual, exit: RecExitView): EmuError {
  const where = `ESR ${hex(exit.get(Exit.esr))}, IPA ${hex(exitIpa(exit))}`;
  return new EmuError("realm-stuck", `REC ${v.index} cannot go on: ${where} is not memory that the host can give it`);
}
