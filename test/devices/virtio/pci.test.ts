// The PCI transport: a driver that finds its structures by the capabilities, as edk2, U-Boot and Linux do.

import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { PciCommand } from "../../../src/devices/pci/function.ts";
import {
  Feature,
  MemoryBlockBackend,
  SeededEntropy,
  Status,
  VirtioBlock,
  type VirtioDevice,
  VirtioPci,
  VirtioRng,
} from "../../../src/devices/virtio/index.ts";
import { CommonCfg as C } from "../../../src/devices/virtio/pci.ts";
import { TestLine } from "../support.ts";
import { F, GuestMemory, NOWHERE, SplitQueue } from "./driver.ts";

const BASE = 0x80_0001_0000;

class PciDriver {
  readonly mem = new GuestMemory();
  readonly line = new TestLine();
  readonly logged: string[] = [];
  readonly pci: VirtioPci;
  readonly queues: SplitQueue[] = [];
  /** Bus address of the structures by cfg_type, and the notify multiplier. */
  readonly at: Record<number, number> = {};
  multiplier = 0;

  constructor(device: VirtioDevice) {
    this.pci = new VirtioPci({ device, dma: this.mem, irq: this.line, log: (m) => this.logged.push(m) });
    const f = this.pci.function;
    f.writeConfig(0x20, 4, BASE % 2 ** 32);
    f.writeConfig(0x24, 4, Math.floor(BASE / 2 ** 32));
    f.writeConfig(4, 2, PciCommand.MEMORY | PciCommand.MASTER);
    for (let cap = f.readConfig(0x34, 1); cap !== 0; cap = f.readConfig(cap + 1, 1)) {
      expect(f.readConfig(cap, 1)).toBe(9);
      const type = f.readConfig(cap + 3, 1);
      expect(f.readConfig(cap + 4, 1)).toBe(type === 5 ? 0 : 4);
      this.at[type] = BASE + f.readConfig(cap + 8, 4);
      if (type === 2) this.multiplier = f.readConfig(cap + 16, 4);
    }
  }
  private hit(address: number) {
    const hit = this.pci.function.barAt("memory", address);
    if (hit === undefined) throw new Error("no BAR there");
    return hit;
  }
  r(type: number, offset: number, size: 1 | 2 | 4): number {
    const { bar, offset: at } = this.hit((this.at[type] as number) + offset);
    return bar.read(at, size);
  }
  w(type: number, offset: number, size: 1 | 2 | 4, value: number): void {
    const { bar, offset: at } = this.hit((this.at[type] as number) + offset);
    bar.write(at, size, value);
  }
  c = (offset: number, size: 1 | 2 | 4 = 4): number => this.r(1, offset, size);
  set = (offset: number, size: 1 | 2 | 4, value: number): void => this.w(1, offset, size, value);

  /** Everything up to DRIVER_OK. */
  start(features = [0, 1]): this {
    this.set(C.DEVICE_STATUS, 1, 0);
    this.set(C.DEVICE_STATUS, 1, Status.ACKNOWLEDGE);
    this.set(C.DEVICE_STATUS, 1, Status.ACKNOWLEDGE | Status.DRIVER);
    features.forEach((word, i) => {
      this.set(C.DRIVER_FEATURE_SELECT, 4, i);
      this.set(C.DRIVER_FEATURE, 4, word);
    });
    const ok = Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK;
    this.set(C.DEVICE_STATUS, 1, ok);
    expect(this.c(C.DEVICE_STATUS, 1)).toBe(ok);
    for (let q = 0; q < this.c(C.NUM_QUEUES, 2); q++) this.startQueue(q);
    this.set(C.DEVICE_STATUS, 1, ok | Status.DRIVER_OK);
    return this;
  }
  private startQueue(index: number): void {
    this.set(C.QUEUE_SELECT, 2, index);
    const queue = new SplitQueue(this.mem, index, Math.min(8, this.c(C.QUEUE_SIZE, 2)));
    this.set(C.QUEUE_SIZE, 2, queue.size);
    [queue.desc, queue.avail, queue.used].forEach((address, i) => {
      this.set(C.QUEUE_DESC + 8 * i, 4, address);
      this.set(C.QUEUE_DESC + 8 * i + 4, 4, 0);
    });
    this.set(C.QUEUE_ENABLE, 2, 1);
    this.queues[index] = queue;
  }
  notify(index: number): void {
    this.set(C.QUEUE_SELECT, 2, index);
    this.w(2, this.c(C.QUEUE_NOTIFY_OFF, 2) * this.multiplier, 2, index);
  }
}

