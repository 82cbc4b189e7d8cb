import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { parseRecords } from "../../../src/cli/debian/apt.ts";
import { type CpioEntry, writeCpio } from "../../../src/cli/debian/cpio.ts";
import { buildInitramfs } from "../../../src/cli/debian/initramfs.ts";
import { type KernelModule, moduleDepends } from "../../../src/cli/debian/modules.ts";

interface Read {
  path: string;
  mode: number;
  rdev: [number, number];
  data: Uint8Array;
}

/** Reads a newc archive as the kernel does: fixed header of 13 hexadecimal fields, name and data padded to four bytes. */
function readCpio(archive: Uint8Array): Read[] {
  const entries: Read[] = [];
  for (let at = 0; ; ) {
    const text = (from: number, length: number): string => Buffer.from(archive.subarray(from, from + length)).toString("latin1");
    if (text(at, 6) !== "070701") throw new Error(`no header at ${at}`);
    const field = (n: number): number => Number.parseInt(text(at + 6 + 8 * n, 8), 16);
    const nameSize = field(11);
    const path = text(at + 110, nameSize - 1);
    if (path === "TRAILER!!!") return entries;
    const data = (at + 110 + nameSize + 3) & ~3;
    entries.push({ path, mode: field(1), rdev: [field(9), field(10)], data: archive.slice(data, data + field(6)) });
    at = (data + field(6) + 3) & ~3;
  }
}

describe("writeCpio", () => {
  const entries: CpioEntry[] = [
    { kind: "folder", path: "d" },
    { kind: "file", path: "d/one", data: Uint8Array.of(1, 2, 3, 4, 5), mode: 0o755 },
    { kind: "file", path: "d/empty", data: new Uint8Array(0) },
    { kind: "link", path: "l", target: "d/one" },
    { kind: "char", path: "console", major: 5, minor: 1 },
  ];

  it("is read back with types, modes and contents", () => {
    const none = new Uint8Array(0);
    expect(readCpio(writeCpio(entries))).toEqual([
      { path: "d", mode: 0o040755, rdev: [0, 0], data: none },
      { path: "d/one", mode: 0o100755, rdev: [0, 0], data: Uint8Array.of(1, 2, 3, 4, 5) },
      { path: "d/empty", mode: 0o100644, rdev: [0, 0], data: none },
      { path: "l", mode: 0o120777, rdev: [0, 0], data: new TextEncoder().encode("d/one") },
      { path: "console", mode: 0o020600, rdev: [5, 1], data: none },
    ]);
  });

  it("gives the same bytes for the same entries", () => {
    expect(writeCpio(entries)).toEqual(writeCpio(entries));
  });
});

const kernelModule = (name: string, depends: string[] = []): KernelModule => ({
  name,
  path: `kernel/drivers/${name}.ko`,
  data: new TextEncoder().encode(`module ${name}`),
  depends,
});

describe("buildInitramfs", () => {
  const ring = kernelModule("ring");
  const blk = kernelModule("blk", ["ring"]);
  const ext = kernelModule("ext", ["crc", "jbd"]);
  const jbd = kernelModule("jbd", ["crc"]);
  const crc = kernelModule("crc");
  const image = buildInitramfs("6.12-test", Uint8Array.of(0x7f), [ring, blk], [crc, jbd, ext, blk]);
  const entries = new Map(readCpio(gunzipSync(image)).map((e) => [e.path, e]));
  const text = (path: string): string => new TextDecoder().decode(entries.get(path)?.data);

  it("has an executable /init, busybox and a console", () => {
    expect(entries.get("init")?.mode).toBe(0o100755);
    expect(entries.get("bin/busybox")?.mode).toBe(0o100755);
    expect(entries.get("dev/console")).toMatchObject({ mode: 0o020600, rdev: [5, 1] });
  });

  it("lists the modules to load in their order", () => {
    expect(text("etc/load-modules")).toBe("/lib/modules/6.12-test/kernel/drivers/ring.ko\n/lib/modules/6.12-test/kernel/drivers/blk.ko\n");
  });

  it("describes dependencies for modprobe, each module once", () => {
    expect(text("lib/modules/6.12-test/modules.dep").split("\n")).toEqual([
      "kernel/drivers/ring.ko:",
      "kernel/drivers/blk.ko: kernel/drivers/ring.ko",
      "kernel/drivers/crc.ko:",
      "kernel/drivers/jbd.ko: kernel/drivers/crc.ko",
      "kernel/drivers/ext.ko: kernel/drivers/crc.ko kernel/drivers/jbd.ko",
      "",
    ]);
  });

  it("has every folder before what is in it", () => {
    const seen = new Set<string>();
    for (const path of entries.keys()) {
      const parent = path.split("/").slice(0, -1).join("/");
      expect(parent === "" || seen.has(parent), path).toBe(true);
      seen.add(path);
    }
  });
});

describe("moduleDepends", () => {
  /** A minimal ELF64 file with sections null, .modinfo and .shstrtab. */
  function elf(modinfo: string): Uint8Array {
    const info = Buffer.from(modinfo, "latin1");
    const names = Buffer.from("\0.modinfo\0.shstrtab\0", "latin1");
    const file = Buffer.alloc(64 + info.length + names.length + 3 * 64);
    file.writeUInt32BE(0x7f454c46, 0);
    file.writeBigUInt64LE(BigInt(64 + info.length + names.length), 0x28);
    file.writeUInt16LE(64, 0x3a);
    file.writeUInt16LE(3, 0x3c);
    file.writeUInt16LE(2, 0x3e);
    info.copy(file, 64);
    names.copy(file, 64 + info.length);
    const section = (index: number, name: number, offset: number, size: number): void => {
      const at = 64 + info.length + names.length + index * 64;
      file.writeUInt32LE(name, at);
      file.writeBigUInt64LE(BigInt(offset), at + 24);
      file.writeBigUInt64LE(BigInt(size), at + 32);
    };
    section(1, 1, 64, info.length);
    section(2, 10, 64 + info.length, names.length);
    return file;
  }

  it("reads and normalises names", () => {
    expect(moduleDepends(elf("license=GPL\0depends=virtio-ring,virtio\0name=x\0"))).toEqual(["virtio_ring", "virtio"]);
    expect(moduleDepends(elf("license=GPL\0depends=\0"))).toEqual([]);
  });

  it("says what is wrong with other files", () => {
    expect(() => moduleDepends(new Uint8Array(100))).toThrowError(/not an ELF file/);
  });
});

it("parseRecords reads apt's package records", () => {
  const text = "Package: a\nVersion: 1:2-3\nArchitecture: arm64\nDepends: b (= 2), c | d, e:any\nSHA256: 00ff\n\nPackage: z\nVersion: 1\n";
  expect(parseRecords(text)).toEqual([
    { name: "a", version: "1:2-3", architecture: "arm64", depends: ["b", "c", "e"], sha256: "00ff" },
    { name: "z", version: "1", architecture: "", depends: [], sha256: "" },
  ]);
});
