// The virtual machine monitor: builds the realm on PE 0, then runs REC n on PE n of the host and answers its exits.

import { Security } from "../arch/security.ts";
import type { Pe } from "../cpu/pe.ts";
import { BUS_ERROR, type Requester } from "../devices/device.ts";
import { EXIT_OFFSET, RecEnter, RecExit } from "../rmm/layouts.ts";
import { EnterFlag, ExitReason, exitReasonName, Psci, Ripas, RmiStatus } from "../rmm/status.ts";
import { blank, viewOf } from "../rmm/struct.ts";
import { EmuError, hex } from "../util/errors.ts";
import type { HostTask } from "./agent.ts";
import type { GuestBoard } from "./board.ts";
import { affinityOf } from "./board-maps.ts";
import { ExitEc, exitEc, exitIpa, type MmioAccess, mmioAccess, type RecExitView, trappedRegister } from "./exits.ts";
import type { HostGic } from "./host-gic.ts";
import type { HostMemory } from "./memory.ts";
import type { HostRealm } from "./realm.ts";
import { type RmiClient, rmiFailed } from "./rmi.ts";

/** How the realm ended. */
export type RealmEnd = "poweroff" | "reset";

/** Told of every exit, before it is handled. */
export type ExitObserver = (rec: number, exit: RecExitView) => void;

export interface VmmOptions {
  rmi: RmiClient;
  memory: HostMemory;
  gic: HostGic;
  realm: HostRealm;
  board: GuestBoard;
  /** An address in Non-secure RAM at which secondary PEs of the host are started. */
  entry: number;
  /** Destroy the realm when it has ended, and give all its memory back, before the host powers off. */
  teardown: boolean;
  log(line: string): void;
}

const PsciFid = { CPU_ON: 0xc400_0003n, SYSTEM_OFF: 0x8400_0008n, SYSTEM_RESET: 0x8400_0009n } as const;
/** PSCI function numbers (FID less SMC64 and owner). */
const PsciCall = { CPU_SUSPEND: 1, CPU_OFF: 2, CPU_ON: 3, AFFINITY_INFO: 4, SYSTEM_OFF: 8, SYSTEM_RESET: 9 } as const;
const SMCCC_VERSION = 0x8000_0000n;
const SMCCC_1_1 = 0x1_0001n;
const NOT_SUPPORTED = BigInt.asUintN(64, -1n);
const ICC_SGI1R_EL1 = "S3_0_C12_C11_5";
const Ppi = { PMU: 23, VIRTUAL_TIMER: 27, PHYSICAL_TIMER: 30 } as const;
const RUN_BYTES = 0x800;

/** One REC as its host PE runs it. */
class Virtual {
  readonly index: number;
  /** PA of the RmiRecRun page. */
  readonly run: number;
  readonly enter = blank(RecEnter);
  /** Powered on, as PSCI has it. */
  on: boolean;
  /** RMI_REC_ENTER is under way. */
  inside = false;

  constructor(index: number, run: number) {
    this.index = index;
    this.run = run;
    this.on = index === 0;
  }
}