let d: PciDriver;
const rng = (): VirtioRng => new VirtioRng({ entropy: new SeededEntropy(5) });
const stream = (n: number): Uint8Array => new SeededEntropy(5).bytes(n);
beforeEach(() => {
  d = new PciDriver(rng());
});
function ask(length: number): Uint8Array {
  const addr = d.mem.alloc(length);
  d.queues[0]?.add([{ addr, len: length, flags: F.WRITE }]);
  d.notify(0);
  return d.mem.read(addr, length) as Uint8Array;
}

describe("identity", () => {
  it("is that of a device of virtio 1.0", () => {
    const f = d.pci.function;
    expect([f.readConfig(0, 4), f.readConfig(8, 1), f.readConfig(0x2c, 4)]).toEqual([0x1044_1af4, 1, 0x1100_1af4]);
    expect(Object.keys(d.at)).toEqual(["1", "2", "3", "4", "5"]);
  });
  it("offers VERSION_1 and no MSI-X vectors", () => {
    d.set(C.DEVICE_FEATURE_SELECT, 4, 1);
    expect((d.c(C.DEVICE_FEATURE) >>> (Feature.VERSION_1 - 32)) & 1).toBe(1);
    d.set(C.DEVICE_FEATURE_SELECT, 4, 2);
    expect(d.c(C.DEVICE_FEATURE)).toBe(0);
    d.set(C.CONFIG_MSIX_VECTOR, 2, 0);
    expect(d.c(C.CONFIG_MSIX_VECTOR, 2)).toBe(0xffff);
    expect([d.c(C.NUM_QUEUES, 2), d.c(C.QUEUE_SIZE, 2), d.c(C.QUEUE_MSIX_VECTOR, 2)]).toEqual([1, 8, 0xffff]);
  });
});

describe("requests", () => {
  it("are served, with an interrupt that reading the ISR status ends", () => {
    d.start();
    expect(ask(32)).toEqual(stream(32));
    expect(d.line.level).toBe(true);
    expect(d.r(3, 0, 1)).toBe(1);
    expect([d.line.level, d.r(3, 0, 1)]).toEqual([false, 0]);
    expect(d.queues[0]?.collect().map((u) => u.len)).toEqual([32]);
  });

  it("reach a disk and its configuration", () => {
    const image = Uint8Array.from({ length: 1024 }, (_, i) => i & 0xff);
    d = new PciDriver(new VirtioBlock({ backend: MemoryBlockBackend.from(image) }));
    d.start();
    expect([d.r(4, 0, 4), d.r(4, 4, 4), d.r(4, 0, 1)]).toEqual([2, 0, 2]);
    const [head, data, status] = [d.mem.alloc(16), d.mem.alloc(512), d.mem.alloc(1)];
    d.mem.put32(head + 8, 1); // sector 1
    d.queues[0]?.add([
      { addr: head, len: 16, flags: 0 },
      { addr: data, len: 512, flags: F.WRITE },
      { addr: status, len: 1, flags: F.WRITE },
    ]);
    d.notify(0);
    expect(d.mem.read(data, 512)).toEqual(image.slice(512));
  });

  it("wait until the function may be a bus master", () => {
    d.start();
    d.pci.function.writeConfig(4, 2, PciCommand.MEMORY);
    d.notify(0);
    expect(d.c(C.DEVICE_STATUS, 1) & Status.NEEDS_RESET).toBe(Status.NEEDS_RESET);
    expect(d.logged.length).toBe(1);
    d.pci.function.writeConfig(4, 2, PciCommand.MEMORY | PciCommand.MASTER);
    d.start();
    expect(ask(16).length).toBe(16);
  });

  it("to nowhere make the device need a reset", () => {
    d.start();
    d.queues[0]?.add([{ addr: NOWHERE, len: 8, flags: F.WRITE }]);
    d.notify(0);
    expect(d.c(C.DEVICE_STATUS, 1) & Status.NEEDS_RESET).toBe(Status.NEEDS_RESET);
    expect(d.r(3, 0, 1)).toBe(2); // configuration change
  });
});

