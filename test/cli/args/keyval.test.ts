import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allowKeys, parseKeyValues, parseSwitch } from "../../../src/cli/args/keyval.ts";

describe("parseKeyValues", () => {
  it("splits a head and pairs", () => {
    const { head, values } = parseKeyValues("virt,gic-version=3,a=b=c", "--machine");
    expect(head).toBe("virt");
    expect([...values]).toEqual([
      ["gic-version", "3"],
      ["a", "b=c"],
    ]);
  });

  it("keeps a doubled comma as one comma of the value", () => {
    expect(parseKeyValues("file=a,,b.img,format=raw", "--drive").values.get("file")).toBe("a,b.img");
  });

  it("reads back any values that were written with doubled commas", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        const { values } = parseKeyValues(`x=${a.replaceAll(",", ",,")},y=${b.replaceAll(",", ",,")}`, "--drive");
        expect([values.get("x"), values.get("y")]).toEqual([a, b]);
      }),
    );
  });

  it.each(["virt,", "a=1,b", "a=1,,=2,=3", "a=1,a=2", "a=1,=b"])("refuses %j", (text) => {
    expect(() => parseKeyValues(text, "--drive")).toThrowError(/--drive/);
  });
});

describe("parseSwitch", () => {
  it.each([
    ["on", true],
    ["yes", true],
    ["off", false],
    ["false", false],
  ])("%s is %s", (text, value) => {
    expect(parseSwitch(text, "--drive readonly")).toBe(value);
  });

  it("refuses anything else", () => {
    expect(() => parseSwitch("maybe", "--drive readonly")).toThrowError(/neither on nor off/);
  });
});

it("allowKeys names the unknown key and the known ones", () => {
  expect(() => allowKeys(new Map([["colour", "red"]]), ["file", "format"], "--drive")).toThrowError(
    'unknown "colour" (known: file, format)',
  );
});
