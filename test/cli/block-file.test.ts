import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FileBlockBackend, openDrives } from "../../src/cli/block-file.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "rme-emu-drive-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A file with these bytes, as a drive. */
function drive(name: string, data: Uint8Array, o: { readonly?: boolean; probe?: boolean } = {}) {
  const file = join(dir, name);
  writeFileSync(file, data);
  return { file, readonly: o.readonly ?? false, probe: o.probe ?? false };
}

const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff);

describe("FileBlockBackend", () => {
  it("reads what the file holds", () => {
    const data = pattern(8 * 512);
    const backend = FileBlockBackend.open(drive("a", data));
    expect(backend.sectors).toBe(8);
    expect(backend.read(3, 2)).toEqual(data.slice(3 * 512, 5 * 512));
    backend.close();
  });

  it("writes through to the file and leaves the rest alone", () => {
    const data = pattern(8 * 512);
    const d = drive("a", data);
    const backend = FileBlockBackend.open(d);
    expect(backend.write(2, new Uint8Array(512).fill(0xee))).toBe(true);
    expect(backend.flush()).toBe(true);
    backend.close();
    data.fill(0xee, 2 * 512, 3 * 512);
    expect(new Uint8Array(readFileSync(d.file))).toEqual(data);
  });

  it("never writes to a read-only drive", () => {
    const data = pattern(1024);
    const d = drive("a", data, { readonly: true });
    const backend = FileBlockBackend.open(d);
    expect(backend.readOnly).toBe(true);
    expect(backend.write(0, new Uint8Array(512))).toBe(false);
    backend.close();
    expect(new Uint8Array(readFileSync(d.file))).toEqual(data);
  });

  it("never changes the length of the file", () => {
    const d = drive("a", pattern(1024));
    const backend = FileBlockBackend.open(d);
    expect(backend.write(2, new Uint8Array(512))).toBe(false);
    expect(backend.write(1, new Uint8Array(1024))).toBe(false);
    backend.close();
    expect(statSync(d.file).size).toBe(1024);
  });

  it("fills the last sector of a read-only file with zeros", () => {
    const backend = FileBlockBackend.open(drive("a", new Uint8Array(700).fill(1), { readonly: true }));
    expect(backend.sectors).toBe(2);
    const tail = backend.read(1, 1);
    expect(tail?.subarray(0, 188)).toEqual(new Uint8Array(188).fill(1));
    expect(tail?.subarray(188)).toEqual(new Uint8Array(324));
    backend.close();
  });

  it("gives the guest an error, not the host an exception, when the file was cut meanwhile", () => {
    const d = drive("a", pattern(4 * 512));
    const backend = FileBlockBackend.open(d);
    writeFileSync(d.file, new Uint8Array(512));
    expect(backend.read(0, 1)).toBeDefined();
    expect(backend.read(2, 1)).toBeUndefined();
    backend.close();
  });
});

describe("a drive that cannot be used", () => {
  const code = (d: { file: string; readonly: boolean; probe: boolean }): unknown => {
    try {
      FileBlockBackend.open(d).close();
    } catch (error) {
      return (error as { code?: string }).code;
    }
    return "opened";
  };

  it("missing", () => expect(code({ file: join(dir, "none"), readonly: false, probe: false })).toBe("drive-missing"));
  it("empty", () => expect(code(drive("a", new Uint8Array(0)))).toBe("drive-empty"));
  it("a folder", () => {
    mkdirSync(join(dir, "folder"));
    for (const readonly of [true, false]) expect(code({ file: join(dir, "folder"), readonly, probe: false })).toBe("drive-unreadable");
  });
  it("writable, with an odd length", () => expect(code(drive("a", new Uint8Array(700)))).toBe("drive-size"));
  it("a qcow2 image without format=raw", () => {
    const image = new Uint8Array(1024);
    image.set([0x51, 0x46, 0x49, 0xfb]);
    expect(code(drive("a", image, { probe: true }))).toBe("drive-format");
    expect(code(drive("a", image, { probe: false }))).toBe("opened");
  });
  it("unwritable: a program that is running", async () => {
    const file = join(dir, "sleep");
    copyFileSync(process.execPath, file);
    const child = spawn(file, ["-e", "console.log(1); setInterval(() => {}, 1000)"], { stdio: ["ignore", "pipe", "ignore"] });
    await once(child.stdout, "data");
    expect(code({ file, readonly: false, probe: false })).toBe("drive-unwritable"); // ETXTBSY, even for root
    expect(code({ file, readonly: true, probe: false })).toBe("opened");
    child.kill();
  });
  it("unreadable: a link to itself", () => {
    const file = join(dir, "loop");
    symlinkSync(file, file);
    for (const readonly of [true, false]) expect(code({ file, readonly, probe: false })).toBe("drive-unreadable");
  });
  it("one file twice, unless both only read it", () => {
    const d = drive("a", new Uint8Array(512));
    const alias = { ...d, file: join(dir, "alias") };
    linkSync(d.file, alias.file);
    expect(() => openDrives([d, alias])).toThrowError(/used twice/);
    expect(() => openDrives([d, { ...alias, readonly: true }])).toThrowError(/used twice/);
    for (const backend of openDrives([
      { ...d, readonly: true },
      { ...alias, readonly: true },
    ]))
      backend.close();
  });
});
