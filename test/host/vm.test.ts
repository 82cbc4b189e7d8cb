// An ordinary virtual machine: PSCI by HVC, devices, ticks, errors of accesses.

import { expect, test } from "vitest";
import { Machine, type MachineOptions } from "../../src/harness/index.ts";
import * as a64 from "../support/a64.ts";

const MiB = 2 ** 20;
const HVC = 0xd400_0002;
const UART = 0x0900_0000;
const REDISTRIBUTOR = 0x080a_0000;
const CPU_ON = 0xc400_0003;
const AFFINITY_INFO = 0xc400_0004;

const call = (fid: number, ...args: (number | bigint)[]): number[] => [
  ...a64.mov(0, fid),
  ...args.flatMap((v, i) => a64.mov(i + 1, v)),
  HVC,
];
const OFF = call(0x8400_0008);
const print = (text: string): number[] => [
  ...a64.mov(1, UART),
  ...[...text].flatMap((c) => [...a64.mov(2, c.charCodeAt(0)), a64.str8(2, 1)]),
];
/** Prints the low 4 bits of x0 as a letter from "A" on. */
const printX0 = [...a64.mov(3, 15), 0x8a03_0002, a64.addImm(2, 2, 65), ...a64.mov(1, UART), a64.str8(2, 1)];

async function run(code: readonly number[], pieces: Record<number, readonly number[]> = {}, o: Partial<MachineOptions> = {}) {
  const kernel = a64.image(code, pieces);
  const machine = await Machine.create({ kernel, memory: 16 * MiB, realm: { normal: true }, ...o });
  return { end: await machine.run(), text: machine.console.text, machine };
}

test("PSCI: version, features, PEs that are there or not", async () => {
  const code = [
    ...call(0x8400_0000), ...printX0,            // 1.1: B
    ...call(0x8400_000a, CPU_ON), ...printX0,    // 0: A
    ...call(0x8400_000a, 0x8400_0014), ...printX0, // -1: P
    ...call(AFFINITY_INFO, 0, 0), ...printX0,    // on: A
    ...call(AFFINITY_INFO, 1, 0), ...printX0,    // off: B
    ...call(AFFINITY_INFO, 2, 0), ...printX0,    // none, -2: O
    ...call(CPU_ON, 0, a64.ORIGIN, 0), ...printX0, // on already, -4: M
    ...call(0xc600_0000), ...printX0,            // not known: P
    ...a64.psci(0x8400_0000), ...printX0,        // firmware is not for guests: P
    ...OFF,
  ]; // biome-ignore format: one call in a line
  const { end, text } = await run(code, {}, { smp: 2 });
  expect(end).toEqual({ kind: "poweroff" });
  expect(text).toBe("BAPABOMPP");
});

test("a second PE starts with its argument, switches itself off and is started again", async () => {
  const second = [...printX0, ...call(0x8400_0002)];
  const waitOff = [...call(AFFINITY_INFO, 1, 0), a64.cbz(0, -call(AFFINITY_INFO, 1, 0).length)];
  const start = (x0: number): number[] => [...call(CPU_ON, 1, a64.ORIGIN + 0x800, x0), ...waitOff];
  const { end, text } = await run([...start(3), ...start(7), ...OFF], { 2048: second }, { smp: 2 });
  expect(end).toEqual({ kind: "poweroff" });
  expect(text).toBe("DH");
});

test("nothing is where no device is: a synchronous External abort; loads are extended as the instruction says", async () => {
  const code = [
    ...a64.useVectors(1),
    ...a64.mov(1, 0x0500_0000),
    a64.ldr32(2, 1),
    ...a64.mov(3, 0x3f),
    0x8a03_0342, // and x2, x26, x3
    a64.subImm(2, 2, 0x10),
    a64.addImm(2, 2, 65),
    ...a64.mov(1, UART),
    a64.str8(2, 1),
    ...a64.mov(1, UART + 0xfe0), // peripheral ID 0: 0x11
    0x3980_0020, // ldrsb x0, [x1]
    ...printX0,
    ...OFF,
  ];
  const { text } = await run(code, { 2048: a64.skippingVectors(1) });
  expect(text).toBe("AB");
});

test("ticks: the timer interrupts, is handled and interrupts again; a standby ends with it", async () => {
  const handler = [
    a64.mrs(10, "ICC_IAR1_EL1"),
    ...a64.mov(11, 50_000),
    a64.msr("CNTV_TVAL_EL0", 11),
    a64.msr("ICC_EOIR1_EL1", 10),
    a64.addImm(28, 28, 1),
    a64.ERET,
  ];
  const vectors = Array.from({ length: 16 }, (_, n) =>
    n === 5 ? [...handler, ...Array<number>(32 - handler.length).fill(a64.NOP)] : Array<number>(32).fill(a64.b(0)),
  ).flat();
  const write32 = (at: number, value: number): number[] => [...a64.mov(1, at), ...a64.mov(2, value), a64.str32(2, 1)];
  const code = [
    ...a64.useVectors(1),
    ...write32(0x0800_0000, 2),
    ...write32(REDISTRIBUTOR + 0x14, 0),
    ...write32(REDISTRIBUTOR + 0x1_0080, 0xffff_ffff),
    ...write32(REDISTRIBUTOR + 0x1_0100, 1 << 27),
    ...a64.mov(9, 0xf0),
    a64.msr("ICC_PMR_EL1", 9),
    ...a64.mov(9, 1),
    a64.msr("ICC_IGRPEN1_EL1", 9),
    ...a64.mov(11, 50_000),
    a64.msr("CNTV_TVAL_EL0", 11),
    a64.msr("CNTV_CTL_EL0", 9),
    a64.ISB,
    a64.UNMASK_ALL,
    // Two ticks in WFI, then two in CPU_SUSPEND.
    a64.WFI, a64.subImm(5, 28, 2), a64.cbnz(5, -2),
    ...call(0x8400_0001, 0), a64.subImm(5, 28, 4), a64.cbnz(5, -(call(0x8400_0001, 0).length + 1)),
    a64.MASK_ALL,
    ...print("ticks"),
    ...OFF,
  ]; // biome-ignore format: loops
  const { end, text, machine } = await run(code, { 2048: vectors });
  expect(end).toEqual({ kind: "poweroff" });
  expect(text).toBe("ticks");
  expect(machine.instructions).toBeLessThan(10_000); // it waits
});

test("what is about RMMs is refused", async () => {
  await expect(run(OFF, {}, { realm: { normal: true, rmm: new Uint8Array(4096) } })).rejects.toMatchObject({ code: "vm-rmm" });
});
