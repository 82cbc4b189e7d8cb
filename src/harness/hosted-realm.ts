// A realm that a RealmHost has built: memory, RECs, entries and exits.

import { exitIpa } from "../host/exits.ts";
import { startLevelOf } from "../host/realm.ts";
import type { RmiReply } from "../host/rmi.ts";
import { rmi as fid } from "../rmm/commands.ts";
import { EXIT_OFFSET, RealmParams, RecEnter, RecExit, RecParams } from "../rmm/layouts.ts";
import { startTables } from "../rmm/rtt.ts";
import { levelSize } from "../rmm/rtt-entry.ts";
import { DataFlag, EnterFlag, exitReasonName, GRANULE, HashAlgorithm, RealmFlag, RecFlag, Ripas, rmiCodeName } from "../rmm/status.ts";
import { blank, type StructView, viewOf } from "../rmm/struct.ts";
import { EmuError, usageError } from "../util/errors.ts";
import type { ExitName, RealmHost } from "./realm-host.ts";

/** Contents of the realm's memory at an IPA: padded to whole granules. */
export interface RealmContent {
  readonly ipa: number;
  readonly bytes: Uint8Array;
}

export interface HostedRealmOptions {
  /** IPA width, 32 to what the CPU has; default 33: the protected half is [0, 4 GiB). */
  ipaBits?: number;
  measurementAlgorithm?: "sha256" | "sha512";
  /** At most 64 bytes. */
  personalizationValue?: Uint8Array;
  pmuCounters?: number;
  /** Measured contents. */
  contents?: readonly RealmContent[];
  /** Ranges of RAM without contents: the first access is an exit. */
  ram?: readonly { ipa: number; size: number }[];
  /** RECs: where they start, x0 to x7. Default: one, at the first content. Only the first is runnable unless told. */
  recs?: readonly { pc: number; gprs?: readonly bigint[]; runnable?: boolean }[];
  /** Call REALM_ACTIVATE; default true. */
  activate?: boolean;
}

/** What the host does at an entry. */
export interface EnterOptions {
  /** REC number, default 0; PE of the host, default: the first that is free. */
  rec?: number;
  pe?: number;
  flags?: readonly (keyof typeof EnterFlag)[];
  /** RmiRecEnter.gprs, from x0. */
  gprs?: readonly bigint[];
  /** gicv3_hcr and gicv3_lrs. */
  gicHcr?: bigint;
  listRegisters?: readonly bigint[];
  /** Instructions before the run counts as hung. */
  limit?: number;
}

/** A REC exit. */
export interface RealmExit {
  /** RMI status of REC_ENTER: "RMI_SUCCESS", or why there was no entry; then nothing else is set. */
  readonly status: string;
  readonly reason: ExitName | undefined;
  readonly esr: bigint;
  readonly far: bigint;
  readonly hpfar: bigint;
  /** IPA of an abort, as far as it is disclosed. */
  readonly ipa: number;
  readonly gprs: readonly bigint[];
  /** Of RSI_HOST_CALL. */
  readonly imm: number;
  /** Of RSI_IPA_STATE_SET. */
  readonly ripas: { readonly base: number; readonly top: number; readonly value: "EMPTY" | "RAM" | "DESTROYED" };
  /** All fields. */
  readonly fields: StructView<keyof typeof RecExit.fields>;
}

const AUX = 16;
const LEAF = 3;
/** Attributes of a shared page: Normal Write-Back (with FWB), read-write. */
const SHARED = 0xd8;

export class HostedRealm {
  readonly rd: number;
  readonly ipaBits: number;
  readonly startLevel: number;
  /** PAs of the start-level tables. */
  readonly startTables: readonly number[];
  /** Tables below, deepest last. */
  readonly tables: { rtt: number; ipa: number; level: number }[] = [];
  /** PAs of RECs, of their auxiliary granules, and of their run pages (host memory). */
  readonly recs: number[] = [];
  readonly aux: number[][] = [];
  readonly runs: number[] = [];
  /** PA of each data granule, by IPA. */
  readonly data = new Map<number, number>();
  private readonly host: RealmHost;

  constructor(host: RealmHost, o: HostedRealmOptions, vmid: number) {
    this.host = host;
    this.ipaBits = o.ipaBits ?? 33;
    this.startLevel = startLevelOf(this.ipaBits);
    const count = startTables(this.ipaBits, this.startLevel);
    if (count === undefined) throw usageError("realm-ipa-width", `no start level fits IPAs of ${this.ipaBits} bits`);
    const base = host.delegated(count);
    this.startTables = Array.from({ length: count }, (_, i) => base + i * GRANULE);
    this.rd = host.delegated();
    const p = blank(RealmParams);
    p.set("flags", o.pmuCounters === undefined ? 0 : RealmFlag.PMU);
    p.set("s2sz", this.ipaBits);
    p.set("num_bps", 1);
    p.set("num_wps", 1);
    p.set("pmu_num_ctrs", o.pmuCounters ?? 0);
    p.set("hash_algo", o.measurementAlgorithm === "sha512" ? HashAlgorithm.SHA_512 : HashAlgorithm.SHA_256);
    p.bytes("rpv").set(o.personalizationValue ?? []);
    p.set("vmid", vmid);
    p.set("rtt_base", base);
    p.set("rtt_level_start", this.startLevel);
    p.set("rtt_num_start", count);
    must(host.rmi.REALM_CREATE(this.rd, host.page(p.raw)), "REALM_CREATE");
  }

