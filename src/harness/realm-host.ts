// A host of realms in the hands of a test: RMI calls by name, granules by address, realms run until they exit, and every event that
// matters. The machine below is the same as for `rme-emu realm`: EL3 monitor, RMM, granule protection table in memory.

import { Off } from "../arch/layout.ts";
import { Security } from "../arch/security.ts";
import type { HostMemory } from "../host/memory.ts";
import { type RmiReply, rmiReply } from "../host/rmi.ts";
import { SysOp } from "../isa/sysops.ts";
import { HostSoftware } from "../machine/host-software.ts";
import { observe } from "../machine/observe.ts";
import { VirtMachine } from "../machine/virt.ts";
import { affinityOf } from "../machine/virt-map.ts";
import type { RmmEvent } from "../rmm/agent.ts";
import { type RmiName, rmiCommands } from "../rmm/commands.ts";
import { granuleStateName } from "../rmm/granules.ts";
import { exitReasonName, GRANULE, rmiCodeName } from "../rmm/status.ts";
import { EmuError, hex, usageError } from "../util/errors.ts";
import { defaultEngine } from "./engine.ts";
import { HostTries, type Try, type TryKind } from "./host-tries.ts";
import { createRealm, type HostedRealm, type HostedRealmOptions, must } from "./hosted-realm.ts";
import { Inspector } from "./inspect.ts";

export interface RealmHostOptions {
  /** CPU with FEAT_RME; default "max,rme=on". */
  cpu?: string;
  /** PEs of the host, 1..8; default 1. */
  smp?: number;
  /** DRAM in bytes; default 64 MiB. */
  memory?: number;
  /** Seed of the platform's keys and of everything random; default 1. */
  seed?: bigint;
  /** Lines of the EL3 monitor and the RMM. */
  log?: (line: string) => void;
}

/** States of a granule (DEN0137 A2.2.3), in lower case. */
export type GranuleName = "undelegated" | "delegated" | "rd" | "rec" | "rec_aux" | "data" | "rtt";
/** RmiRecExitReason. */
export type ExitName = "SYNC" | "IRQ" | "FIQ" | "PSCI" | "RIPAS_CHANGE" | "HOST_CALL" | "SERROR";

/** What happened, in order. */
export type RealmEvent =
  /** A call of the host has returned. REC_ENTER: at the exit. */
  | { kind: "rmi"; pe: number; name: RmiName; args: readonly bigint[]; status: string; results: readonly bigint[] }
  | { kind: "enter"; pe: number; rec: number }
  /** A call of a realm: RSI_*, PSCI_*, or SMC_* when nobody knows it. Results: x0 to x4. */
  | { kind: "rsi"; pe: number; rec: number; name: string; args: readonly bigint[]; results: readonly bigint[] }
  | { kind: "exit"; pe: number; rec: number; reason: ExitName; esr: bigint }
  | { kind: "granule"; pa: number; from: GranuleName; to: GranuleName }
  /** A granule protection fault: of an access by a PE, or of a device's transfer. */
  | { kind: "gpf"; by: string; pa: number; access: TryKind };
export type RealmEventKind = RealmEvent["kind"];

/** RMI by the names of the specification: `host.rmi.GRANULE_DELEGATE(pa)`. */
export type RmiCalls = { readonly [N in RmiName]: (...args: (number | bigint)[]) => RmiReply };

/** Instructions that a REC may run before its REC_ENTER counts as hung. */
const RUN_LIMIT = 50_000_000;
const CPU_ON = 0xc400_0003n;
const SMC = 0xd400_0003;
/** Where PEs of the host appear to be; no code is there. */
const HOST_PC = 0x0f00_0000n;

/** Who makes a try: Exception level (default 2), PE of the host (default: the first idle one). */
export interface TryOptions {
  el?: 1 | 2;
  pe?: number;
}

/** A physical address as the host sees it. */
export class Place {
  readonly pa: number;
  private readonly host: RealmHost;
  constructor(host: RealmHost, pa: number) {
    this.host = host;
    this.pa = pa;
  }
  /** State of the granule, as the RMM has it. */
  get state(): GranuleName {
    return this.host.granuleState(this.pa);
  }
  /** Loads 8 bytes at Non-secure EL2 (or EL1) of an idle PE. */
  read(o: TryOptions = {}): Try {
    return this.by("read", o);
  }
  write(o: TryOptions & { value?: bigint } = {}): Try {
    return this.by("write", o, o.value);
  }
  fetch(o: TryOptions = {}): Try {
    return this.by("fetch", o);
  }
  private by(kind: TryKind, { el = 2, pe = this.host.idlePe() }: TryOptions, value?: bigint): Try {
    return this.host.tries.tryOne(pe, el, this.pa, kind, value);
  }
  /** Lets a device read (and print) or write here. */
  dma(kind: "read" | "write"): Try {
    return this.host.tries.byDevice(this.pa, kind);
  }
}

