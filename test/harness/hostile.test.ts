// Guests that do everything wrong: the answer is the architected exception, the device's error or one clear EmuError; never a
// stack trace, a hang or a host out of memory. Programs run at EL2 with the MMU off (test/support/a64.ts).

import { describe, expect, it } from "vitest";
import { encodings } from "../../src/arch/registers/encodings.ts";
import { EmuError, Machine, type MachineOptions, MemoryBlockBackend } from "../../src/harness/index.ts";
import * as a64 from "../support/a64.ts";

const { image, mov, repeat, ORIGIN } = a64;
const MiB = 2 ** 20;
const RAM = 0x4000_0000;
/** Where programs leave results. */
const RESULTS = RAM + 16 * MiB;

const boot = (kernel: Uint8Array, options: Partial<MachineOptions> = {}) => Machine.create({ kernel, memory: 64 * MiB, ...options });
const words = (machine: Machine, pa: number, count: number): number[] => {
  const view = new DataView(machine.readMemory(pa, 4 * count).buffer);
  return Array.from({ length: count }, (_, i) => view.getUint32(4 * i, true));
};

describe("exceptions without end", () => {
  // What VBAR_EL2 holds when the program's first instruction is undefined.
  // biome-ignore format: table
  const vectors: [where: string, vbar: bigint, esr: bigint][] = [
    ["in nothing",                      0x0b00_0000n,            0x8600_0010n], // external abort on the fetch, not on a walk
    ["in empty flash",                  0n,                      0x0200_0000n],
    ["in a device",                     0x0900_0000n,            0x8600_0010n],
    ["at the end of the physical addresses", 0x000f_ffff_ffff_f800n, 0x8600_0010n],
    ["not canonical",                   0x00f0_0000_0000_0000n,  0x8600_0000n],
    ["in memory that holds zeros",      BigInt(RAM + 32 * MiB),  0x0200_0000n], // unknown reason: zeros are UDF
  ];
  it.each(vectors)("vectors %s: instructions are counted, time goes on", async (_where, vbar, esr) => {
    const machine = await boot(image([...mov(0, vbar), a64.msr("VBAR_EL2", 0), a64.ISB, a64.UDF]));
    expect(await machine.runInstructions(300_000)).toBeUndefined();
    expect(machine.instructions).toBe(300_000);
    expect(machine.pe().el).toBe(2);
    expect(machine.pe().sysreg("ESR_EL2")).toBe(esr);
    expect(await machine.runInstructions(1)).toBeUndefined();
    expect(machine.instructions).toBe(300_001);
  });

  it("an exception in every handler, on every PE", async () => {
    const on = [1, 2, 3].flatMap((n) => [...mov(1, n), ...mov(2, ORIGIN + 0x1000), ...mov(3, 0), ...a64.psci(0xc400_0003)]);
    const machine = await boot(image([...on, ...mov(0, 0), a64.br(0)], { 4096: [a64.UDF] }), { smp: 4 });
    expect(await machine.runInstructions(500_000)).toBeUndefined();
    expect(machine.instructions).toBe(500_000);
    for (const pe of [0, 1, 2, 3]) expect(machine.pe(pe).pc).toBe(0x200n);
  });

  it("time passes: the timer's interrupt comes in spite of them", async () => {
    // Exceptions mask interrupts, so the condition is looked at, not the interrupt: CNTHP_CTL_EL2.ISTATUS.
    const machine = await boot(
      image([...mov(0, 50_000), a64.msr("CNTHP_TVAL_EL2", 0), ...mov(0, 1), a64.msr("CNTHP_CTL_EL2", 0), a64.UDF]),
    );
    await machine.runInstructions(49_000);
    expect(machine.pe().sysreg("CNTHP_CTL_EL2")).toBe(1n);
    await machine.runInstructions(2_000);
    expect(machine.pe().sysreg("CNTHP_CTL_EL2")).toBe(5n);
  });
});

