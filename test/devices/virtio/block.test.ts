import { beforeEach, describe, expect, it } from "vitest";
import { u16, u32, u64 } from "../../../src/devices/virtio/bytes.ts";
import { type BlockBackend, MemoryBlockBackend, MmioReg as R, VirtioBlock } from "../../../src/devices/virtio/index.ts";
import { bits, type Desc, Driver, F, NOWHERE, RAM_BASE } from "./driver.ts";

const OK = 0;
const IOERR = 1;
const UNSUPP = 2;
const Req = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8, DISCARD: 11, WRITE_ZEROES: 13 } as const;
const Blk = { RO: 5, FLUSH: 9, WCE: 11, DISCARD: 13, WRITE_ZEROES: 14 } as const;
const SECTORS = 1000;

/** A backend that counts flushes and fails on demand. */
class TestBackend extends MemoryBlockBackend {
  flushes = 0;
  broken = false;
  override read(sector: number, count: number): Uint8Array | undefined {
    return this.broken ? undefined : super.read(sector, count);
  }
  override write(sector: number, data: Uint8Array): boolean {
    return !this.broken && super.write(sector, data);
  }
  override flush(): boolean {
    this.flushes++;
    return !this.broken;
  }
}

let disk: TestBackend;
let d: Driver;

const pattern = (sectors: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length: 512 * sectors }, (_, i) => (i * 7 + (i >> 9) + seed) & 0xff);

function make(backend: BlockBackend, features = bits(Blk.FLUSH), serial = "disk-1"): void {
  d = new Driver(new VirtioBlock({ backend, serial })).start(features, 1, 16);
}

beforeEach(() => {
  disk = new TestBackend({ sectors: SECTORS });
  make(disk);
});

function header(type: number, sector: number): Desc {
  const at = d.mem.alloc(16);
  d.mem.put32(at, type);
  d.mem.put64(at + 8, sector);
  return { addr: at, len: 16, flags: 0 };
}

/** Sends a request with the given data descriptors; returns its status byte and used length. */
function request(type: number, sector: number, data: Desc[]): { status: number; len: number } {
  const status = d.mem.alloc(1);
  d.mem.write(status, Uint8Array.of(0xaa));
  d.queues[0]?.add([header(type, sector), ...data, { addr: status, len: 1, flags: F.WRITE }]);
  d.kick();
  const used = d.queues[0]?.collect() ?? [];
  expect(used).toHaveLength(1);
  return { status: d.mem.read(status, 1)?.[0] ?? -1, len: used[0]?.len ?? -1 };
}
const out = (data: Uint8Array): Desc => ({ addr: d.mem.place(data), len: data.length, flags: 0 });
const into = (len: number): Desc => ({ addr: d.mem.alloc(len), len, flags: F.WRITE });
const contents = (desc: Desc): Uint8Array => d.mem.read(desc.addr, desc.len) ?? new Uint8Array();
const range = (sector: number, count: number, flags = 0): Desc => {
  const b = new Uint8Array(16);
  const v = new DataView(b.buffer);
  v.setBigUint64(0, BigInt(sector), true);
  v.setUint32(8, count, true);
  v.setUint32(12, flags, true);
  return out(b);
};

describe("configuration", () => {
  it("describes the disk at the offsets of the specification", () => {
    const cfg = Uint8Array.from({ length: 60 }, (_, i) => d.mmio.read(R.Config + i, 1));
    expect(u64(cfg, 0)).toBe(SECTORS);
    expect(u32(cfg, 12)).toBe(254);
    expect([cfg[18], cfg[19]]).toEqual([16, 63]);
    expect(u32(cfg, 20)).toBe(512);
    expect([cfg[24], cfg[25], u16(cfg, 26), u32(cfg, 28)]).toEqual([0, 0, 1, 0]);
    expect(cfg[32]).toBe(1);
    expect(u16(cfg, 34)).toBe(1);
    expect([36, 40, 44, 48, 52].map((o) => u32(cfg, o))).toEqual([0x3f_ffff, 1, 1, 0x1_0000, 1]);
    expect(cfg[56]).toBe(0);
    expect(d.mmio.read(R.Config + 60, 1)).toBe(0xff);
  });

  it("shows a capacity beyond 32 bits", () => {
    make(new MemoryBlockBackend({ sectors: 2 ** 33 + 5 }));
    expect([d.r(R.Config), d.r(R.Config + 4)]).toEqual([5, 2]);
  });

  it("offers discard and write-zeroes on a writable disk, RO on another", () => {
    const has = (bit: number): boolean => Math.floor(d.offered() / 2 ** bit) % 2 === 1;
    expect([Blk.RO, Blk.DISCARD, Blk.WRITE_ZEROES].map(has)).toEqual([false, true, true]);
    make(new MemoryBlockBackend({ sectors: 1, readOnly: true }));
    expect([Blk.RO, Blk.DISCARD, Blk.WRITE_ZEROES].map(has)).toEqual([true, false, false]);
  });

  it("offers the block size it was given", () => {
    d = new Driver(new VirtioBlock({ backend: disk, blockSize: 4096 }));
    expect(d.r(R.Config + 20)).toBe(4096);
  });
});

