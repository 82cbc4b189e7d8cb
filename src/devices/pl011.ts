// PL011 UART (Arm DDI 0183). The line is infinitely fast: what is written leaves at once, so the transmit FIFO is always empty.

import type { Saved, Stateful } from "../util/stateful.ts";
import type { ByteSink, IrqLine, MmioDevice } from "./device.ts";
import { IrqOutput } from "./irq-output.ts";
import { narrowRead, narrowWrite, PRIMECELL_SIZE, primecellId } from "./primecell.ts";
import { SavedFields } from "./saved.ts";

/** Register offsets (DDI 0183 table 3-1). */
export const Pl011 = {
  DR: 0x00,
  RSR: 0x04, // ECR when written
  FR: 0x18,
  ILPR: 0x20,
  IBRD: 0x24,
  FBRD: 0x28,
  LCR_H: 0x2c,
  CR: 0x30,
  IFLS: 0x34,
  IMSC: 0x38,
  RIS: 0x3c,
  MIS: 0x40,
  ICR: 0x44,
  DMACR: 0x48,
} as const;

/** Interrupt bits of IMSC, RIS, MIS and ICR. */
export const Pl011Int = { RI: 1, CTS: 2, DCD: 4, DSR: 8, RX: 0x10, TX: 0x20, RT: 0x40, FE: 0x80, PE: 0x100, BE: 0x200, OE: 0x400 } as const;
const ALL_INTERRUPTS = 0x7ff;

const Fr = { CTS: 1, DSR: 2, DCD: 4, RXFE: 0x10, RXFF: 0x40, TXFE: 0x80, RI: 0x100 } as const;
const Lcr = { BRK: 1, FEN: 0x10 } as const;
const Cr = { LBE: 0x80, RXE: 0x200, DTR: 0x400, RTS: 0x800, OUT1: 0x1000, OUT2: 0x2000 } as const;
/** Error bits that a character carries in DR[11:8] and that RSR[3:0] repeats. */
const Err = { BREAK: 0x400, OVERRUN: 0x800 } as const;

/** Writable bits of the registers that only store, by offset. */
const STORED = {
  [Pl011.ILPR]: 0xff,
  [Pl011.IBRD]: 0xffff,
  [Pl011.FBRD]: 0x3f,
  [Pl011.IFLS]: 0x3f,
  [Pl011.DMACR]: 0x7,
} as const;
type StoredOffset = keyof typeof STORED;
const isStored = (offset: number): offset is StoredOffset => offset in STORED;

const PERIPH_ID = 0x0014_1011; // PL011 r1p4: FIFOs of 16
const FIFO_DEPTH = 16;
/** Receive trigger levels by IFLS[5:3]: 1/8, 1/4, 1/2, 3/4, 7/8 of the FIFO; the other encodings are reserved (taken as 7/8). */
const RX_TRIGGER = [2, 4, 8, 12, 14, 14, 14, 14] as const;

export interface Pl011Options {
  irq: IrqLine;
  sink: ByteSink;
  /** Name in logs; the default is "pl011". */
  name?: string;
  /**
   * When RIS.RX rises. "first-byte" (the default): whenever a character arrives, as QEMU's virt machine does. "ifls": when the
   * FIFO reaches the level in IFLS; RIS.RT then rises at the end of each `receive`, since on this line silence follows at once.
   */
  trigger?: "first-byte" | "ifls";
  /** Called when there is room again after `receive` took less than it was offered. */
  onRoom?: () => void;
}

/** A PL011 with input back-pressure: characters that do not fit stay with the caller, so nothing is ever overrun from outside. */
export class Pl011Uart implements MmioDevice, Stateful {
  readonly name: string;
  readonly size = PRIMECELL_SIZE;
  private readonly irq: IrqOutput;
  private readonly sink: ByteSink;
  private readonly byLevel: boolean;
  private readonly onRoom: (() => void) | undefined;
  /** Received characters with their error bits (12 bits each), oldest first; at most `depth`. */
  private fifo: number[] = [];
  /** What an empty DR reads: the last character read. */
  private last = 0;
  private overrun = false;
  private rsr = 0;
  private lcrH = 0;
  private cr = 0x300;
  private imsc = 0;
  private ris = 0;
  private stored: Record<StoredOffset, number>;
  /** `receive` refused something, so onRoom is owed. */
  private refused = false;

  constructor(options: Pl011Options) {
    this.name = options.name ?? "pl011";
    this.irq = new IrqOutput(options.irq);
    this.sink = options.sink;
    this.byLevel = options.trigger === "ifls";
    this.onRoom = options.onRoom;
    this.stored = resetStored();
  }