describe("single exceptions", () => {
  const OUTSIDE = 0x100_0000_0000; // above RAM and all devices
  // biome-ignore format: table
  const accesses: [what: string, code: number[], esr: bigint, far: number][] = [
    ["a store to nothing",               [...mov(1, OUTSIDE), a64.str32(0, 1)],            0x9600_0050n, OUTSIDE],
    ["a load from nothing",              [...mov(1, OUTSIDE + 8), a64.ldr64(0, 1)],        0x9600_0010n, OUTSIDE + 8],
    ["a store between the devices",      [...mov(1, 0x0b00_0000), a64.str64(0, 1, 16)],    0x9600_0050n, 0x0b00_0010],
    ["a byte stored behind RAM",         [...mov(1, RAM + 64 * MiB), a64.str8(0, 1)],      0x9600_0050n, RAM + 64 * MiB],
    ["a load that begins in RAM and ends behind it", [...mov(1, RAM + 64 * MiB - 4), a64.ldr64(0, 1)], 0x9600_0021n, RAM + 64 * MiB - 4],
    ["an undefined instruction",         [a64.UDF],                                        0x0200_0000n, 0],
    ["a register that is none",          [a64.mrs(0, "DBGDTR_EL0") | 0xe0],                0x0200_0000n, 0],
  ];
  it.each(accesses)("%s", async (_what, code, esr, far) => {
    const start = [...a64.useVectors(2), ...mov(27, 0), a64.msr("FAR_EL2", 27)];
    const machine = await boot(image([...start, ...code, ...a64.POWER_OFF], { 2048: a64.skippingVectors(2) }));
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    const pe = machine.pe();
    expect({ count: pe.x(28), esr: pe.x(26), far: pe.x(27) }).toEqual({ count: 1n, esr, far: BigInt(far) });
  });

  it("an undefined instruction at EL1", async () => {
    const el1 = [...mov(0, 0x5a), a64.UDF, ...a64.HALT];
    const drop = [...mov(0, 0x3c5), a64.msr("SPSR_EL2", 0), ...mov(0, ORIGIN + 0x400), a64.msr("ELR_EL2", 0)];
    const hcr = [...mov(0, 1n << 31n), a64.msr("HCR_EL2", 0)];
    const machine = await boot(image([...a64.useVectors(1), ...hcr, ...drop, a64.ERET], { 1024: el1, 2048: a64.skippingVectors(1) }));
    expect(await machine.run()).toEqual({ kind: "halted" });
    const pe = machine.pe();
    expect([pe.el, pe.x(0), pe.x(28), pe.x(26)]).toEqual([1, 0x5an, 1n, 0x0200_0000n]);
    expect(pe.sysreg("ELR_EL1")).toBe(BigInt(ORIGIN + 0x408)); // the handler added 4
    expect(pe.sysreg("SPSR_EL1") & 0x3ffn).toBe(0x3c5n);
  });
});

describe("nothing left to do", () => {
  it("a wait with everything masked and no timer: halted, for every way to run", async () => {
    const machine = await boot(image([...a64.HALT]));
    expect(await machine.run()).toEqual({ kind: "halted" });
    expect(machine.instructions).toBeLessThan(10);
    expect(await machine.runInstructions(1000)).toEqual({ kind: "halted" });
    await expect(machine.waitFor(/x/, { timeout: 5000 })).rejects.toThrow(/the machine stopped \(halted\)/);
  });

  it("a timer that is masked at the interrupt controller wakes nobody", async () => {
    const timer = [...mov(0, 1000), a64.msr("CNTHP_TVAL_EL2", 0), ...mov(0, 1), a64.msr("CNTHP_CTL_EL2", 0)];
    expect(await (await boot(image([...timer, ...a64.HALT]))).run()).toEqual({ kind: "halted" });
  });

  it("the last PE switches itself off", async () => {
    const machine = await boot(image(a64.psci(0x8400_0002)), { smp: 2 });
    expect(await machine.run()).toEqual({ kind: "halted" });
  });

  it.each([40n, 52n, 53n, 60n, 63n])("a wait for 2^%i ns is no hang", async (n) => {
    const timer = [...mov(0, 1n << n), a64.msr("CNTHP_CVAL_EL2", 0), ...mov(0, 1), a64.msr("CNTHP_CTL_EL2", 0)];
    const machine = await boot(image([...timer, ...a64.HALT]));
    expect(await machine.runInstructions(1000)).toEqual({ kind: "halted" });
  });
});

