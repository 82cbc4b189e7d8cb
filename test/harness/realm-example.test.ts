import { expect, test } from "vitest";
import { RealmHost } from "../../src/harness/index.ts";
import { realmMatchers } from "../../src/harness/vitest.ts";

expect.extend(realmMatchers);

// What the realm runs at IPA 0: it stores to a page that is not there yet, loads from a device, then makes a host call.
const program = [
  0xd2840001, // mov  x1, #0x2000
  0xd2800542, // mov  x2, #42
  0xf9000022, // str  x2, [x1]
  0xd2c00023, // mov  x3, #0x100000000   (unprotected: a device of the host)
  0xf9400064, // ldr  x4, [x3]
  0xf9000424, // str  x4, [x1, #8]
  0xd2803320, // mov  x0, #0x199
  0xf2b88000, // movk x0, #0xc400, lsl #16   (RSI_HOST_CALL)
  0xd4000003, // smc  #0
  0x14000000, // b    .
];

test("a realm, its exits, and what the host cannot reach", () => {
  const host = RealmHost.create();
  const realm = host.createRealm({
    contents: [{ ipa: 0, bytes: new Uint8Array(Uint32Array.from(program).buffer) }],
    ram: [{ ipa: 0x2000, size: 0x1000 }],
  });

  // The realm stores to RAM that has no granule yet: the host provides one, and can no longer reach it.
  const fault = realm.enter();
  expect(fault).toExitWith("SYNC");
  expect(fault.ipa).toBe(0x2000);
  const granule = realm.provide(0x2000);
  expect(host.at(granule)).toBeGranule("data");
  expect(host.at(granule)).toFaultOnRead();
  expect(host.at(granule)).toFaultOnWrite();

  // The load from the device is the host's to emulate.
  const load = realm.enter();
  expect(load).toExitWith("SYNC");
  expect(load.ipa).toBe(0x1_0000_0000);
  const events = host.during(["rsi", "exit"], () => {
    expect(realm.enter({ flags: ["EMUL_MMIO"], gprs: [7n] })).toExitWith("HOST_CALL");
  });
  expect(events.map((e) => e.kind)).toEqual(["rsi", "exit"]);

  // Whoever tries, the granule protection table says no, and the explanation names the call that made it so.
  for (const pa of realm.granules) expect(host.at(pa)).toBeProtectedBy("RMI_GRANULE_DELEGATE");
  expect(host.rmi.GRANULE_UNDELEGATE(granule)).toHaveStatus("RMI_ERROR_INPUT");

  // Memory comes back delegated, and wiped.
  expect(realm.takeBack(0x2000)).toBe(granule);
  expect(host.at(granule)).toBeGranule("delegated");
  expect(host.rmi.GRANULE_UNDELEGATE(granule)).toHaveStatus("RMI_SUCCESS");
  expect(host.at(granule).read()).toMatchObject({ ok: true, value: 0n });
});
