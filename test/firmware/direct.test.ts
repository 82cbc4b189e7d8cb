// Debian's UEFI firmware and U-Boot, straight from flash at EL2.

import { expect, it } from "vitest";
import { Machine } from "../../src/harness/index.ts";
import { debianFirmware } from "../support/firmware.ts";

const TIMEOUT = 240_000;

it("UEFI firmware comes to its shell", { timeout: TIMEOUT }, async () => {
  const { files } = await debianFirmware("edk2");
  const machine = await Machine.create({ bios: files["QEMU_EFI.fd"] ?? "", memory: 512 * 2 ** 20 });
  await machine.waitFor(/UEFI Interactive Shell v2/, { timeout: TIMEOUT });
  expect(machine.console.text).toMatch(/UEFI firmware \(version \S+ built at/);
});

it("U-Boot comes to its prompt", { timeout: TIMEOUT }, async () => {
  const { files } = await debianFirmware("u-boot");
  const machine = await Machine.create({ bios: files["u-boot.bin"] ?? "", memory: 512 * 2 ** 20 });
  await machine.waitFor(/Hit any key to stop autoboot/, { timeout: TIMEOUT });
  machine.console.send("\n");
  await machine.waitFor(/=> /, { timeout: TIMEOUT });
  expect(machine.console.text).toMatch(/Flash: +64 MiB/);
});
