import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCount, parseMemory, parseSize } from "../../../src/cli/args/sizes.ts";
import { EmuError } from "../../../src/util/errors.ts";

describe("parseSize", () => {
  it.each([
    ["1K", 1024],
    ["512M", 512 * 2 ** 20],
    ["2G", 2 * 2 ** 30],
    ["2g", 2 * 2 ** 30],
    ["2GiB", 2 * 2 ** 30],
    ["1.5G", 1536 * 2 ** 20],
    ["1T", 2 ** 40],
    ["7", 7 * 2 ** 20],
  ])("%s is %d bytes", (text, bytes) => {
    expect(parseSize(text, "--x", "M")).toBe(bytes);
  });

  it.each([
    "",
    " ",
    "M",
    "-1G",
    "+1G",
    "1X",
    "1GG",
    "0x10M",
    "1e3M",
    "1,5G",
    "1.1K",
    "99999999999999999999",
    "NaN",
    "Infinity",
    "1G extra",
  ])("refuses %j", (text) => {
    expect(() => parseSize(text, "--x", "M")).toThrowError(EmuError);
  });

  it("reads back every whole number of every unit", () => {
    const units = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 20 }), fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])), (n, unit) => {
        expect(parseSize(`${n}${unit}`, "--x", "M")).toBe(n * units[unit]);
      }),
    );
  });
});

describe("parseMemory", () => {
  it("counts a plain number in MiB, as QEMU does", () => {
    expect(parseMemory("256")).toBe(256 * 2 ** 20);
  });

  it.each(["0", "1M", "9G", "8193", "1T", "2049K"])("refuses %s", (text) => {
    expect(() => parseMemory(text)).toThrowError(/--memory/);
  });

  it.each([
    ["2M", 2 * 2 ** 20],
    ["8G", 8 * 2 ** 30],
  ])("takes %s, an end of the range", (text, bytes) => {
    expect(parseMemory(text)).toBe(bytes);
  });
});

describe("parseCount", () => {
  it("takes both ends of the range", () => {
    expect([parseCount("1", "--smp", 1, 8), parseCount("8", "--smp", 1, 8)]).toEqual([1, 8]);
  });

  it.each(["0", "9", "-1", "1.5", "two", "", " 1", "1e0", "00000000001"])("refuses %j", (text) => {
    expect(() => parseCount(text, "--smp", 1, 8)).toThrowError(/--smp/);
  });
});