  /** First unprotected IPA. */
  get half(): number {
    return 2 ** (this.ipaBits - 1);
  }

  // ---- memory ---------------------------------------------------------------------------------------------------------------

  /** Creates the tables down to `level` for an IPA. */
  makeTables(ipa: number, level = LEAF): void {
    for (let l = this.startLevel + 1; l <= level; l++) {
      const base = ipa - (ipa % levelSize(l - 1));
      if (this.tables.some((t) => t.level === l && t.ipa === base)) continue;
      const rtt = this.host.delegated();
      must(this.host.rmi.RTT_CREATE(this.rd, rtt, base, l), "RTT_CREATE");
      this.tables.push({ rtt, ipa: base, level: l });
    }
  }
  /** RIPAS RAM for a range, before activation. */
  initRam(ipa: number, size: number): void {
    for (let at = ipa; at < ipa + size; ) {
      this.makeTables(at);
      at = must(this.host.rmi.RTT_INIT_RIPAS(this.rd, at, ipa + size), "RTT_INIT_RIPAS").number(0);
    }
  }
  /** Measured content, before activation. */
  populate({ ipa, bytes }: RealmContent): void {
    for (let at = 0; at < bytes.length; at += GRANULE) {
      this.makeTables(ipa + at);
      const data = this.host.delegated();
      const src = this.host.page(bytes.subarray(at, at + GRANULE));
      must(this.host.rmi.DATA_CREATE(this.rd, data, ipa + at, src, DataFlag.MEASURE), "DATA_CREATE");
      this.data.set(ipa + at, data);
    }
  }
  /** A granule without content, at any time. Answers its PA. */
  provide(ipa: number): number {
    this.makeTables(ipa);
    const data = this.host.delegated();
    must(this.host.rmi.DATA_CREATE_UNKNOWN(this.rd, data, ipa), "DATA_CREATE_UNKNOWN");
    this.data.set(ipa, data);
    return data;
  }
  /** Takes a data granule away. Answers its PA: delegated, and wiped. */
  takeBack(ipa: number): number {
    this.data.delete(ipa);
    return must(this.host.rmi.DATA_DESTROY(this.rd, ipa), "DATA_DESTROY").number(0);
  }
  /** Maps a page of the host at an unprotected IPA. Answers its PA. */
  share(ipa: number, pa = this.host.granule()): number {
    this.makeTables(ipa);
    must(this.host.rmi.RTT_MAP_UNPROTECTED(this.rd, ipa, LEAF, BigInt(pa) | BigInt(SHARED)), "RTT_MAP_UNPROTECTED");
    return pa;
  }
  /** What maps an IPA: level, state, RIPAS, PA. */
  entry(ipa: number, level = LEAF): { level: number; state: "UNASSIGNED" | "ASSIGNED" | "TABLE"; desc: bigint; ripas: string } {
    const r = must(this.host.rmi.RTT_READ_ENTRY(this.rd, ipa, level), "RTT_READ_ENTRY");
    const state = (["UNASSIGNED", "ASSIGNED", "TABLE"] as const)[r.number(1)] as "TABLE";
    return { level: r.number(0), state, desc: r.results[2] ?? 0n, ripas: ripasName(r.number(3)) };
  }
  /** Every granule that is not the host's because of this realm. */
  get granules(): number[] {
    return [this.rd, ...this.startTables, ...this.tables.map((t) => t.rtt), ...this.recs, ...this.aux.flat(), ...this.data.values()];
  }

  // ---- RECs ------------------------------------------------------------------------------------------------------------------

  addRec(o: { pc: number; gprs?: readonly bigint[]; runnable?: boolean }): void {
    const n = this.recs.length;
    const p = blank(RecParams);
    p.set("flags", (o.runnable ?? n === 0) ? RecFlag.RUNNABLE : 0);
    p.set("mpidr", (n & 15) | ((n >> 4) << 8));
    p.set("pc", o.pc);
    for (const [i, v] of (o.gprs ?? []).entries()) p.set("gprs", v, i);
    const aux = Array.from({ length: AUX }, () => this.host.delegated());
    p.set("num_aux", AUX);
    for (const [i, pa] of aux.entries()) p.set("aux", pa, i);
    const rec = this.host.delegated();
    must(this.host.rmi.REC_CREATE(this.rd, rec, this.host.page(p.raw)), "REC_CREATE");
    this.recs.push(rec);
    this.aux.push(aux);
    this.runs.push(this.host.granule());
  }

