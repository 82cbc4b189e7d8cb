import { beforeEach, describe, expect, it } from "vitest";
import {
  type ConfigField,
  constant,
  Feature,
  MmioReg as R,
  Status,
  type VirtioDevice,
  type VirtioTransport,
} from "../../../src/devices/virtio/index.ts";
import type { Saved } from "../../../src/util/stateful.ts";
import { bits, Driver, F, SplitQueue } from "./driver.ts";

/** A device that notes what it is asked and uses no buffers by itself. */
class ProbeDevice implements VirtioDevice {
  readonly name = "probe";
  readonly id = 42;
  readonly queueSizes = [8, 16];
  readonly features = 0x5;
  wide = 0x0102_0304_0506;
  byte = 7;
  readonly config: ConfigField[] = [
    { name: "wide", bytes: 8, read: () => this.wide },
    { name: "byte", bytes: 1, read: () => this.byte, write: (v) => (this.byte = v) },
    constant("gap", 1, 0xee),
    { name: "half", bytes: 2, read: () => this.half, write: (v) => (this.half = v) },
  ];
  half = 0x1234;
  notified: number[] = [];
  resets = 0;
  transport!: VirtioTransport;
  attach(t: VirtioTransport): void {
    this.transport = t;
  }
  notify(queue: number): void {
    this.notified.push(queue);
  }
  reset(): void {
    this.resets++;
  }
  save(): Saved {
    return null;
  }
  restore(): void {}
}

let device: ProbeDevice;
let d: Driver;

beforeEach(() => {
  device = new ProbeDevice();
  d = new Driver(device);
});

const BASE = Status.ACKNOWLEDGE | Status.DRIVER;
const BUFFER = (addr: number) => [{ addr, len: 16, flags: F.WRITE }];

describe("identity", () => {
  it("shows magic, version 2, device and vendor", () => {
    expect([0, 4, 8, 12].map((o) => d.r(o))).toEqual([0x7472_6976, 2, 42, 0x554d_4551]);
  });

  it("is an empty slot without a device", () => {
    const empty = new Driver(undefined);
    expect([0, 4, 8, 12].map((o) => empty.r(o))).toEqual([0x7472_6976, 2, 0, 0x554d_4551]);
    for (let o = 16; o < 0x200; o += 4) {
      empty.w(o, 0xffff_ffff);
      expect(empty.r(o)).toBe(0);
    }
    empty.mmio.restore(empty.mmio.save());
  });

  it("answers narrow accesses to registers with 0 and ignores narrow writes", () => {
    expect(d.mmio.read(0, 1)).toBe(0);
    expect(d.mmio.read(0, 2)).toBe(0);
    d.mmio.write(R.Status, 1, 1);
    expect(d.status).toBe(0);
  });

  it("has no shared memory regions", () => {
    for (let o = 0xb0; o <= 0xbc; o += 4) expect(d.r(o)).toBe(0xffff_ffff);
  });

  it("refuses a device with an impossible queue size", () => {
    class Odd extends ProbeDevice {
      override readonly queueSizes = [12, 16];
    }
    expect(() => new Driver(new Odd())).toThrow(expect.objectContaining({ code: "virtio-queue-size" }));
  });
});

describe("features", () => {
  it("offers what QEMU's transport offers", () => {
    expect(d.offered()).toBe(bits(0, 2, 28, 29, 32, 40));
  });

  it("offers the selectable ones when asked", () => {
    const all = new Driver(device, { accessPlatform: true, packed: true, eventIdx: false, indirect: false });
    expect(all.offered()).toBe(bits(0, 2, 32, 33, 34, 40));
  });

  it("has no feature words beyond the second", () => {
    d.w(R.DeviceFeaturesSel, 2);
    expect(d.r(R.DeviceFeatures)).toBe(0);
    d.w(R.DriverFeaturesSel, 0xffff_ffff);
    d.w(R.DriverFeatures, 1);
    expect(d.negotiate()).toBe(true);
  });

  it("tells the device what was negotiated, from FEATURES_OK on", () => {
    d.w(R.Status, BASE);
    d.writeFeatures(bits(2, Feature.VERSION_1));
    expect(device.transport.negotiated(2)).toBe(false);
    d.w(R.Status, BASE | Status.FEATURES_OK);
    expect([0, 2, 29, 32, 33].map((b) => device.transport.negotiated(b))).toEqual([false, true, false, true, false]);
  });

  it.each([
    ["a bit that was not offered", bits(1, 32)],
    ["a high bit that was not offered", bits(34, 32)],
    ["no VERSION_1", bits(0)],
  ])("refuses FEATURES_OK for %s", (_name, features) => {
    d.w(R.Status, BASE);
    d.writeFeatures(features);
    d.w(R.Status, BASE | Status.FEATURES_OK);
    expect(d.status).toBe(BASE);
  });

  it("refuses a driver that does not take ACCESS_PLATFORM", () => {
    const p = new Driver(device, { accessPlatform: true });
    expect(p.negotiate()).toBe(false);
    expect(p.negotiate(bits(Feature.ACCESS_PLATFORM))).toBe(true);
  });

  it("does not let features change after FEATURES_OK", () => {
    d.negotiate(bits(0));
    d.writeFeatures(bits(2, 32));
    expect(device.transport.negotiated(2)).toBe(false);
    expect(device.transport.negotiated(0)).toBe(true);
  });
});

