// A bare-metal realm on the built-in EL3 monitor and RMM: what it sees, what the host sees, and what is left of it.

import { expect, test } from "vitest";
import { Gpi } from "../../src/gpt/format.ts";
import { Machine, type MachineOptions } from "../../src/harness/index.ts";
import { realmSetup } from "../../src/harness/machine.ts";
import { expectedRim, planRealm } from "../../src/host/index.ts";
import type { RealmSoftware } from "../../src/machine/realms.ts";
import { helloRealm } from "../support/realm-hello.ts";

const MiB = 2 ** 20;
const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");

const softwareOf = (machine: Machine): RealmSoftware => machine.board.software as RealmSoftware;

test.each([
  ["virt", 1, "IPA width 41, SHA-512"],
  ["virt", 2, "IPA width 41, SHA-512"],
  ["kvmtool", 2, "IPA width 33, SHA-256"],
] as const)("realm-hello on %s with %i REC(s)", async (board, smp, config) => {
  const personalizationValue = new TextEncoder().encode("who I am");
  const options = helloRealm({ board, personalizationValue }, smp);
  const machine = await Machine.create(options);
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  const { text } = machine.console;
  expect(text).toContain("RSI version: 0x0000000000010000\n");
  expect(text).toContain(`${config}\n`);
  expect(text).toContain(`RPV ${hex(personalizationValue)}${"00".repeat(56)}\n`);
  expect(text).toContain(`RIM ${hex(expectedRim(planRealm({ ...realmSetup(options), memory: options.memory })))}\n`);
  expect(text).toContain("shared page: 0x1234\n");
  expect(text).toContain("page taken back: 0x0\n");
  expect(text).toContain("host says SMCCC 0x0000000000010001\n");
  expect(text.includes("second PE is up\n")).toBe(smp === 2);
});

test("the measurement tells realms apart", () => {
  const rim = (realm: NonNullable<MachineOptions["realm"]>, smp = 1, append = "") =>
    hex(expectedRim(planRealm({ ...realmSetup({ ...helloRealm(realm, smp), append }), memory: 32 * MiB })));
  const base = rim({});
  expect(rim({ personalizationValue: Uint8Array.of(1) })).toBe(base); // the RPV is no part of it
  for (const other of [rim({ measurementAlgorithm: "sha256" }), rim({ board: "kvmtool" }), rim({}, 2), rim({}, 1, "quiet")])
    expect(other).not.toBe(base);
});

test("after teardown all memory is the host's again, and zero", async () => {
  const machine = await Machine.create(helloRealm({ teardown: true }, 2));
  const software = softwareOf(machine);
  const delegated = new Set<number>();
  software.monitor.gpt.onChange = (_pe, pa, _from, to) => to === Gpi.Realm && delegated.add(pa);
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  expect(delegated.size).toBeGreaterThan(60);
  expect([...delegated].filter((pa) => software.monitor.gpt.gpi(pa) !== Gpi.NonSecure)).toEqual([]);
  // Entry page, staging page and a run page for each REC stay in use.
  expect(software.memory.used).toBe(4);
  const dirty = [...delegated].filter((pa) => software.memory.read(pa, 4096)?.some((b) => b !== 0) ?? true);
  expect(dirty).toEqual([]);
});

test("while the realm is there, the host and its devices reach none of its granules", async () => {
  const machine = await Machine.create(helloRealm({}, 1));
  const { monitor, memory } = softwareOf(machine);
  const taken = new Set<number>();
  monitor.gpt.onChange = (_pe, pa, _from, to) => void (to === Gpi.Realm ? taken.add(pa) : taken.delete(pa));
  await machine.run();
  expect(taken.size).toBeGreaterThan(40);
  for (const pa of taken) {
    expect(memory.read(pa, 8)).toBeUndefined();
    expect(memory.write(pa, Uint8Array.of(1))).toBe(false);
  }
});

test("what cannot be is refused by name", async () => {
  const run = async (o: Partial<MachineOptions>) => (await Machine.create({ ...helloRealm({}, 1), ...o })).run();
  await expect(run({ cpu: "max" })).rejects.toMatchObject({ code: "monitor-needs" });
  await expect(run({ cpu: "max,rme=on,pa=40" })).rejects.toMatchObject({ code: "realm-ipa-width" });
  await expect(run({ realm: { breakpoints: 9 } })).rejects.toMatchObject({ code: "realm-breakpoints" });
  await expect(run({ realm: { pmuCounters: 20 } })).rejects.toMatchObject({ code: "realm-pmu" });
  await expect(run({ realm: { personalizationValue: new Uint8Array(65) } })).rejects.toMatchObject({ code: "realm-rpv" });
  await expect(run({ memory: 3 * MiB })).rejects.toMatchObject({ code: "bad-memory" });
});
