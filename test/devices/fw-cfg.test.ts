import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { FwCfg, FwCfgKey as Key, le32 } from "../../src/devices/fw-cfg.ts";

const MEMORY = 0x1_0000;
let memory: Uint8Array;
let device: FwCfg;
const dma = {
  read: (pa: number, length: number) => (pa + length <= MEMORY ? memory.slice(pa, pa + length) : undefined),
  write: (pa: number, data: Uint8Array) => {
    if (pa + data.length > MEMORY) return false;
    memory.set(data, pa);
    return true;
  },
};
const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const kernel = Uint8Array.from({ length: 1000 }, (_, i) => i & 0xff);
const make = (): FwCfg =>
  new FwCfg({
    dma,
    items: new Map([
      [Key.NB_CPUS, Uint8Array.of(4, 0)],
      [Key.KERNEL_SIZE, le32(kernel.length)],
      [Key.KERNEL_DATA, kernel],
    ]),
    files: [
      { name: "opt/z", data: text("zebra") },
      { name: "bootorder", data: text("/x\0") },
    ],
  });
beforeEach(() => {
  memory = new Uint8Array(MEMORY).fill(0xee);
  device = make();
});

/** The selector is big-endian: the CPU stores its bytes swapped. */
const select = (key: number): boolean => device.write(8, 2, ((key & 0xff) << 8) | (key >> 8));
const byte = (): number => device.read(0, 1);
const bytes = (n: number): number[] => Array.from({ length: n }, byte);
const swap = (v: number): number => ((v << 24) | ((v & 0xff00) << 8) | ((v >>> 8) & 0xff00) | (v >>> 24)) >>> 0;

/** Writes a DMA block at `at` and starts it, as edk2 does. Answers the control word afterwards. */
function request(control: number, length: number, address: number, at = 0x100): number {
  const view = new DataView(memory.buffer);
  view.setUint32(at, control);
  view.setUint32(at + 4, length);
  view.setBigUint64(at + 8, BigInt(address));
  device.write(16, 4, 0);
  device.write(20, 4, swap(at));
  return view.getUint32(at);
}
const READ = 2;
const SKIP = 4;
const SELECT = 8;
const WRITE = 16;

describe("the data register", () => {
  it("has signature and features as drivers probe them", () => {
    select(Key.SIGNATURE);
    expect(String.fromCharCode(...bytes(4))).toBe("QEMU");
    select(Key.ID);
    expect(device.read(0, 4)).toBe(3);
    expect([device.read(16, 4), device.read(20, 4)]).toEqual([0x554d_4551, 0x4746_4320]); // "QEMU CFG"
  });

  it("gives bytes in memory order at every width, and zeros behind the end", () => {
    select(Key.KERNEL_DATA);
    expect([byte(), device.read(0, 2), device.read(0, 4), device.read(4, 4)]).toEqual([0, 0x0201, 0x0605_0403, 0x0a09_0807]);
    select(Key.NB_CPUS);
    expect(bytes(4)).toEqual([4, 0, 0, 0]);
    select(0x7777);
    expect(bytes(2)).toEqual([0, 0]);
  });

  it("starts again when an item is selected, with or without the old write flag", () => {
    select(Key.SIGNATURE);
    bytes(2);
    select(Key.SIGNATURE | 0x4000);
    expect(byte()).toBe("Q".charCodeAt(0));
  });

  it("reads a large item when it is asked for, once", () => {
    let reads = 0;
    const read = (): Uint8Array => {
      reads++;
      return kernel;
    };
    const make = (): FwCfg => new FwCfg({ dma, items: new Map([[Key.KERNEL_DATA, { length: kernel.length, read }]]) });
    device = make();
    const saved = device.save();
    select(Key.SIGNATURE);
    byte();
    select(Key.KERNEL_DATA);
    expect(reads).toBe(0);
    expect(bytes(3)).toEqual([0, 1, 2]);
    select(Key.KERNEL_DATA);
    expect(bytes(1001).slice(998)).toEqual([998 & 0xff, 999 & 0xff, 0]);
    expect(reads).toBe(1);
    device.restore(saved);
    make().restore(device.save());
  });
  it("ignores writes to data and reads of the selector", () => {
    select(Key.SIGNATURE);
    expect(device.write(0, 4, 5)).toBe(true);
    expect(device.read(8, 2)).toBe(0);
    expect(byte()).toBe("Q".charCodeAt(0));
  });
});

