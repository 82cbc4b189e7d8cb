// Explanations with nearly everything in them.

import { buildGpt } from "../../src/gpt/build.ts";
import { Gpi, GranuleProtection } from "../../src/gpt/index.ts";
import { explainAccess } from "../../src/teach/explain.ts";
import { memoryRanges } from "../../src/teach/gpt-map.ts";
import type { Explanation, WriterInfo } from "../../src/teach/model.ts";
import { LEAF, RAM, RAM_SIZE, Rig, Tree, tcr } from "../mmu/rig.ts";

const VA = 0x12_3456_7000n;
const features = { paBits: 52, gpc2: true, gpc3: true, secure: true, granule16: true, granule64: true };
const writer: WriterInfo = {
  by: "PE 1",
  el: 3,
  security: "Root",
  pc: "0x0000000000001000",
  symbol: 'a<b>&"c"_with_a_name_that_is_longer_than_any_box_of_the_picture_can_hold',
  call: "RMI_GRANULE_DELEGATE",
  at: 7,
  before: "0x0000000000000000",
};

/** Two stages, granule protection, writers with names that want to be markup, memory. */
export function richExplanation(): Explanation {
  const rig = new Rig();
  rig.mmu.granuleCheck = new GranuleProtection(rig.st, rig.phys, features);
  const ranges = [
    { base: RAM, size: RAM_SIZE, gpi: Gpi.NonSecure },
    { base: RAM + 0x8000, size: 0x1000, gpi: Gpi.Realm },
    { base: RAM + 0x200_0000, size: 0x100_0000, gpi: Gpi.Root },
  ];
  const built = buildGpt({ pps: 36, l0: 30, granule: 12, table: RAM + 0x200_0000, otherwise: Gpi.Any, ranges });
  for (const p of built.pieces) rig.phys.writeBytes(p.address, p.data);
  const s1 = new Tree(rig);
  const s2 = new Tree(rig, { ia: 40, start: 1 });
  for (let off = 0; off < RAM_SIZE; off += 0x20_0000) s2.map(BigInt(RAM + off), RAM + off, 0x7fcn, 2);
  s1.map(VA, RAM + 0x8000, LEAF);
  rig.set({ GPCCR_EL3: built.gpccr, GPTBR_EL3: built.gptbr, SCTLR_EL1: 5n, TCR_EL1: tcr(s1), TTBR0_EL1: s1.ttbr() });
  rig.set({ HCR_EL2: 1n, VTCR_EL2: s2.tsz | (1n << 6n) | (5n << 16n), VTTBR_EL2: s2.ttbr() });
  return explainAccess(
    { st: rig.st, mmu: rig.mmu },
    { va: VA },
    { instructions: 5, writer: () => writer, memory: () => memoryRanges(rig.mmu) },
  );
}
