import { beforeEach, describe, expect, it } from "vitest";
import { MmioReg as R, VirtioConsole, type VirtioConsoleOptions } from "../../../src/devices/virtio/index.ts";
import { bits, Driver, F, NOWHERE } from "./driver.ts";

const RX = 0;
const TX = 1;
const SIZE = bits(0);

let out: number[];
let rooms: number;
let con: VirtioConsole;
let d: Driver;

function make(options: Partial<VirtioConsoleOptions> = {}, features = 0): void {
  out = [];
  rooms = 0;
  con = new VirtioConsole({ sink: { write: (b) => out.push(...b) }, onRoom: () => rooms++, ...options });
  d = new Driver(con).start(features, 2, 8);
}
const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const str = (b: Iterable<number>): string => String.fromCharCode(...b);

/** Gives the device a receive buffer; returns its address. */
function rx(len: number): number {
  const addr = d.mem.alloc(len);
  d.queues[RX]?.add([{ addr, len, flags: F.WRITE }]);
  d.kick(RX);
  return addr;
}

beforeEach(() => make());

describe("transmit", () => {
  it("sends what the buffers hold, in order, and returns them unwritten", () => {
    const send = (s: string) => ({ addr: d.mem.place(text(s)), len: s.length, flags: 0 });
    d.queues[TX]?.add([send("hello, "), send("wor")]);
    d.queues[TX]?.add([send("ld")]);
    d.kick(TX);
    expect(str(out)).toBe("hello, world");
    expect(d.queues[TX]?.collect().map((u) => u.len)).toEqual([0, 0]);
    expect(d.ack()).toBe(1);
  });

  it("takes an empty buffer", () => {
    d.queues[TX]?.add([{ addr: NOWHERE, len: 0, flags: 0 }]);
    d.kick(TX);
    expect(d.queues[TX]?.collect()).toHaveLength(1);
  });

  it.each([
    ["outside memory", NOWHERE, 16],
    ["of 4 GiB", 0x4000_0000, 0xffff_ffff],
  ])("needs reset after a buffer %s", (_name, addr, len) => {
    d.queues[TX]?.add([{ addr, len, flags: 0 }]);
    d.kick(TX);
    expect(d.needsReset).toBe(true);
    expect(out).toEqual([]);
  });

  it("writes through emerg_wr, even before the driver started", () => {
    const raw = new Driver(new VirtioConsole({ sink: { write: (b) => out.push(...b) } }));
    raw.w(R.Config + 8, 0x21);
    expect(str(out)).toBe("!");
    expect(raw.r(R.Config + 8)).toBe(0);
  });
});

describe("receive", () => {
  it("fills the driver's buffers and leaves the rest with the caller", () => {
    const a = rx(4);
    const b = rx(4);
    expect(con.receive(text("abcdefghij"))).toBe(8);
    expect(str([...(d.mem.read(a, 4) ?? []), ...(d.mem.read(b, 4) ?? [])])).toBe("abcdefgh");
    expect(d.queues[RX]?.collect().map((u) => u.len)).toEqual([4, 4]);
    expect(d.ack()).toBe(1);
    expect(rooms).toBe(0);
    rx(4);
    expect(rooms).toBe(1);
    expect(con.receive(text("ij"))).toBe(2);
    rx(4);
    expect(rooms).toBe(1);
  });

  it("accepts nothing before the driver is ready, and asks once it is", () => {
    const raw = new VirtioConsole({ sink: { write: () => {} }, onRoom: () => rooms++ });
    expect(raw.receive(text("a"))).toBe(0);
    const driver = new Driver(raw);
    expect(raw.receive(text("a"))).toBe(0);
    driver.start(0, 2, 8);
    expect(rooms).toBe(1);
  });

  it("lets onRoom deliver at once", () => {
    const pending = [...text("late input")];
    const offer = (): void => void pending.splice(0, con.receive(Uint8Array.from(pending)));
    make({ onRoom: offer });
    offer();
    const at = rx(32);
    expect(pending).toEqual([]);
    expect(str(d.mem.read(at, 10) ?? [])).toBe("late input");
  });

  it("does nothing with no input", () => {
    rx(4);
    expect(con.receive(new Uint8Array())).toBe(0);
    expect(d.queues[RX]?.collect()).toEqual([]);
  });

  it.each([
    ["outside memory", NOWHERE, 16, F.WRITE],
    ["without a writable part", 0x4000_0000, 16, 0],
    ["of no length", 0x4000_0000, 0, F.WRITE],
  ])("needs reset after a buffer %s", (_name, addr, len, flags) => {
    d.queues[RX]?.add([{ addr, len, flags }]);
    expect(con.receive(text("a"))).toBe(0);
    expect(d.needsReset).toBe(true);
  });

  it("writes into a huge buffer only what arrived", () => {
    d.queues[RX]?.add([{ addr: 0x4001_0000, len: 0xffff_ffff, flags: F.WRITE }]);
    expect(con.receive(text("abc"))).toBe(3);
    expect(d.queues[RX]?.collect()).toEqual([{ id: 0, len: 3 }]);
  });
});

describe("size", () => {
  it("is in the configuration when known, and changes with an interrupt", () => {
    make({ size: { cols: 80, rows: 25 } }, SIZE);
    expect(d.r(R.Config)).toBe((25 << 16) | 80);
    con.resize(132, 43);
    expect(d.r(R.Config)).toBe((43 << 16) | 132);
    expect(d.ack()).toBe(2);
  });

  it("is neither offered nor changed otherwise", () => {
    expect(d.offered() % 2).toBe(0);
    con.resize(132, 43);
    expect(d.r(R.Config)).toBe(0);
    expect(d.ack()).toBe(0);
  });
});

describe("state", () => {
  it("continues in the middle of input", () => {
    make({ size: { cols: 80, rows: 25 } }, SIZE);
    rx(4);
    const second = rx(4);
    con.resize(100, 30);
    expect(con.receive(text("abcd"))).toBe(4);
    const saved = structuredClone(d.mmio.save());
    let asked = 0;
    const other = new VirtioConsole({ sink: { write: () => {} }, size: { cols: 1, rows: 1 }, onRoom: () => asked++ });
    const copy = new Driver(other, { mem: d.mem });
    copy.mmio.restore(saved);
    expect(copy.line.level).toBe(true);
    expect(copy.r(R.Config)).toBe((30 << 16) | 100);
    expect(other.receive(text("efghij"))).toBe(4);
    expect(str(d.mem.read(second, 4) ?? [])).toBe("efgh");
    copy.kick(RX);
    expect(asked).toBe(1);
  });

  it("keeps size and owed room across a driver reset", () => {
    make({ size: { cols: 80, rows: 25 } });
    con.receive(text("a"));
    d.start(0, 2, 8);
    expect(rooms).toBe(1);
    expect(d.r(R.Config)).toBe((25 << 16) | 80);
  });
});
