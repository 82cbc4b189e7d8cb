// Firmware that is damaged, was built for something else, or meets a machine that is too small: the firmware's own complaint is on its
// console, or ours says what does not fit; and every run ends, with the place of each PE and why it can get no further.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type FlashParts, packFlash } from "../../src/cli/debian/flash.ts";
import { Machine, type MachineOptions, stuckMessage, stuckText } from "../../src/harness/index.ts";
import { b, mov, psci, SMC, str8 } from "../support/a64.ts";
import { debianFirmware, firmwareParts, runQemu } from "../support/firmware.ts";
import { broughtImage } from "../support/rmm-image.ts";

const MiB = 2 ** 20;
const FIP = 0x4_0000;
/** TF-A needs 11 million to BL33 and power-off. */
const LIMIT = 100_000_000;

const code = (words: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
/** Says so at UART 0, and powers off. */
const BL33 = code([
  ...mov(1, 0x0900_0000),
  ...[..."BL33 runs\r\n"].flatMap((c) => [...mov(2, c.charCodeAt(0)), str8(2, 1)]),
  ...psci(0x8400_0008),
  b(0),
]);

let parts: FlashParts;
let flash: Uint8Array;
beforeAll(async () => {
  parts = await firmwareParts("tf-a-rme", BL33);
  flash = packFlash(parts);
});

interface Outcome {
  readonly kind: string;
  /** Where the PEs are and why they get no further; empty after power-off and reset. */
  readonly end: string;
  readonly console: string;
  readonly warnings: string;
}

async function outcome(bios: Uint8Array, o: Partial<MachineOptions> = {}): Promise<Outcome> {
  const machine = await Machine.create({
    machine: "virt,secure=on",
    cpu: "max,rme=on",
    memory: 1024 * MiB,
    bios,
    watchdog: { limit: LIMIT },
    ...o,
  });
  const reason = await machine.run();
  const end = reason.kind === "stuck" ? stuckMessage(reason) : reason.kind === "halted" ? stuckText(machine.whereabouts) : "";
  return { kind: reason.kind, end, console: machine.console.text, warnings: machine.warnings.join("\n") };
}

/** A copy with `change` made to it. */
function changed(change: (flash: Uint8Array, view: DataView) => void): Uint8Array {
  const copy = flash.slice();
  change(copy, new DataView(copy.buffer));
  return copy;
}
/** Offset in flash of entry `n` of the package's table: UUID, offset (+16), size (+24). */
const entry = (n: number): number => FIP + 16 + 40 * n;
/** Where the image of an entry begins. */
const startOf = (n: number): number => FIP + Number(new DataView(flash.buffer).getBigUint64(entry(n) + 16, true));
const [BL2, BL31, RMM, NT_FW] = [0, 1, 2, 3];

/** What TF-A does not find in the package it asks a debugger for, by HLT, and there is none. */
const NO_SEMIHOSTING = /^PE 0 at EL3 in the Root state, .*: a loop of WFI .* \(the last fault before: Unknown reason: ESR_EL3 0x2000000, /;
const WFI = /^PE 0 at EL3 in the Root state, PC 0x[0-9a-f]+: a loop of WFI with interrupts masked/;
const LOST =
  /^the machine can get no further: PE 0 at EL[23] in the \w+(-secure)? state, PC 0x[0-9a-f]+: the same exception over and over, /;

it("the same firmware is sound", async () => {
  for (const smp of [1, 4]) {
    const { kind, console, warnings } = await outcome(flash, { smp });
    expect({ kind, warnings }).toEqual({ kind: "poweroff", warnings: "" });
    expect(console).toMatch(/\r\nBL33 runs\r\n/);
  }
});

describe("damaged flash", () => {
  // biome-ignore format: table
  const cases: readonly (readonly [what: string, change: () => Uint8Array, console: RegExp, end: RegExp, warnings: RegExp])[] = [
    ["nothing but zeros",        () => new Uint8Array(4096),                    /^$/,                                  LOST, /no A64 code/],
    ["the first 1 KiB",          () => flash.slice(0, 1024),                    /^$/,                                  LOST, /^/],
    ["half of BL1",              () => flash.slice(0, parts.bl1.length >> 1),   /^$/,                                  LOST, /^/],
    ["no package",               () => flash.slice(0, FIP),                     /WARNING: Firmware Image Package header check failed\.\r\n$/, NO_SEMIHOSTING, /^/],
    ["a package with a wrong magic", () => changed((f) => { f[FIP] = 0; }),     /WARNING: Firmware Image Package header check failed\.\r\n$/, NO_SEMIHOSTING, /no firmware image package behind BL1/],
    ["cut in the table",         () => flash.slice(0, FIP + 0x50),              /./,                                   /./,  /cut short|ends/],
    ["cut in BL31",              () => flash.slice(0, startOf(BL31) + 20_000),  /Booting BL31/,                        LOST, /soc-fw should end at .*: it is cut short/],
    ["cut in BL33",              () => flash.slice(0, flash.length - 20),       /BL33 runs/,                           LOST, /nt-fw should end at .*: it is cut short/],
    ["no BL2 in the table",      () => changed((f) => { f[entry(BL2)] = 1; }),  /BL1: Loading BL2\r\n$/,               NO_SEMIHOSTING,  /^/],
    ["no BL31 in the table",     () => changed((f) => { f[entry(BL31)] = 1; }), /BL2: Loading image id 3\r\n$/,        NO_SEMIHOSTING,  /^/],
    ["no RMM in the table",      () => changed((f) => { f[entry(RMM)] = 1; }),  /BL2: Loading image id 35\r\n$/,       NO_SEMIHOSTING,  /^/],
    ["no BL33 in the table",     () => changed((f) => { f[entry(NT_FW)] = 1; }), /BL2: Loading image id 5\r\n$/,       NO_SEMIHOSTING,  /^/],
    ["a BL2 that is too large",  () => changed((_, v) => v.setBigUint64(entry(BL2) + 24, 0x10_0000n, true)), /Image id=1 size out of bounds\r\n.*Failed to load BL2/s, WFI, /tb-fw should end at/],
    ["a BL31 that is too large", () => changed((_, v) => v.setBigUint64(entry(BL31) + 24, 0x10_0000n, true)), /Image id=3 size out of bounds\r\n.*Failed to load image id 3/s, WFI, /soc-fw should end at/],
    ["a BL31 of zeros",          () => changed((f) => f.fill(0, startOf(BL31), startOf(RMM))), /Booting BL31/,         WFI, /^/],
    ["an RMM of zeros",          () => changed((f) => f.fill(0, startOf(RMM), startOf(NT_FW))), /RMM init start/,      LOST, /^/],
    ["a BL33 of zeros",          () => changed((f) => f.fill(0, startOf(NT_FW))), /Preparing for EL3 exit to normal world/, LOST, /^/],
  ];
  it.each(cases)("%s", async (_, change, console, end, warnings) => {
    const o = await outcome(change());
    expect(o.console).toMatch(console);
    expect(o.end).toMatch(end);
    expect(o.warnings).toMatch(warnings);
    expect(["stuck", "halted"]).toContain(o.kind);
  });

  it("half of BL2, which starts BL1 again and again: the run ends at its limit", async () => {
    const { kind, end, console } = await outcome(flash.slice(0, startOf(BL2) + 20_000));
    expect(kind).toBe("stuck");
    expect(end).toMatch(/^the machine has run \d{9} instructions and may run no more: PE 0 at EL3 /);
    expect(console.match(/BL1: Booting BL2/g)?.length).toBeGreaterThan(10);
  });

  it("other bytes than the table says: the images overlap", async () => {
    const { warnings } = await outcome(changed((_, v) => v.setBigUint64(entry(BL31) + 16, 0x1000n, true)));
    expect(warnings).toMatch(/the images tb-fw and soc-fw overlap/);
  });

  // Bits anywhere in what is used, the same in each run of the test. One and four PEs in turn.
  it("flipped bits: every run ends", { timeout: 120_000 }, async () => {
    const kinds = new Map<string, number>();
    let state = 1;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const used = [[0, parts.bl1.length], [FIP, 200], ...[BL2, BL31, RMM, NT_FW].map((n) => [startOf(n), parts.fip[n]?.[1].length ?? 0])];
    for (let n = 0; n < 40; n++) {
      const [start = 0, size = 0] = used[n % used.length] ?? [];
      const at = start + random(size);
      const bit = random(8);
      const what = `bit ${bit} of byte 0x${at.toString(16)}`;
      const o = await outcome(
        changed((f) => (f[at] = (f[at] ?? 0) ^ (1 << bit))),
        { smp: n % 2 === 0 ? 1 : 4 },
      ).catch((e: Error) => ({ kind: "refused", end: e.message, console: "", warnings: "" }));
      kinds.set(o.kind, (kinds.get(o.kind) ?? 0) + 1);
      if (o.kind === "poweroff") expect(o.console, what).toMatch(/QEMU System Power off/);
      else if (o.kind === "refused") expect(o.end, what).toMatch(/this firmware does not fit the machine/);
      else if (o.kind !== "reset") expect(o.end, what).toMatch(/PE 0 at EL\d in the \S+ state, PC 0x[0-9a-f]+: /);
      expect(["poweroff", "reset", "refused", "halted", "stuck"], what).toContain(o.kind);
    }
    // Most bits of code are never used on the way.
    expect(kinds.get("poweroff")).toBeGreaterThan(10);
    expect((kinds.get("halted") ?? 0) + (kinds.get("stuck") ?? 0)).toBeGreaterThan(2);
  });
});

/** The flash with another image in place of one of its own. */
const withImage = (name: string, image: Uint8Array): Uint8Array =>
  packFlash({ ...parts, fip: parts.fip.map(([n, data]) => [n, n === name ? image : data] as const) });

describe("the console is QEMU's to the end", () => {
  const qemu = async (bios: Uint8Array, until: RegExp, memory = 1024): Promise<string> => {
    const dir = mkdtempSync(join(tmpdir(), "rme-emu-damaged-"));
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
    writeFileSync(join(dir, "flash.bin"), bios);
    // biome-ignore format: pairs
    const args = ["-M", "virt,secure=on,virtualization=on,gic-version=3", "-cpu", "max,x-rme=on", "-m", `${memory}M`, "-display", "none",
      "-nic", "none", "-monitor", "none", "-serial", "stdio", "-serial", "null", "-bios", join(dir, "flash.bin")];
    return runQemu(args, until, { linger: 1000 });
  };
  // biome-ignore format: table
  const cases: readonly (readonly [what: string, change: () => Uint8Array, memory: number])[] = [
    ["sound firmware",           () => flash,                                                                       1024],
    ["no package",               () => flash.slice(0, FIP),                                                         1024],
    ["no RMM in the table",      () => changed((f) => { f[entry(RMM)] = 1; }),                                      1024],
    ["a BL31 that is too large", () => changed((_, v) => v.setBigUint64(entry(BL31) + 24, 0x10_0000n, true)),       1024],
    ["a BL33 of zeros",          () => changed((f) => f.fill(0, startOf(NT_FW))),                                   1024],
    ["too little memory",        () => flash,                                                                        512],
  ];
  it.each(cases)("%s", async (_, change, memory) => {
    const ours = await outcome(change(), { memory: memory * MiB });
    const last = ours.console.trimEnd().split("\r\n").at(-1) ?? "";
    const theirs = await qemu(change(), new RegExp(`${last.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\r\n`), memory);
    expect(ours.console).toBe(theirs);
  });
});

describe("firmware for something else", () => {
  // biome-ignore format: table
  const boards: readonly (readonly [file: string, built: string])[] = [
    ["rpi3",   "Raspberry Pi 3"],
    ["rpi4",   "Raspberry Pi 4"],
    ["imx8mm", "NXP i.MX 8M"],
    ["g12a",   "Amlogic G12"],
  ];
  it.each(boards)("BL31 for %s is refused", async (board, built) => {
    const { files } = await debianFirmware("tf-a-boards");
    const bl31 = readFileSync(files[`bl31-${board}.bin`] ?? "");
    const why = new RegExp(
      `does not fit the machine virt,secure=on: BL31 was built for ${built}: it maps devices at 0x[0-9a-f]+ to 0x[0-9a-f]+, where this machine has none`,
    );
    await expect(outcome(withImage("soc-fw", bl31))).rejects.toThrow(why);
  });

  // All that these map is flash, memory or a device here as well.
  it.each([
    ["sun50i_a64", "Allwinner A64"],
    ["sun50i_h6", "Allwinner H6"],
    ["k3", "TI K3"],
  ])("BL31 for %s: ours warns, and it waits for devices until the limit", async (board, built) => {
    const { files } = await debianFirmware("tf-a-boards");
    const { kind, end, console, warnings } = await outcome(withImage("soc-fw", readFileSync(files[`bl31-${board}.bin`] ?? "")));
    expect(warnings).toBe(`BL31 was built for ${built}, by the addresses in it`);
    expect(console).toMatch(/Booting BL31\r\n.*SPSR = 0x3cd\r\n$/s);
    expect(kind).toBe("stuck");
    expect(end).toMatch(
      /^the machine has run \d{9} instructions and may run no more: PE 0 at EL3 in the Root state, PC 0xe09[0-9a-f]{4}: /,
    );
  });

  it("an RMM that refuses EL3's interface version: BL31 tells its code, and goes on without", async () => {
    // RMM_BOOT_COMPLETE with E_RMM_BOOT_VERSION_NOT_VALID, as TF-RMM answers.
    const rmm = code([...mov(0, 0xc400_01cf), ...mov(1, -2n), ...mov(2, 0), SMC, b(0)]);
    const { kind, console } = await outcome(withImage("rmm-fw", rmm));
    expect(console).toMatch(/RMM init failed: -2\r\n.*BL31: RMM initialization failed\r\n.*BL33 runs/s);
    expect(kind).toBe("poweroff");
  });

  const newer = broughtImage("RME_TF_RMM_2", "a TF-RMM rmm.img of v0.9 or later for qemu_virt");
  it.runIf(newer)("TF-RMM of v0.9 or later, which wants interface 2.0: the same", async () => {
    const { kind, console } = await outcome(withImage("rmm-fw", readFileSync(newer ?? "")));
    expect(console).toMatch(/RMM init failed: -2\r\n.*BL31: RMM initialization failed\r\n.*BL33 runs/s);
    expect(kind).toBe("poweroff");
  });
});

describe("a machine that does not fit", () => {
  it.each([64, 512])("%i MiB of memory, where BL33 begins at 512: the fault says where nothing is", async (memory) => {
    const { kind, end, console } = await outcome(flash, { memory: memory * MiB });
    expect(console).toMatch(/Loading image id=5 at address 0x60000000\r\n$/);
    expect(kind).toBe("halted");
    expect(end).toMatch(WFI);
    expect(end).toMatch(/the last fault before: Data Abort, External abort: nothing is there: .*FAR_EL3 0x600000[0-9a-f]{2}\)/);
  });

  it.each(["max,rme=off", "cortex-a76"])("cpu %s has no RME: ours warns, and BL2 gives up", async (cpu) => {
    const { kind, end, console, warnings } = await outcome(flash, { cpu });
    expect(warnings).toBe("the firmware was built with RME, and the CPU has none: type --cpu max,rme=on");
    expect(console).toMatch(/Booting BL2/);
    expect(kind).toBe("halted");
    expect(end).toMatch(/^PE 0 at EL[13] in the Secure state, PC /);
  });

  it("a machine without EL3", async () => {
    await expect(outcome(flash, { machine: "virt", cpu: "max" })).rejects.toThrow(
      /TF-A BL1 starts at EL3, and this machine at EL2: type --machine virt,secure=on/,
    );
  });
});
