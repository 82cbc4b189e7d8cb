// Every rule of granule protection: a case that breaks it, and what the explanation must say.

import { describe, expect, it } from "vitest";
import { slot } from "../../src/arch/state.ts";
import { buildGpt, type GptLayout } from "../../src/gpt/build.ts";
import { Gpi, GranuleProtection } from "../../src/gpt/index.ts";
import { explainAccess, type Question } from "../../src/teach/explain.ts";
import { memoryRanges } from "../../src/teach/gpt-map.ts";
import type { Explanation } from "../../src/teach/model.ts";
import { rules } from "../../src/teach/rules.ts";
import { explanationText } from "../../src/teach/text.ts";
import { bit, LEAF, RAM, RAM_SIZE, Rig, Tree, tcr, tcrOne } from "../mmu/rig.ts";

const TABLE = RAM + 0x200_0000;
const LEVEL1 = RAM + 0x220_0000;
const VA = 0x12_3456_7000n;
const REALM_PAGE = RAM + 0x8000;
const NOBODYS = RAM + 0x9000;
const features = { paBits: 52, gpc2: true, gpc3: true, secure: true, granule16: true, granule64: true };

/** A PE at Non-secure EL1, stage 1 off, with a table for 36 bits: RAM Non-secure but for two pages and the table itself. */
function world(layout: Partial<GptLayout> = {}): Rig {
  const rig = new Rig();
  rig.mmu.granuleCheck = new GranuleProtection(rig.st, rig.phys, features);
  const built = buildGpt({
    pps: 36,
    l0: 30,
    granule: 12,
    table: TABLE,
    level1: LEVEL1,
    otherwise: Gpi.Any,
    ranges: [
      { base: RAM, size: RAM_SIZE, gpi: Gpi.NonSecure },
      { base: REALM_PAGE, size: 0x1000, gpi: Gpi.Realm },
      { base: NOBODYS, size: 0x1000, gpi: Gpi.None },
      { base: TABLE, size: 0x100_0000, gpi: Gpi.Root },
    ],
    ...layout,
  });
  for (const p of built.pieces) rig.phys.writeBytes(p.address, p.data);
  rig.set({ GPCCR_EL3: built.gpccr, GPTBR_EL3: built.gptbr });
  return rig;
}
const ask = (rig: Rig, va: bigint | number, q: Partial<Question> = {}): Explanation =>
  explainAccess({ st: rig.st, mmu: rig.mmu }, { va: BigInt(va), ...q });
/** Address of the level 0 and the level 1 entry for the RAM. */
const L0 = TABLE + 8;
const l1 = (pa: number): number => LEVEL1 + Math.floor((pa - RAM) / 0x1_0000) * 8;

interface Case {
  rule: string;
  name: string;
  level: number;
  says: RegExp;
  remedy: RegExp;
  build(): { rig: Rig; va: number; q?: Partial<Question> };
}
/** A world with one change. */
const but =
  (change: (rig: Rig) => void, va: number = RAM, q: Partial<Question> = {}) =>
  () => {
    const rig = world();
    change(rig);
    rig.mmu.contextChanged();
    return { rig, va, q };
  };
const set = (rig: Rig, name: "GPCCR_EL3" | "GPTBR_EL3", f: (v: bigint) => bigint): void =>
  void rig.set({ [name]: f(rig.st.get(slotOf(name))) });
const slotOf = (name: "GPCCR_EL3" | "GPTBR_EL3"): number => slot[name];

