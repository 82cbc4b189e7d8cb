import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { CfiFlash, FlashCommand as Cmd, FLASH_BLOCK, FLASH_BUFFER, FlashStatus } from "../../src/devices/cfi-flash.ts";
import { read, write } from "./support.ts";

const SIZE = 64 * 2 ** 20;
const BOTH = 0x0001_0001;
const READY = FlashStatus.READY * BOTH;

/** Contents with a log of what happened to them. */
class TestArray {
  readonly bytes = new Uint8Array(SIZE);
  direct_ = true;
  switches = 0;
  read(offset: number, length: number): Uint8Array {
    return this.bytes.slice(offset, offset + length);
  }
  write(offset: number, data: Uint8Array): void {
    this.bytes.set(data, offset);
  }
  direct(on: boolean): void {
    this.direct_ = on;
    this.switches++;
  }
}

let array: TestArray;
let flash: CfiFlash;
beforeEach(() => {
  array = new TestArray();
  flash = new CfiFlash({ size: SIZE, array });
});
const word = (at: number): number => new DataView(array.bytes.buffer).getUint32(at, true);
/** A command cycle as 32-bit software writes it: to both chips. */
const command = (value: number, at = 0): void => write(flash, at, value * BOTH);

describe("identification", () => {
  it("is at the start of the bank, from both chips", () => {
    command(Cmd.READ_ID);
    expect([read(flash, 0), read(flash, 4), read(flash, 8)]).toEqual([0x0089_0089, 0x0018_0018, 0]);
    command(Cmd.READ_ARRAY);
    expect(array.direct_).toBe(true);
  });

  it("has the CFI structure as U-Boot reads it: by bytes, at 0x55, with resets before", () => {
    for (const reset of [0xf0, 0xff]) flash.write(0, 1, reset);
    flash.write(0x55 * 4, 1, Cmd.CFI_QUERY);
    const query = (index: number): number => flash.read(index * 4, 1);
    expect([0x10, 0x11, 0x12].map(query)).toEqual([..."QRY"].map((c) => c.charCodeAt(0)));
    expect(query(0x13) | (query(0x14) << 8)).toBe(1);
    const extended = query(0x15) | (query(0x16) << 8);
    expect([0, 1, 2, 3, 4].map((i) => String.fromCharCode(query(extended + i))).join("")).toBe("PRI10");
    expect(2 ** query(0x27) * 2).toBe(SIZE);
    const blocks = (query(0x2d) | (query(0x2e) << 8)) + 1;
    const blockBytes = (query(0x2f) | (query(0x30) << 8)) * 256 * 2;
    expect([blocks, blockBytes]).toEqual([256, FLASH_BLOCK]);
    expect(2 ** query(0x2a) * 2).toBe(FLASH_BUFFER);
    expect(read(flash, 0x10 * 4)).toBe(0x51 * BOTH);
    expect(flash.read(0x10 * 4, 2)).toBe(0x51);
    flash.write(0, 1, 0xff);
    expect(array.direct_).toBe(true);
  });
});

describe("programming", () => {
  it("erases and writes words as edk2's NOR flash driver does", () => {
    const block = 3 * FLASH_BLOCK;
    array.bytes.fill(0x11);
    command(Cmd.LOCK_SETUP, block); // unlock
    command(Cmd.CONFIRM, block);
    command(Cmd.ERASE_BLOCK, block + 8);
    command(Cmd.CONFIRM, block + 8);
    expect(read(flash, block)).toBe(READY); // polls status without asking for it
    expect(array.bytes.subarray(block, block + FLASH_BLOCK).every((b) => b === 0xff)).toBe(true);
    expect([word(block - 4), word(block + FLASH_BLOCK)]).toEqual([0x1111_1111, 0x1111_1111]);
    command(Cmd.PROGRAM, block + 0x10);
    write(flash, block + 0x10, 0x1234_5678);
    expect(read(flash, block + 0x10)).toBe(READY);
    command(Cmd.CLEAR_STATUS);
    command(Cmd.READ_ARRAY);
    expect([word(block + 0x10), word(block + 0xc)]).toEqual([0x1234_5678, 0xffff_ffff]);
  });

  it.each([1, 2, 4] as const)("takes data of %d bytes", (size) => {
    flash.write(9 * size, size, Cmd.PROGRAM_ALTERNATE);
    flash.write(9 * size, size, 0x8765_4321);
    expect([...array.read(9 * size, size + 1)]).toEqual([0x21, 0x43, 0x65, 0x87].slice(0, size).concat(0));
    flash.write(0, size, 0xff);
    expect(array.direct_).toBe(true);
  });

  it("writes a buffer at once, at its confirmation", () => {
    const at = 0x2_0000 + 64;
    array.bytes.fill(0x22);
    command(Cmd.BUFFERED_PROGRAM, at);
    expect(read(flash, at)).toBe(READY); // extended status: buffer available
    command(32 - 1, at); // words of each chip, less one
    for (let i = 0; i < 32; i++) write(flash, at + 4 * i, i);
    expect(word(at)).toBe(0x2222_2222);
    command(Cmd.CONFIRM, at);
    expect(read(flash, at)).toBe(READY);
    expect(Array.from({ length: 32 }, (_, i) => word(at + 4 * i))).toEqual(Array.from({ length: 32 }, (_, i) => i));
    expect([word(at - 4), word(at + 128)]).toEqual([0x2222_2222, 0x2222_2222]);
  });

  it("writes a buffer of one word", () => {
    command(Cmd.BUFFERED_PROGRAM, 8);
    command(0, 8);
    write(flash, 8, 0xabcd_ef01);
    command(Cmd.CONFIRM, 8);
    expect(word(8)).toBe(0xabcd_ef01);
  });

  it("reports a buffer that leaves its place, and writes nothing", () => {
    command(Cmd.BUFFERED_PROGRAM, 0);
    command(1, 0);
    write(flash, 0, 1);
    write(flash, FLASH_BUFFER, 2);
    command(Cmd.CONFIRM, 0);
    command(Cmd.READ_STATUS);
    expect(read(flash, 0)).toBe((FlashStatus.READY | FlashStatus.PROGRAM_ERROR) * BOTH);
    expect(word(0)).toBe(0);
    command(Cmd.CLEAR_STATUS);
    command(Cmd.READ_STATUS);
    expect(read(flash, 0)).toBe(READY);
  });

  it("an erase that is not confirmed leads back to the array", () => {
    command(Cmd.ERASE_BLOCK);
    command(Cmd.READ_ARRAY);
    expect(array.direct_).toBe(true);
  });
});

