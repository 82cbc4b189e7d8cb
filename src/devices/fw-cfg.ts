// QEMU's firmware configuration device (specs/fw_cfg): numbered items and named files that firmware reads, through a data register or
// by DMA. What is multi-byte in its registers and its DMA block is big-endian, whatever the guest is.

import { EmuError } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import type { Dma, MmioDevice } from "./device.ts";
import { SavedFields } from "./saved.ts";

/** Keys of items with a fixed number. */
export const FwCfgKey = {
  SIGNATURE: 0x00,
  ID: 0x01,
  NB_CPUS: 0x05,
  KERNEL_ADDR: 0x07,
  KERNEL_SIZE: 0x08,
  INITRD_ADDR: 0x0a,
  INITRD_SIZE: 0x0b,
  MAX_CPUS: 0x0f,
  KERNEL_DATA: 0x11,
  INITRD_DATA: 0x12,
  CMDLINE_ADDR: 0x13,
  CMDLINE_SIZE: 0x14,
  CMDLINE_DATA: 0x15,
  FILE_DIR: 0x19,
  FILE_FIRST: 0x20,
} as const;

/** Registers: offset and size. */
const Reg = { DATA: 0, DATA_END: 8, SELECTOR: 8, DMA_HIGH: 16, DMA_LOW: 20 } as const;
const WINDOW = 0x18;
/** ID: the traditional interface and DMA. */
const ID_FEATURES = 3;
const DMA_SIGNATURE = "QEMU CFG";

/** DMA control word. */
const Control = { ERROR: 1, READ: 2, SKIP: 4, SELECT: 8, WRITE: 16 } as const;
/** Bit 14 of a selector once asked for writing; it is ignored. */
const SELECTOR_MASK = 0xbfff;

const MAX_NAME = 55;
const MAX_FILES = 0x3fff - FwCfgKey.FILE_FIRST;
/** Unit in which DMA copies. */
const STEP = 0x1_0000;

export interface FwCfgFile {
  /** At most 55 characters. */
  name: string;
  data: Uint8Array;
}

/** What is read when the guest asks for it: firmware leaves most kernels alone, and they are large. */
export type FwCfgItem = Uint8Array | { readonly length: number; read(): Uint8Array };

export interface FwCfgOptions {
  dma: Dma;
  /** Items by key, besides signature, ID and directory. */
  items: ReadonlyMap<number, FwCfgItem>;
  files?: readonly FwCfgFile[];
}

export class FwCfg implements MmioDevice, Stateful {
  readonly name = "fw_cfg";
  readonly size = WINDOW;
  private readonly dma: Dma;
  private readonly items: Map<number, FwCfgItem>;
  private key = 0;
  private offset = 0;
  private dmaHigh = 0;

