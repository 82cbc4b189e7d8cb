// The machine `virt`: PEs, memory, interrupt controller and devices wired as QEMU's virt machine (map: virt-map.ts).

import { type Features, parseCpu } from "../arch/features.ts";
import { Off, RAM_POOL } from "../arch/layout.ts";
import { PeState } from "../arch/state.ts";
import { type Engine, Executor } from "../cpu/executor.ts";
import { mmuFeatures, rowAvailable } from "../cpu/feature-use.ts";
import type { Translation } from "../cpu/jit/job.ts";
import { Pe, type PeHooks } from "../cpu/pe.ts";
import { fastIndex } from "../cpu/sysreg-map.ts";
import type { CfiFlash } from "../devices/cfi-flash.ts";
import type { Receiver } from "../devices/device.ts";
import type { FwCfg, FwCfgFile } from "../devices/fw-cfg.ts";
import { Gic } from "../devices/gic/index.ts";
import { PCI_SLOTS } from "../devices/pci/host.ts";
import { Pl011Uart } from "../devices/pl011.ts";
import { Pl031Rtc } from "../devices/pl031.ts";
import { GpioKey, Pl061Gpio } from "../devices/pl061.ts";
import { SavedFields } from "../devices/saved.ts";
import type { TimedDevice } from "../devices/timed.ts";
import {
  type BlockBackend,
  SeededEntropy,
  VirtioBlock,
  VirtioConsole,
  type VirtioDevice,
  VirtioMmio,
  VirtioRng,
} from "../devices/virtio/index.ts";
import { El3Agent } from "../el3/agent.ts";
import type { PowerControl } from "../el3/power.ts";
import type { Row } from "../isa/table.ts";
import { type Boot, loadBoot } from "../loader/boot.ts";
import type { FdtTree } from "../loader/fdt.ts";
import { FileContents } from "../loader/files.ts";
import { PhysicalMemory, RAM_CHUNK, type RamChunk } from "../mem/physical.ts";
import { TlbDomain } from "../mmu/domain.ts";
import { Mmu } from "../mmu/mmu.ts";
import { EmuError, hex, usageError } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import { type FlashContents, makeBank, makeFwCfg } from "./boot-flash.ts";
import { MachineClock, type TimeMode } from "./clock.ts";
import { DmaPort } from "./dma.ts";
import { loadFirmware } from "./firmware.ts";
import { type Loader, loadFlashBoot } from "./flash-boot.ts";
import type { HostSide } from "./host-side.ts";
import type { HostSoftware } from "./host-software.ts";
import type { BusHooks } from "./observe.ts";
import { PciBus } from "./pci-bus.ts";
import type { RealmSoftware } from "./realms.ts";
import { secureOnly } from "./secure-device.ts";
import { seedBytes, virtTree } from "./virt-dtb.ts";
import { affinityOf, MAX_RAM, POWER_KEY_PIN, SECURE_GPIO, VIRT_SPIS, VIRTIO_MMIO_SLOTS, virtioWindow, virtMap } from "./virt-map.ts";
import { checkSameConfig, configOf, readEnd, restorePe, savePe } from "./virt-state.ts";
import type { VmSoftware } from "./vms.ts";

const MiB = 2 ** 20;
/** Turns after which it is given up to wait for a moment at which the machine can be saved. */
const MAX_SETTLING = 1_000_000;
const FLASH_SIZE = virtMap.flash0.size + virtMap.flash1.size;

