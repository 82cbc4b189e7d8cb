// The 2.0 generation of RMM under our EL3 monitor, from an image that whoever runs the tests brings: TF-RMM v0.9 or later for its
// qemu_virt platform. A host at Non-secure EL2 asks what it is, activates it, and moves granules; the built-in host runs realms by it.

import { describe, expect, test } from "vitest";
import { Security } from "../../src/arch/security.ts";
import { dmaPermitted } from "../../src/gpt/dma.ts";
import { Gpi } from "../../src/gpt/format.ts";
import { Machine, type RealmOptions } from "../../src/harness/index.ts";
import { realmSetup } from "../../src/harness/machine.ts";
import { HostAgent, type HostTask } from "../../src/host/agent.ts";
import { HostGic } from "../../src/host/host-gic.ts";
import { expectedRim, planRealm } from "../../src/host/index.ts";
import type { RealmSoftware } from "../../src/machine/realms.ts";
import { virtMap } from "../../src/machine/virt-map.ts";
import { attested } from "../support/attested.ts";
import { bootToShell, linuxMachine, shell } from "../support/linux.ts";
import { helloRealm } from "../support/realm-hello.ts";
import { delegation, seenOfRmi2 } from "../support/rmi2-host.ts";
import { broughtImage } from "../support/rmm-image.ts";

const image = broughtImage("RME_TF_RMM_2", "a TF-RMM rmm.img of v0.9 or later for qemu_virt");

const MiB = 2 ** 20;
const GRANULE = 4096;
const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");

