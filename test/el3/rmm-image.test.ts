// What is taken for an RMM image, and what is told about files that are none.

import { describe, expect, it } from "vitest";
import { RMM_REGION, readRmmImage } from "../../src/el3/rmm-image.ts";
import { elfFile } from "../support/rmm-image.ts";

/** B +8: a program begins like this. */
const CODE = [0x02, 0x00, 0x00, 0x14, 0, 0, 0, 0];
const bytes = (size: number, ...pieces: [at: number, data: readonly number[]][]): Uint8Array => {
  const d = new Uint8Array(size);
  for (const [at, data] of pieces) d.set(data, at);
  return d;
};

describe("flat images", () => {
  it("stand in memory as they are", () => {
    const image = bytes(64, [0, CODE]);
    expect(readRmmImage(image)).toEqual(image);
  });
  // biome-ignore format: table
  it.each([
    ["a FIP",           bytes(64, [0, [1, 0, 0x64, 0xaa]]),                          /firmware image package \(FIP\)/],
    ["a flash image",   bytes(0x4_0040, [0, CODE], [0x4_0000, [1, 0, 0x64, 0xaa]]),  /flash image with BL1/],
    ["a kernel",        bytes(64, [0, CODE], [56, [0x41, 0x52, 0x4d, 0x64]]),        /arm64 kernel Image/],
    ["a device tree",   bytes(64, [0, [0xd0, 0x0d, 0xfe, 0xed]]),                    /device tree blob/],
    ["a gzip file",     bytes(64, [0, [0x1f, 0x8b, 8]]),                             /compressed \(gzip\)/],
    ["a text",          new TextEncoder().encode("root:x:0:0:root:/root:/bin/sh\n"), /a text file/],
    ["zeros",           new Uint8Array(64),                                          /no A64 program: it begins with 0x0/],
    ["nothing",         new Uint8Array(3),                                           /empty or too short: 3 bytes/],
    ["too much",        bytes(RMM_REGION.size + 1, [0, CODE]),                       /too large: 25165825 bytes/],
  ] as const)("%s is told from an RMM", (_name, file, message) => {
    expect(() => readRmmImage(file)).toThrow(expect.objectContaining({ code: "rmm-image", message: expect.stringMatching(message) }));
  });
});

describe("ELF files", () => {
  const elf = elfFile({
    machine: 183,
    entry: 0x1000,
    segments: [
      { address: 0x1000, data: CODE },
      { address: 0x3000, data: [1, 2, 3] },
    ],
  });

  it("become flat: what is between segments is zero", () => {
    const image = readRmmImage(elf);
    expect(image.length).toBe(0x2003);
    expect([...image.slice(0, 8)]).toEqual(CODE);
    expect([...image.slice(0x2000)]).toEqual([1, 2, 3]);
    expect(image.slice(8, 0x2000).every((b) => b === 0)).toBe(true);
  });
  // biome-ignore format: table
  it.each([
    ["of another machine", { machine: 62, entry: 0x1000, segments: [{ address: 0x1000, data: CODE }] },                 /the RMM image is an ELF file for 64-bit x86/],
    ["entered elsewhere",  { machine: 183, entry: 0x1004, segments: [{ address: 0x1000, data: CODE }] },                /entered at 0x1004, not at its start 0x1000/],
    ["too wide",           { machine: 183, entry: 0, segments: [{ address: 0, data: CODE }, { address: 0x200_0000, data: CODE }] }, /an RMM has 25165824/],
  ])("%s are refused", (_name, spec, message) => {
    expect(() => readRmmImage(elfFile(spec))).toThrow(expect.objectContaining({ code: "rmm-image", message: expect.stringMatching(message) }));
  });
});
