// U-Boot, OP-TEE and edk2 that are damaged, and edk2 where it was not built for: every run ends with the place of the PE and why it can get no
// further, and what the firmware says on the way is what it says on QEMU.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type FlashParts, packFlash } from "../../src/cli/debian/flash.ts";
import { Machine, stuckMessage, stuckText } from "../../src/harness/index.ts";
import { debianFirmware, firmwareParts, runQemu } from "../support/firmware.ts";

const TIMEOUT = 180_000;
let uboot: Uint8Array;
let edk2: Uint8Array;
let parts: FlashParts;
beforeAll(async () => {
  uboot = readFileSync((await debianFirmware("u-boot")).files["u-boot.bin"] ?? "");
  edk2 = readFileSync((await debianFirmware("edk2")).files["QEMU_EFI.fd"] ?? "");
  parts = await firmwareParts("tf-a-optee", uboot);
});

const flipped = (data: Uint8Array, at: number): Uint8Array => data.map((byte, i) => (i === at ? byte ^ 8 : byte));
const cut = (data: Uint8Array, share: number): Uint8Array => data.slice(0, Math.floor(data.length * share));
/** Bytes of an image without the padding behind it. */
const used = (data: Uint8Array): number => data.findLastIndex((byte) => byte !== 0 && byte !== 0xff) + 1;
/** The flash of TF-A and OP-TEE with another image in place of one of its own; undefined: without it. */
const withImage = (name: string, change: (data: Uint8Array) => Uint8Array | undefined): Uint8Array =>
  packFlash({
    ...parts,
    fip: parts.fip.flatMap(([n, data]) => {
      const image = n === name ? change(data) : data;
      return image === undefined ? [] : [[n, image] as const];
    }),
  });

/** Our run to its end. */
async function outcome(bios: Uint8Array, secure: boolean, smp: number) {
  const machine = await Machine.create({
    machine: secure ? "virt,secure=on" : "virt",
    cpu: "cortex-a76",
    smp,
    bios,
    watchdog: { after: 50_000_000, limit: 200_000_000 },
  });
  const reason = await machine.run();
  const end = reason.kind === "stuck" ? stuckMessage(reason) : reason.kind === "halted" ? stuckText(machine.whereabouts) : reason.kind;
  return { end, console: machine.console.text, secure: machine.secureConsole.text };
}

/** The consoles of QEMU, `linger` ms after its first serial port has printed the last line of ours (none: at once). */
async function onQemu(bios: Uint8Array, secure: boolean, last: string) {
  const dir = mkdtempSync(join(tmpdir(), "rme-emu-damaged-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const [flash, log] = [join(dir, "flash.bin"), join(dir, "secure.log")];
  writeFileSync(flash, bios);
  // biome-ignore format: pairs
  const args = ["-M", `virt${secure ? ",secure=on" : ""},virtualization=on,gic-version=3,its=off,acpi=off`, "-cpu", "cortex-a76", "-m", "1024M",
    "-display", "none", "-nic", "none", "-monitor", "none", "-serial", "stdio", ...(secure ? ["-serial", `file:${log}`] : []), "-bios", flash];
  const until = new RegExp(`${last.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\r\n`);
  const console = await runQemu(args, until, { linger: 500 });
  return { console, secure: secure ? readFileSync(log, "utf8") : "" };
}

const FAULTS = /^the machine can get no further: PE 0 at EL2 in the Non-secure state, PC 0x[0-9a-f]+: the same exception over and over, /;
/** edk2 stops in a loop that looks at a variable: not one that nothing can end, so only the limit ends it. */
const NO_MORE =
  /^the machine has run 200000000 instructions and may run no more: PE 0 at EL2 in the Non-secure state, PC 0x[0-9a-f]+: running/;
const SECURE_EL1 = /PE 0 at EL1 in the Secure state, PC 0x[0-9a-f]+: /;

describe("damaged", () => {
  // biome-ignore format: table
  const cases: readonly (readonly [what: string, bios: () => Uint8Array, secure: boolean, end: RegExp, last: RegExp])[] = [
    ["U-Boot, a hundredth of it",  () => cut(uboot, 0.01),                                   false, FAULTS,                       /^$/],
    ["U-Boot, half of it",         () => cut(uboot, 0.5),                                    false, FAULTS,                       /^$/],
    ["U-Boot, nine tenths of it",  () => cut(uboot, 0.9),                                    false, /a branch to itself with interrupts masked/, /Please RESET the board/],
    ["U-Boot, its first branch",   () => flipped(uboot, 3),                                  false, FAULTS,                       /^$/],
    ["edk2, a hundredth of it",    () => cut(edk2, 0.01),                                    false, FAULTS,                       /^$/],
    ["edk2, its first branch",     () => flipped(edk2, 3),                                   false, FAULTS,                       /^$/],
    ["edk2, half of what is used", () => edk2.slice(0, used(edk2) / 2),                      false, NO_MORE,                      /^UEFI firmware/],
    ["edk2, a bit in its middle",  () => flipped(edk2, used(edk2) >> 1),                     false, NO_MORE,                      /^UEFI firmware/],
    ["half of OP-TEE's header",    () => withImage("tos-fw", (d) => cut(d, 0.5)),            true,  SECURE_EL1,                   /BL2: Failure in post image load handling \(-1\)/],
    ["OP-TEE's header of zeros",   () => withImage("tos-fw", (d) => new Uint8Array(d.length)), true, SECURE_EL1,                  /BL31: Initializing BL32/],
    ["OP-TEE's first instruction", () => withImage("tos-fw-extra1", (d) => flipped(d, 3)),   true,  SECURE_EL1,                   /BL31: Initializing BL32/],
    ["no OP-TEE in the table",     () => withImage("tos-fw", () => undefined),               true,  SECURE_EL1,                   /BL2: Loading image id 4/],
  ];
  it.each(cases)("%s", { timeout: TIMEOUT }, async (_, change, secure, end, last) => {
    const bios = change();
    for (const smp of [1, 4]) {
      const ours = await outcome(bios, secure, smp);
      expect(ours.end).toMatch(end);
      const line = ours.console.trimEnd().split("\r\n").at(-1) ?? "";
      expect(line).toMatch(last);
      if (smp > 1 || line === "") continue;
      const theirs = await onQemu(bios, secure, line);
      expect(ours.console).toBe(theirs.console);
      expect(ours.secure).toBe(theirs.secure);
    }
  });
});

describe("where it was not built for", () => {
  it("edk2 as BL33: TF-A hands over, and it is lost", { timeout: TIMEOUT }, async () => {
    const { end, console } = await outcome(
      withImage("nt-fw", () => edk2),
      true,
      1,
    );
    expect(console.trimEnd().split("\r\n").at(-1)).toMatch(/SPSR = 0x3c9$/);
    expect(end).toMatch(/PE 0 at EL2 in the Non-secure state, PC 0x[0-9a-f]+: /);
  });
});
