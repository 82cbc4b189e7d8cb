// The 2.0 generation of RMM, in a flash image that whoever runs the tests brings: TF-A for PLAT=qemu (ENABLE_RME=1, RMM_V1_COMPAT=0) with
// TF-RMM v0.9 or later. A host at Non-secure EL2 asks what it is, activates it, and moves
// granules; the built-in host runs realms by it.

import { expect, test } from "vitest";
import { Security } from "../../src/arch/security.ts";
import { dmaPermitted } from "../../src/gpt/dma.ts";
import { Machine } from "../../src/harness/index.ts";
import { realmSetup } from "../../src/harness/machine.ts";
import { HostAgent } from "../../src/host/agent.ts";
import { expectedRim, planRealm } from "../../src/host/index.ts";
import { firmwareHostRange } from "../../src/machine/host-side.ts";
import { bootToShell, linuxMachine, shell } from "../support/linux.ts";
import { helloRealm } from "../support/realm-hello.ts";
import { delegation, seenOfRmi2 } from "../support/rmi2-host.ts";
import { broughtImage } from "../support/rmm-image.ts";

const flash = broughtImage("RME_TF_FLASH_2", "a flash image of TF-A for qemu with RME and a TF-RMM of v0.9 or later");

const GRANULE = 4096;
const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");
test.skipIf(flash === undefined)("TF-RMM, RMI 2.0: version, features, granules", async () => {
  const machine = await Machine.create({ machine: "virt,secure=on", bios: flash as string, cpu: "max,rme=on", memory: 1 << 30 });
  const { board } = machine;
  const check = board.pes[0]!.mmu.granuleCheck;
  const seen: Record<string, unknown> = {};
  const host = new HostAgent(() => seenOfRmi2(board.phys, (pa) => dmaPermitted(board.phys, check, pa, 8), seen));
  for (const pe of board.pes) pe.setAgent(2, Security.NonSecure, host);
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  expect(machine.console.text).toContain("RMM-EL3 Interface v.2.0");
  expect(machine.console.text).toContain("RMI ABI revision v2.0");
  expect(seen).toMatchObject(delegation.expected);
  const [status, register0 = 0n] = seen["features"] as bigint[];
  expect(status).toBe(0n);
  expect(Number(register0 & 0xffn)).toBeGreaterThanOrEqual(40); // S2SZ
});

test.skipIf(flash === undefined).each([1, 2])(
  "realm-hello over TF-A and TF-RMM by RMI 2.0, with %i REC(s), and everything taken back",
  async (smp) => {
    const options = { bios: flash as string, ...helloRealm({ teardown: true }, smp) };
    const machine = await Machine.create(options);
    const { board } = machine;
    const delegated = new Set<number>();
    board.host?.rmi.onCommand((name, [pa = 0n], { ok }) => ok && name === "GRANULE_DELEGATE" && delegated.add(Number(pa)));
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    const { text } = machine.console;
    expect(text).toContain("RMI ABI revision v2.0");
    expect(text).toContain("RSI version: 0x0000000000010000\n");
    expect(text).toContain(`RIM ${hex(expectedRim(planRealm({ ...realmSetup(options), memory: options.memory }), "2.0"))}\n`);
    expect(text).toContain("shared page: 0x1234\n");
    expect(text).toContain("page taken back: 0x0\n");
    expect(text).toContain("host says SMCCC 0x0000000000010001\n");
    expect(delegated.size).toBeGreaterThan(20);
    const { base, size } = firmwareHostRange(board);
    expect(dmaPermitted(board.phys, board.pes[0]?.mmu.granuleCheck, base, size)).toBe(true);
    expect([...delegated].filter((pa) => board.phys.readBytes(pa, GRANULE)?.some((b) => b !== 0) ?? true)).toEqual([]);
  },
);

test.skipIf(flash === undefined)("Debian 7.2 in a realm by RMI 2.0", { timeout: 300_000 }, async () => {
  const machine = await linuxMachine("7.2", { realm: {}, bios: flash as string });
  await bootToShell(machine);
  expect(machine.console.text).toContain("RMI ABI revision v2.0");
  expect(machine.console.text).toContain("RME: Using RSI version 1.0");
  expect(await shell(machine, "nproc")).toBe("1\n");
  machine.console.send("poweroff\n");
  expect(await machine.run()).toEqual({ kind: "poweroff" });
});
