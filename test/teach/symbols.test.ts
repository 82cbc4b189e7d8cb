// Which symbols of an ELF file name addresses.

import { expect, it } from "vitest";
import { Symbols } from "../../src/teach/symbols.ts";

/** An ELF file of a symbol table and its names only. */
function elf(symbols: readonly (readonly [name: string, value: bigint, section: number, type: number])[]): Uint8Array {
  const names = `\0${symbols.map(([name]) => `${name}\0`).join("")}`;
  const table = 24 * symbols.length;
  const headers = 64;
  const data = new Uint8Array(headers + 3 * 64 + table + names.length);
  const view = new DataView(data.buffer);
  data.set([0x7f, 0x45, 0x4c, 0x46]);
  view.setBigUint64(40, BigInt(headers), true);
  view.setUint16(58, 64, true);
  view.setUint16(60, 3, true);
  const section = (n: number, type: number, at: number, size: number, link: number) => {
    const h = headers + 64 * n;
    view.setUint32(h + 4, type, true);
    view.setBigUint64(h + 24, BigInt(at), true);
    view.setBigUint64(h + 32, BigInt(size), true);
    view.setUint32(h + 40, link, true);
  };
  const start = headers + 3 * 64;
  section(1, 2, start, table, 2);
  section(2, 3, start + table, names.length, 0);
  symbols.forEach(([name, value, where, type], i) => {
    const at = start + 24 * i;
    view.setUint32(at, names.indexOf(`\0${name}\0`) + 1, true);
    view.setUint8(at + 4, type);
    view.setUint16(at + 6, where, true);
    view.setBigUint64(at + 8, value, true);
  });
  data.set(new TextEncoder().encode(names), start + table);
  return data;
}

it("functions and labels do; constants, data, and what is defined elsewhere do not", () => {
  const symbols = new Symbols();
  symbols.addFile(
    elf([
      ["start", 0x1000n, 1, 2],
      ["label", 0x1800n, 1, 0],
      ["PAGE_SIZE", 0x1900n, 0xfff1, 0],
      ["table", 0x1980n, 1, 1],
      ["elsewhere", 0x19c0n, 0, 2],
    ]),
  );
  expect(symbols.lookup(0x1004n)).toBe("start+0x4");
  expect(symbols.lookup(0x1a00n)).toBe("label+0x200");
  expect(symbols.count).toBe(2);
});