/** Everything a `virt` machine is made from. Sizes in bytes. */
export interface VirtConfig {
  /**
   * QEMU's secure=on: PEs start at EL3; the GIC has two Security states; flash bank 0 is Secure; Secure RAM, UART and GPIO exist; nothing
   * offers PSCI. Unless flash has firmware, the kernel option names a program (ELF, or a raw image with `entry`) that all PEs enter with
   * the MMU off and the address of the device tree in x0.
   */
  secure?: boolean;
  /**
   * What the two banks of flash hold. With anything in bank 0 the machine starts there, at its first instruction: at EL3 on every PE with
   * secure=on, else at EL2 on PE 0. Kernel, initrd and command line are then handed to the firmware by fw_cfg.
   */
  flash?: readonly [FlashContents | undefined, FlashContents | undefined] | undefined;
  /** More for memory at power-on, when the machine starts in flash. */
  loaders?: readonly Loader[] | undefined;
  /** Files for firmware, named as it expects ("opt/..."). */
  fwCfg?: readonly FwCfgFile[] | undefined;
  /** Address at which firmware starts, and a raw image is loaded. */
  entry?: number | undefined;
  /** Software of the emulator's own for all Exception levels above a realm, instead of a kernel; there is Root memory for it. */
  software?: ((machine: VirtMachine, entropy: SeededEntropy) => RealmSoftware | VmSoftware | HostSoftware) | undefined;
  /** What that software runs, in words: snapshots are for machines with the same guest. */
  guest?: string | undefined;
  /** An agent for Non-secure EL2, when firmware from flash gets there. */
  host?: ((machine: VirtMachine, entropy: SeededEntropy) => HostSide) | undefined;
  /** CPU profile and features, for example "max" or "max,lse=off". */
  cpu: string;
  /** Number of PEs, 1..8. */
  smp: number;
  /** RAM, a multiple of 1 MiB, at most 8 GiB. */
  memory: number;
  time: TimeMode;
  /** What executes hot code; the guest cannot tell. Default: the interpreter. */
  engine?: Engine | undefined;
  /** Who translates for the engine "wasm". */
  translation?: Translation | undefined;
  /** Seeds what is random in a machine: kaslr-seed, rng-seed, RNDR, the virtio rng. */
  seed: bigint;
  /** Real-time clock at power-on, seconds since 1970. */
  epoch: number;
  kernel?: string | Uint8Array | undefined;
  initrd?: string | Uint8Array | undefined;
  dtb?: string | Uint8Array | undefined;
  append?: string | undefined;
  drives: readonly BlockBackend[];
  /** What is on the PCI bus, from slot 1 on. A console there is the virtio console, which is then not among the virtio-mmio devices. */
  pci?: readonly PciDevice[] | undefined;
  /** Console output of the PL011. */
  output(bytes: Uint8Array): void;
  /** Console output of the second PL011, which is Secure. */
  secureOutput?: (bytes: Uint8Array) => void;
  /** A line of the emulator's own firmware or host, in place of what real software would print. */
  say?: (who: "firmware" | "host", line: string) => void;
  /** Output of the virtio console (hvc0). */
  virtioOutput(bytes: Uint8Array): void;
  /** Output of a second one (hvc1), which exists when there is this. */
  virtioOutput1?: ((bytes: Uint8Array) => void) | undefined;
  /** A console that had refused input has room again. */
  inputRoom?: () => void;
  /** One line for the log. */
  log(line: string): void;
}

/** A virtio device on the PCI bus. */
export type PciDevice = { kind: "block"; backend: BlockBackend } | { kind: "rng" } | { kind: "console" };

/** Why a machine stopped by itself. */
export type End = { kind: "poweroff" } | { kind: "reset" } | { kind: "error"; message: string };

export class VirtMachine {
  readonly config: VirtConfig;
  readonly features: Features;
  readonly phys: PhysicalMemory;
  readonly domain = new TlbDomain();
  readonly clock: MachineClock;
  readonly pes: Pe[] = [];
  readonly gic: Gic;
  readonly uart: Pl011Uart;
  readonly secureUart: Pl011Uart;
  readonly flash: readonly [CfiFlash, CfiFlash];
  readonly hvc: VirtioConsole;
  readonly hvc1: VirtioConsole | undefined;
  readonly powerKey: GpioKey;
  readonly executor: Executor;
  readonly el3: El3Agent;
  /** Told of what bus masters do; see observe.ts. */
  readonly busHooks: BusHooks = {};
  /** What runs a realm, on a machine made for one. */
  readonly software: RealmSoftware | VmSoftware | HostSoftware | undefined;
  /** The host of a realm over firmware from flash. */
  readonly host: HostSide | undefined;
  /** Set when the machine has stopped by itself. */
  end: End | undefined;
  /** Is shown each piece of a run: the PE, instructions retired, host milliseconds. Turns are cut into pieces of `period` instructions. */
  sampler: { readonly period: number; sample(pe: Pe, instructions: number, ms: number): void } | undefined;
  /** Instructions retired by all PEs since power-on. */
  retired = 0;
  /**
   * Virtual nanoseconds in which all PEs waited, at least one of them for an event or a time of its own choice: a delay, where an idle PE
   * waits for interrupts.
   */
  delayed = 0;
  /** When the present time of that kind began. */
  private delayedFrom: number | undefined;
  private readonly rtc: Pl031Rtc;
  private readonly gpio: Pl061Gpio;
  private readonly secureGpio: Pl061Gpio;
  private readonly fwCfg: FwCfg;
  private readonly pci: PciBus;
  private readonly virtio: VirtioMmio[] = [];
  private readonly entropy: SeededEntropy;
  private readonly timed: TimedDevice[];
  private boot: Boot | undefined;
  /** What a snapshot holds besides the virtio slots, the PEs and RAM, in the order of restoring: devices drive lines into the GIC. */
  private readonly parts: Readonly<Record<string, Stateful>>;
  private advancing = false;
  /** PE whose turn it is, and the instructions left of the turn; 0: the next turn begins. */
  private turnPe = 0;
  private turnLeft = 0;

