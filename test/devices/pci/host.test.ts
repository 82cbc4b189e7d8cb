import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import type { MmioDevice } from "../../../src/devices/device.ts";
import { PciCommand, PciFunction, PciReg } from "../../../src/devices/pci/function.ts";
import { PciHost } from "../../../src/devices/pci/host.ts";
import { TestLine, WHO } from "../support.ts";

const slotAt = (slot: number, reg: number): number => slot * 8 * 4096 + reg;

let lines: [TestLine, TestLine, TestLine, TestLine];
let host: PciHost;
let ecam: MmioDevice;
let card: PciFunction;
let log: string[];
const read = (at: number, size: 1 | 2 | 4 = 4): number => ecam.read(at, size, WHO);
const write = (at: number, value: number, size: 1 | 2 | 4 = 4): boolean => ecam.write(at, size, value, WHO);

function makeCard(slot: number): PciFunction {
  const bar = (index: number, kind: "io" | "memory32" | "memory64", size: number) => ({
    index,
    kind,
    size,
    prefetchable: kind === "memory64",
    read: (offset: number, width: number) => {
      log.push(`${slot}.${index} r ${offset} ${width}`);
      return 0x5a;
    },
    write: (offset: number, width: number, value: number) => {
      log.push(`${slot}.${index} w ${offset} ${width} ${value}`);
    },
  });
  const identity = { vendor: 0x1234, device: 0x5678, revision: 9, classCode: 0x01_0802, subsystemVendor: 0xabcd, subsystem: 0xef01 };
  const f = new PciFunction({
    name: `card ${slot}`,
    identity,
    irq: host.intA(slot),
    bars: [bar(0, "io", 0x20), bar(1, "memory32", 0x1000), bar(4, "memory64", 0x4000)],
    capabilities: [
      { at: 0x50, bytes: [0x09, 4, 1] },
      { at: 0x40, bytes: [0x11, 8] },
    ],
  });
  host.add(slot, f);
  return f;
}

beforeEach(() => {
  lines = [new TestLine(), new TestLine(), new TestLine(), new TestLine()];
  host = new PciHost({ lines, buses: 256 });
  ecam = host.ecam();
  log = [];
  card = makeCard(3);
});

describe("configuration space", () => {
  it("has the bridge in slot 0, functions where they are, and all ones elsewhere", () => {
    expect(ecam.size).toBe(0x1000_0000);
    expect([read(0), read(8), read(0xe, 1)]).toEqual([0x0008_1b36, 0x0600_0000, 0]);
    expect([read(slotAt(3, 0)), read(slotAt(3, 8)), read(slotAt(3, 0x2c))]).toEqual([0x5678_1234, 0x0108_0209, 0xef01_abcd]);
    for (const at of [slotAt(1, 0), slotAt(3, 0) + 4096, 0x10_0000, 0xfff_f000]) {
      expect([read(at), read(at, 2), read(at, 1)]).toEqual([0xffff_ffff, 0xffff, 0xff]);
      expect(write(at, 5)).toBe(true);
    }
    expect(read(slotAt(3, 0x100))).toBe(0); // no extended capabilities
  });

  it("tells the sizes of BARs as they are probed, and keeps their type", () => {
    for (const at of [0x10, 0x14, 0x18, 0x20, 0x24]) write(slotAt(3, at), 0xffff_ffff);
    expect([0x10, 0x14, 0x18, 0x20, 0x24].map((at) => read(slotAt(3, at)))).toEqual([
      0xffff_ffe1, 0xffff_f000, 0, 0xffff_c00c, 0xffff_ffff,
    ]);
  });

  it("chains capabilities", () => {
    expect(read(slotAt(3, PciReg.STATUS), 2) & 0x10).toBe(0x10);
    const first = read(slotAt(3, PciReg.CAPABILITIES), 1);
    expect([first, read(slotAt(3, first)), read(slotAt(3, 0x40), 2)]).toEqual([0x50, 0x0104_4009, 0x0011]);
  });

  it("keeps what is read-only, writes bytes alone", () => {
    for (let at = 0; at < 0x100; at += 4) write(slotAt(3, at), 0xffff_ffff);
    expect([read(slotAt(3, 0)), read(slotAt(3, 8)), read(slotAt(3, 0x2c))]).toEqual([0x5678_1234, 0x0108_0209, 0xef01_abcd]);
    expect(read(slotAt(3, PciReg.COMMAND), 2)).toBe(0x547);
    write(slotAt(3, PciReg.COMMAND + 1), 0, 1);
    expect(read(slotAt(3, PciReg.COMMAND), 2)).toBe(0x47);
    expect(read(slotAt(3, PciReg.INTERRUPT_PIN), 1)).toBe(1);
  });
});

