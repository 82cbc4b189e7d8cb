// A bank of parallel NOR flash with Intel's command set (CFI primary vendor command set 1), as QEMU's virt machine has two of: a pair of
// 16-bit chips side by side on a 32-bit bus. Software knows it as P30.
//
// While a bank is in read array mode the PEs read and execute its contents like memory, and only writes come here. The first write
// leaves that mode; until 0xFF reads answer status, identification or the CFI table instead.

import { EmuError } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import type { MmioDevice } from "./device.ts";
import { SavedFields } from "./saved.ts";

/** First cycles of commands; the second cycle of those that have one. */
export const FlashCommand = {
  READ_ARRAY: 0xff,
  /** Taken for READ_ARRAY: what probing for other command sets writes. */
  RESET: 0xf0,
  NOP: 0x00,
  PROGRAM: 0x40,
  PROGRAM_ALTERNATE: 0x10,
  ERASE_BLOCK: 0x20,
  CLEAR_STATUS: 0x50,
  LOCK_SETUP: 0x60,
  READ_STATUS: 0x70,
  READ_ID: 0x90,
  CFI_QUERY: 0x98,
  CONFIRM: 0xd0,
  BUFFERED_PROGRAM: 0xe8,
} as const;

/** Status register bits. An operation is over when its last write returns, so READY is always set. */
export const FlashStatus = { READY: 0x80, ERASE_ERROR: 0x20, PROGRAM_ERROR: 0x10 } as const;

/** Bytes of an erase block (both chips), and of the two write buffers together. */
export const FLASH_BLOCK = 0x4_0000;
export const FLASH_BUFFER = 0x1000;

const MANUFACTURER = 0x89; // Intel
const DEVICE = 0x18;

/** What the command in progress waits for. */
const Phase = { Command: 0, Second: 1, BufferData: 2, BufferConfirm: 3 } as const;

/** What the flash keeps its contents in. Ranges lie inside. */
export interface FlashArray {
  read(offset: number, length: number): Uint8Array;
  write(offset: number, data: Uint8Array): void;
  /** True: reads of the window are reads of the contents; false: they come to the device. */
  direct(on: boolean): void;
}

export interface CfiFlashOptions {
  /** Bytes, a multiple of FLASH_BLOCK. */
  size: number;
  array: FlashArray;
  /** Programming and erasing fail. */
  readOnly?: boolean;
  /** Keeps what was programmed or erased, beyond the machine's life. False: that failed, and the operation with it. */
  persist?: (offset: number, data: Uint8Array) => boolean;
  name?: string;
}

export class CfiFlash implements MmioDevice, Stateful {
  readonly name: string;
  readonly size: number;
  private readonly array: FlashArray;
  private readonly readOnly: boolean;
  private readonly persist: (offset: number, data: Uint8Array) => boolean;
  private readonly table: Uint8Array;
  /** The command being carried out or whose result is read; READ_ARRAY: none. */
  private command: number = FlashCommand.READ_ARRAY;
  private phase: number = Phase.Command;
  private status: number = FlashStatus.READY;
  /** Buffered programming: data cycles to come, and the buffer with the place that it is for (-1: not known yet). */
  private left = 0;
  private bufferAt = -1;
  private readonly buffer = new Uint8Array(FLASH_BUFFER);

  constructor(o: CfiFlashOptions) {
    if (o.size === 0 || o.size % FLASH_BLOCK !== 0) throw new EmuError("flash-size", `a flash of ${o.size} bytes has no whole blocks`);
    this.name = o.name ?? "cfi-flash";
    this.size = o.size;
    this.array = o.array;
    this.readOnly = o.readOnly ?? false;
    this.persist = o.persist ?? (() => true);
    this.table = cfiTable(o.size);
  }

  read(offset: number, size: 1 | 2 | 4): number {
    switch (this.command) {
      case FlashCommand.READ_ARRAY:
        return littleEndian(this.array.read(offset, size));
      case FlashCommand.READ_ID:
        return bothChips(identification(offset >> 2), size);
      case FlashCommand.CFI_QUERY:
        return bothChips(this.table[offset >> 2] ?? 0, size);
      default:
        return bothChips(this.status, size);
    }
  }

