// The memory-mapped virtio transport (4.2): version 2, and version 1 ("legacy") as QEMU's virt machine has it by default.

import { EmuError } from "../../util/errors.ts";
import type { Saved, Stateful } from "../../util/stateful.ts";
import type { Dma, IrqLine, MmioDevice } from "../device.ts";
import { IrqOutput } from "../irq-output.ts";
import { SavedFields } from "../saved.ts";
import { ConfigSpace } from "./config.ts";
import { DeviceId, Feature, Status } from "./constants.ts";
import type { VirtioDevice, VirtioTransport } from "./device.ts";
import { boundedDma } from "./dma.ts";
import type { RingOwner, Virtqueue } from "./queue.ts";
import { QueueRegisters, type RingFeatures, validQueueSize } from "./queue-registers.ts";

/** Register offsets (4.2.2 and 4.2.4); the configuration space follows at 0x100. */
export const MmioReg = {
  MagicValue: 0x000,
  Version: 0x004,
  DeviceID: 0x008,
  VendorID: 0x00c,
  DeviceFeatures: 0x010,
  DeviceFeaturesSel: 0x014,
  DriverFeatures: 0x020,
  DriverFeaturesSel: 0x024,
  GuestPageSize: 0x028, // legacy
  QueueSel: 0x030,
  QueueNumMax: 0x034,
  QueueNum: 0x038,
  QueueAlign: 0x03c, // legacy
  QueuePFN: 0x040, // legacy
  QueueReady: 0x044,
  QueueNotify: 0x050,
  InterruptStatus: 0x060,
  InterruptACK: 0x064,
  Status: 0x070,
  QueueDescLow: 0x080,
  QueueDescHigh: 0x084,
  QueueDriverLow: 0x090,
  QueueDriverHigh: 0x094,
  QueueDeviceLow: 0x0a0,
  QueueDeviceHigh: 0x0a4,
  SHMLenLow: 0x0b0,
  SHMBaseHigh: 0x0bc,
  QueueReset: 0x0c0,
  ConfigGeneration: 0x0fc,
  Config: 0x100,
} as const;

const MAGIC = 0x7472_6976; // "virt"
const VENDOR_QEMU = 0x554d_4551;
const WINDOW = 0x200;

/** InterruptStatus bits. */
const Isr = { USED_BUFFER: 1, CONFIG_CHANGE: 2 } as const;

/** Address registers and the half of which area they set, see QueueRegisters.areas. */
const AREA_REGISTERS: Readonly<Record<number, number>> = {
  [MmioReg.QueueDescLow]: 0,
  [MmioReg.QueueDescHigh]: 1,
  [MmioReg.QueueDriverLow]: 2,
  [MmioReg.QueueDriverHigh]: 3,
  [MmioReg.QueueDeviceLow]: 4,
  [MmioReg.QueueDeviceHigh]: 5,
};

export interface VirtioMmioOptions {
  irq: IrqLine;
  dma: Dma;
  /** Absent: an empty slot (DeviceID 0), which drivers pass over. */
  device?: VirtioDevice;
  /** 2 (the default) or 1, legacy. */
  version?: 1 | 2;
  /** Offer ACCESS_PLATFORM, and insist on it: the guest then goes through its DMA API (a realm guest shares its buffers). */
  accessPlatform?: boolean;
  /** Offer packed virtqueues (version 2 only); the default is not to, as QEMU. */
  packed?: boolean;
  /** Offer EVENT_IDX and INDIRECT_DESC; the default is to. */
  eventIdx?: boolean;
  indirect?: boolean;
  vendor?: number;
  /** Told, once between two resets, what the driver did wrong. */
  log?: (message: string) => void;
  name?: string;
}

/** Feature bits as two 32-bit words. */
type FeatureWords = [number, number];

function offeredFeatures(o: VirtioMmioOptions): FeatureWords {
  const words: FeatureWords = [o.device?.features ?? 0, 0];
  const offer = (bit: number, yes: boolean): void => {
    if (yes) words[bit < 32 ? 0 : 1] |= 1 << (bit & 31);
  };
  offer(Feature.INDIRECT_DESC, o.indirect ?? true);
  offer(Feature.EVENT_IDX, o.eventIdx ?? true);
  if ((o.version ?? 2) === 2) {
    offer(Feature.VERSION_1, true);
    offer(Feature.RING_RESET, true);
    offer(Feature.ACCESS_PLATFORM, o.accessPlatform ?? false);
    offer(Feature.RING_PACKED, o.packed ?? false);
  }
  return [words[0] >>> 0, words[1] >>> 0];
}

