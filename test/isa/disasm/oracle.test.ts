// The disassembler against GNU objdump: random and extreme words of every row, all system register and SYS names.
// RME_ORACLE_STATES sets the words per row, RME_ORACLE_ROWS a pattern of row names.

import { describe, expect, it } from "vitest";
import { encodings } from "../../../src/arch/registers/encodings.ts";
import { disassemble } from "../../../src/isa/disasm/index.ts";
import { decode, type Row, rows } from "../../../src/isa/table.ts";
import { Random, randomWord } from "../oracle/random.ts";
import { chosen, states } from "../oracle/suite.ts";
import { normalize, objdump, objdumpText } from "./objdump.ts";

if (objdump === undefined) process.stderr.write("skipped: no AArch64 objdump to compare the disassembler with\n");
const BASE = 0x1000_0000;

/** Differences that stay, and why: rows, what objdump prints, optionally what we print. */
const accepted: readonly (readonly [reason: string, rows: RegExp, theirs: RegExp, ours?: RegExp])[] = [
  [
    "extension newer than some objdump versions",
    /^(MSRR|MRRS|SYSP|LDCLRP|LDSETP|SWPP|RCW\w+|GCSS\w+|STILP|LDIAPP|LDAPR_WB|STLR_WB|STLUR_FPSIMD|LDAPUR_FPSIMD|STL1V_SNGL|LDAP1V_SNGL)$/,
    /^\.inst /,
  ],
  ["CSSC is newer than some objdump versions", /^([SU](MAX|MIN)_(IMM|REG)|CTZ|CNT|ABS|BC_COND)$/, /^\.inst /],
  ["hint newer than some objdump versions", /^(DGH|GCSB|CHKFEAT|CLRBHB|HINT)$/, /^(hint #|clearbhb$|\w+$|stshh )/],
  ["system level cache prefetch is newer than some objdump versions", /^PRF(M|UM)/, /^prfu?m #/, /^prfu?m \w+slc/],
  ["RPRFM is newer than some objdump versions", /^RPRFM_REG$/, /^prfm #/],
  ["register overlap, CONSTRAINED UNPREDICTABLE: objdump prints no instruction", /^(CPY|SET)/, /^\.inst /],
  ["register overlap, CONSTRAINED UNPREDICTABLE: objdump prints no instruction", /^LDPSW_/, /^\.inst /],
  ["odd or high register, XZR in a 128-bit atomic", /^(LD64B|ST64B\w*|RCW\w+|LDCLRP|LDSETP|SWPP)$/, /^\.inst /],
  ["PSTATE field with a value above 1: objdump prints the raw encoding", /^MSR_IMM$/, /^msr s0_/],
  ["register known on one side only", /^(MSR_REG|MRS|MSRR|MRRS)$/, /s\d_\d_c\d+_c\d+_\d/],
  ["register known on one side only", /^(MSR_REG|MRS|MSRR|MRRS)$/, /./, /s\d_\d_c\d+_c\d+_\d/],
  ["SYS alias known on one side only", /^SYSP?$/, /^sysp? /],
  ["SYS alias known on one side only", /^SYSP?$/, /./, /^sysp? /],
];

/** Mnemonics that objdump prints for words the table leaves UNDEFINED, and why. */
const printedOnly: readonly (readonly [reason: string, mnemonics: RegExp])[] = [
  [
    "should-be-one fields (Rs, Rt2, Ra), CONSTRAINED UNPREDICTABLE: UNDEFINED here",
    /^(ldl?a?x?p?r[bh]?|stl?l?x?r[bh]?|lda?xp|stl?xp|[su]mulh)$/,
  ],
  ["MRS, MSR with op0 = 0", /^(mrs|msr)$/],
  ["FMLAL, FMLSL with bit 22 set", /^fml[as]l2?$/],
  [
    "LD64B, ST64B* with odd or high Rt; 128-bit atomics with XZR; LDIAPP, STILP with reserved opc2",
    /^(ld64b|st64bv?0?|swpp?|ldclrp|ldsetp|rcw\w+|ldiapp|stilp)/,
  ],
  [
    "CPA, FP8, LUT, FAMINMAX, LSUI, CMPBR: newer than the table",
    /^(m?(add|sub)pt|luti[24]|fam(ax|in)|fscale|b?f[12]cvtl2?|fcvtn2?|fdot|fmlal(b|t|l[bt][bt])|(ld|st)tn?p|(ld|st)l?a?tx?r|cas\w*t|swpt\w*|(ld|st)t(add|clr|set)\w*|cb[bh]?(gt|ge|hi|hs|eq|ne|lt|lo))$/,
  ],
];

/** Words whose fields are often zero or all ones, where aliases begin and end. */
function extremeWord(row: Row, rng: Random): number {
  for (let tries = 0; tries < 100; tries++) {
    let word = randomWord(row, rng);
    for (const f of row.fields.values()) {
      const bits = (2 ** f.width - 1) * 2 ** f.low;
      const kind = rng.below(4);
      if (kind === 0) word &= ~bits;
      else if (kind === 1) word |= bits;
    }
    word = (word & ~row.mask) | row.value;
    if (decode(word) === row) return word >>> 0;
  }
  return randomWord(row, rng);
}

function compare(words: readonly (readonly [name: string, word: number])[]): string[] {
  const theirs = objdumpText(
    words.map(([, w]) => w),
    BASE,
  );
  expect(theirs.length).toBe(words.length);
  return words.flatMap(([name, word], i) => {
    const a = normalize(disassemble(word, BigInt(BASE + 4 * i)));
    const b = normalize(theirs[i] as string);
    if (a === b || accepted.some(([, r, t, o]) => r.test(name) && t.test(b) && (!o || o.test(a)))) return [];
    return [`${name} ${word.toString(16).padStart(8, "0")}: ${a} | objdump: ${b}`];
  });
}
const check = (wrong: readonly string[]): void => expect(wrong.slice(0, 20), `${wrong.length} differences`).toEqual([]);

describe.skipIf(objdump === undefined)("disassembler against objdump", () => {
  it("prints every row", () => {
    const rng = new Random(11);
    const some = rows.filter((r) => r.name !== "UDF_PERM_UNDEF" && chosen(r.name));
    const words = some.flatMap((row) =>
      Array.from({ length: states }, (_, i) => [row.name, (i & 1 ? extremeWord : randomWord)(row, rng)] as const),
    );
    check(compare(words));
  }, 600_000);
  it("and the decoder leave the same words undefined", () => {
    const rng = new Random(12);
    const words: number[] = [];
    while (words.length < 500 * states) {
      const word = rng.u32();
      const op0 = (word >>> 25) & 15; // 0000, 0010: reserved, SME, SVE
      if (op0 !== 0 && op0 !== 2 && decode(word | 0) === undefined) words.push(word);
    }
    const wrong = objdumpText(words, BASE).flatMap((text, i) => {
      const t = normalize(text);
      const mnemonic = t.split(" ")[0] as string;
      if (t.startsWith(".inst") || printedOnly.some(([, m]) => m.test(mnemonic))) return [];
      return [`${(words[i] as number).toString(16)}: ${t}`];
    });
    check(wrong);
  }, 600_000);
  it("names system registers", () => {
    const words = encodings
      .filter(([, op0]) => op0 >= 2)
      .map(([, op0, op1, crn, crm, op2]) => (0xd530_0000 | ((op0 & 1) << 19) | (op1 << 16) | (crn << 12) | (crm << 8) | (op2 << 5)) >>> 0);
    check(compare(words.map((w) => ["MRS", w])));
    // The names, not only the raw form on both sides.
    expect(objdumpText(words, BASE).filter((t) => !/s\d_\d/i.test(t)).length).toBeGreaterThan(words.length / 2);
  });
  it("names SYS instructions", () => {
    const words: (readonly [string, number])[] = [];
    for (let op = 0; op < 0x4000; op++) {
      const crn = (op >> 7) & 15;
      if (crn < 7 || crn > 9) continue;
      for (const rt of [31, 3]) words.push(["SYS", (0xd508_0000 | (((op >> 11) & 7) << 16) | ((op & 0x7ff) << 5) | rt) >>> 0]);
    }
    check(compare(words));
    const named = words.filter(([, w]) => !disassemble(w, 0n).startsWith("sys ")).length;
    expect(named).toBeGreaterThan(150);
  });
});
