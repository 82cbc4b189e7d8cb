// A guest machine as its VMM models it: interrupt controller, UART, clock and virtio devices behind a small bus.

import type { ByteSink, Clock, Dma, MmioDevice, Receiver } from "../devices/device.ts";
import { Mc146818Rtc } from "../devices/mc146818.ts";
import { Pl011Uart } from "../devices/pl011.ts";
import { Pl031Rtc } from "../devices/pl031.ts";
import type { TimedDevice } from "../devices/timed.ts";
import { Uart16550 } from "../devices/uart16550.ts";
import {
  type BlockBackend,
  type SeededEntropy,
  VirtioBlock,
  VirtioConsole,
  type VirtioDevice,
  VirtioMmio,
  VirtioRng,
} from "../devices/virtio/index.ts";
import { affinityOf, type BoardMap } from "./board-maps.ts";
import { Vgic } from "./vgic.ts";

export interface BoardOptions {
  map: BoardMap;
  pes: number;
  listRegisters: number;
  clock: Clock;
  /** Real-time clock at clock time 0, seconds since 1970. */
  epoch: number;
  entropy: SeededEntropy;
  drives: readonly BlockBackend[];
  /** Memory as devices reach it: what the realm shares. */
  dma: Dma;
  /** Output of the first serial port, and of the virtio console. */
  serial: ByteSink;
  virtioConsole: ByteSink;
  /** A console that refused input has room again. */
  onRoom(): void;
  /** A REC has to be entered again: an interrupt is there for it. */
  changed(rec: number): void;
  log(line: string): void;
}

interface Mapped {
  readonly base: number;
  readonly device: MmioDevice;
}

const SPIS = 256;

export class GuestBoard {
  readonly map: BoardMap;
  readonly vgic: Vgic;
  readonly uart: MmioDevice & Receiver;
  readonly hvc: VirtioConsole;
  readonly timed: readonly TimedDevice[];
  readonly virtioSlots: number;
  private readonly bus: Mapped[] = [];

  constructor(o: BoardOptions) {
    const { map } = o;
    this.map = map;
    this.vgic = new Vgic({ recs: o.pes, spis: SPIS, listRegisters: o.listRegisters, affinity: affinityOf, changed: o.changed });
    this.add(map.gicDistributor.base, this.vgic.distributor);
    this.add(map.gicRedistributor(o.pes), this.vgic.redistributor);
    this.uart = this.addUarts(o);
    this.timed = this.addRtc(o);
    this.hvc = new VirtioConsole({ sink: o.virtioConsole, onRoom: () => o.onRoom() });
    this.virtioSlots = this.addVirtio(o);
  }

  private add(base: number, device: MmioDevice): void {
    this.bus.push({ base, device });
  }
  /** The device at an address of the guest's lower half. */
  deviceAt(address: number): { device: MmioDevice; offset: number } | undefined {
    for (const { base, device } of this.bus) {
      if (address >= base && address < base + device.size) return { device, offset: address - base };
    }
    return undefined;
  }

  /** The serial ports; nothing is connected to any but the first. */
  private addUarts(o: BoardOptions): MmioDevice & Receiver {
    const ports = o.map.uarts.map((w, n) => {
      const sink = n === 0 ? o.serial : { write: () => {} };
      const options = { irq: this.vgic.spi(w.spi), sink, onRoom: () => o.onRoom(), name: `uart${n}` };
      const port = o.map.name === "virt" ? new Pl011Uart(options) : new Uart16550(options);
      this.add(w.base, port);
      return port;
    });
    return ports[0] as Pl011Uart | Uart16550;
  }
  private addRtc(o: BoardOptions): TimedDevice[] {
    const { rtc } = o.map;
    if (rtc.spi === undefined) {
      this.add(rtc.base, new Mc146818Rtc({ clock: o.clock, epoch: o.epoch }));
      return [];
    }
    const device = new Pl031Rtc({ irq: this.vgic.spi(rtc.spi), clock: o.clock, epoch: o.epoch });
    this.add(rtc.base, device);
    return [device];
  }
  /** QEMU fills its slots from the last one down and has empty ones; kvmtool has as many slots as devices. */
  private addVirtio(o: BoardOptions): number {
    const devices: VirtioDevice[] = [
      ...o.drives.map((backend) => new VirtioBlock({ backend })),
      this.hvc,
      new VirtioRng({ entropy: o.entropy }),
    ];
    const fixed = o.map.name === "virt";
    const slots = fixed ? o.map.virtioSlots : devices.length;
    for (let n = 0; n < slots; n++) {
      const device = fixed ? devices[slots - 1 - n] : devices[n];
      const w = o.map.virtio(n);
      const irq = this.vgic.spi(w.spi);
      this.add(w.base, new VirtioMmio({ irq, dma: o.dma, accessPlatform: true, log: o.log, ...(device ? { device } : {}) }));
    }
    return slots;
  }
}

/** How many virtio slots a board shows with that many drives: the console and the source of entropy come on top. */
export const virtioSlotsOf = (map: BoardMap, drives: number): number => (map.name === "virt" ? map.virtioSlots : drives + 2);
