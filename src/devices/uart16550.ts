// 16550A UART with byte-wide registers, as kvmtool's guests have it (compatible "ns16550a"). The line is infinitely fast: what is written
// leaves at once, so the transmitter is always empty.

import type { Saved, Stateful } from "../util/stateful.ts";
import type { ByteSink, IrqLine, MmioDevice } from "./device.ts";
import { IrqOutput } from "./irq-output.ts";
import { SavedFields } from "./saved.ts";

/** Register offsets. RBR and THR share 0; with LCR.DLAB 0 and 1 are the divisor. IIR and FCR share 2. */
export const Uart16550Reg = { DATA: 0, IER: 1, IIR: 2, FCR: 2, LCR: 3, MCR: 4, LSR: 5, MSR: 6, SCR: 7 } as const;
const Reg = Uart16550Reg;

const Ier = { RDI: 1, THRI: 2 } as const;
const Iir = { NONE: 1, THRI: 2, RDI: 4, TYPE: 0xc0 } as const;
const Fcr = { ENABLE: 1, CLEAR_RX: 2 } as const;
const Lcr = { DLAB: 0x80 } as const;
const Mcr = { DTR: 1, RTS: 2, OUT1: 4, OUT2: 8, LOOP: 0x10 } as const;
const Lsr = { DR: 1, BI: 0x10, THRE: 0x20, TEMT: 0x40 } as const;
const Msr = { CTS: 0x10, DSR: 0x20, RI: 0x40, DCD: 0x80 } as const;

/** So deep that Linux takes it for a U6_16550A. */
const FIFO_DEPTH = 64;

export interface Uart16550Options {
  irq: IrqLine;
  sink: ByteSink;
  /** Called when there is room again after `receive` took less than it was offered. */
  onRoom?: () => void;
  name?: string;
}

/** Characters that do not fit stay with the caller: nothing is overrun from outside. */
export class Uart16550 implements MmioDevice, Stateful {
  readonly name: string;
  readonly size = 8;
  private readonly irq: IrqOutput;
  private readonly sink: ByteSink;
  private readonly onRoom: (() => void) | undefined;
  private fifo: number[] = [];
  private fifoOn = false;
  private divisor = 0x0c; // 9600 baud of 1.8432 MHz
  private ier = 0;
  private lcr = 0;
  private mcr: number = Mcr.OUT2;
  private scratch = 0;
  private breakSeen = false;
  /** The transmitter ran empty and nobody has read that from IIR. */
  private emptied = false;
  private refused = false;

  constructor(options: Uart16550Options) {
    this.name = options.name ?? "uart16550";
    this.irq = new IrqOutput(options.irq);
    this.sink = options.sink;
    this.onRoom = options.onRoom;
  }

  /** Characters arrive on the line. Returns how many were accepted; the caller keeps the others and offers them again on `onRoom`. */
  receive(bytes: Uint8Array): number {
    const room = (this.mcr & Mcr.LOOP) !== 0 ? 0 : this.depth - this.fifo.length;
    const accepted = Math.min(bytes.length, room);
    for (let i = 0; i < accepted; i++) this.fifo.push(bytes[i] as number);
    this.refused = accepted < bytes.length;
    this.updateIrq();
    return accepted;
  }
  /** A break condition arrives on the line. */
  receiveBreak(): void {
    this.breakSeen = true;
    this.updateIrq();
  }

  private get depth(): number {
    return this.fifoOn ? FIFO_DEPTH : 1;
  }

  read(offset: number, size: 1 | 2 | 4): number {
    // One byte-wide register at each address: a wider access sees its own lanes.
    let value = 0;
    for (let i = 0; i < size; i++) value += this.readByte((offset + i) & 7) * 2 ** (8 * i);
    return value;
  }
  write(offset: number, size: 1 | 2 | 4, value: number): boolean {
    for (let i = 0; i < size; i++) this.writeByte((offset + i) & 7, Math.floor(value / 2 ** (8 * i)) & 0xff);
    return true;
  }