  /** Back to the reset state, as at power-on. Input that was accepted and not read is lost. */
  reset(): void {
    this.fifo = [];
    this.last = this.rsr = this.lcrH = this.imsc = this.ris = 0;
    this.overrun = false;
    this.cr = 0x300;
    this.stored = resetStored();
    this.updateIrq();
    this.roomMade();
  }

  // --- the outside of the line ---

  /** How many characters `receive` would accept now. None in loopback or with the receiver off (CR.LBE, CR.RXE). */
  get room(): number {
    // UARTEN is not asked: reset leaves it 0, and QEMU lets software that never sets it transmit and receive.
    if ((this.cr & Cr.LBE) !== 0 || (this.cr & Cr.RXE) === 0) return 0;
    return this.depth - this.fifo.length;
  }

  /** Characters arrive on the line. Returns how many were accepted; the caller keeps the others and offers them again on `onRoom`. */
  receive(bytes: Uint8Array): number {
    const accepted = Math.min(bytes.length, this.room);
    for (let i = 0; i < accepted; i++) this.push(bytes[i] as number);
    this.refused = accepted < bytes.length;
    if (accepted > 0) this.silence();
    return accepted;
  }

  /** A break condition arrives on the line. False when there is no room for it. */
  receiveBreak(): boolean {
    if (this.room === 0) return false;
    this.push(Err.BREAK);
    this.silence();
    return true;
  }

  private get depth(): number {
    return (this.lcrH & Lcr.FEN) !== 0 ? FIFO_DEPTH : 1;
  }

  private get trigger(): number {
    if (!this.byLevel || (this.lcrH & Lcr.FEN) === 0) return 1;
    return RX_TRIGGER[(this.stored[Pl011.IFLS] >> 3) & 7] as number;
  }

  /** Puts a received character into the FIFO, or notes the overrun. Interrupt line not updated. */
  private push(char: number): void {
    if (this.fifo.length >= this.depth) {
      this.overrun = true;
      this.rsr |= Err.OVERRUN >> 8;
      this.ris |= Pl011Int.OE;
      return;
    }
    this.overrun = false;
    this.fifo.push(char);
    if ((char & Err.BREAK) !== 0) this.ris |= Pl011Int.BE;
    if (this.fifo.length >= this.trigger) this.ris |= Pl011Int.RX;
  }

  /** The sender paused: the receive timeout (32 bit periods without a character) is over, see `trigger`. */
  private silence(): void {
    if (this.byLevel && (this.lcrH & Lcr.FEN) !== 0 && this.fifo.length > 0) this.ris |= Pl011Int.RT;
    this.updateIrq();
  }

  private roomMade(): void {
    if (!this.refused || this.room === 0) return;
    this.refused = false;
    this.onRoom?.();
  }

  // --- registers ---

  read(offset: number, size: 1 | 2 | 4): number {
    return narrowRead(this.readWord(offset & ~3), offset, size);
  }

  write(offset: number, size: 1 | 2 | 4, value: number): boolean {
    this.writeWord(offset & ~3, narrowWrite(value, offset, size));
    return true;
  }

  private readWord(offset: number): number {
    switch (offset) {
      case Pl011.FR:
        return this.flags();
      case Pl011.DR:
        return this.readData();
      case Pl011.RSR:
        return this.rsr;
      case Pl011.LCR_H:
        return this.lcrH;
      case Pl011.CR:
        return this.cr;
      case Pl011.IMSC:
        return this.imsc;
      case Pl011.RIS:
        return this.ris;
      case Pl011.MIS:
        return this.ris & this.imsc;
      default:
        return isStored(offset) ? this.stored[offset] : (primecellId(PERIPH_ID, offset) ?? 0);
    }
  }

  private writeWord(offset: number, value: number): void {
    switch (offset) {
      case Pl011.DR:
        this.transmit(value & 0xff);
        break;
      case Pl011.RSR:
        this.rsr = 0;
        break;
      case Pl011.LCR_H:
        this.writeLineControl(value & 0xff);
        break;
      case Pl011.CR:
        this.writeControl(value & 0xff87);
        break;
      case Pl011.IMSC:
        this.imsc = value & ALL_INTERRUPTS;
        this.updateIrq();
        break;
      case Pl011.ICR:
        this.ris &= ~value;
        this.updateIrq();
        break;
      default:
        if (isStored(offset)) this.stored[offset] = value & STORED[offset];
    }
  }