  write(offset: number, size: 1 | 2 | 4, value: number): boolean {
    switch (this.phase) {
      case Phase.Command:
        this.start(offset, value & 0xff);
        break;
      case Phase.Second:
        this.second(offset, size, value);
        break;
      case Phase.BufferData:
        this.fillBuffer(offset, size, value);
        break;
      default:
        this.confirmBuffer(value & 0xff);
    }
    return true;
  }

  // ---- commands ----------------------------------------------------------------------------------------------------

  private start(offset: number, command: number): void {
    switch (command) {
      case FlashCommand.READ_STATUS:
      case FlashCommand.READ_ID:
      case FlashCommand.CFI_QUERY:
        this.enter(command, Phase.Command);
        break;
      case FlashCommand.PROGRAM:
      case FlashCommand.PROGRAM_ALTERNATE:
      case FlashCommand.LOCK_SETUP:
        this.enter(command, Phase.Second);
        break;
      case FlashCommand.BUFFERED_PROGRAM:
        this.bufferAt = -1;
        this.enter(command, Phase.Second);
        break;
      case FlashCommand.ERASE_BLOCK:
        // As QEMU, which erases at the first cycle; no software does anything but confirm.
        this.erase(Math.floor(offset / FLASH_BLOCK) * FLASH_BLOCK);
        this.enter(command, Phase.Second);
        break;
      case FlashCommand.CLEAR_STATUS:
        this.status = FlashStatus.READY;
        this.readArray();
        break;
      default:
        this.readArray();
    }
  }

  private enter(command: number, phase: number): void {
    if (this.command === FlashCommand.READ_ARRAY) this.array.direct(false);
    this.command = command;
    this.phase = phase;
  }

  private readArray(): void {
    this.command = FlashCommand.READ_ARRAY;
    this.phase = Phase.Command;
    this.array.direct(true);
  }

  private second(offset: number, size: 1 | 2 | 4, value: number): void {
    switch (this.command) {
      case FlashCommand.PROGRAM:
      case FlashCommand.PROGRAM_ALTERNATE:
        this.program(offset, bytesOf(value, size));
        this.phase = Phase.Command;
        break;
      case FlashCommand.BUFFERED_PROGRAM:
        this.left = (value & 0xffff) + 1;
        this.buffer.fill(0xff);
        this.phase = Phase.BufferData;
        break;
      default: // erase, lock, unlock: confirmed, or given up. Locks are not modelled.
        if (isConfirm(value & 0xff)) this.phase = Phase.Command;
        else this.readArray();
    }
  }

  private fillBuffer(offset: number, size: 1 | 2 | 4, value: number): void {
    if (this.bufferAt < 0) this.openBuffer(Math.floor(offset / FLASH_BUFFER) * FLASH_BUFFER);
    const at = offset - this.bufferAt;
    if (at < 0 || at + size > FLASH_BUFFER) this.status |= FlashStatus.PROGRAM_ERROR;
    else this.buffer.set(bytesOf(value, size), at);
    if (--this.left === 0) this.phase = Phase.BufferConfirm;
  }
  /** What is not written keeps its value. */
  private openBuffer(at: number): void {
    this.bufferAt = at;
    this.buffer.set(this.array.read(at, FLASH_BUFFER));
  }

  private confirmBuffer(command: number): void {
    if (command !== FlashCommand.CONFIRM || (this.status & FlashStatus.PROGRAM_ERROR) !== 0) {
      this.readArray();
      return;
    }
    this.program(this.bufferAt, this.buffer);
    this.phase = Phase.Command;
  }

  // ---- contents ----------------------------------------------------------------------------------------------------

