// A hostile driver: any register traffic, any ring and descriptor contents. Nothing may throw, hang, or ask for much at once.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  MemoryBlockBackend,
  MmioReg as R,
  SeededEntropy,
  Status,
  VirtioBlock,
  VirtioConsole,
  type VirtioDevice,
  VirtioRng,
} from "../../../src/devices/virtio/index.ts";
import { bits, Driver, GuestMemory, NOWHERE, RAM_BASE, RAM_SIZE } from "./driver.ts";

const DEVICES: [string, number, () => VirtioDevice][] = [
  ["block", 1, () => new VirtioBlock({ backend: new MemoryBlockBackend({ sectors: 4096 }), serial: "fuzz" })],
  ["console", 2, () => new VirtioConsole({ sink: { write: () => {} }, size: { cols: 80, rows: 25 } })],
  ["rng", 1, () => new VirtioRng({ entropy: new SeededEntropy(3) })],
];

const word = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.integer({ min: 0, max: 64 }),
  fc.constantFrom(0, 1, RAM_BASE, RAM_BASE + 0x1000, 0xffff_ffff, 0x8000_0000, Status.DRIVER_OK | Status.FEATURES_OK | 3),
);
const size = fc.constantFrom(1 as const, 2 as const, 4 as const, 4 as const);
const access = fc.record({ offset: fc.integer({ min: 0, max: 0x1ff }), size, value: word, write: fc.boolean() });

const addr = fc.oneof(
  fc.integer({ min: RAM_BASE, max: RAM_BASE + RAM_SIZE }),
  fc.integer({ min: RAM_BASE, max: RAM_BASE + 0x4000 }),
  fc.constantFrom(0, NOWHERE, RAM_BASE + RAM_SIZE - 1, 2 ** 52 - 1, 2 ** 63, 2 ** 64 - 2048),
);
const length = fc.oneof(fc.integer({ min: 0, max: 2048 }), fc.constantFrom(1, 16, 512, 0xffff_ffff, 0x10_0000));
const desc = fc.record({
  addr,
  len: length,
  flags: fc.oneof(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 0xffff })),
  next: fc.oneof(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 0xffff })),
});

/** What must hold after anything a driver did. */
function checkSane(d: Driver): void {
  expect(d.mem.longest).toBeLessThanOrEqual(0x1_0000);
  expect(d.mem.highest).toBeLessThanOrEqual(2 ** 52);
  expect(d.line.level).toBe(d.r(R.InterruptStatus) !== 0);
  if (d.needsReset) expect(d.logs.length).toBeGreaterThan(0);
}

/** A restored copy answers like the original. */
function checkCopy(d: Driver, make: () => VirtioDevice, options: object): void {
  const mem = new GuestMemory();
  mem.bytes.set(d.mem.bytes);
  const copy = new Driver(make(), { ...options, mem });
  copy.mmio.restore(structuredClone(d.mmio.save()));
  for (const driver of [d, copy]) {
    driver.kick(0);
    driver.kick(1);
  }
  for (let o = 0; o < 0x200; o += 4) expect(copy.r(o)).toBe(d.r(o));
  expect(Buffer.compare(mem.bytes, d.mem.bytes)).toBe(0);
  expect(copy.line.level).toBe(d.line.level);
}

describe.each(DEVICES)("%s against a hostile driver", (_name, queues, make) => {
  it.each([
    ["version 2", { version: 2, packed: true }],
    ["version 1", { version: 1 }],
  ] as const)("survives any register traffic (%s)", (_version, options) => {
    fc.assert(
      fc.property(
        fc.array(access, { maxLength: 80 }),
        fc.uint8Array({ minLength: 256, maxLength: 256 }),
        fc.boolean(),
        (list, garbage, started) => {
          const d = new Driver(make(), options);
          if (started && options.version === 2) d.start(bits(28, 29), queues, 8);
          for (let at = 0; at < 0x8000; at += 256) d.mem.write(RAM_BASE + at, garbage);
          for (const a of list) {
            const offset = a.offset - (a.offset % a.size);
            if (a.write) expect(d.mmio.write(offset, a.size, a.value)).toBe(true);
            else expect(d.mmio.read(offset, a.size)).toBeGreaterThanOrEqual(0);
            expect(d.line.level).toBe(d.r(R.InterruptStatus) !== 0);
          }
          checkSane(d);
          checkCopy(d, make, options);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("survives any split ring contents", () => {
    const kicks = fc.array(
      fc.record({ table: fc.array(desc, { minLength: 8, maxLength: 8 }), heads: fc.array(fc.nat(9)), idx: fc.nat(12) }),
      {
        maxLength: 6,
      },
    );
    fc.assert(
      fc.property(kicks, fc.boolean(), (list, extras) => {
        const d = new Driver(make()).start(extras ? bits(28, 29) : 0, queues, 8);
        for (const k of list) {
          const q = d.split(queues - 1);
          for (const [i, e] of k.table.entries()) q.put(i, e);
          for (const h of k.heads.slice(0, 8)) q.offer(h);
          if (k.idx > 9) q.setIdx(k.idx);
          d.kick(queues - 1);
          checkSane(d);
          if (d.needsReset) d.start(0, queues, 8);
        }
        checkCopy(d, make, {});
      }),
      { numRuns: 100 },
    );
  });

  it("survives any packed ring contents", () => {
    fc.assert(
      fc.property(fc.array(fc.array(desc, { minLength: 8, maxLength: 8 }), { maxLength: 6 }), fc.boolean(), (list, extras) => {
        const options = { packed: true };
        const d = new Driver(make(), options).start(bits(34) + (extras ? bits(28, 29) : 0), queues, 8);
        for (const table of list) {
          const q = d.packed(queues - 1);
          for (const [i, e] of table.entries()) q.put(i, e);
          d.kick(queues - 1);
          checkSane(d);
          if (d.needsReset) d.start(bits(34), queues, 8);
        }
        checkCopy(d, make, options);
      }),
      { numRuns: 100 },
    );
  });
});
