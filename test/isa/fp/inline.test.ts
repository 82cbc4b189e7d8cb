// Ordinary arithmetic in translations needs no helper: with results that round to nearest, and FPSR.IXC set, as it is in programs that
// compute, the host does it all. Otherwise the comparisons with qemu-aarch64 could pass without ever looking at what is in line.

import { expect, it } from "vitest";
import { Off } from "../../../src/arch/layout.ts";
import { fpHelpers } from "../../../src/isa/fp/index.ts";
import { fieldValue, type Row, rowByName } from "../../../src/isa/table.ts";
import { bare } from "../bare-interpreter.ts";
import { Random, randomWord } from "../oracle/random.ts";

/** Rows that are the helper's whatever their operands are, and half precision. */
const helpersOwn = /^(BF|FJCVTZS|FRINT(32|64)|FRECPX|FCMLA|FCADD|FML[AS]L|URECPE|URSQRTE|FCVTXN)|_h$/;

const WORDS = 12;
/** Between 1 and 2, with all bits of the fraction used. */
function operands(rng: Random, isDouble: boolean, signed: boolean): Uint32Array {
  return Uint32Array.from({ length: 4 }, (_, i) => {
    const sign = signed && rng.below(2) ? 1 << 31 : 0;
    if (!isDouble) return (sign | 0x3f80_0000 | (rng.u32() >>> 9)) >>> 0;
    return i & 1 ? (sign | 0x3ff0_0000 | (rng.u32() >>> 12)) >>> 0 : rng.u32();
  });
}

/** Single (0), double (1), or another format or a reserved word (undefined). */
function precision(row: Row, insn: number): 0 | 1 | undefined {
  const field = (name: string) => {
    const f = row.fields.get(name);
    return f && fieldValue(f, insn);
  };
  const [sz, ftype, Q, L, immh] = [field("sz"), field("ftype"), field("Q"), field("L"), field("immh")];
  if (row.name === "FMOVV") return 0;
  if (/^FCVT[LN]V/.test(row.name)) return sz === 1 ? (row.name.startsWith("FCVTL") ? 0 : 1) : undefined;
  if (row.name === "FCVT_FLOAT" && (field("opc") as number) > 1) return undefined;
  if (immh !== undefined) return immh >= 8 ? (Q === 0 ? undefined : 1) : immh >= 4 ? 0 : undefined;
  if (ftype !== undefined) return ftype > 1 ? undefined : (ftype as 0 | 1);
  if (sz === 1 && (Q === 0 || L === 1)) return undefined;
  return sz as 0 | 1 | undefined;
}

/** Of a conversion from fixed point. */
function fractionBits(row: Row, insn: number): number {
  if (!/^FCVTZ.*_FIX/.test(row.name)) return 0;
  const scale = row.fields.get("scale");
  return scale ? 64 - fieldValue(scale, insn) : ((insn >>> 22) & 1 ? 128 : 64) - ((insn >>> 16) & 127);
}

it("ordinary operands go to no helper", () => {
  const machine = bare("wasm");
  const { st } = machine;
  const used = new Map<string, string>();
  let done = 0;
  for (const name of Object.keys(fpHelpers).filter((n) => !helpersOwn.test(n))) {
    const row = rowByName.get(name) as Row;
    const rng = new Random(row.index * 3 + 1);
    const signed = !/SQRT|^FCVT.U/.test(name);
    for (let i = 0, tries = 0; i < WORDS && tries < 400; tries++) {
      const insn = randomWord(row, rng);
      const p = precision(row, insn);
      // Estimates of doubles are the helper's; so is fixed point with so many bits of fraction that the integer does not fit.
      if (p === undefined || (p === 1 && /^F(RECP|RSQRT)E/.test(name)) || fractionBits(row, insn) > 28) continue;
      i++;
      for (let r = 0; r < 32; r++) st.u8.set(new Uint8Array(operands(rng, p === 1, signed).buffer), st.base + Off.V + 16 * r);
      for (let r = 0; r < 31; r++) st.setX(r, BigInt(rng.u32()));
      st.setLo(Off.FPCR, 0);
      st.setLo(Off.FPSR, 0x10);
      machine.helped = 0;
      machine.execute(insn);
      done++;
      if (machine.helped > 0) used.set(name, (insn >>> 0).toString(16));
    }
  }
  expect([...used].map(([name, word]) => `${name} ${word}`)).toEqual([]);
  expect(done).toBeGreaterThan(1500);
});
