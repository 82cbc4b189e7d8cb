// Every rule of stage 1 and stage 2: a case that breaks it, and what the explanation must say.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import { slot } from "../../src/arch/state.ts";
import { type Fault, FaultType, faultStatusCode } from "../../src/mmu/fault.ts";
import { explainAccess, explainFault, type Question } from "../../src/teach/explain.ts";
import type { DescriptorInfo, Explanation } from "../../src/teach/model.ts";
import { rules } from "../../src/teach/rules.ts";
import { explanationText } from "../../src/teach/text.ts";
import {
  Access,
  AF,
  attrIndex,
  bit,
  CONT,
  DBM,
  LEAF,
  PXN,
  RAM,
  Rig,
  RO,
  Tree,
  type TreeOptions,
  tcr,
  tcrOne,
  USER,
  UXN,
} from "../mmu/rig.ts";

const VA = 0x12_3456_7000n;
const S2 = 0x7fcn;
const S2W = bit(7);
/** Registers of a realm: SCR_EL3.{NSE,NS} = 11. */
const REALM = bit(62) | 1n;

interface World {
  rig: Rig;
  s1: Tree;
  s2: Tree;
}
/** EL1&0 with stage 1 on; stage 2 maps all RAM to itself when `stage2` is set. */
function world(o: { stage2?: boolean; tree?: TreeOptions; tcr?: bigint; vtcr?: bigint; scr?: bigint } = {}): World {
  const rig = new Rig();
  const s1 = new Tree(rig, o.tree ?? {});
  const s2 = new Tree(rig, { ia: 40, start: 1 });
  for (let off = 0; off < 0x400_0000; off += 0x20_0000) s2.map(BigInt(RAM + off), RAM + off, S2, 2);
  rig.set({
    SCR_EL3: o.scr ?? 1n,
    SCTLR_EL1: 5n,
    TCR_EL1: tcr(s1, s1, o.tcr ?? 0n),
    TTBR0_EL1: s1.ttbr(),
    TTBR1_EL1: s1.ttbr(),
    HCR_EL2: o.stage2 ? 1n : 0n,
    VTCR_EL2: s2.tsz | (1n << 6n) | (5n << 16n) | (o.vtcr ?? 0n),
    VTTBR_EL2: s2.ttbr(),
  });
  return { rig, s1, s2 };
}

const ask = (rig: Rig, q: Question): Explanation => explainAccess({ st: rig.st, mmu: rig.mmu }, q);
/** All descriptors, the inner ones too. */
const all = (d: readonly DescriptorInfo[]): DescriptorInfo[] => d.flatMap((x) => [...all(x.stage2 ?? []), x, ...all(x.update ?? [])]);
/** "stage level" of the descriptor marked as failing. */
const failing = (e: Explanation): string =>
  all(e.descriptors)
    .filter((d) => d.failed)
    .map((d) => `s${d.stage} l${d.level}`)
    .join();

interface Case {
  rule: string;
  name: string;
  /** Descriptor marked, "" for none. */
  at: string;
  status: number;
  /** What the sentence must contain. */
  says: RegExp;
  remedy: RegExp;
  build(): { rig: Rig; q: Partial<Question> };
}

const leaf = (w: World, attrs: bigint, pa: number = RAM + 0x9000): { rig: Rig; q: Partial<Question> } => {
  w.s1.map(VA, pa, attrs);
  return { rig: w.rig, q: {} };
};

