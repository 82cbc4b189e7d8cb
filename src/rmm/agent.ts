// The RMM agent: stands in for TF-RMM at R-EL2. RMI calls come from EL3, exceptions of realms from the PE.

import { Off } from "../arch/layout.ts";
import { slot } from "../arch/state.ts";
import { Ec } from "../arch/syndrome.ts";
import { type Agent, type ExceptionInfo, Vector } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import { type Command, type RmiName, type RsiName, rmiByFid, rsiByFid } from "./commands.ts";
import type { MonitorPort, RmiHandler, RmmContext } from "./cx.ts";
import { type PeResources, rmmFeatures } from "./features.ts";
import { type DramBank, Granules } from "./granules.ts";
import { EXIT_OFFSET, Exit, RecExit } from "./layouts.ts";
import { GuardedMemory } from "./memory.ts";
import { Realm } from "./realm.ts";
import { Rec, recAt } from "./rec.ts";
import { handleException } from "./rec-exit.ts";
import { HostState, loadRec, saveRec, updateTimers } from "./rec-run.ts";
import { dataCreate, dataCreateUnknown, dataDestroy, rttInitRipas, rttSetRipas } from "./rmi-data.ts";
import { admit } from "./rmi-enter.ts";
import { features, granuleDelegate, granuleUndelegate, version } from "./rmi-granule.ts";
import { realmActivate, realmCreate, realmDestroy } from "./rmi-realm.ts";
import { psciComplete, recAuxCount, recCreate, recDestroy } from "./rmi-rec.ts";
import { rttCreate, rttDestroy, rttFold, rttMapUnprotected, rttReadEntry, rttUnmapUnprotected } from "./rmi-rtt.ts";
import { isPsciId } from "./rsi-psci.ts";
import { emulateStage2Fault } from "./rsi-result.ts";
import { Rtt } from "./rtt.ts";
import { Next, type Run } from "./run.ts";
import { HCR_VSE, Stage2Tlb } from "./stage2.ts";
import { ExitReason, rmiCodeName, rsiCodeName, SMC_UNKNOWN } from "./status.ts";
import { blank } from "./struct.ts";

/** Something a realm or the host did, for traces and tests. */
export type RmmEvent =
  | { kind: "rmi"; pe: number; command: Command<RmiName>; args: readonly bigint[]; results: readonly bigint[] }
  | { kind: "enter"; pe: number; rec: number }
  | { kind: "rsi"; pe: number; rec: number; name: string; args: readonly bigint[]; results: readonly bigint[] }
  | { kind: "exit"; pe: number; rec: number; reason: number; esr: bigint };

export interface RmmOptions {
  phys: PhysicalMemory;
  pes: readonly Pe[];
  /** DRAM that realms may use, as the boot manifest says. */
  banks: readonly DramBank[];
  monitor: MonitorPort;
  resources: PeResources;
  /** Memory is about to change: the executor's memoryWritten. */
  written(pa: number, bytes: number): void;
  log?: (line: string) => void;
}

/** SVE hint of a function identifier (SMCCC 1.3). */
const SVE_HINT = 0x1_0000;

/** x4 to x17 are the caller's unless the command defines them as results. */
const FIRST_KEPT = 4;

/** A call that a realm makes by SMC. */
interface RealmCall {
  fid: number;
  name: string;
  command: Command<RsiName> | undefined;
  args: readonly bigint[];
}

/** REC that runs on a PE, and the page to which its exit is reported. */
interface Running {
  readonly rec: number;
  readonly run: number;
  /** What the handlers of its exceptions see; made when it is needed. REC and RD stay where they are as long as it runs. */
  seen?: Run;
}