  /** Enters a REC and runs it until it exits. */
  enter(o: EnterOptions = {}): RealmExit {
    const { rec = 0, pe = this.host.idlePe() } = o;
    return this.exitOf(rec, this.host.smc(this.prepare(o), pe, o.limit)[0] ?? 0n);
  }
  /** Enters a REC and comes back at once; `host.advance` lets it run, `lastExit` reads the exit. */
  begin(o: EnterOptions = {}): void {
    this.host.begin(this.prepare(o), o.pe ?? this.host.idlePe());
  }
  /** The exit that the run page of a REC shows. */
  lastExit(rec = 0): RealmExit {
    return this.exitOf(rec, 0n);
  }

  private prepare(o: EnterOptions): bigint[] {
    const { rec = 0 } = o;
    const [pa, run] = [this.recs[rec], this.runs[rec]];
    if (pa === undefined || run === undefined) throw usageError("no-such-rec", `the realm has no REC ${rec}`);
    const e = blank(RecEnter);
    e.set(
      "flags",
      (o.flags ?? []).reduce((bits, f) => bits | EnterFlag[f], 0),
    );
    for (const [i, v] of (o.gprs ?? []).entries()) e.set("gprs", v, i);
    e.set("gicv3_hcr", o.gicHcr ?? 0n);
    for (const [i, v] of (o.listRegisters ?? []).entries()) e.set("gicv3_lrs", v, i);
    if (!this.host.memory.write(run, e.raw)) throw new EmuError("host-memory-lost", "the host cannot write its run page");
    return [BigInt(fid.REC_ENTER), BigInt(pa), BigInt(run)];
  }
  private exitOf(rec: number, x0: bigint): RealmExit {
    const page = this.host.memory.read((this.runs[rec] as number) + EXIT_OFFSET, RecExit.size) ?? new Uint8Array(RecExit.size);
    const fields = viewOf(RecExit, x0 === 0n ? page : new Uint8Array(RecExit.size));
    return {
      status: rmiCodeName(x0),
      reason: x0 === 0n ? (exitReasonName(fields.num("exit_reason")) as ExitName) : undefined,
      esr: fields.get("esr"),
      far: fields.get("far"),
      hpfar: fields.get("hpfar"),
      ipa: exitIpa(fields),
      gprs: Array.from({ length: 31 }, (_, i) => fields.get("gprs", i)),
      imm: fields.num("imm"),
      ripas: { base: fields.num("ripas_base"), top: fields.num("ripas_top"), value: ripasName(fields.num("ripas_value")) },
      fields,
    };
  }

  // ---- the end ---------------------------------------------------------------------------------------------------------------

  activate(): void {
    must(this.host.rmi.REALM_ACTIVATE(this.rd), "REALM_ACTIVATE");
  }
  /** Destroys everything and gives it back to the host. Answers the addresses: undelegated, and zero. Shared pages are the caller's. */
  destroy(): number[] {
    const { rmi } = this.host;
    const granules = this.granules;
    for (const rec of this.recs) must(rmi.REC_DESTROY(rec), "REC_DESTROY");
    for (const ipa of this.data.keys()) must(rmi.DATA_DESTROY(this.rd, ipa), "DATA_DESTROY");
    for (const t of this.tables.sort((a, b) => b.level - a.level)) must(rmi.RTT_DESTROY(this.rd, t.ipa, t.level), "RTT_DESTROY");
    must(rmi.REALM_DESTROY(this.rd), "REALM_DESTROY");
    for (const pa of granules) must(rmi.GRANULE_UNDELEGATE(pa), "GRANULE_UNDELEGATE");
    return granules;
  }
}

/** Throws EmuError "rmi-failed" unless a call succeeded. */
export function must(reply: RmiReply, name: string): RmiReply {
  if (!reply.ok) throw new EmuError("rmi-failed", `RMI_${name} returned ${rmiCodeName(reply.x0)}`);
  return reply;
}

/** Builds a realm as told. */
export function createRealm(host: RealmHost, o: HostedRealmOptions, vmid: number): HostedRealm {
  const realm = new HostedRealm(host, o, vmid);
  for (const { ipa, size } of o.ram ?? []) realm.initRam(ipa, size);
  for (const content of o.contents ?? []) realm.populate(content);
  for (const rec of o.recs ?? [{ pc: o.contents?.[0]?.ipa ?? 0 }]) realm.addRec(rec);
  if (o.activate ?? true) realm.activate();
  return realm;
}

const ripasName = (v: number) => (Object.entries(Ripas).find(([, n]) => n === v)?.[0] ?? "EMPTY") as keyof typeof Ripas;
