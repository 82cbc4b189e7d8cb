// firmware/rme-matrix on the emulator, on QEMU, and in the architecture's own terms. The payload makes the checks; matrix-model.ts says
// what each must give; matrix-qemu.txt is what QEMU printed; matrix-differences.ts explains where QEMU is not followed.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { Machine } from "../../src/harness/index.ts";
import { referenceProgram } from "../support/debian.ts";
import { differences, notRunOnQemu } from "./matrix-differences.ts";
import { type Check, expectedResult, normalize, parseCheck, readOutput } from "./matrix-model.ts";

const PAYLOAD = fileURLToPath(new URL("../../firmware/rme-matrix/matrix.elf", import.meta.url));
const GOLDEN = new URL("matrix-qemu.txt", import.meta.url);
const MAILBOX = 0x401f_f000;
/** What the payload does for a word in its mailbox: see firmware/rme-matrix/main.c. */
const Mailbox = { All: 0, ForQemu: 1, Few: 2, Broken: 0x100 } as const;

const word = (v: number) => new Uint8Array(new BigUint64Array([BigInt(v)]).buffer);
async function create(options: string, mailbox: number, memory = 2 ** 31): Promise<Machine> {
  const machine = await Machine.create({ machine: "virt,secure=on", cpu: `max,rme=on${options}`, memory, kernel: PAYLOAD });
  machine.writeMemory(MAILBOX, word(mailbox));
  return machine;
}

async function onEmulator(options: string, mailbox: number): Promise<Map<string, string>> {
  const machine = await create(options, mailbox);
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  return readOutput(machine.console.text);
}