describe("requests", () => {
  it("writes and reads back", () => {
    expect(request(Req.OUT, 7, [out(pattern(3))])).toEqual({ status: OK, len: 1 });
    const buf = into(3 * 512);
    expect(request(Req.IN, 7, [buf])).toEqual({ status: OK, len: 3 * 512 + 1 });
    expect(contents(buf)).toEqual(pattern(3));
  });

  it("does not care how the bytes are divided into descriptors", () => {
    const data = pattern(2);
    expect(request(Req.OUT, 1, [out(data.subarray(0, 5)), out(data.subarray(5, 700)), out(data.subarray(700))]).status).toBe(OK);
    const parts = [into(1), into(1000), into(23)];
    expect(request(Req.IN, 1, parts).status).toBe(OK);
    expect(parts.flatMap((p) => [...contents(p)])).toEqual([...data]);
  });

  it("takes header, data and status from single descriptors", () => {
    const h = new Uint8Array(16 + 512);
    h[0] = Req.OUT;
    h[8] = 9;
    h.set(pattern(1), 16);
    d.queues[0]?.add([out(h), into(1)]);
    const read = into(513);
    d.queues[0]?.add([header(Req.IN, 9), read]);
    d.kick();
    expect(contents(read)).toEqual(Uint8Array.of(...pattern(1), OK));
  });

  it("moves more than one piece", () => {
    expect(request(Req.OUT, 100, [out(pattern(300))]).status).toBe(OK);
    const buf = into(300 * 512);
    request(Req.IN, 100, [buf]);
    expect(d.mem.longest).toBeLessThanOrEqual(0x1_0000);
    expect(Buffer.from(contents(buf)).equals(Buffer.from(pattern(300)))).toBe(true);
  });

  it("flushes", () => {
    expect(request(Req.FLUSH, 0, [])).toEqual({ status: OK, len: 1 });
    expect(disk.flushes).toBe(1);
  });

  it("answers its serial, padded to 20 bytes", () => {
    const id = into(20);
    expect(request(Req.GET_ID, 0, [id])).toEqual({ status: OK, len: 21 });
    expect(new TextDecoder().decode(contents(id))).toBe("disk-1".padEnd(20, "\0"));
  });

  it("truncates the serial to the buffer and to 20 bytes", () => {
    make(disk, 0, "0123456789012345678901234");
    const short = into(4);
    expect(request(Req.GET_ID, 0, [short]).status).toBe(OK);
    expect(new TextDecoder().decode(contents(short))).toBe("0123");
    const long = into(32);
    expect(request(Req.GET_ID, 0, [long])).toEqual({ status: OK, len: 20 });
    expect(contents(long)[20]).toBe(0);
  });

  it("zeroes a range", () => {
    request(Req.OUT, 0, [out(pattern(4))]);
    expect(request(Req.WRITE_ZEROES, 0, [range(1, 2)]).status).toBe(OK);
    const buf = into(4 * 512);
    request(Req.IN, 0, [buf]);
    expect(contents(buf)).toEqual(Uint8Array.of(...pattern(4).fill(0, 512, 1536)));
    expect(request(Req.WRITE_ZEROES, 0, [range(1, 2, 1)]).status).toBe(OK);
  });

  it("discards a range", () => {
    request(Req.OUT, 128, [out(pattern(128))]);
    expect(request(Req.DISCARD, 0, [range(100, 200)]).status).toBe(OK);
    const buf = into(512);
    request(Req.IN, 128, [buf]);
    expect(contents(buf)).toEqual(new Uint8Array(512));
  });

  it("serves a whole queue of requests in order on one notification", () => {
    const statuses = [0, 1, 2, 3, 4].map((i) => {
      const s = into(1);
      d.queues[0]?.add([header(Req.OUT, i), out(pattern(1, i)), s]);
      return s;
    });
    d.kick();
    expect(statuses.map((s) => contents(s)[0])).toEqual([0, 0, 0, 0, 0]);
    expect(disk.read(3, 1)).toEqual(pattern(1, 3));
    expect(d.line.edges).toBe(1);
  });
});

