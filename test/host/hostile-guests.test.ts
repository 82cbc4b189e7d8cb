// Guests in realms that do what they should not, under the built-in host: the answer is exact, and the machine goes on.

import { describe, expect, test } from "vitest";
import { Machine, type MachineOptions } from "../../src/harness/index.ts";
import type { RealmSoftware } from "../../src/machine/realms.ts";
import { rsi } from "../../src/rmm/commands.ts";
import * as a64 from "../support/a64.ts";

const MiB = 2 ** 20;
const MEMORY = 16 * MiB;
const RAM = 0x4000_0000;
/** Width of IPAs is 41 bits: devices are reached from here on. */
const SHARED = 2 ** 40;
const UART = 0x0900_0000;
/** A page of RAM that holds nothing at the start; one that is the guest's own. */
const ABSENT = RAM + 8 * MiB;
const OWN = a64.ORIGIN + 0x1000;
const ONES = 0xffff_ffff_ffff_f000n;

const call = (fid: number, ...args: (number | bigint)[]): number[] => [
  ...a64.mov(0, fid),
  ...args.flatMap((v, i) => a64.mov(i + 1, v)),
  a64.SMC,
];
const OFF = call(0x8400_0008);
/** Prints the low 4 bits of xn as a letter from "A" on. Uses x1 to x3. */
const letter = (n: number): number[] => [
  ...a64.mov(3, 15),
  (0x8a00_0002 | (3 << 16) | (n << 5)) >>> 0, // and x2, xn, x3
  a64.addImm(2, 2, 65),
  ...a64.mov(1, SHARED + UART),
  a64.str8(2, 1),
];
/** One letter for each call: x0. */
const calls = (...list: (readonly [number, ...(number | bigint)[]])[]): number[] => list.flatMap((c) => [...call(...c), ...letter(0)]);
/** Loads from there; a letter for the exceptions so far, one for the low bits of the fault status. */
const load = (at: number | bigint): number[] => [...a64.mov(20, at), a64.ldr64(21, 20), ...letter(28), ...letter(26)];

/** Runs a guest to its end; `steps`: for so many instructions. */
async function run(code: readonly number[], { steps, ...o }: Partial<MachineOptions> & { steps?: number } = {}) {
  const kernel = a64.image([...a64.useVectors(1), ...code], { 2048: a64.skippingVectors(1), 4096: [0] });
  const machine = await Machine.create({ kernel, memory: MEMORY, realm: {}, ...o });
  return { end: steps === undefined ? await machine.run() : await machine.runInstructions(steps), text: machine.console.text, machine };
}

