import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { type BootOptions, loadBoot } from "../../src/loader/boot.ts";
import { type FdtTree, fdtNode, findNode, propertyCells, propertyStrings, writeFdt } from "../../src/loader/fdt.ts";
import { readFdt } from "../../src/loader/fdt-reader.ts";
import { FileContents } from "../../src/loader/files.ts";
import { readKernel } from "../../src/loader/image.ts";
import { EmuError } from "../../src/util/errors.ts";
import { elf, gzipBomb, image, zboot, zstdStored } from "./kernels.ts";

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const BASE = 0x4000_0000;

const tree = (): FdtTree => ({
  root: fdtNode("", { "#address-cells": 2, "#size-cells": 2 }, [
    fdtNode("memory@40000000", { device_type: "memory", reg: [0, BASE, 0, GiB] }),
  ]),
  reservations: [],
  bootCpu: 0,
});
const boot = (o: Partial<BootOptions>, ramSize = GiB) =>
  loadBoot({ kernel: image(), tree: tree(), ram: { base: BASE, size: ramSize }, ...o });

function errorOf(f: () => unknown): EmuError {
  try {
    f();
  } catch (e) {
    if (e instanceof EmuError) return e;
    throw e;
  }
  throw new Error("nothing was thrown");
}
const dir = mkdtempSync(join(tmpdir(), "loader-"));
afterAll(() => rmSync(dir, { recursive: true }));
const put = (name: string, data: Uint8Array): string => {
  writeFileSync(join(dir, name), data);
  return join(dir, name);
};
const piece = (b: ReturnType<typeof boot>, name: string) => b.pieces.find((p) => p.name === name);

describe("placement", () => {
  it("puts kernel, initrd and tree where QEMU does", () => {
    const b = boot({ initrd: new Uint8Array(3 * MiB), bootargs: "console=ttyAMA0" });
    expect(b.entry).toBe(BASE + 2 * MiB);
    expect(piece(b, "kernel")).toMatchObject({ address: BASE + 2 * MiB, size: MiB });
    expect(piece(b, "initrd")).toMatchObject({ address: BASE + 128 * MiB, size: 3 * MiB });
    expect(b.dtbAddress).toBe(BASE + 132 * MiB);
    expect(piece(b, "dtb")?.address).toBe(b.dtbAddress);
  });

  it("uses half of a small RAM", () => {
    const b = boot({ initrd: new Uint8Array(4096) }, 64 * MiB);
    expect(piece(b, "initrd")?.address).toBe(BASE + 32 * MiB);
    expect(b.dtbAddress).toBe(BASE + 34 * MiB);
  });

  it("moves the initrd behind a kernel that reaches further", () => {
    const b = boot({ kernel: image({ imageSize: BigInt(200 * MiB + 1) }), initrd: new Uint8Array(1) });
    expect(piece(b, "initrd")?.address).toBe(BASE + 202 * MiB + 4096);
  });

  it("keeps a text_offset of 4 KiB or more", () => {
    expect(boot({ kernel: image({ textOffset: 0x8_0000n }) }).entry).toBe(BASE + 0x8_0000);
    expect(boot({ kernel: image({ textOffset: 0x800n }) }).entry).toBe(BASE + 2 * MiB + 0x800);
  });

  it("takes an image without image_size as one from before Linux 3.17", () => {
    expect(boot({ kernel: image({ imageSize: 0n, textOffset: 5n }) }).entry).toBe(BASE + 0x8_0000);
  });

  it("loads ELF segments at their physical addresses and translates the entry point", () => {
    const b = boot({ kernel: elf({ memorySize: 64n, entry: 0xffff_0000_4010_0008n }) });
    expect(b).toMatchObject({ kind: "elf", entry: 0x4010_0008 });
    expect(piece(b, "kernel segment 0")).toMatchObject({ address: 0x4010_0000, size: 64, data: new Uint8Array([1, 2, 3, 4]) });
  });

  it("does not change the caller's tree, and writes chosen", () => {
    const given = tree();
    const b = boot({ tree: given, initrd: new Uint8Array(5), bootargs: "a=b c" });
    expect(given).toEqual(tree());
    const chosen = findNode(readFdt(piece(b, "dtb")?.data as Uint8Array).root, "/chosen");
    expect(chosen && propertyStrings(chosen, "bootargs")).toEqual(["a=b c"]);
    expect(chosen && propertyCells(chosen, "linux,initrd-start")).toEqual([0, BASE + 128 * MiB]);
    expect(chosen && propertyCells(chosen, "linux,initrd-end")).toEqual([0, BASE + 128 * MiB + 5]);
  });

  it("patches memory and PSCI into a given tree, with that tree's cell sizes", () => {
    const root = fdtNode("", { "#address-cells": 1, "#size-cells": 1 }, [
      fdtNode("memory", { reg: [0, 1] }),
      fdtNode("memory@80000000", { reg: [0x8000_0000, 1] }),
      fdtNode("chosen", { bootargs: "kept" }),
    ]);
    const b = boot({ dtb: writeFdt({ root, reservations: [{ address: 1n, size: 2n }], bootCpu: 0 }), initrd: new Uint8Array(1) });
    const got = readFdt(piece(b, "dtb")?.data as Uint8Array);
    expect(got.reservations).toEqual([{ address: 1n, size: 2n }]);
    expect(got.root.children.map((c) => c.name).sort()).toEqual(["chosen", "memory@40000000", "psci"]);
    expect(propertyCells(findNode(got.root, "/memory@40000000") as never, "reg")).toEqual([BASE, GiB]);
    expect(propertyStrings(findNode(got.root, "/chosen") as never, "bootargs")).toEqual(["kept"]);
    expect(propertyCells(findNode(got.root, "/chosen") as never, "linux,initrd-end")).toEqual([BASE + 128 * MiB + 1]);
  });
});

