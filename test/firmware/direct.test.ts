// Debian's UEFI firmware and U-Boot, straight from flash at EL2, to their prompts. (Their consoles up to there are compared with QEMU's in
// efi-disk.test.ts.)

import { expect, it } from "vitest";
import { Machine } from "../../src/harness/index.ts";
import { debianFirmware } from "../support/firmware.ts";

const TIMEOUT = 240_000;
const memory = 512 * 2 ** 20;

it.each([1, 4])("UEFI firmware comes to its shell, and powers off: %i PEs", { timeout: TIMEOUT }, async (smp) => {
  const { files } = await debianFirmware("edk2");
  // The shell waits for a second before it looks for keys: in host time, because it does so by reading the counter.
  const machine = await Machine.create({ bios: files["QEMU_EFI.fd"] ?? "", memory, smp, time: "wall" });
  await machine.waitFor(/Press .*ESC.* in 5 seconds/, { timeout: TIMEOUT });
  machine.console.send("\x1b");
  await machine.waitFor(/Shell> /, { timeout: TIMEOUT });
  machine.console.send("ver\r");
  await machine.waitFor(/UEFI v2\.\d+ \(Debian distribution of EDK II, .*Shell> /s, { timeout: TIMEOUT });
  machine.console.send("reset -s\r");
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  expect(machine.console.text).toMatch(/UEFI firmware \(version \S+ built at/);
});

it.each([1, 4])("U-Boot comes to its prompt, and powers off: %i PEs", { timeout: TIMEOUT }, async (smp) => {
  const { files } = await debianFirmware("u-boot");
  const machine = await Machine.create({ bios: files["u-boot.bin"] ?? "", memory, smp });
  await machine.waitFor(/Hit any key to stop autoboot/, { timeout: TIMEOUT });
  machine.console.send("\n");
  await machine.waitFor(/^=> $/m, { timeout: TIMEOUT });
  expect(machine.console.text).toMatch(/^Flash: +64 MiB/m);
  machine.console.send("poweroff\n");
  expect(await machine.run()).toEqual({ kind: "poweroff" });
});
