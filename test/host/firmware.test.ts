// Realms over real EL3 firmware and a real RMM, in a flash image that whoever runs the tests brings: TF-A for PLAT=qemu with ENABLE_RME=1
// and a TF-RMM of v0.6 to v0.8. It starts at the reset vector; our host agent takes over when it reaches Non-secure EL2.

import { describe, expect, test } from "vitest";
import { Machine, type MachineOptions } from "../../src/harness/index.ts";
import { realmSetup } from "../../src/harness/machine.ts";
import { expectedRim, planRealm } from "../../src/host/index.ts";
import { bootToShell, linuxMachine, shell } from "../support/linux.ts";
import { helloRealm } from "../support/realm-hello.ts";
import { broughtImage } from "../support/rmm-image.ts";

const flash = broughtImage("RME_TF_FLASH", "a flash image of TF-A for qemu with RME and a TF-RMM of v0.6 to v0.8");

describe.skipIf(flash === undefined)("TF-A and TF-RMM in flash", () => {
  const bios = flash as string;

  test.each([
    ["virt", 1],
    ["kvmtool", 2],
  ] as const)("realm-hello on %s with %i REC(s)", async (board, smp) => {
    const options: MachineOptions & { memory: number } = { ...helloRealm({ board }, smp), bios };
    const machine = await Machine.create(options);
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    const { text } = machine.console;
    for (const stage of [
      "Booting Trusted Firmware",
      "BL31: Initializing RMM",
      "Booting RMM v.0.",
      "BL31: Preparing for EL3 exit to normal world",
    ]) {
      expect(text).toContain(stage);
    }
    const rim = Buffer.from(expectedRim(planRealm({ ...realmSetup(options), memory: options.memory }))).toString("hex");
    expect(text).toContain(`RIM ${rim}`);
    expect(text).toContain("page taken back: 0x0\n");
  });

  test("Debian 7.2 in a realm", async () => {
    const machine = await linuxMachine("7.2", { realm: {}, bios });
    await bootToShell(machine);
    expect(machine.console.text).toContain("RME: Using RSI version 1.0");
    expect(await shell(machine, "nproc")).toBe("1\n");
    machine.console.send("poweroff\n");
    expect(await machine.run()).toEqual({ kind: "poweroff" });
  }, 300_000);
});
