// What every device test needs: an interrupt line that remembers, a clock that is set by hand, an identification check.

import { expect } from "vitest";
import type { Clock, IrqLine, MmioDevice } from "../../src/devices/device.ts";
import type { Requester } from "../../src/mem/physical.ts";

export const WHO: Requester = { pas: 1, pe: 0 };

/** A line that knows its level and how often it rose. */
export class TestLine implements IrqLine {
  level = false;
  edges = 0;
  set(level: boolean): void {
    if (level && !this.level) this.edges++;
    this.level = level;
  }
}

export class TestClock implements Clock {
  ns = 0;
  now(): number {
    return this.ns;
  }
}

/** 32-bit accesses to a device. */
export const read = (d: MmioDevice, offset: number): number => d.read(offset, 4, WHO);
export const write = (d: MmioDevice, offset: number, value: number): void => {
  expect(d.write(offset, 4, value, WHO)).toBe(true);
};

/** The identification bytes at 0xfe0-0xffc. */
export const primecellIds = (d: MmioDevice): number[] => [0, 1, 2, 3, 4, 5, 6, 7].map((i) => read(d, 0xfe0 + 4 * i));