export class RealmHost extends Inspector {
  readonly rmi: RmiCalls;
  /** Memory of the host: loads, stores, unused granules. */
  readonly memory: HostMemory;
  readonly tries: HostTries;
  readonly software: HostSoftware;
  private nextVmid = 1;
  private readonly listeners = new Map<RealmEventKind, Set<(e: RealmEvent) => void>>();

  private constructor(o: RealmHostOptions) {
    const holder: { software?: HostSoftware } = {};
    const board = new VirtMachine({
      cpu: o.cpu ?? "max,rme=on",
      smp: o.smp ?? 1,
      memory: o.memory ?? 64 * 2 ** 20,
      time: "deterministic",
      seed: o.seed ?? 1n,
      epoch: 1_767_225_600,
      software: (m) => (holder.software = new HostSoftware(m)),
      engine: defaultEngine(),
      drives: [],
      output: () => {},
      virtioOutput: (bytes) => void this.printed.push(...bytes),
      log: o.log ?? (() => {}),
    });
    super(board);
    const software = holder.software as HostSoftware;
    this.software = software;
    this.memory = software.memory;
    this.tries = new HostTries(board, software.memory);
    this.rmi = Object.fromEntries(
      rmiCommands.map(({ name }) => [name, (...args: (number | bigint)[]) => this.call(name, args)]),
    ) as unknown as RmiCalls;
    this.watch();
    this.start();
  }
  /** What devices printed when they were made to read memory. */
  private readonly printed: number[] = [];

  /** A machine with EL3 monitor and RMM, and no realm yet. */
  static create(options: RealmHostOptions = {}): RealmHost {
    return new RealmHost(options);
  }

  /** All PEs parked at Non-secure EL2, interrupts of the host on. */
  private start(): void {
    const { gic } = this.software;
    const entry = this.memory.take();
    gic.start();
    for (const pe of this.board.pes) {
      if (pe.index > 0) this.smc([CPU_ON, BigInt(affinityOf(pe.index)), BigInt(entry), 0n]);
      gic.startPe(pe);
    }
  }

  // ---- calls ---------------------------------------------------------------------------------------------------------------

  private call(name: RmiName, args: readonly (number | bigint)[], pe = this.idlePe()): RmiReply {
    const command = rmiCommands.find((c) => c.name === name);
    if (command === undefined || args.length !== command.args.length)
      throw usageError(
        "rmi-arguments",
        `RMI_${name} takes ${command?.args.length} arguments (${command?.args.join(", ")}), not ${args.length}`,
      );
    return rmiReply(command, this.smc([BigInt(command.fid), ...args.map(BigInt)], pe));
  }

  /** An SMC of PE `pe` at Non-secure EL2 with these values in x0, x1, ...; answers x0 to x7. A realm that it enters runs until it exits. */
  smc(values: readonly bigint[], pe = this.idlePe(), limit = RUN_LIMIT): bigint[] {
    this.begin(values, pe);
    const { st } = this.peOf(pe);
    const end = this.board.retired + limit;
    while (!this.atHost(pe)) {
      const { idle } = this.board.advance(Math.min(1_000_000, Math.max(1, end - this.board.retired)), () => this.atHost(pe));
      if (this.board.end?.kind === "error") throw new EmuError("machine-error", this.board.end.message);
      if (this.atHost(pe)) break;
      if (idle) throw new EmuError("realm-halted", "the realm waits for an event that cannot come");
      if (this.board.retired >= end) throw new EmuError("realm-running", `the realm has not left after ${limit} instructions`);
    }
    this.software.gic.acknowledge(this.peOf(pe));
    return Array.from({ length: 8 }, (_, n) => st.x(n));
  }
  /** Makes the SMC and leaves the PE where that leads: at the host again, or in a realm (`advance` lets it run). */
  begin(values: readonly bigint[], pe = this.idlePe()): void {
    const target = this.peOf(pe);
    if (!this.atHost(pe)) throw new EmuError("pe-busy", `PE ${pe} does not run the host now`);
    this.software.gic.acknowledge(target); // what made the last realm leave
    for (let n = 0; n < 18; n++) target.st.setX(n, BigInt.asUintN(64, values[n] ?? 0n));
    target.st.setLo(Off.HALT, 0);
    target.st.pc = HOST_PC;
    target.system(SysOp.SMC, SMC);
  }
  /** Runs realms that were begun, for about this many instructions. */
  advance(instructions: number): void {
    this.board.advance(instructions, () => false);
  }
  /** Sends an interrupt of the host to a PE: a realm there exits with IRQ. */
  interrupt(pe: number): void {
    this.software.gic.kick(pe);
  }
  atHost(pe: number): boolean {
    const p = this.peOf(pe);
    return p.st.lo(Off.EL) === 2 && p.security === Security.NonSecure;
  }
  /** The first PE that runs the host. */
  idlePe(): number {
    const found = this.board.pes.find((p) => p.st.lo(Off.HALT) !== 2 && this.atHost(p.index));
    if (!found) throw new EmuError("pe-busy", "all PEs run realms");
    return found.index;
  }
  private peOf(pe: number) {
    const found = this.board.pes[pe];
    if (!found) throw new EmuError("no-such-pe", `there is no PE ${pe}; this machine has ${this.board.pes.length}`);
    return found;
  }

