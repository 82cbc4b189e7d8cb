// PL031 real-time clock (Arm DDI 0224): a counter of seconds with one match interrupt.

import type { Saved, Stateful } from "../util/stateful.ts";
import type { Clock, IrqLine, MmioDevice } from "./device.ts";
import { IrqOutput } from "./irq-output.ts";
import { narrowRead, narrowWrite, PRIMECELL_SIZE, primecellId } from "./primecell.ts";
import { SavedFields } from "./saved.ts";
import type { TimedDevice } from "./timed.ts";

/** Register offsets (DDI 0224 table 3-1). */
export const Pl031 = { DR: 0x00, MR: 0x04, LR: 0x08, CR: 0x0c, IMSC: 0x10, RIS: 0x14, MIS: 0x18, ICR: 0x1c } as const;

const PERIPH_ID = 0x0014_1031;
const SECOND = 1e9;

export interface Pl031Options {
  irq: IrqLine;
  clock: Clock;
  /** What the counter reads at clock time 0: seconds since 1970, 32 bits. */
  epoch: number;
  name?: string;
}

export class Pl031Rtc implements MmioDevice, TimedDevice, Stateful {
  readonly name: string;
  readonly size = PRIMECELL_SIZE;
  private readonly irq: IrqOutput;
  private readonly clock: Clock;
  /** The counter is the clock's seconds + offset, modulo 2^32. */
  private offset: number;
  private match = 0;
  private loaded = 0;
  private imsc = 0;
  private ris = 0;
  /** Clock time in ns at which the counter reaches the match value. */
  private matchAt = Infinity;

  constructor(options: Pl031Options) {
    this.name = options.name ?? "pl031";
    this.irq = new IrqOutput(options.irq);
    this.clock = options.clock;
    this.offset = options.epoch >>> 0;
  }

  /** Back to the reset state, except that the counter, which is battery-backed, goes on. */
  reset(): void {
    this.match = this.loaded = this.imsc = this.ris = 0;
    this.matchAt = Infinity;
    this.updateIrq();
  }

  deadline(): number {
    return this.matchAt;
  }

  update(): void {
    if (this.clock.now() < this.matchAt) return;
    this.matchAt = Infinity;
    this.ris = 1;
    this.updateIrq();
  }

  read(offset: number, size: 1 | 2 | 4): number {
    this.update();
    return narrowRead(this.readWord(offset & ~3), offset, size);
  }

  write(offset: number, size: 1 | 2 | 4, value: number): boolean {
    this.update();
    this.writeWord(offset & ~3, narrowWrite(value, offset, size));
    return true;
  }

  private readWord(offset: number): number {
    switch (offset) {
      case Pl031.DR:
        return this.counter;
      case Pl031.MR:
        return this.match;
      case Pl031.LR:
        return this.loaded;
      case Pl031.CR:
        return 1; // always counting; once started only a reset stops it
      case Pl031.IMSC:
        return this.imsc;
      case Pl031.RIS:
        return this.ris;
      case Pl031.MIS:
        return this.ris & this.imsc;
      default:
        return primecellId(PERIPH_ID, offset) ?? 0;
    }
  }

  private writeWord(offset: number, value: number): void {
    switch (offset) {
      case Pl031.MR:
        this.match = value;
        this.arm(true);
        break;
      case Pl031.LR:
        this.loaded = value;
        this.offset = (value - this.seconds) >>> 0;
        this.arm(false);
        break;
      case Pl031.IMSC:
        this.imsc = value & 1;
        this.updateIrq();
        break;
      case Pl031.ICR:
        if ((value & 1) !== 0) this.ris = 0;
        this.updateIrq();
        break;
      default: // read-only, or CR: see readWord
    }
  }

  /** Seconds since power-on, modulo 2^32. */
  private get seconds(): number {
    return Math.floor(this.clock.now() / SECOND) >>> 0;
  }

  private get counter(): number {
    return (this.seconds + this.offset) >>> 0;
  }

  /** Plans the match. A match value already passed counts as reached when it is the match register that was written (as QEMU does). */
  private arm(matchWritten: boolean): void {
    const ahead = (this.match - this.counter) | 0;
    if (ahead > 0) this.matchAt = (Math.floor(this.clock.now() / SECOND) + ahead) * SECOND;
    else this.matchAt = matchWritten || ahead === 0 ? this.clock.now() : Infinity;
    this.update();
  }

  private updateIrq(): void {
    this.irq.set((this.ris & this.imsc) !== 0);
  }

  save(): Saved {
    const { offset, match, loaded, imsc, ris, matchAt } = this;
    return { offset, match, loaded, imsc, ris, matchAt };
  }

  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    this.offset = s.uint("offset");
    this.match = s.uint("match");
    this.loaded = s.uint("loaded");
    this.imsc = s.uint("imsc", 1);
    this.ris = s.uint("ris", 1);
    this.matchAt = s.number("matchAt");
    this.irq.force((this.ris & this.imsc) !== 0);
  }
}