/** RMM 1.0 for all PEs of a machine. Register it at R-EL2: `pe.setAgent(2, Security.Realm, rmm)`. */
export class RmmAgent implements Agent, Stateful {
  readonly el = 2;
  readonly cx: RmmContext;
  /** Told of every call and exit. */
  readonly observers = new Set<(e: RmmEvent) => void>();
  private readonly options: RmmOptions;
  private readonly running: (Running | undefined)[];
  private readonly hosts: HostState[];
  /** PE whose granule protection check the RMM's accesses go through. */
  private current: Pe | undefined;
  private readonly exit = blank(RecExit);

  constructor(o: RmmOptions) {
    const cpu = o.pes[0]?.features;
    if (cpu === undefined) throw new EmuError("rmm-needs", "the RMM needs a PE");
    this.options = o;
    const granules = new Granules(o.banks);
    const memory = new GuardedMemory(o.phys, () => this.current?.mmu.granuleCheck, o.written);
    this.cx = {
      memory,
      granules,
      rtt: new Rtt(memory, granules),
      tlb: new Stage2Tlb(cpu),
      features: rmmFeatures(cpu, o.resources),
      cpu,
      monitor: o.monitor,
      vmids: new Set(),
    };
    this.running = o.pes.map(() => undefined);
    this.hosts = o.pes.map(() => new HostState());
  }

  // ---- RMI ----------------------------------------------------------------------------------------------------------------

  /**
   * An RMI call of the host that EL3 forwards: x0 and x1..x6. Returns x0, x1, ... for the host; undefined: a realm runs on the PE
   * now, and `MonitorPort.complete` is called when it leaves.
   */
  rmi(pe: Pe, fid: number, args: readonly bigint[]): readonly bigint[] | undefined {
    this.current = pe;
    const command = rmiByFid.get(fid);
    if (command === undefined) return [SMC_UNKNOWN];
    const results = command.name === "REC_ENTER" ? this.recEnter(pe, args) : handlers[command.name](this.cx, pe, args);
    if (results === undefined) return undefined;
    // x1 to x3 are always written; from x4 on, what the command does not define stays the caller's (SMCCC 1.2, 2.6).
    const all = padded(results, Math.max(FIRST_KEPT, 1 + command.results.length));
    if (this.observers.size > 0 || command.logCall || (command.logError && all[0] !== 0n))
      this.report(pe, command, args.slice(0, command.args.length), all);
    return all;
  }

  private tell(e: RmmEvent): void {
    for (const told of this.observers) told(e);
  }
  private report(pe: Pe, command: Command<RmiName>, args: readonly bigint[], results: readonly bigint[]): void {
    if (this.observers.size > 0) this.tell({ kind: "rmi", pe: pe.index, command, args, results });
    if (!command.logCall && !(command.logError && results[0] !== 0n)) return;
    const words = (list: readonly bigint[]): string => list.map((v) => ` ${v.toString(16)}`).join("");
    const out = results[0] === 0n ? words(results.slice(1, 1 + command.results.length)) : "";
    this.options.log?.(`SMC_RMI_${command.name.padEnd(21)}${words(args)} > ${rmiCodeName(results[0] as bigint)}${out}`);
  }

  private recEnter(pe: Pe, args: readonly bigint[]): readonly bigint[] | undefined {
    const admitted = admit(this.cx, pe, args[0] ?? 0n, args[1] ?? 0n);
    if (!("rec" in admitted)) return admitted;
    const { rec, recPa, realm, run, unmapped } = admitted;
    this.exit.raw.fill(0);
    if (unmapped !== undefined) {
      emulateStage2Fault({ exit: this.exit, ipa: rec.get(Rec.gprs, 1) }, unmapped);
      return this.writeExit(run) ? [0n] : INPUT_CODE;
    }
    this.cx.granules.take(recPa);
    const seen: Run = { cx: this.cx, pe, st: pe.st, rec, recPa, realm, exit: this.exit };
    this.running[pe.index] = { rec: recPa, run, seen };
    if (this.observers.size > 0) this.tell({ kind: "enter", pe: pe.index, rec: recPa });
    this.cx.monitor.enterRealmWorld(pe);
    loadRec(this.cx, pe, rec, realm, this.hosts[pe.index] as HostState);
    this.resume(seen);
    return undefined;
  }

