// The EL3 monitor of a machine with realms: owns the granule protection table, switches worlds, brings RMI calls to the RMM. The RMM is
// an agent (rmm/), called directly, or an image that runs at R-EL2 and answers by SMC. PSCI and the other calls are El3Agent's.
//
//              SMC, RMI function                        RmmAgent.rmi()   or   ERET to the image
//   NS-EL2 -------------------------> EL3 monitor ----------------------------------------------> RMM at R-EL2
//          <------------------------              <----------------------------------------------
//              x0..x4 = results                         complete()       or   SMC RMI_REQ_COMPLETE

import { Off } from "../arch/layout.ts";
import { type PeState, slot } from "../arch/state.ts";
import { Ec } from "../arch/syndrome.ts";
import { type Agent, type ExceptionInfo, Vector } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import { Gpi } from "../gpt/format.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import type { RmmAgent } from "../rmm/agent.ts";
import { isRmi, rmiArguments } from "../rmm/commands.ts";
import type { MonitorPort } from "../rmm/cx.ts";
import { HCR_REALM } from "../rmm/stage2.ts";
import { EmuError, hex } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import type { El3Agent } from "./agent.ts";
import { ENTRY_SPSR } from "./boot-state.ts";
import { PlatformAttestation, type SoftwareComponent } from "./monitor-attest.ts";
import { bootError, bootManifest, type ManifestContents, type RmmInterface, rmmInterfaces, VERSION_NOT_VALID } from "./monitor-boot.ts";
import type { ServiceContext } from "./monitor-context.ts";
import { type GptLayout, GptOwner } from "./monitor-gpt.ts";
import { isRmmEl3, isService, RMI_REQ_COMPLETE, RMM_BOOT_COMPLETE, serve } from "./monitor-services.ts";
import { SCR_NS, SCR_NS_BIT, SCR_NSE, SCR_NSE_BIT, toEl3, World } from "./monitor-world.ts";
import { FID_SVE_HINT, Ret } from "./smccc.ts";

/** An RMM that runs from memory. All addresses are PAs in the Realm PA space. */
export interface RmmImage {
  /** Where it is loaded; also its entry point, cold and warm. */
  readonly base: number;
  readonly image: Uint8Array;
  /** The shared buffer, one granule. */
  readonly shared: number;
  /** Memory for RMM_RESERVE_MEMORY. */
  readonly reserve: { readonly base: number; readonly size: number };
  readonly manifest: ManifestContents;
}

export interface MonitorOptions {
  /** PSCI, SMCCC, TRNG. Its PowerControl must start PEs through `MonitorAgent.coldBoot`. */
  el3: El3Agent;
  phys: PhysicalMemory;
  pes: readonly Pe[];
  gpt: GptLayout;
  /** Of the platform's attestation keys. */
  seed: bigint;
  /** Firmware that the platform token names. */
  components?: readonly SoftwareComponent[];
  /** The granule protection table is about to change. */
  written?: (pa: number, bytes: number) => void;
  log?: (line: string) => void;
  /** An RMM image did not boot on the first PE: RMI calls will all return -1. */
  rmmFailed?: (why: string) => void;
}

/** What a PE with an RMM image is at. */
const Boot = { NOT_YET: 0, UNDER_WAY: 1, DONE: 2, FAILED: 3 } as const;

/** The world that SCR_EL3 selects for the levels below EL3. */
const worldOf = (st: PeState): "ns" | "realm" | "secure" =>
  st.bit(slot.SCR_EL3, SCR_NS_BIT) === 0 ? "secure" : st.bit(slot.SCR_EL3, SCR_NSE_BIT) === 0 ? "ns" : "realm";

/** What the platform token says runs here when nothing else is given: the agents, or the image by its hash. */
const components = (image: Uint8Array | undefined): readonly SoftwareComponent[] => [
  { type: "EL3", version: "1.0", measured: new TextEncoder().encode("rme-emu EL3 monitor agent") },
  { type: "RMM", version: "1.0", measured: image ?? new TextEncoder().encode("rme-emu RMM agent") },
];

const damaged = (): EmuError => new EmuError("snapshot-corrupt", "the saved state of the EL3 monitor is damaged");
/** CBOR has small ones as numbers. */
function savedToken(v: Saved): bigint {
  if (typeof v === "bigint") return BigInt.asUintN(64, v);
  if (typeof v === "number" && Number.isSafeInteger(v)) return BigInt(v);
  throw damaged();
}

