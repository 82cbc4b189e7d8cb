// Firmware Image Packages as TF-A reads them.

import { expect, it } from "vitest";
import { packFlash } from "../../src/cli/debian/flash.ts";
import { writeFip } from "../../src/loader/fip-write.ts";

const bytes = (...list: number[]): Uint8Array => Uint8Array.from(list);

it("a package is a header, entries of UUID, offset and size, an end with the total, and the images", () => {
  const fip = writeFip([
    ["soc-fw", bytes(1, 2, 3)],
    ["rmm-fw", bytes(4, 5)],
  ]);
  const view = new DataView(fip.buffer);
  const u64 = (at: number): number => Number(view.getBigUint64(at, true));
  expect([view.getUint32(0, true), view.getUint32(4, true)]).toEqual([0xaa640001, 0x12345678]);
  expect(Buffer.from(fip.subarray(16, 32)).toString("hex")).toBe("47d4086d4cfe98469b952950cbbd5a00");
  expect([u64(32), u64(40)]).toEqual([136, 3]);
  expect([u64(72), u64(80)]).toEqual([139, 2]);
  expect(fip.subarray(96, 112)).toEqual(new Uint8Array(16));
  expect(u64(112)).toBe(fip.length);
  expect(fip.subarray(136)).toEqual(bytes(1, 2, 3, 4, 5));
});

it("a flash image has BL1 at 0 and the package at 256 KiB; what does not fit is refused", () => {
  const flash = packFlash({ bl1: bytes(7), fip: [["nt-fw", bytes(9)]] });
  expect([flash[0], flash[1], flash[0x40000], flash.at(-1)]).toEqual([7, 0, 1, 9]);
  expect(() => packFlash({ bl1: new Uint8Array(0x40001), fip: [] })).toThrow(/262144/);
  expect(() => packFlash({ bl1: bytes(7), fip: [["nt-fw", new Uint8Array(2 ** 26)]] })).toThrow(/67108864/);
});