describe("registers", () => {
  it("of an enabled queue stay; a reset frees them", () => {
    d.start();
    d.set(C.QUEUE_SIZE, 2, 2);
    d.set(C.QUEUE_ENABLE, 2, 0);
    expect([d.c(C.QUEUE_SIZE, 2), d.c(C.QUEUE_ENABLE, 2), d.c(C.QUEUE_DESC)]).toEqual([8, 1, d.queues[0]?.desc]);
    d.set(C.DEVICE_STATUS, 1, 0);
    expect([d.c(C.DEVICE_STATUS, 1), d.c(C.QUEUE_ENABLE, 2), d.c(C.QUEUE_DESC), d.line.level]).toEqual([0, 0, 0, false]);
  });
  it("of queues that do not exist read 0", () => {
    d.set(C.QUEUE_SELECT, 2, 9);
    expect([C.QUEUE_SIZE, C.QUEUE_ENABLE, C.QUEUE_NOTIFY_OFF].map((at) => d.c(at, 2))).toEqual([0, 0, 0]);
    d.set(C.QUEUE_ENABLE, 2, 1);
    expect(d.c(C.DEVICE_STATUS, 1)).toBe(0);
  });
  it("can be reached through configuration space (4.1.4.9)", () => {
    const f = d.pci.function;
    const cfg = 0x84;
    const window = (offset: number, length: number): void => {
      f.writeConfig(cfg + 4, 1, 4);
      f.writeConfig(cfg + 8, 4, offset);
      f.writeConfig(cfg + 12, 4, length);
    };
    window(C.DEVICE_STATUS, 1);
    f.writeConfig(cfg + 16, 1, Status.ACKNOWLEDGE);
    expect(d.c(C.DEVICE_STATUS, 1)).toBe(Status.ACKNOWLEDGE);
    window(C.NUM_QUEUES, 2);
    expect(f.readConfig(cfg + 16, 2)).toBe(1);
    for (const [offset, length] of [
      [1, 2],
      [0x4000, 4],
      [0xffff_fffc, 4],
      [0, 3],
    ] as const) {
      window(offset, length);
      f.writeConfig(cfg + 16, 4, 0);
      f.readConfig(cfg + 16, 4);
    }
    expect(d.c(C.DEVICE_STATUS, 1)).toBe(Status.ACKNOWLEDGE);
  });
});

it("continues after a restore", () => {
  d.start();
  ask(10);
  const saved = structuredClone([d.pci.function.save(), d.pci.save()]);
  const copy = new VirtioPci({ device: rng(), dma: d.mem, irq: d.line });
  d.line.level = false;
  copy.function.restore(saved[0] as never);
  copy.restore(saved[1] as never);
  Object.assign(d, { pci: copy });
  expect([d.line.level, d.r(3, 0, 1), d.line.level]).toEqual([true, 1, false]);
  const entropy = new SeededEntropy(5);
  entropy.bytes(10);
  expect(ask(16)).toEqual(entropy.bytes(16));
  expect(d.line.level).toBe(true);
});

it("survives any writes", () => {
  const size = fc.constantFrom(1 as const, 2 as const, 4 as const);
  const value = fc.oneof(fc.nat(15), fc.integer({ min: 0, max: 0xffff_ffff }));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.oneof(fc.nat(0x3f), fc.nat(0x3fff)), size, value), { maxLength: 60 }), (all) => {
      for (const [at, width, v] of all) {
        const { bar } = d.pci.function.barAt("memory", BASE) as NonNullable<ReturnType<typeof d.pci.function.barAt>>;
        const offset = at & -width;
        bar.write(offset, width, v);
        const seen = bar.read(offset, width);
        expect(seen >= 0 && seen < 2 ** (8 * width)).toBe(true);
      }
    }),
  );
});