export class MonitorAgent implements Agent, Stateful, MonitorPort {
  readonly el = 3;
  readonly gpt: GptOwner;
  private readonly o: MonitorOptions;
  private readonly ns: World[];
  private readonly realm: World[];
  private readonly boots: number[];
  private attest: PlatformAttestation;
  private rmm: RmmAgent | undefined;
  private image: RmmImage | undefined;
  private services: ServiceContext | undefined;
  private built = false;
  /** The next PE that boots an RMM image is the first one. */
  private cold = true;
  /** Index of the interface that the RMM image is offered, or has accepted. */
  private offer = 0;
  /** Activation token of each PE: what the RMM returned when it booted there, for its next boot there. */
  private readonly tokens: bigint[];
  /** The RMM is unusable: every RMI call returns -1. */
  private failed = false;

  constructor(o: MonitorOptions) {
    this.o = o;
    const features = o.pes[0]?.features;
    if (!features?.has("RME"))
      throw new EmuError("monitor-needs", "realms need a CPU with FEAT_RME: leave the CPU out, or take max,rme=on");
    this.gpt = new GptOwner(o.phys, o.gpt, features.l0gptsz, o.written);
    this.ns = o.pes.map(() => new World());
    this.realm = o.pes.map(() => new World());
    this.boots = o.pes.map(() => Boot.NOT_YET);
    this.tokens = o.pes.map(() => 0n);
    this.attest = new PlatformAttestation(o.seed, o.components ?? components(undefined));
  }

  /** RMI calls go to this agent, which is registered at R-EL2 of the PEs. */
  useAgent(rmm: RmmAgent): void {
    this.rmm = rmm;
  }
  /** RMI calls go to this image, which each PE boots before it enters the Non-secure world. */
  useImage(image: RmmImage): void {
    this.image = image;
    this.attest = new PlatformAttestation(this.o.seed, this.o.components ?? components(image.image));
    this.services = {
      phys: this.o.phys,
      gpt: this.gpt,
      attestation: this.attest,
      shared: image.shared,
      interface: this.interface,
      tokenLeft: new Uint8Array(0),
      signed: [],
      reserve: { next: image.reserve.base, end: image.reserve.base + image.reserve.size },
    };
  }
  /** Keys and tokens of the platform, for verifiers. */
  get attestation(): PlatformAttestation {
    return this.attest;
  }

  // ---- start of a PE ------------------------------------------------------------------------------------------------------

  /** As El3Agent.coldBoot: leaves EL3 for `entry` in the Non-secure world, after the table is on and an RMM image has booted. */
  coldBoot(pe: Pe, entry: bigint, x0: bigint): void {
    if (!this.built) this.gpt.build();
    this.built = true;
    this.gpt.enable(pe);
    this.world(this.realm, pe).clear();
    this.o.el3.coldBoot(pe, entry, x0);
    if (this.image !== undefined && !this.failed) this.bootImage(pe, this.image);
  }

  private get interface(): RmmInterface {
    return rmmInterfaces[this.offer] as RmmInterface;
  }

  /** The Non-secure world waits at its entry point while the RMM boots on this PE. */
  private bootImage(pe: Pe, image: RmmImage): void {
    toEl3(pe);
    this.world(this.ns, pe).keep(pe);
    if (this.cold) this.enterCold(pe, image);
    else this.enterBoot(pe, image, [BigInt(pe.index), this.tokens[pe.index] ?? 0n, 0n, 0n]);
  }
  /** Loads the image and offers it the interface that is next. x4, the activation token, is 0: this is its first boot. */
  private enterCold(pe: Pe, image: RmmImage): void {
    const services = this.services as ServiceContext;
    services.interface = this.interface;
    services.reserve.next = image.reserve.base;
    services.tokenLeft = new Uint8Array(0);
    services.signed = [];
    this.o.phys.writeBytes(image.base, image.image);
    this.o.phys.writeBytes(image.shared, bootManifest(image.shared, image.manifest));
    this.enterBoot(pe, image, [BigInt(pe.index), this.interface.version, BigInt(this.o.pes.length), BigInt(image.shared), 0n]);
  }
  private enterBoot(pe: Pe, image: RmmImage, args: readonly bigint[]): void {
    const world = this.world(this.realm, pe);
    world.clear();
    for (const [n, v] of args.entries()) world.setX(n, v);
    world.set("ELR_EL3", BigInt(image.base));
    this.boots[pe.index] = Boot.UNDER_WAY;
    this.enter(pe, world);
  }

