// A fault at any access, in a whole machine: random loops over memory of which a few pages are mapped at a time, on each engine. Every
// exception leaves X, SP, PC, PSTATE, V, FPSR, ESR and FAR; slices of random lengths end anywhere. RME_PAGING sets the number of guests,
// RME_PAGING_SEED where they begin.

import { describe, expect, it } from "vitest";
import { testEngines } from "../../isa/bare-interpreter.ts";
import { Random } from "../../isa/oracle/random.ts";
import { aborts, differencesOf, finished, pagingGuest, recordsOf, runPaging } from "./paging/guest.ts";
import { LoopWriter } from "./paging/loops.ts";

const guests = Number(process.env.RME_PAGING ?? 2);
const first = Number(process.env.RME_PAGING_SEED ?? 1);
const LOOPS = 40;
const ROUNDS = 60;

describe("a guest that pages its data", () => {
  it("has loads and stores of every kind", () => {
    const names = new LoopWriter(new Random(1)).memoryRows.join(" ");
    const kinds =
      "LDR_IMM_GEN_POST STR_REG_GEN LDP_FPSIMD_PRE STNP_GEN LDTR STTRB LDAPUR_GEN LDXP STLXR CASP LDADD SWPH LD4V_MULT_POST ST3V_SNGL_OFF LD2RV_POST";
    for (const kind of kinds.split(" ")) expect(names).toContain(kind);
  });

  it.each(Array.from({ length: guests }, (_, i) => first + i))(
    "number %i leaves the same at each fault on every engine",
    async (seed) => {
      const guest = pagingGuest(seed, LOOPS, ROUNDS);
      const expected = await runPaging(guest, "interp", seed);
      expect(finished(expected, guest), "the last loop has ended").toBe(true);
      const faults = aborts(expected);
      for (const status of [1, 2, 3]) expect(faults.get(status), `fault status ${status}`).toBeGreaterThan(40);
      expect(recordsOf(expected)).toBeGreaterThan(2000);
      for (const engine of testEngines.filter((e) => e !== "interp")) {
        const got = await runPaging(guest, engine, seed);
        expect(differencesOf(guest, expected, got), engine).toEqual([]);
        expect(got.translations, engine).toBeGreaterThan(LOOPS / 2);
      }
    },
    120_000,
  );
});
