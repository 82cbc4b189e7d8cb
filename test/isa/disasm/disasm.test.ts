// The disassembler by itself: texts per instruction class, symbols, undefined words, completeness of the formats.

import { describe, expect, it } from "vitest";
import { disassemble } from "../../../src/isa/disasm/index.ts";
import { rows } from "../../../src/isa/table.ts";
import { Random, randomWord } from "../oracle/random.ts";

const text = (word: number): string => disassemble(word, 0x1000n);

describe("texts", () => {
  it.each([
    [0xd503201f, "nop"],
    [0x910003fd, "mov x29, sp"],
    [0xaa0103e0, "mov x0, x1"],
    [0xd2800540, "mov x0, #0x2a"],
    [0x92800000, "mov x0, #0xffffffffffffffff"],
    [0xb200f3e0, "mov x0, #0x5555555555555555"],
    [0xf2a00020, "movk x0, #0x1, lsl #16"],
    [0xeb01001f, "cmp x0, x1"],
    [0xf100041f, "cmp x0, #0x1"],
    [0x2b0103ff, "cmn wzr, w1"],
    [0xf240001f, "tst x0, #0x1"],
    [0x2a2103e0, "mvn w0, w1"],
    [0xcb0103e0, "neg x0, x1"],
    [0xda0103e0, "ngc x0, x1"],
    [0xd37ff820, "lsl x0, x1, #1"],
    [0x53017c20, "lsr w0, w1, #1"],
    [0x9ac12000, "lsl x0, x0, x1"],
    [0x13017c20, "asr w0, w1, #1"],
    [0x93c10420, "ror x0, x1, #1"],
    [0xd3441c20, "ubfx x0, x1, #4, #4"],
    [0xd37c0c20, "ubfiz x0, x1, #4, #4"],
    [0xb37c0c20, "bfi x0, x1, #4, #4"],
    [0xb3441c20, "bfxil x0, x1, #4, #4"],
    [0xb37c0fe0, "bfc x0, #4, #4"],
    [0x93407c20, "sxtw x0, w1"],
    [0x53001c20, "uxtb w0, w1"],
    [0x9b027c20, "mul x0, x1, x2"],
    [0x9b22fc20, "smnegl x0, w1, w2"],
    [0x9a9f17e0, "cset x0, eq"],
    [0xda9f03e0, "csetm x0, ne"],
    [0x9a811420, "cinc x0, x1, eq"],
    [0xda811420, "cneg x0, x1, eq"],
    [0xf8408c20, "ldr x0, [x1, #8]!"],
    [0xa8c17bfd, "ldp x29, x30, [sp], #16"],
    [0xb8a26820, "ldrsw x0, [x1, x2]"],
    [0x3862d820, "ldrb w0, [x1, w2, sxtw #0]"],
    [0xb821003f, "stadd w1, [x1]"],
    [0xb861003f, "staddl w1, [x1]"],
    [0xb8e10020, "ldaddal w1, w0, [x1]"],
    [0x48227c82, "casp x2, x3, x2, x3, [x4]"],
    [0xd65f03c0, "ret"],
    [0xd65f0bff, "retaa"],
    [0x71000421, "subs w1, w1, #0x1"],
    [0x54000060, "b.eq 0x100c"],
    [0x97ffffff, "bl 0xffc"],
    [0xb6180060, "tbz x0, #35, 0x100c"],
    [0xd5033bbf, "dmb ish"],
    [0xd5033fdf, "isb"],
    [0xd50342df, "msr daifset, #0x2"],
    [0xd5384240, "mrs x0, currentel"],
    [0xd5181000, "msr sctlr_el1, x0"],
    [0xd50b7421, "dc zva, x1"],
    [0xd508751f, "ic iallu"],
    [0xd5087800, "at s1e1r, x0"],
    [0xd5088320, "tlbi vae1is, x0"],
    [0xd4000001, "svc #0x0"],
    [0x4ea11c20, "mov v0.16b, v1.16b"],
    [0x2e205820, "mvn v0.8b, v1.8b"],
    [0x0f08a420, "sxtl v0.8h, v1.8b"],
    [0x4e083c20, "mov x0, v1.d[0]"],
    [0x6f00e400, "movi v0.2d, #0x0"],
    [0x4f03f600, "fmov v0.4s, #1.000000000000000000e+00"],
    [0x1e602018, "fcmpe d0, #0.0"],
    [0x4c402820, "ld1 {v0.4s-v3.4s}, [x1]"],
    [0x0d40c820, "ld1r {v0.2s}, [x1]"],
  ])("%i: %s", (word, expected) => {
    expect(text(word)).toBe(expected);
  });
  it("undefined words keep their value", () => {
    expect(text(0xffffffff)).toBe(".inst 0xffffffff // undefined");
    expect(text(0x04000000)).toBe(".inst 0x04000000 // undefined");
    expect(text(0x0000002a)).toBe("udf #42");
  });
});

describe("symbols", () => {
  const symbol = (a: bigint) => (a === 0xffff800080010008n ? "start" : undefined);
  it("follow the addresses they name", () => {
    expect(disassemble(0x14000002, 0xffff800080010000n, symbol)).toBe("b 0xffff800080010008 <start>");
    expect(disassemble(0x14000001, 0xffff800080010000n, symbol)).toBe("b 0xffff800080010004");
    expect(disassemble(0x10000040, 0xffff800080010000n, symbol)).toBe("adr x0, 0xffff800080010008 <start>");
    expect(disassemble(0x90000000, 0xffff800080010ff0n, symbol)).toBe("adrp x0, 0xffff800080010000");
  });
  it("wrap at the end of the address space", () => {
    expect(disassemble(0x17ffffff, 0n)).toBe("b 0xfffffffffffffffc");
  });
});

describe("formats", () => {
  it("print every row, with every field in the text or in a name", () => {
    const rng = new Random(5);
    for (const row of rows) {
      if (row.name === "UDF_PERM_UNDEF") continue;
      for (let i = 0; i < 20; i++) {
        const t = text(randomWord(row, rng));
        expect(t, row.name).toMatch(/^[a-z][a-z0-9.]*( [^{]| \{v\d+\.|$)/);
        expect(t, row.name).not.toMatch(/undefined|NaN|-0\b|,\s*,|,\s*$/);
        // Rows with operands print some; hints have theirs in the mnemonic.
        if (row.fields.size > 0 && !/_HINT|^(ERETA|RETA|BTI|RET|DSB|DCPS\d|ISB|CLREX)$/.test(row.name))
          expect(t.includes(" ") || /^sm(start|stop)$/.test(t), `${row.name} ${t}`).toBe(true);
      }
    }
  });
  it("answer something for any word", () => {
    const rng = new Random(6);
    for (let i = 0; i < 20_000; i++) expect(text(rng.u32())).not.toMatch(/NaN|\[object|undefined(?<!\/\/ undefined)/);
  });
});