// biome-ignore format: one case per row
const cases: Case[] = [
  { rule: "S1-TXSZ", name: "T0SZ below the minimum", at: "", status: 0x04, says: /TCR_EL1\.T0SZ/, remedy: /16 to 39/,
    build: () => { const w = world(); w.rig.set({ TCR_EL1: tcr(w.s1) & ~63n }); return { rig: w.rig, q: {} }; } },
  { rule: "S1-VA-RANGE", name: "lower range", at: "", status: 0x04, says: /bits 63 to 48 of 0x1000000000000 must equal bit 55/, remedy: /canonical/,
    build: () => ({ rig: world().rig, q: { va: 1n << 48n } }) },
  { rule: "S1-VA-RANGE", name: "upper range", at: "", status: 0x04, says: /which is 1.*T1SZ = 16/, remedy: /T1SZ/,
    build: () => ({ rig: world().rig, q: { va: 0xfff0_0000_0000_0000n } }) },
  { rule: "S1-VA-RANGE", name: "one range", at: "", status: 0x04, says: /must be 0/, remedy: /T0SZ/,
    build: () => { const w = world(); w.rig.set({ EL: 2, SCTLR_EL2: 5n, TCR_EL2: tcrOne(w.s1), TTBR0_EL2: w.s1.ttbr() }); return { rig: w.rig, q: { va: 0xffff_0000_0000_0000n } }; } },
  { rule: "S1-E0PD", name: "EL0", at: "", status: 0x04, says: /E0PD0/, remedy: /clear TCR_EL1\.E0PD0/, build: () => ({ rig: world({ tcr: bit(55) }).rig.set({ EL: 0 }), q: {} }) },
  { rule: "S1-EPD", name: "range 1", at: "", status: 0x04, says: /EPD1 is 1/, remedy: /TTBR1_EL1 is valid/, build: () => ({ rig: world({ tcr: bit(23) }).rig, q: { va: 0xffff_0000_0000_0000n } }) },
  { rule: "S1-OFF-SIZE", name: "MMU off", at: "", status: 0x00, says: /stage 1 is off/, remedy: /PARange/, build: () => { const rig = new Rig(); return { rig, q: { va: 1n << 52n } }; } },
  { rule: "S1-TTBR-SIZE", name: "TTBR0", at: "", status: 0x00, says: /TTBR0_EL1 points beyond.*32 bits/, remedy: /2\^32/,
    build: () => { const w = world(); w.rig.set({ TCR_EL1: tcr(w.s1) & ~(7n << 32n), TTBR0_EL1: 1n << 40n }); return { rig: w.rig, q: {} }; } },
  { rule: "S1-INVALID", name: "level 3", at: "s1 l3", status: 0x07, says: /bit 0 of the level 3 descriptor 0x0/, remedy: /valid page descriptor/, build: () => { const w = world(); w.s1.slot(VA, 3); return { rig: w.rig, q: {} }; } },
  { rule: "S1-INVALID", name: "level 0", at: "s1 l0", status: 0x04, says: /level 0 descriptor/, remedy: /block or table/, build: () => ({ rig: world().rig, q: {} }) },
  { rule: "S1-RESERVED", name: "level 3", at: "s1 l3", status: 0x07, says: /0b01, which is reserved at level 3/, remedy: /set bit 1/, build: () => { const w = world(); w.s1.put(w.s1.slot(VA, 3), BigInt(RAM) | LEAF | 1n); return { rig: w.rig, q: {} }; } },
  { rule: "S1-RESERVED", name: "block at level 0", at: "s1 l0", status: 0x04, says: /blocks from level 1 on/, remedy: /table descriptor/, build: () => { const w = world(); w.s1.put(w.s1.slot(VA, 0), LEAF | 1n); return { rig: w.rig, q: {} }; } },
  { rule: "S1-CONTIGUOUS", name: "set larger than the range", at: "s1 l1", status: 0x05, says: /Contiguous.*31 bits/, remedy: /Contiguous/,
    build: () => { const w = world({ tree: { ia: 31 } }); w.s1.map(0x1000n, 0x4000_0000, LEAF | CONT, 1); return { rig: w.rig, q: { va: 0x1000n } }; } },
  { rule: "S1-OA-SIZE", name: "page", at: "s1 l3", status: 0x03, says: /maps to memory at 0x10000000000, beyond the output address size of 36 bits/, remedy: /TCR_EL1\.IPS/,
    build: () => { const w = world(); const r = leaf(w, LEAF, 2 ** 40); w.rig.set({ TCR_EL1: (tcr(w.s1) & ~(7n << 32n)) | (1n << 32n) }); return r; } },
  { rule: "S1-OA-SIZE", name: "table", at: "s1 l0", status: 0x00, says: /points to a table/, remedy: /below 2\^36/,
    build: () => { const w = world(); w.s1.put(w.s1.slot(VA, 0), bit(40) | 3n); w.rig.set({ TCR_EL1: (tcr(w.s1) & ~(7n << 32n)) | (1n << 32n) }); return { rig: w.rig, q: {} }; } },
  { rule: "S1-AF", name: "AF 0", at: "s1 l3", status: 0x0b, says: /AF of the level 3 descriptor/, remedy: /set AF/, build: () => leaf(world(), LEAF & ~AF) },
  { rule: "S1-PERMISSION", name: "read-only", at: "s1 l3", status: 0x0f, says: /AP\[2\] of the leaf is 1/, remedy: /clear AP\[2\]/, build: () => ({ ...leaf(world(), LEAF | RO), q: { access: "write" } }) },
  { rule: "S1-PERMISSION", name: "EL0", at: "s1 l3", status: 0x0f, says: /AP\[1\] of the leaf is 0: EL0/, remedy: /set AP\[1\]/, build: () => ({ ...leaf(world(), LEAF), q: { el: 0 } }) },
  { rule: "S1-PERMISSION", name: "LDTR", at: "s1 l3", status: 0x0f, says: /EL0 has no access/, remedy: /AP\[1\]/, build: () => ({ ...leaf(world(), LEAF), q: { unprivileged: true } }) },
  { rule: "S1-PERMISSION", name: "PAN", at: "s1 l3", status: 0x0f, says: /PSTATE\.PAN is 1/, remedy: /clear PSTATE\.PAN/, build: () => { const r = leaf(world(), LEAF | USER); r.rig.set({ PAN: 1 }); return r; } },
  { rule: "S1-PERMISSION", name: "UXN", at: "s1 l3", status: 0x0f, says: /UXN of the leaf is 1/, remedy: /clear UXN/, build: () => ({ ...leaf(world(), LEAF | USER | RO | UXN), q: { el: 0, access: "fetch" } }) },
  { rule: "S1-PERMISSION", name: "PXN", at: "s1 l3", status: 0x0f, says: /PXN of the leaf is 1/, remedy: /clear PXN/, build: () => ({ ...leaf(world(), LEAF | PXN), q: { access: "fetch" } }) },
  { rule: "S1-PERMISSION", name: "user-writable", at: "s1 l3", status: 0x0f, says: /EL0 may write the memory/, remedy: /read-only/, build: () => ({ ...leaf(world(), LEAF | USER), q: { access: "fetch" } }) },
  { rule: "S1-PERMISSION", name: "WXN", at: "s1 l3", status: 0x0f, says: /SCTLR\.WXN is 1/, remedy: /read-only/, build: () => { const r = leaf(world(), LEAF); r.rig.set({ SCTLR_EL1: 5n | bit(19) }); return { ...r, q: { access: "fetch" } }; } },
  { rule: "S1-PERMISSION", name: "APTable", at: "s1 l3", status: 0x0f, says: /APTable\[1\] of the level [012] table/, remedy: /APTable\[1\]/, build: () => { const w = world(); w.s1.tableBits = bit(62); return { ...leaf(w, LEAF), q: { access: "write" } }; } },
  { rule: "S1-PERMISSION", name: "Root executes Realm memory", at: "s1 l3", status: 0x0f, says: /Root state executes from the Root PA space only/, remedy: /own PA space/,
    build: () => { const w = world(); const r = leaf(w, LEAF | bit(11) | bit(5)); w.rig.set({ EL: 3, SCTLR_EL3: 5n, TCR_EL3: tcrOne(w.s1), TTBR0_EL3: w.s1.ttbr() }); return { ...r, q: { access: "fetch" } }; } },
  { rule: "S1-EXTERNAL", name: "table outside RAM", at: "s1 l1", status: 0x15, says: /level 1 descriptor would be at 0x[0-9a-f]+, where there is no RAM/, remedy: /table descriptor above/,
    build: () => { const w = world(); w.s1.put(w.s1.slot(VA, 0), 0x1000_0003n); return { rig: w.rig, q: {} }; } },
  { rule: "S1-EXTERNAL", name: "TTBR outside RAM", at: "s1 l0", status: 0x14, says: /level 0/, remedy: /let TTBR0_EL1 point to RAM/, build: () => { const w = world(); w.rig.set({ TTBR0_EL1: 0x1000_0000n }); return { rig: w.rig, q: {} }; } },
  // stage 2
  { rule: "S2-CONFIG", name: "SL0 does not fit", at: "", status: 0x04, says: /VTCR_EL2\.T0SZ, SL0/, remedy: /SL0/, build: () => { const w = world({ stage2: true }); w.rig.set({ VTCR_EL2: 16n | (5n << 16n), SCTLR_EL1: 0n }); return { rig: w.rig, q: {} }; } },
  { rule: "S2-IPA-RANGE", name: "output of stage 1", at: "", status: 0x04, says: /0x20000000000 is not below 2\^40/, remedy: /stage 1/, build: () => leaf(world({ stage2: true }), LEAF, 2 ** 41) },
  { rule: "S2-TTBR-SIZE", name: "VTTBR", at: "", status: 0x00, says: /VTTBR_EL2 points beyond/, remedy: /VTCR_EL2\.PS/,
    build: () => { const w = world({ stage2: true }); w.rig.set({ SCTLR_EL1: 0n, VTCR_EL2: w.s2.tsz | (1n << 6n), VTTBR_EL2: bit(40) }); return { rig: w.rig, q: { va: 0x4000_0000n } }; } },
  { rule: "S2-INVALID", name: "output", at: "s2 l1", status: 0x05, says: /level 1 stage 2 descriptor 0x0 .* for IPA 0x80000000/, remedy: /write a valid/, build: () => leaf(world({ stage2: true }), LEAF, 0x8000_0000) },
  { rule: "S2-INVALID", name: "stage 1 descriptor", at: "s2 l1", status: 0x05, says: /for IPA 0x80000/, remedy: /write a valid/, build: () => { const w = world({ stage2: true }); w.rig.set({ TTBR0_EL1: 0x8000_0000n }); return { rig: w.rig, q: {} }; } },
  { rule: "S2-RESERVED", name: "level 3", at: "s2 l3", status: 0x07, says: /reserved at level 3/, remedy: /bit 1/, build: () => { const w = world({ stage2: true }); w.s2.put(w.s2.slot(0x8000_0000n, 3), BigInt(RAM) | S2 | 1n); return leaf(w, LEAF, 0x8000_0000); } },
  { rule: "S2-CONTIGUOUS", name: "set larger than the range", at: "s2 l1", status: 0x05, says: /level 1 stage 2 descriptor .* says Contiguous.*32 bits/, remedy: /Contiguous/, build: () => { const w = world({ stage2: true }); w.rig.set({ VTCR_EL2: 32n | (1n << 6n) | (5n << 16n) }); w.s2.put(w.s2.slot(0x8000_0000n, 1), BigInt(RAM) | S2 | CONT | 1n); return leaf(w, LEAF, 0x8000_0000); } },
  { rule: "S2-OA-SIZE", name: "block", at: "s2 l1", status: 0x01, says: /maps to memory at 0x8000000000/, remedy: /VTCR_EL2\.PS/,
    build: () => { const w = world({ stage2: true }); w.s2.map(0x8000_0000n, 2 ** 39, S2, 1); const r = leaf(w, LEAF, 0x8000_0000); w.rig.set({ VTCR_EL2: w.s2.tsz | (1n << 6n) | (1n << 16n) }); return r; } },
  { rule: "S2-AF", name: "AF 0", at: "s2 l3", status: 0x0b, says: /AF of the level 3 stage 2 descriptor/, remedy: /set AF/, build: () => { const w = world({ stage2: true }); w.s2.map(0x8000_0000n, RAM, S2 & ~AF); return leaf(w, LEAF, 0x8000_0000); } },
  { rule: "S2-PERMISSION", name: "write", at: "s2 l3", status: 0x0f, says: /S2AP\[1\] of the leaf is 0/, remedy: /S2AP\[1\]/, build: () => { const w = world({ stage2: true }); w.s2.map(0x8000_0000n, RAM, S2 & ~S2W); return { ...leaf(w, LEAF, 0x8000_0000), q: { access: "write" } }; } },
  { rule: "S2-PERMISSION", name: "execute", at: "s2 l3", status: 0x0f, says: /XN\[1:0\] of the leaf is 0b10/, remedy: /EL1/, build: () => { const w = world({ stage2: true }); w.s2.map(0x8000_0000n, RAM, S2 | UXN); return { ...leaf(w, LEAF, 0x8000_0000), q: { access: "fetch" } }; } },
  { rule: "S2-PERMISSION", name: "stage 1 descriptor not readable", at: "s2 l3", status: 0x0f, says: /stage 1 descriptor at IPA 0x80000/, remedy: /S2AP\[0\]/, build: () => { const w = world({ stage2: true }); w.s2.map(0x8000_0000n, RAM, S2 & ~bit(6)); w.rig.set({ TTBR0_EL1: 0x8000_0000n }); return { rig: w.rig, q: {} }; } },
  { rule: "S2-PERMISSION", name: "stage 1 descriptor not writable for its update", at: "s2 l2", status: 0x0e, says: /may not be updated: S2AP\[1\]/, remedy: /S2AP\[1\]/,
    build: () => { const w = world({ stage2: true, tcr: bit(39) }); const at = w.s1.map(VA, RAM, LEAF & ~AF); w.s2.map(BigInt(at), Math.floor(at / 0x20_0000) * 0x20_0000, S2 & ~S2W, 2); w.s2.put(w.s2.slot(BigInt(at), 2), (BigInt(Math.floor(at / 0x20_0000) * 0x20_0000) | S2 | 1n) & ~S2W); return { rig: w.rig, q: {} }; } },
  { rule: "S2-PERMISSION", name: "realm executes shared memory", at: "s2 l3", status: 0x0f, says: /a Realm executes from the Realm PA space only/, remedy: /protected IPAs/, build: () => { const w = world({ stage2: true, scr: REALM }); w.s2.map(0x8000_0000n, RAM, S2 | bit(55)); return { ...leaf(w, LEAF, 0x8000_0000), q: { access: "fetch" } }; } },
  { rule: "S2-WALK-SPACE", name: "realm's tables in shared memory", at: "s2 l3", status: 0x0f, says: /must lie in the Realm PA space/, remedy: /protected IPAs/, build: () => { const w = world({ stage2: true, scr: REALM }); w.s2.map(0x8000_0000n, RAM, S2 | bit(55)); w.rig.set({ TTBR0_EL1: 0x8000_0000n }); return { rig: w.rig, q: {} }; } },
  { rule: "S2-WALK-DEVICE", name: "PTW", at: "s2 l3", status: 0x0f, says: /HCR_EL2\.PTW is 1/, remedy: /Normal/, build: () => { const w = world({ stage2: true }); w.s2.map(0x8000_0000n, RAM, S2 & ~0x3cn); w.rig.set({ TTBR0_EL1: 0x8000_0000n, HCR_EL2: 5n }); return { rig: w.rig, q: {} }; } },
  { rule: "S2-EXTERNAL", name: "VTTBR outside RAM", at: "s2 l1", status: 0x15, says: /no RAM/, remedy: /VTTBR_EL2/, build: () => { const w = world({ stage2: true }); w.rig.set({ SCTLR_EL1: 0n, VTTBR_EL2: 0x1000_0000n }); return { rig: w.rig, q: { va: 0x4000_0000n } }; } },
];