describe("write cache", () => {
  it("is flushed by the driver when FLUSH was negotiated", () => {
    request(Req.OUT, 0, [out(pattern(1))]);
    expect(disk.flushes).toBe(0);
  });

  it("writes through when nothing was negotiated", () => {
    make(disk, 0);
    request(Req.OUT, 0, [out(pattern(1))]);
    request(Req.WRITE_ZEROES, 0, [range(0, 1)]);
    expect(disk.flushes).toBe(2);
  });

  it("follows the writeback field when CONFIG_WCE was negotiated", () => {
    make(disk, bits(Blk.FLUSH, Blk.WCE));
    d.mmio.write(R.Config + 32, 1, 0);
    expect(disk.flushes).toBe(1);
    request(Req.OUT, 0, [out(pattern(1))]);
    expect(disk.flushes).toBe(2);
    d.mmio.write(R.Config + 32, 1, 1);
    request(Req.OUT, 0, [out(pattern(1))]);
    expect(disk.flushes).toBe(2);
    expect(d.mmio.read(R.Config + 32, 1)).toBe(1);
  });

  it("keeps the field when CONFIG_WCE was not negotiated", () => {
    d.mmio.write(R.Config + 32, 1, 0);
    expect(d.mmio.read(R.Config + 32, 1)).toBe(1);
  });

  it("reports a failed write-through", () => {
    make(disk, 0);
    disk.flush = () => false;
    expect(request(Req.OUT, 0, [out(pattern(1))]).status).toBe(IOERR);
  });
});

