// A PCI function: its configuration space (PCI Local Bus 3.0, chapter 6; type 0 header) and what its base address registers lead to.

import { EmuError } from "../../util/errors.ts";
import type { Saved, Stateful } from "../../util/stateful.ts";
import type { IrqLine } from "../device.ts";
import { IrqOutput } from "../irq-output.ts";
import { SavedFields } from "../saved.ts";

/** Offsets in configuration space. */
export const PciReg = {
  VENDOR_ID: 0x00,
  DEVICE_ID: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  REVISION: 0x08,
  CLASS: 0x09,
  CACHE_LINE: 0x0c,
  HEADER_TYPE: 0x0e,
  BAR0: 0x10,
  SUBSYSTEM_VENDOR_ID: 0x2c,
  SUBSYSTEM_ID: 0x2e,
  CAPABILITIES: 0x34,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
} as const;

/** Command register bits. */
export const PciCommand = { IO: 1, MEMORY: 2, MASTER: 4, PARITY: 0x40, SERR: 0x100, INTX_DISABLE: 0x400 } as const;
const COMMAND_WRITABLE =
  PciCommand.IO | PciCommand.MEMORY | PciCommand.MASTER | PciCommand.PARITY | PciCommand.SERR | PciCommand.INTX_DISABLE;

/** Status register bits. */
const PciStatus = { INTERRUPT: 8, CAPABILITIES: 0x10 } as const;

/** Bytes of the configuration space of a function on PCI Express, and of the part that conventional PCI has. */
export const CONFIG_SIZE = 0x1000;
const HEADER_SPACE = 0x100;

/** What a base address register asks for. */
export interface Bar {
  /** 0..5; a 64-bit one takes the next number too. */
  index: number;
  kind: "io" | "memory32" | "memory64";
  prefetchable?: boolean;
  /** A power of two: at least 16, I/O at least 4. */
  size: number;
  read(offset: number, size: 1 | 2 | 4): number;
  write(offset: number, size: 1 | 2 | 4, value: number): void;
}

export interface PciIdentity {
  vendor: number;
  device: number;
  revision: number;
  /** Base class, subclass and programming interface: 24 bits. */
  classCode: number;
  subsystemVendor: number;
  subsystem: number;
}

export interface PciFunctionOptions {
  name: string;
  identity: PciIdentity;
  bars?: readonly Bar[];
  /** INTA, absent: none. */
  irq?: IrqLine;
  /** Capabilities by offset, the first one first: the bytes after the next pointer are given, the pointer is made. */
  capabilities?: readonly { at: number; bytes: readonly number[] }[];
}

/** The function; what it does is in its BARs. */
export class PciFunction implements Stateful {
  readonly name: string;
  private readonly bars: readonly Bar[];
  private readonly irq: IrqOutput | undefined;
  private readonly space = new Uint8Array(HEADER_SPACE);
  private readonly view = new DataView(this.space.buffer);
  /** Bits that software may write. */
  private readonly mask = new DataView(new ArrayBuffer(HEADER_SPACE));
  private level = false;
  /** Reads and writes of configuration space that are more than storage, told before a read and after a write. */
  onConfigRead: (offset: number, size: number) => void = () => {};
  onConfigWrite: (offset: number, size: number) => void = () => {};

  constructor(o: PciFunctionOptions) {
    this.name = o.name;
    this.bars = o.bars ?? [];
    this.irq = o.irq && new IrqOutput(o.irq);
    const { view, mask } = this;
    const { vendor, device, revision, classCode, subsystemVendor, subsystem } = o.identity;
    view.setUint16(PciReg.VENDOR_ID, vendor, true);
    view.setUint16(PciReg.DEVICE_ID, device, true);
    view.setUint32(PciReg.REVISION, (classCode << 8) | revision, true);
    view.setUint16(PciReg.SUBSYSTEM_VENDOR_ID, subsystemVendor, true);
    view.setUint16(PciReg.SUBSYSTEM_ID, subsystem, true);
    mask.setUint16(PciReg.COMMAND, COMMAND_WRITABLE, true);
    mask.setUint8(PciReg.CACHE_LINE, 0xff);
    mask.setUint8(PciReg.INTERRUPT_LINE, 0xff);
    if (o.irq) view.setUint8(PciReg.INTERRUPT_PIN, 1);
    for (const bar of this.bars) this.addBar(bar);
    this.addCapabilities(o.capabilities ?? []);
  }

