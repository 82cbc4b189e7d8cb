// Explanations on a running machine: faults as they are taken, who wrote the tables, events.

import { describe, expect, it } from "vitest";
import { buildGpt } from "../../src/gpt/build.ts";
import { Gpi } from "../../src/gpt/format.ts";
import { type Explanation, explanationText, Machine, Symbols, type TraceEvent, traceLine } from "../../src/harness/index.ts";
import { b, ERET, HALT, ISB, image, ldr32, ldr64, mov, msr, ORIGIN, SMC, skippingVectors, str32, str64 } from "../support/a64.ts";

const MiB = 2 ** 20;
const CODE = ORIGIN + 64;
const TLBI_PAALL = 0xd50e_879f;
const LDXR = 0xc85f_7c20; // ldxr x0, [x1]
const LDADD = 0xf820_0020; // ldadd x0, x0, [x1]

/** A program at Non-secure EL2 with the MMU off; faults are skipped. */
async function at2(code: readonly number[]): Promise<Machine> {
  const kernel = image([...mov(0, ORIGIN + 0x800), msr("VBAR_EL2", 0), ISB, ...code, ...HALT], { 2048: skippingVectors(2) });
  return Machine.create({ kernel, memory: 64 * MiB });
}
async function faultsOf(machine: Machine, options = {}): Promise<Explanation[]> {
  const out: Explanation[] = [];
  machine.onFault((e) => out.push(e), options);
  await machine.runInstructions(3000);
  return out;
}

describe("faults of a running machine", () => {
  it("are explained with requester, instruction and what the PE reports", async () => {
    const code = [...mov(1, 0x1_0000_0000), ldr64(0, 1), ...mov(1, 0x4000_0003), LDXR, ...mov(1, 0x900_0000), LDADD];
    const machine = await at2(code);
    const symbols = new Symbols();
    symbols.add(BigInt(CODE), 0x100n, "main");
    const faults = await faultsOf(machine, { symbols });
    expect(faults.map((f) => f.failure?.rule)).toEqual(["ACC-EXTERNAL", "ACC-DEVICE", "ACC-EXCLUSIVE"]);
    const [first] = faults as [Explanation];
    expect(first.requester).toMatchObject({
      pe: 0,
      el: 2,
      security: "Non-secure",
      access: "read",
      symbol: expect.stringMatching(/^main\+0x/),
      instruction: { text: "ldr x0, [x1]" },
    });
    expect(first.failure?.reported).toMatchObject({ exception: "Data Abort", to: 2, esr: "0x0000000096000010", far: "0x0000000100000000" });
    expect(explanationText(first)).toMatch(/Reported: Data Abort, taken to EL2: ESR_EL2=0x0000000096000010/);
  });

  it("explain an alignment fault on Device memory", async () => {
    const [f] = await faultsOf(await at2([...mov(1, 0x4100_0001), ldr32(0, 1)]));
    expect(f?.failure).toMatchObject({ rule: "ACC-DEVICE", status: { code: 0x21 } });
  });

  it("explain the fetch that fails", async () => {
    const [f] = await faultsOf(await at2([...mov(1, 0x1000_0000), 0xd63f_0020]));
    expect(f).toMatchObject({
      requester: { access: "fetch", pc: "0x0000000010000000" },
      failure: { rule: "ACC-EXTERNAL", reported: { exception: "Instruction Abort" } },
    });
    expect(f?.requester.instruction).toBeUndefined();
  });

  it("are explained once when they repeat, and every time on request", async () => {
    // The vectors go on behind the load; the loop comes back to it.
    const loop = [...mov(1, 0x1_0000_0000), ldr64(0, 1), b(-1)];
    expect((await faultsOf(await at2(loop))).length).toBe(1);
    expect((await faultsOf(await at2(loop), { every: true })).length).toBeGreaterThan(50);
  });

  it("leave the machine exactly as it would be without explanations", async () => {
    const code = [...mov(1, 0x1_0000_0000), ldr64(0, 1), ...mov(1, 0x4100_0000), str64(1, 1), b(-2)];
    const [plain, explained] = [await at2(code), await at2(code)];
    explained.onFault(() => {}, { every: true });
    for (const m of [plain, explained]) await m.runInstructions(2000);
    expect(Buffer.compare(Buffer.from(plain.save()), Buffer.from(explained.save()))).toBe(0);
  });
});

const TABLE = 0x4100_0000;
const LEVEL1 = 0x4120_0000;
const ENTRY = LEVEL1 + 0x2_0000 + 8 * (0x200_0000 / 0x1_0000); // for VICTIM, in the table of the second GiB
const VICTIM = 0x4200_0000;
const EL2_TABLE = 0x41c0_0000;

const gpt = buildGpt({
  pps: 36,
  l0: 30,
  granule: 12,
  table: TABLE,
  level1: LEVEL1,
  otherwise: Gpi.Any,
  ranges: [],
  blocks: false,
  contiguous: false,
});
const setup = [...mov(0, gpt.gptbr), msr("GPTBR_EL3", 0), ...mov(0, gpt.gpccr), msr("GPCCR_EL3", 0), ISB, TLBI_PAALL];

