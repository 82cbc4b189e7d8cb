// The rules of both ring formats, kept and broken, seen through the entropy device: it uses every buffer at once.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Feature, SeededEntropy, VirtioRng } from "../../../src/devices/virtio/index.ts";
import { bits, type Desc, Driver, type DriverOptions, F, NOWHERE, RAM_BASE, RAM_SIZE } from "./driver.ts";

const SPLIT = 0;
const PACKED = bits(Feature.RING_PACKED);
const EVENT = bits(Feature.EVENT_IDX);
const INDIRECT = bits(Feature.INDIRECT_DESC);

function started(features: number, size = 8, options: DriverOptions = {}): Driver {
  return new Driver(new VirtioRng({ entropy: new SeededEntropy(1) }), { packed: true, ...options }).start(features, 1, size);
}
const buffer = (d: Driver, len = 16): Desc => ({ addr: d.mem.alloc(len), len, flags: F.WRITE });
/** An indirect table; in the packed format flags and id change places. */
const table = (d: Driver, list: Desc[], format = SPLIT): Desc => {
  const [flagsAt, nextAt] = format === SPLIT ? [12, 14] : [14, 12];
  const at = d.mem.alloc(16 * list.length);
  for (const [i, e] of list.entries()) {
    d.mem.put64(at + 16 * i, e.addr);
    d.mem.put32(at + 16 * i + 8, e.len);
    d.mem.put16(at + 16 * i + flagsAt, e.flags);
    d.mem.put16(at + 16 * i + nextAt, e.next ?? 0);
  }
  return { addr: at, len: 16 * list.length, flags: F.INDIRECT };
};