describe("status", () => {
  it("does not clear bits but by reset", () => {
    d.w(R.Status, BASE);
    d.w(R.Status, Status.ACKNOWLEDGE);
    expect(d.status).toBe(BASE);
    d.w(R.Status, 0);
    expect(d.status).toBe(0);
    expect(device.resets).toBe(1);
  });

  it("does not run without FEATURES_OK", () => {
    d.w(R.Status, BASE | Status.DRIVER_OK);
    expect(d.status).toBe(BASE);
  });

  it("does not let the driver set NEEDS_RESET", () => {
    d.w(R.Status, Status.NEEDS_RESET | 1);
    expect(d.status).toBe(1);
  });

  it("stops after FAILED", () => {
    d.start(0, 2);
    d.w(R.Status, Status.FAILED);
    device.notified = [];
    d.kick(0);
    expect(device.notified).toEqual([]);
  });

  it("resets queues, features and interrupts", () => {
    d.start(bits(0), 2);
    device.transport.configChanged();
    expect(d.line.level).toBe(true);
    d.w(R.Status, 0);
    expect(d.line.level).toBe(false);
    expect(d.r(R.InterruptStatus)).toBe(0);
    d.w(R.QueueSel, 0);
    expect(d.r(R.QueueReady)).toBe(0);
    expect(device.transport.negotiated(0)).toBe(false);
    expect(device.transport.queue(0)).toBeUndefined();
  });
});

