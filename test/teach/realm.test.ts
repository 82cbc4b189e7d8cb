// Explanations of faults in a realm: its stage 2 tables and granules are the work of the built-in RMM and EL3 monitor, which are named.

import { fileURLToPath } from "node:url";
import { beforeAll, expect, it } from "vitest";
import { type Explanation, explanationText, Machine } from "../../src/harness/index.ts";

const HELLO = fileURLToPath(new URL("../../firmware/realm-hello/realm-hello.img", import.meta.url));
const UART = "0x0000010009000000"; // unprotected alias of the board's serial port

const faults: Explanation[] = [];
beforeAll(async () => {
  const machine = await Machine.create({ kernel: HELLO, memory: 32 * 2 ** 20, realm: { board: "virt" } });
  machine.onFault((e) => faults.push(e));
  expect(await machine.run()).toEqual({ kind: "poweroff" });
}, 60_000);

it("the first touch of memory: the entry is empty, and the tables on the way to it came with RMI_RTT_CREATE", () => {
  const [e] = faults as [Explanation];
  expect(e).toMatchObject({
    requester: { pe: 0, el: 1, security: "Realm" },
    regime: { name: "Realm EL1&0", stage1: false, stage2: true },
    failure: { rule: "S2-INVALID", reported: { to: 2 } },
  });
  const tables = e.descriptors.filter((d) => d.kind === "table");
  expect(tables.length).toBeGreaterThan(1);
  for (const t of tables) {
    expect(t).toMatchObject({ space: "Realm", gpt: { result: "pass" } });
    expect(t.writer).toMatchObject({ by: "built-in RMM", call: "RMI_RTT_CREATE (0xc400015d) from Non-secure EL2" });
  }
});

it("the granules of these tables are Realm since RMI_GRANULE_DELEGATE, by the hand of the EL3 monitor", () => {
  const entry = faults[0]?.descriptors[0]?.gpt?.entries.at(-1);
  expect(entry?.writer).toMatchObject({
    by: "built-in EL3 monitor",
    call: expect.stringMatching(/RMI_GRANULE_DELEGATE .* from Non-secure EL2/),
  });
});

it("a device of the host: nothing is mapped there, for the host emulates it", () => {
  const e = faults.find((f) => f.va === UART) as Explanation;
  expect(e.failure).toMatchObject({ rule: "S2-INVALID", where: "stage 2, level 1" });
  expect(explanationText(e)).toMatch(/Stage 1 output: IPA 0x0010009000000, Realm space/);
});
