// MC146818 real-time clock as kvmtool's guests have it: index and data register, BCD, 24-hour mode, no interrupts. The clock is read-only:
// it follows the machine's time, whatever is written to its registers.

import type { Saved, Stateful } from "../util/stateful.ts";
import type { Clock, MmioDevice } from "./device.ts";
import { SavedFields } from "./saved.ts";

/** Register indices. */
const Index = { SECONDS: 0, MINUTES: 2, HOURS: 4, WEEKDAY: 6, DAY: 7, MONTH: 8, YEAR: 9, C: 0x0c, D: 0x0d, CENTURY: 0x32 } as const;
const INDEX_MASK = 0x7f; // bit 7 masks NMI on a PC
const bcd = (n: number): number => Math.floor(n / 10) * 16 + (n % 10);

export interface Mc146818Options {
  clock: Clock;
  /** Time at clock time 0: seconds since 1970. */
  epoch: number;
}

export class Mc146818Rtc implements MmioDevice, Stateful {
  readonly name = "mc146818";
  readonly size = 2;
  private readonly clock: Clock;
  private readonly epoch: number;
  private index = 0;
  private readonly ram = new Uint8Array(128);

  constructor(options: Mc146818Options) {
    this.clock = options.clock;
    this.epoch = options.epoch;
  }

  read(offset: number, size: 1 | 2 | 4): number {
    if (size !== 1) return 0;
    return (offset & 1) === 0 ? this.index : this.readData();
  }
  write(offset: number, size: 1 | 2 | 4, value: number): boolean {
    if (size !== 1) return true;
    if ((offset & 1) === 0) this.index = value & 0xff;
    else if (![Index.C, Index.D].some((i) => i === (this.index & INDEX_MASK))) this.ram[this.index & INDEX_MASK] = value;
    return true;
  }

  private readData(): number {
    const now = new Date((this.epoch + Math.floor(this.clock.now() / 1e9)) * 1000);
    switch (this.index & INDEX_MASK) {
      case Index.SECONDS:
        return bcd(now.getUTCSeconds());
      case Index.MINUTES:
        return bcd(now.getUTCMinutes());
      case Index.HOURS:
        return bcd(now.getUTCHours());
      case Index.WEEKDAY:
        return now.getUTCDay() + 1;
      case Index.DAY:
        return bcd(now.getUTCDate());
      case Index.MONTH:
        return bcd(now.getUTCMonth() + 1);
      case Index.YEAR:
        return bcd(now.getUTCFullYear() % 100);
      case Index.CENTURY:
        return bcd(Math.floor(now.getUTCFullYear() / 100));
      default:
        return this.ram[this.index & INDEX_MASK] as number;
    }
  }

  save(): Saved {
    return { index: this.index, ram: this.ram.slice() };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    this.index = s.uint("index", 0xff);
    this.ram.set(s.bytes("ram", this.ram.length));
  }
}