it("has a sorted directory of files", () => {
  select(Key.FILE_DIR);
  const dir = new DataView(Uint8Array.from(bytes(4 + 2 * 64)).buffer);
  expect(dir.getUint32(0)).toBe(2);
  const entry = (i: number) => {
    const at = 4 + 64 * i;
    const name = Array.from({ length: 56 }, (_, n) => dir.getUint8(at + 8 + n)).filter((c) => c !== 0);
    return [dir.getUint32(at), dir.getUint16(at + 4), dir.getUint16(at + 6), String.fromCharCode(...name)];
  };
  expect([entry(0), entry(1)]).toEqual([
    [3, 0x20, 0, "bootorder"],
    [5, 0x21, 0, "opt/z"],
  ]);
  select(0x21);
  expect(String.fromCharCode(...bytes(5))).toBe("zebra");
});

describe("DMA", () => {
  it("selects and reads into memory", () => {
    expect(request((Key.KERNEL_DATA << 16) | SELECT | READ, 600, 0x1000)).toBe(0);
    expect(memory.slice(0x1000, 0x1000 + 600)).toEqual(kernel.slice(0, 600));
    expect(memory[0x1000 + 600]).toBe(0xee);
    expect(request(READ, 500, 0x2000)).toBe(0); // goes on; past the end: zeros
    expect(memory.slice(0x2000, 0x2000 + 500)).toEqual(Uint8Array.from([...kernel.slice(600), ...new Array(100).fill(0)]));
  });

  it("skips", () => {
    request((Key.KERNEL_DATA << 16) | SELECT | SKIP, 5, 0);
    expect(byte()).toBe(5);
    request(SKIP, 0xffff_ffff, 0);
    expect(byte()).toBe(0);
  });

  it("starts also by one 64-bit store, which comes in two halves", () => {
    request((Key.SIGNATURE << 16) | SELECT, 0, 0, 0x200);
    expect(byte()).toBe("Q".charCodeAt(0));
  });

  it("refuses to write items, and memory that is not there", () => {
    expect(request((Key.SIGNATURE << 16) | SELECT | WRITE, 4, 0x1000)).toBe(1);
    expect(request((Key.KERNEL_DATA << 16) | SELECT | READ, 100, MEMORY - 50)).toBe(1);
    expect(request((Key.KERNEL_DATA << 16) | SELECT | READ, 100, 2 ** 63)).toBe(1);
    expect(request((Key.SIGNATURE << 16) | SELECT | READ | WRITE, 4, 0x1000)).toBe(0); // reading goes first
  });

  it("does nothing when its block is nowhere", () => {
    const before = memory.slice();
    device.write(16, 4, 0xffff_ffff);
    device.write(20, 4, 0xffff_ffff);
    expect(memory).toEqual(before);
  });

  it("ends a transfer that the memory ends", () => {
    expect(request((Key.KERNEL_DATA << 16) | SELECT | READ, 0xffff_ffff, 0)).toBe(1);
  });
});

describe("state", () => {
  it("goes on where it was", () => {
    select(Key.KERNEL_DATA);
    bytes(7);
    const other = make();
    other.restore(device.save());
    expect(other.read(0, 1)).toBe(7);
  });
  it("is that of a machine with the same items", () => {
    const other = new FwCfg({ dma, items: new Map() });
    expect(() => other.restore(device.save())).toThrow(expect.objectContaining({ code: "snapshot-mismatch" }));
    expect(() => device.restore({})).toThrow(expect.objectContaining({ code: "snapshot-corrupt" }));
  });
});

describe("files", () => {
  it.each(["", "x".repeat(56), "with space", "opt/ümlaut"])('are refused when called "%s"', (name) => {
    expect(() => new FwCfg({ dma, items: new Map(), files: [{ name, data: text("") }] })).toThrow(
      expect.objectContaining({ code: "fw-cfg-name" }),
    );
  });
  it("have different names", () => {
    const file = { name: "opt/a", data: text("") };
    expect(() => new FwCfg({ dma, items: new Map(), files: [file, file] })).toThrow(expect.objectContaining({ code: "fw-cfg-name" }));
  });
});

it("survives any accesses", () => {
  const size = fc.constantFrom(1 as const, 2 as const, 4 as const);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(5), size, fc.integer({ min: 0, max: 0xffff_ffff })), { maxLength: 50 }), (accesses) => {
      for (const [at, width, value] of accesses) {
        expect(device.write(at * 4, width, value)).toBe(true);
        const seen = device.read(at * 4, width);
        expect(seen >= 0 && seen < 2 ** (8 * width)).toBe(true);
      }
    }),
  );
});
