// The memory-mapped virtio transport (4.2): version 2, and version 1 ("legacy") as QEMU's virt machine has it by default.

import { EmuError } from "../../util/errors.ts";
import type { Saved, Stateful } from "../../util/stateful.ts";
import type { Dma, IrqLine, MmioDevice } from "../device.ts";
import { IrqOutput } from "../irq-output.ts";
import { SavedFields } from "../saved.ts";
import { DeviceId } from "./constants.ts";
import { type Cause, type FeatureOptions, VirtioCore } from "./core.ts";
import type { VirtioDevice } from "./device.ts";
import type { QueueRegisters } from "./queue-registers.ts";

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

export interface VirtioMmioOptions extends FeatureOptions {
  irq: IrqLine;
  dma: Dma;
  /** Absent: an empty slot (DeviceID 0), which drivers pass over. */
  device?: VirtioDevice;
  /** 2 (the default) or 1, legacy. */
  version?: 1 | 2;
  vendor?: number;
  /** Told, once between two resets, what the driver did wrong. */
  log?: (message: string) => void;
  name?: string;
}

export class VirtioMmio implements MmioDevice, Stateful {
  readonly name: string;
  readonly size = WINDOW;
  readonly version: 1 | 2;
  readonly device: VirtioDevice | undefined;
  private readonly irq: IrqOutput;
  private readonly vendor: number;
  private readonly core: VirtioCore;
  private deviceSel = 0;
  private driverSel = 0;
  private queueSel = 0;
  private pageSize = 0;
  private isr = 0;

  constructor(options: VirtioMmioOptions) {
    const { device, version = 2 } = options;
    this.device = device;
    this.name = options.name ?? (device === undefined ? "virtio-mmio" : `virtio-mmio (${device.name})`);
    this.version = version;
    this.vendor = options.vendor ?? VENDOR_QEMU;
    this.irq = new IrqOutput(options.irq);
    this.core = new VirtioCore({ ...options, name: this.name, device, version, interrupt: (cause) => this.raise(cause) });
  }

  private raise(cause: Cause): void {
    this.isr |= cause === "queue" ? Isr.USED_BUFFER : Isr.CONFIG_CHANGE;
    this.irq.set(true);
  }

  /** The driver (or the board) resets the device. */
  reset(): void {
    this.deviceSel = this.driverSel = this.queueSel = this.pageSize = 0;
    this.isr = 0;
    this.irq.set(false);
    this.core.reset();
  }

  private get selected(): QueueRegisters | undefined {
    return this.core.queues[this.queueSel];
  }

  // --- registers ---

  read(offset: number, size: 1 | 2 | 4): number {
    if (offset >= MmioReg.Config) return this.device === undefined ? 0 : this.core.config.read(offset - MmioReg.Config, size);
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
        return this.core.status;
      case MmioReg.DeviceFeatures:
        return this.core.offered[this.deviceSel] ?? 0;
      case MmioReg.QueueNumMax:
        return this.selected?.max ?? 0;
      default:
        return this.version === 2 ? this.readModern(offset) : this.readLegacy(offset);
    }
  }

  private readModern(offset: number): number {
    if (offset === MmioReg.QueueReady) return this.selected?.ring === undefined ? 0 : 1;
    if (offset === MmioReg.ConfigGeneration) return this.core.generation;
    // No shared memory regions: length and base are all ones (4.2.2).
    if (offset >= MmioReg.SHMLenLow && offset <= MmioReg.SHMBaseHigh) return 0xffff_ffff;
    return 0; // QueueReset too: a reset is done when the write returns
  }

  private readLegacy(offset: number): number {
    return offset === MmioReg.QueuePFN ? (this.selected?.pfn ?? 0) : 0;
  }

  write(offset: number, size: 1 | 2 | 4, value: number): boolean {
    if (offset >= MmioReg.Config) this.core.config.write(offset - MmioReg.Config, size, value);
    else if (size === 4 && this.device !== undefined) this.writeRegister(offset, value >>> 0);
    return true;
  }

  private writeRegister(offset: number, value: number): void {
    switch (offset) {
      case MmioReg.QueueNotify:
        this.core.notify(value);
        break;
      case MmioReg.InterruptACK:
        this.isr &= ~value;
        this.irq.set(this.isr !== 0);
        break;
      case MmioReg.Status:
        if ((value & 0xff) === 0) this.reset();
        else this.core.writeStatus(value & 0xff);
        break;
      case MmioReg.DeviceFeaturesSel:
        this.deviceSel = value;
        break;
      case MmioReg.DriverFeaturesSel:
        this.driverSel = value;
        break;
      case MmioReg.DriverFeatures:
        this.core.acceptFeatures(this.driverSel, value);
        break;
      case MmioReg.QueueSel:
        this.queueSel = value;
        break;
      default:
        this.writeQueue(offset, value, this.selected);
    }
  }

  private writeQueue(offset: number, value: number, q: QueueRegisters | undefined): void {
    if (this.version === 1 && offset === MmioReg.GuestPageSize) this.pageSize = value;
    if (q === undefined) return;
    if (this.version === 1) this.writeLegacyQueue(offset, value, q);
    else this.writeModernQueue(offset, value, q);
  }

  private writeModernQueue(offset: number, value: number, q: QueueRegisters): void {
    if (offset === MmioReg.QueueReady) {
      if ((value & 1) === 0) q.ring = undefined;
      else this.core.enableQueue(q);
    } else if (offset === MmioReg.QueueReset) {
      if ((value & 1) !== 0) this.core.resetQueue(q);
    } else if (q.ring === undefined) {
      // 4.2.2.2: the other queue registers are not written while the queue is ready; such writes are ignored.
      const area = AREA_REGISTERS[offset];
      if (offset === MmioReg.QueueNum) q.num = value;
      else if (area !== undefined) q.areas[area] = value;
    }
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
        if (value !== 0) this.core.enableLegacyQueue(q, this.pageSize);
        break;
      default: // read-only, or not a legacy register
    }
  }

  // --- state ---

  save(): Saved {
    const { version, deviceSel, driverSel, queueSel, pageSize, isr } = this;
    return { version, deviceSel, driverSel, queueSel, pageSize, isr, ...this.core.save() };
  }

  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    if (s.uint("version") !== this.version) throw new EmuError("snapshot-corrupt", `snapshot of ${this.name}: other transport version`);
    this.deviceSel = s.uint("deviceSel");
    this.driverSel = s.uint("driverSel");
    this.queueSel = s.uint("queueSel");
    this.pageSize = s.uint("pageSize");
    this.isr = s.uint("isr", 3);
    this.core.restore(s, this.pageSize);
    this.irq.force(this.isr !== 0);
  }
}