  // ---- the realm runs -------------------------------------------------------------------------------------------------------

  private runOf(pe: Pe, running: Running): Run {
    if (running.seen !== undefined) return running.seen;
    const rec = recAt(this.cx.memory, running.rec);
    const realm = new Realm(this.cx.memory, rec.num(Rec.rd));
    running.seen = { cx: this.cx, pe, st: pe.st, rec, recPa: running.rec, realm, exit: this.exit };
    return running.seen;
  }

  /** An exception of a realm, taken to R-EL2. */
  handle(pe: Pe, e: ExceptionInfo): void {
    const running = this.running[pe.index];
    this.current = pe;
    if (running === undefined) {
      pe.hooks.requestStop(`RMM: exception with EC 0x${e.ec.toString(16)} at R-EL2 while no REC runs on PE ${pe.index}`);
      return;
    }
    const r = this.runOf(pe, running);
    this.exit.raw.fill(0);
    const call = this.callOf(r, e);
    const next = handleException(r, e, (what) => pe.hooks.requestStop(`RMM: ${what}`));
    if (call !== undefined) this.reportCall(r, call);
    if (next === Next.REALM) this.resume(r);
    else this.leave(r, running.run);
  }

  /** The call that an SMC of the realm makes; undefined: it is something else. */
  private callOf(r: Run, e: ExceptionInfo): RealmCall | undefined {
    if (e.vector !== Vector.Sync || e.ec !== Ec.Smc) return undefined;
    const fid = (r.st.lo(Off.X) & ~SVE_HINT) >>> 0;
    const command = rsiByFid.get(fid);
    const name = command === undefined ? (isPsciId(fid) ? `PSCI_${fid.toString(16)}` : `SMC_${fid.toString(16)}`) : `RSI_${command.name}`;
    return { fid, name, command, args: Array.from({ length: command?.args.length ?? 3 }, (_, i) => r.st.x(i + 1)) };
  }
  private reportCall(r: Run, { fid, name, command, args }: RealmCall): void {
    const results = Array.from({ length: 5 }, (_, i) => r.st.x(i));
    this.tell({ kind: "rsi", pe: r.pe.index, rec: r.recPa, name, args, results });
    // The host answers it: x0 is still the function identifier.
    const waits = results[0] === BigInt(fid);
    const failed = results[0] !== 0n && !waits;
    if (command !== undefined && !command.logCall && !(command.logError && failed)) return;
    const words = args.map((v) => ` ${v.toString(16)}`).join("");
    const plain = `${(results[0] as bigint).toString(16)}`;
    const code = waits ? "to the host" : command === undefined ? plain : rsiCodeName(results[0] as bigint);
    this.options.log?.(`${command === undefined ? name : `SMC_${name}`.padEnd(29)}${words} > ${code}`);
  }

  /** Goes (back) into the realm, unless a timer output has changed since the host last looked: then it is told first. */
  private resume(r: Run): void {
    const { pe, rec } = r;
    if (updateTimers(pe, rec)) {
      r.exit.set(Exit.exit_reason, ExitReason.IRQ);
      this.leave(r, (this.running[pe.index] as Running).run);
      return;
    }
    if (rec.flag(Rec.serror)) {
      rec.set(Rec.serror, 0n);
      pe.st.set(slot.VSESR_EL2, rec.get(Rec.vsesr));
      pe.st.set(slot.HCR_EL2, pe.st.get(slot.HCR_EL2) | HCR_VSE);
      pe.controlsChanged();
    }
    pe.exceptionReturn();
  }