describe("kernel formats", () => {
  const plain = image({ length: 70_000 });
  // biome-ignore format: table
  it.each([
    ["gzip",           () => gzipSync(plain)],
    ["zboot of gzip",  () => zboot(gzipSync(plain), "gzip")],
  ])("unpacks %s", (_name, make) => {
    const k = readKernel(make(), GiB);
    expect(k.kind === "image" && Buffer.from(k.data).equals(plain)).toBe(true);
  });

  it("unpacks zstd, or names what is needed for it", () => {
    for (const file of [zstdStored(plain), zboot(zstdStored(plain), "zstd"), zboot(zstdStored(plain), "zstd22")]) {
      try {
        const k = readKernel(file, GiB);
        expect(k.kind === "image" && Buffer.from(k.data).equals(plain)).toBe(true);
        expect(errorOf(() => readKernel(file, 60_000)).code).toBe("kernel-too-large");
        expect(errorOf(() => readKernel(zstdStored(plain).subarray(0, 60_000), GiB)).code).toBe("kernel-truncated");
      } catch (e) {
        expect((e as EmuError).code).toBe("kernel-compression");
        expect((e as EmuError).message).toContain("Node 22.15");
      }
    }
  });

  it("reads the page size from the flags", () => {
    expect([0n, 2n, 4n, 6n].map((flags) => (readKernel(image({ flags }), GiB) as { pageKiB?: number }).pageKiB)).toEqual([
      undefined,
      4,
      16,
      64,
    ]);
  });
});

const bytesAt = (at: number, bytes: number[], length = 1024): Uint8Array => {
  const d = new Uint8Array(length);
  d.set(bytes, at);
  return d;
};
const ascii = (s: string): number[] => [...s].map((c) => c.charCodeAt(0));

