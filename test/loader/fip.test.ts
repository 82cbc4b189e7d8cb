// Firmware packages: read what an independent writer wrote, and refuse what contradicts itself.

import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { findFip, isFip, readFip } from "../../src/loader/fip.ts";
import { fipKinds, fipUuids } from "../../src/loader/fip-uuids.ts";
import { writeFip } from "../../src/loader/fip-write.ts";
import { EmuError } from "../../src/util/errors.ts";
import { flash, package_, stages, UUID } from "../support/firmware-image.ts";

const three = package_([
  { uuid: UUID.BL2, data: Uint8Array.of(1, 2, 3) },
  { uuid: "00112233445566778899aabbccddeeff", data: new Uint8Array(100).fill(7) },
  { uuid: UUID.RMM, data: new Uint8Array(0) },
]);

test("names, offsets, sizes, contents; unknown images by their UUID", () => {
  const { entries, size, serial } = readFip(three);
  expect(entries.map(({ name, title, uuid, size: bytes }) => [name, title, uuid, bytes])).toEqual([
    ["tb-fw", "BL2", "5ff9ec0b-4d22-3e4d-a544-c39d81c73f0a", 3],
    ["00112233-4455-6677-8899-aabbccddeeff", "unknown image", "00112233-4455-6677-8899-aabbccddeeff", 100],
    ["rmm-fw", "RMM", "6c0762a6-12f2-4b56-92cb-ba8f633606d9", 0],
  ]);
  expect(entries[0]?.data).toEqual(Uint8Array.of(1, 2, 3));
  expect(entries[1]?.offset).toBe(184);
  expect([size, serial]).toEqual([three.length, 0x1234_5678]);
});

test("a package in flash is found", () => {
  const image = flash(stages.bl1, three);
  expect(findFip(image)).toBe(0x4_0000);
  expect(readFip(image, 0x4_0000).entries.map((e) => e.offset)).toEqual(readFip(three).entries.map((e) => e.offset));
  expect(findFip(new Uint8Array(2 ** 20))).toBeUndefined();
});

test("UUIDs and names are one to one, and what our writer writes is read", () => {
  expect(fipKinds.size).toBe(Object.keys(fipUuids).length);
  expect([...fipKinds.keys()].every((uuid) => /^[0-9a-f]{32}$/.test(uuid))).toBe(true);
  const data = [Uint8Array.of(1), Uint8Array.of(2, 3)] as const;
  const names = ["soc-fw", "nt-fw-key-cert"] as const;
  const fip = writeFip(names.map((name, n) => [name, data[n] as Uint8Array] as const));
  expect(readFip(fip).entries.map((e) => [e.name, e.data])).toEqual(names.map((name, n) => [name, data[n]]));
});

/** The package with a number written into it. */
function patched(at: number, value: bigint): Uint8Array {
  const out = three.slice();
  new DataView(out.buffer).setBigUint64(at, value, true);
  return out;
}

/** Entries of no bytes up to the end of the file. */
const endless = package_(Array.from({ length: 300 }, () => ({ uuid: UUID.BL2, data: new Uint8Array(0) })));

describe("damage is told", () => {
  it.each([
    ["cut in the contents", three.subarray(0, 200), /"?cut short/],
    ["cut in the table", package_([]).subarray(0, 56).slice().fill(1, 16), /cut short|does not end/],
    ["a table without end", endless, /does not end/],
    ["an image outside the file", patched(16 + 16, 2n ** 40n), /should end at 0x10000000003, but the file ends at 0x/],
    ["an image in the header", patched(16 + 16, 4n), /inside the header/],
    ["a size beyond all numbers", patched(16 + 24, 2n ** 64n - 1n), /cut short/],
    ["images that overlap", patched(16 + 16, 184n), /overlap/],
  ])("%s", (_what, data, message) => expect(() => readFip(data)).toThrow(message));

  it("whatever is changed: a package, or one clear error", () => {
    fc.assert(
      fc.property(fc.nat(three.length - 1), fc.nat(255), fc.nat(three.length), (at, value, cut) => {
        const data = three.slice(0, cut);
        if (at < cut) data[at] = value;
        if (!isFip(data)) return;
        try {
          for (const e of readFip(data).entries) expect(e.data.length).toBe(e.size);
        } catch (e) {
          expect(e).toBeInstanceOf(EmuError);
        }
      }),
    );
  });
});
