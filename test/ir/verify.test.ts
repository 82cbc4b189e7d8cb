// The verifier accepts the effects of every row, in the interpreter's form and in a translation's, and of the instructions of Debian's kernels,
// and finds each kind of mistake. (What the tests of single instructions and random blocks translate is verified in bare-interpreter.ts.)

import { describe, expect, it } from "vitest";
import { build, variants } from "../../src/cpu/interp/handlers.ts";
import { instructionAt } from "../../src/cpu/jit/instruction.ts";
import { constantFields } from "../../src/cpu/jit/shape.ts";
import { fastIndex } from "../../src/cpu/sysreg-map.ts";
import { Builder } from "../../src/ir/builder.ts";
import { add, c32, c64, F64, I32, I64, Op, shuffle, V128, Value, wasm } from "../../src/ir/value.ts";
import { verify } from "../../src/ir/verify.ts";
import { semantics, variantOf, variantsFrom } from "../../src/isa/semantics/index.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import { Random, randomWord } from "../isa/oracle/random.ts";
import { ORIGIN } from "../support/a64.ts";
import { TEST_KERNELS } from "../support/debian.ts";
import { linuxMachine } from "../support/linux.ts";

describe("the instruction table", () => {
  it("every variant of every row, with fields as values", () => {
    const wrong = variants.flatMap(({ semantics: s, variant }) => {
      const b = new Builder();
      build(b, s, variant);
      return verify(b.effects, "interpreter").map((w) => `${s.row.name}/${variant}: ${w}`);
    });
    expect(wrong).toEqual([]);
    expect(variants.length).toBeGreaterThan(3000);
  });

  it("random words of every row, with fields as numbers", () => {
    const wrong: string[] = [];
    for (const s of semantics.values()) {
      if (s.row.name === "UDF_PERM_UNDEF") continue; // no word decodes to it
      const rng = new Random(s.row.index * 31 + 7);
      for (let i = 0; i < 40; i++) {
        const insn = randomWord(s.row, rng);
        const v = variantsFrom(s, variantOf(s, insn));
        if (!s.valid(v)) continue;
        for (const fused of [false, true]) {
          const b = new Builder(fused);
          s.fn(b, constantFields(s.row, insn), v, s.row);
          wrong.push(...verify(b.effects, "translation").map((w) => `${s.row.name} ${insn.toString(16)}: ${w}`));
        }
      }
    }
    expect([...new Set(wrong)].slice(0, 20)).toEqual([]);
  });
});

describe("real code", () => {
  // RME_VERIFY_ALL: every word. 50 s then, instead of 3.
  const share = process.env.RME_VERIFY_ALL === undefined ? 16 : 1;
  it.each(TEST_KERNELS)("the instructions of Debian's kernel %s", { timeout: 300_000 }, async (version) => {
    const machine = await linuxMachine(version);
    const text = machine.readMemory(ORIGIN, 32 * 2 ** 20);
    const words = [...new Set(new Int32Array(text.slice().buffer))].filter((_, n) => n % share === 0);
    const wrong: string[] = [];
    let translated = 0;
    for (const word of words) {
      const i = instructionAt(0, word, { available: () => true, fastIndex });
      if (i.end === "stop") continue;
      translated++;
      wrong.push(...verify(i.effects, "translation").map((w) => `${i.row?.name} ${(word >>> 0).toString(16)}: ${w}`));
    }
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(translated).toBeGreaterThan(words.length / 4);
  });
});