export class VirtioMmio implements MmioDevice, Stateful, VirtioTransport, RingOwner {
  readonly name: string;
  readonly size = WINDOW;
  readonly dma: Dma;
  readonly version: 1 | 2;
  readonly device: VirtioDevice | undefined;
  private readonly irq: IrqOutput;
  private readonly vendor: number;
  private readonly log: (message: string) => void;
  private readonly offered: FeatureWords;
  private readonly config: ConfigSpace;
  private readonly queues: QueueRegisters[];
  private accepted: FeatureWords = [0, 0];
  private deviceSel = 0;
  private driverSel = 0;
  private queueSel = 0;
  private pageSize = 0;
  private isr = 0;
  private status = 0;
  private generation = 0;

  constructor(options: VirtioMmioOptions) {
    const { device } = options;
    this.device = device;
    this.name = options.name ?? (device === undefined ? "virtio-mmio" : `virtio-mmio (${device.name})`);
    this.version = options.version ?? 2;
    this.vendor = options.vendor ?? VENDOR_QEMU;
    this.dma = boundedDma(options.dma);
    this.irq = new IrqOutput(options.irq);
    this.log = options.log ?? (() => {});
    this.offered = offeredFeatures(options);
    this.config = new ConfigSpace(device?.config ?? []);
    this.queues = (device?.queueSizes ?? []).map((max) => {
      if (!validQueueSize(max))
        throw new EmuError("virtio-queue-size", `${this.name}: a queue of ${max} is not a power of two up to 32768`);
      return new QueueRegisters(max);
    });
    device?.attach(this);
  }

  // --- what the device and the rings see ---

  get failed(): boolean {
    return (this.status & Status.NEEDS_RESET) !== 0;
  }

  /** The device may use its queues. Legacy drivers may use them before DRIVER_OK (3.1.2). */
  private get running(): boolean {
    const ready = this.version === 2 ? Status.DRIVER_OK : Status.DRIVER;
    return (this.status & (ready | Status.NEEDS_RESET | Status.FAILED)) === ready;
  }

  queue(index: number): Virtqueue | undefined {
    return this.running ? this.queues[index]?.ring : undefined;
  }

  negotiated(bit: number): boolean {
    if (this.version === 2 && (this.status & Status.FEATURES_OK) === 0) return false;
    const word = bit < 32 ? 0 : 1;
    return ((this.accepted[word] & this.offered[word]) >>> (bit & 31)) % 2 === 1;
  }

  flush(index: number): void {
    if (this.queue(index)?.flush() === true) this.raise(Isr.USED_BUFFER);
  }

  configChanged(): void {
    this.generation = (this.generation + 1) >>> 0;
    if ((this.status & Status.DRIVER_OK) !== 0) this.raise(Isr.CONFIG_CHANGE);
  }

  fail(reason: string): void {
    if (this.failed) return;
    this.log(`${this.name}: ${reason}; the device needs reset`);
    const told = (this.status & Status.DRIVER_OK) !== 0;
    this.status |= Status.NEEDS_RESET;
    if (told) this.raise(Isr.CONFIG_CHANGE);
  }

  private raise(bits: number): void {
    this.isr |= bits;
    this.irq.set(true);
  }

  private ringFeatures(): RingFeatures {
    return {
      packed: this.negotiated(Feature.RING_PACKED),
      indirect: this.negotiated(Feature.INDIRECT_DESC),
      eventIdx: this.negotiated(Feature.EVENT_IDX),
    };
  }

  /** The driver (or the board) resets the device: everything but the generation returns to its first value. */
  reset(): void {
    this.accepted = [0, 0];
    this.deviceSel = this.driverSel = this.queueSel = this.pageSize = 0;
    this.isr = this.status = 0;
    for (const q of this.queues) q.reset();
    this.irq.set(false);
    this.device?.reset();
  }

  // --- registers ---

