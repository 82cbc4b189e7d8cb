// Builds a realm by RMI, gives it memory while it runs, and takes everything back.

import type { Pe } from "../cpu/pe.ts";
import { SavedFields } from "../devices/saved.ts";
import type { RmiName } from "../rmm/commands.ts";
import { decodeFeatures, type RmmFeatures } from "../rmm/features.ts";
import { EXIT_OFFSET, RealmParams, RecExit, RecParams } from "../rmm/layouts.ts";
import { startTables } from "../rmm/rtt.ts";
import { levelSize } from "../rmm/rtt-entry.ts";
import { DataFlag, GRANULE, type HashAlgorithm, Psci, RealmFlag, RecFlag, RmiStatus } from "../rmm/status.ts";
import { blank } from "../rmm/struct.ts";
import { EmuError, hex, usageError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";
import type { HostTask } from "./agent.ts";
import { affinityOf, type BoardMap } from "./board-maps.ts";
import type { RecExitView } from "./exits.ts";
import type { Guest, RecEnterView, Resolution } from "./guest.ts";
import type { RealmImage } from "./image.ts";
import { loadListRegisters, saveListRegisters } from "./list-registers.ts";
import type { HostMemory } from "./memory.ts";
import { type RmiArgument, type RmiClient, type RmiReply, rmiFailed } from "./rmi.ts";
import { agreeOnVersion } from "./rmi-version.ts";
import { Rmi2 } from "./rmi2.ts";
import type { SharedMemory } from "./shared-memory.ts";

export interface RealmConfig {
  map: BoardMap;
  /** Bytes of RAM. */
  memory: number;
  /** Number of RECs. */
  pes: number;
  ipaBits: number;
  hash: HashAlgorithm;
  /** Realm Personalization Value, 64 bytes. */
  rpv: Uint8Array;
  /** 2 and more. */
  breakpoints: number;
  watchpoints: number;
  /** Event counters; undefined: no PMU. */
  pmuCounters: number | undefined;
  image: RealmImage;
}

/** Fewest levels with which at most 16 start-level tables cover the IPA space, as KVM chooses. */
export const startLevelOf = (ipaBits: number): number => 4 - Math.ceil((ipaBits - 16) / 9);

const PAGE_LEVEL = 3;
/** The realm's only VMID: this host runs one realm. */
const VMID = 1;
/** Host descriptor of a shared page: Normal Write-Back (with FWB), read-write. */
const SHARED_ATTRIBUTES = (0b110n << 2n) | (3n << 6n);
/** A fault brings in the pages around it, this many at most. */
const FAULT_AROUND = 16;

/** State of a page of the realm's RAM. */
const Page = { ABSENT: 0, PRESENT: 1, EMPTY: 2 } as const;

const range = (low: number, high: number): string => (low === high ? `${low}` : `${low} to ${high}`);

/** Refuses what this RMM cannot do, before anything is made. */
function checkFeatures(c: RealmConfig, f: RmmFeatures): void {
  const refuse = (code: string, what: string): EmuError => usageError(code, `this RMM offers ${what}`);
  if (c.ipaBits > f.S2SZ)
    throw refuse("realm-ipa-width", `IPAs of ${f.S2SZ} bits, not ${c.ipaBits}; give the CPU more with --cpu NAME,pa=BITS`);
  if (c.breakpoints - 1 > f.NUM_BPS || c.breakpoints < 2)
    throw refuse("realm-breakpoints", `${range(2, f.NUM_BPS + 1)} breakpoints, not ${c.breakpoints}`);
  if (c.watchpoints - 1 > f.NUM_WPS || c.watchpoints < 2)
    throw refuse("realm-watchpoints", `${range(2, f.NUM_WPS + 1)} watchpoints, not ${c.watchpoints}`);
  if (c.pes > 2 ** f.MAX_RECS_ORDER - 1) throw refuse("realm-recs", `realms of up to ${2 ** f.MAX_RECS_ORDER - 1} RECs, not ${c.pes}`);
  if (c.pmuCounters !== undefined && (f.PMU_EN === 0 || c.pmuCounters < 1 || c.pmuCounters > f.PMU_NUM_CTRS)) {
    throw refuse("realm-pmu", f.PMU_EN === 0 ? "no performance monitors" : `1 to ${f.PMU_NUM_CTRS} event counters, not ${c.pmuCounters}`);
  }
}

export class HostRealm implements Guest {
  readonly config: RealmConfig;
  /** PAs of the Realm Descriptor and of the RECs. */
  rd = 0;
  readonly recs: number[] = [];
  /** Offered by the RMM; known after `create`. */
  features: RmmFeatures | undefined;
  private readonly rmi: RmiClient;
  private readonly memory: HostMemory;
  private readonly shared: SharedMemory;
  private readonly startLevel: number;
  private startTable = 0;
  private tables = 0;
  private readonly aux: number[][] = [];
  /** Tables made: level and the IPA at which they begin. */
  private readonly rtts: { level: number; ipa: number }[] = [];
  private readonly pages: Uint8Array;
  private readonly mapped = new Set<number>();
  /** RECs that have been entered. */
  private readonly entered = new Set<number>();
  /** A granule of the host for parameters and contents that the RMM reads. */
  private readonly staging: number;
  /** PAs of the RmiRecRun pages, and what was read of them last. */
  private readonly runs: number[] = [];
  private readonly exits: RecExitView[] = [];

  constructor(rmi: RmiClient, memory: HostMemory, shared: SharedMemory, config: RealmConfig) {
    this.rmi = rmi;
    this.memory = memory;
    this.shared = shared;
    this.config = config;
    this.startLevel = startLevelOf(config.ipaBits);
    this.pages = new Uint8Array(config.memory / GRANULE);
    this.staging = memory.take();
    for (let n = 0; n < config.pes; n++) {
      this.runs.push(memory.take());
      this.exits.push(blank(RecExit));
    }
  }

  get pes(): number {
    return this.config.pes;
  }

  // ---- granules ------------------------------------------------------------------------------------------------------

  private *delegated(): HostTask<number> {
    const pa = this.memory.take();
    yield* this.rmi.must("GRANULE_DELEGATE", pa);
    return pa;
  }
  private *reclaim(pa: number): HostTask {
    yield* this.rmi.must("GRANULE_UNDELEGATE", pa);
    this.memory.give(pa);
  }
  /** Writes a page for the RMM to read. */
  private stage(content: Uint8Array): number {
    if (!this.memory.write(this.staging, content))
      throw new EmuError("host-memory-lost", `the host cannot write its own page ${hex(this.staging)}`);
    return this.staging;
  }

  // ---- creation ------------------------------------------------------------------------------------------------------

  /** From nothing to an ACTIVE realm. */
  *create(): HostTask {
    const { config } = this;
    yield* agreeOnVersion(this.rmi, this.memory);
    this.features = decodeFeatures((yield* this.rmi.must("FEATURES", 0)).results[0] ?? 0n);
    checkFeatures(config, this.features);
    yield* this.createRd();
    yield* this.initRipas();
    for (const region of config.image.regions) yield* this.populate(region.ipa, region.content);
    for (let n = 0; n < config.pes; n++) yield* this.createRec(n);
    yield* this.rmi.must("REALM_ACTIVATE", this.rd);
  }

  private *createRd(): HostTask {
    const { config } = this;
    this.rd = yield* this.delegated();
    const tables = startTables(config.ipaBits, this.startLevel);
    if (tables === undefined) throw new EmuError("realm-ipa-width", `no start level fits IPAs of ${config.ipaBits} bits`);
    this.tables = tables;
    this.startTable = this.memory.takeAligned(tables);
    for (let i = 0; i < tables; i++) yield* this.rmi.must("GRANULE_DELEGATE", this.startTable + i * GRANULE);
    yield* this.rmi.must("REALM_CREATE", this.rd, this.stage(this.realmParams().raw));
  }
  private realmParams() {
    const { config } = this;
    const p = blank(RealmParams);
    p.set("flags", config.pmuCounters === undefined ? 0 : RealmFlag.PMU);
    p.set("s2sz", config.ipaBits);
    p.set("num_bps", config.breakpoints - 1);
    p.set("num_wps", config.watchpoints - 1);
    p.set("pmu_num_ctrs", config.pmuCounters ?? 0);
    p.set("hash_algo", config.hash);
    p.bytes("rpv").set(config.rpv);
    p.set("vmid", VMID);
    p.set("rtt_base", this.startTable);
    p.set("rtt_level_start", this.startLevel);
    p.set("rtt_num_start", this.tables);
    return p;
  }

  private *initRipas(): HostTask {
    const { map, memory } = this.config;
    const top = map.ram + memory;
    for (let at = map.ram; at < top; ) at = (yield* this.withTables(at, "RTT_INIT_RIPAS", this.rd, at, top)).number(0);
  }

  private *populate(ipa: number, content: Uint8Array): HostTask {
    for (let at = 0; at < content.length; at += GRANULE) {
      const data = this.memory.take();
      yield* this.rmi.must("GRANULE_DELEGATE", data);
      const src = this.stage(content.subarray(at, at + GRANULE));
      yield* this.withTables(ipa + at, "DATA_CREATE", this.rd, data, ipa + at, src, DataFlag.MEASURE);
      this.pages[(ipa + at - this.config.map.ram) / GRANULE] = Page.PRESENT;
    }
  }

  private *createRec(n: number): HostTask {
    const { image } = this.config;
    const rec = yield* this.delegated();
    const count = (yield* this.rmi.must("REC_AUX_COUNT", this.rd)).number(0);
    const aux: number[] = [];
    for (let i = 0; i < count; i++) aux.push(yield* this.delegated());
    const p = blank(RecParams);
    p.set("flags", n === 0 ? RecFlag.RUNNABLE : 0);
    p.set("mpidr", affinityOf(n));
    if (n === 0) {
      p.set("pc", image.entry);
      p.set("gprs", image.dtbAddress, 0);
    }
    p.set("num_aux", count);
    for (const [i, pa] of aux.entries()) p.set("aux", pa, i);
    yield* this.rmi.must("REC_CREATE", this.rd, rec, this.stage(p.raw));
    this.recs.push(rec);
    this.aux.push(aux);
  }

  // ---- tables --------------------------------------------------------------------------------------------------------

  /** Issues a command about `ipa` until no table is missing for it; it must succeed then. */
  private withTables(ipa: number, name: RmiName, ...args: RmiArgument[]): HostTask<RmiReply> {
    return this.makingTables(ipa, name, args, true);
  }
  /** The same; a failure at the level of pages is the caller's. */
  private tryWithTables(ipa: number, name: RmiName, ...args: RmiArgument[]): HostTask<RmiReply> {
    return this.makingTables(ipa, name, args, false);
  }
  private *makingTables(ipa: number, name: RmiName, args: readonly RmiArgument[], must: boolean): HostTask<RmiReply> {
    for (;;) {
      const answer = yield* this.rmi.call(name, ...args);
      if (answer.ok) return answer;
      const missing = answer.status === RmiStatus.ERROR_RTT && answer.index < PAGE_LEVEL && answer.index >= this.startLevel;
      if (missing && (yield* this.createRtt(ipa, answer.index + 1))) continue;
      if (must) throw rmiFailed(name, args, answer);
      return answer;
    }
  }
  private *createRtt(address: number, level: number): HostTask<boolean> {
    const span = levelSize(level - 1);
    const ipa = Math.floor(address / span) * span;
    const rtt = yield* this.delegated();
    const answer = yield* this.rmi.call("RTT_CREATE", this.rd, rtt, ipa, level);
    if (!answer.ok) yield* this.reclaim(rtt);
    else this.rtts.push({ level, ipa });
    return answer.ok;
  }

  // ---- running -------------------------------------------------------------------------------------------------------

  *enter(pe: Pe, n: number, enter: RecEnterView, resumed: boolean): HostTask<RecExitView | undefined> {
    const args = [this.recs[n] ?? 0, this.runs[n] ?? 0] as const;
    const run = args[1];
    if (!resumed && !this.memory.write(run, enter.raw))
      throw new EmuError("host-memory-lost", `the host cannot write its run page ${hex(run)}`);
    const live = this.rmi.later !== undefined; // RMI 2.0: interrupts are in the PE, not in the page
    if (live && !resumed) this.loadInterrupts(pe, n, enter);
    const answer = yield* resumed ? this.rmi.resume("REC_ENTER", ...args) : this.rmi.call("REC_ENTER", ...args);
    if (!answer.ok) {
      if (answer.status === RmiStatus.ERROR_REALM) return undefined;
      throw rmiFailed("REC_ENTER", args, answer);
    }
    const exit = this.exits[n] as RecExitView;
    if (!this.memory.readInto(run + EXIT_OFFSET, exit.raw))
      throw new EmuError("host-memory-lost", `the host cannot read its run page ${hex(run)}`);
    if (live) saveListRegisters(pe, exit);
    return exit;
  }
  private loadInterrupts(pe: Pe, n: number, enter: RecEnterView): void {
    if (!this.entered.has(n)) pe.gic?.write("ICH_VMCR_EL2", 0n);
    this.entered.add(n);
    loadListRegisters(pe, enter);
  }

  deviceAddress(ipa: number): number | undefined {
    const { half } = this.shared;
    return ipa >= half && this.shared.pageOf(ipa) < 0 ? ipa - half : undefined;
  }
  *resolve(ipa: number): HostTask<Resolution> {
    const { half } = this.shared;
    if (ipa < half) return (yield* this.provide(ipa)) ? "memory" : undefined;
    return (yield* this.share(ipa)) ? "memory" : { device: ipa - half };
  }

  *completePsci(n: number, target: number): HostTask {
    yield* this.rmi.must("PSCI_COMPLETE", this.recs[n] ?? 0, this.recs[target] ?? 0, Psci.SUCCESS);
  }

  // ---- memory while it runs ------------------------------------------------------------------------------------------

  private ipaOf(page: number): number {
    return this.config.map.ram + page * GRANULE;
  }

  /** The realm touched a page of its RAM that has no granule: gives it one, and its neighbours. False: it has one already. */
  *provide(ipa: number): HostTask<boolean> {
    const page = this.shared.pageOf(ipa);
    if (page < 0 || this.pages[page] !== Page.ABSENT) return false;
    const first = page - (page % FAULT_AROUND);
    for (let p = first; p < Math.min(first + FAULT_AROUND, this.pages.length); p++) {
      if (this.pages[p] === Page.ABSENT) yield* this.providePage(p);
    }
    return true;
  }
  private *providePage(page: number): HostTask {
    const data = this.memory.take();
    yield* this.rmi.must("GRANULE_DELEGATE", data);
    yield* this.withTables(this.ipaOf(page), "DATA_CREATE_UNKNOWN", this.rd, data, this.ipaOf(page));
    this.pages[page] = Page.PRESENT;
  }

  /** The realm touched a shared page: maps the host's granule. False: it is no RAM, or mapped already. */
  *share(ipa: number): HostTask<boolean> {
    const page = this.shared.pageOf(ipa);
    if (page < 0 || this.mapped.has(page)) return false;
    const at = this.sharedIpa(page);
    yield* this.withTables(at, "RTT_MAP_UNPROTECTED", this.rd, at, PAGE_LEVEL, BigInt(this.shared.provide(page)) | SHARED_ATTRIBUTES);
    this.mapped.add(page);
    return true;
  }
  private sharedIpa(page: number): number {
    return this.shared.half + this.ipaOf(page);
  }
  private *unshare(page: number): HostTask {
    if (this.mapped.delete(page)) yield* this.rmi.must("RTT_UNMAP_UNPROTECTED", this.rd, this.sharedIpa(page), PAGE_LEVEL);
    this.shared.withdraw(page);
  }

  /** REC `rec` asks for a RIPAS over [base, top): changes as much as the RMM lets, and moves the memory. False: not in RAM. */
  *changeRipas(rec: number, base: number, top: number, ram: boolean): HostTask<boolean> {
    const { map, memory } = this.config;
    if (base < map.ram || top > map.ram + memory) return false;
    for (let at = base; at < top; ) {
      const answer = yield* this.tryWithTables(at, "RTT_SET_RIPAS", this.rd, this.recs[rec] ?? 0, at, top);
      if (!answer.ok) break; // DESTROYED, and the realm said to leave that alone: it sees how far the change got
      const next = answer.number(0);
      const first = this.shared.pageOf(at);
      for (let p = first; p < first + (next - at) / GRANULE; p++) if (!ram || this.movesToRam(p)) yield* this.moved(p, ram);
      at = next;
    }
    return true;
  }
  /** A page whose RIPAS became RAM: is there a command to issue? A realm asks so for all of its memory at its start. */
  private movesToRam(page: number): boolean {
    if (this.pages[page] === Page.EMPTY) this.pages[page] = Page.ABSENT;
    return this.shared.has(page);
  }
  private *moved(page: number, ram: boolean): HostTask {
    if (ram) {
      yield* this.unshare(page);
      return;
    }
    if (this.pages[page] === Page.PRESENT) yield* this.destroyPage(page);
    this.pages[page] = Page.EMPTY;
  }
  private *destroyPage(page: number): HostTask {
    const answer = yield* this.rmi.must("DATA_DESTROY", this.rd, this.ipaOf(page));
    this.pages[page] = Page.ABSENT;
    yield* this.reclaim(answer.number(0));
  }

  // ---- destruction ---------------------------------------------------------------------------------------------------

  /** Takes everything back; no REC may be running. All granules are the host's again, and zero. */
  *destroy(): HostTask {
    for (const [n, rec] of this.recs.entries()) {
      yield* this.rmi.must("REC_DESTROY", rec);
      for (const pa of [rec, ...(this.aux[n] ?? [])]) yield* this.reclaim(pa);
    }
    this.recs.length = 0;
    for (const page of this.shared.list) yield* this.unshare(page);
    for (let page = 0; page < this.pages.length; page++) if (this.pages[page] === Page.PRESENT) yield* this.destroyPage(page);
    for (const { level, ipa } of this.rtts.sort((a, b) => b.level - a.level)) {
      yield* this.reclaim((yield* this.rmi.must("RTT_DESTROY", this.rd, ipa, level)).number(0));
    }
    this.rtts.length = 0;
    yield* this.rmi.must("REALM_DESTROY", this.rd);
    for (let i = 0; i < this.tables; i++) yield* this.reclaim(this.startTable + i * GRANULE);
    yield* this.reclaim(this.rd);
  }

  // ---- snapshots -----------------------------------------------------------------------------------------------------

  save(): Saved {
    const { rd, startTable, tables, pages } = this;
    const lists = {
      recs: [...this.recs],
      aux: this.aux.map((a) => [...a]),
      rtts: this.rtts.map((r) => ({ ...r })),
      mapped: [...this.mapped],
      entered: [...this.entered],
    };
    const { list = 0, revised = false } = this.rmi.later ?? {};
    return { rmi2: list, rmi2Revised: revised, rd, startTable, tables, pages: pages.slice(), shared: this.shared.save(), ...lists };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "host realm");
    const most = this.pages.length;
    this.rd = s.number("rd");
    this.startTable = s.number("startTable");
    this.tables = s.uint("tables", 16);
    this.pages.set(s.bytes("pages", most));
    this.shared.restore(s.part("shared"));
    this.recs.splice(0, Number.POSITIVE_INFINITY, ...s.uints("recs", this.pes, Number.MAX_SAFE_INTEGER));
    this.aux.splice(0, Number.POSITIVE_INFINITY, ...(s.list("aux") as number[][]).map((a) => [...a]));
    this.rtts.splice(0, Number.POSITIVE_INFINITY, ...(s.list("rtts") as { level: number; ipa: number }[]).map((r) => ({ ...r })));
    this.mapped.clear();
    for (const page of s.uints("mapped", most, most)) this.mapped.add(page);
    this.entered.clear();
    for (const n of s.uints("entered", this.pes, this.pes)) this.entered.add(n);
    const list = s.number("rmi2");
    this.rmi.later = list === 0 ? undefined : new Rmi2(this.memory, list, s.bool("rmi2Revised"));
  }
}