describe.each([
  ["split", SPLIT],
  ["packed", PACKED],
])("%s ring", (_name, format) => {
  it("returns buffers in order with the written length, many times around", () => {
    const d = started(format);
    for (let round = 0; round < 40; round++) {
      const ids = [1, 2, 3].map((n) => d.queues[0]?.add([buffer(d, 8 * n)]));
      d.kick();
      expect(d.queues[0]?.collect()).toEqual(ids.map((id, i) => ({ id, len: 8 * (i + 1) })));
      expect(d.ack()).toBe(1);
    }
  });

  it("gathers a chain of several descriptors", () => {
    const d = started(format);
    const parts = [buffer(d, 4), buffer(d, 12), buffer(d, 1)];
    d.queues[0]?.add(parts);
    d.kick();
    expect(d.queues[0]?.collect()).toEqual([{ id: 0, len: 17 }]);
    for (const p of parts) expect(d.mem.read(p.addr, p.len)?.some((b) => b !== 0)).toBe(true);
  });

  it("uses a chain that fills the queue and wraps", () => {
    const d = started(format);
    d.queues[0]?.add([buffer(d), buffer(d), buffer(d)]);
    d.kick();
    d.queues[0]?.collect();
    d.queues[0]?.add(Array.from({ length: 8 }, () => buffer(d)));
    d.kick();
    expect(d.queues[0]?.collect()).toHaveLength(1);
    expect(d.needsReset).toBe(false);
  });

  it("follows an indirect table", () => {
    const d = started(format + INDIRECT);
    const next = format === SPLIT ? F.NEXT : 0;
    const list = [1, 2, 3].map((n) => ({ ...buffer(d, n), flags: F.WRITE | (n < 3 ? next : 0), next: n }));
    const id = d.queues[0]?.add([table(d, list, format)]);
    d.kick();
    expect(d.queues[0]?.collect()).toEqual([{ id, len: 6 }]);
  });

  it("takes zero-length descriptors between others", () => {
    const d = started(format);
    d.queues[0]?.add([buffer(d, 4), { addr: NOWHERE, len: 0, flags: F.WRITE }, buffer(d, 4)]);
    d.kick();
    expect(d.queues[0]?.collect()).toEqual([{ id: 0, len: 8 }]);
  });

  it("does nothing when notified without a buffer", () => {
    const d = started(format);
    d.kick();
    expect(d.needsReset).toBe(false);
    expect(d.line.level).toBe(false);
  });

  it("fills at most 64 KiB of a huge buffer", () => {
    const d = started(format);
    d.queues[0]?.add([{ addr: RAM_BASE + RAM_SIZE / 2, len: RAM_SIZE / 2, flags: F.WRITE }]);
    d.kick();
    expect(d.queues[0]?.collect()).toEqual([{ id: 0, len: 0x1_0000 }]);
  });

  const breaks: [string, number, (d: Driver) => Desc[]][] = [
    ["a buffer outside memory", 0, () => [{ addr: NOWHERE, len: 16, flags: F.WRITE }]],
    ["a buffer that runs out of memory", 0, () => [{ addr: RAM_BASE + RAM_SIZE - 8, len: 16, flags: F.WRITE }]],
    ["a buffer at the top of the 64-bit space", 0, () => [{ addr: 2 ** 64 - 4096, len: 0xffff_ffff, flags: F.WRITE }]],
    ["a buffer just past the physical address space", 0, () => [{ addr: 2 ** 52 - 8, len: 16, flags: F.WRITE }]],
    ["a chain without a writable part", 0, (d) => [{ ...buffer(d), flags: 0 }]],
    ["only zero-length buffers", 0, () => [{ addr: 0, len: 0, flags: F.WRITE }]],
    ["a readable descriptor after a writable one", 0, (d) => [buffer(d), { ...buffer(d), flags: 0 }]],
    ["an indirect descriptor that was not negotiated", 0, (d) => [table(d, [buffer(d)])]],
    ["an empty indirect table", INDIRECT, (d) => [{ addr: d.mem.alloc(16), len: 0, flags: F.INDIRECT }]],
    ["an indirect table of a broken length", INDIRECT, (d) => [{ ...table(d, [buffer(d)]), len: 15 }]],
    ["an indirect table outside memory", INDIRECT, () => [{ addr: NOWHERE, len: 16, flags: F.INDIRECT }]],
    ["a gigantic indirect table", INDIRECT, () => [{ addr: RAM_BASE, len: 0xffff_fff0, flags: F.INDIRECT }]],
    ["an indirect descriptor with NEXT", INDIRECT, (d) => [table(d, [buffer(d)]), buffer(d)]],
  ];
  it.each(breaks)("needs reset after %s", (_what, features, chain) => {
    const d = started(format + features);
    d.queues[0]?.add(chain(d));
    d.kick();
    expect(d.needsReset).toBe(true);
    expect(d.ack()).toBe(2);
    expect(d.queues[0]?.collect()).toEqual([]);
    expect(d.logs).toHaveLength(1);
    expect(d.mem.longest).toBeLessThanOrEqual(0x1_0000);
    expect(d.mem.highest).toBeLessThanOrEqual(2 ** 52);
    d.kick();
    d.start(format).queues[0]?.add([buffer(d)]);
    d.kick();
    expect(d.queues[0]?.collect()).toHaveLength(1);
  });

  it("continues after save and restore between two buffers", () => {
    const d = started(format + EVENT);
    for (let i = 0; i < 5; i++) {
      d.queues[0]?.add([buffer(d), buffer(d)]);
      d.kick();
      expect(d.queues[0]?.collect()).toHaveLength(1);
    }
    d.queues[0]?.add([buffer(d)]);
    const copy = new Driver(new VirtioRng({ entropy: new SeededEntropy(99) }), { packed: true, mem: d.mem });
    copy.mmio.restore(structuredClone(d.mmio.save()));
    expect(copy.line.level).toBe(d.line.level);
    copy.kick();
    expect(d.queues[0]?.collect()).toEqual([{ id: expect.any(Number), len: 16 }]);
    expect(copy.needsReset).toBe(false);
  });
});