// biome-ignore format: one case per row
const cases: Case[] = [
  { rule: "GPC-CONFIG", name: "PPS larger than the PE's", level: 0, says: /GPCCR_EL3\.PPS/, remedy: /GPCCR_EL3/, build: but((r) => set(r, "GPCCR_EL3", (v) => (v & ~7n) | 7n)) },
  { rule: "GPC-CONFIG", name: "PGS reserved", level: 0, says: /PGS is reserved/, remedy: /before setting GPCCR_EL3\.GPC/, build: but((r) => set(r, "GPCCR_EL3", (v) => v | (3n << 14n))) },
  { rule: "GPC-SPACE-OFF", name: "NSPAD", level: 0, says: /GPCCR_EL3\.NSPAD is 1/, remedy: /clear GPCCR_EL3\.NSPAD/, build: but((r) => set(r, "GPCCR_EL3", (v) => v | bit(6))) },
  { rule: "GPC-ABOVE-PPS", name: "Root", level: 0, says: /0x1000000000 in the Root PA space, above the protected space of 36 bits/, remedy: /below 2\^PPS/, build: () => ({ rig: world(), va: 2 ** 36, q: { el: 3 } }) },
  { rule: "GPT-BASE-SIZE", name: "GPTBR above PPS", level: 0, says: /GPTBR_EL3 puts the level 0 table at 0x4000000000/, remedy: /below 2\^PPS/, build: but((r) => set(r, "GPTBR_EL3", () => 0x400_0000n)) },
  { rule: "GPT-L0-EXTERNAL", name: "GPTBR outside RAM", level: 0, says: /level 0 entry for 0x40000000 would be at 0x10000008/, remedy: /GPTBR_EL3/, build: but((r) => set(r, "GPTBR_EL3", () => 0x1_0000n)) },
  { rule: "GPT-L0-MALFORMED", name: "reserved GPI", level: 0, says: /reserved GPI 0x3 in bits 7:4 of the block entry: level 0 entry 0x31 at 0x42000008/, remedy: /well-formed entry at 0x42000008/, build: but((r) => r.write64(L0, 0x31n)) },
  { rule: "GPT-L0-MALFORMED", name: "type", level: 0, says: /bits 3:0 are 0x0/, remedy: /well-formed/, build: but((r) => r.write64(L0, 0n)) },
  { rule: "GPT-L0-MALFORMED", name: "bits of a block", level: 0, says: /bits 63:8 of the block entry are not 0/, remedy: /well-formed/, build: but((r) => r.write64(L0, 0x191n)) },
  { rule: "GPT-L0-MALFORMED", name: "bits of a table", level: 0, says: /bits 11:4 of the table entry/, remedy: /well-formed/, build: but((r) => r.write64(L0, BigInt(LEVEL1) | 0x13n)) },
  { rule: "GPT-L0-MALFORMED", name: "alignment of a table", level: 0, says: /bits 16:12 of the table entry are not 0: a level 1 table of 128 KiB/, remedy: /well-formed/, build: but((r) => r.write64(L0, BigInt(LEVEL1 + 0x1000) | 3n)) },
  { rule: "GPT-L0-SIZE", name: "table above PPS", level: 0, says: /above the protected space of 36 bits/, remedy: /below 2\^PPS/, build: but((r) => r.write64(L0, bit(40) | 3n)) },
  { rule: "GPT-L1-EXTERNAL", name: "table outside RAM", level: 1, says: /level 1 entry for 0x40000000 would be at 0x10000000/, remedy: /level 0 entry point to a table in RAM/, build: but((r) => r.write64(L0, 0x1000_0003n)) },
  { rule: "GPT-L1-MALFORMED", name: "reserved GPI", level: 1, says: /reserved GPI 0x3 in bits 11:8, granule 2 of the entry: level 1 entry 0x9999999999999399 at 0x42200000/, remedy: /well-formed/, build: but((r) => r.write64(l1(RAM), 0x9999_9999_9999_9399n)) },
  { rule: "GPT-L1-MALFORMED", name: "reserved Contig", level: 1, says: /reserved Contig 0b00/, remedy: /well-formed/, build: but((r) => r.write64(l1(RAM), 0x91n)) },
  { rule: "GPT-L1-MALFORMED", name: "contiguous with a reserved GPI", level: 1, says: /reserved GPI 0x3 in bits 7:4 of the contiguous entry/, remedy: /well-formed/, build: but((r) => r.write64(l1(RAM), 0x131n)) },
  { rule: "GPT-L1-MALFORMED", name: "bits of a contiguous entry", level: 1, says: /bits 63:10 of the contiguous entry/, remedy: /well-formed/, build: but((r) => r.write64(l1(RAM), 0x10_0191n)) },
  { rule: "GPT-GPI", name: "Non-secure reads Realm memory", level: 1, says: /the memory is at 0x40008000 in the Non-secure PA space, but the granule belongs to the Realm PA space \(GPI 0xb in the level 1 entry at 0x42200000\)/, remedy: /RMI_GRANULE_UNDELEGATE/, build: () => ({ rig: world(), va: REALM_PAGE }) },
  { rule: "GPT-GPI", name: "Realm reads Non-secure memory", level: 1, says: /Realm PA space, but the granule belongs to the Non-secure PA space/, remedy: /RMI_GRANULE_DELEGATE[\s\S]*NS = 1/, build: () => ({ rig: world(), va: RAM, q: { security: 3 } }) },
  { rule: "GPT-GPI", name: "nobody's granule", level: 1, says: /belongs to no PA space/, remedy: /write the GPI 0x9/, build: () => ({ rig: world(), va: NOBODYS }) },
  { rule: "GPT-GPI", name: "level 0 block", level: 0, says: /GPI 0xa in the level 0 entry/, remedy: /EL3/, build: but((r) => r.write64(L0, 0xa1n)) },
];

describe("an explanation of granule protection names the rule, the entry and the remedy", () => {
  it.each(cases)("$rule: $name", ({ rule, level, says, remedy, build }) => {
    const { rig, va, q } = build();
    const e = ask(rig, va, q);
    expect(e.failure?.rule).toBe(rule);
    expect(e.gpt?.level).toBe(level);
    expect(e.failure?.text).toMatch(says);
    expect(e.failure?.remedies.join("\n")).toMatch(remedy);
    expect(e.failure?.status?.code).toBe(0x28);
    const readsTable = !rule.startsWith("GPC-") && rule !== "GPT-BASE-SIZE";
    expect(e.gpt?.entries.filter((x) => x.failed).map((x) => x.level)).toEqual(readsTable ? [level] : []);
    expect(explanationText(e)).toContain(`[${rule};`);
  });

  it("has a case for every rule", () => {
    const all = [...rules.keys()].filter((r) => r.startsWith("GP"));
    expect(all.filter((r) => !cases.some((c) => c.rule === r))).toEqual([]);
  });
});