describe("storage", () => {
  const program = (at: number, value: number): void => {
    command(Cmd.PROGRAM, at);
    write(flash, at, value);
  };
  it("is told of every change before the array", () => {
    const kept: [number, number][] = [];
    flash = new CfiFlash({ size: SIZE, array, persist: (at, data) => kept.push([at, data.length]) > 0 });
    program(0x100, 5);
    command(Cmd.ERASE_BLOCK, FLASH_BLOCK);
    command(Cmd.CONFIRM, FLASH_BLOCK);
    expect(kept).toEqual([
      [0x100, 4],
      [FLASH_BLOCK, FLASH_BLOCK],
    ]);
  });
  it.each([["a read-only bank", { readOnly: true }] as const, ["a host that cannot write", { persist: () => false }] as const])(
    "%s answers errors",
    (_what, options) => {
      flash = new CfiFlash({ size: SIZE, array, ...options });
      array.bytes.fill(7);
      program(0x100, 5);
      expect(read(flash, 0)).toBe((FlashStatus.READY | FlashStatus.PROGRAM_ERROR) * BOTH);
      command(Cmd.CLEAR_STATUS);
      command(Cmd.ERASE_BLOCK);
      command(Cmd.CONFIRM);
      expect(read(flash, 0)).toBe((FlashStatus.READY | FlashStatus.ERASE_ERROR) * BOTH);
      expect(array.bytes.every((b) => b === 7)).toBe(true);
    },
  );
});

describe("state", () => {
  it("is saved in the middle of a buffer", () => {
    command(Cmd.BUFFERED_PROGRAM, 8);
    command(2, 8);
    write(flash, 8, 1);
    const saved = flash.save();
    const other = new TestArray();
    const restored = new CfiFlash({ size: SIZE, array: other });
    restored.restore(saved);
    expect(other.direct_).toBe(false);
    write(restored, 12, 2);
    write(restored, 16, 3);
    write(restored, 8, Cmd.CONFIRM * BOTH);
    expect([...other.bytes.subarray(8, 20)]).toEqual([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
  });
  it("refuses a damaged one", () => {
    const good = flash.save() as Record<string, never>;
    for (const bad of [
      null,
      { ...good, bufferAt: 3 },
      { ...good, bufferAt: SIZE },
      { ...good, phase: 3 },
      { ...good, buffer: new Uint8Array(1) },
    ])
      expect(() => flash.restore(bad)).toThrow(expect.objectContaining({ code: "snapshot-corrupt" }));
  });
});

it("survives any writes, and 0xFF four times always leads back to the array", () => {
  const access = fc.tuple(
    fc.nat(SIZE / 4 - 1),
    fc.constantFrom(1 as const, 2 as const, 4 as const),
    fc.integer({ min: 0, max: 0xffff_ffff }),
  );
  const known = fc.tuple(fc.nat(1023), fc.constant(4 as const), fc.constantFrom(...Object.values(Cmd).map((c) => c * BOTH)));
  fc.assert(
    fc.property(fc.array(fc.oneof(known, access), { maxLength: 40 }), (accesses) => {
      for (const [at, size, value] of accesses) {
        flash.write(at * 4, size, value);
        const seen = flash.read(at * 4, size);
        expect(seen >= 0 && seen < 2 ** (8 * size)).toBe(true);
      }
      // A buffer that is open swallows what its count says.
      for (let i = 0; i < 0x1_0004 && !array.direct_; i++) command(0xff);
      expect(array.direct_).toBe(true);
    }),
    { numRuns: 20 },
  );
});
