// The redistributors, GICR (IHI 0069, 12.10 to 12.11): one pair of 64 KiB frames per PE, RD_base then SGI_base.
// Without LPIs: GICR_TYPER.PLPIS = 0 and the LPI registers are RAZ/WI.

import type { Saved } from "../../util/stateful.ts";
import type { MmioDevice, Requester } from "../device.ts";
import { SavedFields } from "../saved.ts";
import { ID_REGISTERS, IIDR, identification } from "./constants.ts";
import { IrqBank } from "./irq-bank.ts";
import { IrqRegisters, View } from "./irq-registers.ts";

const Reg = { IIDR: 0x4, TYPER_LOW: 0x8, TYPER_HIGH: 0xc, WAKER: 0x14, GROUP: 0x80, END: 0xf00 } as const;

const FRAME = 0x1_0000;
/** Bytes from one PE's RD_base to the next. */
export const REDISTRIBUTOR_STRIDE = 2 * FRAME;

/** GICR_WAKER: ProcessorSleep and, following it at once, ChildrenAsleep. */
const ASLEEP = 0x6;
const PROCESSOR_SLEEP = 0x2;
const PART = 0x93;
/** SGIs are edge-triggered. */
const SGIS = 0xffff;

/** One PE's redistributor: its SGIs and PPIs and its power state. */
export class Redistributor {
  readonly irqs = new IrqBank(0, 32);
  readonly registers: IrqRegisters;
  /** GICR_WAKER.ProcessorSleep = 0. Asleep, interrupts stay pending here and are not presented. */
  awake = false;

  private readonly number: number;
  private readonly last: boolean;
  private readonly affinity: () => number;
  private readonly wakeChanged: () => void;

  /** `affinity`: the PE's Aff3.Aff2.Aff1.Aff0 as 32 bits. */
  constructor(o: { number: number; last: boolean; affinity: () => number; changed: () => void; wakeChanged: () => void }) {
    this.number = o.number;
    this.last = o.last;
    this.affinity = o.affinity;
    this.wakeChanged = o.wakeChanged;
    this.registers = new IrqRegisters(this.irqs, 0, o.changed);
    this.reset();
  }

  reset(): void {
    this.irqs.reset();
    this.irqs.edge[0] = SGIS;
    this.awake = false;
  }

  /** `offset` in RD_base. */
  readControl(offset: number, size: 1 | 2 | 4, view: View): number {
    if (size !== 4) return 0;
    if (offset >= ID_REGISTERS) return identification(offset, PART);
    switch (offset) {
      case Reg.IIDR:
        return IIDR;
      case Reg.TYPER_LOW:
        return (this.number << 8) | (this.last ? 0x10 : 0);
      case Reg.TYPER_HIGH:
        return this.affinity();
      case Reg.WAKER:
        return view === View.NonSecure || this.awake ? 0 : ASLEEP;
      default:
        return 0;
    }
  }
  writeControl(offset: number, size: 1 | 2 | 4, value: number, view: View): void {
    if (size !== 4 || offset !== Reg.WAKER || view === View.NonSecure) return;
    this.setAwake((value & PROCESSOR_SLEEP) === 0);
  }
  wake(): void {
    this.setAwake(true);
  }
  private setAwake(awake: boolean): void {
    if (awake === this.awake) return;
    this.awake = awake;
    this.wakeChanged();
  }

  save(): Saved {
    return { irqs: this.irqs.save(), awake: this.awake };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "gicr");
    this.irqs.restore(s.part("irqs"));
    this.awake = s.bool("awake");
  }
}

/** The register window of all redistributors, in PE order. */
export class RedistributorWindow implements MmioDevice {
  readonly name = "gicr";
  readonly size: number;
  private readonly pes: readonly Redistributor[];
  private readonly view: (who: Requester) => View;

  constructor(pes: readonly Redistributor[], view: (who: Requester) => View) {
    this.pes = pes;
    this.view = view;
    this.size = pes.length * REDISTRIBUTOR_STRIDE;
  }

  read(offset: number, size: 1 | 2 | 4, who: Requester): number {
    const pe = this.pes[Math.floor(offset / REDISTRIBUTOR_STRIDE)];
    if (!pe) return 0;
    const at = offset % REDISTRIBUTOR_STRIDE;
    if (at < FRAME) return pe.readControl(at, size, this.view(who));
    return isIrqRegister(at - FRAME) ? pe.registers.read(at - FRAME, size, this.view(who)) : 0;
  }
  write(offset: number, size: 1 | 2 | 4, value: number, who: Requester): boolean {
    const pe = this.pes[Math.floor(offset / REDISTRIBUTOR_STRIDE)];
    if (!pe) return true;
    const at = offset % REDISTRIBUTOR_STRIDE;
    if (at < FRAME) pe.writeControl(at, size, value, this.view(who));
    else if (isIrqRegister(at - FRAME)) pe.registers.write(at - FRAME, size, value, this.view(who));
    return true;
  }
}

const isIrqRegister = (offset: number): boolean => offset >= Reg.GROUP && offset < Reg.END;
