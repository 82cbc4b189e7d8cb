// Every feature of the table can be switched off by --cpu: the guest's ID registers say so, and what belongs to the feature is UNDEFINED.

import { describe, expect, it } from "vitest";
import { type FeatureName, featureNames, idRegisters, parseCpu } from "../../src/arch/features.ts";
import type { RegName } from "../../src/arch/registers/encodings.ts";
import { encodings } from "../../src/arch/registers/encodings.ts";
import { registerSet } from "../../src/arch/registers/index.ts";
import { packFlash } from "../../src/cli/debian/flash.ts";
import { rowAvailable } from "../../src/cpu/feature-use.ts";
import { Machine, stuckText } from "../../src/harness/index.ts";
import { decode, type Row, rows } from "../../src/isa/table.ts";
import { addImm, b, ERET, HALT, ISB, image, MASK_ALL, mov, mrs, msr, NOP, ORIGIN, psci, str8, str64 } from "../support/a64.ts";
import { firmwareParts } from "../support/firmware.ts";
import { bootToShell, linuxMachine, shell } from "../support/linux.ts";

/** Everything there is. */
const ALL = "max,rme=on,gpc3=on";
const full = parseCpu(ALL);
const RESULTS = 0x4100_0000;
const ID_AT = 0x4080_0000;
const UNKNOWN = 0;
const idNames = ["PFR0", "PFR1", "DFR0", "ISAR0", "ISAR1", "ISAR2", "MMFR0", "MMFR1", "MMFR2"].map((n) => `ID_AA64${n}_EL1` as RegName);

/** Hints are NOPs where their feature is not implemented. */
const isHint = (word: number): boolean => (word & 0xffff_f01f) >>> 0 === 0xd503_201f;

/** A word that is this instruction: fields of zeros, or others where those are reserved. */
function wordOf(row: Row): number | undefined {
  const free = ~row.mask >>> 0;
  let state = 1;
  for (let n = 0; n < 200; n++) {
    const fill = n === 0 ? 0 : state;
    const word = (row.value | (fill & free)) >>> 0;
    if (decode(word) === row && !row.undefined(word)) return word;
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  }
  return undefined;
}

/** Instructions that are there with all features and not with these. */
function goneWords(off: ReturnType<typeof parseCpu>): { name: string; word: number }[] {
  const gone = rows.filter((r) => rowAvailable(full, r.features) && !rowAvailable(off, r.features));
  return gone.flatMap((r) => {
    const word = wordOf(r);
    return word === undefined || isHint(word) ? [] : [{ name: r.name, word }];
  });
}

const encoding = new Map(encodings.map(([name, ...fields]) => [name as string, fields as readonly number[]]));
/** The same of registers (read into X3) and system instructions (with X3). */
function goneRegisters(off: ReturnType<typeof parseCpu>): { name: string; word: number }[] {
  const kept = new Set(registerSet(off).records.map((r) => r.name));
  return registerSet(full).records.flatMap(({ name }) => {
    const [op0 = 0, op1 = 0, crn = 0, crm = 0, op2 = 0] = encoding.get(name) ?? [];
    // Registers outside the table have no encoding; what is not allocated among the ID registers reads as zero.
    if (kept.has(name) || op0 === 0 || (op0 === 3 && op1 === 0 && crn === 0)) return [];
    const base = op0 === 1 ? 0xd500_0000 : 0xd520_0000;
    return [{ name, word: (base | (op0 << 19) | (op1 << 16) | (crn << 12) | (crm << 8) | (op2 << 5) | 3) >>> 0 }];
  });
}

/** Runs the words at EL2 on a CPU. The ID registers as the guest reads them, and the ESR of each word; 0: it raised no exception. */
async function probe(cpu: string, words: readonly number[]): Promise<{ ids: bigint[]; esrs: bigint[] }> {
  const handler = [mrs(26, "ESR_EL2"), str64(26, 20), mrs(25, "ELR_EL2"), addImm(25, 25, 4), msr("ELR_EL2", 25), ERET];
  const vectors = Array.from({ length: 16 }, () => [...handler, ...Array<number>(32 - handler.length).fill(NOP)]).flat();
  const ids = idNames.flatMap((name, i) => [mrs(0, name), str64(0, 21, 8 * i)]);
  const start = [MASK_ALL, ...mov(0, ORIGIN + 0x800), msr("VBAR_EL2", 0), ISB, ...mov(20, RESULTS), ...mov(21, ID_AT), ...ids];
  const tests = words.flatMap((word) => [word, addImm(20, 20, 8)]);
  const machine = await Machine.create({
    cpu,
    memory: 64 * 2 ** 20,
    kernel: image([...start, b(0x1000 / 4 - (64 / 4 + start.length))], { 2048: vectors, 4096: [...tests, ...HALT] }),
  });
  expect(await machine.run()).toEqual({ kind: "halted" });
  const read = (at: number, n: number): bigint[] => [...new BigUint64Array(machine.readMemory(at, 8 * n).slice().buffer)];
  return { ids: read(ID_AT, idNames.length), esrs: read(RESULTS, words.length) };
}

