// The instruction table: rows and reserved-value rules fit each other, and the decoder follows the overlap rule.

import { describe, expect, it } from "vitest";
import { reserved } from "../../src/isa/rows/reserved.ts";
import { decode, fieldValue, type Row, rowByName, rows } from "../../src/isa/table.ts";
import { Random } from "./oracle/random.ts";

const popcount = (v: number): number => (v === 0 ? 0 : (v & 1) + popcount(v >>> 1));

describe("rows", () => {
  it("have names of their own", () => {
    expect(rowByName.size).toBe(rows.length);
  });
  it("have fields that cover every bit that is not fixed, without overlap", () => {
    for (const row of rows) {
      let covered = 0;
      for (const f of row.fields.values()) {
        const bits = (2 ** f.width - 1) * 2 ** f.low;
        expect(covered & bits, `${row.name} ${f.name}`).toBe(0);
        covered |= bits;
      }
      // A field may hold fixed bits: CRm of the hints.
      expect(covered | row.mask, row.name).toBe(-1);
      expect(row.value & ~row.mask, row.name).toBe(0);
    }
  });
});

describe("reserved-value rules", () => {
  const attached = reserved.flatMap(([, names]) => names.split(" "));
  it("name existing rows", () => {
    expect(attached.filter((n) => !rowByName.has(n))).toEqual([]);
  });
  it("attach to each row at most once, as the table keeps one rule per row", () => {
    expect(attached.filter((n, i) => attached.indexOf(n) !== i)).toEqual([]);
  });
  it("act: each rule makes some word of each of its rows undefined or passes it on", () => {
    const rng = new Random(1);
    const inert: string[] = [];
    for (const name of attached) {
      const row = rowByName.get(name) as Row;
      let found = false;
      for (let i = 0; i < 20_000 && !found; i++) {
        const word = row.value | (rng.u32() & ~row.mask);
        found = row.undefined(word) || row.next(word);
      }
      if (!found) inert.push(name);
    }
    expect(inert).toEqual([]);
  });
});

describe("decoder", () => {
  /** The overlap rule, read literally. */
  function literally(insn: number): Row | undefined {
    const matching = rows.filter((r) => (insn & r.mask) === r.value && !r.next(insn));
    const set = matching.find((r) => r.name.startsWith("SET") && r.features.includes("MOPS"));
    const best = set ?? matching.sort((a, b) => popcount(b.mask) - popcount(a.mask))[0];
    return best?.undefined(insn) ? undefined : best;
  }
  it("agrees with the overlap rule on words of every row", () => {
    const rng = new Random(2);
    for (const row of rows) {
      for (let i = 0; i < 8; i++) {
        const word = row.value | (rng.u32() & ~row.mask);
        expect(decode(word)?.name, word.toString(16)).toBe(literally(word)?.name);
      }
    }
  });
  it("agrees with the overlap rule on arbitrary words", () => {
    const rng = new Random(3);
    for (let i = 0; i < 4000; i++) {
      const word = rng.u32() | 0;
      expect(decode(word)?.name, word.toString(16)).toBe(literally(word)?.name);
    }
  });
  it("finds a word for every row", () => {
    const rng = new Random(4);
    const lost = rows.filter((row) => {
      for (let i = 0; i < 4000; i++) if (decode(row.value | (rng.u32() & ~row.mask)) === row) return false;
      return row.name !== "UDF_PERM_UNDEF";
    });
    expect(lost.map((r) => r.name)).toEqual([]);
  });
  it.each([
    [0xd503201f, "NOP"],
    [0xd503233f, "PACIA_HINT"],
    [0xd50323ff, "AUTIB_HINT"],
    [0xd503241f, "BTI"],
    [0xd50326ff, "HINT"],
    [0xdac00820, "REV32_INT"],
    [0xdac00c20, "REV"],
    [0xf8a0481f, "RPRFM_REG"],
    [0xf8a04800, "PRFM_REG"],
    [0x6f00e420, "MOVIV"],
    [0x0f0084a0, "MOVIV"],
    [0x1e634020, "BFCVT_FLOAT"],
    [0x19c00400, "SETP"],
    [0x00000000, undefined],
  ])("%i is %s", (word, name) => {
    expect(decode(word | 0)?.name).toBe(name);
  });
  it("reads fields as unsigned numbers", () => {
    const row = rowByName.get("B_UNCOND") as Row;
    expect(fieldValue(row.fields.get("imm26") ?? { name: "", low: 0, width: 1 }, 0x17ffffff)).toBe(0x3ffffff);
  });
});