  private bootComplete(pe: Pe, code: bigint, token: bigint): void {
    if (this.cold && code === VERSION_NOT_VALID && this.offer + 1 < rmmInterfaces.length) {
      this.offer++;
      this.enterCold(pe, this.image as RmmImage);
      return;
    }
    const done = code === 0n;
    this.boots[pe.index] = done ? Boot.DONE : Boot.FAILED;
    this.tokens[pe.index] = done ? token : 0n;
    this.o.log?.(`EL3: PE ${pe.index}: RMM boot ${done ? "complete" : `failed: ${bootError(code)}`}`);
    if (!done) {
      // It must not be entered any more, on whichever PE (RMM-EL3 interface, boot error handling).
      this.failed = true;
      this.o.rmmFailed?.(bootError(code));
    }
    this.cold = false;
    this.toNonSecure(pe);
  }

  // ---- exceptions to EL3 -----------------------------------------------------------------------------------------------------

  handle(pe: Pe, e: ExceptionInfo): void {
    const fid = (pe.st.lo(Off.X) & ~FID_SVE_HINT) >>> 0;
    const world = worldOf(pe.st);
    if (e.vector !== Vector.Sync || e.ec !== Ec.Smc || !(isRmi(fid) || this.isService(fid))) {
      this.o.el3.handle(pe, e);
      return;
    }
    if (world === "ns" && isRmi(fid)) this.rmi(pe, fid);
    else if (world === "realm" && this.image !== undefined) this.fromImage(pe, fid);
    else this.answer(pe, [Ret.NOT_SUPPORTED]);
  }

  private isService(fid: number): boolean {
    return this.services === undefined ? isRmmEl3(fid) : isService(this.services, fid);
  }

  private answer(pe: Pe, results: readonly bigint[]): void {
    for (let n = 0; n < results.length; n++) pe.st.setX(n, BigInt.asUintN(64, results[n] as bigint));
    pe.exceptionReturn();
  }

  /** An RMI call of the host. */
  private rmi(pe: Pe, fid: number): void {
    if (this.rmm !== undefined) {
      const args: bigint[] = [];
      const count = rmiArguments(fid);
      for (let n = 1; n <= count; n++) args.push(pe.st.x(n));
      const results = this.rmm.rmi(pe, fid, args);
      if (results !== undefined) this.answer(pe, results);
      return;
    }
    if (this.image === undefined || this.failed || this.boots[pe.index] !== Boot.DONE) {
      this.answer(pe, [Ret.NOT_SUPPORTED]);
      return;
    }
    const world = this.world(this.realm, pe);
    this.world(this.ns, pe).keep(pe);
    for (let n = 0; n < 8; n++) world.setX(n, pe.st.x(n));
    this.enter(pe, world);
  }

  /** A call of the RMM image. */
  private fromImage(pe: Pe, fid: number): void {
    const x = (n: number): bigint => pe.st.x(n);
    if (fid === RMI_REQ_COMPLETE) {
      const results = Array.from({ length: this.interface.results }, (_, n) => x(n + 1));
      this.world(this.realm, pe).keep(pe);
      this.toNonSecure(pe, results);
    } else if (fid === RMM_BOOT_COMPLETE) {
      const [code, token] = [BigInt.asIntN(32, x(1)), x(2)];
      this.world(this.realm, pe).keep(pe);
      this.bootComplete(pe, code, token);
    } else {
      this.answer(pe, this.isService(fid) ? serve(this.services as ServiceContext, pe, fid, x) : [Ret.NOT_SUPPORTED]);
    }
  }

  // ---- world switch -----------------------------------------------------------------------------------------------------------

  private world(of: World[], pe: Pe): World {
    return of[pe.index] as World;
  }

  /** The RMM agent has the interface of 0.x. */
  private get switchesGic(): boolean {
    return this.image === undefined || this.interface.switchesGic;
  }

