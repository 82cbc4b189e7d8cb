// PL061 general purpose I/O (Arm DDI 0190): eight pins; and the power key that QEMU's virt machine has on one of them.

import type { Saved, Stateful } from "../util/stateful.ts";
import type { Clock, IrqLine, MmioDevice } from "./device.ts";
import { IrqOutput } from "./irq-output.ts";
import { narrowRead, narrowWrite, PRIMECELL_SIZE, primecellId } from "./primecell.ts";
import { SavedFields } from "./saved.ts";
import type { TimedDevice } from "./timed.ts";

/** Register offsets (DDI 0190 table 3-1). DATA is at 0x000-0x3fc: address bits 9:2 say which pins the access is about. */
export const Pl061 = {
  DATA: 0x000,
  DIR: 0x400,
  IS: 0x404,
  IBE: 0x408,
  IEV: 0x40c,
  IE: 0x410,
  RIS: 0x414,
  MIS: 0x418,
  IC: 0x41c,
  AFSEL: 0x420,
} as const;

const PERIPH_ID = 0x0004_1061;

export interface Pl061Options {
  irq: IrqLine;
  /** Called when an output pin (0-7) changes its level. */
  onOutput?: (pin: number, level: boolean) => void;
  name?: string;
}

export class Pl061Gpio implements MmioDevice, Stateful {
  readonly name: string;
  readonly size = PRIMECELL_SIZE;
  private readonly irq: IrqOutput;
  private readonly onOutput: ((pin: number, level: boolean) => void) | undefined;
  /** Levels driven from outside, and levels written to DATA. Which of them a pin has is for `dir` to say. Eight bits each, as all below. */
  private inputs = 0;
  private latch = 0;
  private dir = 0;
  private sense = 0;
  private bothEdges = 0;
  private event = 0;
  private enable = 0;
  private edges = 0;
  private afsel = 0;

  constructor(options: Pl061Options) {
    this.name = options.name ?? "pl061";
    this.irq = new IrqOutput(options.irq);
    this.onOutput = options.onOutput;
  }

  /** Back to the reset state; what is driven from outside stays. */
  reset(): void {
    this.changeOutputs(0, 0);
    this.sense = this.bothEdges = this.event = this.enable = this.edges = this.afsel = 0;
    this.updateIrq();
  }

  /** Drives input pin 0-7 from outside. Without effect on the guest while the pin is an output. */
  setInput(pin: number, level: boolean): void {
    const bit = 1 << (pin & 7);
    const before = this.inputs;
    this.inputs = level ? before | bit : before & ~bit;
    const changed = (before ^ this.inputs) & ~this.dir & ~this.sense;
    // Both edges if IBE, otherwise the edge that IEV chooses (DDI 0190 section 3.3.4).
    this.edges |= changed & (this.bothEdges | (level ? this.event : ~this.event));
    this.updateIrq();
  }

  /** Level of output pin 0-7 as the outside sees it; false while it is an input. */
  output(pin: number): boolean {
    return ((this.latch & this.dir) >> (pin & 7)) % 2 === 1;
  }

  private get data(): number {
    return (this.inputs & ~this.dir) | (this.latch & this.dir);
  }

  /** Edge interrupts are latched until IC clears them; level interrupts follow the pin. */
  private get ris(): number {
    return (this.edges & ~this.sense) | (~(this.inputs ^ this.event) & this.sense & ~this.dir & 0xff);
  }

  read(offset: number, size: 1 | 2 | 4): number {
    return narrowRead(this.readWord(offset & ~3), offset, size);
  }

  write(offset: number, size: 1 | 2 | 4, value: number): boolean {
    this.writeWord(offset & ~3, narrowWrite(value, offset, size) & 0xff);
    return true;
  }

  private readWord(offset: number): number {
    if (offset < Pl061.DIR) return this.data & (offset >> 2);
    switch (offset) {
      case Pl061.DIR:
        return this.dir;
      case Pl061.IS:
        return this.sense;
      case Pl061.IBE:
        return this.bothEdges;
      case Pl061.IEV:
        return this.event;
      case Pl061.IE:
        return this.enable;
      case Pl061.RIS:
        return this.ris;
      case Pl061.MIS:
        return this.ris & this.enable;
      case Pl061.AFSEL:
        return this.afsel;
      default:
        return primecellId(PERIPH_ID, offset) ?? 0;
    }
  }

  private writeWord(offset: number, value: number): void {
    if (offset < Pl061.DIR) {
      const mask = (offset >> 2) & this.dir;
      this.changeOutputs((this.latch & ~mask) | (value & mask), this.dir);
      return;
    }
    switch (offset) {
      case Pl061.DIR:
        this.changeOutputs(this.latch, value);
        break;
      case Pl061.IS:
        this.sense = value;
        break;
      case Pl061.IBE:
        this.bothEdges = value;
        break;
      case Pl061.IEV:
        this.event = value;
        break;
      case Pl061.IE:
        this.enable = value;
        break;
      case Pl061.IC:
        this.edges &= ~value;
        break;
      case Pl061.AFSEL:
        this.afsel = value;
        break;
      default: // read-only or reserved
    }
    this.updateIrq();
  }

  private changeOutputs(latch: number, dir: number): void {
    const before = this.latch & this.dir;
    this.latch = latch;
    this.dir = dir;
    const changed = before ^ (latch & dir);
    for (let pin = 0; pin < 8; pin++) if ((changed & (1 << pin)) !== 0) this.onOutput?.(pin, this.output(pin));
  }

  private updateIrq(): void {
    this.irq.set((this.ris & this.enable) !== 0);
  }

  save(): Saved {
    const { inputs, latch, dir, sense, bothEdges, event, enable, edges, afsel } = this;
    return { inputs, latch, dir, sense, bothEdges, event, enable, edges, afsel };
  }

  restore(state: Saved): void {
    const s = new SavedFields(state, this.name);
    this.inputs = s.uint("inputs", 0xff);
    this.latch = s.uint("latch", 0xff);
    this.dir = s.uint("dir", 0xff);
    this.sense = s.uint("sense", 0xff);
    this.bothEdges = s.uint("bothEdges", 0xff);
    this.event = s.uint("event", 0xff);
    this.enable = s.uint("enable", 0xff);
    this.edges = s.uint("edges", 0xff);
    this.afsel = s.uint("afsel", 0xff);
    this.irq.force((this.ris & this.enable) !== 0);
  }
}

/** How long the key stays pressed, in nanoseconds. */
const PRESS = 100e6;

/** A push button on a GPIO pin: pressed by the host, released by itself 100 ms of virtual time later. */
export class GpioKey implements TimedDevice, Stateful {
  private readonly gpio: Pl061Gpio;
  private readonly pin: number;
  private readonly clock: Clock;
  private releaseAt = Infinity;

  /** QEMU's virt machine has its power key on pin 3. */
  constructor(gpio: Pl061Gpio, pin: number, clock: Clock) {
    this.gpio = gpio;
    this.pin = pin;
    this.clock = clock;
  }

  /** Presses the key; pressing a pressed key only keeps it down for longer. */
  press(): void {
    this.releaseAt = this.clock.now() + PRESS;
    this.gpio.setInput(this.pin, true);
  }

  deadline(): number {
    return this.releaseAt;
  }

  update(): void {
    if (this.clock.now() < this.releaseAt) return;
    this.releaseAt = Infinity;
    this.gpio.setInput(this.pin, false);
  }

  save(): Saved {
    return { releaseAt: this.releaseAt };
  }

  restore(state: Saved): void {
    this.releaseAt = new SavedFields(state, "gpio-key").number("releaseAt");
  }
}