describe("queues", () => {
  it("shows the maximum of each, 0 for none", () => {
    const max = [0, 1, 2, 0xffff_ffff].map((q) => {
      d.w(R.QueueSel, q);
      return d.r(R.QueueNumMax);
    });
    expect(max).toEqual([8, 16, 0, 0]);
  });

  it("notifies the device of a ready queue after DRIVER_OK", () => {
    d.start(0, 1);
    device.notified = [];
    d.kick(0);
    expect(device.notified).toEqual([0]);
  });

  it("catches up at DRIVER_OK with what was notified too early", () => {
    d.negotiate();
    d.addSplit(1, 4);
    d.kick(1);
    expect(device.notified).toEqual([]);
    d.driverOk();
    expect(device.notified).toEqual([1]);
  });

  it.each([1, 2, 0xffff_ffff, 0x1_0000])("ignores a notification of queue %i that is not ready", (q) => {
    d.start(0, 1);
    device.notified = [];
    d.kick(q);
    expect(device.notified).toEqual([]);
    expect(d.needsReset).toBe(false);
  });

  it("ignores registers of a queue that does not exist", () => {
    d.negotiate();
    d.setQueue(7, 8, 0, 0, 0);
    expect(d.r(R.QueueReady)).toBe(0);
    expect(d.needsReset).toBe(false);
  });

  it.each([
    ["size 0", 0, 0x4000_1000, 0x4000_2000, 0x4000_3000],
    ["a size that is no power of two", 6, 0x4000_1000, 0x4000_2000, 0x4000_3000],
    ["a size above the maximum", 16, 0x4000_1000, 0x4000_2000, 0x4000_3000],
    ["a huge size", 0xffff_ffff, 0x4000_1000, 0x4000_2000, 0x4000_3000],
    ["a misaligned descriptor table", 8, 0x4000_1008, 0x4000_2000, 0x4000_3000],
    ["a misaligned available ring", 8, 0x4000_1000, 0x4000_2001, 0x4000_3000],
    ["a misaligned used ring", 8, 0x4000_1000, 0x4000_2000, 0x4000_3002],
  ])("needs reset after %s", (_name, size, desc, driver, dev) => {
    d.negotiate();
    d.setQueue(0, size, desc, driver, dev);
    expect(d.needsReset).toBe(true);
    expect(d.r(R.QueueReady)).toBe(0);
    expect(d.logs).toHaveLength(1);
    d.w(R.Status, 0);
    d.start();
    expect(d.needsReset).toBe(false);
  });

  it("needs reset when a queue is made ready before the features are settled", () => {
    d.w(R.Status, BASE);
    d.setQueue(0, 8, 0x4000_1000, 0x4000_2000, 0x4000_3000);
    expect(d.needsReset).toBe(true);
  });

  it("ignores writes to the registers of a ready queue", () => {
    d.start();
    const q = d.split();
    d.w(R.QueueDescLow, 0x5000_0000);
    d.w(R.QueueNum, 3);
    q.add(BUFFER(d.mem.alloc(16)));
    expect(device.transport.queue(0)?.pop()).toMatchObject({ id: 0, writable: [{ len: 16 }] });
  });

  it("starts a queue anew after QueueReady 0", () => {
    d.start();
    d.split().add(BUFFER(d.mem.alloc(16)));
    device.transport.queue(0)?.pop();
    d.w(R.QueueSel, 0);
    d.w(R.QueueReady, 0);
    expect(d.r(R.QueueReady)).toBe(0);
    expect(device.transport.queue(0)).toBeUndefined();
    const q = d.addSplit(0, 4);
    q.add(BUFFER(d.mem.alloc(16)));
    expect(device.transport.queue(0)?.pop()?.id).toBe(0);
  });

  it("resets one queue through QueueReset when RING_RESET was negotiated", () => {
    d.start(bits(Feature.RING_RESET), 2);
    d.w(R.QueueSel, 1);
    d.w(R.QueueReset, 1);
    expect(d.r(R.QueueReset)).toBe(0);
    expect(d.r(R.QueueReady)).toBe(0);
    expect(device.transport.queue(0)).toBeDefined();
    d.addSplit(1, 8);
    expect(device.transport.queue(1)).toBeDefined();
  });

  it("ignores QueueReset otherwise", () => {
    d.start(0, 2);
    d.w(R.QueueReset, 1);
    expect(d.r(R.QueueReady)).toBe(1);
  });
});

describe("interrupts", () => {
  it("signals used buffers until acknowledged, bit by bit", () => {
    d.start();
    d.split().add(BUFFER(d.mem.alloc(16)));
    const q = device.transport.queue(0);
    const chain = q?.pop();
    if (chain) q?.push(chain, 4);
    expect(d.line.level).toBe(false);
    device.transport.flush(0);
    device.transport.configChanged();
    expect(d.r(R.InterruptStatus)).toBe(3);
    d.w(R.InterruptACK, 1);
    expect(d.line.level).toBe(true);
    d.w(R.InterruptACK, 2);
    expect(d.line.level).toBe(false);
    expect(d.line.edges).toBe(1);
    device.transport.flush(0);
    expect(d.line.level).toBe(false);
  });

  it("reports NEEDS_RESET to a running driver, and stops", () => {
    d.start();
    device.transport.fail("test");
    device.transport.fail("again");
    expect(d.needsReset).toBe(true);
    expect(d.ack()).toBe(2);
    expect(device.transport.queue(0)).toBeUndefined();
    expect(d.logs).toEqual(["virtio-mmio (probe): test; the device needs reset"]);
  });
});

