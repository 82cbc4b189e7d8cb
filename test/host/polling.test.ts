// A guest that exits to its host all the time: the machine must look up between, however much host time each exit costs, and the pieces
// into which a run is cut for that are nothing that the guest can notice.

import { expect, test } from "vitest";
import { Machine } from "../../src/harness/index.ts";
import type { RealmSoftware } from "../../src/machine/realms.ts";
import * as a64 from "../support/a64.ts";

const MiB = 2 ** 20;
/** UARTFR, in the upper half of the 41 bits of IPA. */
const UART_FLAGS = 2 ** 40 + 0x0900_0018;
const POLL = a64.image([...a64.mov(1, UART_FLAGS), a64.ldr32(2, 1), a64.addImm(3, 3, 1), a64.b(-2)]);

const polling = (smp: number): Promise<Machine> => Machine.create({ kernel: POLL, memory: 16 * MiB, smp, realm: {} });
const exits = (machine: Machine): number =>
  [...(machine.board.software as RealmSoftware).vmm.exits.values()].reduce((sum, count) => sum + count, 0);

test("a realm that polls its UART: the machine looks up every few dozen exits", { timeout: 120_000 }, async () => {
  const machine = await polling(1);
  const between: number[] = [];
  let before = 0;
  const look = (): boolean => {
    const now = exits(machine);
    between.push(now - before);
    before = now;
    return false;
  };
  machine.board.advance(40_000, look);
  expect(exits(machine)).toBeGreaterThan(2000);
  expect(Math.max(...between)).toBeLessThanOrEqual(64);
});

test.each([1, 2])("it does not matter where it is cut: %i REC(s)", { timeout: 120_000 }, async (smp) => {
  const [whole, pieces] = [await polling(smp), await polling(smp)];
  await whole.runInstructions(8000);
  for (let left = 8000; left > 0; left -= 100) await pieces.runInstructions(100);
  expect(exits(whole)).toBeGreaterThan(300);
  expect(exits(pieces)).toBe(exits(whole));
  expect(pieces.instructions).toBe(whole.instructions);
  expect(Buffer.compare(pieces.save(), whole.save())).toBe(0);
});
