// Granule protection faults of translations with two stages: which stage they belong to, who takes them, what is reported.

import { beforeEach, describe, expect, it } from "vitest";
import { slot } from "../../src/arch/state.ts";
import { Gpi } from "../../src/gpt/index.ts";
import { Access } from "../../src/mmu/access.ts";
import { NONSECURE, OWN, PeRig, REALM, TABLES, TARGET } from "./pe-rig.ts";

const LEAF = 0x700n;
const S2_LEAF = 0x7fcn;
const GPF_TO_EL3 = 1n << 48n;
const S2 = OWN + 0x12_0000;
/** Two spare pages in the protected region: a level 3 stage 2 table, and a level 3 stage 1 table. */
const S2_TABLE = TARGET + 0x1_0000;
const S1_TABLE = TARGET + 0x2_0000;

type Place = "stage 2 table" | "stage 1 table" | "output";

describe.each([NONSECURE, REALM])("EL1 in state %s with stage 2", (state) => {
  let rig: PeRig;
  beforeEach(() => {
    rig = new PeRig();
  });

  /** IPA = PA for the first two GiB by a level 1 table; 2 GiB upward by pages. The place that is protected is in the target region. */
  function setup(place: Place, more: { scr?: bigint; hcr?: bigint } = {}): void {
    rig.enter(state, more.scr ?? 0n, 1);
    const { st, pe } = rig.b;
    const s2Table = place === "stage 2 table" ? S2_TABLE : OWN + 0x12_3000;
    rig.write(S2 + 8, BigInt(OWN) | S2_LEAF | 1n);
    rig.write(S2 + 16, BigInt(S2 + 0x1000) | 3n);
    rig.write(S2 + 0x1000 + 8, BigInt(s2Table) | 3n);
    for (const page of [TARGET, S1_TABLE]) rig.write(s2Table + ((page >>> 12) & 511) * 8, BigInt(page) | S2_LEAF | 3n);
    st.set(slot.VTCR_EL2, 25n | (1n << 6n) | (1n << 16n));
    st.set(slot.VTTBR_EL2, BigInt(S2));
    st.set(slot.HCR_EL2, 1n | (more.hcr ?? 0n));
    rig.map(TARGET, LEAF, place === "stage 1 table" ? S1_TABLE : TABLES + 0x2000);
    const base = { output: TARGET, "stage 1 table": S1_TABLE, "stage 2 table": S2_TABLE }[place];
    rig.protect({ contiguous: false, ranges: [{ base, size: 0x1000, gpi: Gpi.Root }] });
    st.set(slot.HPFAR_EL2, 0n);
    pe.mmu.flushAll();
  }
  const hpfar = (): number => Number(rig.b.st.get(slot.HPFAR_EL2) >> 4n) * 4096;
  const space = (BigInt(state & 1) << 63n) | (BigInt(state >> 1) << 62n);
  const mfar = (pa: number): string => (BigInt(pa) | space).toString(16);

  it("output: stage 1's, for EL1", () => {
    setup("output");
    expect(rig.access(Access.Write)).toBe("EL1 96000068");
    expect(hpfar()).toBe(0);
    setup("output", { hcr: 1n << 48n });
    expect(rig.access(Access.Write)).toBe("EL2 92000068");
    setup("output", { scr: GPF_TO_EL3 });
    expect(rig.access(Access.Write)).toBe(`EL3 7a034068 mfar=${mfar(TARGET)}`);
    expect(rig.access(Access.Fetch)).toBe(`EL3 7a134028 mfar=${mfar(TARGET)}`);
  });
  it("stage 1 descriptor: stage 1's, at its level", () => {
    setup("stage 1 table");
    expect(rig.access(Access.Read)).toBe("EL1 96000027");
    setup("stage 1 table", { hcr: 1n << 48n });
    expect(rig.access(Access.Read)).toBe("EL2 92000027");
    setup("stage 1 table", { scr: GPF_TO_EL3 });
    expect(rig.access(Access.Read)).toBe(`EL3 7a034027 mfar=${mfar(S1_TABLE)}`);
    expect(hpfar()).toBe(0);
  });
  it("stage 2 descriptor of the output: stage 2's, for EL2, with the IPA", () => {
    setup("stage 2 table");
    expect(rig.access(Access.Read)).toBe("EL2 92000027");
    expect(hpfar()).toBe(TARGET);
    setup("stage 2 table", { scr: GPF_TO_EL3 });
    expect(rig.access(Access.Read)).toBe(`EL3 7a234027 mfar=${mfar(S2_TABLE)}`);
    expect(hpfar()).toBe(TARGET);
  });
  it("stage 2 descriptor under a stage 1 descriptor: S1PTW, and the IPA of that descriptor", () => {
    setup("stage 2 table");
    rig.write(TABLES + 0x1000, BigInt(S1_TABLE) | 3n);
    rig.b.pe.mmu.flushAll();
    expect(rig.access(Access.Read)).toBe("EL2 920000a7");
    expect(hpfar()).toBe(S1_TABLE);
    setup("stage 2 table", { scr: GPF_TO_EL3 });
    rig.write(TABLES + 0x1000, BigInt(S1_TABLE) | 3n);
    rig.b.pe.mmu.flushAll();
    expect(rig.access(Access.Read)).toBe(`EL3 7a2340a7 mfar=${mfar(S2_TABLE)}`);
    expect(hpfar()).toBe(S1_TABLE);
  });
});
