import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { RealmHost } from "../../src/harness/index.ts";
import { realmMatchers } from "../../src/harness/vitest.ts";
import { b, mov, SMC } from "../support/a64.ts";

expect.extend(realmMatchers);
const code = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);

test("the example of docs/realm-tests.md is the one that runs", () => {
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
  const example = read("./realm-example.test.ts")
    .replace("../../src/harness/index.ts", "rme-emu")
    .replace("../../src/harness/vitest.ts", "rme-emu/vitest");
  expect(read("../../docs/realm-tests.md")).toContain(`\`\`\`ts\n${example}\`\`\`\n`);
});

describe("tries of the host", () => {
  test("reach the host's own memory, by PE and by device, and leave the PE as it was", () => {
    const host = RealmHost.create();
    const pa = host.page(new Uint8Array(8).fill(0x41));
    const before = [host.pe().pc, host.pe().x(0), host.pe().el];
    expect(host.at(pa).read()).toEqual({ pa, kind: "read", by: "EL2", ok: true, value: 0x4141_4141_4141_4141n });
    expect(host.at(pa).write({ el: 1, value: 0x4242n }).ok).toBe(true);
    expect(host.at(pa).read({ el: 1 }).value).toBe(0x4242n);
    expect(host.at(pa).dma("read").ok).toBe(true);
    expect(Buffer.from(host.devicePrinted.subarray(0, 3)).toString()).toBe("BB\0");
    expect(host.at(pa).dma("write").ok).toBe(true);
    expect(host.at(pa).read().value).not.toBe(0x4242n);
    expect([host.pe().pc, host.pe().x(0), host.pe().el]).toEqual(before);
  });

  test("fault on what is delegated, by every way, until it is undelegated", () => {
    const host = RealmHost.create();
    const pa = host.page(new Uint8Array(8).fill(0x41));
    const events = host.during(["granule", "rmi"], () => host.rmi.GRANULE_DELEGATE(pa));
    expect(events).toMatchObject([
      { kind: "granule", pa, from: "undelegated", to: "delegated" },
      { name: "GRANULE_DELEGATE", status: "RMI_SUCCESS" },
    ]);
    const faults = host.during(["gpf"], () => {
      expect(host.at(pa)).toBeProtectedBy("RMI_GRANULE_DELEGATE");
      expect(host.at(pa).fetch()).toMatchObject({ ok: false, by: "EL2" });
    });
    expect(faults.map((e) => `${e.access} by ${e.by.split(" ")[0]}`)).toEqual([
      ...["read by PE", "write by PE", "read by PE", "write by PE"],
      ...["read by virtio-console", "write by virtio-rng", "fetch by PE"],
    ]);
    expect(faults.every((e) => e.pa === pa)).toBe(true);
    expect(host.rmi.GRANULE_UNDELEGATE(pa)).toHaveStatus("RMI_SUCCESS");
    expect(host.at(pa).read().value).toBe(0n);
    expect(() => expect(host.at(pa)).toBeProtectedBy("RMI_GRANULE_DELEGATE")).toThrow(/read of 0x.* by EL2 took place/);
  });
});

test("two RECs on two PEs, one left by an interrupt of the host", () => {
  const host = RealmHost.create({ smp: 2 });
  const realm = host.createRealm({
    contents: [{ ipa: 0, bytes: code(b(0)) }],
    recs: [{ pc: 0 }, { pc: 0, runnable: true }],
  });
  realm.begin({ rec: 0, pe: 0 });
  realm.begin({ rec: 1, pe: 1 });
  host.advance(100_000);
  expect([host.atHost(0), host.atHost(1)]).toEqual([false, false]);
  expect(() => host.idlePe()).toThrow(/all PEs/);
  host.interrupt(1);
  host.advance(100_000);
  expect([host.atHost(0), host.atHost(1)]).toEqual([false, true]);
  expect(realm.lastExit(1)).toExitWith("IRQ");
  // REC 0 is running: nobody else can enter it.
  expect(host.rmi.REC_ENTER(realm.recs[0] as number, realm.runs[1] as number)).toHaveStatus("RMI_ERROR_REC");
});

test("a realm that does not leave is an error of the test, not a hang", () => {
  const host = RealmHost.create();
  const realm = host.createRealm({ contents: [{ ipa: 0, bytes: code(b(0)) }] });
  expect(() => realm.enter({ limit: 100_000 })).toThrow(expect.objectContaining({ code: "realm-running" }));
});

test("matchers say what they found", () => {
  const host = RealmHost.create();
  const pa = host.granule();
  expect(() => expect(host.at(pa)).toBeGranule("rd")).toThrow(/is undelegated, expected rd/);
  expect(() => expect(host.at(pa)).toFaultOnRead()).toThrow(/read of .* by EL2 took place/);
  expect(() => expect(host.rmi.GRANULE_UNDELEGATE(pa)).toHaveStatus("RMI_SUCCESS")).toThrow(/RMI_ERROR_INPUT, expected RMI_SUCCESS/);
  const realm = host.createRealm({ contents: [{ ipa: 0, bytes: code(...mov(0, 0x8400_0008), SMC) }] });
  expect(() => expect(realm.enter()).toExitWith("IRQ")).toThrow(/is PSCI, expected IRQ/);
  expect(realm.enter().status).toBe("RMI_ERROR_REALM 1");
  expect(host.at(pa)).not.toFaultOnWrite();
});

test("calls are checked by name", () => {
  const host = RealmHost.create();
  expect(() => host.rmi.GRANULE_DELEGATE()).toThrow(expect.objectContaining({ code: "rmi-arguments" }));
  expect(() => host.granuleState(0x0900_0000)).toThrow(expect.objectContaining({ code: "not-dram" }));
  expect(host.rmi.VERSION(0x1_0000).results).toEqual([0x1_0000n, 0x1_0000n]);
});
