// The PCI Express bus of `virt`: its windows in the address map, and virtio devices in its slots.

import type { IrqLine } from "../devices/device.ts";
import { PciHost } from "../devices/pci/host.ts";
import { SavedFields } from "../devices/saved.ts";
import { type VirtioDevice, VirtioPci } from "../devices/virtio/index.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import type { DmaPort } from "./dma.ts";
import { virtMap } from "./virt-map.ts";

/** Bytes of configuration space for each bus. */
const BUS = 0x10_0000;

export interface PciBusOptions {
  /** The line of SPI `n`. */
  spi(n: number): IrqLine;
  /** The way to memory of a device. */
  dma(name: string): DmaPort;
  /** In the order of their slots, from slot 1 on. */
  devices: readonly VirtioDevice[];
  log(line: string): void;
}

export class PciBus implements Stateful {
  readonly host: PciHost;
  private readonly virtio: readonly VirtioPci[];

  constructor(o: PciBusOptions) {
    const { spi } = virtMap.pcieMmio;
    this.host = new PciHost({ lines: [o.spi(spi), o.spi(spi + 1), o.spi(spi + 2), o.spi(spi + 3)], buses: virtMap.pcieEcam.size / BUS });
    this.virtio = o.devices.map((device, i) => {
      const slot = i + 1;
      const place = `${device.name} in PCI slot ${slot}`;
      const v = new VirtioPci({ device, dma: o.dma(place), irq: this.host.intA(slot), log: o.log, name: place });
      this.host.add(slot, v.function);
      return v;
    });
  }

  /** Puts the windows into the address map. Bus addresses are physical addresses, except those of I/O space, which start at 0. */
  map(phys: PhysicalMemory): void {
    const { pcieMmio, pciePio, pcieEcam, pcieMmioHigh } = virtMap;
    phys.addDevice(pcieEcam.base, this.host.ecam());
    phys.addDevice(pciePio.base, this.host.window("io", 0, pciePio.size));
    for (const { base, size } of [pcieMmio, pcieMmioHigh]) phys.addDevice(base, this.host.window("memory", base, size));
  }

  save(): Saved {
    return { host: this.host.save(), virtio: this.virtio.map((v) => v.save()) };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "pcie");
    this.host.restore(s.part("host"));
    const virtio = s.list("virtio", this.virtio.length);
    for (const [i, v] of this.virtio.entries()) v.restore(virtio[i] as Saved);
  }
}