  /** Programming sets the bytes, as on QEMU; a real chip can only clear bits of them. */
  private program(offset: number, data: Uint8Array): void {
    if (!this.change(offset, data)) this.status |= FlashStatus.PROGRAM_ERROR;
  }
  private erase(offset: number): void {
    if (!this.change(offset, new Uint8Array(FLASH_BLOCK).fill(0xff))) this.status |= FlashStatus.ERASE_ERROR;
  }
  private change(offset: number, data: Uint8Array): boolean {
    if (this.readOnly || !this.persist(offset, data)) return false;
    this.array.write(offset, data);
    return true;
  }

  /** Back to read array mode; the contents stay. */
  reset(): void {
    this.status = FlashStatus.READY;
    this.readArray();
  }

  save(): Saved {
    const { command, phase, status, left, bufferAt } = this;
    return { command, phase, status, left, bufferAt, buffer: this.buffer.slice() };
  }
  /** The contents are the array's to restore. */
  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    this.command = s.uint("command", 0xff);
    this.phase = s.uint("phase", Phase.BufferConfirm);
    this.status = s.uint("status", 0xff);
    this.left = s.uint("left", 0x1_0000);
    const at = s.number("bufferAt");
    if (at !== -1 && (!Number.isInteger(at) || at < 0 || at >= this.size || at % FLASH_BUFFER !== 0))
      throw new EmuError("snapshot-corrupt", `snapshot of ${this.name}: bufferAt is not the place of a buffer`);
    this.bufferAt = at;
    if (this.phase === Phase.BufferConfirm && at < 0)
      throw new EmuError("snapshot-corrupt", `snapshot of ${this.name}: a buffer without a place`);
    this.buffer.set(s.bytes("buffer", FLASH_BUFFER));
    this.array.direct(this.command === FlashCommand.READ_ARRAY);
  }
}

const CONFIRMS: readonly number[] = [FlashCommand.CONFIRM, 0x01, 0x2f, 0x03]; // 01 locks, 2F locks down, 03 writes the configuration register
const isConfirm = (value: number): boolean => CONFIRMS.includes(value);

/** The same byte from each chip, in the halfword that the chip drives. */
const bothChips = (byte: number, size: 1 | 2 | 4): number => (size === 4 ? byte * 0x1_0001 : byte);

const identification = (word: number): number => {
  const index = word & 0xff;
  return index === 0 ? MANUFACTURER : index === 1 ? DEVICE : 0;
};

const bytesOf = (value: number, size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => (value >>> (8 * i)) & 0xff);
const littleEndian = (bytes: Uint8Array): number => bytes.reduceRight((v, b) => v * 256 + b, 0);

/** The CFI query structure of one chip, a byte for each word of the bank (JESD68.01, and Intel's extended table at 0x31). */
function cfiTable(size: number): Uint8Array {
  const t = new Uint8Array(0x52);
  const text = (at: number, s: string): void => t.set(ascii(s), at);
  const chip = size / 2;
  const blocks = size / FLASH_BLOCK;
  const blockBytes = FLASH_BLOCK / 2;
  text(0x10, "QRY");
  t[0x13] = 0x01; // Intel/Sharp extended command set
  t[0x15] = 0x31; // where its table is
  t[0x1b] = 0x45; // 4.5 V to 5.5 V
  t[0x1c] = 0x55;
  t[0x1f] = 0x07; // typical times: 2^7 us a word, 2^7 us a buffer, 2^10 ms a block; at most 2^4 times as long
  t[0x20] = 0x07;
  t[0x21] = 0x0a;
  t[0x23] = 0x04;
  t[0x24] = 0x04;
  t[0x25] = 0x04;
  t[0x27] = Math.log2(chip);
  t[0x28] = 0x02; // x8 and x16
  t[0x2a] = Math.log2(FLASH_BUFFER / 2);
  t[0x2c] = 0x01; // one region of equal blocks
  t[0x2d] = (blocks - 1) & 0xff;
  t[0x2e] = (blocks - 1) >> 8;
  t[0x2f] = (blockBytes / 256) & 0xff;
  t[0x30] = (blockBytes / 256) >> 8;
  text(0x31, "PRI10");
  t[0x3f] = 0x01; // protection fields
  return t;
}
const ascii = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));
