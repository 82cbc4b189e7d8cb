// The PCI transport of virtio (4.1), without the interface from before virtio 1.0 and without MSI-X: interrupts are INTA.

import type { Saved, Stateful } from "../../util/stateful.ts";
import type { Dma, IrqLine } from "../device.ts";
import { PciFunction } from "../pci/function.ts";
import { SavedFields } from "../saved.ts";
import { type Cause, type FeatureOptions, VirtioCore } from "./core.ts";
import type { VirtioDevice } from "./device.ts";
import type { QueueRegisters } from "./queue-registers.ts";

/** Offsets in the common configuration structure (4.1.4.3). */
export const CommonCfg = {
  DEVICE_FEATURE_SELECT: 0x00,
  DEVICE_FEATURE: 0x04,
  DRIVER_FEATURE_SELECT: 0x08,
  DRIVER_FEATURE: 0x0c,
  CONFIG_MSIX_VECTOR: 0x10,
  NUM_QUEUES: 0x12,
  DEVICE_STATUS: 0x14,
  CONFIG_GENERATION: 0x15,
  QUEUE_SELECT: 0x16,
  QUEUE_SIZE: 0x18,
  QUEUE_MSIX_VECTOR: 0x1a,
  QUEUE_ENABLE: 0x1c,
  QUEUE_NOTIFY_OFF: 0x1e,
  QUEUE_DESC: 0x20,
  QUEUE_DEVICE_END: 0x38,
  QUEUE_NOTIF_DATA: 0x38,
  QUEUE_RESET: 0x3a,
} as const;

/** Structures in the memory BAR, where QEMU has them. */
export const VirtioPciLayout = {
  BAR: 4,
  SIZE: 0x4000,
  COMMON: 0x0000,
  ISR: 0x1000,
  DEVICE: 0x2000,
  NOTIFY: 0x3000,
  MULTIPLIER: 4,
} as const;
const STRUCTURE = 0x1000;

/** cfg_type of virtio_pci_cap (4.1.4). */
const CfgType = { COMMON: 1, NOTIFY: 2, ISR: 3, DEVICE: 4, PCI: 5 } as const;
const CAP_VENDOR = 0x09;
const PCI_CFG_AT = 0x84;

const VIRTIO_VENDOR = 0x1af4;
const MODERN_DEVICE = 0x1040;
const QEMU_SUBSYSTEM = 0x1100;
const MODERN_REVISION = 1;
const NO_VECTOR = 0xffff;

/** ISR status bits (4.1.4.5). */
const Isr = { QUEUE: 1, CONFIG: 2 } as const;

/** Class code by virtio device number. */
const CLASSES: Readonly<Record<number, number>> = { 1: 0x02_0000, 2: 0x01_0000, 3: 0x07_8000, 4: 0x00_ff00 };

export interface VirtioPciOptions extends FeatureOptions {
  device: VirtioDevice;
  dma: Dma;
  irq: IrqLine;
  log?: (message: string) => void;
  name?: string;
}

export class VirtioPci implements Stateful {
  readonly name: string;
  readonly function: PciFunction;
  private readonly core: VirtioCore;
  private deviceSel = 0;
  private driverSel = 0;
  private queueSel = 0;
  private isr = 0;

  constructor(o: VirtioPciOptions) {
    this.name = o.name ?? `virtio-pci (${o.device.name})`;
    const { dma } = o;
    const master: Dma = {
      read: (pa, length) => (this.function.master ? dma.read(pa, length) : undefined),
      write: (pa, data) => this.function.master && dma.write(pa, data),
    };
    this.core = new VirtioCore({ ...o, name: this.name, dma: master, version: 2, interrupt: (cause) => this.raise(cause) });
    this.function = this.makeFunction(o.device, o.irq);
  }

