// A machine with a guest that was saved while the guest runs continues identically, whatever the host was doing.

import { expect, test } from "vitest";
import { Machine } from "../../src/harness/index.ts";

const MiB = 2 ** 20;
const kernel = new URL("../../firmware/realm-hello/realm-hello.img", import.meta.url).pathname;
const create = (smp: number) => Machine.create({ kernel, memory: 32 * MiB, smp, realm: { board: "virt" } });

test.each([1, 2])("realm-hello with %i REC(s), saved after every so many instructions", async (smp) => {
  const whole = await create(smp);
  await whole.run();
  const { instructions } = whole;
  expect(instructions).toBeGreaterThan(1000);
  for (const part of [0.01, 0.4, 0.9]) {
    const first = await create(smp);
    await first.runInstructions(Math.floor(instructions * part));
    const saved = first.save();
    const printed = first.console.text;
    const second = await create(smp);
    second.restore(saved);
    expect(Buffer.compare(second.save(), saved)).toBe(0);
    expect(await second.run()).toEqual({ kind: "poweroff" });
    expect(printed + second.console.text).toBe(whole.console.text);
    expect(second.instructions).toBe(instructions);
    expect(await first.run()).toEqual({ kind: "poweroff" });
    expect(first.instructions).toBe(instructions);
  }
});