describe("garbage in device registers", () => {
  /** For each word of the window: writes x20 (which goes on as a random sequence), reads it back. Uses x1, x2, x3, x20..x22. */
  const fuzzWindow = (base: number, size: number, step: 4 | 8 | 2 | 1 = 4): number[] => {
    const store = { 1: a64.str8, 2: a64.str16, 4: a64.str32, 8: a64.str64 }[step];
    const body = [
      a64.mul(20, 20, 21), // a linear congruential sequence; its high bits are the random ones
      a64.add(20, 20, 22),
      a64.lsr(2, 20, 29),
      store(2, 1),
      a64.ldr32(3, 1),
      a64.addImm(1, 1, step),
    ];
    return [...mov(1, base), ...repeat(19, size / step, body)];
  };
  const random = (seed: number): number[] => [...mov(20, seed), ...mov(21, 6364136223846793005n), ...mov(22, 1442695040888963407n)];
  const done = [...mov(1, RESULTS), ...mov(2, 0x600d), a64.str32(2, 1), ...a64.POWER_OFF];

  async function survives(code: number[], options: Partial<MachineOptions> = {}): Promise<void> {
    const log: string[] = [];
    const machine = await boot(image([a64.MASK_ALL, ...a64.useVectors(2, 0x8000), ...code, ...done], { 32768: a64.skippingVectors(2) }), {
      log: (line) => log.push(line),
      ...options,
    });
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(words(machine, RESULTS, 1)).toEqual([0x600d]);
    expect(log.length).toBeLessThan(2000);
    // The state that it left can be saved, and is the same when it comes back.
    const snapshot = machine.save();
    const other = await boot(image([...a64.HALT]), options);
    other.restore(snapshot);
    expect(Buffer.from(other.save()).equals(snapshot)).toBe(true);
  }

  it.each([1, 2, 3])("GIC distributor and redistributors, seed %i", async (seed) => {
    await survives([...random(seed), ...fuzzWindow(0x0800_0000, 0x1_0000), ...fuzzWindow(0x080a_0000, 0x4_0000)], { smp: 2 });
  });
  it.each([1, 2, 8] as const)("the GIC, %i bytes at a time", async (step) => {
    await survives([...random(step), ...fuzzWindow(0x0800_0000, 0x1_0000, step), ...fuzzWindow(0x080a_0000, 0x2_0000, step)]);
  });
  it("GIC CPU and virtualization registers", async () => {
    const registers = encodings.map(([name]) => name).filter((name) => /^(ICC|ICH|ICV)_/.test(name));
    expect(registers.length).toBeGreaterThan(30);
    const one = (name: string) => [a64.mul(20, 20, 21), a64.add(20, 20, 22), a64.lsr(2, 20, 17), a64.msr(name, 2), a64.mrs(3, name)];
    await survives([...random(4), ...repeat(18, 20, registers.flatMap(one))]);
  });
  it("every virtio slot, three times", async () => {
    const drives = [{ backend: MemoryBlockBackend.from(new Uint8Array(MiB)) }];
    await survives([...random(5), ...repeat(18, 3, fuzzWindow(0x0a00_0000, 0x4000)), ...fuzzWindow(0x0a00_0000, 0x4000, 1)], { drives });
  });
  it("PL011, PL031 and PL061", async () => {
    await survives([...random(6), ...[0x0900_0000, 0x0901_0000, 0x0903_0000].flatMap((base) => fuzzWindow(base, 0x1000))]);
  });
  it("with interrupts on: whatever they raised is taken", async () => {
    await survives([
      ...random(7),
      ...fuzzWindow(0x0800_0000, 0x1_0000),
      ...fuzzWindow(0x080a_0000, 0x2_0000),
      a64.UNMASK_ALL,
      a64.NOP,
      a64.MASK_ALL,
    ]);
  });
});