  private flags(): number {
    let fr = Fr.TXFE | this.modemLines();
    if (this.fifo.length === 0) fr |= Fr.RXFE;
    if (this.fifo.length >= this.depth) fr |= Fr.RXFF;
    return fr;
  }

  /** The modem inputs: unconnected (0), or in loopback this UART's own outputs (DDI 0183 section 3.3.8, LBE). */
  private modemLines(): number {
    if ((this.cr & Cr.LBE) === 0) return 0;
    let lines = 0;
    if ((this.cr & Cr.RTS) !== 0) lines |= Fr.CTS;
    if ((this.cr & Cr.DTR) !== 0) lines |= Fr.DSR;
    if ((this.cr & Cr.OUT1) !== 0) lines |= Fr.DCD;
    if ((this.cr & Cr.OUT2) !== 0) lines |= Fr.RI;
    return lines;
  }

  private readData(): number {
    const char = this.fifo.shift();
    if (char === undefined) return this.last;
    this.last = char;
    // RSR repeats the errors of the character read last; an overrun stays until ECR is written.
    this.rsr = (this.rsr & (Err.OVERRUN >> 8)) | (char >> 8);
    if (this.fifo.length < this.trigger) this.ris &= ~Pl011Int.RX;
    if (this.fifo.length === 0) this.ris &= ~Pl011Int.RT;
    this.updateIrq();
    this.roomMade();
    return char | (this.overrun ? Err.OVERRUN : 0);
  }

  private transmit(byte: number): void {
    if ((this.cr & Cr.LBE) !== 0) {
      this.push(byte);
      this.silence();
    } else {
      this.sink.write(Uint8Array.of(byte));
    }
    // The FIFO drained to below any trigger at once.
    this.ris |= Pl011Int.TX;
    this.updateIrq();
  }

  private writeLineControl(value: number): void {
    const changed = this.lcrH ^ value;
    this.lcrH = value;
    if ((changed & Lcr.FEN) !== 0) {
      this.fifo = [];
      this.ris &= ~(Pl011Int.RX | Pl011Int.RT);
    }
    const breakStarts = (changed & value & Lcr.BRK) !== 0;
    if (breakStarts && (this.cr & Cr.LBE) !== 0) {
      this.push(Err.BREAK);
      this.silence();
    }
    this.updateIrq();
    this.roomMade();
  }

  private writeControl(value: number): void {
    const before = this.modemLines();
    this.cr = value;
    const changed = before ^ this.modemLines();
    if ((changed & Fr.CTS) !== 0) this.ris |= Pl011Int.CTS;
    if ((changed & Fr.DSR) !== 0) this.ris |= Pl011Int.DSR;
    if ((changed & Fr.DCD) !== 0) this.ris |= Pl011Int.DCD;
    if ((changed & Fr.RI) !== 0) this.ris |= Pl011Int.RI;
    this.updateIrq();
    this.roomMade();
  }

  private updateIrq(): void {
    this.irq.set((this.ris & this.imsc) !== 0);
  }

  // --- state ---

  save(): Saved {
    const { fifo, last, overrun, rsr, lcrH, cr, imsc, ris, refused } = this;
    const stored = Object.keys(STORED).map((k) => this.stored[Number(k) as StoredOffset]);
    return { fifo: [...fifo], last, overrun, rsr, lcrH, cr, imsc, ris, refused, stored };
  }

  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    const stored = s.uints("stored", Object.keys(STORED).length, 0xffff);
    this.fifo = s.uints("fifo", FIFO_DEPTH, 0xfff);
    this.last = s.uint("last", 0xfff);
    this.overrun = s.bool("overrun");
    this.rsr = s.uint("rsr", 0xf);
    this.lcrH = s.uint("lcrH", 0xff);
    this.cr = s.uint("cr", 0xffff);
    this.imsc = s.uint("imsc", ALL_INTERRUPTS);
    this.ris = s.uint("ris", ALL_INTERRUPTS);
    this.refused = s.bool("refused");
    for (const [i, k] of Object.keys(STORED).entries()) this.stored[Number(k) as StoredOffset] = stored[i] ?? 0;
    this.irq.force((this.ris & this.imsc) !== 0);
  }
}

const resetStored = (): Record<StoredOffset, number> => ({
  [Pl011.ILPR]: 0,
  [Pl011.IBRD]: 0,
  [Pl011.FBRD]: 0,
  [Pl011.IFLS]: 0x12,
  [Pl011.DMACR]: 0,
});
