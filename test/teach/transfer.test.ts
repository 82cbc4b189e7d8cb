// Transfers of devices that granule protection refuses: a driver at EL3 lets virtio-rng write to a granule, and asks why nothing came.

import { expect, it } from "vitest";
import { Security } from "../../src/arch/security.ts";
import { buildGpt } from "../../src/gpt/build.ts";
import { Gpi } from "../../src/gpt/format.ts";
import { type Explanation, explanationPage, explanationText, Machine, Symbols } from "../../src/harness/index.ts";
import { HALT, ISB, mov, msr, ORIGIN, str32, str64 } from "../support/a64.ts";
import { wellFormed } from "../support/xml.ts";

const SLOTS = { base: 0x0a00_0000, size: 0x200, count: 32 };
const ENTROPY = 4;
const RING = 0x4300_0000;
const VICTIM = 0x4200_0000;
const TABLE = 0x4100_0000;
const LEVEL1 = 0x4120_0000;
const ENTRY = LEVEL1 + 0x2_0000 + 8 * (0x200_0000 / 0x1_0000);
const REALM = 0xffff_ffff_ffff_fffbn;

// biome-ignore format: table
const gpt = buildGpt({
  pps: 36, l0: 30, granule: 12, table: TABLE, level1: LEVEL1, otherwise: Gpi.Any, ranges: [], blocks: false, contiguous: false,
});
const protect = [...mov(0, gpt.gptbr), msr("GPTBR_EL3", 0), ...mov(0, gpt.gpccr), msr("GPCCR_EL3", 0), ISB];
const close = [...mov(1, ENTRY), ...mov(2, REALM), str64(2, 1)];
/** Registers and values of virtio-mmio, in the order of a driver's set-up. */
const driver = [
  ...[0x70, 1, 0x70, 3, 0x24, 1, 0x20, 1, 0x70, 11, 0x30, 0, 0x38, 1],
  ...[0x80, RING, 0x90, RING + 0x100, 0xa0, RING + 0x200, 0x44, 1, 0x70, 15],
];
/** The driver of the device at x20: it sets the device up, makes one buffer available and notifies. */
function virtio(writes: readonly number[] = driver): number[] {
  const code: number[] = [];
  for (let i = 0; i < writes.length; i += 2) code.push(...mov(2, writes[i + 1] as number), str32(2, 20, writes[i] as number));
  return [...code, ...mov(3, RING + 0x100), ...mov(4, 0x1_0000), str32(4, 3), ...mov(2, 0), str32(2, 20, 0x50)];
}

/** Address of the board's virtio entropy device. */
function entropyDevice(machine: Machine): number {
  for (let n = 0; n < SLOTS.count; n++) {
    const at = SLOTS.base + n * SLOTS.size;
    if (machine.board.phys.deviceAt(at)?.device.read(8, 4, { pas: Security.Root, pe: 0 }) === ENTROPY) return at;
  }
  throw new Error("the board has no virtio entropy device");
}

/** Runs firmware with one buffer of 64 bytes, which reaches into the granule of VICTIM. */
async function transfer(code: readonly number[], buffer: number, options = {}): Promise<{ machine: Machine; faults: Explanation[] }> {
  const start = { el: 3, entry: ORIGIN } as const;
  const kernel = new Uint8Array(4096);
  const machine = await Machine.create({ machine: "virt,secure=on", cpu: "max,rme=on", start, kernel, memory: 64 * 2 ** 20 });
  const program = [...mov(20, entropyDevice(machine)), ...code, ...HALT];
  machine.writeMemory(ORIGIN, new Uint8Array(Uint32Array.from(program).buffer));
  for (const p of gpt.pieces) machine.writeMemory(p.address, p.data);
  const descriptor = new DataView(new ArrayBuffer(16));
  descriptor.setBigUint64(0, BigInt(buffer), true);
  descriptor.setUint32(8, 64, true);
  descriptor.setUint16(12, 2, true); // device-writable
  machine.writeMemory(RING, new Uint8Array(descriptor.buffer));
  const faults: Explanation[] = [];
  machine.onFault((e) => faults.push(e), options);
  await machine.runInstructions(3000);
  return { machine, faults };
}
const untouched = (m: Machine, at: number): boolean => m.readMemory(at, 64).every((b) => b === 0);