describe("split ring rules", () => {
  it("needs reset when the available index runs ahead of the queue size", () => {
    const d = started(SPLIT);
    d.split().setIdx(9);
    d.kick();
    expect(d.needsReset).toBe(true);
  });

  it("needs reset when the available index goes back", () => {
    const d = started(SPLIT);
    d.split().add([buffer(d)]);
    d.kick();
    d.split().setIdx(0);
    d.kick();
    expect(d.needsReset).toBe(true);
  });

  it.each([8, 0xffff])("needs reset after head index %i", (head) => {
    const d = started(SPLIT);
    d.split().offer(head);
    d.kick();
    expect(d.needsReset).toBe(true);
    expect(d.logs[0]).toContain("is not below the queue size");
  });

  it("needs reset after a next index outside the queue", () => {
    const d = started(SPLIT);
    d.split().put(0, { ...buffer(d), flags: F.WRITE | F.NEXT, next: 8 });
    d.split().offer(0);
    d.kick();
    expect(d.needsReset).toBe(true);
    expect(d.logs[0]).toContain("is not below the queue size");
  });

  it.each([
    ["itself", 0],
    ["an earlier one", 1],
  ])("needs reset when a descriptor points to %s", (_name, from) => {
    const d = started(SPLIT);
    d.split().put(0, { ...buffer(d), flags: F.WRITE | F.NEXT, next: from });
    d.split().put(1, { ...buffer(d), flags: F.WRITE | F.NEXT, next: 0 });
    d.split().offer(0);
    d.kick();
    expect(d.needsReset).toBe(true);
  });

  const inTable: [string, (d: Driver) => Desc[]][] = [
    ["a nested table", (d) => [{ ...buffer(d), flags: F.INDIRECT }]],
    ["a loop", (d) => [{ ...buffer(d), flags: F.WRITE | F.NEXT, next: 0 }]],
    ["a next index outside it", (d) => [{ ...buffer(d), flags: F.WRITE | F.NEXT, next: 1 }]],
    [
      "readable after writable",
      (d) => [
        { ...buffer(d), flags: F.WRITE | F.NEXT, next: 1 },
        { ...buffer(d), flags: 0 },
      ],
    ],
  ];
  it.each(inTable)("needs reset after an indirect table with %s", (_name, list) => {
    const d = started(INDIRECT);
    d.split().add([table(d, list(d))]);
    d.kick();
    expect(d.needsReset).toBe(true);
  });

  it("takes an indirect table as the end of a chain", () => {
    const d = started(INDIRECT);
    d.split().put(0, { ...buffer(d, 3), flags: F.WRITE | F.NEXT, next: 1 });
    d.split().put(1, table(d, [buffer(d, 4)]));
    d.split().offer(0);
    d.kick();
    expect(d.split().collect()).toEqual([{ id: 0, len: 7 }]);
  });

  it.each([
    ["descriptor table", 0],
    ["available ring", 1],
    ["used ring", 2],
  ])("needs reset when the %s is not in memory", (_name, which) => {
    const d = new Driver(new VirtioRng({ entropy: new SeededEntropy(1) }));
    d.negotiate();
    const areas = [d.mem.alloc(256), d.mem.alloc(256), d.mem.alloc(256)];
    d.mem.put16((areas[1] as number) + 2, 1);
    areas[which] = NOWHERE;
    const [desc, avail, used] = areas as [number, number, number];
    if (which !== 0) {
      d.mem.put64(desc, d.mem.alloc(16));
      d.mem.put32(desc + 8, 16);
      d.mem.put16(desc + 12, F.WRITE);
    }
    d.setQueue(0, 8, desc, avail, used);
    d.driverOk();
    expect(d.needsReset).toBe(true);
  });

  it("interrupts unless NO_INTERRUPT is set", () => {
    const d = started(SPLIT);
    d.split().setFlags(1);
    d.split().add([buffer(d)]);
    d.kick();
    expect(d.line.level).toBe(false);
    d.split().setFlags(0);
    d.split().add([buffer(d)]);
    d.kick();
    expect(d.line.level).toBe(true);
  });

  it("with EVENT_IDX, asks to be notified of the next buffer", () => {
    const d = started(EVENT);
    d.split().add([buffer(d)]);
    d.split().add([buffer(d)]);
    d.kick();
    expect(d.split().availEvent).toBe(2);
  });

  it("with EVENT_IDX, interrupts exactly when used_event is passed, at any index", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 30 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: -10, max: 40 }),
        (before, batch, event) => {
          const d = started(EVENT);
          const q = d.split();
          for (let i = 0; i < before; i++) {
            q.add([buffer(d)]);
            d.kick();
          }
          d.ack();
          q.setUsedEvent(event);
          for (let i = 0; i < batch; i++) q.add([buffer(d)]);
          d.kick();
          expect(d.line.level).toBe(event >= before && event < before + batch);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("ignores NO_INTERRUPT with EVENT_IDX", () => {
    const d = started(EVENT);
    d.split().setFlags(1);
    d.split().add([buffer(d)]);
    d.kick();
    expect(d.line.level).toBe(true);
  });

  it("does not go on for ever when a buffer lies over the available index", () => {
    let calls = 0;
    // Each "random" fill makes one more buffer available: flags 0, idx calls + 1, ring entries 0.
    const entropy = (n: number): Uint8Array => {
      if (++calls > 100) throw new Error("endless");
      const bytes = new Uint8Array(n);
      bytes[2] = calls + 1;
      return bytes;
    };
    const d = new Driver(new VirtioRng({ entropy })).start();
    const q = d.split();
    q.put(0, { addr: q.avail, len: 4 + 2 * 8, flags: F.WRITE });
    q.offer(0);
    d.kick();
    expect(calls).toBe(1);
    d.kick();
    expect(calls).toBe(2);
    expect(d.needsReset).toBe(false);
  });
});