  constructor(config: VirtConfig) {
    checkConfig(config);
    this.config = config;
    this.features = parseCpu(config.cpu).withHiddenEl3();
    if (config.secure && this.features.hidden.has("EL3"))
      throw usageError("cpu-el3", "virt,secure=on starts at EL3: leave el3=off out of --cpu");
    this.clock = new MachineClock(config.time, this.features.has("ECV") ? 1_000_000_000 : 62_500_000);
    const secureRam = config.secure || config.software !== undefined;
    this.phys = new PhysicalMemory(allocateMemory(config.memory + FLASH_SIZE + (secureRam ? virtMap.secureRam.size : 0)));
    this.phys.addRam(virtMap.ram.base, config.memory);
    if (secureRam) this.phys.addRam(virtMap.secureRam.base, virtMap.secureRam.size, true);
    this.entropy = new SeededEntropy(Number(BigInt.asIntN(32, config.seed)));

    const states = Array.from({ length: config.smp }, (_, i) => new PeState(this.phys.memory, i));
    this.gic = new Gic({ pes: states, spis: VIRT_SPIS, singleSecurity: !config.secure, onLines: () => {} });
    const line = (spi: number) => this.gic.spi(spi);
    this.uart = new Pl011Uart({
      irq: line(virtMap.uart0.spi),
      sink: { write: (bytes) => config.output(bytes) },
      onRoom: () => config.inputRoom?.(),
    });
    this.secureUart = new Pl011Uart({
      irq: line(virtMap.secureUart1.spi),
      sink: { write: (bytes) => config.secureOutput?.(bytes) },
      name: "pl011 (secure)",
      onRoom: () => config.inputRoom?.(),
    });
    this.flash = this.makeFlash();
    this.fwCfg = this.makeFwCfg();
    this.rtc = new Pl031Rtc({ irq: line(virtMap.rtc.spi), clock: this.clock, epoch: config.epoch });
    this.gpio = new Pl061Gpio({ irq: line(virtMap.gpio.spi) });
    this.secureGpio = new Pl061Gpio({ irq: { set: () => {} }, onOutput: (pin, level) => this.secureOutput(pin, level) });
    this.powerKey = new GpioKey(this.gpio, POWER_KEY_PIN, this.clock);
    const virtioConsole = (write: (bytes: Uint8Array) => void) =>
      new VirtioConsole({ sink: { write }, onRoom: () => config.inputRoom?.() });
    this.hvc = virtioConsole((bytes) => config.virtioOutput(bytes));
    this.hvc1 = config.virtioOutput1 && virtioConsole(config.virtioOutput1);
    this.pci = this.makePci();
    this.timed = [this.rtc, this.powerKey];
    this.mapDevices();

    this.el3 = new El3Agent({
      power: this.power(),
      affinities: states.map((_, i) => affinityOf(i)),
      has: (feature) => this.features.has(feature),
      frequency: this.clock.hz,
      entropy: (n) => this.random(n),
      log: (line) => {
        config.log(line);
        config.say?.("firmware", line);
      },
    });
    for (let i = 0; i < config.smp; i++) this.pes.push(this.makePe(i));
    const available = (row: Row) => rowAvailable(this.features, row.features);
    this.executor = new Executor(this.phys, this.domain, this.pes, { available, fastIndex }, config.engine, config.translation);
    this.clock.progress = () => this.executor.progress;
    this.phys.onRomWrite = (pa, length) => this.executor.memoryWritten(pa, length, "device:flash");
    this.phys.onRomSwitch = () => {
      for (const pe of this.pes) pe.mmu.flushL1();
    };
    this.software = config.software?.(this, this.entropy);
    this.host = config.host?.(this, this.entropy);
    this.timed.push(...(this.software?.timed ?? []), ...(this.host?.timed ?? []));
    const { clock, entropy, gic, uart, rtc, gpio, powerKey, el3, secureGpio, secureUart, fwCfg, pci, software, host } = this;
    const [flash0, flash1] = this.flash;
    this.parts = {
      clock,
      entropy,
      gic,
      uart,
      rtc,
      gpio,
      powerKey,
      el3,
      flash0,
      flash1,
      fwCfg,
      pci,
      ...(config.secure ? { secureGpio, secureUart } : {}),
      ...(software ? { software } : {}),
      ...(host ? { host } : {}),
    };
    this.loadAndStart();
  }