  read(offset: number, size: 1 | 2 | 4): number {
    if (offset >= MmioReg.Config) return this.device === undefined ? 0 : this.config.read(offset - MmioReg.Config, size);
    // The registers are 32 bits wide and take 32-bit accesses only (4.2.2.2).
    if (size !== 4) return 0;
    switch (offset) {
      case MmioReg.MagicValue:
        return MAGIC;
      case MmioReg.Version:
        return this.version;
      case MmioReg.DeviceID:
        return this.device?.id ?? DeviceId.NONE;
      case MmioReg.VendorID:
        return this.vendor;
      default:
        return this.device === undefined ? 0 : this.readRegister(offset);
    }
  }

  private readRegister(offset: number): number {
    switch (offset) {
      case MmioReg.InterruptStatus:
        return this.isr;
      case MmioReg.Status:
        return this.status;
      case MmioReg.DeviceFeatures:
        return this.offered[this.deviceSel] ?? 0;
      case MmioReg.QueueNumMax:
        return this.queues[this.queueSel]?.max ?? 0;
      default:
        return this.version === 2 ? this.readModern(offset) : this.readLegacy(offset);
    }
  }

  private readModern(offset: number): number {
    if (offset === MmioReg.QueueReady) return this.queues[this.queueSel]?.ring === undefined ? 0 : 1;
    if (offset === MmioReg.ConfigGeneration) return this.generation;
    // No shared memory regions: length and base are all ones (4.2.2).
    if (offset >= MmioReg.SHMLenLow && offset <= MmioReg.SHMBaseHigh) return 0xffff_ffff;
    return 0; // QueueReset too: a reset is done when the write returns
  }

  private readLegacy(offset: number): number {
    return offset === MmioReg.QueuePFN ? (this.queues[this.queueSel]?.pfn ?? 0) : 0;
  }

  write(offset: number, size: 1 | 2 | 4, value: number): boolean {
    if (offset >= MmioReg.Config) this.config.write(offset - MmioReg.Config, size, value);
    else if (size === 4 && this.device !== undefined) this.writeRegister(offset, value >>> 0, this.device);
    return true;
  }

  private writeRegister(offset: number, value: number, device: VirtioDevice): void {
    switch (offset) {
      case MmioReg.QueueNotify:
        if (this.queue(value) !== undefined) device.notify(value);
        break;
      case MmioReg.InterruptACK:
        this.isr &= ~value;
        this.irq.set(this.isr !== 0);
        break;
      case MmioReg.Status:
        this.writeStatus(value & 0xff, device);
        break;
      case MmioReg.DeviceFeaturesSel:
        this.deviceSel = value;
        break;
      case MmioReg.DriverFeaturesSel:
        this.driverSel = value;
        break;
      case MmioReg.DriverFeatures:
        this.acceptFeatures(value);
        break;
      case MmioReg.QueueSel:
        this.queueSel = value;
        break;
      default:
        this.writeQueue(offset, value, this.queues[this.queueSel]);
    }
  }

  /** Features are fixed once FEATURES_OK is set; for a legacy driver, once it uses a queue or runs. */
  private acceptFeatures(value: number): void {
    if ((this.status & (Status.FEATURES_OK | Status.DRIVER_OK)) !== 0 || this.queues.some((q) => q.ring !== undefined)) return;
    if (this.driverSel < 2) this.accepted[this.driverSel as 0 | 1] = value;
  }

  private writeStatus(value: number, device: VirtioDevice): void {
    if (value === 0) {
      this.reset();
      return;
    }
    // Only a reset clears bits (2.1.1), and NEEDS_RESET is the device's own.
    let next = this.status | (value & ~Status.NEEDS_RESET);
    if (this.version === 2) {
      if ((next & ~this.status & Status.FEATURES_OK) !== 0 && !this.featuresAcceptable()) next &= ~Status.FEATURES_OK;
      if ((next & Status.FEATURES_OK) === 0) next &= ~Status.DRIVER_OK;
    }
    const starts = (next & ~this.status & Status.DRIVER_OK) !== 0;
    this.status = next;
    // Buffers that were made available, and notified too early, before DRIVER_OK.
    if (starts) for (let i = 0; i < this.queues.length; i++) if (this.queue(i) !== undefined) device.notify(i);
  }

