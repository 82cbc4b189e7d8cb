// Machines that start in flash: where and how PEs begin, executing and programming flash, what is handed on, what is kept.

import { describe, expect, it } from "vitest";
import { EmuError, Machine, type MachineOptions, MemoryBlockBackend } from "../../src/harness/index.ts";
import { readFdt } from "../../src/loader/fdt-reader.ts";
import * as a64 from "../support/a64.ts";
import { mov } from "../support/a64.ts";

const MiB = 2 ** 20;
const BANK = 64 * MiB;
const FLASH1 = BANK;
const RAM = 0x4000_0000;
const FW_CFG = 0x0902_0000;
const SECURE_GPIO = 0x090b_0000;
const BLR_X9 = 0xd63f_0120;
const RET = 0xd65f_03c0;

/** A program as it lies at the start of flash. */
const program = (code: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(code).buffer);
const create = (options: Partial<MachineOptions>) => Machine.create({ memory: 64 * MiB, ...options });
/** str wN, [address], with xN = value; uses x1 and x2. */
const store32 = (address: number, value: number): number[] => [...mov(1, address), ...mov(2, value), a64.str32(2, 1)];
/** ldr wt, [address]; uses x1. */
const load32 = (t: number, address: number): number[] => [...mov(1, address), a64.ldr32(t, 1)];
const both = (command: number): number => command * 0x1_0001;
/** Programs a word, as edk2 does, and leaves the status in x3. */
const programWord = (address: number, value: number): number[] => [
  ...store32(address, both(0x40)),
  ...store32(address, value),
  ...load32(3, address),
  ...store32(address, both(0xff)),
];
/** Power-off by the secure GPIO, as TF-A does: pin 0 an output, then high. */
const SECURE_OFF = [...store32(SECURE_GPIO + 0x400, 1), ...store32(SECURE_GPIO + 4, 1)];
const WHO_AM_I = [a64.mrs(20, "CurrentEL"), a64.mrs(21, "MPIDR_EL1")];

async function run(options: Partial<MachineOptions>): Promise<Machine> {
  const machine = await create(options);
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  return machine;
}

describe("the first instruction", () => {
  it("is at address 0, at EL2 on one PE", async () => {
    const machine = await run({ bios: program([...WHO_AM_I, ...a64.POWER_OFF]), smp: 2 });
    expect([machine.pe().x(20), machine.pe(1).x(21)]).toEqual([8n, 0n]);
  });
  it("is at address 0, at EL3 on every PE with secure=on", async () => {
    // PE 1 leaves its number in Secure RAM; PE 0 waits for it.
    const [AT, other] = [0x0e00_0000, 6];
    const first = [...mov(5, AT), a64.ldr64(4, 5), a64.cbz(4, -1), ...SECURE_OFF];
    const second = [...mov(5, AT), a64.str64(21, 5), ...a64.HALT];
    const affinity = [...mov(other, 0xff), 0x8a06_02b6]; // and x22, x21, x6
    const code = [...WHO_AM_I, ...affinity, a64.cbnz(22, 1 + first.length), ...first, ...second];
    const machine = await run({ bios: program(code), machine: "virt,secure=on", smp: 2, cpu: "max,rme=on" });
    expect([machine.pe().x(20), machine.pe().x(4)]).toEqual([12n, 0x8000_0001n]);
  });
  it("may be elsewhere by a loader with a PE number", async () => {
    const loaders = [{ file: program([...mov(20, 77), ...a64.POWER_OFF]), address: RAM + 16 * MiB, pe: 0 }];
    expect((await run({ bios: program([a64.UDF]), loaders })).pe().x(20)).toBe(77n);
  });
});