  // ---- memory ---------------------------------------------------------------------------------------------------------------

  /** Address of a fresh granule of the host, or the first of `count`, aligned to their size. */
  granule(count = 1): number {
    return count === 1 ? this.memory.take() : this.memory.takeAligned(count);
  }
  /** The same, delegated. */
  delegated(count = 1): number {
    const at = this.granule(count);
    for (let i = 0; i < count; i++) must(this.rmi.GRANULE_DELEGATE(at + i * GRANULE), "GRANULE_DELEGATE");
    return at;
  }
  /** A fresh granule of the host with content. */
  page(content: Uint8Array): number {
    const pa = this.granule();
    this.memory.write(pa, new Uint8Array(GRANULE));
    this.memory.write(pa, content);
    return pa;
  }
  at(pa: number): Place {
    return new Place(this, pa);
  }
  /** State of the granule at `pa`. Throws EmuError "not-dram" for an address that cannot be delegated at all. */
  granuleState(pa: number): GranuleName {
    const { granules } = this.software.rmm.cx;
    const found = granules.find(BigInt(pa - (pa % GRANULE)));
    if (found < 0) throw new EmuError("not-dram", `${hex(pa)} is not in the DRAM that realms may use`);
    return granuleStateName(granules.state(found)).toLowerCase() as GranuleName;
  }
  /** What devices have printed so far because of `place.dma("read")`. */
  get devicePrinted(): Uint8Array {
    return Uint8Array.from(this.printed);
  }

  // ---- realms ----------------------------------------------------------------------------------------------------------------

  /** Builds a realm by RMI. */
  createRealm(options: HostedRealmOptions = {}): HostedRealm {
    return createRealm(this, options, this.nextVmid++);
  }

  // ---- events ----------------------------------------------------------------------------------------------------------------

  /** Calls `listener` with every event of a kind; the function that is returned ends it. */
  on<K extends RealmEventKind>(kind: K, listener: (e: Extract<RealmEvent, { kind: K }>) => void): () => void {
    const set = this.listeners.get(kind) ?? new Set();
    this.listeners.set(kind, set);
    set.add(listener as (e: RealmEvent) => void);
    return () => void set.delete(listener as (e: RealmEvent) => void);
  }
  /** Collects events of some kinds while `action` runs. */
  during<K extends RealmEventKind>(kinds: readonly K[], action: () => void): Extract<RealmEvent, { kind: K }>[] {
    const events: Extract<RealmEvent, { kind: K }>[] = [];
    const ends = kinds.map((kind) => this.on(kind, (e) => void events.push(e)));
    try {
      action();
    } finally {
      for (const end of ends) end();
    }
    return events;
  }
  private tell(e: RealmEvent): void {
    for (const l of this.listeners.get(e.kind) ?? []) l(e);
  }
  private watch(): void {
    const { rmm } = this.software;
    rmm.observers.add((e) => this.tell(realmEvent(e)));
    const name = (s: number) => granuleStateName(s).toLowerCase() as GranuleName;
    rmm.cx.granules.observers.add((pa, from, to) => this.tell({ kind: "granule", pa, from: name(from), to: name(to) }));
    observe(this.board, {
      abort: (pe, fault) => {
        if (fault.gpc === undefined) return;
        const access = fault.fetch ? "fetch" : fault.write ? "write" : "read";
        this.tell({ kind: "gpf", by: `PE ${pe.index} at EL${pe.st.lo(Off.EL)}`, pa: fault.pa ?? 0, access });
      },
      refused: (t) => this.tell({ kind: "gpf", by: t.device, pa: t.at, access: t.write ? "write" : "read" }),
    });
  }
}

function realmEvent(e: RmmEvent): RealmEvent {
  if (e.kind === "rmi") {
    const { name, results } = e.command;
    return {
      kind: "rmi",
      pe: e.pe,
      name,
      args: e.args,
      status: rmiCodeName(e.results[0] ?? 0n),
      results: e.results.slice(1, 1 + results.length),
    };
  }
  return e.kind === "exit" ? { ...e, reason: exitReasonName(e.reason) as ExitName } : e;
}