/** Firmware at EL3 that does `first`, switches a granule protection table on, and then does `code`. */
async function at3(code: readonly number[], handler: readonly number[] = [], first: readonly number[] = []): Promise<Machine> {
  const program = [...first, ...setup, ...code];
  const kernel = new Uint8Array(4096);
  const view = new DataView(kernel.buffer);
  for (const [i, w] of program.entries()) view.setUint32(4 * i, w, true);
  for (const [i, w] of handler.entries()) view.setUint32(0xc00 + 4 * i, w, true);
  const machine = await Machine.create({
    machine: "virt,secure=on",
    cpu: "max,rme=on",
    start: { el: 3, entry: ORIGIN },
    kernel,
    memory: 64 * MiB,
  });
  for (const p of gpt.pieces) machine.writeMemory(p.address, p.data);
  return machine;
}
/** To Non-secure EL2 at the next instruction. */
const toEl2 = (next: number): number[] => [
  ...mov(0, 0x501),
  msr("SCR_EL3", 0),
  ...mov(0, 0x3c9),
  msr("SPSR_EL3", 0),
  ...mov(0, next),
  msr("ELR_EL3", 0),
  ISB,
  ERET,
];

describe("the journal of table writers", () => {
  const store = [...mov(1, ENTRY), ...mov(2, 0xffff_ffff_ffff_fffbn), str64(2, 1), TLBI_PAALL];
  const access = [...mov(3, VICTIM), ldr64(4, 3), ...HALT];

  it("names the PE, the place and the call that wrote the entry of a granule protection fault", async () => {
    const next = ORIGIN + 4 * (setup.length + [...store, ...toEl2(ORIGIN + 4)].length);
    const machine = await at3([...store, ...toEl2(next), ...access]);
    const events: TraceEvent[] = [];
    machine.trace(["gpt", "exc", "eret", "world", "smc"], (e) => events.push(e));
    const [f] = await faultsOf(machine);
    expect(f?.failure).toMatchObject({ rule: "GPT-GPI", status: { code: 0x28 } });
    const entry = f?.gpt?.entries.at(-1);
    expect(entry).toMatchObject({ level: 1, address: "0x0000041221000", value: "0xfffffffffffffffb", gpi: 0xb, failed: true });
    expect(entry?.writer).toMatchObject({ by: "PE 0", el: 3, security: "Root", before: "0xffffffffffffffff" });
    const pc = Number(entry?.writer?.pc);
    expect(machine.readMemory(pc, 4)).toEqual(new Uint8Array(Uint32Array.of(str64(2, 1)).buffer));
    expect(explanationText(f as Explanation)).toMatch(/last written: PE 0, Root EL3, PC 0x/);
    expect(events.slice(0, 4).map((e) => e.kind)).toEqual(["gpt", "eret", "world", "exc"]);
    expect(events.map((e) => traceLine(e)).join("\n")).toMatch(/gpt .* any -> Realm \(entry 0x41221000\) by PE 0/);
  });

  it.each([
    ["names the firmware call that the writer was serving", 0xc400_0151, "RMI_GRANULE_DELEGATE (0xc4000151) from Non-secure EL2"],
    ["does not take any SMC for a firmware call", 0x8542_2b80, undefined],
  ])("%s", async (_what, fid, called) => {
    const vectors = [...mov(0, ORIGIN + 0x800), msr("VBAR_EL3", 0)];
    const call = [...mov(0, fid), ...mov(1, VICTIM), SMC];
    const next = ORIGIN + 4 * (setup.length + [...vectors, ...toEl2(ORIGIN + 4)].length);
    const machine = await at3([...vectors, ...toEl2(next), ...call, ...access], [...store, ERET]);
    const [f] = await faultsOf(machine);
    expect(f?.failure?.rule).toBe("GPT-GPI");
    const writer = f?.gpt?.entries.at(-1)?.writer;
    expect(writer).toMatchObject({ by: "PE 0", el: 3 });
    expect(writer?.call).toBe(called);
  });

  it("names who wrote a granule protection entry before the check was switched on", async () => {
    const first = store.slice(0, -1); // no TLBI
    const next = ORIGIN + 4 * (first.length + setup.length + toEl2(ORIGIN + 4).length);
    const machine = await at3([...toEl2(next), ...access], [], first);
    const [f] = await faultsOf(machine);
    const writer = f?.gpt?.entries.at(-1)?.writer;
    expect(writer).toMatchObject({ by: "PE 0", el: 3, security: "Root", before: "0xffffffffffffffff" });
    expect(machine.readMemory(Number(writer?.pc), 4)).toEqual(new Uint8Array(Uint32Array.of(str64(2, 1)).buffer));
  });

  /** EL3 writes the level 1 table of EL2, which is then used for the first time: its entry for the second GiB is 0x600. */
  const stage1 = [...mov(1, EL2_TABLE), ...mov(2, 0x4000_0701), str64(2, 1, 8), ...mov(2, 0x600), str64(2, 1, 16)];
  const useStage1 = [
    ...[...mov(0, 0xff), msr("MAIR_EL2", 0), ...mov(0, 0x8082_3519), msr("TCR_EL2", 0), ...mov(0, EL2_TABLE), msr("TTBR0_EL2", 0)],
    ...[ISB, ...mov(0, 0x30c5_0831), msr("SCTLR_EL2", 0), ISB, ...mov(3, 2 ** 31), ldr64(4, 3), ...HALT],
  ];
  const firstUse = async (before: readonly number[]): Promise<Explanation | undefined> => {
    const next = ORIGIN + 4 * (setup.length + [...stage1, ...toEl2(ORIGIN + 4)].length);
    return (await faultsOf(await at3([...stage1, ...toEl2(next), ...before, ...useStage1])))[0];
  };

  it("names who wrote an entry of a table that nobody had walked", async () => {
    const f = await firstUse([]);
    expect(f?.failure?.rule).toBe("S1-INVALID");
    expect(f?.descriptors.at(-1)).toMatchObject({
      value: "0x0000000000000600",
      writer: { by: "PE 0", el: 3, before: "0x0000000000000000" },
    });
  });

  it("names nobody when the entry was changed since, unseen", async () => {
    const f = await firstUse([...mov(1, EL2_TABLE), ...mov(2, 0x800), str64(2, 1, 16)]);
    expect(f?.descriptors.at(-1)).toMatchObject({ value: "0x0000000000000800" });
    expect(f?.descriptors.at(-1)?.writer).toBeUndefined();
  });

  it("names who wrote a translation table entry that is in use", async () => {
    const tables = 0x4100_0000;
    const [invalid, rewritten] = [2, 3].map((n) => n * 2 ** 30) as [number, number];
    const mmuOn = [...mov(0, 0xff), msr("MAIR_EL2", 0), ...mov(0, 0x8082_3519), msr("TCR_EL2", 0), ...mov(0, tables), msr("TTBR0_EL2", 0)];
    const enable = [ISB, ...mov(0, 0x30c5_0831), msr("SCTLR_EL2", 0), ISB];
    const load = (va: number): number[] => [...mov(1, va), ldr64(0, 1)];
    const write = [...mov(1, tables + 24), ...mov(2, 0x4000_0300), str64(2, 1)];
    const machine = await at2([...mmuOn, ...enable, ...load(invalid), ...write, ...load(rewritten)]);
    // 1 GiB blocks: devices, RAM, nothing, RAM again.
    machine.writeMemory(tables, new Uint8Array(BigUint64Array.of(0x401n, 0x4000_0701n, 0n, 0x4000_0701n).buffer));
    const faults = await faultsOf(machine);
    expect(faults.map((f) => f.failure?.rule)).toEqual(["S1-INVALID", "S1-INVALID"]);
    const [untouched, changed] = faults.map((f) => f.descriptors.at(-1));
    expect(untouched).toMatchObject({ value: "0x0000000000000000", failed: true });
    expect(untouched?.writer).toBeUndefined();
    expect(changed).toMatchObject({ value: "0x0000000040000300", writer: { by: "PE 0", el: 2, before: "0x0000000040000701" } });
  });
});