describe("granule protection of the walk itself", () => {
  function walking(): { rig: Rig; s1: Tree; s2: Tree } {
    const rig = world();
    const s1 = new Tree(rig);
    const s2 = new Tree(rig, { ia: 40, start: 1 });
    for (let off = 0; off < RAM_SIZE; off += 0x20_0000) s2.map(BigInt(RAM + off), RAM + off, 0x7fcn, 2);
    s1.map(VA, RAM + 0x3000, LEAF);
    rig.set({ SCTLR_EL1: 5n, TCR_EL1: tcr(s1), TTBR0_EL1: s1.ttbr(), VTCR_EL2: s2.tsz | (1n << 6n) | (5n << 16n), VTTBR_EL2: s2.ttbr() });
    return { rig, s1, s2 };
  }
  /** Makes the granule at `pa` Realm. */
  const delegate = (rig: Rig, pa: number): void => {
    const shift = BigInt((Math.floor(pa / 4096) % 16) * 4);
    const old = rig.read64(l1(pa));
    // Contiguous entries of RAM are all Non-secure here.
    const entry = (old & 15n) === 1n ? 0x9999_9999_9999_9999n : old;
    rig.write64(l1(pa), (entry & ~(15n << shift)) | (0xbn << shift));
  };

  it("is told apart: a stage 1 descriptor", () => {
    const { rig, s1 } = walking();
    delegate(rig, s1.slot(VA, 2));
    const e = ask(rig, VA);
    expect(e.failure).toMatchObject({ rule: "GPT-GPI", where: "granule protection, level 1, of the stage 1 level 2 descriptor" });
    expect(e.failure?.status).toEqual({ code: 0x26, name: "Granule Protection Fault on a table walk, level 2" });
    expect(e.failure?.text).toMatch(/^the stage 1 level 2 descriptor is at/);
    expect(e.descriptors.at(-1)).toMatchObject({
      level: 2,
      kind: "unreadable",
      failed: true,
      gpt: { result: "granule protection fault", level: 1 },
    });
    expect(e.gpt).toBeUndefined();
  });

  it("is told apart: a stage 2 descriptor, for stage 1", () => {
    const { rig, s2 } = walking();
    rig.set({ HCR_EL2: 1n });
    delegate(rig, s2.root);
    const e = ask(rig, VA);
    expect(e.failure).toMatchObject({
      rule: "GPT-GPI",
      where: "granule protection, level 1, of the stage 2 level 1 descriptor, for the stage 1 level 0 descriptor",
    });
    expect(e.descriptors[0]).toMatchObject({ stage: 1, kind: "unreadable", stage2: [{ stage: 2, level: 1, failed: true }] });
  });

  it("and the output, reached through Root's NSE and NS bits", () => {
    const rig = world();
    const s1 = new Tree(rig);
    rig.set({ EL: 3, SCTLR_EL3: 5n, TCR_EL3: tcrOne(s1), TTBR0_EL3: s1.ttbr() });
    // The table must be Root memory for EL3 to walk it: give all of it to Root.
    rig.write64(L0, 0xf1n);
    s1.map(VA, REALM_PAGE, LEAF | bit(11) | bit(5));
    expect(ask(rig, VA).output?.space).toBe("Realm");
    rig.write64(L0, 0xa1n);
    expect(ask(rig, VA).failure?.text).toMatch(/in the Realm PA space, but the granule belongs to the Root PA space/);
  });
});

describe("the map of memory", () => {
  it("has a range per GPI, in order, to the end of the protected space", () => {
    const ranges = memoryRanges(world().mmu);
    expect(ranges.map((r) => `${r.from.replace(/^0x0*/, "")} ${r.space}${r.holds ? ` ${r.holds}` : ""}`)).toEqual([
      " any",
      "40000000 Non-secure RAM",
      "40008000 Realm RAM",
      "40009000 no access RAM",
      "4000a000 Non-secure RAM",
      "42000000 Root RAM",
      "43000000 Non-secure RAM",
      "44000000 any",
    ]);
    expect(ranges.at(-1)?.to).toBe("0x0000fffffffff");
  });
  it("names what is malformed and stays short whatever the table is", () => {
    const rig = world();
    rig.write64(l1(RAM), 0x9999_9999_9999_9399n);
    expect(memoryRanges(rig.mmu)[1]?.space).toMatch(/reserved/);
    for (let at = LEVEL1; at < LEVEL1 + 0x2_0000; at += 8) rig.write64(at, 0x9b9b_9b9b_9b9b_9b9bn);
    const many = memoryRanges(rig.mmu);
    expect(many.length).toBeLessThanOrEqual(20_001);
    expect(many.at(-1)).toMatchObject({ space: "not listed", to: "0x0000fffffffff" });
  });
});