describe("an explanation names the rule, the step, the cause and the remedy", () => {
  it.each(cases)("$rule: $name", ({ rule, at, status, says, remedy, build }) => {
    const { rig, q } = build();
    const e = ask(rig, { va: VA, ...q });
    expect(e.failure?.rule).toBe(rule);
    expect(failing(e)).toBe(at);
    expect(e.failure?.status?.code).toBe(status);
    expect(e.failure?.text).toMatch(says);
    expect(e.failure?.remedies.join("\n")).toMatch(remedy);
    expect(e.summary).toContain(`[${rule}]`);
    expect(explanationText(e)).toContain(rule);
    // The MMU itself answers the same.
    const access = { read: Access.Read, write: Access.Write, fetch: Access.Fetch, atomic: Access.ReadWrite, maintain: Access.Maintain }[
      q.access ?? "read"
    ];
    if (q.el !== undefined) rig.set({ EL: q.el });
    expect(rig.translate(q.va ?? VA, access, q.unprivileged ?? false)).toBe(false);
    expect(faultStatusCode(rig.mmu.fault as NonNullable<typeof rig.mmu.fault>)).toBe(status);
  });

  it.each([
    ["S1-UPDATE", 1, /another agent changed the descriptor/, /TCR\.HA, TCR\.HD/],
    ["S2-UPDATE", 2, /of stage 2: another agent/, /VTCR_EL2\.HA/],
  ] as const)("%s: somebody writes the descriptor between each read and its update", (id, stage, says, remedy) => {
    const w = world({ stage2: true, tcr: bit(39), vtcr: bit(21) });
    const s2 = w.s2.map(0x8000_0000n, RAM + 0x9000, stage === 2 ? S2 & ~AF : S2);
    const s1 = w.s1.map(VA, 0x8000_0000, stage === 1 ? LEAF & ~AF : LEAF);
    const contested = stage === 1 ? s1 : s2;
    const { mmu } = w.rig;
    mmu.walkObserver = {
      descriptor: (_stage, _level, pa) => {
        if (pa === contested) w.rig.write64(pa, w.rig.read64(pa) ^ bit(55)); // a bit for software
      },
    };
    expect(w.rig.translate(VA)).toBe(false);
    mmu.walkObserver = undefined;
    const e = explainFault({ st: w.rig.st, mmu }, mmu.fault as Fault);
    expect(e.failure).toMatchObject({ rule: id, text: expect.stringMatching(says), status: { code: 0x31 } });
    expect(e.failure?.remedies.join()).toMatch(remedy);
    expect(e.failure?.where).toMatch(new RegExp(`^stage ${stage}, level 3`));
  });

  it("has a case for every stage 1 and stage 2 rule", () => {
    const possible = [...rules.keys()].filter((r) => /^S[12]-/.test(r) && !/-UPDATE$/.test(r));
    expect(possible.filter((r) => !cases.some((c) => c.rule === r))).toEqual([]);
  });
});