describe("trace events", () => {
  it("tell calls by name, with caller and arguments", async () => {
    const ask = [...mov(0, 0x8400_000a), ...mov(1, 0xc400_0003), SMC];
    const machine = await at2([...mov(0, 0x8400_0000), ...mov(1, 7), SMC, ...ask, ...mov(1, 0x900_0000), ...mov(2, 0x21), str32(2, 1)]);
    const lines: string[] = [];
    machine.trace(["smc", "exc", "eret"], (e) => lines.push(traceLine(e)));
    await machine.runInstructions(500);
    expect(lines.some((l) => /smc {3}PSCI_VERSION\(\) {3}SMC from Non-secure EL2 PC=0x[0-9a-f]+$/.test(l))).toBe(true);
    expect(lines.some((l) => l.includes("PSCI_FEATURES(fid=0xc4000003 PSCI_CPU_ON)"))).toBe(true);
    expect(lines.some((l) => /smc {3}<- PSCI_VERSION = 0x10001 {3}to Non-secure EL2$/.test(l))).toBe(true);
    expect(lines.some((l) => /exc {3}SMC: Non-secure EL2 -> Secure EL3 /.test(l))).toBe(true);
    expect(lines.some((l) => /eret {2}Secure EL3 -> Non-secure EL2/.test(l))).toBe(true);
  });
  it("stop when they are not wanted any more", async () => {
    const machine = await at2([...mov(0, 0x8400_0000), SMC, b(-1)]);
    let count = 0;
    const stop = machine.trace(["smc"], () => count++);
    await machine.runInstructions(100);
    const seen = count;
    expect(seen).toBeGreaterThan(5);
    stop();
    await machine.runInstructions(100);
    expect(count).toBe(seen);
    expect(machine.board.pes[0]?.hooks.exception).toBeUndefined();
  });
});