  // ---- construction ------------------------------------------------------------------------------------------------
  private mapDevices(): void {
    const { phys } = this;
    phys.addDevice(virtMap.gicDistributor.base, this.gic.distributor);
    phys.addDevice(virtMap.gicRedistributor.base, this.gic.redistributor);
    phys.addDevice(virtMap.uart0.base, this.uart);
    phys.addDevice(virtMap.rtc.base, this.rtc);
    phys.addDevice(virtMap.gpio.base, this.gpio);
    const { secure } = this.config;
    phys.addDevice(virtMap.flash0.base, secure ? secureOnly(this.flash[0]) : this.flash[0]);
    phys.addDevice(virtMap.flash1.base, this.flash[1]);
    phys.addDevice(virtMap.fwCfg.base, this.fwCfg);
    this.pci.map(phys);
    if (secure) {
      phys.addDevice(virtMap.secureUart1.base, secureOnly(this.secureUart));
      phys.addDevice(virtMap.secureGpio.base, secureOnly(this.secureGpio));
    }
    // QEMU fills the slots from the last one downwards, in the order of its command line.
    const devices: VirtioDevice[] = [
      ...this.config.drives.map((backend) => new VirtioBlock({ backend })),
      // Linux finds the slots from the first one upwards: the last console of this list is its hvc0.
      ...(this.hvc1 ? [this.hvc1] : []),
      ...(this.config.pci?.some((d) => d.kind === "console") ? [] : [this.hvc]),
      new VirtioRng({ entropy: this.entropy }),
    ];
    for (let slot = 0; slot < VIRTIO_MMIO_SLOTS; slot++) {
      const device = devices[VIRTIO_MMIO_SLOTS - 1 - slot];
      const { base, spi } = virtioWindow(slot);
      const dma = this.dma(`${device?.name} at ${hex(base)}`);
      const mmio = new VirtioMmio({ irq: this.gic.spi(spi), dma, log: this.config.log, ...(device ? { device } : {}) });
      this.virtio.push(mmio);
      phys.addDevice(base, mmio);
    }
  }

  private makeFlash(): [CfiFlash, CfiFlash] {
    const { flash, secure } = this.config;
    const bank = (n: 0 | 1, name: "flash0" | "flash1") =>
      makeBank({ phys: this.phys, window: virtMap[name], secure: secure === true && n === 0, contents: flash?.[n], name });
    return [bank(0, "flash0"), bank(1, "flash1")];
  }
  private makePci(): PciBus {
    const make = (d: PciDevice): VirtioDevice => {
      if (d.kind === "block") return new VirtioBlock({ backend: d.backend });
      return d.kind === "rng" ? new VirtioRng({ entropy: this.entropy }) : this.hvc;
    };
    const devices = (this.config.pci ?? []).map(make);
    return new PciBus({ spi: (n) => this.gic.spi(n), dma: (name) => this.dma(name), devices, log: this.config.log });
  }
  private makeFwCfg(): FwCfg {
    const { smp, kernel, initrd, append, fwCfg } = this.config;
    const boot = this.startsInFlash ? { kernel, initrd, append } : {};
    return makeFwCfg({ pes: smp, dma: this.dma("fw_cfg"), files: fwCfg, ...boot });
  }
  private get startsInFlash(): boolean {
    return this.config.flash?.[0] !== undefined;
  }