describe("an explanation", () => {
  it("of an access that succeeds tells where it goes", () => {
    const w = world({ stage2: true });
    w.s2.map(0x8000_0000n, RAM + 0x5000, S2);
    w.s1.map(VA, 0x8000_0000, LEAF | attrIndex(3));
    const e = ask(w.rig, { va: VA + 0x123n });
    expect(e.outcome).toBe("translates");
    expect(e.ipa).toEqual({ address: "0x0000080000123", space: "Non-secure" });
    expect(e.output).toMatchObject({
      address: "0x0000040005123",
      space: "Non-secure",
      memory: "Normal Write-Through",
      permissions: "EL0 --x, EL1 rwx",
      block: 12,
    });
    expect(e.descriptors.map((d) => `${d.stage}.${d.level} ${d.kind}`)).toEqual([
      "1.0 table",
      "1.1 table",
      "1.2 table",
      "1.3 page",
      "2.1 table",
      "2.2 table",
      "2.3 page",
    ]);
    expect(e.descriptors[0]?.stage2?.map((d) => `${d.stage}.${d.level} ${d.kind}`)).toEqual(["2.1 table", "2.2 block"]);
  });

  it("changes nothing: no access flag, no dirty state, no TLB entry", () => {
    const w = world({ stage2: true, tcr: bit(39) | bit(40), vtcr: bit(21) | bit(22) });
    const at = w.s1.map(VA, RAM + 0x9000, (LEAF & ~AF) | RO | DBM);
    const before = w.s1.get(at);
    const e = ask(w.rig, { va: VA, access: "write" });
    expect(e.outcome).toBe("translates");
    expect(w.s1.get(at)).toBe(before);
    expect(w.rig.mmu.inspect(Number(VA & 0xffff_ffffn), Number(VA >> 32n))).toBeUndefined();
    expect(w.rig.mmu.walks).toBe(0);
  });

  it("says when the TLB holds something else than the tables", () => {
    const w = world();
    const at = w.s1.map(VA, RAM + 0x9000, LEAF);
    w.rig.pa(VA);
    expect(ask(w.rig, { va: VA }).tlb).toEqual({ address: "0x0000040009000", space: "Non-secure", block: 12, agrees: true });
    w.s1.put(at, 0n);
    const e = ask(w.rig, { va: VA });
    expect(e.tlb?.agrees).toBe(false);
    expect(e.notes.join()).toMatch(/TLB still holds a translation to 0x40009000/);
  });

  it("can be asked about another level and state", () => {
    const w = world();
    w.s1.map(VA, RAM, LEAF);
    expect(ask(w.rig, { va: VA, el: 2 }).regime).toMatchObject({ name: "Non-secure EL2", stage1: false });
    expect(ask(w.rig, { va: VA, el: 1, security: 3 }).output?.space).toBe("Realm");
    expect(ask(w.rig, { va: VA, el: 3 }).regime.name).toBe("Root EL3");
  });

  it("of a fault knows the instruction: LDTR has the permissions of EL0, AT those it names", () => {
    const w = world();
    w.s1.map(VA, RAM + 0x9000, LEAF);
    w.s1.map(VA + 0x1000n, RAM + 0x3000, LEAF);
    w.rig.st.set(Off.PC, VA + 0x1000n);
    const put = (insn: number): void => w.rig.phys.view.setUint32(w.rig.phys.host(RAM + 0x3000), insn, true);
    const of = (insn: number, more: Partial<Fault>): Explanation => {
      put(insn);
      const fault = { ...(w.rig.mmu.fault as Fault), ...more };
      return explainFault({ st: w.rig.st, mmu: w.rig.mmu }, fault);
    };
    expect(w.rig.translate(VA, Access.Read, true)).toBe(false);
    const ldtr = of(0xf840_0820, {});
    expect(ldtr).toMatchObject({
      requester: { privilege: "unprivileged", instruction: { text: "ldtr x0, [x1]" } },
      failure: { rule: "S1-PERMISSION" },
    });
    const at = of(0xd508_7840, { maintenance: true, write: true });
    expect(at).toMatchObject({
      requester: { access: "translate", privilege: "unprivileged", instruction: { text: "at s1e0r, x0" } },
      failure: { rule: "S1-PERMISSION" },
    });
    const misaligned = of(0xf940_0020, { type: FaultType.Alignment, va: VA + 1n });
    expect(misaligned).toMatchObject({ failure: { rule: "ACC-ALIGN", status: { code: 0x21 }, where: "the access, after translation" } });
  });

  it("of a fault that the tables no longer show says so", () => {
    const w = world();
    expect(w.rig.translate(VA)).toBe(false);
    const fault = w.rig.mmu.fault as NonNullable<typeof w.rig.mmu.fault>;
    w.s1.map(VA, RAM, LEAF);
    w.rig.st.set(slot.FAR_EL1, 0n);
    const e = explainFault({ st: w.rig.st, mmu: w.rig.mmu }, fault);
    expect(e.failure?.rule).toBe("ACC-CHANGED");
    expect(e.failure?.status?.code).toBe(0x04);
    expect(e.notes.join()).toMatch(/now give no fault/);
  });

  it("finds a cause for every permission fault (property)", () => {
    const perms = fc.record({
      attrs: fc.bigInt(0n, bit(7) - 1n),
      el: fc.constantFrom(0, 1),
      pan: fc.constantFrom(0, 1),
      wxn: fc.boolean(),
      epan: fc.boolean(),
      tables: fc.bigInt(0n, 15n),
      access: fc.constantFrom("read", "write", "fetch", "atomic"),
    });
    fc.assert(
      fc.property(perms, fc.bigInt(0n, 15n), ({ attrs, el, pan, wxn, epan, tables, access }, s2) => {
        const w = world({ stage2: true });
        w.s1.tableBits = tables << 59n;
        const a = LEAF | ((attrs & 3n) << 6n) | (((attrs >> 2n) & 3n) << 53n);
        w.s2.map(0x8000_0000n, RAM, (S2 & ~0xc0n) | ((s2 & 3n) << 6n) | ((s2 >> 2n) << 53n));
        w.s1.map(VA, 0x8000_0000, a);
        w.rig.set({ EL: el, PAN: pan, SCTLR_EL1: 5n | (wxn ? bit(19) : 0n) | (epan ? bit(57) : 0n) });
        const e = ask(w.rig, { va: VA, access: access as "read" });
        if (e.outcome === "translates") return;
        expect(e.failure?.rule).toMatch(/^S[12]-PERMISSION$/);
        expect(e.failure?.remedies.length).toBeGreaterThan(0);
      }),
      { numRuns: 150 },
    );
  });
});