  /** REC exit: the host gets the run page and the PE. */
  private leave(r: Run, run: number): void {
    const { pe } = r;
    saveRec(this.cx, pe, r.rec, r.realm, this.hosts[pe.index] as HostState, this.exit);
    this.running[pe.index] = undefined;
    this.cx.granules.drop(r.recPa);
    const results = this.writeExit(run) ? DONE : RUN_PAGE_LOST;
    if (this.observers.size > 0)
      this.tell({ kind: "exit", pe: pe.index, rec: r.recPa, reason: this.exit.num(Exit.exit_reason), esr: this.exit.get(Exit.esr) });
    this.cx.monitor.complete(pe, results);
  }

  private writeExit(run: number): boolean {
    return this.cx.memory.writeNonSecure(run, EXIT_OFFSET, this.exit.raw);
  }

  /** REC that runs on a PE: PA of its granule, or undefined. */
  runningRec(pe: number): number | undefined {
    return this.running[pe]?.rec;
  }

  // ---- state ----------------------------------------------------------------------------------------------------------------

  reset(): void {
    this.cx.granules.reset();
    this.cx.vmids.clear();
    this.running.fill(undefined);
    for (const h of this.hosts) h.clear();
  }
  save(): Saved {
    return {
      granules: this.cx.granules.save(),
      vmids: [...this.cx.vmids],
      running: this.running.map((r) => (r === undefined ? null : { rec: r.rec, run: r.run })),
      hosts: this.hosts.map((h) => h.save()),
    };
  }
  /** After RAM was restored. */
  restore(state: Saved): void {
    const s = state as { [key: string]: Saved } | null;
    const list = (v: Saved | undefined, length: number): Saved[] => {
      if (Array.isArray(v) && (length < 0 || v.length === length)) return v;
      throw new EmuError("snapshot-corrupt", "the saved state of the RMM has the wrong shape");
    };
    this.cx.granules.restore(s?.["granules"] ?? null);
    this.cx.vmids.clear();
    for (const v of list(s?.["vmids"], -1)) this.cx.vmids.add(Number(v));
    for (const [i, v] of list(s?.["running"], this.running.length).entries()) {
      const r = v as { rec?: Saved; run?: Saved } | null;
      this.running[i] = typeof r?.rec === "number" && typeof r.run === "number" ? { rec: r.rec, run: r.run } : undefined;
    }
    for (const [i, v] of list(s?.["hosts"], this.hosts.length).entries()) this.hosts[i]?.restoreSaved(v);
  }
}

/** Results with zeros behind them, `length` in all. */
function padded(results: readonly bigint[], length: number): readonly bigint[] {
  if (results.length >= length) return results;
  const all = [...results];
  while (all.length < length) all.push(0n);
  return all;
}

const INPUT_CODE = [1n];
/** x0 to x3 of a REC_ENTER that ran. */
const DONE = [0n, 0n, 0n, 0n];
const RUN_PAGE_LOST = [1n, 0n, 0n, 0n];

const handlers: Readonly<Record<Exclude<RmiName, "REC_ENTER">, RmiHandler>> = {
  VERSION: version,
  GRANULE_DELEGATE: granuleDelegate,
  GRANULE_UNDELEGATE: granuleUndelegate,
  DATA_CREATE: dataCreate,
  DATA_CREATE_UNKNOWN: dataCreateUnknown,
  DATA_DESTROY: dataDestroy,
  REALM_ACTIVATE: realmActivate,
  REALM_CREATE: realmCreate,
  REALM_DESTROY: realmDestroy,
  REC_CREATE: recCreate,
  REC_DESTROY: recDestroy,
  RTT_CREATE: rttCreate,
  RTT_DESTROY: rttDestroy,
  RTT_MAP_UNPROTECTED: rttMapUnprotected,
  RTT_READ_ENTRY: rttReadEntry,
  RTT_UNMAP_UNPROTECTED: rttUnmapUnprotected,
  PSCI_COMPLETE: psciComplete,
  FEATURES: features,
  RTT_FOLD: rttFold,
  REC_AUX_COUNT: recAuxCount,
  RTT_INIT_RIPAS: rttInitRipas,
  RTT_SET_RIPAS: rttSetRipas,
};