describe("refused requests", () => {
  it.each([
    ["read past the end", Req.IN, SECTORS - 1],
    ["read far past the end", Req.IN, 2 ** 62],
    ["read at the largest sector", Req.IN, 2 ** 64 - 2048],
  ])("answers IOERR to a %s", (_name, type, sector) => {
    expect(request(type, sector, [into(1024)])).toEqual({ status: IOERR, len: 0 });
    expect(d.needsReset).toBe(false);
  });

  it("answers IOERR to a write past the end, and writes nothing", () => {
    expect(request(Req.OUT, SECTORS - 1, [out(pattern(2))]).status).toBe(IOERR);
    expect(disk.read(SECTORS - 1, 1)).toEqual(new Uint8Array(512));
  });

  it.each([1, 511, 513])("answers IOERR to %i bytes of data", (n) => {
    expect(request(Req.IN, 0, [into(n)]).status).toBe(IOERR);
    expect(request(Req.OUT, 0, [out(new Uint8Array(n))]).status).toBe(IOERR);
  });

  it("answers IOERR to a request of many gigabytes, at once", () => {
    make(new MemoryBlockBackend({ sectors: 2 ** 40 }));
    const huge = { addr: d.mem.alloc(16), len: 0xffff_fe00, flags: F.WRITE };
    expect(request(Req.IN, 0, [huge, huge, huge, huge]).status).toBe(IOERR);
    expect(request(Req.OUT, 0, [{ ...huge, flags: 0 }]).status).toBe(IOERR);
  });

  it("answers IOERR to more than 64 MiB, even though every part of it is in memory", () => {
    d = new Driver(new VirtioBlock({ backend: new MemoryBlockBackend({ sectors: 2 ** 20 }) })).start(bits(28), 1, 16);
    const MIB = 1 << 20;
    const megabytes = (n: number): Desc => {
      const list = [...Array.from({ length: n }, () => ({ addr: RAM_BASE + MIB, len: MIB })), { addr: status, len: 1 }];
      const table = d.mem.alloc(16 * (list.length + 1));
      for (const [i, e] of [header(Req.IN, 0), ...list].entries()) {
        d.mem.put64(table + 16 * i, e.addr);
        d.mem.put32(table + 16 * i + 8, e.len);
        d.mem.put16(table + 16 * i + 12, (i === 0 ? 0 : F.WRITE) | (i < list.length ? F.NEXT : 0));
        d.mem.put16(table + 16 * i + 14, i + 1);
      }
      return { addr: table, len: 16 * (list.length + 1), flags: F.INDIRECT };
    };
    const status = d.mem.alloc(1);
    for (const [n, expected] of [
      [64, OK],
      [65, IOERR],
    ] as const) {
      d.queues[0]?.add([megabytes(n)]);
      d.kick();
      expect(d.mem.read(status, 1)?.[0]).toBe(expected);
    }
  });

  it("answers IOERR when data is not in memory", () => {
    expect(request(Req.IN, 0, [{ addr: NOWHERE, len: 512, flags: F.WRITE }])).toEqual({ status: IOERR, len: 0 });
    expect(request(Req.OUT, 0, [{ addr: NOWHERE, len: 512, flags: 0 }]).status).toBe(IOERR);
    expect(request(Req.GET_ID, 0, [{ addr: NOWHERE, len: 20, flags: F.WRITE }]).status).toBe(IOERR);
    expect(request(Req.DISCARD, 0, [{ addr: NOWHERE, len: 16, flags: 0 }]).status).toBe(IOERR);
    expect(d.needsReset).toBe(false);
  });

  it("answers IOERR when the backend fails", () => {
    disk.broken = true;
    expect(request(Req.IN, 0, [into(512)]).status).toBe(IOERR);
    expect(request(Req.OUT, 0, [out(pattern(1))]).status).toBe(IOERR);
    expect(request(Req.WRITE_ZEROES, 0, [range(0, 1)]).status).toBe(IOERR);
    expect(request(Req.FLUSH, 0, []).status).toBe(IOERR);
  });

  it("answers IOERR to writes on a read-only disk, and reads it", () => {
    make(MemoryBlockBackend.from(pattern(2), true), bits(Blk.RO));
    expect(request(Req.OUT, 0, [out(pattern(1))]).status).toBe(IOERR);
    expect(request(Req.DISCARD, 0, [range(0, 1)]).status).toBe(IOERR);
    expect(request(Req.WRITE_ZEROES, 0, [range(0, 1)]).status).toBe(IOERR);
    const buf = into(1024);
    expect(request(Req.IN, 0, [buf]).status).toBe(OK);
    expect(contents(buf)).toEqual(pattern(2));
  });

  it.each([2, 5, 14, 0x8000_0000, 0xffff_ffff])("answers UNSUPP to request type %i", (type) => {
    expect(request(type, 0, [])).toEqual({ status: UNSUPP, len: 1 });
  });

  it("answers UNSUPP to discard without a backend that can", () => {
    const { sectors, readOnly } = disk;
    make({ sectors, readOnly, read: (s, n) => disk.read(s, n), write: (s, b) => disk.write(s, b), flush: () => true });
    expect(request(Req.DISCARD, 0, [range(0, 1)]).status).toBe(UNSUPP);
    expect(Math.floor(d.offered() / 2 ** Blk.DISCARD) % 2).toBe(0);
  });

  it.each([
    ["discard with UNMAP", Req.DISCARD, 1],
    ["discard with an unknown flag", Req.DISCARD, 2],
    ["write-zeroes with an unknown flag", Req.WRITE_ZEROES, 0x8000_0000],
  ])("answers UNSUPP to a %s", (_name, type, flags) => {
    expect(request(type, 0, [range(0, 1, flags)]).status).toBe(UNSUPP);
  });

  it("answers IOERR to ranges that are too long, too many, cut off or outside", () => {
    make(new MemoryBlockBackend({ sectors: 2 ** 30 }));
    expect(request(Req.WRITE_ZEROES, 0, [range(0, 0x1_0001)]).status).toBe(IOERR);
    expect(request(Req.DISCARD, 0, [range(0, 0x40_0000)]).status).toBe(IOERR);
    expect(request(Req.DISCARD, 0, [range(2 ** 30 - 1, 2)]).status).toBe(IOERR);
    expect(request(Req.DISCARD, 0, [range(0, 1), range(5, 1)]).status).toBe(IOERR);
    expect(request(Req.DISCARD, 0, [out(new Uint8Array(15))]).status).toBe(IOERR);
    expect(request(Req.DISCARD, 0, []).status).toBe(IOERR);
  });

  const broken: [string, () => Desc[]][] = [
    ["a short header", () => [{ ...header(Req.IN, 0), len: 15 }, into(1)]],
    ["no status byte", () => [header(Req.FLUSH, 0)]],
    ["a status byte of no length", () => [header(Req.FLUSH, 0), { ...into(1), len: 0 }]],
    ["a header that is not in memory", () => [{ addr: NOWHERE, len: 16, flags: 0 }, into(1)]],
    ["a status byte that is not in memory", () => [header(Req.FLUSH, 0), { addr: NOWHERE, len: 1, flags: F.WRITE }]],
  ];
  it.each(broken)("needs reset after %s", (_name, chain) => {
    d.queues[0]?.add(chain());
    d.kick();
    expect(d.needsReset).toBe(true);
    expect(d.queues[0]?.collect()).toEqual([]);
  });
});

