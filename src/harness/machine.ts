// A machine as its user handles it.

import type { Pe } from "../cpu/pe.ts";
import type { FwCfgFile } from "../devices/fw-cfg.ts";
import type { BlockBackend } from "../devices/virtio/index.ts";
import type { GptDescription } from "../gpt/index.ts";
import { type BoardName, planRealm, type RealmConfig, type RealmSetup } from "../host/index.ts";
import { readInput } from "../loader/files.ts";
import type { FlashContents } from "../machine/boot-flash.ts";
import { virtFacts } from "../machine/facts.ts";
import type { Loader } from "../machine/flash-boot.ts";
import { firmwareHostRange, firmwareMemoryFor, HostSide } from "../machine/host-side.ts";
import { hostMemoryFor, RealmSoftware } from "../machine/realms.ts";
import { type End, type PciDevice, type VirtConfig, VirtMachine } from "../machine/virt.ts";
import { MAX_RAM } from "../machine/virt-map.ts";
import { VmSoftware } from "../machine/vms.ts";
import { HashAlgorithm } from "../rmm/status.ts";
import type { Question } from "../teach/explain.ts";
import { type ExplainerOptions, explain, FaultExplainer } from "../teach/explainer.ts";
import { gptOf } from "../teach/gpt-map.ts";
import type { Explanation } from "../teach/model.ts";
import { type Profile, Profiler } from "../teach/profiler.ts";
import { type Timeline, WorldRecorder } from "../teach/timeline.ts";
import { attachTracer } from "../teach/tracing.ts";
import { type TraceEvent, type TraceKind, Tracer } from "../trace/events.ts";
import { EmuError, usageError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";
import { Console, type WaitOptions } from "./console.ts";
import { defaultEngine, type Engine } from "./engine.ts";
import "./digests.ts";
import "./host-compiler.ts";
import "./prebuilt.ts";
import { checkFlash, checkKernel, checkRmm, realmWarning } from "./fit.ts";
import { Inspector } from "./inspect.ts";
import { type ConsoleName, NamedConsoles, writerOf } from "./named-consoles.ts";
import { readSnapshot, writeSnapshot } from "./snapshot.ts";
import { translationIn } from "./translation.ts";
import { type Stuck, type StuckPe, stuckMessage, Watchdog, type WatchdogLimits, whereabouts } from "./watchdog.ts";

/** Size of flash bank 0. */
const MAX_FLASH = 64 * 2 ** 20;
/** The largest file that is looked at as an RMM: a whole flash image, to tell what it is. */
const MAX_RMM_FILE = 64 * 2 ** 20;

/** Boards. */
const MACHINES = ["virt", "virt,secure=on"] as const;
export type MachineName = (typeof MACHINES)[number];

export interface MachineOptions {
  /**
   * Board: "virt" boots a kernel with firmware of the emulator at EL3; "virt,secure=on" enters `kernel` at EL3 itself, on every PE, with the
   * MMU off and the address of the device tree in x0: an ELF file, or a raw image together with `start`. With firmware in flash (`bios` or
   * `pflash`) both start there; kernel, initrd and append are handed to it by fw_cfg.
   */
  machine?: MachineName;
  /** With secure=on: where PEs start, and a raw image is loaded. Default for an ELF file: its entry point. */
  start?: { el: 3; entry: number };
  /** Firmware: contents of flash bank 0 from its start on, path or contents. What the guest writes there is lost with the machine. */
  bios?: string | Uint8Array;
  /** Drives of just 64 MiB that are flash banks 0 and 1, and keep what the guest writes unless they are read-only. */
  pflash?: readonly (BlockBackend | undefined)[];
  /** With firmware: more that is in memory at power-on, as QEMU's -device loader. */
  loaders?: readonly LoaderEntry[];
  /** Files in fw_cfg, named as firmware expects ("opt/..."). */
  fwCfg?: readonly FwCfgEntry[];
  /**
   * Run kernel, initrd and append in a realm of `memory` bytes with `smp` RECs. With `bios`: over the EL3 firmware and the RMM that are in
   * flash; the built-in host takes over when they reach the Non-secure world.
   */
  realm?: RealmOptions;
  /** CPU profile and features ("max", "cortex-a76", "max,lse=off"); default "max". */
  cpu?: string;
  /** Number of PEs, 1..8; default 1. */
  smp?: number;
  /** RAM in bytes; default 1 GiB. */
  memory?: number;
  /** Path or contents: arm64 Image (raw, gzip, EFI zboot) or ELF. */
  kernel?: string | Uint8Array;
  initrd?: string | Uint8Array;
  /** Device tree to use instead of the generated one. */
  dtb?: string | Uint8Array;
  /** Kernel command line. */
  append?: string;
  drives?: readonly { backend: BlockBackend }[];
  /** Virtio devices on the PCI bus, from slot 1 on. */
  pci?: readonly PciDevice[];
  /** "deterministic" (default): time is retired instructions. "wall": time follows the host. */
  time?: "deterministic" | "wall";
  /** What executes hot code; results do not depend on it. Default: $RME_ENGINE, else "wasm". */
  engine?: Engine;
  /**
   * Where the engine "wasm" translates: in a thread of its own, or in the one that runs the guest (default on one or two cores, and
   * when this program is run from its sources). The guest cannot tell.
   */
  translation?: "thread" | "inline";
  /** Seed of everything random in the machine; default 1. */
  seed?: bigint;
  /** Real-time clock at power-on in seconds since 1970; default 2026-01-01 (deterministic) or now (wall). */
  epoch?: number;
  /**
   * What happens when the machine can get nowhere any more (a loop in which all PEs are caught, an exception that comes over and over):
   * `run` and `waitFor` end after `after` instructions of that (default 200 million), after `silent` instructions without output on any
   * console, or after `limit` instructions in all (default: never for these); with `tell` they go on, and it is called once. false (default): nobody looks. `runInstructions`
   * never does.
   */
  watchdog?: false | (WatchdogLimits & { tell?: ((end: Stuck) => void) | undefined });
  /** Receives log lines (unknown registers, unknown firmware calls, device misuse). */
  log?: (line: string) => void;
}

/** How a realm is made. The defaults are those of the board's VMM. */
export interface RealmOptions {
  board?: BoardName;
  /** Algorithm of measurements: sha512 on virt, sha256 on kvmtool. */
  measurementAlgorithm?: "sha256" | "sha512";
  /** At most 64 bytes; zeros follow. */
  personalizationValue?: Uint8Array;
  breakpoints?: number;
  watchpoints?: number;
  /** Event counters; without them the realm has no PMU. */
  pmuCounters?: number;
  /** Run the same guest as an ordinary virtual machine of the same VMM instead, without an RMM. */
  normal?: boolean;
  /** Destroy the realm and give back its memory when it has ended; default false. */
  teardown?: boolean;
  /** An RMM (TF-RMM for qemu_virt: rmm.img, or an ELF file) that runs at R-EL2 in place of the built-in agent: path or contents. */
  rmm?: string | Uint8Array;
}

/** What a realm is made of, from the options of its machine. */
export function realmSetup(o: MachineOptions): Omit<RealmSetup, "memory"> {
  const { kernel, realm = {} } = o;
  if (kernel === undefined) throw usageError("no-kernel", "no kernel given for the realm");
  const hashes = { sha256: HashAlgorithm.SHA_256, sha512: HashAlgorithm.SHA_512 } as const;
  return {
    ...(realm.board === undefined ? {} : { board: realm.board }),
    smp: o.smp ?? 1,
    kernel,
    initrd: o.initrd,
    append: o.append,
    hash: realm.measurementAlgorithm && hashes[realm.measurementAlgorithm],
    rpv: realm.personalizationValue,
    breakpoints: realm.breakpoints,
    watchpoints: realm.watchpoints,
    pmuCounters: realm.pmuCounters,
    normal: realm.normal,
    drives: o.drives?.length ?? 0,
  };
}

export type { PciDevice } from "../machine/virt.ts";
/** As QEMU's -device loader: a file or a number in memory, or a PE that starts there. */
export type LoaderEntry = Loader;
/** A file in fw_cfg, from a file of the host or with the contents given. */
export type FwCfgEntry = { name: string } & ({ data: Uint8Array } | { file: string });

const fwCfgFile = (e: FwCfgEntry): FwCfgFile => ({ name: e.name, data: "data" in e ? e.data : readInput("loader", e.file, 2 ** 31) });

function flashContents(o: MachineOptions): readonly [FlashContents | undefined, FlashContents | undefined] {
  const [bank0, bank1] = o.pflash ?? [];
  if (o.bios !== undefined && bank0 !== undefined) throw usageError("two-firmwares", "bios and a drive both want to be flash bank 0");
  const drive = (backend: BlockBackend | undefined) => backend && { drive: backend };
  return [o.bios === undefined ? drive(bank0) : { image: o.bios }, drive(bank1)];
}

/** Refuses firmware that cannot work on the machine, and answers what is doubtful about it. */
function fits(o: MachineOptions): string[] {
  // A realm over firmware in flash has the whole machine below it.
  const secure = o.machine === "virt,secure=on" || (o.realm !== undefined && o.bios !== undefined);
  const facts = virtFacts({ secure, memory: o.memory ?? 2 ** 30, cpu: o.cpu ?? (o.realm ? "max,rme=on" : "max") });
  if (o.realm?.rmm !== undefined) checkRmm(o.realm.rmm);
  if (o.bios !== undefined) return checkFlash(o.bios, facts);
  const asKernel = o.realm === undefined && o.pflash?.[0] === undefined && o.start === undefined;
  if (asKernel && o.kernel !== undefined) checkKernel(o.kernel, facts);
  return [];
}

/** The host software that runs a guest, and the guest in words. */
function guestOf(
  o: RealmOptions,
  config: RealmConfig,
  drives: readonly BlockBackend[],
  rmm: Uint8Array | undefined,
): Pick<VirtConfig, "software" | "guest"> {
  const teardown = o.teardown ?? false;
  const guest = `${o.normal ? "virtual machine" : "realm"} on ${config.map.name}, ${config.memory / 2 ** 20} MiB, ${drives.length} drives`;
  if (o.normal && rmm) throw usageError("vm-rmm", "an ordinary virtual machine has no RMM below it");
  const software: VirtConfig["software"] = o.normal
    ? (board, entropy) => new VmSoftware(board, { vm: config, drives, entropy, teardown })
    : (board, entropy) => new RealmSoftware(board, { realm: config, drives, entropy, rmm, teardown });
  return { software, guest };
}

/** Bytes of the machine below a guest of `memory` bytes. Throws EmuError("bad-memory") when they are more than a machine can have. */
function memoryForGuest(memory: number, machine: number): number {
  if (machine <= MAX_RAM) return machine;
  const host = (machine - memory) / 2 ** 20;
  const most = (MAX_RAM - (machine - memory)) / 2 ** 20;
  throw usageError("bad-memory", `--memory ${memory / 2 ** 20}M: the host of the guest needs ${host} MiB beside it; at most ${most}M fit`);
}

/** Why `run` returned. */
export type StopReason = End | { kind: "halted" } | { kind: "stopped" } | Stuck;

const DEFAULT_EPOCH = 1767225600; // 2026-01-01T00:00:00Z
/** Instructions between two looks at the host's event loop. */
const CHUNK = 4_000_000;
/** Host milliseconds between two such looks, in wall time. */
const TURN_MS = 20;
const MAX_SLEEP_MS = 60_000;

export class Machine extends Inspector {
  /** The PL011: the guest's ttyAMA0. */
  readonly console: Console;
  /** The virtio console: the guest's hvc0. */
  readonly virtioConsole: Console;
  /** A second virtio console, hvc1, on virt,secure=on: for a realm that the guest's own VMM runs. */
  readonly virtioConsole1: Console;
  /** The second PL011 of virt,secure=on: what the Secure world prints. */
  readonly secureConsole: Console;
  /** The consoles by the part that they play: see named-consoles.ts. */
  readonly consoles: Readonly<Record<ConsoleName, Console>>;
  private readonly inputs: readonly Console[];
  /** What is doubtful about the firmware or the kernel that was given, found by looking at it. */
  warnings: readonly string[];
  private stopWanted = false;
  private wake: (() => void) | undefined;
  /** Somebody may still type: idling for ever is no reason to stop. */
  private readonly interactive: boolean;
  private readonly watchdog: Watchdog | undefined;
  private readonly tell: ((end: Stuck) => void) | undefined;
  /** The watchdog has told what there is to tell. */
  private told = false;

  private constructor(options: MachineOptions) {
    const memory = options.memory ?? 2 ** 30;
    const realm = options.realm && planRealm({ ...realmSetup(options), memory });
    const kernel = realm?.image.regions.find((r) => r.ipa + r.content.length > realm.image.entry);
    const doubt = kernel && !options.realm?.normal ? realmWarning(kernel.content) : undefined;
    const rmm = options.realm?.rmm === undefined ? undefined : readInput("rmm", options.realm.rmm, MAX_RMM_FILE);
    const flash = flashContents(options);
    const overFirmware = realm !== undefined && flash[0] !== undefined;
    if (overFirmware && rmm !== undefined)
      throw usageError("two-rmms", "firmware in flash brings its own RMM: leave out either of the two");
    const drives = (options.drives ?? []).map((d) => d.backend);
    const consoles: { main?: Console; virtio?: Console; virtio1?: Console; secure?: Console; named?: NamedConsoles } = {};
    const secure = options.machine === "virt,secure=on" || overFirmware;
    const board = new VirtMachine({
      cpu: options.cpu ?? (realm && !options.realm?.normal ? "max,rme=on" : "max"),
      smp: options.smp ?? 1,
      memory: realm ? memoryForGuest(memory, overFirmware ? firmwareMemoryFor(memory) : hostMemoryFor(memory, rmm !== undefined)) : memory,
      time: options.time ?? "deterministic",
      engine: options.engine ?? defaultEngine(),
      translation: translationIn(options.translation),
      seed: options.seed ?? 1n,
      epoch: options.epoch ?? (options.time === "wall" ? Math.floor(Date.now() / 1000) : DEFAULT_EPOCH),
      secure,
      entry: options.start?.entry,
      ...(overFirmware ? {} : { kernel: options.kernel, initrd: options.initrd, append: options.append }),
      dtb: options.dtb,
      drives: realm ? [] : drives,
      ...(realm && options.realm && !overFirmware ? guestOf(options.realm, realm, drives, rmm) : {}),
      host: overFirmware
        ? (board, entropy) =>
            new HostSide(board, { realm, drives, entropy, teardown: options.realm?.teardown ?? false }, firmwareHostRange(board))
        : undefined,
      output: (bytes) => {
        const writer = writerOf(board);
        consoles.main?.output(bytes, writer);
        consoles.named?.uart0(bytes, writer);
      },
      say: (who, line) => consoles.named?.say(who, line),
      flash,
      pci: options.pci,
      loaders: options.loaders,
      fwCfg: options.fwCfg?.map(fwCfgFile),
      secureOutput: (bytes) => consoles.secure?.output(bytes),
      virtioOutput: (bytes) => consoles.virtio?.output(bytes),
      // For the realm of a host that is real software.
      virtioOutput1: secure && !overFirmware ? (bytes) => consoles.virtio1?.output(bytes) : undefined,
      inputRoom: () => {
        consoles.main?.pump();
        for (const own of consoles.named?.own ?? []) own.pump();
        consoles.secure?.pump();
        consoles.virtio?.pump();
        consoles.virtio1?.pump();
      },
      log: options.log ?? (() => {}),
    });
    super(board);
    this.warnings = doubt === undefined ? [] : [doubt];
    this.interactive = options.time === "wall";
    const { watchdog = false } = options;
    this.watchdog = watchdog === false ? undefined : new Watchdog(board, watchdog);
    this.tell = watchdog === false ? undefined : watchdog.tell;
    const woken = () => this.wake?.();
    this.console = consoles.main = new Console((bytes) => board.serialInput.receive(bytes), woken);
    this.virtioConsole = consoles.virtio = new Console((bytes) => board.hvcInput.receive(bytes), woken);
    this.secureConsole = consoles.secure = new Console((bytes) => board.secureUart.receive(bytes), woken);
    this.virtioConsole1 = consoles.virtio1 = new Console((bytes) => board.hvc1?.receive(bytes) ?? bytes.length, woken);
    const named = new NamedConsoles(
      { main: this.console, secure: this.secureConsole, hvc1: this.virtioConsole1 },
      {
        realm: realm !== undefined,
        secure: board.config.secure === true,
        receive: (bytes) => board.serialInput.receive(bytes),
        sent: woken,
      },
    );
    consoles.named = named;
    this.consoles = named.all;
    this.inputs = [...new Set([this.console, this.virtioConsole, this.virtioConsole1, this.secureConsole, ...named.own])];
    for (const on of this.inputs) {
      on.run = (pattern, o) => this.waitFor(pattern, o, on);
      if (this.watchdog) on.onData(() => this.watchdog?.heard());
    }
  }

  /** Builds the machine and loads what it boots. Throws EmuError for bad input. */
  static async create(options: MachineOptions): Promise<Machine> {
    if (options.machine !== undefined && !MACHINES.includes(options.machine)) {
      throw usageError("unknown-machine", `unknown machine "${String(options.machine)}"; there are: ${MACHINES.join(" and ")}`);
    }
    if (options.start !== undefined && options.machine !== "virt,secure=on") {
      throw usageError("bad-start", "only virt,secure=on starts at EL3");
    }
    const { time, seed, epoch } = options;
    if (time !== undefined && time !== "deterministic" && time !== "wall") {
      throw usageError("bad-time", `time is "deterministic" or "wall", not "${String(time)}"`);
    }
    if (seed !== undefined && typeof seed !== "bigint") throw usageError("bad-seed", `the seed is a bigint, not ${String(seed)}`);
    if (epoch !== undefined && !(epoch >= 0 && epoch < 2 ** 32)) {
      throw usageError("bad-epoch", `the epoch is a number of seconds in 32 bits, not ${String(epoch)}`);
    }
    // Looked at and loaded: large files are read once.
    const { bios } = options;
    const read = typeof bios === "string" ? { ...options, bios: readInput("bios", bios, MAX_FLASH) } : options;
    const warnings = fits(read);
    const machine = new Machine(read);
    machine.warnings = [...warnings, ...machine.warnings];
    return machine;
  }

  /** Instructions retired by all PEs since power-on. */
  get instructions(): number {
    return this.board.retired;
  }

  /** Runs until the guest powers off or resets, nothing can ever happen any more, or `stop` is called. */
  async run(): Promise<StopReason> {
    this.stopWanted = false;
    for (;;) {
      // In wall time nothing depends on where a chunk ends: keys and signals are served at least every few milliseconds.
      const late = this.board.clock.mode === "wall" ? performance.now() + TURN_MS : Number.POSITIVE_INFINITY;
      const reason = await this.runChunk(CHUNK, () => this.stopWanted || performance.now() > late, { watched: true });
      if (reason) return reason;
      if (this.stopWanted) return { kind: "stopped" };
    }
  }
  /** Makes `run` return. */
  stop(): void {
    this.stopWanted = true;
    this.wake?.();
  }
  /** Asks the guest to power off, by the power key. */
  pressPowerKey(): void {
    if (!this.board.pressPowerKey()) throw usageError("no-power-key", "the guest's board has no power key");
    this.wake?.();
  }

  /**
   * Runs exactly `count` instructions (all PEs together), fewer if the machine stops or idles for good; then answers why.
   * It does not matter to the guest into which pieces a run is cut.
   */
  async runInstructions(count: number): Promise<StopReason | undefined> {
    if (!Number.isSafeInteger(count) || count < 0)
      throw usageError("bad-count", `a number of instructions is a whole number, not ${count}`);
    const target = this.instructions + count;
    while (this.instructions < target) {
      const reason = await this.runChunk(Math.min(CHUNK, target - this.instructions), () => false, { exact: true });
      if (reason) return reason;
    }
    return undefined;
  }

  /** Runs until the console has printed something that matches. Fails with the last output when it does not come. */
  async waitFor(pattern: RegExp, options: WaitOptions = {}, on: Console = this.console): Promise<RegExpExecArray> {
    const deadline = Date.now() + (options.timeout ?? 60_000);
    let match: RegExpExecArray | undefined;
    void on.expect(pattern).then((m) => {
      match = m;
    });
    await undefined;
    while (!match) {
      const reason = await this.runChunk(CHUNK, () => on.settled() || Date.now() >= deadline, { by: deadline, watched: true });
      on.settled();
      await undefined;
      if (match) break;
      if (!reason && Date.now() < deadline) continue;
      on.abandon();
      const why = reason ? `the machine stopped (${describe(reason)})` : `${options.timeout ?? 60_000} ms passed`;
      throw new EmuError("wait-failed", `${why} before the console printed ${pattern}; last output:\n${on.text.slice(-2000)}`);
    }
    return match;
  }

  /**
   * One round: a bounded number of instructions, then a turn of the host's event loop, or sleep while all PEs idle, until the
   * host time `by` (ms since 1970) at most. `exact`: see VirtMachine.advance. `watched`: with the watchdog.
   */
  private async runChunk(
    instructions: number,
    until: () => boolean,
    { exact = false, by = Infinity, watched = false }: { exact?: boolean; by?: number; watched?: boolean } = {},
  ): Promise<StopReason | undefined> {
    this.pumpInput();
    const watchdog = watched && !this.told ? this.watchdog : undefined;
    const { idle, deadline } = this.board.advance(instructions, watchdog ? () => until() || watchdog.due : until, exact);
    if (this.board.end) return this.board.end;
    if (idle && !this.interactive) return { kind: "halted" };
    const stuck = watchdog && this.findStuck(watchdog, idle);
    if (stuck) return stuck;
    if (!idle) await turn();
    else await this.sleep(Math.min((deadline - this.board.clock.now()) / 1e6, by - Date.now(), MAX_SLEEP_MS));
    return undefined;
  }
  private findStuck(watchdog: Watchdog, idle: boolean): StopReason | undefined {
    const pes = watchdog.look(idle);
    const { excess } = watchdog;
    if (!pes && !excess) return undefined;
    const end: Stuck = pes ? { kind: "stuck", pes } : { kind: "stuck", pes: this.whereabouts, ...excess };
    if (!this.tell) return end;
    this.told = true;
    watchdog.stop();
    this.tell(end);
    return undefined;
  }
  /** Has the machine ended by itself, so that it does not run any more? */
  get ended(): boolean {
    return this.board.end !== undefined;
  }
  /** Where the PEs are now, and what they wait for. */
  get whereabouts(): StuckPe[] {
    const now = whereabouts(this.board.pes);
    return this.watchdog?.withFaults(now) ?? now;
  }
  private pumpInput(): void {
    for (const on of this.inputs) on.pump();
  }
  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, ms));
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /**
   * Explains what an access by PE `pe` (default 0) to `va` would meet now: every table entry on the way, the result or the rule that
   * it breaks. Nothing in the machine changes. Level, Security state: as the PE is now unless given.
   */
  explain(question: Question & { pe?: number }): Explanation {
    const { pe = 0, va, el } = question;
    if (typeof va !== "bigint" || va !== BigInt.asUintN(64, va)) throw usageError("bad-va", "va is a bigint of 64 bits");
    if (el !== undefined && ![0, 1, 2, 3].includes(el)) throw usageError("bad-el", `an Exception level is 0 to 3, not ${el}`);
    this.peAt(pe);
    return explain(this.board, question);
  }
  private peAt(n: number): Pe {
    const pe = this.board.pes[n];
    if (!pe) throw new EmuError("no-such-pe", `there is no PE ${n}; this machine has ${this.board.pes.length}`);
    return pe;
  }
  /**
   * Calls `listener` with the explanation of each abort and granule protection exception once it is taken (a repeated one only
   * the first time, unless `every`). The function that is returned ends it, and answers which faults came how often again.
   */
  onFault(listener: (explanation: Explanation) => void, options: ExplainerOptions = {}): () => { summary: string; count: number }[] {
    const explainer = new FaultExplainer(this.board, options);
    explainer.onFault(listener);
    return () => {
      explainer.stop();
      return explainer.repeated();
    };
  }
  /** The granule protection table as PE `pe` (default 0) has it, read back from memory; undefined: the CPU has no FEAT_RME. */
  gpt({ pe = 0 }: { pe?: number } = {}): GptDescription | undefined {
    return gptOf(this.peAt(pe).mmu);
  }

  /** Records in which world each PE is, from now on. The function that is returned ends it and answers what was recorded. */
  recordWorlds(): () => Timeline {
    const recorder = new WorldRecorder(this.board);
    return () => recorder.stop();
  }

  /** Calls `listener` with each event of the given kinds. The function that is returned ends it. */
  trace(kinds: Iterable<TraceKind>, listener: (event: TraceEvent) => void): () => void {
    return attachTracer(this.board, new Tracer(kinds, listener));
  }

  /** Measures from now on where time goes. The function that is returned ends it. `symbol`: "name+0x10" for an address. */
  profile(symbol: (address: bigint) => string | undefined = () => undefined): () => Profile {
    const profiler = new Profiler(this.board, (address) => symbol(address)?.replace(/\+0x[0-9a-f]+$/, ""));
    return () => profiler.finish();
  }
  /** Calls `listener` with a name and the JavaScript source of each block that is translated from now on (engine "js"). */
  onTranslation(listener: (name: string, source: string) => void): void {
    const { blocks } = this.board.executor;
    if (!blocks) throw usageError("no-blocks", 'only the engine "js" translates to JavaScript');
    blocks.dump = listener;
  }

  /**
   * The whole state of the machine, compressed. A machine restored from it continues identically. `view`: registers and memory only,
   * for `rme-emu explain` and `rme-emu gpt`. The host of a realm finishes first what it is doing: the machine may run on for a little.
   * `note`: kept in the snapshot as it is, for `snapshotNote`.
   */
  save({ view = false, note }: { view?: boolean; note?: Saved } = {}): Uint8Array {
    if (!view) this.board.settle();
    return writeSnapshot({ state: { ...this.board.save(view), ...(note === undefined ? {} : { note }) }, ram: this.board.ram() });
  }
  /**
   * Puts the state of a snapshot into this machine, which must have been created with the same options (EmuError
   * "snapshot-mismatch"). EmuError "snapshot-corrupt": the snapshot is damaged. Text that consoles have printed or have still to
   * type is not part of a machine.
   */
  restore(snapshot: Uint8Array): void {
    const { state, ram } = readSnapshot(snapshot);
    this.board.restore(state, ram);
    this.watchdog?.heard();
  }
}

function describe(r: StopReason): string {
  if (r.kind === "stuck") return stuckMessage(r);
  return r.kind === "error" ? `error: ${r.message}` : r.kind;
}
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