  private makeFunction(device: VirtioDevice, irq: IrqLine): PciFunction {
    const { BAR, SIZE, COMMON, ISR, DEVICE, NOTIFY, MULTIPLIER } = VirtioPciLayout;
    const f = new PciFunction({
      name: this.name,
      identity: {
        vendor: VIRTIO_VENDOR,
        device: MODERN_DEVICE + device.id,
        revision: MODERN_REVISION,
        classCode: CLASSES[device.id] ?? 0x00_ff00,
        subsystemVendor: VIRTIO_VENDOR,
        subsystem: QEMU_SUBSYSTEM,
      },
      irq,
      bars: [
        {
          index: BAR,
          kind: "memory64",
          prefetchable: true,
          size: SIZE,
          read: (offset, size) => this.read(offset, size),
          write: (offset, size, value) => this.write(offset, size, value),
        },
      ],
      capabilities: [
        { at: PCI_CFG_AT, bytes: structure(CfgType.PCI, 0, 0, 0, le(0)) },
        { at: 0x70, bytes: structure(CfgType.NOTIFY, BAR, NOTIFY, STRUCTURE, le(MULTIPLIER)) },
        { at: 0x60, bytes: structure(CfgType.DEVICE, BAR, DEVICE, STRUCTURE) },
        { at: 0x50, bytes: structure(CfgType.ISR, BAR, ISR, STRUCTURE) },
        { at: 0x40, bytes: structure(CfgType.COMMON, BAR, COMMON, STRUCTURE) },
      ],
    });
    // 4.1.4.9: bar, offset, length and data of this capability are a window onto the BARs for those who cannot map them.
    f.allowWrites(PCI_CFG_AT + 4, 1);
    f.allowWrites(PCI_CFG_AT + 8, 12);
    f.onConfigRead = (offset, size) => this.pciCfg(offset, size, false);
    f.onConfigWrite = (offset, size) => this.pciCfg(offset, size, true);
    return f;
  }

  private raise(cause: Cause): void {
    this.isr |= cause === "queue" ? Isr.QUEUE : Isr.CONFIG;
    this.function.setInterrupt(true);
  }

  reset(): void {
    this.deviceSel = this.driverSel = this.queueSel = this.isr = 0;
    this.function.setInterrupt(false);
    this.core.reset();
  }

  private get selected(): QueueRegisters | undefined {
    return this.core.queues[this.queueSel];
  }

  // ---- the memory BAR ------------------------------------------------------------------------------------------------

  private read(offset: number, size: 1 | 2 | 4): number {
    const { ISR, DEVICE, NOTIFY } = VirtioPciLayout;
    if (offset >= NOTIFY) return 0;
    if (offset >= DEVICE) return this.core.config.read(offset - DEVICE, size);
    if (offset >= ISR) return offset === ISR ? this.takeIsr() : 0;
    return this.readCommon(offset, size);
  }

  /** Reading the ISR status acknowledges the interrupt. */
  private takeIsr(): number {
    const { isr } = this;
    this.isr = 0;
    this.function.setInterrupt(false);
    return isr;
  }

  private readCommon(offset: number, size: 1 | 2 | 4): number {
    const word = this.commonWord(offset & ~3);
    if (size === 4) return word;
    return (word >>> (8 * (offset & 3))) & (size === 2 ? 0xffff : 0xff);
  }
  private commonWord(offset: number): number {
    const { core, selected: q } = this;
    switch (offset) {
      case CommonCfg.DEVICE_FEATURE_SELECT:
        return this.deviceSel;
      case CommonCfg.DEVICE_FEATURE:
        return core.offered[this.deviceSel] ?? 0;
      case CommonCfg.DRIVER_FEATURE_SELECT:
        return this.driverSel;
      case CommonCfg.DRIVER_FEATURE:
        return core.acceptedWord(this.driverSel);
      case CommonCfg.CONFIG_MSIX_VECTOR:
        return (NO_VECTOR | (core.queues.length << 16)) >>> 0;
      case CommonCfg.DEVICE_STATUS:
        return (core.status | ((core.generation & 0xff) << 8) | (this.queueSel << 16)) >>> 0;
      case CommonCfg.QUEUE_SIZE:
        return ((q?.num ?? 0) | (NO_VECTOR << 16)) >>> 0;
      case CommonCfg.QUEUE_ENABLE:
        return ((q?.ring === undefined ? 0 : 1) | ((q ? this.queueSel : 0) << 16)) >>> 0;
      default:
        if (offset >= CommonCfg.QUEUE_DESC && offset < CommonCfg.QUEUE_DEVICE_END)
          return q?.areas[(offset - CommonCfg.QUEUE_DESC) / 4] ?? 0;
        return offset === CommonCfg.QUEUE_NOTIF_DATA && q ? this.queueSel & 0xffff : 0; // queue_reset reads 0: it is done at once
    }
  }