describe("mistakes", () => {
  const value = (op: number, type: Value["type"], a?: Value, b?: Value, c?: Value, imm = 0, high = 0) =>
    new Value(op, type, a, b, c, imm, high);
  const mistakes: Record<string, [(b: Builder) => void, RegExp]> = {
    "an operand of the wrong type": [(b) => b.setX(c32(1), value(0x7c, I64, c64(1), c32(1))), /op 0x7c\(i64, i32\)/],
    "a result of the wrong type": [(b) => b.branch(c32(4), value(0x7c, I32, c64(1), b.x(c32(2)))), /of type i32/],
    "an unknown operation": [(b) => b.setX(c32(1), value(0x0b, I64)), /not an operation/],
    "a register that does not exist": [(b) => b.setX(c32(33), c64(0)), /register 33/],
    "reading XZR as a register": [(b) => b.setX(c32(1), value(Op.X, I64, undefined, undefined, undefined, 31)), /X31/],
    "a lane that does not exist": [(b) => b.setLane(c32(1), c32(2), 3, c64(0)), /element 2/],
    "a lane immediate too large": [(b) => b.setX(c32(1), wasm(0xfd1d, I64, b.v(c32(1)), undefined, undefined, 2)), /lane 2/],
    "shuffle bytes out of range": [(b) => b.setV(c32(1), shuffle(b.v(c32(1)), b.v(c32(2)), Array(16).fill(32))), /shuffle bytes/],
    "too wide an element": [(b) => b.setX(c32(1), b.load(c64(0), 4)), /2\^4 bytes/],
    "a double in a single's place": [(b) => b.setV(c32(1), wasm(0xb7, F64, c32(1)), 2), /2\^2 bytes of a f64/],
    "an address of 32 bits": [(b) => b.zeroBlock(c32(64)), /zva address is i32/],
    "a branch to the middle of an instruction": [(b) => b.branch(c32(6)), /multiple of 4/],
    "a result that no effect gives": [(b) => b.setX(c32(1), value(Op.Result, I64)), /before its effect/],
    "a result used before its effect": [
      (b) => {
        const r = b.load(c64(0), 3);
        b.setX(c32(1), r);
        b.effects.reverse();
      },
      /before its effect/,
    ],
    "a fault after a state change": [
      (b) => {
        b.setState(0x1a8, c32(1));
        b.load(c64(0), 3);
      },
      /load can fault after setState/,
    ],
    "a trap after a helper": [
      (b) => {
        b.helper(1);
        b.requireFp(SysOp.FPTRAP);
      },
      /system can fault after helper/,
    ],
    "an effect after a branch": [
      (b) => {
        b.branch(c32(4));
        b.store(c64(0), 3, [c64(1)]);
      },
      /store after branch/,
    ],
    "two writes of the flags": [
      (b) => {
        b.setFlags({ kind: "logic", values: [c32(0)] });
        b.setFlags({ kind: "logic", values: [c32(1)] });
      },
      /flags are written twice/,
    ],
    "flags of mixed types": [(b) => b.setFlags({ kind: "sub", values: [c32(1), c64(1), c64(0)] }), /differ in type/],
    "canonical flags in another order": [
      (b) => b.setFlags({ kind: "canonical", values: [c64(0), c32(0), c64(0), c64(0)] }),
      /canonical flags/,
    ],
    "state inside the registers": [(b) => b.setState(0x10, c64(0)), /offset 0x10/],
    "state off its alignment": [(b) => b.setX(c32(1), b.state(0x1a9 + 3, I64)), /offset 0x1ac/],
    "a field in a translation": [
      (b) => b.setX(c32(1), value(0xad, I64, value(Op.Field, I32, undefined, undefined, undefined, 0, 5))),
      /a field/,
    ],
    "a call with too few operands": [(b) => b.setX(c32(1), value(Op.Call, I64, c64(0))), /Call\(i64\)/],
    "a vector where a number belongs": [(b) => b.setX(c32(1), add(c64(1), value(0xa7, I64, value(Op.VZero, V128)))), /op 0xa7/],
  };
  it.each(Object.entries(mistakes))("%s", (_name, [make, message]) => {
    const b = new Builder();
    make(b);
    const wrong = verify(b.effects, "translation");
    expect(wrong.join("\n")).toMatch(message);
  });
});