it("a transfer into a realm's granule is explained: the device, the entry and its writer, the instruction that made it act", async () => {
  const symbols = new Symbols();
  symbols.add(BigInt(ORIGIN), 0x1000n, "firmware");
  const buffer = VICTIM - 32;
  const { machine, faults } = await transfer([...protect, ...close, ...virtio()], buffer, { symbols });
  expect(faults.length).toBe(1);
  const [e] = faults as [Explanation];
  expect(e).toMatchObject({
    outcome: "fault",
    summary: expect.stringMatching(/^virtio-rng at 0xa00[0-9a-f]+ cannot write 64 bytes at 0x41ffffe0: .*\[GPT-GPI\]$/),
    requester: {
      device: expect.stringMatching(/^virtio-rng at 0xa00[0-9a-f]+$/),
      security: "Non-secure",
      access: "write",
      trigger: { pe: 0, el: 3, security: "Root", instruction: { text: "str w2, [x20, #80]" } },
    },
    transfer: { address: "0x0000041ffffe0", length: 64, refusedAt: "0x0000042000000" },
    gpt: { result: "granule protection fault", level: 1, address: "0x0000042000000", space: "Non-secure" },
    failure: { rule: "GPT-GPI", where: "granule protection, level 1, of the transfer" },
  });
  expect(e.requester.trigger?.symbol).toMatch(/^firmware\+0x/);
  const entry = e.gpt?.entries.at(-1);
  expect(entry).toMatchObject({ address: "0x0000041221000", gpi: 0xb, failed: true, writer: { by: "PE 0", el: 3, security: "Root" } });
  expect(e.va).toBeUndefined();
  expect(e.failure?.status).toBeUndefined();
  expect(untouched(machine, buffer)).toBe(true);
});

it("as text, and as a page that marks the address", async () => {
  const { faults } = await transfer([...protect, ...close, ...virtio()], VICTIM);
  const e = faults[0] as Explanation;
  const text = explanationText(e);
  expect(text).toMatch(/Requester +virtio-rng at 0xa00[0-9a-f]+, Non-secure\n/);
  expect(text).toMatch(/Caused by +PE 0, Root EL3, PC 0x[0-9a-f]{16}: str w2, \[x20, #80\]\n/);
  expect(text).toMatch(/Transfer +write of 64 bytes at PA 0x0000042000000\n/);
  expect(text).toMatch(/Granule protection check of the transfer: granule protection fault, level 1/);
  const page = explanationPage(e);
  wellFormed(page);
  expect(page.match(/<svg/g)?.length).toBe(2);
  expect(page).toContain("FAILS HERE");
  expect(page).toContain("PA 0x42000000"); // the mark of the map
  expect(page + text).not.toMatch(/undefined|NaN/);
});

it.each([
  ["Secure memory", [], 0x0e00_0000, /answers Secure and Root accesses only/],
  ["no memory", [], 0x2000_0000, /there is no RAM/],
  ["memory that ends in the middle", [], 0x4400_0000 - 32, /at 0x44000000 there is no RAM/],
  ["Secure memory that the table gives to all", protect, 0x0e00_0000, /answers Secure and Root accesses only/],
])("%s is refused by the bus", async (_what, code, buffer, text) => {
  const { faults } = await transfer([...code, ...virtio()], buffer);
  expect(faults.map((f) => f.failure?.rule)).toEqual(["ACC-EXTERNAL"]);
  expect(faults[0]?.failure?.text).toMatch(text);
});

it("what is permitted is not told, and nobody listens without asking", async () => {
  const { machine, faults } = await transfer([...protect, ...virtio()], VICTIM);
  expect(faults).toEqual([]);
  expect(untouched(machine, VICTIM)).toBe(false);
  const stop = machine.onFault(() => {});
  expect(machine.board.busHooks.refused).toBeDefined();
  stop();
});

it("a refused descriptor table is a read of the device, and comes once however often the driver asks", async () => {
  const again = [str32(2, 20, 0x50), str32(2, 20, 0x50)];
  const moved = driver.slice();
  moved[moved.indexOf(RING)] = VICTIM;
  const { faults } = await transfer([...protect, ...close, ...virtio(moved), ...again], VICTIM);
  expect(faults.length).toBe(1);
  expect(faults[0]).toMatchObject({ requester: { access: "read" }, failure: { rule: "GPT-GPI" } });
});