  private write(offset: number, size: 1 | 2 | 4, value: number): void {
    const { ISR, DEVICE, NOTIFY, MULTIPLIER } = VirtioPciLayout;
    if (offset >= NOTIFY) this.core.notify(Math.floor((offset - NOTIFY) / MULTIPLIER));
    else if (offset >= DEVICE) this.core.config.write(offset - DEVICE, size, value);
    else if (offset < ISR) this.writeCommon(offset, size, value >>> 0);
  }

  /** Fields are written with accesses of their own size (4.1.3.1); 64-bit ones in halves. */
  private writeCommon(offset: number, size: 1 | 2 | 4, value: number): void {
    const { core, selected: q } = this;
    switch (offset) {
      case CommonCfg.DEVICE_FEATURE_SELECT:
        this.deviceSel = value;
        break;
      case CommonCfg.DRIVER_FEATURE_SELECT:
        this.driverSel = value;
        break;
      case CommonCfg.DRIVER_FEATURE:
        if (size === 4) core.acceptFeatures(this.driverSel, value);
        break;
      case CommonCfg.DEVICE_STATUS:
        if ((value & 0xff) === 0) this.reset();
        else core.writeStatus(value & 0xff);
        break;
      case CommonCfg.QUEUE_SELECT:
        this.queueSel = value & 0xffff;
        break;
      default:
        if (q) this.writeQueue(offset, size, value, q);
    }
  }

  private writeQueue(offset: number, size: 1 | 2 | 4, value: number, q: QueueRegisters): void {
    if (offset === CommonCfg.QUEUE_RESET) {
      if ((value & 1) !== 0) this.core.resetQueue(q);
    } else if (q.ring === undefined) {
      // A queue that is enabled is not changed, and not disabled but by a reset.
      if (offset === CommonCfg.QUEUE_SIZE) q.num = value & 0xffff;
      else if (offset === CommonCfg.QUEUE_ENABLE && (value & 0xffff) === 1) this.core.enableQueue(q);
      else if (size === 4 && offset >= CommonCfg.QUEUE_DESC && offset < CommonCfg.QUEUE_DEVICE_END)
        q.areas[(offset - CommonCfg.QUEUE_DESC) / 4] = value;
    }
  }

  // ---- the configuration access capability ---------------------------------------------------------------------------

  private pciCfg(offset: number, size: number, write: boolean): void {
    const data = PCI_CFG_AT + 16;
    if (offset >= data + 4 || offset + size <= data) return;
    const f = this.function;
    const bar = f.bar(f.config32(PCI_CFG_AT + 4) & 0xff);
    const at = f.config32(PCI_CFG_AT + 8);
    const length = f.config32(PCI_CFG_AT + 12);
    if (bar === undefined || (length !== 1 && length !== 2 && length !== 4) || at % length !== 0 || at + length > bar.size) return;
    if (write) bar.write(at, length, f.config32(data));
    else f.setConfig32(data, bar.read(at, length));
  }

  // ---- state ---------------------------------------------------------------------------------------------------------

  save(): Saved {
    const { deviceSel, driverSel, queueSel, isr } = this;
    return { deviceSel, driverSel, queueSel, isr, ...this.core.save() };
  }
  /** The function's configuration space is the bridge's to restore, before this. */
  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    this.deviceSel = s.uint("deviceSel");
    this.driverSel = s.uint("driverSel");
    this.queueSel = s.uint("queueSel", 0xffff);
    this.isr = s.uint("isr", 3);
    this.core.restore(s);
    this.function.setInterrupt(this.isr !== 0);
  }
}

const le = (v: number): number[] => [v & 0xff, (v >>> 8) & 0xff, (v >>> 16) & 0xff, v >>> 24];

/** A virtio_pci_cap without its next pointer. */
const structure = (type: number, bar: number, offset: number, length: number, more: readonly number[] = []): number[] => [
  CAP_VENDOR,
  16 + more.length,
  type,
  bar,
  0,
  0,
  0,
  ...le(offset),
  ...le(length),
  ...more,
];