/** Features that this takes away. */
const lost = (cpu: string): string[] => [...full.names].filter((f) => !parseCpu(cpu).has(f));

describe("each feature switched off", () => {
  it.each(featureNames.map((f) => [f]))("%s", async (feature: FeatureName) => {
    const cpu = `${ALL},${feature}=off`;
    const off = parseCpu(cpu);
    expect(lost(cpu)).toContain(feature);
    const gone = [...goneWords(off), ...goneRegisters(off)];
    const { ids, esrs } = await probe(
      cpu,
      gone.map((g) => g.word),
    );
    // What the guest reads, and no field of it higher than with everything.
    const [now, before] = [idRegisters(off), idRegisters(full)];
    expect(ids).toEqual(idNames.map((name) => now[name] ?? 0n));
    let lower = 0;
    for (const name of idNames)
      for (let low = 0n; low < 64n; low += 4n) {
        const [a, z] = [((now[name] ?? 0n) >> low) & 15n, ((before[name] ?? 0n) >> low) & 15n];
        if (a === z) continue;
        expect(a, `${name}[${low}]`).toBeLessThan(z);
        lower++;
      }
    expect(lower).toBeGreaterThan(0);
    const defined = gone.filter((_, i) => esrs[i] === 0n || Number((esrs[i] ?? 0n) >> 26n) !== UNKNOWN);
    expect(defined.map((g) => `${g.name} 0x${g.word.toString(16)}`)).toEqual([]);
  });

  it("EL3, where firmware is to start", async () => {
    const machine = Machine.create({ machine: "virt,secure=on", cpu: "max,el3=off", bios: new Uint8Array(4096) });
    await expect(machine).rejects.toThrow(/virt,secure=on starts at EL3: leave el3=off out of --cpu/);
  });

  it("with all of them the same words are defined", async () => {
    const words = featureNames.flatMap((f) => goneWords(parseCpu(`${ALL},${f}=off`)));
    expect(new Set(words.map((w) => w.name)).size).toBeGreaterThan(150);
    for (const { word } of words) expect(rowAvailable(full, decode(word)?.features ?? "none")).toBe(true);
  });
});

describe("what boots without", () => {
  const bl33 = new Uint8Array(Uint32Array.from([...mov(1, 0x0900_0000), ...mov(2, 0x21), str8(2, 1), ...psci(0x8400_0008), b(0)]).buffer);
  const tfa = async (off: readonly string[]): Promise<{ kind: string; console: string; where: string }> => {
    const bios = packFlash(await firmwareParts("tf-a-rme", bl33));
    const cpu = `max,rme=on,${off.map((f) => `${f}=off`).join(",")}`;
    expect(parseCpu(cpu).has("RME")).toBe(true);
    const machine = await Machine.create({ machine: "virt,secure=on", cpu, bios, watchdog: { limit: 100_000_000 } });
    const { kind } = await machine.run();
    return { kind, console: machine.console.text, where: stuckText(machine.whereabouts) };
  };
  /** What TF-A with RME uses without a look at the ID registers. */
  const needed = ["GIC", "CSV2", "CSV2_2", "PAuth", "PMUv3"] as const;

  it("TF-A with RME, without any that RME and it do not need", async () => {
    const full = parseCpu("max,rme=on");
    const without = featureNames.filter((f) => full.has(f) && parseCpu(`max,rme=on,${f}=off`).has("RME"));
    const off = without.filter((f) => needed.every((n) => parseCpu(`max,${f}=off`).has(n)));
    expect(off.length).toBeGreaterThan(60);
    const { kind, console } = await tfa(off);
    expect(console).toMatch(/RMM init end\.\r\n.*!/s);
    expect(kind).toBe("poweroff");
  });
  it.each(needed)("TF-A with RME, without %s, which it needs: an instruction is UNDEFINED", async (feature) => {
    const { kind, where } = await tfa([feature]);
    expect(kind).toBe("halted");
    expect(where).toMatch(/^PE 0 at EL3 in the Root state, .*\(the last fault before: Unknown reason: ESR_EL3 0x2000000, /);
  });

  it("a Debian kernel, without any but GIC and EL3", { timeout: 240_000 }, async () => {
    const off = featureNames.filter((f) => f !== "GIC" && f !== "EL3").map((f) => `${f}=off`);
    const machine = await linuxMachine("6.12", { cpu: `max,${off.join(",")}` });
    await bootToShell(machine);
    const features = await shell(machine, "grep -m1 Features /proc/cpuinfo");
    expect(features).toMatch(/^Features\t: fp asimd( cpuid)?( evtstrm)?( cpuid)?\s*$/m);
  });
});