describe("a guest that", () => {
  test("touches IPAs where nothing is takes External aborts (status 0x10), and goes on", async () => {
    const nowhere = [UART, RAM + MEMORY, SHARED - 0x1000, SHARED + 0x0a10_0000, 2 * SHARED];
    const { end, text } = await run([...nowhere.flatMap(load), ...OFF]);
    expect(end).toEqual({ kind: "poweroff" });
    expect(text).toBe("BACADAEAFA");
  });

  test("ignores RIPAS: what it gave away is an External abort; taken back, it is zero", async () => {
    const ripas = (value: number): number[] => call(rsi.IPA_STATE_SET, OWN, OWN + 0x1000, value, 1);
    const write = [...a64.mov(20, OWN), ...a64.mov(21, 7), a64.str64(21, 20)];
    const read = [...a64.mov(20, OWN), a64.ldr64(21, 20), ...letter(21), ...letter(28)];
    const { end, text } = await run([
      ...write,
      ...read,
      ...ripas(0),
      ...letter(0),
      ...write,
      ...letter(28),
      ...ripas(1),
      ...letter(0),
      ...read,
      ...OFF,
    ]);
    expect(end).toEqual({ kind: "poweroff" });
    // 7, no exception; given away; one exception; taken back; 0, still one.
    expect(text).toBe("HAABAAB");
  });

  test("calls what is neither RSI nor PSCI reads -1; SMCCC and PSCI of the host are not its own", async () => {
    const { end, text } = await run([
      ...calls([0xc400_019a], [0xc400_01cf], [0xc400_0150], [0x8400_0050], [0x8600_0000], [0x8000_8000]),
      ...OFF,
    ]);
    expect(end).toEqual({ kind: "poweroff" });
    expect(text).toBe("PPPPPP");
  });

  test("passes buffers that are misaligned, unprotected, given away or nowhere: ERROR_INPUT; one that is not there yet is brought", async () => {
    const bad = [OWN + 8, SHARED + OWN, UART, RAM + MEMORY, 2 * SHARED, ONES];
    const { end, text } = await run([
      ...calls(...bad.map((at) => [rsi.REALM_CONFIG, at] as const)),
      ...calls(...bad.map((at) => [rsi.HOST_CALL, at] as const)),
      ...calls([rsi.REALM_CONFIG, ABSENT], [rsi.HOST_CALL, ABSENT + 0x4000]),
      ...OFF,
    ]);
    expect(end).toEqual({ kind: "poweroff" });
    expect(text).toBe("BBBBBBBBBBBBAA");
  });

  test("asks for RIPAS of what is not its RAM: refused, and nothing changes", async () => {
    const ask = (base: number, top: number): number[] => [...call(rsi.IPA_STATE_SET, base, top, 1, 1), ...letter(0)];
    const response = [...call(rsi.IPA_STATE_SET, UART, UART + 0x1000, 1, 1), ...letter(2)];
    const { end, text } = await run([...ask(RAM + 1, RAM + 0x1000), ...ask(SHARED, SHARED + 0x1000), ...response, ...load(UART), ...OFF]);
    expect(end).toEqual({ kind: "poweroff" });
    // ERROR_INPUT twice; RSI_REJECT; an External abort as before.
    expect(text).toBe("BBBBA");
  });

  test("calls HVC takes an undefined instruction; a guest that resets ends so", async () => {
    const { end, text } = await run([0xd400_0002, ...letter(28), ...call(0x8400_0009)]);
    expect(end).toEqual({ kind: "reset" });
    expect(text).toBe("B");
  });

  test("suspends: CPU_SUSPEND returns when its timer is due", async () => {
    const timer = [
      a64.mrs(20, "CNTVCT_EL0"),
      ...a64.mov(21, 1_000_000),
      a64.add(20, 20, 21),
      a64.msr("CNTV_CVAL_EL0", 20),
      ...a64.mov(21, 1),
      a64.msr("CNTV_CTL_EL0", 21),
    ];
    const { end, text } = await run([
      ...timer,
      ...call(0xc400_0001, 0, 0, 0),
      ...letter(0),
      a64.mrs(21, "CNTV_CTL_EL0"),
      ...letter(21),
      ...OFF,
    ]);
    expect(end).toEqual({ kind: "poweroff" });
    // SUCCESS; enabled and its condition met.
    expect(text).toBe("AF");
  });
});

describe("a guest that gets nowhere", () => {
  test("because its vectors are where nothing is stays in the realm: no exit, and the host keeps its turn", async () => {
    const { machine, end } = await run([...a64.mov(0, UART), a64.msr("VBAR_EL1", 0), a64.ISB, a64.UDF], { steps: 20_000 });
    expect(end).toBeUndefined();
    const { vmm } = machine.board.software as RealmSoftware;
    const exits = [...vmm.exits.values()].reduce((n, v) => n + v, 0);
    expect((await machine.runInstructions(20_000)) ?? "still").toBe("still");
    expect([...vmm.exits.values()].reduce((n, v) => n + v, 0)).toBe(exits);
  });

  test("in a loop without end leaves the host its turn, and the machine can be stopped", async () => {
    const kernel = a64.image([a64.b(0)]);
    const machine = await Machine.create({ kernel, memory: MEMORY, realm: {}, time: "wall" });
    const ends = machine.run();
    setTimeout(() => machine.stop(), 300);
    expect(await ends).toEqual({ kind: "stopped" });
  });
});
