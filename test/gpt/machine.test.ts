// virt,secure=on: firmware at EL3, Secure memory and devices, DMA behind the granule protection check, several PEs.

import { describe, expect, it } from "vitest";
import { Security } from "../../src/arch/security.ts";
import { slot } from "../../src/arch/state.ts";
import { buildGpt, Gpi } from "../../src/gpt/index.ts";
import { defaultEngine } from "../../src/harness/engine.ts";
import { Machine } from "../../src/harness/index.ts";
import { VirtMachine } from "../../src/machine/virt.ts";
import { Access } from "../../src/mmu/access.ts";
import { b, HALT, ldr32, lsr, mov, mrs, str32 } from "../support/a64.ts";

const ENTRY = 0x4010_0000;
const SECURE_RAM = 0x0e00_0000;
const UART = 0x0900_0000;
const SECURE_GPIO = 0x090b_0000;
const raw = (words: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
const start = { el: 3, entry: ENTRY } as const;
const MiB = 2 ** 20;

/** Prints the number in a register as one character, '0' upward. */
const print = (t: number): number[] => [...mov(20, UART), (0x9100_c000 | (t << 5) | t) >>> 0, str32(t, 20, 0)];
const powerOff: number[] = [...mov(20, SECURE_GPIO), ...mov(21, 1), str32(21, 20, 0x400), str32(21, 20, 4), ...HALT];

describe("virt,secure=on", () => {
  it("enters firmware at EL3 with the device tree in x0, Secure memory behind it; the secure GPIO powers off", async () => {
    const code = [
      ...mov(19, SECURE_RAM), ...mov(2, 5), str32(2, 19, 0), ldr32(3, 19, 0), ...print(3), // memory that keeps what it gets
      ldr32(4, 0, 0), ...mov(5, 0), // magic number of the device tree
      mrs(6, "CurrentEL"), lsr(6, 6, 2), ...print(6),
      lsr(4, 4, 28), ...print(4), // 0xedfe0dd0: top digit
      ...powerOff,
    ]; // biome-ignore format: a program
    const m = await Machine.create({ machine: "virt,secure=on", cpu: "max,rme=on", memory: 64 * MiB, kernel: raw(code), start });
    expect(await m.runInstructions(10_000)).toEqual({ kind: "poweroff" });
    expect(m.console.text).toBe(`53${String.fromCharCode(48 + 0xe)}`);
  });
  it("every PE starts there", async () => {
    const code = [mrs(3, "MPIDR_EL1"), ...mov(4, 0xff), 0x8a04_0063 >>> 0, ...print(3), b(0)];
    const m = await Machine.create({ machine: "virt,secure=on", smp: 3, memory: 64 * MiB, kernel: raw(code), start });
    await m.runInstructions(200_000);
    expect([...m.console.text].sort().join("")).toBe("012");
  });
  it("says what is wrong", async () => {
    const create = (o: object): Promise<Machine> =>
      Machine.create({ machine: "virt,secure=on", memory: 64 * MiB, kernel: raw(HALT), ...o });
    await expect(create({})).rejects.toThrow(/say at which address/);
    await expect(create({ start: { el: 3, entry: 0x2000_0000 } })).rejects.toThrow(/no memory/);
    await expect(Machine.create({ memory: 64 * MiB, kernel: raw(HALT), start })).rejects.toThrow(/only virt,secure=on/);
  });
});

function board(smp = 1): VirtMachine {
  return new VirtMachine({
    secure: true,
    entry: ENTRY,
    cpu: "max,rme=on",
    smp,
    memory: 64 * MiB,
    time: "deterministic",
    seed: 1n,
    epoch: 0,
    kernel: raw(HALT),
    engine: defaultEngine(),
    drives: [],
    output: () => {},
    virtioOutput: () => {},
    log: () => {},
  });
}
/** Protects the board's memory on all PEs; answers the tables' registers. */
function protect(m: VirtMachine, gpi: Gpi): void {
  const built = buildGpt({
    pps: 32,
    l0: 30,
    granule: 12,
    table: 0x4200_0000,
    blocks: false,
    contiguous: false,
    otherwise: Gpi.Any,
    ranges: [{ base: 0x4100_0000, size: 0x1000, gpi }],
  });
  for (const p of built.pieces) m.phys.writeBytes(p.address, p.data);
  for (const pe of m.pes) {
    pe.writeSys("GPTBR_EL3", built.gptbr);
    pe.writeSys("GPCCR_EL3", built.gpccr);
  }
}
type WithDma = { dma(): { read(pa: number, n: number): Uint8Array | undefined; write(pa: number, d: Uint8Array): boolean } };

describe("requesters", () => {
  it("devices read and write as Non-secure requesters: refused transfers change nothing", () => {
    const m = board();
    const dma = (m as unknown as WithDma).dma();
    const data = Uint8Array.of(1, 2, 3, 4);
    expect(dma.write(0x4100_0000, data)).toBe(true);
    for (const [gpi, ok] of [
      [Gpi.Root, false],
      [Gpi.Realm, false],
      [Gpi.Secure, false],
      [Gpi.None, false],
      [Gpi.NonSecure, true],
      [Gpi.Any, true],
    ] as const) {
      protect(m, gpi);
      expect(dma.read(0x4100_0000, 4) !== undefined, `read ${gpi}`).toBe(ok);
      expect(dma.write(0x4100_0ffe, Uint8Array.of(9, 9, 9, 9)), `write ${gpi}`).toBe(ok);
      expect(dma.write(0x40ff_fffe, Uint8Array.of(7, 7, 7, 7)), `write into ${gpi}`).toBe(ok);
      expect(dma.read(0x4100_1000, 4)).toBeDefined();
      // Nothing of a refused transfer arrives, also not in the granule that it may use.
      if (!ok) expect(m.phys.readBytes(0x40ff_fffe, 2)).toEqual(new Uint8Array(2));
    }
  });
  it("devices do not see Secure memory", () => {
    const dma = (board() as unknown as WithDma).dma();
    expect(dma.read(SECURE_RAM, 4)).toBeUndefined();
    expect(dma.write(SECURE_RAM, Uint8Array.of(1))).toBe(false);
  });
  it("Secure memory and devices answer Secure and Root accesses only", () => {
    const { phys } = board();
    const gpio = phys.deviceAt(SECURE_GPIO)?.device;
    for (const [pas, there] of [
      [Security.Secure, true],
      [Security.Root, true],
      [Security.NonSecure, false],
      [Security.Realm, false],
    ] as const) {
      // biome-ignore format: table
      expect(phys.hostIn(SECURE_RAM, pas) !== 0).toBe(there);
      expect((gpio?.read(0x400, 4, { pas, pe: 0 }) ?? -1) >= 0).toBe(there);
      expect(gpio?.write(0x400, 4, 0, { pas, pe: 0 })).toBe(there);
    }
  });
});

describe("several PEs", () => {
  const read = (m: VirtMachine, i: number): boolean => m.pes[i]?.mmu.translate(0x4100_0000, 0, Access.Read, false) as boolean;
  /** All PEs have used the page; then its entry is cleared in memory. */
  function stale(): VirtMachine {
    const m = board(3);
    protect(m, Gpi.Any);
    for (let i = 0; i < 3; i++) expect(read(m, i)).toBe(true);
    const l1 = Number(m.phys.view.getBigUint64(m.phys.host(0x4200_0008), true) & ~15n);
    m.phys.view.setBigUint64(m.phys.host(l1 + (0x100_0000 / 0x1_0000) * 8), 0n, true);
    for (let i = 0; i < 3; i++) expect(read(m, i)).toBe(true);
    return m;
  }
  const tlbi = (m: VirtMachine, crm: number, op2: number, x = 0n): void => void m.pes[0]?.mmu.tlbi(6, 8, crm, op2, x);
  const left = (m: VirtMachine): boolean[] => [0, 1, 2].map((i) => read(m, i));
  it("PAALL is local; PAALLOS, RPAOS and RPALOS reach all", () => {
    for (const [crm, op2, x, want] of [
      [7, 4, 0n, [false, true, true]],
      [1, 4, 0n, [false, false, false]],
      [4, 3, 0x4_1000n, [false, false, false]],
      [4, 7, 0x4_1000n, [false, false, false]],
    ] as const) {
      const m = stale();
      tlbi(m, crm, op2, x);
      expect(left(m)).toEqual(want);
    }
  });
  it("a PE whose own GPCCR_EL3.GPC is 0 is not checked", () => {
    const m = stale();
    m.pes[1]?.writeSys("GPCCR_EL3", 0n);
    tlbi(m, 1, 4);
    expect(left(m)).toEqual([false, true, false]);
    expect(m.pes[0]?.st.get(slot.GPCCR_EL3)).not.toBe(0n);
  });
});
