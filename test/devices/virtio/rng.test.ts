import { describe, expect, it } from "vitest";
import { DeviceId, MmioReg as R, SeededEntropy, VirtioRng } from "../../../src/devices/virtio/index.ts";
import { Driver, F } from "./driver.ts";

/** Asks for `len` bytes. */
function ask(d: Driver, len: number): Uint8Array {
  const addr = d.mem.alloc(len);
  d.queues[0]?.add([{ addr, len, flags: F.WRITE }]);
  d.kick();
  expect(d.queues[0]?.collect().map((u) => u.len)).toEqual([len]);
  return d.mem.read(addr, len) ?? new Uint8Array();
}
const rng = (seed: number): Driver => new Driver(new VirtioRng({ entropy: new SeededEntropy(seed) })).start();

describe("virtio entropy device", () => {
  it("is device 4 with one queue and no configuration", () => {
    const d = rng(1);
    expect(d.r(R.DeviceID)).toBe(DeviceId.RNG);
    expect(d.r(R.Config)).toBe(0xffff_ffff);
    d.w(R.QueueSel, 1);
    expect(d.r(R.QueueNumMax)).toBe(0);
  });

  it("repeats itself for equal seeds only", () => {
    const [a, b, c] = [rng(5), rng(5), rng(6)].map((d) => ask(d, 64));
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
  });

  it("does not start over at a reset", () => {
    const d = rng(5);
    const first = ask(d, 32);
    d.start();
    expect(ask(d, 32)).not.toEqual(first);
  });

  it("takes host entropy as a function", () => {
    const d = new Driver(new VirtioRng({ entropy: (n) => new Uint8Array(n).fill(0x77) })).start();
    expect(ask(d, 5)).toEqual(Uint8Array.of(0x77, 0x77, 0x77, 0x77, 0x77));
    d.mmio.restore(d.mmio.save());
  });

  it("continues the same stream after a restore", () => {
    const d = rng(9);
    ask(d, 10);
    const saved = structuredClone(d.mmio.save());
    const copy = new Driver(new VirtioRng({ entropy: new SeededEntropy(0) }), { mem: d.mem });
    copy.mmio.restore(saved);
    copy.queues = d.queues;
    const next = ask(copy, 16);
    const again = new SeededEntropy(9);
    again.bytes(10);
    expect(next).toEqual(again.bytes(16));
  });
});

describe("seeded generator", () => {
  it("agrees with the published xoshiro128** sequence for state 1, 2, 3, 4", () => {
    const g = new SeededEntropy(0);
    g.restore({ state: [1, 2, 3, 4] });
    expect([g.next(), g.next(), g.next(), g.next()]).toEqual([11520, 0, 5927040, 70819200]);
  });

  it("has evenly spread bits for any seed, 0 included", () => {
    for (const seed of [0, 1, -1, 0x7fff_ffff, 123_456_789]) {
      const ones = new SeededEntropy(seed).bytes(8192).reduce((sum, b) => sum + b.toString(2).replaceAll("0", "").length, 0);
      expect(Math.abs(ones - 32768)).toBeLessThan(700);
    }
  });
});
