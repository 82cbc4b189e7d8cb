// A realm in wall time on a host that is much too slow: ticks must not keep the guest from getting on.

import { expect, test, vi } from "vitest";
import { Machine } from "../../src/harness/index.ts";
import { RealmSoftware } from "../../src/machine/realms.ts";
import * as a64 from "../support/a64.ts";

const MiB = 2 ** 20;
/** Devices are in the upper half of the IPA space: 41 bits on the virt board. */
const SHARED = 2 ** 40;
const DISTRIBUTOR = SHARED + 0x0800_0000;
const REDISTRIBUTOR = SHARED + 0x080a_0000;
const TIMER_BIT = 1 << 27;
/** Ticks of the counter, 1 GHz: 100 us. */
const PERIOD = 100_000;
const ENABLE = a64.mov(9, 1);

const write32 = (address: number, value: number): number[] => [...a64.mov(1, address), ...a64.mov(2, value), a64.str32(2, 1)];
/** IRQ: acknowledges, arms the timer again, ends the interrupt. */
const handler = [a64.mrs(10, "ICC_IAR1_EL1"), ...a64.mov(11, PERIOD), a64.msr("CNTV_TVAL_EL0", 11), a64.msr("ICC_EOIR1_EL1", 10), a64.ERET];
const vectors = Array.from({ length: 16 }, (_, n) =>
  n === 5 ? [...handler, ...Array<number>(32 - handler.length).fill(a64.NOP)] : Array<number>(32).fill(a64.b(0)),
).flat();

const kernel = a64.image(
  [
    ...a64.useVectors(1),
    ...write32(DISTRIBUTOR, 2),
    ...write32(REDISTRIBUTOR + 0x14, 0),
    ...write32(REDISTRIBUTOR + 0x1_0080, 0xffff_ffff),
    ...write32(REDISTRIBUTOR + 0x1_0100, TIMER_BIT),
    ...a64.mov(9, 0xf0),
    a64.msr("ICC_PMR_EL1", 9),
    ...ENABLE,
    a64.msr("ICC_IGRPEN1_EL1", 9),
    ...a64.mov(11, PERIOD),
    a64.msr("CNTV_TVAL_EL0", 11),
    a64.msr("CNTV_CTL_EL0", 9),
    a64.ISB,
    a64.UNMASK_ALL,
    ...a64.repeat(20, 1_000_000, [a64.NOP, a64.NOP]),
    a64.MASK_ALL,
    ...a64.POWER_OFF,
  ],
  { 2048: vectors },
);

test("a host that is 200 times too slow", async () => {
  const now = performance.now.bind(performance);
  const fast = vi.spyOn(performance, "now").mockImplementation(() => 200 * now());
  try {
    const machine = await Machine.create({ kernel, memory: 16 * MiB, time: "wall", realm: {} });
    const late = setTimeout(() => machine.stop(), 8000);
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    clearTimeout(late);
    const { software } = machine.board;
    expect(software instanceof RealmSoftware && software.vmm.exits.get("IRQ")).toBeGreaterThan(20);
  } finally {
    fast.mockRestore();
  }
}, 20_000);