describe("configuration space", () => {
  const cfg = (o: number, size: 1 | 2 | 4): number => d.mmio.read(R.Config + o, size);

  it("reads fields at every width, little-endian", () => {
    expect(cfg(0, 4)).toBe(0x0304_0506);
    expect(cfg(4, 4)).toBe(0x0102);
    expect(cfg(4, 2)).toBe(0x0102);
    expect(cfg(5, 1)).toBe(0x01);
    expect(cfg(8, 4)).toBe(0x1234_ee07);
  });

  it("reads all ones past the end, and where an access crosses it", () => {
    expect(cfg(12, 1)).toBe(0xff);
    expect(cfg(10, 4)).toBe(0xffff_ffff);
    expect(cfg(0xfc, 2)).toBe(0xffff);
  });

  it("writes writable fields only, and keeps the bytes of a field that are not written", () => {
    d.mmio.write(R.Config + 8, 4, 0xaabb_ccdd);
    expect([device.byte, device.half]).toEqual([0xdd, 0xaabb]);
    expect(cfg(9, 1)).toBe(0xee);
    d.mmio.write(R.Config + 11, 1, 0x11);
    expect(device.half).toBe(0x11bb);
    d.mmio.write(R.Config, 4, 0);
    expect(device.wide).toBe(0x0102_0304_0506);
    d.mmio.write(R.Config + 0x80, 4, 0xffff_ffff);
    d.mmio.write(R.Config + 10, 4, 0);
    expect(device.half).toBe(0x11bb);
  });

  it("changes generation and interrupts a running driver", () => {
    const before = d.r(R.ConfigGeneration);
    device.transport.configChanged();
    expect(d.r(R.ConfigGeneration)).toBe(before + 1);
    expect(d.line.level).toBe(false);
    d.start();
    device.transport.configChanged();
    expect(d.line.level).toBe(true);
  });
});

describe("legacy transport (version 1)", () => {
  const PAGE = 4096;

  beforeEach(() => {
    d = new Driver(device, { version: 1, packed: true });
  });

  /** Sets queue 0 up as the legacy layout says; returns the driver's side of it. */
  function legacyQueue(size: number): SplitQueue {
    const base = d.mem.alloc(2 * PAGE, PAGE);
    const avail = base + 16 * size;
    const q = new SplitQueue(d.mem, 0, size, { desc: base, avail, used: base + PAGE });
    d.w(R.Status, BASE);
    d.w(R.GuestPageSize, PAGE);
    d.w(R.QueueSel, 0);
    d.w(R.QueueNum, size);
    d.w(R.QueueAlign, PAGE);
    d.w(R.QueuePFN, base / PAGE);
    return q;
  }

  it("shows version 1 and the low feature word only", () => {
    expect(d.r(R.Version)).toBe(1);
    expect(d.offered()).toBe(bits(0, 2, 28, 29));
  });

  it("finds the rings in the pages at QueuePFN, and may be used before DRIVER_OK", () => {
    const q = legacyQueue(8);
    q.add(BUFFER(d.mem.alloc(16)));
    d.kick(0);
    expect(device.notified).toEqual([0]);
    const ring = device.transport.queue(0);
    const chain = ring?.pop();
    if (chain) ring?.push(chain, 5);
    expect(q.collect()).toEqual([{ id: 0, len: 5 }]);
    expect(d.r(R.QueuePFN)).not.toBe(0);
  });

  it("drops a queue at QueuePFN 0", () => {
    legacyQueue(8);
    d.w(R.QueuePFN, 0);
    expect(device.transport.queue(0)).toBeUndefined();
    expect(d.r(R.QueuePFN)).toBe(0);
  });

  it("masks features that were not offered, and fixes them once a queue is used", () => {
    d.w(R.DriverFeaturesSel, 0);
    d.w(R.DriverFeatures, 0xf);
    expect([0, 1, 2, 3].map((b) => device.transport.negotiated(b))).toEqual([true, false, true, false]);
    legacyQueue(8);
    d.w(R.DriverFeatures, 0);
    expect(device.transport.negotiated(0)).toBe(true);
  });

  it.each([
    ["alignment 0", 0, PAGE],
    ["an alignment that is no power of two", 24, PAGE],
    ["no page size", PAGE, 0],
  ])("needs reset after %s", (_name, align, page) => {
    d.w(R.Status, BASE);
    d.w(R.GuestPageSize, page);
    d.w(R.QueueAlign, align);
    d.w(R.QueuePFN, 0x4_0001);
    expect(d.needsReset).toBe(true);
  });

  it("does not know the modern registers", () => {
    d.w(R.Status, BASE);
    d.w(R.QueueReady, 1);
    expect([R.QueueReady, R.ConfigGeneration, R.SHMLenLow].map((o) => d.r(o))).toEqual([0, 0, 0]);
  });

  it("is restored with its queue", () => {
    const q = legacyQueue(8);
    const saved = structuredClone(d.mmio.save());
    const other = new ProbeDevice();
    const copy = new Driver(other, { version: 1, mem: d.mem });
    copy.mmio.restore(saved);
    q.add(BUFFER(d.mem.alloc(16)));
    expect(other.transport.queue(0)?.pop()?.id).toBe(0);
    expect(() => new Driver(other).mmio.restore(saved)).toThrow(/version/);
  });
});
