// What files are, from what is in them; and why they do not fit a machine.

import { gzipSync } from "node:zlib";
import { describe, expect, it, test } from "vitest";
import { addressesIn, looksLikeA32, looksLikeA64, mappedRanges } from "../../src/loader/a64-scan.ts";
import { kernelMisfit, misfitsInFlash } from "../../src/loader/fit.ts";
import { imageInfo } from "../../src/loader/image-info.ts";
import { virtFacts } from "../../src/machine/facts.ts";
import { image as linuxImage, mov, NOP } from "../support/a64.ts";
import { flash, package_, program, stages, UUID } from "../support/firmware-image.ts";

const MiB = 2 ** 20;

describe("what a program says about itself", () => {
  it("constants in one to four instructions, and pointers", () => {
    const code = [...mov(3, 0x1c09_0000), ...mov(4, 0x2f00_1000), ...mov(5, 0x1234_5678_0000), 0x52a1_2006]; // mov w6, #0x09000000
    const data = Buffer.concat([
      new Uint8Array(Uint32Array.from([...code, NOP, NOP]).buffer),
      new Uint8Array(BigUint64Array.of(0x80_0000_0000n).buffer),
    ]);
    const found = addressesIn(data);
    for (const a of [0x1c09_0000, 0x2f00_1000, 0x1234_5678_0000, 0x0900_0000, 0x80_0000_0000]) expect(found).toContain(a);
    expect(found).not.toContain(0x1000);
  });
  it("mapped regions by the form of their table", () => {
    const data = program({
      maps: [
        [0x900_0000, 0x1000, true],
        [0x4000_0000, 0x1000_0000, false],
      ],
    });
    expect(mappedRanges(data)).toEqual([
      { base: 0x900_0000, size: 0x1000, device: true },
      { base: 0x4000_0000, size: 0x1000_0000, device: false },
    ]);
    expect(mappedRanges(new Uint8Array(4096).fill(0xa5))).toEqual([]);
  });
  it("code of other processors is none of ours", () => {
    const arm = Uint32Array.from([0xea00_00b8, ...new Array<number>(7).fill(0xe59f_f014)]);
    expect(looksLikeA32(new Uint8Array(arm.buffer))).toBe(true);
    expect(looksLikeA32(stages.bl1)).toBe(false);
    const riscv = Uint32Array.from({ length: 256 }, (_, i) => [0x0000_0297, 0x0282_8613, 0xf140_2573, 0x0202_b583][i % 4] as number);
    expect(looksLikeA64(new Uint8Array(riscv.buffer))).toBe(false);
    expect(looksLikeA64(stages.bl1)).toBe(true);
    expect(looksLikeA64(new Uint8Array(4096))).toBe(false);
  });
});

const elf = (segments: readonly (readonly [address: number, data: Uint8Array])[], entry: number): Uint8Array => {
  const out = Buffer.alloc(64 + 56 * segments.length + segments.reduce((n, [, d]) => n + d.length, 0));
  out.write("\x7fELF\x02\x01\x01", "latin1");
  out.writeUInt16LE(2, 16);
  out.writeUInt16LE(183, 18);
  out.writeBigUInt64LE(BigInt(entry), 24);
  out.writeBigUInt64LE(64n, 32);
  out.writeUInt16LE(56, 54);
  out.writeUInt16LE(segments.length, 56);
  let at = 64 + 56 * segments.length;
  for (const [n, [address, data]] of segments.entries()) {
    const h = 64 + 56 * n;
    out.writeUInt32LE(1, h);
    for (const [o, v] of [
      [8, at],
      [16, address],
      [24, address],
      [32, data.length],
      [40, data.length],
    ] as const)
      out.writeBigUInt64LE(BigInt(v), h + o);
    out.set(data, at);
    at += data.length;
  }
  return out;
};

test.each([
  [
    "BL1",
    stages.bl1,
    {
      kind: "tf-a",
      what: "TF-A BL1",
      stage: "BL1",
      versions: ["v2.12.0(release):abc", "Built : today"],
      platform: "QEMU virt",
      rme: false,
    },
  ],
  ["BL31 with RME", stages.bl31, { kind: "tf-a", stage: "BL31", versions: ["v2.12.0(release)"], platform: "QEMU virt", rme: true }],
  ["BL1 for another platform", stages.fvpBl1, { kind: "tf-a", platform: "Arm FVP Base", versions: ["v2.9.0(debug):v2.9.0"] }],
  ["TF-RMM", stages.rmm, { kind: "tf-rmm", versions: ["0.8.0"] }],
  ["TRP", program({ text: ["TRP: Memory base: 0x%lx", "v2.12.0(debug):"] }), { kind: "trp", versions: ["v2.12.0(debug)"] }],
  [
    "OP-TEE",
    program({ text: ["OP-TEE version: %s", "4.5.0 (gcc version 14.2.0 (Debian))"] }),
    { kind: "op-tee", versions: ["4.5.0 (gcc version 14.2.0 (Debian))"] },
  ],
  ["U-Boot", program({ text: ["U-Boot 2025.01-3 (Jun 24 2026)"] }), { kind: "u-boot", versions: ["U-Boot 2025.01-3 (Jun 24 2026)"] }],
  ["any program", program({}), { kind: "a64", versions: [], parts: [] }],
  ["a kernel", linuxImage([NOP]), { kind: "linux", versions: [] }],
  ["a compressed kernel", gzipSync(linuxImage([NOP])), { kind: "linux", what: expect.stringContaining("compressed") }],
  ["a device tree", Uint8Array.of(0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 0), { kind: "device-tree" }],
  ["text", new TextEncoder().encode("#!/bin/sh\necho this is no firmware, whatever it says\n"), { kind: "unknown" }],
  ["nothing", new Uint8Array(0), { kind: "unknown", what: "nothing" }],
  [
    "an ELF file",
    elf([[0xe09_0000, stages.bl31]], 0xe09_0000),
    {
      kind: "tf-a",
      elf: true,
      what: "TF-A BL31 (ELF)",
      entry: 0xe09_0000,
      loads: [{ from: 0xe09_0000, to: 0xe09_0000 + stages.bl31.length }],
    },
  ],
])("%s", (_what, data, expected) => expect(imageInfo(data)).toMatchObject(expected));