  /** 2.2.2: nothing that was not offered; VERSION_1; and ACCESS_PLATFORM if offered, for other addresses would not be honoured. */
  private featuresAcceptable(): boolean {
    const [lo, hi] = this.accepted;
    const mandatory = this.offered[1] & ((1 << (Feature.VERSION_1 - 32)) | (1 << (Feature.ACCESS_PLATFORM - 32)));
    return (lo & ~this.offered[0]) === 0 && (hi & ~this.offered[1]) === 0 && (hi & mandatory) === mandatory;
  }

  private writeQueue(offset: number, value: number, q: QueueRegisters | undefined): void {
    if (this.version === 1 && offset === MmioReg.GuestPageSize) this.pageSize = value;
    if (q === undefined) return;
    if (this.version === 1) this.writeLegacyQueue(offset, value, q);
    else this.writeModernQueue(offset, value, q);
  }

  private writeModernQueue(offset: number, value: number, q: QueueRegisters): void {
    if (offset === MmioReg.QueueReady) {
      this.writeReady(value & 1, q);
    } else if (offset === MmioReg.QueueReset) {
      if ((value & 1) !== 0 && this.negotiated(Feature.RING_RESET)) q.reset();
    } else if (q.ring === undefined) {
      // 4.2.2.2: the other queue registers are not written while the queue is ready; such writes are ignored.
      const area = AREA_REGISTERS[offset];
      if (offset === MmioReg.QueueNum) q.num = value;
      else if (area !== undefined) q.areas[area] = value;
    }
  }

  private writeReady(ready: number, q: QueueRegisters): void {
    if (ready === 0) {
      q.ring = undefined;
      return;
    }
    if (q.ring !== undefined || this.failed) return;
    if ((this.status & Status.FEATURES_OK) === 0) {
      this.fail("a queue is made ready before the features are negotiated");
      return;
    }
    this.enableQueue(q);
  }

  private enableQueue(q: QueueRegisters): void {
    const f = this.ringFeatures();
    const problem = this.version === 2 ? q.enable(this, f) : q.enableLegacy(this, f, this.pageSize);
    if (problem !== undefined) this.fail(problem);
    q.ring?.start();
  }

  private writeLegacyQueue(offset: number, value: number, q: QueueRegisters): void {
    switch (offset) {
      case MmioReg.QueueNum:
        if (q.ring === undefined) q.num = value;
        break;
      case MmioReg.QueueAlign:
        if (q.ring === undefined) q.align = value;
        break;
      case MmioReg.QueuePFN:
        q.ring = undefined;
        q.pfn = value;
        if (value !== 0 && !this.failed) this.enableQueue(q);
        break;
      default: // read-only, or not a legacy register
    }
  }

  // --- state ---

  save(): Saved {
    const { version, accepted, deviceSel, driverSel, queueSel, pageSize, isr, status, generation } = this;
    const queues = this.queues.map((q) => q.save());
    const device = this.device?.save() ?? null;
    return { version, accepted: [...accepted], deviceSel, driverSel, queueSel, pageSize, isr, status, generation, queues, device };
  }

  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    if (s.uint("version") !== this.version) throw new EmuError("snapshot-corrupt", `snapshot of ${this.name}: other transport version`);
    const [lo, hi] = s.uints("accepted", 2, 0xffff_ffff);
    this.accepted = [lo ?? 0, hi ?? 0];
    this.deviceSel = s.uint("deviceSel");
    this.driverSel = s.uint("driverSel");
    this.queueSel = s.uint("queueSel");
    this.pageSize = s.uint("pageSize");
    this.isr = s.uint("isr", 3);
    this.status = s.uint("status", 0xff);
    this.generation = s.uint("generation");
    const queues = s.list("queues", this.queues.length);
    for (const [i, q] of this.queues.entries()) this.restoreQueue(q, queues[i] as Saved);
    this.device?.restore(s.part("device"));
    this.irq.force(this.isr !== 0);
  }

  private restoreQueue(q: QueueRegisters, state: Saved): void {
    const ring = q.restore(state);
    if (ring === null) return;
    const f = this.ringFeatures();
    const problem = this.version === 2 ? q.enable(this, f) : q.enableLegacy(this, f, this.pageSize);
    if (problem !== undefined) throw new EmuError("snapshot-corrupt", `snapshot of ${this.name}: ${problem}`);
    q.ring?.restore(ring);
  }
}