export class Vmm {
  /** Set when the realm has switched itself off. */
  end: RealmEnd | undefined;
  /** Number of REC exits by reason. */
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
    for (let n = 0; n < o.realm.config.pes; n++) this.virtuals.push(new Virtual(n, o.memory.take()));
  }

  onExit(observer: ExitObserver): void {
    this.observers.push(observer);
  }

  /** An interrupt came up for REC `rec`: it leaves the realm, so that it can be entered with it. */
  changed(rec: number): void {
    if (this.virtuals[rec]?.inside) this.o.gic.kick(rec);
  }

  /** The program of every PE of the host. */
  *program(pe: Pe): HostTask {
    const { gic } = this.o;
    if (pe.index === 0) gic.start();
    gic.startPe(pe);
    if (pe.index === 0) yield* this.start();
    while (!this.ready) {
      yield "wait";
      gic.acknowledge(pe);
    }
    const v = this.virtuals[pe.index];
    while (v !== undefined && this.end === undefined) {
      if (v.on) yield* this.enter(pe, v);
      else {
        yield "wait";
        gic.acknowledge(pe);
      }
    }
    if (this.end !== undefined) gic.kick(this.finisher);
    while (true) yield "wait";
  }

  private *start(): HostTask {
    yield* this.o.realm.create();
    for (let n = 1; n < this.virtuals.length; n++) {
      const [status] = yield [PsciFid.CPU_ON, BigInt(affinityOf(n)), BigInt(this.o.entry), 0n];
      if (status !== Psci.SUCCESS) throw new EmuError("host-cpu-on", `PSCI CPU_ON of the host's PE ${n} returned ${hex(status ?? 0n)}`);
    }
    this.ready = true;
  }

  // ---- entering ------------------------------------------------------------------------------------------------------

  /** One entry and the answer to its exit. */
  private *enter(pe: Pe, v: Virtual): HostTask {
    const { memory, rmi, realm, board } = this.o;
    board.vgic.enter(v.index, v.enter);
    if (!memory.write(v.run, v.enter.raw)) throw new EmuError("host-memory-lost", `the host cannot write its run page ${hex(v.run)}`);
    const rec = realm.recs[v.index] ?? 0;
    v.inside = true;
    const answer = yield* rmi.call("REC_ENTER", rec, v.run);
    v.inside = false;
    this.o.gic.acknowledge(pe);
    if (!answer.ok) {
      board.vgic.exit(v.index, v.enter);
      if (answer.status === RmiStatus.ERROR_REALM && this.end !== undefined) return;
      throw rmiFailed("REC_ENTER", [rec, v.run], answer);
    }
    const page = memory.read(v.run + EXIT_OFFSET, RUN_BYTES);
    if (page === undefined) throw new EmuError("host-memory-lost", `the host cannot read its run page ${hex(v.run)}`);
    v.enter.set("flags", 0);
    yield* this.exited(pe, v, viewOf(RecExit, page));
  }

  private *exited(pe: Pe, v: Virtual, exit: RecExitView): HostTask {
    const { vgic } = this.o.board;
    const reason = exitReasonName(exit.num("exit_reason"));
    this.exits.set(reason, (this.exits.get(reason) ?? 0) + 1);
    vgic.exit(v.index, exit);
    vgic.setPrivate(v.index, Ppi.VIRTUAL_TIMER, asserted(exit.get("cntv_ctl")));
    vgic.setPrivate(v.index, Ppi.PHYSICAL_TIMER, asserted(exit.get("cntp_ctl")));
    vgic.setPrivate(v.index, Ppi.PMU, exit.get("pmu_ovf_status") === 1n);
    for (const observer of this.observers) observer(v.index, exit);
    switch (exit.num("exit_reason")) {
      case ExitReason.SYNC:
        yield* this.synchronous(v, exit);
        return;
      case ExitReason.IRQ:
      case ExitReason.FIQ:
        return; // acknowledged already
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
          `REC ${v.index} left the realm with ${reason}, ESR ${hex(exit.get("esr"))}: this host has no answer to that`,
        );
    }
  }

  // ---- synchronous exits ---------------------------------------------------------------------------------------------

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
    const { realm } = this.o;
    const half = 2 ** (realm.config.ipaBits - 1);
    const ipa = exitIpa(exit);
    if (ipa < half) {
      if (!(yield* realm.provide(ipa))) throw stuck(v, exit);
    } else if (!(yield* realm.share(ipa))) {
      this.mmio(v, mmioAccess(exit), half);
    }
  }

  /** Does the access to a device; where there is none, or it answers with an error, the realm takes an external abort. */
  private mmio(v: Virtual, access: MmioAccess | undefined, half: number): void {
    const found = access && this.o.board.deviceAt(access.ipa - half);
    const aligned = access !== undefined && access.ipa % access.size === 0;
    if (!found || !aligned || !this.transfer(v, found, access)) v.enter.set("flags", EnterFlag.INJECT_SEA);
    else v.enter.set("flags", EnterFlag.EMUL_MMIO);
  }
  /** A bus of 32 bits: 8 bytes are two transfers, the low half first. */
  private transfer(v: Virtual, at: NonNullable<ReturnType<GuestBoard["deviceAt"]>>, access: MmioAccess): boolean {
    this.who.pe = v.index;
    const unit = Math.min(4, access.size) as 1 | 2 | 4;
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
    v.enter.set("gprs", value, 0);
    return true;
  }

  /** A trapped register of the interrupt controller: software generated interrupts. Others are not the host's business: read 0. */
  private systemRegister(v: Virtual, exit: RecExitView): void {
    const { name, write } = trappedRegister(exit);
    if (write && name === ICC_SGI1R_EL1) this.o.board.vgic.sendSgi(v.index, exit.get("gprs", 0));
    else this.o.log(`host: REC ${v.index}: ${write ? "write of" : "read of"} ${name} has no effect`);
    v.enter.set("gprs", 0n, 0);
  }

  // ---- requests ------------------------------------------------------------------------------------------------------

  private *ripasChange(v: Virtual, exit: RecExitView): HostTask {
    const base = exit.num("ripas_base");
    const top = exit.num("ripas_top");
    const ram = exit.num("ripas_value") === Ripas.RAM;
    if (!(yield* this.o.realm.changeRipas(v.index, base, top, ram))) v.enter.set("flags", EnterFlag.RIPAS_RESPONSE);
  }

  /** RSI_HOST_CALL, taken as a call by SMCCC, as KVM does. */
  private hostCall(v: Virtual, exit: RecExitView): void {
    for (let n = 0; n < 31; n++) v.enter.set("gprs", exit.get("gprs", n), n);
    v.enter.set("gprs", exit.get("gprs", 0) === SMCCC_VERSION ? SMCCC_1_1 : NOT_SUPPORTED, 0);
  }

  private *psci(pe: Pe, v: Virtual, exit: RecExitView): HostTask {
    switch (Number(exit.get("gprs", 0) & 0xffffn)) {
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
        return; // a wait that ends at once
      case PsciCall.SYSTEM_OFF:
        yield* this.finish(pe, v, "poweroff");
        return;
      case PsciCall.SYSTEM_RESET:
        yield* this.finish(pe, v, "reset");
        return;
      default:
        throw new EmuError(
          "realm-psci",
          `REC ${v.index} asked for the PSCI function ${hex(exit.get("gprs", 0))}, which this host does not know`,
        );
    }
  }

  /** Tells the RMM which REC the MPIDR of a PSCI request means. */
  private *complete(v: Virtual, exit: RecExitView, powerOn: boolean): HostTask {
    const mpidr = exit.get("gprs", 1) & 0xff_00ff_ffffn;
    const target = this.virtuals.find((other) => BigInt(affinityOf(other.index)) === mpidr);
    if (target === undefined)
      throw new EmuError("realm-psci", `REC ${v.index} asked for a PE ${hex(mpidr)} that the RMM should have refused`);
    const { recs } = this.o.realm;
    yield* this.o.rmi.must("PSCI_COMPLETE", recs[v.index] ?? 0, recs[target.index] ?? 0, Psci.SUCCESS);
    if (!powerOn) return;
    target.on = true;
    this.o.gic.kick(target.index);
  }

  /** The realm is off. The other PEs of the host leave it, then the host itself is switched off. */
  private *finish(pe: Pe, v: Virtual, end: RealmEnd): HostTask {
    this.end = end;
    this.finisher = v.index;
    for (const other of this.virtuals) if (other.inside) this.o.gic.kick(other.index);
    while (this.virtuals.some((other) => other.inside)) {
      yield "wait";
      this.o.gic.acknowledge(pe);
    }
    if (this.o.teardown) yield* this.o.realm.destroy();
    yield [end === "poweroff" ? PsciFid.SYSTEM_OFF : PsciFid.SYSTEM_RESET];
  }
}

/** ENABLE and ISTATUS, not IMASK. */
const asserted = (ctl: bigint): boolean => (ctl & 7n) === 5n;

/** The error for an abort that the host can do nothing about: the same entry would end the same way for ever. */
function stuck(v: Virtual, exit: RecExitView): EmuError {
  const where = `ESR ${hex(exit.get("esr"))}, IPA ${hex(exitIpa(exit))}`;
  return new EmuError("realm-stuck", `REC ${v.index} cannot go on: ${where} is not memory that the host can give it`);
}