const fip = package_([
  { uuid: UUID.BL31, data: stages.bl31 },
  { uuid: UUID.RMM, data: stages.rmm },
  { uuid: UUID.BL33, data: linuxImage([NOP]) },
]);

test("a flash image: its parts with their places, and what they are", () => {
  const info = imageInfo(flash(stages.bl1, fip));
  expect(info).toMatchObject({ kind: "flash", platform: "QEMU virt", rme: true });
  expect(info.parts.map((p) => [p.name, p.info.kind])).toEqual([
    ["bl1", "tf-a"],
    ["fip", "fip"],
    ["soc-fw", "tf-a"],
    ["rmm-fw", "tf-rmm"],
    ["nt-fw", "linux"],
  ]);
  const data = flash(stages.bl1, fip);
  const bl31 = info.parts[2];
  expect(Buffer.compare(data.subarray(bl31?.offset, (bl31?.offset ?? 0) + (bl31?.size ?? 0)), stages.bl31)).toBe(0);
  // A package in a package is not opened.
  expect(imageInfo(package_([{ uuid: UUID.BL33, data: fip }])).parts[0]?.info).toMatchObject({ kind: "fip", parts: [] });
});

describe("why firmware does not fit", () => {
  const rme = virtFacts({ secure: true, memory: 64 * MiB, cpu: "max,rme=on" });
  const secure = virtFacts({ secure: true, memory: 64 * MiB, cpu: "max" });
  const plain = virtFacts({ secure: false, memory: 64 * MiB, cpu: "max" });
  const noRme = package_([
    { uuid: UUID.BL31, data: program({ text: ["v2.12.0(release):", "BL31: x"] }) },
    { uuid: UUID.RMM, data: stages.rmm },
  ]);

  it.each([
    ["it does", flash(stages.bl1, fip), rme, []],
    ["any program", program({}), plain, []],
    [
      "another platform",
      flash(stages.fvpBl1, fip),
      rme,
      [[true, /^BL1 was built for Arm FVP Base: it maps devices at 0x1c000000 to 0x1effffff, where this machine has none$/]],
    ],
    [
      "another platform, by its addresses only",
      program({ addresses: [0x1c09_0000, 0x2f00_0000], text: ["BL1: x"] }),
      rme,
      [[false, /built for Arm FVP Base, by the addresses/]],
    ],
    [
      "no EL3",
      flash(stages.bl1, fip),
      plain,
      [
        [true, /starts at EL3, and this machine at EL2: type --machine virt,secure=on/],
        [false, /type --cpu max,rme=on/],
      ],
    ],
    ["no RME in the CPU", flash(stages.bl1, fip), secure, [[false, /type --cpu max,rme=on/]]],
    ["no RME in the firmware", flash(stages.bl1, noRme), rme, [[false, /built without RME \(ENABLE_RME=1\): nobody will start it/]]],
    ["BL31 where BL1 should be", stages.bl31, rme, [[false, /BL1 has to come first/]]],
    ["a package without BL1", fip, rme, [[true, /package without BL1/]]],
    ["a kernel", linuxImage([NOP]), rme, [[true, /type --kernel/]]],
    ["an RMM", stages.rmm, rme, [[true, /realm --rmm/]]],
    ["an ELF file", elf([[0, stages.bl1]], 0), rme, [[true, /flat binary/]]],
    ["a device tree", Uint8Array.of(0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 0), rme, [[true, /--dtb/]]],
    [
      "32-bit code",
      new Uint8Array(Uint32Array.from([0xea00_00b8, ...new Array<number>(7).fill(0xe59f_f014)]).buffer),
      plain,
      [[true, /32-bit Arm code/]],
    ],
  ] as const)("%s", (_what, data, facts, expected) => {
    const found = misfitsInFlash(imageInfo(data), facts);
    expect(found).toEqual(expected.map(([certain, text]) => ({ certain, text: expect.stringMatching(text) })));
  });

  it.each([
    [
      "an ELF file for another platform",
      elf([[0x400_3000, stages.fvpBl1]], 0x400_3000),
      /^it is TF-A BL1 \(ELF\), built for Arm FVP Base, and lies at 0x4003000 to 0x4003[0-9a-f]+, where this machine has no memory$/,
    ],
    ["an ELF file where flash is", elf([[0x1000, program({})]], 0x1000), /^it is A64 code \(ELF\) and lies at 0x1000 to/],
    ["a flash image", flash(stages.bl1, fip), /type --bios for it/],
    ["a package", fip, /--bios for a flash image that has it behind BL1/],
    ["one that fits", elf([[0x4000_0000, program({})]], 0x4000_0000), undefined],
    ["text", new TextEncoder().encode("hello, this is text"), undefined],
  ] as const)("as a kernel: %s", (_what, data, text) => {
    const why = kernelMisfit(imageInfo(data), plain);
    if (text === undefined) expect(why).toBeUndefined();
    else expect(why).toMatch(text);
  });
});
