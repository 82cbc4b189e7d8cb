// Branch hints stand at branches: in each function of the interpreter, and in translations.

import { describe, expect, it } from "vitest";
import { PREDECODE_BASE } from "../../src/arch/layout.ts";
import { interpreterBytes } from "../../src/cpu/interp/prebuilt.ts";
import { discover } from "../../src/cpu/jit/blocks.ts";
import { compileRegion } from "../../src/cpu/jit/compile.ts";
import { instructionAt } from "../../src/cpu/jit/instruction.ts";
import { regionModule } from "../../src/cpu/jit/region-module.ts";
import { bareContext } from "../isa/bare-interpreter.ts";
import * as a64 from "../support/a64.ts";

const [IF, BR_IF] = [0x04, 0x0d];

/** Reads a module from its start. */
class Reader {
  at = 8;
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  u8(): number {
    return this.bytes[this.at++] as number;
  }
  uleb(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.u8();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  }
  name(): string {
    const end = this.uleb() + this.at;
    const text = Buffer.from(this.bytes.subarray(this.at, end)).toString();
    this.at = end;
    return text;
  }
}

/** The opcodes at the places that the hints of a module name; do the places of each function ascend? */
function hinted(bytes: Uint8Array, imports: number): { opcodes: number[]; ascending: boolean } {
  const r = new Reader(bytes);
  const hints: { index: number; offsets: number[] }[] = [];
  const opcodes: number[] = [];
  while (r.at < bytes.length) {
    const id = r.u8();
    const end = r.uleb() + r.at;
    if (id === 0 && r.name() === "metadata.code.branch_hint") {
      for (let n = r.uleb(); n > 0; n--) {
        const index = r.uleb();
        const offsets: number[] = [];
        for (let k = r.uleb(); k > 0; k--) {
          offsets.push(r.uleb());
          expect(r.uleb()).toBe(1);
          expect(r.u8()).toBeLessThan(2);
        }
        hints.push({ index, offsets });
      }
      expect(r.at).toBe(end);
    }
    if (id === 10) {
      const count = r.uleb();
      for (let f = 0; f < count; f++) {
        const size = r.uleb();
        const body = r.at;
        for (const { index, offsets } of hints) if (index === imports + f) for (const o of offsets) opcodes.push(bytes[body + o] as number);
        r.at = body + size;
      }
    }
    r.at = end;
  }
  const ascending = hints.every(({ offsets }) => offsets.every((o, i) => i === 0 || o > (offsets[i - 1] as number)));
  return { opcodes, ascending };
}
const importsOf = (bytes: Uint8Array) =>
  WebAssembly.Module.imports(new WebAssembly.Module(bytes as BufferSource)).filter((i) => i.kind === "function").length;

describe("branch hints", () => {
  it("of the interpreter stand at branches", () => {
    const bytes = interpreterBytes();
    const { opcodes, ascending } = hinted(bytes, importsOf(bytes));
    expect(opcodes.length).toBeGreaterThan(500);
    expect(new Set(opcodes)).toEqual(new Set([IF, BR_IF]));
    expect(ascending).toBe(true);
  });
  it("of a translation: one for each way that is rare", () => {
    const words = [a64.ldr64(1, 0, 0), a64.ldr64(2, 0, 8), a64.subImm(3, 3, 1), a64.cbnz(3, -3)].map((w) => w | 0);
    const at = (index: number) => instructionAt(index, words[index] ?? 0, bareContext);
    const region = discover(
      0,
      { at, word: (i) => words[i] ?? 0, page: (i) => (i >> 10 === 0 ? PREDECODE_BASE : undefined), warm: () => true },
      false,
    );
    if (!region) throw new Error("no region");
    const bytes = regionModule([compileRegion(region, false, true)], { min: 1, max: 65536, shared: false });
    const { opcodes, ascending } = hinted(bytes, importsOf(bytes));
    // Alignment checking, the first load's TLB look and bail, the second's and its bail, the loop's budget.
    expect(opcodes).toEqual([IF, IF, IF, IF, IF, IF]);
    expect(ascending).toBe(true);
  });
});
