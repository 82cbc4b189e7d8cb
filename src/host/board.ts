// A guest machine as its VMM models it: interrupt controller, UART, clock and virtio devices behind a small bus.

import type { ByteSink, Clock, Dma, MmioDevice, Receiver } from "../devices/device.ts";
import { Mc146818Rtc } from "../devices/mc146818.ts";
import { Pl011Uart } from "../devices/pl011.ts";
import { Pl031Rtc } from "../devices/pl031.ts";
import { GpioKey, Pl061Gpio } from "../devices/pl061.ts";
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
import { EmuError } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
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
  /** Memory as devices reach it: of a realm what it shares. */
  dma: Dma;
  /** Virtio devices offer VIRTIO_F_ACCESS_PLATFORM: the guest has to share what they reach. */
  accessPlatform: boolean;
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
  readonly device: MmioDevice & Partial<Stateful>;
}

const SPIS = 256;

export class GuestBoard implements Stateful {
  readonly map: BoardMap;
  readonly vgic: Vgic;
  readonly uart: MmioDevice & Receiver;
  readonly hvc: VirtioConsole;
  /** The power button; kvmtool's machine has none. */
  readonly powerKey: (TimedDevice & Stateful & { press(): void }) | undefined;
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
    this.powerKey = this.addPowerKey(o);
    this.timed = [...this.addRtc(o), ...(this.powerKey ? [this.powerKey] : [])];
    this.hvc = new VirtioConsole({ sink: o.virtioConsole, onRoom: () => o.onRoom() });
    this.virtioSlots = this.addVirtio(o);
  }

  private add(base: number, device: MmioDevice & Partial<Stateful>): void {
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
  private addPowerKey(o: BoardOptions): GpioKey | undefined {
    const { gpio } = o.map;
    if (gpio === undefined) return undefined;
    const device = new Pl061Gpio({ irq: this.vgic.spi(gpio.spi) });
    this.add(gpio.base, device);
    return new GpioKey(device, gpio.powerKey, o.clock);
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
      this.add(w.base, new VirtioMmio({ irq, dma: o.dma, accessPlatform: o.accessPlatform, log: o.log, ...(device ? { device } : {}) }));
    }
    return slots;
  }

  /** The interrupt controller first: devices drive lines into it when they are restored. Its own windows hold no state. */
  private get parts(): Stateful[] {
    const devices = this.bus
      .map((m) => m.device)
      .filter((d): d is MmioDevice & Stateful => d.save !== undefined && d !== this.vgic.distributor);
    return [this.vgic, ...devices, ...(this.powerKey ? [this.powerKey] : [])];
  }
  save(): Saved {
    return this.parts.map((p) => p.save());
  }
  restore(state: Saved): void {
    const { parts } = this;
    if (!Array.isArray(state) || state.length !== parts.length)
      throw new EmuError("snapshot-corrupt", "the saved devices of the guest are not those of this one");
    for (const [i, p] of parts.entries()) p.restore(state[i] as Saved);
  }
}

/** How many virtio slots a board shows with that many drives: the console and the source of entropy come on top. */
export const virtioSlotsOf = (map: BoardMap, drives: number): number => (map.name === "virt" ? map.virtioSlots : drives + 2);