  private addBar(bar: Bar): void {
    const at = PciReg.BAR0 + 4 * bar.index;
    const type = bar.kind === "io" ? 1 : (bar.kind === "memory64" ? 4 : 0) | (bar.prefetchable ? 8 : 0);
    this.view.setUint32(at, type, true);
    this.mask.setUint32(at, -bar.size >>> 0, true);
    if (bar.kind === "memory64") this.mask.setUint32(at + 4, 0xffff_ffff, true);
  }
  private addCapabilities(list: readonly { at: number; bytes: readonly number[] }[]): void {
    if (list.length === 0) return;
    this.view.setUint16(PciReg.STATUS, PciStatus.CAPABILITIES, true);
    this.view.setUint8(PciReg.CAPABILITIES, list[0]?.at ?? 0);
    for (const [i, c] of list.entries()) {
      const [id, ...rest] = c.bytes;
      this.space.set([id as number, list[i + 1]?.at ?? 0, ...rest], c.at);
    }
  }

  /** Makes bytes of configuration space writable, for capabilities. */
  allowWrites(at: number, length: number): void {
    for (let i = 0; i < length; i++) this.mask.setUint8(at + i, 0xff);
  }
  /** 32 bits of configuration space, past its write protection. */
  config32(at: number): number {
    return this.view.getUint32(at, true);
  }
  setConfig32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }
  get command(): number {
    return this.view.getUint16(PciReg.COMMAND, true);
  }
  /** The function may read and write memory by itself. */
  get master(): boolean {
    return (this.command & PciCommand.MASTER) !== 0;
  }

  // ---- configuration space -------------------------------------------------------------------------------------------

  readConfig(offset: number, size: 1 | 2 | 4): number {
    if (offset + size > HEADER_SPACE) return 0; // no extended capabilities
    this.onConfigRead(offset, size);
    if (size === 4) return this.view.getUint32(offset, true);
    return size === 2 ? this.view.getUint16(offset, true) : this.view.getUint8(offset);
  }

  writeConfig(offset: number, size: 1 | 2 | 4, value: number): void {
    if (offset + size > HEADER_SPACE) return;
    for (let i = 0; i < size; i++) {
      const m = this.mask.getUint8(offset + i);
      this.space[offset + i] = ((this.space[offset + i] as number) & ~m) | ((value >>> (8 * i)) & m);
    }
    this.updateIrq();
    this.onConfigWrite(offset, size);
  }

  // ---- base address registers ----------------------------------------------------------------------------------------

  /** The BAR that decodes `address` of a space now, and the offset in it. */
  barAt(space: "io" | "memory", address: number): { bar: Bar; offset: number } | undefined {
    const enabled = space === "io" ? PciCommand.IO : PciCommand.MEMORY;
    if ((this.command & enabled) === 0) return undefined;
    for (const bar of this.bars) {
      if ((bar.kind === "io") !== (space === "io")) continue;
      const base = this.baseOf(bar);
      if (address >= base && address < base + bar.size) return { bar, offset: address - base };
    }
    return undefined;
  }
  /** The BAR with this number. */
  bar(index: number): Bar | undefined {
    return this.bars.find((b) => b.index === index);
  }
  private baseOf(bar: Bar): number {
    const at = PciReg.BAR0 + 4 * bar.index;
    const low = (this.view.getUint32(at, true) & -bar.size) >>> 0;
    return bar.kind === "memory64" ? this.view.getUint32(at + 4, true) * 2 ** 32 + low : low;
  }

  // ---- interrupt -----------------------------------------------------------------------------------------------------

  /** Level of INTA as the function wants it. */
  setInterrupt(level: boolean): void {
    this.level = level;
    const status = this.view.getUint16(PciReg.STATUS, true) & ~PciStatus.INTERRUPT;
    this.view.setUint16(PciReg.STATUS, status | (level ? PciStatus.INTERRUPT : 0), true);
    this.updateIrq();
  }
  private updateIrq(): void {
    this.irq?.set(this.level && (this.command & PciCommand.INTX_DISABLE) === 0);
  }

  save(): Saved {
    return { space: this.space.slice(), level: this.level };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    const space = s.bytes("space", HEADER_SPACE);
    const identity = [PciReg.VENDOR_ID, PciReg.DEVICE_ID, PciReg.REVISION, PciReg.CLASS];
    if (identity.some((at) => space[at] !== this.space[at]))
      throw new EmuError("snapshot-corrupt", `snapshot of ${this.name}: it is of another function`);
    // What software cannot write is what this function is.
    for (const [i, byte] of space.entries()) {
      const m = this.mask.getUint8(i);
      this.space[i] = ((this.space[i] as number) & ~m) | (byte & m);
    }
    this.setInterrupt(s.bool("level"));
    this.irq?.force(this.level && (this.command & PciCommand.INTX_DISABLE) === 0);
  }
}
