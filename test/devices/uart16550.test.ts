import { expect, test } from "vitest";
import { Mc146818Rtc } from "../../src/devices/mc146818.ts";
import { Uart16550Reg as Reg, Uart16550 } from "../../src/devices/uart16550.ts";

function uart() {
  const out: number[] = [];
  const levels: boolean[] = [];
  const device = new Uart16550({ irq: { set: (l) => levels.push(l) }, sink: { write: (b) => out.push(...b) } });
  return { device, out, levels };
}

test("reset values: an idle transmitter and a peer that is there", () => {
  const { device } = uart();
  expect([device.read(Reg.IIR, 1), device.read(Reg.LSR, 1), device.read(Reg.MSR, 1), device.read(Reg.MCR, 1)]).toEqual([1, 0x60, 0xb0, 8]);
});

test("writes leave at once; with DLAB they set the divisor", () => {
  const { device, out } = uart();
  device.write(Reg.DATA, 1, 0x41);
  device.write(Reg.LCR, 1, 0x83);
  device.write(Reg.DATA, 1, 0x12);
  device.write(Reg.IER, 1, 0x34);
  expect([device.read(Reg.DATA, 1), device.read(Reg.IER, 1)]).toEqual([0x12, 0x34]);
  device.write(Reg.LCR, 1, 3);
  expect([out, device.read(Reg.IER, 1)]).toEqual([[0x41], 0]);
});

test("received data interrupts until it is read; without FIFO one character at a time", () => {
  const { device, levels } = uart();
  device.write(Reg.IER, 1, 1);
  expect(device.receive(Uint8Array.of(1, 2))).toBe(1);
  expect([device.read(Reg.IIR, 1), device.read(Reg.LSR, 1)]).toEqual([4, 0x61]);
  expect(device.read(Reg.DATA, 1)).toBe(1);
  expect(levels).toEqual([true, false]);
  device.write(Reg.FCR, 1, 1);
  expect(device.receive(new Uint8Array(100))).toBe(64);
  expect(device.read(Reg.IIR, 1)).toBe(0xc4);
  device.write(Reg.FCR, 1, 3); // clears the receiver
  expect(device.read(Reg.LSR, 1)).toBe(0x60);
});

test("the empty transmitter interrupts when enabled and after each write, until IIR tells it", () => {
  const { device, levels } = uart();
  device.write(Reg.IER, 1, 2);
  expect(device.read(Reg.IIR, 1)).toBe(2);
  expect(device.read(Reg.IIR, 1)).toBe(1);
  device.write(Reg.DATA, 1, 0);
  expect(levels).toEqual([true, false, true]);
});

test("loopback: data and modem lines come back", () => {
  const { device, out } = uart();
  device.write(Reg.MCR, 1, 0x10 | 2);
  device.write(Reg.DATA, 1, 9);
  expect([device.read(Reg.DATA, 1), device.read(Reg.MSR, 1), out]).toEqual([9, 0x10, []]);
});

test("save and restore", () => {
  const a = uart().device;
  a.write(Reg.FCR, 1, 1);
  a.write(Reg.IER, 1, 1);
  a.receive(Uint8Array.of(7, 8));
  const b = uart();
  b.device.restore(a.save());
  expect([[...b.levels], b.device.read(Reg.DATA, 1), b.device.read(Reg.DATA, 1)]).toEqual([[true], 7, 8]);
});

test("MC146818: the time in BCD", () => {
  let ns = 0;
  const rtc = new Mc146818Rtc({ clock: { now: () => ns }, epoch: Date.UTC(2026, 10, 21, 13, 59, 58) / 1000 });
  const get = (i: number): number => {
    rtc.write(0, 1, i);
    return rtc.read(1, 1);
  };
  expect([0, 2, 4, 6, 7, 8, 9, 0x32].map(get)).toEqual([0x58, 0x59, 0x13, 7, 0x21, 0x11, 0x26, 0x20]);
  ns = 2e9;
  expect([0, 2, 4].map(get)).toEqual([0, 0, 0x14]);
});