  /** Loads the Realm world and returns to it. Its SCR_EL3 is the Non-secure one with NSE. */
  private enter(pe: Pe, world: World): void {
    if (world.get("SPSR_EL3") === 0n) this.initialize(pe, world);
    world.set("SCR_EL3", this.world(this.ns, pe).get("SCR_EL3") | SCR_NSE | SCR_NS);
    world.load(pe, this.switchesGic);
    pe.exceptionReturn();
  }
  /** The Realm world as nobody has used it. The agent's stays so: its registers are its own business between two calls. */
  private initialize(pe: Pe, world: World): void {
    world.set("SPSR_EL3", ENTRY_SPSR);
    world.set("SCTLR_EL2", 0x30c5_0830n);
    world.set("VMPIDR_EL2", pe.mpidr);
    world.set("VPIDR_EL2", pe.st.get(slot.MIDR_EL1));
    world.set("CNTHCTL_EL2", 3n);
    world.set("CPTR_EL2", 0x33ffn);
    // An image sets it up for itself.
    if (this.rmm !== undefined) world.set("HCR_EL2", HCR_REALM);
  }
  /** Loads the Non-secure world with results in x0, x1, ... and returns to it. */
  private toNonSecure(pe: Pe, results: readonly bigint[] = []): void {
    const world = this.world(this.ns, pe);
    for (let n = 0; n < results.length; n++) world.setX(n, results[n] as bigint);
    world.load(pe, this.switchesGic);
    world.clear();
    pe.exceptionReturn();
  }

  // ---- for the RMM agent -------------------------------------------------------------------------------------------------------

  delegate(pe: Pe, pa: number): number {
    return this.gpt.transition(pe, BigInt(pa), Gpi.NonSecure, Gpi.Realm);
  }
  undelegate(pe: Pe, pa: number): number {
    return this.gpt.transition(pe, BigInt(pa), Gpi.Realm, Gpi.NonSecure);
  }
  realmKey(): Uint8Array {
    return this.attest.realmKey;
  }
  platformToken(challenge: Uint8Array): Uint8Array {
    return this.attest.token(challenge);
  }
  enterRealmWorld(pe: Pe): void {
    this.world(this.ns, pe).keep(pe);
    this.enter(pe, this.world(this.realm, pe));
  }
  complete(pe: Pe, results: readonly bigint[]): void {
    toEl3(pe);
    this.toNonSecure(pe, results);
  }

  // ---- state --------------------------------------------------------------------------------------------------------------------

  /** System reset: memory is lost, everything starts again. */
  reset(): void {
    this.o.el3.reset();
    this.built = false;
    this.cold = true;
    this.failed = false;
    this.offer = 0;
    this.boots.fill(Boot.NOT_YET);
    this.tokens.fill(0n);
    for (const w of [...this.ns, ...this.realm]) w.clear();
  }
  save(): Saved {
    return {
      el3: this.o.el3.save(),
      ns: this.ns.map((w) => w.save()),
      realm: this.realm.map((w) => w.save()),
      boots: [...this.boots],
      built: this.built,
      cold: this.cold,
      failed: this.failed,
      offer: this.offer,
      tokens: [...this.tokens],
      tokenLeft: this.services?.tokenLeft ?? null,
      signed: this.services?.signed.map((r) => r.slice()) ?? null,
      reserve: this.services?.reserve.next ?? null,
    };
  }
  restore(state: Saved): void {
    const s = state as { [key: string]: Saved } | null;
    const list = (v: Saved | undefined): Saved[] => {
      if (Array.isArray(v) && v.length === this.ns.length) return v;
      throw new EmuError("snapshot-corrupt", "the saved state of the EL3 monitor has the wrong shape");
    };
    this.o.el3.restore(s?.["el3"] ?? null);
    for (const [i, v] of list(s?.["ns"]).entries()) this.ns[i]?.restore(v);
    for (const [i, v] of list(s?.["realm"]).entries()) this.realm[i]?.restore(v);
    for (const [i, v] of list(s?.["boots"]).entries()) this.boots[i] = Number(v);
    this.built = s?.["built"] === true;
    this.cold = s?.["cold"] === true;
    this.failed = s?.["failed"] === true;
    this.offer = Number(s?.["offer"] ?? 0);
    for (const [i, v] of list(s?.["tokens"]).entries()) this.tokens[i] = savedToken(v);
    if (rmmInterfaces[this.offer] === undefined) throw damaged();
    if (this.services === undefined) return;
    const left = s?.["tokenLeft"];
    const next = s?.["reserve"];
    const signed = s?.["signed"];
    if (!(left instanceof Uint8Array) || typeof next !== "number" || !Array.isArray(signed))
      throw new EmuError("snapshot-corrupt", `the saved state of the EL3 monitor has no RMM at ${hex(this.image?.base ?? 0)}`);
    this.services.interface = this.interface;
    this.services.tokenLeft = left;
    this.services.signed = signed.filter((r) => r instanceof Uint8Array);
    this.services.reserve.next = next;
  }
}