function onQemu(options: string, what: number): Map<string, string> {
  const args = [
    "-M",
    "virt,secure=on,virtualization=on,gic-version=3",
    "-cpu",
    `max,x-rme=on${options}`,
    "-m",
    "2G",
    "-nographic",
    "-monitor",
    "none",
  ];
  const device = ["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-rng-device"];
  const mailbox = `loader,addr=${MAILBOX},data=${what},data-len=8`;
  const out = execFileSync(referenceProgram("qemu-system-aarch64"), [...args, ...device, "-kernel", PAYLOAD, "-device", mailbox], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  return readOutput(out.toString());
}

interface Line {
  name: string;
  check: Check;
  result: string;
  expected: string;
}
const judge = (results: Map<string, string>, regionBits = 30): Line[] =>
  [...results].map(([name, raw]) => {
    const check = parseCheck(name, regionBits);
    return { name, check, result: normalize(check, raw), expected: normalize(check, expectedResult(check)) };
  });
const wrong = (lines: Line[]) => lines.filter((l) => l.result !== l.expected).map((l) => `${l.name}: ${l.result}; expected ${l.expected}`);

/** Lines where QEMU differs, by the entry that explains them; those that none or several explain under "". */
function explain(lines: Line[]): Record<string, string[]> {
  const by: Record<string, string[]> = {};
  for (const { name, check, result, expected } of lines) {
    if (result === expected) continue;
    const reasons = differences.filter((d) => d.explains(check, result, expected)).map((d) => d.id);
    const key = reasons.length === 1 ? (reasons[0] as string) : "";
    by[key] = [...(by[key] ?? []), `${name}: ${result}; expected ${expected} (${reasons})`];
  }
  return by;
}

let emulator: Line[] = [];
beforeAll(async () => {
  emulator = judge(await onEmulator(",gpc3=on", Mailbox.All));
}, 60_000);

describe("the matrix on the emulator", () => {
  it("every check gives what the architecture says", () => {
    expect(wrong(emulator)).toEqual([]);
    expect(emulator.length).toBeGreaterThan(4000);
  });

  it.each([34, 36, 39])("so do those with level-0 regions of 2^%i bytes", async (bits) => {
    const lines = judge(await onEmulator(`,l0gptsz=${bits}`, Mailbox.Few), bits);
    expect(wrong(lines)).toEqual([]);
    expect(lines.length).toBeGreaterThan(700);
  });

  it("so do those on a PE without FEAT_RME_GPC2 and GPC3, which leaves their sections out", async () => {
    const lines = judge(await onEmulator("", Mailbox.All));
    expect(wrong(lines)).toEqual([]);
    const ofGpc2 = (l: Line) => /^(nso|bypass|appsaa|space-disabled|dma-gpc2)$/.test(l.check.section);
    expect(lines.map((l) => l.name)).toEqual(emulator.filter((l) => !ofGpc2(l)).map((l) => l.name));
  });

  it("covers every state, space, GPI, granule size, form, access and table", () => {
    const seen = (of: RegExp, f: (c: Check) => string) =>
      new Set(emulator.filter((l) => of.test(l.check.section)).map((l) => f(l.check))).size;
    expect(seen(/^gpi$/, (c) => `${c.world}>${c.pas}`)).toBe(23);
    expect(seen(/^gpi$/, (c) => `${c.world}>${c.pas} ${c.entry[2]}`)).toBe(23 * 16);
    expect(seen(/^form$/, (c) => c.entry.join())).toBe(3 * 5 * 16);
    expect(seen(/^access$/, (c) => c.access)).toBe(10);
    expect(seen(/^dma$/, (c) => `${c.entry} ${c.access}`)).toBe(3 * 5 * 16 * 2);
    expect(seen(/^walk$/, (c) => c.place)).toBe(9);
  });
});

describe("the matrix on QEMU", () => {
  const golden = readOutput(readFileSync(GOLDEN, "utf8"));

  it("differs from the architecture only where an entry says so, and there only", () => {
    const by = explain(judge(golden));
    expect(by[""] ?? []).toEqual([]);
    const counts = Object.fromEntries(Object.entries(by).map(([id, lines]) => [id, lines.length]));
    expect(counts).toEqual(Object.fromEntries(differences.map((d) => [d.id, d.lines])));
  });

  it("has every check that the emulator makes, but those that stop QEMU", () => {
    const missing = emulator.filter((l) => !golden.has(l.name) && !notRunOnQemu(l.check));
    expect(missing.map((l) => l.name)).toEqual([]);
  });

  it("prints what is committed", () => {
    expect([...onQemu("", Mailbox.ForQemu)]).toEqual([...golden]);
  });

  it.each([34, 36, 39])("level-0 regions of 2^%i bytes: no other differences", (bits) => {
    const lines = judge(onQemu(`,x-l0gptsz=${bits}`, Mailbox.ForQemu + Mailbox.Few), bits);
    expect(explain(lines)[""] ?? []).toEqual([]);
  });
});

describe("configurations under which nothing can run", () => {
  const walkFault = 0x7a11_0028n;
  // biome-ignore format: table
  it.each([
    [0,  "PPS reserved",                        walkFault],
    [1,  "PGS reserved",                        walkFault],
    [2,  "SH reserved",                         walkFault],
    [3,  "non-cacheable and inner shareable",   walkFault],
    [4,  "non-cacheable and not shareable",     walkFault],
    [5,  "GPTBR_EL3 above PPS",                 0x7a10_0028n],
    [6,  "GPTBR_EL3 where no memory is",        0x7a15_0028n],
    [7,  "an empty level-0 table",              walkFault],
    [8,  "bypass window of a reserved size",    walkFault],
    [9,  "bypass window of a reserved stride",  walkFault],
    [10, "bypass window not aligned",           walkFault],
  ] as const)("%i: %s: EL3's own fetches fault for ever", async (n, _, esr) => {
    const machine = await create(",gpc3=on", Mailbox.Broken + n, 2 ** 28);
    expect(await machine.runInstructions(100_000)).toBeUndefined();
    const pe = machine.pe();
    const vector = pe.sysreg("VBAR_EL3") + 0x200n;
    expect({ pc: pe.pc, esr: pe.sysreg("ESR_EL3"), far: pe.sysreg("FAR_EL3"), mfar: pe.sysreg("MFAR_EL3") }).toEqual({
      pc: vector, esr, far: vector, mfar: (vector & ~0xfffn) | (1n << 62n), // Root
    });
  });
});