describe("windows", () => {
  const memory = (): MmioDevice => host.window("memory", 0x1000_0000, 0x1000_0000);
  const high = (): MmioDevice => host.window("memory", 0x80_0000_0000, 0x80_0000_0000);
  const io = (): MmioDevice => host.window("io", 0, 0x1_0000);
  beforeEach(() => {
    write(slotAt(3, 0x10), 0x1000);
    write(slotAt(3, 0x14), 0x1000_4000);
    write(slotAt(3, 0x20), 0x0001_0000);
    write(slotAt(3, 0x24), 0x81);
  });

  it("lead to BARs that are enabled", () => {
    expect([memory().read(0x4008, 4, WHO), io().read(0x1004, 2, WHO)]).toEqual([0xffff_ffff, 0xffff]);
    write(slotAt(3, PciReg.COMMAND), PciCommand.MEMORY, 2);
    expect([memory().read(0x4008, 4, WHO), io().read(0x1004, 2, WHO)]).toEqual([0x5a, 0xffff]);
    write(slotAt(3, PciReg.COMMAND), PciCommand.IO | PciCommand.MEMORY, 2);
    io().write(0x101f, 1, 7, WHO);
    high().write(0x1_0001_3ffc, 4, 8, WHO);
    expect(log).toEqual(["3.1 r 8 4", "3.0 w 31 1 7", "3.4 w 16380 4 8"]);
  });

  it("answer all ones where no BAR is, and take writes there", () => {
    write(slotAt(3, PciReg.COMMAND), 7, 2);
    expect([memory().read(0x5000, 1, WHO), high().read(0x1_0001_4000, 4, WHO)]).toEqual([0xff, 0xffff_ffff]);
    expect(memory().write(0x5000, 4, 1, WHO)).toBe(true);
    expect(log).toEqual([]);
  });
});

describe("interrupts", () => {
  it("are rotated by slots and shared", () => {
    const other = makeCard(7); // 3 + 4: the same line
    const next = makeCard(4);
    card.setInterrupt(true);
    other.setInterrupt(true);
    expect(lines.map((l) => l.level)).toEqual([false, false, false, true]);
    card.setInterrupt(false);
    expect(lines[3].level).toBe(true);
    other.setInterrupt(false);
    next.setInterrupt(true);
    expect(lines.map((l) => l.level)).toEqual([true, false, false, false]);
  });

  it("are seen in status, and held back by the command register", () => {
    write(slotAt(3, PciReg.COMMAND), PciCommand.INTX_DISABLE, 2);
    card.setInterrupt(true);
    expect([lines[3].level, read(slotAt(3, PciReg.STATUS), 2) & 8]).toEqual([false, 8]);
    write(slotAt(3, PciReg.COMMAND), 0, 2);
    expect(lines[3].level).toBe(true);
  });
});

describe("state", () => {
  it("is that of all functions, lines included", () => {
    write(slotAt(3, 0x14), 0x1000_4000);
    write(slotAt(3, PciReg.COMMAND), 6, 2);
    card.setInterrupt(true);
    const saved = structuredClone(host.save());
    write(slotAt(3, 0x14), 0);
    write(slotAt(3, PciReg.COMMAND), 0, 2);
    card.setInterrupt(false);
    host.restore(saved);
    expect([read(slotAt(3, 0x14)), read(slotAt(3, 4), 2), lines[3].level]).toEqual([0x1000_4000, 6, true]);
  });
  it("refuses that of another function", () => {
    const saved = structuredClone(host.save()) as { "3": { space: Uint8Array } };
    saved["3"].space[0] = 0x77;
    expect(() => host.restore(saved)).toThrow(expect.objectContaining({ code: "snapshot-corrupt" }));
  });
});

it("survives any accesses to its windows", () => {
  const size = fc.constantFrom(1 as const, 2 as const, 4 as const);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(0x3fff), size, fc.integer({ min: 0, max: 0xffff_ffff })), { maxLength: 60 }), (all) => {
      const windows = [ecam, ecam, host.window("io", 0, 0x1_0000), host.window("memory", 0, 2 ** 40)];
      for (const [w, at, width, value] of all) {
        const device = windows[w] as MmioDevice;
        const offset = (w < 2 ? slotAt(3, at & 0xfff) : at * 4) & -width;
        expect(device.write(offset, width, value, WHO)).toBe(true);
        const seen = device.read(offset, width, WHO);
        expect(seen >= 0 && seen < 2 ** (8 * width)).toBe(true);
      }
    }),
  );
});
