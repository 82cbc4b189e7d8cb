// The host's driver of its own interrupt controller: what makes a PE leave a realm, and how PEs of the host wake each other.
//
//   SGI 0    kick: look at what there is to do for your REC
//   PPI 25   maintenance: the guest finished an interrupt of a list register
//   PPI 26   alarm: a timer of a suspended virtual PE is due
//   PPI 23, 27, 30   the guest's PMU and timers; outside of a realm their lines are the host's own, which stay low

import type { Pe } from "../cpu/pe.ts";
import { TimerPart } from "../cpu/timers.ts";
import { REDISTRIBUTOR_STRIDE } from "../devices/gic/index.ts";
import type { HostMemory } from "./memory.ts";

/** Where the host's interrupt controller is. */
export interface HostGicMap {
  readonly distributor: number;
  readonly redistributors: number;
}

const KICK = 0;
const ENABLED = [KICK, 23, 25, 26, 27, 30];
/** Number of CNTHP in cpu/timers.ts. */
const CNTHP = 2;
const CTL_ENABLE = 1n;
const CTL_ISTATUS = 4n;
const GICD_CTLR = 0x0;
const GICR_WAKER = 0x14;
const SGI_FRAME = 0x1_0000;
const GICR_IGROUPR0 = SGI_FRAME + 0x80;
const GICR_ISENABLER0 = SGI_FRAME + 0x100;
const GICR_ICENABLER0 = SGI_FRAME + 0x180;
const GICR_ISPENDR0 = SGI_FRAME + 0x200;
/** Affinity routing, Group 1 enabled. */
const CTLR_ON = 0x10 | 2;
const SPURIOUS = 1020;

export class HostGic {
  private readonly memory: HostMemory;
  private readonly map: HostGicMap;

  constructor(memory: HostMemory, map: HostGicMap) {
    this.memory = memory;
    this.map = map;
  }

  private redistributor(pe: number, register: number): number {
    return this.map.redistributors + pe * REDISTRIBUTOR_STRIDE + register;
  }

  /** Enables the distributor; once. */
  start(): void {
    this.memory.writeDevice(this.map.distributor + GICD_CTLR, CTLR_ON);
  }
  /** Enables the interrupts of one PE, which executes this. */
  startPe(pe: Pe): void {
    const { index } = pe;
    this.memory.writeDevice(this.redistributor(index, GICR_WAKER), 0);
    this.memory.writeDevice(this.redistributor(index, GICR_IGROUPR0), 0xffff_ffff);
    this.memory.writeDevice(
      this.redistributor(index, GICR_ISENABLER0),
      ENABLED.reduce((bits, n) => (bits | (1 << n)) >>> 0, 0),
    );
    pe.gic?.write("ICC_PMR_EL1", 0xf8n);
    pe.gic?.write("ICC_IGRPEN1_EL1", 1n);
  }

  /** Keeps private interrupt `intid` of PE `pe` from being signalled, or no longer. */
  mask(pe: number, intid: number, masked: boolean): void {
    this.memory.writeDevice(this.redistributor(pe, masked ? GICR_ICENABLER0 : GICR_ISENABLER0), (1 << intid) >>> 0);
  }
  /** Sets the alarm of `pe`, which executes this, to a count of the counter; undefined: off. */
  setAlarm(pe: Pe, at: bigint | undefined): void {
    pe.timers.write(CNTHP, TimerPart.CVAL, at ?? 0n);
    pe.timers.write(CNTHP, TimerPart.CTL, at === undefined ? 0n : CTL_ENABLE);
  }
  /** Has the alarm gone off? */
  alarm(pe: Pe): boolean {
    return (pe.timers.read(CNTHP, TimerPart.CTL) & CTL_ISTATUS) !== 0n;
  }

  /** Makes PE `pe` leave its realm, or wake from its wait. */
  kick(pe: number): void {
    this.memory.writeDevice(this.redistributor(pe, GICR_ISPENDR0), 1 << KICK);
  }
  /** Acknowledges and finishes whatever is pending at `pe`. Lines of the realm have fallen when the realm was left: then nothing is. */
  acknowledge(pe: Pe): void {
    const intid = pe.gic?.read("ICC_IAR1_EL1") ?? BigInt(SPURIOUS);
    if (intid < BigInt(SPURIOUS)) pe.gic?.write("ICC_EOIR1_EL1", intid);
  }
}