  private secureOutput(pin: number, level: boolean): void {
    if (level && pin === SECURE_GPIO.POWER_OFF) this.stop({ kind: "poweroff" });
    if (level && pin === SECURE_GPIO.RESET) this.stop({ kind: "reset" });
  }

  /**
   * Bus mastering devices are Non-secure requesters and reach RAM only; what they write is seen by instruction fetch and exclusive
   * monitors. The check in front of them is configured like that of PE 0: firmware gives all requesters the same table.
   */
  private dma(device: string): DmaPort {
    const by = `device:${device}` as const;
    return new DmaPort(device, {
      phys: this.phys,
      check: () => this.pe(0).mmu.granuleCheck,
      written: (pa, length) => this.executor.memoryWritten(pa, length, by),
      refused: (transfer) => this.busHooks.refused?.(transfer),
    });
  }

  private makePe(index: number): Pe {
    const pe: Pe = new Pe({
      memory: this.phys.memory,
      index,
      phys: this.phys,
      features: this.features,
      mpidr: (1n << 31n) | BigInt(affinityOf(index)),
      seed: Number(BigInt.asUintN(31, this.config.seed)) * 8 + index + 1,
      counter: { now: () => this.clock.ticksAt(this.clock.now()), hz: this.clock.hz },
      mmu: new Mmu(new PeState(this.phys.memory, index), this.phys, mmuFeatures(this.features), this.domain),
      gic: this.gic.cpu(index),
      ppi: (intid: number) => this.gic.ppi(index, intid),
      hooks: this.hooks(() => pe),
    });
    if (!this.config.secure) pe.agents[3] = this.el3;
    return pe;
  }
  private hooks(self: () => Pe): PeHooks {
    return {
      log: (line) => this.config.log(line),
      wakeAll: () => {
        for (const pe of this.pes) pe.st.setLo(Off.EVENT, 1);
      },
      requestStop: (message) => this.stop({ kind: "error", message }),
      retired: () => this.executor.retired(self()),
      pac: (pointer, modifier, key) => this.executor.pac(self(), pointer, modifier, key),
    };
  }
  private stop(end: End): void {
    this.end ??= end;
    this.executor.requestStop();
  }
  private random(n: number): Uint8Array {
    return this.entropy.bytes(n);
  }

  private power(): PowerControl {
    return {
      isOn: (i) => this.pe(i).st.lo(Off.HALT) !== 2,
      powerOn: (i, entry, context) => this.start(i, entry, context),
      powerOff: (i) => this.pe(i).st.setLo(Off.HALT, 2),
      suspend: (i) => this.pe(i).startWait(false, undefined),
      systemOff: () => this.stop({ kind: "poweroff" }),
      systemReset: () => this.stop({ kind: "reset" }),
      isExecutable: (pa) => pa < 2n ** 52n && this.phys.isMemory(Number(pa)),
      panic: (_i, message) => this.stop({ kind: "error", message }),
    };
  }
  private pe(i: number): Pe {
    return this.pes[i] as Pe;
  }
  private start(i: number, entry: bigint, context: bigint): void {
    const pe = this.pe(i);
    pe.reset();
    pe.st.setLo(Off.HALT, 0);
    if (!this.software) this.gic.wake(i);
    (this.software ?? this.el3).coldBoot(pe, entry, context);
  }