describe("memory backend", () => {
  it("copies an image, padded to a sector", () => {
    const b = MemoryBlockBackend.from(new Uint8Array(100_000).fill(9));
    expect(b.sectors).toBe(196);
    expect(b.read(195, 1)?.slice(158, 162)).toEqual(Uint8Array.of(9, 9, 0, 0));
  });

  it("layers over a base without writing to it, and past its end", () => {
    const base = MemoryBlockBackend.from(pattern(3), true);
    const top = new MemoryBlockBackend({ base, sectors: 200 });
    expect(top.write(1, pattern(1, 99))).toBe(true);
    expect(top.read(0, 4)).toEqual(
      Uint8Array.of(...pattern(3).subarray(0, 512), ...pattern(1, 99), ...pattern(3).subarray(1024), ...new Uint8Array(512)),
    );
    expect(base.read(0, 3)).toEqual(pattern(3));
    expect(top.read(130, 2)).toEqual(new Uint8Array(1024));
  });

  it("passes on what the base cannot read", () => {
    disk.broken = true;
    const top = new MemoryBlockBackend({ base: disk });
    expect(top.read(0, 1)).toBeUndefined();
    expect(top.write(0, pattern(1))).toBe(false);
  });

  it("refuses writes when read-only", () => {
    const b = new MemoryBlockBackend({ sectors: 8, readOnly: true });
    expect([b.write(0, pattern(1)), b.discard(0, 1)]).toEqual([false, false]);
  });
});

describe("state", () => {
  it("takes the memory backend's contents and the cache mode along", () => {
    make(disk, bits(Blk.FLUSH, Blk.WCE));
    d.mmio.write(R.Config + 32, 1, 0);
    request(Req.OUT, 5, [out(pattern(2))]);
    const saved = structuredClone(d.mmio.save());
    request(Req.OUT, 5, [out(pattern(2, 50))]);
    const other = new TestBackend({ sectors: SECTORS });
    const copy = new Driver(new VirtioBlock({ backend: other }), { mem: d.mem });
    copy.mmio.restore(saved);
    expect(other.read(5, 2)).toEqual(pattern(2));
    expect(copy.mmio.read(R.Config + 32, 1)).toBe(0);
  });

  it("forgets the cache mode at reset", () => {
    make(disk, bits(Blk.FLUSH, Blk.WCE));
    d.mmio.write(R.Config + 32, 1, 0);
    d.w(R.Status, 0);
    expect(d.mmio.read(R.Config + 32, 1)).toBe(1);
  });

  it("refuses a damaged snapshot", () => {
    const b = new MemoryBlockBackend({ sectors: 128 });
    expect(() => b.restore({ chunks: [{ index: 5, data: new Uint8Array(65536) }] })).toThrow(/index/);
    expect(() => b.restore({ chunks: [{ index: 0, data: new Uint8Array(1) }] })).toThrow(/data/);
  });
});