  constructor(o: FwCfgOptions) {
    this.dma = o.dma;
    const files = [...(o.files ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
    checkFiles(files);
    this.items = new Map<number, FwCfgItem>([
      [FwCfgKey.SIGNATURE, ascii("QEMU")],
      [FwCfgKey.ID, le32(ID_FEATURES)],
      ...o.items,
      [FwCfgKey.FILE_DIR, directory(files)],
      ...files.map((f, i): [number, Uint8Array] => [FwCfgKey.FILE_FIRST + i, f.data]),
    ]);
  }

  read(offset: number, size: 1 | 2 | 4): number {
    if (offset < Reg.DATA_END) return littleEndian(this.next(size));
    if (offset >= Reg.DMA_HIGH) return littleEndian(ascii(DMA_SIGNATURE).subarray(offset - Reg.DMA_HIGH, offset - Reg.DMA_HIGH + size));
    return 0; // the selector is write-only
  }

  write(offset: number, size: 1 | 2 | 4, value: number): boolean {
    if (offset === Reg.SELECTOR && size === 2) this.select(swap16(value));
    else if (offset === Reg.DMA_HIGH && size === 4) this.dmaHigh = swap32(value);
    else if (offset === Reg.DMA_LOW && size === 4) this.startDma(swap32(value));
    return true; // the data register is read-only
  }

  private select(key: number): void {
    this.key = key & SELECTOR_MASK;
    this.offset = 0;
  }

  private selected(): Uint8Array | undefined {
    const item = this.items.get(this.key);
    if (item === undefined || item instanceof Uint8Array) return item;
    const data = item.read();
    this.items.set(this.key, data);
    return data;
  }
  /** The next bytes of the selected item; zeros behind its end. */
  private next(length: number): Uint8Array {
    const out = new Uint8Array(length);
    const item = this.selected();
    if (item !== undefined) out.set(item.subarray(this.offset, this.offset + length));
    this.skip(length);
    return out;
  }
  private skip(length: number): void {
    const end = this.items.get(this.key)?.length ?? 0;
    this.offset = Math.min(end, this.offset + length);
  }

  // ---- DMA ---------------------------------------------------------------------------------------------------------

  /** Carries out the request whose block is at the address now complete. Synchronous: it is over when the register write returns. */
  private startDma(low: number): void {
    const block = this.dmaHigh * 0x1_0000_0000 + low;
    this.dmaHigh = 0;
    const head = block < 2 ** 52 ? this.dma.read(block, 16) : undefined;
    if (head === undefined) return; // nowhere to answer
    const view = new DataView(head.buffer, head.byteOffset, 16);
    const control = view.getUint32(0);
    const address = view.getUint32(8) * 0x1_0000_0000 + view.getUint32(12);
    if (control & Control.SELECT) this.select(control >>> 16);
    const done = this.transfer(control, view.getUint32(4), address);
    this.dma.write(block, be32(done ? 0 : Control.ERROR));
  }

  /** READ goes before SKIP, SKIP before WRITE; WRITE is refused: no item can be written. */
  private transfer(control: number, length: number, address: number): boolean {
    if (control & Control.READ) return this.copyOut(address, length);
    if (control & Control.SKIP) this.skip(length);
    else if (control & Control.WRITE) return false;
    return true;
  }
  private copyOut(address: number, length: number): boolean {
    if (address + length > 2 ** 52) return false;
    for (let done = 0; done < length; done += STEP) {
      if (!this.dma.write(address + done, this.next(Math.min(STEP, length - done)))) return false;
    }
    return true;
  }

  reset(): void {
    this.key = this.offset = this.dmaHigh = 0;
  }
  /** Items are part of the machine's configuration; their sizes tell whether it is the same. */
  save(): Saved {
    return { key: this.key, offset: this.offset, dmaHigh: this.dmaHigh, items: this.sizes() };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    if (s.part("items") !== this.sizes())
      throw new EmuError(
        "snapshot-mismatch",
        "the snapshot is of a machine with other firmware configuration items (kernel, initrd, append)",
      );
    this.key = s.uint("key", 0xffff);
    this.offset = s.uint("offset");
    this.dmaHigh = s.uint("dmaHigh");
  }
  private sizes(): string {
    return [...this.items].map(([key, data]) => `${key}:${data.length}`).join(" ");
  }
}

function checkFiles(files: readonly FwCfgFile[]): void {
  const bad = files.find(({ name }) => name.length === 0 || name.length > MAX_NAME || !/^[\x21-\x7e]+$/.test(name));
  if (bad)
    throw new EmuError("fw-cfg-name", `a firmware configuration file has 1 to ${MAX_NAME} printable characters in its name: "${bad.name}"`);
  const twice = files.find(({ name }, i) => files[i - 1]?.name === name);
  if (twice) throw new EmuError("fw-cfg-name", `there are two firmware configuration files "${twice.name}"`);
  if (files.length > MAX_FILES) throw new EmuError("fw-cfg-files", `at most ${MAX_FILES} firmware configuration files fit`);
}

/** Number of files, then for each: size, key, zero, name. Numbers are big-endian. */
function directory(files: readonly FwCfgFile[]): Uint8Array {
  const out = new Uint8Array(4 + 64 * files.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, files.length);
  for (const [i, f] of files.entries()) {
    view.setUint32(4 + 64 * i, f.data.length);
    view.setUint16(8 + 64 * i, FwCfgKey.FILE_FIRST + i);
    out.set(ascii(f.name), 12 + 64 * i);
  }
  return out;
}

/** A 32-bit item value. */
export function le32(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
}
const be32 = (value: number): Uint8Array => le32(value).reverse();
const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const littleEndian = (bytes: Uint8Array): number => bytes.reduceRight((v, b) => v * 256 + b, 0);
const swap16 = (v: number): number => ((v & 0xff) << 8) | ((v >>> 8) & 0xff);
const swap32 = (v: number): number => ((v << 24) | ((v & 0xff00) << 8) | ((v >>> 8) & 0xff00) | (v >>> 24)) >>> 0;