describe("bad kernels", () => {
  const bzImage = bytesAt(0x202, ascii("HdrS"));
  bzImage.set([0x55, 0xaa], 0x1fe);
  // biome-ignore format: table
  it.each<[string, string, () => Uint8Array]>([
    ["empty",                         "kernel-empty",         () => new Uint8Array(0)],
    ["a few bytes",                   "kernel-truncated",     () => new Uint8Array(10)],
    ["text",                          "kernel-format",        () => Uint8Array.from(ascii("#!/bin/sh\n".repeat(100)))],
    ["x86 bzImage",                   "kernel-wrong-machine", () => bzImage],
    ["RISC-V Image",                  "kernel-wrong-machine", () => bytesAt(0x38, ascii("RSC\x05"))],
    ["32-bit Arm zImage",             "kernel-wrong-machine", () => bytesAt(0x24, [0x18, 0x28, 0x6f, 0x01])],
    ["x86 zboot",                     "kernel-wrong-machine", () => zboot(gzipSync(image()), "gzip", 0x8664)],
    ["x86 ELF",                       "kernel-wrong-machine", () => elf({ machine: 62 })],
    ["32-bit ELF",                    "kernel-wrong-machine", () => elf({ klass: 1 })],
    ["big-endian ELF",                "kernel-big-endian",    () => elf({ data: 2 })],
    ["big-endian Image",              "kernel-big-endian",    () => image({ flags: 1n })],
    ["cut Image header",              "kernel-truncated",     () => image().slice(0, 60)],
    ["cut Image body",                "kernel-truncated",     () => image({ length: 4096, peEnd: 8192 })],
    ["nonsense sizes",                "kernel-header",        () => image({ imageSize: 2n ** 63n })],
    ["larger than memory",            "kernel-too-large",     () => image({ imageSize: 2n ** 31n })],
    ["text_offset beyond memory",     "kernel-too-large",     () => image({ textOffset: 2n ** 31n })],
    ["cut gzip",                      "kernel-truncated",     () => gzipSync(image({ length: 70_000 })).subarray(0, 60)],
    ["damaged gzip",                  "kernel-corrupt",       () => Uint8Array.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, ...new Array(60).fill(0xff)])],
    ["gzip of something else",        "kernel-format",        () => gzipSync(new Uint8Array(1000).fill(7))],
    ["xz",                            "kernel-compression",   () => bytesAt(0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])],
    ["zboot of lz4",                  "kernel-compression",   () => zboot(new Uint8Array(100), "lz4")],
    ["zboot of something unheard of", "kernel-compression",   () => zboot(new Uint8Array(100), "toString")],
    ["cut zboot",                     "kernel-truncated",     () => zboot(gzipSync(image({ length: 70_000 })), "gzip").subarray(0, 1100)],
    ["device tree",                   "kernel-format",        () => writeFdt(tree(), 1000)],
    ["cut ELF",                       "kernel-truncated",     () => elf().subarray(0, 0x101)],
    ["cut ELF header",                "kernel-truncated",     () => elf().subarray(0, 40)],
    ["ELF segment larger than memory","kernel-elf",           () => elf({ memorySize: 2n })],
    ["ELF beyond all addresses",      "kernel-elf",           () => elf({ physical: 2n ** 60n })],
    ["ELF outside RAM",               "kernel-too-large",     () => elf({ physical: 0x1000n })],
    ["ELF entry nowhere",             "kernel-elf",           () => elf({ entry: 4n })],
  ])("%s: %s", (_name, code, make) => {
    const e = errorOf(() => boot({ kernel: make() }));
    expect(e.code).toBe(code);
    expect(e.message).not.toContain("\n");
    expect(e.exitCode).toBe(1);
    const path = put("bad", make());
    expect(errorOf(() => boot({ kernel: path })).message).toBe(e.message.replace("given as bytes", `"${path}"`));
  });

  it("a small file that unpacks to more than memory", () => {
    const e = errorOf(() => boot({ kernel: gzipBomb(33 * MiB) }, 32 * MiB));
    expect(e.code).toBe("kernel-too-large");
  });

  it("names the other machine", () => {
    expect(errorOf(() => boot({ kernel: elf({ machine: 62 }) })).message).toContain("64-bit x86");
    expect(errorOf(() => boot({ kernel: bzImage })).message).toContain("x86 bzImage");
  });
});