describe("flash", () => {
  it("is programmed and read back by its guest", async () => {
    const at = FLASH1 + 0x100;
    const machine = await run({ bios: program([...programWord(at, 0x1234_5678), ...load32(20, at), ...a64.POWER_OFF]) });
    expect([machine.pe().x(3), machine.pe().x(20)]).toEqual([BigInt(both(0x80)), 0x1234_5678n]);
  });

  it("is executed as it is programmed, also the second time", async () => {
    const at = FLASH1 + 0x2000;
    const routine = (value: number): number[] => [
      ...programWord(at, mov(3, value)[0] as number),
      ...programWord(at + 4, RET),
      ...mov(9, at),
      BLR_X9,
    ];
    const machine = await run({
      bios: program([...routine(5), ...mov(7, 0), a64.add(7, 7, 3), ...routine(9), a64.add(7, 7, 3), ...a64.POWER_OFF]),
    });
    expect(machine.pe().x(7)).toBe(14n);
  });

  it("answers status to loads that were served from memory before", async () => {
    const at = FLASH1;
    const code = [
      ...load32(20, at),
      ...load32(21, at),
      ...store32(at, both(0x70)),
      ...load32(22, at),
      ...store32(at, both(0xff)),
      ...load32(23, at),
    ];
    const machine = await run({ bios: program([...code, ...a64.POWER_OFF]), pflash: [undefined, drive(0xa5)] });
    const word = 0xa5a5_a5a5n;
    expect([20, 21, 22, 23].map((n) => machine.pe().x(n))).toEqual([word, word, BigInt(both(0x80)), word]);
  });

  it("bank 0 is not there for Non-secure and Realm accesses with secure=on", async () => {
    const { phys } = (await create({ bios: program([a64.NOP]), machine: "virt,secure=on" })).board;
    expect([0, 1, 2, 3].map((pas) => phys.hostIn(0, pas as 0 | 1 | 2 | 3) !== 0)).toEqual([true, false, true, false]);
    expect([0, 1, 2, 3].map((pas) => phys.hostIn(FLASH1, pas as 0 | 1 | 2 | 3) !== 0)).toEqual([true, true, true, true]);
    const window = phys.deviceAt(0);
    expect(window?.device.write(0, 4, both(0x70), { pas: 1, pe: 0 })).toBe(false);
  });

  const drive = (fill: number, readOnly = false): MemoryBlockBackend => MemoryBlockBackend.from(new Uint8Array(BANK).fill(fill), readOnly);
  it("keeps what is written in the drive, and only there", async () => {
    const [code, vars] = [MemoryBlockBackend.from(padded([...programWord(FLASH1 + 0x204, 0x1234_5678), ...a64.POWER_OFF])), drive(0xff)];
    await run({ pflash: [code, vars] });
    const sector = vars.read(1, 1) as Uint8Array;
    expect([...sector.slice(0, 10)]).toEqual([255, 255, 255, 255, 0x78, 0x56, 0x34, 0x12, 255, 255]);
    expect(sector.slice(10).every((b) => b === 255)).toBe(true);
  });
  it("leaves a read-only drive alone and says so", async () => {
    const vars = drive(0xff, true);
    const machine = await run({
      bios: program([...programWord(FLASH1, 5), ...load32(20, FLASH1), ...a64.POWER_OFF]),
      pflash: [undefined, vars],
    });
    expect([machine.pe().x(3), machine.pe().x(20)]).toEqual([BigInt(both(0x90)), 0xffff_ffffn]);
  });
  it("wants drives of its size", async () => {
    const small = MemoryBlockBackend.from(new Uint8Array(512));
    await expect(create({ pflash: [small] })).rejects.toThrow(expect.objectContaining({ code: "pflash-size" }));
    await expect(create({ bios: new Uint8Array(BANK + 1) })).rejects.toThrow(expect.objectContaining({ code: "bios-too-large" }));
    await expect(create({ bios: new Uint8Array(0) })).rejects.toBeInstanceOf(EmuError);
  });
});

const padded = (code: readonly number[]): Uint8Array => {
  const bank = new Uint8Array(BANK);
  bank.set(program(code));
  return bank;
};

describe("what is handed on", () => {
  it("the device tree, at the start of memory, a MiB long, with the command line", async () => {
    const machine = await create({ bios: program([a64.NOP]), append: "a b", machine: "virt,secure=on" });
    const tree = readFdt(machine.readMemory(RAM, MiB));
    const chosen = tree.root.children.find((c) => c.name === "chosen");
    expect(new TextDecoder().decode(chosen?.properties.get("bootargs"))).toBe("a b\0");
    expect(new DataView(machine.readMemory(RAM, 8).buffer).getUint32(4)).toBe(MiB);
    expect(tree.root.children.some((c) => c.name === "psci")).toBe(false);
  });
  it("kernel and command line by fw_cfg", async () => {
    // Selector 0x15 (command line), then four bytes; selector 0x08 (kernel size).
    const select = (key: number): number[] => [...mov(1, FW_CFG + 8), ...mov(2, key << 8), a64.str16(2, 1)];
    const code = [...select(0x15), ...load32(20, FW_CFG), ...select(0x08), ...load32(21, FW_CFG), ...a64.POWER_OFF];
    const machine = await run({ bios: program(code), kernel: new Uint8Array(1234), append: "abcdef" });
    expect([machine.pe().x(20), machine.pe().x(21)]).toEqual([0x6463_6261n, 1234n]);
  });
  it("files in memory, which may not overlap", async () => {
    const file = Uint8Array.of(1, 2, 3);
    const data = { value: 0x1122_3344n, bytes: 4 as const };
    const machine = await create({
      bios: program([a64.NOP]),
      loaders: [
        { file, address: RAM + 8 * MiB },
        { data, address: RAM + 9 * MiB },
      ],
    });
    expect([...machine.readMemory(RAM + 8 * MiB, 4), ...machine.readMemory(RAM + 9 * MiB, 4)]).toEqual([
      1, 2, 3, 0, 0x44, 0x33, 0x22, 0x11,
    ]);
    const refused = (address: number, code: string) =>
      expect(create({ bios: program([a64.NOP]), loaders: [{ file, address }] })).rejects.toThrow(expect.objectContaining({ code }));
    await refused(RAM + 4, "boot-overlap");
    await refused(RAM + 64 * MiB - 1, "loader-address");
    await expect(create({ kernel: program([a64.NOP]), loaders: [{ file, address: RAM }] })).rejects.toBeInstanceOf(EmuError);
  });
});

it("continues from a snapshot that was taken between the cycles of a command", async () => {
  const at = FLASH1 + 0x40;
  const options = {
    bios: program([...programWord(at, 77), ...load32(20, at), ...programWord(at, 78), ...load32(21, at), ...a64.POWER_OFF]),
  };
  const straight = await run(options);
  for (const count of [5, 9, 12, 20]) {
    const machine = await create(options);
    await machine.runInstructions(count);
    const other = await create(options);
    other.restore(machine.save());
    expect(await other.run()).toEqual({ kind: "poweroff" });
    expect([other.pe().x(20), other.pe().x(21), other.instructions]).toEqual([77n, 78n, straight.instructions]);
  }
});