describe("virtio rings that are not in RAM", () => {
  const SLOT = 0x0a00_0000 + 31 * 0x200;
  const reg = (offset: number, value: number): number[] => [...mov(2, value), a64.str32(2, 1, offset)];
  const area = (offset: number, address: number): number[] => [
    ...reg(offset, address % 2 ** 32),
    ...reg(offset + 4, Math.floor(address / 2 ** 32)),
  ];
  /** Brings the device up with one queue of eight at the given addresses, notifies it, and leaves its status in x4. */
  const driver = (slot: number, queue: number, [desc, driver, device]: readonly [number, number, number]): number[] => [
    ...[...mov(1, SLOT - slot * 0x200), ...reg(0x70, 0), ...reg(0x70, 1), ...reg(0x70, 3)],
    ...[...reg(0x24, 1), ...reg(0x20, 1), ...reg(0x70, 11)], // VERSION_1
    ...[...reg(0x30, queue), ...reg(0x38, 8)],
    ...[...area(0x80, desc), ...area(0x90, driver), ...area(0xa0, device), ...reg(0x44, 1)],
    ...[...reg(0x70, 15), ...reg(0x50, queue), a64.ldr32(4, 1, 0x70), a64.ldr32(5, 1, 0x60)],
  ];
  /** An available ring at RAM + 48 MiB that offers descriptor 0, whose buffer is at `buffer`. */
  const AVAIL = RAM + 48 * MiB;
  const TABLE = AVAIL + 0x1000;
  const offer = (buffer: number, length: number): number[] => [
    ...[...mov(1, TABLE), ...mov(2, buffer), a64.str64(2, 1), ...mov(2, length), a64.str32(2, 1, 8), ...mov(2, 2), a64.str16(2, 1, 12)],
    ...[...mov(1, AVAIL), ...mov(2, 1), a64.str16(2, 1, 2)],
  ];
  const NEEDS_RESET = 0x40n;
  const outside = 0x80_0000_0000;
  // biome-ignore format: table
  const cases: [what: string, rings: readonly [number, number, number], buffer: number, length: number][] = [
    ["descriptors outside RAM",          [outside, AVAIL, AVAIL + 0x2000],              RESULTS, 16],
    ["available ring outside RAM",       [TABLE, outside, AVAIL + 0x2000],              RESULTS, 16],
    ["used ring outside RAM",            [TABLE, AVAIL, outside],                       RESULTS, 16],
    ["used ring in a device",            [TABLE, AVAIL, 0x0900_0000],                   RESULTS, 16],
    ["descriptors at the end of 64 bits", [2 ** 64 - 2 ** 16, AVAIL, AVAIL + 0x2000],   RESULTS, 16],
    ["a buffer outside RAM",             [TABLE, AVAIL, AVAIL + 0x2000],                outside, 16],
    ["a buffer that leaves RAM",         [TABLE, AVAIL, AVAIL + 0x2000],                RAM + 64 * MiB - 8, 16],
  ];
  // Slot 31 is the block device, then console and rng; the rng writes what it gets at once.
  it.each(cases)("rng: %s", async (_what, rings, buffer, length) => {
    const log: string[] = [];
    const code = [...offer(buffer, length), ...driver(1, 0, rings), ...a64.POWER_OFF];
    const machine = await boot(image(code), { log: (line) => log.push(line) });
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(machine.pe().x(4) & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(log.filter((line) => line.includes("virtio-rng"))).toHaveLength(1);
  });

  it("console and block device", async () => {
    const rings = [TABLE, outside, AVAIL + 0x2000] as const;
    const keep = [a64.add(6, 4, 31), a64.add(7, 5, 31)];
    const machine = await boot(image([...driver(0, 0, rings), ...keep, ...driver(1, 1, rings), ...a64.POWER_OFF]), {
      drives: [{ backend: MemoryBlockBackend.from(new Uint8Array(MiB)) }],
    });
    machine.virtioConsole.send("input for nobody");
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    for (const n of [6, 4]) expect(machine.pe().x(n)).toBe(0x4fn); // all status bits of the driver, and NEEDS_RESET
    for (const n of [7, 5]) expect(machine.pe().x(n) & 2n).toBe(2n); // a configuration change interrupt tells it
  });

  it("a buffer of 4 GiB gets a little, and no memory of the host", async () => {
    const rings = [TABLE, AVAIL, AVAIL + 0x2000] as const;
    const machine = await boot(image([...offer(RESULTS, 0xffff_ffff), ...driver(1, 0, rings), ...a64.POWER_OFF]));
    await machine.run();
    expect([machine.pe().x(4), machine.pe().x(5)]).toEqual([15n, 1n]);
    expect(words(machine, AVAIL + 0x2000, 3)).toEqual([0x0001_0000, 0, 0x1_0000]);
  });

  it("the same rings in RAM work", async () => {
    const machine = await boot(image([...offer(RESULTS, 16), ...driver(1, 0, [TABLE, AVAIL, AVAIL + 0x2000]), ...a64.POWER_OFF]));
    await machine.run();
    expect([machine.pe().x(4), machine.pe().x(5)]).toEqual([15n, 1n]);
    expect(words(machine, RESULTS, 4).some((w) => w !== 0)).toBe(true);
    expect(words(machine, AVAIL + 0x2000, 3)).toEqual([0x0001_0000, 0, 16]); // used: index 1; descriptor 0, 16 bytes
  });
});

describe("more memory than the host pool", () => {
  it("is a clear error, and the machine is over", async () => {
    // One word in each 64 KiB of 8 GiB.
    const touch = [...mov(1, RAM + 4 * MiB), ...mov(2, 0x1_0000), ...repeat(19, 8 * 16384 - 64, [a64.str32(19, 1), a64.add(1, 1, 2)])];
    const machine = await boot(image([...touch, ...a64.POWER_OFF]), { memory: 8192 * MiB });
    const error = await machine.run().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(EmuError);
    expect(error).toMatchObject({ code: "memory-exhausted", exitCode: 1, message: expect.stringMatching(/--memory/) });
    expect((error as EmuError).message).not.toContain("\n");
    expect(await machine.run()).toMatchObject({ kind: "error", message: expect.stringMatching(/touched more memory/) });
    expect(words(machine, RAM + 4 * MiB, 1)).not.toEqual([0]);
  });

  it("touching all that there is is none", async () => {
    // From behind the program to the end of RAM, a word in each page.
    const first = ORIGIN + 0x1_0000;
    const pages = (RAM + 64 * MiB - first) / 0x1000;
    const touch = [...mov(1, first), ...mov(2, 0x1000), ...repeat(19, pages, [a64.str32(19, 1), a64.add(1, 1, 2)])];
    const machine = await boot(image([...touch, ...a64.POWER_OFF]));
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(words(machine, RAM + 64 * MiB - 0x1000, 1)).toEqual([1]);
  });
});
