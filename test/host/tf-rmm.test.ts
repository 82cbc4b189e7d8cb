// A real RMM, from an image that whoever runs the tests brings: TF-RMM for its qemu_virt platform, RMM 1.0 generation (v0.6 to v0.8).
// It runs at R-EL2 as guest code, under our EL3 monitor; our host agent drives it by RMI.

import { describe, expect, test } from "vitest";
import { Gpi } from "../../src/gpt/format.ts";
import { Machine, MemoryBlockBackend, type RealmOptions } from "../../src/harness/index.ts";
import { realmSetup } from "../../src/harness/machine.ts";
import { expectedRim, planRealm } from "../../src/host/index.ts";
import type { RealmSoftware } from "../../src/machine/realms.ts";
import { attested } from "../support/attested.ts";
import { bootToShell, linuxMachine, shell } from "../support/linux.ts";
import { helloRealm } from "../support/realm-hello.ts";
import { broughtImage } from "../support/rmm-image.ts";

const MiB = 2 ** 20;
const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");

const image = broughtImage("RME_TF_RMM", "a TF-RMM rmm.img of v0.6 to v0.8 for qemu_virt");

describe.skipIf(image === undefined)("TF-RMM, RMM 1.0", () => {
  const rmm = image as string;
  const optionsOf = (realm: RealmOptions, smp: number) => helloRealm({ ...realm, rmm }, smp);

  test.each([
    ["virt", 1, "IPA width 41, SHA-512"],
    ["virt", 2, "IPA width 41, SHA-512"],
    ["kvmtool", 2, "IPA width 33, SHA-256"],
  ] as const)("realm-hello on %s with %i REC(s)", async (board, smp, config) => {
    const personalizationValue = new TextEncoder().encode("who I am");
    const options = optionsOf({ board, personalizationValue }, smp);
    const log: string[] = [];
    const machine = await Machine.create({ ...options, log: (line) => log.push(line) });
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    const { text } = machine.console;
    expect(text).toMatch(/^Booting RMM v\.0\.\d\.\d/m);
    expect(text).toContain("RMM-EL3 Interface v.0.8");
    expect(log.filter((line) => line.includes("RMM boot complete")).length).toBe(smp);
    expect(text).toContain("RSI version: 0x0000000000010000\n");
    expect(text).toContain(`${config}\n`);
    expect(text).toContain(`RPV ${hex(personalizationValue)}${"00".repeat(56)}\n`);
    expect(text).toContain(`RIM ${hex(expectedRim(planRealm({ ...realmSetup(options), memory: options.memory })))}\n`);
    expect(text).toContain("shared page: 0x1234\n");
    expect(text).toContain("page taken back: 0x0\n");
  });

  test("after teardown all memory is the host's again, and zero", async () => {
    const machine = await Machine.create(optionsOf({ teardown: true }, 2));
    const software = machine.board.software as RealmSoftware;
    const delegated = new Set<number>();
    software.monitor.gpt.onChange = (_pe, pa, _from, to) => to === Gpi.Realm && delegated.add(pa);
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(delegated.size).toBeGreaterThan(60);
    expect([...delegated].filter((pa) => software.monitor.gpt.gpi(pa) !== Gpi.NonSecure)).toEqual([]);
    expect([...delegated].filter((pa) => software.memory.read(pa, 4096)?.some((b) => b !== 0) ?? true)).toEqual([]);
  });

  test.each([
    ["virt", "ttyAMA0", 1],
    ["kvmtool", "ttyS0", 2],
  ] as const)(
    "Debian 7.2 on %s with console %s and %i REC(s)",
    async (board, console, smp) => {
      const drives = [{ backend: MemoryBlockBackend.from(new Uint8Array(MiB).fill(0x5a)) }];
      const machine = await linuxMachine("7.2", { smp, append: `console=${console}`, drives, realm: { board, rmm } });
      await bootToShell(machine);
      expect(machine.console.text).toContain("RME: Using RSI version 1.0");
      expect(await shell(machine, "nproc")).toBe(`${smp}\n`);
      expect(await shell(machine, "modprobe virtio_blk; head -c 4 /dev/vda; echo")).toBe("ZZZZ\n");
      if (board === "virt") {
        const report = await attested(machine);
        expect(report.checks.filter((c) => !c.ok)).toEqual([]);
        expect(report.platform.components.map((c) => c.type)).toEqual(["EL3", "RMM"]);
      }
      machine.console.send("poweroff\n");
      expect(await machine.run()).toEqual({ kind: "poweroff" });
    },
    300_000,
  );
});