describe("packed ring rules", () => {
  it("does not go on for ever when a buffer lies over the ring", () => {
    let calls = 0;
    let wrap = 0x80;
    const d = new Driver(
      new VirtioRng({
        entropy: () => {
          if (++calls > 100) throw new Error("endless");
          // Makes every slot available for the lap in which it is looked at next.
          if (calls % 4 === 0) wrap ^= 0x8080;
          const bytes = new Uint8Array(64);
          for (let i = 0; i < 4; i++) bytes.set(slot(calls % 4 <= i ? wrap : wrap ^ 0x8080), 16 * i);
          return bytes;
        },
      }),
      { packed: true },
    ).start(PACKED, 1, 4);
    const q = d.packed();
    const slot = (flags: number): Uint8Array => {
      const b = new Uint8Array(16);
      const v = new DataView(b.buffer);
      v.setUint32(0, q.desc, true);
      v.setUint32(8, 64, true);
      v.setUint16(14, flags | F.WRITE, true);
      return b;
    };
    for (let i = 0; i < 4; i++) q.put(i, { addr: q.desc, len: 64, flags: F.WRITE | wrap });
    d.kick();
    expect(calls).toBeGreaterThan(1);
    expect(calls).toBeLessThanOrEqual(4);
  });

  it("needs reset after a chain longer than the queue", () => {
    const d = started(PACKED);
    for (let i = 0; i < 8; i++) d.packed().put(i, { ...buffer(d), flags: F.WRITE | F.NEXT | 0x80 });
    d.kick();
    expect(d.needsReset).toBe(true);
  });

  it("does not take a slot of the wrong wrap counter", () => {
    const d = started(PACKED);
    d.packed().put(0, { ...buffer(d), flags: F.WRITE | 0x8000 });
    d.kick();
    expect(d.packed().collect()).toEqual([]);
    expect(d.needsReset).toBe(false);
  });

  it("does not take a slot that is marked used", () => {
    const d = started(PACKED);
    d.packed().put(0, { ...buffer(d), flags: F.WRITE | 0x8080 });
    d.kick();
    expect(d.line.level).toBe(false);
  });

  it("needs reset when an indirect table is linked behind a descriptor", () => {
    const d = started(PACKED + INDIRECT);
    d.packed().add([buffer(d), table(d, [buffer(d)], PACKED)]);
    d.kick();
    expect(d.needsReset).toBe(true);
  });

  it("needs reset when the device area is not in memory", () => {
    const d = new Driver(new VirtioRng({ entropy: new SeededEntropy(1) }), { packed: true });
    d.negotiate(PACKED);
    d.setQueue(0, 8, d.mem.alloc(128), d.mem.alloc(4), NOWHERE);
    expect(d.needsReset).toBe(true);
  });

  it("works with a size that is no power of two", () => {
    const d = started(PACKED, 5);
    for (let i = 0; i < 30; i++) {
      d.packed().add([buffer(d), buffer(d)]);
      d.kick();
      expect(d.packed().collect()).toHaveLength(1);
    }
  });

  it("initialises the device area to notify for every buffer", () => {
    const d = new Driver(new VirtioRng({ entropy: new SeededEntropy(1) }), { packed: true });
    d.negotiate(PACKED);
    const area = d.mem.alloc(4);
    d.mem.put32(area, 0xffff_ffff);
    d.setQueue(0, 8, d.mem.alloc(128), d.mem.alloc(4), area);
    expect(d.mem.get32(area)).toBe(0);
  });

  it.each([
    ["enabled", 0, true],
    ["disabled", 1, false],
  ])("interrupts when %s", (_name, flags, expected) => {
    const d = started(PACKED);
    d.mem.put16(d.packed().driver + 2, flags);
    d.packed().add([buffer(d)]);
    d.kick();
    expect(d.line.level).toBe(expected);
  });

  it("with EVENT_IDX, interrupts exactly when the wanted slot is passed", () => {
    const size = fc.integer({ min: 2, max: 8 });
    fc.assert(
      fc.property(size, fc.integer({ min: 0, max: 20 }), fc.nat(), fc.nat(), (n, before, batchSeed, eventSeed) => {
        const batch = 1 + (batchSeed % n);
        const event = before + (eventSeed % n); // a slot of the lap ahead
        const d = started(PACKED + EVENT, n);
        const q = d.packed();
        for (let i = 0; i < before; i++) {
          q.add([buffer(d)]);
          d.kick();
        }
        d.ack();
        const wrap = Math.floor(event / n) % 2 === 0 ? 0x8000 : 0;
        d.mem.put16(q.driver, (event % n) | wrap);
        d.mem.put16(q.driver + 2, 2);
        for (let i = 0; i < batch; i++) q.add([buffer(d)]);
        d.kick();
        expect(d.line.level).toBe(event < before + batch);
      }),
      { numRuns: 200 },
    );
  });
});