  private loadAndStart(): void {
    const { config } = this;
    for (const pe of this.pes) {
      pe.reset();
      pe.st.setLo(Off.HALT, 2);
    }
    if (this.software) {
      this.start(0, BigInt(virtMap.ram.base), 0n);
      return;
    }
    const ram = { base: virtMap.ram.base, size: config.memory };
    if (this.startsInFlash) {
      this.startInFlash(ram);
      return;
    }
    if (config.kernel === undefined) throw usageError("no-kernel", "no kernel given");
    if (config.secure) {
      this.startFirmware(config.kernel, ram);
      return;
    }
    this.boot = loadBoot({
      kernel: config.kernel,
      initrd: config.initrd,
      dtb: config.dtb,
      bootargs: config.append,
      ram,
      tree: this.tree(),
    });
    for (const { address, data } of this.boot.pieces) {
      if (data instanceof FileContents) data.open((fill) => this.phys.fillBytes(address, data.length, fill));
      else this.phys.writeBytes(address, data);
    }
    this.start(0, BigInt(this.boot.entry), BigInt(this.boot.dtbAddress));
  }

  private tree(): FdtTree {
    const { config } = this;
    return virtTree({
      memory: config.memory,
      pes: config.smp,
      pmu: this.features.has("PMUv3"),
      kaslrSeed: seedBytes(config.seed, 8),
      rngSeed: seedBytes(config.seed + 1n, 32),
      secure: config.secure === true,
      firmware: this.startsInFlash,
    });
  }
  private startInFlash(ram: { base: number; size: number }): void {
    const { secure, dtb, append, loaders } = this.config;
    const starts = loadFlashBoot({ phys: this.phys, ram, tree: this.tree(), dtb, append, loaders });
    const entry = (pe: number): bigint => BigInt(starts.get(pe) ?? virtMap.flash0.base);
    if (!secure) {
      this.start(0, entry(0), 0n);
      return;
    }
    for (const pe of this.pes) {
      pe.st.pc = entry(pe.index);
      pe.st.setLo(Off.HALT, 0);
    }
  }
  private startFirmware(file: string | Uint8Array, ram: { base: number; size: number }): void {
    const image = loadFirmware({ file, entry: this.config.entry, ram: [ram, virtMap.secureRam], tree: this.tree() });
    for (const piece of image.pieces) this.phys.writeBytes(piece.address, piece.data);
    for (const pe of this.pes) {
      pe.st.setX(0, BigInt(image.dtbAddress));
      pe.st.pc = BigInt(image.entry);
      pe.st.setLo(Off.HALT, 0);
    }
  }

  /** Where the input of both consoles goes: to the machine's devices, or to those of its guest. */
  get serialInput(): Receiver {
    return (this.software ?? this.host)?.serial ?? this.uart;
  }
  get hvcInput(): Receiver {
    return (this.software ?? this.host)?.hvc ?? this.hvc;
  }

  // ---- running -----------------------------------------------------------------------------------------------------
  /** Instructions in a PE's turn. Several PEs take shorter ones, so that spinning for another costs little. */
  private get quantum(): number {
    return this.pes.length === 1 ? 100_000 : 20_000;
  }