describe.skipIf(image === undefined)("TF-RMM, RMI 2.0, under our EL3 monitor", () => {
  const rmm = image as string;
  const optionsOf = (realm: RealmOptions, smp: number) => helloRealm({ ...realm, rmm }, smp);
  const rimOf = (options: ReturnType<typeof optionsOf>): string =>
    hex(expectedRim(planRealm({ ...realmSetup(options), memory: options.memory }), "2.0"));

  test("banner, version, features, granules", async () => {
    const log: string[] = [];
    const machine = await Machine.create({ ...optionsOf({}, 1), memory: 512 * MiB, log: (line) => log.push(line) });
    const { board } = machine;
    const { monitor } = board.software as RealmSoftware;
    const changes: string[] = [];
    monitor.gpt.onChange = (_pe, pa, from, to) => changes.push(`${pa.toString(16)}: ${from} to ${to}`);
    const check = board.pes[0]?.mmu.granuleCheck;
    const seen: Record<string, unknown> = {};
    const host = new HostAgent(() => seenOfRmi2(board.phys, (pa) => dmaPermitted(board.phys, check, pa, 8), seen));
    board.pes[0]?.setAgent(2, Security.NonSecure, host);
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(machine.console.text).toMatch(/^Booting RMM v\.\d+\.\d+\.\d+/m);
    expect(machine.console.text).toContain("RMM-EL3 Interface v.2.0");
    expect(machine.console.text).toContain("RMI ABI revision v2.0");
    expect(log).toContain("EL3: PE 0: RMM boot complete");
    expect(seen).toMatchObject(delegation.expected);
    expect(Number((seen["features"] as bigint[])[1]! & 0xffn)).toBeGreaterThanOrEqual(40); // S2SZ
    const pages = [0, 1, 2].map((n) => (delegation.first + n * GRANULE).toString(16));
    expect(changes).toEqual([
      ...pages.map((pa) => `${pa}: ${Gpi.NonSecure} to ${Gpi.Realm}`),
      ...pages.map((pa) => `${pa}: ${Gpi.Realm} to ${Gpi.NonSecure}`),
    ]);
  });

  test("a PE that is switched off and on again: the RMM boots there with its token, and answers", async () => {
    const log: string[] = [];
    const machine = await Machine.create({ ...optionsOf({}, 2), log: (line) => log.push(line) });
    const { board } = machine;
    const answers: (bigint | undefined)[] = [];
    const version = [0xc400_0150n, 0x2_0000n] as const;
    const on = [0xc400_0003n, 1n, BigInt(virtMap.ram.base + 64 * MiB), 0n] as const;
    const off = [0x8400_0002n] as const;
    const affinity = [0xc400_0004n, 1n, 0n] as const;
    const OFF = 1n;
    function* first(): HostTask {
      for (let round = 0; round < 3; round++) {
        // Calls of the RMM take time, in which the other PE gets on.
        while ((yield affinity)[0] !== OFF) yield version;
        answers.push((yield on)[0]);
        while (answers.length < 2 * round + 2) yield version;
      }
      yield [0x8400_0008n];
    }
    function* second(): HostTask {
      while (true) {
        answers.push((yield version)[1]);
        yield off;
      }
    }
    const host = new HostAgent((pe) => (pe.index === 0 ? first() : second()));
    for (const pe of board.pes) pe.setAgent(2, Security.NonSecure, host);
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(answers).toEqual([0n, 0x2_0000n, 0n, 0x2_0000n, 0n, 0x2_0000n]);
    expect(log.filter((line) => line === "EL3: PE 1: RMM boot complete").length).toBe(3);
  });

  test.each([
    ["virt", 1, "IPA width 41, SHA-512"],
    ["virt", 2, "IPA width 41, SHA-512"],
    ["kvmtool", 2, "IPA width 33, SHA-256"],
  ] as const)("realm-hello on %s with %i REC(s), and everything taken back", async (board, smp, config) => {
    const personalizationValue = new TextEncoder().encode("who I am");
    const options = optionsOf({ board, personalizationValue, teardown: true }, smp);
    const log: string[] = [];
    const machine = await Machine.create({ ...options, log: (line) => log.push(line) });
    const { monitor, memory } = machine.board.software as RealmSoftware;
    const delegated = new Set<number>();
    monitor.gpt.onChange = (_pe, pa, _from, to) => to === Gpi.Realm && delegated.add(pa);
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    const { text } = machine.console;
    expect(log.filter((line) => line.includes("RMM boot complete")).length).toBe(smp);
    expect(text).toContain("RSI version: 0x0000000000010000\n");
    expect(text).toContain(`${config}\n`);
    expect(text).toContain(`RIM ${rimOf(options)}\n`);
    expect(text).toContain("shared page: 0x1234\n");
    expect(text).toContain("page taken back: 0x0\n");
    expect(text).toContain("host says SMCCC 0x0000000000010001\n");
    expect(delegated.size).toBeGreaterThan(40);
    expect([...delegated].filter((pa) => monitor.gpt.gpi(pa) !== Gpi.NonSecure)).toEqual([]);
    expect([...delegated].filter((pa) => memory.read(pa, GRANULE)?.some((b) => b !== 0) ?? true)).toEqual([]);
  });

  test("with an interrupt pending whenever the host calls: commands that do nothing for it are asked again", async () => {
    const options = optionsOf({ teardown: true }, 1);
    const machine = await Machine.create(options);
    const { rmi, memory } = machine.board.software as RealmSoftware;
    const gic = new HostGic(memory, { distributor: virtMap.gicDistributor.base, redistributors: virtMap.gicRedistributor.base });
    let commands = 0;
    rmi.onCommand((name) => {
      commands++;
      if (name !== "REC_ENTER") gic.kick(0);
    });
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(commands).toBeGreaterThan(100);
    expect(machine.console.text).toContain(`RIM ${rimOf(options)}\n`);
    expect(machine.console.text).toContain("page taken back: 0x0\n");
  });

  test.each([
    ["virt", "ttyAMA0", 1],
    ["virt", "ttyAMA0", 2],
  ] as const)("Debian 7.2 on %s with console %s and %i REC(s); its token", { timeout: 400_000 }, async (board, console, smp) => {
    const machine = await linuxMachine("7.2", { smp, append: `console=${console}`, realm: { board, rmm } });
    await bootToShell(machine);
    expect(machine.console.text).toContain("RME: Using RSI version 1.0");
    expect(await shell(machine, "nproc")).toBe(`${smp}\n`);
    const { checks } = await attested(machine, "2.0");
    expect(checks.filter((c) => !c.ok)).toEqual([]);
    expect(checks.length).toBeGreaterThan(5);
    machine.console.send("poweroff\n");
    expect(await machine.run()).toEqual({ kind: "poweroff" });
  });
});
