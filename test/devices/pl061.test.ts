import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { GpioKey, Pl061, Pl061Gpio } from "../../src/devices/pl061.ts";
import { primecellIds, read, TestClock, TestLine, write } from "./support.ts";

let line: TestLine;
let outputs: [number, boolean][];
let gpio: Pl061Gpio;

function make(): void {
  line = new TestLine();
  outputs = [];
  gpio = new Pl061Gpio({ irq: line, onOutput: (pin, level) => outputs.push([pin, level]) });
}

const dataOf = (mask: number): number => mask << 2;

beforeEach(make);

describe("registers", () => {
  it("has the PL061's identification", () => {
    expect(primecellIds(gpio)).toEqual([0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
  });

  it("reads all of them as 0 after reset", () => {
    for (let at = 0; at <= Pl061.AFSEL; at += 4) expect(read(gpio, at)).toBe(0);
  });

  it.each([Pl061.DIR, Pl061.IS, Pl061.IBE, Pl061.IEV, Pl061.IE, Pl061.AFSEL])("keeps eight bits at 0x%x", (offset) => {
    write(gpio, offset, 0xffff_ffff);
    expect(read(gpio, offset)).toBe(0xff);
  });
});

describe("data", () => {
  it("reads the pins that the address selects", () => {
    gpio.setInput(3, true);
    gpio.setInput(5, true);
    expect(read(gpio, dataOf(0xff))).toBe(0x28);
    expect(read(gpio, dataOf(0x08))).toBe(0x08);
    expect(read(gpio, dataOf(0x20))).toBe(0x20);
    expect(read(gpio, dataOf(0xd7))).toBe(0);
  });

  it("writes selected output pins only", () => {
    write(gpio, Pl061.DIR, 0x0f);
    write(gpio, dataOf(0x33), 0xff);
    expect(read(gpio, dataOf(0xff))).toBe(0x03);
    write(gpio, dataOf(0x01), 0);
    expect(read(gpio, dataOf(0xff))).toBe(0x02);
  });

  it("reports changes of outputs, as secure power-off needs them", () => {
    write(gpio, Pl061.DIR, 0x01);
    expect(outputs).toEqual([]);
    write(gpio, dataOf(0x01), 1);
    write(gpio, dataOf(0x01), 1);
    expect(outputs).toEqual([[0, true]]);
    expect(gpio.output(0)).toBe(true);
    write(gpio, Pl061.DIR, 0);
    expect(outputs).toEqual([
      [0, true],
      [0, false],
    ]);
  });

  it("ignores the outside level of an output pin", () => {
    write(gpio, Pl061.DIR, 0x08);
    write(gpio, Pl061.IBE, 0x08);
    gpio.setInput(3, true);
    expect(read(gpio, dataOf(0xff))).toBe(0);
    expect(read(gpio, Pl061.RIS)).toBe(0);
  });
});

describe("interrupts", () => {
  it.each([
    ["rising edge", 0, 0x08, [true, false]],
    ["falling edge", 0, 0, [false, true]],
    ["both edges", 0x08, 0, [true, true]],
  ])("latches a %s until IC", (_name, ibe, iev, expected) => {
    write(gpio, Pl061.IBE, ibe);
    write(gpio, Pl061.IEV, iev);
    write(gpio, Pl061.IE, 0x08);
    for (const [i, level] of [true, false].entries()) {
      gpio.setInput(3, level);
      expect(line.level).toBe(expected[i]);
      expect(read(gpio, Pl061.MIS)).toBe(expected[i] ? 8 : 0);
      write(gpio, Pl061.IC, 0x08);
      expect(line.level).toBe(false);
    }
  });

  it("does not take a repeated level for an edge", () => {
    write(gpio, Pl061.IBE, 0xff);
    gpio.setInput(3, true);
    write(gpio, Pl061.IC, 0xff);
    gpio.setInput(3, true);
    expect(read(gpio, Pl061.RIS)).toBe(0);
  });

  it.each([
    [true, 0x08],
    [false, 0],
  ])("follows the level %s", (active, iev) => {
    gpio.setInput(3, !active);
    write(gpio, Pl061.IEV, iev);
    write(gpio, Pl061.IE, 0x08);
    write(gpio, Pl061.IS, 0x08);
    expect(line.level).toBe(false);
    gpio.setInput(3, active);
    expect(line.level).toBe(true);
    write(gpio, Pl061.IC, 0x08);
    expect(line.level).toBe(true);
    gpio.setInput(3, !active);
    expect(line.level).toBe(false);
  });

  it("shows masked interrupts in RIS only", () => {
    write(gpio, Pl061.IBE, 0x08);
    gpio.setInput(3, true);
    expect(read(gpio, Pl061.RIS)).toBe(8);
    expect(read(gpio, Pl061.MIS)).toBe(0);
    expect(line.level).toBe(false);
    write(gpio, Pl061.IE, 0x08);
    expect(line.level).toBe(true);
  });
});

describe("power key", () => {
  it("presses for 100 ms, with both edges as Linux's gpio-keys asks for", () => {
    const clock = new TestClock();
    const key = new GpioKey(gpio, 3, clock);
    write(gpio, Pl061.IBE, 0x08);
    write(gpio, Pl061.IE, 0x08);
    expect(key.deadline()).toBe(Infinity);
    clock.ns = 7;
    key.press();
    expect(line.level).toBe(true);
    expect(read(gpio, 0x20)).toBe(8);
    write(gpio, Pl061.IC, 0x08);
    expect(key.deadline()).toBe(100e6 + 7);
    key.update();
    expect(line.level).toBe(false);
    const saved = key.save();
    const restored = new GpioKey(gpio, 3, clock);
    restored.restore(saved);
    clock.ns = 100e6 + 7;
    restored.update();
    expect(line.level).toBe(true);
    expect(read(gpio, 0x20)).toBe(0);
    expect(restored.deadline()).toBe(Infinity);
  });
});

describe("state", () => {
  const step = fc.tuple(fc.integer({ min: 0, max: 0x43 }), fc.integer({ min: 0, max: 0xff }), fc.integer({ min: 0, max: 7 }), fc.boolean());

  it("survives any traffic, its line is RIS & IE, and a restored copy reads the same", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        make();
        for (const [reg, value, pin, level] of steps) {
          write(gpio, reg < 32 ? reg * 0x20 : 0x400 + 4 * (reg - 32), value);
          gpio.setInput(pin, level);
          expect(line.level).toBe(read(gpio, Pl061.MIS) !== 0);
        }
        const original = gpio;
        const saved = structuredClone(original.save());
        make();
        gpio.restore(saved);
        expect(line.level).toBe(read(original, Pl061.MIS) !== 0);
        for (let at = 0; at <= Pl061.AFSEL; at += 4) expect(read(gpio, at)).toBe(read(original, at));
      }),
    );
  });

  it("keeps outside levels across a reset", () => {
    gpio.setInput(2, true);
    write(gpio, Pl061.DIR, 1);
    write(gpio, dataOf(1), 1);
    gpio.reset();
    expect(read(gpio, dataOf(0xff))).toBe(4);
    expect(outputs.at(-1)).toEqual([0, false]);
  });

  it("refuses a damaged snapshot", () => {
    expect(() => gpio.restore({ inputs: 256 })).toThrow(expect.objectContaining({ code: "snapshot-corrupt" }));
  });
});