describe("bad initrd, tree and placement", () => {
  // biome-ignore format: table
  it.each<[string, string, Partial<BootOptions>, number]>([
    ["empty initrd",               "initrd-empty",     { initrd: new Uint8Array(0) }, GiB],
    ["initrd larger than memory",  "initrd-too-large", { initrd: new Uint8Array(9 * MiB) }, 16 * MiB],
    ["no room for the tree",       "dtb-too-large",    { initrd: new Uint8Array(8 * MiB) }, 16 * MiB],
    ["empty tree",                 "dtb-empty",        { dtb: new Uint8Array(0) }, GiB],
    ["no tree",                    "dtb-magic",        { dtb: new Uint8Array(100) }, GiB],
    ["large tree",                 "dtb-too-large",    { dtb: new Uint8Array(3 * MiB) }, GiB],
    ["large tree after patching",  "dtb-too-large",    { bootargs: "x".repeat(2 * MiB) }, GiB],
    ["32-bit tree, 4 GiB",         "dtb-cells",        { dtb: writeFdt({ ...tree(), root: fdtNode("", { "#address-cells": 1, "#size-cells": 1 }) }) }, 4 * GiB],
    ["zero cells",                 "dtb-cells",        { dtb: writeFdt({ ...tree(), root: fdtNode("", { "#address-cells": 0 }) }) }, GiB],
    ["ELF over the initrd",        "boot-overlap",     { kernel: elf({ physical: BigInt(BASE + 128 * MiB) }), initrd: new Uint8Array(10) }, GiB],
    ["ELF over the tree",          "boot-overlap",     { kernel: elf({ physical: BigInt(BASE + 128 * MiB) }) }, GiB],
  ])("%s: %s", (_name, code, options, ram) => {
    expect(errorOf(() => boot(options, ram)).code).toBe(code);
  });

  it("refuses a NUL in the command line as misuse", () => {
    expect(errorOf(() => boot({ bootargs: "a\0b" }))).toMatchObject({ code: "bootargs-nul", exitCode: 2 });
  });
});

describe("files", () => {
  it("reads all three from paths", () => {
    const b = boot({ kernel: put("Image", image()), initrd: put("initrd", new Uint8Array(7)), dtb: put("dtb", writeFdt(tree())) });
    expect(b.pieces.map((p) => p.name)).toEqual(["kernel", "initrd", "dtb"]);
  });

  it("leaves a plain Image in its file until it is copied", () => {
    const contents = image({ length: 200_000 }).map((byte, i) => (i < 4096 ? byte : i * 7));
    const path = put("Image", contents);
    const data = piece(boot({ kernel: path }), "kernel")?.data;
    if (!(data instanceof FileContents)) throw new Error("it was read");
    expect(Buffer.from(data.bytes()).equals(contents)).toBe(true);
    const part = new Uint8Array(1000);
    data.open((fill) => fill(part, 150_001));
    expect(part).toEqual(contents.slice(150_001, 151_001));
    truncateSync(path, 150_500);
    expect(errorOf(() => data.open((fill) => fill(part, 150_001)))).toMatchObject({
      code: "kernel-unreadable",
      message: `the kernel "${path}" has become shorter than 200000 bytes`,
    });
    rmSync(path);
    expect(errorOf(() => data.bytes()).code).toBe("kernel-missing");
  });

  it("says which file is missing or unreadable", () => {
    const gone = join(dir, "gone");
    expect(errorOf(() => boot({ kernel: gone }))).toMatchObject({ code: "kernel-missing", message: `no such kernel file: "${gone}"` });
    expect(errorOf(() => boot({ initrd: gone })).code).toBe("initrd-missing");
    expect(errorOf(() => boot({ dtb: join(put("file", image()), "x") })).code).toBe("dtb-missing");
    mkdirSync(join(dir, "folder"));
    expect(errorOf(() => boot({ kernel: join(dir, "folder") })).code).toBe("kernel-unreadable");
    expect(errorOf(() => boot({ kernel: "/dev/zero" })).code).toBe("kernel-unreadable");
    expect(errorOf(() => boot({ initrd: put("none", new Uint8Array(0)) })).code).toBe("initrd-empty");
  });
});