  /**
   * Runs all PEs in turn until `instructions` have retired, the machine ends, `interrupted()` holds after a turn, or everything
   * idles with no event ahead that time can bring. Answers whether it idles, and then the time of the next event (ns).
   * `exact`: stops after exactly that many instructions, in the middle of a turn; otherwise at the end of the turn.
   */
  advance(instructions: number, interrupted: () => boolean, exact = false): { idle: boolean; deadline: number } {
    if (this.advancing) throw usageError("machine-running", "the machine is running already: it cannot be run from what it calls");
    this.advancing = true;
    try {
      return this.takeTurns(this.retired + instructions, interrupted, exact);
    } catch (e) {
      // Only the host's limits get here (memory-exhausted): the instruction under way is lost, so the machine cannot go on.
      this.stop({ kind: "error", message: (e as Error).message });
      throw e;
    } finally {
      this.advancing = false;
    }
  }
  private takeTurns(target: number, interrupted: () => boolean, exact: boolean): { idle: boolean; deadline: number } {
    while (this.retired < target && !this.end && !interrupted()) {
      const fresh = this.turnLeft === 0;
      if (fresh && !this.startTurn()) {
        const deadline = this.deadline();
        this.clock.idle();
        if (this.pes.some((pe) => pe.delays)) this.delayedFrom ??= this.clock.now();
        if (this.clock.mode === "wall" || deadline === Infinity) return { idle: true, deadline };
        this.clock.skipTo(deadline);
        continue;
      }
      if (this.delayedFrom !== undefined) {
        this.delayed += this.clock.now() - this.delayedFrom;
        this.delayedFrom = undefined;
      }
      const { sampler } = this;
      const piece = Math.min(this.turnLeft, sampler?.period ?? Infinity);
      const count = exact ? Math.min(piece, target - this.retired) : piece;
      this.clock.start();
      const start = sampler ? performance.now() : 0;
      const n = this.executor.slice(this.pe(this.turnPe), count, fresh);
      sampler?.sample(this.pe(this.turnPe), n, performance.now() - start);
      this.clock.retired(n);
      this.retired += n;
      this.turnLeft = n < count && !this.executor.cut ? 0 : Math.max(0, this.turnLeft - n);
    }
    return { idle: false, deadline: 0 };
  }
  /**
   * Gives the next PE that can run its turn, up to the next deadline. False: all idle. Timers, devices and interrupts are
   * looked at only here, so that it does not matter into which pieces a run is cut.
   */
  private startTurn(): boolean {
    this.updateTimed();
    for (let i = 1; i <= this.pes.length; i++) {
      const index = (this.turnPe + i) % this.pes.length;
      const pe = this.pe(index);
      pe.timers.update();
      pe.pmu.update();
      if (pe.st.lo(Off.HALT) === 1) pe.wakeFromHalt();
      if (pe.st.lo(Off.HALT) !== 0) continue;
      const until = this.deadline() - this.clock.now();
      this.turnPe = index;
      this.turnLeft = Math.max(1, Math.min(this.quantum, until, pe.pmu.nextOverflow() ?? Infinity));
      return true;
    }
    return false;
  }
  private updateTimed(): void {
    for (const d of this.timed) d.update();
  }
  /** Virtual time in ns of the next timer or device event; Infinity when there is none. */
  deadline(): number {
    let at = this.deviceDeadline();
    for (const pe of this.pes) {
      if (pe.st.lo(Off.HALT) === 2) continue;
      const ticks = pe.timers.nextDeadline();
      if (ticks !== undefined) at = Math.min(at, this.clock.timeOf(ticks));
    }
    return at;
  }

  /** The same of devices alone. */
  deviceDeadline(): number {
    return this.timed.reduce((at, d) => Math.min(at, d.deadline()), Infinity);
  }

  /** Presses the power key of the machine, or of the guest that its software runs; false: that has none. */
  pressPowerKey(): boolean {
    const software = this.software ?? this.host;
    if (software && "pressPowerKey" in software) return software.pressPowerKey();
    this.powerKey.press();
    return true;
  }