  private readByte(offset: number): number {
    switch (offset) {
      case Reg.DATA:
        return this.lcr & Lcr.DLAB ? this.divisor & 0xff : this.readData();
      case Reg.IER:
        return this.lcr & Lcr.DLAB ? this.divisor >> 8 : this.ier;
      case Reg.IIR:
        return this.readIir();
      case Reg.LCR:
        return this.lcr;
      case Reg.MCR:
        return this.mcr;
      case Reg.LSR:
        return Lsr.THRE | Lsr.TEMT | (this.fifo.length > 0 || this.breakSeen ? Lsr.DR : 0) | (this.breakSeen ? Lsr.BI : 0);
      case Reg.MSR:
        return this.modemStatus();
      default:
        return this.scratch;
    }
  }

  private writeByte(offset: number, value: number): void {
    switch (offset) {
      case Reg.DATA:
        if (this.lcr & Lcr.DLAB) this.divisor = (this.divisor & 0xff00) | value;
        else this.transmit(value);
        break;
      case Reg.IER:
        if (this.lcr & Lcr.DLAB) this.divisor = (this.divisor & 0xff) | (value << 8);
        else this.writeIer(value & 0x0f);
        break;
      case Reg.FCR:
        this.fifoOn = (value & Fcr.ENABLE) !== 0;
        if (value & Fcr.CLEAR_RX || !this.fifoOn) this.fifo = [];
        break;
      case Reg.LCR:
        this.lcr = value;
        break;
      case Reg.MCR:
        this.mcr = value & 0x1f;
        break;
      case Reg.SCR:
        this.scratch = value;
        break;
      default: // LSR, MSR: read-only
    }
    this.updateIrq();
    this.roomMade();
  }

  private writeIer(value: number): void {
    // Enabling the interrupt of an empty transmitter raises it at once.
    if (value & ~this.ier & Ier.THRI) this.emptied = true;
    this.ier = value;
  }
  private readData(): number {
    if (this.breakSeen) {
      this.breakSeen = false;
      this.updateIrq();
      return 0;
    }
    const value = this.fifo.shift() ?? 0;
    this.updateIrq();
    this.roomMade();
    return value;
  }
  private transmit(value: number): void {
    if ((this.mcr & Mcr.LOOP) === 0) this.sink.write(Uint8Array.of(value));
    else if (this.fifo.length < this.depth) this.fifo.push(value);
    this.emptied = true;
  }
  private roomMade(): void {
    if (!this.refused || this.fifo.length >= this.depth || this.mcr & Mcr.LOOP) return;
    this.refused = false;
    this.onRoom?.();
  }

  /** The modem inputs: a peer that is always there, or in loopback this UART's own outputs. */
  private modemStatus(): number {
    if ((this.mcr & Mcr.LOOP) === 0) return Msr.CTS | Msr.DSR | Msr.DCD;
    const pairs = [
      [Mcr.RTS, Msr.CTS],
      [Mcr.DTR, Msr.DSR],
      [Mcr.OUT1, Msr.RI],
      [Mcr.OUT2, Msr.DCD],
    ] as const;
    return pairs.reduce((bits, [out, into]) => bits | (this.mcr & out ? into : 0), 0);
  }

  /** The most urgent cause: received data, then an empty transmitter. */
  private get cause(): number {
    if (this.ier & Ier.RDI && (this.fifo.length > 0 || this.breakSeen)) return Iir.RDI;
    return this.ier & Ier.THRI && this.emptied ? Iir.THRI : Iir.NONE;
  }
  private readIir(): number {
    const { cause } = this;
    if (cause === Iir.THRI) {
      this.emptied = false;
      this.updateIrq();
    }
    return cause | (this.fifoOn ? Iir.TYPE : 0);
  }
  private updateIrq(): void {
    this.irq.set(this.cause !== Iir.NONE);
  }

  save(): Saved {
    const { fifo, fifoOn, divisor, ier, lcr, mcr, scratch, breakSeen, emptied, refused } = this;
    return { fifo: [...fifo], fifoOn, divisor, ier, lcr, mcr, scratch, breakSeen, emptied, refused };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    this.fifo = s.uints("fifo", FIFO_DEPTH, 0xff);
    this.fifoOn = s.bool("fifoOn");
    this.divisor = s.uint("divisor", 0xffff);
    this.ier = s.uint("ier", 0xf);
    this.lcr = s.uint("lcr", 0xff);
    this.mcr = s.uint("mcr", 0x1f);
    this.scratch = s.uint("scratch", 0xff);
    this.breakSeen = s.bool("breakSeen");
    this.emptied = s.bool("emptied");
    this.refused = s.bool("refused");
    this.irq.force(this.cause !== Iir.NONE);
  }
}