  // ---- snapshots ---------------------------------------------------------------------------------------------------
  /** Runs on until software of the emulator's own can be saved. What the guest sees is the same as without. */
  settle(): void {
    const software = this.software ?? this.host;
    if (!software || !("settled" in software)) return;
    for (let turns = 0; !software.settled && !this.end; turns++) {
      if (turns === MAX_SETTLING) throw new EmuError("snapshot-busy", "the host of the guest is never without work to finish");
      this.advance(1, () => false);
    }
  }
  /**
   * All state but RAM. Cheap to keep; `ram()` is read at once or not at all. `view`: without software of the emulator's own, which
   * cannot be saved; such a state is to look at and cannot be restored.
   */
  save(view = false): { [key: string]: Saved } {
    if (this.advancing) throw usageError("machine-running", "the machine is running: it cannot be saved from what it calls");
    return {
      config: configOf(this.config),
      end: this.end ? { ...this.end } : null,
      turn: { pe: this.turnPe, left: this.turnLeft, retired: this.retired },
      ...(view ? { view } : Object.fromEntries(Object.entries(this.parts).map(([name, part]) => [name, part.save()]))),
      virtio: this.virtio.map((v) => v.save()),
      pes: this.pes.map(savePe),
      executor: this.executor.save(),
    };
  }
  /** The touched RAM, in the order in which it must be restored. Views: they change when the machine runs. */
  ram(): Iterable<RamChunk> {
    return this.phys.contents();
  }
  /**
   * Continues from a saved state; the machine must have been made with the same options. Throws EmuError("snapshot-mismatch")
   * before it changes anything when it was not, and EmuError("snapshot-corrupt") for a damaged one: then this machine has ended.
   */
  restore(state: Saved, ram: Iterable<RamChunk>): void {
    if (this.advancing) throw usageError("machine-running", "the machine is running: it cannot be restored from what it calls");
    const s = new SavedFields(state, "machine");
    if (s.has("view")) throw usageError("snapshot-view", "the snapshot is to look at: it was saved without devices and cannot go on");
    checkSameConfig(s.part("config"), this.config);
    try {
      this.restoreRam(ram);
      for (const [name, part] of Object.entries(this.parts)) part.restore(s.part(name));
      const virtio = s.list("virtio", this.virtio.length);
      for (const [i, v] of this.virtio.entries()) v.restore(virtio[i] as Saved);
      const pes = s.list("pes", this.pes.length);
      for (const [i, pe] of this.pes.entries()) restorePe(pe, pes[i] as Saved, this.phys);
      this.executor.restore(s.part("executor"));
      this.restoreTurn(new SavedFields(s.part("turn"), "turn"));
      this.end = readEnd(s.part("end"));
    } catch (e) {
      this.end = { kind: "error", message: "a damaged snapshot was restored into this machine" };
      throw e instanceof EmuError ? e : new EmuError("snapshot-corrupt", `the snapshot is damaged: ${(e as Error).message}`);
    }
  }
  private restoreRam(ram: Iterable<RamChunk>): void {
    this.executor.code.clear();
    this.executor.code.quiesce();
    this.phys.clear();
    for (const { pa, data } of ram) {
      const inside = this.phys.isMemory(pa) && pa % RAM_CHUNK === 0 && data.length === RAM_CHUNK;
      if (!inside)
        throw new EmuError("snapshot-corrupt", `the snapshot has ${data.length} bytes of memory for ${hex(pa)}, where no such piece is`);
      this.phys.writeBytes(pa, data);
    }
  }
  private restoreTurn(s: SavedFields): void {
    this.delayedFrom = undefined;
    this.turnPe = s.uint("pe", this.pes.length - 1);
    this.turnLeft = s.uint("left", this.quantum);
    this.retired = s.uint("retired", Number.MAX_SAFE_INTEGER);
  }
}

function checkConfig(c: VirtConfig): void {
  if (!Number.isInteger(c.smp) || c.smp < 1 || c.smp > 8) throw usageError("bad-smp", `--smp takes 1 to 8 PEs, not ${c.smp}`);
  if (!Number.isInteger(c.memory) || c.memory < 16 * MiB || c.memory > MAX_RAM || c.memory % MiB !== 0) {
    throw usageError("bad-memory", `--memory takes whole MiB from 16M to 8G, not ${c.memory} bytes`);
  }
  if (c.secure && c.software) throw usageError("secure-realm", "firmware and a realm of the emulator's own exclude each other");
  const inFlash = c.flash?.[0] !== undefined;
  if (inFlash && c.software) throw usageError("firmware-realm", "firmware and a realm of the emulator's own exclude each other");
  if (!inFlash && c.loaders?.length) throw usageError("loader-firmware", "loader devices need firmware in flash (--bios)");
  const unused = (["initrd", "append", "dtb"] as const).find((option) => c.secure && !inFlash && c[option] !== undefined);
  if (unused) throw usageError("firmware-option", `nothing hands ${unused} to the program that virt,secure=on starts`);
  if ((c.pci?.length ?? 0) > PCI_SLOTS - 1) throw usageError("too-many-pci", `at most ${PCI_SLOTS - 1} PCI devices fit`);
  if ((c.pci ?? []).filter((d) => d.kind === "console").length > 1) throw usageError("too-many-pci", "there is one virtio console");
  if (c.drives.length > VIRTIO_MMIO_SLOTS - 2)
    throw usageError("too-many-drives", `at most ${VIRTIO_MMIO_SLOTS - 2} drives fit, not ${c.drives.length}`);
}

/** One WebAssembly memory for state and RAM. The host commits pages when they are touched. */
function allocateMemory(ram: number): WebAssembly.Memory {
  const pages = Math.min(65536, Math.ceil((RAM_POOL + ram) / 65536));
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch {
    throw new EmuError(
      "host-memory",
      `the host does not give ${Math.ceil(pages / 16)} MiB of address space; give the guest less with --memory`,
    );
  }
}
